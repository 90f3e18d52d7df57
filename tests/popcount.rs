//! Counting bits: the kernels against each other and against a walk bit by bit; algebraic laws of counts.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use quickcheck::quickcheck;
use tally_check::properties::popcount::{
    complement_has_the_rest, counts_add_up, first_bit_is_first, kernels_agree, written_integers_are_read_back,
};
use tally_engine::structures::bits::{popcount_kernels, popcount_table};

/// Bytes that repeat nowhere soon.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

//= SPEC.md#popcount
//# [POPCOUNT-1] (inside) The table of 256, the words of 28 bytes a round and the hardware instruction MUST count the same for every length, alignment and content.
#[test]
fn every_kernel_counts_alike_for_every_length_at_every_alignment() {
    let bytes = noise(4096 + 32);
    // Counts of the lengths from each start are running sums, so that the naive side costs one step each.
    for start in 0..32 {
        for (name, kernel) in popcount_kernels() {
            let step = if start == 0 { 1 } else { 37 };
            for length in (0..=4096).step_by(step) {
                let part = &bytes[start..start + length];
                assert_eq!(kernel(part), popcount_table(part), "{name}: {length} bytes from {start}");
            }
        }
    }
}

//= SPEC.md#popcount
//# [POPCOUNT-2] (inside) The choice between them MUST be made at run time by what the processor can do.
#[test]
fn the_processors_kernels_are_among_those_compared() {
    let names: Vec<_> = popcount_kernels().into_iter().map(|(name, _)| name).collect();
    assert!(["table", "swar", "chosen"].iter().all(|name| names.contains(name)));
    #[cfg(target_arch = "x86_64")]
    {
        assert_eq!(names.contains(&"popcnt"), std::is_x86_feature_detected!("popcnt"));
        assert_eq!(names.contains(&"avx2"), std::is_x86_feature_detected!("avx2"));
    }
}

quickcheck! {
    fn the_count_of_a_whole_is_the_sum_of_its_parts(bytes: Vec<u8>, cut: usize) -> bool {
        counts_add_up(&bytes, cut % (bytes.len() + 1))
    }

    fn the_complement_has_all_the_other_bits(bytes: Vec<u8>) -> bool {
        complement_has_the_rest(&bytes)
    }
}

proptest! {
    #[test]
    fn kernels_agree_on_any_content(bytes in vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..700)) {
        kernels_agree(&bytes, 33);
    }

    #[test]
    fn the_first_bit_found_is_the_first(zeros in 0usize..100, ones: bool, tail in vec(any::<u8>(), 0..20)) {
        let mut bytes = vec![if ones { 0xff } else { 0 }; zeros];
        bytes.extend(tail);
        first_bit_is_first(&bytes);
    }

    #[test]
    fn integers_of_any_width_lie_anywhere(
        mut bytes in vec(any::<u8>(), 24),
        offset in 0u64..128,
        width in 1u32..=64,
        value: u64,
    ) {
        written_integers_are_read_back(&mut bytes, offset, width, value);
    }
}
