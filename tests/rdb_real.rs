//! Dumps, payloads and append-only files go both ways between the engine and a real Redis 5.
#![allow(clippy::unwrap_used)]

use std::fs;

use conversation::Conversation;
use spawned::{Server, exchange, folder, request};
use tally_engine::config::Config;

mod conversation;
mod spawned;

fn ask(server: &Server, words: &[&str]) -> String {
    exchange(server.socket(), &request(words))
}

/// Keys of every collection type and encoding, as the directives make them.
fn fill_collections(server: &mut Conversation) {
    let mut say = |words: Vec<Vec<u8>>| {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let answer = server.exchange(&words);
        assert!(!answer.starts_with(b"-"), "{words:?}: {}", answer.escape_ascii());
    };
    let texts: Vec<Vec<u8>> = [
        "",
        "a",
        "0",
        "12",
        "13",
        "-1",
        "127",
        "-129",
        "32768",
        "8388608",
        "2147483648",
        "-9223372036854775808",
        "00",
        "1.5",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([63, 64, 65, 253, 254, 255, 16_384].map(|length| vec![b'x'; length]))
    .collect();
    let command = |name: &str, key: &str, arguments: Vec<Vec<u8>>| {
        [vec![name.as_bytes().to_vec(), key.as_bytes().to_vec()], arguments].concat()
    };
    let number = |number: i64| number.to_string().into_bytes();
    for count in [1, 3, 200, 700] {
        let numbered = |prefix: &str| (0..count).map(|at| format!("{prefix}{at}").into_bytes()).collect::<Vec<_>>();
        say(command("RPUSH", &format!("list:{count}"), numbered("element ")));
        say(command("SADD", &format!("set:{count}"), numbered("member ")));
        say(command("SADD", &format!("integers:{count}"), (0..count).map(|at| number(at * 1_000_003)).collect()));
        let fields = numbered("field ").into_iter().zip(numbered("value "));
        say(command("HSET", &format!("hash:{count}"), fields.flat_map(|(field, value)| [field, value]).collect()));
        let members = numbered("member ").into_iter().enumerate();
        let scored = members.flat_map(|(at, member)| [(at as f64 / 7.0).to_string().into_bytes(), member]);
        say(command("ZADD", &format!("zset:{count}"), scored.collect()));
    }
    say(command("RPUSH", "list:texts", texts.clone()));
    say(command("LPUSH", "list:texts", vec![vec![b'l'; 9000], vec![b'm'; 40]]));
    say(command("SADD", "set:texts", texts.clone()));
    say(command("HSET", "hash:texts", texts.iter().flat_map(|text| [text.clone(), text.clone()]).collect()));
    for (key, widest) in [("integers:16", 300i64), ("integers:32", 70_000), ("integers:64", 1 << 40)] {
        say(command("SADD", key, [-widest, -1, 0, 5, widest].map(number).to_vec()));
    }
    let scores = ["-inf", "-1e300", "-0", "5e-324", "0.1", "3", "9007199254740992", "inf"];
    let members = scores.iter().flat_map(|score| [score.as_bytes().to_vec(), format!("m{score}").into_bytes()]);
    say(command("ZADD", "zset:scores", members.collect()));
    say(command("ZADD", "zset:long", vec![b"1".to_vec(), vec![b'z'; 65], b"1".to_vec(), b"12".to_vec()]));
    say(command("PEXPIREAT", "zset:long", vec![b"4102444800123".to_vec()]));
}

/// What a server answers about every collection: its encoding, its digest, and where Redis chooses nothing, its bytes.
fn questions() -> Vec<Vec<String>> {
    let counted = ["list", "set", "integers", "hash", "zset"];
    let mut keys: Vec<String> =
        counted.iter().flat_map(|kind| [1, 3, 200, 700].map(|count| format!("{kind}:{count}"))).collect();
    let others = ["list:texts", "set:texts", "hash:texts", "integers:16", "integers:32", "integers:64"];
    keys.extend(others.iter().chain(&["zset:scores", "zset:long"]).map(|key| (*key).to_owned()));
    let about = |words: &'static [&'static str]| {
        move |key: &String| words.iter().map(|word| (*word).to_owned()).chain([key.clone()]).collect::<Vec<String>>()
    };
    let mut all: Vec<Vec<String>> = keys.iter().map(about(&["DEBUG", "DIGEST-VALUE"])).collect();
    all.extend(keys.iter().map(about(&["OBJECT", "ENCODING"])));
    all
}

fn assert_alike(engine: &mut Conversation, redis: &Server, circumstances: &str) {
    for words in questions() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        assert_eq!(ask(redis, &words).as_bytes(), engine.exchange(&bytes), "{words:?}, {circumstances}");
    }
}

