//! Scripts: what real servers answered to them is what the model accepts, and nothing else is.
#![allow(clippy::unwrap_used)]

use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Propagated, Reply, Span};

const ME: ClientId = ClientId(1);
const OTHER: ClientId = ClientId(2);
const NOW: Span = Span { earliest_ms: 1_760_000_000_000, latest_ms: 1_760_000_000_000 };

fn model() -> Model {
    let mut model = Model::new(Profile::redis_5_0());
    model.record_propagation(true);
    for client in [ME, OTHER] {
        model.connect(client, Peer { local: true, ..Peer::default() });
    }
    model
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Sends a command, which must be answered like this.
fn send(model: &mut Model, client: ClientId, line: &[Vec<u8>], reply: &Reply) {
    let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
    let verdict =
        model.step(client, &line, &Outcome::reply(reply), NOW).unwrap_or_else(|deviation| panic!("{deviation}"));
    assert!(!verdict.unspecified);
}

fn eval(script: &str, keys: &[&str], arguments: &[&str]) -> Vec<Vec<u8>> {
    let count = keys.len().to_string();
    let head = ["EVAL", script, &count];
    head.iter().chain(keys).chain(arguments).map(|word| word.as_bytes().to_vec()).collect()
}

/// The script with the key `k` is answered like this, and by no other reply.
fn answers(model: &mut Model, script: &str, reply: &Reply) {
    let line = eval(script, &["k"], &["a"]);
    let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
    let wrong = Reply::status("wrong");
    assert!(model.step(ME, &line, &Outcome::reply(&wrong), NOW).is_err(), "{script}");
    let verdict =
        model.step(ME, &line, &Outcome::reply(reply), NOW).unwrap_or_else(|deviation| panic!("{script}: {deviation}"));
    assert!(!verdict.unspecified, "{script}");
}

fn bulk(text: &str) -> Reply {
    Reply::bulk(text)
}

fn error(text: &str) -> Reply {
    Reply::Error(text.as_bytes().to_vec())
}

fn integers(values: &[i64]) -> Reply {
    Reply::Array(values.iter().map(|&value| Reply::Integer(value)).collect())
}

/// Where an error ends a script, behind its SHA-1.
fn ended(model: &mut Model, script: &str, text: &str) {
    let line = eval(script, &["k"], &["a"]);
    let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
    let allowed = model.allowed(ME, &line, NOW).to_string();
    let (before, behind) = allowed.split_once("): ").unwrap_or_else(|| panic!("{script}: {allowed}"));
    assert!(before.starts_with("(error) ERR Error running script (call to f_"), "{allowed}");
    assert_eq!(behind, text, "{script}");
    let reply = error(allowed.strip_prefix("(error) ").unwrap());
    model.step(ME, &line, &Outcome::reply(&reply), NOW).unwrap();
}

//= SPEC.md#script-values
//# [EVAL-20] (wire) A string that a script returns MUST be answered as a bulk string, a number as the integer that is left without its fraction, `true` as 1, and `false`, `nil` and nothing as the absent bulk string.
// [EVAL-19] [EVAL-21] [EVAL-22] [EVAL-23] [EVAL-24] [EVAL-25] [EVAL-5]
#[test]
fn values_are_converted_both_ways() {
    let model = &mut model();
    for (script, value) in [("return 3.99", 3), ("return -3.99", -3), ("return true", 1), ("return 7 % -3", -2)] {
        answers(model, script, &Reply::Integer(value));
    }
    answers(model, "return 2^63", &Reply::Integer(i64::MIN));
    for script in ["return nil", "return false", "", "local a = 1", "return redis.call('get', 'nokey')"] {
        answers(model, script, &Reply::NilBulk);
    }
    answers(model, "return 'a', 'b'", &bulk("a"));
    answers(model, "return {1, 2, nil, 4}", &integers(&[1, 2]));
    answers(model, "return {1, 2, [4] = 4, x = 5}", &integers(&[1, 2]));
    answers(model, "return {nil, 1}", &Reply::Array(Vec::new()));
    answers(model, "return {ok = 1}", &Reply::Array(Vec::new()));
    answers(model, "return {err = 5, 1, 2}", &integers(&[1, 2]));
    answers(model, "return {ok = 'a\\r\\nb', 1}", &Reply::status("a  b"));
    answers(model, "return {ok = 'a', err = 'MY ERR'}", &error("MY ERR"));
    answers(model, "return redis.error_reply('MY ERR')", &error("MY ERR"));
    answers(model, "return redis.status_reply('FINE')", &Reply::status("FINE"));
    answers(model, "return redis.error_reply(1)", &error("@user_script: 1: wrong number or type of arguments"));
    let nested = vec![
        Reply::Integer(1),
        Reply::Array(vec![Reply::Integer(3), bulk("x"), error("inner"), Reply::status("fine")]),
        Reply::NilBulk,
        Reply::Integer(1),
    ];
    answers(model, "return {1, {3, 'x', {err='inner'}, {ok='fine'}}, false, true}", &Reply::Array(nested));
    answers(model, "return {KEYS[1], ARGV[1], #KEYS, #ARGV}", &{
        Reply::Array(vec![bulk("k"), bulk("a"), Reply::Integer(1), Reply::Integer(1)])
    });
    answers(
        model,
        "return type(redis.call('set', KEYS[1], 'v')) .. redis.call('set', KEYS[1], 'v').ok",
        &bulk("tableOK"),
    );
    answers(model, "return redis.call('mget', KEYS[1], 'nokey')", &Reply::Array(vec![bulk("v"), Reply::NilBulk]));
    answers(model, "return redis.call('get', 'nokey') == false", &Reply::Integer(1));
    send(model, ME, &words("SET n 9007199254740992"), &Reply::ok());
    answers(model, "return redis.call('incr', 'n')", &Reply::Integer(9_007_199_254_740_992));
    send(model, ME, &words("GET n"), &bulk("9007199254740993"));
    send(model, ME, &words("SET n 9223372036854775806"), &Reply::ok());
    answers(model, "return redis.call('incr', 'n')", &Reply::Integer(i64::MIN));
}

//= SPEC.md#eval
//# [EVAL-10] (wire) Arguments of a call MUST be strings or numbers, and a number be written with up to 17 significant digits as `%.17g` of C writes it.
#[test]
fn numbers_are_written_for_calls_and_for_scripts_in_different_ways() {
    let model = &mut model();
    for (number, stored, text) in [
        ("1.5", "1.5", "1.5"),
        ("1e15", "1000000000000000", "1e+15"),
        ("1e17", "1e+17", "1e+17"),
        ("1/3", "0.33333333333333331", "0.33333333333333"),
        ("2^53", "9007199254740992", "9.007199254741e+15"),
        ("-2^63", "-9.2233720368547758e+18", "-9.2233720368548e+18"),
        ("1/0", "inf", "inf"),
        ("-0", "-0", "-0"),
    ] {
        let script =
            format!("redis.call('set', KEYS[1], {number}) return redis.call('get', KEYS[1]) .. tostring({number})");
        answers(model, &script, &bulk(&format!("{stored}{text}")));
    }
}

//= SPEC.md#eval
//# [EVAL-11] (wire) A call MUST be an error without executing anything if it has no arguments (`Please specify at least one argument for redis.call()`), one that is neither string nor number (`Lua redis() command arguments must be strings or integers`), names an unknown command (`Unknown Redis command called from Lua script`), has a wrong number of arguments (`Wrong number of args calling Redis command From Lua script`) or names a command flagged `noscript` (`This Redis command is not allowed from scripts`), the first that holds, with `@user_script: LINE: ` before the text.
// [EVAL-8] [EVAL-9] [EVAL-12] [EVAL-13]
#[test]
fn errors_are_raised_returned_and_caught() {
    let model = &mut model();
    send(model, ME, &words("SET k v"), &Reply::ok());
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    ended(model, "return redis.call('lpush', KEYS[1], 1)", &format!("@user_script:1: {wrong} "));
    ended(model, "\n\nreturn redis.call('lpush', KEYS[1], 1)", &format!("@user_script:3: {wrong} "));
    for (call, text) in [
        ("call()", "Please specify at least one argument for redis.call()"),
        ("call('set', 'k', {})", "Lua redis() command arguments must be strings or integers"),
        ("call('set', 'k', true)", "Lua redis() command arguments must be strings or integers"),
        ("call('nosuch')", "Unknown Redis command called from Lua script"),
        ("call('get')", "Wrong number of args calling Redis command From Lua script"),
        ("call('multi', 1)", "Wrong number of args calling Redis command From Lua script"),
        ("call('multi')", "This Redis command is not allowed from scripts"),
        ("call('eval', 'return 1', 0)", "This Redis command is not allowed from scripts"),
    ] {
        ended(model, &format!("return redis.{call}"), &format!("@user_script:1: @user_script: 1: {text} "));
        answers(model, &format!("return redis.p{call}"), &error(&format!("@user_script: 1: {text}")));
    }
    ended(model, "local x = 1\nerror('boom')\nreturn 1", "@user_script:2: user_script:2: boom ");
    ended(model, "error('boom', 0)", "@user_script:1: boom ");
    ended(
        model,
        "error({err='TBL'})",
        "@err_handler_def:8: err_handler_def:8: attempt to concatenate local 'err' (a table value) ",
    );
    ended(model, "x = 1", "@enable_strict_lua:8: user_script:1: Script attempted to create global variable 'x' ");
    ended(
        model,
        "return foo",
        "@enable_strict_lua:15: user_script:1: Script attempted to access nonexistent global variable 'foo' ",
    );
    for (script, text) in [
        ("local a = nil return a + 1", "attempt to perform arithmetic on local 'a' (a nil value)"),
        ("return 1 + {}", "attempt to perform arithmetic on a table value"),
        ("local a = false return a.x", "attempt to index local 'a' (a boolean value)"),
        ("return KEYS[2] .. 'x'", "attempt to concatenate field '?' (a nil value)"),
        ("local a = {} return a.b.c", "attempt to index field 'b' (a nil value)"),
        ("return 1 < '2'", "attempt to compare number with string"),
        ("return {} < {}", "attempt to compare two table values"),
        ("local f = nil return f()", "attempt to call local 'f' (a nil value)"),
        ("return #nil", "attempt to get length of a nil value"),
    ] {
        ended(model, script, &format!("@user_script:1: user_script:1: {text} "));
    }
    answers(model, "return redis.pcall('lpush', KEYS[1], 1).err", &bulk(wrong));
    answers(
        model,
        "return {redis.pcall('lpush', KEYS[1], 1), 1}",
        &Reply::Array(vec![error(wrong), Reply::Integer(1)]),
    );
    let caught = |text: &str| Reply::Array(vec![bulk("false"), bulk(text)]);
    answers(model, "local ok, e = pcall(redis.call, 'lpush', KEYS[1], 1) return {tostring(ok), e}", &caught(wrong));
    answers(
        model,
        "local ok, e = pcall(function() return redis.call('lpush', KEYS[1], 1) end) return {tostring(ok), e}",
        &caught(wrong),
    );
    answers(
        model,
        "local ok, e = pcall(function() error('x') end) return {tostring(ok), e}",
        &caught("user_script:1: x"),
    );
}

//= SPEC.md#eval
//# [EVAL-14] (wire) What the commands of a script changed before it ended with an error MUST stay.
// [EVAL-15] [EVAL-18]
#[test]
fn what_a_script_changed_stays_and_its_database_ends_with_it() {
    let model = &mut model();
    ended(model, "redis.call('set', KEYS[1], 'x') error('after write')", "@user_script:1: user_script:1: after write ");
    send(model, ME, &words("GET k"), &bulk("x"));
    answers(model, "redis.call('select', 1) redis.call('set', 'z', 1) return redis.call('get', 'z')", &bulk("1"));
    send(model, ME, &words("GET z"), &Reply::NilBulk);
    send(model, ME, &words("SELECT 1"), &Reply::ok());
    send(model, ME, &words("GET z"), &bulk("1"));
    // All commands of a script run at one moment.
    answers(model, "redis.call('psetex', KEYS[1], 1, 'v') return redis.call('get', KEYS[1])", &bulk("v"));
}

//= SPEC.md#eval
//# [EVAL-17] (wire) What a script changes MUST touch watched keys and cause events as the same commands of a client do, those of its own client included.
// [EVAL-16] [EVAL-26]
#[test]
fn others_see_what_a_script_does() {
    let model = &mut model();
    send(model, ME, &words("WATCH k"), &Reply::ok());
    answers(model, "return redis.call('set', KEYS[1], 'v')", &Reply::ok());
    send(model, ME, &words("MULTI"), &Reply::ok());
    send(model, ME, &words("EXEC"), &Reply::NilArray);

    let line = words("BLPOP l 0");
    let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
    let blocks = Outcome { replies: &[], closed: false };
    model.step(OTHER, &line, &blocks, NOW).unwrap();
    // Who takes the element away again leaves nothing to be served with.
    answers(model, "redis.call('rpush', 'l', 'x') return redis.call('lpop', 'l')", &bulk("x"));
    assert!(model.take_due().is_empty());
    answers(model, "redis.call('rpush', 'l', 'y') return redis.call('llen', 'l')", &Reply::Integer(1));
    let due = model.take_due();
    assert_eq!(due.len(), 1);
    assert!(matches!(&due[0].allowed, Allowed::Exactly(Reply::Array(parts)) if parts == &[bulk("l"), bulk("y")]));

    send(model, OTHER, &words("MONITOR"), &Reply::ok());
    answers(model, "redis.pcall('nosuch') redis.call('select', 3) return redis.call('SET', KEYS[1], 1)", &Reply::ok());
    let shown: Vec<Allowed> = model.take_due().into_iter().map(|due| due.allowed).collect();
    let lines = [
        "[0 127.0.0.1:5] \"EVAL\" \"redis.pcall('nosuch') redis.call('select', 3) return redis.call('SET', KEYS[1], 1)\" \"1\" \"k\" \"a\"",
        "[0 lua] \"select\" \"3\"",
        "[3 lua] \"SET\" \"k\" \"1\"",
    ];
    assert_eq!(shown.len(), lines.len());
    for (shown, line) in shown.iter().zip(lines) {
        let admits = |line: &str| {
            let line = Reply::status(&format!("1760000000.000000 {line}"));
            shown.admits_reply(&line, tally_model::ErrorPolicy::Exact)
        };
        assert!(admits(line), "{shown} but {line}");
        assert!(!line.contains("lua") || !admits(&line.replace("lua", "127.0.0.1:5")), "{line}");
    }
}

//= SPEC.md#scripts-as-others-see-them
//# [EVAL-27] (wire) SLOWLOG MUST log each call of a script before the script itself, with the address `?:0` and no name.
#[test]
fn calls_are_logged_before_their_script() {
    let model = &mut model();
    send(model, ME, &words("CONFIG SET slowlog-log-slower-than 0"), &Reply::ok());
    send(model, ME, &words("SLOWLOG RESET"), &Reply::ok());
    send(model, ME, &eval("return redis.call('ping')", &[], &[]), &Reply::status("PONG"));
    let entry = |id: i64, line: &[&str], address: &str| {
        let line = line.iter().map(|word| bulk(word)).collect();
        let (time, micros) = (Reply::Integer(1_760_000_000), Reply::Integer(3));
        Reply::Array(vec![Reply::Integer(id), time, micros, Reply::Array(line), bulk(address), bulk("")])
    };
    let script = ["EVAL", "return redis.call('ping')", "0"];
    let mine = "127.0.0.1:5";
    let of_call = entry(1, &["ping"], "?:0");
    let reset = entry(0, &["SLOWLOG", "RESET"], mine);
    let right = Reply::Array(vec![entry(2, &script, mine), of_call.clone(), reset.clone()]);
    let wrong = Reply::Array(vec![of_call, entry(2, &script, mine), reset]);
    let line: Vec<&[u8]> = vec![b"SLOWLOG", b"GET"];
    assert!(model.step(ME, &line, &Outcome::reply(&wrong), NOW).is_err());
    model.step(ME, &line, &Outcome::reply(&right), NOW).unwrap();
}

/// What one script hands on: to the AOF, and to replicas.
fn handed_on(model: &mut Model, script: &str, reply: &Reply) -> (Vec<String>, Vec<String>) {
    send(model, ME, &eval(script, &[], &[]), reply);
    let mut first = model.take_propagated();
    let further = std::mem::take(&mut first.further);
    let (mut aof, mut replicas) = (Vec::new(), Vec::new());
    let text =
        |words: &Vec<Vec<u8>>| words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
    for Propagated { expired, aof: to_aof, replicas: to_replicas, .. } in std::iter::once(first).chain(further) {
        for (_, key) in expired {
            let deletion = format!("DEL {}", String::from_utf8_lossy(&key));
            aof.push(deletion.clone());
            replicas.push(deletion);
        }
        aof.extend(to_aof.iter().map(text));
        replicas.extend(to_replicas.iter().map(text));
    }
    (aof, replicas)
}

//= SPEC.md#scripts-as-others-see-them
//# [EVAL-30] (file) What a script's command propagates MUST go to the AOF and replicas, to the AOF alone, to replicas alone or to neither, as the last `redis.set_repl` before it said (`redis.REPL_ALL`, `REPL_AOF`, `REPL_SLAVE` or `REPL_REPLICA`, `REPL_NONE`), the deletion of expired keys always to both.
// [EVAL-28] [EVAL-29]
#[test]
fn scripts_are_handed_on_as_a_real_server_did() {
    let model = &mut model();
    let one = Reply::Integer(1);
    let both = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        (lines.clone(), lines)
    };
    let none = "redis.set_repl(redis.REPL_NONE) redis.call('set', 'a', '1')";
    let all = "redis.set_repl(redis.REPL_ALL)";
    assert_eq!(handed_on(model, &format!("{none} return 1"), &one), both(&[]));
    assert_eq!(
        handed_on(model, &format!("{none} {all} redis.call('get', 'a') return 1"), &one),
        both(&["MULTI", "EXEC"])
    );
    let script = format!("{none} {all} redis.call('get', 'a') redis.call('set', 'b', '2') return 1");
    assert_eq!(handed_on(model, &script, &one), both(&["MULTI", "set b 2", "EXEC"]));
    let script = "redis.set_repl(1) redis.call('set', 'a', 1) redis.set_repl(2) redis.call('set', 'a', 2) return 1";
    let (aof, replicas) = handed_on(model, script, &one);
    assert_eq!(aof, ["MULTI", "set a 1", "EXEC"]);
    assert_eq!(replicas, ["MULTI", "set a 2", "EXEC"]);
    let script = "redis.call('publish', 'c', 'm') redis.call('set', 'a', 2) redis.call('publish', 'c', 'n') return 1";
    let (aof, replicas) = handed_on(model, script, &one);
    assert_eq!(aof, ["MULTI", "set a 2", "EXEC"]);
    assert_eq!(replicas, ["publish c m", "MULTI", "set a 2", "publish c n", "EXEC"]);
    assert_eq!(handed_on(model, "redis.pcall('lpush', 'a', 1) return 1", &one), both(&["MULTI", "EXEC"]));
    assert_eq!(handed_on(model, "redis.pcall('lpush', 'a') return 1", &one), both(&[]));
    assert_eq!(handed_on(model, "redis.call('del', 'nokey') return 1", &one), both(&["MULTI", "EXEC"]));
    send(model, ME, &words("SADD s 1 2 3"), &Reply::Integer(3));
    let (aof, replicas) = handed_on(model, "redis.set_repl(1) return redis.call('spop', 's')", &bulk("2"));
    assert_eq!(aof, ["MULTI", "SREM s 2", "EXEC"]);
    assert_eq!(replicas, ["MULTI", "EXEC"]);
    send(model, ME, &words("SISMEMBER s 2"), &Reply::Integer(0));

    send(model, ME, &words("MULTI"), &Reply::ok());
    send(model, ME, &eval("return redis.call('set', 'k', 'v')", &[], &[]), &Reply::status("QUEUED"));
    send(model, ME, &words("EXEC"), &Reply::Array(vec![Reply::ok()]));
    let first = model.take_propagated();
    let lines: Vec<_> = std::iter::once(&first).chain(&first.further).flat_map(|piece| &piece.aof).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[1][0], b"set");
}

