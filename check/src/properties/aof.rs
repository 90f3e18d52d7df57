//! Append-only files: both halves find the same commands and the same damage, and a replay makes the same dataset.

use tally_engine::aof::{self, AofErrorKind};
use tally_engine::commands::table::{COMMANDS, WRITE, find};
use tally_engine::config::Config;
use tally_engine::world::Still;
use tally_engine::{Engine, Peer};
use tally_model::aof as naive;

/// A command and where it begins.
type Placed = (u64, Vec<Vec<u8>>);

/// Any bytes: both halves find the same commands, the same end, and damage in the same command.
pub fn files_are_judged_alike(bytes: &[u8]) {
    let mut commands: Vec<Placed> = Vec::new();
    let scan = aof::scan(bytes, |offset, command| {
        commands.push((offset, command.as_args().iter().map(<[u8]>::to_vec).collect()));
    });
    commands.retain(|(offset, _)| *offset < scan.whole_until);
    let model = naive::file(bytes);
    match (&scan.damage, &model) {
        (None, Ok(file)) => {
            assert_eq!(file.end, naive::AofEnd::Whole);
            compare(&commands, &scan, file);
        }
        (Some(damage), Ok(file)) => {
            assert!(matches!(damage.kind, AofErrorKind::Truncated { .. }), "the model takes it, the engine: {damage}");
            assert_ne!(file.end, naive::AofEnd::Whole);
            compare(&commands, &scan, file);
        }
        (Some(damage), Err(error)) => {
            let preamble = matches!(error.kind, naive::AofErrorKind::Preamble(_));
            if !preamble {
                assert!(!matches!(damage.kind, AofErrorKind::Truncated { .. }), "more is wrong than the end: {error}");
                assert_eq!(damage.offset, error.offset as u64, "{damage} / {error}");
            }
        }
        // The tools read newer preambles than the model, which stops at version 9.
        (None, Err(error)) => {
            assert!(
                matches!(error.kind, naive::AofErrorKind::Preamble(_)),
                "the engine takes what the model refuses: {error}"
            );
        }
    }
}

fn compare(commands: &[Placed], scan: &aof::Scan, file: &naive::AofFile) {
    assert_eq!(scan.whole_until, file.whole as u64, "the halves would cut at different places");
    let model: Vec<Placed> = file.commands.iter().map(|(at, command)| (*at as u64, command.clone())).collect();
    assert_eq!(commands, model, "the halves find different commands");
    assert_eq!(scan.commands, model.len() as u64);
}

/// Any bytes may be loaded: never a panic, an error has an offset inside the file, and what was loaded is whole.
pub fn loading_is_total(bytes: &[u8]) {
    let mut engine = Engine::new(Config::default(), 1);
    let mut world = Still::default();
    match engine.load_aof(&mut world, &mut &*bytes) {
        Ok(report) => assert!(report.bytes <= bytes.len() as u64),
        Err(error) => assert!(error.offset <= bytes.len() as u64, "an error beyond the file: {error}"),
    }
    engine.validate();
}

/// Any bytes: both halves judge them alike, and where the commands that the model reads are plain ones, a client that sends
/// them makes the dataset that the file makes. Answers whether it came to that.
pub fn any_file_is_loaded_or_refused(bytes: &[u8]) -> bool {
    files_are_judged_alike(bytes);
    let Ok(file) = naive::file(bytes) else {
        loading_is_total(bytes);
        return false;
    };
    // Offsets far behind a string's end take memory that no file has to hold.
    if file.commands.iter().any(|(_, command)| reaches_far(command)) {
        return false;
    }
    loading_is_total(bytes);
    if file.preamble.is_some() || !file.commands.iter().all(|(_, command)| is_plain(command)) {
        return false;
    }
    let mut loaded = Engine::new(Config::default(), 1);
    let mut world = Still::default();
    // A tail that is cut is left out by the model too.
    if loaded.load_aof(&mut world, &mut &*bytes).is_err() {
        return false;
    }
    let mut written = Engine::new(Config::default(), 1);
    written.start(&mut world);
    let peer = Peer { address: "127.0.0.1:1".into(), descriptor: 5, local: true, unix_socket: false };
    let client = written.connect(&mut world, peer);
    for (_, command) in &file.commands {
        if !["multi", "exec"].iter().any(|word| command[0].eq_ignore_ascii_case(word.as_bytes())) {
            written.feed(&mut world, client, &naive::write_command(command));
        }
    }
    assert_eq!(dataset(&mut loaded, &mut world), dataset(&mut written, &mut world), "a client makes another dataset");
    true
}

/// Writes of strings at offsets beyond some megabytes.
fn reaches_far(command: &[Vec<u8>]) -> bool {
    let names: [&[u8]; 3] = [b"setrange", b"setbit", b"bitfield"];
    let long = |word: &Vec<u8>| word.iter().filter(|byte| byte.is_ascii_digit()).count() > 6;
    names.iter().any(|name| command[0].eq_ignore_ascii_case(name)) && command.iter().any(long)
}

/// Commands that do the same at any time and for any client: they write, wait for nothing, draw nothing and set no deadline.
fn is_plain(command: &[Vec<u8>]) -> bool {
    let name = command[0].to_ascii_lowercase();
    if [&b"select"[..], b"multi", b"exec"].contains(&name.as_slice()) {
        return true;
    }
    let plain = [
        "append",
        "decr",
        "decrby",
        "del",
        "getset",
        "hdel",
        "hincrby",
        "hmset",
        "hset",
        "hsetnx",
        "incr",
        "incrby",
        "linsert",
        "lpop",
        "lpush",
        "lpushx",
        "lrem",
        "lset",
        "ltrim",
        "move",
        "mset",
        "msetnx",
        "pfadd",
        "pfmerge",
        "rename",
        "renamenx",
        "rpop",
        "rpoplpush",
        "rpush",
        "rpushx",
        "sadd",
        "sdiffstore",
        "setnx",
        "setrange",
        "sinterstore",
        "smove",
        "srem",
        "sunionstore",
        "swapdb",
        "unlink",
        "zadd",
        "zincrby",
        "zinterstore",
        "zpopmax",
        "zpopmin",
        "zrem",
        "zunionstore",
    ];
    let known = find(&name).and_then(|index| COMMANDS.get(index));
    known.is_some_and(|command| command.has(WRITE) && plain.contains(&command.name))
        || (name == b"set" && command.len() == 3)
}

/// DEBUG DIGEST, as a client of its own is answered.
fn dataset(engine: &mut Engine, world: &mut Still) -> Vec<u8> {
    let peer = Peer { address: "127.0.0.1:2".into(), descriptor: 6, local: true, unix_socket: false };
    let client = engine.connect(world, peer);
    engine.feed(world, client, b"DEBUG DIGEST\r\n");
    engine.output(client).collect::<Vec<_>>().concat()
}
