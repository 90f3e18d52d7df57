//! XGROUP, XACK and XPENDING.

use std::collections::{BTreeMap, BTreeSet};

use super::{Consumer, Group, StreamEdit, StreamId, StreamValue, ago, c_string, naming, syntax_error};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;
use crate::server::{help, unknown_subcommand};
use crate::strings::length;

fn unknown(call: &Call<'_>, clause: Clause) -> Refusal {
    unknown_subcommand(clause, call.args[1], "XGROUP HELP.")
}

/// XGROUP and its subcommands.
pub(crate) fn xgroup(call: &Call<'_>) -> Result<Plan, Refusal> {
    let subcommand = call.args[1].to_ascii_lowercase();
    let make = match call.args.get(5) {
        Some(word) if call.args.len() == 6 && subcommand == b"create" => {
            if !word.eq_ignore_ascii_case(b"mkstream") {
                return Err(unknown(call, Clause::XGROUP_10));
            }
            true
        }
        _ => false,
    };
    // [XGROUP-7] [XGROUP-8]
    let mut stream = None;
    if call.args.len() >= 4 {
        call.cite(Clause::XGROUP_7);
        stream = call.find_stream(call.args[2])?;
        if stream.is_none() && !make {
            return Err(Refusal::new(
                Clause::XGROUP_7,
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                 MKSTREAM option to create an empty stream automatically.",
            ));
        }
    }
    let empty = StreamValue::default();
    let group = match (subcommand.as_slice(), stream, call.args.get(3)) {
        (b"setid" | b"delconsumer", Some(stream), Some(name)) => {
            Some(stream.groups.get(*name).ok_or_else(|| no_group(call, name))?)
        }
        _ => None,
    };
    let stream = stream.unwrap_or(&empty);
    match (subcommand.as_slice(), &call.args[2..]) {
        (b"create", &[key, name, id] | &[key, name, id, _]) => create(call, stream, key, name, id, make),
        (b"setid", &[key, name, id]) => {
            let last_id = if c_string(id) == b"$" { stream.last_id } else { call.range_limit(id, 0)? };
            let group = Group { last_id, ..group.cloned().unwrap_or_default() };
            let change = call.edit_stream(key, StreamEdit::Group(name.to_vec(), Some(group)));
            Ok(Plan::ok(Clause::XGROUP_4).with(change).verbatim())
        }
        (b"destroy", &[key, name]) => {
            if !stream.groups.contains_key(name) {
                return Ok(Plan::integer(Clause::XGROUP_5, 0));
            }
            let change = call.edit_stream(key, StreamEdit::Group(name.to_vec(), None));
            Ok(Plan::integer(Clause::XGROUP_5, 1).with(change).verbatim())
        }
        (b"delconsumer", &[key, name, consumer]) => {
            call.cite(Clause::GROUP_3);
            let mut group = group.cloned().unwrap_or_default();
            let before = group.pending.len();
            group.pending.retain(|_, pending| pending.consumer != consumer);
            group.consumers.remove(consumer);
            let removed = before - group.pending.len();
            let change = call.edit_stream(key, StreamEdit::Group(name.to_vec(), Some(group)));
            Ok(Plan::integer(Clause::XGROUP_6, length(removed)).with(change).verbatim())
        }
        (b"help", _) => Ok(Plan::new(Clause::XGROUP_11, help("XGROUP"))),
        _ => Err(unknown(call, Clause::XGROUP_9)),
    }
}

fn no_group(call: &Call<'_>, name: &[u8]) -> Refusal {
    let parts: [&[u8]; 5] = [b"NOGROUP No such consumer group '", name, b"' for key name '", call.args[2], b"'"];
    naming(Clause::XGROUP_8, &parts)
}

fn create(
    call: &Call<'_>,
    stream: &StreamValue,
    key: &[u8],
    name: &[u8],
    id: &[u8],
    make: bool,
) -> Result<Plan, Refusal> {
    let last_id = if c_string(id) == b"$" { stream.last_id } else { call.stream_id(id)? };
    if stream.groups.contains_key(name) {
        return Err(Refusal::new(Clause::XGROUP_2, "BUSYGROUP Consumer Group name already exists"));
    }
    let clause = if make { Clause::XGROUP_3 } else { Clause::XGROUP_1 };
    let group = Group { last_id, ..Group::default() };
    let change = call.edit_stream(key, StreamEdit::Group(name.to_vec(), Some(group)));
    Ok(Plan::ok(clause).with(change).verbatim())
}

