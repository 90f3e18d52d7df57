//! Quicklists: a sequence under any changes and options; nodes from outside are taken or refused.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::quicklist::{
    Operation, a_quicklist_is_a_sequence, any_nodes_are_taken_or_refused, operations,
};
use tally_engine::structures::quicklist::{End, Options, Side};

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..6).prop_map(|n| vec![b'a' + n; 3]),
        2 => any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        2 => (1000usize..9000).prop_map(|len| vec![b'l'; len]),
        1 => vec(any::<u8>(), 0..2000),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || any::<u8>();
    let end = || prop_oneof![Just(End::Front), Just(End::Back)];
    let side = prop_oneof![Just(Side::Before), Just(Side::After)];
    prop_oneof![
        8 => (end(), text()).prop_map(|(end, text)| Operation::Push(end, text)),
        2 => (end(), 0u8..6).prop_map(|(end, count)| Operation::Pop(end, count)),
        3 => (place(), text()).prop_map(|(place, text)| Operation::Set(place, text)),
        5 => (place(), side, text()).prop_map(|(place, side, text)| Operation::InsertBeside(place, side, text)),
        2 => (place(), -3i8..4).prop_map(|(place, count)| Operation::Remove(place, count)),
        1 => (0u8..8, 0u8..8).prop_map(|(front, back)| Operation::Trim(front, back)),
        1 => vec(text(), 0..6).prop_map(Operation::PushNode),
        1 => (place(), any::<u8>()).prop_map(|(place, count)| Operation::Visit(place, count)),
    ]
}

proptest! {
    //= SPEC.md#quicklists
    //# [QUICKLIST-4] (inside) With `list-compress-depth` above 0 all nodes but so many at each end SHOULD be held LZF compressed, where that saves at least eight bytes, and be opened only while they are worked on.
    #[test]
    fn a_quicklist_is_a_sequence_whatever_its_options(
        fill in -5i64..8, depth in 0i64..4, operations in vec(operation(), 0..80),
    ) {
        a_quicklist_is_a_sequence(Options::new(fill, depth), &operations);
    }

    #[test]
    fn a_quicklist_is_a_sequence_for_any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        let (options, operations) = operations(&bytes);
        a_quicklist_is_a_sequence(options, &operations);
    }

    #[test]
    fn nodes_from_any_bytes_are_taken_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        any_nodes_are_taken_or_refused(&bytes);
    }
}
