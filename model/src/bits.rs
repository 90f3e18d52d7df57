//! Bit commands except BITFIELD.

use crate::call::Call;
use crate::clause::Clause;
use crate::numbers::parse_integer;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::Bytes;
use crate::strings::{clamp_range, length};
use crate::value::StringValue;

/// Bit `n` of a string, 0 past its end ([BIT-1]).
pub(crate) fn bit(bytes: &[u8], n: usize) -> u8 {
    bytes.get(n / 8).map_or(0, |byte| (byte >> (7 - n % 8)) & 1)
}

/// Sets bit `n`, which lies within the string.
pub(crate) fn set_bit(bytes: &mut [u8], n: usize, on: bool) {
    let mask = 1u8 << (7 - n % 8);
    if on {
        bytes[n / 8] |= mask;
    } else {
        bytes[n / 8] &= !mask;
    }
}

pub(crate) fn offset_error(clause: Clause) -> Refusal {
    Refusal::new(clause, "ERR bit offset is not an integer or out of range")
}

/// The number of bits that offsets can name.
pub(crate) const OFFSETS: i64 = 1 << 32;

fn offset(text: &[u8], clause: Clause) -> Result<usize, Refusal> {
    parse_integer(text)
        .filter(|offset| (0..OFFSETS).contains(offset))
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or_else(|| offset_error(clause))
}

impl Call<'_> {
    /// The bytes of the string at a key, none if it is missing.
    fn bytes(&self, key: &[u8]) -> Result<&[u8], Refusal> {
        Ok(self.find_string(key)?.map_or(&[][..], |string| &string.bytes))
    }

    /// Changes that make a key's string raw and write to it, first making it if it is missing.
    pub(crate) fn write(&self, key: &[u8], missing: bool, offset: usize, bytes: Bytes) -> Vec<Change> {
        let mut changes = Vec::new();
        if missing {
            changes.push(self.store(key, StringValue::raw(Bytes::new()), Expiry::Clear));
        }
        changes.push(Change::Write { db: self.db(), key: key.to_vec(), offset, bytes });
        changes
    }
}

pub(crate) fn setbit(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let offset = offset(call.args[2], Clause::SETBIT_3)?;
    let on = match parse_integer(call.args[3]) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(Refusal::new(Clause::SETBIT_4, "ERR bit is not an integer or out of range")),
    };
    let string = call.find_string(key)?;
    let bytes = string.map_or(&[][..], |string| &string.bytes);
    call.cite(Clause::BIT_1);
    if offset / 8 >= bytes.len() {
        call.cite(if on { Clause::BIT_2 } else { Clause::SETBIT_2 });
    }
    let mut byte = [bytes.get(offset / 8).copied().unwrap_or(0)];
    set_bit(&mut byte, offset % 8, on);
    let mut plan = Plan::integer(Clause::SETBIT_1, i64::from(bit(bytes, offset))).verbatim();
    plan.changes = call.write(key, string.is_none(), offset / 8, byte.to_vec());
    Ok(plan)
}

pub(crate) fn getbit(call: &Call<'_>) -> Result<Plan, Refusal> {
    let offset = offset(call.args[2], Clause::GETBIT_2)?;
    Ok(Plan::integer(Clause::GETBIT_1, i64::from(bit(call.bytes(call.args[1])?, offset))))
}

pub(crate) fn bitcount(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(string) = call.find_string(call.args[1])? else {
        return Ok(Plan::integer(Clause::BITCOUNT_4, 0));
    };
    let bytes = string.bytes.as_slice();
    let counted = match call.args.len() {
        2 => bytes,
        4 => {
            let (first, last) = (call.integer(2)?, call.integer(3)?);
            call.cite(Clause::BITCOUNT_2);
            let backwards = first < 0 && last < 0 && first > last;
            let range = clamp_range(first, last, bytes.len()).filter(|_| !backwards);
            range.map_or(&[][..], |(first, last)| &bytes[first..=last])
        }
        _ => return Err(Refusal::new(Clause::BITCOUNT_3, "ERR syntax error")),
    };
    let mut count = 0;
    for byte in counted {
        count += i64::from(byte.count_ones());
    }
    Ok(Plan::integer(Clause::BITCOUNT_1, count))
}

