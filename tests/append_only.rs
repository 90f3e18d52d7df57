//! The append-only file of a real process: what was acknowledged is there after a kill, and a file that lost its end is
//! loaded up to there.
#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spawned::{Server, eventually, exchange, folder, free_port, request, serve};

mod spawned;

fn ask(server: &Server, words: &[&str]) -> String {
    exchange(server.socket(), &request(words))
}

//= SPEC.md#aof-file
//# [AOF-9] (file) A server with `appendonly` on MUST load the AOF file at start, and the RDB file only when `appendonly` is off.
//= SPEC.md#aof-file
//# [AOF-10] (file) A server with `appendonly` on that finds no AOF file MUST start with an empty dataset and create one.
//= SPEC.md#aof-file
//# [AOF-11] (file) The AOF file MUST be named by the directives `dir` and `appendfilename`, by default `appendonly.aof`.
#[test]
fn a_killed_server_under_always_has_lost_nothing_it_acknowledged() {
    let folder = folder();
    for (round, delay_ms) in [3, 17, 40, 80, 150].into_iter().enumerate() {
        let mut server = Server::start(folder.path(), &["--appendonly", "yes", "--appendfsync", "always"]);
        let acknowledged: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for (writer, acknowledged) in acknowledged.iter().enumerate() {
                let mut socket = server.socket();
                scope.spawn(move || {
                    let mut replies = BufReader::new(socket.try_clone().unwrap());
                    let increment = request(&["INCR", &format!("counter:{round}:{writer}")]);
                    let pipeline = increment.repeat(writer * 3 + 1);
                    loop {
                        if socket.write_all(&pipeline).is_err() {
                            return;
                        }
                        for _ in 0..=writer * 3 {
                            let mut line = String::new();
                            match replies.read_line(&mut line) {
                                Ok(length) if length > 0 && line.ends_with("\r\n") => {
                                    acknowledged
                                        .store(line.trim_start_matches(':').trim().parse().unwrap(), Ordering::Relaxed);
                                }
                                _ => return,
                            }
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(delay_ms));
            server.process.kill().unwrap();
            server.end();
        });
        let server = Server::start(folder.path(), &["--appendonly", "yes"]);
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let answer = ask(&server, &["INCRBY", &format!("counter:{round}:{writer}"), "0"]);
            let found: u64 = answer.trim_start_matches(':').trim().parse().unwrap();
            let acknowledged = acknowledged.load(Ordering::Relaxed);
            assert!(found >= acknowledged, "round {round}: {found} of {acknowledged} acknowledged");
        }
    }
}

//= SPEC.md#aof-durability
//# [DURABLE-4] (file) Under `appendfsync no` commands MUST be written before their replies are sent, and forcing them to disk is left to the system.
#[test]
fn every_policy_keeps_the_commands_of_a_polite_run() {
    for policy in ["always", "everysec", "no"] {
        let folder = folder();
        let options = ["--appendonly", "yes", "--appendfsync", policy];
        let mut server = Server::start(folder.path(), &options);
        let commands = [
            request(&["SET", "a", "1", "EX", "500"]),
            request(&["SELECT", "3"]),
            request(&["APPEND", "b", "two"]),
            request(&["SELECT", "0"]),
            request(&["INCRBYFLOAT", "c", "1.5"]),
            request(&["DEL", "absent"]),
        ];
        exchange(server.socket(), &commands.concat());
        server.signal("TERM");
        assert!(server.end().success());
        let server = Server::start(folder.path(), &options);
        eventually("the load is logged", || server.output().contains("DB loaded from append only file: "));
        let answer = exchange(
            server.socket(),
            &[request(&["MGET", "a", "c"]), request(&["TTL", "a"]), request(&["SELECT", "3"]), request(&["GET", "b"])]
                .concat(),
        );
        assert!(answer.starts_with("*2\r\n$1\r\n1\r\n$3\r\n1.5\r\n:"), "{policy}: {answer}");
        assert!(answer.ends_with("+OK\r\n$3\r\ntwo\r\n"), "{policy}: {answer}");
        assert!(!answer.contains(":-1"), "{policy}: {answer}");
    }
}

//= SPEC.md#debug
//# [DEBUG-12] (wire) DEBUG LOADAOF MUST flush the append-only file, load the dataset from it and answer `+OK`.
#[test]
fn debug_loadaof_rebuilds_the_dataset_from_the_file() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    ask(&server, &["MSET", "a", "1", "b", "2"]);
    assert_eq!(ask(&server, &["DEBUG", "LOADAOF"]), "+OK\r\n");
    assert_eq!(ask(&server, &["MGET", "a", "b"]), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    ask(&server, &["SET", "c", "3"]);
    assert_eq!(ask(&server, &["DEBUG", "LOADAOF"]), "+OK\r\n");
    assert_eq!(ask(&server, &["DBSIZE"]), ":3\r\n");
}

//= SPEC.md#config
//# [CONFIG-32] (wire) CONFIG SET `appendonly yes` MUST turn the append-only file on with the present dataset as its base, and `no` ends it.
#[test]
fn the_file_can_be_switched_on_and_off_while_the_server_runs() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    ask(&server, &["SET", "before", "1"]);
    assert_eq!(ask(&server, &["CONFIG", "SET", "appendonly", "yes"]), "+OK\r\n");
    ask(&server, &["SET", "meanwhile", "2"]);
    assert_eq!(ask(&server, &["CONFIG", "SET", "appendonly", "no"]), "+OK\r\n");
    ask(&server, &["SET", "after", "3"]);
    server.signal("KILL");
    server.end();
    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    assert_eq!(ask(&server, &["MGET", "before", "meanwhile", "after"]), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
}

#[test]
fn a_file_cut_inside_a_command_is_loaded_up_to_there_and_goes_on_cleanly() {
    let folder = folder();
    let path = folder.path().join("appendonly.aof");
    let whole = [request(&["SELECT", "0"]), request(&["SET", "a", "1"])].concat();
    fs::write(&path, &whole).unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$5\r\nhel").unwrap();
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let server = Server::start(folder.path(), &options);
    assert_eq!(ask(&server, &["SET", "c", "3"]), "+OK\r\n");
    drop(server);
    let server = Server::start(folder.path(), &options);
    assert_eq!(ask(&server, &["MGET", "a", "b", "c"]), "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n");
}

#[test]
fn a_cut_file_ends_the_start_where_that_is_wanted_and_other_damage_always() {
    let folder = folder();
    let path = folder.path().join("appendonly.aof");
    let cases: [(&[u8], &str); 2] = [(b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$5\r\nhel", "no"), (b"*1\r\n$x\r\n", "yes")];
    for (damage, truncated) in cases {
        fs::write(&path, [&request(&["SET", "a", "1"]), damage].concat()).unwrap();
        let port = free_port().to_string();
        let options = ["--port", &port, "--appendonly", "yes", "--aof-load-truncated", truncated];
        let output = serve(folder.path()).args(options).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Fatal error loading the DB from appendonly.aof"), "{said}");
    }
}

//= SPEC.md#aof-file
//# [AOF-9] (file) A server with `appendonly` on MUST load the AOF file at start, and the RDB file only when `appendonly` is off.
//= SPEC.md#aof-file
//# [AOF-10] (file) A server with `appendonly` on that finds no AOF file MUST start with an empty dataset and create one.
#[test]
fn with_an_append_only_file_the_dump_is_not_looked_at() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    ask(&server, &["SET", "from", "dump"]);
    assert_eq!(ask(&server, &["SAVE"]), "+OK\r\n");
    drop(server);
    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    assert_eq!(ask(&server, &["DBSIZE"]), ":0\r\n");
    assert!(folder.path().join("appendonly.aof").exists());
    ask(&server, &["SET", "from", "file"]);
    drop(server);
    for (switch, origin) in [("yes", "file"), ("no", "dump")] {
        let server = Server::start(folder.path(), &["--appendonly", switch]);
        assert_eq!(ask(&server, &["GET", "from"]), format!("$4\r\n{origin}\r\n"));
    }
}

//= SPEC.md#aof-file
//# [AOF-11] (file) The AOF file MUST be named by the directives `dir` and `appendfilename`, by default `appendonly.aof`.
//= SPEC.md#aof-file
//# [AOF-12] (file) A failed command MUST NOT be written to the AOF file.
#[test]
fn the_file_has_its_name_and_holds_only_what_succeeded() {
    let folder = folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    let options = ["--appendonly", "yes", "--appendfsync", "always", "--dir", "data", "--appendfilename", "log.aof"];
    let server = Server::start(folder.path(), &options);
    let commands =
        [request(&["SET", "a", "text"]), request(&["INCR", "a"]), request(&["GET", "a"]), request(&["SETRANGE", "a"])];
    exchange(server.socket(), &commands.concat());
    let written = fs::read(folder.path().join("data/log.aof")).unwrap();
    let expected = [request(&["SELECT", "0"]), request(&["SET", "a", "text"])].concat();
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&expected));
}

