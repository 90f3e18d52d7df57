//! Keyspace notifications: which events the changes of a command are, and to whom they are published.

use crate::clause::Clause;
use crate::delivery::Manner;
use crate::edit::Edit;
use crate::keyspace::Fate;
use crate::list::{End, ListEdit};
use crate::model::Model;
use crate::plan::{Change, Expiry};
use crate::reply::{Bytes, Reply};
use crate::set::SetEdit;
use crate::span::Span;
use crate::stream::StreamEdit;
use crate::value::Value;

/// What `notify-keyspace-events` asks for. [NOTIFY-1] [NOTIFY-2]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    keyspace: bool,
    keyevent: bool,
    /// One bit for each letter of [`Flags::CLASSES`].
    classes: u16,
}

impl Flags {
    /// The classes of events, all of which `A` stands for. [CONFIG-23]
    const CLASSES: &'static [u8] = b"g$lshzxet";

    /// Reads a value of the directive.
    pub fn of(text: &[u8]) -> Self {
        let mut flags = Self::default();
        for &letter in text {
            match letter {
                b'K' => flags.keyspace = true,
                b'E' => flags.keyevent = true,
                b'A' => flags.classes = u16::MAX,
                _ => flags.classes |= Self::bit(letter),
            }
        }
        flags
    }

    fn bit(class: u8) -> u16 {
        Self::CLASSES.iter().position(|&known| known == class).map_or(0, |place| 1 << place)
    }

    /// Some event may be published.
    pub(crate) fn asks_for_any(self) -> bool {
        self.classes != 0 && (self.keyspace || self.keyevent)
    }

    pub(crate) fn asks_for(self, class: u8) -> bool {
        self.classes & Self::bit(class) != 0
    }
}