pub(crate) fn xack(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (key, name) = (call.args[1], call.args[2]);
    let group = call.find_stream(key)?.and_then(|stream| stream.groups.get(name));
    let Some(group) = group else { return Ok(Plan::integer(Clause::XACK_2, 0)) };
    call.cite(Clause::XACK_3);
    let acknowledged = |ids: &BTreeSet<StreamId>| {
        let mut group = group.clone();
        group.pending.retain(|id, _| !ids.contains(id));
        call.edit_stream(key, StreamEdit::Group(name.to_vec(), Some(group)))
    };
    let mut ids = BTreeSet::new();
    for text in &call.args[3..] {
        match call.stream_id(text) {
            Ok(id) => {
                ids.insert(id);
            }
            Err(refusal) => {
                // Real servers have removed those before it by then. (E-113)
                let plan = Plan::from(refusal.clone());
                if !ids.iter().any(|id| group.pending.contains_key(id)) {
                    return Err(refusal);
                }
                return Ok(plan.or_erratum(Erratum::E_113, Allowed::Error(refusal.line), vec![acknowledged(&ids)]));
            }
        }
    }
    ids.retain(|id| group.pending.contains_key(id));
    let plan = Plan::integer(Clause::XACK_1, length(ids.len()));
    if ids.is_empty() {
        return Ok(plan);
    }
    Ok(plan.with(acknowledged(&ids)).verbatim())
}

/// The group that XPENDING and XCLAIM are about. [XPENDING-7]
pub(super) fn pending_group<'a>(call: &Call<'a>) -> Result<(&'a StreamValue, &'a Group), Refusal> {
    let (key, name) = (call.args[1], call.args[2]);
    let stream = call.find_stream(key)?;
    let found = stream.and_then(|stream| Some((stream, stream.groups.get(name)?)));
    found.ok_or_else(|| {
        let parts: [&[u8]; 5] = [b"NOGROUP No such key '", key, b"' or consumer group '", name, b"'"];
        naming(Clause::XPENDING_7, &parts)
    })
}

pub(crate) fn xpending(call: &Call<'_>) -> Result<Plan, Refusal> {
    match call.args.len() {
        3 => summary(pending_group(call)?.1),
        6 | 7 => pending_range(call),
        _ => Err(syntax_error(Clause::XPENDING_6)),
    }
}

/// [XPENDING-1] [XPENDING-2]
fn summary(group: &Group) -> Result<Plan, Refusal> {
    let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
    for pending in group.pending.values() {
        *counts.entry(&pending.consumer).or_default() += 1;
    }
    let (Some((least, _)), Some((greatest, _))) = (group.pending.first_key_value(), group.pending.last_key_value())
    else {
        let nothing = vec![Reply::Integer(0), Reply::NilBulk, Reply::NilBulk, Reply::NilArray];
        return Ok(Plan::reply(Clause::XPENDING_2, Reply::Array(nothing)));
    };
    let consumers = counts
        .into_iter()
        .map(|(name, count)| Reply::Array(vec![Reply::bulk(name), Reply::Bulk(count.to_string().into_bytes())]))
        .collect();
    Ok(Plan::reply(
        Clause::XPENDING_1,
        Reply::Array(vec![
            Reply::Integer(length(group.pending.len())),
            Reply::Bulk(least.to_text()),
            Reply::Bulk(greatest.to_text()),
            Reply::Array(consumers),
        ]),
    ))
}

/// [XPENDING-3] to [XPENDING-6]
fn pending_range(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::XPENDING_6);
    let count = call.integer(5)?;
    let first = call.range_limit(call.args[3], 0)?;
    let last = call.range_limit(call.args[4], u64::MAX)?;
    let (_, group) = pending_group(call)?;
    let clause = match call.args.get(6) {
        _ if count <= 0 => Clause::XPENDING_4,
        Some(_) => Clause::XPENDING_5,
        None => Clause::XPENDING_3,
    };
    let is_wanted = |owner: &[u8]| call.args.get(6).is_none_or(|consumer| *consumer == owner);
    let found = group
        .pending
        .iter()
        .filter(|(id, pending)| first <= **id && **id <= last && is_wanted(&pending.consumer))
        .take(usize::try_from(count).unwrap_or(0))
        .map(|(id, pending)| {
            Allowed::Elements(vec![
                Allowed::Exactly(Reply::Bulk(id.to_text())),
                Allowed::Exactly(Reply::bulk(pending.consumer.as_slice())),
                Allowed::Within(ago(pending.delivered, call.span)),
                Allowed::Exactly(Reply::Integer(i64::try_from(pending.deliveries).unwrap_or(i64::MAX))),
            ])
        });
    let plan = Plan::new(clause, Allowed::Elements(found.collect()));
    match call.args.get(6) {
        Some(name) if call.model.profile.streams.pending_counts_as_seen && group.consumers.contains_key(*name) => {
            let mut seen = group.clone();
            seen.consumers.insert(name.to_vec(), Consumer { seen: call.span });
            Ok(plan.with(call.edit_stream(call.args[1], StreamEdit::Group(call.args[2].to_vec(), Some(seen)))))
        }
        _ => Ok(plan),
    }
}
