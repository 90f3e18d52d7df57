//! Bits of strings: set, read, counted, found and combined.

use super::bitfield::parse_bit_offset;
use super::strings::{byte_range, clamped_range, extend_with_zeros};
use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::object::NewString;
use crate::resp::Args;
use crate::structures::bits::{self, BitOperation};

/// `SETBIT key offset value`.
pub(crate) fn setbit(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let offset = parse_bit_offset(&args[2])?;
    let on = match parse_i64(&args[3]) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err("ERR bit is not an integer or out of range".into()),
    };
    // The offset is below 2^32.
    let length = (offset >> 3) as usize + 1;
    let old = match cx.lookup_write(key) {
        Some(mut object) => {
            let mut bytes = object.make_raw()?;
            extend_with_zeros(&mut bytes, length);
            bits::set_bit(&mut bytes, offset, on)
        }
        None => {
            let mut bytes = vec![0; length];
            bits::set_bit(&mut bytes, offset, on);
            cx.set_string(key, NewString::RawOwned(bytes));
            false
        }
    };
    cx.modified(key, "setbit");
    cx.reply().integer(i64::from(old));
    Ok(())
}

/// `GETBIT key offset`.
pub(crate) fn getbit(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let offset = parse_bit_offset(&args[2])?;
    let bit = match cx.lookup_read(&args[1]) {
        Some(object) => bits::bit(object.string()?.bytes(&mut [0; I64_TEXT_MAX]), offset),
        None => false,
    };
    cx.reply().integer(i64::from(bit));
    Ok(())
}

/// `BITCOUNT key [start end]`, in bytes.
pub(crate) fn bitcount(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let count = match cx.lookup_read(&args[1]) {
        None => 0,
        Some(object) => {
            let string = object.string()?;
            let range = match args.len() {
                2 => Some(0..string.len()),
                4 => {
                    let start = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
                    let end = parse_i64(&args[3]).ok_or(Refusal::NOT_AN_INTEGER)?;
                    byte_range(start, end, string.len())
                }
                _ => return Err(Refusal::SYNTAX),
            };
            range.map_or(0, |range| bits::popcount(&string.bytes(&mut [0; I64_TEXT_MAX])[range]))
        }
    };
    // Bits of 512 MB fit an i64.
    cx.reply().integer(count as i64);
    Ok(())
}

/// `BITPOS key bit [start [end]]`, start and end in bytes.
pub(crate) fn bitpos(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let bit = match parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)? {
        0 => false,
        1 => true,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let position = match cx.lookup_read(&args[1]) {
        // A missing key is an endless row of zeros.
        None => (!bit).then_some(0),
        Some(object) => {
            let string = object.string()?;
            let (start, end) = match args.len() {
                3 => (0, -1),
                4 | 5 => {
                    let start = parse_i64(&args[3]).ok_or(Refusal::NOT_AN_INTEGER)?;
                    let end = args.get(4).map_or(Some(-1), parse_i64).ok_or(Refusal::NOT_AN_INTEGER)?;
                    (start, end)
                }
                _ => return Err(Refusal::SYNTAX),
            };
            let end_given = args.len() == 5 && !faults::is(Fault::BitposClearBeyondRange);
            // Without an end the zeros go on beyond the string, so that a clear bit is always found.
            position(string.bytes(&mut [0; I64_TEXT_MAX]), bit, start, end, !end_given && !bit)
        }
    };
    // Bits of 512 MB fit an i64.
    cx.reply().integer(position.map_or(-1, |position| position as i64));
    Ok(())
}

fn position(bytes: &[u8], bit: bool, start: i64, end: i64, endless: bool) -> Option<u64> {
    let range = clamped_range(start, end, bytes.len())?;
    let before = range.start as u64 * 8;
    let after = range.end as u64 * 8;
    match bits::first_bit(&bytes[range], bit) {
        Some(found) => Some(before + found),
        None => endless.then_some(after),
    }
}

/// `BITOP operation destination key…`.
pub(crate) fn bitop(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let operation = match () {
        () if args.is(1, "and") => Some(BitOperation::And),
        () if args.is(1, "or") => Some(BitOperation::Or),
        () if args.is(1, "xor") => Some(BitOperation::Xor),
        () if args.is(1, "not") => None,
        () => return Err(Refusal::SYNTAX),
    };
    if operation.is_none() && args.len() != 4 {
        return Err("ERR BITOP NOT must be called with a single source key.".into());
    }
    let mut result: Vec<u8> = Vec::new();
    for (index, key) in args.iter().skip(3).enumerate() {
        let mut digits = [0; I64_TEXT_MAX];
        let operand = match cx.lookup_read(key) {
            Some(object) => object.string()?.bytes(&mut digits),
            None => &[],
        };
        if index == 0 {
            result.extend_from_slice(operand);
            continue;
        }
        if result.len() < operand.len() {
            result.resize(operand.len(), 0);
        }
        if let Some(operation) = operation {
            bits::combine(operation, &mut result, operand);
        }
    }
    if operation.is_none() {
        bits::invert(&mut result);
    }
    let destination = &args[2];
    let length = result.len();
    if length > 0 {
        cx.set_string(destination, NewString::RawOwned(result));
        cx.modified(destination, "set");
    } else if cx.remove(destination) {
        cx.modified(destination, "del");
    } else {
        // Counted, and so handed on, although nothing changed.
        cx.server.dirty = cx.server.dirty.saturating_add(1);
    }
    cx.reply().count(length);
    Ok(())
}
