//! Any server that speaks RESP, by URL, in real time.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tally_model::{Peer, Reply, Span, StreamHabits};

use super::{Capabilities, Connection, Received, Setup, Target, TargetError, Wait};
use crate::reply_reader::ReplyReader;
use crate::request::Request;

/// The directives that runs change, with the defaults from which every episode begins; a live server gets its own values
/// back in the end.
const SETTINGS: [(&str, &str); 19] = [
    ("activerehashing", "yes"),
    ("hash-max-ziplist-entries", "512"),
    ("hash-max-ziplist-value", "64"),
    ("hll-sparse-max-bytes", "3000"),
    ("lazyfree-lazy-expire", "no"),
    ("lazyfree-lazy-server-del", "no"),
    ("lfu-decay-time", "1"),
    ("list-compress-depth", "0"),
    ("list-max-ziplist-size", "-2"),
    ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"),
    ("maxmemory-samples", "5"),
    ("notify-keyspace-events", ""),
    ("set-max-intset-entries", "512"),
    ("slowlog-max-len", "128"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("zset-max-ziplist-entries", "128"),
    ("zset-max-ziplist-value", "64"),
];

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server listens: `redis://[:password@]host[:port][/db]`, `unix:///path`, or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Host and port, or the socket's path.
    pub place: Place,
    /// For AUTH.
    pub password: Option<String>,
    /// The database that is database 0 of the run; only 0 is possible, because runs use several databases.
    pub database: u32,
}

/// A host and port, or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Over TCP.
    Host(String, u16),
    /// Over a Unix socket.
    Socket(String),
}

/// Why a live server cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The URL makes no sense.
    #[error("{0:?} is no address of a server: {1}")]
    Url(String, &'static str),
    /// The server does not answer, or not as a server should.
    #[error("cannot use the server: {0}")]
    Target(#[from] TargetError),
    /// There are keys in it.
    #[error("the server holds {0} keys; with --flush they would be deleted")]
    NotEmpty(i64),
}

impl std::str::FromStr for Url {
    type Err = LiveError;

    fn from_str(text: &str) -> Result<Self, LiveError> {
        let wrong = |reason| LiveError::Url(text.to_owned(), reason);
        let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("redis+unix://"));
        if let Some(path) = path.or_else(|| text.starts_with('/').then_some(text)) {
            return Ok(Self { place: Place::Socket(path.to_owned()), password: None, database: 0 });
        }
        let rest = match text.split_once("://") {
            Some(("redis", rest)) => rest,
            Some(_) => return Err(wrong("only redis:// and unix:// are known")),
            None => text,
        };
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let password = credentials.map(|text| text.split_once(':').map_or(text, |(_, password)| password).to_owned());
        let (host, database) = match rest.split_once('/') {
            Some((host, "")) => (host, 0),
            Some((host, number)) => (host, number.parse().map_err(|_| wrong("the database is not a number"))?),
            None => (rest, 0),
        };
        if database != 0 {
            return Err(wrong("a run uses several databases, so it has to begin at 0"));
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| wrong("the port is not a number"))?)
            }
            _ => (host, 6379),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        Ok(Self { place: Place::Host(host.to_owned(), port), password, database })
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    fn connect(place: &Place) -> std::io::Result<Self> {
        match place {
            Place::Host(host, port) => {
                let mut last = std::io::Error::new(ErrorKind::NotFound, "the host has no address");
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, PATIENCE) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            #[cfg(unix)]
            Place::Socket(path) => UnixStream::connect(path).map(Self::Unix),
            #[cfg(not(unix))]
            Place::Socket(_) => Err(std::io::Error::new(ErrorKind::Unsupported, "no Unix sockets here")),
        }
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    fn set_nonblocking(&self, on: bool) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(on),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_nonblocking(on),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(into),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn local_address(&self) -> Option<String> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok().map(|address| address.to_string()),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

#[derive(Debug)]
struct Link {
    stream: Stream,
    reader: ReplyReader,
    outgoing: Vec<u8>,
    closed: bool,
}

impl Link {
    /// Sends what is queued. A connection that the server closed meanwhile is no error: reading will find the end.
    fn flush(&mut self) {
        if !self.outgoing.is_empty() {
            if self.stream.write_all(&self.outgoing).is_err() {
                self.closed = true;
            }
            self.outgoing.clear();
        }
    }

    /// Reads once; false when nothing came in time.
    fn fill(&mut self) -> Result<bool, TargetError> {
        let mut piece = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => self.closed = true,
                Ok(length) => self.reader.push(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    self.closed = true;
                }
                Err(error) => return Err(TargetError::Connection(error.to_string())),
            }
            return Ok(true);
        }
    }
}

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
        let control = open(url)?;
        let mut live = Self {
            url: url.clone(),
            links: BTreeMap::new(),
            next: 0,
            control,
            settings: Vec::new(),
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
        self.ask(&["DEL", KEY])?;
        if let Some((name, value)) = self.settings.iter().find(|(name, _)| *name == "stream-node-max-entries") {
            let request = [b"CONFIG".as_slice(), b"SET", name.as_bytes(), value].into_iter().collect();
            self.ask_request(&request)?;
        }
        Ok(StreamHabits { roomy_nodes: nodes == Some(1), claims_make_consumers: consumers == Some(1) })
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
        match await_reply(&mut self.control) {
            Err(TargetError::Connection(_)) => {
                self.control = open(&self.url)?;
                self.control.outgoing.extend_from_slice(&bytes);
                self.control.flush();
                await_reply(&mut self.control)
            }
            answered => answered,
        }
    }

    fn link(&mut self, connection: Connection) -> Result<&mut Link, TargetError> {
        self.links.get_mut(&connection.0).ok_or_else(|| TargetError::Connection("no such connection".to_owned()))
    }

    fn received_now(&mut self) {
        self.span =
            Span { earliest_ms: self.sent_ms + self.clock_offset_ms, latest_ms: unix_ms() + 1 + self.clock_offset_ms };
    }
}

