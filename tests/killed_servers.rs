//! Real servers under load are killed by SIGKILL at random moments, also while children save or rewrite, and are started
//! again on the files they left.
//!
//! Each connection writes keys of its own by a list of steps that its seed decides, so that the dataset after each step is
//! known without asking anybody; a step is a command or a transaction. What a server brings back must be, for every
//! connection, the dataset after one of its steps, and no earlier one than was promised:
//!
//! | policy | promised |
//! |---|---|
//! | `always`, `no` | what was answered: the process dies, the system does not |
//! | `everysec` | what was answered two seconds ago, and whatever the file held when the process was gone |
//! | dumps | what was answered before the last save began that ended well |
//!
//! A transaction moves its connection's counter, so half of one is no dataset after a step. `TALLY_KILL_ROUNDS` says how
//! many kills, `TALLY_KILL_SEED` repeats one series.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spawned::{Server, eventually, folder, request};
use tally_check::reply_reader::ReplyReader;
use tally_model::{Reply, aof, rdb};

mod spawned;

/// Kills of a run that was not told.
const KILLS: u64 = 24;
/// Kills of one series: a folder whose server dies and comes back.
const LIVES: u64 = 5;
/// Connections under load.
const CONNECTIONS: usize = 3;
/// Most steps that a connection has sent without an answer.
const WINDOW: u64 = 24;
/// Under `everysec` what was answered so long ago is kept: a write waits two seconds for the fsync before it.
const EVERYSEC: Duration = Duration::from_millis(2500);
/// Keys that only make saving take its time, and their length.
const BALLAST: usize = 150;
const BALLAST_BYTES: usize = 20_000;

fn below(chance: &mut ChaCha8Rng, bound: u64) -> u64 {
    chance.next_u64() % bound
}

/// The writes of a step, each in words; several are a transaction, whose first one moves the counter.
fn step(seed: u64, connection: usize, number: u64) -> Vec<String> {
    let place = (connection as u64) << 48 | number;
    let chance = &mut ChaCha8Rng::seed_from_u64(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    if below(chance, 3) > 0 {
        return vec![write(chance, connection, number)];
    }
    let mut writes = vec![format!("SET {connection}:counter {number}")];
    writes.extend((0..1 + below(chance, 4)).map(|_| write(chance, connection, number)));
    if below(chance, 8) == 0 {
        writes.push(format!("RPUSH log {connection}:{number}"));
    }
    writes
}

fn write(chance: &mut ChaCha8Rng, connection: usize, number: u64) -> String {
    let (c, small) = (connection, below(chance, 20));
    match below(chance, 12) {
        0 => format!("SET {c}:s{} {number}", small % 3),
        1 => format!("APPEND {c}:s{} {}", small % 3, "y".repeat(small as usize)),
        2 => format!("INCRBY {c}:n {small}"),
        3 => format!("RPUSH {c}:l {number}"),
        4 => format!("LTRIM {c}:l -{} -1", 10 + small),
        5 => format!("HSET {c}:h f{small} {number}"),
        6 => format!("HDEL {c}:h f{small}"),
        7 => format!("SADD {c}:t {small}"),
        8 => format!("SREM {c}:t {small}"),
        9 => format!("ZADD {c}:z {} m{small}", number % 1000),
        10 => format!("XADD {c}:x MAXLEN 30 {}-{} f {number}", number + 1, below(chance, 2)),
        _ => format!("DEL {c}:s{}", small % 3),
    }
}

/// The dataset of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Dataset {
    strings: BTreeMap<String, String>,
    list: VecDeque<String>,
    hash: BTreeMap<String, String>,
    set: BTreeSet<String>,
    sorted: BTreeMap<String, String>,
    /// The last ID and the entries that are left: of several in one step the second is refused.
    stream: Vec<(u64, u64, String)>,
}