pub(crate) fn bitpos(call: &Call<'_>) -> Result<Plan, Refusal> {
    let wanted = match call.integer(2)? {
        0 => 0u8,
        1 => 1,
        _ => return Err(Refusal::new(Clause::BITPOS_6, "ERR The bit argument must be 1 or 0.")),
    };
    let Some(string) = call.find_string(call.args[1])? else {
        return Ok(Plan::integer(Clause::BITPOS_4, -i64::from(wanted)));
    };
    let bytes = string.bytes.as_slice();
    let (first, last) = match call.args.len() {
        3 => (0, -1),
        4 => (call.integer(3)?, -1),
        5 => (call.integer(3)?, call.integer(4)?),
        _ => return Err(Refusal::new(Clause::BITPOS_7, "ERR syntax error")),
    };
    let Some((first, last)) = clamp_range(first, last, bytes.len()) else {
        return Ok(Plan::integer(Clause::BITPOS_5, -1));
    };
    for (index, &byte) in bytes[first..=last].iter().enumerate() {
        for position in 0..8 {
            if bit(&[byte], position) == wanted {
                let clause = if call.args.len() > 3 { Clause::BITPOS_2 } else { Clause::BITPOS_1 };
                return Ok(Plan::integer(clause, length((first + index) * 8 + position)));
            }
        }
    }
    if wanted == 0 && call.args.len() < 5 {
        return Ok(Plan::integer(Clause::BITPOS_3, length((last + 1) * 8)));
    }
    Ok(Plan::integer(Clause::BITPOS_1, -1))
}

pub(crate) fn bitop(call: &Call<'_>) -> Result<Plan, Refusal> {
    let combine: fn(u8, u8) -> u8 = match call.args[1].to_ascii_lowercase().as_slice() {
        b"and" => |a, b| a & b,
        b"or" => |a, b| a | b,
        b"xor" => |a, b| a ^ b,
        b"not" => |a, _| !a,
        _ => return Err(Refusal::new(Clause::BITOP_4, "ERR syntax error")),
    };
    let not = call.args[1].eq_ignore_ascii_case(b"not");
    let (destination, sources) = (call.args[2], &call.args[3..]);
    if not && sources.len() != 1 {
        return Err(Refusal::new(Clause::BITOP_3, "ERR BITOP NOT must be called with a single source key."));
    }
    let mut strings = Vec::new();
    for key in sources {
        strings.push(call.bytes(key)?);
    }
    let longest = strings.iter().map(|bytes| bytes.len()).max().unwrap_or(0);
    let at = |bytes: &[u8], index: usize| bytes.get(index).copied().unwrap_or(0);
    let mut result = Vec::with_capacity(longest);
    for index in 0..longest {
        let mut byte = at(strings[0], index);
        if not {
            byte = combine(byte, 0);
        }
        for bytes in &strings[1..] {
            byte = combine(byte, at(bytes, index));
        }
        result.push(byte);
    }
    if result.is_empty() {
        call.find(destination);
        let change = Change::Remove { db: call.db(), key: destination.to_vec() };
        return Ok(Plan::integer(Clause::BITOP_5, 0).with(change).verbatim());
    }
    if call.find(destination).is_some() {
        call.cite(Clause::BITOP_6);
    }
    let clause = if not { Clause::BITOP_2 } else { Clause::BITOP_1 };
    let plan = Plan::integer(clause, length(result.len())).verbatim();
    Ok(plan.with(call.store(destination, StringValue::raw(result), Expiry::Clear)))
}