/// An event: its class and name.
type Event = (u8, &'static str);

/// The event that a command tells of a key that it writes; those whose edits tell different ones, and those that tell
/// nothing, are not here. [NOTIFY-7] [NOTIFY-8] [NOTIFY-12]
const WRITES: &[(&str, Event)] = &[
    ("append", (b'$', "append")),
    ("bitfield", (b'$', "setbit")),
    ("bitop", (b'$', "set")),
    ("decr", (b'$', "incrby")),
    ("decrby", (b'$', "incrby")),
    ("geoadd", (b'z', "zadd")),
    ("georadius", (b'z', "georadiusstore")),
    ("georadiusbymember", (b'z', "georadiusstore")),
    ("getset", (b'$', "set")),
    ("hdel", (b'h', "hdel")),
    ("hincrby", (b'h', "hincrby")),
    ("hincrbyfloat", (b'h', "hincrbyfloat")),
    ("hmset", (b'h', "hset")),
    ("hset", (b'h', "hset")),
    ("hsetnx", (b'h', "hset")),
    ("incr", (b'$', "incrby")),
    ("incrby", (b'$', "incrby")),
    ("incrbyfloat", (b'$', "incrbyfloat")),
    ("linsert", (b'l', "linsert")),
    ("lpop", (b'l', "lpop")),
    ("blpop", (b'l', "lpop")),
    ("lpush", (b'l', "lpush")),
    ("lpushx", (b'l', "lpush")),
    ("lrem", (b'l', "lrem")),
    ("lset", (b'l', "lset")),
    ("ltrim", (b'l', "ltrim")),
    ("mset", (b'$', "set")),
    ("msetnx", (b'$', "set")),
    ("pfadd", (b'$', "pfadd")),
    ("pfmerge", (b'$', "pfadd")),
    ("psetex", (b'$', "set")),
    ("rpop", (b'l', "rpop")),
    ("brpop", (b'l', "rpop")),
    ("rpush", (b'l', "rpush")),
    ("rpushx", (b'l', "rpush")),
    ("sadd", (b's', "sadd")),
    ("sdiffstore", (b's', "sdiffstore")),
    ("set", (b'$', "set")),
    ("setbit", (b'$', "setbit")),
    ("setex", (b'$', "set")),
    ("setnx", (b'$', "set")),
    ("setrange", (b'$', "setrange")),
    ("sinterstore", (b's', "sinterstore")),
    ("sort", (b'l', "sortstore")),
    ("spop", (b's', "spop")),
    ("srem", (b's', "srem")),
    ("sunionstore", (b's', "sunionstore")),
    ("zadd", (b'z', "zadd")),
    ("zincrby", (b'z', "zincr")),
    ("zinterstore", (b'z', "zinterstore")),
    ("zpopmax", (b'z', "zpopmax")),
    ("bzpopmax", (b'z', "zpopmax")),
    ("zpopmin", (b'z', "zpopmin")),
    ("bzpopmin", (b'z', "zpopmin")),
    ("zrem", (b'z', "zrem")),
    ("zremrangebylex", (b'z', "zremrangebylex")),
    ("zremrangebyrank", (b'z', "zremrangebyrank")),
    ("zremrangebyscore", (b'z', "zremrangebyscore")),
    ("zunionstore", (b'z', "zunionstore")),
];

/// The event of a key that is gone.
const DEL: Event = (b'g', "del");

/// The events of one change, in order, as far as they do not depend on what the change leads to.
pub(crate) fn events(command: &str, line: &[&[u8]], change: &Change) -> Vec<(usize, Bytes, Event)> {
    let write = || WRITES.iter().find(|(name, _)| *name == command).map(|(_, event)| *event);
    let mut events = Vec::new();
    match change {
        Change::Put { db, key, expiry, .. } => {
            events.extend(write().map(|event| (*db, key.clone(), event)));
            if matches!(expiry, Expiry::Set(_)) && matches!(command, "set" | "setex" | "psetex") {
                events.push((*db, key.clone(), (b'g', "expire")));
            }
        }
        Change::Write { db, key, .. } => events.extend(write().map(|event| (*db, key.clone(), event))),
        Change::Edit { db, key, edit } => {
            let told: &[Event] = match (command, edit) {
                // The list that is sorted becomes a skiplist, if it is none. [SORT-19]
                ("sort", _) => &[],
                ("zadd", _) if has_incr(line) => &[(b'z', "zincr")],
                ("rpoplpush" | "brpoplpush", Edit::List(ListEdit::Push(..))) => &[(b'l', "lpush")],
                ("rpoplpush" | "brpoplpush", Edit::List(ListEdit::Pop(End::Tail))) => &[(b'l', "rpop")],
                ("rpoplpush" | "brpoplpush", Edit::List(ListEdit::Rotate)) => &[(b'l', "lpush"), (b'l', "rpop")],
                ("smove", Edit::Set(SetEdit::Remove(_))) => &[(b's', "srem")],
                ("smove", Edit::Set(SetEdit::Add(_))) => &[(b's', "sadd")],
                (_, Edit::Stream(edit)) => stream_events(command, line, edit),
                _ => &[],
            };
            match told {
                [] => events.extend(write().filter(|_| command != "sort").map(|event| (*db, key.clone(), event))),
                told => events.extend(told.iter().map(|event| (*db, key.clone(), *event))),
            }
        }
        Change::Remove { db, key } => {
            if command == "spop" {
                events.push((*db, key.clone(), (b's', "spop")));
            }
            events.push((*db, key.clone(), DEL));
        }
        // [NOTIFY-10]
        Change::Move { from, to } if matches!(command, "rename" | "renamenx") => {
            events.push((from.0, from.1.clone(), (b'g', "rename_from")));
            events.push((to.0, to.1.clone(), (b'g', "rename_to")));
        }
        // [NOTIFY-11]
        Change::SetDeadline { db, key, deadline: Some(_) } => events.push((*db, key.clone(), (b'g', "expire"))),
        _ => {}
    }
    events
}

/// The events of a change of a stream. What XACK, XCLAIM and XREADGROUP do to a group is not told. [NOTIFY-16]
fn stream_events(command: &str, line: &[&[u8]], edit: &StreamEdit) -> &'static [Event] {
    match edit {
        StreamEdit::Add { .. } => &[(b't', "xadd")],
        StreamEdit::Trim(_) => &[(b't', "xtrim")],
        StreamEdit::Delete(_) => &[(b't', "xdel")],
        StreamEdit::SetLastId(_) => &[(b't', "xsetid")],
        StreamEdit::Group(..) if command == "xgroup" => match line[1].to_ascii_lowercase().as_slice() {
            b"create" => &[(b't', "xgroup-create")],
            b"setid" => &[(b't', "xgroup-setid")],
            b"destroy" => &[(b't', "xgroup-destroy")],
            _ => &[(b't', "xgroup-delconsumer")],
        },
        StreamEdit::Group(..) | StreamEdit::Make => &[],
    }
}

/// Whether a command deals with its keys one after the other, so that what it tells of one comes before it looks for the
/// next. [NOTIFY-4]
pub(crate) fn tells_in_turn(command: &str) -> bool {
    matches!(command, "del" | "unlink" | "mset")
}

/// The keys of such a command.
fn keys_in_turn<'a>(line: &'a [&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    let step = if line.first().is_some_and(|name| name.eq_ignore_ascii_case(b"mset")) { 2 } else { 1 };
    line.iter().skip(1).step_by(step).copied()
}

