//! Channels, patterns over them, and classes of events.

use super::View;
use super::terms::Terms;
use crate::choice::Choice;
use crate::grammar::{Argument, Want};
use crate::request::Request;

/// Channels without a meaning, some of which the patterns match in several ways.
const CHANNELS: [&[u8]; 6] = [b"c1", b"c2", b"news.a", b"news.b", b"", b"c[1]"];

const PATTERNS: [&[u8]; 12] = [
    b"*",
    b"c?",
    b"c*",
    b"news.*",
    b"news.[ab]",
    b"c1",
    b"[^c]*",
    b"c\\[1]",
    b"",
    b"__key*",
    b"__keyspace@0__:*",
    b"__keyevent@*__:*",
];

/// Events that strings, lists, sets, sorted sets, hashes and keys of any type have.
const EVENTS: [&[u8]; 12] = [
    b"set",
    b"del",
    b"expired",
    b"expire",
    b"lpush",
    b"rpop",
    b"sadd",
    b"zadd",
    b"hset",
    b"rename_to",
    b"incrby",
    b"persist",
];

/// As `notify-keyspace-events` takes them, those that publish much more often than others.
const CLASSES: [&[u8]; 14] =
    [b"KEA", b"KEA", b"KA", b"EA", b"Kg$x", b"Elzs", b"Kh", b"Ex", b"Kx", b"K$", b"A", b"K", b"AKElshzxeg$t", b""];

impl<V: View> Terms<'_, V> {
    /// One of the arguments that have to do with channels.
    pub(super) fn channel_leaf(&mut self, choice: &mut impl Choice, argument: &Argument, into: &mut Request) {
        match argument {
            Argument::EventClasses => into.push(CLASSES[choice.below(CLASSES.len() as u32) as usize]),
            Argument::ChannelPattern => into.push(PATTERNS[choice.below(PATTERNS.len() as u32) as usize]),
            _ => match choice.below(16) {
                // About keys and events, as the server publishes them.
                12 | 13 => {
                    let mut key = Request::new();
                    self.key(choice, Want::Existing, false, &mut key);
                    let db = choice.below(self.swarm.databases);
                    into.push(&[format!("__keyspace@{db}__:").as_bytes(), key.argument(0)].concat());
                }
                14 | 15 => {
                    let event = EVENTS[choice.below(EVENTS.len() as u32) as usize];
                    into.push(&[b"__keyevent@0__:".as_slice(), event].concat());
                }
                drawn => into.push(CHANNELS[drawn as usize % CHANNELS.len()]),
            },
        }
    }
}
