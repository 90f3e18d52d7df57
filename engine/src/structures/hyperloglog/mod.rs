//! HyperLogLog: counts distinct elements in a string of at most 12304 bytes, with a standard error of 0.81 %.
//!
//! An element is hashed to 64 bits: the low 14 choose one of 16384 registers, and the register keeps the greatest number
//! seen of zeros before the first one among the other 50, plus one. The string is what clients read with GET, so its
//! bytes are fixed:
//!
//! ```text
//!    0        4     5          8                       16
//!   ┌────────┬─────┬──────────┬───────────────────────┬──────────────────────────────────────────┐
//!   │ "HYLL" │form │ 3 unused │ cardinality, u64 LE   │ dense: 12288 bytes   sparse: opcodes     │
//!   └────────┴─────┴──────────┴───────────────────────┴──────────────────────────────────────────┘
//!             0 dense          its bit 63 set: stale
//!             1 sparse
//!
//!   dense     register i in six bits from bit 6·i on, bit 0 the least significant of byte 0
//!   sparse    00llllll            ZERO   l+1 registers are 0                1..64
//!             01llllll llllllll   XZERO  l+1 registers are 0                1..16384
//!             1vvvvvll            VAL    l+1 registers are v+1              1..4 registers, values 1..32
//! ```
//!
//! Invariants, all verified by [`HllRef::validate`]:
//! - a dense string has exactly [`DENSE_LEN`] bytes;
//! - the opcodes of a sparse one are whole and cover exactly [`REGISTERS`] registers.
//!
//! Clients can write anything into a string, so every function here takes any bytes and is total: what breaks an
//! invariant is refused where it matters, with the place and the reason ([`Corrupt`]).
//!
//! [`sparse`] changes opcodes, [`dense`] packed registers, [`estimate`] turns registers into a number, [`murmur`] hashes.

pub mod dense;
pub mod estimate;
pub mod murmur;
pub mod self_test;
pub mod sparse;
#[cfg(test)]
mod tests;

use crate::faults::{self, Fault};
use estimate::Histogram;
use sparse::{Cursor, Raised, Runs};

/// How many registers there are.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of the hash that choose a register.
const INDEX_BITS: u32 = 14;
/// Bits of the hash whose zeros are counted.
pub const COUNTED_BITS: u32 = u64::BITS - INDEX_BITS;
/// Bits of a register.
pub const REGISTER_BITS: usize = 6;
/// Registers that are looked at together where most are zero, as in a union of sparse strings.
const BLOCK: usize = 32;
/// Bytes before the registers.
pub const HEADER_LEN: usize = 16;
/// Bytes of a dense string.
pub const DENSE_LEN: usize = HEADER_LEN + REGISTERS * REGISTER_BITS / 8;

const MAGIC: &[u8; 4] = b"HYLL";
const FORM: usize = 4;
const CARDINALITY: std::ops::Range<usize> = 8..HEADER_LEN;
/// In the last byte of the cardinality: it has to be computed anew.
const STALE: u8 = 0x80;

const _: () = assert!(REGISTERS.is_multiple_of(BLOCK), "blocks leave no register over");
const _: () = assert!(COUNTED_BITS + 1 < 1 << REGISTER_BITS, "a register holds every count");

/// Why a string with a HyperLogLog's header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct Corrupt {
    /// Where in the string.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong in a string, see [`Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The string ends inside an opcode.
    #[error("the opcode is cut off")]
    CutOff,
    /// The opcodes end too early.
    #[error("only {0} registers are covered")]
    TooFew(usize),
    /// The opcodes go on too long.
    #[error("{0} registers are covered")]
    TooMany(usize),
    /// A dense string of another length than [`DENSE_LEN`], which is its only defect.
    #[error("a dense string of {0} bytes")]
    Length(usize),
}

/// How registers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Six bits each.
    Dense,
    /// As opcodes for runs of equal ones.
    Sparse,
}

