//! Which values a directive admits, and how CONFIG GET writes them. [CONFIG-8] to [CONFIG-25]

use super::container::integer;
use crate::reply::Bytes;

/// The values of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `yes` or `no`. [CONFIG-8]
    Switch,
    /// A canonical integer between these, both included. [CONFIG-9]
    Integer(i64, i64),
    /// A number of bytes with or without a unit. [CONFIG-10]
    Memory,
    /// One of these. [CONFIG-13]
    Word(&'static [&'static str]),
    /// Anything of at most so many bytes. [CONFIG-19] [CONFIG-35]
    Text(usize),
    /// [CONFIG-15]
    Hz,
    /// [CONFIG-16]
    Watchdog,
    /// [CONFIG-17]
    Backlog,
    /// [CONFIG-18]
    BulkLength,
    /// [CONFIG-14]
    MaxClients,
    /// [CONFIG-20]
    Save,
    /// [CONFIG-21] [CONFIG-22]
    OutputLimits,
    /// [CONFIG-23]
    Events,
    /// [CONFIG-24]
    Directory,
    /// [CONFIG-25]
    FileName,
    /// Fixed at start. [CONFIG-5]
    Fixed,
}

/// Seconds and changes above this are cut by real servers. (E-18)
const INT_MAX: i64 = i32::MAX as i64;

impl Rule {
    /// The value as CONFIG GET will write it, or `None` if the directive does not admit it.
    pub fn admit(self, value: &[u8], current: &[u8]) -> Option<Bytes> {
        let number = |number: i64| Some(number.to_string().into_bytes());
        match self {
            Self::Switch => word(value, &["yes", "no"]),
            Self::Integer(least, most) => integer(value).filter(|n| (least..=most).contains(n)).and_then(number),
            Self::Memory => number(memory(value)?),
            Self::Word(words) => word(value, words),
            Self::Text(longest) => (value.len() <= longest).then(|| value.to_vec()),
            Self::Hz => number(integer(value).filter(|n| (0..=INT_MAX).contains(n))?.clamp(1, 500)),
            Self::Watchdog => {
                let period = integer(value).filter(|n| (0..=INT_MAX).contains(n))?;
                number(if (1..200).contains(&period) { 200 } else { period })
            }
            Self::Backlog => number(memory(value)?.max(16_384)),
            Self::BulkLength => {
                memory(value).filter(|length| (1_048_576..=i64::MAX / 2).contains(length)).and_then(number)
            }
            Self::MaxClients => integer(value).filter(|n| (1..=INT_MAX).contains(n)).and_then(number),
            Self::Save => save(value),
            Self::OutputLimits => output_limits(value, current),
            Self::Events => events(value),
            Self::Directory => None,
            Self::FileName => (!value.contains(&b'/')).then(|| value.to_vec()),
            Self::Fixed => None,
        }
    }
}

fn word(value: &[u8], words: &[&str]) -> Option<Bytes> {
    let value = value.to_ascii_lowercase();
    words.iter().any(|word| word.as_bytes() == value).then_some(value)
}

/// [CONFIG-10] [CONFIG-11] [CONFIG-12]
fn memory(text: &[u8]) -> Option<i64> {
    let (negative, digits_and_unit) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let digits = digits_and_unit.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = digits_and_unit.split_at(digits);
    let factor: i64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1024,
        b"m" => 1000 * 1000,
        b"mb" => 1024 * 1024,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1024 * 1024 * 1024,
        _ => return None,
    };
    let mut number: i64 = 0;
    for digit in digits {
        number = number.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if negative && (number != 0 || digits.is_empty()) || digits.len() > 126 {
        return None;
    }
    number.checked_mul(factor)
}

/// Pairs of seconds and changes. [CONFIG-20]
fn save(value: &[u8]) -> Option<Bytes> {
    if value.is_empty() {
        return Some(Bytes::new());
    }
    let numbers: Option<Vec<i64>> = value.split(|&byte| byte == b' ').map(integer).collect();
    let numbers = numbers?;
    if !numbers.len().is_multiple_of(2) || numbers.chunks(2).any(|pair| pair[0] < 1 || pair[1] < 0) {
        return None;
    }
    Some(value.to_vec())
}

/// Groups of a class, two amounts of memory and seconds. [CONFIG-21] [CONFIG-22]
fn output_limits(value: &[u8], current: &[u8]) -> Option<Bytes> {
    let mut limits: Vec<Vec<Bytes>> = Vec::new();
    let words: Vec<&[u8]> = current.split(|&byte| byte == b' ').collect();
    for group in words.chunks(4) {
        limits.push(group.iter().map(|word| word.to_vec()).collect());
    }
    if !value.is_empty() {
        let words: Vec<&[u8]> = value.split(|&byte| byte == b' ').collect();
        if !words.len().is_multiple_of(4) {
            return None;
        }
        for group in words.chunks(4) {
            let class: &[u8] = match group[0].to_ascii_lowercase().as_slice() {
                b"normal" => b"normal",
                b"slave" | b"replica" => b"slave",
                b"pubsub" => b"pubsub",
                _ => return None,
            };
            let text = |number: i64| number.to_string().into_bytes();
            let seconds = integer(group[3]).filter(|seconds| *seconds >= 0)?;
            let limit = limits.iter_mut().find(|limit| limit[0] == class)?;
            *limit = vec![class.to_vec(), text(memory(group[1])?), text(memory(group[2])?), text(seconds)];
        }
    }
    Some(limits.concat().join(&b' '))
}

/// A set of letters. [CONFIG-23]
fn events(value: &[u8]) -> Option<Bytes> {
    // The letters end at a zero byte.
    let value = value.split(|&byte| byte == 0).next().unwrap_or_default();
    const CLASSES: &[u8] = b"g$lshzxet";
    if !value.iter().all(|letter| CLASSES.contains(letter) || b"KEA".contains(letter)) {
        return None;
    }
    let has = |letter: &u8| value.contains(letter) || value.contains(&b'A') && CLASSES.contains(letter);
    let mut shown: Bytes =
        if CLASSES.iter().all(has) { b"A".to_vec() } else { CLASSES.iter().copied().filter(has).collect() };
    shown.extend(b"KE".iter().filter(|letter| has(letter)));
    Some(shown)
}
