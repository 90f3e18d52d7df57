//! The x87's extended precision numbers, by exact arithmetic: a number is computed as a fraction of two natural numbers of
//! any size and then rounded once, to 64 bits of significand, ties to even.

use crate::big::Natural;
use crate::reply::Bytes;

/// Bits of a significand.
const SIGNIFICAND_BITS: i64 = 64;
/// Numbers are multiples of 2 to this power: the least denormal.
const LEAST_EXPONENT: i64 = -16_445;
/// Numbers are below 2 to this power.
const GREATEST_EXPONENT: i64 = 16_384;
/// Digits after which further ones can only tell that a number lies above the midpoint of two representable ones.
const DECISIVE_DIGITS: usize = 12_000;
/// Decimal exponents beyond this lead to zero or infinity, whatever the digits kept.
const EXTREME_EXPONENT: i64 = 1_000_000;

/// An extended precision number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    /// `significand * 2^exponent`; zero has the significand 0.
    Finite {
        significand: u64,
        exponent: i64,
    },
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, magnitude: Magnitude::Finite { significand: 0, exponent: 0 } };

    /// Reads a text ([FLOAT-1] to [FLOAT-3]); `None` if it is no number.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let lower = rest.get(..rest.len().min(9))?.to_ascii_lowercase();
        let magnitude = match lower.as_slice() {
            b"inf" | b"infinity" => Magnitude::Infinite,
            [b'0', b'x', ..] => parse_hexadecimal(&rest[2..])?,
            _ => parse_decimal(rest)?,
        };
        Some(Self { negative, magnitude })
    }

    /// A double, which an extended precision number always is.
    pub fn of(value: f64) -> Self {
        const FRACTION: u64 = (1 << 52) - 1;
        let bits = value.to_bits();
        let biased = i64::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
        let magnitude = match biased {
            0x7ff if bits & FRACTION == 0 => Magnitude::Infinite,
            0x7ff => Magnitude::NotANumber,
            0 => Magnitude::Finite { significand: bits & FRACTION, exponent: -1074 },
            _ => Magnitude::Finite { significand: bits & FRACTION | 1 << 52, exponent: biased - 1075 },
        };
        Self { negative: value.is_sign_negative(), magnitude }
    }

    /// Whether it is neither infinite nor no number.
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// The sum, rounded once ([FLOAT-4]).
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (a, a_exponent, b, b_exponent) = match (self.magnitude, other.magnitude) {
            (Magnitude::NotANumber, _) | (_, Magnitude::NotANumber) => return Self::nan(),
            (Magnitude::Infinite, Magnitude::Infinite) if self.negative != other.negative => return Self::nan(),
            (Magnitude::Infinite, _) => return self,
            (_, Magnitude::Infinite) => return other,
            (
                Magnitude::Finite { significand: a, exponent: a_exponent },
                Magnitude::Finite { significand: b, exponent: b_exponent },
            ) => (a, a_exponent, b, b_exponent),
        };
        let exponent = a_exponent.min(b_exponent);
        let scaled = |significand: u64, from: i64| {
            Natural::new(significand).shifted_left(usize::try_from(from - exponent).unwrap_or(0))
        };
        let (mut a, mut b) = (scaled(a, a_exponent), scaled(b, b_exponent));
        let (negative, sum) = if self.negative == other.negative {
            (self.negative, a.plus(&b))
        } else if a >= b {
            a.subtract(&b);
            (self.negative, a)
        } else {
            b.subtract(&a);
            (other.negative, b)
        };
        if sum.is_zero() {
            // Opposite numbers make a positive zero; two negative zeros a negative one.
            return Self { negative: self.negative && other.negative, ..Self::ZERO };
        }
        Self { negative, magnitude: round(sum, Natural::new(1), exponent) }
    }

    fn nan() -> Self {
        Self { negative: false, magnitude: Magnitude::NotANumber }
    }

    /// Writes it ([FLOAT-5], [FLOAT-6]).
    pub fn to_text(self) -> Bytes {
        let mut text = String::new();
        if self.negative {
            text.push('-');
        }
        match self.magnitude {
            Magnitude::NotANumber => text.push_str("nan"),
            Magnitude::Infinite => text.push_str("inf"),
            Magnitude::Finite { significand, exponent } => match usize::try_from(exponent) {
                Ok(exponent) => text.push_str(&Natural::new(significand).shifted_left(exponent).to_decimal()),
                Err(_) => text.push_str(&fraction_text(significand, exponent.unsigned_abs())),
            },
        }
        text.into_bytes()
    }
}

