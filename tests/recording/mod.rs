//! Recorded transcripts of Redis 5.0.14, and a session of the embedded engine that follows them.
//!
//! A command that the engine does not have yet would leave its keys in another state than the recording's: such lines are
//! not sent, their keys count as *foreign* until a command overwrites or deletes them, and answers about foreign keys are
//! not compared.
#![allow(dead_code, clippy::unwrap_used)] // Each test uses its part.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::Value;
use tally_check::target::{Connection, Embedded, Received, Setup, Target, Wait};
use tally_model::Reply;

/// The lines of a family's transcript.
pub(crate) fn lines(family: &str) -> impl Iterator<Item = Value> {
    let file = File::open(data(&format!("transcripts/{family}.jsonl.gz"))).unwrap();
    BufReader::new(GzDecoder::new(file)).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// The arguments of a line's command.
pub(crate) fn arguments(line: &Value) -> Vec<Vec<u8>> {
    line["cmd"].as_array().unwrap().iter().map(bytes).collect()
}

pub(crate) fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A string as the recording writes it: UTF-8 text, or `{"b64": …}`.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => STANDARD.decode(other["b64"].as_str().unwrap()).unwrap(),
    }
}

/// Whether a reply is what was recorded; `{"any": …}` admits every value of its kind.
pub(crate) fn equal(recorded: &Value, reply: &Reply) -> bool {
    let object = recorded.as_object().unwrap();
    let (kind, value) = object.iter().next().unwrap();
    match (kind.as_str(), reply) {
        ("s", Reply::Status(text)) => *text == bytes(value),
        ("e", Reply::Error(text)) => *text == bytes(value) || value == &escaped(text),
        ("i", Reply::Integer(number)) => value.as_i64() == Some(*number),
        ("b", Reply::Bulk(text)) => *text == bytes(value),
        ("b64", Reply::Bulk(text)) => *text == bytes(recorded),
        ("nil", Reply::NilBulk) => value == "bulk",
        ("nil", Reply::NilArray) => value == "array",
        ("a", Reply::Array(elements)) => {
            let values = value.as_array().unwrap();
            values.len() == elements.len() && values.iter().zip(elements).all(|(value, element)| equal(value, element))
        }
        ("any", Reply::Integer(_)) => value == "i",
        ("any", Reply::Bulk(_)) => value == "b",
        ("any", Reply::Array(_)) => value == "a",
        _ => false,
    }
}

/// The text of an error as the recording writes it: bytes that are not UTF-8 as `\xNN`.
fn escaped(text: &[u8]) -> String {
    let piece = |chunk: std::str::Utf8Chunk<'_>| {
        let broken: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        chunk.valid().to_owned() + &broken
    };
    text.utf8_chunks().map(piece).collect()
}

/// The recorded kind alone, for answers that depend on clocks, chance or memory.
pub(crate) fn same_kind(recorded: &Value, reply: &Reply) -> bool {
    let kind = recorded.as_object().unwrap().keys().next().unwrap().as_str();
    match reply {
        Reply::Status(_) => kind == "s",
        Reply::Error(_) => kind == "e",
        Reply::Integer(_) => kind == "i" || recorded["any"] == "i",
        // Which of several keys, or none of them: RANDOMKEY after a random removal.
        Reply::Bulk(_) | Reply::NilBulk => ["b", "b64", "nil"].contains(&kind) || recorded["any"] == "b",
        Reply::Array(_) | Reply::NilArray => ["a", "nil"].contains(&kind) || recorded["any"] == "a",
    }
}

/// Elements in any order; recorded ones were sorted by their JSON text, which means nothing here.
pub(crate) fn equal_unordered(recorded: &[Value], elements: &[Reply]) -> bool {
    let mut left: Vec<&Reply> = elements.iter().collect();
    recorded.len() == elements.len()
        && recorded.iter().all(|value| match left.iter().position(|element| equal(value, element)) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        })
}

