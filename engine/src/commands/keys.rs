//! Commands on keys whatever their values are, and on whole databases.

use super::{Context, Refusal, SILENT};
use crate::faults::{self, Fault};
use crate::glob::{self, Case};
use crate::keyspace::below;
use crate::number::parse_i64;
use crate::resp::Args;
use crate::structures::key_table::is_over;

/// `DEL key [key …]`.
pub(crate) fn del(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let mut removed = 0;
    for key in args.iter().skip(1) {
        if cx.remove(key) {
            cx.modified(key, "del");
            removed += 1;
        }
    }
    cx.reply().integer(removed);
    Ok(())
}

/// `UNLINK key [key …]`.
pub(crate) fn unlink(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    del(cx, args)
}

/// `EXISTS key [key …]`.
pub(crate) fn exists(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let found = args.iter().skip(1).filter(|key| cx.lookup_read(key).is_some()).count();
    cx.reply().count(found);
    Ok(())
}

/// `TOUCH key [key …]`: as EXISTS, whose look-ups count as uses as well.
pub(crate) fn touch(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    exists(cx, args)
}

/// `TYPE key`.
pub(crate) fn type_(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let name = cx.lookup_read_quietly(&args[1]).map_or("none", |object| object.kind().name());
    cx.reply().status(name);
    Ok(())
}

/// `RENAME key newkey`.
pub(crate) fn rename(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    give_other_name(cx, &args[1], &args[2], false)?;
    cx.reply().ok();
    Ok(())
}

/// `RENAMENX key newkey`.
pub(crate) fn renamenx(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let renamed = give_other_name(cx, &args[1], &args[2], true)?;
    cx.reply().integer(i64::from(renamed));
    Ok(())
}

/// Moves value and expiry to another key; false when `only_if_free` and there is one of that name.
fn give_other_name(cx: &mut Context<'_>, from: &[u8], to: &[u8], only_if_free: bool) -> Result<bool, Refusal> {
    if cx.lookup_write(from).is_none() {
        return Err(Refusal::NO_SUCH_KEY);
    }
    if from == to {
        return Ok(false);
    }
    let mut replaced_expiry = None;
    if let Some(replaced) = cx.lookup_write(to) {
        if only_if_free {
            return Ok(false);
        }
        replaced_expiry = replaced.view().expiry();
        replaced.remove();
    }
    let db = cx.client.db;
    let Some(mut object) = cx.detach(db, from) else { return Err(Refusal::NO_SUCH_KEY) };
    if faults::is(Fault::RenameKeepsTargetExpiry) {
        object.expiry = object.expiry.or(replaced_expiry);
    }
    cx.server.keyspace.db_mut(db).keys.attach(object.renamed(to));
    cx.server.key_is_ready(db, to);
    if faults::is(Fault::TransactionOverlooksRenamedSource) {
        cx.server.notify(Some(cx.client), db, from, "rename_from");
    } else {
        cx.touched(from, "rename_from");
    }
    cx.modified(to, "rename_to");
    Ok(true)
}

/// `MOVE key db`.
pub(crate) fn move_(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let from = cx.client.db;
    let to = parse_i64(&args[2]).and_then(|db| usize::try_from(db).ok());
    let to = to.filter(|&db| db < cx.server.keyspace.count()).ok_or(Refusal::INDEX_OUT_OF_RANGE)?;
    if from == to {
        return Err("ERR source and destination objects are the same".into());
    }
    let now_ms = cx.now_ms;
    let there = cx.lookup_write(key).is_some();
    if !there || cx.server.find(to, key, now_ms).is_some() {
        cx.reply().integer(0);
        return Ok(());
    }
    if let Some(object) = cx.detach(from, key) {
        cx.server.keyspace.db_mut(to).keys.attach(object);
        cx.server.key_is_ready(to, key);
        cx.modified(key, SILENT);
        cx.touched_in(to, key, SILENT);
    }
    cx.reply().integer(1);
    Ok(())
}

/// `SWAPDB index index`.
pub(crate) fn swapdb(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let first = parse_i64(&args[1]).ok_or("ERR invalid first DB index")?;
    let second = parse_i64(&args[2]).ok_or("ERR invalid second DB index")?;
    let count = cx.server.keyspace.count();
    let known = |db: i64| usize::try_from(db).ok().filter(|&db| db < count).ok_or("ERR DB index is out of range");
    let (first, second) = (known(first)?, known(second)?);
    if first != second {
        cx.server.keyspace.swap(first, second);
        cx.server.touch_exchanged(first, second);
    }
    cx.server.dirty = cx.server.dirty.saturating_add(1);
    cx.reply().ok();
    Ok(())
}

/// `DBSIZE`.
pub(crate) fn dbsize(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    let keys = cx.server.keyspace.db(cx.client.db).keys.len();
    cx.reply().count(keys);
    Ok(())
}

/// `KEYS pattern`. Keys that are over are left out, and left to others to remove.
pub(crate) fn keys(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let pattern = &args[1];
    let all = pattern == b"*";
    let now_ms = cx.server.expiry_now(cx.now_ms);
    let table = &cx.server.keyspace.db(cx.client.db).keys;
    let mut reply = cx.client.reply();
    let place = reply.later_array();
    let mut count = 0;
    for entry in table {
        let matches = all || glob::matches(pattern, entry.key(), Case::Sensitive);
        if matches && entry.expiry().is_none_or(|at_ms| !is_over(at_ms, now_ms)) {
            reply.bulk(entry.key());
            count += 1;
        }
    }
    reply.set_array(place, count);
    Ok(())
}

/// `RANDOMKEY`.
pub(crate) fn randomkey(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    let now_ms = cx.server.expiry_now(cx.now_ms);
    let db = cx.client.db;
    loop {
        let server = &mut *cx.server;
        let rng = &mut server.rng;
        let Some(entry) = server.keyspace.db_mut(db).keys.random(|bound| below(rng, bound)) else {
            cx.client.reply().nil();
            return Ok(());
        };
        if entry.expiry().is_none_or(|at_ms| !is_over(at_ms, now_ms)) {
            cx.client.reply().bulk(entry.key());
            return Ok(());
        }
        // The look-up removes it.
        let key = entry.key().to_vec();
        cx.exists(&key);
    }
}

/// Checks the only option of FLUSHDB and FLUSHALL. It makes no difference here: memory is released at once.
fn flush_option(args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() == 1 || (args.len() == 2 && args.is(1, "async")) { Ok(()) } else { Err(Refusal::SYNTAX) }
}

/// `FLUSHDB [ASYNC]`.
pub(crate) fn flushdb(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    flush_option(args)?;
    cx.server.touch_all_of(cx.client.db);
    let removed = cx.server.keyspace.clear_db(cx.client.db);
    cx.server.dirty = cx.server.dirty.saturating_add(removed as u64);
    cx.reply().ok();
    Ok(())
}

/// `FLUSHALL [ASYNC]`. A snapshot of what is no more is stopped, and with save points an empty one written.
pub(crate) fn flushall(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    flush_option(args)?;
    cx.server.touch_everything();
    let removed = cx.server.keyspace.clear();
    cx.reply().ok();
    cx.server.stop_background_save();
    if !cx.server.config.save.is_empty() {
        cx.server.save_for_nobody();
    }
    cx.server.dirty = cx.server.dirty.saturating_add(removed as u64 + 1);
    Ok(())
}