impl Form {
    /// As PFDEBUG ENCODING shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Form::Dense => "dense",
            Form::Sparse => "sparse",
        }
    }
}

/// A sparse string without elements; its cardinality is known to be 0.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[FORM] = 1;
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// Which register an element concerns, and the value that it is raised to.
#[must_use]
#[inline]
pub fn register_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur::hash(element);
    let index = hash as usize & (REGISTERS - 1);
    // A bit beyond the counted ones ends the search for a first one.
    let counted = hash >> INDEX_BITS | 1 << COUNTED_BITS;
    (index, counted.trailing_zeros() as u8 + 1)
}

/// A string with a HyperLogLog's header, to look at.
#[derive(Clone, Copy, Debug)]
pub struct HllRef<'a> {
    bytes: &'a [u8],
    form: Form,
}

impl<'a> HllRef<'a> {
    /// Recognizes a string by its header, and a dense one by its length; `None` for any other.
    #[must_use]
    pub fn recognize(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < HEADER_LEN || !bytes.starts_with(MAGIC) {
            return None;
        }
        match bytes[FORM] {
            0 if bytes.len() == DENSE_LEN => Some(HllRef { bytes, form: Form::Dense }),
            1 => Some(HllRef { bytes, form: Form::Sparse }),
            _ => None,
        }
    }

    /// How the registers are stored.
    #[must_use]
    pub fn form(self) -> Form {
        self.form
    }

    /// The cardinality that the header holds, unless it is stale.
    #[must_use]
    #[inline]
    pub fn cached(self) -> Option<u64> {
        let stored = self.bytes[CARDINALITY].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        (stored >> 63 == 0).then_some(stored)
    }

    /// The runs of equal registers that a sparse string's opcodes tell of.
    #[must_use]
    pub fn runs(self) -> Runs<'a> {
        Runs::new(self.bytes, HEADER_LEN)
    }

    /// Estimates the cardinality from the registers.
    pub fn estimate(self) -> Result<u64, Corrupt> {
        let mut histogram = Histogram::default();
        match self.form {
            Form::Dense => dense::count_values(&self.bytes[HEADER_LEN..], &mut histogram),
            Form::Sparse => sparse::count_values(self.bytes, &mut histogram)?,
        }
        Ok(histogram.cardinality())
    }

    /// Checks every invariant.
    pub fn validate(self) -> Result<(), Corrupt> {
        match self.form {
            Form::Dense if self.bytes.len() != DENSE_LEN => {
                Err(Corrupt { offset: HEADER_LEN, reason: Reason::Length(self.bytes.len()) })
            }
            Form::Dense => Ok(()),
            Form::Sparse => sparse::for_each_run(self.bytes, |_, _| ()),
        }
    }
}