/// `significand / 2^halvings` with up to 17 digits after the point.
fn fraction_text(significand: u64, halvings: u64) -> String {
    const SCALE: u128 = 100_000_000_000_000_000;
    // Less than 2^64 * 2^57.
    let scaled = u128::from(significand) * SCALE;
    let rounded = if halvings > 122 {
        0
    } else {
        let (whole, rest) = (scaled >> halvings, scaled & ((1 << halvings) - 1));
        let half = 1u128 << (halvings - 1);
        if rest > half || (rest == half && whole % 2 == 1) { whole + 1 } else { whole }
    };
    let text = format!("{}.{:017}", rounded / SCALE, rounded % SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The representable number nearest to `numerator / denominator * 2^exponent`, which is not zero.
fn round(numerator: Natural, denominator: Natural, exponent: i64) -> Magnitude {
    let bits = |number: &Natural| i64::try_from(number.bits()).unwrap_or(i64::MAX);
    // Scale both so that the quotient lies in [1, 2) and the number is quotient * 2^top.
    let mut shift = bits(&numerator) - bits(&denominator);
    let distance = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
    let (mut rest, divisor) = if shift >= 0 {
        (numerator, denominator.shifted_left(distance))
    } else {
        (numerator.shifted_left(distance), denominator)
    };
    if rest < divisor {
        rest = rest.shifted_left(1);
        shift -= 1;
    }
    let top = shift + exponent;
    // Denormals have fewer bits.
    let last = (top - (SIGNIFICAND_BITS - 1)).max(LEAST_EXPONENT);
    let mut quotient: u128 = 0;
    for _ in 0..(top - last + 1).max(0) {
        quotient *= 2;
        if rest >= divisor {
            rest.subtract(&divisor);
            quotient += 1;
        }
        rest.multiply_add(2, 0);
    }
    // `rest / divisor` is now twice what is left over, in units of the last place; or less still if no place was reached.
    let up = if top < last - 1 {
        false
    } else {
        let doubled = rest.cmp(&divisor);
        doubled.is_gt() || (doubled.is_eq() && quotient % 2 == 1)
    };
    quotient += u128::from(up);
    let (quotient, last) = if quotient >> SIGNIFICAND_BITS != 0 { (quotient / 2, last + 1) } else { (quotient, last) };
    match u64::try_from(quotient) {
        Ok(significand) if i64::from(u64::BITS - significand.leading_zeros()) + last <= GREATEST_EXPONENT => {
            Magnitude::Finite { significand, exponent: last }
        }
        _ => Magnitude::Infinite,
    }
}

/// A finite text must not become infinite, nor anything but zero become zero.
fn accept(magnitude: Magnitude) -> Option<Magnitude> {
    match magnitude {
        Magnitude::Finite { significand, .. } if significand != 0 => Some(magnitude),
        _ => None,
    }
}

/// Digits, an optional point among them, and an optional exponent after one of the given letters.
struct Parts<'a> {
    /// The digits without the point and without leading zeros.
    digits: Vec<u8>,
    /// How many of the digits stand after the point.
    after_point: i64,
    /// The exponent's text, sign included.
    exponent: Option<&'a [u8]>,
}

fn split(text: &[u8], is_digit: fn(u8) -> bool, exponent_letter: u8) -> Option<Parts<'_>> {
    let end = text.iter().position(|byte| byte.to_ascii_lowercase() == exponent_letter).unwrap_or(text.len());
    let (number, exponent) = (&text[..end], text.get(end + 1..));
    let mut digits = Vec::new();
    let mut point = None;
    for (index, &byte) in number.iter().enumerate() {
        if byte == b'.' && point.is_none() {
            point = Some(index);
        } else if is_digit(byte) {
            digits.push(byte);
        } else {
            return None;
        }
    }
    if digits.is_empty() {
        return None;
    }
    let after_point = point.map_or(0, |point| number.len() - point - 1);
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    Some(Parts { digits: digits.split_off(zeros), after_point: i64::try_from(after_point).ok()?, exponent })
}

/// A decimal exponent, cut to a size beyond which it makes no difference.
fn parse_exponent(text: Option<&[u8]>) -> Option<i64> {
    let Some(text) = text else { return Some(0) };
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Larger than any number of digits that could make up for it.
        value = (value * 10 + i64::from(digit - b'0')).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// Keeps the decisive digits; what is cut off counts as a last digit 1 if it is not all zeros. Answers how many were cut.
fn cut(digits: &mut Vec<u8>) -> i64 {
    if digits.len() <= DECISIVE_DIGITS {
        return 0;
    }
    let rest = digits.split_off(DECISIVE_DIGITS);
    let sticky = rest.iter().any(|&digit| digit != b'0');
    digits.push(if sticky { b'1' } else { b'0' });
    i64::try_from(rest.len()).unwrap_or(i64::MAX) - 1
}

fn parse_decimal(text: &[u8]) -> Option<Magnitude> {
    let parts = split(text, |byte| byte.is_ascii_digit(), b'e')?;
    let exponent = parse_exponent(parts.exponent)?;
    let mut digits = parts.digits;
    if digits.is_empty() {
        return Some(LongDouble::ZERO.magnitude);
    }
    let mut power = exponent - parts.after_point + cut(&mut digits);
    if power.abs() > EXTREME_EXPONENT {
        return None;
    }
    // Trailing zeros only make both parts of the fraction longer.
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    let order = power + i64::try_from(digits.len()).ok()?;
    if !(-5_000..=5_000).contains(&order) {
        return None;
    }
    let mut numerator = Natural::new(0);
    for group in digits.chunks(9) {
        let value = group.iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        let scale = 10u32.pow(u32::try_from(group.len()).ok()?);
        numerator.multiply_add(scale, value);
    }
    let mut denominator = Natural::new(1);
    let distance = usize::try_from(power.unsigned_abs()).ok()?;
    if power >= 0 {
        numerator.multiply_power_of_ten(distance);
    } else {
        denominator.multiply_power_of_ten(distance);
    }
    accept(round(numerator, denominator, 0))
}

fn parse_hexadecimal(text: &[u8]) -> Option<Magnitude> {
    let parts = split(text, |byte| byte.is_ascii_hexdigit(), b'p')?;
    let exponent = parse_exponent(parts.exponent)?;
    let mut digits = parts.digits;
    if digits.is_empty() {
        return Some(LongDouble::ZERO.magnitude);
    }
    let power = exponent.checked_add((cut(&mut digits) - parts.after_point).checked_mul(4)?)?;
    let order = power + 4 * i64::try_from(digits.len()).ok()?;
    if !(-17_000..=17_000).contains(&order) {
        return None;
    }
    let mut numerator = Natural::new(0);
    for digit in digits {
        numerator.multiply_add(16, char::from(digit).to_digit(16)?);
    }
    accept(round(numerator, Natural::new(1), power))
}
