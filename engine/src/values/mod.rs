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
mod hash;
mod list;
mod set;
pub(crate) mod zset;

use std::ops::{Deref, DerefMut};

pub use contents::Element;
pub use hash::{Hash, HashLimits};
pub(crate) use list::ELEMENT_MAX;
pub use list::List;
pub use set::Set;
pub(crate) use set::SetLimits;
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
        }
    }
}

/// What knows how many bytes of the heap it owns.
pub trait Measured {
    /// Bytes of the heap that the value owns, found in constant time.
    fn bytes(&self) -> usize;
}

/// A value that is no string.
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
}

// It lies in every key's entry, where each byte counts.
const _: () = assert!(size_of::<Option<Collection>>() <= 24 && align_of::<Collection>() <= 8);

impl Collection {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Type {
        match self {
            Collection::List(_) => Type::List,
            Collection::Hash(_) => Type::Hash,
            Collection::Set(_) => Type::Set,
            Collection::Zset(_) => Type::Zset,
        }
    }

    /// How it is stored.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self {
            Collection::List(_) => Encoding::Quicklist,
            Collection::Hash(hash) => hash.encoding(),
            Collection::Set(set) => set.encoding(),
            Collection::Zset(zset) => zset.encoding(),
        }
    }

    /// How many elements it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Collection::List(list) => list.len(),
            Collection::Hash(hash) => hash.len(),
            Collection::Set(set) => set.len(),
            Collection::Zset(zset) => zset.len(),
        }
    }

    /// Whether it holds nothing; such a value does not stay in the keyspace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        match self {
            Collection::List(list) => list.validate(),
            Collection::Hash(hash) => hash.validate(),
            Collection::Set(set) => set.validate(),
            Collection::Zset(zset) => zset.validate(),
        }
    }
}

impl Measured for Collection {
    fn bytes(&self) -> usize {
        match self {
            Collection::List(list) => list.bytes(),
            Collection::Hash(hash) => hash.bytes(),
            Collection::Set(set) => set.bytes(),
            Collection::Zset(zset) => zset.bytes(),
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
