//! Turns the argument grammar into arguments.

use super::collections::Character;
use super::pools::{float, hostile_word, integer, value};
use super::{Swarm, View, dump, grows};
use crate::choice::Choice;
use crate::grammar::{self, Argument, Want};
use crate::request::Request;

/// The making of one command.
pub(super) struct Terms<'a, V> {
    pub(super) swarm: &'a Swarm,
    pub(super) view: &'a V,
    /// So many arguments are still to come before the one that does not fit.
    pub(super) wrong_in: u32,
    /// Words are written in upper case.
    pub(super) shout: bool,
    /// A key was drawn whose value is longer than the episode wants values to be.
    pub(super) too_long: bool,
    /// What the members of the key drawn last are like.
    pub(super) character: Character,
    /// Members are numbered from here on, so that many are different.
    pub(super) numbered: Option<u32>,
    /// How many keys the last count announced.
    pub(super) counted: u32,
    /// Where the longitude drawn last belongs.
    pub(super) place: usize,
}

impl<'a, V> Terms<'a, V> {
    /// Begins a command.
    pub(super) fn new(swarm: &'a Swarm, view: &'a V, wrong_in: u32, shout: bool) -> Self {
        Self {
            swarm,
            view,
            wrong_in,
            shout,
            too_long: false,
            character: Character::default(),
            numbered: None,
            counted: 0,
            place: 0,
        }
    }
}

