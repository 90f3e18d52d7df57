//! Both halves store values as Redis 5.0.14 was recorded to: on both sides of every threshold the encoding, the form in
//! which DUMP writes the value, and what DEBUG OBJECT tells of the nodes of lists.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use tally_check::coverage::Coverage;
use tally_check::profile::Version;
use tally_check::request::Request;
use tally_check::runner::run_script;
use tally_check::script::{Script, Step};
use tally_check::target::Embedded;
use tally_model::Reply;

/// The words of the recording that one of its words stands for.
fn words(word: &str) -> Vec<Vec<u8>> {
    let (word, count) = match word.rsplit_once('#') {
        Some((word, count)) => (word, count.parse().unwrap()),
        None => (word, 1),
    };
    let bytes = match word.split_once('*') {
        Some((byte, times)) => byte.repeat(times.parse().unwrap()),
        None if word == "\"\"" => String::new(),
        None => word.replace('~', " "),
    };
    vec![bytes.into_bytes(); count]
}

fn request(line: &str) -> Request {
    let mut request = Request::new();
    line.split(' ').flat_map(words).for_each(|word| request.push(&word));
    request
}

/// What is asked about the key once the commands are done.
const QUESTIONS: [&str; 4] = ["OBJECT ENCODING k", "OBJECT REFCOUNT k", "DUMP k", "DEBUG OBJECT k"];

/// Asked of a HyperLogLog too.
const OF_HYPERLOGLOG: [&str; 3] = ["PFDEBUG ENCODING k", "STRLEN k", "PFCOUNT k"];

/// The answers to the questions as the recording names them.
fn told(answers: &[Reply]) -> Vec<(String, String)> {
    let text = |reply: &Reply| match reply {
        Reply::Bulk(text) | Reply::Status(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Integer(number) => number.to_string(),
        other => panic!("{other}"),
    };
    let Reply::Bulk(payload) = &answers[2] else { panic!("{}", answers[2]) };
    let mut told = vec![
        ("encoding".to_owned(), text(&answers[0])),
        ("refcount".to_owned(), text(&answers[1])),
        ("dump_type_byte".to_owned(), payload[0].to_string()),
    ];
    for field in text(&answers[3]).split(' ').filter_map(|field| field.split_once(':')) {
        if field.0 == "serializedlength" || field.0.starts_with("ql_") {
            told.push((field.0.to_owned(), field.1.to_owned()));
        }
    }
    for (name, answer) in ["pfdebug_encoding", "strlen", "pfcount"].into_iter().zip(&answers[4..]) {
        told.push((name.to_owned(), text(answer)));
    }
    told
}

/// The commands of a recorded line and the questions: the answers to the questions, if both halves agree on all.
fn answers(commands: &str, is_hyperloglog: bool) -> Result<Vec<Reply>, String> {
    let questions = QUESTIONS.iter().chain(if is_hyperloglog { &OF_HYPERLOGLOG[..] } else { &[] });
    let lines = commands.split(" ; ").chain(questions.copied());
    let steps: Vec<Step> = lines.map(|line| Step::command(1, request(line))).collect();
    let asked = QUESTIONS.len() + if is_hyperloglog { OF_HYPERLOGLOG.len() } else { 0 };
    let first = steps.len() - asked;
    let script = Script { seed: 1, steps, ..Script::default() };
    let mut answers = Vec::new();
    let profile = Version::REDIS_5_0.model(false, false);
    let outcome = run_script(&mut Embedded::new(), &script, profile, &mut Coverage::default(), &mut |step, replies| {
        if step >= first {
            answers.extend_from_slice(replies);
        }
    });
    outcome.map(|()| answers).map_err(|finding| finding.to_string())
}

//= SPEC.md#quicklists
//# [QUICKLIST-1] (file) A list MUST be written with one ziplist for each of its nodes, none of them empty.
//= SPEC.md#quicklists
//# [QUICKLIST-2] (file) A node of a list MUST hold at most `list-max-ziplist-size` elements when that is above 0, and otherwise at most 4, 8, 16, 32 or 64 kilobytes for -1 to -5, unless a single element is larger.
//= SPEC.md#quicklists
//# [QUICKLIST-3] (file) A node of more than one element MUST NOT exceed 8,192 bytes when `list-max-ziplist-size` is above 0.
//= SPEC.md#intsets
//# [INTSET-1] (file) An intset MUST be the width of its members in bytes (2, 4 or 8, in four bytes), their number (four bytes) and the members in strictly ascending order, all little-endian and signed.
//= SPEC.md#intsets
//# [INTSET-3] (file) An intset MUST have the least width that holds every member it ever had, so that it becomes wider with a member that does not fit and never narrower.
//= SPEC.md#ziplists
//# [ZIPLIST-4] (file) An entry that is the canonical text of an integer MUST be written as one: 0xF1 to 0xFD for 0 to 12, otherwise the shortest of 0xFE, 0xC0, 0xF0, 0xD0 and 0xE0 with one, two, three, four and eight bytes (signed, little-endian) behind it.
#[test]
fn values_are_stored_as_recorded_on_both_sides_of_every_threshold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/histories/encodings.txt");
    let recorded = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        let (commands, wanted) = line.split_once(" -> ").unwrap();
        let is_built = |line: &str| tally_model::commands::find(line.split(' ').next().unwrap().as_bytes()).is_some();
        if !commands.split(" ; ").all(is_built) {
            continue;
        }
        let shown = &commands[..commands.len().min(120)];
        match answers(commands, wanted.contains("pfcount")) {
            Err(finding) => wrong.push(format!("{shown}: {finding}")),
            Ok(answers) => {
                let told = told(&answers);
                for (name, value) in wanted.split(' ').map(|fact| fact.split_once('=').unwrap()) {
                    let found = told.iter().find(|(told, _)| told == name).map(|(_, value)| value.as_str());
                    if found != Some(value) {
                        wrong.push(format!("{shown}: {name} is {found:?}, recorded {value}"));
                    }
                }
                compared += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 150, "only {compared} keys");
}

//= SPEC.md#quicklists
//# [QUICKLIST-5] (wire) A `list-max-ziplist-size` above 32,767 MUST count as 32,767, one below -5 as -5, and a `list-compress-depth` above 65,535 as 65,535.
#[test]
fn limits_of_lists_beyond_sixteen_bits_do_not_wrap_around() {
    for (commands, limit, compressed) in [
        ("CONFIG SET list-max-ziplist-size 32768 ; RPUSH k a b", "32767", "0"),
        ("CONFIG SET list-max-ziplist-size -6 ; RPUSH k a b", "-5", "0"),
        ("CONFIG SET list-compress-depth 65536 ; RPUSH k a b", "-2", "1"),
    ] {
        let told = told(&answers(commands, false).unwrap());
        let found = |name: &str| told.iter().find(|(told, _)| told == name).unwrap().1.clone();
        let facts = [found("ql_nodes"), found("ql_ziplist_max"), found("ql_compressed")];
        assert_eq!(facts, ["1", limit, compressed], "{commands}");
    }
}
