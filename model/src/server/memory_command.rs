//! MEMORY: what keys and the server take. The figures are the server's own; their form is fixed.

use super::container::{help, integer, unknown_subcommand};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

/// MEMORY and its subcommands.
pub(crate) fn memory(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.args[1].to_ascii_lowercase();
    match (name.as_slice(), &call.args[2..]) {
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("MEMORY"))),
        (b"usage", &[key, ref options @ ..]) => usage(call, key, options),
        (b"stats", []) => Ok(Plan::new(Clause::MEMORY_4, Allowed::Checked("pairs of figures and their names", stats))),
        (b"doctor", []) => Ok(Plan::new(Clause::MEMORY_6, Allowed::Checked("a text", text))),
        (b"malloc-stats", []) => Ok(Plan::new(Clause::MEMORY_6, Allowed::Checked("a text", text))),
        (b"purge", []) => Ok(Plan::ok(Clause::MEMORY_7)),
        _ => Err(unknown_subcommand(Clause::MEMORY_1, call.args[1], "MEMORY HELP")),
    }
}

/// [MEMORY-2] [MEMORY-3] [MEMORY-8]
fn usage(call: &Call<'_>, key: &[u8], options: &[&[u8]]) -> Result<Plan, Refusal> {
    let syntax = || Refusal::new(Clause::MEMORY_3, "ERR syntax error");
    for option in options.chunks(2) {
        let &[name, number] = option else { return Err(syntax()) };
        if !name.eq_ignore_ascii_case(b"samples") {
            return Err(syntax());
        }
        let number = integer(number);
        let number =
            number.ok_or_else(|| Refusal::new(Clause::MEMORY_3, "ERR value is not an integer or out of range"))?;
        if number < 0 {
            return Err(syntax());
        }
    }
    let bytes = Allowed::Within(1..=i64::MAX);
    if call.look(key).is_some() {
        return Ok(Plan::new(Clause::MEMORY_2, bytes));
    }
    let absent = Plan::reply(Clause::MEMORY_2, Reply::NilBulk);
    // Real servers look without regard to the deadline.
    Ok(if call.ghosts(key).next().is_some() { absent.or_erratum(Erratum::E_4, bytes, Vec::new()) } else { absent })
}

fn text(reply: &Reply) -> Result<(), String> {
    match reply {
        Reply::Bulk(_) => Ok(()),
        _ => Err("not a bulk string".into()),
    }
}

/// Names in their order; the figure of those in the second list is a fraction. [MEMORY-4] [MEMORY-5]
const FIGURES: &[&str] = &[
    "peak.allocated",
    "total.allocated",
    "startup.allocated",
    "replication.backlog",
    "clients.slaves",
    "clients.normal",
    "aof.buffer",
    "lua.caches",
    "overhead.total",
    "keys.count",
    "keys.bytes-per-key",
    "dataset.bytes",
    "dataset.percentage",
    "peak.percentage",
    "allocator.allocated",
    "allocator.active",
    "allocator.resident",
    "allocator-fragmentation.ratio",
    "allocator-fragmentation.bytes",
    "allocator-rss.ratio",
    "allocator-rss.bytes",
    "rss-overhead.ratio",
    "rss-overhead.bytes",
    "fragmentation",
    "fragmentation.bytes",
];

fn is_fraction(name: &str) -> bool {
    name.ends_with(".percentage") || name.ends_with(".ratio") || name == "fragmentation"
}

fn stats(reply: &Reply) -> Result<(), String> {
    let Reply::Array(parts) = reply else { return Err("not an array".into()) };
    let mut due = FIGURES.iter();
    for pair in parts.chunks(2) {
        let [Reply::Bulk(name), figure] = pair else { return Err("a name is missing".into()) };
        let name = String::from_utf8_lossy(name);
        if name.starts_with("db.") {
            database(&name, figure)?;
            continue;
        }
        if due.next() != Some(&name.as_ref()) {
            return Err(format!("`{name}` is not in its place"));
        }
        let fits = match figure {
            Reply::Integer(_) => !is_fraction(&name),
            Reply::Bulk(text) => is_fraction(&name) && is_number(text),
            _ => false,
        };
        if !fits {
            return Err(format!("{name} is {figure}"));
        }
    }
    due.next().map_or(Ok(()), |name| Err(format!("{name} is missing")))
}

fn is_number(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok())
}

fn database(name: &str, figures: &Reply) -> Result<(), String> {
    let tables = [&b"overhead.hashtable.main"[..], b"overhead.hashtable.expires"].map(Reply::bulk);
    match figures {
        Reply::Array(parts) => match parts.as_slice() {
            [main, Reply::Integer(_), expires, Reply::Integer(_)] if [main, expires] == [&tables[0], &tables[1]] => {
                Ok(())
            }
            _ => Err(format!("{name} is {figures}")),
        },
        _ => Err(format!("{name} is no array")),
    }
}
