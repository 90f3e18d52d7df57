//! Numbers as clients write them and as replies show them.
//!
//! Integers are strict: one optional minus, digits without leading zeros, nothing else. Floats follow C's `strtod`
//! (decimal and hexadecimal, `inf`, `infinity`), but nothing may stand before or after them, and NaN is refused.

use rustc_apfloat::{Float, Round, Status, ieee::Double};

/// Longest text of an `i64`, bytes: a minus and 19 digits.
pub const I64_TEXT_MAX: usize = 20;

/// Reads an integer; `None` unless printing it gives the same bytes back.
#[inline]
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] => return (!negative).then_some(0),
        [b'1'..=b'9', ..] if digits.len() < I64_TEXT_MAX => {}
        _ => return None,
    }
    // 19 digits are below 10^19 and fit a u64, so only the last step can leave the range of an i64.
    let mut magnitude = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Writes an integer into `buffer` and returns its text.
#[inline]
pub fn format_i64(value: i64, buffer: &mut [u8; I64_TEXT_MAX]) -> &[u8] {
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        // The remainder of a division by ten is a single digit.
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

/// Length of an integer's text, bytes.
#[must_use]
pub fn i64_text_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    digits + usize::from(value < 0)
}

/// A float's text, taken apart by the grammar of `strtod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatText<'a> {
    /// `inf` or `infinity`; true when negative.
    Infinity(bool),
    /// Sign, digits, point and exponent, as they stand.
    Decimal(&'a str),
    /// `0x…`, and whether it has an exponent.
    Hexadecimal(&'a str, bool),
}

impl<'a> FloatText<'a> {
    /// Recognizes a whole text; `None` for NaN and for anything that is not a number from its first byte to its last.
    pub(crate) fn recognize(text: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
            return Some(Self::Infinity(negative));
        }
        let as_str = std::str::from_utf8(text).ok()?;
        match unsigned {
            [b'0', b'x' | b'X', rest @ ..] => {
                let exponent = exponent_of(rest, u8::is_ascii_hexdigit, b'p')?;
                Some(Self::Hexadecimal(as_str, exponent))
            }
            rest => {
                exponent_of(rest, u8::is_ascii_digit, b'e')?;
                Some(Self::Decimal(as_str))
            }
        }
    }
}

/// Checks `digits [. digits] [mark [sign] digits]` with a digit before the exponent; says whether there is an exponent.
fn exponent_of(text: &[u8], is_digit: fn(&u8) -> bool, mark: u8) -> Option<bool> {
    let skip =
        |text: &[u8], from: usize| text[from..].iter().position(|b| !is_digit(b)).map_or(text.len(), |n| from + n);
    let whole = skip(text, 0);
    let mut digits = whole;
    let mut at = whole;
    if text.get(at) == Some(&b'.') {
        let end = skip(text, at + 1);
        digits += end - at - 1;
        at = end;
    }
    if digits == 0 {
        return None;
    }
    match text.get(at) {
        None => Some(false),
        Some(byte) if byte.to_ascii_lowercase() == mark => {
            let rest = &text[at + 1..];
            let rest = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b"+")).unwrap_or(rest);
            (!rest.is_empty() && rest.iter().all(u8::is_ascii_digit)).then_some(true)
        }
        Some(_) => None,
    }
}

/// Reads an apfloat of any format: `None` for what is not a number, overflows to infinity, or underflows to zero.
pub(crate) fn parse_float<F: Float>(text: &[u8]) -> Option<F> {
    let parsed = match FloatText::recognize(text)? {
        FloatText::Infinity(negative) => return Some(if negative { -F::INFINITY } else { F::INFINITY }),
        FloatText::Decimal(text) => F::from_str_r(&tamed_exponent(text, 'e'), Round::NearestTiesToEven),
        FloatText::Hexadecimal(text, true) => F::from_str_r(&tamed_exponent(text, 'p'), Round::NearestTiesToEven),
        FloatText::Hexadecimal(text, false) => F::from_str_r(&format!("{text}p0"), Round::NearestTiesToEven),
    };
    let parsed = parsed.ok()?;
    let lost = parsed.status.intersects(Status::OVERFLOW | Status::UNDERFLOW | Status::INEXACT);
    (!(lost && (parsed.value.is_infinite() || parsed.value.is_zero()))).then_some(parsed.value)
}

