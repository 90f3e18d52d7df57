//! Lengths and small integers, the alphabet of the format.
//!
//! ```text
//! 00llllll                        0..63
//! 01llllll llllllll               0..16383, high byte first
//! 10000000 + 4 bytes              high byte first
//! 10000001 + 8 bytes              high byte first
//! 11eeeeee                        no length: the string is encoded as e says
//! ```

use crate::faults::{self, Fault};

/// Encodings of a string behind the two top bits 11.
pub(crate) mod encoding {
    /// One signed byte.
    pub(crate) const INT8: u8 = 0;
    /// Two bytes, low first.
    pub(crate) const INT16: u8 = 1;
    /// Four bytes, low first.
    pub(crate) const INT32: u8 = 2;
    /// Compressed length, plain length, compressed bytes.
    pub(crate) const LZF: u8 = 3;
}

/// First byte of a 32-bit length.
pub(crate) const LENGTH_32: u8 = 0x80;
/// First byte of a 64-bit length.
pub(crate) const LENGTH_64: u8 = 0x81;
/// Top bits of an encoded string.
pub(crate) const ENCODED: u8 = 0xC0;

/// What stands where a length may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// That many.
    Plain(u64),
    /// Not a length but a string encoding, 0..63.
    Encoded(u8),
}

/// The shortest form of a length: the bytes and how many of them count.
pub(crate) fn encode_length(length: u64) -> ([u8; 9], usize) {
    let mut bytes = [0; 9];
    let six_bits = if faults::is(Fault::RdbLengthSixBits) { (1 << 6) + 1 } else { 1 << 6 };
    let used = if length < six_bits {
        bytes[0] = (length & 0x3f) as u8;
        1
    } else if length < 1 << 14 {
        bytes[..2].copy_from_slice(&(0x4000 | length as u16).to_be_bytes());
        2
    } else if let Ok(short) = u32::try_from(length) {
        bytes[0] = LENGTH_32;
        bytes[1..5].copy_from_slice(&short.to_be_bytes());
        5
    } else {
        bytes[0] = LENGTH_64;
        bytes[1..].copy_from_slice(&length.to_be_bytes());
        9
    };
    (bytes, used)
}

/// The integer form of a string that fits 32 bits: the bytes and how many of them count.
pub(crate) fn encode_integer(value: i64) -> Option<([u8; 5], usize)> {
    let mut bytes = [0; 5];
    let used = if let Ok(value) = i8::try_from(value) {
        bytes[0] = ENCODED | encoding::INT8;
        bytes[1..2].copy_from_slice(&value.to_le_bytes());
        2
    } else if let Ok(value) = i16::try_from(value) {
        bytes[0] = ENCODED | encoding::INT16;
        bytes[1..3].copy_from_slice(&value.to_le_bytes());
        3
    } else {
        let value = i32::try_from(value).ok()?;
        bytes[0] = ENCODED | encoding::INT32;
        bytes[1..].copy_from_slice(&value.to_le_bytes());
        5
    };
    Some((bytes, used))
}

/// The number whose decimal text is exactly `text`, when a string so short may be stored as an integer.
pub(crate) fn integer_of(text: &[u8]) -> Option<i32> {
    // Eleven characters hold every 32-bit integer.
    if text.is_empty() || text.len() > 11 {
        return None;
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let first = *digits.first()?;
    if (first == b'0' && (negative || digits.len() > 1)) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    i32::try_from(if negative { -size } else { size }).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form_on_both_sides_of_each_boundary() {
        let form = |length: u64| {
            let (bytes, used) = encode_length(length);
            bytes[..used].to_vec()
        };
        assert_eq!(form(63), [0x3f]);
        assert_eq!(form(64), [0x40, 0x40]);
        assert_eq!(form(16_383), [0x7f, 0xff]);
        assert_eq!(form(16_384), [0x80, 0, 0, 0x40, 0]);
        assert_eq!(form(u64::from(u32::MAX)), [0x80, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(form(1 << 32), [0x81, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn only_canonical_decimal_text_counts_as_an_integer() {
        for (text, value) in [("0", 0), ("-1", -1), ("2147483647", i32::MAX), ("-2147483648", i32::MIN), ("127", 127)] {
            assert_eq!(integer_of(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "2147483648", "-2147483649", "99999999999", "1.0"] {
            assert_eq!(integer_of(text.as_bytes()), None, "{text}");
        }
    }
}