pub(crate) fn accepts(line: &Value, reply: &Reply) -> bool {
    let recorded = &line["reply"];
    if line["nondeterministic"] == true {
        return same_kind(recorded, reply);
    }
    if line["dump"] == true {
        // Compressed payloads may differ byte for byte; what DUMP must hold is tested with RESTORE and the codecs.
        return matches!(reply, Reply::Bulk(_)) || equal(recorded, reply);
    }
    let elements = |reply: &Reply| match reply {
        Reply::Array(elements) => Some(elements.clone()),
        _ => None,
    };
    match (line["unordered"].as_str(), line["unordered"] == true) {
        (None, true) => match (recorded["a"].as_array(), elements(reply)) {
            (Some(recorded), Some(elements)) => equal_unordered(recorded, &elements),
            _ => equal(recorded, reply),
        },
        (Some("scan"), _) => match (recorded["a"].as_array(), elements(reply).as_deref()) {
            (Some(recorded), Some([cursor, Reply::Array(page)])) => {
                equal(&recorded[0], cursor) && equal_unordered(recorded[1]["a"].as_array().unwrap(), page)
            }
            _ => equal(recorded, reply),
        },
        (Some("pairs"), _) => match (recorded["a"].as_array(), elements(reply).as_deref()) {
            (Some(recorded), Some(elements)) => equal_unordered_pairs(recorded, elements),
            _ => equal(recorded, reply),
        },
        (Some("scan-pairs"), _) => match (recorded["a"].as_array(), elements(reply).as_deref()) {
            (Some(recorded), Some([cursor, Reply::Array(page)])) => {
                equal(&recorded[0], cursor) && equal_unordered_pairs(recorded[1]["a"].as_array().unwrap(), page)
            }
            _ => equal(recorded, reply),
        },
        _ => equal(recorded, reply),
    }
}

/// Pairs in any order, the two of a pair one after the other.
pub(crate) fn equal_unordered_pairs(recorded: &[Value], elements: &[Reply]) -> bool {
    let mut left: Vec<&[Reply]> = elements.chunks(2).collect();
    let same = |pair: &[Value], got: &[Reply]| {
        pair.len() == got.len() && pair.iter().zip(got).all(|(value, element)| equal(value, element))
    };
    recorded.len() == elements.len()
        && recorded.chunks(2).all(|pair| match left.iter().position(|got| same(pair, got)) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        })
}

/// First key, last key and step of every command of Redis 5, by lower-case name.
pub(crate) fn key_positions() -> BTreeMap<String, (i64, i64, i64)> {
    let table: Value = serde_json::from_reader(File::open(data("reference/commands-5.0.json")).unwrap()).unwrap();
    let row = |c: &Value| {
        let number = |field: &str| c[field].as_i64().unwrap();
        (c["name"].as_str().unwrap().to_owned(), (number("first_key"), number("last_key"), number("step")))
    };
    table["commands"].as_array().unwrap().iter().map(row).collect()
}

/// The names of the commands of Redis 5 that change nothing.
pub(crate) fn reading_commands() -> BTreeSet<String> {
    let table: Value = serde_json::from_reader(File::open(data("reference/commands-5.0.json")).unwrap()).unwrap();
    let reads = |row: &&Value| row["flags"].as_array().unwrap().iter().any(|flag| flag == "readonly");
    table["commands"].as_array().unwrap().iter().filter(reads).map(|row| row["name"].as_str().unwrap().into()).collect()
}

/// Commands that put something else in the place of their first key, whatever is there.
pub(crate) const REPLACING: &[&str] = &["sinterstore", "sunionstore", "sdiffstore", "zunionstore", "zinterstore"];

/// Commands that look at all keys, or at none by name.
pub(crate) const WHOLE_KEYSPACE: &[&str] =
    &["keys", "scan", "randomkey", "dbsize", "swapdb", "info", "debug", "memory"];

