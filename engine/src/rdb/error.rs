//! What can be wrong with an RDB file, and where.

use std::fmt;
use std::io;

use super::opcode_name;
use crate::structures::lzf::LzfError;

/// Where a file breaks and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdbError {
    /// Bytes from the file's beginning to the field that is wrong.
    pub offset: u64,
    /// The opcode or value type of the record it is in; `None` in the header and between records.
    pub opcode: Option<u8>,
    /// What is wrong with it.
    pub kind: RdbErrorKind,
}

/// What is wrong.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdbErrorKind {
    /// The source could not be read.
    #[error("cannot be read: {0}")]
    Io(io::ErrorKind),
    /// The first five bytes are not the magic word.
    #[error("does not begin with REDIS")]
    Magic,
    /// The four bytes after the magic word are no number.
    #[error("the version is not four digits")]
    VersionText([u8; 4]),
    /// A version that the reader does not know.
    #[error("version {found} is not between 1 and {newest}")]
    Version {
        /// The file's.
        found: u32,
        /// The reader's newest.
        newest: u32,
    },
    /// The file ends inside a field.
    #[error("ends {available} bytes into a field of {needed}")]
    Truncated {
        /// The field's length.
        needed: u64,
        /// How much of it there is.
        available: u64,
    },
    /// A byte that begins no record.
    #[error("{0} is neither an opcode nor a value type")]
    UnknownOpcode(u8),
    /// A length whose first byte has no meaning.
    #[error("length begins with {0:#04x}, which has no meaning")]
    LengthEncoding(u8),
    /// The encoding of a string stands where a plain number is needed.
    #[error("string encoding {0} where a number is needed")]
    NumberExpected(u8),
    /// A string encoding without meaning.
    #[error("string encoding {0} is unknown")]
    StringEncoding(u8),
    /// A length that this machine cannot hold.
    #[error("{0} bytes are more than this machine can address")]
    Length(u64),
    /// A compressed string that does not decompress.
    #[error("compressed string: {0}")]
    Lzf(LzfError),
    /// A database that the configuration does not have.
    #[error("database {index}, but only {databases} are configured")]
    Database {
        /// The file's.
        index: u64,
        /// How many there are.
        databases: u64,
    },
    /// The same key twice in one database.
    #[error("a key that the database already holds")]
    DuplicateKey,
    /// A value of a module, and the module is not there. [RDB-41]
    #[error("a value of module {0}, which is not loaded")]
    ModuleMissing(String),
    /// A value type that is read, but not held by this engine.
    #[error("values of type {0} cannot be loaded")]
    NotHeld(&'static str),
    /// Data of a module outside keys, and the module is not there.
    #[error("data of module {0}, which is not loaded")]
    ModuleAux(String),
    /// A script that is no Lua.
    #[error("a script that does not compile")]
    Script,
    /// A field inside a module's value that cannot be skipped.
    #[error("module value: field {0} cannot be skipped")]
    ModuleField(u64),
    /// The value of a module of the first kind, whose end only the module knows.
    #[error("the end of a value of module {0} is known only to the module")]
    ModuleValue(String),
    /// The checksum is not the file's.
    #[error("checksum {stored:#018x} is stored, but the content has {computed:#018x}")]
    Checksum {
        /// What the file ends with.
        stored: u64,
        /// What was computed.
        computed: u64,
    },
    /// A value is stored as one packed structure, and that is damaged.
    #[error("{structure}, byte {at}: {reason}")]
    Structure {
        /// `ziplist`, `listpack`, `intset`, `zipmap` or `stream node`.
        structure: &'static str,
        /// Bytes from the structure's beginning, after decompression.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// A node of a list that is neither an element nor a listpack. [RDBVAL-10]
    #[error("node form {0}, which has no meaning")]
    NodeForm(u64),
    /// Fields or scores without a partner.
    #[error("{0} entries where pairs are needed")]
    Odd(u64),
    /// A member or field twice in one value.
    #[error("a member or field that the value already holds")]
    DuplicateMember,
    /// A score that is no number.
    #[error("a score that is no number")]
    Score,
    /// Members of a sorted set that are not in order.
    #[error("a member that comes before the one in front of it")]
    Order,
    /// A stream whose parts do not fit together.
    #[error("stream: {0}")]
    Stream(&'static str),
    /// A value that holds nothing, as no key does.
    #[error("a value without elements")]
    Empty,
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.offset)?;
        if let Some(code) = self.opcode {
            match opcode_name(code) {
                Some(name) => write!(f, ", in {name} ({code})")?,
                None => write!(f, ", in record {code}")?,
            }
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for RdbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RdbErrorKind::Lzf(error) => Some(error),
            _ => None,
        }
    }
}
