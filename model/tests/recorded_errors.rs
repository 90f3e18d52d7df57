//! The model accepts every recorded error line and every recorded answer that is none, for the commands it has.
#![allow(clippy::unwrap_used)]

mod recorded;

use std::sync::OnceLock;

use tally_model::{Allowed, ClientId, Deviation, Model, Outcome, Peer, Profile, Reply, Span, commands};

const NOW: Span = Span { earliest_ms: 1_760_000_000_000, latest_ms: 1_760_000_000_000 };
const ME: ClientId = ClientId(1);

struct Row {
    number: usize,
    setup: String,
    command: String,
    answer: String,
    group: String,
}

fn rows(path: &str) -> Vec<Row> {
    let text = recorded::text(path);
    let rows = text.lines().enumerate().skip(1).map(|(index, line)| {
        let columns: Vec<&str> = line.split('\t').collect();
        Row {
            number: index + 1,
            setup: columns[0].to_owned(),
            command: columns[1].to_owned(),
            answer: columns[2].to_owned(),
            group: columns[3].to_owned(),
        }
    });
    rows.collect()
}

/// Makes the setup's commands in a fresh model; `None` if the model lacks one of them or it describes a server's state.
fn after(setup: &str) -> Option<Model> {
    let mut model = Model::new(Profile::redis_5_0());
    model.connect(ME, Peer { local: true, ..Peer::default() });
    if setup.starts_with('(') {
        return None;
    }
    for command in setup.split(';').filter(|command| !command.trim().is_empty()) {
        let words = recorded::words(command);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        commands::find(words[0])?;
        let Allowed::Exactly(reply) = model.allowed(ME, &words, NOW) else { return None };
        model.step(ME, &words, &Outcome::reply(&reply), NOW).unwrap();
    }
    Some(model)
}

fn judge(model: &mut Model, command: &str, reply: &Reply) -> Option<Result<(), Box<Deviation>>> {
    let words = recorded::words(command);
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let name = String::from_utf8_lossy(words[0]).to_ascii_lowercase();
    static RECORDED: OnceLock<String> = OnceLock::new();
    let recorded = RECORDED.get_or_init(|| recorded::text("reference/commands-5.0.json"));
    if commands::find(words[0]).is_none() && recorded.contains(&format!("\"{name}\"")) {
        return None;
    }
    if name == "wait" && model.allowed(ME, &words, NOW).to_string() == "no reply" {
        // The reply came when the timeout had passed.
        model.step(ME, &words, &Outcome { replies: &[], closed: false }, NOW).unwrap();
        assert_eq!(model.timeout_reply(ME).as_ref(), Some(reply));
        let later = Span::at(model.blocked_until(ME).unwrap());
        return Some(model.timed_out(ME, later));
    }
    let outcome = Outcome { replies: std::slice::from_ref(reply), closed: name == "quit" };
    Some(model.step(ME, &words, &outcome, NOW).map(|_| ()))
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        bytes.push(match tail[0] {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            byte => byte,
        });
        rest = &tail[1..];
    }
    bytes
}

/// Groups of rows about server states and families that other tests cover.
const ELSEWHERE: &[&str] = &["protocol", "auth", "replica", "oom", "busy", "loading", "misconf", "cluster", "rename"];

#[test]
fn recorded_errors_are_accepted() {
    let mut judged = 0;
    let mut skipped = 0;
    let mut deviations = Vec::new();
    for row in rows("reference/errors-5.0.tsv") {
        let line = row.answer.strip_prefix("-").unwrap_or("(no error line)");
        let model = if ELSEWHERE.contains(&row.group.as_str()) { None } else { after(&row.setup) };
        let Some(mut model) = model.filter(|_| !line.starts_with('(')) else {
            skipped += 1;
            continue;
        };
        match judge(&mut model, &row.command, &Reply::Error(unescaped(line))) {
            None => skipped += 1,
            Some(Ok(())) => judged += 1,
            Some(Err(deviation)) => {
                deviations.push(format!("line {}: {}; {}: {deviation}", row.number, row.setup, row.command));
            }
        }
    }
    eprintln!("{judged} recorded errors were judged, {skipped} passed over");
    assert!(deviations.is_empty(), "{}", deviations.join("\n"));
    assert!(judged >= 400);
}

#[test]
fn recorded_answers_at_the_edge_of_errors_are_accepted() {
    let mut judged = 0;
    let mut skipped = 0;
    let mut deviations = Vec::new();
    for row in rows("reference/accepted-5.0.tsv") {
        // Strings of half a gigabyte cost more than they show.
        let huge = row.command.contains(" 42949672");
        let elsewhere = huge || ELSEWHERE.contains(&row.group.as_str());
        let model = if elsewhere { None } else { after(&row.setup) };
        let reply = serde_json::from_str(&row.answer).ok().and_then(|value| recorded::reply(&value));
        let (Some(mut model), Some(reply)) = (model, reply) else {
            skipped += 1;
            continue;
        };
        match judge(&mut model, &row.command, &reply) {
            None => skipped += 1,
            Some(Ok(())) => judged += 1,
            Some(Err(deviation)) => {
                deviations.push(format!("line {}: {}; {}: {deviation}", row.number, row.setup, row.command));
            }
        }
    }
    eprintln!("{judged} recorded answers were judged, {skipped} passed over");
    assert!(deviations.is_empty(), "{}", deviations.join("\n"));
    assert!(judged >= 60);
}
