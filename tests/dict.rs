//! The hash table of the keyspace: a map under any operations, with a cursor and iterators that keep their promises.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use quickcheck::quickcheck;
use tally_check::properties::dict::{
    self, Operation, Value, a_key_table_is_a_map, a_safe_iterator_survives_changes, an_unsafe_iterator_notices_changes,
};
use tally_engine::lru;
use tally_engine::structures::dict::next_cursor;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop_oneof![Just(0), Just(9999), Just(10_000), any::<i64>()].prop_map(Value::Int),
        vec(any::<u8>(), 0usize..12).prop_map(Value::Bytes),
        vec(any::<u8>(), 40usize..50).prop_map(Value::Bytes),
        vec(any::<u8>(), 0usize..100).prop_map(Value::Raw),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || any::<u8>();
    let time = || prop_oneof![-3i64..100, Just(i64::MIN), Just(i64::MAX)];
    prop_oneof![
        12 => (key(), value()).prop_map(|(key, value)| Operation::Store(key, value)),
        2 => (key(), value()).prop_map(|(key, value)| Operation::Overwrite(key, value)),
        2 => (key(), any::<u8>()).prop_map(|(key, byte)| Operation::Append(key, byte)),
        4 => key().prop_map(Operation::Remove),
        2 => key().prop_map(Operation::RemoveMany),
        2 => key().prop_map(Operation::Find),
        3 => (key(), time()).prop_map(|(key, at)| Operation::Expire(key, at)),
        2 => key().prop_map(Operation::Persist),
        2 => (key(), key()).prop_map(|(from, to)| Operation::Rename(from, to)),
        2 => (key(), time()).prop_map(|(key, now)| Operation::FindAlive(key, now)),
        2 => (0u8..4).prop_map(Operation::Rehash),
        3 => Just(Operation::Shrink),
        1 => any::<bool>().prop_map(Operation::Child),
        8 => Just(Operation::Scan),
        1 => any::<u64>().prop_map(Operation::Random),
    ]
}

proptest! {
    //= SPEC.md#dict
    //# [DICT-2] (inside) Table sizes MUST be powers of two.
    //# [DICT-5] (inside) While a rehash is under way, insertions MUST go to the second table, and look-ups and deletions try the first and then the second.
    //# [DICT-8] (inside) When the first table is empty, the second MUST take its place and the rehash end.
    //# [DICT-11] (inside) Whatever grows, shrinks or is rehashed meanwhile, a dict MUST hold exactly the keys inserted and not deleted, each once.
    //= SPEC.md#cursors
    //# [CURSOR-1] (wire) A key that is in the database from the call with cursor 0 to the call that answers cursor 0, each call continuing with the cursor the one before answered, MUST be answered at least once by one of them.
    //# [CURSOR-2] (wire) A key that is not in the database during a call MUST NOT be answered by it.
    #[test]
    fn a_table_of_keys_is_a_map_whose_scan_misses_nothing(seed: u64, operations in vec(operation(), 0..250)) {
        a_key_table_is_a_map(seed, &operations);
    }

    #[test]
    fn a_table_of_keys_is_a_map_for_any_bytes(seed: u64, bytes in vec(any::<u8>(), 0..800)) {
        a_key_table_is_a_map(seed, &dict::operations(&bytes));
    }

    //= SPEC.md#iterators
    //# [ITERATOR-1] (inside) While a safe iterator is open no rehash step MUST happen.
    //# [ITERATOR-2] (inside) A safe iterator MUST yield every key once that is there from its start to its end, also if the key it just yielded is deleted.
    #[test]
    fn a_safe_iterator_yields_what_stays_once_and_holds_buckets_still(
        seed: u64, keys in btree_set(any::<u8>(), 0..60), steps in 0usize..4,
        changes in vec((any::<bool>(), any::<u8>()), 0..40),
    ) {
        a_safe_iterator_survives_changes(seed, &keys, steps, &changes);
    }

    //= SPEC.md#iterators
    //# [ITERATOR-3] (inside) An unsafe iterator MUST detect by the fingerprint of both tables' addresses, sizes and counts that the dict was changed while it was open.
    #[test]
    fn an_unsafe_iterator_detects_insertions_deletions_and_moves(
        seed: u64, keys in btree_set(any::<u8>(), 0..60), steps in 0usize..4, before in 0usize..20,
    ) {
        an_unsafe_iterator_notices_changes(seed, &keys, steps, before);
    }
}

