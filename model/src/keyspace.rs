//! Databases: keys, their values, and when they expire.
//!
//! A key whose fate is not known (its deadline lay within the span of a command whose answer did not tell) is an
//! [`Slot::Open`] slot: all states it may be in. The next answer that depends on it settles it. In virtual time no slot is ever open.
//! A key whose deadline has passed stays as a ghost until a look-up removes it, because DBSIZE may still count it.

use std::collections::BTreeMap;

use crate::reply::Bytes;
use crate::shared::Shared;
use crate::span::Span;
use crate::value::Value;

/// When a key expires, Unix milliseconds: a point in virtual time, an interval when it was set relative to a live server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Not before.
    pub earliest_ms: i64,
    /// Not after.
    pub latest_ms: i64,
}

impl Deadline {
    /// A deadline of which nothing is known.
    pub const UNKNOWN: Self = Self { earliest_ms: i64::MIN, latest_ms: i64::MAX };

    /// Whether nothing is known of it.
    pub fn is_unknown(self) -> bool {
        self == Self::UNKNOWN
    }

    /// Exactly then.
    pub fn at(unix_ms: i64) -> Self {
        Self { earliest_ms: unix_ms, latest_ms: unix_ms }
    }

    /// Whether the key lives during the span.
    pub fn fate(self, span: Span) -> Fate {
        if span.latest_ms <= self.earliest_ms {
            Fate::Alive
        } else if span.earliest_ms > self.latest_ms {
            Fate::Gone
        } else {
            Fate::Perhaps
        }
    }
}

/// Whether a key is logically there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Surely.
    Alive,
    /// Surely not: its deadline has passed.
    Gone,
    /// The deadline lies within the span.
    Perhaps,
}

/// The last use of a key, for OBJECT IDLETIME and FREQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// When it was last read or written, Unix milliseconds, as an interval.
    pub last: Span,
    /// The logarithmic access counter is at most this.
    pub most_frequent: u8,
}

impl Access {
    /// The same 24 bits hold the time or the counter: after a use under an LFU policy they tell no time. [OBJECT-4]
    pub const UNKNOWN: Span = Span { earliest_ms: i64::MIN / 4, latest_ms: i64::MAX / 4 };

    /// Either of two.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            last: Span {
                earliest_ms: self.last.earliest_ms.min(other.last.earliest_ms),
                latest_ms: self.last.latest_ms.max(other.last.latest_ms),
            },
            most_frequent: self.most_frequent.max(other.most_frequent),
        }
    }

    /// The key was used; if the command failed, perhaps.
    pub fn used(&mut self, span: Span, perhaps: bool, counts_frequency: bool) {
        if counts_frequency {
            self.last = Self::UNKNOWN;
            // A command may look a key up twice.
            self.most_frequent = self.most_frequent.saturating_add(2);
            return;
        }
        if perhaps {
            self.last.latest_ms = self.last.latest_ms.max(span.latest_ms);
        } else {
            self.last = span;
        }
        // A time read as a counter may be anything. [OBJECT-6]
        self.most_frequent = u8::MAX;
    }
}

/// A key's value and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// When it expires, if it does.
    pub deadline: Option<Deadline>,
    /// Its last use.
    pub access: Access,
    /// Rises with every key that is created; tells a key from an earlier one of the same name.
    pub born: u64,
}

impl Entry {
    /// Whether the key is logically there during the span.
    pub fn fate(&self, span: Span) -> Fate {
        self.deadline.map_or(Fate::Alive, |deadline| deadline.fate(span))
    }
}

/// What is known of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// This, as far as its deadline allows.
    Known(Entry),
    /// One of several states; `None` is an absent key. Never empty.
    Open(Vec<Option<Entry>>),
}

impl Slot {
    /// Absence is one of the states that it is in doubt about, whatever its deadline says.
    pub(crate) fn may_be_absent(&self) -> bool {
        matches!(self, Self::Open(versions) if versions.iter().any(Option::is_none))
    }