impl<V: View> Terms<'_, V> {
    pub(super) fn sequence(&mut self, choice: &mut impl Choice, arguments: &[Argument], into: &mut Request) {
        for argument in arguments {
            self.argument(choice, argument, arguments, into);
        }
    }

    pub(super) fn word(&mut self, choice: &mut impl Choice, word: &str, into: &mut Request) {
        let shout = self.shout != choice.ratio(1, 32);
        into.push_with(|bytes| {
            let start = bytes.len();
            bytes.extend_from_slice(word.as_bytes());
            if shout {
                bytes[start..].make_ascii_uppercase();
            }
        });
    }

    /// Makes one argument; `among` are all of its sequence.
    fn argument(&mut self, choice: &mut impl Choice, argument: &Argument, among: &[Argument], into: &mut Request) {
        match argument {
            Argument::Optional(body) => {
                if choice.ratio(1, 2) {
                    self.sequence(choice, body, into);
                }
                return;
            }
            Argument::Many(body) => {
                if let Some(length) = self.crowd(choice, body) {
                    self.numbered = Some(choice.below(3) * 100);
                    for _ in 0..length {
                        self.sequence(choice, body, into);
                    }
                    self.numbered = None;
                    return;
                }
                self.sequence(choice, body, into);
                // A source that ran dry answers the least value, which must end the repetition.
                while !choice.ratio(3, 5) {
                    self.sequence(choice, body, into);
                }
                return;
            }
            Argument::OneOf(bodies) => {
                let body = bodies[choice.below(bodies.len() as u32) as usize];
                self.sequence(choice, body, into);
                return;
            }
            Argument::Options(bodies) => {
                let count = [0, 0, 1, 1, 1, 2, 2, 3][choice.below(8) as usize];
                for _ in 0..count {
                    let body = bodies[choice.below(bodies.len() as u32) as usize];
                    self.sequence(choice, body, into);
                }
                return;
            }
            Argument::PerCountedKey(body) => {
                for _ in 0..self.counted {
                    self.sequence(choice, body, into);
                }
                return;
            }
            _ => {}
        }
        if self.wrong_in == 0 {
            self.wrong_in = u32::MAX;
            into.push(hostile_word(choice));
            return;
        }
        self.wrong_in -= 1;
        self.leaf(choice, argument, among, into);
    }

    fn leaf(&mut self, choice: &mut impl Choice, argument: &Argument, among: &[Argument], into: &mut Request) {
        match argument {
            Argument::Word(word) => self.word(choice, word, into),
            Argument::Key(want) => self.key(choice, *want, grows(among), into),
            Argument::Value => {
                let values = &self.swarm.pools.values;
                if choice.ratio(3, 4) {
                    into.push(&values[choice.below(values.len() as u32) as usize]);
                } else {
                    into.push_with(|bytes| value(choice, bytes));
                }
            }
            Argument::Integer => {
                let known = &self.swarm.pools.integers;
                let number =
                    if choice.ratio(1, 2) { known[choice.below(known.len() as u32) as usize] } else { integer(choice) };
                into.push_integer(number);
            }
            Argument::Float => {
                if choice.ratio(1, 2) {
                    into.push(float(choice));
                } else {
                    let digits = choice.int(-1_000_000..=1_000_000);
                    let scale = choice.below(7);
                    into.push_with(|bytes| bytes.extend_from_slice(format!("{digits}e-{scale}").as_bytes()));
                }
            }
            Argument::Index => {
                let index = match choice.below(8) {
                    0..=4 => choice.int(-5..=5),
                    5 | 6 => choice.int(-70..=70),
                    _ => integer(choice),
                };
                into.push_integer(index);
            }
            Argument::ByteOffset => self.byte_offset(choice, into),
            Argument::BitOffset => self.bit_offset(choice, into),
            Argument::FieldOffset => {
                let multiple = choice.ratio(1, 3);
                let offset = if choice.ratio(1, 40) { 4_294_967_296 } else { i64::from(choice.below(200)) };
                into.push_with(|bytes| {
                    if multiple {
                        bytes.push(b'#');
                    }
                    crate::request::append_integer(bytes, if multiple { offset % 7 } else { offset });
                });
            }
            Argument::FieldType => {
                let signed = choice.ratio(1, 2);
                let most = if signed { 64 } else { 63 };
                let width = match choice.below(8) {
                    0 => most,
                    1 => 1,
                    2 => [0, 64, 65, 63][choice.below(4) as usize],
                    _ => 1 + choice.below(most),
                };
                into.push_with(|bytes| {
                    bytes.push(if signed { b'i' } else { b'u' });
                    crate::request::append_integer(bytes, i64::from(width));
                });
            }
            Argument::Bit => into.push(if choice.ratio(1, 2) { b"1" } else { b"0" }),
            Argument::Pattern => self.pattern(choice, into),
            Argument::Channel | Argument::ChannelPattern | Argument::EventClasses => {
                self.channel_leaf(choice, argument, into);
            }
            Argument::CommandName => {
                let count = grammar::all().count() as u32;
                if let Some(grammar) = grammar::all().nth(choice.below(count) as usize) {
                    self.word(choice, grammar.name, into);
                }
            }
            Argument::Payload => {
                let payload = dump::payload(choice, self.view.payloads(), &self.swarm.pools.values);
                into.push(&payload);
            }
            Argument::Cursor => {
                // SCAN has its cursor first; the others have their key there.
                let of = if into.len() > 1 { into.argument(1) } else { b"" };
                let known = self.view.cursor(into.name(), of).map(<[u8]>::to_vec);
                match (choice.below(8), known) {
                    (0..=5, Some(cursor)) => into.push(&cursor),
                    (7, _) => into.push_integer(choice.int(0..=300)),
                    _ => into.push(b"0"),
                }
            }
            Argument::ScriptCall | Argument::ScriptText | Argument::ScriptDigest | Argument::ScriptDigestCall => {
                self.script_leaf(choice, argument, into);
            }
            Argument::Streams(ids) => self.streams(choice, *ids, into),
            Argument::Group
            | Argument::Consumer
            | Argument::NewId
            | Argument::EntryId
            | Argument::StreamLimit
            | Argument::DeliveredId
            | Argument::StreamLength => self.stream_leaf(choice, argument, into),
            Argument::CountedKeys(want) => self.counted_keys(choice, *want, into),
            Argument::Member
            | Argument::Field
            | Argument::Element
            | Argument::Score
            | Argument::ScoreLimit
            | Argument::LexLimit
            | Argument::SignedCount
            | Argument::Longitude
            | Argument::Latitude
            | Argument::Distance
            | Argument::MemberPattern
            | Argument::SortPattern
            | Argument::Threshold
            | Argument::ListFill => self.collection_leaf(choice, argument, into),
            _ => self.number_or_name(choice, argument, into),
        }
    }

    fn number_or_name(&mut self, choice: &mut impl Choice, argument: &Argument, into: &mut Request) {
        let now_ms = self.view.now_ms();
        match argument {
            Argument::Seconds => into.push_integer(self.seconds(choice)),
            Argument::Milliseconds => into.push_integer(self.milliseconds(choice)),
            Argument::UnixSeconds => {
                let seconds = self.seconds(choice);
                into.push_integer((now_ms / 1000).saturating_add(seconds));
            }
            Argument::UnixMilliseconds => {
                let milliseconds = self.milliseconds(choice);
                into.push_integer(now_ms.saturating_add(milliseconds));
            }
            Argument::RestoreTtl => {
                let milliseconds = if choice.ratio(1, 2) { 0 } else { self.milliseconds(choice) };
                into.push_integer(milliseconds);
            }
            Argument::Count => {
                let count = match choice.below(6) {
                    0 => choice.int(0..=1000),
                    _ => choice.int(1..=10),
                };
                into.push_integer(count);
            }
            Argument::Database => {
                let database = match choice.below(16) {
                    0 => choice.int(-1..=17),
                    1 => integer(choice),
                    _ => i64::from(choice.below(self.swarm.databases)),
                };
                into.push_integer(database);
            }
            Argument::SmallNumber => into.push_integer(choice.int(-2..=300)),
            Argument::ClientId => {
                let nobody = choice.int(1_000_000_000..=1_000_000_009);
                let known = self.view.client_ids();
                let drawn =
                    if choice.ratio(7, 8) { known.get(choice.below(known.len() as u32) as usize) } else { None };
                into.push_integer(drawn.copied().unwrap_or(nobody));
            }
            Argument::BlockTimeout => into.push_integer(self.block_timeout(choice)),
            Argument::PauseMilliseconds => {
                let most = if self.swarm.real_time { 20 } else { 2000 };
                into.push_integer(choice.int(0..=most));
            }
            Argument::ClientName => {
                let names: [&[u8]; 5] = [b"worker", b"a", b"", b"with space", b"\xc3\xa9"];
                into.push(names[choice.below(5) as usize]);
            }
            Argument::Address => into.push(b"192.0.2.1:6379"),
            _ => into.push(b"secret"),
        }
    }

    fn byte_offset(&mut self, choice: &mut impl Choice, into: &mut Request) {
        let offset = match choice.below(32) {
            0 => choice.int(0..=20_000),
            1 => [536_870_911, 536_870_912, 536_870_913][choice.below(3) as usize] + 100_000,
            2 => -1,
            3 => [i64::MAX, i64::MAX - 1, 1 << 62][choice.below(3) as usize],
            4..=8 => choice.int(0..=600),
            _ => choice.int(0..=50),
        };
        into.push_integer(offset);
    }

    fn bit_offset(&mut self, choice: &mut impl Choice, into: &mut Request) {
        let offset = match choice.below(32) {
            0 => choice.int(0..=100_000),
            1 => 4_294_967_296 + choice.int(0..=1),
            2 => -1,
            _ => choice.int(0..=300),
        };
        into.push_integer(offset);
    }

    fn pattern(&mut self, choice: &mut impl Choice, into: &mut Request) {
        let patterns: [&[u8]; 12] =
            [b"*", b"*", b"k*", b"k?", b"k[1-3]", b"[^k]*", b"k\\1", b"*1*", b"k[", b"[a-", b"", b"*?*?*"];
        match choice.below(14) {
            12 | 13 => self.key(choice, Want::Existing, false, into),
            index => into.push(patterns[index as usize]),
        }
    }

    /// Seconds that a command waits: in real time mostly for ever, because the time is spent.
    fn block_timeout(&self, choice: &mut impl Choice) -> i64 {
        match choice.below(16) {
            0 => 1,
            1..=4 if !self.swarm.real_time => choice.int(1..=6),
            5 | 6 => choice.int(100..=200),
            7 => -1,
            _ => 0,
        }
    }

    fn seconds(&self, choice: &mut impl Choice) -> i64 {
        match choice.below(16) {
            0 => 0,
            1 => -1,
            2 => integer(choice),
            3..=8 if !self.swarm.real_time => choice.int(1..=6),
            9..=11 => choice.int(50..=150),
            _ => 1000,
        }
    }

    fn milliseconds(&self, choice: &mut impl Choice) -> i64 {
        match choice.below(16) {
            0 => 0,
            1 => -1,
            2 => integer(choice),
            3..=4 => choice.int(1..=20),
            5..=9 if !self.swarm.real_time => choice.int(20..=6000),
            10 | 11 => choice.int(50_000..=150_000),
            _ => 1_000_000,
        }
    }
}
