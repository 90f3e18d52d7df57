//! INFO: sections, fields, and what must agree with other answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Counters;
use super::container::integer;
use super::info_fields::{Kind, SECTIONS};
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::client::Killed;
use crate::keyspace::{Fate, Slot};
use crate::observe::Observation;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};

/// [INFO-1] to [INFO-5]
pub(crate) fn info(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (clause, sections) = match call.args {
        [_] => (Clause::INFO_2, default_sections()),
        [_, name] => {
            let name = name.to_ascii_lowercase();
            match name.as_slice() {
                b"default" => (Clause::INFO_2, default_sections()),
                b"all" => (Clause::INFO_3, SECTIONS.iter().map(|(name, _)| *name).collect()),
                _ => {
                    let named = |(section, _): &&(&str, _)| section.to_ascii_lowercase().as_bytes() == name;
                    (Clause::INFO_4, SECTIONS.iter().filter(named).map(|(name, _)| *name).collect())
                }
            }
        }
        _ => return Err(Refusal::new(Clause::INFO_5, "ERR syntax error")),
    };
    call.cite(Clause::INFO_7);
    let text = InfoText {
        sections,
        keyspace: keyspace(call),
        agreeing: agreeing(call),
        clients: call.model.clients.values().filter(|client| client.killed == Killed::No).count(),
        counters: call.model.server.counters.clone(),
        counts: counts(call),
    };
    call.cite(Clause::INFO_19);
    call.cite(Clause::PUBSUB_5);
    Ok(Plan::new(clause, Allowed::Judged(Arc::new(text))).with(Change::Observe(Observation::Info)))
}

/// Fields that count what connections hold. [INFO-19] [PUBSUB-5]
fn counts(call: &Call<'_>) -> Vec<(&'static str, usize)> {
    let clients = || call.model.clients.values();
    let channels: BTreeSet<&Bytes> = clients().flat_map(|client| &client.channels).collect();
    if clients().any(|client| client.killed == Killed::Perhaps) {
        return Vec::new();
    }
    vec![
        ("blocked_clients", clients().filter(|client| client.blocked.is_some()).count()),
        ("pubsub_channels", channels.len()),
        ("pubsub_patterns", clients().map(|client| client.patterns.len()).sum()),
    ]
}

fn default_sections() -> Vec<&'static str> {
    SECTIONS.iter().map(|(name, _)| *name).filter(|name| *name != "Commandstats").collect()
}

/// Least and most keys of a database, least and most with a deadline. [INFO-9] [INFO-10]
type Counts = ((usize, usize), (usize, usize));

fn keyspace(call: &Call<'_>) -> BTreeMap<usize, Counts> {
    let mut databases = BTreeMap::new();
    for (&number, db) in &call.model.keyspace.databases {
        let mut counts: Counts = ((0, 0), (0, 0));
        for slot in db.keys.values() {
            let alive = slot.fate(call.span) == Fate::Alive;
            counts.0.1 += 1;
            counts.0.0 += usize::from(alive);
            let (surely, perhaps) = match &**slot {
                Slot::Known(entry) => (alive && entry.deadline.is_some(), entry.deadline.is_some()),
                Slot::Open(_) => (false, true),
            };
            counts.1.0 += usize::from(surely);
            counts.1.1 += usize::from(perhaps);
        }
        databases.insert(number, counts);
    }
    databases
}

/// Fields that repeat a directive. [INFO-14]
fn agreeing(call: &Call<'_>) -> Vec<(&'static str, String)> {
    let configuration = &call.model.server.config;
    let mut fields = Vec::new();
    for (field, directive) in
        [("maxmemory", "maxmemory"), ("maxmemory_policy", "maxmemory-policy"), ("configured_hz", "hz")]
    {
        if let Some(value) = configuration.sure_value(directive) {
            fields.push((field, String::from_utf8_lossy(value).into_owned()));
        }
    }
    if let Some(value) = configuration.sure_value("appendonly") {
        fields.push(("aof_enabled", if value == b"yes" { "1" } else { "0" }.to_owned()));
    }
    fields
}