fn evalsha(script: &str) -> Vec<Vec<u8>> {
    let name = digest(script);
    ["EVALSHA", &name, "0"].iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// The name that SCRIPT LOAD allows.
fn digest(script: &str) -> String {
    let model = model();
    let line: [&[u8]; 3] = [b"SCRIPT", b"LOAD", script.as_bytes()];
    match model.allowed(ME, &line, NOW) {
        Allowed::Exactly(Reply::Bulk(name)) => String::from_utf8(name).unwrap(),
        other => panic!("{other}"),
    }
}

const TOO_LATE: &str = "Write commands not allowed after non deterministic commands. Call redis.replicate_commands() at \
                        the start of your script in order to switch to single commands replication mode.";
const NOT_YET: &str = "You can set the replication behavior only after turning on single commands replication with \
                       redis.replicate_commands().";

/// A model of a server that propagates scripts as they came.
fn whole_scripts() -> Model {
    let mut model = model();
    model.propagate_whole_scripts();
    model
}

//= SPEC.md#eval
//# [EVAL-32] (wire) A command flagged `write` that such a script calls after one flagged `random` MUST fail with `Write commands not allowed after non deterministic commands. Call redis.replicate_commands() at the start of your script in order to switch to single commands replication mode.`, and `redis.set_repl` with `You can set the replication behavior only after turning on single commands replication with redis.replicate_commands().`.
//# [EVAL-33] (wire) Such a script MUST be given the elements that a command flagged `sort_for_script` replies in the order of their bytes.
//# [EVAL-34] (wire) `redis.replicate_commands` MUST return true before the script's first command flagged `write`, and false after it.
#[test]
fn scripts_that_are_propagated_as_they_came_are_held_to_repeat_what_they_do() {
    let model = &mut whole_scripts();
    let too_late = error(&format!("@user_script: 1: {TOO_LATE}"));
    answers(model, "redis.call('randomkey') return redis.pcall('lpush', KEYS[1], 'x')", &too_late);
    answers(model, "redis.pcall('srandmember', KEYS[1]) return redis.pcall('set', KEYS[1], 'w')", &too_late);
    let arity = error("@user_script: 1: Wrong number of args calling Redis command From Lua script");
    answers(model, "redis.call('randomkey') return redis.pcall('lpush', KEYS[1])", &arity);
    // What was not run left nothing to chance.
    answers(model, "redis.pcall('time', 'x') return redis.pcall('set', KEYS[1], 'w')", &Reply::ok());
    answers(
        model,
        "redis.call('time') redis.replicate_commands() return redis.pcall('set', KEYS[1], 'w')",
        &Reply::ok(),
    );
    answers(
        model,
        "redis.call('time') redis.pcall('set', KEYS[1], 1) return redis.replicate_commands()",
        &Reply::Integer(1),
    );
    answers(model, "redis.pcall('lpush', KEYS[1], 'v') return redis.replicate_commands()", &Reply::NilBulk);
    answers(model, "return redis.replicate_commands()", &Reply::Integer(1));
    for call in ["redis.set_repl()", "redis.set_repl(99)", "redis.set_repl(redis.REPL_ALL)"] {
        ended(model, call, &format!("@user_script:1: {NOT_YET} "));
    }
    answers(
        model,
        "local ok, e = pcall(function() redis.set_repl(1) end) return {e}",
        &Reply::Array(vec![bulk(NOT_YET)]),
    );
    answers(model, "redis.replicate_commands() redis.set_repl(0) return 1", &Reply::Integer(1));
    send(model, ME, &words("HSET h b 1 a 2 c 0"), &Reply::Integer(3));
    send(model, ME, &words("SADD s z y x 10 9"), &Reply::Integer(5));
    let in_order = |elements: &[&str]| Reply::Array(elements.iter().map(|element| bulk(element)).collect());
    for (call, elements) in [
        ("'hkeys', 'h'", &["a", "b", "c"][..]),
        ("'hvals', 'h'", &["0", "1", "2"]),
        ("'smembers', 's'", &["10", "9", "x", "y", "z"]),
        ("'sdiff', 's', 'absent'", &["10", "9", "x", "y", "z"]),
        ("'keys', '*'", &["h", "k", "s"]),
    ] {
        answers(model, &format!("return redis.call({call})"), &in_order(elements));
        let first =
            format!("local r = redis.call({call}) redis.call('set', 'first', r[1]) return redis.call('del', 'first')");
        answers(model, &first, &Reply::Integer(1));
    }
    let disorder = Outcome::reply(&Reply::Array(["x", "y", "z", "10", "9"].map(bulk).to_vec())).replies.to_vec();
    let line = eval("return redis.call('smembers', 's')", &[], &[]);
    let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
    assert!(model.step(ME, &line, &Outcome::reply(&disorder[0]), NOW).is_err());
}

//= SPEC.md#eval
//# [EVAL-31] (file) While `lua-replicate-commands` is `no`, as a configuration file sets it and DEBUG LUA-ALWAYS-REPLICATE-COMMANDS with 0 (and with another number `yes`), a script that has not called `redis.replicate_commands` before its first command flagged `write` MUST be propagated as it came, once and if it changed anything, in place of what its commands propagate.
//# [EVAL-35] (file) A script one of whose commands propagates something else than it came as, for example SPOP, XADD with `*` or EXPIRE, MUST be propagated as EVAL-28 and EVAL-29 say in place of EVAL-31.
#[test]
fn scripts_are_propagated_as_they_came_where_that_is_configured() {
    let model = &mut whole_scripts();
    let one = Reply::Integer(1);
    let both = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        (lines.clone(), lines)
    };
    let itself = |script: &str| both(&[&format!("EVAL {script} 0")]);
    let writes = "redis.call('set', 'a', '1') redis.call('select', 1) redis.call('set', 'b', '1') return 1";
    assert_eq!(handed_on(model, writes, &one), itself(writes));
    for script in [
        "redis.call('get', 'a') return 1",
        "redis.call('del', 'nokey') return 1",
        "redis.pcall('lpush', 'a', 1) return 1",
    ] {
        assert_eq!(handed_on(model, script, &one), both(&[]), "{script}");
    }
    let publishes = "redis.call('publish', 'c', 'v') return 1";
    assert_eq!(handed_on(model, publishes, &one), (Vec::new(), vec![format!("EVAL {publishes} 0")]));
    let single = "redis.call('randomkey') redis.replicate_commands() redis.call('set', 'a', '1') return 1";
    assert_eq!(handed_on(model, single, &one), both(&["MULTI", "set a 1", "EXEC"]));
    let late = "redis.call('set', 'a', '1') redis.replicate_commands() return 1";
    assert_eq!(handed_on(model, late, &one), itself(late));
    // (E-146)
    let before = "redis.call('publish', 'c', 'v') redis.replicate_commands() return 1";
    assert_eq!(handed_on(model, before, &one), (Vec::new(), vec!["publish c v".to_owned()]));
    // (E-144)
    send(model, ME, &words("SADD s 1 2 3"), &Reply::Integer(3));
    let chance = handed_on(model, "redis.call('set', 'a', '1') return redis.call('spop', 's')", &bulk("2"));
    assert_eq!(chance, both(&["MULTI", "set a 1", "SREM s 2", "EXEC"]));
    let (aof, replicas) = handed_on(model, "return redis.call('expire', 'a', 1)", &one);
    assert_eq!(aof, ["MULTI", "PEXPIREAT a 1760000001000", "EXEC"]);
    assert_eq!(replicas, ["MULTI", "expire a 1", "EXEC"]);

    send(model, ME, &words("MULTI"), &Reply::ok());
    send(model, ME, &eval(writes, &[], &[]), &Reply::status("QUEUED"));
    send(model, ME, &words("EXEC"), &Reply::Array(vec![one.clone()]));
    let first = model.take_propagated();
    let names: Vec<_> =
        std::iter::once(&first).chain(&first.further).flat_map(|piece| &piece.aof).map(|line| &line[0]).collect();
    assert_eq!(names, [b"MULTI".as_slice(), b"EVAL", b"EXEC"]);

    send(model, ME, &words("DEBUG LUA-ALWAYS-REPLICATE-COMMANDS 2"), &Reply::ok());
    assert_eq!(handed_on(model, "redis.call('set', 'a', '1') return 1", &one), both(&["MULTI", "set a 1", "EXEC"]));
    send(model, ME, &words("DEBUG LUA-ALWAYS-REPLICATE-COMMANDS 0"), &Reply::ok());
    assert_eq!(handed_on(model, writes, &one), itself(writes));
}