/// Starts a server whose files may not grow beyond `kilobytes`.
fn start_on_a_full_disk(folder: &std::path::Path, kilobytes: u32, options: &[&str]) -> Server {
    let port = free_port();
    let mut command = std::process::Command::new("bash");
    let limits = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
    command.args(["-c", &limits, "bash", env!("CARGO_BIN_EXE_tally"), "serve", "--port", &port.to_string()]);
    command.args(options).current_dir(folder);
    Server::run(command, port, folder)
}

//= SPEC.md#aof-durability
//# [DURABLE-5] (file) A write that falls short MUST be undone by cutting the file back to the end of the last whole batch, or where that fails be completed later from the byte where it stopped.
#[test]
fn a_write_that_falls_short_leaves_a_whole_file_and_refuses_further_writes() {
    let folder = folder();
    let server = start_on_a_full_disk(folder.path(), 64, &["--appendonly", "yes", "--appendfsync", "no"]);
    let value = "x".repeat(10_000);
    let mut taken = 0;
    let refused = (0..20)
        .map(|number| ask(&server, &["SET", &format!("key:{number}"), &value]))
        .inspect(|answer| taken += usize::from(answer == "+OK\r\n"))
        .find(|answer| answer != "+OK\r\n");
    assert!(refused.unwrap().starts_with("-MISCONF Errors writing to the AOF file: File too large"));
    assert_eq!(ask(&server, &["STRLEN", "key:0"]), ":10000\r\n");
    let length = fs::metadata(folder.path().join("appendonly.aof")).unwrap().len();
    drop(server);
    let server = Server::start(folder.path(), &["--appendonly", "yes", "--aof-load-truncated", "no"]);
    assert_eq!(fs::metadata(folder.path().join("appendonly.aof")).unwrap().len(), length);
    // The command whose append failed was carried out, and answered, before that was known.
    assert_eq!(ask(&server, &["DBSIZE"]), format!(":{}\r\n", taken - 1));
}

#[test]
fn under_always_a_write_that_fails_ends_the_server_before_it_answers() {
    let folder = folder();
    let mut server = start_on_a_full_disk(folder.path(), 64, &["--appendonly", "yes", "--appendfsync", "always"]);
    let value = "x".repeat(10_000);
    let answers: Vec<String> = (0..7).map(|number| ask(&server, &["SET", &format!("key:{number}"), &value])).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "+OK\r\n").count(), 6, "{answers:?}");
    assert_eq!(answers[6], "");
    assert_eq!(server.end().code(), Some(1));
    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    assert_eq!(ask(&server, &["DBSIZE"]), ":6\r\n");
}
