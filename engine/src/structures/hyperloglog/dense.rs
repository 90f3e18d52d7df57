//! Registers of six bits each, packed without gaps.
//!
//! ```text
//!   byte    0        1        2        3
//!         11000000 22221111 33333322 55444444 …     the digit is the register, its lowest bit on the right
//! ```
//!
//! Eight registers fill six bytes, which is what the loops over all of them take at a time.

use super::estimate::Histogram;
use super::{REGISTER_BITS, REGISTERS};

const REGISTER_MAX: u64 = (1 << REGISTER_BITS) - 1;
/// Bytes of eight registers.
const GROUP: usize = REGISTER_BITS;

const _: () = assert!(REGISTERS.is_multiple_of(8), "groups of eight registers leave none over");

/// The byte in which a register begins, its lowest bit there, and the two bytes from there on as a number; beyond the
/// last byte is nothing, and no register reaches there.
#[inline]
fn place(packed: &[u8], index: usize) -> (usize, usize, u16) {
    let bit = index * REGISTER_BITS;
    let byte = bit / 8;
    let next = packed.get(byte + 1).copied().unwrap_or(0);
    (byte, bit % 8, u16::from_le_bytes([packed[byte], next]))
}

/// The value of one register.
#[must_use]
#[inline]
pub fn register(packed: &[u8], index: usize) -> u8 {
    let (_, shift, window) = place(packed, index);
    (window >> shift) as u8 & REGISTER_MAX as u8
}

/// Raises one register to `value`; false when it is as great already.
#[inline]
pub fn raise(packed: &mut [u8], index: usize, value: u8) -> bool {
    let (byte, shift, window) = place(packed, index);
    if (window >> shift) as u8 & REGISTER_MAX as u8 >= value {
        return false;
    }
    let cleared = window & !((REGISTER_MAX as u16) << shift);
    let [low, high] = (cleared | u16::from(value) << shift).to_le_bytes();
    packed[byte] = low;
    if let Some(next) = packed.get_mut(byte + 1) {
        *next = high;
    }
    true
}

#[inline]
fn group(six: &[u8; GROUP]) -> [u8; 8] {
    let [a, b, c, d, e, f] = *six;
    let bits = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    std::array::from_fn(|at| (bits >> (at * REGISTER_BITS) & REGISTER_MAX) as u8)
}

/// Calls `each` with every register and what stands at its place in `beside`.
#[inline]
pub(super) fn for_each(packed: &[u8], beside: &mut [u8; REGISTERS], each: impl Fn(&mut u8, u8)) {
    let (groups, _) = packed.as_chunks::<GROUP>();
    let (eights, _) = beside.as_chunks_mut::<8>();
    for (six, eight) in groups.iter().zip(eights) {
        for (mine, other) in eight.iter_mut().zip(group(six)) {
            each(mine, other);
        }
    }
}

/// Counts the registers of each value.
pub(super) fn count_values(packed: &[u8], histogram: &mut Histogram) {
    // Neighbours are often equal; several counters for each value keep one addition from waiting for the other.
    let mut counts = [[0u32; 1 << REGISTER_BITS]; 4];
    let (groups, _) = packed.as_chunks::<GROUP>();
    for six in groups {
        for (at, value) in group(six).into_iter().enumerate() {
            counts[at % 4][usize::from(value)] += 1;
        }
    }
    for lane in counts {
        for (value, count) in (0u8..).zip(lane) {
            histogram.add(value, count);
        }
    }
}