quickcheck! {
    //= SPEC.md#cursors
    //# [CURSOR-5] (inside) The next cursor MUST be made by adding one, with carry from the highest bit of the larger table's mask downwards, to the bits of the cursor within that mask.
    fn the_cursor_adds_one_in_reversed_bits(cursor: u64, bits: u8) -> bool {
        let bits = u32::from(bits % 32) + 1;
        let mask = (1u64 << bits) - 1;
        let reversed = |value: u64| (0..bits).fold(0u64, |sum, bit| sum << 1 | (value >> bit & 1));
        let expected = reversed((reversed(cursor & mask) + 1) & mask);
        next_cursor(cursor, mask) == expected
    }

    fn a_small_tables_cursor_covers_the_same_buckets_of_a_larger_one(cursor: u32, bits: u8, more: u8) -> bool {
        let small = (1u64 << (bits % 8 + 1)) - 1;
        let large = (small << (more % 4)) | ((1 << (more % 4)) - 1);
        let start = u64::from(cursor) & small;
        let end = next_cursor(start, small);
        // All buckets of the large table between the two cursors belong to the small table's bucket.
        let mut at = start;
        let mut visited = 0u64;
        loop {
            if at & small != start {
                return false;
            }
            visited += 1;
            at = next_cursor(at, large);
            if at & (small ^ large) == 0 {
                return at == end && visited == (large + 1) / (small + 1);
            }
        }
    }

    //= SPEC.md#idle-time-and-frequency
    //# [IDLE-4] (inside) The idle time across a wrap MUST be the clock plus 16,777,215 minus the stamp, one second less than modular arithmetic gives.
    fn idle_time_is_the_difference_of_clocks_less_one_across_the_wrap(stamp: u32, passed: u32) -> bool {
        let (stamp, passed) = (stamp & lru::LRU_MAX, passed & lru::LRU_MAX);
        let now = (stamp + passed) & lru::LRU_MAX;
        let wrapped = u32::from(now < stamp);
        lru::idle_ms(now, stamp) == u64::from(passed - wrapped) * 1000
    }
}

//= SPEC.md#dict
//# [DICT-1] (inside) An empty dict MUST hold no table, and the first insertion make one of 4 buckets.
//# [DICT-3] (inside) An insertion that finds as many entries as buckets, and no rehash under way, MUST open a second table of the smallest power of two that is at least twice the number of entries.
//# [DICT-6] (inside) Each insertion, look-up and deletion MUST move one bucket of a rehash that is under way, unless an iterator is open.
#[test]
fn a_table_begins_with_four_buckets_and_doubles_when_it_is_full() {
    let mut table = Table::new();
    assert_eq!(table.sizes(), [0, 0]);
    table.fill(0..1);
    assert_eq!(table.sizes(), [4, 0]);
    table.fill(1..4);
    assert_eq!(table.sizes(), [4, 0]);
    table.fill(4..5);
    assert_eq!(table.sizes(), [4, 8]);
    for _ in 0..4 {
        table.0.find(b"absent");
    }
    assert_eq!(table.sizes(), [8, 0], "four look-ups moved four buckets");
}

//= SPEC.md#dict
//# [DICT-4] (inside) While resizing is disabled because a snapshot child lives, a dict MUST grow only when entries divided by buckets, in whole numbers, exceed 5.
#[test]
fn a_table_waits_for_the_end_of_a_child_until_its_chains_are_long() {
    let mut table = Table::new();
    table.0.set_growth(tally_engine::structures::dict::Growth::Avoided);
    table.fill(0..24);
    assert_eq!(table.sizes(), [4, 0], "24 / 4 is not over 5 before the insertion");
    table.fill(24..25);
    assert_eq!(table.sizes(), [4, 64]);
}

//= SPEC.md#dict
//# [DICT-9] (inside) A table of more than 4 buckets whose entries fill less than 10 % of it MUST be shrunk to the smallest power of two, at least 4, that holds them, by the resize check of the cron, which leaves it alone while resizing is disabled.
#[test]
fn a_table_shrinks_when_less_than_a_tenth_is_used() {
    let mut table = Table::new();
    table.fill(0..128);
    while table.0.rehash(100) {}
    assert_eq!(table.sizes(), [128, 0]);
    table.empty(13..128);
    table.0.shrink_if_sparse();
    assert_eq!(table.sizes(), [128, 0], "13 of 128 are more than a tenth");
    table.empty(12..13);
    table.0.set_growth(tally_engine::structures::dict::Growth::Avoided);
    table.0.shrink_if_sparse();
    assert_eq!(table.sizes(), [128, 0], "a child lives");
    table.0.set_growth(tally_engine::structures::dict::Growth::Free);
    table.0.shrink_if_sparse();
    assert_eq!(table.sizes(), [128, 16]);
    while table.0.rehash(100) {}
    assert_eq!(table.sizes(), [16, 0]);
    table.0.validate();
}

