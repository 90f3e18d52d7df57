//! A compacted AOF file makes its dataset from few commands, and the model makes the same dataset from them.
#![allow(clippy::unwrap_used)]

mod conversation;

use std::collections::BTreeMap;

use conversation::{BEGIN_MS, Conversation};
use tally_engine::config::Config;
use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Reply, Span, aof};

const ME: ClientId = ClientId(1);
const NOW: Span = Span { earliest_ms: BEGIN_MS, latest_ms: BEGIN_MS };

/// An engine that holds collections of several commands' length in two databases.
fn filled() -> Conversation {
    let mut engine = Conversation::with(Config { aof_use_rdb_preamble: false, ..Config::default() });
    for round in 0..200 {
        let (number, name) = (round.to_string(), format!("element:{round}"));
        engine.say(&["RPUSH", "list", &name, &number]);
        engine.say(&["SADD", "integers", &number]);
        engine.say(&["SADD", "names", &name]);
        engine.say(&["ZADD", "zset", &format!("{round}.5"), &name]);
        engine.say(&["HSET", "hash", &name, &number]);
        if round % 50 == 0 {
            engine.say(&["ZADD", "small", "-0", &name, "inf", &number]);
            engine.say(&["HSET", "pairs", &name, ""]);
        }
    }
    engine.say(&["PFADD", "estimate", "a", "b"]);
    engine.say(&["SET", "text", "value"]);
    engine.say(&["PEXPIRE", "hash", "100000"]);
    engine.say(&["SELECT", "3"]);
    engine.say(&["SET", "", "12"]);
    engine.say(&["PEXPIRE", "", "200000"]);
    engine.say(&["RPUSH", "one", ""]);
    engine
}

/// One of the allowed replies; the digests are exact.
fn any_reply(allowed: &Allowed) -> Reply {
    match allowed {
        Allowed::Exactly(reply) => reply.clone(),
        Allowed::Either(one, _) => any_reply(one),
        other => panic!("{other} is not exact"),
    }
}

fn make(model: &mut Model, command: &[Vec<u8>]) -> Reply {
    let command: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
    let reply = any_reply(&model.allowed(ME, &command, NOW));
    model.step(ME, &command, &Outcome::reply(&reply), NOW).unwrap();
    reply
}

//= SPEC.md#aof-file
//# [AOF-14] (file) A compacted AOF file without a preamble MUST make each key by SET, or by RPUSH, SADD, ZADD or HMSET of at most 64 elements each, and give it its deadline by PEXPIREAT after that, with SELECT before the keys of each database.
#[test]
fn a_compacted_file_makes_each_key_by_few_commands_in_the_model_too() {
    let mut engine = filled();
    let mut file = Vec::new();
    engine.engine.compact_aof(&mut file).unwrap();
    let read = aof::file(&file).unwrap();
    assert_eq!(read.end, aof::AofEnd::Whole);
    let mut model = Model::new(Profile::strict());
    model.connect(ME, Peer::default());
    let mut made: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    let mut selected = Vec::new();
    for (_, command) in &read.commands {
        let name = String::from_utf8(command[0].clone()).unwrap();
        let most = match name.as_str() {
            "SELECT" => {
                selected.push(command[1].clone());
                2
            }
            "SET" | "PEXPIREAT" => 3,
            "RPUSH" | "SADD" => 2 + 64,
            "ZADD" | "HMSET" => 2 + 2 * 64,
            other => panic!("{other} in a compacted file"),
        };
        assert!(command.len() <= most, "{name} of {} arguments", command.len());
        if name != "SELECT" {
            made.entry(command[1].clone()).or_default().push(name);
        }
        assert!(!matches!(make(&mut model, command), Reply::Error(_)), "{command:?}");
    }
    assert_eq!(selected, [b"0".to_vec(), b"3".to_vec()]);
    // 400 elements, 200 members and 200 pairs.
    let times = |key: &str| made[key.as_bytes()].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(times("list"), ["RPUSH"; 7]);
    assert_eq!(times("integers"), ["SADD"; 4]);
    assert_eq!(times("names"), ["SADD"; 4]);
    assert_eq!(times("zset"), ["ZADD"; 4]);
    assert_eq!(times("hash"), ["HMSET", "HMSET", "HMSET", "HMSET", "PEXPIREAT"]);
    assert_eq!(times("estimate"), ["SET"]);
    assert_eq!(times(""), ["SET", "PEXPIREAT"]);
    let digest = [b"DEBUG".to_vec(), b"DIGEST".to_vec()];
    assert_eq!(make(&mut model, &digest), engine.say(&["DEBUG", "DIGEST"]));
}
