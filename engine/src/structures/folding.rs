//! The checksum of long pieces: carry-less multiplication folds a message to sixteen bytes of the same remainder.
//!
//! ```text
//! message, 64 bytes a round     a0 a1 a2 a3 | b0 b1 b2 b3 | …       lanes of sixteen bytes, as polynomials
//! each lane                     a ─► a · x^512 mod P  +  b          two multiplications, because
//! at the end                    a0 · x^128 + a1, and so on             lane = low · x^64 + high
//! ```
//!
//! What is left is as good as the message before it: its checksum is computed as that of any sixteen bytes.

#![allow(unsafe_code)]

/// Jones' polynomial, the least significant bit for the highest power.
const POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;
/// Bytes of a lane.
pub const LANE: usize = 16;
/// Bytes of a round: a multiplication takes several cycles, and so many can be on their way at once.
const ROUND: usize = 4 * LANE;

/// The remainder of x^`power`, the most significant bit for the power 0.
const fn power_of_x(power: u32) -> u64 {
    let mut remainder: u64 = 1 << 63;
    let mut left = power;
    while left > 0 {
        let carry = remainder & 1;
        remainder >>= 1;
        if carry == 1 {
            remainder ^= POLYNOMIAL;
        }
        left -= 1;
    }
    remainder
}

/// What the low and the high half of a lane are multiplied by to stand so many bytes further. A product of reversed
/// numbers is one place short, hence the 1.
const fn factors(bytes: usize) -> [u64; 2] {
    let bits = 8 * bytes as u32;
    [power_of_x(bits + 64 - 1), power_of_x(bits - 1)]
}

/// Folds as many lanes of `bytes` as there are, `state` being the checksum of what stands before them; answers what has
/// their checksum if nothing stands before it, and what is left behind them. `None` for short pieces, and where the
/// machine cannot do it.
#[must_use]
pub fn fold(state: u64, bytes: &[u8]) -> Option<([u8; LANE], &[u8])> {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= 2 * ROUND && std::is_x86_feature_detected!("pclmulqdq") {
        // SAFETY: the processor has the feature.
        return Some(unsafe { multiplying::fold(state, bytes) });
    }
    let _ = (state, bytes);
    None
}

#[cfg(target_arch = "x86_64")]
mod multiplying {
    use std::arch::x86_64::{
        __m128i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_unpackhi_epi64, _mm_xor_si128,
    };

    use super::{LANE, ROUND, factors};

    const BY_ROUND: [u64; 2] = factors(ROUND);
    const BY_LANE: [u64; 2] = factors(LANE);

    #[inline]
    #[target_feature(enable = "sse2")]
    fn lane([low, high]: [u64; 2]) -> __m128i {
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }

    #[inline]
    fn halves(bytes: &[u8], at: usize) -> [u64; 2] {
        let half = |at: usize| bytes[at..].first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
        [half(at), half(at + 8)]
    }

    /// `lane` so many bytes further as `factors` says, and `other`, which stands there.
    #[inline]
    #[target_feature(enable = "pclmulqdq,sse2")]
    fn advance(lane: __m128i, factors: __m128i, other: __m128i) -> __m128i {
        let low = _mm_clmulepi64_si128::<0x00>(lane, factors);
        let high = _mm_clmulepi64_si128::<0x11>(lane, factors);
        _mm_xor_si128(_mm_xor_si128(low, high), other)
    }

    /// As [`super::fold`], for two rounds and more.
    #[target_feature(enable = "pclmulqdq,sse2")]
    pub(super) fn fold(state: u64, bytes: &[u8]) -> ([u8; LANE], &[u8]) {
        let (rounds, rest) = bytes.as_chunks::<ROUND>();
        let (by_round, by_lane) = (lane(BY_ROUND), lane(BY_LANE));
        // The state counts as a change of the first bytes, and zeros are zeros wherever they stand.
        let mut lanes = [lane([0, 0]); 4];
        let mut changed = lane([state, 0]);
        for round in rounds {
            for (number, lane_now) in lanes.iter_mut().enumerate() {
                let piece = _mm_xor_si128(lane(halves(round, number * LANE)), changed);
                *lane_now = advance(*lane_now, by_round, piece);
                changed = lane([0, 0]);
            }
        }
        let mut all = lanes[0];
        for &other in &lanes[1..] {
            all = advance(all, by_lane, other);
        }
        let (lanes, rest) = rest.as_chunks::<LANE>();
        for piece in lanes {
            all = advance(all, by_lane, lane(halves(piece, 0)));
        }
        let low = _mm_cvtsi128_si64(all).to_le_bytes();
        let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(all, all)).to_le_bytes();
        let mut folded = [0; LANE];
        folded[..8].copy_from_slice(&low);
        folded[8..].copy_from_slice(&high);
        (folded, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit.
    fn naive(state: u64, bytes: &[u8]) -> u64 {
        bytes.iter().fold(state, |state, &byte| {
            (0..8)
                .fold(state ^ u64::from(byte), |state, _| (state >> 1) ^ (if state & 1 == 1 { POLYNOMIAL } else { 0 }))
        })
    }

    #[test]
    fn what_is_left_has_the_checksum_of_the_whole() {
        assert_eq!(naive(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let bytes: Vec<u8> = (0..1000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut folds = 0;
        for len in (0..300).chain([511, 512, 513, 1000]) {
            for state in [0, 1, u64::MAX, 0x0123_4567_89AB_CDEF] {
                let bytes = &bytes[1000 - len..];
                if let Some((folded, rest)) = fold(state, bytes) {
                    assert_eq!(naive(naive(0, &folded), rest), naive(state, bytes), "{len} bytes after {state:x}");
                    folds += 1;
                }
            }
        }
        #[cfg(target_arch = "x86_64")]
        assert_eq!(folds > 0, std::is_x86_feature_detected!("pclmulqdq"));
        let _ = folds;
    }
}