/// Shortens an exponent of absurd length, which the parser counts in an `i32`, to one that has the same effect.
fn tamed_exponent(text: &str, mark: char) -> std::borrow::Cow<'_, str> {
    /// More than the digits of any text a client can send move the point.
    const ENOUGH: &str = "1000000000";
    let Some(at) = text.find([mark, mark.to_ascii_uppercase()]) else { return text.into() };
    let (head, exponent) = (&text[..at], &text[at + 1..]);
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", exponent.strip_prefix('+').unwrap_or(exponent)),
    };
    let digits = digits.trim_start_matches('0');
    if digits.len() < ENOUGH.len() {
        format!("{head}{mark}{sign}{}", if digits.is_empty() { "0" } else { digits }).into()
    } else {
        format!("{head}{mark}{sign}{ENOUGH}").into()
    }
}

/// Reads a double; `None` for NaN, white space, anything left over, overflow and underflow to zero.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    match FloatText::recognize(text)? {
        FloatText::Infinity(negative) => Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        FloatText::Decimal(decimal) => {
            let value: f64 = decimal.parse().ok()?;
            let mantissa = decimal.split(['e', 'E']).next().unwrap_or(decimal);
            let underflowed = value == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
            (value.is_finite() && !underflowed).then_some(value)
        }
        FloatText::Hexadecimal(..) => {
            let bits = parse_float::<Double>(text)?.to_bits();
            u64::try_from(bits).ok().map(f64::from_bits)
        }
    }
}

/// Reads a double as C's `strtod` reads a whole text: white space in front is passed over, what overflows is infinite and
/// what underflows is 0, and nothing at all is 0. `None` for NaN and for anything left over.
#[must_use]
pub fn parse_f64_start(text: &[u8]) -> Option<f64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    if text.is_empty() {
        return Some(0.0);
    }
    let first = text.iter().position(|byte| !is_space(byte))?;
    match FloatText::recognize(&text[first..])? {
        FloatText::Infinity(negative) => Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        FloatText::Decimal(decimal) => decimal.parse().ok(),
        FloatText::Hexadecimal(hexadecimal, exponent) => {
            let text = if exponent { tamed_exponent(hexadecimal, 'p') } else { format!("{hexadecimal}p0").into() };
            let parsed = Double::from_str_r(&text, Round::NearestTiesToEven).ok()?;
            u64::try_from(parsed.value.to_bits()).ok().map(f64::from_bits)
        }
    }
}

/// Longest text that [`format_f64`] gives, bytes: a minus, 17 digits, a point and an exponent of three digits.
pub const F64_TEXT_MAX: usize = 24;

/// A double as [`format_f64`] gives it, written into `buffer`; most are integers, whose digits are quickly found.
#[inline]
pub fn score_text(value: f64, buffer: &mut [u8; F64_TEXT_MAX]) -> &[u8] {
    /// Up to this magnitude integers print all their digits.
    const DIGITS_ALL: f64 = 1e15;
    if value.abs() < DIGITS_ALL && value.trunc() == value && !(value == 0.0 && value.is_sign_negative()) {
        let mut digits = [0; I64_TEXT_MAX];
        // An integer of this magnitude is exact.
        let text = format_i64(value as i64, &mut digits);
        buffer[..text.len()].copy_from_slice(text);
        return &buffer[..text.len()];
    }
    let text = format_f64(value);
    buffer[..text.len()].copy_from_slice(text.as_bytes());
    &buffer[..text.len()]
}

/// Reads what SORT sorts by, as `strtod` does up to the first zero byte: white space may stand before it, an empty text
/// is 0, and numbers so small that bits of them are lost are refused.
#[must_use]
pub fn parse_weight(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    // What C's isspace takes for white space.
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let number = &text[text.iter().position(|byte| !blank(byte))?..];
    let value = parse_f64(number)?;
    if value.is_subnormal() && !is_exact(number) {
        return None;
    }
    Some(value)
}