pub(crate) struct Session {
    pub(crate) target: Embedded,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) positions: BTreeMap<String, (i64, i64, i64)>,
    pub(crate) reading: BTreeSet<String>,
    pub(crate) present: BTreeMap<String, bool>,
    pub(crate) selected: BTreeMap<u64, usize>,
    pub(crate) foreign: BTreeSet<(usize, Vec<u8>)>,
}

impl Session {
    pub(crate) fn new() -> Self {
        let mut target = Embedded::new();
        target.reset(&Setup::default()).unwrap();
        Self {
            target,
            connections: BTreeMap::new(),
            positions: key_positions(),
            reading: reading_commands(),
            present: BTreeMap::new(),
            selected: BTreeMap::new(),
            foreign: BTreeSet::new(),
        }
    }

    pub(crate) fn connection(&mut self, number: u64) -> Connection {
        // The recording opened its five connections before the first command.
        if self.connections.is_empty() {
            for number in 0..5 {
                self.connections.insert(number, self.target.open().unwrap());
            }
        }
        self.connections[&number]
    }

    /// Sends a command; the replies it leads to, none when they are switched off.
    pub(crate) fn send(&mut self, connection: Connection, arguments: &[Vec<u8>]) -> Vec<Reply> {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
            bytes.extend(argument);
            bytes.extend(b"\r\n");
        }
        self.target.send(connection, &bytes).unwrap();
        let mut replies = Vec::new();
        while let Received::Reply(reply) = self.target.receive(connection, Wait::Settled).unwrap() {
            replies.push(reply);
        }
        replies
    }

    /// Whether the engine has the command.
    pub(crate) fn has(&mut self, name: &str) -> bool {
        if let Some(&known) = self.present.get(name) {
            return known;
        }
        let probe = self.target.open().unwrap();
        let replies = self.send(probe, &[b"COMMAND".to_vec(), b"INFO".to_vec(), name.as_bytes().to_vec()]);
        self.target.close(probe);
        // A command that Redis 5 does not have either is answered as such by both.
        let has = matches!(&replies[..], [Reply::Array(rows)] if matches!(rows[..], [Reply::Array(_)]));
        let has = has || !self.positions.contains_key(name);
        self.present.insert(name.to_owned(), has);
        has
    }

    /// The arguments that are, or may be, keys.
    pub(crate) fn keys<'a>(&self, name: &str, arguments: &'a [Vec<u8>]) -> &'a [Vec<u8>] {
        let rest = arguments.get(1..).unwrap_or_default();
        if name.starts_with("georadius") && stored(arguments).next().is_none() {
            return rest.get(..1).unwrap_or_default();
        }
        // Their keys stand behind subcommands, counts and options.
        let scattered = [
            "sort",
            "georadius",
            "georadiusbymember",
            "zunionstore",
            "zinterstore",
            "eval",
            "object",
            "touch",
            "pfdebug",
            "xread",
            "xreadgroup",
        ];
        if scattered.contains(&name) || WHOLE_KEYSPACE.contains(&name) {
            return rest;
        }
        match self.positions.get(name) {
            Some((0, _, _)) | None => &[],
            Some((1, 1, _)) => rest.get(..1).unwrap_or_default(),
            Some(_) => rest,
        }
    }

    /// Whether the answer to this command depends on what an absent command did.
    pub(crate) fn is_foreign(&self, db: usize, name: &str, arguments: &[Vec<u8>]) -> bool {
        let unknown = |key: &Vec<u8>| match name {
            // The key may be foreign in the database it moves to.
            "move" => self.foreign.iter().any(|(_, foreign)| foreign == key),
            _ => self.foreign.contains(&(db, key.clone())),
        };
        // DEBUG OBJECT key, and the like.
        let about_one_key = name == "debug" && arguments.len() > 2;
        let replaced = usize::from(REPLACING.contains(&name));
        self.keys(name, arguments).iter().skip(replaced).any(unknown)
            || (WHOLE_KEYSPACE.contains(&name) && !about_one_key && !self.foreign.is_empty())
    }

    /// A command about foreign keys ran here in another state than there: its keys differ now, unless it makes them equal.
    pub(crate) fn spread(&mut self, db: usize, name: &str, arguments: &[Vec<u8>], failed: bool) {
        let overwrites = match name {
            "set" => arguments.len() == 3,
            "del" | "unlink" | "setex" | "psetex" => true,
            _ => false,
        } && !failed;
        if self.reading.contains(name) {
            return;
        }
        if REPLACING.contains(&name) {
            self.foreign.insert((db, arguments[1].clone()));
            return;
        }
        for key in self.keys(name, arguments).to_vec() {
            match name {
                "swapdb" => {}
                "move" => self.foreign.extend((0..16).map(|db| (db, key.clone()))),
                _ if overwrites => {
                    self.foreign.remove(&(db, key));
                }
                _ => {
                    self.foreign.insert((db, key));
                }
            }
        }
    }

    /// What a successful command means for the databases.
    pub(crate) fn follow(&mut self, client: u64, name: &str, arguments: &[Vec<u8>]) {
        let db = self.selected.get(&client).copied().unwrap_or(0);
        let number = |index: usize| String::from_utf8_lossy(&arguments[index]).parse::<usize>().unwrap_or(0);
        match name {
            "select" => {
                self.selected.insert(client, number(1));
            }
            _ if REPLACING.contains(&name) => {
                self.foreign.remove(&(db, arguments[1].clone()));
            }
            "flushall" => self.foreign.clear(),
            "flushdb" => self.foreign.retain(|(foreign, _)| *foreign != db),
            "swapdb" => {
                let (one, other) = (number(1), number(2));
                let swapped = |db: usize| match db {
                    db if db == one => other,
                    db if db == other => one,
                    db => db,
                };
                self.foreign =
                    std::mem::take(&mut self.foreign).into_iter().map(|(db, key)| (swapped(db), key)).collect();
            }
            _ => {}
        }
    }
}

