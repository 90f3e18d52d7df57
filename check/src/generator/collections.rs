//! Arguments of the commands on collections.
//!
//! Each key has a character of its own that lasts an episode: whether its members are mostly integers, and whether they are
//! mostly short. So some keys stay in their small encodings and others leave them, whatever else an episode draws.

use super::pools::{float, integer};
use super::terms::Terms;
use super::{View, hostile_word};
use crate::choice::Choice;
use crate::grammar::{Argument, Want};
use crate::request::{Request, append_integer};

/// Bytes above which a member, field or value takes a hash or sorted set out of its small encoding by default.
const SMALL_BYTES: usize = 64;

/// What the members of a key are like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Character {
    /// Mostly integers.
    integers: bool,
    /// Mostly at most [`SMALL_BYTES`] long.
    short: bool,
}

impl Character {
    /// The character of the key at this place of the pool.
    pub(super) fn of_key(place: usize) -> Self {
        Self { integers: place % 2 == 1, short: place % 4 < 3 }
    }
}

/// Scores and ends of ranges: both zeros, infinities, neighbours of 2^53, the least and the greatest, 17 digits.
const SCORES: &[&[u8]] = &[
    b"0",
    b"-0",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"1.5",
    b"-2.25",
    b"10",
    b"100",
    b"inf",
    b"+inf",
    b"-inf",
    b"Infinity",
    b"9007199254740991",
    b"9007199254740992",
    b"9007199254740993",
    b"-9007199254740993",
    b"5e-324",
    b"-5e-324",
    b"2.2250738585072014e-308",
    b"2.2250738585072011e-308",
    b"1.7976931348623157e308",
    b"-1.7976931348623157e+308",
    b"0.1",
    b"0.30000000000000004",
    b"1.0000000000000002",
    b"3.1415926535897931",
    b"123456789012345680",
    b"1e17",
    b"1e16",
    b"1e-5",
    b"0.0001",
    b"1e21",
    b"4294967296",
    b"0x10",
];

const PLACES: &[(&[u8], &[u8])] = &[
    (b"13.361389", b"38.115556"),
    (b"15.087269", b"37.502669"),
    (b"13.583333", b"37.316667"),
    (b"0", b"0"),
    (b"-0", b"-0"),
    (b"180", b"85.05112878"),
    (b"-180", b"-85.05112878"),
    (b"179.99999", b"0.0001"),
    (b"-179.99999", b"-0.0001"),
    (b"-122.27652", b"37.805186"),
    (b"2.3522219", b"48.856614"),
    (b"90", b"85"),
    (b"-90", b"-85"),
];

const DISTANCES: &[&[u8]] =
    &[b"0", b"1", b"100", b"200", b"1000", b"5000", b"20000", b"400000", b"6000000", b"0.001", b"-1", b"1e30"];

