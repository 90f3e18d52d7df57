//! What an RDB file holds, and what can be wrong with it.

use std::fmt;

use super::HIGHEST_READ;
use super::content::Content;
use crate::lzf::LzfError;
use crate::reply::Bytes;

/// The type byte of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueType(pub u8);

impl ValueType {
    /// A string.
    pub const STRING: Self = Self(0);
    /// A list, element by element.
    pub const LIST: Self = Self(1);
    /// A set, member by member.
    pub const SET: Self = Self(2);
    /// A sorted set with scores as text.
    pub const ZSET: Self = Self(3);
    /// A hash, pair by pair.
    pub const HASH: Self = Self(4);
    /// A sorted set with scores in eight bytes.
    pub const ZSET_2: Self = Self(5);
    /// A hash in a zipmap.
    pub const HASH_ZIPMAP: Self = Self(9);
    /// A list in one ziplist.
    pub const LIST_ZIPLIST: Self = Self(10);
    /// A set in an intset.
    pub const INTSET: Self = Self(11);
    /// A sorted set in a ziplist.
    pub const ZSET_ZIPLIST: Self = Self(12);
    /// A hash in a ziplist.
    pub const HASH_ZIPLIST: Self = Self(13);
    /// A list in several ziplists.
    pub const QUICKLIST: Self = Self(14);
    /// A stream in listpacks.
    pub const STREAM: Self = Self(15);
    /// A hash in a listpack.
    pub const HASH_LISTPACK: Self = Self(16);
    /// A sorted set in a listpack.
    pub const ZSET_LISTPACK: Self = Self(17);
    /// A list in several listpacks, between which large elements stand alone.
    pub const QUICKLIST_2: Self = Self(18);
    /// A stream that knows how many entries were added and read.
    pub const STREAM_2: Self = Self(19);
    /// A set in a listpack.
    pub const SET_LISTPACK: Self = Self(20);
    /// A stream that knows of its consumers' last deliveries too.
    pub const STREAM_3: Self = Self(21);

    /// The version of files in which it may stand first; `None` of a byte that is no type. [RDB-40]
    pub fn since(self) -> Option<u16> {
        match self.0 {
            16..=19 => Some(10),
            20 | 21 => Some(11),
            // Older types are taken in a file of any version.
            _ => self.name().map(|_| 1),
        }
    }

    /// The type's name, if it is one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "string",
            1 => "list",
            2 => "set",
            3 => "sorted set (scores as text)",
            4 => "hash",
            5 => "sorted set",
            6 => "module value, first form",
            7 => "module value",
            9 => "hash (zipmap)",
            10 => "list (ziplist)",
            11 => "set (intset)",
            12 => "sorted set (ziplist)",
            13 => "hash (ziplist)",
            14 => "list (quicklist)",
            15 => "stream",
            16 => "hash (listpack)",
            17 => "sorted set (listpack)",
            18 => "list (listpacks)",
            19 => "stream, second form",
            20 => "set (listpack)",
            21 => "stream, third form",
            _ => return None,
        })
    }
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The database. [RDB-16]
    pub db: u64,
    /// Its name.
    pub key: Bytes,
    /// The form that its value has in the file.
    pub kind: ValueType,
    /// Its value.
    pub value: Content,
    /// Its deadline, Unix milliseconds. [RDB-20] [RDB-21]
    pub deadline_ms: Option<i64>,
    /// Its idle time in seconds. [RDB-22]
    pub idle_seconds: Option<u64>,
    /// Its access frequency. [RDB-23]
    pub frequency: Option<u8>,
}

/// One item of a file, up to the EOF opcode.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A field beside the data. [RDB-14]
    Aux {
        /// Its name.
        name: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// The keys that follow are of this database. [RDB-16]
    SelectDb(u64),
    /// Hints of how many keys follow in this database. [RDB-18]
    ResizeDb {
        /// All keys.
        keys: u64,
        /// Keys with a deadline.
        expires: u64,
    },
    /// A module's data outside keys. [RDB-25]
    ModuleAux {
        /// The module type's id.
        id: u64,
    },
    /// The text of a library of functions. [RDB-38]
    Function(Bytes),
    /// Hints of how many keys are in a cluster slot. [RDB-39]
    SlotInfo {
        /// Its number.
        slot: u64,
        /// All keys.
        keys: u64,
        /// Keys with a deadline.
        expires: u64,
    },
    /// A key and what it holds. [RDB-29] [RDBVAL-1]
    Key(Key),
    /// A key that holds a module's value, which was read over.
    Other {
        /// The database.
        db: u64,
        /// Its name.
        key: Bytes,
        /// What it holds.
        kind: ValueType,
        /// The module type's id, which tells its name. [RDB-41]
        id: u64,
    },
}

