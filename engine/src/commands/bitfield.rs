//! BITFIELD: integers of any width at any bit of a string.
//!
//! All operations are read before the first is run, so that a wrong one leaves nothing behind. Values are computed in 128
//! bits, where no sum of a field and an increment can overflow.

use super::strings::extend_with_zeros;
use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::object::NewString;
use crate::resp::{Args, Reply};
use crate::structures::bits;

/// Greatest bit offset plus one: 512 MB of bits.
pub(crate) const BIT_OFFSETS: u64 = 1 << 32;

const BAD_TYPE: Refusal =
    Refusal::Fixed("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");
const BAD_OFFSET: Refusal = Refusal::Fixed("ERR bit offset is not an integer or out of range");

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// Its low bits are kept.
    Wrap,
    /// The nearest value that fits is kept.
    Saturate,
    /// Nothing is changed.
    Fail,
}

/// A field's width and whether it is two's complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FieldType {
    signed: bool,
    width: u32,
}

impl FieldType {
    fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let (signed, widest, digits) = match text {
            [b'i', digits @ ..] => (true, 64, digits),
            [b'u', digits @ ..] => (false, 63, digits),
            _ => return Err(BAD_TYPE),
        };
        let width = parse_i64(digits).and_then(|width| u32::try_from(width).ok());
        let width = width.filter(|width| (1..=widest).contains(width)).ok_or(BAD_TYPE)?;
        Ok(Self { signed, width })
    }

    fn min(self) -> i128 {
        if self.signed { -(1 << (self.width - 1)) } else { 0 }
    }

    fn max(self) -> i128 {
        (1 << (self.width - u32::from(self.signed))) - 1
    }

    /// A field's value; unsigned fields have at most 63 bits, so that it fits.
    fn read(self, bytes: &[u8], offset: u64) -> i64 {
        if self.signed {
            bits::read_signed(bytes, offset, self.width)
        } else {
            bits::read_unsigned(bytes, offset, self.width) as i64
        }
    }

    /// What is stored for `value`; nothing when it does not fit and overflow fails.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i128> {
        let (mut min, max) = (self.min(), self.max());
        if (min..=max).contains(&value) {
            return Some(value);
        }
        if self.signed && faults::is(Fault::SaturationMissesMinimum) {
            min += 1;
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(if value > max { max } else { min }),
            Overflow::Wrap => {
                let spare = u128::BITS - self.width;
                let low = (value << spare) as u128;
                Some(if self.signed { low as i128 >> spare } else { (low >> spare) as i128 })
            }
        }
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
struct Operation {
    field: FieldType,
    offset: u64,
    action: Action,
}

impl Operation {
    /// Runs on a string that holds the field if the operation writes; answers the reply's integer, or nothing for an
    /// overflow that fails.
    fn run(self, bytes: &mut [u8]) -> Option<i64> {
        let old = self.read(bytes);
        let (new, answered) = match self.action {
            Action::Get => return Some(old),
            Action::Set(value, overflow) => {
                // For an unsigned field a negative number is one beyond its maximum.
                let value = if self.field.signed { i128::from(value) } else { i128::from(value as u64) };
                (self.field.fit(value, overflow)?, Some(old))
            }
            Action::Increment(increment, overflow) => {
                let new = self.field.fit(i128::from(old) + i128::from(increment), overflow)?;
                (new, i64::try_from(new).ok())
            }
        };
        bits::write_integer(bytes, self.offset, self.field.width, new as u64);
        answered
    }

    /// The field's value now.
    fn read(self, bytes: &[u8]) -> i64 {
        self.field.read(bytes, self.offset)
    }

    fn writes(self) -> bool {
        self.action != Action::Get
    }

    /// Bytes that hold the field.
    fn end(self) -> u64 {
        (self.offset + u64::from(self.field.width)).div_ceil(8)
    }
}

/// A bit offset, within 512 MB of bits.
pub(crate) fn parse_bit_offset(text: &[u8]) -> Result<u64, Refusal> {
    let offset = parse_i64(text).and_then(|offset| u64::try_from(offset).ok());
    offset.filter(|&offset| offset < BIT_OFFSETS).ok_or(BAD_OFFSET)
}

/// A field's offset: in bits, or after `#` in widths.
fn parse_field_offset(text: &[u8], field: FieldType) -> Result<u64, Refusal> {
    let Some(index) = text.strip_prefix(b"#") else { return parse_bit_offset(text) };
    let index = parse_i64(index).and_then(|index| u64::try_from(index).ok());
    let offset = index.and_then(|index| index.checked_mul(u64::from(field.width)));
    offset.filter(|&offset| offset < BIT_OFFSETS).ok_or(BAD_OFFSET)
}

