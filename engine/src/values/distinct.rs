//! Whether packed values are all different, without an allocation for each.

use crate::structures::ziplist::Value;

/// Values whose digests need no allocation.
const FEW: usize = 64;

/// Whether no two of these values, `count` of them, are the same text. Digests are compared; only where two are equal,
/// the values themselves.
pub(super) fn are_distinct<'a, I: Iterator<Item = Value<'a>>>(count: usize, values: impl Fn() -> I) -> bool {
    let mut on_stack = [0; FEW];
    let mut on_heap;
    let digests = if count <= FEW {
        &mut on_stack[..count]
    } else {
        on_heap = vec![0; count];
        &mut on_heap[..]
    };
    for (place, value) in digests.iter_mut().zip(values()) {
        *place = digest(as_text(value));
    }
    digests.sort_unstable();
    if digests.windows(2).all(|pair| pair[0] != pair[1]) {
        return true;
    }
    let mut exact: Vec<Vec<u8>> = values().map(Value::to_vec).collect();
    exact.sort_unstable();
    exact.windows(2).all(|pair| pair[0] != pair[1])
}

/// What is no integer's encoding may still be an integer's text, so each value is taken for its text.
fn as_text(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Bytes(text) => Value::of(text),
        integer => integer,
    }
}

/// A number that differs for most different values.
fn digest(value: Value<'_>) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    match value {
        Value::Int(value) => mix(1, value as u64),
        Value::Bytes(text) => text.chunks(8).fold(text.len() as u64, |sum, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            mix(sum, u64::from_le_bytes(word))
        }),
    }
}
