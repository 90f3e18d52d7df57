//! Strings: stored, read, and changed in part.

use std::ops::Range;

use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::object::NewString;
use crate::propagation::Targets;
use crate::resp::Args;

/// Longest string, bytes.
pub(crate) const STRING_MAX: usize = 512 * 1024 * 1024;

const TOO_LONG: Refusal = Refusal::Fixed("ERR string exceeds maximum allowed size (512MB)");

/// Units of a time to live.
#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// What SET does besides storing.
#[derive(Clone, Copy, Default)]
struct SetOptions<'a> {
    /// Only a key that does not exist.
    nx: bool,
    /// Only a key that exists.
    xx: bool,
    time_to_live: Option<(&'a [u8], Unit)>,
}

impl<'a> SetOptions<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let (mut seconds, mut milliseconds) = (false, false);
        let mut at = 3;
        while at < args.len() {
            let next = args.get(at + 1);
            if args.is(at, "nx") && !options.xx {
                options.nx = true;
            } else if args.is(at, "xx") && !options.nx {
                options.xx = true;
            } else if let Some(time) = next.filter(|_| args.is(at, "ex") && !milliseconds) {
                seconds = true;
                options.time_to_live = Some((time, Unit::Seconds));
                at += 1;
            } else if let Some(time) = next.filter(|_| args.is(at, "px") && !seconds) {
                milliseconds = true;
                options.time_to_live = Some((time, Unit::Milliseconds));
                at += 1;
            } else {
                return Err(Refusal::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

/// `SET key value [NX|XX] [EX seconds|PX milliseconds]`.
pub(crate) fn set(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() == 3 {
        cx.set_string(&args[1], NewString::Bytes(&args[2]));
        cx.modified(&args[1], "set");
        cx.reply().ok();
        return Ok(());
    }
    let options = SetOptions::parse(args)?;
    if store(cx, &args[1], &args[2], options, "set")? {
        cx.reply().ok();
    } else {
        cx.reply().nil();
    }
    Ok(())
}

/// `SETEX key seconds value`.
pub(crate) fn setex(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    store_for_a_time(cx, args, Unit::Seconds, "setex")
}

/// `PSETEX key milliseconds value`.
pub(crate) fn psetex(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    store_for_a_time(cx, args, Unit::Milliseconds, "psetex")
}

fn store_for_a_time(cx: &mut Context<'_>, args: &Args<'_>, unit: Unit, command: &str) -> Result<(), Refusal> {
    let options = SetOptions { time_to_live: Some((&args[2], unit)), ..SetOptions::default() };
    store(cx, &args[1], &args[3], options, command)?;
    cx.reply().ok();
    Ok(())
}

/// Stores with options; false when NX or XX forbade it. The AOF gets the value and the deadline apart, so that loading it
/// later gives the same; replicas get the command as it came.
fn store(
    cx: &mut Context<'_>,
    key: &[u8],
    value: &[u8],
    options: SetOptions<'_>,
    command: &str,
) -> Result<bool, Refusal> {
    let deadline_ms = match options.time_to_live {
        Some((text, unit)) => Some(deadline(cx.now_ms, text, unit, command)?),
        None => None,
    };
    if (options.nx || options.xx) && cx.lookup_write(key).is_some() == options.nx {
        return Ok(false);
    }
    if options.xx && faults::is(Fault::SetXxKeepsExpiry) {
        cx.overwrite_keeping_expiry(key, NewString::Bytes(value));
    } else {
        cx.set_string(key, NewString::Bytes(value));
    }
    cx.modified(key, "set");
    cx.propagate_instead(Targets::AOF, &[b"SET", key, value]);
    if let Some(deadline_ms) = deadline_ms {
        cx.set_expiry(key, deadline_ms);
        cx.propagate_instead(Targets::AOF, &[b"PEXPIREAT", key, deadline_ms.to_string().as_bytes()]);
        cx.touched(key, "expire");
    }
    Ok(true)
}

/// When a time to live that begins now ends, Unix milliseconds.
fn deadline(now_ms: i64, text: &[u8], unit: Unit, command: &str) -> Result<i64, Refusal> {
    let time = parse_i64(text).ok_or(Refusal::NOT_AN_INTEGER)?;
    let milliseconds = match unit {
        Unit::Seconds => time.checked_mul(1000),
        Unit::Milliseconds => Some(time),
    };
    let deadline = milliseconds.filter(|_| time > 0).and_then(|milliseconds| now_ms.checked_add(milliseconds));
    deadline.ok_or_else(|| format!("ERR invalid expire time in {command}").into())
}

/// `SETNX key value`.
pub(crate) fn setnx(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if cx.lookup_write(&args[1]).is_some() {
        cx.reply().integer(0);
        return Ok(());
    }
    cx.set_string(&args[1], NewString::Bytes(&args[2]));
    cx.modified(&args[1], "set");
    cx.reply().integer(1);
    Ok(())
}

/// `GET key`.
pub(crate) fn get(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    match found {
        Some(object) => reply.bulk(object.string()?.bytes(&mut [0; I64_TEXT_MAX])),
        None => reply.nil(),
    }
    Ok(())
}

/// `GETSET key value`.
pub(crate) fn getset(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    get(cx, args)?;
    cx.set_string(&args[1], NewString::Bytes(&args[2]));
    cx.modified(&args[1], "set");
    Ok(())
}

/// `MGET key…`.
pub(crate) fn mget(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    cx.reply().array(args.len() - 1);
    for key in args.iter().skip(1) {
        let (found, mut reply) = cx.read(key);
        match found.map(|object| object.string()) {
            Some(Ok(string)) => reply.bulk(string.bytes(&mut [0; I64_TEXT_MAX])),
            Some(Err(_)) | None => reply.nil(),
        }
    }
    Ok(())
}

/// `MSET key value…`.
pub(crate) fn mset(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    check_pairs(args)?;
    store_pairs(cx, args);
    cx.reply().ok();
    Ok(())
}

/// `MSETNX key value…`.
pub(crate) fn msetnx(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    check_pairs(args)?;
    for key in args.iter().skip(1).step_by(2) {
        if cx.lookup_write(key).is_some() {
            cx.reply().integer(0);
            return Ok(());
        }
    }
    store_pairs(cx, args);
    cx.reply().integer(1);
    Ok(())
}

fn check_pairs(args: &Args<'_>) -> Result<(), Refusal> {
    if args.len().is_multiple_of(2) { Err("ERR wrong number of arguments for MSET".into()) } else { Ok(()) }
}

fn store_pairs(cx: &mut Context<'_>, args: &Args<'_>) {
    for at in (1..args.len()).step_by(2) {
        cx.set_string(&args[at], NewString::Bytes(&args[at + 1]));
        cx.modified(&args[at], "set");
    }
}

/// `STRLEN key`.
pub(crate) fn strlen(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let length = match cx.lookup_read(&args[1]) {
        Some(object) => object.string()?.len(),
        None => 0,
    };
    cx.reply().count(length);
    Ok(())
}

/// `APPEND key value`.
pub(crate) fn append(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, value) = (&args[1], &args[2]);
    let length = match cx.lookup_write(key) {
        Some(mut object) => {
            let length = object.string()?.len() + value.len();
            if length > STRING_MAX {
                return Err(TOO_LONG);
            }
            let mut bytes = object.make_raw()?;
            reserve(&mut bytes, length);
            bytes.extend_from_slice(value);
            length
        }
        None => {
            cx.set_string(key, NewString::Bytes(value));
            value.len()
        }
    };
    cx.modified(key, "append");
    cx.reply().count(length);
    Ok(())
}

/// `SETRANGE key offset value`.
pub(crate) fn setrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, value) = (&args[1], &args[3]);
    let offset = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let offset = usize::try_from(offset).map_err(|_| Refusal::Fixed("ERR offset is out of range"))?;
    let end = offset.checked_add(value.len()).filter(|&end| end <= STRING_MAX);
    let length = match cx.lookup_write(key) {
        Some(mut object) => {
            let length = object.string()?.len();
            if value.is_empty() {
                length
            } else {
                let end = end.ok_or(TOO_LONG)?;
                let mut bytes = object.make_raw()?;
                extend_with_zeros(&mut bytes, end);
                bytes[offset..end].copy_from_slice(value);
                bytes.len()
            }
        }
        None if value.is_empty() => 0,
        None => {
            let end = end.ok_or(TOO_LONG)?;
            let mut bytes = vec![0; end];
            bytes[offset..].copy_from_slice(value);
            cx.set_string(key, NewString::RawOwned(bytes));
            end
        }
    };
    if !value.is_empty() {
        cx.modified(key, "setrange");
    }
    cx.reply().count(length);
    Ok(())
}

