//! Connections: what the engine answers about them and when it ends them, held against lines recorded from Redis.
#![allow(clippy::unwrap_used)]

use tally_engine::world::Still;
use tally_engine::{ClientId, Config, Effect, Engine, Event, Peer, SnapshotMode};
use tally_model::protocol::split;

/// An engine, its world, and a driver that does what a driver must and keeps what a test may want to see.
struct Session {
    engine: Engine,
    world: Still,
    /// Connections that the engine closed.
    closed: Vec<ClientId>,
    /// Snapshots asked for and not yet answered.
    snapshots: Vec<SnapshotMode>,
    exit: Option<i32>,
}

impl Session {
    fn new(config: Config) -> Session {
        let world = Still { unix_us: 1_700_000_000_000_000, ..Still::default() };
        let engine = Engine::new(config, 7);
        Session { engine, world, closed: Vec::new(), snapshots: Vec::new(), exit: None }
    }

    fn connect_from(&mut self, address: &str, local: bool) -> ClientId {
        let peer = Peer { address: address.into(), descriptor: 9, local, unix_socket: false };
        self.engine.connect(&mut self.world, peer)
    }

    fn connect(&mut self) -> ClientId {
        self.connect_from("127.0.0.1:40000", true)
    }

    fn event(&mut self, event: Event) {
        self.engine.handle(&mut self.world, event);
        for effect in std::mem::take(self.engine.effects()) {
            match effect {
                Effect::Close { client, .. } => self.closed.push(client),
                Effect::Snapshot(mode) => {
                    self.snapshots.push(mode);
                    if mode == SnapshotMode::Background {
                        self.engine.handle(&mut self.world, Event::ChildStarted { fork_us: 0 });
                    }
                }
                Effect::Exit { code } => self.exit = Some(code),
                _ => {}
            }
        }
    }

    /// Sends bytes and returns what comes back by the end of the batch.
    fn send(&mut self, client: ClientId, bytes: &[u8]) -> String {
        self.engine.feed(&mut self.world, client, bytes);
        self.event(Event::BatchEnd);
        self.receive(client)
    }

    fn receive(&mut self, client: ClientId) -> String {
        let output = self.engine.output(client).collect::<Vec<_>>().concat();
        self.engine.written(client, output.len());
        String::from_utf8_lossy(&output).into_owned()
    }

    fn pass_ms(&mut self, ms: u64) {
        self.world.now_us += ms * 1000;
        self.world.unix_us += ms as i64 * 1000;
        self.event(Event::Tick);
        self.event(Event::BatchEnd);
    }
}

/// Rows of the recorded error lines: setup, command, error, group.
fn recorded() -> impl Iterator<Item = [&'static str; 4]> {
    let text = include_str!("data/reference/errors-5.0.tsv");
    text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
}

