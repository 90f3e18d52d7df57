//! The x87 80-bit extended float of INCRBYFLOAT and HINCRBYFLOAT: read, added and printed bit for bit as a server on
//! x86-64 does.
//!
//! A finite value is `significand × 2^exponent` with a 64-bit significand. It is printed with 17 decimals, correctly
//! rounded (half to even), and the zeros at the end of the fraction are cut.

use std::ops::Add;

use rustc_apfloat::Float;
use rustc_apfloat::ieee::X87DoubleExtended;

use crate::number::{parse_float, without_trailing_zeros};

/// Decimals that are printed before trailing zeros are cut.
const DECIMALS: usize = 17;
/// The smallest power of ten with that many zeros.
const TEN_TO_DECIMALS: u128 = 10u128.pow(DECIMALS as u32);
/// Bits of the explicit significand.
const SIGNIFICAND_BITS: u32 = 64;
/// Bias of the stored exponent, and the width of the significand below its leading bit.
const EXPONENT_BIAS: i32 = 16383 + SIGNIFICAND_BITS as i32 - 1;

const _: () = assert!(TEN_TO_DECIMALS < 1 << 57, "significand times ten to the decimals fits 128 bits");

/// An extended float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Reads a text as `strtold` does; `None` for NaN, white space, anything left over, overflow and underflow to zero.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse_float(text).map(Self)
    }

    /// The nearest value, which is exact: 64 bits hold every `i64`.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self(X87DoubleExtended::from_i128(i128::from(value)).value)
    }

    /// Neither infinite nor NaN.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl Add for LongDouble {
    type Output = Self;

    /// The sum, rounded to nearest, ties to even.
    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0).value)
    }
}

impl std::fmt::Display for LongDouble {
    /// Prints as `%.17Lf`, without the fraction's trailing zeros; `inf` and `nan` by name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0.is_negative() { "-" } else { "" };
        if self.0.is_nan() {
            return write!(f, "{sign}nan");
        }
        if self.0.is_infinite() {
            return write!(f, "{sign}inf");
        }
        let bits = self.0.to_bits();
        let significand = bits as u64; // The low half holds it.
        let stored = ((bits >> SIGNIFICAND_BITS) & 0x7fff) as i32; // 15 bits.
        let exponent = stored.max(1) - EXPONENT_BIAS;
        if exponent >= 0 {
            return write!(f, "{sign}{}", shifted_decimal(significand, exponent.unsigned_abs()));
        }
        let scaled = rounded_shift(u128::from(significand) * TEN_TO_DECIMALS, exponent.unsigned_abs());
        let (whole, fraction) = (scaled / TEN_TO_DECIMALS, scaled % TEN_TO_DECIMALS);
        write!(f, "{sign}{}", without_trailing_zeros(&format!("{whole}.{fraction:0DECIMALS$}")))
    }
}

/// `value / 2^bits`, rounded to nearest, ties to even.
fn rounded_shift(value: u128, bits: u32) -> u128 {
    if bits >= u128::BITS {
        return 0; // The value has fewer than 122 bits, so the quotient is below one half.
    }
    let quotient = value >> bits;
    let remainder = value & ((1 << bits) - 1);
    let half = 1u128 << (bits - 1);
    let up = remainder > half || (remainder == half && quotient & 1 == 1);
    quotient + u128::from(up)
}

/// `value × 2^bits` in decimal.
fn shifted_decimal(value: u64, bits: u32) -> String {
    const LIMB: u64 = 1_000_000_000;
    // Multiplying by at most 2^32 keeps limb × factor + carry within 64 bits.
    const STEP: u32 = 32;
    let mut limbs: Vec<u32> = Vec::new(); // Base 10^9, least significant first.
    let mut rest = value;
    while rest > 0 {
        limbs.push((rest % LIMB) as u32);
        rest /= LIMB;
    }
    let mut remaining = bits;
    while remaining > 0 {
        let step = remaining.min(STEP);
        let mut carry = 0u64;
        for limb in &mut limbs {
            let product = (u64::from(*limb) << step) + carry;
            *limb = (product % LIMB) as u32;
            carry = product / LIMB;
        }
        while carry > 0 {
            limbs.push((carry % LIMB) as u32);
            carry /= LIMB;
        }
        remaining -= step;
    }
    let mut limbs = limbs.iter().rev();
    let mut text = limbs.next().map_or_else(|| "0".to_owned(), u32::to_string);
    for limb in limbs {
        text.push_str(&format!("{limb:09}"));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sum(left: &str, right: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        (parse(left) + parse(right)).to_string()
    }

    #[test]
    fn sums_print_with_17_decimals_and_no_trailing_zeros() {
        assert_eq!(sum("10.5", "0.1"), "10.6");
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("5.0e3", "2.0e2"), "5200");
        assert_eq!(sum("3", "1.1"), "4.1");
        assert_eq!(sum("1e18", "0.3"), "1000000000000000000.3125");
        assert_eq!(sum("0x10", "0"), "16");
        assert_eq!(sum("1e-17", "0"), "0.00000000000000001");
        assert_eq!(sum("6e-18", "0"), "0.00000000000000001");
        assert_eq!(sum("1e-18", "0"), "0");
    }

    #[test]
    fn numbers_beyond_the_significand_print_every_digit() {
        assert_eq!(sum("1e30", "0"), "1000000000000000000024696061952");
        let largest = LongDouble::parse(b"1.18973149535723176502e4932").unwrap().to_string();
        assert_eq!(largest.len(), 4933);
        assert!(largest.starts_with("118973149535723176502126385303097020516906332229462420044032373389"));
    }

    #[test]
    fn out_of_range_is_refused_but_infinity_is_read() {
        assert_eq!(LongDouble::parse(b"1e4933"), None);
        assert_eq!(LongDouble::parse(b"1e-5000"), None);
        assert!(LongDouble::parse(b"0e-5000").is_some());
        assert!(!LongDouble::parse(b"-inf").unwrap().is_finite());
        assert_eq!(LongDouble::parse(b"nan"), None);
    }
}
