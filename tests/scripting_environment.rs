//! Scripts: what hundreds of small ones answer is what a real Redis 5.0 answers, word for word.
#![allow(clippy::unwrap_used)]

mod conversation;
mod spawned;

use std::io::{Read, Write};
use std::net::TcpStream;

use conversation::Conversation;
use spawned::{Server, folder};
use tally_check::reply_reader::ReplyReader;
use tally_check::request::Request;
use tally_model::Reply;

fn encoded(words: &[&[u8]]) -> Vec<u8> {
    let mut request = Request::new();
    words.iter().for_each(|word| request.push(word));
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    bytes
}

fn ask(socket: &mut TcpStream, words: &[&[u8]]) -> Reply {
    socket.write_all(&encoded(words)).unwrap();
    let mut reader = ReplyReader::default();
    let mut room = [0; 16 * 1024];
    loop {
        let reply = reader.next_reply();
        let reply = reply.unwrap_or_else(|error| panic!("{error}: {}", words.concat().escape_ascii()));
        if let Some(reply) = reply {
            return reply;
        }
        let bytes = socket.read(&mut room).unwrap();
        assert!(bytes > 0, "the server closed the connection at {}", words.concat().escape_ascii());
        reader.push(&room[..bytes]);
    }
}

fn answer(engine: &mut Conversation, words: &[&[u8]]) -> Reply {
    let mut reader = ReplyReader::default();
    reader.push(&engine.exchange(words));
    reader.next_reply().unwrap().unwrap()
}