//= SPEC.md#eval
//# [EVAL-37] (file) A script one of whose commands was refused because memory is short or the server takes no writes MUST be propagated as EVAL-28 and EVAL-29 say in place of EVAL-31.
#[test]
fn scripts_that_were_refused_something_are_propagated_as_what_they_did() {
    let model = &mut whole_scripts();
    send(model, ME, &words("SET a 1"), &Reply::ok());
    send(model, ME, &words("CONFIG SET maxmemory 1"), &Reply::ok());
    let refused = error("@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.  ");
    let script = "local refused = redis.pcall('set', 'x', '1') redis.call('del', 'a') return refused";
    let did = ["MULTI", "del a", "EXEC"].map(str::to_owned).to_vec();
    assert_eq!(handed_on(model, script, &refused), (did.clone(), did));
}

//= SPEC.md#eval
//# [EVAL-31] (file) While `lua-replicate-commands` is `no`, as a configuration file sets it and DEBUG LUA-ALWAYS-REPLICATE-COMMANDS with 0 (and with another number `yes`), a script that has not called `redis.replicate_commands` before its first command flagged `write` MUST be propagated as it came, once and if it changed anything, in place of what its commands propagate.
#[test]
fn a_script_propagated_as_it_came_is_said_to_raise_what_it_raised() {
    let model = &mut whole_scripts();
    let script = "redis.call('set', 'a', '1') error('x')";
    ended(model, script, "@user_script:1: user_script:1: x ");
    let raised = model.take_propagated().raises.unwrap();
    assert!(raised.ends_with(b"): @user_script:1: user_script:1: x "), "{}", String::from_utf8_lossy(&raised));
    answers(model, "redis.call('set', 'a', '1') return redis.error_reply('E x')", &error("E x"));
    assert_eq!(model.take_propagated().raises.as_deref(), Some(b"E x".as_slice()));
    answers(model, "redis.call('set', 'a', '1') return 1", &Reply::Integer(1));
    assert_eq!(model.take_propagated().raises, None);
    // That changes nothing, and so is only loaded where it is handed on.
    let script = "return redis.error_reply('E x')";
    let load = ["SCRIPT", "LOAD", script].map(|word| word.as_bytes().to_vec());
    send(model, ME, &load, &bulk(&digest(script)));
    model.take_propagated();
    send(model, ME, &evalsha(script), &error("E x"));
    let loaded = model.take_propagated();
    assert_eq!((loaded.replicas, loaded.raises), (vec![load.to_vec()], None));
}