/// A command in the quoting of redis-cli, as a request.
fn request(command: &str) -> Vec<u8> {
    let arguments = split(command.as_bytes()).unwrap();
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
        bytes.extend(argument);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Whether the engine knows the command, so that its refusals can be compared.
fn is_present(command: &str) -> bool {
    let name = split(command.as_bytes()).unwrap();
    name.first().is_none_or(|name| tally_engine::commands::table::find(name).is_some())
}

#[test]
fn protocol_errors_are_answered_as_recorded() {
    let mut seen = 0;
    for [setup, command, error, group] in recorded() {
        if group != "protocol" || !setup.starts_with("(raw bytes)") {
            continue;
        }
        let bytes = match command {
            r#"65537 times "a", no newline"# => vec![b'a'; 65_537],
            r#"70000 times "a", no newline"# => vec![b'a'; 70_000],
            r#""*" then 65537 times "1", no newline"# => [&b"*"[..], &[b'1'; 65_537]].concat(),
            r#""*1\r\n$" then 65537 times "1", no newline"# => [&b"*1\r\n$"[..], &[b'1'; 65_537]].concat(),
            r#""*1\r\n" then 65537 times "a", no newline"# => [&b"*1\r\n"[..], &[b'a'; 65_537]].concat(),
            quoted if quoted.ends_with("1048576") => {
                let mut session = Session::new(Config { proto_max_bulk_len: 1_048_576, ..Config::default() });
                let client = session.connect();
                let answer = session.send(client, b"*1\r\n$1048577\r\n");
                assert_eq!(answer, "-ERR Protocol error: invalid bulk length\r\n");
                continue;
            }
            quoted => split(quoted.as_bytes()).unwrap().concat(),
        };
        if error.contains("for 'get'") || error.contains("for 'set'") {
            continue;
        }
        seen += 1;
        let mut session = Session::new(Config::default());
        let client = session.connect();
        let answer = session.send(client, &bytes);
        let closed = session.closed.contains(&client);
        if error == "-(connection closed, no reply)" {
            assert_eq!((answer.as_str(), closed), ("", true), "{command}");
            continue;
        }
        let line = error.strip_suffix(" (then closed)").or(error.strip_suffix(" (stays open)")).unwrap();
        let first = answer.split_inclusive("\r\n").next().unwrap_or_default();
        assert_eq!((first, closed), (format!("{line}\r\n").as_str(), error.ends_with("(then closed)")), "{command}");
    }
    assert!(seen > 35, "{seen}");
}

#[test]
fn commands_about_connections_are_refused_as_recorded() {
    let mut seen = 0;
    for [setup, command, error, group] in recorded() {
        let config = match (group, setup) {
            ("client" | "unknown", "") | ("pubsub", _) => Config::default(),
            ("tx", _) if !setup.contains("EVAL") && !setup.contains("SYNC") => Config::default(),
            ("auth", _) => Config { requirepass: b"foobared".to_vec(), ..Config::default() },
            ("rename", r#"(conf: rename-command GET "")"#) => {
                Config { rename_command: vec![(b"get".to_vec(), Vec::new())], ..Config::default() }
            }
            ("rename", _) => Config { rename_command: vec![(b"set".to_vec(), b"PUT".to_vec())], ..Config::default() },
            ("save", "BGSAVE (running)") => Config::default(),
            _ => continue,
        };
        let unknown = error.starts_with("-ERR unknown command");
        if (!unknown && !is_present(command)) || command.starts_with("EVAL") {
            continue;
        }
        let mut session = Session::new(config);
        let client = session.connect();
        for before in setup.replace(" (running)", "").split(';').filter(|before| !before.starts_with('(')) {
            session.send(client, &request(before));
        }
        let answer = session.send(client, &request(command));
        match error.strip_prefix("(inside the array reply) ") {
            Some(inside) => {
                assert!(answer.starts_with('*') && answer.contains(&format!("{inside}\r\n")), "{setup} / {command}")
            }
            None => assert_eq!(answer, format!("{error}\r\n"), "{setup} / {command}"),
        }
        seen += 1;
    }
    assert!(seen > 95, "{seen}");
}

//= SPEC.md#client
//# [CLIENT-19] (wire) CLIENT REPLY OFF MUST suppress its own reply and all that follow on the connection until CLIENT REPLY ON.
//# [CLIENT-20] (wire) CLIENT REPLY SKIP MUST suppress its own reply, that of the next command and, until that is executed, whatever other clients make the server send to the connection, and has no effect while replies are off.
//# [CLIENT-21] (wire) CLIENT REPLY ON MUST switch replies on and answer `+OK`, even where the reply was to be skipped.
#[test]
fn replies_can_be_switched_off_and_skipped() {
    for (sent, answer) in [
        ("CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n"),
        ("CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", "$1\r\na\r\n"),
        ("CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", "$1\r\na\r\n"),
        ("CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING\r\n", "+OK\r\n+PONG\r\n"),
        ("CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\nCLIENT REPLY ON\r\n", "+OK\r\n"),
        ("CLIENT REPLY OFF\r\nCLIENT REPLY BOGUS\r\n", ""),
    ] {
        let mut session = Session::new(Config::default());
        let client = session.connect();
        assert_eq!(session.send(client, sent.as_bytes()), answer, "{sent}");
    }
}

#[test]
fn a_connection_that_ends_without_replies_ends_at_once() {
    for sent in ["CLIENT REPLY OFF\r\nQUIT\r\n", "CLIENT REPLY SKIP\r\nQUIT\r\n", "CLIENT REPLY OFF\r\n*1\r\nx\r\n"] {
        let mut session = Session::new(Config::default());
        let client = session.connect();
        assert_eq!(session.send(client, sent.as_bytes()), "");
        assert_eq!(session.closed, [client], "{sent}");
    }
}

//= SPEC.md#quit
//# [QUIT-2] (wire) Requests that follow QUIT on its connection MUST NOT be executed.
#[test]
fn nothing_is_run_after_quit() {
    let mut session = Session::new(Config::default());
    let client = session.connect();
    assert_eq!(session.send(client, b"PING\r\nquit now\r\nPING\r\n"), "+PONG\r\n+OK\r\n");
    assert_eq!(session.closed, [client]);
    assert_eq!(session.send(client, b"PING\r\n"), "");
}

#[test]
fn client_list_shows_every_connection_with_its_own_facts() {
    let mut session = Session::new(Config::default());
    let first = session.connect();
    let second = session.connect_from("10.1.1.1:555", true);
    session.send(first, b"SELECT 3\r\n");
    session.send(second, b"CLIENT SETNAME \"bob\"\r\n");
    session.pass_ms(5000);
    let answer = session.send(second, b"PING\r\nCLIENT LIST\r\n");
    let lines: Vec<&str> = answer.lines().skip(2).collect();
    assert_eq!(
        lines[0],
        "id=1 addr=127.0.0.1:40000 fd=9 name= age=5 idle=5 flags=N db=3 sub=0 psub=0 multi=-1 qbuf=0 qbuf-free=0 obl=0 \
         oll=0 omem=0 events=r cmd=select"
    );
    assert!(
        lines[1].starts_with(
            "id=2 addr=10.1.1.1:555 fd=9 name=bob age=5 idle=0 flags=N db=0 sub=0 psub=0 multi=-1 qbuf=19 qbuf-free="
        ),
        "{}",
        lines[1]
    );
    assert!(lines[1].ends_with("obl=7 oll=0 omem=0 events=r cmd=client"), "{}", lines[1]);
    assert_eq!(session.send(first, b"CLIENT LIST TYPE pubsub\r\n"), "$0\r\n\r\n");
}

//= SPEC.md#client
//# [CLIENT-12] (wire) CLIENT KILL with pairs of ID, TYPE, ADDR and SKIPME, each with a value, MUST close every connection that meets all of them and answer their number.
//# [CLIENT-13] (wire) CLIENT KILL with pairs MUST spare the caller's own connection unless SKIPME is `no`.
//# [CLIENT-16] (wire) CLIENT KILL ID with a number that is no connection's id, 0 and negative ones included, MUST close nothing.
#[test]
fn client_kill_closes_what_all_filters_accept() {
    let mut session = Session::new(Config::default());
    let me = session.connect();
    let other = session.connect_from("10.0.0.2:1", true);
    let third = session.connect_from("10.0.0.3:1", true);
    for (sent, answer) in [
        ("CLIENT KILL ID 0", ":0"),
        ("CLIENT KILL ID -1", ":0"),
        ("CLIENT KILL ID 2 ADDR 10.0.0.3:1", ":0"),
        ("CLIENT KILL TYPE master", ":0"),
        ("CLIENT KILL ID 1", ":0"),
        ("CLIENT KILL ID 99 ID 2", ":1"),
        ("CLIENT KILL ADDR 10.0.0.2:1", "-ERR No such client"),
    ] {
        let command = if answer.starts_with('-') { sent.replace("ADDR ", "") } else { sent.into() };
        assert_eq!(session.send(me, format!("{command}\r\n").as_bytes()), format!("{answer}\r\n"), "{command}");
    }
    assert_eq!(session.closed, [other]);
    assert_eq!(session.send(me, b"CLIENT KILL TYPE normal SKIPME no\r\nPING\r\n"), ":2\r\n");
    assert_eq!(session.closed, [other, third, me]);
}

#[test]
fn client_kill_of_the_own_address_is_answered_before_the_end() {
    let mut session = Session::new(Config::default());
    let me = session.connect();
    assert_eq!(session.send(me, b"CLIENT KILL 127.0.0.1:40000\r\nPING\r\n"), "+OK\r\n");
    assert_eq!(session.closed, [me]);
}

//= SPEC.md#client
//# [CLIENT-26] (wire) CLIENT PAUSE MUST answer `+OK` and delay the commands of all clients but replicas for that many milliseconds.
#[test]
fn a_pause_holds_all_input_back_until_it_is_over() {
    let mut session = Session::new(Config::default());
    let one = session.connect();
    let other = session.connect();
    assert_eq!(session.send(one, b"CLIENT PAUSE 1000\r\nPING\r\n"), "+OK\r\n");
    assert_eq!(session.send(other, b"PING\r\nECHO a\r\n"), "");
    assert_eq!(session.send(other, b"ECHO b\r\nEC"), "");
    session.pass_ms(900);
    assert_eq!(session.receive(other), "");
    session.pass_ms(200);
    assert_eq!(session.receive(one), "+PONG\r\n");
    assert_eq!(session.receive(other), "+PONG\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(session.send(other, b"HO c\r\n"), "$1\r\nc\r\n");
}

#[test]
fn connections_over_maxclients_are_told_and_closed() {
    let mut session = Session::new(Config { maxclients: 2, ..Config::default() });
    let first = session.connect();
    session.connect();
    let third = session.connect();
    session.event(Event::BatchEnd);
    assert_eq!(session.receive(third), "-ERR max number of clients reached\r\n");
    assert_eq!(session.closed, [third]);
    session.event(Event::Closed { client: first });
    let fourth = session.connect();
    assert_eq!(session.send(fourth, b"PING\r\n"), "+PONG\r\n");
}

//= SPEC.md#listening-and-limits
//# [LISTEN-5] (wire) While `protected-mode` is on, no `bind` is given and no password is set, a connection from an address that is not of the loopback MUST be answered by an error that begins with `-DENIED Redis is running in protected mode` and closed, and counted in `rejected_connections`.
#[test]
fn strangers_are_refused_under_protected_mode() {
    let mut session = Session::new(Config::default());
    let stranger = session.connect_from("192.0.2.1:5", false);
    session.event(Event::BatchEnd);
    assert!(session.receive(stranger).starts_with("-DENIED Redis is running in protected mode because"));
    assert_eq!(session.closed, [stranger]);
    for config in [
        Config { protected_mode: false, ..Config::default() },
        Config { requirepass: b"x".to_vec(), ..Config::default() },
        Config { bind: vec![b"0.0.0.0".to_vec()], ..Config::default() },
    ] {
        let mut session = Session::new(config);
        let stranger = session.connect_from("192.0.2.1:5", false);
        assert_ne!(session.send(stranger, b"PING\r\n"), "");
        assert!(session.closed.is_empty());
    }
}

#[test]
fn idle_connections_end_after_the_timeout() {
    let mut session = Session::new(Config { timeout: 10, ..Config::default() });
    let idle = session.connect();
    let busy = session.connect();
    for _ in 0..12 {
        session.pass_ms(1000);
        session.send(busy, b"PING\r\n");
    }
    assert_eq!(session.closed, [idle]);
}

//= SPEC.md#protocol-limits
//# [LIMIT-4] (wire) A connection whose unread input grows beyond `client-query-buffer-limit` bytes MUST be closed without a reply.
#[test]
fn input_beyond_the_query_buffer_limit_ends_the_connection_silently() {
    let mut session = Session::new(Config { client_query_buffer_limit: 1 << 20, ..Config::default() });
    let client = session.connect();
    assert_eq!(session.send(client, b"*2\r\n$4\r\nECHO\r\n$3000000\r\n"), "");
    assert_eq!(session.send(client, &vec![b'x'; 2_000_000]), "");
    assert_eq!(session.closed, [client]);
}

#[test]
fn save_is_answered_when_the_snapshot_has_ended_and_later_requests_wait_for_it() {
    let mut session = Session::new(Config::default());
    let client = session.connect();
    assert_eq!(session.send(client, b"SAVE\r\nPING\r\n"), "");
    assert_eq!(session.snapshots, [SnapshotMode::Foreground]);
    session.pass_ms(2000);
    session.event(Event::SnapshotEnded { result: Ok(9), copied_on_write: 0 });
    session.event(Event::BatchEnd);
    assert_eq!(session.receive(client), "+OK\r\n+PONG\r\n");
    assert_eq!(session.send(client, b"LASTSAVE\r\n"), ":1700000002\r\n");
}

//= SPEC.md#shutdown
//# [SHUTDOWN-4] (wire) SHUTDOWN whose save fails MUST answer `-ERR Errors trying to SHUTDOWN. Check logs.` and leave the server running.
//= SPEC.md#save
//# [SAVE-3] (wire) SAVE that fails MUST answer the error `-ERR` and leave an RDB file that was there before as it was.
#[test]
fn a_failed_snapshot_is_told_to_who_asked_and_keeps_the_server_running() {
    for (command, error) in [("SAVE", "-ERR"), ("SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.")] {
        let mut session = Session::new(Config::default());
        let client = session.connect();
        session.send(client, format!("{command}\r\n").as_bytes());
        let failure = tally_engine::IoFailure::new(28, "No space left on device");
        session.event(Event::SnapshotEnded { result: Err(failure), copied_on_write: 0 });
        session.event(Event::BatchEnd);
        assert_eq!(session.receive(client), format!("{error}\r\n"));
        assert_eq!(session.exit, None);
    }
}

//= SPEC.md#shutdown
//# [SHUTDOWN-3] (file) SHUTDOWN MUST save the dataset first when a save point is set or SAVE is given, and not with NOSAVE.
#[test]
fn shutdown_saves_before_it_leaves_when_it_has_to() {
    for (command, saves) in [("SHUTDOWN", false), ("SHUTDOWN nosave", false), ("shutdown SAVE", true)] {
        let mut session = Session::new(Config::default());
        let client = session.connect();
        assert_eq!(session.send(client, format!("{command}\r\nPING\r\n").as_bytes()), "", "{command}");
        assert_eq!(session.snapshots.len(), usize::from(saves));
        if saves {
            assert_eq!(session.exit, None);
            session.event(Event::SnapshotEnded { result: Ok(1), copied_on_write: 0 });
        }
        assert_eq!(session.exit, Some(0), "{command}");
    }
}
