//! The naive reader on files of real servers, and on what the naive writer makes of any data set.
#![allow(clippy::unwrap_used)]

mod any_content;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use any_content::any_forms;
use base64::Engine as _;
use proptest::prelude::*;
use serde_json::Value;
use tally_model::rdb::{self, Content, Forms, Item, RdbErrorKind, ValueType, Writer};
use tally_model::stream::{Consumer, Group, Item as Entry, Node, Pending, StreamId, StreamValue};
use tally_model::{Span, aof, lzf};

type Found = (Content, Option<i64>, Option<u64>, Option<u8>);

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/rdb");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rdb"))
        .collect();
    files.sort();
    files
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        value => base64::engine::general_purpose::STANDARD.decode(value["b64"].as_str().unwrap()).unwrap(),
    }
}

fn pair(pair: &Value) -> (Vec<u8>, Vec<u8>) {
    (bytes(&pair[0]), bytes(&pair[1]))
}

/// The value that a description gives a key; modules' values are not read.
fn content(key: &Value) -> Option<Content> {
    let elements = || key["value"].as_array().unwrap().iter();
    let score = |(member, score): (Vec<u8>, Vec<u8>)| (member, String::from_utf8(score).unwrap().parse().unwrap());
    Some(match key["type"].as_str().unwrap() {
        "string" => Content::String(bytes(&key["value"])),
        "list" => Content::List(elements().map(bytes).collect()),
        "set" => Content::Set(elements().map(bytes).collect()),
        "zset" => Content::Zset(elements().map(pair).map(score).collect()),
        "hash" => Content::Hash(elements().map(pair).collect()),
        "stream" => Content::Stream(stream(&key["value"])),
        _ => return None,
    })
}

fn id(value: &Value) -> StreamId {
    StreamId::parse(value.as_str().unwrap().as_bytes(), 0).unwrap()
}

/// A described stream, all of its entries in one node.
fn stream(value: &Value) -> StreamValue {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let mut stream = StreamValue { last_id: id(&value["last_generated_id"]), ..StreamValue::default() };
    let entries: BTreeMap<StreamId, Entry> = list(&value["entries"])
        .iter()
        .map(|entry| {
            let flat: Vec<Vec<u8>> = list(&entry[1]).iter().map(bytes).collect();
            let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
            (id(&entry[0]), Entry { deleted: false, pairs })
        })
        .collect();
    if let Some((&first, _)) = entries.first_key_value() {
        stream.nodes.insert(first, Node { entries });
    }
    assert_eq!(stream.len() as u64, value["length"].as_u64().unwrap());
    for described in list(&value["groups"]) {
        let mut group = Group { last_id: id(&described["last_delivered_id"]), ..Group::default() };
        for consumer in list(&described["consumers"]) {
            group.consumers.insert(bytes(&consumer["name"]), Consumer { seen: Span::at(0) });
        }
        for pending in list(&described["pel"]) {
            let delivery = Pending {
                consumer: bytes(&pending["consumer"]),
                delivered: Span::at(pending["delivery_time_ms"].as_i64().unwrap()),
                deliveries: pending["delivery_count"].as_u64().unwrap(),
            };
            group.pending.insert(id(&pending["id"]), delivery);
        }
        for consumer in list(&described["consumers"]) {
            let count = group.pending_of(&bytes(&consumer["name"])).count() as u64;
            assert_eq!(count, consumer["pending"].as_u64().unwrap());
        }
        stream.groups.insert(bytes(&described["name"]), group);
    }
    stream
}

/// What a description tells of a stream: not its nodes, deleted entries, and when consumers were seen.
fn described_part(stream: &StreamValue) -> StreamValue {
    let mut part = StreamValue { nodes: BTreeMap::new(), ..stream.clone() };
    let entries: BTreeMap<StreamId, Entry> =
        stream.entries().map(|(id, pairs)| (id, Entry { deleted: false, pairs: pairs.clone() })).collect();
    if let Some((&first, _)) = entries.first_key_value() {
        part.nodes.insert(first, Node { entries });
    }
    for group in part.groups.values_mut() {
        group.consumers.values_mut().for_each(|consumer| consumer.seen = Span::at(0));
    }
    part
}

/// The same value with its elements in one order, where their order is free.
fn ordered(content: &Content) -> Content {
    let mut content = content.clone();
    match &mut content {
        Content::String(_) | Content::List(_) => {}
        Content::Stream(stream) => *stream = described_part(stream),
        Content::Set(members) => members.sort(),
        Content::Hash(pairs) => pairs.sort(),
        Content::Zset(members) => members.sort_by(|one, other| one.0.cmp(&other.0)),
    }
    content
}

