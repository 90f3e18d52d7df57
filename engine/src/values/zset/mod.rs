//! Sorted sets: a ziplist of members and scores while they are few and short, a skiplist from then on.
//!
//! ```text
//! Zset ─ Ziplist    member, score, member, score, … in order; a score is the text that clients see
//!      └ Skiplist   one allocation for each member, links by score and by hash
//! ```
//!
//! Whatever asks for a part of the set gets it as a range of ranks, counted from 0 at the smallest score: see
//! [`range`](self::range).
//!
//! Invariants, verified by [`Zset::validate`]: those of the structures; members of a ziplist come in pairs with scores
//! that are numbers, strictly ascending, none twice.

mod packed;
pub(crate) mod range;

use std::ops::Range;

use super::{Encoding, Measured};
use crate::config::Config;
use crate::faults::{self, Fault};
use crate::number::I64_TEXT_MAX;
use crate::structures::DecodeError;
use crate::structures::dict::{Arrivals, HashKey};
use crate::structures::skiplist::{self, Scored, Skiplist};
use crate::structures::tagged::Either::{Large, Small};
use crate::structures::tagged::Tagged;
use crate::structures::ziplist::{Value, Ziplist};

use range::{LexRange, ScoreRange};

/// Buckets visited for each member that a page should have: a bound for nearly empty tables.
const BUCKETS_PER_MEMBER: u64 = 20;

/// What decides how a sorted set is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZsetLimits {
    /// Most members of a ziplist.
    pub(crate) entries: usize,
    /// Longest member of a ziplist, bytes.
    pub(crate) value: usize,
    /// The secret of the hash of members.
    pub(crate) hash_key: HashKey,
}

impl ZsetLimits {
    /// As configured.
    pub(crate) fn new(config: &Config, hash_key: HashKey) -> ZsetLimits {
        ZsetLimits {
            entries: usize::try_from(config.zset_max_ziplist_entries).unwrap_or(0),
            value: usize::try_from(config.zset_max_ziplist_value).unwrap_or(0),
            hash_key,
        }
    }
}

/// The sorted set, see the [module](self).
#[derive(Debug)]
#[repr(transparent)]
pub struct Zset(Tagged<Ziplist, Skiplist>);

/// Why a ziplist is no sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoZset {
    /// An odd number of entries.
    #[error("a member without a score")]
    Odd(usize),
    /// A score that is no number.
    #[error("a score that is no number")]
    Score,
    /// Members that do not ascend.
    #[error("members that are not in the order of their scores")]
    Order,
    /// A member twice.
    #[error("a member twice")]
    Twice,
}

/// What adding a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is new.
    New,
    /// It was there with another score.
    Moved,
    /// It was there with this score.
    Same,
}

/// A sorted set that is filled from a file, in whatever order members come, and how many are said to come. Each is added
/// with a note, which is the answer when it is there already; that can turn out some members later.
pub(crate) struct Filling<T> {
    list: Box<Skiplist>,
    expected: usize,
    arrivals: Arrivals<Scored, T>,
}

impl<T> Filling<T> {
    /// Nothing yet.
    pub(crate) fn new(expected: u64, limits: &ZsetLimits) -> Self {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        Filling { list: Box::new(Skiplist::new(limits.hash_key)), expected, arrivals: Arrivals::new() }
    }

    /// Adds a member; the score is a number.
    pub(crate) fn add(&mut self, member: &[u8], score: f64, note: T) -> Result<(), T> {
        let entry = self.list.entry(member, score);
        match self.arrivals.push(self.list.dict(), entry, note) {
            Some(arrived) => self.list.admit(arrived, self.expected),
            None => Ok(()),
        }
    }

    /// The set, when all are there: packed, if its members are few and short enough.
    pub(crate) fn finish(mut self, limits: &ZsetLimits) -> Result<Zset, T> {
        while let Some(arrived) = self.arrivals.pop() {
            self.list.admit(arrived, self.expected)?;
        }
        let mut zset = Zset(Tagged::large(self.list));
        zset.pack(limits);
        Ok(zset)
    }
}

impl Zset {
    /// An empty set that is to receive `member` first.
    pub(crate) fn beginning_with(member: &[u8], limits: &ZsetLimits) -> Zset {
        if limits.entries == 0 || member.len() > limits.value {
            Zset::skiplist(limits.hash_key)
        } else {
            Zset(Tagged::small(Ziplist::new()))
        }
    }

    /// An empty skiplist: for results that are packed when they are complete, see [`Zset::pack`].
    pub(crate) fn skiplist(hash_key: HashKey) -> Zset {
        Zset(Tagged::large(Box::new(Skiplist::new(hash_key))))
    }

    /// The set of these members and scores; a skiplist if they are too many.
    ///
    /// # Errors
    /// [`NoZset`] when the entries are not what a sorted set consists of.
    pub(crate) fn from_ziplist(list: Ziplist, limits: &ZsetLimits) -> Result<Zset, NoZset> {
        packed::check(&list)?;
        Ok(Zset::of_checked(list, limits))
    }

