//! Glob patterns.

use crate::erratum::Erratum;

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// This byte.
    Byte(u8),
    /// Any one byte.
    One,
    /// Any bytes.
    Any,
    /// One byte that is in one of the ranges, or in none of them if negated.
    Class { negated: bool, ranges: Vec<(u8, u8)> },
}

/// A pattern that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Step>);

impl Pattern {
    /// Reads a pattern; every text is one.
    pub fn new(text: &[u8]) -> Self {
        Self(parse(text))
    }

    /// The pattern as real servers read it where that differs, and the erratum that says so.
    pub(crate) fn misread(text: &[u8], by_keys: bool) -> Option<(Erratum, Self)> {
        if by_keys && text.starts_with(b"*\0") {
            return Some((Erratum::E_10, Self::new(b"*")));
        }
        if text.len() > 1 && text.iter().all(|&byte| byte == b'*') {
            return Some((Erratum::E_10, Self::new(b"*?")));
        }
        let right = Self::new(text);
        let wrong = right.with_signed_ranges();
        (wrong != right).then_some((Erratum::E_7, wrong))
    }

    /// The pattern with the ends of its ranges compared as signed bytes.
    fn with_signed_ranges(&self) -> Self {
        let mut wrong = self.clone();
        for step in &mut wrong.0 {
            let Step::Class { ranges, .. } = step else { continue };
            let mut signed = Vec::new();
            for &(low, high) in ranges.iter() {
                if low < 0x80 && high >= 0x80 {
                    // From the negative byte `high` over -1 and 0 to `low`.
                    signed.push((high, 0xff));
                    signed.push((0, low));
                } else {
                    signed.push((low, high));
                }
            }
            *ranges = signed;
        }
        wrong
    }

    /// Whether a text matches ([GLOB-1] to [GLOB-9]).
    pub fn matches(&self, text: &[u8]) -> bool {
        // reached[i]: the steps so far can match the first i bytes.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for step in &self.0 {
            let mut next = vec![false; text.len() + 1];
            if *step == Step::Any {
                let mut any = false;
                for (index, &here) in reached.iter().enumerate() {
                    any |= here;
                    next[index] = any;
                }
            } else {
                for (index, &byte) in text.iter().enumerate() {
                    next[index + 1] = reached[index] && step.takes(byte);
                }
            }
            reached = next;
        }
        reached[text.len()]
    }
}

impl Step {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(wanted) => *wanted == byte,
            Self::One | Self::Any => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&byte)) != *negated
            }
        }
    }
}

fn parse(pattern: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = pattern;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        steps.push(match first {
            b'?' => Step::One,
            b'*' => {
                if steps.last() == Some(&Step::Any) {
                    continue;
                }
                Step::Any
            }
            b'\\' => match tail.split_first() {
                Some((&literal, tail)) => {
                    rest = tail;
                    Step::Byte(literal)
                }
                None => Step::Byte(b'\\'),
            },
            b'[' => {
                let (class, tail) = parse_class(tail);
                rest = tail;
                class
            }
            byte => Step::Byte(byte),
        });
    }
    steps
}

/// Reads a class after its opening bracket; answers it and what follows its end.
fn parse_class(pattern: &[u8]) -> (Step, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        match rest {
            [] => break,
            [b']', tail @ ..] => {
                rest = tail;
                break;
            }
            [b'\\', literal, tail @ ..] => {
                ranges.push((*literal, *literal));
                rest = tail;
            }
            [from, b'-', to, tail @ ..] => {
                ranges.push((*from.min(to), *from.max(to)));
                rest = tail;
            }
            [byte, tail @ ..] => {
                ranges.push((*byte, *byte));
                rest = tail;
            }
        }
    }
    (Step::Class { negated, ranges }, rest)
}