impl Dataset {
    fn apply(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let own = |index: usize| words[index].to_owned();
        match words[0] {
            "SET" => drop(self.strings.insert(own(1), own(2))),
            "APPEND" => {
                let text = words.get(2).copied().unwrap_or_default();
                self.strings.entry(own(1)).or_default().push_str(text);
            }
            "INCRBY" => {
                let sum = self.strings.get(words[1]).map_or(0, |text| text.parse::<u64>().unwrap());
                self.strings.insert(own(1), (sum + words[2].parse::<u64>().unwrap()).to_string());
            }
            "DEL" => drop(self.strings.remove(words[1])),
            "RPUSH" if words[1] == "log" => {}
            "RPUSH" => self.list.push_back(own(2)),
            "LTRIM" => {
                let kept = words[2].trim_start_matches('-').parse::<usize>().unwrap();
                self.list.drain(..self.list.len().saturating_sub(kept));
            }
            "HSET" => drop(self.hash.insert(own(2), own(3))),
            "HDEL" => drop(self.hash.remove(words[2])),
            "SADD" => drop(self.set.insert(own(2))),
            "SREM" => drop(self.set.remove(words[2])),
            "ZADD" => drop(self.sorted.insert(own(3), own(2))),
            "XADD" => {
                let (ms, sequence) = words[4].split_once('-').unwrap();
                let id = (ms.parse().unwrap(), sequence.parse().unwrap());
                if self.stream.last().is_none_or(|&(ms, sequence, _)| (ms, sequence) < id) {
                    self.stream.push((id.0, id.1, own(6)));
                    self.stream.drain(..self.stream.len().saturating_sub(30));
                }
            }
            other => panic!("no step does {other}"),
        }
    }

    /// What a server holds for a connection.
    fn read(client: &mut redis::Connection, c: usize) -> Dataset {
        let mut ask = |line: String| {
            let words: Vec<&str> = line.split(' ').collect();
            let mut command = redis::cmd(words[0]);
            command.arg(&words[1..]);
            command.query::<redis::Value>(client).unwrap()
        };
        let mut found = Dataset::default();
        for name in ["counter", "s0", "s1", "s2", "n"] {
            let value = ask(format!("GET {c}:{name}"));
            if let Some(text) = redis::from_redis_value::<Option<String>>(value).unwrap() {
                found.strings.insert(format!("{c}:{name}"), text);
            }
        }
        found.list = redis::from_redis_value::<Vec<String>>(ask(format!("LRANGE {c}:l 0 -1"))).unwrap().into();
        found.hash = redis::from_redis_value(ask(format!("HGETALL {c}:h"))).unwrap();
        found.set = redis::from_redis_value(ask(format!("SMEMBERS {c}:t"))).unwrap();
        found.sorted = redis::from_redis_value(ask(format!("ZRANGE {c}:z 0 -1 WITHSCORES"))).unwrap();
        let entries: Vec<(String, Vec<String>)> = redis::from_redis_value(ask(format!("XRANGE {c}:x - +"))).unwrap();
        for (id, fields) in entries {
            let (ms, sequence) = id.split_once('-').unwrap();
            found.stream.push((ms.parse().unwrap(), sequence.parse().unwrap(), fields[1].clone()));
        }
        found
    }
}

/// How far a connection is, counted in steps.
#[derive(Debug, Default)]
struct Progress {
    sent: u64,
    answered: u64,
    /// When it had answered how many, and what was answered wrongly.
    times: Vec<(Instant, u64)>,
    wrong: Option<String>,
}

/// Sends steps after `from` until the server is gone.
fn load(mut socket: TcpStream, seed: u64, connection: usize, from: u64, progress: &Mutex<Progress>) {
    let mut chance = ChaCha8Rng::seed_from_u64(seed ^ from ^ (connection as u64) << 32);
    let mut replies = ReplyReader::default();
    let mut bytes = vec![0; 65536];
    let mut next = from + 1;
    loop {
        let last = next + below(&mut chance, WINDOW);
        let mut batch = Vec::new();
        // How many replies each step has.
        let mut expected = VecDeque::new();
        for number in next..=last {
            let writes = step(seed, connection, number);
            let transaction = writes.len() > 1;
            let lines = writes.iter().map(String::as_str);
            let (before, after) = if transaction { (Some("MULTI"), Some("EXEC")) } else { (None, None) };
            let mut count = 0;
            for line in before.into_iter().chain(lines).chain(after) {
                batch.extend(request(&line.split(' ').collect::<Vec<_>>()));
                count += 1;
            }
            expected.push_back(count);
        }
        progress.lock().unwrap().sent = last;
        if socket.write_all(&batch).is_err() {
            return;
        }
        while let Some(left) = expected.front_mut() {
            match replies.next_reply().unwrap() {
                Some(Reply::Error(text)) if !text.starts_with(b"ERR The ID specified in XADD is equal or smaller") => {
                    progress.lock().unwrap().wrong = Some(String::from_utf8_lossy(&text).into_owned());
                    return;
                }
                Some(_) => {
                    *left -= 1;
                    if *left == 0 {
                        expected.pop_front();
                        let mut progress = progress.lock().unwrap();
                        progress.answered += 1;
                        let answered = progress.answered;
                        progress.times.push((Instant::now(), answered));
                    }
                }
                None => match socket.read(&mut bytes) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => replies.push(&bytes[..count]),
                },
            }
        }
        next = last + 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Always,
    EverySec,
    No,
    Dumps,
}

