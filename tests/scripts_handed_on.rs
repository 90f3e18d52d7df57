//! What the append-only file and dumps hold of scripts, against the files of a real Redis 5.0.
#![allow(clippy::unwrap_used)]

mod spawned;

use std::fs;
use std::path::Path;

use redis::Value;
use spawned::{Server, eventually, folder};

const INCREMENT: &str = "return redis.call('incr', KEYS[1])";
const INCREMENT_SHA: &str = "2bab3b661081db58bd2341920e0ba7cf5dc77b25";
/// Changes nothing.
const NOTHING: &str = "return redis.call('del', 'absent')";
const NOTHING_SHA: &str = "3a231835764d6bab72fb4e611027b45e02bb4a7d";

fn ask(client: &mut redis::Connection, line: &str) -> String {
    let mut words = line.split('|');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    match command.query::<Value>(client) {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error}"),
    }
}

/// The answers, and what the append-only file holds when they have come.
fn kept(server: &Server, folder: &Path, lines: &[&str]) -> (Vec<String>, String) {
    let mut client = server.client();
    let answers = lines.iter().map(|line| ask(&mut client, line)).collect();
    let file = fs::read(folder.join("appendonly.aof")).unwrap();
    (answers, String::from_utf8_lossy(&file).into_owned())
}

/// Runs the lines on a server of ours and on a real one, whose answers and files must be the same.
fn hold_against_a_real_server(options: &[&str], lines: &[&str]) -> Option<(Vec<String>, String)> {
    let options =
        [options, &["--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no"]].concat();
    let (ours, theirs) = (folder(), folder());
    let (our, real) = (Server::start(ours.path(), &options), Server::real(theirs.path(), &options)?);
    let found = kept(&our, ours.path(), lines);
    let wanted = kept(&real, theirs.path(), lines);
    for ((line, our), their) in lines.iter().zip(&found.0).zip(&wanted.0) {
        assert_eq!(our, their, "ours, and a real server's, to {line}");
    }
    assert_eq!(found.1, wanted.1, "our file, and a real server's");
    // And the file says what the dataset is.
    let before = ask(&mut our.client(), "DEBUG|DIGEST");
    drop(our);
    let again = Server::start(ours.path(), &options);
    assert_eq!(ask(&mut again.client(), "DEBUG|DIGEST"), before);
    Some(found)
}

//= SPEC.md#eval
//# [EVAL-31] (file) While `lua-replicate-commands` is `no`, as a configuration file sets it and DEBUG LUA-ALWAYS-REPLICATE-COMMANDS with 0 (and with another number `yes`), a script that has not called `redis.replicate_commands` before its first command flagged `write` MUST be propagated as it came, once and if it changed anything, in place of what its commands propagate.
//# [EVAL-32] (wire) A command flagged `write` that such a script calls after one flagged `random` MUST fail with `Write commands not allowed after non deterministic commands. Call redis.replicate_commands() at the start of your script in order to switch to single commands replication mode.`, and `redis.set_repl` with `You can set the replication behavior only after turning on single commands replication with redis.replicate_commands().`.
//# [EVAL-33] (wire) Such a script MUST be given the elements that a command flagged `sort_for_script` replies in the order of their bytes.
//# [EVAL-34] (wire) `redis.replicate_commands` MUST return true before the script's first command flagged `write`, and false after it.
//= SPEC.md#evalsha
//# [EVALSHA-3] (file) EVALSHA that EVAL-31 has propagated MUST be propagated as EVAL with the script's text, or if it changed nothing as SCRIPT LOAD, unless it has been so since the server started, the last SCRIPT FLUSH and the last rewrite of the AOF began.
#[test]
fn scripts_are_kept_as_they_came_where_that_is_configured() {
    let evalsha = format!("EVALSHA|{INCREMENT_SHA}|1|n");
    let upper = format!("evalsha|{}|1|n", INCREMENT_SHA.to_ascii_uppercase());
    let load = format!("SCRIPT|LOAD|{INCREMENT}");
    let load_nothing = format!("SCRIPT|LOAD|{NOTHING}");
    let nothing = format!("EVALSHA|{NOTHING_SHA}|0");
    let lines = [
        &load,
        "eval|return redis.call('set', KEYS[1], ARGV[1])|1|k|v",
        &evalsha,
        &evalsha,
        &upper,
        "EVAL|return redis.call('get', 'k')|0",
        "EVAL|return redis.call('del', 'absent')|0",
        "EVALSHA|0000000000000000000000000000000000000000|0",
        "EVAL|redis.call('randomkey') return redis.call('set', 'a', '1')|0",
        "EVAL|local t = redis.call('time') return redis.pcall('set', 'a', '1')|0",
        "EVAL|redis.replicate_commands() redis.call('randomkey') return redis.call('set', 'a', '1')|0",
        "EVAL|redis.call('set', 'a', '1') return {redis.replicate_commands()}|0",
        "EVAL|return {redis.replicate_commands(), redis.call('incr', 'q')}|0",
        "EVAL|redis.set_repl(redis.REPL_NONE) return redis.call('set', 'a', '1')|0",
        "EVAL|return redis.call('append', 'a', '1')|0",
        "EVAL|redis.call('set', 'a', '1') error('x')|0",
        "EVAL|redis.call('select', 2) return redis.call('set', 'a', '1')|0",
        "SET|z|1",
        "EVAL|return redis.call('publish', 'channel', '1')|0",
        "SADD|s|c|b|a|x|y",
        "EVAL|return redis.call('smembers', 's')|0",
        "EVAL|return redis.call('sunion', 's', 's')|0",
        "MULTI",
        &evalsha,
        "EVAL|return redis.call('set', 'a', '1')|0",
        "EXEC",
        "SCRIPT|FLUSH",
        &load_nothing,
        &nothing,
        &nothing,
        &load,
        &evalsha,
        "DEBUG|LUA-ALWAYS-REPLICATE-COMMANDS|1",
        "EVAL|return redis.call('set', 'b', '2')|0",
        "DEBUG|LUA-ALWAYS-REPLICATE-COMMANDS|0",
        "EVAL|return redis.call('append', 'c', '2')|0",
    ];
    let Some((_, file)) = hold_against_a_real_server(&["--lua-replicate-commands", "no"], &lines) else { return };
    assert!(file.contains("*4\r\n$4\r\nEVAL\r\n$34\r\nreturn redis.call('incr', KEYS[1])"), "{file}");
    assert!(file.contains("*4\r\n$7\r\nEVALSHA\r\n"), "{file}");
}

