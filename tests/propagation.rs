//! What commands hand on to the append-only file and to replicas, held against what a real server (5.0.14) wrote and sent.
#![allow(clippy::unwrap_used)]

mod conversation;

use std::collections::BTreeMap;

use conversation::{BEGIN_MS, Conversation, typed};
use serde_json::Value;
use tally_check::reply_reader::ReplyReader;
use tally_engine::commands::table;
use tally_model::reply::Reply;

/// Databases that the two streams are in, and what went through them.
#[derive(Default)]
struct Streams {
    aof: Vec<Vec<Vec<u8>>>,
    replicas: Vec<Vec<Vec<u8>>>,
}

/// The recorded server wrote to database 9 before each case.
const DB_BEFORE: usize = 9;

impl Streams {
    /// Takes what the engine handed on, with SELECT where the database changes.
    fn take(conversation: &mut Conversation) -> Self {
        let mut streams = Self::default();
        let (mut aof_db, mut replicas_db) = (DB_BEFORE, DB_BEFORE);
        for propagated in conversation.engine.take_propagated() {
            for (wanted, stream, db) in [
                (propagated.targets.aof, &mut streams.aof, &mut aof_db),
                (propagated.targets.replicas, &mut streams.replicas, &mut replicas_db),
            ] {
                if !wanted {
                    continue;
                }
                if *db != propagated.db {
                    *db = propagated.db;
                    stream.push(vec![b"SELECT".to_vec(), propagated.db.to_string().into_bytes()]);
                }
                stream.push(propagated.arguments.clone());
            }
        }
        streams
    }
}

/// An argument of a recorded command: text, bytes, or `<now_ms+N>` (the conversation's clock stands still).
fn bytes(argument: &Value) -> Vec<u8> {
    let text = argument.as_str().expect("the cases replayed here hold text alone");
    match text.strip_prefix("<now_ms").and_then(|rest| rest.strip_suffix('>')) {
        Some(offset) => {
            let offset: i64 = if offset.is_empty() { 0 } else { offset.trim_start_matches('+').parse().unwrap() };
            (BEGIN_MS + offset).to_string().into_bytes()
        }
        None => text.as_bytes().to_vec(),
    }
}

fn commands(list: &Value) -> Vec<Vec<Vec<u8>>> {
    let command = |command: &Value| command.as_array().unwrap().iter().map(bytes).collect();
    list.as_array().into_iter().flatten().map(command).collect()
}

/// The members that SPOP or SRANDMEMBER answered.
fn members(reply: &Reply) -> Vec<Vec<u8>> {
    match reply {
        Reply::Bulk(member) => vec![member.clone()],
        Reply::Array(replies) => replies.iter().flat_map(members).collect(),
        _ => Vec::new(),
    }
}

/// Recorded commands, with the members that we chose in the place of those that the recorded server chose: the removal
/// of which ones is handed on follows from the choice, which is free.
fn with_our_choice(commands: Vec<Vec<Vec<u8>>>, chosen: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let ours = |word: Vec<u8>| chosen.get(&word).cloned().unwrap_or(word);
    commands.into_iter().map(|command| command.into_iter().map(ours).collect()).collect()
}

/// A case whose every command is there and needs no files.
fn is_for_us(case: &Value) -> bool {
    let known = |command: &Value| {
        let words = command.as_array().unwrap();
        let name = words[0].as_str().unwrap_or_default();
        let plain = words.iter().all(|word| word.as_str().is_some_and(|word| !word.contains("<X")));
        let switch = name == "DEBUG" && words[1] == "SET-ACTIVE-EXPIRE";
        plain && (switch || name != "DEBUG") && name != "SAVE" && table::find(name.as_bytes()).is_some()
    };
    let setup = case["setup"].as_array().into_iter().flatten().all(known);
    let client = case["client"].as_array().unwrap();
    setup && client.iter().all(|one| known(&one["cmd"]) && one["reply"].get("any").is_none())
}

