//! Sorted sets.

use std::collections::{BTreeMap, BTreeSet};

use crate::reply::Bytes;
use crate::score::Score;
use crate::thresholds::Thresholds;
use crate::value::Encoding;

/// A sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZsetValue {
    /// The score of each member.
    pub scores: BTreeMap<Bytes, Score>,
    /// The members by score, then by bytes.
    pub order: BTreeSet<(Score, Bytes)>,
    /// Ziplist, until something does not fit; then skiplist for good.
    pub encoding: Encoding,
}

/// What is done to a sorted set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZsetEdit {
    /// These become members or get other scores.
    Score(Vec<(Bytes, Score)>),
    /// These are members no more.
    Remove(Vec<Bytes>),
    /// It becomes a skiplist. [SORT-19]
    Convert,
}

impl ZsetValue {
    /// A sorted set that has no members yet.
    pub(crate) fn new(thresholds: &Thresholds) -> Self {
        let encoding = if thresholds.zset_ziplist_entries == 0 { Encoding::Skiplist } else { Encoding::Ziplist };
        Self { scores: BTreeMap::new(), order: BTreeSet::new(), encoding }
    }

    /// A sorted set made of these members.
    pub(crate) fn of(members: impl IntoIterator<Item = (Bytes, Score)>, thresholds: &Thresholds) -> Self {
        let mut zset = Self::new(thresholds);
        for (member, score) in members {
            zset.set_score(member, score, thresholds);
        }
        zset
    }

    /// Gives a member its score; only a new member can lead to another encoding.
    fn set_score(&mut self, member: Bytes, score: Score, thresholds: &Thresholds) {
        match self.scores.get(&member) {
            // An equal score is left alone, so that a negative zero stays one.
            Some(&present) if present == score => return,
            Some(&present) => {
                self.order.remove(&(present, member.clone()));
            }
            None if self.scores.len() >= thresholds.zset_ziplist_entries
                || member.len() > thresholds.zset_ziplist_value =>
            {
                self.encoding = Encoding::Skiplist;
            }
            None => {}
        }
        self.order.insert((score, member.clone()));
        self.scores.insert(member, score);
    }

    /// Makes a change in place.
    pub(crate) fn apply(&mut self, edit: ZsetEdit, thresholds: &Thresholds) {
        match edit {
            ZsetEdit::Score(scores) => {
                for (member, score) in scores {
                    self.set_score(member, score, thresholds);
                }
            }
            ZsetEdit::Convert => self.encoding = Encoding::Skiplist,
            ZsetEdit::Remove(members) => members.iter().for_each(|member| self.remove(member)),
        }
    }

    /// Takes a member away.
    pub(crate) fn remove(&mut self, member: &Bytes) {
        if let Some(score) = self.scores.remove(member) {
            self.order.remove(&(score, member.clone()));
        }
    }
}
