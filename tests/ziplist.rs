//! Ziplists: a sequence under any changes; any bytes are judged by both halves alike.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::ziplist::{
    Operation, a_ziplist_is_a_sequence, any_bytes_are_taken_or_refused, operations, value,
};
use tally_engine::structures::ziplist::{Value, Ziplist};

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(kind, n)| value(kind, n)),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..300),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || any::<u8>();
    prop_oneof![
        5 => (place(), text()).prop_map(|(place, text)| Operation::Insert(place, text)),
        2 => text().prop_map(Operation::Append),
        4 => (place(), text()).prop_map(|(place, text)| Operation::Replace(place, text)),
        3 => (place(), 0u8..4).prop_map(|(place, count)| Operation::Delete(place, count)),
        1 => Just(Operation::Double),
        2 => (text(), 0u8..3).prop_map(|(text, skip)| Operation::Find(text, skip)),
    ]
}

proptest! {
    #[test]
    fn a_ziplist_is_a_sequence_that_is_whole_at_every_step(operations in vec(operation(), 0..60)) {
        a_ziplist_is_a_sequence(&operations);
    }

    #[test]
    fn a_ziplist_is_a_sequence_for_any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        a_ziplist_is_a_sequence(&operations(&bytes));
    }

    #[test]
    fn lengths_around_254_make_neighbours_grow_in_both_directions(
        lengths in vec(245usize..256, 1..60), changes in vec((any::<u8>(), 0usize..300), 1..12),
    ) {
        let mut steps: Vec<Operation> = lengths.iter().map(|&len| Operation::Append(vec![b'x'; len])).collect();
        for (place, len) in changes {
            steps.push(Operation::Replace(place, vec![b'y'; len]));
            steps.push(Operation::Delete(place.wrapping_mul(7), 1));
            steps.push(Operation::Insert(place.wrapping_mul(3), vec![b'z'; len / 2]));
        }
        a_ziplist_is_a_sequence(&steps);
    }

    //= SPEC.md#ziplists
    //# [ZIPLIST-8] (inside) Reading a ziplist of n bytes MUST take time and memory proportional to n at most.
    #[test]
    fn any_bytes_are_judged_alike_by_both_halves(bytes in vec(any::<u8>(), 0..60)) {
        any_bytes_are_taken_or_refused(&bytes);
    }

    #[test]
    fn a_damaged_ziplist_is_judged_alike_by_both_halves(
        texts in vec(text(), 0..8), at: prop::sample::Index, byte: u8, cut in 0usize..3,
    ) {
        let list = Ziplist::of(texts.iter().map(|text| Value::of(text)));
        let mut bytes = list.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut);
        any_bytes_are_taken_or_refused(&bytes);
    }
}
