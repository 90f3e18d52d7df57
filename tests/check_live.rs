//! A real Redis 5.0.x holds, its errata accepted; the checker finds out of itself which servers it must not touch.
#![allow(clippy::unwrap_used)]

mod spawned;

use std::path::Path;
use std::process::Command;

use tally_check::campaign::{Campaign, Watch};
use tally_check::coverage::Coverage;
use tally_check::generator::Limits;
use tally_check::profile::Version;
use tally_check::report::{Asked, Report, summary};
use tally_check::runner::Plan;
use tally_check::session::Finding;
use tally_check::target::{Live, LiveError, Url};

/// Ends after so many commands.
struct Commands(u64);

impl Watch for Commands {
    fn enough(&mut self, coverage: &Coverage) -> bool {
        coverage.commands >= self.0
    }

    fn seconds(&self) -> f64 {
        1.0
    }

    fn found(&mut self, _finding: &Finding) {}
}

/// A real Redis 5, where one is to be had.
fn redis5() -> Option<(spawned::Server, tempfile::TempDir)> {
    let Some(program) = std::env::var_os("TALLY_REDIS5") else {
        assert!(std::env::var_os("CI").is_none(), "TALLY_REDIS5 names no Redis 5.0.x");
        println!("SKIPPED: TALLY_REDIS5 names no Redis 5.0.x");
        return None;
    };
    let folder = spawned::folder();
    let port = spawned::free_port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--save", ""]).current_dir(folder.path());
    Some((spawned::Server::run(command, port, folder.path()), folder))
}

fn url(server: &spawned::Server) -> Url {
    format!("redis://127.0.0.1:{}", server.port).parse().unwrap()
}

/// Checks a server, and says what was found and exercised.
fn check(server: &spawned::Server, folder: &Path, limits: Limits, commands: u64) -> Report {
    let mut target = Live::connect(&url(server), false).unwrap();
    let mut campaign = Campaign {
        target: &mut target,
        plan: Plan {
            seed: 0x5eed,
            limits: Limits { real_time: true, ..limits },
            profile: Version::REDIS_5_0.model(true, false),
            lethal: false,
        },
        asked: Asked { target: "Redis 5".into(), profile: "5.0".into(), seed: 0x5eed, families: vec![] },
        folder: folder.to_path_buf(),
        replay_suffix: String::new(),
    };
    let report = campaign.run(&mut Commands(commands)).unwrap();
    assert!(report.findings.is_empty(), "{}", summary(&report));
    report
}

#[test]
fn a_real_redis_5_holds() {
    let Some((server, folder)) = redis5() else { return };
    let report = check(&server, folder.path(), Limits::default(), 8_000);
    assert!(!report.errata.is_empty(), "no erratum was met, which is unlikely");
}

/// Keys are evicted all the time, under every policy, and whatever is left is as it should be.
#[test]
fn a_real_redis_5_that_is_short_of_memory_holds() {
    let Some((server, folder)) = redis5() else { return };
    // What scripts do the model tests of eviction say: of those drawn here few can be followed while keys are in doubt.
    let limits = Limits { short_of_memory: true, without: vec!["eval", "evalsha"], ..Limits::default() };
    let report = check(&server, folder.path(), limits, 20_000);
    let witnessed = |id: &str| report.clauses.iter().find(|clause| clause.name == id).map_or(0, |clause| clause.count);
    assert!(witnessed("EVICTION-8") > 100, "{}", summary(&report));
    assert!(witnessed("OOM-1") > 100, "{}", summary(&report));
}

#[test]
fn a_server_that_holds_keys_is_left_alone() {
    let folder = spawned::folder();
    let server = spawned::Server::start(folder.path(), &[]);
    let mut client = server.client();
    let () = redis::cmd("SET").arg("precious").arg(1).query(&mut client).unwrap();
    match Live::connect(&url(&server), false) {
        Err(LiveError::NotEmpty(1)) => {}
        other => panic!("{other:?}"),
    }
    let kept: i64 = redis::cmd("GET").arg("precious").query(&mut client).unwrap();
    assert_eq!(kept, 1);
}

#[test]
fn nobody_at_the_address_is_an_error_and_no_deviation() {
    let url: Url = format!("redis://127.0.0.1:{}", spawned::free_port()).parse().unwrap();
    assert!(matches!(Live::connect(&url, true), Err(LiveError::Target(_))));
}
