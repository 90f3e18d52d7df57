//! Members and scores as pairs of entries of a ziplist.

use std::cmp::Ordering;
use std::ops::Range;

use super::NoZset;
use crate::number::{F64_TEXT_MAX, I64_TEXT_MAX, parse_f64, score_text};
use crate::structures::ziplist::{Position, Value, Ziplist};
use crate::values::distinct::{Digests, texts_differ};

/// Bytes for which a ziplist has to have room when a member is added: its own and those of its score.
pub(super) fn room(member: &[u8]) -> usize {
    member.len().saturating_add(2 * F64_TEXT_MAX)
}

/// The score that an entry stands for.
fn score_of(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(value as f64),
        Value::Bytes(text) => parse_f64(text),
    }
}

/// The score in the entry behind a member's.
fn score_behind(list: &Ziplist, member: Position) -> f64 {
    // A set whose scores are no numbers is never made, see `check`.
    list.next(member).and_then(|score| score_of(list.get(score))).unwrap_or(0.0)
}

/// A member's entry and score.
pub(super) fn find(list: &Ziplist, member: &[u8]) -> Option<(Position, f64)> {
    let position = list.find(list.first(), member, 1)?;
    Some((position, score_behind(list, position)))
}

/// The entry of the member of a rank.
pub(super) fn position(list: &Ziplist, rank: usize) -> Option<Position> {
    let members = list.len() / 2;
    if rank < members / 2 {
        list.index(i64::try_from(2 * rank).ok()?)
    } else {
        let from_the_end = members.checked_sub(rank).filter(|&places| places > 0)?;
        list.index(-i64::try_from(2 * from_the_end).ok()?)
    }
}

/// Adds a member and its score before another member, or at the end.
pub(super) fn insert_before(list: &mut Ziplist, before: Option<Position>, member: &[u8], score: f64) {
    let mut text = [0; F64_TEXT_MAX];
    let score = Value::of(score_text(score, &mut text));
    let place = list.insert(before, Value::of(member));
    let behind = list.next(place);
    list.insert(behind, score);
}

/// Adds a member where its score belongs.
pub(super) fn insert(list: &mut Ziplist, member: &[u8], score: f64) {
    let mut digits = [0; I64_TEXT_MAX];
    let mut position = list.first();
    while let Some(place) = position {
        let found = score_behind(list, place);
        if found > score || found == score && list.get(place).text(&mut digits) > member {
            break;
        }
        position = list.next(place).and_then(|score| list.next(score));
    }
    insert_before(list, position, member, score);
}

/// Removes a member and its score.
pub(super) fn remove_at(list: &mut Ziplist, position: Position) {
    if let Some(score) = list.delete(position) {
        list.delete(score);
    }
}

/// A look at entries, one by one, whether they are members and scores in order.
pub(super) struct Checking<'a> {
    entries: usize,
    /// The one before, when that is a member.
    member: Option<Value<'a>>,
    previous: Option<(f64, Value<'a>)>,
    members: Digests,
    trouble: Option<NoZset>,
}

impl<'a> Checking<'a> {
    /// Before the first.
    pub(super) fn new() -> Checking<'a> {
        Checking { entries: 0, member: None, previous: None, members: Digests::new(), trouble: None }
    }

    /// Looks at the next.
    #[inline]
    pub(super) fn entry(&mut self, value: Value<'a>) {
        self.entries += 1;
        match self.member.take() {
            None => {
                self.members.add(value);
                self.member = Some(value);
            }
            Some(member) if self.trouble.is_none() => self.trouble = self.pair(member, value),
            Some(_) => {}
        }
    }

    #[inline]
    fn pair(&mut self, member: Value<'a>, score: Value<'a>) -> Option<NoZset> {
        let Some(score) = score_of(score).filter(|score| !score.is_nan()) else { return Some(NoZset::Score) };
        let (before, other) = self.previous.replace((score, member))?;
        match before.partial_cmp(&score) {
            Some(Ordering::Less) => None,
            Some(Ordering::Greater) => Some(NoZset::Order),
            Some(Ordering::Equal) | None => {
                match other.text(&mut [0; I64_TEXT_MAX]).cmp(member.text(&mut [0; I64_TEXT_MAX])) {
                    Ordering::Less => None,
                    Ordering::Equal => Some(NoZset::Twice),
                    Ordering::Greater => Some(NoZset::Order),
                }
            }
        }
    }

    /// What is wrong, when all of the list's entries were seen.
    pub(super) fn finish(self, list: &Ziplist) -> Result<(), NoZset> {
        if !self.entries.is_multiple_of(2) {
            return Err(NoZset::Odd(self.entries));
        }
        match self.trouble {
            Some(trouble) => Err(trouble),
            None if self.members.differ() || texts_differ(list.iter().step_by(2)) => Ok(()),
            None => Err(NoZset::Twice),
        }
    }
}

/// Whether the entries are members and scores in order.
pub(super) fn check(list: &Ziplist) -> Result<(), NoZset> {
    let mut checking = Checking::new();
    list.iter().for_each(|value| checking.entry(value));
    checking.finish(list)
}

/// Pairs of a ziplist, from both ends.
#[derive(Clone)]
pub(crate) struct Pairs<'a> {
    list: &'a Ziplist,
    front: Option<Position>,
    back: Option<Position>,
    left: usize,
}

impl<'a> Pairs<'a> {
    /// All of them.
    pub(super) fn all(list: &'a Ziplist) -> Self {
        let back = list.last().and_then(|score| list.previous(score));
        Pairs { list, front: list.first(), back, left: list.len() / 2 }
    }

    /// Those of these ranks.
    pub(super) fn of(list: &'a Ziplist, ranks: Range<usize>) -> Self {
        let end = ranks.end.min(list.len() / 2);
        if ranks.start >= end {
            return Pairs { list, front: None, back: None, left: 0 };
        }
        let (front, back) = (position(list, ranks.start), position(list, end - 1));
        Pairs { list, front, back, left: end - ranks.start }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Value<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let member = self.front?;
        let score = self.list.next(member)?;
        self.front = self.list.next(score);
        Some((self.list.get(member), score_of(self.list.get(score)).unwrap_or(0.0)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let member = self.back?;
        self.back = self.list.previous(member).and_then(|score| self.list.previous(score));
        Some((self.list.get(member), score_behind(self.list, member)))
    }
}

impl ExactSizeIterator for Pairs<'_> {}