impl<V: View> Terms<'_, V> {
    /// Draws a key, mostly one that holds what is wanted, and mostly one that is there.
    pub(super) fn key(&mut self, choice: &mut impl Choice, want: Want, writes: bool, into: &mut Request) {
        let keys = &self.swarm.pools.keys;
        let count = keys.len();
        let first = choice.below(count as u32) as usize;
        let mut drawn = first;
        if want != Want::Any && choice.ratio(22, 25) {
            let mut absent = None;
            let mut present = None;
            for step in 0..count.min(8) {
                let place = (first + step) % count;
                match self.view.kind(place, &keys[place]) {
                    Some(kind) if want.fits(kind) => {
                        present = Some(place);
                        break;
                    }
                    Some(_) => {}
                    None => absent = absent.or(Some(place)),
                }
            }
            drawn = match (present, absent) {
                (Some(present), Some(absent)) => {
                    if choice.ratio(want.absent_of_8(), 8) {
                        absent
                    } else {
                        present
                    }
                }
                (one, other) => one.or(other).unwrap_or(first),
            };
        }
        if writes && let Some((kind, length)) = self.view.key(&keys[drawn]) {
            let most =
                if kind == tally_model::value::Kind::String { self.swarm.longest } else { self.swarm.most_elements };
            self.too_long |= length > most;
        }
        self.character = Character::of_key(drawn);
        into.push(&keys[drawn]);
    }

    /// The number of keys and the keys; now and then another number.
    pub(super) fn counted_keys(&mut self, choice: &mut impl Choice, want: Want, into: &mut Request) {
        let count = [1, 2, 2, 2, 3, 4][choice.below(6) as usize];
        let told = if choice.ratio(1, 40) { choice.int(-1..=5) } else { count };
        into.push_integer(told);
        for _ in 0..count {
            self.key(choice, want, false, into);
        }
        self.counted = if choice.ratio(1, 40) { choice.below(4) } else { count as u32 };
    }

    /// One of the arguments that only collections have.
    pub(super) fn collection_leaf(&mut self, choice: &mut impl Choice, argument: &Argument, into: &mut Request) {
        match argument {
            Argument::Member | Argument::Field => self.member(choice, into),
            Argument::Element => {
                if self.numbered.is_some() || choice.ratio(1, 2) {
                    self.member(choice, into);
                    return;
                }
                let values = &self.swarm.pools.values;
                let start = choice.below(values.len() as u32) as usize;
                let fits = |value: &&Vec<u8>| !self.character.short || value.len() <= SMALL_BYTES;
                let value = values[start..].iter().chain(&values[..start]).find(fits);
                into.push(value.map_or(b"".as_slice(), Vec::as_slice));
            }
            Argument::Score => {
                let score = score(choice);
                into.push(&score);
            }
            Argument::ScoreLimit => {
                let limit = match choice.below(8) {
                    0 => b"-inf".to_vec(),
                    1 => b"+inf".to_vec(),
                    2..=4 => [b"(".as_slice(), &score(choice)].concat(),
                    _ => score(choice),
                };
                into.push(&limit);
            }
            Argument::LexLimit => match choice.below(8) {
                0 | 1 => into.push(b"-"),
                2 | 3 => into.push(b"+"),
                kind => {
                    let members = &self.swarm.pools.words;
                    let member = &members[choice.below(members.len() as u32) as usize];
                    let length = if choice.ratio(1, 6) { member.len() / 2 } else { member.len() };
                    let sign: &[u8] = if kind < 6 { b"[" } else { b"(" };
                    into.push(&[sign, &member[..length]].concat());
                }
            },
            Argument::SignedCount => {
                let count = match choice.below(12) {
                    0..=3 => choice.int(1..=4),
                    4..=6 => choice.int(-4..=-1),
                    7 => 0,
                    8 => choice.int(-40..=40),
                    9 => choice.int(-700..=700),
                    10 => {
                        [i64::MAX, i64::MIN, i64::MIN + 1, i64::MAX / 2 + 1, i64::MIN / 2, -1][choice.below(6) as usize]
                    }
                    _ => 1,
                };
                into.push_integer(count);
            }
            Argument::Longitude => {
                self.place = choice.below(PLACES.len() as u32) as usize;
                let degrees = PLACES[self.place].0;
                self.degrees(choice, degrees, 181, into);
            }
            Argument::Latitude => {
                let degrees = PLACES[self.place].1;
                self.degrees(choice, degrees, 86, into);
            }
            Argument::Distance => into.push(DISTANCES[choice.below(DISTANCES.len() as u32) as usize]),
            Argument::MemberPattern => {
                let patterns: [&[u8]; 10] = [b"*", b"*", b"m*", b"*1*", b"[a-m]*", b"?", b"-*", b"[^m]*", b"", b"m1"];
                into.push(patterns[choice.below(10) as usize]);
            }
            Argument::SortPattern => {
                let keys = &self.swarm.pools.keys;
                let key = &keys[choice.below(keys.len() as u32) as usize];
                let pattern = match choice.below(12) {
                    0 | 1 => b"#".to_vec(),
                    2 | 3 => b"k*".to_vec(),
                    4 => b"*".to_vec(),
                    5 => {
                        let words = &self.swarm.pools.words;
                        [b"k*->", words[choice.below(SHORT_WORDS) as usize].as_slice()].concat()
                    }
                    6 => [key.as_slice(), b"->*"].concat(),
                    7 => b"nosort".to_vec(),
                    8 => b"*->1".to_vec(),
                    9 => b"k*->".to_vec(),
                    10 => b"no*such".to_vec(),
                    _ => key.clone(),
                };
                into.push(&pattern);
            }
            Argument::Threshold => {
                let threshold = [0, 1, 2, 3, 4, 5, 8, 64, 128, 512][choice.below(10) as usize];
                into.push_integer(threshold);
            }
            _ => {
                let fill = [-5, -4, -3, -2, -1, 1, 2, 3, 4, 128][choice.below(10) as usize];
                into.push_integer(fill);
            }
        }
    }

    fn member(&mut self, choice: &mut impl Choice, into: &mut Request) {
        if let Some(number) = &mut self.numbered {
            *number += 1;
            let number = *number;
            let integers = self.character.integers;
            into.push_with(|bytes| {
                if !integers {
                    bytes.push(b'm');
                }
                append_integer(bytes, i64::from(number));
            });
            return;
        }
        if self.character.integers && choice.ratio(31, 32) {
            let numbers = &self.swarm.pools.numbers;
            into.push_integer(numbers[choice.below(numbers.len() as u32) as usize]);
            return;
        }
        let words = &self.swarm.pools.words;
        let start = choice.below(words.len() as u32) as usize;
        let fits = |word: &&Vec<u8>| !self.character.short || word.len() <= SMALL_BYTES;
        let word = words[start..].iter().chain(&words[..start]).find(fits);
        into.push(word.map_or(b"".as_slice(), Vec::as_slice));
    }

    fn degrees(&self, choice: &mut impl Choice, known: &[u8], most: i64, into: &mut Request) {
        match choice.below(8) {
            0 => {
                let micro = choice.int(-most * 1_000_000..=most * 1_000_000);
                into.push_with(|bytes| bytes.extend_from_slice(format!("{micro}e-6").as_bytes()));
            }
            1 => into.push_integer(choice.int(-most..=most)),
            _ => into.push(known),
        }
    }

    /// How many elements a repetition of this body has, if it is to be a long one.
    pub(super) fn crowd(&self, choice: &mut impl Choice, body: &[Argument]) -> Option<usize> {
        let collects = |argument: &Argument| matches!(argument, Argument::Member | Argument::Field | Argument::Element);
        if self.swarm.crowds == 0 || self.numbered.is_some() || !body.iter().any(collects) {
            return None;
        }
        if self.swarm.crowds <= choice.below(256) {
            return None;
        }
        let most = self.swarm.most_elements as i64;
        let around = [4, 32, 64, 128, 512][choice.below(5) as usize];
        Some((around + choice.int(-2..=2)).min(most.max(3)) as usize)
    }
}

