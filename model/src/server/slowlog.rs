//! SLOWLOG: what is logged as far as the model can tell, and what it has to look like otherwise.
//!
//! How long a command takes nobody knows beforehand. While the limit is 0 every command is logged, and none while it is
//! negative: then the log is known from the next SLOWLOG RESET on.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ServerChange;
use super::container::{help, unknown_subcommand};
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::client::ClientId;
use crate::erratum::Erratum;
use crate::model::Model;
use crate::numbers::parse_integer;
use crate::observe::Observation;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::shared::Shared;
use crate::span::Span;
use crate::strings::length;

/// Arguments that are logged, and bytes of each. [SLOWLOG-4] [SLOWLOG-5]
const MOST_ARGUMENTS: usize = 32;
const MOST_BYTES: usize = 128;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    line: Vec<Bytes>,
    /// A real server may have logged another command in its place (E-96).
    rewritten: bool,
    address: Option<Bytes>,
    name: Bytes,
    span: Span,
}

/// The log as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slowlog {
    /// The latest first.
    entries: VecDeque<Shared<Entry>>,
    /// These are all entries, and no others.
    known: bool,
    /// The id of the latest entry, once an answer told it. [SLOWLOG-3]
    latest_id: Option<i64>,
}

impl Slowlog {
    /// All entries go. [SLOWLOG-8]
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
        self.known = true;
    }

    /// Takes note of the ids in an answer.
    pub(crate) fn learn(&mut self, reply: Option<&Reply>) {
        if let (true, Some(Reply::Array(entries))) = (self.known, reply)
            && let Some(Reply::Array(parts)) = entries.first()
            && let Some(Reply::Integer(id)) = parts.first()
        {
            self.latest_id = Some(*id);
        }
    }
}

/// A line as the log shows it. [SLOWLOG-4] [SLOWLOG-5]
fn shown(line: &[&[u8]]) -> Vec<Bytes> {
    let mut shown: Vec<Bytes> = Vec::new();
    for (place, word) in line.iter().enumerate() {
        if line.len() > MOST_ARGUMENTS && place == MOST_ARGUMENTS - 1 {
            shown.push(format!("... ({} more arguments)", line.len() - place).into_bytes());
            break;
        }
        let mut text = word[..word.len().min(MOST_BYTES)].to_vec();
        if word.len() > MOST_BYTES {
            text.extend(format!("... ({} more bytes)", word.len() - MOST_BYTES).into_bytes());
        }
        shown.push(text);
    }
    shown
}

impl Slowlog {
    /// What is in it is not known any more, until it is emptied.
    pub(crate) fn lose_track(&mut self) {
        self.known = false;
        self.latest_id = None;
    }
}

impl Model {
    /// A command was executed. [SLOWLOG-1] [SLOWLOG-6]
    pub(crate) fn log_if_slow(&mut self, client: ClientId, line: &[&[u8]], rewritten: bool, span: Span) {
        let effects = self.server.config.effects();
        if effects.samples_latency {
            self.server.has_no_samples = false;
        }
        let log = &mut self.server.slowlog;
        match effects.slow_us {
            Some(..0) => return,
            Some(0) => {}
            Some(_) | None => {
                log.lose_track();
                return;
            }
        }
        if !log.known || line.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec")) {
            return;
        }
        let Some(client) = self.clients.get(&client) else { return };
        let (address, name) = (client.peer.address.clone(), client.name.clone());
        log.entries.push_front(Entry { line: shown(line), rewritten, address, name, span }.into());
        log.latest_id = log.latest_id.and_then(|id| id.checked_add(1));
        let most = self.server.config.value("slowlog-max-len").and_then(parse_integer);
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        log.entries.truncate(most);
        self.witness(Clause::SLOWLOG_1);
    }
}

/// SLOWLOG and its subcommands.
pub(crate) fn slowlog(call: &Call<'_>) -> Result<Plan, Refusal> {
    let log = &call.model.server.slowlog;
    match (call.args[1].to_ascii_lowercase().as_slice(), &call.args[2..]) {
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("SLOWLOG"))),
        (b"reset", []) => Ok(Plan::ok(Clause::SLOWLOG_8).with(Change::Server(ServerChange::ResetSlowlog))),
        (b"len", []) if log.known => Ok(Plan::integer(Clause::SLOWLOG_7, length(log.entries.len()))),
        (b"len", []) => Ok(Plan::new(Clause::SLOWLOG_7, Allowed::Within(0..=i64::MAX))),
        (b"get", [] | [_]) => get(call),
        _ => Err(unknown_subcommand(Clause::SLOWLOG_10, call.args[1], "SLOWLOG HELP.")),
    }
}

