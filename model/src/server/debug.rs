//! DEBUG, as far as clients can see what it does.

use std::sync::Arc;

use super::container::{help, integer, unknown_subcommand};
use super::debug_lines::{ObjectLine, Tables};
use super::digest::Sum;
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::keyspace::{Entry, Fate, Slot};
use crate::observe::Observation;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::Reply;
use crate::server::ServerChange;
use crate::value::{Encoding, Kind, StringValue, Value};

const NO_KEY: &str = "ERR no such key";
const NO_INTEGER: &str = "ERR value is not an integer or out of range";

/// DEBUG and its subcommands.
pub(crate) fn debug(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.args[1].to_ascii_lowercase();
    match (name.as_slice(), &call.args[2..]) {
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("DEBUG"))),
        (b"object" | b"sdslen" | b"ziplist" | b"htstats-key", [key]) if is_uncertain(call, key) => {
            Ok(Plan::new(Clause::DEBUG_3, Allowed::Unspecified(Clause::DEBUG_3)))
        }
        (b"object", [key]) => object(call, key),
        (b"sdslen", [key]) => sdslen(call, key),
        (b"ziplist", [key]) => match entry(call, key)?.value.encoding() {
            Encoding::Ziplist => {
                Ok(Plan::reply(Clause::DEBUG_31, Reply::Status(b"Ziplist structure printed on stdout".to_vec())))
            }
            _ => Err(Refusal::new(Clause::DEBUG_20, "ERR Not an sds encoded string.")),
        },
        (b"htstats-key", [key]) => {
            let value = &entry(call, key)?.value;
            if matches!(value.encoding(), Encoding::Hashtable | Encoding::Skiplist) {
                let tables = Tables { elements: value.len() };
                return Ok(Plan::new(Clause::DEBUG_30, Allowed::Judged(Arc::new(tables))));
            }
            let line = "ERR The value stored at the specified key is not represented using an hash table";
            Err(Refusal::new(Clause::DEBUG_19, line))
        }
        (b"sleep", [_]) => Ok(Plan::ok(Clause::DEBUG_6)),
        (b"set-active-expire", [_]) => Ok(Plan::ok(Clause::DEBUG_7)),
        (b"error", [text]) => {
            // As one_line, but a zero byte ends nothing here.
            let line = text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte });
            Ok(Plan::reply(Clause::DEBUG_8, Reply::Error(line.collect())))
        }
        (b"populate", [_] | [_, _] | [_, _, _]) => populate(call),
        (b"reload", _) => Ok(Plan::ok(Clause::DEBUG_11).with(Change::Reload)),
        (b"loadaof", []) => Ok(loadaof()),
        (b"digest", []) => Ok(digest(call)),
        (b"digest-value", keys) => Ok(digest_value(call, keys)),
        (b"htstats", [number]) => htstats(call, number),
        (b"log", [_]) => Ok(Plan::ok(Clause::DEBUG_21)),
        (b"structsize", []) => Ok(Plan::new(Clause::DEBUG_22, bulk_text("words of `name:size`"))),
        (b"change-repl-id", []) => Ok(Plan::ok(Clause::DEBUG_23)),
        (b"lua-always-replicate-commands", [number]) => {
            call.cite(Clause::EVAL_31);
            let effects = ServerChange::ReplicateEffects(begins_with_nonzero(number));
            Ok(Plan::ok(Clause::DEBUG_24).with(Change::Server(effects)))
        }
        // What ends the process may be refused, and what follows if it is not is beyond the model.
        (b"segfault" | b"panic" | b"assert" | b"restart" | b"crash-and-recover" | b"stringmatch-test", _) => {
            Ok(Plan::new(Clause::DEBUG_25, Allowed::Unspecified(Clause::DEBUG_25)))
        }
        _ => Err(unknown_subcommand(Clause::DEBUG_1, call.args[1], "DEBUG HELP.")),
    }
}

