//! XADD, XDEL, XTRIM and XSETID.

use std::collections::BTreeSet;

use super::{Added, Pairs, StreamEdit, StreamId, StreamValue, Trim, c_string, syntax_error};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::span::Span;
use crate::strings::length;

const NOT_ABOVE: &str = "ERR The ID specified in XADD is equal or smaller than the target stream top item";

/// A length to trim to, as it was given.
#[derive(Clone, Copy, Debug)]
struct Given {
    trim: Trim,
    /// Where the length stands among the arguments.
    at: usize,
}

/// What stands before the id of XADD.
struct Head {
    /// Where the id stands.
    id_at: usize,
    given: Option<Given>,
}

/// A length at or behind a position, with the sign before it. [XADD-8] [XADD-9]
fn length_at(call: &Call<'_>, mut at: usize) -> Result<Given, Refusal> {
    let mut whole_nodes = false;
    if at + 1 < call.args.len() {
        match c_string(call.args[at]) {
            b"~" => {
                whole_nodes = true;
                at += 1;
            }
            b"=" => at += 1,
            _ => {}
        }
    }
    let length = call.integer(at).inspect_err(|_| call.cite(Clause::XADD_8))?;
    let Ok(length) = usize::try_from(length) else {
        return Err(Refusal::new(Clause::XADD_8, "ERR The MAXLEN argument must be >= 0."));
    };
    Ok(Given { trim: Trim { length, whole_nodes }, at })
}

/// Options up to the id. [XADD-6]
fn head(call: &Call<'_>) -> Result<Head, Refusal> {
    let mut at = 2;
    let mut given = None;
    while at < call.args.len() {
        let is_option = call.args[at].eq_ignore_ascii_case(b"maxlen") && at + 1 < call.args.len();
        if !is_option {
            break;
        }
        call.cite(Clause::XADD_6);
        call.cite(Clause::XADD_9);
        let length = length_at(call, at + 1)?;
        at = length.at + 1;
        given = Some(length);
    }
    Ok(Head { id_at: at, given })
}

/// The id that `*` stands for, if the command runs at that time; `None` where none is left. [XADD-2]
fn generated(last: StreamId, now_ms: i64) -> Option<StreamId> {
    let ms = u64::try_from(now_ms).unwrap_or(0);
    if ms > last.ms { Some(StreamId { ms, seq: 0 }) } else { last.next() }
}

/// The id that a server gave for `*`: any that holds for some time within the span.
fn chosen(call: &Call<'_>, last: StreamId) -> Option<(StreamId, Allowed)> {
    let Span { earliest_ms, latest_ms } = call.span;
    let (earliest, latest) = (generated(last, earliest_ms)?, generated(last, latest_ms)?);
    if earliest == latest {
        return Some((earliest, Allowed::Exactly(Reply::Bulk(earliest.to_text()))));
    }
    let answered = match call.answer {
        Some(Reply::Bulk(text)) => StreamId::parse(text, 0),
        _ => None,
    };
    let fits = |id: &StreamId| *id == earliest || earliest < *id && *id <= latest && id.seq == 0;
    let id = answered.filter(fits).unwrap_or(earliest);
    let pool = BTreeSet::from([earliest.to_text(), id.to_text(), latest.to_text()]);
    Some((id, Allowed::OneOf(pool)))
}

