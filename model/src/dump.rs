//! DUMP and RESTORE.

use std::sync::Arc;

use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::keyspace::{Access, Deadline};
use crate::loading;
use crate::plan::{Change, Expiry, Plan, Propagation, Refusal};
use crate::rdb::{self, Content, ValueType};
use crate::reload::last_use;
use crate::reply::{Bytes, Reply, quoted};
use crate::server::integer;
use crate::value::{Kind, Value};

const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const BAD_DATA: &str = "ERR Bad data format";
const INVALID_TTL: &str = "ERR Invalid TTL value, must be >= 0";

/// [DUMP-1] [DUMP-2] [DUMP-3]
pub(crate) fn dump(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(entry) = call.find(call.args[1]) else { return Ok(Plan::reply(Clause::DUMP_1, Reply::NilBulk)) };
    call.cite(Clause::PAYLOAD_1);
    call.cite(match entry.value.kind() {
        Kind::String => Clause::PAYLOAD_2,
        Kind::Stream => Clause::RDBSTREAM_9,
        _ => Clause::PAYLOAD_4,
    });
    Ok(Plan::new(Clause::DUMP_2, Allowed::Judged(Arc::new(Payload(entry.value.clone())))))
}

/// A payload that decodes to this value, in the form of its encoding.
#[derive(Debug)]
struct Payload(Value);

impl Judge for Payload {
    fn describe(&self) -> String {
        match &self.0 {
            Value::String(string) => format!("a payload of {}", quoted(&string.bytes)),
            value => {
                let (kind, encoding) = (value.kind().name(), value.encoding().name());
                format!("a payload of a {kind} of {} elements, a {encoding}", value.len())
            }
        }
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(payload) = reply else { return Err("not a bulk string".into()) };
        if payload.len() < 10 || payload[payload.len() - 10..payload.len() - 8] != rdb::VERSION.to_le_bytes() {
            return Err("not of version 9".into());
        }
        let body = rdb::payload(payload).ok_or("wrong checksum")?;
        let (form, content, rest) = rdb::value_of_payload(body).map_err(|error| error.to_string())?;
        if rest > 0 {
            return Err(format!("{rest} bytes behind the value"));
        }
        if form != loading::form(&self.0) {
            return Err(format!("a {}", form.name().unwrap_or("value of no type")));
        }
        if loading::holds(&content, &self.0) { Ok(()) } else { Err(format!("decodes to {content:?}")) }
    }
}

/// What stands behind key, time to live and payload.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<i64>,
    frequency: Option<i64>,
}

/// [RESTORE-1] to [RESTORE-4], [RESTORE-17]
fn options(words: &[&[u8]]) -> Result<Options, Refusal> {
    let mut options = Options::default();
    let mut words = words.iter();
    let no_integer = || Refusal::new(Clause::RESTORE_2, NO_INTEGER);
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_slice() {
            b"replace" => options.replace = true,
            b"absttl" => options.absolute = true,
            b"idletime" if options.frequency.is_none() && words.len() > 0 => {
                let seconds = words.next().and_then(|word| integer(word)).ok_or_else(no_integer)?;
                if seconds < 0 {
                    return Err(Refusal::new(Clause::RESTORE_3, "ERR Invalid IDLETIME value, must be >= 0"));
                }
                options.idle_seconds = Some(seconds);
            }
            b"freq" if options.idle_seconds.is_none() && words.len() > 0 => {
                let frequency = words.next().and_then(|word| integer(word)).ok_or_else(no_integer)?;
                if !(0..=255).contains(&frequency) {
                    let line = "ERR Invalid FREQ value, must be >= 0 and <= 255";
                    return Err(Refusal::new(Clause::RESTORE_4, line));
                }
                options.frequency = Some(frequency);
            }
            _ => return Err(Refusal::new(Clause::RESTORE_1, "ERR syntax error")),
        }
    }
    Ok(options)
}

/// RESTORE.
pub(crate) fn restore(call: &Call<'_>) -> Result<Plan, Refusal> {
    let &[_, key, ttl, payload, ref words @ ..] = call.args else { return Err(call.wrong_arity()) };
    let options = options(words)?;
    // With REPLACE nobody looks whether the key is over, so nothing is handed on before.
    if !options.replace && call.find(key).is_some() {
        return Err(Refusal::new(Clause::RESTORE_5, "BUSYKEY Target key name already exists."));
    }
    let ttl = integer(ttl).ok_or_else(|| Refusal::new(Clause::RESTORE_6, NO_INTEGER))?;
    if ttl < 0 {
        return Err(Refusal::new(Clause::RESTORE_7, INVALID_TTL));
    }
    let deadline = match (ttl, options.absolute) {
        (0, _) => None,
        (at, true) => Some(Deadline::at(at)),
        (ttl, false) => match (call.span.earliest_ms.checked_add(ttl), call.span.latest_ms.checked_add(ttl)) {
            (Some(earliest_ms), Some(latest_ms)) => Some(Deadline { earliest_ms, latest_ms }),
            _ => {
                // Real servers make something of the sum that has wrapped around.
                let refused: Plan = Refusal::new(Clause::RESTORE_7, INVALID_TTL).into();
                return Ok(match value_of(call, payload) {
                    Ok(value) => {
                        let put = put(call, &options, Some(crate::expire::SOME_DEADLINE), value);
                        refused.or_erratum(Erratum::E_13, Allowed::ok(), put)
                    }
                    // They come to look at the payload, and may refuse that.
                    Err(Unreadable::Refused(payload)) => {
                        refused.or_erratum(Erratum::E_13, Plan::from(payload).allowed, Vec::new())
                    }
                    Err(_) => refused,
                });
            }
        },
    };
    let value = match value_of(call, payload) {
        Ok(value) => value,
        Err(Unreadable::Refused(refusal)) => return Err(refusal),
        Err(Unreadable::OtherType) => {
            return Ok(Plan::new(Clause::RESTORE_10, Allowed::Unspecified(Clause::RESTORE_10)));
        }
        Err(Unreadable::TakenBy(erratum, clause, value)) => {
            let refused: Plan = Refusal::new(clause, BAD_DATA).into();
            return Ok(refused.or_erratum(erratum, Allowed::ok(), put(call, &options, deadline, value)));
        }
    };
    call.cite(clause_of_deadline(ttl));
    let mut plan = Plan::ok(Clause::RESTORE_10);
    plan.changes = put(call, &options, deadline, value);
    plan.propagation = propagation(call, &options, ttl);
    Ok(plan)
}

