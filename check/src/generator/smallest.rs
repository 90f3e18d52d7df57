//! Commands of the smallest scope, for exhaustive enumeration: few enough that all short scripts can be run.

use super::Swarm;
use crate::choice::Choice;
use crate::grammar::{Argument, StreamIds};
use crate::request::Request;

impl Swarm {
    /// A fitting command with the fewest choices: every command and alternative, each key and value of the pools, options
    /// none or one, repetitions once.
    pub fn simplest(&self, choice: &mut impl Choice) -> Request {
        let mut request = Request::new();
        let index = choice.below(self.table.len() as u32) as usize;
        if let Some(grammar) = self.table.get(index) {
            request.push(grammar.name.as_bytes());
            self.simplest_sequence(choice, grammar.arguments, &mut request);
        }
        request
    }

    fn simplest_sequence(&self, choice: &mut impl Choice, arguments: &[Argument], into: &mut Request) {
        for argument in arguments {
            self.simplest_argument(choice, argument, into);
        }
    }

    fn simplest_argument(&self, choice: &mut impl Choice, argument: &Argument, into: &mut Request) {
        let pools = &self.pools;
        match argument {
            Argument::Word(word) => into.push(word.as_bytes()),
            Argument::Key(_) => into.push(&pools.keys[choice.below(pools.keys.len() as u32) as usize]),
            Argument::Value => into.push(&pools.values[choice.below(pools.values.len() as u32) as usize]),
            Argument::Integer => into.push_integer(pools.integers[choice.below(pools.integers.len() as u32) as usize]),
            Argument::Index | Argument::Bit => into.push_integer(i64::from(choice.below(2)) - 1),
            Argument::Float => into.push(b"0.5"),
            Argument::FieldType => into.push(b"i8"),
            Argument::Pattern | Argument::MemberPattern => into.push(b"*"),
            Argument::Member | Argument::Field | Argument::Element => {
                into.push(&pools.words[choice.below(pools.words.len() as u32) as usize]);
            }
            Argument::Score | Argument::ScoreLimit | Argument::SignedCount => {
                into.push_integer(i64::from(choice.below(3)) - 1);
            }
            Argument::LexLimit => into.push([b"-".as_slice(), b"[b"][choice.below(2) as usize]),
            Argument::CountedKeys(_) => {
                into.push(b"1");
                into.push(&pools.keys[choice.below(pools.keys.len() as u32) as usize]);
            }
            Argument::PerCountedKey(body) => self.simplest_sequence(choice, body, into),
            Argument::Longitude | Argument::Latitude => into.push(b"10.5"),
            Argument::Group => into.push(b"g"),
            Argument::Consumer => into.push(b"c"),
            Argument::NewId => into.push([b"1-1".as_slice(), b"2-1", b"*"][choice.below(3) as usize]),
            Argument::EntryId => into.push([b"1-1".as_slice(), b"2-1"][choice.below(2) as usize]),
            Argument::StreamLimit => into.push([b"-".as_slice(), b"+"][choice.below(2) as usize]),
            Argument::DeliveredId => into.push([b"0".as_slice(), b"$"][choice.below(2) as usize]),
            Argument::StreamLength => into.push_integer(i64::from(choice.below(2))),
            Argument::Streams(ids) => {
                into.push(&pools.keys[choice.below(pools.keys.len() as u32) as usize]);
                let sign: &[u8] = if *ids == StreamIds::Undelivered { b">" } else { b"$" };
                into.push([b"0".as_slice(), sign][choice.below(2) as usize]);
            }
            Argument::ScriptCall => {
                into.push(b"return redis.call('set', KEYS[1], 'v')");
                into.push(b"1");
                into.push(&pools.keys[choice.below(pools.keys.len() as u32) as usize]);
            }
            Argument::ScriptText => into.push(b"return 1"),
            Argument::ScriptDigest => into.push(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
            Argument::ScriptDigestCall => {
                into.push(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
                into.push(b"0");
            }
            Argument::SortPattern => into.push([b"#".as_slice(), b"k*"][choice.below(2) as usize]),
            Argument::Threshold => into.push(b"1"),
            Argument::ListFill => into.push(b"-2"),
            Argument::Cursor | Argument::Database | Argument::FieldOffset => into.push(b"0"),
            Argument::ByteOffset | Argument::BitOffset => into.push_integer(i64::from(choice.below(2)) * 9),
            Argument::UnixSeconds => into.push(b"9999999999"),
            Argument::UnixMilliseconds => into.push(b"9999999999999"),
            Argument::Optional(body) => {
                if choice.below(2) == 1 {
                    self.simplest_sequence(choice, body, into);
                }
            }
            Argument::Many(body) => self.simplest_sequence(choice, body, into),
            Argument::OneOf(bodies) => {
                let body = bodies[choice.below(bodies.len() as u32) as usize];
                self.simplest_sequence(choice, body, into);
            }
            Argument::Options(bodies) => {
                let index = choice.below(bodies.len() as u32 + 1) as usize;
                if let Some(body) = index.checked_sub(1).and_then(|index| bodies.get(index)) {
                    self.simplest_sequence(choice, body, into);
                }
            }
            _ => into.push(b"100"),
        }
    }
}
