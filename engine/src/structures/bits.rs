//! Bits in strings: counting, searching, combining, and reading integers of any width.
//!
//! Bit 0 is the most significant bit of byte 0: bit `n` is in byte `n >> 3` under the mask `0x80 >> (n & 7)`.
//!
//! Counting exists four times. [`popcount_table`] looks each byte up; [`popcount_swar`] adds up seven 32-bit words a round
//! (28 bytes) inside one register; on x86-64 `popcnt` and AVX2 kernels lie above them. [`popcount`] takes the fastest that
//! the processor has. All give the same number for every input: that is their invariant, and their test.

use crate::faults::{self, Fault};

/// Bits set in each byte value.
pub static BITS_IN_BYTE: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 1;
    while byte < 256 {
        table[byte] = table[byte >> 1] + (byte & 1) as u8;
        byte += 1;
    }
    table
};

/// Number of bits set.
#[must_use]
pub fn popcount(bytes: &[u8]) -> u64 {
    if faults::is(Fault::PopcountLosesOddByte) && bytes.len() > SWAR_ROUND && bytes.len() % 4 == 1 {
        return popcount(&bytes[..bytes.len() - 1]);
    }
    #[cfg(target_arch = "x86_64")]
    {
        if bytes.len() >= AVX2_WORTHWHILE && std::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { x86::popcount_avx2(bytes) };
        }
        if std::is_x86_feature_detected!("popcnt") {
            // SAFETY: the processor has POPCNT.
            return unsafe { x86::popcount_popcnt(bytes) };
        }
        popcount_swar(bytes)
    }
    #[cfg(target_arch = "aarch64")]
    {
        // Every such processor counts bits in hardware, and `count_ones` compiles to it.
        popcount_words(bytes)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    popcount_swar(bytes)
}

/// Bytes from which the AVX2 kernel's start-up is worth it.
#[cfg(target_arch = "x86_64")]
const AVX2_WORTHWHILE: usize = 256;

/// Number of bits set, byte by byte.
#[must_use]
pub fn popcount_table(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(BITS_IN_BYTE[usize::from(byte)])).sum()
}

/// Bytes that one round of [`popcount_swar`] takes: seven words, the most whose counts fit one byte (7 × 32 < 256).
pub const SWAR_ROUND: usize = 28;

/// Number of bits set, 28 bytes a round in plain 32-bit arithmetic.
#[must_use]
pub fn popcount_swar(bytes: &[u8]) -> u64 {
    let mut rounds = bytes.chunks_exact(SWAR_ROUND);
    let mut count = 0u64;
    for round in &mut rounds {
        let mut counts_in_bytes = 0u32; // Four counters side by side, each at most 7 × 8.
        for word in round.chunks_exact(4) {
            let mut x = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
            x -= (x >> 1) & 0x5555_5555; // Two-bit counters.
            x = (x & 0x3333_3333) + ((x >> 2) & 0x3333_3333); // Four-bit counters.
            counts_in_bytes += (x + (x >> 4)) & 0x0f0f_0f0f;
        }
        // The product gathers the sum of the four counters in its highest byte.
        count += u64::from(counts_in_bytes.wrapping_mul(0x0101_0101) >> 24);
    }
    count + popcount_table(rounds.remainder())
}

/// Number of bits set, by 64-bit words and `count_ones`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn popcount_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    // Four sums, so that an addition need not wait for the one before.
    let (quads, single) = words.as_chunks::<4>();
    let mut sums = [0u64; 4];
    for quad in quads {
        for (sum, word) in sums.iter_mut().zip(quad) {
            *sum += u64::from(u64::from_ne_bytes(*word).count_ones());
        }
    }
    let single: u64 = single.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    let rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    sums.iter().sum::<u64>() + single + rest
}