/// A string with a HyperLogLog's header, to change.
#[derive(Debug)]
pub struct HllMut<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> HllMut<'a> {
    /// As [`HllRef::recognize`].
    pub fn recognize(bytes: &'a mut Vec<u8>) -> Option<Self> {
        HllRef::recognize(bytes)?;
        Some(HllMut { bytes })
    }

    fn form(&self) -> Form {
        if self.bytes[FORM] == 0 { Form::Dense } else { Form::Sparse }
    }

    /// Adds an element: true when a register was raised, and then the cardinality is stale. A sparse string that would
    /// grow beyond `sparse_max` bytes becomes dense. On an error the string is as it was.
    #[inline]
    pub fn add(&mut self, element: &[u8], sparse_max: usize) -> Result<bool, Corrupt> {
        let (index, value) = register_of(element);
        self.raise(index, value, sparse_max)
    }

    /// Raises the register `index`, below [`REGISTERS`], to `value`, below 64: as [`HllMut::add`].
    #[inline]
    pub fn raise(&mut self, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
        self.raise_from(&mut Cursor::default(), index, value, sparse_max)
    }

    fn raise_from(&mut self, from: &mut Cursor, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
        let raised = match self.form() {
            Form::Dense => dense::raise(&mut self.bytes[HEADER_LEN..], index, value),
            Form::Sparse => match sparse::raise(self.bytes, index, value, sparse_max, from)? {
                Raised::No => false,
                Raised::Yes => true,
                Raised::NotSparse => {
                    self.make_dense()?;
                    dense::raise(&mut self.bytes[HEADER_LEN..], index, value)
                }
            },
        };
        if raised && !(faults::is(Fault::HllKeepsStaleCardinality) && self.form() == Form::Sparse) {
            self.invalidate();
        }
        Ok(raised)
    }

    /// Raises every register to what it is in `registers`; the cardinality is stale then. `dense`: the string becomes
    /// dense in any case. On an error the string is as it was.
    pub fn merge(&mut self, registers: &Registers, dense: bool, sparse_max: usize) -> Result<(), Corrupt> {
        if dense && !faults::is(Fault::HllMergeStaysSparse) {
            self.make_dense()?;
        } else {
            HllRef { bytes: self.bytes, form: self.form() }.validate()?;
        }
        let mut cursor = Cursor::default();
        let (blocks, _) = registers.0.as_chunks::<BLOCK>();
        for (block, values) in blocks.iter().enumerate().filter(|(_, values)| **values != [0; BLOCK]) {
            for (index, &value) in (block * BLOCK..).zip(values).filter(|(_, value)| **value > 0) {
                self.raise_from(&mut cursor, index, value, sparse_max)?;
            }
        }
        self.invalidate();
        Ok(())
    }

    /// Gives a sparse string the dense form; false when it had it already. The header stays as it is otherwise. On an
    /// error the string is as it was.
    pub fn make_dense(&mut self) -> Result<bool, Corrupt> {
        if self.form() == Form::Dense {
            return Ok(false);
        }
        let mut grown = vec![0; DENSE_LEN];
        sparse::for_each_run(self.bytes, |first, run| {
            if run.value > 0 {
                for index in first..first + run.length {
                    dense::raise(&mut grown[HEADER_LEN..], index, run.value);
                }
            }
        })?;
        grown[..HEADER_LEN].copy_from_slice(&self.bytes[..HEADER_LEN]);
        grown[FORM] = 0;
        *self.bytes = grown;
        Ok(true)
    }

    /// Puts the cardinality into the header. A number of 2^63 or more, which only hand-made registers give, stays stale.
    pub fn store_cardinality(&mut self, cardinality: u64) {
        self.bytes[CARDINALITY].copy_from_slice(&cardinality.to_le_bytes());
    }

    /// Marks the cardinality in the header as stale.
    #[inline]
    pub fn invalidate(&mut self) {
        self.bytes[HEADER_LEN - 1] |= STALE;
    }
}

/// All registers, a byte each: the union of several strings.
#[derive(Debug)]
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Registers(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    /// Raises every register to what it is in `hll`.
    pub fn merge(&mut self, hll: HllRef<'_>) -> Result<(), Corrupt> {
        match hll.form {
            Form::Dense => {
                dense::for_each(&hll.bytes[HEADER_LEN..], &mut self.0, |mine, other| *mine = (*mine).max(other));
                Ok(())
            }
            Form::Sparse => {
                hll.validate()?;
                sparse::for_each_run(hll.bytes, |first, run| {
                    if run.value > 0 {
                        for mine in &mut self.0[first..first + run.length] {
                            *mine = (*mine).max(run.value);
                        }
                    }
                })
            }
        }
    }

    /// The registers in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u8> + use<'_> {
        self.0.iter().copied()
    }

    /// Estimates the cardinality.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let mut histogram = Histogram::default();
        let (blocks, _) = self.0.as_chunks::<BLOCK>();
        for values in blocks {
            if *values == [0; BLOCK] {
                histogram.add(0, BLOCK as u32);
            } else {
                for &value in values {
                    histogram.add(value, 1);
                }
            }
        }
        histogram.cardinality()
    }
}
