//! The naive codec and a real Redis 7: what it saves is read as what it says it holds, and what is written it restores and loads.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use any_content::{any_content, any_forms, any_member, kinds_of, ordered};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use redis::{Connection, FromRedisValue, Value};
use spawned::{Server, folder, free_port};
use tally_model::Span;
use tally_model::rdb::{self, Content, Forms, Item, ValueType, Writer};
use tally_model::stream::{Consumer, Group, Item as Entry, Node, Pending, StreamId, StreamValue};

#[path = "../model/tests/any_content/mod.rs"]
mod any_content;
mod spawned;

/// A real Redis 7 that loads what is in the folder; `None`, said aloud, when there is none on this machine.
fn real(folder: &Path) -> Option<Server> {
    let Some(program) = env::var_os("TALLY_REDIS7") else {
        assert!(env::var_os("CI").is_none(), "TALLY_REDIS7 names no Redis 7");
        println!("SKIPPED: TALLY_REDIS7 names no Redis 7");
        return None;
    };
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "local"]).current_dir(folder);
    // Structures are looked into when they are restored or loaded.
    command.args(["--sanitize-dump-payload", "yes"]);
    Some(Server::run(command, port, folder))
}

/// Runs so many cases from the seed that it tells.
fn runner(cases: u32) -> (TestRunner, u64) {
    let given = env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    let rng_seed = RngSeed::Fixed(seed);
    (TestRunner::new(Config { cases, rng_seed, failure_persistence: None, ..Config::default() }), seed)
}

/// A failure tells how it is repeated, and what the server has to say.
fn held_true<T: Debug>(outcome: Result<(), TestError<T>>, seed: u64, server: &Server) {
    if let Err(failure) = outcome {
        let again = format!("PROPTEST_RNG_SEED={seed} cargo test --test rdb_real_newer");
        panic!("{failure}\n{}\nreplay: {again}", server.output());
    }
}

type Words = Vec<Vec<u8>>;

fn words(words: &[&[u8]]) -> Words {
    words.iter().map(|word| word.to_vec()).collect()
}

fn text(text: impl ToString) -> Vec<u8> {
    text.to_string().into_bytes()
}

fn ask<T: FromRedisValue>(client: &mut Connection, words: &[impl AsRef<[u8]>]) -> T {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word.as_ref());
    });
    let shown: Vec<String> = words.iter().map(|word| word.as_ref().escape_ascii().to_string()).collect();
    command.query(client).unwrap_or_else(|error| panic!("{}: {error}", shown.join(" ")))
}

/// The version of the files that it saves, of which not every one is read.
fn version(client: &mut Connection, folder: &Path) -> u16 {
    ask::<()>(client, &["SAVE"]);
    let version = rdb::file(&fs::read(folder.join("dump.rdb")).unwrap()).unwrap().version;
    assert!(version >= 10, "this is no Redis 7: version {version}");
    version
}

/// The commands that make a value; of a group only what they allow.
fn making(key: &[u8], content: &Content) -> Vec<Words> {
    let with = |name: &[u8], arguments: Words| [words(&[name, key]), arguments].concat();
    match content {
        Content::String(string) => vec![with(b"SET", vec![string.clone()])],
        Content::List(items) => items.iter().map(|item| with(b"RPUSH", vec![item.clone()])).collect(),
        Content::Set(members) => vec![with(b"SADD", members.clone())],
        Content::Zset(members) => {
            let scored = members.iter().flat_map(|(member, score)| [text(score), member.clone()]);
            vec![with(b"ZADD", scored.collect())]
        }
        Content::Hash(pairs) => {
            vec![with(b"HSET", pairs.iter().flat_map(|(field, value)| [field.clone(), value.clone()]).collect())]
        }
        Content::Stream(stream) => making_stream(key, stream),
    }
}

