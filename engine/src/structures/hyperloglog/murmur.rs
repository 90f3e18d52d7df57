//! MurmurHash64A with the seed of HyperLogLog: which register an element goes to depends on it, so the function is part
//! of the data format.
//!
//! Words of eight bytes are read as little-endian numbers on every machine.

const SEED: u64 = 0xadc8_3b19;
const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

fn scrambled(word: u64) -> u64 {
    let word = word.wrapping_mul(FACTOR);
    (word ^ word >> SHIFT).wrapping_mul(FACTOR)
}

/// The hash of an element.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = (state ^ scrambled(u64::from_le_bytes(*word))).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        state = (state ^ u64::from_le_bytes(last)).wrapping_mul(FACTOR);
    }
    state = (state ^ state >> SHIFT).wrapping_mul(FACTOR);
    state ^ state >> SHIFT
}
