//! HyperLogLog: a string that estimates how many different elements it was given.
//!
//! ```text
//! "HYLL"  encoding  3 bytes  cached estimate (8 bytes, little-endian; its highest bit says that it is stale)  registers
//! ```
//!
//! Naively, everything but PFADD works on an array of all registers; only there the runs of the sparse form matter, because
//! their bytes can be read with GET.

mod commands;
mod sparse;

pub(crate) use commands::{pfadd, pfcount, pfdebug, pfmerge, pfselftest};

use crate::reply::Bytes;

/// How many registers there are.
const REGISTERS: usize = 16_384;

/// Bytes before the registers.
const HEADER: usize = 16;

/// Bytes of a dense value: six bits for each register.
const DENSE_BYTES: usize = HEADER + REGISTERS * 6 / 8;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// The bit of the last header byte that says that the cached estimate is stale. [HLL-4]
const STALE: u8 = 0x80;

/// Bits of the hash that count zeros, the guard behind them excluded.
const COUNTED_BITS: u32 = 50;

/// The bytes of a value contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupted;

/// A string that has the form of a HyperLogLog. [HLL-1]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HyperLogLog {
    bytes: Bytes,
}

impl HyperLogLog {
    /// One without elements. [PFADD-2]
    fn new() -> Self {
        let mut bytes = b"HYLL".to_vec();
        bytes.push(SPARSE);
        bytes.resize(HEADER, 0);
        bytes.extend(sparse::Run::zeros(REGISTERS).bytes());
        Self { bytes }
    }

    /// The string as one, if it has the form. [HLL-1]
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let whole = match bytes {
            [b'H', b'Y', b'L', b'L', DENSE, ..] => bytes.len() == DENSE_BYTES,
            [b'H', b'Y', b'L', b'L', SPARSE, ..] => bytes.len() >= HEADER,
            _ => false,
        };
        whole.then(|| Self { bytes: bytes.to_vec() })
    }

    fn is_sparse(&self) -> bool {
        self.bytes[4] == SPARSE
    }

    /// The estimate that was kept, if it still holds. [HLL-4]
    fn cached(&self) -> Option<u64> {
        let mut estimate = [0; 8];
        estimate.copy_from_slice(&self.bytes[8..HEADER]);
        (estimate[7] & STALE == 0).then_some(u64::from_le_bytes(estimate))
    }

    fn cache(&mut self, estimate: u64) {
        self.bytes[8..HEADER].copy_from_slice(&estimate.to_le_bytes());
    }

    fn make_stale(&mut self) {
        self.bytes[HEADER - 1] |= STALE;
    }

    /// All registers. [HLL-5] [HLL-6]
    pub(crate) fn registers(&self) -> Result<Vec<u8>, Corrupted> {
        let body = &self.bytes[HEADER..];
        if self.is_sparse() {
            let mut registers = Vec::with_capacity(REGISTERS);
            for run in sparse::runs(body)? {
                // A damaged value may tell of any number of them.
                if registers.len() + run.length > REGISTERS {
                    return Err(Corrupted);
                }
                registers.resize(registers.len() + run.length, run.value);
            }
            return if registers.len() == REGISTERS { Ok(registers) } else { Err(Corrupted) };
        }
        Ok((0..REGISTERS).map(|register| dense_register(body, register)).collect())
    }

    /// The dense form of the same registers; the cached estimate and the unused bytes stay.
    fn to_dense(&self) -> Result<Self, Corrupted> {
        let registers = self.registers()?;
        let mut bytes = self.bytes[..HEADER].to_vec();
        bytes[4] = DENSE;
        bytes.resize(DENSE_BYTES, 0);
        for (register, &value) in registers.iter().enumerate() {
            set_dense_register(&mut bytes[HEADER..], register, value);
        }
        Ok(Self { bytes })
    }

    /// Raises a register to a value; answers whether it was lower. A sparse value becomes dense where the value does not fit
    /// it, or where it would grow beyond so many bytes. [HLL-8] [HLL-9]
    fn raise(&mut self, register: usize, value: u8, most_bytes: usize) -> Result<bool, Corrupted> {
        if self.is_sparse() {
            match sparse::raise(&self.bytes[HEADER..], register, value, most_bytes.saturating_sub(HEADER))? {
                sparse::Raised::Already => return Ok(false),
                sparse::Raised::Body(body) => {
                    self.bytes.truncate(HEADER);
                    self.bytes.extend(body);
                    return Ok(true);
                }
                sparse::Raised::TooLarge => *self = self.to_dense()?,
            }
        }
        let body = &mut self.bytes[HEADER..];
        let lower = dense_register(body, register) < value;
        if lower {
            set_dense_register(body, register, value);
        }
        Ok(lower)
    }
}

/// Registers of six bits stand one behind the other, the lowest bit first: this one begins in the byte and at the bit that
/// is answered, and may reach into the byte behind. [HLL-5]
fn dense_place(register: usize) -> (usize, usize) {
    (register * 6 / 8, register * 6 % 8)
}

fn dense_register(body: &[u8], register: usize) -> u8 {
    let (byte, bit) = dense_place(register);
    let behind = body.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([body[byte], behind]) >> bit & 0x3f) as u8
}

fn set_dense_register(body: &mut [u8], register: usize, value: u8) {
    let (byte, bit) = dense_place(register);
    let behind = body.get(byte + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([body[byte], behind]) & !(0x3f << bit) | u16::from(value) << bit;
    let [low, high] = both.to_le_bytes();
    body[byte] = low;
    if let Some(behind) = body.get_mut(byte + 1) {
        *behind = high;
    }
}

/// The register of an element, and the value that it raises the register to. [HLL-2] [HLL-3]
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur_hash(element);
    let register = hash % REGISTERS as u64;
    // A guard behind the counted bits ends the count.
    let counted = (hash / REGISTERS as u64) | (1 << COUNTED_BITS);
    (register as usize, counted.trailing_zeros() as u8 + 1)
}

/// MurmurHash2 in its 64-bit form for little-endian words. [HLL-2]
fn murmur_hash(bytes: &[u8]) -> u64 {
    const SEED: u64 = 0xadc8_3b19;
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let scrambled = word.wrapping_mul(FACTOR);
        let scrambled = (scrambled ^ scrambled >> SHIFT).wrapping_mul(FACTOR);
        hash = (hash ^ scrambled).wrapping_mul(FACTOR);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// How many different elements led to these registers: Ertl's improved raw estimator, in doubles. [HLL-7]
fn estimate(registers: &[u8]) -> u64 {
    /// Half the inverse of the natural logarithm of two.
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let all = REGISTERS as f64;
    let mut counts = [0_u32; 64];
    for &register in registers {
        counts[usize::from(register) % 64] += 1;
    }
    let counts = counts.map(f64::from);
    let greatest = COUNTED_BITS as usize + 1;
    let mut sum = all * tau((all - counts[greatest]) / all);
    for value in (1..greatest).rev() {
        sum = (sum + counts[value]) * 0.5;
    }
    sum += all * sigma(counts[0] / all);
    let estimate = (ALPHA * all * all / sum).round();
    // The conversion ends at the greatest integer.
    (estimate as i64).unsigned_abs()
}

/// The correction for registers that are still zero: x + the sum over k of x^(2^k) 2^(k-1).
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut power) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum == before {
            return sum;
        }
    }
}

/// The correction for registers that are at their greatest: a third of 1 - x - the sum over k of (1 - x^(2^-k))^2 2^-k.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut power) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * power;
        if sum == before {
            return sum / 3.0;
        }
    }
}