fn making_stream(key: &[u8], stream: &StreamValue) -> Vec<Words> {
    let with = |name: &[u8], arguments: Words| [words(&[name, key]), arguments].concat();
    let items = || stream.nodes.values().flat_map(|node| &node.entries);
    let mut commands: Vec<Words> = items()
        .map(|(id, item)| {
            let pairs = item.pairs.iter().flat_map(|(field, value)| [field.clone(), value.clone()]);
            with(b"XADD", [text(id)].into_iter().chain(pairs).collect())
        })
        .collect();
    let deleted = items().filter(|(_, item)| item.deleted);
    commands.extend(deleted.map(|(id, _)| with(b"XDEL", vec![text(id)])));
    for (name, group) in &stream.groups {
        let about = |sub: &[u8], tail: &[&[u8]]| [words(&[b"XGROUP", sub, key, name]), words(tail)].concat();
        commands.push(about(b"CREATE", &[group.last_id.to_string().as_bytes(), b"MKSTREAM"]));
        commands.extend(group.consumers.keys().map(|consumer| about(b"CREATECONSUMER", &[consumer])));
        // Only what exists can be pending by a command.
        let pending = group.pending.values().zip(stream.entries());
        commands.extend(pending.map(|(pending, (id, _))| {
            let (id, time) = (text(id), text(pending.delivered.earliest_ms));
            let head = words(&[b"XCLAIM", key, name, &pending.consumer, b"0", &id, b"TIME", &time]);
            [head, words(&[b"RETRYCOUNT", &text(pending.deliveries), b"FORCE", b"JUSTID"])].concat()
        }));
        if let Some(consumer) = group.consumers.keys().next() {
            let read = [b"XREADGROUP".as_slice(), b"GROUP", name, consumer, b"COUNT", b"2", b"STREAMS", key, b">"];
            commands.push(words(&read));
        }
    }
    commands
}

/// What the server says a key holds.
fn held(client: &mut Connection, key: &[u8]) -> Content {
    let mut about = |name: &str, tail: &[&str]| -> Value {
        let tail = tail.iter().map(|word| word.as_bytes());
        ask(client, &[name.as_bytes(), key].into_iter().chain(tail).collect::<Vec<_>>())
    };
    let kind: String = taken(about("TYPE", &[]));
    match kind.as_str() {
        "string" => Content::String(taken(about("GET", &[]))),
        "list" => Content::List(taken(about("LRANGE", &["0", "-1"]))),
        "set" => Content::Set(taken(about("SMEMBERS", &[]))),
        "hash" => Content::Hash(pairs(taken(about("HGETALL", &[])))),
        "zset" => {
            let members = pairs(taken(about("ZRANGE", &["0", "-1", "WITHSCORES"])));
            let score = |text: Vec<u8>| String::from_utf8(text).unwrap().parse().unwrap();
            Content::Zset(members.into_iter().map(|(member, text)| (member, score(text))).collect())
        }
        "stream" => {
            let info = ask(client, &[b"XINFO".as_slice(), b"STREAM", key, b"FULL", b"COUNT", b"0"]);
            Content::Stream(stream(&fields(info)))
        }
        other => panic!("a {other}"),
    }
}

fn taken<T: FromRedisValue>(value: Value) -> T {
    redis::from_redis_value(value).unwrap()
}