fn open(url: &Url) -> Result<Link, TargetError> {
    let stream = Stream::connect(&url.place).map_err(|error| TargetError::Connection(error.to_string()))?;
    stream.set_timeout(Some(PATIENCE)).map_err(|error| TargetError::Connection(error.to_string()))?;
    let mut link = Link { stream, reader: ReplyReader::default(), outgoing: Vec::new(), closed: false };
    if let Some(password) = &url.password {
        let request: Request = ["AUTH", password].iter().collect();
        request.encode(&mut link.outgoing);
        link.flush();
        if let Reply::Error(text) = await_reply(&mut link)? {
            return Err(TargetError::Connection(String::from_utf8_lossy(&text).into_owned()));
        }
    }
    Ok(link)
}

fn await_reply(link: &mut Link) -> Result<Reply, TargetError> {
    loop {
        if let Some(reply) = link.reader.next_reply()? {
            return Ok(reply);
        }
        if link.closed {
            return Err(TargetError::Connection("the server closed the connection".to_owned()));
        }
        if !link.fill()? {
            return Err(TargetError::Timeout(PATIENCE.as_millis() as u64));
        }
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Target for Live {
    fn reset(&mut self, setup: &Setup) -> Result<(), TargetError> {
        self.links.clear();
        for words in [&["FLUSHALL"][..], &["DEBUG", "SET-ACTIVE-EXPIRE", "1"], &["CONFIG", "RESETSTAT"]] {
            self.ask(words)?;
        }
        for (name, value) in SETTINGS {
            self.ask(&["CONFIG", "SET", name, value])?;
        }
        for (name, value) in &setup.config {
            if name != "appendonly" {
                self.ask(&["CONFIG", "SET", name, value])?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<Connection, TargetError> {
        let link = open(&self.url)?;
        let connection = Connection(self.next);
        self.next += 1;
        self.links.insert(connection.0, link);
        Ok(connection)
    }

    fn peer(&self, connection: Connection) -> Peer {
        // What the server calls a connection over a Unix socket is the path it listens on, which need not be ours.
        let address = self.links.get(&connection.0).and_then(|link| link.stream.local_address());
        Peer { address: address.map(String::into_bytes), local: true }
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
            // The second answer over another connection can only come after the first one was written, and with it
            // everything that this connection is owed. Servers read 16 KiB in a round, so more takes more rounds.
            for _ in 0..2 + sent / 8192 {
                self.ask(&["PING"])?;
            }
        }
        let link = self.link(connection)?;
        loop {
            if let Some(reply) = link.reader.next_reply()? {
                self.received_now();
                return Ok(Received::Reply(reply));
            }
            if link.closed {
                self.received_now();
                return Ok(Received::Closed);
            }
            let came = if wait == Wait::Reply {
                link.fill()?
            } else {
                let broken = |error: std::io::Error| TargetError::Connection(error.to_string());
                link.stream.set_nonblocking(true).map_err(broken)?;
                let came = link.fill();
                link.stream.set_nonblocking(false).map_err(broken)?;
                came?
            };
            if !came {
                return match wait {
                    Wait::Reply => Err(TargetError::Timeout(PATIENCE.as_millis() as u64)),
                    Wait::Ending if patience > 0 => {
                        patience -= 1;
                        std::thread::sleep(Duration::from_millis(10));
                        continue;
                    }
                    Wait::Settled | Wait::Ending | Wait::Poll => {
                        self.received_now();
                        Ok(Received::Nothing)
                    }
                };
            }
        }
    }

    fn close(&mut self, connection: Connection) {
        self.links.remove(&connection.0);
    }

    fn span(&self) -> Span {
        self.span
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
}

impl Drop for Live {
    /// Leaves the server as it was found: empty, with its own settings.
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // Nothing more can be done about a server that does not answer any more.
        let _ = self.ask(&["FLUSHALL"]);
        for (name, value) in std::mem::take(&mut self.settings) {
            let request = [b"CONFIG".as_slice(), b"SET", name.as_bytes(), &value].into_iter().collect();
            let _ = self.ask_request(&request);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        let host = |host: &str, port| Place::Host(host.to_owned(), port);
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert_eq!(url("redis://localhost").place, host("localhost", 6379));
        assert_eq!(url("redis://:secret@localhost:7000/0").password.as_deref(), Some("secret"));
        assert_eq!(url("redis://user:se@cret@h:7000/").place, host("h", 7000));
        assert_eq!(url("localhost:1").place, host("localhost", 1));
        assert_eq!(url("redis://[::1]:7").place, host("::1", 7));
        assert_eq!(url("redis://[::1]").place, host("::1", 6379));
        assert_eq!(url("unix:///tmp/s").place, Place::Socket("/tmp/s".to_owned()));
        for wrong in ["http://x", "redis://", "redis://h:x", "redis://h/x", "redis://h/3"] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }
}
