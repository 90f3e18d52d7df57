//! Whether packed values are all different, without an allocation for each.

use crate::structures::ziplist::Value;

/// Values whose digests need no allocation.
const FEW: usize = 64;
/// Values of which each is compared with each: sorting so few takes longer.
const PAIRS: usize = 16;

/// Digests of values, gathered to see whether these are all different.
pub(super) struct Digests {
    len: usize,
    few: [u64; FEW],
    /// All of them, when they are more.
    many: Vec<u64>,
}

impl Digests {
    /// None yet.
    pub(super) fn new() -> Digests {
        Digests { len: 0, few: [0; FEW], many: Vec::new() }
    }

    /// Adds a value's.
    #[inline]
    pub(super) fn add(&mut self, value: Value<'_>) {
        let digest = digest(as_text(value));
        match self.few.get_mut(self.len) {
            Some(place) => *place = digest,
            None => {
                if self.len == FEW {
                    self.many.extend_from_slice(&self.few);
                }
                self.many.push(digest);
            }
        }
        self.len += 1;
    }

    /// Whether no two are equal: then the values are all different. Otherwise they need not be equal.
    pub(super) fn differ(mut self) -> bool {
        let digests = if self.len > FEW { &mut self.many[..] } else { &mut self.few[..self.len] };
        if digests.len() <= PAIRS {
            // Without a way out in between, so that several are compared at once.
            let equal =
                |&(at, one): &(usize, &u64)| digests[..at].iter().fold(false, |any, other| any | (one == other));
            return !digests.iter().enumerate().any(|pair| equal(&pair));
        }
        digests.sort_unstable();
        digests.windows(2).all(|pair| pair[0] != pair[1])
    }
}

/// Whether no two of these values are the same text. Digests are compared; only where two are equal, the values
/// themselves.
pub(super) fn are_distinct<'a, I: Iterator<Item = Value<'a>>>(values: impl Fn() -> I) -> bool {
    let mut digests = Digests::new();
    values().for_each(|value| digests.add(value));
    digests.differ() || texts_differ(values())
}

/// Whether no two of these values are the same text, at a higher price.
pub(super) fn texts_differ<'a>(values: impl Iterator<Item = Value<'a>>) -> bool {
    let mut exact: Vec<Vec<u8>> = values.map(Value::to_vec).collect();
    exact.sort_unstable();
    exact.windows(2).all(|pair| pair[0] != pair[1])
}

/// What is no integer's encoding may still be an integer's text, so each value is taken for its text.
#[inline]
fn as_text(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Bytes(text @ [b'-' | b'0'..=b'9', ..]) => Value::of(text),
        other => other,
    }
}

/// A number that differs for most different values.
#[inline]
fn digest(value: Value<'_>) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    match value {
        Value::Int(value) => mix(1, value as u64),
        Value::Bytes(text) => {
            let sum = text.len() as u64;
            let (words, rest) = text.as_chunks::<8>();
            let sum = words.iter().fold(sum, |sum, word| mix(sum, u64::from_le_bytes(*word)));
            // Shifted in one by one, the last bytes need no copy whose length is not known.
            if rest.is_empty() { sum } else { mix(sum, rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_twice_is_seen_among_few_and_many_in_whatever_form() {
        for count in [1, 2, PAIRS, PAIRS + 1, FEW, FEW + 1, 500] {
            let texts: Vec<Vec<u8>> = (0..count).map(|number| format!("member:{number}").into_bytes()).collect();
            let values = || texts.iter().map(|text| Value::Bytes(text));
            assert!(are_distinct(values), "{count} values");
            for twice in [&b"member:0"[..], &texts[count - 1]] {
                assert!(!are_distinct(|| values().chain([Value::Bytes(twice)])), "{count} values and one of them");
            }
        }
        let number = |other| are_distinct(|| [Value::Int(-12), Value::Bytes(other)].into_iter());
        assert!(!number(b"-12") && number(b"-012") && number(b"12") && number(b""));
        assert!(are_distinct(|| [&b""[..], b"\0", b"\0\0", b"\0\0\0\0\0\0\0\0"].into_iter().map(Value::Bytes)));
    }
}
