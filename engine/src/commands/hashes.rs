//! Hashes: fields set, read, counted and scanned.

use super::scan::{self, Options};
use super::{Context, Refusal, until_nul};
use crate::long_double::LongDouble;
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::propagation::Targets;
use crate::resp::{Args, Reply};
use crate::structures::ziplist::Value;
use crate::values::{Collection, Hash, HashLimits};

impl Context<'_> {
    fn hash_limits(&self) -> HashLimits {
        HashLimits::new(&self.server.config, self.server.keyspace.hash_key())
    }

    /// Changes the hash at a key, an empty one where there is none.
    fn change_hash<R>(&mut self, key: &[u8], change: impl FnOnce(&mut Hash, &HashLimits) -> R) -> Result<R, Refusal> {
        let limits = self.hash_limits();
        if let Some(mut object) = self.lookup_write(key) {
            return Ok(change(&mut *object.hash()?, &limits));
        }
        let mut hash = Hash::new();
        let result = change(&mut hash, &limits);
        self.add_collection(key, Collection::Hash(hash));
        Ok(result)
    }

    /// Reads the hash at a key, with the writer of the reply; an absent key gives `None`.
    fn read_hash(&mut self, key: &[u8]) -> Result<(Option<&Hash>, Reply<'_>), Refusal> {
        let (found, reply) = self.read(key);
        match found {
            Some(object) => Ok((Some(object.hash()?), reply)),
            None => Ok((None, reply)),
        }
    }
}

fn bulk(reply: &mut Reply<'_>, value: Value<'_>) {
    reply.bulk(value.text(&mut [0; I64_TEXT_MAX]));
}

/// `HSET key field value…`.
pub(crate) fn hset(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let new = set_pairs(cx, args)?;
    cx.reply().count(new);
    Ok(())
}

/// `HMSET key field value…`.
pub(crate) fn hmset(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    set_pairs(cx, args)?;
    cx.reply().ok();
    Ok(())
}

/// Sets fields; answers how many are new.
fn set_pairs(cx: &mut Context<'_>, args: &Args<'_>) -> Result<usize, Refusal> {
    if !args.len().is_multiple_of(2) {
        return Err("ERR wrong number of arguments for HMSET".into());
    }
    let key = &args[1];
    let new = cx.change_hash(key, |hash, limits| {
        hash.prepare(args.iter().skip(2), limits);
        (2..args.len()).step_by(2).filter(|&at| hash.set(&args[at], &args[at + 1], limits)).count()
    })?;
    cx.modified(key, "hset");
    Ok(new)
}

/// `HSETNX key field value`.
pub(crate) fn hsetnx(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, field, value) = (&args[1], &args[2], &args[3]);
    let stored = cx.change_hash(key, |hash, limits| {
        let absent = !hash.contains(field);
        if absent {
            hash.prepare([field, value].into_iter(), limits);
            hash.set(field, value, limits);
        }
        absent
    })?;
    if stored {
        cx.modified(key, "hset");
    }
    cx.reply().integer(i64::from(stored));
    Ok(())
}

/// `HGET key field`.
pub(crate) fn hget(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    match hash.and_then(|hash| hash.get(&args[2])) {
        Some(value) => bulk(&mut reply, value),
        None => reply.nil(),
    }
    Ok(())
}

/// `HMGET key field…`.
pub(crate) fn hmget(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.array(args.len() - 2);
    for field in args.iter().skip(2) {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => bulk(&mut reply, value),
            None => reply.nil(),
        }
    }
    Ok(())
}

/// `HGETALL key`.
pub(crate) fn hgetall(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.array(hash.map_or(0, |hash| 2 * hash.len()));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        bulk(&mut reply, field);
        bulk(&mut reply, value);
    }
    Ok(())
}

/// `HKEYS key`.
pub(crate) fn hkeys(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(field, _)| bulk(&mut reply, field));
    Ok(())
}

/// `HVALS key`.
pub(crate) fn hvals(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(_, value)| bulk(&mut reply, value));
    Ok(())
}