/// The values that the description beside a file names.
fn described(description: &Value) -> BTreeMap<(u64, Vec<u8>), Found> {
    let mut values = BTreeMap::new();
    for (db, keys) in description["dbs"].as_object().unwrap() {
        for key in keys.as_array().unwrap() {
            if let Some(content) = content(key) {
                let found = (
                    ordered(&content),
                    key["expire_at_ms"].as_i64(),
                    key["idle_seconds_in_file"].as_u64(),
                    key["freq_in_file"].as_u64().map(|frequency| u8::try_from(frequency).unwrap()),
                );
                values.insert((db.parse().unwrap(), bytes(&key["key"])), found);
            }
        }
    }
    values
}

/// The keys with modules' values that the description beside a file names, and their types.
fn described_modules(description: &Value) -> BTreeSet<(Vec<u8>, String)> {
    let keys = description["dbs"].as_object().unwrap().values().flat_map(|keys| keys.as_array().unwrap());
    keys.filter(|key| content(key).is_none())
        .map(|key| (bytes(&key["key"]), key["type"].as_str().unwrap().to_owned()))
        .collect()
}

//= SPEC.md#rdb-file
//# [RDB-29] (file) Value type 0 MUST be followed by the key and by one string, the value.
//= SPEC.md#rdb-file
//# [RDB-21] (file) Opcode 253 (EXPIRETIME) MUST be read as four bytes (signed, little-endian, Unix seconds) and is not written.
//= SPEC.md#rdb-file
//# [RDB-27] (file) A checksum of eight zero bytes MUST be taken to mean that none was computed, as a writer does while `rdbchecksum` is off.
//= SPEC.md#rdb-values
//# [RDBVAL-1] (file) A reader MUST accept every value type of the table, whatever encoding its own server would give the value.
//= SPEC.md#rdb-values
//# [RDBVAL-3] (file) A score as text MUST be one byte n and n bytes of text, the bytes 253, 254 and 255 standing alone for not-a-number, infinity and minus infinity.
//= SPEC.md#rdb-values
//# [RDBVAL-9] (file) A list in several ziplists MUST be the entries of all of them in order, one without entries adding none.
//= SPEC.md#zipmaps
//# [ZIPMAP-1] (file) A zipmap MUST be read as the number of its pairs in one byte (254 and 255: not known), the pairs and the byte 0xFF, each pair being the length of the field, the field, the length of the value, a byte u, the value and u unused bytes, and a length one byte below 254 or the byte 254 and four bytes (little-endian).
#[test]
fn every_recorded_file_holds_the_values_that_its_description_names() {
    let mut values = 0;
    let mut kinds = BTreeSet::new();
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let content = fs::read(&path).unwrap();
        let description: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let version = description["rdb_version"].as_u64().unwrap();
        let file = rdb::file(&content).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(u64::from(file.version), version, "{name}");
        assert_eq!(file.length, content.len(), "{name}");
        // Old servers wrote seconds after 2038 that read as a time before 1970; the descriptions lack what a server leaves out.
        let found: BTreeMap<(u64, Vec<u8>), Found> = file
            .keys()
            .filter(|key| key.deadline_ms.is_none_or(|deadline| deadline > 0))
            .map(|key| {
                kinds.insert(key.kind);
                let found = (ordered(&key.value), key.deadline_ms, key.idle_seconds, key.frequency);
                ((key.db, key.key.clone()), found)
            })
            .collect();
        let described = described(&description);
        values += described.len();
        let difference: Vec<_> = found
            .keys()
            .filter(|key| !described.contains_key(*key))
            .chain(described.keys().filter(|key| !found.contains_key(*key)))
            .map(|(db, key)| (*db, String::from_utf8_lossy(key).into_owned()))
            .collect();
        assert_eq!(difference, [], "{name}");
        for ((db, key), found) in &found {
            let described = &described[&(*db, key.clone())];
            let key = String::from_utf8_lossy(key);
            assert!(found.0 == described.0, "{name}: value of {key}");
            assert_eq!((found.1, found.2, found.3), (described.1, described.2, described.3), "{name}: {key}");
        }
        let others: BTreeSet<(Vec<u8>, String)> = (file.items.iter())
            .filter_map(|(_, item)| match item {
                Item::Other { key, id, .. } => Some((key.clone(), rdb::module_name(*id))),
                _ => None,
            })
            .collect();
        // [RDB-41]
        assert_eq!(others, described_modules(&description), "{name}");
        let keys = usize::try_from(description["keys"].as_u64().unwrap()).unwrap();
        assert!(found.len() + others.len() >= keys, "{name}");
        // [RDB-38]
        let functions = file.items.iter().filter(|(_, item)| matches!(item, Item::Function(_))).count() as u64;
        assert_eq!(functions, description["opcodes_and_types"]["op:FUNCTION2"].as_u64().unwrap_or(0), "{name}");
        let checksum = match description["checksum"].as_str().unwrap() {
            text if text.starts_with("none") => None,
            text if text.starts_with("zero") => Some(true),
            _ => Some(false),
        };
        assert_eq!(file.checksum.map(|sum| sum == 0), checksum, "{name}");
    }
    assert!(values > 1000, "only {values} values");
    let mut all = (0..=21).map(ValueType).filter(|kind| kind.since().is_some() && ![6, 7].contains(&kind.0));
    assert!(all.all(|kind| kinds.contains(&kind)), "only {kinds:?}");
}