/// What kills of this test met.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    kills: u64,
    during_save: u64,
    during_rewrite: u64,
    saves: u64,
    rewrites: u64,
    answered: u64,
    lost: u64,
}

/// A series of lives of one folder.
struct Series {
    seed: u64,
    policy: Policy,
    options: Vec<String>,
    chance: ChaCha8Rng,
    folder: tempfile::TempDir,
    /// Per connection the step that the server was at when it began, with the dataset.
    begun: Vec<(u64, Dataset)>,
    ballast: Vec<String>,
    met: Met,
}

fn persistence(client: &mut redis::Connection) -> String {
    redis::cmd("INFO").arg("persistence").query(client).unwrap()
}

impl Series {
    fn new(seed: u64) -> Series {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let policy = [Policy::Always, Policy::EverySec, Policy::No, Policy::Dumps][(seed % 4) as usize];
        let fsync = match policy {
            Policy::Always => "always",
            Policy::EverySec => "everysec",
            Policy::No | Policy::Dumps => "no",
        };
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" };
        let preamble = yes_or_no(below(&mut chance, 2) == 0);
        let options = format!(
            "--save  --appendonly {} --appendfsync {fsync} --aof-use-rdb-preamble {preamble} --auto-aof-rewrite-min-size 4mb",
            yes_or_no(policy != Policy::Dumps)
        );
        let ballast = (0..BALLAST).map(|_| {
            let digits = (0..BALLAST_BYTES / 16).map(|_| format!("{:016x}", chance.next_u64()));
            digits.collect::<String>()
        });
        let ballast = ballast.collect();
        Series {
            seed,
            policy,
            options: options.split(' ').map(str::to_owned).collect(),
            chance,
            folder: folder(),
            begun: vec![Default::default(); CONNECTIONS],
            ballast,
            met: Met::default(),
        }
    }

