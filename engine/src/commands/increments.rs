//! Counters: strings that are numbers.

use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::long_double::LongDouble;
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::object::{NewString, StringRef};
use crate::propagation::Targets;
use crate::resp::Args;

/// `INCR key`.
pub(crate) fn incr(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    change(cx, &args[1], |old| old.checked_add(1))
}

/// `DECR key`.
pub(crate) fn decr(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    change(cx, &args[1], |old| old.checked_sub(1))
}

/// `INCRBY key increment`.
pub(crate) fn incrby(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let increment = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    change(cx, &args[1], |old| old.checked_add(increment))
}

/// `DECRBY key decrement`.
pub(crate) fn decrby(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let decrement = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    change(cx, &args[1], |old| {
        if faults::is(Fault::DecrementPassesMinimum) && old.checked_sub(decrement.saturating_sub(1)) == Some(i64::MIN) {
            return Some(old.wrapping_sub(decrement));
        }
        old.checked_sub(decrement)
    })
}

/// Puts `next` of a key's integer in its place; nothing from `next` means that it would overflow.
#[inline]
fn change(cx: &mut Context<'_>, key: &[u8], next: impl FnOnce(i64) -> Option<i64>) -> Result<(), Refusal> {
    const OVERFLOW: Refusal = Refusal::Fixed("ERR increment or decrement would overflow");
    let new = match cx.lookup_write(key) {
        Some(mut object) => {
            let old = object.string()?.as_int().ok_or(Refusal::NOT_AN_INTEGER)?;
            let new = next(old).ok_or(OVERFLOW)?;
            object.overwrite(NewString::Int(new));
            new
        }
        None => {
            let new = next(0).ok_or(OVERFLOW)?;
            cx.set_string(key, NewString::Int(new));
            new
        }
    };
    cx.modified(key, "incrby");
    cx.reply().integer(new);
    Ok(())
}

/// `INCRBYFLOAT key increment`. It is handed on as the sum, because another machine might add otherwise.
pub(crate) fn incrbyfloat(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let old = match cx.lookup_write(key) {
        Some(object) => long_double(object.string()?).ok_or(Refusal::NOT_A_FLOAT)?,
        None => LongDouble::from_i64(0),
    };
    let increment = LongDouble::parse(&args[2]).ok_or(Refusal::NOT_A_FLOAT)?;
    let sum = old + increment;
    if !sum.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    let text = sum.to_string();
    let expiry = match cx.lookup_write(key) {
        Some(mut object) => {
            object.overwrite(NewString::Text(text.as_bytes()));
            object.view().expiry()
        }
        None => {
            cx.set_string(key, NewString::Text(text.as_bytes()));
            None
        }
    };
    cx.modified(key, "incrbyfloat");
    cx.propagate_instead(Targets::ALL, &[b"SET", key, text.as_bytes()]);
    if let Some(at_ms) = expiry {
        cx.propagate_instead(Targets::ALL, &[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]);
    }
    cx.reply().bulk(text.as_bytes());
    Ok(())
}

fn long_double(string: StringRef<'_>) -> Option<LongDouble> {
    match string.stored_int() {
        Some(value) => Some(LongDouble::from_i64(value)),
        None => LongDouble::parse(string.bytes(&mut [0; I64_TEXT_MAX])),
    }
}
