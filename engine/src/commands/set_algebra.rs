//! Intersections, unions and differences of sets, answered or stored.
//!
//! The sources are looked up one after the other, in the order of the arguments, before anything is computed; a source
//! that is no set refuses the whole, unless an intersection met a missing one before and is over.

use super::sets::{write_all, write_member};
use super::{Context, Refusal};
use crate::resp::Args;
use crate::structures::ziplist::Value;
use crate::values::{Collection, Set};

/// `SMEMBERS key`: the intersection of one set.
pub(crate) fn smembers(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    answer_intersection(cx, args)
}

/// `SINTER key [key …]`.
pub(crate) fn sinter(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    answer_intersection(cx, args)
}

/// The sources of a command from argument `from` on that exist; nothing once one does not, if `all` are needed.
fn sources<'a>(
    cx: &mut Context<'_>,
    args: &Args<'a>,
    from: usize,
    stored: bool,
    all: bool,
) -> Result<Option<Vec<Option<&'a [u8]>>>, Refusal> {
    let mut keys = Vec::with_capacity(args.len() - from);
    for key in (from..args.len()).filter_map(|at| args.get(at)) {
        let found = if stored {
            cx.lookup_write(key).map(|mut object| object.set().map(drop))
        } else {
            cx.lookup_read(key).map(|object| object.set().map(drop))
        };
        if all && found.is_none() {
            return Ok(None);
        }
        let there = found.transpose()?.is_some();
        keys.push(there.then_some(key));
    }
    Ok(Some(keys))
}

/// The sets at these keys.
fn sets<'a>(cx: &'a Context<'_>, keys: &[Option<&[u8]>]) -> Vec<Option<&'a Set>> {
    keys.iter().map(|key| key.and_then(|key| cx.peek(key)?.set().ok())).collect()
}

/// Gives every member of all sets to `found`.
fn intersect<'a>(sets: &[Option<&'a Set>], mut found: impl FnMut(Value<'a>)) {
    let mut sets: Vec<&Set> = sets.iter().copied().flatten().collect();
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        if others.iter().all(|set| std::ptr::eq(*set, *smallest) || set.contains_value(member)) {
            found(member);
        }
    }
}

fn answer_intersection(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let Some(keys) = sources(cx, args, 1, false, true)? else {
        cx.reply().array(0);
        return Ok(());
    };
    let table = &cx.server.keyspace.db(cx.client.db).keys;
    let sets: Vec<Option<&Set>> =
        keys.iter().map(|key| key.and_then(|key| crate::object::ObjectRef::new(table.peek(key)?).set().ok())).collect();
    let mut reply = cx.client.reply();
    if let [Some(set)] = sets[..] {
        write_all(&mut reply, set);
        return Ok(());
    }
    let place = reply.later_array();
    let mut count = 0;
    intersect(&sets, |member| {
        write_member(&mut reply, member);
        count += 1;
    });
    reply.set_array(place, count);
    Ok(())
}

/// `SINTERSTORE destination key [key …]`.
pub(crate) fn sinterstore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let target = &args[1];
    let limits = cx.set_limits();
    let Some(keys) = sources(cx, args, 2, true, true)? else {
        // Nothing is computed.
        if cx.remove(target) {
            cx.modified(target, "del");
        }
        cx.reply().integer(0);
        return Ok(());
    };
    let mut result = Set::new();
    intersect(&sets(cx, &keys), |member| {
        result.insert_value(member, &limits);
    });
    store(cx, target, result, "sinterstore");
    Ok(())
}

/// `SUNION key [key …]`.
pub(crate) fn sunion(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let result = union(cx, args, 1, false)?;
    write_all(&mut cx.reply(), &result);
    Ok(())
}

/// `SUNIONSTORE destination key [key …]`.
pub(crate) fn sunionstore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let result = union(cx, args, 2, true)?;
    store(cx, &args[1], result, "sunionstore");
    Ok(())
}

fn union(cx: &mut Context<'_>, args: &Args<'_>, from: usize, stored: bool) -> Result<Set, Refusal> {
    let limits = cx.set_limits();
    let keys = sources(cx, args, from, stored, false)?.unwrap_or_default();
    let mut result = Set::new();
    for set in sets(cx, &keys).into_iter().flatten() {
        for member in set.iter() {
            result.insert_value(member, &limits);
        }
    }
    Ok(result)
}

/// `SDIFF key [key …]`.
pub(crate) fn sdiff(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let result = difference(cx, args, 1, false)?;
    write_all(&mut cx.reply(), &result);
    Ok(())
}

/// `SDIFFSTORE destination key [key …]`.
pub(crate) fn sdiffstore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let result = difference(cx, args, 2, true)?;
    store(cx, &args[1], result, "sdiffstore");
    Ok(())
}

/// The members of the first set that are in no other.
///
/// Redis has two ways, and which one it takes shows in the encoding of what is stored: it looks each member of the first
/// set up in all others, or, where that is more work, it copies the first set and takes the members of the others out of
/// the copy, which does not become an intset again.
fn difference(cx: &mut Context<'_>, args: &Args<'_>, from: usize, stored: bool) -> Result<Set, Refusal> {
    let limits = cx.set_limits();
    let keys = sources(cx, args, from, stored, false)?.unwrap_or_default();
    let sets = sets(cx, &keys);
    let Some((Some(first), others)) = sets.split_first() else { return Ok(Set::new()) };
    let mut others: Vec<&Set> = others.iter().copied().flatten().collect();
    let looking_up = first.len() * (others.len() + 1) / 2;
    let copying = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if looking_up > copying {
        let mut result = Set::new();
        for member in first.iter() {
            result.insert_value(member, &limits);
        }
        remove_all(&mut result, &others);
        return Ok(result);
    }
    let mut result = Set::new();
    // The largest sets are the likeliest to hold a member.
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    if others.iter().any(|set| std::ptr::eq(*set, *first)) {
        return Ok(result);
    }
    for member in first.iter() {
        if !others.iter().any(|set| set.contains_value(member)) {
            result.insert_value(member, &limits);
        }
    }
    Ok(result)
}

fn remove_all(result: &mut Set, others: &[&Set]) {
    for set in others {
        for member in set.iter() {
            if result.is_empty() {
                return;
            }
            result.remove_value(member);
        }
    }
}

/// Puts a result in the target's place, and answers how many members it has.
fn store(cx: &mut Context<'_>, target: &[u8], result: Set, event: &'static str) {
    let members = result.len();
    let existed = cx.remove(target);
    if members > 0 {
        cx.add_collection(target, Collection::Set(result));
        cx.modified(target, event);
    } else if existed {
        cx.modified(target, "del");
    } else {
        // Redis counts a change all the same; nobody's key was touched.
        cx.server.dirty = cx.server.dirty.saturating_add(1);
    }
    cx.reply().count(members);
}
