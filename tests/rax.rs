//! Radix trees: an ordered map whatever keys come and go.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::rax::{Operation, a_radix_tree_is_an_ordered_map, key, operations};

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(kind, a, b)| key(kind, a, b)),
        1 => vec(any::<u8>(), 0..80),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (any_key(), any::<u32>()).prop_map(|(key, value)| Operation::Insert(key, value)),
        2 => any_key().prop_map(Operation::Remove),
        3 => any::<u8>().prop_map(Operation::RemoveAt),
        2 => any_key().prop_map(Operation::Find),
        1 => (any_key(), any::<u8>()).prop_map(|(key, steps)| Operation::Walk(key, steps)),
        1 => any::<u32>().prop_map(Operation::ChangeLast),
    ]
}

proptest! {
    #[test]
    fn a_radix_tree_is_an_ordered_map_that_is_whole_at_every_step(operations in vec(operation(), 0..120)) {
        a_radix_tree_is_an_ordered_map(&operations);
    }

    #[test]
    fn a_radix_tree_is_an_ordered_map_for_any_bytes(bytes in vec(any::<u8>(), 0..500)) {
        a_radix_tree_is_an_ordered_map(&operations(&bytes));
    }

    //= SPEC.md#xinfo
    //# [XINFO-2] (wire) The integer of `radix-tree-nodes` MUST be the number of nodes of the compressed radix tree that has the ids of the stream's nodes as keys of 16 bytes, both numbers big-endian: one for each key, one for each place where keys part, and one for each run of bytes between these that has no such place in it, and 1 if there are no keys.
    #[test]
    fn ids_that_come_in_order_and_go_from_the_front_leave_a_whole_tree(
        steps in vec((0u64..3, 0u64..300), 1..200), kept in 0usize..40,
    ) {
        let (mut ms, mut seq) = (0u64, 0u64);
        let mut keys = Vec::new();
        let mut changes = Vec::new();
        for (more_ms, more_seq) in steps {
            ms += more_ms << (8 * (more_seq % 7));
            seq = if more_ms > 0 { more_seq } else { seq + more_seq + 1 };
            let id = [ms.to_be_bytes(), seq.to_be_bytes()].concat();
            keys.push(id.clone());
            changes.push(Operation::Insert(id.clone(), 1));
            if keys.len() > kept {
                changes.push(Operation::Remove(keys.remove(0)));
            }
            changes.push(Operation::Find(id));
        }
        a_radix_tree_is_an_ordered_map(&changes);
    }
}
