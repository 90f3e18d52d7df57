//! The one source of decisions that every generator draws from.
//!
//! A generator asks four questions and never sees who answers: libFuzzer's bytes ([`arbitrary::Unstructured`]), a seeded
//! [`ChaCha8Rng`], an [`Enumerator`] that walks through every combination of answers, or a [`Recorded`] list.
//! So fuzzing, seeded runs, proptest and small-scope proofs share one definition of every command.
//!
//! Every source answers the least value once it runs dry, so that generators always end.

use std::ops::RangeInclusive;

use arbitrary::Unstructured;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// A source of decisions.
pub trait Choice {
    /// A number in `0..n`; 0 when `n` is 0.
    fn below(&mut self, n: u32) -> u32;

    /// A number within `range`, which must not be empty.
    fn int(&mut self, range: RangeInclusive<i64>) -> i64;

    /// True in `numerator` of `denominator` cases.
    fn ratio(&mut self, numerator: u32, denominator: u32) -> bool {
        self.below(denominator) < numerator
    }

    /// Appends at most `max` bytes to `into`.
    fn bytes(&mut self, max: usize, into: &mut Vec<u8>);
}

impl<C: Choice + ?Sized> Choice for &mut C {
    fn below(&mut self, n: u32) -> u32 {
        (**self).below(n)
    }

    fn int(&mut self, range: RangeInclusive<i64>) -> i64 {
        (**self).int(range)
    }

    fn ratio(&mut self, numerator: u32, denominator: u32) -> bool {
        (**self).ratio(numerator, denominator)
    }

    fn bytes(&mut self, max: usize, into: &mut Vec<u8>) {
        (**self).bytes(max, into);
    }
}

impl Choice for Unstructured<'_> {
    fn below(&mut self, n: u32) -> u32 {
        match n {
            0 | 1 => 0,
            n => self.int_in_range(0..=n - 1).unwrap_or(0),
        }
    }

    fn int(&mut self, range: RangeInclusive<i64>) -> i64 {
        let least = *range.start();
        self.int_in_range(range).unwrap_or(least)
    }

    fn bytes(&mut self, max: usize, into: &mut Vec<u8>) {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let length = Choice::below(self, max.saturating_add(1)) as usize;
        let length = length.min(self.len());
        if let Ok(bytes) = Unstructured::bytes(self, length) {
            into.extend_from_slice(bytes);
        }
    }
}

impl Choice for ChaCha8Rng {
    fn below(&mut self, n: u32) -> u32 {
        // The high half of a 32 × 32 bit product: no division; the bias is below n / 2^32.
        ((u64::from(self.next_u32()) * u64::from(n)) >> 32) as u32
    }

    fn int(&mut self, range: RangeInclusive<i64>) -> i64 {
        let (low, high) = (*range.start(), *range.end());
        let width = high.wrapping_sub(low) as u64;
        match width.checked_add(1) {
            None => self.next_u64() as i64,
            Some(values) => {
                let offset = ((u128::from(self.next_u64()) * u128::from(values)) >> 64) as u64;
                low.wrapping_add(offset as i64)
            }
        }
    }

    fn bytes(&mut self, max: usize, into: &mut Vec<u8>) {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let length = Choice::below(self, max.saturating_add(1)) as usize;
        let start = into.len();
        into.resize(start + length, 0);
        self.fill_bytes(&mut into[start..]);
    }
}

/// Walks through every sequence of answers, as an odometer does: run the generator once per [`Enumerator::advance`].
///
/// ```
/// use tally_check::choice::{Choice, Enumerator};
/// let (mut all, mut seen) = (Enumerator::default(), Vec::new());
/// loop {
///     seen.push((all.below(2), all.below(3)));
///     if !all.advance() { break }
/// }
/// assert_eq!(seen.len(), 6);
/// ```
#[derive(Debug, Default)]
pub struct Enumerator {
    /// The answers of this round, each with the number of answers there were to choose from.
    digits: Vec<(u64, u64)>,
    position: usize,
}

impl Enumerator {
    /// Goes on to the next sequence; false when all have been seen.
    pub fn advance(&mut self) -> bool {
        self.digits.truncate(self.position);
        self.position = 0;
        while let Some((value, bound)) = self.digits.pop() {
            if value + 1 < bound {
                self.digits.push((value + 1, bound));
                return true;
            }
        }
        false
    }

    fn next(&mut self, bound: u64) -> u64 {
        if self.position == self.digits.len() {
            self.digits.push((0, bound.max(1)));
        }
        let value = self.digits[self.position].0;
        self.position += 1;
        value
    }
}

impl Choice for Enumerator {
    fn below(&mut self, n: u32) -> u32 {
        self.next(u64::from(n)) as u32
    }

    fn int(&mut self, range: RangeInclusive<i64>) -> i64 {
        let width = range.end().wrapping_sub(*range.start()) as u64;
        range.start().wrapping_add(self.next(width.saturating_add(1)) as i64)
    }

    /// Only the length is enumerated; the content counts up.
    fn bytes(&mut self, max: usize, into: &mut Vec<u8>) {
        let length = self.next(max as u64 + 1);
        into.extend((0..length).map(|i| b'a' + (i % 26) as u8));
    }
}

/// Answers from a list, then the least value. Answers out of bounds are brought within by remainder, so that a list stays
/// meaningful after the generator changed.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    answers: Vec<u64>,
    position: usize,
}

impl Recorded {
    /// A source that gives these answers in order.
    pub fn new(answers: Vec<u64>) -> Self {
        Self { answers, position: 0 }
    }

    fn next(&mut self, bound: u64) -> u64 {
        let answer = self.answers.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        answer % bound.max(1)
    }
}

impl Choice for Recorded {
    fn below(&mut self, n: u32) -> u32 {
        self.next(u64::from(n)) as u32
    }

    fn int(&mut self, range: RangeInclusive<i64>) -> i64 {
        let width = range.end().wrapping_sub(*range.start()) as u64;
        range.start().wrapping_add(self.next(width.saturating_add(1)) as i64)
    }

    fn bytes(&mut self, max: usize, into: &mut Vec<u8>) {
        let length = self.next(max as u64 + 1);
        for _ in 0..length {
            let byte = self.next(256) as u8;
            into.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng;

    #[test]
    fn the_enumerator_visits_every_combination_once_even_when_later_bounds_depend_on_earlier_answers() {
        let (mut all, mut seen) = (Enumerator::default(), Vec::new());
        loop {
            let first = all.below(3);
            let second = all.below(first + 1);
            seen.push((first, second));
            if !all.advance() {
                break;
            }
        }
        assert_eq!(seen, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]);
    }

    #[test]
    fn every_source_keeps_within_its_bounds_and_outlives_its_data() {
        fn exercise(mut source: impl Choice) {
            for _ in 0..200 {
                assert_eq!(source.below(0), 0);
                assert_eq!(source.below(1), 0);
                assert!(source.below(7) < 7);
                assert!((-5..=5).contains(&source.int(-5..=5)));
                source.int(i64::MIN..=i64::MAX);
                let mut bytes = Vec::new();
                source.bytes(9, &mut bytes);
                assert!(bytes.len() <= 9);
            }
        }
        exercise(ChaCha8Rng::seed_from_u64(1));
        exercise(Unstructured::new(&[0xff; 100]));
        exercise(Recorded::new((0..1000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()));
        exercise(Enumerator::default());
    }
}
