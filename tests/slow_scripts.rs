//! Scripts that run for longer than `lua-time-limit`: what others are told meanwhile, and how such a script ends. What
//! is said is held against a real Redis 5.0.
#![allow(clippy::unwrap_used)]

mod spawned;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use spawned::{Server, eventually, folder, request};

const LIMIT: [&str; 4] = ["--lua-time-limit", "30", "--maxmemory", "1gb"];
const FOREVER: &str = "while true do end";

/// A connection that sends words and reads lines.
struct Talk(BufReader<TcpStream>);

impl Talk {
    fn with(server: &Server) -> Talk {
        Talk(BufReader::new(server.socket()))
    }

    fn send(&mut self, line: &str) {
        let words: Vec<&str> = line.split('|').collect();
        self.0.get_mut().write_all(&request(&words)).unwrap();
    }

    /// One line, which is a whole reply of the ones below.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches("\r\n").to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }
}

/// Waits until others are told that a script runs.
fn wait_until_busy(server: &Server) {
    let mut other = Talk::with(server);
    eventually("a script runs for too long", || other.ask("PING").starts_with("-BUSY"));
}

/// What somebody is told who asks this while a script runs.
fn told_meanwhile(server: &Server, script: &str, questions: &[&str]) -> Vec<String> {
    let mut own = Talk::with(server);
    own.send(&format!("EVAL|{script}|0"));
    wait_until_busy(server);
    let mut other = Talk::with(server);
    let mut told: Vec<String> = questions.iter().map(|question| other.ask(question)).collect();
    if told.last().is_some_and(|last| last == "+OK") {
        told.push(own.line());
    }
    told.push(if other.ask("PING") == "+PONG" { "over" } else { "goes on" }.to_owned());
    told
}

/// Runs it on a server of ours and on a real one, which must say the same.
fn both(what: impl Fn(&Server) -> Vec<String>) -> Vec<String> {
    let (ours, theirs) = (folder(), folder());
    let told = what(&Server::start(ours.path(), &LIMIT));
    if let Some(real) = Server::real(theirs.path(), &LIMIT) {
        assert_eq!(told, what(&real), "ours, and a real server's");
    }
    told
}

//= SPEC.md#lua-environment
//# [LUA-17] (wire) When a script has run for `lua-time-limit` milliseconds, if that is not 0, other clients MUST be served while it goes on, but every command that would be executed or queued be answered by `-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.` instead, except AUTH, REPLCONF, and, each with one argument, SHUTDOWN if that begins with an N and SCRIPT if it begins with a K.
//= SPEC.md#script
//# [SCRIPT-8] (wire) SCRIPT KILL of a script that has called no command flagged `write` MUST answer `+OK` and have the script, whatever errors it catches, end with an error, `Script killed by user with SCRIPT KILL...`, that is answered as EVAL-12 says.
#[test]
fn others_are_told_that_a_script_runs_and_may_kill_it() {
    let questions = [
        "PING",
        "GET|k",
        "GET",
        "nosuch",
        "AUTH|x",
        "SCRIPT|EXISTS|x",
        "SCRIPT|kxx",
        "SCRIPT|KILL|x",
        "SCRIPT|LOAD|return 1",
        "SHUTDOWN",
        "SHUTDOWN|save",
        "SHUTDOWN|nope",
        "MULTI",
        "EXEC",
        "SUBSCRIBE|channel",
        "EVAL|return 1|0",
        "SCRIPT|KILL",
    ];
    let told = both(|server| told_meanwhile(server, FOREVER, &questions));
    let killed = &told[questions.len()];
    assert!(killed.ends_with("@user_script:1: Script killed by user with SCRIPT KILL... "), "{killed}");
    assert_eq!(told.last().unwrap(), "over");
    for script in [
        "local c = coroutine.create(function() while true do end end) return coroutine.resume(c)",
        "redis.call('get', 'k') table.sort({3, 2, 1}, function() while true do end end)",
    ] {
        let told = both(|server| told_meanwhile(server, script, &["SCRIPT|KILL"]).split_off(2));
        assert_eq!(told, ["over"], "{script}");
    }
}

/// Erratum E-180: a real server cannot kill these.
#[test]
fn a_script_that_catches_every_error_is_killed_too() {
    let folder = folder();
    let server = Server::start(folder.path(), &LIMIT);
    for script in [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() return error('x') end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do local ok = pcall(pcall, pcall, function() while true do end end) end",
    ] {
        let told = told_meanwhile(&server, script, &["SCRIPT|KILL"]);
        assert_eq!(told[0], "+OK");
        assert!(told[1].contains("Script killed by user with SCRIPT KILL..."), "{told:?}");
        assert_eq!(told[2], "over");
    }
    assert!(server.output().contains("Lua slow script detected: still in execution after 3"), "{}", server.output());
    assert!(server.output().contains("Lua script killed by user with SCRIPT KILL."));
}