/// Runs the scripts of a file, one a line, in one server after the other: settings and data of one are there for the
/// next.
fn hold_against_a_real_server(scripts: &str, at_least: usize) {
    let folder = folder();
    let Some(server) = Server::real(folder.path(), &[]) else { return };
    let mut socket = server.socket();
    let mut engine = Conversation::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for script in scripts.lines() {
        let words = [&b"EVAL"[..], script.as_bytes(), b"0"];
        let (theirs, ours) = (ask(&mut socket, &words), answer(&mut engine, &words));
        if theirs != ours {
            wrong.push(format!("{script}\n    theirs {theirs}\n    ours   {ours}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= at_least, "{count} scripts");
}

//= SPEC.md#lua-environment
//# [LUA-1] (wire) A script MUST be run as the body of a Lua 5.1 function without parameters, of a chunk named `user_script`, with its keys and arguments in the global tables KEYS and ARGV.
//# [LUA-2] (wire) A script MUST find the functions of Lua's base library but dofile and loadfile, the libraries coroutine, string, table and math, and besides them cjson, cmsgpack, struct, bit and redis, but neither os, io, debug, package, require nor module.
//# [LUA-3] (wire) A script that reads a global variable which does not exist MUST fail with `Script attempted to access nonexistent global variable`, and a function of it that creates one with `Script attempted to create global variable`, each with the name in single quotes after it.
//# [LUA-4] (wire) A script that is no Lua MUST be answered by `ERR Error compiling script (new function): ` and Lua's message, and one that raises an error by `ERR Error running script (call to f_SHA1): `, the chunk and line that raised it, and the message.
//# [LUA-5] (wire) An error that is neither a string nor a number MUST be answered as the failure to put a place before it, `attempt to concatenate local 'err'` and its type.
//# [LUA-6] (wire) Lua's bytecode MUST NOT be loaded.
//# [LUA-7] (wire) math.random MUST follow the numbers of POSIX' lrand48, which begin anew with seed 0 in each script and with the given seed after math.randomseed.
//# [LUA-8] (wire) redis.call and redis.pcall MUST refuse what is no command, takes another number of arguments, is not for scripts, or has arguments that are neither strings nor numbers, with `@user_script: LINE: ` before the reason.
//# [LUA-9] (wire) An error of the command MUST be raised by redis.call as a string, and returned by redis.pcall as a table whose field `err` it is.
//# [LUA-10] (wire) redis.error_reply and redis.status_reply MUST return a table whose field `err` or `ok` is their one argument, a string.
//# [LUA-11] (wire) redis.sha1hex MUST return the SHA1 of its one argument in hexadecimal digits of lower case.
#[test]
fn the_language_and_the_functions_of_redis_answer_as_redis_does() {
    hold_against_a_real_server(include_str!("data/scripting/language.txt"), 380);
}

//= SPEC.md#lua-environment
//# [LUA-12] (wire) cjson MUST encode and decode as version 2.1.0 of that library does, each instance of it with settings of its own.
#[test]
fn json_is_read_and_written_as_redis_does() {
    hold_against_a_real_server(include_str!("data/scripting/json.txt"), 150);
}

//= SPEC.md#lua-environment
//# [LUA-13] (wire) cmsgpack MUST pack and unpack as version 0.4.0 of that library does: tables of which all keys count up from 1 as arrays, others as maps, tables in more than sixteen others as nil, and doubles as integers or as 32 bits where nothing is lost.
#[test]
fn message_pack_is_read_and_written_as_redis_does() {
    hold_against_a_real_server(include_str!("data/scripting/message_pack.txt"), 100);
}

//= SPEC.md#lua-environment
//# [LUA-14] (wire) struct MUST pack and unpack `b B h H i I l L T f d s c x` with the modifiers `> < !` as C lays the types out on a 64-bit machine.
#[test]
fn packed_values_are_read_and_written_as_redis_does() {
    hold_against_a_real_server(include_str!("data/scripting/packing.txt"), 100);
}

//= SPEC.md#lua-environment
//# [LUA-15] (wire) The functions of bit MUST take numbers modulo 2^32, rounded to even, and return signed numbers of 32 bits.
#[test]
fn bits_are_counted_as_redis_does() {
    hold_against_a_real_server(include_str!("data/scripting/bits.txt"), 45);
}

//= SPEC.md#lua-environment
//# [LUA-16] (wire) No script MAY end the server: tables nested without end, texts nested too deep for the stack and metamethods of the returned table do no more than fail.
#[test]
fn what_kills_redis_is_answered_by_an_error() {
    let mut engine = Conversation::new();
    let mut fails = |script: &str, words: &str| {
        // As text: some are nested too deep for our reader of replies.
        let output = engine.exchange(&[b"EVAL", script.as_bytes(), b"0"]);
        let shown = String::from_utf8_lossy(&output);
        let end: String = shown.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
        assert!(shown.contains(words), "{script}: {end}");
        // The server goes on.
        assert_eq!(answer(&mut engine, &[b"EVAL", b"return 7", b"0"]), Reply::Integer(7));
    };
    fails("local t = {} t[1] = t return t", "reached lua stack limit");
    fails("return setmetatable({}, {__index = function(t, k) error('x') end})", "*0");
    fails("return bit.tohex(1, -2^31)", "00000001");
    fails("end redis.call('ping') function g()", "ERR Error running script (new function)");
    fails("return cmsgpack.unpack(string.rep('\\145', 20000) .. '\\1')", "stack overflow");
    fails("local function f() return 1 + f() end return f()", "stack overflow");
    fails("local function f() return pcall(f) end return f()", ":1");
    fails("local s = 'x' while true do s = s .. s end", "not enough memory");
}

/// Scripts that many applications run, with their calls.
#[test]
fn popular_scripts_run_as_on_redis() {
    let release = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
    let extend = "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end \
        return redis.call('pexpire', KEYS[1], ARGV[2])";
    let limiter = "local now, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) \
        redis.call('zremrangebyscore', KEYS[1], '-inf', now - window) \
        local used = redis.call('zcard', KEYS[1]) \
        if used < most then redis.call('zadd', KEYS[1], now, ARGV[4]) \
        redis.call('pexpire', KEYS[1], window) return {1, most - used - 1} end \
        local oldest = redis.call('zrange', KEYS[1], 0, 0, 'WITHSCORES') \
        return {0, oldest[2] + window - now}";
    let mover = "local wait, active, jobs = KEYS[1], KEYS[2], KEYS[3] \
        local id = redis.call('rpoplpush', wait, active) \
        if not id then return false end \
        local key = jobs .. ':' .. id \
        redis.call('hmset', key, 'processedOn', ARGV[1], 'attempts', (tonumber(redis.call('hget', key, 'attempts')) or 0) + 1) \
        redis.call('xadd', jobs .. ':events', '1-' .. ARGV[1], 'event', 'active', 'jobId', id) \
        local data = cjson.decode(redis.call('hget', key, 'data')) \
        return {id, cmsgpack.pack({data.name, #data.items}), cjson.encode(data), redis.call('hgetall', key)}";
    let calls: Vec<Vec<&str>> = vec![
        vec!["SET", "lock", "mine", "NX", "PX", "30000"],
        vec!["EVAL", release, "1", "lock", "theirs"],
        vec!["EVAL", extend, "1", "lock", "mine", "60000"],
        vec!["EVAL", extend, "1", "lock", "theirs", "60000"],
        vec!["EVAL", release, "1", "lock", "mine"],
        vec!["EVAL", release, "1", "lock", "mine"],
        vec!["SCRIPT", "LOAD", limiter],
        vec!["EVAL", limiter, "1", "hits", "1000", "500", "2", "a"],
        vec!["EVAL", limiter, "1", "hits", "1100", "500", "2", "b"],
        vec!["EVAL", limiter, "1", "hits", "1200", "500", "2", "c"],
        vec!["EVAL", limiter, "1", "hits", "1501", "500", "2", "d"],
        vec!["ZRANGE", "hits", "0", "-1", "WITHSCORES"],
        vec!["HSET", "job:1", "data", r#"{"name":"mail","items":[1,2,3]}"#],
        vec!["LPUSH", "wait", "1"],
        vec!["EVAL", mover, "3", "wait", "active", "job", "5"],
        vec!["EVAL", mover, "3", "wait", "active", "job", "6"],
        vec!["LRANGE", "active", "0", "-1"],
        vec!["XRANGE", "job:events", "-", "+"],
        vec!["SCRIPT", "EXISTS", "0000000000000000000000000000000000000000"],
        vec!["SCRIPT", "FLUSH"],
    ];
    let folder = folder();
    let Some(server) = Server::real(folder.path(), &[]) else { return };
    let mut socket = server.socket();
    let mut engine = Conversation::new();
    for call in &calls {
        let words: Vec<&[u8]> = call.iter().map(|word| word.as_bytes()).collect();
        assert_eq!(answer(&mut engine, &words), ask(&mut socket, &words), "{call:?}");
    }
}