/// Whether a number's text is exactly a double.
fn is_exact(text: &[u8]) -> bool {
    let parsed = match FloatText::recognize(text) {
        Some(FloatText::Decimal(text)) => Double::from_str_r(&tamed_exponent(text, 'e'), Round::NearestTiesToEven),
        Some(FloatText::Hexadecimal(text, true)) => {
            Double::from_str_r(&tamed_exponent(text, 'p'), Round::NearestTiesToEven)
        }
        Some(FloatText::Hexadecimal(text, false)) => Double::from_str_r(&format!("{text}p0"), Round::NearestTiesToEven),
        Some(FloatText::Infinity(_)) => return true,
        None => return false,
    };
    parsed.is_ok_and(|parsed| !parsed.status.intersects(Status::INEXACT))
}

/// A double as C's `%.17g` prints it: 17 significant digits at most, no trailing zeros, exponents of two digits or more.
#[must_use]
pub fn format_f64(value: f64) -> String {
    format_significant(value, 17)
}

/// A double as C's `%.{digits}g` prints it, with as many significant digits at most; one to 17.
#[must_use]
pub(crate) fn format_significant(value: f64, digits: u8) -> String {
    let significant = i32::from(digits.clamp(1, 17));
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let scientific = format!("{:.*e}", usize::from(digits.clamp(1, 17)) - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..significant).contains(&exponent) {
        let decimals = usize::try_from(significant - 1 - exponent).unwrap_or(0);
        return without_trailing_zeros(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.unsigned_abs())
}

/// Cuts zeros at the end of a fraction, and the point when nothing is left of the fraction.
pub(crate) fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_integer_is_read_only_in_the_form_it_is_printed() {
        for text in ["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "1000000000000000000"] {
            assert_eq!(parse_i64(text.as_bytes()).map(|n| n.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "18446744073709551616",
            "a",
            "1a",
            "-01",
            "1\0",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn doubles_print_as_17_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (3.3, "3.2999999999999998"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_f64(value), text);
        }
    }

    #[test]
    fn scores_have_the_same_text_in_a_buffer() {
        let mut values =
            vec![0.0, -0.0, 0.5, f64::INFINITY, f64::MAX, -f64::MIN_POSITIVE, 5e-324, -1.234_567_890_123_456_7e-300];
        for exponent in 0..20 {
            let power = 10f64.powi(exponent);
            values.extend([power, -power, power - 1.0, power + 1.0, power + 0.5, 1.0 / power]);
        }
        for value in values {
            assert_eq!(score_text(value, &mut [0; F64_TEXT_MAX]), format_f64(value).as_bytes(), "{value}");
        }
    }

    #[test]
    fn weights_are_read_up_to_a_zero_byte_with_blanks_before_them() {
        for (text, value) in [
            ("", 0.0),
            ("\0junk", 0.0),
            (" \t\n\x0b\x0c\r1", 1.0),
            ("-1.5e3\0x", -1500.0),
            ("0x1p-1074", 5e-324),
            ("0x.8p-1073", 5e-324),
            ("2.2250738585072014e-308", f64::MIN_POSITIVE),
            ("inf", f64::INFINITY),
        ] {
            assert_eq!(parse_weight(text.as_bytes()), Some(value), "{text:?}");
        }
        for text in [" ", "1 ", "a", "nan", "1e400", "1e-310", "5e-324", "1e-400", "0x1p-1075", "--1", " \0"] {
            assert_eq!(parse_weight(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn doubles_are_read_as_strtod_reads_a_whole_text() {
        for (text, value) in [
            ("1", 1.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            ("0x1.8p1", 3.0),
            ("-0X.8", -0.5),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0e99999999999", 0.0),
            ("1e-310", 1e-310),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "1e",
            "1e+",
            "0x",
            "0xg",
            ".",
            "1..2",
            "1e400",
            "1e-400",
            "infinit",
            "0x1p",
            "--1",
            "1_000",
            "1e99999999999",
            "1e-99999999999",
            "0x1p-99999999999",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }
}