/// A server of ours on this append-only file.
fn on_file(folder: &Path, lines: &[&str], options: &[&str]) -> Server {
    let mut file = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split('|').collect();
        file.extend(format!("*{}\r\n", words.len()).into_bytes());
        for word in words {
            file.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
        }
    }
    fs::write(folder.join("appendonly.aof"), file).unwrap();
    Server::start(folder, &[options, &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]].concat())
}

/// The commands of an append-only file, each on a line.
fn commands_of(file: &str) -> Vec<String> {
    let mut lines = file.split("\r\n");
    let mut commands = Vec::new();
    while let Some(count) = lines.next().and_then(|line| line.strip_prefix('*')?.parse::<usize>().ok()) {
        let words: Vec<&str> = (0..count).filter_map(|_| lines.nth(1)).collect();
        commands.push(words.join(" "));
    }
    commands
}

// A real server hands these scripts on as they came. (E-144)
//= SPEC.md#eval
//# [EVAL-35] (file) A script one of whose commands propagates something else than it came as, for example SPOP, XADD with `*` or EXPIRE, MUST be propagated as EVAL-28 and EVAL-29 say in place of EVAL-31.
#[test]
fn scripts_that_would_do_something_else_are_kept_as_what_they_did() {
    let folder = folder();
    let server = on_file(folder.path(), &[], &["--lua-replicate-commands", "no", "--appendfsync", "always"]);
    let lines = [
        "SADD|s|a",
        "EVAL|redis.call('set', 'a', '1') return redis.call('spop', 's')|0",
        "EVAL|return redis.call('xadd', 'x', '1-*', 'f', 'v')|0",
        "EVAL|return redis.call('xadd', 'y', '1-1', 'f', 'v')|0",
        "EVAL|redis.call('publish', 'c', 'v') return redis.call('PEXPIREAT', 'a', '9000000000000')|0",
        "EVAL|redis.call('set', 'b', '1') return redis.call('expire', 'a', '-1')|0",
        "EVAL|return redis.call('spop', 'absent')|0",
        "MULTI",
        "EVAL|redis.call('incr', 'n') return redis.call('incrbyfloat', 'f', '0.5')|0",
        "EXEC",
    ];
    let (answers, file) = kept(&server, folder.path(), &lines);
    assert!(answers[1].contains('a'), "{answers:?}");
    let commands = commands_of(&file);
    let expected = [
        "SELECT 0",
        "SADD s a",
        "MULTI",
        "set a 1",
        "SREM s a",
        "EXEC",
        "EVAL return redis.call('xadd', 'y', '1-1', 'f', 'v') 0",
        "EVAL redis.call('publish', 'c', 'v') return redis.call('PEXPIREAT', 'a', '9000000000000') 0",
        "MULTI",
        "set b 1",
        "DEL a",
        "EXEC",
        "MULTI",
        "incr n",
        "SET f 0.5",
        "EXEC",
    ];
    assert_eq!(commands, expected);
}

