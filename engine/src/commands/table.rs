//! The command table: data, equal to what COMMAND of Redis 5.0.14 answers for every command present.
//!
//! One line per command, sorted by name: name, arity (negative: at least that many, the name counted), flags, first
//! key, last key (negative: counted from the end), step between keys, handler.

use super::{Handler, connection};

/// Changes data.
pub const WRITE: u32 = 1 << 0;
/// Reads data and changes none.
pub const READONLY: u32 = 1 << 1;
/// Refused when memory is short.
pub const DENYOOM: u32 = 1 << 2;
/// For administrators.
pub const ADMIN: u32 = 1 << 3;
/// Publish and subscribe.
pub const PUBSUB: u32 = 1 << 4;
/// Not for scripts.
pub const NOSCRIPT: u32 = 1 << 5;
/// Answers by chance.
pub const RANDOM: u32 = 1 << 6;
/// Its answer is sorted for scripts.
pub const SORT_FOR_SCRIPT: u32 = 1 << 7;
/// Allowed while the dataset is loaded.
pub const LOADING: u32 = 1 << 8;
/// Allowed on a replica that has lost its primary.
pub const STALE: u32 = 1 << 9;
/// Not shown to MONITOR.
pub const SKIP_MONITOR: u32 = 1 << 10;
/// Implies ASKING in a cluster.
pub const ASKING: u32 = 1 << 11;
/// Takes constant or logarithmic time.
pub const FAST: u32 = 1 << 12;
/// Its keys cannot be found by first, last and step alone.
pub const MOVABLEKEYS: u32 = 1 << 13;

/// The flags with their names, in the order in which COMMAND lists them.
pub const FLAG_NAMES: &[(u32, &str)] = &[
    (WRITE, "write"),
    (READONLY, "readonly"),
    (DENYOOM, "denyoom"),
    (ADMIN, "admin"),
    (PUBSUB, "pubsub"),
    (NOSCRIPT, "noscript"),
    (RANDOM, "random"),
    (SORT_FOR_SCRIPT, "sort_for_script"),
    (LOADING, "loading"),
    (STALE, "stale"),
    (SKIP_MONITOR, "skip_monitor"),
    (ASKING, "asking"),
    (FAST, "fast"),
    (MOVABLEKEYS, "movablekeys"),
];

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// In lower case.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i32,
    /// [`WRITE`] and the others, or-ed.
    pub flags: u32,
    /// Place of the first key, 0 for none.
    pub first_key: i32,
    /// Place of the last key; negative: from the end.
    pub last_key: i32,
    /// Distance from key to key.
    pub step: i32,
    pub(crate) handler: Handler,
}

impl Command {
    /// Whether this many arguments, the name counted, are as many as the command takes.
    #[must_use]
    #[inline]
    pub fn accepts(&self, arguments: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { arguments >= wanted } else { arguments == wanted }
    }

    /// Whether it has this flag.
    #[must_use]
    #[inline]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

const fn command(name: &'static str, arity: i32, flags: u32, keys: (i32, i32, i32), handler: Handler) -> Command {
    let (first_key, last_key, step) = keys;
    Command { name, arity, flags, first_key, last_key, step, handler }
}

const NO_KEYS: (i32, i32, i32) = (0, 0, 0);

#[rustfmt::skip] // A table is read by its columns.
const TABLE: &[Command] = &[
    command("echo", 2, FAST, NO_KEYS, connection::echo),
    command("ping", -1, STALE | FAST, NO_KEYS, connection::ping),
    command("select", 2, LOADING | FAST, NO_KEYS, connection::select),
];

/// All commands, sorted by name.
pub static COMMANDS: &[Command] = TABLE;

/// Slots of the lookup table: a power of two, sparse enough for next to no collisions.
const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// Index by hash, open addressing with linear probing; built by the compiler.
static INDEX: [u16; SLOTS] = index();

/// Hashes a name whatever its letter case.
#[inline]
const fn hash(name: &[u8]) -> usize {
    let mut hash = name.len() as u32;
    let mut at = 0;
    while at < name.len() {
        hash = hash.wrapping_mul(31).wrapping_add((name[at] | 0x20) as u32);
        at += 1;
    }
    ((hash ^ (hash >> 10)) as usize) & (SLOTS - 1)
}

const fn index() -> [u16; SLOTS] {
    let mut slots = [EMPTY; SLOTS];
    let mut at = 0;
    while at < TABLE.len() {
        let mut slot = hash(TABLE[at].name.as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) & (SLOTS - 1);
        }
        slots[slot] = at as u16;
        at += 1;
    }
    slots
}

/// Longer names are no commands.
const LONGEST_NAME: usize = 32;

/// The index of the command of this name, in whatever letter case.
#[must_use]
#[inline]
pub fn find(name: &[u8]) -> Option<usize> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut slot = hash(name);
    loop {
        let index = INDEX[slot];
        if index == EMPTY {
            return None;
        }
        let index = usize::from(index);
        if COMMANDS[index].name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(index);
        }
        slot = (slot + 1) & (SLOTS - 1);
    }
}
