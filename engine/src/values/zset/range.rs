//! Ranges of a sorted set as clients write them: by score, and by bytes.
//!
//! A range *is above* what comes before its beginning, and *reaches* what does not come after its end.

use crate::commands::{Refusal, until_nul};
use crate::faults::{self, Fault};
use crate::number::parse_f64_start;

/// Scores from one bound to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScoreRange {
    /// The smallest score.
    pub(crate) min: f64,
    /// The smallest is not in the range.
    pub(crate) min_open: bool,
    /// The greatest score.
    pub(crate) max: f64,
    /// The greatest is not in the range.
    pub(crate) max_open: bool,
}

/// Reads a bound: a float as `strtod` reads the text up to its first zero byte, white space in front allowed, and nothing
/// at all read as 0; behind `(` it is not in the range.
fn score_bound(text: &[u8]) -> Option<(f64, bool)> {
    let (text, open) = match text {
        [b'(', rest @ ..] => (rest, true),
        text => (text, false),
    };
    parse_f64_start(until_nul(text)).map(|score| (score, open))
}

impl ScoreRange {
    /// From the texts of both bounds.
    pub(crate) fn parse(min: &[u8], max: &[u8]) -> Result<ScoreRange, Refusal> {
        const NO_FLOAT: Refusal = Refusal::Fixed("ERR min or max is not a float");
        let (min, min_open) = score_bound(min).ok_or(NO_FLOAT)?;
        let (max, max_open) = score_bound(max).ok_or(NO_FLOAT)?;
        Ok(ScoreRange { min, min_open, max, max_open })
    }

    /// Whether no score can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.min > self.max || self.min == self.max && (self.min_open || self.max_open)
    }

    #[inline]
    pub(crate) fn is_above(&self, score: f64) -> bool {
        if self.min_open { score <= self.min } else { score < self.min }
    }

    #[inline]
    pub(crate) fn reaches(&self, score: f64) -> bool {
        if self.max_open && !(faults::is(Fault::OpenBoundCloses) && self.max == 0.0) {
            score < self.max
        } else {
            score <= self.max
        }
    }
}

/// An end of a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LexBound<'a> {
    /// Before all members.
    Least,
    /// Behind all members.
    Greatest,
    /// These bytes, which are in the range.
    Closed(&'a [u8]),
    /// These bytes, which are not in the range.
    Open(&'a [u8]),
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Option<LexBound<'a>> {
        match text {
            [b'-'] | [b'-', 0, ..] => Some(LexBound::Least),
            [b'+'] | [b'+', 0, ..] => Some(LexBound::Greatest),
            [b'[', rest @ ..] => Some(LexBound::Closed(rest)),
            [b'(', rest @ ..] => Some(LexBound::Open(rest)),
            _ => None,
        }
    }
}

/// Members from one bound to another, by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LexRange<'a> {
    min: LexBound<'a>,
    max: LexBound<'a>,
}

impl<'a> LexRange<'a> {
    /// From the texts of both bounds.
    pub(crate) fn parse(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, Refusal> {
        const NO_ITEM: Refusal = Refusal::Fixed("ERR min or max not valid string range item");
        let min = LexBound::parse(min).ok_or(NO_ITEM)?;
        let max = LexBound::parse(max).ok_or(NO_ITEM)?;
        Ok(LexRange { min, max })
    }

    /// Whether no member can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        use LexBound::{Closed, Greatest, Least, Open};
        match (self.min, self.max) {
            (Greatest, _) | (_, Least) => true,
            (Least, _) | (_, Greatest) => false,
            (Closed(min), Closed(max)) => min > max,
            (Closed(min) | Open(min), Closed(max) | Open(max)) => min >= max,
        }
    }

    pub(crate) fn is_above(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Least => false,
            LexBound::Greatest => true,
            LexBound::Closed(min) => member < min,
            LexBound::Open(min) => member <= min,
        }
    }

    pub(crate) fn reaches(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Least => false,
            LexBound::Greatest => true,
            LexBound::Closed(max) => member <= max,
            LexBound::Open(max) => member < max,
        }
    }
}

/// The ranks from index `start` to index `end`, both included, of a set of `len` members; negative indexes count from the
/// end.
pub(crate) fn index_ranks(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let from_the_front = |index: i64| match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = from_the_front(start).unwrap_or(0);
    let Some(end) = from_the_front(end) else { return 0..0 };
    if start > end || start >= len { 0..0 } else { start..end.saturating_add(1).min(len) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn score_bounds_are_c_strings_given_to_strtod() {
        for (text, bound) in [
            ("1", Some((1.0, false))),
            ("(1", Some((1.0, true))),
            ("", Some((0.0, false))),
            ("(", Some((0.0, true))),
            (" \n1", Some((1.0, false))),
            ("(\t1", Some((1.0, true))),
            ("1\0x", Some((1.0, false))),
            ("\0", Some((0.0, false))),
            ("1e400", Some((f64::INFINITY, false))),
            ("-1e400", Some((f64::NEG_INFINITY, false))),
            ("(1e-400", Some((0.0, true))),
            ("(+inf", Some((f64::INFINITY, true))),
            ("-Infinity", Some((f64::NEG_INFINITY, false))),
            ("0x.8", Some((0.5, false))),
            ("0x1p99999", Some((f64::INFINITY, false))),
            (" ", None),
            ("1 ", None),
            ("nan", None),
            ("((1", None),
            ("[1", None),
            ("0x", None),
            ("1e", None),
            ("infinityx", None),
        ] {
            assert_eq!(score_bound(text.as_bytes()), bound, "{text:?}");
        }
    }

    #[test]
    fn ranges_of_bytes_hold_what_their_bounds_say() {
        for (min, max, empty) in [
            ("-", "+", false),
            ("+", "-", true),
            ("-", "-", true),
            ("+", "+", true),
            ("[a", "[a", false),
            ("[a", "(a", true),
            ("(a", "[b", false),
            ("[b", "[a", true),
            ("-", "[", false),
        ] {
            assert_eq!(LexRange::parse(min.as_bytes(), max.as_bytes()).unwrap().is_empty(), empty, "{min} {max}");
        }
        let range = LexRange::parse(b"(a", b"[c").unwrap();
        assert!(range.is_above(b"a") && !range.is_above(b"a\0") && range.reaches(b"c") && !range.reaches(b"c\0"));
        for text in [&b""[..], b"a", b"--", b"++", b"+a"] {
            assert!(LexRange::parse(text, b"+").is_err() && LexRange::parse(b"-", text).is_err());
        }
    }

    #[test]
    fn indexes_are_cut_to_the_set() {
        for (start, end, len, ranks) in [
            (0, -1, 5, 0..5),
            (-3, -2, 5, 2..4),
            (-100, 100, 5, 0..5),
            (-200, -100, 5, 0..0),
            (5, 9, 5, 0..0),
            (3, 1, 5, 0..0),
            (i64::MIN, i64::MAX, 3, 0..3),
            (i64::MAX, i64::MAX, 3, 0..0),
        ] {
            assert_eq!(index_ranks(start, end, len), ranks, "{start} {end} {len}");
        }
    }
}