/// Strings of every length form, encoding and compressibility, in several databases, with and without deadlines that lie
/// in the future for any clock.
fn filled(directives: &str) -> Conversation {
    let mut server = Conversation::with(Config::parse(format!("save \"\"\n{directives}\n")).unwrap());
    let mut set = |key: &[u8], value: &[u8]| {
        assert_eq!(server.exchange(&[b"SET", key, value]), b"+OK\r\n");
    };
    for number in
        ["0", "-1", "127", "128", "-129", "32767", "32768", "2147483647", "2147483648", "-9223372036854775808"]
    {
        set(format!("number:{number}").as_bytes(), number.as_bytes());
    }
    for text in ["", "00", "-0", "+1", "1.5", "12345678901234567890"] {
        set(format!("text:{text}").as_bytes(), text.as_bytes());
    }
    for length in [11, 12, 20, 21, 44, 45, 63, 64, 65, 255, 256, 264, 265, 8191, 8192, 8193, 16_383, 16_384, 70_000] {
        set(format!("run:{length}").as_bytes(), &vec![b'r'; length]);
        let mixed: Vec<u8> = (0..length).map(|at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        set(format!("mixed:{length}").as_bytes(), &mixed);
        let period: Vec<u8> = (0..length).map(|at| b"the tally stick "[at % 16]).collect();
        set(format!("period:{length}").as_bytes(), &period);
    }
    set(&vec![b'k'; 300], b"a long key");
    set(b"\0\xff\r\n", b"a binary key");
    for (key, at_ms) in [("number:0", "4102444800123"), ("run:65", "9223372036854775"), ("text:", "4102444800000")] {
        assert_eq!(server.exchange(&[b"PEXPIREAT", key.as_bytes(), at_ms.as_bytes()]), b":1\r\n");
    }
    fill_collections(&mut server);
    for db in ["3", "15"] {
        server.exchange(&[b"SELECT", db.as_bytes()]);
        server.exchange(&[b"SET", b"db", db.as_bytes()]);
    }
    server.exchange(&[b"SELECT", b"0"]);
    server
}

fn digest(server: &mut Conversation) -> String {
    String::from_utf8(server.exchange(&[b"DEBUG", b"DIGEST"])).unwrap()
}

#[test]
fn a_real_redis_loads_what_the_engine_saves() {
    for directives in [
        "",
        "rdbcompression no",
        "rdbchecksum no",
        "maxmemory-policy allkeys-lru",
        "maxmemory-policy allkeys-lfu",
        "list-compress-depth 1\nlist-max-ziplist-size 5",
        "set-max-intset-entries 0\nhash-max-ziplist-entries 0\nzset-max-ziplist-entries 0",
    ] {
        let folder = folder();
        let mut engine = filled(directives);
        let mut dump = Vec::new();
        engine.engine.snapshot(&mut dump).unwrap();
        fs::write(folder.path().join("dump.rdb"), &dump).unwrap();
        let Some(redis) = Server::real(folder.path(), &[]) else { return };
        assert_eq!(ask(&redis, &["DEBUG", "DIGEST"]), digest(&mut engine), "{directives}");
        // Loading decides about encodings anew, so the engine has to load too.
        let mut second = Conversation::with(Config::default());
        second.engine.load_rdb(&mut second.world, &mut dump.as_slice()).unwrap();
        assert_alike(&mut second, &redis, directives);
        for words in [&["GET", "period:8193"][..], &["GET", "run:264"], &["GET", "number:-129"], &["DBSIZE"]] {
            let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(ask(&redis, words).as_bytes(), engine.exchange(&bytes), "{words:?}");
        }
        let left: i64 = ask(&redis, &["PTTL", "number:0"]).trim().trim_start_matches(':').parse().unwrap();
        assert!(left > 0, "the deadline is lost: {left}");
    }
}

#[test]
fn the_engine_loads_what_a_real_redis_saves() {
    for option in ["yes", "no"] {
        let folder = folder();
        let mut engine = filled("");
        let mut dump = Vec::new();
        engine.engine.snapshot(&mut dump).unwrap();
        fs::write(folder.path().join("dump.rdb"), &dump).unwrap();
        let Some(redis) = Server::real(folder.path(), &["--rdbcompression", option]) else { return };
        assert_eq!(ask(&redis, &["SAVE"]), "+OK\r\n");
        let saved = fs::read(folder.path().join("dump.rdb")).unwrap();
        let mut second = Conversation::with(Config::default());
        let report = second.engine.load_rdb(&mut second.world, &mut saved.as_slice()).unwrap();
        second.engine.validate();
        assert_eq!(report.bytes, saved.len() as u64);
        assert_eq!(digest(&mut second), digest(&mut engine));
        assert_alike(&mut second, &redis, option);
    }
}

#[test]
fn a_real_redis_replays_what_the_engine_compacts() {
    for preamble in ["yes", "no"] {
        let folder = folder();
        let mut engine = filled(&format!("aof-use-rdb-preamble {preamble}"));
        let mut file = Vec::new();
        let written = engine.engine.compact_aof(&mut file).unwrap();
        assert_eq!(written, file.len() as u64);
        fs::write(folder.path().join("appendonly.aof"), &file).unwrap();
        let Some(redis) = Server::real(folder.path(), &["--appendonly", "yes"]) else { return };
        assert_eq!(ask(&redis, &["DEBUG", "DIGEST"]), digest(&mut engine), "aof-use-rdb-preamble {preamble}");
    }
}
