//! Recorded facts of real servers as the tests read them: transcripts, tables of errors, redis-cli syntax.
#![allow(dead_code)] // each test file uses its part

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use base64::Engine as _;
use flate2::read::GzDecoder;
use serde_json::Value;
use tally_model::Reply;

pub(crate) fn data(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data")).join(path)
}

pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(data(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One line of a transcript.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) connection: u64,
    pub(crate) command: Vec<Vec<u8>>,
    pub(crate) reply: Value,
    pub(crate) flags: Value,
}

impl Line {
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&self.command[0]).to_ascii_uppercase()
    }

    /// The client is blocked by it.
    pub(crate) fn blocks(&self) -> bool {
        self.reply.get("blocked").is_some()
    }

    /// The answer is an error.
    pub(crate) fn fails(&self) -> bool {
        self.reply.get("e").is_some()
    }

    /// The replies behind the first one.
    pub(crate) fn more(&self) -> Vec<Reply> {
        self.flags["more"].as_array().into_iter().flatten().filter_map(reply).collect()
    }

    /// What other connections received.
    pub(crate) fn pushes(&self) -> Vec<(u64, Reply)> {
        let pushes = self.flags["pushes"].as_array().into_iter().flatten();
        pushes.filter_map(|push| Some((push["conn"].as_u64()?, reply(&push["reply"])?))).collect()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|flag| *flag != Value::Bool(false))
    }
}

pub(crate) fn transcript(name: &str) -> Vec<Line> {
    let file = File::open(data(&format!("transcripts/{name}.jsonl.gz"))).expect("the transcript is there");
    let mut lines = Vec::new();
    for (index, line) in BufReader::new(GzDecoder::new(file)).lines().enumerate() {
        let flags: Value = serde_json::from_str(&line.expect("gzip")).expect("JSON");
        lines.push(Line {
            number: index + 1,
            connection: flags["conn"].as_u64().unwrap_or(0),
            command: flags["cmd"].as_array().expect("cmd").iter().map(bytes).collect(),
            reply: flags["reply"].clone(),
            flags,
        });
    }
    lines
}

fn decode(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

/// A string, or `{"b64": …}`.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        value => decode(value["b64"].as_str().expect("b64")),
    }
}

/// A typed reply; `None` where a value is masked or no reply came.
pub(crate) fn reply(value: &Value) -> Option<Reply> {
    let (kind, content) = value.as_object()?.iter().next()?;
    let text = || content.as_str().unwrap_or_default().as_bytes().to_vec();
    Some(match kind.as_str() {
        "s" => Reply::Status(text()),
        "e" => Reply::Error(text()),
        "i" => Reply::Integer(content.as_i64()?),
        "b" => Reply::Bulk(text()),
        "b64" => Reply::Bulk(decode(content.as_str()?)),
        "nil" if content == "array" => Reply::NilArray,
        "nil" => Reply::NilBulk,
        "a" => Reply::Array(content.as_array()?.iter().map(reply).collect::<Option<_>>()?),
        _ => return None,
    })
}

/// Splits a line in redis-cli syntax: words, double quotes with escapes, single quotes.
pub(crate) fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes();
    loop {
        rest = rest.trim_ascii_start();
        let Some(&first) = rest.first() else { return words };
        let mut word = Vec::new();
        if first == b'"' {
            rest = &rest[1..];
            while rest[0] != b'"' {
                let (byte, length) = match rest {
                    [b'\\', b'x', high, low, ..] => {
                        let digits = [*high, *low];
                        (u8::from_str_radix(std::str::from_utf8(&digits).expect("hex"), 16).expect("hex"), 4)
                    }
                    [b'\\', b'n', ..] => (b'\n', 2),
                    [b'\\', b'r', ..] => (b'\r', 2),
                    [b'\\', b't', ..] => (b'\t', 2),
                    [b'\\', byte, ..] => (*byte, 2),
                    [byte, ..] => (*byte, 1),
                    [] => unreachable!("an open quote"),
                };
                word.push(byte);
                rest = &rest[length..];
            }
            rest = &rest[1..];
        } else if first == b'\'' {
            rest = &rest[1..];
            let end = rest.iter().position(|&byte| byte == b'\'').expect("a closing quote");
            word.extend(&rest[..end]);
            rest = &rest[end + 1..];
        } else {
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            word.extend(&rest[..end]);
            rest = &rest[end..];
        }
        words.push(word);
    }
}
