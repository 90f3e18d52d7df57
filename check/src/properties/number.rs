//! Numbers: engine and model read the same texts, add to the same sums and print them alike; and what is printed is read
//! back.

use tally_engine::long_double::LongDouble;
use tally_engine::number::{format_f64, format_i64, i64_text_len, parse_f64, parse_i64};
use tally_model::long_double::LongDouble as Naive;
use tally_model::numbers::parse_integer;

/// An integer's text is read as the standard library reads it, but only in its one canonical form, and as the model reads
/// it.
///
/// # Panics
/// When it is not so.
pub fn integers_are_read_in_one_form(text: &[u8]) {
    let read = parse_i64(text);
    assert_eq!(read, parse_integer(text), "{:?}", String::from_utf8_lossy(text));
    let lenient = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
    let canonical = lenient.filter(|value| value.to_string().as_bytes() == text);
    assert_eq!(read, canonical, "{:?}", String::from_utf8_lossy(text));
}

/// An integer that is printed is read back.
///
/// # Panics
/// When it is not so.
pub fn integers_round_trip(value: i64) {
    let mut buffer = [0; 20];
    let text = format_i64(value, &mut buffer);
    assert_eq!(text, value.to_string().as_bytes());
    assert_eq!(i64_text_len(value), text.len());
    assert_eq!(parse_i64(text), Some(value));
}

/// Engine and model agree on which texts are numbers, and on the text of their sum.
///
/// # Panics
/// When they do not.
pub fn sums_agree(left: &[u8], right: &[u8]) {
    let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let (fast, naive) = (LongDouble::parse(left), Naive::parse(left));
    assert_eq!(fast.is_some(), naive.is_some(), "{}", shown(left));
    let (Some(fast_left), Some(naive_left)) = (fast, naive) else { return };
    let (fast, naive) = (LongDouble::parse(right), Naive::parse(right));
    assert_eq!(fast.is_some(), naive.is_some(), "{}", shown(right));
    let (Some(fast_right), Some(naive_right)) = (fast, naive) else { return };
    let (fast, naive) = (fast_left + fast_right, naive_left.plus(naive_right));
    assert_eq!(fast.is_finite(), naive.is_finite(), "{} + {}", shown(left), shown(right));
    if fast.is_finite() {
        assert_eq!(fast.to_string(), shown(&naive.to_text()), "{} + {}", shown(left), shown(right));
    }
}

/// What is printed is read back to a number that prints the same: a sum is stored as text, and the next one begins there.
///
/// # Panics
/// When it is not so.
pub fn printed_sums_are_stable(text: &[u8]) {
    let Some(value) = LongDouble::parse(text).filter(|value| value.is_finite()) else { return };
    let printed = value.to_string();
    let again = LongDouble::parse(printed.as_bytes()).map(|value| value.to_string());
    assert_eq!(again.as_deref(), Some(printed.as_str()));
}

/// Seventeen digits bring every double back.
///
/// # Panics
/// When they do not.
pub fn doubles_round_trip(value: f64) {
    let text = format_f64(value);
    if value.is_nan() {
        assert_eq!(parse_f64(text.as_bytes()), None);
    } else {
        assert_eq!(parse_f64(text.as_bytes()).map(f64::to_bits), Some(value.to_bits()), "{text}");
    }
}
