//! Scores of sorted sets: how they compare, how they are written and how they are read.

use std::cmp::Ordering;
use std::fmt;

/// A score: any number but not-a-number; both zeros are equal.
#[derive(Clone, Copy, Debug)]
pub struct Score(pub f64);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 < other.0 {
            Ordering::Less
        } else if self.0 > other.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

impl fmt::Display for Score {
    /// Seventeen significant digits without needless zeros; the exponent form below 1e-4 and from 1e17 on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: i32 = 17;
        if self.0.is_infinite() {
            return f.write_str(if self.0 > 0.0 { "inf" } else { "-inf" });
        }
        let text = format!("{:.16e}", self.0);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        let digits: String = mantissa.chars().filter(|&character| character != '.').collect();
        let significant = digits.trim_end_matches('0');
        let significant = if significant.is_empty() { "0" } else { significant };
        f.write_str(sign)?;
        if !(-4..DIGITS).contains(&exponent) {
            let (first, rest) = significant.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let sign = if exponent < 0 { '-' } else { '+' };
            return write!(f, "{first}{point}{rest}e{sign}{:02}", exponent.abs());
        }
        if exponent < 0 {
            return write!(f, "0.{}{significant}", "0".repeat((-exponent - 1) as usize));
        }
        let whole = exponent as usize + 1;
        if significant.len() <= whole {
            return write!(f, "{significant}{}", "0".repeat(whole - significant.len()));
        }
        let (whole, fraction) = significant.split_at(whole);
        write!(f, "{whole}.{fraction}")
    }
}

/// Reads a score ([SCORE-2]); `None` if the text is none.
pub fn parse_score(text: &[u8]) -> Option<f64> {
    let (value, exact_zero) = parse(text)?;
    // A finite text must not become infinite, nor anything but zero become zero.
    let finite_text = !text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    let vanished = value == 0.0 && !exact_zero;
    (!(value.is_nan() || vanished || finite_text && value.is_infinite())).then_some(value)
}

/// Reads the limit of a range, without the parenthesis ([SCORE-7]); `None` if the text is none.
pub fn parse_limit(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let blank = text.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let (value, _) = parse(&text[blank..])?;
    (!value.is_nan()).then_some(value)
}

/// The double nearest to a text, and whether the text is a zero.
fn parse(text: &[u8]) -> Option<(f64, bool)> {
    let (sign, magnitude) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        rest => (1.0, rest),
    };
    let lower = magnitude.to_ascii_lowercase();
    let (value, is_zero) = match lower.as_slice() {
        b"inf" | b"infinity" => (f64::INFINITY, false),
        b"nan" => (f64::NAN, false),
        [b'0', b'x', rest @ ..] => parse_hexadecimal(rest)?,
        decimal => {
            let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-');
            if !decimal.iter().all(plain) || !decimal.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
            {
                return None;
            }
            let value: f64 = std::str::from_utf8(decimal).ok()?.parse().ok()?;
            let digits = decimal.iter().take_while(|&&byte| byte != b'e');
            (value, digits.filter(|byte| byte.is_ascii_digit()).all(|&digit| digit == b'0'))
        }
    };
    Some((sign * value, is_zero))
}

/// Digits with an optional point and an optional binary exponent, all in lower case.
fn parse_hexadecimal(text: &[u8]) -> Option<(f64, bool)> {
    let mut parts = text.splitn(2, |&byte| byte == b'p');
    let digits = parts.next()?;
    let mut exponent: i64 = match parts.next() {
        None => 0,
        Some(exponent) => parse_exponent(exponent)?,
    };
    let mut significand: u64 = 0;
    let (mut any, mut sticky, mut behind_point) = (false, false, false);
    for &byte in digits {
        if byte == b'.' && !behind_point {
            behind_point = true;
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        any = true;
        if significand >> 60 == 0 {
            significand = significand << 4 | u64::from(digit);
            exponent -= if behind_point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if behind_point { 0 } else { 4 };
        }
    }
    if !any {
        return None;
    }
    // What was cut off lies below the last bit, far beyond those that a double keeps.
    Some((compose(significand | u64::from(sticky), exponent), significand == 0))
}

/// A binary exponent, cut to a size beyond which it makes no difference.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1 << 40));
    Some(if negative { -value } else { value })
}

/// The double nearest to `significand * 2^exponent`, ties to even.
fn compose(significand: u64, exponent: i64) -> f64 {
    if significand == 0 {
        return 0.0;
    }
    let top = 63 - i64::from(significand.leading_zeros()) + exponent;
    if top > 1023 {
        return f64::INFINITY;
    }
    // The last place of a double of this size.
    let last = (top - 52).max(-1074);
    let shift = last - exponent;
    let rounded = if shift <= 0 {
        significand << shift.unsigned_abs()
    } else if shift > 64 {
        0
    } else {
        let wide = u128::from(significand);
        let (whole, rest, half) = (wide >> shift, wide & ((1 << shift) - 1), 1u128 << (shift - 1));
        let up = rest > half || (rest == half && whole % 2 == 1);
        (whole + u128::from(up)) as u64
    };
    // Both factors are exact, and so is the product unless it is infinite.
    let power = |exponent: i64| 2f64.powi(exponent as i32);
    rounded as f64 * power(last / 2) * power(last - last / 2)
}

#[cfg(test)]
mod tests {
    use super::{Score, parse_limit, parse_score};

    fn text(value: f64) -> String {
        Score(value).to_string()
    }

    #[test]
    fn scores_are_written_with_seventeen_digits() {
        for (value, wanted) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.10000000000000001"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (-1.5e-7, "-1.4999999999999999e-07"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (1.0 / 33_554_432.0, "2.9802322387695312e-08"),
            (123_456_789.123_456_79, "123456789.12345679"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(value), wanted);
        }
    }

    #[test]
    fn scores_are_read_as_strtod_reads_them_and_nothing_else_is() {
        for (text, wanted) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("-0", -0.0),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            ("0X1P-1074", 5e-324),
            ("0x.8p1", 1.0),
            ("0x1.00000000000008", 1.0),
            ("0x1.000000000000080000001", 1.0000000000000002),
            ("0x1.8p-1074", 1e-323),
            ("-InFiNiTy", f64::NEG_INFINITY),
            ("0e-999", 0.0),
            ("4.9e-324", 5e-324),
        ] {
            assert_eq!(parse_score(text.as_bytes()).map(f64::to_bits), Some(wanted.to_bits()), "{text}");
        }
        for text in
            ["", " 1", "1 ", "nan", "-nan", "1e400", "1e-400", "0x", "0x1p", "1e", ".", "e5", "1_0", "in", "1\0"]
        {
            assert_eq!(parse_score(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn limits_of_ranges_are_read_more_generously() {
        for (text, wanted) in
            [(&b""[..], 0.0), (b"  7", 7.0), (b"1\0zz", 1.0), (b"1e400", f64::INFINITY), (b"-1e-400", -0.0)]
        {
            assert_eq!(parse_limit(text).map(f64::to_bits), Some(wanted.to_bits()));
        }
        for text in ["nan", " ", "1 ", "(1", "x"] {
            assert_eq!(parse_limit(text.as_bytes()), None, "{text}");
        }
    }
}
