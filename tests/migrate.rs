//! MIGRATE against targets that do what a script says, and against real servers, from which the keys come back.
//!
//! What a real Redis 5.0 does just as well is asked of both.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;
use spawned::{PATIENCE, Server, eventually, folder, free_port};

mod spawned;

/// What a target does on a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Line(&'static str),
    /// `+OK`, after that many milliseconds.
    Late(u64),
    Silence,
    Close,
}

use Answer::{Close, Late, Line, Silence};

const OK: Answer = Line("+OK");

/// A target that answers as it is told, connection by connection, and `+OK` when it was told nothing more.
struct Target {
    port: u16,
    /// The commands that came, with the number of their connection.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

/// A command as words; a payload is only named.
fn command(reader: &mut impl BufRead) -> Option<String> {
    let mut number = |sign: u8| {
        let mut line = String::new();
        let read = reader.read_line(&mut line).ok().filter(|&read| read > 0);
        read.map(|_| {
            assert_eq!(line.as_bytes()[0], sign, "{line}");
            line[1..].trim_end().parse::<usize>().unwrap()
        })
    };
    let count = number(b'*')?;
    let mut words = Vec::new();
    for at in 0..count {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length: usize = line.trim_start_matches('$').trim_end().parse().ok()?;
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(length);
        let is_payload = at == 3 && words[0] == "RESTORE";
        words.push(if is_payload { "payload".into() } else { String::from_utf8(word).unwrap() });
    }
    Some(words.join(" "))
}

impl Target {
    fn new(script: Vec<Vec<Answer>>) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Mutex::new(script.into_iter()));
        thread::spawn(move || {
            for (number, socket) in listener.incoming().map_while(Result::ok).enumerate() {
                let (log, answers) = (Arc::clone(&log), script.lock().unwrap().next().unwrap_or_default());
                thread::spawn(move || serve(number, socket, answers, &log));
            }
        });
        Target { port, seen }
    }

    /// What came since it was last asked.
    fn seen(&self) -> Vec<(usize, String)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn serve(number: usize, mut socket: TcpStream, answers: Vec<Answer>, log: &Mutex<Vec<(usize, String)>>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut answers = answers.into_iter();
    while let Some(command) = command(&mut reader) {
        log.lock().unwrap().push((number, command));
        match answers.next().unwrap_or(OK) {
            Line(line) => {
                if socket.write_all(format!("{line}\r\n").as_bytes()).is_err() {
                    return;
                }
            }
            Late(ms) => {
                thread::sleep(Duration::from_millis(ms));
                let _gone = socket.write_all(b"+OK\r\n");
            }
            Silence => {}
            Close => {
                let _gone = socket.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

/// A server that keys are taken from.
struct Source {
    server: Server,
    real: bool,
    _folder: tempfile::TempDir,
}

impl Source {
    fn tally(options: &[&str]) -> Source {
        let folder = folder();
        Source { server: Server::start(folder.path(), options), real: false, _folder: folder }
    }

    fn real(options: &[&str]) -> Option<Source> {
        let folder = folder();
        Some(Source { server: Server::real(folder.path(), options)?, real: true, _folder: folder })
    }

    /// Our server and, where there is one, a real one.
    fn both(options: &[&str]) -> Vec<Source> {
        [Some(Source::tally(options)), Source::real(options)].into_iter().flatten().collect()
    }

    fn say(&self, words: &[&str]) -> String {
        say(&mut self.server.client(), words)
    }

    /// `MIGRATE 127.0.0.1 port …`
    fn migrate(&self, target: &Target, rest: &[&str]) -> String {
        let port = target.port.to_string();
        self.say(&[&["MIGRATE", "127.0.0.1", &port], rest].concat())
    }

    fn set(&self, keys: &[&str]) {
        for key in keys {
            assert_eq!(self.say(&["SET", key, "v"]), "OK");
        }
    }

    /// The names of all keys, in order.
    fn keys(&self) -> String {
        let found: Value = redis::cmd("KEYS").arg("*").query(&mut self.server.client()).unwrap();
        let mut names: Vec<String> = match found {
            Value::Array(names) => names.iter().map(text).collect(),
            other => panic!("{other:?}"),
        };
        names.sort();
        names.join(" ")
    }

    fn kept(&self) -> String {
        let info = self.say(&["INFO", "stats"]);
        info.lines().find_map(|line| line.strip_prefix("migrate_cached_sockets:")).unwrap().to_owned()
    }

    /// The last so many commands of the append-only file.
    fn appended(&self, count: usize) -> Vec<String> {
        let bytes = std::fs::read(self.server.folder.join("appendonly.aof")).unwrap();
        let mut reader = BufReader::new(bytes.as_slice());
        let commands: Vec<String> = std::iter::from_fn(|| command(&mut reader)).collect();
        commands[commands.len() - count..].to_vec()
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Okay => "OK".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Nil => "nil".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        other => panic!("{other:?}"),
    }
}

fn say(client: &mut redis::Connection, words: &[&str]) -> String {
    let mut request = redis::cmd(words[0]);
    words[1..].iter().for_each(|word| {
        request.arg(word);
    });
    match request.query::<Value>(client) {
        Ok(value) => text(&value),
        Err(error) => format!("-{} {}", error.code().unwrap_or("ERR"), error.detail().unwrap_or_default()),
    }
}

fn on(connection: usize, commands: &[&str]) -> Vec<(usize, String)> {
    commands.iter().map(|command| (connection, (*command).to_owned())).collect()
}

//= SPEC.md#migrate
//# [MIGRATE-9] (wire) MIGRATE MUST send the target `AUTH password` if it was given one, `SELECT database` unless the connection's last MIGRATE named that database and succeeded, and then for each key `RESTORE key ttl payload`, with `REPLACE` behind it if that was given.
//= SPEC.md#migrate
//# [MIGRATE-16] (wire) MIGRATE MUST answer `+OK` when the target has answered a status for every key.
//= SPEC.md#migrate
//# [MIGRATE-21] (wire) The same key named twice by KEYS MUST be sent twice.
#[test]
fn the_target_is_told_what_to_do_and_no_more() {
    for source in Source::both(&[]) {
        let target = Target::new(vec![vec![OK, OK, OK, Line("+OK"), Line("+fine")]]);
        source.set(&["a", "b", "c", "d"]);
        assert_eq!(source.migrate(&target, &["", "3", "0", "KEYS", "a", "nosuch", "b"]), "OK");
        assert_eq!(target.seen(), on(0, &["SELECT 3", "RESTORE a 0 payload", "RESTORE b 0 payload"]));
        assert_eq!(source.keys(), "c d");
        assert_eq!(source.migrate(&target, &["c", "3", "0", "COPY", "REPLACE", "AUTH", "secret"]), "OK");
        assert_eq!(target.seen(), on(0, &["AUTH secret", "RESTORE c 0 payload REPLACE"]));
        assert_eq!(source.keys(), "c d");
        assert_eq!(source.migrate(&target, &["c", "4", "100"]), "OK");
        assert_eq!(target.seen(), on(0, &["SELECT 4", "RESTORE c 0 payload"]));
        assert_eq!(source.migrate(&target, &["", "4", "100", "KEYS", "d", "d"]), "OK");
        assert_eq!(target.seen(), on(0, &["RESTORE d 0 payload", "RESTORE d 0 payload"]));
        assert_eq!(source.keys(), "");
    }
}

//= SPEC.md#migrate
//# [MIGRATE-10] (wire) The time to live that is sent MUST be the milliseconds that are left, at least 1, and 0 for a key without a deadline.
#[test]
fn the_time_that_is_left_goes_along() {
    for source in Source::both(&[]) {
        let target = Target::new(Vec::new());
        assert_eq!(source.say(&["SET", "a", "v", "PX", "100000"]), "OK");
        assert_eq!(source.migrate(&target, &["a", "0", "0"]), "OK");
        let seen = target.seen();
        let left: u64 = seen[1].1.split(' ').nth(2).unwrap().parse().unwrap();
        assert!((80_000..=100_000).contains(&left), "{seen:?}");
    }
}

//= SPEC.md#migrate
//# [MIGRATE-12] (wire) A key for which the target answers a status MUST be removed, whatever becomes of the others, unless COPY was given.
//= SPEC.md#migrate
//# [MIGRATE-13] (wire) A key for which the target answers anything else MUST stay, those behind it are dealt with all the same, and MIGRATE answers `-ERR Target instance replied with error: ` and the first such line, without the `-` that an error begins with and cut to 1022 bytes.
//= SPEC.md#migrate
//# [MIGRATE-20] (file) MIGRATE MUST be propagated as `DEL key [key …]` with the keys that it removed, in order, and not at all when there are none.
#[test]
fn what_the_target_refuses_stays_and_the_rest_goes() {
    for source in Source::both(&["--appendonly", "yes", "--appendfsync", "always"]) {
        let target = Target::new(vec![vec![OK, OK, Line("-BUSYKEY taken"), OK, Line("-ERR no")]]);
        source.set(&["a", "b", "c", "d"]);
        let answer = source.migrate(&target, &["", "0", "0", "KEYS", "a", "b", "c", "d"]);
        assert_eq!(answer, "-ERR Target instance replied with error: BUSYKEY taken");
        assert_eq!(source.keys(), "b d");
        assert_eq!(source.appended(2), ["SET d v", "DEL a c"]);
        // The connection stays, but nobody knows which database is selected.
        target.seen();
        assert_eq!(source.migrate(&target, &["b", "0", "0", "COPY"]), "OK");
        assert_eq!(target.seen(), on(0, &["SELECT 0", "RESTORE b 0 payload"]));
        assert_eq!(source.appended(1), ["DEL a c"]);
        // Nothing of it is told by keyspace events; who watches learns of it.
        assert_eq!(source.say(&["CONFIG", "SET", "notify-keyspace-events", "KEA"]), "OK");
        let (mut listener, mut watcher) = (source.server.client(), source.server.client());
        let mut listener = listener.as_pubsub();
        listener.psubscribe("*").unwrap();
        assert_eq!(say(&mut watcher, &["WATCH", "b"]), "OK");
        assert_eq!(source.migrate(&target, &["b", "0", "0"]), "OK");
        assert_eq!(say(&mut watcher, &["MULTI"]), "OK");
        assert_eq!(say(&mut watcher, &["PING"]), "QUEUED");
        assert_eq!(say(&mut watcher, &["EXEC"]), "nil");
        source.set(&["b"]);
        assert_eq!(listener.get_message().unwrap().get_payload::<String>().unwrap(), "set");
    }
}

#[test]
fn transactions_and_scripts_hand_keys_over_too() {
    for source in Source::both(&["--appendonly", "yes", "--appendfsync", "always"]) {
        let target = Target::new(Vec::new());
        let port = target.port.to_string();
        source.set(&["a", "b"]);
        let mut client = source.server.client();
        assert_eq!(say(&mut client, &["MULTI"]), "OK");
        assert_eq!(say(&mut client, &["SET", "c", "v"]), "QUEUED");
        assert_eq!(say(&mut client, &["MIGRATE", "127.0.0.1", &port, "", "0", "0", "KEYS", "a", "c"]), "QUEUED");
        assert_eq!(say(&mut client, &["EXEC"]), "OK OK");
        assert_eq!(source.appended(4), ["MULTI", "SET c v", "DEL a c", "EXEC"]);
        let script = "return redis.call('migrate', '127.0.0.1', ARGV[1], KEYS[1], 0, 0)";
        assert_eq!(source.say(&["EVAL", script, "1", "b", &port]), "OK");
        assert_eq!(source.appended(3), ["MULTI", "DEL b", "EXEC"]);
        assert_eq!(source.keys(), "");
    }
}

//= SPEC.md#migrate
//# [MIGRATE-11] (wire) When the target refuses AUTH or SELECT, MIGRATE MUST answer the first such error as [MIGRATE-13] says and send no key.
#[test]
fn no_key_goes_to_a_target_that_refuses_password_or_database() {
    for source in Source::both(&[]) {
        let answers = vec![Line("-ERR invalid password"), Line("-ERR DB index is out of range")];
        let target = Target::new(vec![answers.clone(), answers]);
        source.set(&["a"]);
        let answer = source.migrate(&target, &["a", "77", "0", "AUTH", "wrong"]);
        assert_eq!(answer, "-ERR Target instance replied with error: ERR invalid password");
        // What a real server sends nevertheless is E-172.
        let sent =
            [&["AUTH wrong", "SELECT 77"][..], if source.real { &["RESTORE a 0 payload"] } else { &[] }].concat();
        assert_eq!(target.seen(), on(0, &sent));
        assert_eq!(source.keys(), "a");
        assert_eq!(source.migrate(&target, &["a", "-1", "0"]), "OK");
        // E-173 has shown itself on new connections only.
        assert!(target.seen().contains(&(0, "RESTORE a 0 payload".to_owned())));
    }
    let (source, target) = (Source::tally(&[]), Target::new(vec![vec![Line("-ERR invalid DB index")]]));
    source.set(&["a"]);
    let answer = source.migrate(&target, &["a", "-1", "0"]);
    assert_eq!(answer, "-ERR Target instance replied with error: ERR invalid DB index");
    assert_eq!(target.seen(), on(0, &["SELECT -1"]));
}

//= SPEC.md#migrate
//# [MIGRATE-5] (wire) A timeout of 0 or less MUST count as 1000 milliseconds.
//= SPEC.md#migrate
//# [MIGRATE-14] (wire) When the target does not answer in time or closes the connection, and has answered no error, MIGRATE MUST answer `-IOERR error or timeout reading to target instance`, and the keys that were not answered stay.
#[test]
fn a_silent_target_is_waited_for_as_long_as_said() {
    const READING: &str = "-IOERR error or timeout reading to target instance";
    for source in Source::both(&[]) {
        for (timeout, at_least, at_most) in [("0", 900, 3000), ("-7", 900, 3000), ("150", 140, 900)] {
            let target = Target::new(vec![vec![OK, Silence]]);
            source.set(&["a"]);
            let began = Instant::now();
            assert_eq!(source.migrate(&target, &["a", "0", timeout]), READING);
            let took = began.elapsed().as_millis();
            assert!((at_least..at_most).contains(&took), "{timeout}: {took} ms");
            assert_eq!((source.keys().as_str(), source.kept().as_str()), ("a", "0"));
            assert_eq!(target.seen(), on(0, &["SELECT 0", "RESTORE a 0 payload"]), "not a second time");
        }
        // What was answered before is gone.
        let target = Target::new(vec![vec![OK, OK, Silence, Silence]]);
        source.set(&["a", "b", "c"]);
        assert_eq!(source.migrate(&target, &["", "0", "150", "KEYS", "a", "b", "c"]), READING);
        assert_eq!(source.keys(), "b c");
        // And what was refused before is what counts.
        let target = Target::new(vec![vec![OK, Line("-ERR no"), Close]]);
        let answer = source.migrate(&target, &["", "0", "150", "KEYS", "b", "c"]);
        assert_eq!(answer, "-ERR Target instance replied with error: ERR no");
        assert_eq!(source.keys(), "b c");
    }
}

//= SPEC.md#migrate
//# [MIGRATE-15] (wire) When a connection breaks, other than by the timeout, before the answer for the first key, MIGRATE MUST connect once more and send everything anew.
#[test]
fn a_connection_that_breaks_is_tried_once_more() {
    const READING: &str = "-IOERR error or timeout reading to target instance";
    for source in Source::both(&[]) {
        source.set(&["a", "b"]);
        for first in [vec![Close], vec![OK, Close]] {
            source.set(&["a"]);
            let target = Target::new(vec![first]);
            assert_eq!(source.migrate(&target, &["a", "0", "500"]), "OK");
            let second: Vec<_> = target.seen().into_iter().filter(|(number, _)| *number == 1).collect();
            assert_eq!(second, on(1, &["SELECT 0", "RESTORE a 0 payload"]));
        }
        source.set(&["a"]);
        let target = Target::new(vec![vec![Close], vec![Close]]);
        assert_eq!(source.migrate(&target, &["a", "0", "500"]), READING);
        assert_eq!(source.keys(), "a b");
        let target = Target::new(vec![vec![OK, OK, Close]]);
        assert_eq!(source.migrate(&target, &["", "0", "500", "KEYS", "a", "b"]), READING);
        assert_eq!(source.keys(), "b");
        // A kept connection that the target has closed meanwhile shows only when it is used.
        let target = Target::new(vec![vec![OK, OK, Close]]);
        source.set(&["a"]);
        assert_eq!(source.migrate(&target, &["a", "0", "500"]), "OK");
        assert_eq!(source.migrate(&target, &["b", "0", "500"]), "OK");
        let again: Vec<_> = target.seen().into_iter().filter(|(number, _)| *number == 1).collect();
        assert_eq!(again, on(1, &["SELECT 0", "RESTORE b 0 payload"]));
        assert_eq!(source.keys(), "");
    }
}

//= SPEC.md#migrate
//# [MIGRATE-17] (wire) A connection MUST be kept for the next MIGRATE to the same host and port after MIGRATE received all its answers, but at most 64 of them and none that was not used for more than ten seconds.
//= SPEC.md#migrate
//# [MIGRATE-18] (wire) `migrate_cached_sockets` of INFO MUST be the number of connections that are kept.
#[test]
fn connections_are_kept_for_a_while() {
    let sources = Source::both(&[]);
    let targets: Vec<Target> = (0..66).map(|_| Target::new(Vec::new())).collect();
    for source in &sources {
        source.set(&["a"]);
        assert_eq!(source.kept(), "0");
        for (before, target) in targets.iter().enumerate() {
            assert_eq!(source.migrate(target, &["a", "0", "1000", "COPY"]), "OK");
            assert_eq!(source.kept(), (before + 1).min(64).to_string());
        }
    }
    let began = Instant::now();
    for source in &sources {
        eventually("idle connections are closed", || source.kept() == "0");
        let idle = began.elapsed();
        assert!(idle > Duration::from_secs(9) && idle < PATIENCE, "{idle:?}");
    }
}

//= SPEC.md#migrate
//# [MIGRATE-6] (wire) MIGRATE to a host that has no address, or to a port below 0 or above 65,535, MUST answer `-ERR Can't connect to target node: ` and the reason.
//= SPEC.md#migrate
//# [MIGRATE-8] (wire) MIGRATE to a target to which no connection is made in time MUST answer `-IOERR error or timeout connecting to the client`.
#[test]
fn a_target_that_cannot_be_reached_says_so() {
    // A listener whose queue is full leaves further connections without an answer.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(socket);
    }
    for source in Source::both(&[]) {
        source.set(&["a"]);
        let port = address.port().to_string();
        let answer = source.say(&["MIGRATE", "127.0.0.1", &port, "a", "0", "200"]);
        assert_eq!(answer, "-IOERR error or timeout connecting to the client");
        for (host, port) in [("no.such.host.invalid", "1"), ("", "1"), ("127.0.0.1", "-1"), ("127.0.0.1", "71915")] {
            // E-176
            if source.real && port == "71915" {
                continue;
            }
            let answer = source.say(&["MIGRATE", host, port, "a", "0", "200"]);
            assert!(answer.starts_with("-ERR Can't connect to target node: "), "{host} {port}: {answer}");
        }
        let nobody = free_port().to_string();
        let answer = source.say(&["MIGRATE", "127.0.0.1", &nobody, "a", "0", "200"]);
        assert_eq!(answer, "-IOERR error or timeout writing to target instance");
        assert_eq!(source.keys(), "a");
    }
}

#[test]
fn what_is_no_answer_of_ours_loses_no_key() {
    let source = Source::tally(&[]);
    for foreign in ["HTTP/1.1 400 Bad Request", ":1", "", "$-1"] {
        source.set(&["a", "b"]);
        let target = Target::new(vec![vec![OK, Line(foreign), OK]]);
        let answer = source.migrate(&target, &["", "0", "500", "KEYS", "a", "b"]);
        assert_eq!(answer.trim_end(), format!("-ERR Target instance replied with error: {foreign}").trim_end());
        assert_eq!((source.keys().as_str(), source.kept().as_str()), ("a", "0"), "E-174");
    }
    source.set(&["a", "b"]);
    let long: &'static str = format!("-ERR {}", "x".repeat(3000)).leak();
    let target = Target::new(vec![vec![OK, Line(long), Line("-ERR short")]]);
    let answer = source.migrate(&target, &["", "0", "500", "KEYS", "a", "b"]);
    assert_eq!(answer, format!("-ERR Target instance replied with error: {}", &long[1..1023]));
    assert_eq!(source.keys(), "a b", "E-175");
    let endless: &'static str = "+".repeat(100_000).leak();
    let target = Target::new(vec![vec![OK, Line(endless)]; 2]);
    let answer = source.migrate(&target, &["a", "0", "500"]);
    assert_eq!(answer, "-IOERR error or timeout reading to target instance");
    assert_eq!(source.keys(), "a b");
}

//= SPEC.md#migrate
//# [MIGRATE-19] (wire) No other client MUST see or change a key between the moment when it is sent and the moment when it is removed.
#[test]
fn nobody_sees_a_key_on_its_way() {
    for source in Source::both(&[]) {
        let target = Target::new(vec![vec![OK, Late(400)]]);
        source.set(&["a"]);
        let mut other = source.server.client();
        thread::scope(|scope| {
            let moving = scope.spawn(|| source.migrate(&target, &["a", "0", "2000"]));
            eventually("the key is sent", || target.seen.lock().unwrap().len() == 2);
            assert_eq!(say(&mut other, &["APPEND", "a", "more"]), "4", "it saw the key before it was gone");
            assert_eq!(moving.join().unwrap(), "OK");
        });
        assert_eq!(source.say(&["GET", "a"]), "more");
    }
}

/// One key of each type and encoding, some with a deadline.
fn fill(source: &mut redis::Connection) -> Vec<String> {
    let many: Vec<String> = (0..700).map(|at| format!("element {at}")).collect();
    let scored: Vec<String> = (0..700).flat_map(|at| [format!("{}", f64::from(at) / 7.0), format!("m{at}")]).collect();
    let numbers: Vec<String> = (0..300).map(|at| (at * 1_000_003).to_string()).collect();
    let mut commands: Vec<Vec<String>> = [
        "SET text hello",
        "SET number 12",
        "SET deadline v PX 90000000",
        "RPUSH list:few a b 1",
        "SADD set:few a b 1",
        "HSET hash:few f v g w",
        "ZADD zset:few -inf a 0.1 b inf c",
        "PFADD hll a b c",
        "XADD stream 1-1 f v g w",
        "XADD stream 1-2 f v",
        "XADD stream 5-0 other field",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g alice COUNT 2 STREAMS stream >",
        "XDEL stream 1-2",
        "XGROUP CREATE empty g $ MKSTREAM",
        "PEXPIRE set:few 80000000",
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .collect();
    for (command, key, arguments) in [
        ("SET", "long", &vec!["x".repeat(200_000)]),
        ("RPUSH", "list:many", &many),
        ("SADD", "set:many", &many),
        ("SADD", "set:numbers", &numbers),
        ("HSET", "hash:many", &many),
        ("ZADD", "zset:many", &scored),
    ] {
        commands.push([vec![command.to_owned(), key.to_owned()], arguments.clone()].concat());
    }
    for words in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = say(source, &words);
        assert!(!answer.starts_with('-'), "{words:?}: {answer}");
    }
    let mut keys: Vec<String> =
        commands.iter().filter(|words| !words[0].starts_with('X')).map(|words| words[1].clone()).collect();
    keys.extend(["stream".to_owned(), "empty".to_owned()]);
    keys.sort();
    keys.dedup();
    keys
}

/// Moves all keys, and says what was answered.
fn move_all(from: &Server, to: &Server, keys: &[String], db: &str, more: &[&str]) -> String {
    let port = to.port.to_string();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let words = [&["MIGRATE", "127.0.0.1", &port, "", db, "5000"][..], more, &["KEYS"], &keys].concat();
    say(&mut from.client(), &words)
}

fn digest(server: &Server) -> String {
    say(&mut server.client(), &["DEBUG", "DIGEST"])
}

fn pending(server: &Server) -> String {
    say(&mut server.client(), &["XPENDING", "stream", "g"])
}

#[test]
fn keys_of_all_types_go_to_a_real_server_and_come_back() {
    let source = Source::tally(&[]);
    let keys = fill(&mut source.server.client());
    let (there, seen) = (digest(&source.server), pending(&source.server));
    let folder = folder();
    let Some(real) = Server::real(folder.path(), &[]) else { return };
    assert_eq!(move_all(&source.server, &real, &keys, "0", &[]), "OK");
    assert_eq!(source.keys(), "");
    // Deadlines are no part of the digest but as the fact that there are some.
    assert_eq!((digest(&real), pending(&real)), (there.clone(), seen.clone()));
    let left: i64 = say(&mut real.client(), &["PTTL", "deadline"]).parse().unwrap();
    assert!((89_000_000..=90_000_000).contains(&left), "{left}");
    assert_eq!(move_all(&real, &source.server, &keys, "0", &[]), "OK");
    assert_eq!((digest(&source.server), pending(&source.server)), (there.clone(), seen));
    assert_eq!(say(&mut real.client(), &["DBSIZE"]), "0");

    // COPY, REPLACE, another database, a password.
    assert_eq!(move_all(&source.server, &real, &keys, "0", &["COPY"]), "OK");
    assert_eq!(digest(&real), there);
    let busy = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(move_all(&source.server, &real, &keys, "0", &["COPY"]), busy);
    assert_eq!(move_all(&source.server, &real, &keys, "0", &[]), busy);
    assert_eq!(digest(&source.server), there);
    assert_eq!(move_all(&source.server, &real, &keys, "0", &["COPY", "REPLACE"]), "OK");
    assert_eq!(move_all(&source.server, &real, &keys[..2], "9", &["COPY"]), "OK");
    let mut client = real.client();
    assert_eq!(say(&mut client, &["SELECT", "9"]), "OK");
    assert_eq!(say(&mut client, &["DBSIZE"]), "2");
    let far = "-ERR Target instance replied with error: ERR DB index is out of range";
    assert_eq!(move_all(&source.server, &real, &keys, "77", &["COPY"]), far);
    assert_eq!(say(&mut client, &["CONFIG", "SET", "requirepass", "secret"]), "OK");
    // A new connection, since those that are open need no password any more.
    let second = Source::tally(&[]);
    second.set(&["new"]);
    let new = ["new".to_owned()];
    let denied = "-NOAUTH Authentication required.";
    let answer = move_all(&second.server, &real, &new, "0", &[]);
    assert_eq!(answer, format!("-ERR Target instance replied with error: {}", &denied[1..]));
    let wrong = "-ERR Target instance replied with error: ERR invalid password";
    assert_eq!(move_all(&second.server, &real, &new, "0", &["AUTH", "wrong"]), wrong);
    assert_eq!(second.keys(), "new");
    assert_eq!(move_all(&second.server, &real, &new, "0", &["AUTH", "secret"]), "OK");
    assert_eq!(second.keys(), "");
}

#[test]
fn a_real_redis_7_takes_keys_and_gives_none_that_5_cannot_read() {
    let Some(program) = std::env::var_os("TALLY_REDIS7") else {
        assert!(std::env::var_os("CI").is_none(), "TALLY_REDIS7 names no Redis 7");
        println!("SKIPPED: TALLY_REDIS7 names no Redis 7");
        return;
    };
    let source = Source::tally(&[]);
    let keys = fill(&mut source.server.client());
    let (folder, port) = (folder(), free_port());
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "yes"]);
    command.current_dir(folder.path());
    let real = Server::run(command, port, folder.path());
    let there = digest(&source.server);
    assert_eq!(move_all(&source.server, &real, &keys, "0", &["COPY"]), "OK");
    assert_eq!(digest(&real), there);
    assert_eq!(move_all(&source.server, &real, &keys, "0", &["REPLACE"]), "OK");
    assert_eq!(source.keys(), "");
    // Its payloads are of a later version, which a server of version 5 refuses.
    let later = "-ERR Target instance replied with error: ERR DUMP payload version or checksum are wrong";
    assert_eq!(move_all(&real, &source.server, &keys, "0", &[]), later);
    assert_eq!(say(&mut real.client(), &["DBSIZE"]), keys.len().to_string());
}

#[test]
fn a_server_that_dies_in_the_middle_keeps_or_has_each_key() {
    let source = Source::tally(&[]);
    let folder = folder();
    let Some(mut real) = Server::real(folder.path(), &["--appendonly", "yes", "--appendfsync", "always"]) else {
        return;
    };
    let keys: Vec<String> = (0..20_000).map(|at| format!("key{at}")).collect();
    for some in keys.chunks(1000) {
        let mut request = redis::cmd("MSET");
        some.iter().for_each(|key| {
            request.arg(key).arg("v".repeat(300));
        });
        request.query::<()>(&mut source.server.client()).unwrap();
    }
    let answer = thread::scope(|scope| {
        let moving = scope.spawn(|| move_all(&source.server, &real, &keys, "0", &[]));
        let mut client = real.client();
        eventually("some keys came", || say(&mut client, &["DBSIZE"]).parse::<usize>().is_ok_and(|came| came > 100));
        real.signal("KILL");
        moving.join().unwrap()
    });
    real.end();
    let left: usize = source.say(&["DBSIZE"]).parse().unwrap();
    assert!(answer == "OK" || answer.starts_with("-IOERR error or timeout "), "{answer}");
    assert!(answer != "OK" || left == 0, "{left} keys are left");
    // Started again, it has all that are gone.
    let again = Server::real(folder.path(), &["--appendonly", "yes"]).unwrap();
    let have: usize = say(&mut again.client(), &["DBSIZE"]).parse().unwrap();
    assert!(have + left >= keys.len(), "{} keys are lost", keys.len() - have - left);
}