    fn start(&self) -> Server {
        Server::start(self.folder.path(), &self.options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn run(&mut self, lives: u64) {
        let mut server = self.start();
        let mut client = server.client();
        let mut command = redis::cmd("MSET");
        for (index, text) in self.ballast.iter().enumerate() {
            command.arg(format!("ballast:{index}")).arg(text);
        }
        command.query::<()>(&mut client).unwrap();
        redis::cmd("SAVE").query::<()>(&mut client).unwrap();
        for _ in 0..lives {
            let (progress, saved) = self.live(&mut server);
            self.met.kills += 1;
            let written = self.written();
            server = self.start();
            self.compare(&mut server, &progress, &saved, &written);
        }
    }

    /// One life up to the kill: how far the connections came, and what saves promise.
    fn live(&mut self, server: &mut Server) -> (Vec<Progress>, Vec<u64>) {
        let mut client = server.client();
        let shared: Vec<Arc<Mutex<Progress>>> = Vec::from_iter((0..CONNECTIONS).map(|connection| {
            let from = self.begun[connection].0;
            Arc::new(Mutex::new(Progress { sent: from, answered: from, ..Progress::default() }))
        }));
        let threads: Vec<JoinHandle<()>> = Vec::from_iter(shared.iter().enumerate().map(|(connection, progress)| {
            let (socket, seed, progress) = (server.socket(), self.seed, Arc::clone(progress));
            let from = self.begun[connection].0;
            thread::spawn(move || load(socket, seed, connection, from, &progress))
        }));
        let answered = || shared.iter().map(|progress| progress.lock().unwrap().answered).collect::<Vec<_>>();
        let long = self.policy == Policy::EverySec && below(&mut self.chance, 10) == 0;
        let life = if long { EVERYSEC.as_millis() as u64 + 500 } else { 20 + below(&mut self.chance, 350) };
        let end = Instant::now() + Duration::from_millis(life);
        let mut saved: Vec<u64> = self.begun.iter().map(|(number, _)| *number).collect();
        // What the background save under way promises when it ends well.
        let mut saving = None;
        let (rewrite, field) = ("BGREWRITEAOF", "aof_rewrite_in_progress:1");
        loop {
            thread::sleep(Duration::from_millis(1 + below(&mut self.chance, 30)));
            let kills_child = below(&mut self.chance, 12) == 0;
            let at_work = persistence(&mut client);
            let busy = at_work.contains("rdb_bgsave_in_progress:1") || at_work.contains(field);
            if !busy && let Some(promised) = saving.take().filter(|_| at_work.contains("rdb_last_bgsave_status:ok")) {
                saved = promised;
                self.met.saves += 1;
            }
            if Instant::now() >= end {
                self.met.during_save += u64::from(at_work.contains("rdb_bgsave_in_progress:1"));
                self.met.during_rewrite += u64::from(at_work.contains(field));
                break;
            }
            if busy {
                if kills_child {
                    kill_child(server);
                    saving = None;
                }
                continue;
            }
            let before = answered();
            let command = match self.policy {
                Policy::Dumps if below(&mut self.chance, 8) == 0 => "SAVE",
                Policy::Dumps => "BGSAVE",
                _ if below(&mut self.chance, 4) > 0 => rewrite,
                _ => "BGSAVE",
            };
            // Another child may have begun by itself since.
            match redis::cmd(command).query::<String>(&mut client) {
                Ok(_) if command == "SAVE" => saved = before,
                Ok(_) if command == "BGSAVE" => saving = Some(before),
                Ok(_) => self.met.rewrites += 1,
                Err(error) => assert!(error.to_string().contains("in progress"), "{error}"),
            }
            if below(&mut self.chance, 6) == 0 {
                thread::sleep(Duration::from_millis(below(&mut self.chance, 8)));
                self.met.during_save += u64::from(command == "BGSAVE");
                self.met.during_rewrite += u64::from(command == rewrite);
                break;
            }
        }
        server.process.kill().unwrap();
        server.end();
        for thread in threads {
            thread.join().unwrap();
        }
        let progress = shared.into_iter().map(|progress| Arc::into_inner(progress).unwrap().into_inner().unwrap());
        (progress.collect(), saved)
    }

    /// The counters that the append-only file ends with, as the model reads it.
    fn written(&self) -> Vec<u64> {
        let mut counters: Vec<u64> = vec![0; CONNECTIONS];
        if self.policy == Policy::Dumps {
            let bytes = fs::read(self.folder.path().join("dump.rdb")).unwrap();
            rdb::file(&bytes).unwrap_or_else(|error| panic!("seed {}: the dump is damaged: {error:?}", self.seed));
            return counters;
        }
        let bytes = fs::read(self.folder.path().join("appendonly.aof")).unwrap();
        let file =
            aof::file(&bytes).unwrap_or_else(|error| panic!("seed {}: the AOF is damaged: {error:?}", self.seed));
        for (_, command) in &file.commands {
            let [name, key, number] = command.as_slice() else { continue };
            if name.eq_ignore_ascii_case(b"SET")
                && let Some(connection) = key.strip_suffix(b":counter")
            {
                let connection: usize = std::str::from_utf8(connection).unwrap().parse().unwrap();
                counters[connection] = std::str::from_utf8(number).unwrap().parse().unwrap();
            }
        }
        counters
    }

    /// Holds what a server brought back against what was promised.
    fn compare(&mut self, server: &mut Server, progress: &[Progress], saved: &[u64], written: &[u64]) {
        let (seed, policy) = (self.seed, self.policy);
        let mut client = server.client();
        for (index, text) in self.ballast.iter().enumerate() {
            let found: String = redis::cmd("GET").arg(format!("ballast:{index}")).query(&mut client).unwrap();
            assert!(found == *text, "seed {seed}: ballast {index} is another one");
        }
        let log: Vec<String> = redis::cmd("LRANGE").arg("log").arg(0).arg(-1).query(&mut client).unwrap();
        for (connection, progress) in progress.iter().enumerate() {
            assert_eq!(progress.wrong, None, "seed {seed}: connection {connection} had a wrong answer");
            let found = Dataset::read(&mut client, connection);
            let (from, mut dataset) = self.begun[connection].clone();
            let mut state = None;
            for number in from..=progress.sent {
                if number > from {
                    step(seed, connection, number).iter().for_each(|line| dataset.apply(line));
                }
                if dataset == found {
                    state = Some(number);
                }
            }
            let answered_before = |age: Duration| {
                let now = progress.times.last().map(|(at, _)| *at);
                let old = progress.times.iter().rev().find(|(at, _)| now.is_some_and(|now| now - *at >= age));
                old.map_or(from, |(_, number)| *number)
            };
            let promised = match policy {
                Policy::Always | Policy::No => progress.answered,
                Policy::EverySec => answered_before(EVERYSEC).max(written[connection]),
                Policy::Dumps => saved[connection],
            };
            let Some(state) = state else {
                panic!(
                    "seed {seed}, {policy:?}: what connection {connection} finds is no dataset after a step of {from}..={}; \
                     {promised} was promised: {found:?}",
                    progress.sent
                );
            };
            assert!(
                state >= promised,
                "seed {seed}, {policy:?}: connection {connection} is at step {state}, but {promised} was promised"
            );
            self.met.answered += progress.answered - from;
            self.met.lost += progress.answered.saturating_sub(state);
            // The shared list holds this connection's entries up to that step, in order.
            let own: Vec<&String> = log.iter().filter(|entry| entry.starts_with(&format!("{connection}:"))).collect();
            let wanted: Vec<String> = (1..=state)
                .filter(|number| step(seed, connection, *number).last().unwrap().starts_with("RPUSH log"))
                .map(|number| format!("{connection}:{number}"))
                .collect();
            assert!(own.iter().copied().eq(&wanted), "seed {seed}: the log is not that of step {state}");
            self.begun[connection] = (state, found);
        }
    }
}

/// The process ids of a server's children.
fn children(server: &Server) -> Vec<String> {
    let pid = server.process.id();
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Signals a child, which may have ended by itself.
fn signal(child: &str, name: &str) {
    let _ = Command::new("kill").args([name, child]).stderr(Stdio::null()).status();
}

/// Kills a server's child, if it has one.
fn kill_child(server: &Server) {
    for child in children(server) {
        signal(&child, "-KILL");
    }
    let mut client = server.client();
    eventually("the server knows that its child is gone", || {
        let facts = persistence(&mut client);
        facts.contains("rdb_bgsave_in_progress:0") && facts.contains("aof_rewrite_in_progress:0")
    });
}

//= SPEC.md#bgsave
//# [BGSAVE-9] (file) A background save that ends after the server that began it is gone MUST leave the RDB file as it was and no other file beside it.
#[test]
fn a_save_that_outlives_its_server_replaces_nothing() {
    let folder = folder();
    let dump = folder.path().join("dump.rdb");
    let mut server = Server::start(folder.path(), &["--save", ""]);
    let mut client = server.client();
    redis::cmd("SAVE").query::<()>(&mut client).unwrap();
    let before = fs::read(&dump).unwrap();
    redis::cmd("DEBUG").arg("POPULATE").arg(1_000_000).query::<()>(&mut client).unwrap();
    redis::cmd("BGSAVE").query::<()>(&mut client).unwrap();
    let child = children(&server).pop().expect("the child is at work");
    let temporary = folder.path().join(format!("temp-{child}.rdb"));
    // It takes some tenths of a second to write so many keys.
    let begun = Instant::now();
    while !temporary.exists() && begun.elapsed() < Duration::from_secs(10) {
        thread::yield_now();
    }
    signal(&child, "-STOP");
    server.process.kill().unwrap();
    server.end();
    assert!(temporary.exists(), "the child was done before it was stopped");
    signal(&child, "-CONT");
    eventually("the child has removed its file", || !temporary.exists());
    assert_eq!(fs::read(&dump).unwrap(), before);
}

//= SPEC.md#aof-durability
//# [DURABLE-1] (file) Under `appendfsync always` the commands of a batch MUST be written to the AOF file and forced to disk before any of their replies is sent.
//= SPEC.md#save
//# [SAVE-4] (file) The RDB file MUST be written under another name in the same directory, forced to disk and renamed, so that a crash at any time leaves either the old or the new file whole.
#[test]
fn killed_servers_bring_back_what_they_promised() {
    let told = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = told("TALLY_KILL_ROUNDS").unwrap_or(KILLS);
    let first = told("TALLY_KILL_SEED");
    let seeds: Vec<u64> = match first {
        Some(seed) => vec![seed],
        None => (0..kills.div_ceil(LIVES)).collect(),
    };
    let queue = Mutex::new(VecDeque::from(seeds));
    let total = Mutex::new(Met::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = queue.lock().unwrap().pop_front() else { return };
                    println!("seed {seed}: TALLY_KILL_SEED={seed} cargo test --test killed_servers");
                    let mut series = Series::new(seed);
                    series.run(LIVES);
                    let (mut total, met) = (total.lock().unwrap(), series.met);
                    total.kills += met.kills;
                    total.during_save += met.during_save;
                    total.during_rewrite += met.during_rewrite;
                    total.saves += met.saves;
                    total.rewrites += met.rewrites;
                    total.answered += met.answered;
                    total.lost += met.lost;
                }
            });
        }
    });
    let met = total.into_inner().unwrap();
    println!("{met:?}");
    // A run that went through nothing proves nothing.
    if first.is_none() {
        assert!(met.kills >= kills && met.answered > 100 * kills, "{met:?}");
        assert!(met.during_save > 0 && met.during_rewrite > 0 && met.rewrites > 0, "{met:?}");
    }
}
