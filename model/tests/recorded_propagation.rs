//! What the model says reaches the AOF and replicas is what a real server wrote, except for listed errata.
#![allow(clippy::unwrap_used)]

mod recorded;

use serde_json::Value;
use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Reply, Span, commands};

const NOW: i64 = 1_760_000_000_000;

type Command = Vec<Vec<u8>>;

/// An argument; `<now_ms+N>` stands for a millisecond near the time of the command.
fn argument(value: &Value) -> Option<Vec<u8>> {
    let bytes = recorded::bytes(value);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if let Some(offset) = text.strip_prefix("<now_ms").and_then(|rest| rest.strip_suffix('>')) {
        let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().unwrap() };
        return Some((NOW + offset).to_string().into_bytes());
    }
    // Other placeholders are sizes that the recording spared itself.
    (!text.starts_with('<')).then_some(bytes)
}

fn command(value: &Value) -> Option<Command> {
    value.as_array()?.iter().map(argument).collect()
}

/// The recorded commands without SELECT, each with its database.
fn recorded_stream(value: &Value) -> Option<Vec<(usize, Command)>> {
    let mut db = 0;
    let mut stream = Vec::new();
    for line in value.as_array()? {
        let command = command(line)?;
        if command[0] == b"SELECT" {
            db = std::str::from_utf8(&command[1]).unwrap().parse().unwrap();
        } else {
            stream.push((db, command));
        }
    }
    Some(stream)
}

fn has(command: &Command, names: &[&str]) -> bool {
    names.iter().any(|name| command[0].eq_ignore_ascii_case(name.as_bytes()))
}

// [EXPIRY-6] [PROPAGATION-1] [PROPAGATION-2] [PROPAGATION-4] [PROPAGATION-5] [PROPAGATION-6] [PROPAGATION-7] [PROPAGATION-8]
// [SPOP-5] [ZADD-2] [GEOADD-3]
// [HINCRBYFLOAT-6] [SORT-20]
// [EXEC-10] [BLOCK-17] [BLOCK-18] [PUBLISH-5] [NOTIFY-15]
#[test]
fn recorded_propagation_is_what_the_model_says() {
    let mut judged = 0;
    let mut skipped = 0;
    for line in recorded::text("reference/propagation-5.0.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let empty = Vec::new();
        let setup: Option<Vec<Command>> = case["setup"].as_array().unwrap_or(&empty).iter().map(command).collect();
        let asked: Option<Vec<(u64, Command, Value)>> = case["client"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| Some((entry["conn"].as_u64()?, command(&entry["cmd"])?, entry["reply"].clone())))
            .collect();
        let streams = (recorded_stream(&case["aof"]), recorded_stream(&case["replica"]));
        let (Some(setup), Some(asked), (Some(aof), Some(replicas))) = (setup, asked, streams) else {
            skipped += 1;
            continue;
        };
        let known = |command: &Command| {
            commands::find(&command[0]).is_some() && !has(command, &["debug", "save", "shutdown", "bgsave", "restore"])
                || has(command, &["debug"]) && has(&command[1..].to_vec(), &["set-active-expire"])
        };
        if !setup.iter().chain(asked.iter().map(|(_, command, _)| command)).all(known) {
            skipped += 1;
            continue;
        }
        let mut model = Model::new(Profile::redis_5_0());
        for number in 0..4 {
            model.connect(ClientId(number), Peer { local: true, ..Peer::default() });
        }
        let client = ClientId(0);
        model.record_propagation(true);
        let mut now = Span::at(NOW);
        for command in &setup {
            // A lifetime of 20 ms in the setup has passed when the recording begins.
            let then = Span::at(if has(command, &["psetex"]) { NOW - 25 } else { NOW });
            now = if has(command, &["psetex"]) { Span::at(NOW) } else { now };
            let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            let Allowed::Exactly(reply) = model.allowed(client, &words, then) else { panic!("{name}: an open setup") };
            model.step(client, &words, &Outcome::reply(&reply), then).unwrap();
        }
        let mut open = false;
        let (mut to_aof, mut to_replicas) = (Vec::new(), Vec::new());
        for (connection, command, reply) in &asked {
            let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            // A blocked client gets no reply.
            let replies: Vec<Reply> = recorded::reply(reply).into_iter().collect();
            model
                .step(ClientId(*connection), &words, &Outcome { replies: &replies, closed: false }, now)
                .unwrap_or_else(|deviation| panic!("{name}: {deviation}"));
            let mut propagated = model.take_propagated();
            let further = std::mem::take(&mut propagated.further);
            for piece in std::iter::once(propagated).chain(further) {
                // Real servers may overlook members (E-63), so what they store and hand on is left open.
                open |= piece.unspecified && has(command, &["georadius", "georadiusbymember"]);
                assert!(!piece.unspecified || open, "{name}");
                for (db, key) in piece.expired {
                    let verb = if name.contains("lazyfree-lazy-expire") { b"UNLINK".to_vec() } else { b"DEL".to_vec() };
                    let removal = vec![verb, key];
                    to_aof.push((db, removal.clone()));
                    to_replicas.push((db, removal));
                }
                to_aof.extend(piece.aof.into_iter().map(|command| (piece.db, command)));
                to_replicas.extend(piece.replicas.into_iter().map(|command| (piece.db, command)));
            }
        }
        // What served clients were answered.
        let due: Vec<(u64, Reply)> = model
            .take_due()
            .into_iter()
            .map(|due| match due.allowed {
                Allowed::Exactly(reply) => (due.client.0, reply),
                other => panic!("{name}: {other}"),
            })
            .collect();
        let served = case["served"].as_array().into_iter().flatten();
        let served: Vec<(u64, Reply)> =
            served.map(|entry| (entry["conn"].as_u64().unwrap(), recorded::reply(&entry["reply"]).unwrap())).collect();
        assert_eq!(due, served, "{name}: replies to blocked clients");
        if open {
            skipped += 1;
            continue;
        }
        if name.starts_with("INCRBYFLOAT") && to_aof.len() > aof.len() {
            // Real servers lose the deadline (E-6).
            assert_eq!(to_aof.pop().unwrap().1[0], b"PEXPIREAT");
            assert_eq!(to_replicas.pop().unwrap().1[0], b"PEXPIREAT");
        }
        assert_eq!(to_aof, aof, "{name}: AOF");
        assert_eq!(to_replicas, replicas, "{name}: replicas");
        judged += 1;
    }
    eprintln!("{judged} cases were judged, {skipped} are about commands or states that the model lacks");
    assert!(judged >= 70, "only {judged} cases were judged");
}
