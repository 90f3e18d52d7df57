//! Sets.

use std::collections::BTreeSet;

use crate::numbers::parse_integer;
use crate::reply::Bytes;
use crate::thresholds::Thresholds;
use crate::value::Encoding;

/// A set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetValue {
    /// Its members.
    pub members: BTreeSet<Bytes>,
    /// Intset, until something does not fit; then hashtable for good.
    pub encoding: Encoding,
}

/// What is done to a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetEdit {
    /// These become members.
    Add(Vec<Bytes>),
    /// These are members no more.
    Remove(Vec<Bytes>),
    /// It is made anew of its own members. [SETENC-7]
    Anew,
}

impl SetValue {
    /// A set that has no members yet.
    pub(crate) fn new() -> Self {
        Self { members: BTreeSet::new(), encoding: Encoding::Intset }
    }

    /// A set made of these members.
    pub(crate) fn of(members: impl IntoIterator<Item = Bytes>, thresholds: &Thresholds) -> Self {
        let mut set = Self::new();
        for member in members {
            set.add(member, thresholds);
        }
        set
    }

    /// Adds a member; only a new one can lead to another encoding.
    fn add(&mut self, member: Bytes, thresholds: &Thresholds) {
        let is_integer = parse_integer(&member).is_some();
        if self.members.insert(member) && (!is_integer || self.members.len() > thresholds.set_intset_entries) {
            self.encoding = Encoding::Hashtable;
        }
    }

    /// Makes a change in place.
    pub(crate) fn apply(&mut self, edit: SetEdit, thresholds: &Thresholds) {
        match edit {
            SetEdit::Add(members) => members.into_iter().for_each(|member| self.add(member, thresholds)),
            SetEdit::Remove(members) => {
                for member in &members {
                    self.members.remove(member);
                }
            }
            SetEdit::Anew => *self = Self::of(std::mem::take(&mut self.members), thresholds),
        }
    }
}
