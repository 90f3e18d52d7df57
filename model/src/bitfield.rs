//! BITFIELD.

use crate::bits::{OFFSETS, bit, offset_error, set_bit};
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::numbers::parse_integer;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

/// What happens to a value that does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Get,
    Set(i64),
    Increment(i64),
}

/// Where a field lies and how its bits are read.
#[derive(Clone, Copy, Debug)]
struct Field {
    signed: bool,
    bits: usize,
    offset: usize,
}

impl Field {
    fn parse(call: &Call<'_>, kind: &[u8], offset: &[u8]) -> Result<Self, Refusal> {
        let (signed, bits) = parse_kind(kind).ok_or_else(|| {
            Refusal::new(
                Clause::BITFIELD_2,
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            )
        })?;
        let (number, factor) = match offset {
            [b'#', number @ ..] => {
                call.cite(Clause::BITFIELD_3);
                (number, i64::try_from(bits).unwrap_or(0))
            }
            number => (number, 1),
        };
        let offset = parse_integer(number)
            .and_then(|number| number.checked_mul(factor))
            .filter(|offset| (0..OFFSETS).contains(offset))
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or_else(|| offset_error(Clause::BITFIELD_3))?;
        Ok(Self { signed, bits, offset })
    }

    /// Its value in a string.
    fn read(self, bytes: &[u8], defects: Defects) -> i128 {
        let mut value: i128 = 0;
        for position in 0..self.bits {
            value = value * 2 + i128::from(bit(bytes, self.offset + position));
        }
        let value = self.wrapped(value);
        if defects.i64 && self.signed && self.bits == 64 && value < 0 { -1 } else { value }
    }

    /// Writes the value's low bits.
    fn write(self, bytes: &mut [u8], value: i128) {
        for position in 0..self.bits {
            let on = (value >> (self.bits - 1 - position)) & 1 == 1;
            set_bit(bytes, self.offset + position, on);
        }
    }

    fn greatest(self) -> i128 {
        (1 << if self.signed { self.bits - 1 } else { self.bits }) - 1
    }

    fn least(self) -> i128 {
        if self.signed { -self.greatest() - 1 } else { 0 }
    }

    /// The value of its low bits as this field reads them.
    fn wrapped(self, value: i128) -> i128 {
        let low = value & ((1 << self.bits) - 1);
        if low > self.greatest() { low - (1 << self.bits) } else { low }
    }

    /// What is stored of `base + increment`; `None` if it does not fit and must not be stored.
    fn fit(self, base: i128, increment: i128, overflow: Overflow, defects: Defects) -> Option<i128> {
        let value = base + increment;
        if (self.least()..=self.greatest()).contains(&value) {
            return Some(value);
        }
        if defects.i64 && self.signed && self.bits == 64 {
            // Overflow downwards goes unnoticed, and upwards wraps to -1.
            if value < self.least() {
                return Some(self.wrapped(value));
            }
            if overflow == Overflow::Wrap {
                return Some(-1);
            }
        }
        match overflow {
            Overflow::Wrap => Some(self.wrapped(value)),
            Overflow::Saturate
                if defects.saturates_upwards && self.signed && self.greatest() - base > i128::from(i64::MAX) =>
            {
                Some(self.greatest())
            }
            Overflow::Saturate => Some(value.clamp(self.least(), self.greatest())),
            Overflow::Fail => None,
        }
    }
}

fn parse_kind(text: &[u8]) -> Option<(bool, usize)> {
    let (signed, width) = match text {
        [b'i', width @ ..] => (true, width),
        [b'u', width @ ..] => (false, width),
        _ => return None,
    };
    let most = if signed { 64 } else { 63 };
    let bits = parse_integer(width).filter(|bits| (1..=most).contains(bits))?;
    Some((signed, usize::try_from(bits).ok()?))
}

