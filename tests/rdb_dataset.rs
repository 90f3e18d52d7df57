//! What the engine writes into a dump, and what a dump makes of its dataset.
#![allow(clippy::unwrap_used)]

use conversation::Conversation;
use tally_engine::config::Config;
use tally_engine::rdb::{NEWEST_READABLE, RdbErrorKind, Reader};
use tally_engine::{Effect, LogLevel};
use tally_model::Reply;
use tally_model::rdb::{self as naive, Item};

mod conversation;

fn with(directives: &str) -> Conversation {
    Conversation::with(Config::parse(format!("save \"\"\n{directives}\n")).unwrap())
}

fn dump(server: &Conversation) -> Vec<u8> {
    let mut file = Vec::new();
    server.engine.snapshot(&mut file).unwrap();
    file
}

/// How many strings of a dump are compressed.
fn compressed(file: &[u8]) -> u64 {
    let mut reader = Reader::new(file, NEWEST_READABLE).unwrap();
    while reader.read().unwrap().is_some() {}
    reader.forms().lzf
}

//= SPEC.md#rdb-strings
//# [RDB-9] (file) While `rdbcompression` is on, a string of more than 20 bytes SHOULD be written compressed when that saves at least four bytes, and no other string is.
#[test]
fn strings_are_compressed_when_that_pays_and_compression_is_on() {
    let cases: [(&str, usize); 5] = [
        ("aaaaaaaaaaaaaaaaaaaa", 0),
        ("aaaaaaaaaaaaaaaaaaaaa", 1),
        ("abcdefghijklmnopqrstuvwxyz", 0),
        ("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 1),
        ("abcdefghijklmnopqrstuvabc", 0),
    ];
    for (value, wanted) in cases {
        for (directives, on) in [("", 1), ("rdbcompression no", 0)] {
            let mut server = with(directives);
            server.say(&["SET", "k", value]);
            assert_eq!(compressed(&dump(&server)), (wanted * on) as u64, "{value}, {directives}");
        }
    }
}

//= SPEC.md#rdb-file
//# [RDB-15] (file) A writer MUST write AUX fields `redis-ver`, `redis-bits`, `ctime`, `used-mem` and `aof-preamble` (1 in a preamble of an AOF file, else 0) before any other item.
//= SPEC.md#rdb-file
//# [RDB-19] (file) A writer MUST write SELECTDB and RESIZEDB before the keys of each database that holds keys, in ascending order of number, and nothing for an empty one.
#[test]
fn facts_stand_before_databases_and_databases_before_their_keys() {
    let mut server = with("");
    for (db, key) in [("9", "nine"), ("0", "zero"), ("4", "four")] {
        server.say(&["SELECT", db]);
        server.say(&["SET", key, "v"]);
    }
    server.say(&["EXPIRE", "four", "1000"]);
    let mut preamble = Vec::new();
    server.engine.compact_aof(&mut preamble).unwrap();
    for (file, flag) in [(dump(&server), "0"), (preamble, "1")] {
        let file = naive::file(&file).unwrap();
        let shown: Vec<String> = file
            .items
            .iter()
            .map(|(_, item)| match item {
                Item::Aux { name, value } if name == b"aof-preamble" => {
                    format!("aof-preamble={}", String::from_utf8_lossy(value))
                }
                Item::Aux { name, .. } => String::from_utf8_lossy(name).into_owned(),
                Item::SelectDb(db) => format!("db {db}"),
                Item::ResizeDb { keys, expires } => format!("{keys} keys, {expires} expire"),
                Item::Key(key) => String::from_utf8_lossy(&key.key).into_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        let wanted = format!(
            "redis-ver redis-bits ctime used-mem aof-preamble={flag} \
            db 0 1 keys, 0 expire zero db 4 1 keys, 1 expire four db 9 1 keys, 0 expire nine"
        );
        assert_eq!(shown.join(" "), wanted);
    }
}

//= SPEC.md#rdb-file
//# [RDB-17] (file) A reader MUST refuse a database number that `databases` does not admit.
#[test]
fn a_database_that_is_not_configured_is_refused_and_the_dataset_stays() {
    let mut wide = with("databases 20");
    wide.say(&["SELECT", "16"]);
    wide.say(&["SET", "k", "v"]);
    let file = dump(&wide);
    let mut server = with("");
    server.say(&["SET", "kept", "1"]);
    let error = server.engine.load_rdb(&mut server.world, &mut file.as_slice()).unwrap_err();
    assert_eq!(error.kind, RdbErrorKind::Database { index: 16, databases: 16 });
    assert_eq!(file[error.offset as usize], 16);
    assert_eq!(server.text(&["GET", "kept"]), "1");
}

//= SPEC.md#rdb-strings
//# [RDB-7] (file) A reader MUST turn a special integer into its canonical decimal form.
//= SPEC.md#rdb-file
//# [RDB-35] (file) A value loaded as a string MUST have the encoding that SET of the same bytes gives.
#[test]
fn loaded_strings_have_the_encoding_that_set_gives() {
    let values = ["12", "-2147483648", "9223372036854775807", "012", "", "x", &"e".repeat(44), &"r".repeat(45)];
    let mut server = with("");
    for value in values {
        server.say(&["SET", value, value]);
        // An encoding that the value only has by its history is not kept.
        server.say(&["SET", "grown", ""]);
        server.say(&["APPEND", "grown", "17"]);
    }
    let encodings = |server: &mut Conversation| -> Vec<String> {
        values.iter().map(|value| server.text(&["OBJECT", "ENCODING", value])).collect()
    };
    let before = encodings(&mut server);
    assert_eq!(server.text(&["OBJECT", "ENCODING", "grown"]), "raw");
    let file = dump(&server);
    server.engine.load_rdb(&mut server.world, &mut file.as_slice()).unwrap();
    assert_eq!(encodings(&mut server), before);
    assert_eq!(before, ["int", "int", "int", "embstr", "embstr", "embstr", "embstr", "raw"]);
    assert_eq!(server.text(&["OBJECT", "ENCODING", "grown"]), "int");
    assert_eq!(server.text(&["GET", "-2147483648"]), "-2147483648");
}

//= SPEC.md#rdb-file
//# [RDB-36] (file) Keys with a deadline, idle time or frequency that are saved and loaded again MUST keep it, the idle time to the second.
#[test]
fn deadline_idle_time_and_frequency_outlive_a_reload() {
    let mut server = with("maxmemory-policy allkeys-lru");
    server.say(&["SET", "k", "v", "PX", "100000000"]);
    server.pass_ms(70_000);
    server.say(&["PING"]);
    let file = dump(&server);
    server.say(&["GET", "k"]);
    server.engine.load_rdb(&mut server.world, &mut file.as_slice()).unwrap();
    assert_eq!(server.say(&["OBJECT", "IDLETIME", "k"]), Reply::Integer(70));
    assert_eq!(server.say(&["PTTL", "k"]), Reply::Integer(99930000));

    let mut server = with("maxmemory-policy allkeys-lfu");
    let payload = server.exchange(&[b"SET", b"k", b"v"]);
    assert_eq!(payload, b"+OK\r\n");
    let dumped = tally_engine::rdb::string_payload(b"v", true);
    assert_eq!(server.exchange(&[b"RESTORE", b"k", b"0", &dumped, b"REPLACE", b"FREQ", b"77"]), b"+OK\r\n");
    let file = dump(&server);
    server.engine.load_rdb(&mut server.world, &mut file.as_slice()).unwrap();
    assert_eq!(server.say(&["OBJECT", "FREQ", "k"]), Reply::Integer(77));
}

//= SPEC.md#encodings-after-loading
//# [LOADENC-7] (wire) A list of type 18 MUST be loaded into the nodes that RPUSH of its elements one by one would give.
#[test]
fn a_list_of_listpacks_gets_the_nodes_of_its_elements_pushed_one_by_one() {
    let items: Vec<Vec<u8>> =
        (0..500).map(|at| if at % 50 == 7 { vec![b'x'; 3000] } else { format!("item {at}").into_bytes() }).collect();
    let mut writer = naive::Writer::new(10, naive::Forms::default());
    assert!(writer.value(b"list", &naive::Content::List(items.clone()), naive::ValueType::QUICKLIST_2));
    for directives in ["", "list-max-ziplist-size 3\n", "list-compress-depth 1\n"] {
        let mut loaded = with(directives);
        loaded.engine.load_rdb(&mut loaded.world, &mut writer.clone().finish().as_slice()).unwrap();
        let mut pushed = with(directives);
        for item in &items {
            pushed.exchange(&[b"RPUSH", b"list", item]);
        }
        assert_eq!(loaded.exchange(&[b"DUMP", b"list"]), pushed.exchange(&[b"DUMP", b"list"]), "{directives}");
        assert_eq!(
            loaded.exchange(&[b"LRANGE", b"list", b"0", b"-1"]),
            pushed.exchange(&[b"LRANGE", b"list", b"0", b"-1"])
        );
    }
}

//= SPEC.md#rdb-file
//# [RDB-38] (file) Opcode 245 (FUNCTION2) MUST be followed by one string, the text of a library of functions, which is left out when a file is loaded, with a log line at level warning.
#[test]
fn libraries_of_functions_are_left_out_and_that_is_said() {
    let mut server = Conversation::new();
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rdb/redis-7.0.15-all.rdb")).unwrap();
    let report = server.engine.load_rdb(&mut server.world, &mut file.as_slice()).unwrap();
    assert_eq!(report.functions, 1);
    server.exchange(&[b"PING"]);
    let said = server.effects.iter().any(|effect| {
        matches!(effect, Effect::Log { level: LogLevel::Warning, text } if text.contains("libraries of functions"))
    });
    assert!(said, "{:?}", server.effects);
}
