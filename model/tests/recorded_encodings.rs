//! The model predicts the recorded encodings and reference counts of strings, and the nodes of streams.
#![allow(clippy::unwrap_used)]

mod recorded;

use tally_model::rdb::{Content, Forms, ValueType};
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

/// A stream's probe: `XADD k 1-1..1-100 f v` adds a hundred entries, `<4063 bytes>` is so long a value.
fn stream_commands(probe: &str) -> Vec<Vec<Vec<u8>>> {
    let mut commands = Vec::new();
    for command in probe.split("; ") {
        let command = command.split(" (").next().unwrap();
        let long = command.split_once('<').map(|(head, tail)| (head, tail.split(' ').next().unwrap()));
        let mut words = recorded::words(long.map_or(command, |(head, _)| head));
        words.extend(long.map(|(_, length)| vec![b'x'; length.parse().unwrap()]));
        let range = String::from_utf8(words[2].clone()).unwrap();
        let Some((_, last)) = range.split_once("..1-") else {
            commands.push(words);
            continue;
        };
        for number in 1..=last.parse::<u32>().unwrap() {
            words[2] = format!("1-{number}").into_bytes();
            commands.push(words.clone());
        }
    }
    commands
}

// [STREAMENC-1] [STREAMENC-2] [STREAMENC-3] [XTRIM-2] [XINFO-2]
#[test]
fn recorded_nodes_of_streams_are_predicted() {
    let mut judged = 0;
    for line in recorded::text("reference/encodings-5.0.tsv").lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        if columns[0] != "stream" {
            continue;
        }
        let mut model = Model::new(Profile::strict());
        model.connect(ME, Peer::default());
        for setting in columns[1].split(", ").filter(|setting| !setting.is_empty()) {
            let words: Vec<&str> = setting.split(' ').collect();
            let command = [b"CONFIG".as_slice(), b"SET", words[0].as_bytes(), words[1].as_bytes()];
            model.step(ME, &command, &Outcome::reply(&Reply::ok()), NOW).unwrap();
        }
        for words in stream_commands(columns[2]) {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let reply = reply(&model, &words);
            model.step(ME, &words, &Outcome::reply(&reply), NOW).unwrap();
        }
        let Reply::Array(info) = reply(&model, &[b"XINFO", b"STREAM", b"k"]) else { panic!("{line}") };
        let details = format!(" {}", columns[4]);
        let number = |name: &str| details.split(&format!(" {name}=")).nth(1).unwrap().split(' ').next().unwrap();
        for (place, name) in [(1, "length"), (3, "radix_tree_keys"), (5, "radix_tree_nodes")] {
            assert_eq!(info[place], Reply::Integer(number(name).parse().unwrap()), "{line}");
        }
        // Longer ones are compressed, and compressors differ.
        let length: usize = number("serializedlength").parse().unwrap();
        if length < 64 {
            let value = Content::Stream(model.stream(0, b"k").unwrap().clone());
            assert_eq!(value.bytes(ValueType::STREAM, Forms::default()).unwrap().len(), length, "{line}");
        }
        assert_eq!(reply(&model, &[b"OBJECT", b"ENCODING", b"k"]), Reply::bulk(columns[3]), "{line}");
        judged += 1;
    }
    assert_eq!(judged, 17);
}