//= SPEC.md#dict
//# [DICT-7] (inside) A rehash step of n buckets MUST visit at most 10 n empty buckets.
#[test]
fn a_step_of_one_bucket_passes_over_ten_empty_ones_at_most() {
    let mut table = Table::new();
    table.fill(0..1024);
    while table.0.rehash(100) {}
    table.empty(3..1024);
    table.0.shrink_if_sparse();
    let mut before = table.0.dict().rehash_index().unwrap();
    while table.0.rehash(1) {
        let after = table.0.dict().rehash_index().unwrap();
        assert!(after > before && after - before <= 10, "from {before} to {after}");
        before = after;
    }
}

//= SPEC.md#randomkey
//# [RANDOMKEY-1] (wire) RANDOMKEY MUST answer one of the keys of the client's database, any of them.
#[test]
fn a_random_key_is_any_key_with_about_equal_chances() {
    let mut table = Table::new();
    table.fill(0..40);
    let mut state = 1u64;
    let mut counts = std::collections::BTreeMap::<Vec<u8>, u32>::new();
    for _ in 0..40_000 {
        let entry = table.0.random(|bound| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        });
        *counts.entry(entry.unwrap().key().to_vec()).or_default() += 1;
    }
    assert_eq!(counts.len(), 40);
    assert!(counts.values().all(|count| (800..1200).contains(count)), "{counts:?}");
}

/// A table of keys that are numbers.
struct Table(tally_engine::structures::key_table::KeyTable);

impl Table {
    fn new() -> Table {
        Table(tally_engine::structures::key_table::KeyTable::new(tally_engine::structures::dict::HashKey(1, 2)))
    }

    fn fill(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let value = tally_engine::structures::key_entry::Payload::Embstr(b"v".into());
            self.0.insert_new(number.to_string().as_bytes(), value, 0, None);
        }
    }

    fn empty(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.0.find(number.to_string().as_bytes()).unwrap().remove();
        }
    }

    fn sizes(&self) -> [usize; 2] {
        self.0.dict().sizes()
    }
}

#[test]
fn keys_that_differ_only_in_length_are_different_keys() {
    let keys: BTreeSet<u8> = (0..=255).collect();
    a_safe_iterator_survives_changes(3, &keys, 1, &[]);
}

/// Operations by which every property above can fail, chosen by a seed.
fn some_operations(seed: u64) -> Vec<Operation> {
    // SplitMix64: a counter whose bits are well mixed.
    let mut counter = seed << 32;
    let bytes = std::iter::repeat_with(|| {
        counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (counter ^ (counter >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 56) as u8
    });
    dict::operations(&bytes.take(1200).collect::<Vec<_>>())
}

//= SPEC.md#cursors
//# [CURSOR-6] (inside) A call during a rehash MUST visit the cursor's bucket of the smaller table and every bucket of the larger table that it expands to.
#[test]
fn faults_planted_in_the_table_are_noticed() {
    use tally_engine::faults::{self, Fault};
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let noticed = |fault| {
        faults::select(Some(fault));
        let noticed = (0..20)
            .any(|seed| std::panic::catch_unwind(|| a_key_table_is_a_map(seed, &some_operations(seed))).is_err());
        faults::select(None);
        noticed
    };
    let missed: Vec<_> = [
        Fault::RehashMisplacesChainTail,
        Fault::ScanForgetsLargerTable,
        Fault::ExpiresOneMillisecondEarly,
        Fault::OverwriteInPlaceKeepsExpiry,
    ]
    .into_iter()
    .filter(|&fault| !noticed(fault))
    .collect();
    std::panic::set_hook(quiet);
    assert!(missed.is_empty(), "{missed:?}");
    for seed in 0..20 {
        a_key_table_is_a_map(seed, &some_operations(seed));
    }
}

//= SPEC.md#object-header
//# [OBJECT-HEADER-1] (inside) Each key's object MUST hold 4 bits of type, 4 bits of encoding and 24 bits of access time or frequency in one 32-bit word or less.
#[test]
fn type_encoding_and_access_bits_of_a_key_share_one_word() {
    use tally_engine::structures::key_entry::{ENCODING_BITS, LRU_BITS, TYPE_BITS};
    assert_eq!((TYPE_BITS, ENCODING_BITS, LRU_BITS), (4, 4, 24));
    assert_eq!(TYPE_BITS + ENCODING_BITS + LRU_BITS, u32::BITS);
}
