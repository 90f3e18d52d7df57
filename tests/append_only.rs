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
    eventually("the file is in place", || info(&server, "aof_rewrite_in_progress") == "0");
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

/// A field of INFO.
fn info(server: &Server, field: &str) -> String {
    let text = ask(server, &["INFO"]);
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_else(|| panic!("{field} is missing: {text}")).to_owned()
}

/// Names in a folder that belong to files being written.
fn temporary_files(folder: &std::path::Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("temp-")).collect()
}

/// A server with so many bytes in it that a child is busy for a while.
fn start_with_much(folder: &std::path::Path, options: &[&str]) -> Server {
    let server = Server::start(folder, options);
    assert_eq!(ask(&server, &["DEBUG", "POPULATE", "200000"]), "+OK\r\n");
    server
}

//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-1] (wire) BGREWRITEAOF MUST answer the status `Background append only file rewriting started` and replace the append-only file by one that makes the dataset of that moment and goes on with the commands after it, which are answered meanwhile.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-12] (file) The new file MUST hold the snapshot and every command after it once and in order, none lost and none doubled.
#[test]
fn a_rewrite_under_full_load_loses_and_doubles_nothing() {
    for (preamble, policy) in [("yes", "everysec"), ("no", "always")] {
        let folder = folder();
        let options = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--appendfsync", policy];
        let server = start_with_much(folder.path(), &options);
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (server, over) = (&server, &over);
                scope.spawn(move || {
                    let mut socket = server.socket();
                    let mut replies = BufReader::new(socket.try_clone().unwrap());
                    let push = request(&["RPUSH", &format!("list:{writer}"), &"x".repeat(50)]).repeat(50);
                    while !over.load(Ordering::Relaxed) {
                        socket.write_all(&push).unwrap();
                        for _ in 0..50 {
                            replies.read_line(&mut String::new()).unwrap();
                        }
                    }
                });
            }
            for _ in 0..3 {
                let answer = ask(&server, &["BGREWRITEAOF"]);
                assert_eq!(answer, "+Background append only file rewriting started\r\n");
                eventually("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
                assert_eq!(info(&server, "aof_last_bgrewrite_status"), "ok", "{}", server.output());
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(temporary_files(folder.path()), [] as [&str; 0]);
        let digest = ask(&server, &["DEBUG", "DIGEST"]);
        drop(server);
        let begins = fs::read(folder.path().join("appendonly.aof")).unwrap().starts_with(b"REDIS");
        assert_eq!(begins, preamble == "yes");
        let server = Server::start(folder.path(), &["--appendonly", "yes", "--aof-load-truncated", "no"]);
        assert_eq!(ask(&server, &["DEBUG", "DIGEST"]), digest, "aof-use-rdb-preamble {preamble}");
    }
}

//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-4] (file) BGREWRITEAOF MUST write the file while `appendonly` is off as well.
#[test]
fn a_file_is_written_without_appending_too() {
    let folder = folder();
    let server = start_with_much(folder.path(), &[]);
    ask(&server, &["BGREWRITEAOF"]);
    eventually("the rewrite ends", || info(&server, "aof_rewrite_in_progress") == "0");
    assert_eq!(ask(&server, &["SET", "later", "1"]), "+OK\r\n");
    drop(server);
    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    assert_eq!(ask(&server, &["DBSIZE"]), ":200000\r\n");
}

/// The process ids of a process's children.
fn children(process: u32) -> Vec<String> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().map(str::to_owned).collect()
}

fn kill(process: &str) {
    end_by("-KILL", process);
}

fn end_by(signal: &str, process: &str) {
    // It may be over by now.
    let _ = std::process::Command::new("kill").args([signal, process]).stderr(std::process::Stdio::null()).status();
}

//= SPEC.md#bgsave
//# [BGSAVE-8] (file) A background save that fails, or whose process is killed, MUST leave the RDB file that was there before as it was and no other file beside it.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-14] (inside) When the child fails or dies, the parent MUST drop the diff and remove the child's file.
#[test]
fn a_killed_child_leaves_nothing_behind_but_its_status() {
    for (command, running, status, file) in [
        ("BGSAVE", "rdb_bgsave_in_progress", "rdb_last_bgsave_status", "dump.rdb"),
        ("BGREWRITEAOF", "aof_rewrite_in_progress", "aof_last_bgrewrite_status", "appendonly.aof"),
    ] {
        let folder = folder();
        let server = start_with_much(folder.path(), &["--appendonly", "yes"]);
        assert_eq!(ask(&server, &["SAVE"]), "+OK\r\n");
        // A child that is over before it is killed proves nothing: then it is tried again.
        eventually("a child is killed at work", || {
            let before = fs::read(folder.path().join(file)).unwrap();
            assert!(ask(&server, &[command]).starts_with('+'));
            children(server.process.id()).iter().for_each(|child| kill(child));
            eventually("the child has ended", || info(&server, running) == "0");
            assert_eq!(temporary_files(folder.path()), [] as [&str; 0]);
            let killed = info(&server, status) == "err";
            assert!(!killed || fs::read(folder.path().join(file)).unwrap() == before);
            killed
        });
        assert!(server.output().contains("terminated by signal 9"), "{}", server.output());
        assert!(ask(&server, &[command]).starts_with('+'));
        eventually("another child has ended", || info(&server, running) == "0");
        assert_eq!(info(&server, status), "ok");
        assert_ne!(info(&server, "latest_fork_usec"), "0");
    }
}