pub(crate) fn xadd(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let head = head(call)?;
    let text = call.args.get(head.id_at).copied().unwrap_or_default();
    let automatic = c_string(text) == b"*";
    // An option that takes the last argument leaves none for the id, and so none for fields.
    let given_id = match call.args.get(head.id_at) {
        Some(_) if !automatic => Some(call.stream_id(text)?),
        _ => None,
    };
    let fields = call.args.get(head.id_at + 1..).unwrap_or_default();
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(Refusal::new(Clause::XADD_10, "ERR wrong number of arguments for XADD"));
    }
    if given_id == Some(StreamId::LEAST) {
        return Ok(least_id(call, key));
    }
    let empty = StreamValue::default();
    let stream = call.find_stream(key)?.unwrap_or(&empty);
    if stream.last_id == StreamId::GREATEST {
        return Err(Refusal::new(
            Clause::XADD_5,
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let (id, allowed) = match given_id {
        Some(id) => (id, Allowed::Exactly(Reply::Bulk(id.to_text()))),
        None => {
            call.cite(Clause::XADD_2);
            let Some(chosen) = chosen(call, stream.last_id) else {
                return Err(Refusal::new(Clause::XADD_3, NOT_ABOVE));
            };
            chosen
        }
    };
    if id <= stream.last_id {
        return Err(Refusal::new(Clause::XADD_3, NOT_ABOVE));
    }
    for clause in [Clause::STREAM_6, Clause::STREAMENC_2, Clause::STREAMENC_4] {
        call.cite(clause);
    }
    let pairs: Pairs = fields.chunks_exact(2).map(|pair| (pair[0].to_vec(), pair[1].to_vec())).collect();
    let one_more = call.model.profile.streams.roomy_nodes;
    let new_node = stream.begins_node(&pairs, &call.model.server.thresholds(), one_more);
    let mut plan = Plan::new(Clause::XADD_1, allowed);
    plan = plan.with(call.edit_stream(key, StreamEdit::Add { id, pairs, new_node }));
    let mut command: Vec<Bytes> = call.args.iter().map(|argument| argument.to_vec()).collect();
    command[head.id_at] = id.to_text();
    call.cite(Clause::PROPAGATION_20);
    if let Some(given) = head.given {
        call.cite(Clause::XADD_7);
        let removed = stream.trimmed(given.trim, Some(Added { new_node }));
        if removed > 0 {
            plan = plan.with(call.edit_stream(key, StreamEdit::Trim(given.trim)));
        }
        let left = stream.len() + 1 - removed;
        exact_length(call, &mut command, given, left);
    }
    plan.propagation = propagated(vec![command]);
    Ok(plan)
}

fn propagated(commands: Vec<Vec<Bytes>>) -> Propagation {
    Propagation::Instead { aof: commands.clone(), replicas: Some(commands) }
}

/// Names the entries that are left where only whole nodes were removed. [PROPAGATION-21]
fn exact_length(call: &Call<'_>, command: &mut [Bytes], given: Given, left: usize) {
    if given.trim.whole_nodes {
        call.cite(Clause::PROPAGATION_21);
        command[given.at - 1] = b"=".to_vec();
        command[given.at] = left.to_string().into_bytes();
    }
}

/// 0-0 is refused; early versions did so later, with another line, and had made the key by then. [XADD-4] (E-112)
fn least_id(call: &Call<'_>, key: &[u8]) -> Plan {
    let refused: Plan = Refusal::new(Clause::XADD_4, "ERR The ID specified in XADD must be greater than 0-0").into();
    if !call.model.has(Erratum::E_112) {
        return refused;
    }
    let (line, changes) = match call.find_stream(key) {
        Ok(Some(_)) => (Refusal::new(Clause::XADD_3, NOT_ABOVE).line, Vec::new()),
        Ok(None) => (Refusal::new(Clause::XADD_3, NOT_ABOVE).line, vec![call.edit_stream(key, StreamEdit::Make)]),
        Err(refusal) => (refusal.line, Vec::new()),
    };
    refused.or_erratum(Erratum::E_112, Allowed::Error(line), changes)
}

pub(crate) fn xdel(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let Some(stream) = call.find_stream(key)? else { return Ok(Plan::integer(Clause::XDEL_1, 0)) };
    call.cite(Clause::XDEL_2);
    let mut ids = BTreeSet::new();
    for text in &call.args[2..] {
        ids.insert(call.stream_id(text)?);
    }
    let ids: Vec<StreamId> = ids.into_iter().filter(|&id| stream.entry(id).is_some()).collect();
    let plan = Plan::integer(Clause::XDEL_1, length(ids.len()));
    if ids.is_empty() {
        return Ok(plan);
    }
    call.cite(Clause::STREAMENC_3);
    if ids.len() == stream.len() {
        call.cite(Clause::STREAM_7);
    }
    Ok(plan.with(call.edit_stream(key, StreamEdit::Delete(ids))).verbatim())
}

pub(crate) fn xtrim(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let Some(stream) = call.find_stream(key)? else { return Ok(Plan::integer(Clause::XTRIM_3, 0)) };
    let mut given = None;
    let mut at = 2;
    while at < call.args.len() {
        if !call.args[at].eq_ignore_ascii_case(b"maxlen") || at + 1 == call.args.len() {
            return Err(syntax_error(Clause::XTRIM_4));
        }
        if given.is_some() {
            call.cite(Clause::XTRIM_6);
        }
        let length = length_at(call, at + 1)?;
        at = length.at + 1;
        given = Some(length);
    }
    let Some(given) = given else {
        return Err(Refusal::new(Clause::XTRIM_5, "ERR XTRIM called without an option to trim the stream"));
    };
    let removed = stream.trimmed(given.trim, None);
    let clause = if given.trim.whole_nodes { Clause::XTRIM_2 } else { Clause::XTRIM_1 };
    let mut plan = Plan::integer(clause, length(removed));
    if removed == 0 {
        return Ok(plan);
    }
    plan = plan.with(call.edit_stream(key, StreamEdit::Trim(given.trim)));
    let mut command: Vec<Bytes> = call.args.iter().map(|argument| argument.to_vec()).collect();
    exact_length(call, &mut command, given, stream.len() - removed);
    plan.propagation = propagated(vec![command]);
    Ok(plan)
}

pub(crate) fn xsetid(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let Some(stream) = call.find_stream(key)? else { return Err(Refusal::new(Clause::XSETID_3, "ERR no such key")) };
    let id = call.stream_id(call.args[2])?;
    if stream.entries().next_back().is_some_and(|(last, _)| id < last) {
        return Err(Refusal::new(
            Clause::XSETID_2,
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    Ok(Plan::ok(Clause::XSETID_1).with(call.edit_stream(key, StreamEdit::SetLastId(id))).verbatim())
}
