//! The form of RDB files and payloads, item by item: what the naive writer writes and what the naive reader takes and refuses.
#![allow(clippy::unwrap_used)]

use tally_model::crc64;
use tally_model::lzf::{self, LzfError};
use tally_model::rdb::{self, Forms, Item, RdbErrorKind, ValueType, Writer};

fn writer() -> Writer {
    Writer::new(rdb::VERSION, Forms::default())
}

fn refusal(bytes: &[u8]) -> (usize, RdbErrorKind) {
    let error = rdb::file(bytes).unwrap_err();
    (error.offset, error.kind)
}

/// The file `REDIS0009` and these bytes.
fn file_of(tail: &[u8]) -> Vec<u8> {
    [b"REDIS0009", tail].concat()
}

//= SPEC.md#rdb-strings
//# [CRC-1] (file) The checksum MUST be the CRC-64 of Jones: polynomial 0xad93d23594c935a9, input and output reflected, initial value and final exclusive-or zero, so that `123456789` gives 0xe9c6d914c4b8d9ca.
#[test]
fn the_checksum_has_its_check_value() {
    assert_eq!(crc64::checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
}

//= SPEC.md#rdb-lengths
//# [RDB-1] (file) A length of 0 to 63 MUST be written as one byte `00` and six bits, one up to 16,383 as two bytes `01` and fourteen bits (big-endian), one up to 4,294,967,295 as the byte 0x80 and four bytes (big-endian), and any other as the byte 0x81 and eight bytes (big-endian).
#[test]
fn lengths_take_the_shortest_form() {
    for (number, bytes) in [
        (0, [0x00].as_slice()),
        (63, &[0x3f]),
        (64, &[0x40, 0x40]),
        (16_383, &[0x7f, 0xff]),
        (16_384, &[0x80, 0, 0, 0x40, 0]),
        (0xffff_ffff, &[0x80, 0xff, 0xff, 0xff, 0xff]),
        (0x1_0000_0000, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
        (u64::MAX, &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ] {
        assert_eq!(rdb::length(number), bytes, "{number}");
    }
}

//= SPEC.md#rdb-lengths
//# [RDB-3] (file) A first byte with the high bits `11` MUST be read where a string is expected as a special encoding in its low six bits: 0 an integer of one byte, 1 one of two bytes, 2 one of four bytes (signed, little-endian), and 3 a compressed string.
//= SPEC.md#rdb-strings
//# [RDB-5] (file) A raw string MUST be written as its length and its bytes.
//= SPEC.md#rdb-strings
//# [RDB-6] (file) A string of at most eleven bytes that is the canonical decimal form of a signed 32-bit integer MUST be written as the shortest special integer that holds it, keys and AUX fields included.
//= SPEC.md#rdb-strings
//# [RDB-8] (file) A compressed string MUST be written as the byte 0xC3, the compressed length, the original length and the LZF bytes.
#[test]
fn strings_take_the_forms_that_a_real_server_gives_them() {
    // As DUMP of a real server shows them.
    for (string, bytes) in [
        ("", [0x00].as_slice()),
        ("0", &[0xc0, 0x00]),
        ("-1", &[0xc0, 0xff]),
        ("127", &[0xc0, 0x7f]),
        ("128", &[0xc1, 0x80, 0x00]),
        ("-128", &[0xc0, 0x80]),
        ("-129", &[0xc1, 0x7f, 0xff]),
        ("32767", &[0xc1, 0xff, 0x7f]),
        ("32768", &[0xc2, 0x00, 0x80, 0x00, 0x00]),
        ("-32769", &[0xc2, 0xff, 0x7f, 0xff, 0xff]),
        ("2147483647", &[0xc2, 0xff, 0xff, 0xff, 0x7f]),
        ("2147483648", b"\x0a2147483648"),
        ("-2147483649", b"\x0b-2147483649"),
        ("007", b"\x03007"),
        ("+1", b"\x02+1"),
        ("-0", b"\x02-0"),
    ] {
        assert_eq!(rdb::string_bytes(string.as_bytes(), Forms::default()), bytes, "{string}");
        assert_eq!(rdb::string(bytes).unwrap(), (string.as_bytes().to_vec(), bytes.len()), "{string}");
    }
    let compressed = [0xc3, 0x09, 0x3f, 0x01, 0x61, 0x61, 0xe0, 0x32, 0x00, 0x01, 0x61, 0x61];
    assert_eq!(rdb::string(&compressed).unwrap().0, [b'a'; 63]);
}

//= SPEC.md#rdb-lengths
//# [RDB-4] (file) A first byte with the high bits `10` other than 0x80 and 0x81, a special encoding above 3, and a special encoding where a number is expected MUST be refused as damage at their offset.
#[test]
fn forms_that_do_not_exist_are_refused_where_they_stand() {
    assert_eq!(refusal(&file_of(b"\xfe\x82")), (10, RdbErrorKind::LengthForm(0x82)));
    assert_eq!(refusal(&file_of(b"\xfe\xc0\x01")), (10, RdbErrorKind::SpecialEncoding(0xc0)));
    assert_eq!(refusal(&file_of(b"\x00\xc4\x01")), (10, RdbErrorKind::SpecialEncoding(0xc4)));
}

//= SPEC.md#rdb-strings
//# [RDB-10] (file) A compressed string whose LZF bytes are damaged or do not expand to exactly the original length MUST be refused as damage.
//= SPEC.md#rdb-strings
//# [LZF-1] (file) A control byte c below 32 MUST be read as the announcement of c + 1 bytes that follow and are copied.
//= SPEC.md#rdb-strings
//# [LZF-2] (file) Any other control byte c MUST be read as a copy of n + 2 bytes from d + 1 bytes back in the output, n being the three high bits of c plus, where these are 7, the following byte, and d the five low bits of c followed by the next byte as eight more.
#[test]
fn compressed_bytes_mean_what_their_control_bytes_say() {
    assert_eq!(lzf::expand(b"\x02abc", 3).unwrap(), b"abc");
    assert_eq!(lzf::expand(b"\x02abc\x20\x02", 6).unwrap(), b"abcabc");
    assert_eq!(lzf::expand(b"\x00a\xe0\x03\x00", 13).unwrap(), b"aaaaaaaaaaaaa");
    let mut far = Vec::new();
    for chunk in vec![b'x'; 300].chunks(32) {
        far.push(chunk.len() as u8 - 1);
        far.extend(chunk);
    }
    far.extend([0x21, 0x00]);
    assert_eq!(lzf::expand(&far, 303).unwrap(), vec![b'x'; 303]);
    assert_eq!(lzf::expand(b"\x02ab", 3), Err(LzfError::Truncated));
    assert_eq!(lzf::expand(b"\x00a\x20\x01", 4), Err(LzfError::BeforeStart { distance: 2, written: 1 }));
    assert_eq!(lzf::expand(b"\x02abc", 2), Err(LzfError::TooLong { announced: 2 }));
    assert_eq!(lzf::expand(b"\x02abc", 4), Err(LzfError::TooShort { announced: 4, written: 3 }));
    let damaged = file_of(b"\x00\x01k\xc3\x04\x04\x02abc");
    assert_eq!(refusal(&damaged), (15, RdbErrorKind::Lzf(LzfError::TooShort { announced: 4, written: 3 })));
}

//= SPEC.md#rdb-file
//# [RDB-11] (file) An RDB file MUST begin with `REDIS` and its version in four decimal digits, and a writer writes `0009`.
//= SPEC.md#rdb-file
//# [RDB-12] (file) A reader MUST refuse a file with another beginning, with version 0 and with a version above 11, naming which of these it is.
//= SPEC.md#rdb-file
//# [RDB-26] (file) Opcode 255 (EOF) MUST end the items, followed since version 5 by the checksum of all bytes before it in eight bytes (little-endian).
#[test]
fn the_smallest_file_is_a_beginning_and_an_end() {
    let file = writer().finish();
    assert_eq!(&file[..10], b"REDIS0009\xff");
    assert_eq!(file[10..], crc64::checksum(&file[..10]).to_le_bytes());
    for version in 1..=rdb::HIGHEST_READ {
        assert_eq!(rdb::file(&Writer::new(version, Forms::default()).finish()).unwrap().version, version);
    }
    assert!(rdb::file(b"REDIS0004\xff").unwrap().checksum.is_none());
    assert_eq!(refusal(b"REDIS0005\xff").0, 10);
    for (beginning, wrong) in [
        (b"RODIS0009\xff".as_slice(), (0, RdbErrorKind::Magic)),
        (b"REDIS0000\xff", (5, RdbErrorKind::Version(Some(0)))),
        (b"REDIS0012\xff", (5, RdbErrorKind::Version(Some(12)))),
        (b"REDIS00x9\xff", (5, RdbErrorKind::Version(None))),
    ] {
        assert_eq!(refusal(beginning), wrong);
    }
}

//= SPEC.md#rdb-file
//# [RDB-13] (file) After these nine bytes the file MUST be a sequence of items, each an opcode byte and its content or a value type byte, a key and a value, up to the opcode 255.
//= SPEC.md#rdb-file
//# [RDB-14] (file) Opcode 250 (AUX) MUST be followed by two strings, name and value, and a reader ignores names it does not know.
//= SPEC.md#rdb-file
//# [RDB-16] (file) Opcode 254 (SELECTDB) MUST be followed by a length, the database of the keys that follow, which is 0 at the beginning.
//= SPEC.md#rdb-file
//# [RDB-18] (file) Opcode 251 (RESIZEDB) MUST be followed by two lengths, the number of keys of the database and of those with an expiry, which a reader takes as hints that may be wrong.
//= SPEC.md#rdb-file
//# [RDB-20] (file) Opcode 252 (EXPIRETIME_MS) MUST be followed by the next key's deadline in eight bytes (signed, little-endian, Unix milliseconds).
//= SPEC.md#rdb-file
//# [RDB-22] (file) Opcode 248 (IDLE) MUST be followed by a length, the next key's idle time in seconds, and is written for every key while the maxmemory policy is an LRU one.
//= SPEC.md#rdb-file
//# [RDB-23] (file) Opcode 249 (FREQ) MUST be followed by one byte, the next key's access frequency, and is written for every key while the maxmemory policy is an LFU one.
#[test]
fn items_are_read_as_their_opcodes_say() {
    let bytes = file_of(
        b"\xfa\x01n\xc0\x07\x00\x01a\x011\xfe\x03\xfb\x40\x40\x00\xfc\x01\0\0\0\0\0\0\0\xf8\x05\xf9\xff\x00\x01b\x012\x00\x01c\x013\xff\0\0\0\0\0\0\0\0",
    );
    let file = rdb::file(&bytes).unwrap();
    assert_eq!(file.aux(b"n"), Some(b"7".as_slice()));
    assert!(file.items.iter().any(|(_, item)| *item == Item::ResizeDb { keys: 64, expires: 0 }));
    let keys: Vec<_> =
        file.keys().map(|key| (key.db, key.key.as_slice(), key.deadline_ms, key.idle_seconds, key.frequency)).collect();
    assert_eq!(
        keys,
        [(0, b"a".as_slice(), None, None, None), (3, b"b", Some(1), Some(5), Some(255)), (3, b"c", None, None, None),]
    );
    assert_eq!(file.items[0].0, 9);
}

//= SPEC.md#rdb-file
//# [RDB-25] (file) Opcode 247 (MODULE_AUX), which is followed by the id of the module's type, a field of the sort 2 that tells when it was saved, and fields up to one of the sort 0, MUST be read over by a tool, and by a server that lacks the module be refused by name.
#[test]
fn module_data_is_read_over() {
    let bytes = file_of(
        b"\xf7\x05\x02\x00\x02\x07\x05\x03abc\x04\0\0\0\0\0\0\0\0\x03\0\0\0\0\x00\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0",
    );
    let file = rdb::file(&bytes).unwrap();
    assert_eq!(file.items[0], (9, Item::ModuleAux { id: 5 }));
    assert_eq!(file.keys().count(), 1);
    assert_eq!(refusal(&file_of(b"\xf7\x05\x02\x00\x09")), (13, RdbErrorKind::ModulePart(9)));
    assert_eq!(refusal(&file_of(b"\xf7\x05\x00\x00\x00\xff")), (11, RdbErrorKind::ModulePart(0)));
}

//= SPEC.md#rdb-file
//# [RDB-31] (file) A key that stands twice in one database MUST be refused as damage.
//= SPEC.md#rdb-file
//# [RDB-33] (file) An unknown opcode or value type MUST be refused, naming it and its offset.
#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let mut twice = writer();
    twice.key(b"k", b"1");
    twice.select_db(1);
    twice.key(b"k", b"1");
    twice.key(b"k", b"2");
    assert_eq!(refusal(&twice.finish()), (22, RdbErrorKind::Duplicate));
    assert_eq!(refusal(&file_of(b"\x10\x01k\x01v")), (9, RdbErrorKind::UnknownOpcode(0x10)));
    assert_eq!(refusal(&file_of(b"\x08\x01k\x01v")), (9, RdbErrorKind::UnknownOpcode(0x08)));
    assert_eq!(refusal(&file_of(b"\x06\x01k\x01v")), (9, RdbErrorKind::OtherType(ValueType(6))));
}

//= SPEC.md#dump-payload
//# [PAYLOAD-2] (file) The payload of a string MUST begin with type byte 0, followed by the string in any encoding that RDB strings allow.
//= SPEC.md#dump-payload
//# [PAYLOAD-3] (file) The integer of a string in int encoding that fits 32 bits SHOULD be written as the shortest of the three integer encodings.
#[test]
fn payloads_are_those_of_a_real_server() {
    let payload = rdb::payload_of(b"hello", Forms::default());
    assert_eq!(payload, b"\x00\x05hello\x09\x00\xb3\x80\x8e\xba1\xb2C\xbb");
    assert_eq!(rdb::payload_of(b"12", Forms::default())[..3], [0x00, 0xc0, 0x0c]);
    for version in [0_u16, 8, 10] {
        let mut other = payload[..7].to_vec();
        other.extend(version.to_le_bytes());
        other.extend(crc64::checksum(&other).to_le_bytes());
        assert_eq!(rdb::payload(&other).is_some(), version <= rdb::VERSION);
    }
}