//= SPEC.md#script
//# [SCRIPT-9] (wire) SCRIPT KILL of a script that has called a command flagged `write` MUST do nothing and answer `-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.`.
//= SPEC.md#lua-environment
//# [LUA-19] (wire) SHUTDOWN NOSAVE MUST end the server although a script runs.
#[test]
fn a_script_that_has_written_ends_with_the_server_alone() {
    let script = "redis.call('set', 'k', 'v') while true do end";
    let questions = ["SCRIPT|KILL", "PING"];
    let told = both(|server| told_meanwhile(server, script, &questions));
    assert!(told[0].starts_with("-UNKILLABLE Sorry"), "{told:?}");
    for options in [&["--appendonly", "no"], &["--appendonly", "yes"]] {
        let folder = folder();
        let mut server = Server::start(folder.path(), &[&LIMIT[..], options].concat());
        assert_eq!(Talk::with(&server).ask("SET|before|1"), "+OK");
        told_meanwhile(&server, script, &questions);
        Talk::with(&server).send("SHUTDOWN|NOSAVE");
        assert!(server.end().success());
        // A script is one transaction, and this one did not come to its end.
        let server = Server::start(folder.path(), options);
        let kept = if options[1] == "yes" { "$1" } else { "$-1" };
        let mut client = Talk::with(&server);
        assert_eq!((client.ask("EXISTS|k"), client.ask("GET|before")), (":0".to_owned(), kept.to_owned()));
    }
}

//= SPEC.md#lua-environment
//# [LUA-18] (wire) A transaction in which a command was answered by `-BUSY` MUST be refused by EXEC as one with a command that is in error.
#[test]
fn a_transaction_that_was_told_to_wait_is_refused() {
    let told = both(|server| {
        let (mut first, mut second) = (Talk::with(server), Talk::with(server));
        let mut told = vec![first.ask("MULTI"), second.ask("MULTI"), second.ask("SET|a|1")];
        let mut own = Talk::with(server);
        own.send(&format!("EVAL|{FOREVER}|0"));
        wait_until_busy(server);
        told.extend(["SET|k|1", "DISCARD", "SCRIPT|KILL", "EXEC"].map(|word| first.ask(word)));
        assert_eq!(Talk::with(server).ask("SCRIPT|KILL"), "+OK");
        told.push(own.line());
        told.extend([first.ask("EXEC"), second.ask("EXEC"), second.line(), first.ask("EXISTS|k")]);
        told
    });
    assert!(told[8].starts_with("-EXECABORT"), "{told:?}");
}

//= SPEC.md#lua-environment
//# [LUA-20] (wire) A script MUST go on to its end when its client leaves meanwhile.
#[test]
fn a_script_whose_client_left_goes_on() {
    let told = both(|server| {
        let mut own = Talk::with(server);
        own.send("EVAL|for i = 1, 2e8 do end return redis.call('set', 'k', 'done')|0");
        own.send("SET|after|1");
        wait_until_busy(server);
        drop(own);
        let mut other = Talk::with(server);
        eventually("the script is over", || other.ask("PING") == "+PONG");
        eventually("its client is forgotten", || {
            other.send("CLIENT|LIST");
            let (_length, first, _end) = (other.line(), other.line(), other.line());
            first.contains("cmd=client") && other.ask("ECHO|next") == "$4" && other.line() == "next"
        });
        other.send("GET|k");
        vec![other.line(), other.line()]
    });
    assert_eq!(told, ["$4", "done"]);
}

/// Answers that were due before a script began wait for the append-only file, and are sent when the script is over.
#[test]
fn answers_from_before_a_slow_script_are_not_lost() {
    for fsync in ["no", "always"] {
        let folder = folder();
        let options = [&LIMIT[..], &["--appendonly", "yes", "--appendfsync", fsync]].concat();
        let server = Server::start(folder.path(), &options);
        let mut own = Talk::with(&server);
        let pipeline =
            [request(&["SET", "a", "1"]), request(&["EVAL", FOREVER, "0"]), request(&["INCR", "a"])].concat();
        own.0.get_mut().write_all(&pipeline).unwrap();
        wait_until_busy(&server);
        // Nobody is kept from coming and going.
        for _ in 0..20 {
            assert!(Talk::with(&server).ask("PING").starts_with("-BUSY"));
        }
        let mut killer = Talk::with(&server);
        assert_eq!(killer.ask("SCRIPT|KILL"), "+OK");
        assert_eq!(own.line(), "+OK");
        assert!(own.line().contains("Script killed by user"));
        assert_eq!(own.line(), ":2");
    }
}

/// With the limit 0 nobody is told anything, and all wait.
#[test]
fn without_a_limit_others_wait() {
    let told = both(|server| {
        let mut own = Talk::with(server);
        assert_eq!(own.ask("CONFIG|SET|lua-time-limit|0"), "+OK");
        own.send("EVAL|for i = 1, 5e7 do end return 1|0");
        std::thread::sleep(Duration::from_millis(50));
        vec![Talk::with(server).ask("PING"), own.line()]
    });
    assert_eq!(told, ["+PONG", ":1"]);
}
