//! Runs of equal registers as opcodes, see the module above for their bits.
//!
//! Raising one register splits the run that holds it into up to three, then joins neighbouring runs of equal values
//! again, over a few opcodes only. Which opcodes come of it is visible to clients, so split and join are exactly those
//! of Redis:
//!
//! ```text
//!   raise register 300 to 5:    XZERO 16384       →  XZERO 300 · VAL 5×1 · XZERO 16083
//!   then register 301 to 5:     XZERO 16083       →              VAL 5×1 · XZERO 16082
//!                               VAL 5×1 · VAL 5×1 →  VAL 5×2
//! ```

use super::estimate::Histogram;
use super::{Corrupt, HEADER_LEN, REGISTERS, Reason};
use crate::faults::{self, Fault};

/// Greatest value of a VAL opcode.
const VALUE_MAX: u8 = 32;
/// Longest run of a VAL opcode.
const VALUES_MAX: usize = 4;
/// Longest run of a ZERO opcode.
const ZEROS_MAX: usize = 64;
/// How many opcodes are looked at to join runs after a change.
const JOIN_REACH: usize = 5;

/// A run of equal registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Value of each.
    pub value: u8,
    /// How many they are.
    pub length: usize,
    /// Bytes of the opcode: two for XZERO, one for the others.
    pub bytes: usize,
}

/// The run whose opcode begins at `at`; `None` when it is cut off.
#[inline]
fn run_at(bytes: &[u8], at: usize) -> Option<Run> {
    let first = *bytes.get(at)?;
    let low = usize::from(first & 0x3f);
    Some(match first >> 6 {
        0 => Run { value: 0, length: low + 1, bytes: 1 },
        1 => Run { value: 0, length: (low << 8 | usize::from(*bytes.get(at + 1)?)) + 1, bytes: 2 },
        _ => Run { value: (first >> 2 & 0x1f) + 1, length: usize::from(first & 3) + 1, bytes: 1 },
    })
}

fn values(value: u8, length: usize) -> u8 {
    debug_assert!((1..=VALUE_MAX).contains(&value));
    debug_assert!((1..=VALUES_MAX).contains(&length));
    0x80 | (value - 1) << 2 | (length - 1) as u8
}

/// The opcode of `length` zero registers, at most [`REGISTERS`] of them.
fn zeros(length: usize) -> ([u8; 2], usize) {
    debug_assert!((1..=REGISTERS).contains(&length));
    let [low, high, ..] = (length - 1).to_le_bytes();
    if length <= ZEROS_MAX { ([low, 0], 1) } else { ([0x40 | high, low], 2) }
}

/// Appends the opcode of `length` zero registers, at most [`REGISTERS`] of them.
pub(super) fn push_zeros(bytes: &mut Vec<u8>, length: usize) {
    let (opcode, len) = zeros(length);
    bytes.extend_from_slice(&opcode[..len]);
}

/// The opcodes that take the place of one whose run is split; two for zeros, one for the value, two for zeros.
#[derive(Default)]
struct Split {
    bytes: [u8; 5],
    len: usize,
}

impl Split {
    /// Appends `length` registers of the value; none when there are none.
    fn push(&mut self, value: u8, length: usize) {
        let (opcode, len) = match (value, length) {
            (_, 0) => return,
            (0, _) => zeros(length),
            _ => ([values(value, length), 0], 1),
        };
        self.bytes[self.len..self.len + len].copy_from_slice(&opcode[..len]);
        self.len += len;
    }
}

/// The runs of a sparse string, up to the first that is cut off.
#[derive(Clone, Debug)]
pub struct Runs<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Runs<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Runs { bytes, at }
    }
}

impl Iterator for Runs<'_> {
    type Item = Result<Run, Corrupt>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let Some(run) = run_at(self.bytes, self.at) else {
            let offset = std::mem::replace(&mut self.at, self.bytes.len());
            return Some(Err(Corrupt { offset, reason: Reason::CutOff }));
        };
        self.at += run.bytes;
        Some(Ok(run))
    }
}

