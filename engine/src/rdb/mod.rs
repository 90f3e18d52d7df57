//! RDB, the file format of snapshots, and the payload of DUMP, which is one value of it.
//!
//! ```text
//! "REDIS" version(4 digits)
//! { AUX name text                                              what the writer said about itself
//! | SELECTDB n | RESIZEDB keys expires                         where the keys after it belong
//! | [EXPIRETIME_MS t] [IDLE s] [FREQ f] type key value         one key
//! | MODULE_AUX …  | FUNCTION2 text }                           skipped
//! EOF crc64                                                    the checksum since version 5; 0 = none
//! ```
//!
//! `input` counts offsets and sums the checksum over any buffered source; `reader` turns it into records; `module` walks
//! over what modules wrote, `value_in` makes the values that the engine holds; `writer` writes, with `value_out` for
//! what is no string; `load` and `save` are the engine's ends. Everything read is checked
//! before it is believed: a declared length costs no memory before its bytes have come, and every error names the
//! offset where it shows.

mod error;
pub(crate) mod input;
pub(crate) mod load;
mod module;
mod number;
mod payload;
pub(crate) mod reader;
mod save;
mod stream;
mod value_in;
mod value_out;
mod writer;

pub use error::{RdbError, RdbErrorKind};
pub use load::LoadReport;
pub use number::Length;
pub use payload::{PayloadError, collection_payload, read_payload, string_payload};
pub(crate) use payload::{payload, restore, value_bytes};
pub use reader::{Checksum, Entry, Forms, Reader, Record, Text, Value};
pub use save::Held;
pub use writer::{Attributes, Writer, write_text};

/// The version this engine writes, as Redis 5.0. [RDB-11]
pub const VERSION: u32 = 9;
/// The newest version it reads (Redis 7.2, Valkey 8). [RDB-12]
pub const NEWEST_READABLE: u32 = 11;
/// The first version that ends in a checksum.
pub(crate) const FIRST_WITH_CHECKSUM: u32 = 5;

/// The bytes that begin a record; everything below [`opcode::FIRST`] is the type of a value.
pub mod opcode {
    /// The lowest of them.
    pub const FIRST: u8 = SLOT_INFO;
    /// A cluster slot's size (Valkey 8); a hint.
    pub const SLOT_INFO: u8 = 244;
    /// A library of functions (Redis 7).
    pub const FUNCTION2: u8 = 245;
    /// A module's data outside keys.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the next key was used.
    pub const IDLE: u8 = 248;
    /// The next key's LFU counter.
    pub const FREQ: u8 = 249;
    /// A named fact about the file.
    pub const AUX: u8 = 250;
    /// How many keys and expiries the database holds.
    pub const RESIZEDB: u8 = 251;
    /// When the next key expires, milliseconds.
    pub const EXPIRETIME_MS: u8 = 252;
    /// When the next key expires, seconds.
    pub const EXPIRETIME: u8 = 253;
    /// The database of the following keys.
    pub const SELECTDB: u8 = 254;
    /// The end.
    pub const EOF: u8 = 255;
}

/// Value types, by the number that stands before the key.
pub mod value_type {
    /// A string.
    pub const STRING: u8 = 0;
    /// A list, element by element.
    pub const LIST: u8 = 1;
    /// A set, member by member.
    pub const SET: u8 = 2;
    /// A sorted set with scores as text.
    pub const ZSET: u8 = 3;
    /// A hash, field by field.
    pub const HASH: u8 = 4;
    /// A sorted set with binary scores.
    pub const ZSET_2: u8 = 5;
    /// A module's value in the first, unskippable form.
    pub const MODULE: u8 = 6;
    /// A module's value.
    pub const MODULE_2: u8 = 7;
    /// A hash as one zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// A list as one ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// A set as one intset.
    pub const SET_INTSET: u8 = 11;
    /// A sorted set as one ziplist.
    pub const ZSET_ZIPLIST: u8 = 12;
    /// A hash as one ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// A list of ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// A stream.
    pub const STREAM_LISTPACKS: u8 = 15;
    /// A hash as one listpack (Redis 7).
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set as one listpack (Redis 7).
    pub const ZSET_LISTPACK: u8 = 17;
    /// A list of listpacks and plain nodes (Redis 7).
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// A stream (Redis 7.0).
    pub const STREAM_LISTPACKS_2: u8 = 19;
    /// A set as one listpack (Redis 7.2).
    pub const SET_LISTPACK: u8 = 20;
    /// A stream (Redis 7.2).
    pub const STREAM_LISTPACKS_3: u8 = 21;
}

/// The first version whose files may hold a record; 1 for what Redis 5 knows. Older readers and files are not told
/// apart further, as Redis does not.
pub(crate) fn first_version(code: u8) -> u32 {
    use {opcode as op, value_type as ty};
    match code {
        ty::SET_LISTPACK | ty::STREAM_LISTPACKS_3 | op::SLOT_INFO => 11,
        ty::HASH_LISTPACK | ty::ZSET_LISTPACK | ty::LIST_QUICKLIST_2 | ty::STREAM_LISTPACKS_2 | op::FUNCTION2 => 10,
        _ => 1,
    }
}