/// [SLOWLOG-2] [SLOWLOG-9]
fn get(call: &Call<'_>) -> Result<Plan, Refusal> {
    const UNASKED: i64 = 10;
    let refusal = || Refusal::new(Clause::SLOWLOG_9, "ERR value is not an integer or out of range");
    let count = match call.args.get(2) {
        Some(text) => parse_integer(text).ok_or_else(refusal)?,
        None => UNASKED,
    };
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let log = &call.model.server.slowlog;
    let entries = log.known.then(|| log.entries.iter().take(most).cloned().collect());
    for clause in [Clause::SLOWLOG_3, Clause::SLOWLOG_4, Clause::SLOWLOG_5] {
        call.cite(clause);
    }
    let judge = Text {
        entries,
        most,
        latest_id: log.latest_id,
        accepts_rewritten: call.model.has(Erratum::E_96),
        now: call.span,
    };
    Ok(Plan::new(Clause::SLOWLOG_2, Allowed::Judged(Arc::new(judge))).with(Change::Observe(Observation::Slowlog)))
}

/// What SLOWLOG GET answers.
#[derive(Debug)]
struct Text {
    /// The entries, if they are known.
    entries: Option<Vec<Shared<Entry>>>,
    most: usize,
    latest_id: Option<i64>,
    accepts_rewritten: bool,
    now: Span,
}

impl Judge for Text {
    fn describe(&self) -> String {
        match &self.entries {
            Some(entries) => {
                let lines = entries.iter().map(|entry| {
                    Reply::Array(entry.line.iter().map(|word| Reply::bulk(word.as_slice())).collect()).to_string()
                });
                format!("the slow log's {}: {}", entries.len(), lines.collect::<Vec<_>>().join(", "))
            }
            None => format!("up to {} entries of the slow log", self.most),
        }
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(got) = reply else { return Err("not an array".into()) };
        if got.len() > self.most {
            return Err(format!("{} entries, {} at most", got.len(), self.most));
        }
        let mut next_id = self.latest_id;
        for (place, entry) in got.iter().enumerate() {
            let Reply::Array(parts) = entry else { return Err("an entry is no array".into()) };
            let [
                Reply::Integer(id),
                Reply::Integer(seconds),
                Reply::Integer(micros),
                Reply::Array(line),
                Reply::Bulk(address),
                Reply::Bulk(name),
            ] = parts.as_slice()
            else {
                return Err(format!("{entry} is no entry"));
            };
            if next_id.is_some_and(|next| next != *id) {
                return Err(format!("the id is {id}"));
            }
            next_id = id.checked_sub(1);
            if *id < 0 || *micros < 0 || line.len() > MOST_ARGUMENTS {
                return Err(format!("{entry} is no entry"));
            }
            if *seconds > self.now.latest_ms.div_euclid(1000) + 1 {
                return Err(format!("{seconds} lies in the future"));
            }
            let Some(entries) = &self.entries else { continue };
            let Some(due) = entries.get(place) else { return Err(format!("{entry} was not logged")) };
            let (first, last) = (due.span.earliest_ms.div_euclid(1000), due.span.latest_ms.div_euclid(1000));
            if *seconds < first - 1 || *seconds > last + 1 {
                return Err(format!("{seconds} is not when it was executed"));
            }
            if *name != due.name {
                return Err(format!("{entry} has another client's name"));
            }
            if let Some(known) = due.address.as_ref().filter(|known| known.contains(&b':') && !known.starts_with(b"/"))
                && known != address
            {
                return Err(format!("{entry} has another client's address"));
            }
            let words = line.iter().map(|word| if let Reply::Bulk(word) = word { word.as_slice() } else { &[] });
            if !(words.eq(due.line.iter().map(Vec::as_slice)) || due.rewritten && self.accepts_rewritten) {
                return Err(format!("{entry} is another command"));
            }
        }
        match &self.entries {
            Some(entries) if entries.len() != got.len() => Err(format!("{} entries", got.len())),
            _ => Ok(()),
        }
    }
}