/// The name of a module's type, which its id holds above ten bits of a version: nine letters of six bits each. [RDB-25]
/// [RDB-41]
pub fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|at| char::from(LETTERS[(id >> (58 - 6 * at)) as usize & 63])).collect()
}

/// A whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// The version in its first bytes.
    pub version: u16,
    /// Its items with the offset of each one's first byte.
    pub items: Vec<(usize, Item)>,
    /// The stored checksum; `None` before version 5, 0 when none was computed.
    pub checksum: Option<u64>,
    /// How many bytes the file takes; more may follow, for example commands after a preamble.
    pub length: usize,
}

impl File {
    /// The keys, in the file's order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.items.iter().filter_map(|(_, item)| match item {
            Item::Key(key) => Some(key),
            _ => None,
        })
    }

    /// An AUX field by name.
    pub fn aux(&self, wanted: &[u8]) -> Option<&[u8]> {
        self.items.iter().find_map(|(_, item)| match item {
            Item::Aux { name, value } if name == wanted => Some(value.as_slice()),
            _ => None,
        })
    }
}

/// Where a file breaks, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct RdbError {
    /// Bytes from the beginning to what is wrong.
    pub offset: usize,
    /// What is wrong there.
    pub kind: RdbErrorKind,
    /// Items that were read before.
    pub items: Vec<(usize, Item)>,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RdbErrorKind {
    /// Not `REDIS` at the beginning. [RDB-12]
    Magic,
    /// A version that is 0 or above the highest that is read, or no number at all. [RDB-12]
    Version(Option<u16>),
    /// The file ends where more was needed. [RDB-32]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes there were.
        available: u64,
    },
    /// A byte that begins no length. [RDB-4]
    LengthForm(u8),
    /// A special encoding where a number is expected, or one that does not exist. [RDB-4]
    SpecialEncoding(u8),
    /// Damaged compressed bytes. [RDB-10]
    Lzf(LzfError),
    /// A byte that is neither opcode nor value type in a file of this version. [RDB-33] [RDB-40]
    UnknownOpcode(u8),
    /// A value whose end cannot be told: a module value of the first form.
    OtherType(ValueType),
    /// A key stands twice in its database. [RDB-31]
    Duplicate,
    /// The stored checksum is another. [RDB-28]
    Checksum {
        /// In the file.
        stored: u64,
        /// Of the bytes.
        computed: u64,
    },
    /// The structure that a value is in, at its first byte, or the value itself. [RDBVAL-6] [RDBVAL-7]
    Structure(&'static str),
    /// A part of module data that does not exist.
    ModulePart(u64),
    /// Bytes after the end of a payload's value. Ignored by RESTORE. [RESTORE-16]
    Rest,
}

impl fmt::Display for RdbErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("does not begin with REDIS"),
            Self::Version(None) => f.write_str("no version stands behind REDIS"),
            Self::Version(Some(version)) => write!(f, "version {version} is not 1 to {HIGHEST_READ}"),
            Self::Truncated { needed, available } => {
                write!(f, "{needed} bytes needed, {available} available")
            }
            Self::LengthForm(byte) => write!(f, "{byte:#04x} begins no length"),
            Self::SpecialEncoding(byte) => write!(f, "special encoding {byte:#04x} out of place"),
            Self::Lzf(error) => write!(f, "{error}"),
            Self::UnknownOpcode(byte) => write!(f, "{byte} is neither opcode nor value type"),
            Self::OtherType(kind) => write!(f, "a {}", kind.name().unwrap_or("value of unknown type")),
            Self::Duplicate => f.write_str("this key stands here a second time"),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum {stored:016x} stored, {computed:016x} computed")
            }
            Self::Structure(wrong) => f.write_str(wrong),
            Self::ModulePart(part) => write!(f, "module data has no part {part}"),
            Self::Rest => f.write_str("bytes follow the value"),
        }
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}: {}", self.offset, self.kind)
    }
}

impl std::error::Error for RdbError {}