/// Whether the integer that a text begins with, as `atoi` of C reads it, is another one than 0.
fn begins_with_nonzero(text: &[u8]) -> bool {
    let digits = text.trim_ascii_start();
    let digits = digits.strip_prefix(b"-").or_else(|| digits.strip_prefix(b"+")).unwrap_or(digits);
    digits.iter().take_while(|byte| byte.is_ascii_digit()).any(|&byte| byte != b'0')
}

/// [DEBUG-3]
fn entry<'a>(call: &Call<'a>, key: &[u8]) -> Result<&'a Entry, Refusal> {
    call.ghosts(key).next().ok_or_else(|| Refusal::new(Clause::DEBUG_3, NO_KEY))
}

/// DEBUG looks behind expiry, so whether an expired key is still there cannot be told, nor which of several states it shows.
fn is_uncertain(call: &Call<'_>, key: &[u8]) -> bool {
    let uncertain = |slot: &Slot| matches!(slot, Slot::Open(_)) || slot.fate(call.span) != Fate::Alive;
    call.model.keyspace.slot(call.db(), key).is_some_and(uncertain)
}

/// [DEBUG-2] [DEBUG-4]
fn object(call: &Call<'_>, key: &[u8]) -> Result<Plan, Refusal> {
    let entry = entry(call, key)?;
    call.cite(Clause::DEBUG_4);
    if entry.value.kind() == Kind::List {
        call.cite(Clause::DEBUG_29);
    }
    let line = ObjectLine { encoding: entry.value.encoding(), elements: entry.value.len() };
    Ok(Plan::new(Clause::DEBUG_2, Allowed::Judged(Arc::new(line))))
}

/// [DEBUG-5]
fn sdslen(call: &Call<'_>, key: &[u8]) -> Result<Plan, Refusal> {
    let string = match &entry(call, key)?.value {
        Value::String(string) if string.encoding != Encoding::Int => string,
        _ => return Err(Refusal::new(Clause::DEBUG_5, "ERR Not an sds encoded string.")),
    };
    let lengths = Lengths { key: key.len(), value: string.bytes.len() };
    Ok(Plan::new(Clause::DEBUG_5, Allowed::Judged(Arc::new(lengths))))
}

#[derive(Debug)]
struct Lengths {
    key: usize,
    value: usize,
}

impl Judge for Lengths {
    fn describe(&self) -> String {
        format!("key_sds_len:{}, key_sds_avail:…, key_zmalloc: …, val_sds_len:{}, …", self.key, self.value)
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Status(line) = reply else { return Err("not a status".into()) };
        let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        let mut parts = line.split(", ");
        for (field, known) in [
            ("key_sds_len:", Some(self.key)),
            ("key_sds_avail:", None),
            ("key_zmalloc: ", None),
            ("val_sds_len:", Some(self.value)),
            ("val_sds_avail:", None),
            ("val_zmalloc: ", None),
        ] {
            let part = parts.next().ok_or_else(|| format!("no `{field}`"))?;
            let number: usize = part
                .strip_prefix(field)
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| format!("`{part}` where `{field}` is due"))?;
            if known.is_some_and(|known| known != number) {
                return Err(format!("{field} {number}"));
            }
        }
        if parts.next().is_some() { Err("more fields than due".into()) } else { Ok(()) }
    }
}

/// [DEBUG-9] [DEBUG-10]
fn populate(call: &Call<'_>) -> Result<Plan, Refusal> {
    let refused = || Refusal::new(Clause::DEBUG_10, NO_INTEGER);
    let number = |text: &&[u8]| integer(text).and_then(|number| usize::try_from(number).ok()).ok_or_else(refused);
    let count = number(&call.args[2])?;
    let prefix = call.args.get(3).copied().unwrap_or(b"key");
    let size = call.args.get(4).map(number).transpose()?.unwrap_or(0);
    let mut plan = Plan::ok(Clause::DEBUG_9);
    for index in 0..count {
        let mut key = prefix.to_vec();
        key.extend(format!(":{index}").into_bytes());
        if call.find(&key).is_some() {
            continue;
        }
        let mut bytes = format!("value:{index}").into_bytes();
        if size > 0 {
            bytes.resize(size, 0);
        }
        // The value is made as it is, without looking for an integer in it.
        let value = Value::String(StringValue::unparsed(&bytes));
        plan = plan.with(Change::Put { db: call.db(), key, value, expiry: Expiry::Clear });
    }
    Ok(plan)
}