//= SPEC.md#bgsave
//# [BGSAVE-10] (wire) A background save whose process is ended by SIGUSR1 MUST leave `rdb_last_bgsave_status` as it was.
#[test]
fn a_background_save_that_is_called_off_is_not_a_failed_one() {
    let folder = folder();
    let server = start_with_much(folder.path(), &[]);
    for (signal, number, status) in [("-USR1", 10, "ok"), ("-KILL", 9, "err")] {
        let told = format!("terminated by signal {number}");
        let before = server.output().matches(&told).count();
        eventually("a child is ended at work", || {
            assert!(ask(&server, &["BGSAVE"]).starts_with('+'));
            children(server.process.id()).iter().for_each(|child| end_by(signal, child));
            eventually("the child has ended", || info(&server, "rdb_bgsave_in_progress") == "0");
            server.output().matches(&told).count() > before
        });
        assert_eq!(info(&server, "rdb_last_bgsave_status"), status, "after {signal}");
        assert_eq!(temporary_files(folder.path()), [] as [&str; 0]);
    }
}

//= SPEC.md#flushall
//# [FLUSHALL-2] (file) While a save point is set, FLUSHALL MUST end a background save and put the dump of the empty dataset in place at once.
//= SPEC.md#flushall
//# [FLUSHALL-3] (wire) FLUSHALL MUST count one change for each key that it removes and one more, besides those that were counted before, although it saves.
#[test]
fn flushall_saves_at_once_and_still_counts_as_a_change() {
    let folder = folder();
    let server = start_with_much(folder.path(), &["--save", "9000", "1"]);
    ask(&server, &["SAVE"]);
    let full = fs::read(folder.path().join("dump.rdb")).unwrap().len();
    ask(&server, &["MSET", "a", "1", "b", "2"]);
    let keys: u64 = ask(&server, &["DBSIZE"]).trim_start_matches(':').trim_end().parse().unwrap();
    ask(&server, &["BGSAVE"]);
    assert_eq!(ask(&server, &["FLUSHALL"]), "+OK\r\n");
    assert_eq!(info(&server, "rdb_changes_since_last_save"), (2 + keys + 1).to_string());
    assert_eq!(info(&server, "rdb_bgsave_in_progress"), "0");
    assert_eq!(temporary_files(folder.path()), [] as [&str; 0]);
    let empty = fs::read(folder.path().join("dump.rdb")).unwrap().len();
    assert!(empty < 200 && full > 10_000, "{empty} of {full} bytes");
    // A background save that is over by itself proves nothing: then it is tried again.
    eventually("a background save is ended by it", || {
        ask(&server, &["DEBUG", "POPULATE", "200000"]);
        ask(&server, &["BGSAVE"]);
        ask(&server, &["FLUSHALL"]);
        assert_eq!(info(&server, "rdb_bgsave_in_progress"), "0");
        server.output().contains("The background save was stopped")
    });
    assert!(fs::read(folder.path().join("dump.rdb")).unwrap().len() < 200);
    // Without a save point nothing is saved.
    assert_eq!(ask(&server, &["CONFIG", "SET", "save", ""]), "+OK\r\n");
    fs::remove_file(folder.path().join("dump.rdb")).unwrap();
    assert_eq!(ask(&server, &["FLUSHALL"]), "+OK\r\n");
    assert!(!folder.path().join("dump.rdb").exists());
}

//= SPEC.md#shutdown
//# [SHUTDOWN-7] (file) SHUTDOWN MUST end a process that saves or rewrites in the background and remove the file that it had begun.
#[test]
fn shutdown_ends_the_children_and_removes_their_files() {
    for command in ["BGSAVE", "BGREWRITEAOF"] {
        let folder = folder();
        let mut server = start_with_much(folder.path(), &["--appendonly", "yes", "--save", "900", "1"]);
        assert!(ask(&server, &[command]).starts_with('+'));
        let at_work = children(server.process.id());
        ask(&server, &["SHUTDOWN", "NOSAVE"]);
        assert!(server.end().success());
        assert!(at_work.iter().all(|child| !std::path::Path::new(&format!("/proc/{child}")).exists()));
        assert_eq!(temporary_files(folder.path()), [] as [&str; 0]);
    }
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-16] (inside) A child whose parent is gone MUST end without renaming anything.
#[test]
fn a_child_whose_parent_is_killed_ends_by_itself() {
    let folder = folder();
    let mut server = start_with_much(folder.path(), &["--appendonly", "yes"]);
    let before = fs::read(folder.path().join("appendonly.aof")).unwrap();
    assert!(ask(&server, &["BGREWRITEAOF"]).starts_with('+'));
    let at_work = children(server.process.id());
    server.process.kill().unwrap();
    server.end();
    eventually("the child ends", || {
        at_work.iter().all(|child| {
            let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        })
    });
    assert_eq!(fs::read(folder.path().join("appendonly.aof")).unwrap(), before);
}
