//! Glob patterns.

use crate::clause::Clause;
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
        Self(parse(text, &mut Vec::new()))
    }

    /// The clauses that a pattern relies on.
    pub(crate) fn clauses(text: &[u8]) -> Vec<Clause> {
        let mut clauses = Vec::new();
        parse(text, &mut clauses);
        clauses.sort();
        clauses.dedup();
        clauses
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
        let (mut step, mut index) = (0, 0);
        // The last `*` passed, and where the text it stands for ends so far. Should the rest not match, it takes one more byte;
        // an earlier `*` need not be tried again, because the last one can take whatever that would.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.0.get(step) {
                None if index == text.len() => return true,
                Some(Step::Any) => {
                    retry = Some((step, index));
                    step += 1;
                    continue;
                }
                Some(one) if index < text.len() && one.takes(text[index]) => {
                    step += 1;
                    index += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((star, end)) if end < text.len() => {
                    retry = Some((star, end + 1));
                    step = star + 1;
                    index = end + 1;
                }
                _ => return false,
            }
        }
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

/// Reads a pattern and notes the clauses that it relies on.
fn parse(pattern: &[u8], clauses: &mut Vec<Clause>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = pattern;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        clauses.push(match first {
            b'?' => Clause::GLOB_2,
            b'*' => Clause::GLOB_3,
            b'[' => Clause::GLOB_4,
            b'\\' if tail.is_empty() => Clause::GLOB_7,
            b'\\' => Clause::GLOB_6,
            _ => Clause::GLOB_1,
        });
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
                let (class, tail) = parse_class(tail, clauses);
                rest = tail;
                class
            }
            byte => Step::Byte(byte),
        });
    }
    steps
}

/// Reads a class after its opening bracket; answers it and what follows its end.
fn parse_class<'a>(pattern: &'a [u8], clauses: &mut Vec<Clause>) -> (Step, &'a [u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        match rest {
            [] => {
                clauses.push(Clause::GLOB_8);
                break;
            }
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
    if negated {
        clauses.push(Clause::GLOB_5);
    }
    if ranges.is_empty() {
        clauses.push(Clause::GLOB_9);
    }
    (Step::Class { negated, ranges }, rest)
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern.as_bytes()).matches(text.as_bytes())
    }

    #[test]
    fn each_kind_of_step_matches_what_it_stands_for() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("**", "ab"),
            ("a?c", "abc"),
            ("*c*", "abcd"),
            ("a*b*c", "a-b-b-c"),
            ("[a-c]x", "bx"),
            ("[c-a]x", "bx"),
            ("[^a]", "b"),
            ("[^]", "z"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("a\\", "a\\"),
            ("[ab", "b"),
            ("[^", "x"),
            ("*[0-9]?", "k12"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a", "A"),
            ("[a-c]", "d"),
            ("[]", "a"),
            ("[^a]", ""),
            ("\\*", "x"),
            ("a*b", "ac"),
            ("[^ab", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn many_asterisks_take_no_exponential_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
        assert!(matches(&"*a".repeat(200), &"a".repeat(5000)));
    }
}