/// The text of a score; rarely one that is none.
fn score(choice: &mut impl Choice) -> Vec<u8> {
    match choice.below(16) {
        0..=5 => {
            let mut text = Vec::new();
            append_integer(&mut text, choice.int(-3..=6));
            text
        }
        6..=12 => SCORES[choice.below(SCORES.len() as u32) as usize].to_vec(),
        13 => {
            let mut text = Vec::new();
            append_integer(&mut text, integer(choice));
            text
        }
        14 => format!("{}e-{}", choice.int(-1_000_000..=1_000_000), choice.below(9)).into_bytes(),
        _ if choice.ratio(1, 3) => hostile_word(choice).to_vec(),
        _ => float(choice).to_vec(),
    }
}

/// So many words of every pool are a byte or two long.
const SHORT_WORDS: u32 = 9;

/// Members and fields that are words: short ones, ones that are nearly numbers, ones at the edges of length, any bytes.
pub(super) fn words(choice: &mut impl Choice) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = (1..=6).map(|number| format!("m{number}").into_bytes()).collect();
    words.extend([b"a".to_vec(), b"b".to_vec(), b"ab".to_vec()]);
    for _ in 0..8 {
        let mut word = Vec::new();
        match choice.below(8) {
            0 => {}
            1 => word.extend_from_slice(hostile_word(choice)),
            2 => choice.bytes(12, &mut word),
            3 => append_integer(&mut word, choice.int(-20..=20)),
            4 => word.resize([62, 63, 64, 65, 66, 200, 253, 254, 255][choice.below(9) as usize], b'w'),
            5 => word.extend_from_slice(b"with\x00zero"),
            6 => word.resize(1 + choice.below(30) as usize, b'y'),
            _ => word.resize([250, 251, 252, 300, 1000, 5000][choice.below(6) as usize], b'l'),
        }
        words.push(word);
    }
    words
}

/// Members that are integers, neighbours of the limits of 4, 8, 16, 24, 32 and 64 bits among them.
pub(super) fn numbers(choice: &mut impl Choice) -> Vec<i64> {
    let mut numbers: Vec<i64> = vec![0, 1, 2, 3, 5, 7, 10, -1];
    let widths: &[u32] =
        [&[4, 8][..], &[8, 16], &[16, 32], &[32, 63], &[24, 63], &[8, 16, 24, 32, 63]][choice.below(6) as usize];
    for _ in 0..8 {
        let bits = widths[choice.below(widths.len() as u32) as usize];
        let edge = match bits {
            63 => i64::MAX,
            bits => (1i64 << (bits - 1)) - 1,
        };
        let edge = if choice.ratio(1, 2) { edge } else { -edge - 1 };
        numbers.push(edge.saturating_add(choice.int(-1..=1)));
    }
    numbers
}