/// Whether a command puts its result at a key without looking for what is there. (E-160)
pub(crate) fn stores_at(line: &[&[u8]], key: &[u8]) -> bool {
    let name = line.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
    let is = |word: &[u8], names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
    match name.as_slice() {
        b"sunionstore" | b"sdiffstore" | b"sinterstore" | b"zunionstore" | b"zinterstore" | b"restore"
        | b"restore-asking" => line.get(1).is_some_and(|word| *word == key),
        b"bitop" => line.get(2).is_some_and(|word| *word == key),
        b"sort" | b"georadius" | b"georadiusbymember" => {
            line.windows(2).any(|pair| is(pair[0], &["store", "storedist"]) && pair[1] == key)
        }
        _ => false,
    }
}

/// ZADD that increments. [ZADD-6]
fn has_incr(line: &[&[u8]]) -> bool {
    let options = line
        .iter()
        .skip(2)
        .take_while(|word| [b"nx".as_slice(), b"xx", b"ch", b"incr"].contains(&word.to_ascii_lowercase().as_slice()));
    options.into_iter().any(|word| word.eq_ignore_ascii_case(b"incr"))
}

impl Model {
    /// Whether a member of an edit is not in its set yet.
    pub(crate) fn adds(&self, db: usize, key: &[u8], members: &[Bytes], span: Span) -> bool {
        match self.keyspace.slot(db, key) {
            Some(crate::keyspace::Slot::Known(entry)) if entry.fate(span) != Fate::Gone => match &entry.value {
                Value::Set(set) => members.iter().any(|member| !set.members.contains(member)),
                _ => true,
            },
            _ => true,
        }
    }

    /// Publishes an event, where it is asked for. [NOTIFY-1]
    pub(crate) fn notify(&mut self, db: usize, key: &[u8], event: (u8, &str), manner: Manner) {
        self.notify_as(self.server.config.effects().events, db, key, event, manner);
    }

    /// Publishes an event on the channels that tell of it, where these flags ask for it. [NOTIFY-1]
    pub(crate) fn notify_as(&mut self, flags: Flags, db: usize, key: &[u8], (class, name): (u8, &str), manner: Manner) {
        if !flags.asks_for(class) {
            return;
        }
        if flags.keyspace {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(&channel, name.as_bytes(), manner);
        }
        if flags.keyevent {
            self.publish(format!("__keyevent@{db}__:{name}").as_bytes(), key, manner);
        }
    }

    /// A key is removed because its deadline has passed; `doubtful` if the command that found it may not have looked.
    /// [EXPIRY-1] [NOTIFY-4]
    pub(crate) fn expire(&mut self, db: usize, key: &[u8], doubtful: bool) {
        if self.remove_expired(db, key) {
            self.tell_of_expired(db, key, doubtful);
        }
    }

    /// The part of it that nobody hears of; whether the key had not been removed yet.
    pub(crate) fn remove_expired(&mut self, db: usize, key: &[u8]) -> bool {
        let there = self.keyspace.take_slot(db, key).is_some();
        if there {
            self.touch_expired(db, key);
        }
        there
    }

    /// Tells of the expired keys of a command that come no later in its line than `up_to`, or of all of them. [NOTIFY-4]
    pub(crate) fn tell_in_turn(&mut self, line: &[&[u8]], up_to: Option<&[u8]>) {
        let turn = |key: &[u8]| keys_in_turn(line).position(|other| other == key);
        for (db, key, doubtful) in std::mem::take(&mut self.untold) {
            if up_to.is_none_or(|last| turn(&key) <= turn(last)) {
                self.tell_of_expired(db, &key, doubtful);
            } else {
                self.untold.push((db, key, doubtful));
            }
        }
    }

    fn tell_of_expired(&mut self, db: usize, key: &[u8], doubtful: bool) {
        let manner = Manner { clause: Clause::NOTIFY_4, early: true, optional: doubtful };
        self.notify(db, key, (b'x', "expired"), manner);
    }
}

/// The database, key and event that a notification tells of, if a reply is one.
pub(crate) fn read(reply: &Reply) -> Option<(usize, Bytes, Bytes)> {
    let Reply::Array(parts) = reply else { return None };
    let (channel, message) = match parts.as_slice() {
        [Reply::Bulk(kind), Reply::Bulk(channel), Reply::Bulk(message)] if kind == b"message" => (channel, message),
        [Reply::Bulk(kind), _, Reply::Bulk(channel), Reply::Bulk(message)] if kind == b"pmessage" => (channel, message),
        _ => return None,
    };
    let (is_keyspace, rest) = match (channel.strip_prefix(b"__keyspace@"), channel.strip_prefix(b"__keyevent@")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    let end = rest.windows(3).position(|window| window == b"__:")?;
    let db = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let name = rest[end + 3..].to_vec();
    Some(if is_keyspace { (db, name, message.clone()) } else { (db, message.clone(), name) })
}
