//! BLPOP, BRPOP, BRPOPLPUSH, BZPOPMIN, BZPOPMAX: pops that wait until there is something.

use super::zsets::write_score;
use super::{Context, Refusal, lists};
use crate::blocking::{Extreme, Wanted};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::propagation::Targets;
use crate::resp::Args;
use crate::structures::quicklist::End;

/// A number of seconds or milliseconds, `unit_ms` each, after which a command waits no more: the moment, Unix
/// milliseconds; `None` for ever.
pub(crate) fn deadline(text: &[u8], unit_ms: i64, now_ms: i64) -> Result<Option<i64>, Refusal> {
    const NO_TIMEOUT: Refusal = Refusal::Fixed("ERR timeout is not an integer or out of range");
    let timeout = parse_i64(text).ok_or(NO_TIMEOUT)?;
    match timeout {
        ..0 => Err("ERR timeout is negative".into()),
        0 => Ok(None),
        // Redis takes a moment that does not exist for one that has passed.
        _ => timeout.checked_mul(unit_ms).and_then(|ms| ms.checked_add(now_ms)).map(Some).ok_or(NO_TIMEOUT),
    }
}

/// `BLPOP key… timeout`.
pub(crate) fn blpop(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop_element(cx, args, End::Front)
}

/// `BRPOP key… timeout`.
pub(crate) fn brpop(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop_element(cx, args, End::Back)
}

fn pop_element(cx: &mut Context<'_>, args: &Args<'_>, end: End) -> Result<(), Refusal> {
    let (keys, timeout) = (1..args.len() - 1, args.len() - 1);
    let deadline = deadline(&args[timeout], 1000, cx.now_ms)?;
    for key in keys.map(|at| &args[at]) {
        let Some(object) = cx.lookup_write(key) else { continue };
        let list = object.view().list()?;
        let Some(element) = list.peek(end).map(|element| element.text(&mut [0; I64_TEXT_MAX]).to_vec()) else {
            continue;
        };
        let mut reply = cx.reply();
        reply.array(2);
        reply.bulk(key);
        reply.bulk(&element);
        lists::take_end(cx, key, end)?;
        let name: &[u8] = if end == End::Front { b"LPOP" } else { b"RPOP" };
        cx.propagate_instead(Targets::ALL, &[name, key]);
        return Ok(());
    }
    wait_for_keys(cx, args, Wanted::Element(end), deadline);
    Ok(())
}

/// `BRPOPLPUSH source destination timeout`.
pub(crate) fn brpoplpush(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let deadline = deadline(&args[3], 1000, cx.now_ms)?;
    let (source, destination) = (&args[1], &args[2]);
    if cx.lookup_write(source).is_some() {
        let dirty = cx.server.dirty;
        lists::rpoplpush(cx, args)?;
        if cx.server.dirty != dirty {
            cx.propagate_instead(Targets::ALL, &[b"RPOPLPUSH", source, destination]);
        }
        return Ok(());
    }
    if !cx.may_block() {
        cx.reply().nil();
        return Ok(());
    }
    let wanted = Wanted::Moved { destination: destination.to_vec() };
    cx.wait_for(wanted, [source].into_iter(), deadline);
    Ok(())
}

/// `BZPOPMIN key… timeout`.
pub(crate) fn bzpopmin(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop_member(cx, args, Extreme::Least)
}

/// `BZPOPMAX key… timeout`.
pub(crate) fn bzpopmax(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop_member(cx, args, Extreme::Greatest)
}

fn pop_member(cx: &mut Context<'_>, args: &Args<'_>, extreme: Extreme) -> Result<(), Refusal> {
    let (keys, timeout) = (1..args.len() - 1, args.len() - 1);
    let deadline = deadline(&args[timeout], 1000, cx.now_ms)?;
    for key in keys.map(|at| &args[at]) {
        let Some(object) = cx.lookup_write(key) else { continue };
        object.view().zset()?;
        let Some((member, score, emptied)) = cx.server.pop_member(cx.client.db, key, extreme, cx.now_ms) else {
            continue;
        };
        let mut reply = cx.reply();
        reply.array(3);
        reply.bulk(key);
        reply.bulk(&member);
        write_score(&mut reply, score);
        cx.elements_removed(key, extreme.event(), 1, emptied);
        let name: &[u8] = if extreme == Extreme::Least { b"ZPOPMIN" } else { b"ZPOPMAX" };
        cx.propagate_instead(Targets::ALL, &[name, key]);
        return Ok(());
    }
    wait_for_keys(cx, args, Wanted::Member(extreme), deadline);
    Ok(())
}

/// The client waits for all keys between the command's name and its timeout. A transaction does not wait.
fn wait_for_keys(cx: &mut Context<'_>, args: &Args<'_>, wanted: Wanted, deadline: Option<i64>) {
    if !cx.may_block() {
        cx.reply().nil_array();
        return;
    }
    let count = args.len() - 2;
    cx.wait_for(wanted, args.iter().skip(1).take(count), deadline);
}
