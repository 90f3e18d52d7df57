//! What versions 10 and 11 added to files: the naive codec on bytes of a real Redis 7.0, on any values, and on damage.
#![allow(clippy::unwrap_used)]

mod any_content;

use any_content::{any_content, any_forms, any_member, kinds_of, ordered};
use proptest::prelude::*;
use tally_model::rdb::{self, Content, Forms, Item, RdbErrorKind, ValueType, Writer, listpack};
use tally_model::stream::StreamId;

/// A file of a version with these bytes and no checksum.
fn file_of(version: u16, items: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(version, Forms { checksum: false, ..Forms::default() });
    writer.raw(items);
    writer.finish()
}

/// A file of version 11 with the key `k` and a value.
fn with_value(kind: ValueType, value: &[u8]) -> Vec<u8> {
    file_of(11, &[&[kind.0, 1, b'k'], value].concat())
}

/// Where the value begins in such a file.
const VALUE: usize = 12;

fn read(kind: ValueType, value: &[u8]) -> Result<Content, (usize, RdbErrorKind)> {
    match rdb::file(&with_value(kind, value)) {
        Ok(file) => Ok(file.keys().next().unwrap().value.clone()),
        Err(error) => Err((error.offset, error.kind)),
    }
}

fn damage(kind: ValueType, value: &[u8]) -> (usize, &'static str) {
    match read(kind, value) {
        Err((offset, RdbErrorKind::Structure(wrong))) => (offset - VALUE, wrong),
        other => panic!("{other:?}"),
    }
}

