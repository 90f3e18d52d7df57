//! The few keys, values and words that the commands of an episode share.

use super::collections;
use crate::choice::Choice;

/// What an episode draws from.
#[derive(Clone, Debug)]
pub struct Pools {
    /// Keys; the first few are drawn most often.
    pub keys: Vec<Vec<u8>>,
    /// Values.
    pub values: Vec<Vec<u8>>,
    /// Numbers for counters, edges among them.
    pub integers: Vec<i64>,
    /// Members and fields that are no integers, or only look like some.
    pub words: Vec<Vec<u8>>,
    /// Members and fields that are integers.
    pub numbers: Vec<i64>,
}

/// Words that are wrong in most places. None is a number between a million and 2^32, which as an offset would be legal and
/// fill memory.
const HOSTILE: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"+1",
    b"00",
    b"-0",
    b" 1",
    b"1 ",
    b"1.0",
    b"1e3",
    b"0x10",
    b"a",
    b"nan",
    b"-nan",
    b"inf",
    b"-inf",
    b"*",
    b"key:1",
    b"NX",
    b"xx",
    b"EX",
    b"px",
    b"4294967296",
    b"536870912000",
    b"9223372036854775806",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775807",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999999",
    b"\x00",
    b"1\x00",
    b"\xff\xfe",
    b"%s%n",
    b"\r\n",
    b"with space",
];

/// A word that is wrong in most places.
pub fn hostile_word(choice: &mut impl Choice) -> &'static [u8] {
    HOSTILE[choice.below(HOSTILE.len() as u32) as usize]
}

/// Lengths on both sides of everything that depends on length: embstr ends at 44, LZF begins at 21, RDB lengths change at
/// 64 and 16384.
const LENGTHS: &[usize] = &[0, 1, 2, 7, 8, 20, 21, 31, 43, 44, 45, 63, 64, 65, 100, 255, 300, 1000];

impl Pools {
    /// Draws the pools of an episode; one whose requests come in pieces has a value that spans many.
    pub fn draw(choice: &mut impl Choice, many_keys: bool, in_pieces: bool) -> Self {
        let count = if many_keys { 100 + choice.below(1500) } else { 3 + choice.below(8) };
        let keys = (0..count).map(|number| key(choice, number)).collect();
        let mut values: Vec<Vec<u8>> = Vec::new();
        for _ in 0..24 {
            let mut bytes = Vec::new();
            value(choice, &mut bytes);
            values.push(bytes);
        }
        if in_pieces && choice.ratio(1, 2) {
            // Long enough that readers give it a buffer of its own.
            values.push((0..40_000u32).map(|i| b'0' + (i % 61) as u8).collect());
        }
        if choice.ratio(1, 8) {
            values.push(vec![b'z'; 16 * 1024 + choice.below(3) as usize - 1]);
        }
        // Counters begin at both ends of their range, and move by little and by all of it.
        for edge in [i64::MIN, i64::MAX] {
            if choice.ratio(1, 2) {
                let mut text = Vec::new();
                crate::request::append_integer(&mut text, edge.saturating_add(choice.int(-2..=2)));
                values.push(text);
            }
        }
        let mut integers: Vec<i64> = (0..8).map(|_| integer(choice)).collect();
        integers.extend([1, 2, i64::MAX, i64::MIN + 1]);
        Self { keys, values, integers, words: collections::words(choice), numbers: collections::numbers(choice) }
    }

    /// Two keys and three values.
    pub fn smallest() -> Self {
        Self {
            keys: vec![b"k1".to_vec(), b"k2".to_vec()],
            values: vec![b"".to_vec(), b"7".to_vec(), b"v".to_vec()],
            integers: vec![1, i64::MAX],
            words: vec![b"a".to_vec(), b"b".to_vec()],
            numbers: vec![1, 40_000],
        }
    }
}

fn key(choice: &mut impl Choice, number: u32) -> Vec<u8> {
    match choice.below(40) {
        0 => format!("key with space {number}").into_bytes(),
        1 => format!("[k*?{number}\\]").into_bytes(),
        2 => [b"\x00\xff\r\n".as_slice(), number.to_string().as_bytes()].concat(),
        3 => number.to_string().into_bytes(),
        4 => format!("{number}{}", "long".repeat(30)).into_bytes(),
        5 if number == 0 => Vec::new(),
        _ => format!("k{number}").into_bytes(),
    }
}

/// Appends the bytes of a new value.
pub(super) fn value(choice: &mut impl Choice, into: &mut Vec<u8>) {
    match choice.below(10) {
        0 | 1 => crate::request::append_integer(into, i64::from(choice.below(12_000)) - 1000),
        2 => {
            let value = integer(choice);
            crate::request::append_integer(into, value);
        }
        3 => into.extend_from_slice(hostile_word(choice)),
        4 => into.extend_from_slice(float(choice)),
        5 => choice.bytes(70, into),
        6 => {
            let length = length(choice);
            let byte = [b'x', b'x', 0xff, 0x00][choice.below(4) as usize];
            into.extend(std::iter::repeat_n(byte, length));
        }
        7 => {
            let length = length(choice);
            into.extend((0..length).map(|i| (i * 7 + i / 11) as u8));
        }
        _ => {
            let length = length(choice).min(65);
            into.extend((0..length).map(|i| b'a' + (i % 26) as u8));
        }
    }
}

fn length(choice: &mut impl Choice) -> usize {
    LENGTHS[choice.below(LENGTHS.len() as u32) as usize]
}

/// An integer, mostly small, often at an edge.
pub(super) fn integer(choice: &mut impl Choice) -> i64 {
    match choice.below(8) {
        0..=3 => choice.int(-20..=20),
        4 => choice.int(-20_000..=20_000),
        5 => {
            let power = choice.below(64);
            (1i64 << power.min(62)).wrapping_add(choice.int(-2..=2))
        }
        6 => [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 9999, 10_000, -1, 0][choice.below(8) as usize],
        _ => choice.int(i64::MIN..=i64::MAX),
    }
}

const FLOATS: &[&[u8]] = &[
    b"0",
    b"-0",
    b"1",
    b"-1",
    b"1.5",
    b"0.1",
    b"-3.14159",
    b"3.0e3",
    b"1e10",
    b"1e-10",
    b"1e17",
    b"5e-324",
    b"4.9406564584124654e-324",
    b"1.7976931348623157e308",
    b"1e400",
    b"-1e4000",
    b"1e4932",
    b"1e5000",
    b"1e-4951",
    b"inf",
    b"-inf",
    b"+inf",
    b"Infinity",
    b"nan",
    b"NaN",
    b"0x1p3",
    b"0x1.8p-1",
    b"0xff",
    b" 1",
    b"1 ",
    b"1e",
    b".5",
    b"5.",
    b"+5",
    b"1,5",
    b"",
    b"9007199254740993",
    b"0.30000000000000004",
    b"99999999999999999.9",
    b"123456789012345678901234567890",
    b"18446744073709551616.5",
    b"1.00000000000000000001",
];

/// The text of a floating-point number, hostile ones among them.
pub(super) fn float(choice: &mut impl Choice) -> &'static [u8] {
    FLOATS[choice.below(FLOATS.len() as u32) as usize]
}
