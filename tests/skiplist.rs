//! Skiplists: sorted maps under any changes, whose levels are as seldom as they should be.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::skiplist::{Operation, a_skiplist_is_a_sorted_map, operations, score};
use tally_engine::structures::dict::HashKey;
use tally_engine::structures::skiplist::Skiplist;

fn any_score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u8>().prop_map(score),
        1 => any::<f64>().prop_filter("no score is NaN", |score| !score.is_nan()),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let member = || any::<u8>();
    prop_oneof![
        4 => (member(), any_score()).prop_map(|(member, score)| Operation::Insert(member, score)),
        2 => (member(), 0u8..64, any_score()).prop_map(|(first, count, score)| Operation::InsertMany(first, count, score)),
        4 => (member(), any_score()).prop_map(|(member, score)| Operation::SetScore(member, score)),
        2 => member().prop_map(Operation::Remove),
        1 => (member(), 0u8..40).prop_map(|(from, count)| Operation::RemoveRange(from, count)),
        1 => member().prop_map(Operation::Find),
        2 => (member(), member()).prop_map(|(from, count)| Operation::Range(from, count)),
        1 => any_score().prop_map(Operation::Count),
    ]
}

proptest! {
    //= SPEC.md#skiplists
    //# [SKIPLIST-1] (inside) A skiplist MUST hold its elements in ascending order of score and, where scores are equal, of bytes.
    //# [SKIPLIST-3] (inside) The span of each link MUST be the number of elements it goes forward, so that the sum of the spans on the way to an element is its rank.
    //# [SKIPLIST-4] (inside) A sorted set of encoding skiplist MUST hold every member once in the skiplist and once in a dict with the same score.
    #[test]
    fn a_skiplist_is_a_sorted_map_with_ranks(seed in any::<u64>(), operations in vec(operation(), 0..60)) {
        a_skiplist_is_a_sorted_map(seed, &operations);
    }

    #[test]
    fn a_skiplist_is_a_sorted_map_for_any_bytes(seed in any::<u64>(), bytes in vec(any::<u8>(), 0..300)) {
        a_skiplist_is_a_sorted_map(seed, &operations(&bytes));
    }
}

//= SPEC.md#skiplists
//# [SKIPLIST-2] (inside) A node of a skiplist MUST have level n + 1 besides level n with the probability 1/4, up to 64 levels.
#[test]
fn each_level_holds_a_quarter_of_the_one_below() {
    const MEMBERS: u32 = 100_000;
    let mut list = Skiplist::new(HashKey(11, 12));
    for number in 0..MEMBERS {
        list.insert(&number.to_be_bytes(), f64::from(number));
    }
    let levels = list.level_lengths();
    assert_eq!(levels[0], MEMBERS as usize);
    assert!(levels.len() <= 64);
    for (level, pair) in levels.windows(2).enumerate() {
        let (below, above) = (pair[0] as f64, pair[1] as f64);
        // Five standard deviations of as many draws with the chance of one in four.
        let deviation = 5.0 * (below * 0.25 * 0.75).sqrt();
        assert!((above - below * 0.25).abs() <= deviation, "level {level}: {levels:?}");
    }
}
