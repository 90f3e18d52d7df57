//! RDB files and payloads, naively: a file is bytes in memory, read front to back into a list of items with their offsets.
//!
//! Values are read into plain vectors, and streams into what the model keeps; modules' values are read over and named.

mod content;
pub mod intset;
mod item;
pub mod listpack;
mod read;
pub mod stream;
mod write;
pub mod ziplist;
pub mod zipmap;

pub use content::Content;
pub use item::{File, Item, Key, RdbError, RdbErrorKind, ValueType, module_name};
pub use read::{Cursor, file, payload, string, value_of_payload};
pub use write::{Forms, Writer, length, payload_of, payload_of_value, string_bytes};

/// The version of files and payloads that are written, and the highest of payloads that are read. [RDB-11] [RESTORE-8]
pub const VERSION: u16 = 9;

/// The highest version of files that are read. [RDB-12]
pub const HIGHEST_READ: u16 = 11;

/// Opcodes that stand where a value type can stand. [RDB-13]
pub mod opcode {
    /// Hints about a cluster slot: three lengths, its number, keys, keys with a deadline. Since version 11.
    pub const SLOT_INFO: u8 = 244;
    /// The text of a library of functions: one string. Since version 10.
    pub const FUNCTION2: u8 = 245;
    /// Module data outside keys: its module's id, and data that only the module understands.
    pub const MODULE_AUX: u8 = 247;
    /// The next key's idle time: a length, seconds.
    pub const IDLE: u8 = 248;
    /// The next key's access frequency: one byte.
    pub const FREQ: u8 = 249;
    /// A name and a value, two strings.
    pub const AUX: u8 = 250;
    /// Two lengths: keys, keys with a deadline.
    pub const RESIZEDB: u8 = 251;
    /// The next key's deadline: Unix milliseconds, eight bytes.
    pub const EXPIRETIME_MS: u8 = 252;
    /// The next key's deadline: Unix seconds, four bytes.
    pub const EXPIRETIME: u8 = 253;
    /// A length: the database of the keys that follow.
    pub const SELECTDB: u8 = 254;
    /// The end of the items.
    pub const EOF: u8 = 255;
}