#[derive(Debug)]
struct InfoText {
    sections: Vec<&'static str>,
    keyspace: BTreeMap<usize, Counts>,
    agreeing: Vec<(&'static str, String)>,
    clients: usize,
    counters: Counters,
    counts: Vec<(&'static str, usize)>,
}

impl Judge for InfoText {
    fn describe(&self) -> String {
        format!("a text of the sections {}", self.sections.join(", "))
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(text) = reply else { return Err("not a bulk string".into()) };
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let sections = sections(text)?;
        let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
        if names != self.sections {
            return Err(format!("the sections are {}", names.join(", ")));
        }
        for (name, fields) in &sections {
            let mut by_name = BTreeMap::new();
            for (field, value) in fields {
                if by_name.insert(*field, *value).is_some() {
                    return Err(format!("{field} stands twice"));
                }
            }
            self.judge_fields(name, &by_name)?;
            match *name {
                "Keyspace" => self.judge_keyspace(fields)?,
                "Commandstats" => judge_commandstats(fields)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl InfoText {
    fn judge_fields(&self, section: &str, fields: &BTreeMap<&str, &str>) -> Result<(), String> {
        let due = SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, due)| due);
        for (name, kind) in due {
            let value = fields.get(name).ok_or_else(|| format!("no field {name}"))?;
            if !is_written_as(*kind, value) {
                return Err(format!("{name} is `{value}`"));
            }
            if let Some(bytes) = name.strip_suffix("_human").and_then(|name| fields.get(name)) {
                judge_human(name, bytes, value)?;
            }
        }
        for (name, value) in &self.agreeing {
            if let Some(got) = fields.get(name)
                && got != value
            {
                return Err(format!("{name} is {got} where CONFIG GET answers {value}"));
            }
        }
        if let Some(clients) = fields.get("connected_clients").and_then(|clients| clients.parse::<usize>().ok())
            && clients < self.clients
        {
            return Err(format!("only {clients} connected_clients"));
        }
        for (name, count) in &self.counts {
            if fields.get(name).is_some_and(|got| *got != count.to_string()) {
                return Err(format!("{name} is not {count}"));
            }
        }
        self.counters.judge(fields)
    }

    /// [INFO-9] [INFO-10]
    fn judge_keyspace(&self, fields: &[(&str, &str)]) -> Result<(), String> {
        let mut last = None;
        let mut missing: Vec<usize> =
            self.keyspace.iter().filter(|(_, counts)| counts.0.0 > 0).map(|(number, _)| *number).collect();
        for (name, value) in fields {
            let wrong = || format!("`{name}:{value}`");
            let number: usize = name.strip_prefix("db").and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
            if last.is_some_and(|last| last >= number) {
                return Err(format!("{} out of order", wrong()));
            }
            last = Some(number);
            missing.retain(|missing| *missing != number);
            let mut parts = value.split(',');
            let mut part = |field: &str| {
                let part =
                    parts.next().and_then(|part| part.strip_prefix(field)).and_then(|part| part.strip_prefix('='));
                part.ok_or_else(wrong)
            };
            let count = |part: &str| part.parse::<usize>().map_err(|_| wrong());
            let (keys, expires) = (count(part("keys")?)?, count(part("expires")?)?);
            // An estimate, which overflowed deadlines make negative (E-2).
            part("avg_ttl")?.parse::<i64>().map_err(|_| wrong())?;
            let (known_keys, known_expires) = self.keyspace.get(&number).copied().unwrap_or_default();
            if keys == 0 || keys < known_keys.0 || keys > known_keys.1 {
                return Err(format!("{}, of {} to {} keys", wrong(), known_keys.0, known_keys.1));
            }
            if expires < known_expires.0 || expires > known_expires.1 {
                return Err(format!("{}, of {} to {} that expire", wrong(), known_expires.0, known_expires.1));
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(number) => Err(format!("no line of database {number}")),
        }
    }
}

/// A section's name and its fields in order.
type Section<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// [INFO-1]
fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut ended = true;
    if !text.is_empty() && !text.ends_with("\r\n") {
        return Err("the last line has no end".into());
    }
    for line in text.split_terminator("\r\n") {
        if line.is_empty() {
            ended = true;
        } else if let Some(name) = line.strip_prefix("# ") {
            if !ended {
                return Err(format!("no empty line before {name}"));
            }
            ended = false;
            sections.push((name, Vec::new()));
        } else {
            // One command's name holds a colon itself: `host:`.
            let parts = if line.starts_with("cmdstat_") { line.rsplit_once(':') } else { line.split_once(':') };
            let (field, value) = parts.ok_or_else(|| format!("`{line}` is no field"))?;
            let (_, fields) = sections.last_mut().ok_or_else(|| format!("`{line}` stands in no section"))?;
            fields.push((field, value));
        }
    }
    Ok(sections)
}

/// [INFO-8]
fn is_written_as(kind: Kind, value: &str) -> bool {
    let fraction = |value: &str| value.contains('.') && value.parse::<f64>().is_ok_and(f64::is_finite);
    match kind {
        Kind::Text => true,
        Kind::Integer => integer(value.as_bytes()).is_some(),
        Kind::Fraction => fraction(value),
        Kind::Percent => value.strip_suffix('%').is_some_and(fraction),
    }
}

/// [INFO-17]
fn judge_human(name: &str, bytes: &str, human: &str) -> Result<(), String> {
    let Ok(bytes) = bytes.parse::<u64>() else { return Ok(()) };
    let mut expected = format!("{bytes}B");
    for (index, unit) in ["K", "M", "G", "T", "P"].iter().enumerate() {
        let size = 1_u64 << (10 * (index + 1));
        if bytes >= size {
            expected = format!("{:.2}{unit}", bytes as f64 / size as f64);
        }
    }
    if human == expected { Ok(()) } else { Err(format!("{name} is {human} for {bytes} bytes, not {expected}")) }
}

/// [INFO-18]
fn judge_commandstats(fields: &[(&str, &str)]) -> Result<(), String> {
    for (name, value) in fields {
        let wrong = || format!("`{name}:{value}`");
        name.strip_prefix("cmdstat_").ok_or_else(wrong)?;
        let mut parts = value.split(',');
        for field in ["calls=", "usec=", "usec_per_call="] {
            let number = parts.next().and_then(|part| part.strip_prefix(field)).ok_or_else(wrong)?;
            number.parse::<f64>().map_err(|_| wrong())?;
        }
    }
    Ok(())
}
