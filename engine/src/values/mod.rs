//! Values other than strings: one type for each that TYPE names, which chooses among its encodings.
//!
//! ```text
//! key's entry ─ Collection ─ small: one packed allocation (ziplist, intset)
//!                          └ large: a boxed structure (quicklist, hash table, skiplist)
//! ```
//!
//! A [`Collection`] lies in its key's entry ([`crate::structures::key_entry`]), so a small value costs one allocation
//! beside that of its key. An encoding only ever changes from the small to the large one.

mod contents;
mod distinct;
mod hash;
mod list;
mod set;
pub mod stream;
pub(crate) mod zset;

use std::ops::{Deref, DerefMut};

pub use contents::Element;
pub(crate) use hash::Filling as FillingHash;
pub(crate) use hash::NoHash;
pub use hash::{Hash, HashLimits};
pub(crate) use list::ELEMENT_MAX;
pub use list::List;
pub(crate) use set::Filling as FillingSet;
pub use set::Set;
pub(crate) use set::SetLimits;
pub use stream::Stream;
pub(crate) use zset::Filling as FillingZset;
pub use zset::Zset;
pub(crate) use zset::ZsetLimits;

/// Types of values, by the number that files and digests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// A string of bytes.
    String = 0,
    /// A sequence of strings.
    List = 1,
    /// Distinct strings.
    Set = 2,
    /// Distinct strings, ordered by a score.
    Zset = 3,
    /// Distinct fields, each with a value.
    Hash = 4,
    /// Entries under ids that ascend.
    Stream = 6,
}

impl Type {
    /// As TYPE shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::Zset => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }
}

/// Encodings of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A growable string.
    Raw,
    /// An integer.
    Int,
    /// A short string beside its key.
    Embstr,
    /// Entries packed one after another.
    Ziplist,
    /// Sorted integers of one width.
    Intset,
    /// A list of ziplists.
    Quicklist,
    /// A dict of members or fields.
    Hashtable,
    /// A skiplist, and a dict beside it.
    Skiplist,
    /// A radix tree of listpacks.
    Stream,
}

impl Encoding {
    /// As OBJECT ENCODING shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Ziplist => "ziplist",
            Encoding::Intset => "intset",
            Encoding::Quicklist => "quicklist",
            Encoding::Hashtable => "hashtable",
            Encoding::Skiplist => "skiplist",
            // Redis 5 has no name for it. [OBJECT-10]
            Encoding::Stream => "unknown",
        }
    }
}

/// What knows how many bytes of the heap it owns.
pub trait Measured {
    /// Bytes of the heap that the value owns, found in constant time.
    fn bytes(&self) -> usize;
}

/// A value that is no string, on its way into or out of the keyspace.
#[derive(Debug)]
pub enum Collection {
    /// A list.
    List(List),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    Zset(Zset),
    /// A stream.
    Stream(Stream),
}

impl Collection {
    /// Looks at it.
    #[must_use]
    pub fn view(&self) -> CollectionRef<'_> {
        match self {
            Collection::List(list) => CollectionRef::List(list),
            Collection::Hash(hash) => CollectionRef::Hash(hash),
            Collection::Set(set) => CollectionRef::Set(set),
            Collection::Zset(zset) => CollectionRef::Zset(zset),
            Collection::Stream(stream) => CollectionRef::Stream(stream),
        }
    }
}

/// A value that is no string and lies in its key's entry.
#[derive(Clone, Copy, Debug)]
pub enum CollectionRef<'a> {
    /// A list.
    List(&'a List),
    /// A hash.
    Hash(&'a Hash),
    /// A set.
    Set(&'a Set),
    /// A sorted set.
    Zset(&'a Zset),
    /// A stream.
    Stream(&'a Stream),
}

/// As [`CollectionRef`], to change it.
#[derive(Debug)]
pub enum CollectionMut<'a> {
    /// A list.
    List(&'a mut List),
    /// A hash.
    Hash(&'a mut Hash),
    /// A set.
    Set(&'a mut Set),
    /// A sorted set.
    Zset(&'a mut Zset),
    /// A stream.
    Stream(&'a mut Stream),
}

impl CollectionRef<'_> {
    /// Its type.
    #[must_use]
    pub fn kind(self) -> Type {
        match self {
            CollectionRef::List(_) => Type::List,
            CollectionRef::Hash(_) => Type::Hash,
            CollectionRef::Set(_) => Type::Set,
            CollectionRef::Zset(_) => Type::Zset,
            CollectionRef::Stream(_) => Type::Stream,
        }
    }

    /// How it is stored.
    #[must_use]
    pub fn encoding(self) -> Encoding {
        match self {
            CollectionRef::List(_) => Encoding::Quicklist,
            CollectionRef::Hash(hash) => hash.encoding(),
            CollectionRef::Set(set) => set.encoding(),
            CollectionRef::Zset(zset) => zset.encoding(),
            CollectionRef::Stream(_) => Encoding::Stream,
        }
    }

    /// How many elements it holds.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            CollectionRef::List(list) => list.len(),
            CollectionRef::Hash(hash) => hash.len(),
            CollectionRef::Set(set) => set.len(),
            CollectionRef::Zset(zset) => zset.len(),
            CollectionRef::Stream(stream) => usize::try_from(stream.len()).unwrap_or(usize::MAX),
        }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether it holds nothing that would keep it in the keyspace: a stream stays there without entries too.
    #[must_use]
    pub fn is_void(self) -> bool {
        self.kind() != Type::Stream && self.is_empty()
    }

    /// Bytes of the heap that it owns.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            CollectionRef::List(list) => Measured::bytes(list),
            CollectionRef::Hash(hash) => hash.bytes(),
            CollectionRef::Set(set) => set.bytes(),
            CollectionRef::Zset(zset) => zset.bytes(),
            CollectionRef::Stream(stream) => stream.bytes(),
        }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(self) {
        match self {
            CollectionRef::List(list) => list.validate(),
            CollectionRef::Hash(hash) => hash.validate(),
            CollectionRef::Set(set) => set.validate(),
            CollectionRef::Zset(zset) => zset.validate(),
            CollectionRef::Stream(stream) => stream.validate(),
        }
    }
}

/// A value that is being changed in its key's entry; when it goes, the account of bytes follows what it took or freed.
pub struct Guard<'a, T: Measured> {
    value: &'a mut T,
    account: &'a mut usize,
    before: usize,
}

impl<'a, T: Measured> Guard<'a, T> {
    /// Watches over `value`, whose bytes `account` holds.
    pub fn new(value: &'a mut T, account: &'a mut usize) -> Self {
        Guard { before: value.bytes(), value, account }
    }
}

impl<T: Measured> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

impl<T: Measured> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

impl<T: Measured> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        *self.account = *self.account - self.before + self.value.bytes();
    }
}