/// [DEBUG-12] [DEBUG-13]
fn loadaof() -> Plan {
    let failed = Allowed::Checked("an error", |reply| match reply {
        Reply::Error(_) => Ok(()),
        _ => Err("another reply".into()),
    });
    let plan = Plan::new(Clause::DEBUG_12, Allowed::Either(Box::new(Allowed::ok()), Box::new(failed)));
    plan.with(Change::Observe(Observation::Loaded))
}

/// [DEBUG-14] [DEBUG-27] [DEBUG-28]
fn digest(call: &Call<'_>) -> Plan {
    let mut sum = Sum::ZERO;
    for (&number, db) in &call.model.keyspace.databases {
        if db.keys.is_empty() {
            continue;
        }
        sum.mix(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        for (key, slot) in &db.keys {
            match &**slot {
                Slot::Known(entry) if entry.fate(call.span) == Fate::Alive => sum.key(key, entry),
                // Whether the key still counts cannot be told.
                _ => return Plan::new(Clause::DEBUG_28, Allowed::Unspecified(Clause::DEBUG_28)),
            }
        }
    }
    Plan::reply(Clause::DEBUG_27, Reply::Status(sum.hex().into_bytes()))
}

/// [DEBUG-15] [DEBUG-16] [DEBUG-17] [DEBUG-32] [DEBUG-33] [DEBUG-34] [DEBUG-35]
fn digest_value(call: &Call<'_>, keys: &[&[u8]]) -> Plan {
    call.cite(Clause::DEBUG_17);
    let digest = |key: &&[u8]| {
        let mut sum = Sum::ZERO;
        if let Some(entry) = call.find(key) {
            call.cite(match entry.value.kind() {
                Kind::String => Clause::DEBUG_16,
                Kind::List => Clause::DEBUG_32,
                Kind::Set => Clause::DEBUG_33,
                Kind::Zset | Kind::Hash => Clause::DEBUG_34,
                Kind::Stream => Clause::DEBUG_35,
            });
            sum.value(entry);
        }
        Reply::Status(sum.hex().into_bytes())
    };
    Plan::reply(Clause::DEBUG_15, Reply::Array(keys.iter().map(digest).collect()))
}

/// [DEBUG-18]
fn htstats(call: &Call<'_>, number: &[u8]) -> Result<Plan, Refusal> {
    let number = integer(number).ok_or_else(|| Refusal::new(Clause::DEBUG_18, NO_INTEGER))?;
    if !usize::try_from(number).is_ok_and(|number| number < call.model.server.databases) {
        return Err(Refusal::new(Clause::DEBUG_18, "ERR Out of range database"));
    }
    let text = Allowed::Checked("the statistics of two tables", |reply| match reply {
        Reply::Bulk(text) => {
            let text = String::from_utf8_lossy(text);
            if text.starts_with("[Dictionary HT]\n") && text.contains("[Expires HT]\n") {
                Ok(())
            } else {
                Err("a section is missing".into())
            }
        }
        _ => Err("not a bulk string".into()),
    });
    Ok(Plan::new(Clause::DEBUG_18, text))
}

fn bulk_text(description: &'static str) -> Allowed {
    Allowed::Checked(description, |reply| match reply {
        Reply::Bulk(_) => Ok(()),
        _ => Err("not a bulk string".into()),
    })
}