/// Calls `each` with every run and its first register, which lie among the [`REGISTERS`]; refuses a string whose
/// opcodes do not cover exactly those.
pub(super) fn for_each_run(bytes: &[u8], mut each: impl FnMut(usize, Run)) -> Result<(), Corrupt> {
    let mut covered = 0;
    let mut offset = HEADER_LEN;
    for run in Runs::new(bytes, HEADER_LEN) {
        let run = run?;
        let end = covered + run.length;
        if end > REGISTERS {
            return Err(Corrupt { offset, reason: Reason::TooMany(end) });
        }
        each(covered, run);
        covered = end;
        offset += run.bytes;
    }
    if covered < REGISTERS {
        return Err(Corrupt { offset, reason: Reason::TooFew(covered) });
    }
    Ok(())
}

/// Counts the registers of each value.
pub(super) fn count_values(bytes: &[u8], histogram: &mut Histogram) -> Result<(), Corrupt> {
    // A run has at most as many registers as there are.
    for_each_run(bytes, |_, run| histogram.add(run.value, run.length as u32))
}

/// What became of a request to raise a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It is as great already.
    No,
    /// It has the new value.
    Yes,
    /// Nothing changed: the value, or the length of the string, is beyond what the sparse form may have.
    NotSparse,
}

/// Where to look for the next register, when registers are raised in rising order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Offset of an opcode.
    at: usize,
    /// Its first register.
    first: usize,
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor { at: HEADER_LEN, first: 0 }
    }
}

/// Raises the register `index` to `value`, looking for it from `cursor` on; `cursor` is then at the run before. On an
/// error, and when the string would become longer than `max`, the string is as it was.
///
/// Only as much of the string is looked at as is needed.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    max: usize,
    cursor: &mut Cursor,
) -> Result<Raised, Corrupt> {
    if value > VALUE_MAX {
        return Ok(Raised::NotSparse);
    }
    let (mut at, mut first) = (cursor.at, cursor.first);
    let mut previous = None;
    let run = loop {
        if at >= bytes.len() {
            return Err(Corrupt { offset: at, reason: Reason::TooFew(first) });
        }
        let run = run_at(bytes, at).ok_or(Corrupt { offset: at, reason: Reason::CutOff })?;
        if index < first + run.length {
            break run;
        }
        previous = Some(Cursor { at, first });
        at += run.bytes;
        first += run.length;
    };
    match previous {
        Some(previous) => *cursor = previous,
        // The run before matters when runs are joined.
        None if at > HEADER_LEN => {
            *cursor = Cursor::default();
            return raise(bytes, index, value, max, cursor);
        }
        None => {}
    }
    if run.value >= value {
        return Ok(Raised::No);
    }
    if run.length == 1 && run.bytes == 1 {
        bytes[at] = values(value, 1);
    } else {
        let mut split = Split::default();
        split.push(run.value, index - first);
        split.push(value, 1);
        split.push(run.value, first + run.length - 1 - index);
        let longer = bytes.len() + split.len - run.bytes;
        let limit = if faults::is(Fault::HllDenseOneByteEarly) { max.saturating_sub(1) } else { max };
        if split.len > run.bytes && longer > limit {
            return Ok(Raised::NotSparse);
        }
        bytes.splice(at..at + run.bytes, split.bytes[..split.len].iter().copied());
    }
    join(bytes, cursor.at);
    Ok(Raised::Yes)
}

/// Joins neighbouring runs of equal values from the opcode at `at` on, over [`JOIN_REACH`] steps.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOIN_REACH {
        let Some(run) = run_at(bytes, at) else { return };
        if run.value > 0 {
            let next = run_at(bytes, at + 1).filter(|next| next.value == run.value);
            if let Some(length) = next.map(|next| run.length + next.length).filter(|&length| length <= VALUES_MAX) {
                bytes.remove(at);
                bytes[at] = values(run.value, length);
                continue;
            }
        }
        at += run.bytes;
    }
}
