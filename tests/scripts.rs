//! Every script below tests/scripts is accepted by the model and answered as its file says.
//!
//! `= reply` lines hold the answers; `TALLY_BLESS=1 cargo test --test scripts` writes them. `= *` stands where the model
//! alone judges: clocks, memory figures, and orders that are free.
#![allow(clippy::unwrap_used)]

mod spawned;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use tally_check::coverage::Coverage;
use tally_check::profile::{Version, ends_service, lethal};
use tally_check::request::Request;
use tally_check::runner::run_script;
use tally_check::script::{self, Script, Step};
use tally_check::target::{Embedded, Live, Target, Url};

fn scripts() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "tally") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts"), &mut found);
    found.sort();
    assert!(found.len() > 5, "the scripts were not found");
    found
}

/// Whether an answer is the target's own affair, within what the model allows.
fn is_free(request: &Request) -> bool {
    let any = [
        "info",
        "time",
        "lolwut",
        "keys",
        "scan",
        "randomkey",
        "lastsave",
        "command",
        "dump",
        "memory",
        "hgetall",
        "hkeys",
        "hvals",
        "hscan",
        "smembers",
        "spop",
        "srandmember",
        "sinter",
        "sunion",
        "sdiff",
        "sscan",
        "zscan",
        "georadius",
        "georadius_ro",
        "georadiusbymember",
        "georadiusbymember_ro",
    ];
    any.iter().any(|name| request.is(0, name))
        || request.is(0, "client") && (request.is(1, "list") || request.is(1, "id"))
        || request.is(0, "debug")
            && ["object", "sdslen", "htstats", "htstats-key", "structsize"].iter().any(|name| request.is(1, name))
        || request.is(0, "pfdebug") && request.is(1, "getreg")
        || request.is(1, "help")
        || request.is(0, "xadd") && (2..request.len()).any(|index| request.argument(index) == b"*")
        || request.is(0, "xpending") && request.len() > 3
        || request.is(0, "xinfo") && request.is(1, "consumers")
}

/// Whether a defect of Redis 5 makes it end the process, or DEBUG does so on purpose.
fn is_lethal(request: &Request) -> bool {
    lethal(request).is_some() || request.is(0, "debug") && ends_service(request).is_some()
}

/// Runs a script; what each step was answered, or what was found wrong.
fn run(
    target: &mut dyn Target,
    script: &Script,
    profile: tally_model::Profile,
) -> Result<BTreeMap<usize, String>, String> {
    // What follows a closed connection in its pipeline is never answered.
    let mut answers: BTreeMap<usize, String> =
        (0..script.steps.len()).map(|step| (step, "(closed)".to_owned())).collect();
    let mut coverage = Coverage::default();
    let outcome = run_script(target, script, profile, &mut coverage, &mut |step, replies| {
        let text = match replies {
            [] => "(no reply)".to_owned(),
            replies => replies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" then "),
        };
        answers.insert(step, text);
    });
    outcome.map(|()| answers).map_err(|finding| finding.to_string())
}

/// The file with the answers written behind its commands.
fn blessed(text: &str, script: &Script, answers: &BTreeMap<usize, String>) -> String {
    let mut lines = Vec::new();
    let mut steps = script.steps.iter().enumerate();
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("= ") {
            continue;
        }
        lines.push(line.to_owned());
        let is_step = trimmed.starts_with('+')
            || ["@reload", "@replay"].contains(&trimmed)
            || trimmed.starts_with(|c: char| c.is_ascii_digit());
        if !is_step {
            continue;
        }
        let (index, step) = steps.next().unwrap();
        match step {
            Step::Command { request, .. } if is_free(request) => lines.push("= *".to_owned()),
            Step::Command { .. } => lines.push(format!("= {}", answers[&index])),
            _ => {}
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn every_script_is_answered_by_the_engine_as_its_file_says() {
    let mut wrong = Vec::new();
    for path in scripts() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
        let file = script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let profile = Version::of_name("5.0").unwrap().model(false, false);
        let answers = match run(&mut Embedded::new(), &file.script, profile) {
            Ok(answers) => answers,
            Err(finding) => {
                wrong.push(format!("{name}: {finding}"));
                continue;
            }
        };
        if env::var_os("TALLY_BLESS").is_some() {
            fs::write(&path, blessed(&text, &file.script, &answers)).unwrap();
            continue;
        }
        let commands = file.script.steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Command { .. }));
        let said: BTreeMap<usize, &str> = file.expectations.iter().map(|e| (e.step, e.reply.as_str())).collect();
        for (index, step) in commands {
            match said.get(&index) {
                Some(&"*") => {}
                Some(&expected) if expected == answers[&index] => {}
                expected => {
                    wrong.push(format!("{name}: {step}\n  expected {expected:?}\n  received {}", answers[&index]))
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_script_is_answered_by_a_real_redis_5_as_the_model_allows() {
    let Some(program) = env::var_os("TALLY_REDIS5") else {
        assert!(env::var_os("CI").is_none(), "TALLY_REDIS5 names no Redis 5.0.x");
        println!("SKIPPED: TALLY_REDIS5 names no Redis 5.0.x");
        return;
    };
    let folder = spawned::folder();
    let port = spawned::free_port();
    let mut command = std::process::Command::new(program);
    command.args(["--port", &port.to_string(), "--save", ""]).current_dir(folder.path());
    let server = spawned::Server::run(command, port, folder.path());
    let mut wrong = Vec::new();
    for path in scripts() {
        let mut file = script::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        // Some defects end the process; what is right instead is shown on the engine.
        file.script.steps.retain(|step| !matches!(step, Step::Command { request, .. } if is_lethal(request)));
        let url: Url = format!("redis://127.0.0.1:{}", server.port).parse().unwrap();
        let mut target = Live::connect(&url, true).unwrap_or_else(|error| panic!("before {}: {error}", path.display()));
        let profile = Version::of_name("5.0").unwrap().model(true, false);
        if let Err(finding) = run(&mut target, &file.script, profile) {
            wrong.push(format!("{}: {finding}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