    /// In one of its states it has a deadline that has passed, or may have.
    pub(crate) fn may_have_expired(&self, span: Span) -> bool {
        match self {
            Self::Known(entry) => entry.fate(span) != Fate::Alive,
            Self::Open(versions) => versions.iter().flatten().any(|entry| entry.fate(span) != Fate::Alive),
        }
    }

    /// The states the key may be in during the span, expired ones as `None`.
    pub fn options(&self, span: Span) -> Vec<Option<&Entry>> {
        let versions: Vec<Option<&Entry>> = match self {
            Self::Known(entry) => vec![Some(entry)],
            Self::Open(versions) => versions.iter().map(Option::as_ref).collect(),
        };
        let mut options: Vec<Option<&Entry>> = Vec::new();
        for version in versions {
            let fate = version.map_or(Fate::Gone, |entry| entry.fate(span));
            if fate != Fate::Gone {
                options.push(version);
            }
            if fate != Fate::Alive && !options.contains(&None) {
                options.push(None);
            }
        }
        options
    }

    /// Whether the key is logically there during the span.
    pub fn fate(&self, span: Span) -> Fate {
        let one = |version: Option<&Entry>| version.map_or(Fate::Gone, |entry| entry.fate(span));
        match self {
            Self::Known(entry) => entry.fate(span),
            Self::Open(versions) => {
                let fates: Vec<Fate> = versions.iter().map(|version| one(version.as_ref())).collect();
                match fates.first() {
                    Some(first) if fates.iter().all(|fate| fate == first) => *first,
                    _ => Fate::Perhaps,
                }
            }
        }
    }
}

/// One database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Db {
    /// Its keys, ghosts included.
    pub keys: BTreeMap<Bytes, Shared<Slot>>,
}

/// All databases, by number; those never used are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyspace {
    /// The databases.
    pub databases: BTreeMap<usize, Db>,
    /// The number the next created key gets.
    pub next_born: u64,
}

impl Keyspace {
    /// What is known of a key.
    pub fn slot(&self, db: usize, key: &[u8]) -> Option<&Slot> {
        Some(self.databases.get(&db)?.keys.get(key)?)
    }

    /// The entry of a key whose state is settled.
    pub fn entry_mut(&mut self, db: usize, key: &[u8]) -> Option<&mut Entry> {
        match &mut **self.databases.get_mut(&db)?.keys.get_mut(key)? {
            Slot::Known(entry) => Some(entry),
            Slot::Open(_) => None,
        }
    }

    /// A key's entry in each of the states that it may be in.
    pub(crate) fn entries_mut(&mut self, db: usize, key: &[u8]) -> impl Iterator<Item = &mut Entry> {
        let slot = self.databases.get_mut(&db).and_then(|db| db.keys.get_mut(key));
        let (known, open) = match slot.map(|slot| &mut **slot) {
            Some(Slot::Known(entry)) => (Some(entry), None),
            Some(Slot::Open(states)) => (None, Some(states)),
            None => (None, None),
        };
        known.into_iter().chain(open.into_iter().flatten().flatten())
    }

    /// Removes a key and answers what was known of it.
    pub fn take_slot(&mut self, db: usize, key: &[u8]) -> Option<Slot> {
        self.databases.get_mut(&db)?.keys.remove(key).map(Shared::into_inner)
    }

    /// The same under another name: a key that is born now.
    pub(crate) fn reborn(&mut self, mut slot: Slot) -> Slot {
        let born = self.next_born;
        self.next_born += 1;
        match &mut slot {
            Slot::Known(entry) => entry.born = born,
            Slot::Open(versions) => versions.iter_mut().flatten().for_each(|entry| entry.born = born),
        }
        slot
    }

    /// Replaces or removes what is known of a key.
    pub fn set_slot(&mut self, db: usize, key: &[u8], slot: Option<Slot>) {
        let db = self.databases.entry(db).or_default();
        match slot {
            Some(slot) => {
                db.keys.insert(key.to_vec(), slot.into());
            }
            None => {
                db.keys.remove(key);
            }
        }
    }
}
