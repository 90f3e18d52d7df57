//! Values and how they are stored, as far as a client can see.

use crate::hash::HashValue;
use crate::list::ListValue;
use crate::numbers::parse_integer;
use crate::reply::Bytes;
use crate::set::SetValue;
use crate::stream::StreamValue;
use crate::zset::ZsetValue;

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A byte string.
    String,
    /// A sequence of byte strings.
    List,
    /// Distinct byte strings.
    Set,
    /// Distinct byte strings, ordered by their scores.
    Zset,
    /// Distinct fields with their values.
    Hash,
    /// Entries by their ids.
    Stream,
}

impl Kind {
    /// The name that TYPE answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }
}

/// How a value is stored, as OBJECT ENCODING names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// A string that is a 64-bit integer.
    Int,
    /// A string of at most 44 bytes, stored with its object.
    Embstr,
    /// Any other string.
    Raw,
    /// A small hash or sorted set.
    Ziplist,
    /// A small set of integers.
    Intset,
    /// A list.
    Quicklist,
    /// Any other set or hash.
    Hashtable,
    /// Any other sorted set.
    Skiplist,
    /// A stream.
    Stream,
}

impl Encoding {
    /// The name that OBJECT ENCODING answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Embstr => "embstr",
            Self::Raw => "raw",
            Self::Ziplist => "ziplist",
            Self::Intset => "intset",
            Self::Quicklist => "quicklist",
            Self::Hashtable => "hashtable",
            Self::Skiplist => "skiplist",
            // [OBJECT-10]
            Self::Stream => "unknown",
        }
    }
}

/// A string value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringValue {
    /// Its content.
    pub bytes: Bytes,
    /// How it is stored.
    pub encoding: Encoding,
    /// One of the shared integers 0 to 9999.
    pub shared: bool,
}

/// The longest string that is stored with its object.
const LONGEST_EMBSTR: usize = 44;

impl StringValue {
    /// A string as SET stores it ([STRING-1]).
    pub fn encoded(bytes: &[u8], shares_integers: bool) -> Self {
        match parse_integer(bytes) {
            Some(value) => Self {
                bytes: bytes.to_vec(),
                encoding: Encoding::Int,
                shared: shares_integers && (0..SHARED_INTEGERS).contains(&value),
            },
            None => Self::unparsed(bytes),
        }
    }

    /// A string that is not looked at for being an integer ([STRING-4]).
    pub fn unparsed(bytes: &[u8]) -> Self {
        let encoding = if bytes.len() <= LONGEST_EMBSTR { Encoding::Embstr } else { Encoding::Raw };
        Self { bytes: bytes.to_vec(), encoding, shared: false }
    }

    /// A string that was written to in place ([STRING-2]).
    pub fn raw(bytes: Bytes) -> Self {
        Self { bytes, encoding: Encoding::Raw, shared: false }
    }
}

/// Integers from 0 to below this are shared objects.
const SHARED_INTEGERS: i64 = 10_000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A byte string.
    String(StringValue),
    /// A list.
    List(ListValue),
    /// A set.
    Set(SetValue),
    /// A sorted set.
    Zset(ZsetValue),
    /// A hash.
    Hash(HashValue),
    /// A stream.
    Stream(StreamValue),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::Zset(_) => Kind::Zset,
            Self::Hash(_) => Kind::Hash,
            Self::Stream(_) => Kind::Stream,
        }
    }

    /// How it is stored.
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::String(string) => string.encoding,
            Self::List(_) => Encoding::Quicklist,
            Self::Set(set) => set.encoding,
            Self::Zset(zset) => zset.encoding,
            Self::Hash(hash) => hash.encoding,
            Self::Stream(_) => Encoding::Stream,
        }
    }

    /// Bytes of a string, elements of anything else.
    pub fn len(&self) -> usize {
        match self {
            Self::String(string) => string.bytes.len(),
            Self::List(list) => list.items.len(),
            Self::Set(set) => set.members.len(),
            Self::Zset(zset) => zset.scores.len(),
            Self::Hash(hash) => hash.fields.len(),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// Whether it is the empty string or a stream without entries; other types are never empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it goes with its last element. [STREAM-7]
    pub fn is_spent(&self) -> bool {
        self.is_empty() && self.kind() != Kind::Stream
    }
}