fn parse(args: &Args<'_>) -> Result<Vec<Operation>, Refusal> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while at < args.len() {
        let rest = args.len() - at - 1;
        if args.is(at, "overflow") && rest >= 1 {
            overflow = match () {
                () if args.is(at + 1, "wrap") => Overflow::Wrap,
                () if args.is(at + 1, "sat") => Overflow::Saturate,
                () if args.is(at + 1, "fail") => Overflow::Fail,
                () => return Err("ERR Invalid OVERFLOW type specified".into()),
            };
            at += 2;
            continue;
        }
        let get = args.is(at, "get") && rest >= 2;
        let set = args.is(at, "set") && rest >= 3;
        let increment = args.is(at, "incrby") && rest >= 3;
        if !(get || set || increment) {
            return Err(Refusal::SYNTAX);
        }
        let field = FieldType::parse(&args[at + 1])?;
        let offset = parse_field_offset(&args[at + 2], field)?;
        let action = if get {
            Action::Get
        } else {
            let value = parse_i64(&args[at + 3]).ok_or(Refusal::NOT_AN_INTEGER)?;
            if set { Action::Set(value, overflow) } else { Action::Increment(value, overflow) }
        };
        operations.push(Operation { field, offset, action });
        at += if get { 3 } else { 4 };
    }
    Ok(operations)
}

/// `BITFIELD key [GET type offset] [SET type offset value] [INCRBY type offset increment] [OVERFLOW WRAP|SAT|FAIL]…`.
pub(crate) fn bitfield(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let operations = parse(args)?;
    let writing = operations.iter().filter(|operation| operation.writes());
    // The string grows to hold every field that is written, even where writing it then fails.
    let Some(end) = writing.map(|operation| operation.end()).max() else { return read_only(cx, key, &operations) };
    let end = usize::try_from(end).map_err(|_| BAD_OFFSET)?;
    let mut answers = Vec::with_capacity(operations.len());
    match cx.lookup_write(key) {
        Some(mut object) => {
            let mut bytes = object.make_raw()?;
            extend_with_zeros(&mut bytes, end);
            answers.extend(operations.iter().map(|operation| operation.run(&mut bytes)));
        }
        None => {
            let mut bytes = vec![0; end];
            answers.extend(operations.iter().map(|operation| operation.run(&mut bytes)));
            cx.set_string(key, NewString::RawOwned(bytes));
        }
    }
    let writes = operations.iter().filter(|operation| operation.writes()).count();
    cx.modified_times(key, "setbit", writes);
    answer(&mut cx.reply(), &answers);
    Ok(())
}

fn read_only(cx: &mut Context<'_>, key: &[u8], operations: &[Operation]) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(key);
    let mut digits = [0; I64_TEXT_MAX];
    let bytes = match found {
        Some(object) => object.string()?.bytes(&mut digits),
        None => &[],
    };
    let answers: Vec<_> = operations.iter().map(|operation| Some(operation.read(bytes))).collect();
    answer(&mut reply, &answers);
    Ok(())
}

fn answer(reply: &mut Reply<'_>, answers: &[Option<i64>]) {
    reply.array(answers.len());
    for answer in answers {
        match answer {
            Some(value) => reply.integer(*value),
            None => reply.nil(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_wraps_saturates_or_fails_at_both_ends() {
        let i8 = FieldType { signed: true, width: 8 };
        let u3 = FieldType { signed: false, width: 3 };
        for (field, value, wrapped, saturated) in [
            (i8, 128, -128, 127),
            (i8, -129, 127, -128),
            (i8, 127 + 256, 127, 127),
            (u3, 8, 0, 7),
            (u3, -1, 7, 0),
            (
                FieldType { signed: true, width: 64 },
                i128::from(i64::MAX) + 1,
                i128::from(i64::MIN),
                i128::from(i64::MAX),
            ),
            (FieldType { signed: true, width: 1 }, 1, -1, 0),
        ] {
            assert_eq!(field.fit(value, Overflow::Wrap), Some(wrapped), "{field:?} {value}");
            assert_eq!(field.fit(value, Overflow::Saturate), Some(saturated), "{field:?} {value}");
            assert_eq!(field.fit(value, Overflow::Fail), None, "{field:?} {value}");
        }
        assert_eq!(i8.fit(-128, Overflow::Fail), Some(-128));
    }
}