/// Kernels for x86-64, each to be called only where its feature was detected.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi8, _mm256_add_epi64, _mm256_and_si256, _mm256_extract_epi64, _mm256_loadu_si256,
        _mm256_sad_epu8, _mm256_set1_epi8, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
        _mm256_srli_epi16,
    };

    /// Counts with the POPCNT instruction.
    #[target_feature(enable = "popcnt")]
    pub(super) fn popcount_popcnt(bytes: &[u8]) -> u64 {
        super::popcount_words(bytes)
    }

    /// Counts 32 bytes at a time: a shuffle looks up both halves of every byte in a table of sixteen.
    #[target_feature(enable = "avx2,popcnt")]
    pub(super) fn popcount_avx2(bytes: &[u8]) -> u64 {
        /// Vectors after which byte counters (at most 8 added each time) are emptied into wide ones.
        const VECTORS_PER_BLOCK: usize = 31;
        const _: () = assert!(VECTORS_PER_BLOCK * 8 < 256, "a byte counter cannot overflow within a block");

        let low_half = _mm256_set1_epi8(0x0f);
        let bits_in_half = _mm256_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        );
        let (vectors, rest) = bytes.as_chunks::<32>();
        let mut total = _mm256_setzero_si256();
        for block in vectors.chunks(VECTORS_PER_BLOCK) {
            let mut counters = _mm256_setzero_si256();
            for vector in block {
                // SAFETY: `vector` is 32 readable bytes, and the load asks for no alignment.
                let vector = unsafe { _mm256_loadu_si256(vector.as_ptr().cast::<__m256i>()) };
                let low = _mm256_and_si256(vector, low_half);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(vector), low_half);
                counters = _mm256_add_epi8(counters, _mm256_shuffle_epi8(bits_in_half, low));
                counters = _mm256_add_epi8(counters, _mm256_shuffle_epi8(bits_in_half, high));
            }
            total = _mm256_add_epi64(total, _mm256_sad_epu8(counters, _mm256_setzero_si256()));
        }
        // Each lane counts at most the bits of a slice, which fit an i64.
        let lanes = [
            _mm256_extract_epi64::<0>(total),
            _mm256_extract_epi64::<1>(total),
            _mm256_extract_epi64::<2>(total),
            _mm256_extract_epi64::<3>(total),
        ];
        lanes.iter().map(|&lane| lane as u64).sum::<u64>() + super::popcount_words(rest)
    }
}

/// A way to count bits.
pub type Kernel = fn(&[u8]) -> u64;

/// The kernels of this processor by name, for tests and measurements.
#[must_use]
pub fn popcount_kernels() -> Vec<(&'static str, Kernel)> {
    let mut kernels: Vec<(&'static str, Kernel)> =
        vec![("table", popcount_table), ("swar", popcount_swar), ("chosen", popcount)];
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("popcnt") {
            // SAFETY: the processor has POPCNT.
            kernels.push(("popcnt", |bytes| unsafe { x86::popcount_popcnt(bytes) }));
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("popcnt") {
            // SAFETY: the processor has AVX2 and POPCNT.
            kernels.push(("avx2", |bytes| unsafe { x86::popcount_avx2(bytes) }));
        }
    }
    kernels
}

/// Position of the first bit that is set (or clear, when `bit` is false).
#[must_use]
pub fn first_bit(bytes: &[u8], bit: bool) -> Option<u64> {
    let flip = if bit { 0 } else { u64::MAX };
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // The first byte is the most significant, as the first bit is in its byte.
        let word = u64::from_be_bytes(*word) ^ flip;
        if word != 0 {
            return Some(index as u64 * 64 + u64::from(word.leading_zeros()));
        }
    }
    for (index, &byte) in rest.iter().enumerate() {
        let byte = byte ^ (flip as u8); // All ones or all zeros in every width.
        if byte != 0 {
            return Some((words.len() * 8 + index) as u64 * 8 + u64::from(byte.leading_zeros()));
        }
    }
    None
}

/// How BITOP combines strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BitOperation {
    And,
    Or,
    Xor,
}

/// Combines `operand` into `target`, which is at least as long; beyond its end the operand counts as zeros.
pub fn combine(operation: BitOperation, target: &mut [u8], operand: &[u8]) {
    debug_assert!(target.len() >= operand.len());
    // Plain loops over two slices of one length: the compiler turns them into vector instructions.
    let (head, tail) = target.split_at_mut(operand.len().min(target.len()));
    match operation {
        BitOperation::And => {
            head.iter_mut().zip(operand).for_each(|(to, from)| *to &= from);
            tail.fill(0);
        }
        BitOperation::Or => head.iter_mut().zip(operand).for_each(|(to, from)| *to |= from),
        BitOperation::Xor => head.iter_mut().zip(operand).for_each(|(to, from)| *to ^= from),
    }
}

/// Inverts every bit.
pub fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// The bit at `offset`; bits beyond the end are 0.
#[inline]
#[must_use]
pub fn bit(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset >> 3).ok().and_then(|index| bytes.get(index));
    byte.is_some_and(|byte| byte & (0x80 >> (offset & 7)) != 0)
}

/// Sets or clears the bit at `offset`, which is within `bytes`, and returns what it was.
#[inline]
pub fn set_bit(bytes: &mut [u8], offset: u64, on: bool) -> bool {
    let mask = 0x80u8 >> (offset & 7);
    let byte = &mut bytes[(offset >> 3) as usize];
    let old = *byte & mask != 0;
    *byte = if on { *byte | mask } else { *byte & !mask };
    old
}