fn pairs(flat: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// A reply of names and values.
fn fields(reply: Value) -> BTreeMap<String, Value> {
    let flat: Vec<Value> = taken(reply);
    flat.chunks_exact(2).map(|pair| (taken(pair[0].clone()), pair[1].clone())).collect()
}

fn part<T: FromRedisValue>(fields: &BTreeMap<String, Value>, name: &str) -> T {
    taken(fields[name].clone())
}

fn id(text: Vec<u8>) -> StreamId {
    StreamId::parse(&text, 0).unwrap()
}

/// A stream as XINFO STREAM FULL shows it, all of its entries in one node.
fn stream(info: &BTreeMap<String, Value>) -> StreamValue {
    let entries: Vec<(Vec<u8>, Vec<Vec<u8>>)> = part(info, "entries");
    let entries = entries.into_iter().map(|(at, flat)| (id(at), Entry { deleted: false, pairs: pairs(flat) }));
    let mut stream = in_one_node(entries.collect());
    stream.last_id = id(part(info, "last-generated-id"));
    assert_eq!(stream.len(), part::<usize>(info, "length"));
    for group in part::<Vec<Value>>(info, "groups") {
        let info = fields(group);
        let mut group = Group { last_id: id(part(&info, "last-delivered-id")), ..Group::default() };
        for consumer in part::<Vec<Value>>(&info, "consumers") {
            let info = fields(consumer);
            let seen = Span::at(part(&info, "seen-time"));
            group.consumers.insert(part(&info, "name"), Consumer { seen });
        }
        for (at, consumer, delivered, deliveries) in part::<Vec<(Vec<u8>, Vec<u8>, i64, u64)>>(&info, "pending") {
            group.pending.insert(id(at), Pending { consumer, delivered: Span::at(delivered), deliveries });
        }
        stream.groups.insert(part(&info, "name"), group);
    }
    stream
}

fn in_one_node(entries: BTreeMap<StreamId, Entry>) -> StreamValue {
    let mut stream = StreamValue::default();
    if let Some((&first, _)) = entries.first_key_value() {
        stream.nodes.insert(first, Node { entries });
    }
    stream
}

/// What a server can be asked about a value: of a stream neither its nodes nor its deleted entries, nor the sign of a 0.
fn shown(content: &Content) -> String {
    let stream = match content {
        Content::Stream(stream) => stream,
        // Its listpacks hold whole scores as integers, of which none is -0.
        Content::Zset(members) => {
            let members = members.iter().map(|(member, score)| (member.clone(), score + 0.0));
            return ordered(&Content::Zset(members.collect()));
        }
        other => return ordered(other),
    };
    let entries = stream.entries().map(|(id, pairs)| (id, Entry { deleted: false, pairs: pairs.clone() }));
    let visible = in_one_node(entries.collect());
    ordered(&Content::Stream(StreamValue { nodes: visible.nodes, ..stream.clone() }))
}

/// Borders that values of a few elements reach, and the server's own.
const SETTINGS: &[&[(&str, &str)]] = &[
    &[],
    &[("list-max-listpack-size", "3"), ("stream-node-max-entries", "3"), ("list-compress-depth", "1")],
    &[("hash-max-listpack-entries", "4"), ("zset-max-listpack-entries", "4"), ("set-max-intset-entries", "4")],
    &[("rdbcompression", "no"), ("list-max-listpack-size", "-1"), ("stream-node-max-bytes", "64")],
];

/// The size from which an element of a list stands alone: one that values reach, and the server's own.
const LARGE: &[&str] = &["100B", "1G"];

// [RDBVAL-1] [RDBVAL-10] [RDBSTREAM-10] [RDB-38]
#[test]
fn what_a_real_redis_saves_is_read_as_what_it_says() {
    let folder = folder();
    let Some(server) = real(folder.path()) else { return };
    let mut client = server.client();
    let newest = version(&mut client, folder.path());
    let defaults: Vec<Vec<(&str, String)>> = SETTINGS
        .iter()
        .map(|settings| {
            let own = |name| ask::<(String, String)>(&mut client, &["CONFIG", "GET", name]).1;
            settings.iter().map(|(name, _)| *name).zip(settings.iter().map(|(name, _)| *name).map(own)).collect()
        })
        .collect();
    let client = RefCell::new(client);
    let kinds = RefCell::new(BTreeMap::<ValueType, usize>::new());
    let deadline = proptest::option::weighted(0.3, 2_000_000_000_000..4_000_000_000_000_i64);
    let keys = btree_map((0..3_u64, any_member()), (any_content(), deadline), 1..20);
    let cases = (keys, 0..SETTINGS.len(), prop::sample::select(LARGE), vec("[a-z]{1,8}", 0..3));
    let (mut runner, seed) = runner(40);
    let outcome = runner.run(&cases, |(keys, settings, large, libraries)| {
        let client = &mut *client.borrow_mut();
        ask::<()>(client, &["FLUSHALL"]);
        ask::<()>(client, &["FUNCTION", "FLUSH"]);
        ask::<()>(client, &["DEBUG", "QUICKLIST-PACKED-THRESHOLD", large]);
        for (name, value) in SETTINGS[settings] {
            ask::<()>(client, &["CONFIG", "SET", name, value]);
        }
        for name in &libraries {
            let text = format!("#!lua name={name}\nredis.register_function('{name}', function() return '{name}' end)");
            ask::<()>(client, &["FUNCTION", "LOAD", "REPLACE", &text]);
        }
        for ((db, key), (content, deadline)) in &keys {
            ask::<()>(client, &["SELECT", &db.to_string()]);
            making(key, content).iter().for_each(|command| ask(client, command));
            if let Some(deadline) = deadline {
                ask::<()>(client, &[b"PEXPIREAT".as_slice(), key, deadline.to_string().as_bytes()]);
            }
        }
        ask::<()>(client, &["SAVE"]);
        let file = rdb::file(&fs::read(folder.path().join("dump.rdb")).unwrap());
        let file = file.map_err(|error| TestCaseError::fail(error.to_string()))?;
        for key in file.keys() {
            *kinds.borrow_mut().entry(key.kind).or_default() += 1;
            ask::<()>(client, &["SELECT", &key.db.to_string()]);
            prop_assert_eq!(shown(&key.value), shown(&held(client, &key.key)));
            let deadline = ask::<i64>(client, &[b"PEXPIRETIME".as_slice(), &key.key]);
            prop_assert_eq!(key.deadline_ms.unwrap_or(-1), deadline);
        }
        let mut sizes = BTreeMap::<u64, usize>::new();
        file.keys().for_each(|key| *sizes.entry(key.db).or_default() += 1);
        for db in 0..3 {
            ask::<()>(client, &["SELECT", &db.to_string()]);
            prop_assert_eq!(sizes.get(&db).copied().unwrap_or(0), ask::<usize>(client, &["DBSIZE"]));
        }
        let mut saved: Vec<Vec<u8>> = file
            .items
            .iter()
            .filter_map(|(_, item)| if let Item::Function(text) = item { Some(text.clone()) } else { None })
            .collect();
        let mut said: Vec<Vec<u8>> = ask::<Vec<Value>>(client, &["FUNCTION", "LIST", "WITHCODE"])
            .into_iter()
            .map(|library| part(&fields(library), "library_code"))
            .collect();
        saved.sort();
        said.sort();
        prop_assert_eq!(saved, said);
        for (name, value) in &defaults[settings] {
            ask::<()>(client, &["CONFIG", "SET", name, value]);
        }
        Ok(())
    });
    held_true(outcome, seed, &server);
    let kinds = kinds.into_inner();
    let new: &[u8] = if newest == 10 { &[16, 17, 18, 19] } else { &[16, 17, 18, 20, 21] };
    assert!(new.iter().all(|kind| kinds.contains_key(&ValueType(*kind))), "only {kinds:?}");
}

// [RDBVAL-1] [RDBVAL-10] [RDBSTREAM-10]
#[test]
fn a_real_redis_restores_what_is_written() {
    let folder = folder();
    let Some(server) = real(folder.path()) else { return };
    let mut client = server.client();
    let newest = version(&mut client, folder.path());
    let client = RefCell::new(client);
    let (mut runner, seed) = runner(300);
    let outcome = runner.run(&(any_content(), any_forms()), |(content, forms)| {
        let client = &mut *client.borrow_mut();
        for kind in kinds_of(&content, newest) {
            // It takes any type in a payload of an older version.
            let payload = rdb::payload_of_value(&content, kind, forms).unwrap();
            let restore = [b"RESTORE".as_slice(), b"k", b"0", &payload, b"REPLACE"];
            let answer: Value = ask(client, &restore);
            prop_assert_eq!(answer, Value::Okay, "{:?}", kind);
            prop_assert_eq!(shown(&held(client, b"k")), shown(&content), "{:?}", kind);
        }
        Ok(())
    });
    held_true(outcome, seed, &server);
}

// [RDB-38] [RDB-40]
#[test]
fn a_real_redis_loads_a_file_that_is_written() {
    let folder = folder();
    let newest = match real(folder.path()) {
        Some(server) => version(&mut server.client(), folder.path()),
        None => return,
    };
    let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    let mut writer = Writer::new(newest, Forms { compress_from: Some(30), ..Forms::default() });
    writer.aux(b"redis-ver", b"7.0.15");
    writer.function(code.as_bytes());
    let mut runner = TestRunner::deterministic();
    let mut written = BTreeMap::new();
    for at in 0..200 {
        let content = any_content().new_tree(&mut runner).unwrap().current();
        for kind in kinds_of(&content, newest) {
            let key = format!("{at}:{}", kind.0).into_bytes();
            assert!(writer.value(&key, &content, kind));
            written.insert(key, content.clone());
        }
    }
    fs::write(folder.path().join("dump.rdb"), writer.finish()).unwrap();
    let server = real(folder.path()).unwrap();
    let mut client = server.client();
    for (key, content) in &written {
        assert_eq!(shown(&held(&mut client, key)), shown(content), "{}", key.escape_ascii());
    }
    assert_eq!(ask::<usize>(&mut client, &["DBSIZE"]), written.len());
    let libraries: Vec<Value> = ask(&mut client, &["FUNCTION", "LIST", "WITHCODE"]);
    assert_eq!(part::<String>(&fields(libraries[0].clone()), "library_code"), code);
}