/// What values of this type are, as TYPE answers, and how the file stores them; `None` for modules' and unknown ones.
#[must_use]
pub fn stored_as(code: u8) -> Option<(&'static str, &'static str)> {
    Some(match code {
        value_type::STRING => ("string", "string"),
        value_type::LIST => ("list", "linkedlist"),
        value_type::LIST_ZIPLIST => ("list", "ziplist"),
        value_type::LIST_QUICKLIST | value_type::LIST_QUICKLIST_2 => ("list", "quicklist"),
        value_type::SET => ("set", "hashtable"),
        value_type::SET_INTSET => ("set", "intset"),
        value_type::SET_LISTPACK => ("set", "listpack"),
        value_type::ZSET | value_type::ZSET_2 => ("zset", "skiplist"),
        value_type::ZSET_ZIPLIST => ("zset", "ziplist"),
        value_type::ZSET_LISTPACK => ("zset", "listpack"),
        value_type::HASH => ("hash", "hashtable"),
        value_type::HASH_ZIPMAP => ("hash", "zipmap"),
        value_type::HASH_ZIPLIST => ("hash", "ziplist"),
        value_type::HASH_LISTPACK => ("hash", "listpack"),
        value_type::STREAM_LISTPACKS | value_type::STREAM_LISTPACKS_2 | value_type::STREAM_LISTPACKS_3 => {
            ("stream", "stream")
        }
        _ => return None,
    })
}

/// The name of an opcode or a value type, as `AUX` or `HASH_ZIPLIST`.
pub fn opcode_name(code: u8) -> Option<&'static str> {
    use {opcode as op, value_type as ty};
    Some(match code {
        ty::STRING => "STRING",
        ty::LIST => "LIST",
        ty::SET => "SET",
        ty::ZSET => "ZSET",
        ty::HASH => "HASH",
        ty::ZSET_2 => "ZSET_2",
        ty::MODULE => "MODULE",
        ty::MODULE_2 => "MODULE_2",
        ty::HASH_ZIPMAP => "HASH_ZIPMAP",
        ty::LIST_ZIPLIST => "LIST_ZIPLIST",
        ty::SET_INTSET => "SET_INTSET",
        ty::ZSET_ZIPLIST => "ZSET_ZIPLIST",
        ty::HASH_ZIPLIST => "HASH_ZIPLIST",
        ty::LIST_QUICKLIST => "LIST_QUICKLIST",
        ty::STREAM_LISTPACKS => "STREAM_LISTPACKS",
        ty::HASH_LISTPACK => "HASH_LISTPACK",
        ty::ZSET_LISTPACK => "ZSET_LISTPACK",
        ty::LIST_QUICKLIST_2 => "LIST_QUICKLIST_2",
        ty::STREAM_LISTPACKS_2 => "STREAM_LISTPACKS_2",
        ty::SET_LISTPACK => "SET_LISTPACK",
        ty::STREAM_LISTPACKS_3 => "STREAM_LISTPACKS_3",
        op::SLOT_INFO => "SLOT_INFO",
        op::FUNCTION2 => "FUNCTION2",
        op::MODULE_AUX => "MODULE_AUX",
        op::IDLE => "IDLE",
        op::FREQ => "FREQ",
        op::AUX => "AUX",
        op::RESIZEDB => "RESIZEDB",
        op::EXPIRETIME_MS => "EXPIRETIME_MS",
        op::EXPIRETIME => "EXPIRETIME",
        op::SELECTDB => "SELECTDB",
        op::EOF => "EOF",
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn describe(file: &[u8], buffer: usize) -> Result<Vec<String>, RdbError> {
        let mut reader = Reader::new(BufReader::with_capacity(buffer, file), NEWEST_READABLE)?;
        let mut found = Vec::new();
        while let Some(record) = reader.read()? {
            found.push(format!("{record:?}"));
        }
        Ok(found)
    }

    #[test]
    fn whatever_the_buffer_the_records_of_a_file_are_the_same() {
        let mut writer = Writer::new(Vec::new(), true, true).unwrap();
        writer.aux(b"redis-ver", b"5.0.14").unwrap();
        writer.database(3, 4, 1).unwrap();
        let long: Vec<u8> = (0..70_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for (key, value) in [(&b"a"[..], &b"-129"[..]), (b"b", &[b'x'; 500]), (b"long", &long), (b"", b"")] {
            let attributes = Attributes { expires_at_ms: Some(5), idle_seconds: Some(70), frequency: None };
            writer.string(key, attributes, value).unwrap();
        }
        let (file, written) = writer.finish().unwrap();
        assert_eq!(written, file.len() as u64);
        let whole = describe(&file, 1 << 20).unwrap();
        assert_eq!(whole.len(), 8);
        for buffer in [1, 2, 7, 100, 8192] {
            assert_eq!(describe(&file, buffer).unwrap(), whole, "buffer of {buffer}");
        }
    }

    #[test]
    fn a_declared_length_is_not_believed_before_its_bytes_have_come() {
        let mut file = b"REDIS0009\x00\x81".to_vec();
        file.extend_from_slice(&(1u64 << 62).to_be_bytes());
        file.extend_from_slice(b"abc");
        let error = describe(&file, 64).unwrap_err();
        assert_eq!(error.offset, 19);
        assert_eq!(error.opcode, Some(value_type::STRING));
        assert_eq!(error.kind, RdbErrorKind::Truncated { needed: 1 << 62, available: 3 });
    }
}
