//! Any server that speaks RESP, by URL, in real time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tally_model::{Peer, Reply, Span, StreamHabits};

use super::link::{Link, PATIENCE, Url};
use super::{Capabilities, Connection, LiveError, Received, Setup, Target, TargetError, Wait};
use crate::request::Request;

/// The directives that runs change, with the defaults from which every episode begins; a live server gets its own values
/// back in the end.
const SETTINGS: [(&str, &str); 21] = [
    ("activerehashing", "yes"),
    ("hash-max-ziplist-entries", "512"),
    ("hash-max-ziplist-value", "64"),
    ("hll-sparse-max-bytes", "3000"),
    ("lazyfree-lazy-expire", "no"),
    ("lazyfree-lazy-server-del", "no"),
    ("latency-monitor-threshold", "0"),
    ("lfu-decay-time", "1"),
    ("list-compress-depth", "0"),
    ("list-max-ziplist-size", "-2"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("maxmemory-samples", "5"),
    ("notify-keyspace-events", ""),
    ("set-max-intset-entries", "512"),
    ("slowlog-log-slower-than", "10000"),
    ("slowlog-max-len", "128"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("zset-max-ziplist-entries", "128"),
    ("zset-max-ziplist-value", "64"),
];

/// What our own connection says to know that the server has executed everything: connections that monitor see it too, and
/// it is not part of the run.
const SETTLED: &str = "tally: settled?";

/// Longer than a question takes, milliseconds: an idle time that is less was set by the question.
const NOTICEABLE_MS: u64 = 30;

/// A server somewhere else.
#[derive(Debug)]
pub struct Live {
    url: Url,
    links: BTreeMap<u64, Link>,
    next: u64,
    /// A connection of our own for everything that is not part of the run.
    control: Link,
    /// What [`SETTINGS`] were before.
    settings: Vec<(&'static str, Vec<u8>)>,
    /// Scripts were propagated as they came (`lua-replicate-commands no`) when we came, which CONFIG does not tell.
    propagated_scripts: bool,
    /// And they are since the last reset.
    whole_scripts: bool,
    /// The server was empty, or may be flushed: without this nothing of it is ever changed.
    ours: bool,
    /// Server's clock minus ours, milliseconds.
    clock_offset_ms: i64,
    sent_ms: i64,
    span: Span,
    stream_habits: StreamHabits,
}

impl Live {
    /// Connects. A server that holds keys is refused unless `flush`, because a run deletes them.
    pub fn connect(url: &Url, flush: bool) -> Result<Self, LiveError> {
        let control = Link::open(url)?;
        let mut live = Self {
            url: url.clone(),
            links: BTreeMap::new(),
            next: 0,
            control,
            settings: Vec::new(),
            propagated_scripts: false,
            whole_scripts: false,
            ours: false,
            clock_offset_ms: 0,
            sent_ms: 0,
            span: Span::at(0),
            stream_habits: StreamHabits::default(),
        };
        let keys = live.count_keys()?;
        if keys > 0 && !flush {
            return Err(LiveError::NotEmpty(keys));
        }
        live.ours = true;
        live.measure_clock()?;
        for (name, _) in SETTINGS {
            if let Reply::Array(parts) = live.ask(&["CONFIG", "GET", name])?
                && let [_, Reply::Bulk(value)] = parts.as_slice()
            {
                live.settings.push((name, value.clone()));
            }
        }
        // This is refused to scripts that are propagated as they came.
        let reply = live.ask(&["EVAL", "return redis.set_repl(redis.REPL_ALL)", "0"])?;
        live.propagated_scripts = matches!(reply, Reply::Error(line) if is_refused_for_single_commands(&line));
        live.stream_habits = live.find_stream_habits()?;
        Ok(live)
    }

    /// What the server says it is, for the head of a report.
    pub fn description(&mut self) -> String {
        let reply = self.ask(&["INFO", "server"]).unwrap_or(Reply::NilBulk);
        let Reply::Bulk(text) = reply else { return "a server".to_owned() };
        let text = String::from_utf8_lossy(&text).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("redis_version:"));
        version.map_or_else(|| "a server".to_owned(), |version| format!("redis_version {}", version.trim()))
    }

    /// Tries what early versions do with streams. The server is ours to change by now.
    fn find_stream_habits(&mut self) -> Result<StreamHabits, TargetError> {
        const KEY: &str = "tally:habits";
        self.ask(&["CONFIG", "SET", "stream-node-max-entries", "1"])?;
        self.ask(&["DEL", KEY])?;
        self.ask(&["XADD", KEY, "1-1", "f", "v"])?;
        self.ask(&["XADD", KEY, "1-2", "f", "v"])?;
        let number = |reply: Reply, name: &str| match reply {
            Reply::Array(fields) => fields.chunks_exact(2).find_map(|pair| match pair {
                [Reply::Bulk(field), Reply::Integer(number)] if field == name.as_bytes() => Some(*number),
                _ => None,
            }),
            _ => None,
        };
        let nodes = number(self.ask(&["XINFO", "STREAM", KEY])?, "radix-tree-keys");
        self.ask(&["XGROUP", "CREATE", KEY, "g", "$"])?;
        self.ask(&["XCLAIM", KEY, "g", "c", "0", "1-1"])?;
        let consumers = match self.ask(&["XINFO", "GROUPS", KEY])? {
            Reply::Array(groups) => groups.into_iter().next().and_then(|group| number(group, "consumers")),
            _ => None,
        };
        self.ask(&["XREADGROUP", "GROUP", "g", "d", "STREAMS", KEY, "0"])?;
        std::thread::sleep(Duration::from_millis(NOTICEABLE_MS));
        self.ask(&["XPENDING", KEY, "g", "-", "+", "1", "d"])?;
        let idle = match self.ask(&["XINFO", "CONSUMERS", KEY, "g"])? {
            Reply::Array(consumers) => consumers.into_iter().last().and_then(|consumer| number(consumer, "idle")),
            _ => None,
        };
        self.ask(&["DEL", KEY])?;
        if let Some((name, value)) = self.settings.iter().find(|(name, _)| *name == "stream-node-max-entries") {
            let request = [b"CONFIG".as_slice(), b"SET", name.as_bytes(), value].into_iter().collect();
            self.ask_request(&request)?;
        }
        Ok(StreamHabits {
            roomy_nodes: nodes == Some(1),
            claims_make_consumers: consumers == Some(1),
            pending_counts_as_seen: idle.is_some_and(|ms| ms < NOTICEABLE_MS as i64),
        })
    }

    fn count_keys(&mut self) -> Result<i64, TargetError> {
        let Reply::Bulk(text) = self.ask(&["INFO", "keyspace"])? else {
            return Err(TargetError::Connection("INFO keyspace gave no text".to_owned()));
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let counts = text.lines().filter_map(|line| line.split_once("keys=")?.1.split(',').next()?.parse::<i64>().ok());
        Ok(counts.sum())
    }

    /// Finds the difference between the server's clock and ours, if it is more than the time an answer takes.
    fn measure_clock(&mut self) -> Result<(), TargetError> {
        let before = unix_ms();
        let reply = self.ask(&["TIME"])?;
        let after = unix_ms();
        if let Reply::Array(parts) = reply
            && let [Reply::Bulk(seconds), Reply::Bulk(micros)] = parts.as_slice()
        {
            let number = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<i64>().unwrap_or(0);
            let server_ms = number(seconds) * 1000 + number(micros) / 1000;
            if server_ms < before - 1 || server_ms > after + 1 {
                self.clock_offset_ms = server_ms - (before + after) / 2;
            }
        }
        Ok(())
    }

    /// Asks over the connection of our own.
    fn ask(&mut self, words: &[&str]) -> Result<Reply, TargetError> {
        self.ask_request(&words.iter().collect())
    }

    /// As [`Live::ask`]; a connection that the run closed (CLIENT KILL reaches it too) is opened again.
    fn ask_request(&mut self, request: &Request) -> Result<Reply, TargetError> {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.control.outgoing.extend_from_slice(&bytes);
        self.control.flush();
        match self.control.await_reply() {
            Err(TargetError::Connection(_)) => {
                self.control = Link::open(&self.url)?;
                self.control.outgoing.extend_from_slice(&bytes);
                self.control.flush();
                self.control.await_reply()
            }
            answered => answered,
        }
    }

    fn link(&mut self, connection: Connection) -> Result<&mut Link, TargetError> {
        self.links.get_mut(&connection.0).ok_or_else(|| TargetError::Connection("no such connection".to_owned()))
    }

    /// Asks until everything sent so far has been executed, and its replies were written. The second answer over another
    /// connection can only come after the first one was written, and with it everything that was owed before. Servers read
    /// 16 KiB in a round, so more `bytes` take more rounds.
    fn settle(&mut self, bytes: usize) -> Result<(), TargetError> {
        for _ in 0..2 + bytes / 8192 {
            self.ask(&["PING", SETTLED])?;
        }
        Ok(())
    }

    fn received_now(&mut self) {
        self.span =
            Span { earliest_ms: self.sent_ms + self.clock_offset_ms, latest_ms: unix_ms() + 1 + self.clock_offset_ms };
    }
}

/// Does the error say that `redis.replicate_commands` was to be called before?
fn is_refused_for_single_commands(line: &[u8]) -> bool {
    String::from_utf8_lossy(line).contains("redis.replicate_commands()")
}

/// Is it what MONITOR shows of our own connection?
fn is_our_own(reply: &Reply) -> bool {
    let Reply::Status(line) = reply else { return false };
    line.strip_suffix(b"\"").and_then(|line| line.strip_suffix(SETTLED.as_bytes())).is_some()
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Target for Live {
    fn reset(&mut self, setup: &Setup) -> Result<(), TargetError> {
        self.links.clear();
        for words in [
            &["FLUSHALL"][..],
            &["DEBUG", "SET-ACTIVE-EXPIRE", "1"],
            &["CONFIG", "RESETSTAT"],
            &["SLOWLOG", "RESET"],
            &["LATENCY", "RESET"],
        ] {
            self.ask(words)?;
        }
        // No client can set the directive, but this has the same effect, where it is not forbidden.
        let whole = setup.has("lua-replicate-commands", "no");
        let turned = self.ask(&["DEBUG", "LUA-ALWAYS-REPLICATE-COMMANDS", if whole { "0" } else { "1" }])?;
        self.whole_scripts = if matches!(turned, Reply::Error(_)) { self.propagated_scripts } else { whole };
        for (name, value) in SETTINGS {
            self.ask(&["CONFIG", "SET", name, value])?;
        }
        for (name, value) in setup.config.iter().filter(|(name, _)| !Setup::is_of_the_start(name)) {
            self.ask(&["CONFIG", "SET", name, value])?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Connection, TargetError> {
        let link = Link::open(&self.url)?;
        let connection = Connection(self.next);
        self.next += 1;
        self.links.insert(connection.0, link);
        Ok(connection)
    }

    fn peer(&self, connection: Connection) -> Peer {
        // What the server calls a connection over a Unix socket is the path it listens on, which need not be ours.
        let address = self.links.get(&connection.0).and_then(|link| link.local_address());
        Peer { address: address.map(String::into_bytes), local: true, id: None }
    }

    fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), TargetError> {
        let link = self.link(connection)?;
        link.outgoing.extend_from_slice(bytes);
        Ok(())
    }

    fn receive(&mut self, connection: Connection, wait: Wait) -> Result<Received, TargetError> {
        let now = unix_ms();
        let link = self.link(connection)?;
        let sent = link.outgoing.len();
        if sent > 0 {
            link.flush();
            self.sent_ms = now;
        }
        // Redis closes some connections in its next cron tick, a tenth of a second away.
        let mut patience = 30;
        if matches!(wait, Wait::Settled | Wait::Ending) {
            self.settle(sent)?;
        }
        let link = self.link(connection)?;
        loop {
            if let Some(reply) = link.reader.next_reply()? {
                if is_our_own(&reply) {
                    continue;
                }
                self.received_now();
                return Ok(Received::Reply(reply));
            }
            if link.closed {
                self.received_now();
                return Ok(Received::Closed);
            }
            // A long reply is written in pieces, as fast as it is read: once begun, its rest will come.
            let awaited = wait == Wait::Reply || !link.reader.pending().is_empty();
            let came = if awaited { link.fill()? } else { link.fill_at_once()? };
            if !came {
                return match wait {
                    _ if awaited => Err(TargetError::Timeout(PATIENCE.as_millis() as u64)),
                    Wait::Ending if patience > 0 => {
                        patience -= 1;
                        std::thread::sleep(Duration::from_millis(10));
                        continue;
                    }
                    _ => {
                        self.received_now();
                        Ok(Received::Nothing)
                    }
                };
            }
        }
    }

    fn close(&mut self, connection: Connection) {
        let Some(mut link) = self.links.remove(&connection.0) else { return };
        if link.closed {
            return;
        }
        let bytes = link.outgoing.len();
        link.flush();
        drop(link);
        // The server reads what came last, then the end. If it does not answer, the next question shows it.
        let _ = self.settle(bytes + 8192);
    }

    fn span(&self) -> Span {
        self.span
    }

    fn now_ms(&self) -> i64 {
        unix_ms() + self.clock_offset_ms
    }

    fn pass(&mut self, ms: u64) -> Result<(), TargetError> {
        std::thread::sleep(Duration::from_millis(ms));
        Ok(())
    }

    fn can(&self) -> Capabilities {
        Capabilities { virtual_time: false, live: true, propagation: false, encodings: false }
    }

    fn stream_habits(&self) -> StreamHabits {
        self.stream_habits
    }

    fn propagates_whole_scripts(&self) -> bool {
        self.whole_scripts
    }
}

impl Drop for Live {
    /// Leaves the server as it was found: empty, with its own settings.
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // Nothing more can be done about a server that does not answer any more.
        let _ = self.ask(&["FLUSHALL"]);
        if self.propagated_scripts {
            let _ = self.ask(&["DEBUG", "LUA-ALWAYS-REPLICATE-COMMANDS", "0"]);
        }
        for (name, value) in std::mem::take(&mut self.settings) {
            let request = [b"CONFIG".as_slice(), b"SET", name.as_bytes(), &value].into_iter().collect();
            let _ = self.ask_request(&request);
        }
    }
}
