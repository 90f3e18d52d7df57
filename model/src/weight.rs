//! The weights that SORT compares without ALPHA: double-precision numbers as text. [SORT-5] [SORT-6]

/// Least exponent of the last of a denormal number's bits, and bits of a significand.
const LEAST_EXPONENT: i64 = -1074;
const SIGNIFICAND_BITS: i64 = 53;

/// The number a text says; `None` if it is none, or one that double precision cannot hold.
pub(crate) fn read_weight(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let spaces = text.iter().take_while(|&&byte| byte == b' ' || (b'\t'..=b'\r').contains(&byte)).count();
    let (negative, digits) = match &text[spaces..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let lower = digits.to_ascii_lowercase();
    let magnitude = match lower.as_slice() {
        b"inf" | b"infinity" => f64::INFINITY,
        [b'0', b'x', digits @ ..] => hexadecimal(digits)?,
        digits => decimal(digits)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Digits with an optional point and, after `letter`, an optional exponent.
struct Parts {
    /// The digits without the point.
    digits: Vec<u8>,
    /// How many of them stand behind the point.
    behind_point: i64,
    /// The exponent, cut to a size beyond which it makes no difference.
    exponent: i64,
}

fn split(text: &[u8], letter: u8, is_digit: fn(&u8) -> bool) -> Option<Parts> {
    let end = text.iter().position(|&byte| byte == letter).unwrap_or(text.len());
    let mut digits = Vec::new();
    let mut behind_point = None;
    for byte in &text[..end] {
        if *byte == b'.' && behind_point.is_none() {
            behind_point = Some(0);
        } else if is_digit(byte) {
            digits.push(*byte);
            behind_point = behind_point.map(|count: i64| count + 1);
        } else {
            return None;
        }
    }
    let exponent = match text.get(end + 1..) {
        None => 0,
        Some([b'-', digits @ ..]) => -exponent(digits)?,
        Some([b'+', digits @ ..]) => exponent(digits)?,
        Some(digits) => exponent(digits)?,
    };
    (!digits.is_empty()).then_some(Parts { digits, behind_point: behind_point.unwrap_or(0), exponent })
}

fn exponent(digits: &[u8]) -> Option<i64> {
    const MOST: i64 = 1 << 40;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value: i64, digit| (value * 10 + i64::from(digit - b'0')).min(MOST)))
}

/// A decimal fraction that is exactly a denormal number has hundreds of digits; those few are refused too.
fn decimal(text: &[u8]) -> Option<f64> {
    let parts = split(text, b'e', u8::is_ascii_digit)?;
    if parts.digits.iter().all(|&digit| digit == b'0') {
        return Some(0.0);
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_normal().then_some(value)
}

fn hexadecimal(text: &[u8]) -> Option<f64> {
    let parts = split(text, b'p', u8::is_ascii_hexdigit)?;
    // Thirty digits, and whether anything but zeros follows, decide.
    let significant: Vec<u8> = parts.digits.iter().copied().skip_while(|&digit| digit == b'0').collect();
    if significant.is_empty() {
        return Some(0.0);
    }
    let cut = significant.len().saturating_sub(30);
    let (kept, rest) = significant.split_at(significant.len() - cut);
    let mut value: u128 = 0;
    for &digit in kept {
        value = value * 16 + u128::from(char::from(digit).to_digit(16)?);
    }
    value = value << 1 | u128::from(rest.iter().any(|&digit| digit != b'0'));
    // The number is value * 2^power, value's last bit standing for all that was cut off.
    let power = parts.exponent + 4 * (i64::try_from(cut).ok()? - parts.behind_point) - 1;
    let bits = i64::from(u128::BITS - value.leading_zeros());
    let last = (power + bits - SIGNIFICAND_BITS).max(LEAST_EXPONENT);
    let dropped = last - power;
    if dropped > 127 {
        return None;
    }
    let (mut significand, exact) = match u32::try_from(dropped) {
        Ok(0) => (value, true),
        Ok(dropped) => {
            let (whole, left) = (value >> dropped, value & ((1 << dropped) - 1));
            let half = 1 << (dropped - 1);
            (whole + u128::from(left > half || (left == half && whole % 2 == 1)), left == 0)
        }
        Err(_) => (value << dropped.unsigned_abs(), true),
    };
    let mut last = last;
    if significand >> SIGNIFICAND_BITS != 0 {
        significand >>= 1;
        last += 1;
    }
    let is_denormal = significand >> (SIGNIFICAND_BITS - 1) == 0;
    if is_denormal && !exact || last > 971 {
        return None;
    }
    let field = if is_denormal { 0 } else { u64::try_from(last - LEAST_EXPONENT + 1).ok()? };
    let fraction = u64::try_from(significand).ok()? & ((1 << (SIGNIFICAND_BITS - 1)) - 1);
    Some(f64::from_bits(field << (SIGNIFICAND_BITS - 1) | fraction))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_read_as_the_c_library_reads_them() {
        for (text, value) in [
            ("", 0.0),
            (" \t1", 1.0),
            ("-0", 0.0),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1\0x", 1.0),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x10", 16.0),
            ("0X1.8p1", 3.0),
            ("0x.8", 0.5),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x1p-1022", f64::MIN_POSITIVE),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x20000000000001", 9_007_199_254_740_992.0),
            ("0x20000000000003", 9_007_199_254_740_996.0),
            ("0x2000000000000100000000000000000000000001p-104", 9_007_199_254_740_994.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("2.2250738585072014e-308", f64::MIN_POSITIVE),
        ] {
            assert_eq!(read_weight(text.as_bytes()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_double_precision_cannot_hold_is_refused() {
        for text in [
            "a",
            " ",
            "1 ",
            "nan",
            "-nan",
            "--1",
            "1e",
            "e5",
            "0x",
            "1e400",
            "1e-400",
            "1e-320",
            "0x1p1024",
            "0x1p-1075",
            "0x1.8p-1074",
            "0x1.fffffffffffff8p1023",
            "infinit",
            "1,5",
            "1.2.3",
            "0x1p",
        ] {
            assert_eq!(read_weight(text.as_bytes()), None, "{text}");
        }
    }
}