//= SPEC.md#rdb-file
//# [RDB-32] (file) A file that ends before its EOF opcode and checksum MUST be refused, naming the offset where more was needed.
#[test]
fn a_file_cut_anywhere_is_refused_as_truncated() {
    let content = fs::read(files().into_iter().find(|path| path.ends_with("5.0-multidb.rdb")).unwrap()).unwrap();
    for end in 0..content.len() {
        let error = rdb::file(&content[..end]).unwrap_err();
        assert!(matches!(error.kind, RdbErrorKind::Truncated { .. }), "cut at {end}: {error}");
        assert!(error.offset <= end);
    }
}

//= SPEC.md#rdb-file
//# [RDB-28] (file) A reader MUST refuse a checksum that is neither zero nor that of the bytes, naming both.
#[test]
fn every_changed_byte_under_a_checksum_is_noticed() {
    let content = fs::read(files().into_iter().find(|path| path.ends_with("5.0-expires.rdb")).unwrap()).unwrap();
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 0x10;
        assert!(rdb::file(&damaged).is_err(), "byte {at}");
    }
}

fn any_string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        any::<i8>().prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..80),
        (any::<u8>(), 0..20_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b')], 0..600),
    ]
}

//= SPEC.md#rdb-lengths
//# [RDB-2] (file) A reader MUST accept a length in any of the four forms, also where a shorter one would do.
//= SPEC.md#rdb-strings
//# [RDB-7] (file) A reader MUST turn a special integer into its canonical decimal form.
//= SPEC.md#rdb-file
//# [RDB-24] (file) Deadline, idle time and frequency MUST apply to the next key alone, and are written in this order before its type byte.
proptest! {
    #[test]
    fn what_is_written_in_any_form_is_read_again(
        forms in any_forms(),
        keys in proptest::collection::btree_map(
            (0..20_u64, any_string()),
            (any_string(), proptest::option::of(any::<i64>()), proptest::option::of(any::<u64>()), proptest::option::of(any::<u8>())),
            0..12,
        ),
    ) {
        let mut writer = Writer::new(rdb::VERSION, forms);
        writer.aux(b"redis-bits", b"64");
        let mut selected = None;
        for ((db, key), (value, deadline, idle, frequency)) in &keys {
            if selected != Some(*db) {
                writer.select_db(*db);
                writer.resize_db(1, 0);
                selected = Some(*db);
            }
            if let Some(deadline) = deadline {
                writer.expire_ms(*deadline);
            }
            if let Some(idle) = idle {
                writer.idle(*idle);
            }
            if let Some(frequency) = frequency {
                writer.frequency(*frequency);
            }
            writer.key(key, value);
        }
        let file = rdb::file(&writer.finish()).unwrap();
        prop_assert_eq!(file.aux(b"redis-bits"), Some(b"64".as_slice()));
        let read: BTreeMap<_, _> = file.keys().map(|key| {
            ((key.db, key.key.clone()), (key.value.string().unwrap().clone(), key.deadline_ms, key.idle_seconds, key.frequency))
        }).collect();
        prop_assert_eq!(read, keys);
    }

    //= SPEC.md#dump-payload
    //# [PAYLOAD-1] (file) A payload MUST be one byte of RDB value type, the value as an RDB file holds it, two bytes of RDB version (9, little-endian) and eight bytes of CRC-64 (little-endian) over all bytes before them.
    #[test]
    fn a_payload_holds_its_string(string in any_string(), forms in any_forms()) {
        let payload = rdb::payload_of(&string, forms);
        let body = rdb::payload(&payload).unwrap();
        prop_assert_eq!(rdb::value_of_payload(body).unwrap(), (ValueType::STRING, Content::String(string), 0));
    }

    #[test]
    fn a_damaged_payload_has_a_wrong_checksum(string in any_string(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut payload = rdb::payload_of(&string, Forms::default());
        let at = at.index(payload.len());
        payload[at] ^= 1_u8 << bit;
        prop_assert!(rdb::payload(&payload).is_none());
    }

    //= SPEC.md#rdb-strings
    //# [LZF-3] (file) A copy MAY overlap the bytes it produces, in which case it repeats them.
    #[test]
    fn compressed_bytes_expand_to_what_they_were(string in any_string()) {
        prop_assert_eq!(lzf::expand(&lzf::compress(&string), string.len()).unwrap(), string);
    }

    //= SPEC.md#rdb-strings
    //# [LZF-4] (file) A copy from before the beginning of the output, output beyond the announced length and input that ends within an item MUST be refused.
    #[test]
    fn expanding_any_bytes_ends_within_the_announced_length(
        input in proptest::collection::vec(any::<u8>(), 0..100),
        length in 0..500_usize,
    ) {
        if let Ok(output) = lzf::expand(&input, length) {
            prop_assert_eq!(output.len(), length);
        }
    }

    //= SPEC.md#rdb-file
    //# [RDB-34] (inside) A reader MUST NOT allocate more than a constant factor of the bytes that are present, whatever the lengths in the file announce.
    #[test]
    fn any_bytes_are_read_or_refused_at_an_offset_within_them(
        tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = b"REDIS0009".to_vec();
        bytes.extend(tail);
        if let Err(error) = rdb::file(&bytes) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    //= SPEC.md#aof-file
    //# [AOF-1] (file) An AOF file MUST hold the propagated commands in order, each as a multibulk request.
    //= SPEC.md#aof-file
    //# [AOF-6] (file) A file that ends within a command MUST be cut to the end of its last whole command and loaded with a log line that gives the offset while `aof-load-truncated` is on, and refused with it while it is off.
    #[test]
    fn commands_are_read_again_and_a_cut_file_holds_those_before_the_cut(
        commands in proptest::collection::vec(proptest::collection::vec(any_string(), 1..4), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = Vec::new();
        let mut ends = vec![0];
        for command in &commands {
            file.extend(aof::write_command(command));
            ends.push(file.len());
        }
        let names_a_transaction = commands.iter().any(|command| {
            command[0].eq_ignore_ascii_case(b"multi")
        });
        prop_assume!(!names_a_transaction);
        let read = aof::file(&file).unwrap();
        prop_assert_eq!(read.whole, file.len());
        let arguments: Vec<_> = read.commands.into_iter().map(|(_, arguments)| arguments).collect();
        prop_assert_eq!(&arguments, &commands);

        let cut = cut.index(file.len() + 1);
        let read = aof::file(&file[..cut]).unwrap();
        let whole = ends.iter().copied().filter(|end| *end <= cut).max().unwrap();
        prop_assert_eq!(read.whole, whole);
        prop_assert_eq!(read.end == aof::AofEnd::Whole, whole == cut);
        prop_assert_eq!(read.commands.len(), ends.iter().position(|end| *end == whole).unwrap());
    }
}

//= SPEC.md#aof-file
//# [AOF-3] (file) A file that begins with `REDIS` MUST be read as an RDB file, its preamble, followed by commands.
#[test]
fn commands_follow_a_preamble() {
    let mut writer = Writer::new(rdb::VERSION, Forms::default());
    writer.select_db(0);
    writer.key(b"k", b"v");
    let mut bytes = writer.finish();
    let preamble = bytes.len();
    bytes.extend(aof::write_command(&[b"DEL".to_vec(), b"k".to_vec()]));
    let file = aof::file(&bytes).unwrap();
    assert_eq!(file.preamble.unwrap().keys().count(), 1);
    assert_eq!(file.commands, [(preamble, vec![b"DEL".to_vec(), b"k".to_vec()])]);
}

//= SPEC.md#aof-file
//# [AOF-7] (file) A transaction without its EXEC at the end of the file MUST be treated as if the file ended before its MULTI.
#[test]
fn an_open_transaction_is_left_out() {
    let command =
        |words: &str| aof::write_command(&words.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
    let mut bytes = command("SET a 1");
    bytes.extend(command("MULTI"));
    bytes.extend(command("SET a 2"));
    bytes.extend(command("EXEC"));
    let whole = bytes.len();
    bytes.extend(command("multi"));
    bytes.extend(command("SET a 3"));
    let file = aof::file(&bytes).unwrap();
    assert_eq!((file.whole, file.end, file.commands.len()), (whole, aof::AofEnd::WithinTransaction, 4));
}

//= SPEC.md#aof-file
//# [AOF-8] (file) Any other damage, for example a line that does not begin with `*` or `$`, a count below 1 or a command that does not exist, MUST be refused, naming the offset where the damaged command begins.
#[test]
fn other_damage_is_refused_where_its_command_begins() {
    let good = aof::write_command(&[b"PING".to_vec()]);
    for bad in
        ["PING\r\n", "*0\r\n", "*-1\r\n", "*1\r\n:1\r\n", "*1\r\n$x\r\n", "*1\r\n$1\r\nabc\r\n", "*1\n$4\r\nPING\r\n"]
    {
        let mut bytes = good.clone();
        bytes.extend(bad.as_bytes());
        assert_eq!(aof::file(&bytes).unwrap_err().offset, good.len(), "{bad:?}");
    }
}