/// `GETRANGE key start end`, and `SUBSTR`, its old name.
pub(crate) fn getrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let start = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let end = parse_i64(&args[3]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.bulk(b"");
        return Ok(());
    };
    let string = object.string()?;
    match byte_range(start, end, string.len()) {
        Some(range) => reply.bulk(&string.bytes(&mut [0; I64_TEXT_MAX])[range]),
        None => reply.bulk(b""),
    }
    Ok(())
}

/// The bytes from index `start` to index `end`, both included, of a string of `length` bytes; negative indexes count from
/// the end. Nothing when there are none.
pub(crate) fn byte_range(start: i64, end: i64, length: usize) -> Option<Range<usize>> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    clamped_range(start, end, length)
}

/// As [`byte_range`], but indexes that both lie before the beginning mean the first byte, whichever is greater.
pub(crate) fn clamped_range(start: i64, end: i64, length: usize) -> Option<Range<usize>> {
    let length = i64::try_from(length).ok()?;
    let from_the_front = |index: i64| if index < 0 { (length + index).max(0) } else { index };
    let start = from_the_front(start);
    let end = from_the_front(end).min(length - 1);
    if start > end {
        return None;
    }
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()? + 1)
}

/// Makes a string at least `length` bytes long; what is added is zeros.
pub(crate) fn extend_with_zeros(bytes: &mut Vec<u8>, length: usize) {
    if bytes.len() < length {
        reserve(bytes, length);
        bytes.resize(length, 0);
    }
}

/// Makes room for `length` bytes, and for growth: twice as much up to a megabyte, then a megabyte more.
fn reserve(bytes: &mut Vec<u8>, length: usize) {
    const MEGABYTE: usize = 1 << 20;
    if bytes.capacity() < length {
        let spare = length.min(MEGABYTE);
        bytes.reserve_exact(length + spare - bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_string() {
        for (start, end, length, expected) in [
            (0, -1, 5, Some(0..5)),
            (1, 3, 5, Some(1..4)),
            (-3, -2, 5, Some(2..4)),
            (-100, 100, 5, Some(0..5)),
            (-100, -200, 5, None),
            (-200, -100, 5, Some(0..1)),
            (4, 4, 5, Some(4..5)),
            (5, 9, 5, None),
            (3, 1, 5, None),
            (0, -1, 0, None),
            (i64::MIN, i64::MAX, 3, Some(0..3)),
        ] {
            assert_eq!(byte_range(start, end, length), expected, "{start} {end} {length}");
        }
    }
}
