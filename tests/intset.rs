//! Intsets: a set of integers under any changes; any bytes are judged by both halves alike.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::intset::{
    Operation, an_intset_is_a_set, any_bytes_are_taken_or_refused, integer, operations,
};
use tally_engine::structures::intset::Intset;

fn value() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(kind, n)| integer(kind, n)),
        1 => any::<i64>(),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => value().prop_map(Operation::Insert),
        2 => value().prop_map(Operation::Remove),
        2 => any::<u8>().prop_map(Operation::RemoveAt),
        1 => value().prop_map(Operation::Contains),
        1 => Just(Operation::Reload),
    ]
}

proptest! {
    //= SPEC.md#intsets
    //# [INTSET-1] (file) An intset MUST be the width of its members in bytes (2, 4 or 8, in four bytes), their number (four bytes) and the members in strictly ascending order, all little-endian and signed.
    //# [INTSET-3] (file) An intset MUST have the least width that holds every member it ever had, so that it becomes wider with a member that does not fit and never narrower.
    #[test]
    fn an_intset_is_a_set_of_integers_in_the_least_width_it_ever_needed(operations in vec(operation(), 0..80)) {
        an_intset_is_a_set(&operations);
    }

    #[test]
    fn an_intset_is_a_set_of_integers_for_any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        an_intset_is_a_set(&operations(&bytes));
    }

    //= SPEC.md#intsets
    //# [INTSET-2] (file) A reader MUST refuse another width, members that do not ascend and another length than the number announces.
    #[test]
    fn a_damaged_intset_is_judged_alike_by_both_halves(
        values in vec(value(), 0..12), place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0usize..3,
    ) {
        let mut set = Intset::new();
        for value in values {
            set.insert(value);
        }
        let mut bytes = set.as_bytes().to_vec();
        prop_assert!(any_bytes_are_taken_or_refused(&bytes));
        prop_assert!(!any_bytes_are_taken_or_refused(&[&bytes[..], &[0]].concat()));
        let place = place.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(bytes.len() - cut);
        any_bytes_are_taken_or_refused(&bytes);
    }
}

//= SPEC.md#intsets
//# [INTSET-4] (inside) Looking for a member of an intset MUST take a number of steps proportional to the logarithm of its size.
#[test]
fn looking_for_a_member_costs_a_logarithm() {
    // One step per member would make 10^11 of these look-ups, and the test would not end.
    const MEMBERS: i64 = 1_000_000;
    let mut set = Intset::new();
    for number in 0..MEMBERS {
        assert!(set.insert(number * 2));
    }
    for number in (0..MEMBERS).step_by(10) {
        assert!(set.contains(number * 2) && !set.contains(number * 2 + 1));
    }
}
