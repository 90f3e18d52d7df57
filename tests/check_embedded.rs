//! The engine holds: long runs of made-up commands, and every script of the smallest scope.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tally_check::choice::{Choice, Enumerator};
use tally_check::coverage::Coverage;
use tally_check::generator::{Limits, Swarm};
use tally_check::grammar::Family;
use tally_check::profile::Version;
use tally_check::properties::{commands, scripts};
use tally_check::report::redis_cli;
use tally_check::runner::{Plan, explore, run_script};
use tally_check::script::{Script, Step, parse};
use tally_check::shrink::{Budget, shrink};
use tally_check::target::Embedded;
use tally_model::Clause;

/// How much to try: `TALLY_CASES` scales the commands of each seed, 100 being the normal amount.
fn scaled(commands: u64) -> u64 {
    let cases = std::env::var("TALLY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100u64);
    (commands * cases / 100).max(100)
}

fn holds(seed: u64, limits: Limits, commands: u64) -> Coverage {
    let profile = Version::REDIS_5_0.model(false, false);
    let plan = Plan { seed, limits, profile: profile.clone(), lethal: false };
    let (mut target, mut coverage) = (Embedded::new(), Coverage::default());
    let mut enough = |coverage: &Coverage| coverage.commands >= commands;
    if let Some(discovery) = explore(&mut target, &plan, &mut coverage, &mut enough).unwrap() {
        let mut run = |script: &Script| {
            run_script(&mut target, script, profile.clone(), &mut Coverage::default(), &mut |_, _| {}).err()
        };
        let shrunk = shrink(&discovery.script, &discovery.finding, Budget::EMBEDDED, &mut run);
        panic!("seed {seed:#x}\n{}\n{}", redis_cli(&shrunk.script).join("\n"), shrunk.finding);
    }
    coverage
}

#[test]
fn the_default_mix_finds_nothing_and_reaches_every_command() {
    let coverage = holds(0x7a11, Limits::default(), scaled(200_000));
    if coverage.commands >= 200_000 {
        // SHUTDOWN would end what is checked; each of the others is rare, and in play in some episodes only.
        let rare = [
            "shutdown",
            "quit",
            "post",
            "host:",
            "asking",
            "readonly",
            "readwrite",
            "module",
            "lolwut",
            "save",
            "pfselftest",
        ];
        let missing: Vec<_> = coverage.unexercised().filter(|name| !rare.contains(name)).collect();
        assert_eq!(missing, [] as [&str; 0]);
        assert!(coverage.error_paths().len() > 100);
    }
}

#[test]
fn every_family_alone_finds_nothing() {
    for family in Family::ALL {
        holds(0x0fa1, Limits { families: vec![family], ..Limits::default() }, scaled(20_000));
    }
}

/// Keys are evicted all the time, under every policy, and whatever is left is as it should be.
#[test]
fn an_engine_that_is_short_of_memory_finds_nothing() {
    let coverage = holds(0x3501, Limits { short_of_memory: true, ..Limits::default() }, scaled(200_000));
    if coverage.commands >= 200_000 {
        for clause in [Clause::EVICTION_3, Clause::EVICTION_6, Clause::EVICTION_8, Clause::EVICTION_11, Clause::OOM_1] {
            let count = coverage.clauses.get(&clause).map_or(0, |count| *count);
            assert!(count > 100, "{clause:?} was met {count} times");
        }
    }
}

fn script_holds(text: &str) -> Coverage {
    let script = parse(text).unwrap().script;
    let (mut target, mut coverage) = (Embedded::new(), Coverage::default());
    let profile = Version::REDIS_5_0.model(false, false);
    if let Err(finding) = run_script(&mut target, &script, profile, &mut coverage, &mut |_, _| {}) {
        panic!("{script}\n{finding}");
    }
    coverage
}

/// What need not have come of an eviction was taken for what has to come of the next one.
#[test]
fn each_eviction_of_a_key_is_told_by_itself() {
    let text = "1> CONFIG SET notify-keyspace-events KEA\n1> CONFIG SET maxmemory-policy allkeys-lru\n\
        2> PSUBSCRIBE __keyevent@*\n1> CONFIG SET maxmemory 1000032\n1> SET k 0\n2> PSUBSCRIBE *\n1> SET k 0\n\
        1> LTRIM k 0 0\n";
    assert!(script_holds(text).clauses.contains_key(&Clause::EVICTION_11), "nothing was evicted");
}

/// What a command evicts was told by the events and subscriptions that it sets itself.
#[test]
fn a_command_that_evicts_and_sets_who_hears_of_what_tells_by_what_was_before() {
    let set = "1> CONFIG SET maxmemory-policy allkeys-random\n1> CONFIG SET notify-keyspace-events EA\n\
        3> PSUBSCRIBE *\n2> CONFIG SET maxmemory 1000000\n2> SET k 0\n";
    for evicts in [
        "2> CONFIG SET notify-keyspace-events K\n",
        "2> CONFIG SET notify-keyspace-events \"\"\n",
        "2> CONFIG SET notify-keyspace-events KEA\n",
        "2> PSUBSCRIBE *\n",
    ] {
        let coverage = script_holds(&format!("{set}{evicts}"));
        assert!(coverage.clauses.contains_key(&Clause::EVICTION_11), "nothing was evicted by {evicts}");
    }
}

/// A destination that one of two lists is at was taken for an absent one.
#[test]
fn an_element_may_be_moved_to_one_of_several_lists() {
    let coverage = script_holds(
        "1> LPUSH to 0\n2> BRPOPLPUSH from to 7\n1> CONFIG SET maxmemory 1\n\
        1> EVAL \"pcall(function() return redis.call('lpush', 'to', 'v', 'v') end)\" 0\n\
        1> CONFIG SET maxmemory 0\n1> RPUSH from 0\n1> LPUSH to 0\n",
    );
    assert!(coverage.clauses.contains_key(&Clause::BLOCK_13));
}

/// A script that may have been refused memory, and then is not handed on as it came, was taken for handed on.
#[test]
fn a_script_that_was_perhaps_handed_on_by_what_it_did_is_perhaps_loaded_later() {
    let script = "redis.pcall('incrby', KEYS[1], 1) return redis.call('get', ARGV[1])";
    let sha = "2044de55e539bad11810dbedf3b1c48778289777";
    let coverage = script_holds(&format!(
        "@config appendonly yes\n@config lua-replicate-commands no\n1> EVAL \"{script}\" 0\n\
        1> CONFIG SET maxmemory 1\n1> EVALSHA {sha} 1 k\n1> EVALSHA {sha} 0\n"
    ));
    assert!(coverage.clauses.contains_key(&Clause::EVALSHA_3));
}

/// The model looked the key up for what an erratum makes of the command.
#[test]
fn a_count_that_is_refused_leaves_an_expired_key() {
    let restore = r#"1> RESTORE k 1 "\x00\xc2\xc1\xe2\xdd\x06\t\x00\xde\x80h\x90v\xde\xaeg" ABSTTL"#;
    let coverage = script_holds(&format!("{restore}\n1> SRANDMEMBER k -2147483648\n1> DBSIZE\n"));
    assert!(coverage.clauses.contains_key(&Clause::SRANDMEMBER_5));
}

/// All scripts of two commands over two keys and three values, without malformed arguments: a proof for the small scope.
#[test]
fn every_script_of_two_string_commands_over_two_keys_holds() {
    let swarm = Swarm::smallest(&[Family::Strings]);
    let profile = Version::REDIS_5_0.model(false, false);
    let (mut all, mut target, mut coverage) = (Enumerator::default(), Embedded::new(), Coverage::default());
    let mut scripts = 0u64;
    let most = scaled(20_000);
    loop {
        let steps = (0..2).map(|_| Step::command(1, swarm.simplest(&mut all))).collect();
        let script = Script { steps, ..Script::default() };
        if let Err(finding) = run_script(&mut target, &script, profile.clone(), &mut coverage, &mut |_, _| {}) {
            panic!("{script}\n{finding}");
        }
        scripts += 1;
        if !all.advance() || scripts == most {
            break;
        }
    }
    assert!(scripts > 1000, "{scripts}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: scaled(200) as u32, ..ProptestConfig::default() })]

    #[test]
    fn scripts_from_structured_bytes_hold(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        commands::the_engine_answers_what_the_model_allows(&bytes);
    }

    #[test]
    fn scripts_from_seeds_hold(script in scripts::script_strategy(Limits { commands: 60, ..Limits::default() })) {
        scripts::the_engine_answers_what_the_model_allows(&script);
    }
}

#[test]
fn a_source_that_runs_dry_still_ends_its_script() {
    commands::the_engine_answers_what_the_model_allows(&[]);
    let mut dry = tally_check::choice::Recorded::new(Vec::new());
    assert_eq!(dry.below(10), 0);
}