fn clause_of_deadline(ttl: i64) -> Clause {
    if ttl == 0 { Clause::RESTORE_11 } else { Clause::RESTORE_12 }
}

fn put(call: &Call<'_>, options: &Options, deadline: Option<Deadline>, value: Value) -> Vec<Change> {
    let (db, key) = (call.db(), call.args[1].to_vec());
    let expiry = deadline.map_or(Expiry::Clear, Expiry::Set);
    let mut changes =
        vec![Change::Remove { db, key: key.clone() }, Change::Put { db, key: key.clone(), value, expiry }];
    // [RESTORE-13] [RESTORE-14]
    let counts_frequency = call.model.server.counts_frequency();
    let last = match options.idle_seconds {
        _ if counts_frequency => Access::UNKNOWN,
        Some(seconds) => last_use(seconds, call.span),
        None => call.span,
    };
    let most_frequent = match options.frequency {
        Some(frequency) if counts_frequency => u8::try_from(frequency).unwrap_or(u8::MAX),
        _ => u8::MAX,
    };
    changes.push(Change::SetAccess { db, key, access: Access { last, most_frequent } });
    changes
}

/// Why a payload holds no value.
enum Unreadable {
    Refused(Refusal),
    /// A module's value, whole or not.
    OtherType,
    /// The clause that refuses it, and what a real server makes of it.
    TakenBy(Erratum, Clause, Value),
}

/// The value of a payload. [RESTORE-8] [RESTORE-9] [RESTORE-15] [RESTORE-16]
fn value_of(call: &Call<'_>, payload: &[u8]) -> Result<Value, Unreadable> {
    let Some(body) = rdb::payload(payload) else {
        let line = "ERR DUMP payload version or checksum are wrong";
        return Err(Unreadable::Refused(Refusal::new(Clause::RESTORE_8, line)));
    };
    let server = &call.model.server;
    let loaded = |content: Content, form: ValueType| {
        loading::loaded(content, form, &server.thresholds(), server.shares_integers())
    };
    match rdb::value_of_payload(body) {
        Ok((form, content, _)) if content.is_empty_collection() => {
            Err(Unreadable::TakenBy(Erratum::E_72, Clause::RDBVAL_8, loaded(content, form)))
        }
        Ok((form, content, _)) => Ok(loaded(content, form)),
        Err(rdb::RdbError { kind: rdb::RdbErrorKind::OtherType(_), .. }) => Err(Unreadable::OtherType),
        Err(error) => {
            let truncated = matches!(error.kind, rdb::RdbErrorKind::Truncated { .. });
            match rdb::value_of_payload(payload) {
                // Real servers take the footer for data.
                Ok((form, content, _)) if truncated => {
                    Err(Unreadable::TakenBy(Erratum::E_12, Clause::RESTORE_9, loaded(content, form)))
                }
                _ => Err(Unreadable::Refused(Refusal::new(Clause::RESTORE_9, BAD_DATA))),
            }
        }
    }
}

/// [RESTORE-18]
fn propagation(call: &Call<'_>, options: &Options, ttl: i64) -> Propagation {
    if ttl == 0 || options.absolute {
        return Propagation::Verbatim;
    }
    if call.span.earliest_ms != call.span.latest_ms {
        return Propagation::Unspecified;
    }
    let mut command: Vec<Bytes> = vec![b"RESTORE".to_vec(), call.args[1].to_vec()];
    command.push((call.span.earliest_ms + ttl).to_string().into_bytes());
    command.push(call.args[3].to_vec());
    command.push(b"ABSTTL".to_vec());
    if options.replace {
        command.push(b"REPLACE".to_vec());
    }
    for (name, value) in [("IDLETIME", options.idle_seconds), ("FREQ", options.frequency)] {
        if let Some(value) = value {
            command.push(name.as_bytes().to_vec());
            command.push(value.to_string().into_bytes());
        }
    }
    let commands = vec![command];
    Propagation::Instead { aof: commands.clone(), replicas: Some(commands) }
}