/// `HDEL key field…`.
pub(crate) fn hdel(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut hash = object.hash()?;
    let removed = args.iter().skip(2).filter(|field| hash.remove(field)).count();
    let emptied = hash.is_empty();
    drop(hash);
    if emptied {
        object.remove();
    }
    cx.elements_removed(key, "hdel", removed, emptied);
    cx.reply().count(removed);
    Ok(())
}

/// `HLEN key`.
pub(crate) fn hlen(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.count(hash.map_or(0, Hash::len));
    Ok(())
}

/// `HSTRLEN key field`.
pub(crate) fn hstrlen(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.count(hash.and_then(|hash| hash.get(&args[2])).map_or(0, Value::text_len));
    Ok(())
}

/// `HEXISTS key field`.
pub(crate) fn hexists(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (hash, mut reply) = cx.read_hash(&args[1])?;
    reply.integer(i64::from(hash.is_some_and(|hash| hash.contains(&args[2]))));
    Ok(())
}

/// `HINCRBY key field increment`.
pub(crate) fn hincrby(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, field) = (&args[1], &args[2]);
    let increment = parse_i64(&args[3]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let sum = cx.change_hash(key, |hash, limits| {
        let old = match hash.get(field) {
            None => 0,
            Some(Value::Int(value)) => value,
            Some(Value::Bytes(text)) => parse_i64(text).ok_or("ERR hash value is not an integer")?,
        };
        let sum = old.checked_add(increment).ok_or("ERR increment or decrement would overflow")?;
        hash.set(field, Value::Int(sum).text(&mut [0; I64_TEXT_MAX]), limits);
        Ok::<i64, &'static str>(sum)
    })??;
    cx.modified(key, "hincrby");
    cx.reply().integer(sum);
    Ok(())
}

/// Longest value that HINCRBYFLOAT takes for a number, bytes.
const NUMBER_TEXT_MAX: usize = 5119;

/// The number that a field's value is: what stands before its first zero byte, nothing being 0.
fn long_double(value: Value<'_>) -> Option<LongDouble> {
    let mut digits = [0; I64_TEXT_MAX];
    let text = value.text(&mut digits);
    if text.len() > NUMBER_TEXT_MAX {
        return None;
    }
    match until_nul(text) {
        [] => Some(LongDouble::from_i64(0)),
        number => LongDouble::parse(number),
    }
}

/// `HINCRBYFLOAT key field increment`. It is handed on as the sum, because another machine might add otherwise.
pub(crate) fn hincrbyfloat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, field) = (&args[1], &args[2]);
    let increment = LongDouble::parse(&args[3]).ok_or(Refusal::NOT_A_FLOAT)?;
    let text = cx.change_hash(key, |hash, limits| {
        let old = match hash.get(field) {
            None => LongDouble::from_i64(0),
            Some(value) => long_double(value).ok_or("ERR hash value is not a float")?,
        };
        let sum = old + increment;
        if !sum.is_finite() {
            return Err("ERR increment would produce NaN or Infinity");
        }
        let text = sum.to_string();
        hash.set(field, text.as_bytes(), limits);
        Ok(text)
    })??;
    cx.modified(key, "hincrbyfloat");
    cx.propagate_instead(Targets::ALL, &[b"HSET", key, field, text.as_bytes()]);
    cx.reply().bulk(text.as_bytes());
    Ok(())
}

/// `HSCAN key cursor [MATCH pattern] [COUNT count]`.
pub(crate) fn hscan(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let cursor = scan::parse_cursor(&args[2])?;
    let (hash, reply) = cx.read_hash(&args[1])?;
    let Some(hash) = hash else {
        scan::write_page::<&[u8]>(reply, 0, &[]);
        return Ok(());
    };
    let options = Options::parse(args, 3)?;
    let mut shown = Vec::new();
    let cursor = hash.scan(cursor, options.count, |field, value| {
        let field = field.to_vec();
        if options.matches(&field) {
            shown.extend([field, value.to_vec()]);
        }
    });
    scan::write_page(reply, cursor, &shown);
    Ok(())
}
