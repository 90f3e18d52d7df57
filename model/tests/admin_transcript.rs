//! The model accepts the recorded answers to connection, server and configuration commands, several clients interleaved.
//!
//! Commands of families that the model lacks are passed over; keys that they wrote are set aside until FLUSHALL or DEL.
#![allow(clippy::unwrap_used)]

mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use tally_model::{ClientId, Model, Outcome, Peer, Profile, Span, commands};

const NOW: Span = Span { earliest_ms: 1_760_000_000_000, latest_ms: 1_760_000_000_000 };

//= SPEC.md#command-dispatch
//# [OOM-2] (wire) Other commands MUST be executed whatever memory is in use.
//= SPEC.md#command-dispatch
//# [OOM-1] (wire) While `maxmemory` is above 0, more memory than that is in use and none can be won by eviction, a command flagged `denyoom` MUST answer `-OOM command not allowed when used memory > 'maxmemory'.` and change nothing.
//= SPEC.md#command
//# [COMMAND-11] (wire) COMMAND GETKEYS of a command line whose number of keys cannot be told or is zero MUST answer `-ERR Invalid arguments specified for command`.
#[test]
fn recorded_answers_about_clients_configuration_and_commands_are_accepted() {
    let mut model = Model::new(Profile::strict());
    for number in 0..5 {
        model.connect(ClientId(number), Peer { local: true, ..Peer::default() });
    }
    let mut unknown_keys: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    let mut passed_over: BTreeMap<String, usize> = BTreeMap::new();
    for line in recorded::transcript("admin") {
        let command: Vec<&[u8]> = line.command.iter().map(Vec::as_slice).collect();
        let name = line.name();
        // Keys of absent families make DBSIZE and the keyspace of INFO unknown.
        let spec = commands::find(command[0]);
        let absent = spec.is_none() && !line.reply.to_string().contains("unknown command");
        let names_unknown =
            spec.is_some_and(|spec| spec.used_keys(&command).any(|position| unknown_keys.contains(command[position])));
        let counts_keys = matches!(name.as_str(), "DBSIZE" | "INFO") && !unknown_keys.is_empty();
        let about_absent = name == "COMMAND";
        let clocked = matches!(name.as_str(), "TIME" | "LASTSAVE") || line.flag("nondeterministic");
        if absent && line.reply.get("e").is_none() {
            unknown_keys.extend(line.command.get(1).cloned());
        }
        let reply = recorded::reply(&line.reply);
        let silent = line.reply.get("none").is_some();
        if absent || names_unknown || counts_keys || clocked || (reply.is_none() && !silent) || about_absent && silent {
            if silent {
                // Whatever it was, it used up CLIENT REPLY SKIP.
                let nothing = Outcome { replies: &[], closed: false };
                model.step(ClientId(line.connection), &[b"PING"], &nothing, NOW).unwrap();
            }
            *passed_over.entry(name).or_default() += 1;
            continue;
        }
        let replies: Vec<_> = reply.into_iter().collect();
        let outcome = Outcome { replies: &replies, closed: false };
        if let Err(deviation) = model.step(ClientId(line.connection), &command, &outcome, NOW) {
            panic!("line {}: {}: {deviation}", line.number, String::from_utf8_lossy(&command.join(&b' ')));
        }
        *judged.entry(name).or_default() += 1;
    }
    eprintln!("judged {judged:?}, passed over {passed_over:?}");
    assert!(judged["CLIENT"] > 1200);
    assert!(judged["CONFIG"] > 800);
    assert!(judged["COMMAND"] > 400);
    assert!(judged.values().sum::<usize>() > 3500);
}