// A real server hands these scripts on as they came. (E-147)
//= SPEC.md#eval
//# [EVAL-37] (file) A script one of whose commands was refused because memory is short or the server takes no writes MUST be propagated as EVAL-28 and EVAL-29 say in place of EVAL-31.
#[test]
fn scripts_that_were_refused_something_are_kept_as_what_they_did() {
    let folder = folder();
    let server = on_file(folder.path(), &[], &["--lua-replicate-commands", "no", "--appendfsync", "always"]);
    let lines = [
        "SET|a|1",
        "CONFIG|SET|maxmemory|1",
        "EVAL|redis.pcall('set', 'x', '1') return redis.call('del', 'a')|0",
        "CONFIG|SET|maxmemory|0",
        "EVAL|redis.pcall('set', 'y', '1') return redis.call('del', 'a')|0",
        "DEBUG|LOADAOF",
        "EXISTS|x",
        "EXISTS|y",
    ];
    let (answers, file) = kept(&server, folder.path(), &lines);
    assert_eq!(answers[2], "int(1)", "{answers:?}");
    assert_eq!(&answers[5..], ["ok", "int(0)", "int(1)"], "{answers:?}");
    let expected = [
        "SELECT 0",
        "SET a 1",
        "MULTI",
        "del a",
        "EXEC",
        "EVAL redis.pcall('set', 'y', '1') return redis.call('del', 'a') 0",
    ];
    assert_eq!(commands_of(&file), expected);
}

// A real server sorts nothing here. (E-145)
//= SPEC.md#eval
//# [EVAL-36] (file) EVAL and EVALSHA that come from the AOF or from the primary MUST be run as while `lua-replicate-commands` is `no`.
#[test]
fn scripts_in_a_file_are_run_as_they_were() {
    let folder = folder();
    let script = "local m = redis.call('hkeys', KEYS[1]) redis.call('rpush', 'l', unpack(m))";
    let late = "redis.call('randomkey') redis.call('set', 'late', '1')";
    let lines = ["SELECT|0", "HSET|h|c|1|a|2|b|3", &format!("EVAL|{script}|1|h"), &format!("EVAL|{late}|0")];
    let server = on_file(folder.path(), &lines, &[]);
    let mut client = server.client();
    for element in ["a", "b", "c"] {
        assert!(ask(&mut client, "LPOP|l").contains(element), "{element}");
    }
    assert_eq!(ask(&mut client, "EXISTS|late"), "int(0)");
    // What clients run is run as is configured.
    ask(&mut client, &format!("EVAL|{script}|1|h"));
    assert!(ask(&mut client, "LPOP|l").contains('c'));
}

//= SPEC.md#rdb-file
//# [RDB-42] (file) A server that loads a file MUST keep the value of an AUX field `lua` as SCRIPT LOAD does, and refuse the file if it is no Lua.
#[test]
fn scripts_of_a_primarys_dump_are_loaded() {
    let (first, second, ours) = (folder(), folder(), folder());
    let Some(primary) = Server::real(first.path(), &["--rdbcompression", "no"]) else { return };
    let Some(replica) = Server::real(second.path(), &["--repl-diskless-sync-delay", "0"]) else { return };
    let mut client = primary.client();
    ask(&mut client, &format!("SCRIPT|LOAD|{INCREMENT}"));
    assert_eq!(ask(&mut client, "SET|k|v"), "ok");
    ask(&mut replica.client(), &format!("SLAVEOF|127.0.0.1|{}", primary.port));
    eventually("the replica follows", || ask(&mut client, "INFO|replication").contains("state=online"));
    eventually("the dump is there", || ask(&mut client, "SAVE") == "ok");
    let dump = fs::read(first.path().join("dump.rdb")).unwrap();
    assert!(dump.windows(INCREMENT.len()).any(|window| window == INCREMENT.as_bytes()), "no script was saved");
    fs::write(ours.path().join("dump.rdb"), &dump).unwrap();
    let server = Server::start(ours.path(), &[]);
    let mut client = server.client();
    assert_eq!(ask(&mut client, "GET|k"), "bulk-string('\"v\"')");
    assert_eq!(ask(&mut client, &format!("EVALSHA|{INCREMENT_SHA}|1|n")), "int(1)");
    drop(server);
    // The same file, the script spoiled: the checksum is switched off by zeros.
    let at = dump.windows(INCREMENT.len()).position(|window| window == INCREMENT.as_bytes()).unwrap();
    let mut spoiled = dump.clone();
    spoiled[at..at + 6].copy_from_slice(b"((((((");
    let length = spoiled.len();
    spoiled[length - 8..].fill(0);
    fs::write(ours.path().join("dump.rdb"), &spoiled).unwrap();
    let mut process = spawned::serve(ours.path());
    let output = process.args(["--port", &spawned::free_port().to_string()]).output().unwrap();
    assert!(!output.status.success());
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains("a script that does not compile"), "{output}");
}
