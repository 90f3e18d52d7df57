//! Members in the order of their scores, and a dict beside it that finds them by their bytes.
//!
//! ```text
//! level 2   head ───────────────────────► c ─────────────► end         an arrow knows how many steps of level 0
//! level 1   head ─────────► b ──────────► c ─────────► e ─► end        it passes over: its span
//! level 0   head ──► a ──► b ──► c ──► d ──► e ──► end
//!                    a ◄── b ◄── c ◄── d ◄── e ◄── tail
//! dict      bucket ──► c ──► a        bucket ──► …                     the same entries, chained once more
//! ```
//!
//! A member's height is drawn when it is added: each level is there with a probability of a quarter of that below, up to
//! 64 levels. Members are ordered by score, those of equal scores by their bytes. The entries belong to the dict; the list
//! only links them. So a member costs one allocation.
//!
//! Ranks are counted from 0. A range of scores or of bytes is two descents that find where it begins and ends as ranks,
//! and everything else is done with ranks.
//!
//! Invariants, verified by [`Skiplist::validate`]:
//! - every entry of the dict is on level 0 once, in strictly ascending order; scores are numbers;
//! - a member is on all levels below its height and on no other, in the same order;
//! - a span is the distance to the next member on its level, or at a level's end to the last member;
//! - links backwards mirror level 0; the tail is the last member;
//! - the head has as many levels as the highest member, and one at least;
//! - the account of the entries' bytes is right.

mod edit;
mod node;
mod validate;

use std::cmp::Ordering;
use std::ops::Range;
use std::ptr::NonNull;

use super::dict::{Dict, EntryRef, HashKey, Link, Node as _};
use crate::chance::Chance;
use crate::faults::{self, Fault};

use node::Forward;
pub use node::Scored;

/// The set of members, see the [module](self).
pub struct Skiplist {
    dict: Dict<Scored>,
    /// Where each level begins, lowest first.
    head: Vec<Forward>,
    tail: Link<Scored>,
    /// Draws heights.
    chance: Chance,
    /// Bytes of the entries.
    entries: usize,
}

/// Whether one member goes before another.
#[inline]
fn order(score: f64, member: &[u8], other_score: f64, other: &[u8]) -> Ordering {
    // Scores are never NaN, and 0 and -0 are equal.
    score.partial_cmp(&other_score).unwrap_or(Ordering::Equal).then_with(|| {
        if faults::is(Fault::SkiplistTiesByLength) {
            return member.len().cmp(&other.len()).then_with(|| member.cmp(other));
        }
        member.cmp(other)
    })
}

impl Skiplist {
    /// An empty one. Heights and the order of the dict follow from the key.
    #[must_use]
    pub fn new(key: HashKey) -> Skiplist {
        Skiplist {
            dict: Dict::new(key),
            head: vec![Forward { node: None, span: 0 }],
            tail: None,
            chance: Chance::new(key.0 ^ key.1.rotate_left(32)),
            entries: 0,
        }
    }

    /// Number of members.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.dict.len()
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dict.is_empty()
    }

    /// Bytes of heap that it takes, without itself.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries + self.dict.table_bytes() + self.head.capacity() * size_of::<Forward>()
    }

    /// The dict of members.
    #[must_use]
    pub fn dict(&self) -> &Dict<Scored> {
        &self.dict
    }

    /// Number of members on each level, lowest first.
    #[must_use]
    pub fn level_lengths(&self) -> Vec<usize> {
        let on_level = |level| {
            std::iter::successors(self.forward(None, level).node, move |&node| self.forward(Some(node), level).node)
        };
        (0..self.head.len()).map(|level| on_level(level).count()).collect()
    }

    /// Makes the buckets for this many members.
    pub fn reserve(&mut self, members: usize) {
        self.dict.resize_to(members);
    }

    /// Where a level leads from a member, or from the head.
    #[inline]
    fn forward(&self, from: Link<Scored>, level: usize) -> Forward {
        match from {
            // SAFETY: entries in the list are live, and the list is borrowed; a link on a level leads to a member that
            // has it.
            Some(node) => unsafe { Scored::forward(node, level) },
            None => self.head[level],
        }
    }

    /// Asks the memory for the member that a descent looks at next if it goes down from here, while it still looks at the one
    /// on this level: in a list that is larger than the caches it waits for nothing else.
    #[inline]
    fn expect_below(&self, at: Link<Scored>, level: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(below) = level.checked_sub(1)
            && let Some(node) = self.forward(at, below).node
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: asking for memory reads nothing, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(node.as_ptr().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (at, level);
    }

    /// Score and bytes of an entry of the list.
    #[inline]
    fn read(&self, node: NonNull<Scored>) -> (f64, &[u8]) {
        // SAFETY: entries in the list are live, and cannot be changed while it is borrowed.
        unsafe { (Scored::score(node), Scored::key(node)) }
    }

    /// How many members come before the first for which `before` does not hold; if it holds for some members, it has to
    /// hold for all in front of them.
    #[inline]
    fn count_while(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        let mut at = None;
        let mut rank = 0;
        for level in (0..self.head.len()).rev() {
            loop {
                let forward = self.forward(at, level);
                self.expect_below(at, level);
                match forward.node {
                    Some(node)
                        if {
                            let (score, member) = self.read(node);
                            before(score, member)
                        } =>
                    {
                        at = Some(node);
                        rank += forward.span;
                        if faults::is(Fault::SkiplistLosesSteps) && level > 1 {
                            rank -= 1;
                        }
                    }
                    _ => break,
                }
            }
        }
        rank
    }

    /// The number of members from the beginning on for whose scores `before` holds.
    #[must_use]
    pub fn count_scores(&self, before: impl Fn(f64) -> bool) -> usize {
        self.count_while(|score, _| before(score))
    }

    /// The number of members from the beginning on for whose bytes `before` holds; means something only where all scores
    /// are equal.
    #[must_use]
    pub fn count_bytes(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.count_while(|_, member| before(member))
    }

    /// The member at a rank.
    fn node_at(&self, rank: usize) -> Link<Scored> {
        if rank + 1 == self.len() {
            return self.tail;
        }
        let mut at = None;
        let mut steps = rank.checked_add(1)?;
        for level in (0..self.head.len()).rev() {
            loop {
                let forward = self.forward(at, level);
                if forward.node.is_none() || forward.span > steps {
                    break;
                }
                at = forward.node;
                steps -= forward.span;
                if steps == 0 {
                    return at;
                }
            }
        }
        None
    }

    /// The score of a member.
    #[inline]
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.dict.peek(member).map(EntryRef::score)
    }

    /// The rank of a member.
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.count_while(|found_score, found| order(found_score, found, score, member).is_lt()))
    }

    /// The members of these ranks, in order; ranks that there are not are left out.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len());
        if ranks.start >= end {
            return Iter { list: self, front: None, back: None, left: 0 };
        }
        let left = end - ranks.start;
        Iter { list: self, front: self.node_at(ranks.start), back: self.node_at(end - 1), left }
    }

    /// All members, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }
}

