//! Sets: members put in, taken out, looked for, and drawn by chance.

use std::collections::BTreeSet;

use rand_chacha::rand_core::Rng as _;

use super::scan::{self, Options};
use super::{Context, Refusal};
use crate::chance::Chance;
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::propagation::Targets;
use crate::resp::{Args, Reply};
use crate::structures::ziplist::Value;
use crate::values::{Collection, Set};

/// Most members that a reply with repetitions is made of: client libraries take no longer arrays, and the memory that one
/// takes has nothing to do with the size of the set.
const REPETITIONS_MAX: u64 = i32::MAX as u64;
/// A set of `size` members from which `count` are to be popped is built anew from what remains when `count` is more than
/// this many times what remains.
const REBUILD_RATIO: usize = 5;

/// Writes a member of a set.
pub(super) fn write_member(reply: &mut Reply<'_>, member: Value<'_>) {
    reply.bulk(member.text(&mut [0; I64_TEXT_MAX]));
}

/// `SADD key member [member …]`.
pub(crate) fn sadd(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let limits = cx.set_limits();
    let added = match cx.lookup_write(key) {
        Some(mut object) => {
            let mut set = object.set()?;
            args.iter().skip(2).filter(|member| set.insert(member, &limits)).count()
        }
        None => {
            let mut set = Set::beginning_with(&args[2], &limits);
            let added = args.iter().skip(2).filter(|member| set.insert(member, &limits)).count();
            cx.add_collection(key, Collection::Set(set));
            added
        }
    };
    if added > 0 {
        cx.modified_times(key, "sadd", added);
    }
    cx.reply().count(added);
    Ok(())
}

/// `SREM key member [member …]`.
pub(crate) fn srem(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut set = object.set()?;
    let mut removed = 0;
    for member in args.iter().skip(2) {
        removed += usize::from(set.remove(member));
        if set.is_empty() {
            break;
        }
    }
    let emptied = set.is_empty();
    drop(set);
    if emptied {
        object.remove();
    }
    cx.elements_removed(key, "srem", removed, emptied);
    cx.reply().count(removed);
    Ok(())
}

/// `SMOVE source destination member`.
pub(crate) fn smove(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (source, destination, member) = (&args[1], &args[2], &args[3]);
    let limits = cx.set_limits();
    let there = cx.lookup_write(source).map(|mut object| object.set().map(|set| set.contains(member)));
    let destination_is_set = cx.lookup_write(destination).map(|mut object| object.set().map(drop));
    let Some(there) = there else {
        cx.reply().integer(0);
        return Ok(());
    };
    let there = there?;
    destination_is_set.transpose()?;
    if !there || source == destination {
        cx.reply().integer(i64::from(there));
        return Ok(());
    }
    let mut emptied = false;
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    if let Some(mut object) = cx.server.find(db, source, now_ms) {
        let mut set = object.set()?;
        set.remove(member);
        emptied = set.is_empty();
        drop(set);
        if emptied {
            object.remove();
        }
    }
    cx.elements_removed(source, "srem", 1, emptied);
    let added = match cx.server.find(db, destination, now_ms) {
        Some(mut object) => object.set()?.insert(member, &limits),
        None => {
            let mut set = Set::beginning_with(member, &limits);
            set.insert(member, &limits);
            cx.add_collection(destination, Collection::Set(set));
            true
        }
    };
    if added {
        cx.modified(destination, "sadd");
    } else {
        cx.touched(destination, if faults::is(Fault::NotifySmoveTellsOfNothing) { "sadd" } else { super::SILENT });
    }
    cx.reply().integer(1);
    Ok(())
}

/// `SISMEMBER key member`.
pub(crate) fn sismember(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let there = match found {
        Some(object) => object.set()?.contains(&args[2]),
        None => false,
    };
    reply.integer(i64::from(there));
    Ok(())
}

/// `SCARD key`.
pub(crate) fn scard(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let members = match found {
        Some(object) => object.set()?.len(),
        None => 0,
    };
    reply.count(members);
    Ok(())
}

/// Writes all members as an array.
pub(super) fn write_all(reply: &mut Reply<'_>, set: &Set) {
    reply.array(set.len());
    for member in set.iter() {
        write_member(reply, member);
    }
}

/// Reads the count of a command that has one.
fn parse_count(text: &[u8]) -> Result<i64, Refusal> {
    parse_i64(text).ok_or(Refusal::NOT_AN_INTEGER)
}

/// `SRANDMEMBER key [count]`.
pub(crate) fn srandmember(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() > 3 {
        return Err(Refusal::SYNTAX);
    }
    let mut chance = Chance::new(cx.server.rng.next_u64());
    if args.len() == 2 {
        let (found, mut reply) = cx.read(&args[1]);
        match found {
            Some(object) => match object.set()?.pick(&mut chance) {
                Some(member) => write_member(&mut reply, member),
                None => reply.nil(),
            },
            None => reply.nil(),
        }
        return Ok(());
    }
    let count = parse_count(&args[2])?;
    let wanted = count.unsigned_abs();
    if count < 0 && wanted > REPETITIONS_MAX {
        return Err("ERR value is out of range".into());
    }
    let (found, mut reply) = cx.read(&args[1]);
    let set = match found {
        Some(object) => object.set()?,
        None => {
            reply.array(0);
            return Ok(());
        }
    };
    if count < 0 {
        reply.array(wanted as usize);
        for _ in 0..wanted {
            if let Some(member) = set.pick(&mut chance) {
                write_member(&mut reply, member);
            }
        }
        return Ok(());
    }
    if wanted >= set.len() as u64 && wanted > 0 {
        write_all(&mut reply, set);
        // The whole set is looked up once more, which shows in the count of hits.
        cx.server.stats.keyspace_hits += 1;
        return Ok(());
    }
    let drawn = draw(set, wanted as usize, &mut chance);
    reply.array(drawn.len());
    for member in drawn {
        write_member(&mut reply, member);
    }
    Ok(())
}

