//! The model predicts the recorded encodings and reference counts of strings.
#![allow(clippy::unwrap_used)]

mod recorded;

use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Reply, Span};

const NOW: Span = Span { earliest_ms: 1_760_000_000_000, latest_ms: 1_760_000_000_000 };
const ME: ClientId = ClientId(1);

fn reply(model: &Model, words: &[&[u8]]) -> Reply {
    match model.allowed(ME, words, NOW) {
        Allowed::Exactly(reply) => reply,
        other => panic!("{other} is not exact"),
    }
}

/// Makes a probe's commands. `<20 x "x">` stands for twenty times that text.
fn make(model: &mut Model, probe: &str) {
    for command in probe.split("; ") {
        // A note in parentheses says what a source holds.
        let (command, note) = command.split_once('(').unwrap_or((command, ""));
        if let Some((_, value)) = note.split_once("s = ") {
            make(model, &format!("SET s {}", value.trim_end_matches(')')));
        }
        let mut words = Vec::new();
        match command.split_once('<') {
            Some((head, tail)) => {
                let (count, text) = tail.trim_end_matches('>').split_once(" x ").unwrap();
                words.extend(recorded::words(head));
                words.push(recorded::words(text)[0].repeat(count.parse().unwrap()));
            }
            None => words.extend(recorded::words(command)),
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = reply(model, &words);
        model.step(ME, &words, &Outcome::reply(&reply), NOW).unwrap();
    }
}

#[test]
fn recorded_encodings_of_strings_are_predicted() {
    let mut judged = 0;
    for line in recorded::text("reference/encodings-5.0.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let absent = ["PFADD", "EVAL", "DUMP"].iter().any(|name| columns[2].contains(name));
        if columns[0] != "string" || absent || !columns[1].is_empty() {
            continue;
        }
        let mut model = Model::new(Profile::strict());
        model.connect(ME, Peer::default());
        make(&mut model, columns[2]);
        let encoding = Reply::bulk(columns[3]);
        assert_eq!(reply(&model, &[b"OBJECT", b"ENCODING", b"k"]), encoding, "{line}");
        let (_, count) = columns[4].split_once("refcount=").unwrap();
        let count = count.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(reply(&model, &[b"OBJECT", b"REFCOUNT", b"k"]), Reply::Integer(count), "{line}");
        judged += 1;
    }
    assert!(judged >= 60, "{judged}");
}