/// Cases where the recorded server does what an erratum calls a defect.
const ERRATA: [&str; 2] = ["E-6", "E-13"];

fn erratum_of(case: &Value) -> Option<&'static str> {
    let first = case["client"][0]["cmd"][0].as_str()?;
    let expiring_setup = case["setup"].to_string().contains("\"EX\"");
    match first {
        "INCRBYFLOAT" if expiring_setup => Some(ERRATA[0]),
        "RESTORE" => Some(ERRATA[1]),
        _ => None,
    }
}

//= SPEC.md#propagation
//# [PROPAGATION-1] (file) A command that changed the data set, or could have, as its row of the table below says, MUST be written to the AOF and sent to replicas, and no other command be.
//= SPEC.md#propagation
//# [PROPAGATION-2] (file) A command that is propagated as it came MUST keep its arguments byte for byte, the letter case of its name included.
//= SPEC.md#propagation
//# [PROPAGATION-3] (file) A command for another database than the one before it in the same stream MUST be preceded by `SELECT` with its database.
//= SPEC.md#propagation
//# [PROPAGATION-4] (file) SET with options MUST be written to the AOF as `SET key value` and, with EX or PX, `PEXPIREAT key deadline` after it, while replicas get what came.
//= SPEC.md#propagation
//# [PROPAGATION-5] (file) SETEX and PSETEX MUST be written to the AOF as `SET key value` and `PEXPIREAT key deadline`, while replicas get what came.
//= SPEC.md#propagation
//# [PROPAGATION-7] (file) EXPIRE, PEXPIRE and EXPIREAT MUST be written to the AOF as `PEXPIREAT key deadline`, while replicas get what came.
//= SPEC.md#propagation
//# [PROPAGATION-8] (file) EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT that remove the key MUST be propagated as `DEL key`, or `UNLINK key` with `lazyfree-lazy-expire yes`.
//= SPEC.md#aof-file
//# [AOF-12] (file) A failed command MUST NOT be written to the AOF file.
#[test]
fn the_recorded_cases_are_handed_on_as_recorded() {
    let text = include_str!("data/reference/propagation-5.0.jsonl");
    let mut replayed = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if !is_for_us(&case) || erratum_of(&case).is_some() {
            continue;
        }
        let name = case["name"].as_str().unwrap();
        let mut conversation = Conversation::new();
        let run = |conversation: &mut Conversation, number: u64, command: &Value| {
            let words: Vec<Vec<u8>> = command.as_array().unwrap().iter().map(bytes).collect();
            conversation.exchange_as(number, &words.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        for command in case["setup"].as_array().into_iter().flatten() {
            run(&mut conversation, 0, command);
        }
        conversation.pass_ms(case["wait_ms_after_setup"].as_u64().unwrap_or(0));
        conversation.engine.record_propagation();
        let mut chosen = BTreeMap::new();
        for one in case["client"].as_array().unwrap() {
            let mut reader = ReplyReader::default();
            reader.push(&run(&mut conversation, one["conn"].as_u64().unwrap(), &one["cmd"]));
            let reply = reader.next_reply().unwrap();
            if one["reply"]["blocked"] == true {
                assert_eq!(reply, None, "{name}");
                continue;
            }
            let (reply, recorded) = (reply.unwrap(), typed(&one["reply"]));
            if one["cmd"][0] == "SPOP" || one["cmd"][0] == "SRANDMEMBER" {
                let (theirs, ours) = (members(&recorded), members(&reply));
                assert_eq!(ours.len(), theirs.len(), "{name}");
                chosen.extend(theirs.into_iter().zip(ours));
            } else {
                assert_eq!(reply, recorded, "{name}");
            }
        }
        for one in case["served"].as_array().into_iter().flatten() {
            let mut reader = ReplyReader::default();
            reader.push(&conversation.take_output(one["conn"].as_u64().unwrap()));
            assert_eq!(reader.next_reply().unwrap(), Some(typed(&one["reply"])), "{name}");
        }
        let streams = Streams::take(&mut conversation);
        assert_eq!(streams.aof, with_our_choice(commands(&case["aof"]), &chosen), "{name}: to the AOF");
        assert_eq!(streams.replicas, with_our_choice(commands(&case["replica"]), &chosen), "{name}: to replicas");
        replayed += 1;
    }
    assert!(replayed > 180, "{replayed} cases");
}

//= SPEC.md#propagation
//# [PROPAGATION-6] (file) INCRBYFLOAT MUST be propagated as `SET key sum`, followed by `PEXPIREAT key deadline` if the key has a deadline.
#[test]
fn incrbyfloat_is_handed_on_as_its_sum_with_the_deadline() {
    let mut conversation = Conversation::new();
    conversation.say(&["SET", "k", "3.0", "EX", "1000"]);
    conversation.engine.record_propagation();
    conversation.say(&["INCRBYFLOAT", "k", "0.1"]);
    let streams = Streams::take(&mut conversation);
    let deadline = (BEGIN_MS + 1_000_000).to_string();
    let expected: Vec<Vec<Vec<u8>>> = [vec!["SELECT", "0"], vec!["SET", "k", "3.1"], vec!["PEXPIREAT", "k", &deadline]]
        .map(|words| words.into_iter().map(|word| word.as_bytes().to_vec()).collect())
        .to_vec();
    assert_eq!(streams.aof, expected);
    assert_eq!(streams.replicas, expected);
}

//= SPEC.md#propagation
//# [PROPAGATION-9] (file) Loading the AOF MUST lead to the same data set, deadlines included, as the commands that it was written from.
//= SPEC.md#aof-file
//# [AOF-5] (file) Commands in the file whose deadlines have passed MUST set them all the same, so that a later command of the file finds the key as it was.
#[test]
fn what_was_handed_on_leads_to_the_same_dataset() {
    let script = [
        "SET a 1 EX 100",
        "INCRBYFLOAT a 0.25",
        "SET b x NX",
        "SET b y NX",
        "APPEND b yz",
        "SETRANGE c 3 zz",
        "SETEX d 5 v",
        "PSETEX e 700 v",
        "GETSET d w",
        "SETBIT f 17 1",
        "BITFIELD g OVERFLOW FAIL INCRBY u2 0 9",
        "BITOP NOT h b",
        "BITOP AND h nokey",
        "MSETNX a 1 i 2",
        "MSET i 3 j 4",
        "DECRBY j 9",
        "INCR i",
        "SETRANGE nokey 5 ''",
        "APPEND k ''",
        "SET a 5 XX PX 90000",
        "SET l 7 XX",
        "INCRBYFLOAT e 1",
        "SELECT 3",
        "SETNX a 9",
        "INCRBY a 2",
    ];
    let mut original = Conversation::new();
    original.engine.record_propagation();
    for line in script {
        let words: Vec<&str> = line.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
        original.say(&words);
    }
    let propagated = original.engine.take_propagated();
    for aof in [true, false] {
        let mut copy = Conversation::new();
        for one in propagated.iter().filter(|one| if aof { one.targets.aof } else { one.targets.replicas }) {
            copy.say(&["SELECT", &one.db.to_string()]);
            copy.exchange(&one.arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        for db in ["0", "3"] {
            original.say(&["SELECT", db]);
            copy.say(&["SELECT", db]);
            for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
                assert_eq!(original.say(&["PTTL", key]), copy.say(&["PTTL", key]), "{db} {key}");
                assert_eq!(original.say(&["GET", key]), copy.say(&["GET", key]), "{db} {key}");
            }
        }
        assert_eq!(original.text(&["DEBUG", "DIGEST"]), copy.text(&["DEBUG", "DIGEST"]));
    }
}
