//! EXPIRE and its relatives, TTL, PERSIST.

use super::{Context, Refusal, SILENT};
use crate::number::{I64_TEXT_MAX, format_i64, parse_i64};
use crate::propagation::Targets;
use crate::resp::Args;

/// How a command gives a deadline.
#[derive(Clone, Copy)]
struct Deadline {
    command: &'static str,
    /// Milliseconds of its unit.
    unit_ms: i128,
    /// Counted from now.
    relative: bool,
}

/// `EXPIRE key seconds`.
pub(crate) fn expire(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    set_deadline(cx, args, Deadline { command: "expire", unit_ms: 1000, relative: true })
}

/// `PEXPIRE key milliseconds`.
pub(crate) fn pexpire(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    set_deadline(cx, args, Deadline { command: "pexpire", unit_ms: 1, relative: true })
}

/// `EXPIREAT key seconds`.
pub(crate) fn expireat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    set_deadline(cx, args, Deadline { command: "expireat", unit_ms: 1000, relative: false })
}

/// `PEXPIREAT key milliseconds`.
pub(crate) fn pexpireat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    set_deadline(cx, args, Deadline { command: "pexpireat", unit_ms: 1, relative: false })
}

fn set_deadline(cx: &mut Context<'_>, args: &Args<'_>, deadline: Deadline) -> Result<(), Refusal> {
    let key = &args[1];
    let number = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let now_ms = cx.now_ms;
    // While a dataset is loaded the clock decides nothing: a replay keeps what the AOF says.
    let loading = cx.server.loading;
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let from_ms = if deadline.relative { i128::from(now_ms) } else { 0 };
    let at_ms = i128::from(number) * deadline.unit_ms + from_ms;
    let Ok(at_ms) = i64::try_from(at_ms.max(i128::from(i64::MIN))) else {
        return Err(format!("ERR invalid expire time in {}", deadline.command).into());
    };
    if at_ms <= now_ms && !loading {
        object.remove();
        let name: &[u8] = if cx.server.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
        cx.propagate_instead(Targets::ALL, &[name, key]);
        cx.modified(key, "del");
    } else {
        object.set_expiry(at_ms);
        // Replayed later, a relative deadline would be another one.
        let mut digits = [0; I64_TEXT_MAX];
        cx.propagate_instead(Targets::AOF, &[b"PEXPIREAT", key, format_i64(at_ms, &mut digits)]);
        cx.modified(key, "expire");
    }
    cx.reply().integer(1);
    Ok(())
}

/// `TTL key`.
pub(crate) fn ttl(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    // Half a second and more is rounded up.
    time_left(cx, &args[1], |left_ms| left_ms / 1000 + i64::from(left_ms % 1000 >= 500))
}

/// `PTTL key`.
pub(crate) fn pttl(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    time_left(cx, &args[1], |left_ms| left_ms)
}

fn time_left(cx: &mut Context<'_>, key: &[u8], in_unit: fn(i64) -> i64) -> Result<(), Refusal> {
    let now_ms = cx.now_ms;
    let answer = match cx.lookup_read_quietly(key).map(|object| object.expiry()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => in_unit(at_ms.saturating_sub(now_ms).max(0)),
    };
    cx.reply().integer(answer);
    Ok(())
}

/// `PERSIST key`.
pub(crate) fn persist(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let dropped = cx.lookup_write(key).is_some_and(|mut object| object.persist());
    if dropped {
        cx.modified(key, SILENT);
    }
    cx.reply().integer(i64::from(dropped));
    Ok(())
}
