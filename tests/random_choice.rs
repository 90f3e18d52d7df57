//! RANDOMKEY, SRANDMEMBER and SPOP choose evenly, in every encoding and state of the table.
//!
//! Seeds are fixed; the significance is that of `tally_check::properties::random_choice`.
#![allow(clippy::unwrap_used)]

use tally_check::properties::random_choice::Population::{Integers, Moving, Remains, Words};
use tally_check::properties::random_choice::{
    Population, SIGNIFICANCE, by_buckets, popped_members, random_keys, several_members, single_members,
};

fn is_even(what: &str, population: Population, probability: f64) {
    println!("{what} of {population:?}: {probability:.4}");
    assert!(probability > SIGNIFICANCE, "{what} of {population:?}: probability {probability:e}");
}

const WORDS: [Population; 4] = [Words(7), Words(300), Remains(60), Moving(256)];

#[test]
fn every_key_is_as_likely_as_any_other() {
    for population in WORDS {
        is_even("RANDOMKEY", population, random_keys(population, 200 * population.len(), 11));
    }
}

//= SPEC.md#srandmember
//# [SRANDMEMBER-6] (wire) SRANDMEMBER SHOULD choose each member with the same probability.
#[test]
fn every_member_is_as_likely_as_any_other() {
    for population in WORDS.into_iter().chain([Integers(5), Integers(400)]) {
        is_even("SRANDMEMBER", population, single_members(population, 200 * population.len(), 12));
    }
}

#[test]
fn samples_without_repetition_hold_every_member_equally_often() {
    for population in WORDS.into_iter().chain([Integers(400)]) {
        // Few of many, and most of them: there are different ways to both.
        for count in [3, population.len() * 3 / 4] {
            let probability = several_members(population, count as i64, 4000, 13);
            is_even(&format!("SRANDMEMBER {count}"), population, probability);
        }
    }
}

#[test]
fn samples_with_repetition_hold_every_member_equally_often() {
    for population in WORDS.into_iter().chain([Integers(400)]) {
        is_even("SRANDMEMBER -500", population, several_members(population, -500, 200, 14));
    }
}

//= SPEC.md#spop
//# [SPOP-6] (wire) SPOP SHOULD choose each member with the same probability.
#[test]
fn every_member_is_as_likely_to_be_popped() {
    for population in [Words(7), Words(100), Moving(64), Integers(5), Integers(100)] {
        let draws = 50 * population.len();
        is_even("SPOP", population, popped_members(population, None, draws, 15));
        for count in [2, population.len() * 3 / 5] {
            is_even(&format!("SPOP {count}"), population, popped_members(population, Some(count), draws, 16));
        }
    }
}

#[test]
fn the_choice_by_buckets_that_redis_makes_would_be_noticed() {
    assert!(by_buckets(&[1, 3, 0, 2, 1, 1, 0, 0], 5000, 17) < SIGNIFICANCE);
    assert!(by_buckets(&[2; 50], 5000, 18) > SIGNIFICANCE);
}