    /// As [`Zset::from_ziplist`], of the bytes of a ziplist.
    ///
    /// # Errors
    /// [`DecodeError`] when they are none.
    pub(crate) fn from_bytes(bytes: &[u8], limits: &ZsetLimits) -> Result<Result<Zset, NoZset>, DecodeError> {
        let mut checking = packed::Checking::new();
        let list = Ziplist::from_bytes_showing(bytes, |value| checking.entry(value))?;
        Ok(checking.finish(&list).map(|()| Zset::of_checked(list, limits)))
    }

    fn of_checked(list: Ziplist, limits: &ZsetLimits) -> Zset {
        let mut zset = Zset(Tagged::small(list));
        if zset.len() > limits.entries {
            zset.make_skiplist(limits.hash_key);
        }
        zset
    }

    /// The ziplist, when there is one.
    pub(crate) fn as_ziplist(&self) -> Option<&Ziplist> {
        match self.0.view() {
            Small(list) => Some(list),
            Large(_) => None,
        }
    }

    /// The skiplist, when there is one.
    pub(crate) fn as_skiplist(&self) -> Option<&Skiplist> {
        match self.0.view() {
            Small(_) => None,
            Large(list) => Some(list),
        }
    }

    /// Stores the members in a skiplist from now on.
    pub(crate) fn make_skiplist(&mut self, hash_key: HashKey) {
        let Small(list) = self.0.view() else { return };
        let mut skiplist = Skiplist::new(hash_key);
        skiplist.reserve(list.len() / 2);
        for (member, score) in self.iter() {
            let score = if faults::is(Fault::ZsetConversionRoundsScores) { score.trunc() } else { score };
            skiplist.insert(member.text(&mut [0; I64_TEXT_MAX]), score);
        }
        self.0 = Tagged::large(Box::new(skiplist));
    }

    /// Packs a skiplist into a ziplist if its members are few and short enough. Only for values that no client has seen
    /// as a skiplist: results of commands, and values that are loaded.
    pub(crate) fn pack(&mut self, limits: &ZsetLimits) {
        let Large(list) = self.0.view() else { return };
        if list.len() > limits.entries || list.iter().any(|(member, _)| member.len() > limits.value) {
            return;
        }
        let mut ziplist = Ziplist::new();
        for (member, score) in list.iter() {
            packed::insert_before(&mut ziplist, None, member, score);
        }
        self.0 = Tagged::small(ziplist);
    }

    /// How it is stored.
    pub(crate) fn encoding(&self) -> Encoding {
        match self.0.view() {
            Small(_) => Encoding::Ziplist,
            Large(_) => Encoding::Skiplist,
        }
    }