//= SPEC.md#evalsha
//# [EVALSHA-3] (file) EVALSHA that EVAL-31 has propagated MUST be propagated as EVAL with the script's text, or if it changed nothing as SCRIPT LOAD, unless it has been so since the server started, the last SCRIPT FLUSH and the last rewrite of the AOF began.
#[test]
fn the_text_of_a_script_is_propagated_until_it_is_known() {
    let model = &mut whole_scripts();
    let load = |script: &str| vec![b"SCRIPT".to_vec(), b"LOAD".to_vec(), script.as_bytes().to_vec()];
    let run = |model: &mut Model, script: &str, reply: Reply| {
        send(model, ME, &evalsha(script), &reply);
        let piece = model.take_propagated();
        assert!(!piece.unspecified);
        (piece.aof, piece.replicas)
    };
    let both = |line: Vec<Vec<u8>>| (vec![line.clone()], vec![line]);
    let (writes, reads) = ("return redis.call('set', 'a', '1')", "return redis.call('del', 'nokey')");
    let sends = "return redis.call('publish', 'c', 'v')";
    for script in [writes, reads, sends] {
        send(model, ME, &load(script), &bulk(&digest(script)));
    }
    assert_eq!(run(model, writes, Reply::ok()), both(eval(writes, &[], &[])).clone());
    assert_eq!(run(model, writes, Reply::ok()), both(evalsha(writes)));
    assert_eq!(run(model, reads, Reply::Integer(0)), both(load(reads)));
    assert_eq!(run(model, reads, Reply::Integer(0)), (Vec::new(), Vec::new()));
    // (E-146)
    assert_eq!(run(model, sends, Reply::Integer(0)), (vec![load(sends)], vec![eval(sends, &[], &[])]));
    let started = Reply::status("Background append only file rewriting started");
    send(model, ME, &words("BGREWRITEAOF"), &started);
    assert_eq!(run(model, writes, Reply::ok()), both(eval(writes, &[], &[])));
    send(model, ME, &words("SCRIPT FLUSH"), &Reply::ok());
    send(model, ME, &load(writes), &bulk(&digest(writes)));
    assert_eq!(run(model, writes, Reply::ok()), both(eval(writes, &[], &[])));
    // Until a rewrite that waits has begun nobody knows who knows what.
    send(model, ME, &words("BGREWRITEAOF"), &Reply::status("Background append only file rewriting scheduled"));
    send(model, ME, &evalsha(writes), &Reply::ok());
    assert!(model.take_propagated().unspecified);
    send(model, ME, &words("BGREWRITEAOF"), &started);
    assert_eq!(run(model, writes, Reply::ok()), both(eval(writes, &[], &[])));
}

