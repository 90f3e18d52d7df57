//! What commands hand on to the append-only file and to replicas, held against what a real server (5.0.14) wrote and sent.
#![allow(clippy::unwrap_used)]

mod conversation;

use std::cell::Cell;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation::{BEGIN_MS, Conversation, typed};
use serde_json::Value;
use tally_check::reply_reader::ReplyReader;
use tally_check::request::encode_array;
use tally_engine::commands::table;
use tally_engine::config::Config;
use tally_engine::world::Still;
use tally_engine::{Effect, Engine, Event, Peer, SnapshotMode, World};
use tally_model::reply::Reply;

/// Databases that the two streams are in, and what went through them.
#[derive(Default)]
struct Streams {
    aof: Vec<Vec<Vec<u8>>>,
    replicas: Vec<Vec<Vec<u8>>>,
    /// Consumers without pending entries, of which the recorded server does not tell. (E-115)
    untold: usize,
}

/// The recorded server wrote to database 9 before each case.
const DB_BEFORE: usize = 9;

impl Streams {
    /// Takes what the engine handed on, with SELECT where the database changes.
    fn take(engine: &mut Engine) -> Self {
        let mut streams = Self::default();
        let (mut aof_db, mut replicas_db) = (DB_BEFORE, DB_BEFORE);
        for propagated in engine.take_propagated() {
            if propagated.arguments[0] == b"XREADGROUP" {
                streams.untold += usize::from(propagated.targets.aof);
                continue;
            }
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

/// A recorded case whose `<now_ms+N>` are times of the conversation, whose clock stands still.
fn at_our_time(case: &str) -> String {
    let mut parts = case.split("<now_ms");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('>').unwrap();
        let offset: i64 = if offset.is_empty() { 0 } else { offset.trim_start_matches('+').parse().unwrap() };
        text.push_str(&(BEGIN_MS + offset).to_string());
        text.push_str(rest);
    }
    text
}

/// An argument of a recorded command: text, or `{"b64": …}`.
fn bytes(argument: &Value) -> Vec<u8> {
    match argument {
        Value::String(text) => text.as_bytes().to_vec(),
        other => STANDARD.decode(other["b64"].as_str().unwrap()).unwrap(),
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

/// Stands for a command where the recording only waited.
const WAIT: &str = "(no command; wait 300 ms)";

/// A case whose every command is there. How much memory is in use is each server's own, and so is how many keys leave for a
/// command that needs a certain amount: cases of eviction, whose values are placeholders, are replayed by
/// [`the_recorded_evictions_are_handed_on_as_recorded`].
fn is_for_us(case: &Value) -> bool {
    let known = |command: &Value| {
        let words = command.as_array().unwrap();
        let name = words[0].as_str().unwrap_or_default();
        let plain = words.iter().all(|word| word.as_str().is_none_or(|word| !word.contains("<X")));
        plain && (name == WAIT || table::find(name.as_bytes()).is_some())
    };
    let setup = case["setup"].as_array().into_iter().flatten().all(known);
    let client = case["client"].as_array().unwrap();
    setup && client.iter().all(|one| known(&one["cmd"]) && one["reply"].get("any").is_none())
}

/// The erratum that makes the recorded server hand on something else than it should.
fn erratum_of(case: &Value) -> Option<&'static str> {
    let command = case["client"][0]["cmd"].as_array()?;
    let is = |index: usize, word: &str| command.get(index).is_some_and(|is| *is == word);
    match command[0].as_str()? {
        "INCRBYFLOAT" if case["setup"].to_string().contains("\"EX\"") => Some("E-6"),
        "RESTORE" if !is(2, "0") && !command.iter().any(|word| *word == "ABSTTL") => Some("E-13"),
        // A history that is not empty, for which there are claims.
        "XREADGROUP"
            if command.last().is_some_and(|word| *word == "0") && case["setup"].to_string().contains("XREADGROUP") =>
        {
            Some("E-115")
        }
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
    let (mut replayed, mut left_out, mut untold) = (0, 0, 0);
    let mut errata: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(&at_our_time(line)).unwrap();
        if !is_for_us(&case) {
            left_out += 1;
            continue;
        }
        if let Some(erratum) = erratum_of(&case) {
            *errata.entry(erratum).or_default() += 1;
            continue;
        }
        let name = case["name"].as_str().unwrap();
        let mut conversation = Conversation::new();
        let run = |conversation: &mut Conversation, number: u64, command: &Value| {
            let words: Vec<Vec<u8>> = command.as_array().unwrap().iter().map(bytes).collect();
            let reply = conversation.exchange_as(number, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
            if conversation.effects.iter().any(|effect| matches!(effect, Effect::Rewrite)) {
                // BGREWRITEAOF is answered when its child is there.
                conversation.effects.clear();
                conversation.engine.handle(&mut conversation.world, Event::ChildStarted { fork_us: 0 });
                return conversation.take_output(number);
            }
            if conversation.effects.iter().any(|effect| matches!(effect, Effect::Snapshot(SnapshotMode::Foreground))) {
                conversation.effects.clear();
                let ended = Event::SnapshotEnded { result: Ok(1), copied_on_write: 0 };
                conversation.engine.handle(&mut conversation.world, ended);
                return conversation.take_output(number);
            }
            reply
        };
        for command in case["setup"].as_array().into_iter().flatten() {
            run(&mut conversation, 0, command);
        }
        conversation.pass_ms(case["wait_ms_after_setup"].as_u64().unwrap_or(0));
        conversation.engine.record_propagation();
        let mut chosen = BTreeMap::new();
        for one in case["client"].as_array().unwrap() {
            if one["cmd"][0] == WAIT {
                conversation.wait_ms(300);
                continue;
            }
            let mut reader = ReplyReader::default();
            reader.push(&run(&mut conversation, one["conn"].as_u64().unwrap(), &one["cmd"]));
            let reply = reader.next_reply().unwrap();
            if one["reply"]["blocked"] == true {
                assert_eq!(reply, None, "{name}");
                continue;
            }
            let reply = reply.unwrap_or_else(|| panic!("{name}: no reply to {}", one["cmd"]));
            let recorded = typed(&one["reply"]);
            let by_chance = ["SPOP", "SRANDMEMBER"].iter().any(|name| one["cmd"][0] == *name);
            if by_chance || one["cmd"].to_string().contains("'spop'") {
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
        let streams = Streams::take(&mut conversation.engine);
        untold += streams.untold;
        assert_eq!(streams.aof, with_our_choice(commands(&case["aof"]), &chosen), "{name}: to the AOF");
        assert_eq!(streams.replicas, with_our_choice(commands(&case["replica"]), &chosen), "{name}: to replicas");
        replayed += 1;
    }
    println!(
        "{replayed} cases replayed, {left_out} left out, {untold} consumers more told of (E-115), errata: {errata:?}"
    );
    assert_eq!((replayed, left_out), (269, 2));
    assert_eq!(errata, BTreeMap::from([("E-115", 1), ("E-13", 1), ("E-6", 1)]));
    // One that reads an empty history, and one that is delivered entries with NOACK.
    assert_eq!(untold, 2);
}

/// Counts what is stored, and what the recorded server had in its buffers besides.
struct Counting {
    still: Still,
    /// What was stored when it was asked for last.
    stored: Cell<usize>,
    buffered: usize,
}

impl World for Counting {
    fn now_us(&mut self) -> u64 {
        self.still.now_us()
    }

    fn unix_us(&mut self) -> i64 {
        self.still.unix_us()
    }

    fn used_memory(&self, account: &dyn Fn() -> usize) -> usize {
        self.stored.set(account());
        self.stored.get() + self.buffered
    }

    fn sleep_us(&mut self, us: u64) {
        self.still.sleep_us(us);
    }

    fn process_fact(&self, field: &str) -> Option<String> {
        self.still.process_fact(field)
    }
}

/// A word of a recorded case of eviction: `<X*n>` stands for n letters.
fn spelled_out(word: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(word).unwrap();
    match text.strip_prefix("<X*").and_then(|rest| rest.strip_suffix('>')) {
        Some(count) => vec![b'X'; count.parse().unwrap()],
        None => text.into_bytes(),
    }
}

//= SPEC.md#propagation
//# [PROPAGATION-1] (file) A command that changed the data set, or could have, as its row of the table below says, MUST be written to the AOF and sent to replicas, and no other command be.
#[test]
fn the_recorded_evictions_are_handed_on_as_recorded() {
    /// The recorded server evicted five keys of 200,000 bytes for a value of 400,000, with 50,000 to spare: its buffers held
    /// the value more than once.
    const BUFFERED: usize = 950_000;
    const SPARE: usize = 50_000;
    let mut replayed = 0;
    for line in include_str!("data/reference/propagation-5.0.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if !case["name"].as_str().unwrap().starts_with("eviction") {
            continue;
        }
        let still = Still { unix_us: BEGIN_MS * 1000, now_us: 5_000_000, ..Still::default() };
        let (mut world, mut engine) =
            (Counting { still, stored: Cell::default(), buffered: 0 }, Engine::new(Config::default(), 1));
        let peer = Peer { address: "127.0.0.1:1".into(), descriptor: 5, local: true, unix_socket: false };
        let client = engine.connect(&mut world, peer);
        let run = |engine: &mut Engine, world: &mut Counting, words: &[Vec<u8>]| {
            let mut request = Vec::new();
            encode_array(words, &mut request);
            engine.feed(world, client, &request);
            engine.handle(world, Event::BatchEnd);
            let answer = engine.output(client).collect::<Vec<_>>().concat();
            engine.written(client, answer.len());
            answer
        };
        for command in commands(&case["setup"]) {
            let mut words: Vec<Vec<u8>> = command.into_iter().map(spelled_out).collect();
            if words[0].starts_with(b"(maxmemory :=") {
                run(&mut engine, &mut world, &[b"INFO".to_vec()]);
                let limit = (world.stored.get() + SPARE).to_string();
                words = ["CONFIG", "SET", "maxmemory", &limit].map(|word| word.as_bytes().to_vec()).to_vec();
            }
            assert_eq!(run(&mut engine, &mut world, &words), b"+OK\r\n");
        }
        engine.record_propagation();
        world.buffered = BUFFERED;
        for command in commands(&Value::Array(vec![case["client"][0]["cmd"].clone()])) {
            let words: Vec<Vec<u8>> = command.into_iter().map(spelled_out).collect();
            assert_eq!(run(&mut engine, &mut world, &words), b"+OK\r\n");
        }
        let streams = Streams::take(&mut engine);
        for (stream, recorded) in [(&streams.aof, &case["aof"]), (&streams.replicas, &case["replica"])] {
            let recorded: Vec<Vec<Vec<u8>>> =
                commands(recorded).into_iter().map(|words| words.into_iter().map(spelled_out).collect()).collect();
            assert_eq!(*stream, recorded, "{}", case["name"]);
        }
        replayed += 1;
    }
    assert_eq!(replayed, 2);
}

/// What the engine hands on for some commands after others.
fn handed_on(before: &[&str], commands: &[&str]) -> Vec<String> {
    let mut conversation = Conversation::new();
    let say = |conversation: &mut Conversation, line: &&str| {
        conversation.say(&line.split(' ').collect::<Vec<_>>());
    };
    before.iter().for_each(|line| say(&mut conversation, line));
    conversation.engine.record_propagation();
    commands.iter().for_each(|line| say(&mut conversation, line));
    let text = |one: tally_engine::propagation::Propagated| {
        let words: Vec<String> = one.arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.join(" ")
    };
    // Replicas get the same.
    conversation.engine.take_propagated().into_iter().filter(|one| one.targets.aof).map(text).collect()
}

//= SPEC.md#propagation
//# [PROPAGATION-22] (file) XREADGROUP MUST be propagated, for each entry that becomes pending and each one of a history that was not deleted, in the order of the answer, as `XCLAIM key group consumer 0 id TIME time RETRYCOUNT count FORCE JUSTID LASTID last`, with the time and the number of its deliveries and with the last delivered id of the group once it was delivered.
//= SPEC.md#propagation
//# [PROPAGATION-23] (file) XREADGROUP with NOACK MUST be propagated as `XGROUP SETID key group id` for each entry that is delivered.
#[test]
fn reading_for_a_group_is_handed_on_as_what_became_of_its_entries_and_consumers() {
    let made = ["XADD s 1-1 f v", "XADD s 1-2 f v", "XGROUP CREATE s g 0"];
    let behind_all = "18446744073709551615-18446744073709551614";
    let claim = |id: &str, count: u32, last: &str| {
        format!("XCLAIM s g c 0 {id} TIME {BEGIN_MS} RETRYCOUNT {count} FORCE JUSTID LASTID {last}")
    };
    assert_eq!(
        handed_on(&made, &["XREADGROUP GROUP g c COUNT 1 NOACK STREAMS s >"]),
        [format!("XREADGROUP GROUP g c STREAMS s {behind_all}"), "XGROUP SETID s g 1-1".to_owned()]
    );
    let empty_history = ["XREADGROUP GROUP g c STREAMS s 0", "XREADGROUP GROUP g c STREAMS s 0"];
    assert_eq!(handed_on(&made, &empty_history), [format!("XREADGROUP GROUP g c STREAMS s {behind_all}")]);
    let read_twice = ["XREADGROUP GROUP g c STREAMS s >", "XDEL s 1-1", "XREADGROUP GROUP g c STREAMS s 0"];
    assert_eq!(
        handed_on(&made, &read_twice),
        [claim("1-1", 1, "1-1"), claim("1-2", 1, "1-2"), "XDEL s 1-1".to_owned(), claim("1-2", 2, "1-2")]
    );
    // Nothing new, nothing to claim: nothing happened.
    let nothing = ["XREADGROUP GROUP g d STREAMS s >", "XCLAIM s g d 0 9-9", "XACK s g 9-9"];
    assert_eq!(handed_on(&[&made[..], &["XGROUP SETID s g $"]].concat(), &nothing), [""; 0]);
    let set_on = ["XCLAIM s g d 0 9-9 LASTID 5-5"];
    assert_eq!(handed_on(&made, &set_on), ["XGROUP SETID s g 5-5"]);
}

/// Streams, groups, consumers and pending entries as far as clients see them, idle times aside: the clock stands still.
fn shown(conversation: &mut Conversation, key: &str, groups: &[&str]) -> Vec<Reply> {
    let mut shown = vec![
        conversation.say(&["XRANGE", key, "-", "+"]),
        conversation.say(&["XINFO", "STREAM", key]),
        conversation.say(&["XINFO", "GROUPS", key]),
    ];
    for group in groups {
        shown.push(conversation.say(&["XINFO", "CONSUMERS", key, group]));
        shown.push(conversation.say(&["XPENDING", key, group]));
        shown.push(conversation.say(&["XPENDING", key, group, "-", "+", "100"]));
    }
    shown
}

const STREAM_SCRIPT: [&str; 23] = [
    "XADD s * f v",
    "XADD s * f w",
    "XADD s * f 12 g -1",
    "XGROUP CREATE s g 0",
    "XGROUP CREATE s h $",
    "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
    "XREADGROUP GROUP g d COUNT 1 STREAMS s >",
    "XREADGROUP GROUP g c STREAMS s 0",
    "XREADGROUP GROUP h idle STREAMS s 0",
    "XADD s * f x",
    "XREADGROUP GROUP h e NOACK STREAMS s >",
    "XADD s MAXLEN ~ 2 9999999999999-1 f y",
    "XREADGROUP GROUP h e STREAMS s >",
    "XCLAIM s g e 0 1700000000000-0",
    "XDEL s 1700000000000-0",
    "XADD t 1-1 f v",
    "XADD t 5-5 f v",
    "XDEL t 5-5",
    "XSETID t 2-2",
    "XADD t 3-3 f v",
    "XADD u 7-7 f v",
    "XTRIM u MAXLEN 0",
    "XGROUP CREATE v g 5-5 MKSTREAM",
];

//= SPEC.md#propagation
//# [PROPAGATION-26] (file) Loading the AOF MUST lead to the same streams down to their groups, consumers and pending entries, the idle times of consumers and the nodes of `~` aside.
//= SPEC.md#propagation
//# [PROPAGATION-27] (file) A compacted AOF file without a preamble MUST make a stream by commands that lead to the same entries, last generated id, groups, consumers and pending entries, those of deleted entries included.
#[test]
fn streams_and_their_groups_are_the_same_after_replay_compaction_and_reload() {
    let config = "save \"\"\naof-use-rdb-preamble no\n";
    let with = || Conversation::with(tally_engine::config::Config::parse(config).unwrap());
    let mut original = with();
    original.engine.record_propagation();
    for line in STREAM_SCRIPT {
        let answer = original.say(&line.split(' ').collect::<Vec<_>>());
        assert!(!matches!(answer, Reply::Error(_)), "{line}: {answer}");
    }
    let keys: [(&str, &[&str]); 4] = [("s", &["g", "h"]), ("t", &[]), ("u", &[]), ("v", &["g"])];
    let wanted: Vec<Vec<Reply>> = keys.iter().map(|(key, groups)| shown(&mut original, key, groups)).collect();

    let mut replayed = with();
    for one in original.engine.take_propagated().into_iter().filter(|one| one.targets.aof) {
        replayed.exchange(&one.arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    let mut compacted = with();
    let mut file = Vec::new();
    original.engine.compact_aof(&mut file).unwrap();
    let mut reader = tally_check::reply_reader::ReplyReader::default();
    reader.push(&file);
    while let Some(Reply::Array(words)) = reader.next_reply().unwrap() {
        let words: Vec<Vec<u8>> = words
            .into_iter()
            .map(|word| match word {
                Reply::Bulk(bytes) => bytes,
                other => panic!("{other}"),
            })
            .collect();
        let answer = compacted.exchange(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(!answer.starts_with(b"-"), "{words:?}: {}", answer.escape_ascii());
    }
    let mut reloaded = with();
    let mut dump = Vec::new();
    original.engine.snapshot(&mut dump).unwrap();
    reloaded.engine.load_rdb(&mut reloaded.world, &mut dump.as_slice()).unwrap();
    for (copy, what) in [(&mut replayed, "replayed"), (&mut compacted, "compacted"), (&mut reloaded, "reloaded")] {
        copy.engine.validate();
        let found: Vec<Vec<Reply>> = keys.iter().map(|(key, groups)| shown(copy, key, groups)).collect();
        assert_eq!(found, wanted, "{what}");
        assert_eq!(copy.text(&["DEBUG", "DIGEST"]), original.text(&["DEBUG", "DIGEST"]), "{what}");
    }
}

//= SPEC.md#propagation
//# [PROPAGATION-6] (file) INCRBYFLOAT MUST be propagated as `SET key sum`, followed by `PEXPIREAT key deadline` if the key has a deadline.
#[test]
fn incrbyfloat_is_handed_on_as_its_sum_with_the_deadline() {
    let mut conversation = Conversation::new();
    conversation.say(&["SET", "k", "3.0", "EX", "1000"]);
    conversation.engine.record_propagation();
    conversation.say(&["INCRBYFLOAT", "k", "0.1"]);
    let streams = Streams::take(&mut conversation.engine);
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
