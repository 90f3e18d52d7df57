//! Arguments of the commands on streams: ids at and around those that a stream has, a few groups and consumers.

use tally_model::stream::{StreamId, StreamValue};

use super::hostile_word;
use super::terms::Terms;
use super::{View, pools};
use crate::choice::Choice;
use crate::grammar::{Argument, StreamIds, Want};
use crate::request::Request;

const GROUPS: [&[u8]; 4] = [b"g1", b"g1", b"g2", b"g3"];
const CONSUMERS: [&[u8]; 5] = [b"c1", b"c1", b"c2", b"c3", b"\x00c"];

/// A stream whose numbers are not known has few and small ids.
fn small(choice: &mut impl Choice) -> StreamId {
    StreamId { ms: u64::from(choice.below(6)), seq: u64::from(choice.below(4)) }
}

/// An id that a stream has, had, or that is pending in a group of it.
fn known(choice: &mut impl Choice, stream: &StreamValue) -> Option<StreamId> {
    let nodes = stream.nodes.values().map(|node| node.entries.len()).sum::<usize>();
    let pending = stream.groups.values().map(|group| group.pending.len()).sum::<usize>();
    let number = choice.below((nodes + pending) as u32 + 1) as usize;
    let entries = stream.nodes.values().flat_map(|node| node.entries.keys());
    let delivered = stream.groups.values().flat_map(|group| group.pending.keys());
    entries.chain(delivered).nth(number).copied()
}

/// The id, its neighbour, or its milliseconds alone.
fn push_near(choice: &mut impl Choice, id: StreamId, into: &mut Request) {
    let text = match choice.below(12) {
        0 => id.ms.to_string(),
        1 => id.next().unwrap_or(id).to_string(),
        2 => id.previous().unwrap_or(id).to_string(),
        // As a loose reader takes them.
        3 if choice.ratio(1, 4) => format!("0{}-+{}", id.ms, id.seq),
        _ => id.to_string(),
    };
    into.push(text.as_bytes());
}

impl<V: View> Terms<'_, V> {
    /// The stream at the command's first key, which stands before its ids.
    fn stream_of<'v>(view: &'v V, into: &Request) -> Option<&'v StreamValue> {
        let key = if into.is(0, "xgroup") { 2 } else { 1 };
        (into.len() > key).then(|| view.stream(into.argument(key))).flatten()
    }

    /// One of the arguments that only streams have.
    pub(super) fn stream_leaf(&mut self, choice: &mut impl Choice, argument: &Argument, into: &mut Request) {
        let stream = Self::stream_of(self.view, into);
        match argument {
            Argument::Group => into.push(GROUPS[choice.below(4) as usize]),
            Argument::Consumer => into.push(CONSUMERS[choice.below(5) as usize]),
            Argument::NewId => {
                let last = stream.map_or(StreamId::LEAST, |stream| stream.last_id);
                let id = match choice.below(24) {
                    0..=9 => return into.push(b"*"),
                    10..=15 => StreamId { seq: last.seq.saturating_add(1 + u64::from(choice.below(3))), ..last },
                    16..=19 => StreamId { ms: last.ms.saturating_add(1 + u64::from(choice.below(300))), seq: 0 },
                    20 => last,
                    21 => return push_near(choice, last, into),
                    22 if choice.ratio(1, 40) => edge(choice),
                    _ => small(choice),
                };
                into.push(id.to_string().as_bytes());
            }
            Argument::EntryId => {
                let id = stream.and_then(|stream| known(choice, stream)).unwrap_or_else(|| small(choice));
                push_near(choice, id, into);
            }
            Argument::StreamLimit => match choice.below(8) {
                0..=2 => into.push(b"-"),
                3..=5 => into.push(b"+"),
                _ => {
                    let id = stream.and_then(|stream| known(choice, stream)).unwrap_or_else(|| small(choice));
                    push_near(choice, id, into);
                }
            },
            Argument::DeliveredId => match choice.below(8) {
                0..=2 => into.push(b"0"),
                3 | 4 => into.push(b"$"),
                5 => into.push([b"-".as_slice(), b"+"][choice.below(2) as usize]),
                _ => {
                    let id = stream.and_then(|stream| known(choice, stream)).unwrap_or_else(|| small(choice));
                    push_near(choice, id, into);
                }
            },
            _ => {
                let length = match choice.below(10) {
                    0 => 0,
                    1 => pools::integer(choice),
                    2..=4 => choice.int(0..=40),
                    _ => choice.int(1..=8),
                };
                into.push_integer(length);
            }
        }
    }

    /// Some keys, and as many ids.
    pub(super) fn streams(&mut self, choice: &mut impl Choice, ids: StreamIds, into: &mut Request) {
        let count = [1, 1, 1, 1, 2, 3][choice.below(6) as usize];
        let first = into.len();
        for _ in 0..count {
            self.key(choice, Want::Stream, false, into);
        }
        for index in 0..count {
            if choice.ratio(1, 60) {
                into.push(hostile_word(choice));
                continue;
            }
            let stream = self.view.stream(into.argument(first + index));
            let id = match (ids, choice.below(8)) {
                (StreamIds::AboveAny, 0) => return_sign(into, b"$"),
                (StreamIds::Undelivered, 0..=4) => return_sign(into, b">"),
                (_, 1 | 5 | 6) => return_sign(into, b"0"),
                _ => stream.and_then(|stream| known(choice, stream)).or_else(|| Some(small(choice))),
            };
            if let Some(id) = id {
                push_near(choice, id, into);
            }
        }
    }
}

fn return_sign(into: &mut Request, sign: &[u8]) -> Option<StreamId> {
    into.push(sign);
    None
}

/// Ids at the limits of their numbers. `profile` holds back those that an early server goes on behind (E-111).
fn edge(choice: &mut impl Choice) -> StreamId {
    let numbers = [0, 1, u64::MAX - 1, u64::MAX, 1 << 63];
    let mut number = || numbers[choice.below(5) as usize];
    StreamId { ms: number(), seq: number() }
}