//= SPEC.md#script
//# [SCRIPT-3] (wire) SCRIPT FLUSH MUST forget all scripts and answer `+OK`.
// [SCRIPT-1] [SCRIPT-2] [SCRIPT-4] [SCRIPT-5] [SCRIPT-6] [SCRIPT-7] [EVALSHA-1] [EVALSHA-2] [EVAL-2] [EVAL-3] [EVAL-4] [EVAL-6] [EVAL-7]
#[test]
fn scripts_are_kept_until_they_are_forgotten() {
    let model = &mut model();
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let load = |text: &str| vec![b"SCRIPT".to_vec(), b"LOAD".to_vec(), text.as_bytes().to_vec()];
    send(model, ME, &load("return 1"), &bulk(sha));
    assert_eq!(model.take_propagated().aof, [load("return 1")]);
    send(model, ME, &words(&format!("EVALSHA {} 0", sha.to_uppercase())), &Reply::Integer(1));
    let exists = format!("SCRIPT EXISTS {sha} {} {sha}0 x", sha.to_uppercase());
    send(model, ME, &words(&exists), &integers(&[1, 1, 0, 0]));
    send(model, ME, &words("SCRIPT EXISTS"), &Reply::Array(Vec::new()));
    send(model, ME, &words("SCRIPT FLUSH"), &Reply::ok());
    assert_eq!(model.take_propagated().aof, [words("SCRIPT FLUSH")]);
    send(model, ME, &words(&exists), &integers(&[0, 0, 0, 0]));
    send(model, ME, &words(&format!("EVALSHA {sha} 0")), &error("NOSCRIPT No matching script. Please use EVAL."));
    send(model, ME, &words("EVALSHA abc x"), &error("NOSCRIPT No matching script. Please use EVAL."));
    for (count, text) in [
        ("x", "ERR value is not an integer or out of range"),
        ("-1", "ERR Number of keys can't be negative"),
        ("1", "ERR Number of keys can't be greater than number of args"),
    ] {
        send(model, ME, &words(&format!("EVALSHA {sha} {count}")), &error(text));
    }
    // What is run is kept, whatever it answers.
    let line = eval("return 1", &[], &[]);
    send(model, ME, &line, &Reply::Integer(1));
    send(model, ME, &words(&exists), &integers(&[1, 1, 0, 0]));
    send(model, ME, &words("SCRIPT KILL"), &error("NOTBUSY No scripts in execution right now."));
    send(model, ME, &words("SCRIPT DEBUG NO"), &Reply::ok());
    send(model, ME, &words("SCRIPT DEBUG maybe"), &error("ERR Use SCRIPT DEBUG yes/sync/no"));
    let unknown = "ERR Unknown subcommand or wrong number of arguments for 'bogus'. Try SCRIPT HELP.";
    send(model, ME, &words("SCRIPT bogus"), &error(unknown));
    // Whether a text is Lua the model does not say: it takes what it is told, and keeps no text that is none.
    let refused = error("ERR Error compiling script (new function): user_script:2: unexpected symbol near 'end' ");
    send(model, ME, &load("return ("), &refused);
    assert_eq!(model.scripts().count(), 1);
    let line = eval("return (", &[], &[]);
    let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
    assert!(model.step(ME, &line, &Outcome::reply(&refused), NOW).unwrap().unspecified);
    assert_eq!(model.scripts().count(), 1);
}