/// Bytes that an integer of up to 64 bits can touch: 64 bits at 7 bits' displacement.
const WINDOW: usize = 9;

/// Reads the unsigned integer of `width` (1 to 64) bits at bit `offset`; bits beyond the end are 0.
#[must_use]
pub fn read_unsigned(bytes: &[u8], offset: u64, width: u32) -> u64 {
    debug_assert!((1..=64).contains(&width));
    let first = usize::try_from(offset >> 3).unwrap_or(usize::MAX);
    let mut window = [0u8; 16];
    let available = bytes.get(first..).unwrap_or_default();
    let taken = available.len().min(WINDOW);
    window[..taken].copy_from_slice(&available[..taken]);
    let displacement = (offset & 7) as u32;
    ((u128::from_be_bytes(window) << displacement) >> (u128::BITS - width)) as u64
}

/// Reads the two's complement integer of `width` (1 to 64) bits at bit `offset`; bits beyond the end are 0.
#[must_use]
pub fn read_signed(bytes: &[u8], offset: u64, width: u32) -> i64 {
    let spare = u64::BITS - width;
    ((read_unsigned(bytes, offset, width) << spare) as i64) >> spare
}

/// Writes the low `width` (1 to 64) bits of `value` at bit `offset`; they must lie within `bytes`.
pub fn write_integer(bytes: &mut [u8], offset: u64, width: u32, value: u64) {
    debug_assert!((1..=64).contains(&width));
    let first = (offset >> 3) as usize;
    let displacement = (offset & 7) as u32;
    let touched = ((displacement + width).div_ceil(8)) as usize;
    let place = &mut bytes[first..first + touched];
    let mut window = [0u8; 16];
    window[..touched].copy_from_slice(place);
    let shift = u128::BITS - width - displacement;
    let mask = ((1u128 << width) - 1) << shift;
    let written = (u128::from_be_bytes(window) & !mask) | ((u128::from(value) << shift) & mask);
    place.copy_from_slice(&written.to_be_bytes()[..touched]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of its own: the tests need no better chance than this.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn every_kernel_counts_the_same_for_every_length_and_alignment() {
        let bytes = noise(42, 4096 + 64);
        for (name, kernel) in popcount_kernels() {
            let mut expected = 0;
            for length in 0..=4096 {
                assert_eq!(kernel(&bytes[..length]), expected, "{name}, {length} bytes");
                expected += u64::from(bytes[length].count_ones());
            }
            for start in 0..64 {
                for length in [0, 1, 7, 27, 28, 29, 55, 56, 57, 255, 256, 257, 1023, 4096] {
                    let part = &bytes[start..start + length];
                    assert_eq!(kernel(part), popcount_table(part), "{name}, {length} bytes from {start}");
                }
            }
            let full = vec![0xff; 31 * 32 * 3 + 17];
            assert_eq!(kernel(&full), full.len() as u64 * 8, "{name}, all ones");
        }
    }

    #[test]
    fn the_first_bit_is_where_a_walk_bit_by_bit_finds_it() {
        for (prefix, bit) in [(0x00, true), (0xff, false)] {
            for zeros in 0..40usize {
                for last in [0x80u8, 0x01, 0x10, 0x00, 0xff] {
                    let mut bytes = vec![prefix; zeros];
                    bytes.push(last);
                    let walked = (0..bytes.len() as u64 * 8).find(|&at| super::bit(&bytes, at) == bit);
                    assert_eq!(first_bit(&bytes, bit), walked, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn an_integer_written_at_any_place_is_read_back_and_its_neighbours_stay() {
        let background = noise(7, 24);
        for width in 1..=64 {
            for offset in 0..64 {
                for value in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
                    let mut bytes = background.clone();
                    write_integer(&mut bytes, offset, width, value);
                    let kept = if width == 64 { value } else { value & ((1 << width) - 1) };
                    assert_eq!(read_unsigned(&bytes, offset, width), kept);
                    for at in (0..24 * 8).filter(|at| !(offset..offset + u64::from(width)).contains(at)) {
                        assert_eq!(bit(&bytes, at), bit(&background, at), "width {width}, offset {offset}, bit {at}");
                    }
                }
            }
        }
        assert_eq!(read_signed(&[0b1011_1111], 0, 3), -3);
        assert_eq!(read_unsigned(&[0xff], 4, 8), 0xf0);
        assert_eq!(read_unsigned(&[0xff], 64, 8), 0);
    }
}
