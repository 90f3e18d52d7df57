//! Servers on simulated disks die at every moment, and each planted durability fault is found by it.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use tally_check::properties::crashes::{Lives, nothing_promised_is_lost};
use tally_engine::faults::{self, Fault};

/// Seeds of the whole run, divided among the test threads.
const SEEDS: u64 = 2_000;
const SHARES: u64 = 2;

fn run_share(share: u64) {
    let mut lives = Lives::default();
    for seed in (share..SEEDS).step_by(SHARES as usize) {
        nothing_promised_is_lost(seed, &mut lives).unwrap();
    }
    println!("{lives:?}");
    // A run that went through nothing proves nothing.
    assert!(lives.power > 1000 && lives.kills > 1000 && lives.failures > 100, "{lives:?}");
    assert!(lives.answered > 50_000 && lives.saves > 500 && lives.rewrites > 500, "{lives:?}");
}

//= SPEC.md#aof-durability
//# [DURABLE-1] (file) Under `appendfsync always` the commands of a batch MUST be written to the AOF file and forced to disk before any of their replies is sent.
//= SPEC.md#aof-durability
//# [DURABLE-2] (file) Under `appendfsync everysec` commands MUST be written to the file before their replies are sent, unless a fsync is still under way, and be forced to disk about once a second in the background.
//= SPEC.md#aof-durability
//# [DURABLE-11] (file) The name of a file that the server makes to append to MUST be forced to disk before what is appended counts as durable.
//= SPEC.md#save
//# [SAVE-4] (file) The RDB file MUST be written under another name in the same directory, forced to disk and renamed, so that a crash at any time leaves either the old or the new file whole.
#[test]
fn nothing_promised_is_lost_first_share() {
    run_share(0);
}

#[test]
fn nothing_promised_is_lost_second_share() {
    run_share(1);
}

/// The first seed that shows the fault.
fn found_at(fault: Fault) -> Option<(u64, String)> {
    faults::select(Some(fault));
    let found = (0..SEEDS).find_map(|seed| {
        // A fault may also break an invariant that the engine checks itself.
        let run = || nothing_promised_is_lost(seed, &mut Lives::default());
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some((seed, why)),
            Err(_) => Some((seed, "a panic".to_owned())),
        }
    });
    faults::select(None);
    found
}

#[test]
fn every_planted_durability_fault_is_found() {
    assert!(faults::DURABILITY.len() >= 10);
    for fault in faults::DURABILITY {
        let Some((seed, why)) = found_at(*fault) else { panic!("{fault:?} is not found within {SEEDS} seeds") };
        println!("{fault:?}: {why}");
        nothing_promised_is_lost(seed, &mut Lives::default()).unwrap();
    }
}