    /// Number of members.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.view() {
            Small(list) => list.len() / 2,
            Large(list) => list.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self.0.view() {
            Small(list) => list.is_empty(),
            Large(list) => list.is_empty(),
        }
    }

    /// The score of a member.
    #[inline]
    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        match self.0.view() {
            Small(list) => packed::find(list, member).map(|(_, score)| score),
            Large(list) => list.score(member),
        }
    }

    /// Adds a member, or gives it another score; 0 and -0 are the same score. The score is a number.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64, limits: &ZsetLimits) -> Added {
        self.insert_over(self.score(member), member, score, limits)
    }

    /// As [`Zset::insert`], for who knows the member's score: `old`, nothing when it is not there.
    pub(crate) fn insert_over(&mut self, old: Option<f64>, member: &[u8], score: f64, limits: &ZsetLimits) -> Added {
        if old == Some(score) {
            return Added::Same;
        }
        if old.is_some() {
            self.set_score(member, score);
            return Added::Moved;
        }
        if let Small(list) = self.0.view() {
            let longest = limits.value.saturating_add(usize::from(faults::is(Fault::ZsetOneByteTooLong)));
            let full = list.len() / 2 >= limits.entries;
            if full || member.len() > longest || !list.has_room(packed::room(member)) {
                self.make_skiplist(limits.hash_key);
            }
        }
        match self.0.view_mut() {
            Small(list) => packed::insert(list, member, score),
            Large(list) => list.insert_new(member, score),
        }
        Added::New
    }

    /// Gives a member another score, or -0 in the place of 0; nothing is done when it is not there.
    pub(crate) fn set_score(&mut self, member: &[u8], score: f64) {
        match self.0.view_mut() {
            Large(list) => drop(list.set_score(member, score)),
            Small(list) => {
                if let Some((position, _)) = packed::find(list, member) {
                    packed::remove_at(list, position);
                    packed::insert(list, member, score);
                }
            }
        }
    }

    /// Takes a member out, and answers its score.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self.0.view_mut() {
            Large(list) => list.remove(member),
            Small(list) => {
                let (position, score) = packed::find(list, member)?;
                packed::remove_at(list, position);
                Some(score)
            }
        }
    }

    /// Takes out the members of these ranks, and answers how many there were.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        match self.0.view_mut() {
            Large(list) => list.remove_range(ranks, |_, _| ()),
            Small(list) => {
                let end = ranks.end.min(list.len() / 2);
                let Some(count) = end.checked_sub(ranks.start).filter(|&count| count > 0) else { return 0 };
                if let Some(position) = packed::position(list, ranks.start) {
                    list.delete_range(position, 2 * count);
                }
                count
            }
        }
    }

    /// The rank of a member.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        match self.0.view() {
            Small(list) => packed::Pairs::all(list).position(|(found, _)| found.is_text(member)),
            Large(list) => list.rank(member),
        }
    }

    /// The members of these ranks with their scores, in order; ranks that there are not are left out.
    pub(crate) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        match self.0.view() {
            Small(list) => Iter::Ziplist(packed::Pairs::of(list, ranks)),
            Large(list) => Iter::Skiplist(list.range(ranks)),
        }
    }

    /// All members with their scores, in order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self.0.view() {
            Small(list) => Iter::Ziplist(packed::Pairs::all(list)),
            Large(list) => Iter::Skiplist(list.iter()),
        }
    }

    /// The ranks of the members whose scores are in a range.
    pub(crate) fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        match self.0.view() {
            Large(list) => {
                let start = list.count_scores(|score| range.is_above(score));
                start..list.count_scores(|score| range.reaches(score)).max(start)
            }
            Small(list) => {
                let mut scores = packed::Pairs::all(list).map(|(_, score)| score).peekable();
                let mut start = 0;
                while scores.next_if(|&score| range.is_above(score)).is_some() {
                    start += 1;
                }
                start..start + scores.take_while(|&score| range.reaches(score)).count()
            }
        }
    }

    /// The ranks of the members that are in a range of bytes.
    ///
    /// Where scores differ, members do not ascend, and the range is what one gets who goes through all of them: nothing if
    /// the last is before the range or the first behind it; else from the first member that its beginning lets in up to
    /// before the next that its end does not, or the same `from_the_end`. [ZRANGEBYLEX-5]
    pub(crate) fn lex_ranks(&self, range: &LexRange<'_>, from_the_end: bool) -> Range<usize> {
        let len = self.len();
        let mut ends = self.range(0..1).chain(self.range(len.saturating_sub(1)..len));
        let (Some((first, least)), Some((last, greatest))) = (ends.next(), ends.next()) else { return 0..0 };
        if let (Large(list), true) = (self.0.view(), least == greatest) {
            let start = list.count_bytes(|member| range.is_above(member));
            return start..list.count_bytes(|member| range.reaches(member)).max(start);
        }
        let is_above = |member: Value<'_>| range.is_above(member.text(&mut [0; I64_TEXT_MAX]));
        let reaches = |member: Value<'_>| range.reaches(member.text(&mut [0; I64_TEXT_MAX]));
        if range.is_empty() || is_above(last) || !reaches(first) {
            return 0..0;
        }
        let members = |ranks| self.range(ranks).map(|(member, _)| member);
        if from_the_end {
            let end = len - members(0..len).rev().take_while(|&member| !reaches(member)).count();
            end - members(0..end).rev().take_while(|&member| !is_above(member)).count()..end
        } else {
            let start = members(0..len).take_while(|&member| is_above(member)).count();
            start..start + members(start..len).take_while(|&member| reaches(member)).count()
        }
    }

    /// A page of ZSCAN: gives members and scores to `found` and answers the next cursor. A ziplist is one page.
    pub(crate) fn scan<'a>(&'a self, cursor: u64, count: u64, mut found: impl FnMut(Value<'a>, f64)) -> u64 {
        let dict = match self.0.view() {
            Small(list) => {
                packed::Pairs::all(list).for_each(|(member, score)| found(member, score));
                return 0;
            }
            Large(list) => list.dict(),
        };
        let (mut cursor, mut met) = (cursor, 0);
        let mut visits = count.saturating_mul(BUCKETS_PER_MEMBER);
        loop {
            cursor = dict.scan(cursor, |entry| {
                found(Value::Bytes(entry.key()), entry.score());
                met += 1;
            });
            if cursor == 0 || visits == 0 || met >= count {
                return cursor;
            }
            visits -= 1;
        }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        match self.0.view() {
            Large(list) => list.validate(),
            Small(list) => {
                list.validate();
                assert_eq!(packed::check(list), Ok(()));
            }
        }
    }
}

impl Measured for Zset {
    #[inline]
    fn bytes(&self) -> usize {
        match self.0.view() {
            Small(list) => list.bytes(),
            Large(list) => size_of::<Skiplist>() + list.bytes(),
        }
    }
}

/// Members with their scores, from both ends, see [`Zset::range`].
pub(crate) enum Iter<'a> {
    /// Of a ziplist.
    Ziplist(packed::Pairs<'a>),
    /// Of a skiplist.
    Skiplist(skiplist::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Value<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Ziplist(pairs) => pairs.next(),
            Iter::Skiplist(members) => members.next().map(|(member, score)| (Value::Bytes(member), score)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Iter::Ziplist(pairs) => pairs.size_hint(),
            Iter::Skiplist(members) => members.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Iter::Ziplist(pairs) => pairs.next_back(),
            Iter::Skiplist(members) => members.next_back().map(|(member, score)| (Value::Bytes(member), score)),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

const _: () = assert!(size_of::<Zset>() == 8);