impl<'a> IntoIterator for &'a Skiplist {
    type Item = (&'a [u8], f64);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> EntryRef<'a, Scored> {
    /// The member's score.
    #[inline]
    #[must_use]
    pub fn score(self) -> f64 {
        // SAFETY: an `EntryRef` exists only while its entry lives unchanged.
        unsafe { Scored::score(self.as_raw()) }
    }
}

/// Members with their scores, from both ends.
#[derive(Clone)]
pub struct Iter<'a> {
    list: &'a Skiplist,
    front: Link<Scored>,
    back: Link<Scored>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let node = self.front?;
        let (score, member) = self.list.read(node);
        // SAFETY: the entry is in the list, which is borrowed.
        self.front = unsafe { Scored::after(node) };
        Some((member, score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let node = self.back?;
        let (score, member) = self.list.read(node);
        // SAFETY: as in `next`.
        self.back = unsafe { Scored::before(node) };
        Some((member, score))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl std::fmt::Debug for Skiplist {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(members: impl IntoIterator<Item = (&'static str, f64)>) -> Skiplist {
        let mut list = Skiplist::new(HashKey(3, 4));
        for (member, score) in members {
            assert!(list.insert(member.as_bytes(), score));
            list.validate();
        }
        list
    }

    fn names(members: Iter<'_>) -> Vec<String> {
        members.map(|(member, _)| String::from_utf8_lossy(member).into_owned()).collect()
    }

    #[test]
    fn members_are_ordered_by_score_and_then_by_bytes() {
        let list =
            list([("b", 1.0), ("a", 1.0), ("z", -1.0), ("", 1.0), ("inf", f64::INFINITY), ("zero", -0.0), ("y", 0.0)]);
        assert_eq!(names(list.iter()), ["z", "y", "zero", "", "a", "b", "inf"]);
        assert_eq!(list.iter().rev().count(), 7);
        assert_eq!((list.rank(b"z"), list.rank(b"inf"), list.rank(b"?")), (Some(0), Some(6), None));
        assert_eq!(names(list.range(2..4)), ["zero", ""]);
        assert_eq!(names(list.range(5..99)), ["b", "inf"]);
        assert_eq!(list.count_scores(|score| score < 1.0), 3);
        assert_eq!(list.count_scores(|score| score <= 1.0), 6);
    }

    #[test]
    fn a_new_score_moves_a_member_and_a_removed_range_leaves_the_rest() {
        let mut list = Skiplist::new(HashKey(1, 1));
        for number in 0..1000u32 {
            list.insert(&number.to_be_bytes(), f64::from(number % 10));
        }
        list.validate();
        list.set_score(&7u32.to_be_bytes(), -1.0);
        list.set_score(&8u32.to_be_bytes(), 8.5);
        list.set_score(&9u32.to_be_bytes(), 1e9);
        list.validate();
        assert_eq!(list.rank(&7u32.to_be_bytes()), Some(0));
        assert_eq!(list.rank(&9u32.to_be_bytes()), Some(999));
        let mut removed = Vec::new();
        assert_eq!(list.remove_range(1..998, |member, score| removed.push((member.to_vec(), score))), 997);
        assert!(removed.is_sorted_by(|one, next| (one.1, &one.0) < (next.1, &next.0)));
        list.validate();
        assert_eq!(list.len(), 3);
        assert_eq!(list.remove(&9u32.to_be_bytes()), Some(1e9));
        assert_eq!(list.remove_range(0..99, |_, _| ()), 2);
        list.validate();
        assert!(list.is_empty());
    }
}
