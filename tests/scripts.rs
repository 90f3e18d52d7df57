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
use tally_check::finding::Came;
use tally_check::profile::{Version, ends_service, lethal};
use tally_check::request::Request;
use tally_check::runner::{Observer, run_script_for};
use tally_check::script::{self, Expectation, Script, Step};
use tally_check::session::Delivered;
use tally_check::target::{Embedded, Live, Target, Url};
use tally_model::Reply;

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

/// What each step led to, in the order in which files hold it: its answer, then what other clients received.
struct Answers {
    lines: BTreeMap<usize, Vec<Expectation>>,
}

impl Answers {
    fn new(script: &Script) -> Self {
        let commands = script.steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Command { .. }));
        // What follows a closed connection in its pipeline is never answered, nor is what a blocked client sends.
        let unanswered = |step| vec![Expectation { step, client: None, reply: "(not sent)".to_owned() }];
        Self { lines: commands.map(|(step, _)| (step, unanswered(step))).collect() }
    }
}

impl Observer for Answers {
    fn answered(&mut self, step: usize, replies: &[Reply]) {
        let reply = match replies {
            [] => "(no reply)".to_owned(),
            replies => replies.iter().map(ToString::to_string).collect::<Vec<_>>().join(" then "),
        };
        self.lines.insert(step, vec![Expectation { step, client: None, reply }]);
    }

    fn delivered(&mut self, step: usize, delivered: Delivered) {
        // What MONITOR shows begins with the time and has addresses in it.
        let line = matches!(&delivered.what, Came::Message(Reply::Status(_)));
        let reply = if line { "*".to_owned() } else { delivered.what.to_string() };
        self.lines.entry(step).or_default().push(Expectation { step, client: Some(delivered.client), reply });
    }
}

/// Runs a script; what each step led to, or what was found wrong.
fn run(
    target: &mut dyn Target,
    script: &Script,
    profile: tally_model::Profile,
) -> Result<BTreeMap<usize, Vec<Expectation>>, String> {
    let mut answers = Answers::new(script);
    let outcome = run_script_for(target, script, profile, &mut Coverage::default(), &mut answers);
    outcome.map(|()| answers.lines).map_err(|finding| finding.to_string())
}

/// The answers as a file should have them: `*` for one that is the target's own affair, unless the file names this one.
fn settled(
    mut answers: BTreeMap<usize, Vec<Expectation>>,
    script: &Script,
    said: &[Expectation],
) -> BTreeMap<usize, Vec<Expectation>> {
    for answer in answers.values_mut().flatten().filter(|answer| answer.client.is_none()) {
        let free = matches!(&script.steps[answer.step], Step::Command { request, .. } if is_free(request));
        if free && !said.contains(answer) {
            "*".clone_into(&mut answer.reply);
        }
    }
    answers
}

/// The file with the answers written behind its steps.
fn blessed(text: &str, answers: &BTreeMap<usize, Vec<Expectation>>) -> String {
    let mut lines = Vec::new();
    let mut steps = 0;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("= ") {
            continue;
        }
        lines.push(line.to_owned());
        let is_step = trimmed.starts_with('+')
            || ["@reload", "@replay", "@close ", "@cut "].iter().any(|word| trimmed.starts_with(word))
            || trimmed.starts_with(|c: char| c.is_ascii_digit());
        if is_step {
            lines.extend(answers.get(&steps).into_iter().flatten().map(ToString::to_string));
            steps += 1;
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
            let answers = settled(answers, &file.script, &file.expectations);
            fs::write(&path, blessed(&text, &answers)).unwrap();
            continue;
        }
        let mut said: BTreeMap<usize, Vec<&Expectation>> = BTreeMap::new();
        for expectation in &file.expectations {
            said.entry(expectation.step).or_default().push(expectation);
        }
        for (index, step) in file.script.steps.iter().enumerate() {
            let said: Vec<String> = said.get(&index).into_iter().flatten().map(ToString::to_string).collect();
            let came: Vec<String> = answers.get(&index).into_iter().flatten().map(ToString::to_string).collect();
            // A `*` in the file stands for anything.
            let free = |said: &str| said == "= *" || said.starts_with("= ") && said.ends_with("< *");
            let fits = |(said, came): (&String, &String)| said == came || free(said);
            if said.len() != came.len() || !said.iter().zip(&came).all(fits) {
                wrong.push(format!("{name}: {step}\n  expected {said:?}\n  received {came:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Commands that a 5.0.x before 5.0.14 answers otherwise, where the profile, which is 5.0.14's, does not say so: there they
/// are left out. This may only shrink.
const LEFT_OUT: [(&str, &str, &str); 1] = [("streams.tally", "XADD b * f v", "E-111")];

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
        for (_, command, erratum) in LEFT_OUT.iter().filter(|(name, ..)| path.ends_with(name)) {
            let before = file.script.steps.len();
            let is_it = |step: &Step| matches!(step, Step::Command { request, .. } if request.to_string() == *command);
            file.script.steps.retain(|step| !is_it(step));
            assert!(file.script.steps.len() < before, "{} has no {command} any more", path.display());
            println!("{}: without {command}, {erratum}", path.display());
        }
        let url: Url = format!("redis://127.0.0.1:{}", server.port).parse().unwrap();
        let mut target = Live::connect(&url, true).unwrap_or_else(|error| panic!("before {}: {error}", path.display()));
        let profile = Version::of_name("5.0").unwrap().model(true, false);
        if let Err(finding) = run(&mut target, &file.script, profile) {
            wrong.push(format!("{}: {finding}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