/// Draws `count` different members of a set that has more: every choice is equally likely.
fn draw<'a>(set: &'a Set, count: usize, chance: &mut Chance) -> Vec<Value<'a>> {
    // While less than half of the set is drawn, less than half of the draws meet what was drawn before.
    if count <= set.len() / 2 {
        let mut drawn = Vec::with_capacity(count);
        let mut seen = BTreeSet::new();
        while drawn.len() < count {
            let Some(member) = set.pick(chance) else { break };
            let key = match member {
                Value::Int(value) => (value, &[][..]),
                Value::Bytes(bytes) => (0, bytes),
            };
            if seen.insert(key) {
                drawn.push(member);
            }
        }
        return drawn;
    }
    let mut members: Vec<Value<'a>> = set.iter().collect();
    for place in 0..count {
        let other = place + chance.index(members.len() - place);
        members.swap(place, other);
    }
    members.truncate(count);
    members
}

/// `SPOP key [count]`. It is handed on as the removal of the members that it popped.
pub(crate) fn spop(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match args.len() {
        2 => pop_one(cx, &args[1]),
        3 => pop_many(cx, &args[1], &args[2]),
        _ => Err(Refusal::SYNTAX),
    }
}

fn pop_one(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let mut chance = Chance::new(cx.server.rng.next_u64());
    let (found, mut reply) = cx.write(key);
    let Some(mut object) = found else {
        reply.nil();
        return Ok(());
    };
    let mut set = object.set()?;
    let popped = set.pick(&mut chance).map(Value::to_vec).unwrap_or_default();
    set.remove(&popped);
    let emptied = set.is_empty();
    drop(set);
    if emptied {
        object.remove();
    }
    reply.bulk(&popped);
    cx.elements_removed(key, "spop", 1, emptied);
    cx.propagate_instead(Targets::ALL, &[b"SREM", key, &popped]);
    Ok(())
}

fn pop_many(cx: &mut Context<'_>, key: &[u8], count: &[u8]) -> Result<(), Refusal> {
    let count = usize::try_from(parse_count(count)?).map_err(|_| Refusal::INDEX_OUT_OF_RANGE)?;
    let mut chance = Chance::new(cx.server.rng.next_u64());
    let limits = cx.set_limits();
    let (found, mut reply) = cx.read(key);
    let set = match found {
        Some(object) => object.set()?,
        None => {
            reply.array(0);
            return Ok(());
        }
    };
    let size = set.len();
    if count == 0 {
        reply.array(0);
        return Ok(());
    }
    if count >= size {
        write_all(&mut reply, set);
        cx.server.stats.keyspace_hits += 1;
        cx.remove(key);
        // Redis counts as many changes as were asked for, which overflows its counter; here it is the members there were.
        cx.modified_times(key, "spop", size + 1);
        cx.touched(key, "del");
        cx.propagate_instead(Targets::ALL, &[b"DEL", key]);
        return Ok(());
    }
    let popped: Vec<Vec<u8>> = draw(set, count, &mut chance).into_iter().map(Value::to_vec).collect();
    let remaining = size - count;
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    let mut found = cx.server.find(db, key, now_ms);
    if let Some(object) = &mut found {
        let mut set = object.set()?;
        for member in &popped {
            set.remove(member);
        }
        if remaining * REBUILD_RATIO <= count && !faults::is(Fault::SpopKeepsEncoding) {
            // What remains goes into a new set, which may be an intset again.
            let mut rebuilt = Set::new();
            for member in set.iter() {
                rebuilt.insert_value(member, &limits);
            }
            *set = rebuilt;
        }
    }
    let mut reply = cx.client.reply();
    reply.array(popped.len());
    for member in &popped {
        reply.bulk(member);
    }
    for member in &popped {
        cx.propagate_instead(Targets::ALL, &[b"SREM", key, member]);
    }
    cx.modified_times(key, "spop", count + 1);
    Ok(())
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]`.
pub(crate) fn sscan(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let cursor = scan::parse_cursor(&args[2])?;
    let (found, reply) = cx.read(&args[1]);
    let Some(object) = found else {
        scan::write_page::<&[u8]>(reply, 0, &[]);
        return Ok(());
    };
    let set = object.set()?;
    let options = Options::parse(args, 3)?;
    let mut members = Vec::new();
    let cursor = set.scan(cursor, options.count, |member| members.push(member.to_vec()));
    members.retain(|member| options.matches(member));
    scan::write_page(reply, cursor, &members);
    Ok(())
}