/// A string that is a listpack of these.
fn packed(elements: &[&[u8]]) -> Vec<u8> {
    let elements: Vec<Vec<u8>> = elements.iter().map(|element| element.to_vec()).collect();
    rdb::string_bytes(&listpack::write(&elements), Forms { integers: false, ..Forms::default() })
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

//= SPEC.md#rdb-values
//# [RDBVAL-10] (file) A node of a list of type 18 MUST be the length 1 and a string, which is one element, or the length 2 and a string that is a listpack of elements, and any other length is refused as damage.
#[test]
fn values_in_listpacks_are_read_and_written_as_a_real_server_writes_them() {
    let large = "x".repeat(100);
    let list = [
        b"\x04\x02\x0f\x0f\0\0\0\x03\0\x81a\x02\x01\x01\x81b\x02\xff\x02\x0c\x0c\0\0\0\x01\0\xf2p\x11\x01\x04\xff\x01@d",
        large.as_bytes(),
        b"\x02\x0a\x0a\0\0\0\x01\0\x81c\x02\xff",
    ]
    .concat();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(Vec<u8>, Vec<u8>)> {
        pairs.iter().map(|(one, other)| (one.as_bytes().to_vec(), other.as_bytes().to_vec())).collect()
    };
    let members = [("c", f64::NEG_INFINITY), ("a", 1.0), ("b", 1.5), ("d", 3.0)];
    let members = members.map(|(member, score)| (member.as_bytes().to_vec(), score)).to_vec();
    for (kind, bytes, content) in [
        (
            ValueType::HASH_LISTPACK,
            b"\x1d\x1d\0\0\0\x06\0\x81f\x02\x81v\x02\x81g\x02\xdf\xff\x02\x84long\x05\xf1\0\x10\x03\xff".as_slice(),
            Content::Hash(pairs(&[("f", "v"), ("g", "-1"), ("long", "4096")])),
        ),
        (
            ValueType::ZSET_LISTPACK,
            b"\"\"\0\0\0\x08\0\x81c\x02\x84-inf\x05\x81a\x02\x01\x01\x81b\x02\x831.5\x04\x81d\x02\x03\x01\xff",
            Content::Zset(members),
        ),
        (ValueType::QUICKLIST_2, &list, Content::List(texts(&["a", "1", "b", "70000", &large, "c"]))),
        (
            ValueType::SET_LISTPACK,
            b"\x12\x12\0\0\0\x03\0\x81a\x02\xc1\x2c\x02\x83abc\x04\xff",
            Content::Set(texts(&["a", "300", "abc"])),
        ),
    ] {
        assert_eq!(read(kind, bytes).as_ref(), Ok(&content));
        assert_eq!(content.bytes(kind, Forms::default()).unwrap(), bytes, "{kind:?}");
    }
    // The form of a node says nothing about its size, and one without elements adds none.
    let list = [b"\x04\x01\x01a\x02".as_slice(), &packed(&[]), b"\x01\xc0\x07\x02", &packed(&[&[b'y'; 5000]])].concat();
    let elements = [b"a".to_vec(), b"7".to_vec(), vec![b'y'; 5000]].to_vec();
    assert_eq!(read(ValueType::QUICKLIST_2, &list), Ok(Content::List(elements)));
}

/// What DUMP of a 7.0.15 answered for a stream with a deleted entry and a group of two consumers, without version and
/// checksum: node, length, last id, first id, greatest deleted id, entries added, group with entries read.
const STREAM: &[&[u8]] = &[
    b"\x01\x10\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x05@C",
    b"C\0\0\0\x19\0\x02\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\0\x01\x03\x01\0\x01\0\x01\x01\x01\x83two\x04\x05\x01",
    b"\x02\x01\0\x01\x01\x01\x01\x01\x03\x01\x05\x01\0\x01\x01\x01\xdf\xfc\x02\x01\x01\x81c\x02\xf2\x90\xee\xfe\x04\x06\x01\xff",
    b"\x02\x06\x01",
    b"\x05\x06\x05\x05\x03",
    b"\x01\x01g\x05\x06",
    b"\x02",
    b"\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06\0\x98\xf7>]\x01\0\0\x07\x02",
    b"\x05alice\xd5+\x8a!\xa2\x01\0\0\0",
    b"\x03bob\xd5+\x8a!\xa2\x01\0\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x06",
];
/// Which parts tell what is read over.
const IDS_AND_ADDED: usize = 4;
const READ: usize = 6;

/// The recorded stream with other parts.
fn stream_with(parts: &[(usize, &[u8])]) -> Vec<u8> {
    let part = |at: usize| parts.iter().find(|(other, _)| *other == at).map_or(STREAM[at], |(_, part)| part);
    (0..STREAM.len()).flat_map(part).copied().collect()
}

//= SPEC.md#stream-values
//# [RDBSTREAM-10] (file) A stream of type 19 or 21 MUST have between its last generated id and the number of its groups five lengths more, the two numbers of its first id and of its greatest deleted one and the number of entries ever added, and a group of it behind its last delivered id one more, the number of entries read, all of which are read over.
//= SPEC.md#stream-values
//# [RDBSTREAM-11] (file) A consumer of a stream of type 21 MUST have behind the time since which its idle time counts eight bytes more, the Unix milliseconds of its last delivery (little-endian), which are read over.
#[test]
fn streams_are_read_without_what_is_read_over() {
    let content = read(ValueType::STREAM_2, &stream_with(&[])).unwrap();
    let Content::Stream(stream) = &content else { panic!("{content:?}") };
    let id = |ms, seq| StreamId { ms, seq };
    assert_eq!(stream.entries().map(|(id, _)| id).collect::<Vec<_>>(), [id(5, 6), id(6, 1)]);
    assert!(stream.nodes[&id(5, 5)].entries[&id(5, 5)].deleted);
    assert_eq!(stream.last_id, id(6, 1));
    let group = &stream.groups[b"g".as_slice()];
    assert_eq!(group.last_id, id(5, 6));
    let seen: Vec<_> = group.consumers.iter().map(|(name, consumer)| (&name[..], consumer.seen.earliest_ms)).collect();
    assert_eq!(seen, [(b"alice".as_slice(), 1_795_859_033_045), (b"bob", 1_795_859_033_045)]);
    let pending = &group.pending[&id(5, 6)];
    assert_eq!((&pending.consumer[..], pending.deliveries), (b"bob".as_slice(), 7));
    assert_eq!(pending.delivered.earliest_ms, 1_500_000_000_000);

    let unknown = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff".as_slice();
    let written = content.bytes(ValueType::STREAM_2, Forms::default()).unwrap();
    assert_eq!(written, stream_with(&[(READ, unknown)]));
    for other in [unknown, b"\0", b"\x40\x05"] {
        assert_eq!(
            read(ValueType::STREAM_2, &stream_with(&[(IDS_AND_ADDED, &other.repeat(5))])).as_ref(),
            Ok(&content)
        );
        assert_eq!(read(ValueType::STREAM_2, &stream_with(&[(READ, other)])).as_ref(), Ok(&content));
    }
    // Without them everything stands elsewhere.
    assert!(read(ValueType::STREAM_2, &stream_with(&[(IDS_AND_ADDED, b"")])).is_err());
    assert!(read(ValueType::STREAM_2, &stream_with(&[(READ, b"")])).is_err());
    assert!(read(ValueType::STREAM, &stream_with(&[])).is_err());
    let first = stream_with(&[(IDS_AND_ADDED, b""), (READ, b"")]);
    assert_eq!(read(ValueType::STREAM, &first).as_ref(), Ok(&content));

    for time in [[0xff; 8], [0; 8], *b"\xd5+\x8a!\xa2\x01\0\0"] {
        let alice = [&STREAM[8][..14], &time, &STREAM[8][14..]].concat();
        let bob = [&STREAM[9][..12], &time, &STREAM[9][12..]].concat();
        let third = stream_with(&[(8, &alice), (9, &bob)]);
        assert_eq!(read(ValueType::STREAM_3, &third).as_ref(), Ok(&content));
        assert!(read(ValueType::STREAM_2, &third).is_err());
    }
    assert!(read(ValueType::STREAM_3, &stream_with(&[])).is_err());
}

// [RDBVAL-4] [RDBVAL-5] [RDBVAL-6] [RDBVAL-7] [RDBVAL-10] [RDBSTREAM-6]
#[test]
fn damage_is_refused_where_its_value_begins() {
    let pack = packed;
    for (kind, elements, wrong) in [
        (ValueType::HASH_LISTPACK, ["f", "v", "g"].as_slice(), "there is an odd number of entries"),
        (ValueType::HASH_LISTPACK, &["f", "v", "f", "v"], "a field stands twice"),
        (ValueType::ZSET_LISTPACK, &["a"], "there is an odd number of entries"),
        (ValueType::ZSET_LISTPACK, &["a", "1", "a", "2"], "a member stands twice"),
        (ValueType::ZSET_LISTPACK, &["a", "2", "b", "1"], "the members do not ascend by score"),
        (ValueType::ZSET_LISTPACK, &["b", "1", "a", "1"], "the members do not ascend by score"),
        (ValueType::ZSET_LISTPACK, &["a", "nan"], "a score is no number"),
        (ValueType::ZSET_LISTPACK, &["a", "b"], "a score is no number"),
        (ValueType::SET_LISTPACK, &["a", "7", "a"], "a member stands twice"),
    ] {
        let elements: Vec<&[u8]> = elements.iter().map(|element| element.as_bytes()).collect();
        assert_eq!(damage(kind, &pack(&elements)), (0, wrong), "{kind:?} {elements:?}");
    }
    // An integer in a longer form is the same member.
    let twice = b"\x0c\x0c\0\0\0\x02\0\x07\x01\xc0\x07\x02\xff";
    assert_eq!(damage(ValueType::SET_LISTPACK, twice), (0, "a member stands twice"));
    let cut = b"\x08\x08\0\0\0\x01\0\x81\xff";
    let (length, announces) =
        ("an element is not as long as it says at its end", "the listpack announces another length");
    for kind in [ValueType::HASH_LISTPACK, ValueType::ZSET_LISTPACK, ValueType::SET_LISTPACK] {
        assert_eq!(damage(kind, cut), (0, length));
        // A string that is written as an integer is no listpack.
        assert_eq!(damage(kind, b"\xc0\x07"), (0, "a listpack has at least seven bytes"));
        assert_eq!(damage(kind, b"\x07\x08\0\0\0\0\0\xff"), (0, announces));
    }
    let node = pack(&[b"a", b"b"]);
    let behind_a_node = 1 + 1 + node.len();
    let list = |tail: &[u8]| [b"\x02\x02", node.as_slice(), tail].concat();
    let neither = "a node of the list is neither an element nor a listpack";
    assert_eq!(damage(ValueType::QUICKLIST_2, &list(b"\x00\x01a")), (behind_a_node, neither));
    assert_eq!(damage(ValueType::QUICKLIST_2, &list(b"\x03\x01a")), (behind_a_node, neither));
    assert_eq!(damage(ValueType::QUICKLIST_2, &list(&[b"\x02", cut.as_slice()].concat())), (behind_a_node + 1, length));
    let form = RdbErrorKind::SpecialEncoding(0xc0);
    assert_eq!(read(ValueType::QUICKLIST_2, &list(b"\xc0\x01a")), Err((VALUE + behind_a_node, form)));
    let other = stream_with(&[(3, b"\x03\x06\x01")]);
    for kind in [ValueType::STREAM_2, ValueType::STREAM_3] {
        assert_eq!(damage(kind, &other), (0, "the stream has another number of entries than it says"));
    }
}

//= SPEC.md#rdb-file
//# [RDB-38] (file) Opcode 245 (FUNCTION2) MUST be followed by one string, the text of a library of functions, which is left out when a file is loaded, with a log line at level warning.
//= SPEC.md#rdb-file
//# [RDB-39] (file) Opcode 244 (SLOT_INFO) MUST be followed by three lengths, the number of a cluster slot, of its keys and of those with an expiry, which a reader takes as hints that may be wrong.
#[test]
fn libraries_and_slots_stand_among_the_items() {
    let mut writer = Writer::new(11, Forms { wide_lengths: true, ..Forms::default() });
    writer.function(b"#!lua name=one\n");
    writer.slot_info(16_383, 1 << 40, 70);
    writer.key(b"k", b"v");
    writer.raw(b"\xf5\xc0\x07\xf4\x01\x00\x40\x41");
    let bytes = writer.finish();
    let file = rdb::file(&bytes).unwrap();
    assert_eq!(file.version, 11);
    let others: Vec<&Item> =
        file.items.iter().map(|(_, item)| item).filter(|item| !matches!(item, Item::Key(_))).collect();
    assert_eq!(
        others,
        [
            &Item::Function(b"#!lua name=one\n".to_vec()),
            &Item::SlotInfo { slot: 16_383, keys: 1 << 40, expires: 70 },
            &Item::Function(b"7".to_vec()),
            &Item::SlotInfo { slot: 1, keys: 0, expires: 65 },
        ]
    );
    assert_eq!(file.keys().count(), 1);
    for (items, offset, kind) in [
        (b"\xf5\x05abc".as_slice(), 11, RdbErrorKind::Truncated { needed: 5, available: 4 }),
        (b"\xf4\x01\xc0\x05\x00", 11, RdbErrorKind::SpecialEncoding(0xc0)),
        (b"\xf6\x01a", 9, RdbErrorKind::UnknownOpcode(0xf6)),
    ] {
        let mut bytes = file_of(11, items);
        bytes.truncate(bytes.len() - 8);
        let error = rdb::file(&bytes).unwrap_err();
        assert_eq!((error.offset, error.kind), (offset, kind));
    }
}

//= SPEC.md#rdb-file
//# [RDB-40] (file) Value types 16 to 19 and opcode 245 MUST be refused as unknown in a file of a version below 10, and value types 20 and 21 and opcode 244 in one below 11.
//= SPEC.md#restore
//# [RESTORE-9] (wire) RESTORE of a payload whose version and checksum hold but whose value is damaged, incomplete or of an unknown type MUST answer `-ERR Bad data format` and leave the key as it was.
#[test]
fn what_came_later_is_unknown_in_older_files() {
    let hash = packed(&[b"f", b"1"]);
    let list = b"\x01\x01\x01a";
    let stream = stream_with(&[]);
    let third = Content::Stream(Default::default()).bytes(ValueType::STREAM_3, Forms::default()).unwrap();
    for (kind, value, since) in [
        (16, hash.as_slice(), 10),
        (17, &hash, 10),
        (18, list, 10),
        (19, &stream, 10),
        (20, &hash, 11),
        (21, &third, 11),
    ] {
        let items = [&[kind, 1, b'k'], value].concat();
        for version in 1..=11 {
            match rdb::file(&file_of(version, &items)) {
                Ok(file) => assert!(version >= since && file.keys().count() == 1, "{kind} in version {version}"),
                Err(error) => {
                    assert!(version < since, "{kind} in version {version}: {error}");
                    assert_eq!((error.offset, error.kind), (9, RdbErrorKind::UnknownOpcode(kind)));
                }
            }
        }
        // Payloads are of version 9.
        let error = rdb::value_of_payload(&[&[kind], value].concat()).unwrap_err();
        assert_eq!((error.offset, error.kind), (0, RdbErrorKind::UnknownOpcode(kind)));
    }
    for (opcode, content, since) in [(245, b"\x01f".as_slice(), 10), (244, b"\x01\x02\x03", 11)] {
        for version in 1..=11 {
            let read = rdb::file(&file_of(version, &[&[opcode], content].concat())).map(|file| file.items.len());
            match read.map_err(|error| (error.offset, error.kind)) {
                Ok(items) => assert!(version >= since && items == 1),
                Err(error) => assert!(version < since && error == (9, RdbErrorKind::UnknownOpcode(opcode))),
            }
        }
    }
}

// [RDBVAL-8] [RDBSTREAM-8]
#[test]
fn empty_collections_are_seen_as_such() {
    let empty = packed(&[]);
    let list = [b"\x01\x02", empty.as_slice()].concat();
    for (kind, value) in [
        (ValueType::HASH_LISTPACK, empty.as_slice()),
        (ValueType::ZSET_LISTPACK, &empty),
        (ValueType::SET_LISTPACK, &empty),
        (ValueType::QUICKLIST_2, b"\0"),
        (ValueType::QUICKLIST_2, &list),
    ] {
        assert!(read(kind, value).unwrap().is_empty_collection(), "{kind:?}");
    }
    for kind in [ValueType::STREAM_2, ValueType::STREAM_3] {
        let value = Content::Stream(Default::default()).bytes(kind, Forms::default()).unwrap();
        assert!(!read(kind, &value).unwrap().is_empty_collection());
    }
}

proptest! {
    // [RDBVAL-1]
    #[test]
    fn every_form_of_every_value_is_read_again(
        contents in proptest::collection::vec((any_content(), any_member()), 0..6), forms in any_forms(), version in 9..=11_u16,
    ) {
        let mut writer = Writer::new(version, forms);
        let mut written = Vec::new();
        for (at, (content, name)) in contents.iter().enumerate() {
            for kind in kinds_of(content, version) {
                let key = [name.as_slice(), &[kind.0, u8::try_from(at).unwrap()]].concat();
                prop_assert!(writer.value(&key, content, kind));
                written.push((key, kind, ordered(content)));
            }
        }
        let bytes = writer.finish();
        let file = rdb::file(&bytes).unwrap();
        let read: Vec<_> = file.keys().map(|key| (key.key.clone(), key.kind, ordered(&key.value))).collect();
        prop_assert_eq!(read, written);
        prop_assert_eq!(file.length, bytes.len());
    }

    // [RDB-32]
    #[test]
    fn no_damage_does_harm(
        content in any_content(), at in any::<prop::sample::Index>(), change in 1_u8.., end in any::<prop::sample::Index>(),
    ) {
        for kind in kinds_of(&content, 11) {
            let whole = with_value(kind, &content.bytes(kind, Forms::default()).unwrap());
            // A cut is noticed wherever it is.
            let cut = rdb::file(&whole[..end.index(whole.len())]).unwrap_err();
            prop_assert!(cut.offset <= whole.len());
            let mut damaged = whole.clone();
            // Checksum and magic word aside.
            let at = VALUE + at.index(whole.len() - VALUE - 8);
            damaged[at] ^= change;
            match rdb::file(&damaged) {
                Ok(file) => {
                    for key in file.keys() {
                        let again = key.value.bytes(key.kind, Forms::default()).unwrap();
                        prop_assert_eq!(read(key.kind, &again).map(|value| ordered(&value)), Ok(ordered(&key.value)));
                    }
                }
                Err(error) => prop_assert!(error.offset <= damaged.len()),
            }
        }
    }
}