/// The destinations of a search for places.
pub(crate) fn stored(arguments: &[Vec<u8>]) -> impl Iterator<Item = &Vec<u8>> {
    let stores = |option: &Vec<u8>| option.eq_ignore_ascii_case(b"store") || option.eq_ignore_ascii_case(b"storedist");
    arguments.windows(2).filter(move |pair| stores(&pair[0])).map(|pair| &pair[1])
}

/// The erratum of SPEC.md that explains why this line's recorded answer is not the engine's.
pub(crate) fn erratum(family: &str, number: usize, line: &Value) -> Option<&'static str> {
    match (family, number) {
        // After HSETNX of a long value for a field that was there, and after a HINCRBYFLOAT that failed.
        ("hashes", 2801) => return Some("E-51"),
        ("hashes", 4879) => return Some("E-50"),
        // The last run is cut off.
        ("hll", 862) => return Some("E-71"),
        _ => {}
    }
    let words: Vec<String> = line["cmd"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| String::from_utf8_lossy(&bytes(word)).to_lowercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &words[..] {
        ["expire" | "pexpire" | "expireat", _, "9223372036854775807"] => Some("E-2"),
        ["decrby", _, "-9223372036854775808"] => Some("E-3"),
        ["sinterstore", ..] if family == "notify" && line["reply"]["i"] == 0 => Some("E-92"),
        ["keys", pattern] | ["scan", .., "match", pattern] if pattern.starts_with("**") => Some("E-10"),
        ["bitfield", rest @ ..] if rest.contains(&"i64") => Some("E-8"),
        ["bitfield", rest @ ..] if rest.contains(&"sat") => Some("E-9"),
        ["georadiusbymember" | "georadiusbymember_ro", ..] => Some("E-43"),
        ["georadius" | "georadius_ro", ..] => Some("E-63"),
        // The pattern of one asterisk does not match the empty name.
        ["publish", "", ..] | ["pubsub", "channels", "*"] => Some("E-10"),
        _ => None,
    }
}
