//! Keys go from one engine to another over a way that breaks anywhere, and each planted fault of that is found.
#![allow(clippy::unwrap_used)]

use tally_check::properties::migration::{Moves, keys_are_handed_over};
use tally_engine::faults::{self, Fault};

const SEEDS: u64 = 400;

//= SPEC.md#migrate
//# [MIGRATE-4] (wire) MIGRATE MUST pass over keys that do not exist, and answer `+NOKEY` without connecting to anything when none does.
//= SPEC.md#migrate
//# [MIGRATE-12] (wire) A key for which the target answers a status MUST be removed, whatever becomes of the others, unless COPY was given.
//= SPEC.md#migrate
//# [MIGRATE-15] (wire) When a connection breaks, other than by the timeout, before the answer for the first key, MIGRATE MUST connect once more and send everything anew.
//= SPEC.md#migrate
//# [MIGRATE-17] (wire) A connection MUST be kept for the next MIGRATE to the same host and port after MIGRATE received all its answers, but at most 64 of them and none that was not used for more than ten seconds.
//= SPEC.md#migrate
//# [MIGRATE-20] (file) MIGRATE MUST be propagated as `DEL key [key …]` with the keys that it removed, in order, and not at all when there are none.
#[test]
fn keys_are_handed_over_whatever_happens_on_the_way() {
    let mut moves = Moves::default();
    for seed in 0..SEEDS {
        keys_are_handed_over(seed, &mut moves).unwrap();
    }
    println!("{moves:?}");
    // A run that went through nothing proves nothing.
    assert!(moves.taken > 2000 && moves.refused > 1000 && moves.kept > 1000, "{moves:?}");
    assert!(moves.broken > 500 && moves.repeated > 200, "{moves:?}");
}

/// The first seed that shows the fault.
fn found_at(fault: Fault) -> Option<(u64, String)> {
    faults::select(Some(fault));
    let found = (0..SEEDS).find_map(|seed| Some((seed, keys_are_handed_over(seed, &mut Moves::default()).err()?)));
    faults::select(None);
    found
}

#[test]
fn every_planted_fault_of_handing_over_is_found() {
    for fault in faults::MOVING {
        let Some((seed, why)) = found_at(*fault) else { panic!("{fault:?} is not found within {SEEDS} seeds") };
        println!("{fault:?}: {why}");
        keys_are_handed_over(seed, &mut Moves::default()).unwrap();
    }
}