fn parse(call: &Call<'_>) -> Result<Vec<(Operation, Field, Overflow)>, Refusal> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut position = 2;
    while position < call.args.len() {
        let arguments = &call.args[position + 1..];
        let name = call.args[position].to_ascii_lowercase();
        position += match (name.as_slice(), arguments) {
            (b"overflow", [rule, ..]) => {
                overflow = match rule.to_ascii_lowercase().as_slice() {
                    b"wrap" => Overflow::Wrap,
                    b"sat" => Overflow::Saturate,
                    b"fail" => Overflow::Fail,
                    _ => return Err(Refusal::new(Clause::BITFIELD_8, "ERR Invalid OVERFLOW type specified")),
                };
                2
            }
            (b"get", [kind, offset, ..]) => {
                operations.push((Operation::Get, Field::parse(call, kind, offset)?, overflow));
                3
            }
            (b"set" | b"incrby", [kind, offset, _, ..]) => {
                let field = Field::parse(call, kind, offset)?;
                let number = call.integer(position + 3)?;
                let operation = if name == b"set" { Operation::Set(number) } else { Operation::Increment(number) };
                operations.push((operation, field, overflow));
                4
            }
            _ => return Err(Refusal::new(Clause::BITFIELD_13, "ERR syntax error")),
        };
    }
    Ok(operations)
}

/// Known defects of real servers to be reproduced: E-8 and E-9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Defects {
    /// E-8.
    i64: bool,
    /// E-9.
    saturates_upwards: bool,
}

/// Runs the operations on a string; answers the elements of the reply.
fn run(call: &Call<'_>, operations: &[(Operation, Field, Overflow)], bytes: &mut [u8], defects: Defects) -> Vec<Reply> {
    let mut elements = Vec::new();
    for &(operation, field, overflow) in operations {
        call.cite(Clause::BITFIELD_4);
        call.cite(match operation {
            Operation::Get => Clause::BITFIELD_5,
            Operation::Set(number) if number < 0 && !field.signed => Clause::BITFIELD_12,
            Operation::Set(_) => Clause::BITFIELD_6,
            Operation::Increment(_) => Clause::BITFIELD_7,
        });
        let before = field.read(bytes, defects);
        let (base, increment) = match operation {
            Operation::Get => {
                elements.push(integer(before));
                continue;
            }
            // The number of an unsigned SET is taken as unsigned ([BITFIELD-12]).
            Operation::Set(number) if field.signed || number >= 0 => (i128::from(number), 0),
            Operation::Set(number) => (i128::from(number) + (1 << 64), 0),
            Operation::Increment(number) => (before, i128::from(number)),
        };
        let Some(stored) = field.fit(base, increment, overflow, defects) else {
            call.cite(Clause::BITFIELD_11);
            elements.push(Reply::NilBulk);
            continue;
        };
        if stored != base + increment {
            call.cite(if overflow == Overflow::Wrap { Clause::BITFIELD_9 } else { Clause::BITFIELD_10 });
        }
        field.write(bytes, stored);
        elements.push(integer(if matches!(operation, Operation::Set(_)) { before } else { stored }));
    }
    elements
}

pub(crate) fn bitfield(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let operations = parse(call)?;
    let string = call.find_string(key)?;
    let present = string.map_or(&[][..], |string| &string.bytes);
    let writes = |operation: &Operation| !matches!(operation, Operation::Get);
    let end = operations
        .iter()
        .filter(|(operation, ..)| writes(operation))
        .map(|(_, field, _)| (field.offset + field.bits - 1) / 8 + 1)
        .max();
    let mut bytes = present.to_vec();
    bytes.resize(end.unwrap_or(0).max(bytes.len()), 0);
    let plan_with = |defects: Defects| {
        let mut bytes = bytes.clone();
        let elements = run(call, &operations, &mut bytes, defects);
        let Some(_) = end else {
            call.cite(Clause::BITFIELD_15);
            return Plan::reply(Clause::BITFIELD_1, Reply::Array(elements));
        };
        call.cite(Clause::BITFIELD_14);
        let mut plan = Plan::reply(Clause::BITFIELD_1, Reply::Array(elements)).verbatim();
        plan.changes = call.write(key, string.is_none(), 0, bytes);
        plan
    };
    let mut plan = plan_with(Defects::default());
    let any = |condition: fn(&Field, &Overflow) -> bool| {
        operations.iter().any(|(_, field, overflow)| field.signed && condition(field, overflow))
    };
    if any(|field, _| field.bits == 64) {
        let wrong = plan_with(Defects { i64: true, saturates_upwards: true });
        plan = plan.or_erratum(Erratum::E_8, wrong.allowed, wrong.changes);
    }
    if any(|field, overflow| field.bits < 64 && *overflow == Overflow::Saturate) {
        let wrong = plan_with(Defects { i64: true, saturates_upwards: true });
        plan = plan.or_erratum(Erratum::E_9, wrong.allowed, wrong.changes);
    }
    Ok(plan)
}

/// A field's value as a reply: it has at most 64 bits with its sign.
fn integer(value: i128) -> Reply {
    Reply::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
