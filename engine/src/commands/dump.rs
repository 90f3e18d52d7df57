//! DUMP and RESTORE: a value as bytes, and back.

use super::{Context, Refusal, SILENT};
use crate::number::{I64_TEXT_MAX, format_i64, parse_i64};
use crate::propagation::Targets;
use crate::rdb::load::new_string;
use crate::rdb::{self, PayloadError, Value};
use crate::resp::Args;
use crate::structures::key_entry::Payload;

const BAD_TTL: Refusal = Refusal::Fixed("ERR Invalid TTL value, must be >= 0");

/// `DUMP key`.
pub(crate) fn dump(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let compress = cx.server.config.rdbcompression;
    let Some(object) = cx.lookup_read(&args[1]) else {
        cx.reply().nil();
        return Ok(());
    };
    let payload = rdb::payload(object, compress);
    cx.reply().bulk(&payload);
    Ok(())
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    /// Judges the words behind the payload from left to right. [RESTORE-1]
    fn parse(words: &Args<'_>) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let mut at = 0;
        while at < words.len() {
            let valued = at + 1 < words.len();
            if words.is(at, "replace") {
                options.replace = true;
            } else if words.is(at, "absttl") {
                options.absolute = true;
            } else if words.is(at, "idletime") && valued && options.frequency.is_none() {
                at += 1;
                let seconds = parse_i64(&words[at]).ok_or(Refusal::NOT_AN_INTEGER)?;
                let seconds = u64::try_from(seconds).map_err(|_| "ERR Invalid IDLETIME value, must be >= 0")?;
                options.idle_seconds = Some(seconds);
            } else if words.is(at, "freq") && valued && options.idle_seconds.is_none() {
                at += 1;
                let frequency = parse_i64(&words[at]).ok_or(Refusal::NOT_AN_INTEGER)?;
                let frequency =
                    u8::try_from(frequency).map_err(|_| "ERR Invalid FREQ value, must be >= 0 and <= 255")?;
                options.frequency = Some(frequency);
            } else {
                return Err(Refusal::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ counter]`.
pub(crate) fn restore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let options = Options::parse(&args.from(4))?;
    let (key, payload) = (&args[1], &args[3]);
    if !options.replace && cx.lookup_write(key).is_some() {
        return Err(Refusal::Fixed("BUSYKEY Target key name already exists."));
    }
    let ttl = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    if ttl < 0 {
        return Err(BAD_TTL);
    }
    let expiry = match ttl {
        0 => None,
        at_ms if options.absolute => Some(at_ms),
        ms => Some(cx.now_ms.checked_add(ms).ok_or(BAD_TTL)?),
    };
    let (now_ms, db) = (cx.now_ms, cx.client.db);
    let share = cx.server.config.shares_integers();
    let lru = cx.server.stored_lru(now_ms, options.idle_seconds, options.frequency);
    let holding = cx.server.holding();
    let stored = rdb::restore(payload, &holding, |value| {
        // What is replaced is not looked at: that it was over is nobody's business, and is not handed on.
        if let Some(replaced) = cx.server.find(db, key, i64::MIN) {
            replaced.remove();
        }
        let value = match value {
            Value::String(text) => new_string(text).payload(share),
            Value::Collection(collection) => Payload::Collection(collection),
            Value::Module(_) => unreachable!("modules' values are refused"),
        };
        cx.server.keyspace.db_mut(db).keys.insert_new(key, value, lru, expiry);
        cx.server.key_is_ready(db, key);
    });
    stored.map_err(|error| match error {
        PayloadError::Footer => "ERR DUMP payload version or checksum are wrong",
        PayloadError::Value(_) => "ERR Bad data format",
    })?;
    if let (Some(at_ms), false) = (expiry, options.absolute) {
        propagate_absolute(cx, args, at_ms, &options);
    }
    cx.modified(key, SILENT);
    cx.reply().ok();
    Ok(())
}

/// Replayed later, a relative time to live would begin anew. [RESTORE-18]
fn propagate_absolute(cx: &mut Context<'_>, args: &Args<'_>, at_ms: i64, options: &Options) {
    let mut digits = [0; I64_TEXT_MAX];
    let mut command: Vec<&[u8]> = vec![b"RESTORE", &args[1], format_i64(at_ms, &mut digits), &args[3], b"ABSTTL"];
    if options.replace {
        command.push(b"REPLACE");
    }
    let idle = options.idle_seconds.map(|seconds| seconds.to_string());
    if let Some(idle) = &idle {
        command.extend_from_slice(&[b"IDLETIME", idle.as_bytes()]);
    }
    let frequency = options.frequency.map(|frequency| frequency.to_string());
    if let Some(frequency) = &frequency {
        command.extend_from_slice(&[b"FREQ", frequency.as_bytes()]);
    }
    cx.propagate_instead(Targets::ALL, &command);
}
