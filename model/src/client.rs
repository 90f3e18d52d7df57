//! What the server knows of a connection.

use std::collections::BTreeSet;

use crate::keyspace::{Deadline, Fate};
use crate::list::End;
use crate::reply::Bytes;
use crate::stream::Reading;

/// A connection's number in the run; the model does not demand that CLIENT ID answers it. Later connections have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `ip:port` as CLIENT LIST shows it, where known.
    pub address: Option<Bytes>,
    /// Came over loopback or a Unix socket.
    pub local: bool,
    /// The id that CLIENT ID answers, where it is known from elsewhere.
    pub id: Option<i64>,
}

/// Whether a connection gets its replies. [CLIENT-19] [CLIENT-20]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// It does.
    #[default]
    On,
    /// It does not.
    Off,
    /// Not the next one.
    SkipNext,
}

/// Whether another connection's CLIENT KILL closed this one. [CLIENT-12]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Killed {
    /// It did not.
    #[default]
    No,
    /// It may have: its id or address was not known.
    Perhaps,
    /// It did.
    Surely,
}

/// One connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Who it is.
    pub peer: Peer,
    /// The database it works in.
    pub db: usize,
    /// Its id, once an answer told it. [CLIENT-2]
    pub id: Option<i64>,
    /// Its name, empty for none. [CLIENT-3]
    pub name: Bytes,
    /// Whether it has given the password. [AUTH-2]
    pub authenticated: bool,
    /// Whether it gets its replies.
    pub replies: Replies,
    /// Whether it was closed from elsewhere.
    pub killed: Killed,
    /// What it waits for, if it is blocked. [BLOCK-4]
    pub blocked: Option<Blocked>,
    /// The commands it has queued, while it is in a transaction. [MULTI-1]
    pub transaction: Option<Transaction>,
    /// The keys it watches. [WATCH-1]
    pub watched: Vec<Watched>,
    /// Whether one of these was touched.
    pub touched: Touched,
    /// The channels it is subscribed to. [SUBSCRIBE-1]
    pub channels: BTreeSet<Bytes>,
    /// The patterns it is subscribed to, in the order in which it subscribed. [PSUBSCRIBE-1]
    pub patterns: Vec<Bytes>,
    /// Whether it is in MONITOR. [MONITOR-1]
    pub monitors: bool,
    /// The name of its last command in lower case. [CLIENT-7]
    pub last_command: Option<&'static str>,
}

/// A transaction between MULTI and EXEC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The queued commands.
    pub queue: Vec<Vec<Bytes>>,
    /// A command could not be queued. [MULTI-3]
    pub spoiled: bool,
}

/// A watched key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The database that the client worked in at WATCH. [WATCH-11]
    pub db: usize,
    /// The key.
    pub key: Bytes,
    /// Whether it was there at WATCH. [WATCH-8]
    pub presence: Fate,
}

/// Whether a watched key was touched. The later variant wins over the earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// It was not.
    #[default]
    No,
    /// It was not, but real servers take it for touched (E-90).
    Spuriously,
    /// Nobody knows.
    Perhaps,
    /// It was, but real servers overlook it (E-90).
    Overlooked,
    /// It was.
    Surely,
}

/// A blocked client's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// What it waits for.
    pub wait: Wait,
    /// When its timeout passes; `None` for never.
    pub deadline: Option<Deadline>,
}

/// What a blocked client waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// BLPOP and BRPOP: an element of one of these lists.
    List {
        /// The end that it takes from.
        end: End,
        /// The lists.
        keys: Vec<Bytes>,
    },
    /// BRPOPLPUSH.
    Movement {
        /// The list it takes from.
        from: Bytes,
        /// The list it puts to.
        to: Bytes,
    },
    /// BZPOPMIN and BZPOPMAX: a member of one of these sorted sets.
    Zset {
        /// The highest member rather than the lowest.
        highest: bool,
        /// The sorted sets.
        keys: Vec<Bytes>,
    },
    /// XREAD and XREADGROUP: entries of streams.
    Stream(Reading),
    /// WAIT: replicas that do not exist.
    Replicas,
}

/// A change of a connection's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientChange {
    /// It is named, or its name taken away.
    Name(Bytes),
    /// It gave the password, or a wrong one.
    Authenticated(bool),
    /// It gets replies from now on, or not.
    Replies(Replies),
    /// It begins a transaction. [MULTI-1]
    Begin,
    /// It queues a command. [MULTI-1]
    Enqueue(Vec<Bytes>),
    /// Its transaction, if it is in one, can only fail. [MULTI-3]
    Spoil,
    /// Its transaction ends, and its watching with it. [EXEC-6] [DISCARD-1]
    End,
    /// It watches these keys too. [WATCH-1]
    Watch(Vec<Watched>),
    /// It watches nothing any more. [UNWATCH-1]
    Unwatch,
    /// It subscribes to a channel. [SUBSCRIBE-1]
    Subscribe(Bytes),
    /// It subscribes to a pattern. [PSUBSCRIBE-1]
    SubscribeToPattern(Bytes),
    /// Its subscription to a channel ends. [UNSUBSCRIBE-1]
    Unsubscribe(Bytes),
    /// Its subscription to a pattern ends. [PUNSUBSCRIBE-1]
    UnsubscribeFromPattern(Bytes),
    /// It is in MONITOR from now on. [MONITOR-1]
    Monitor,
}

impl Client {
    /// A new connection.
    pub fn new(peer: Peer) -> Self {
        Self { id: peer.id, peer, ..Self::default() }
    }

    /// Whether it is subscribed to a channel or a pattern.
    pub fn is_subscribed(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    /// Makes a change of its own state.
    pub(crate) fn apply(&mut self, change: ClientChange) {
        match change {
            ClientChange::Name(name) => self.name = name,
            ClientChange::Authenticated(authenticated) => self.authenticated = authenticated,
            ClientChange::Replies(replies) => self.replies = replies,
            ClientChange::Begin => self.transaction = Some(Transaction::default()),
            ClientChange::Enqueue(line) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.queue.push(line);
                }
            }
            ClientChange::Spoil => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.spoiled = true;
                }
            }
            ClientChange::End => {
                self.transaction = None;
                self.unwatch();
            }
            ClientChange::Watch(keys) => {
                for watched in keys {
                    let known = |other: &Watched| other.db == watched.db && other.key == watched.key;
                    if !self.watched.iter().any(known) {
                        self.watched.push(watched);
                    }
                }
            }
            ClientChange::Unwatch => self.unwatch(),
            ClientChange::Subscribe(channel) => {
                self.channels.insert(channel);
            }
            ClientChange::SubscribeToPattern(pattern) => {
                if !self.patterns.contains(&pattern) {
                    self.patterns.push(pattern);
                }
            }
            ClientChange::Unsubscribe(channel) => {
                self.channels.remove(&channel);
            }
            ClientChange::UnsubscribeFromPattern(pattern) => self.patterns.retain(|other| *other != pattern),
            ClientChange::Monitor => self.monitors = true,
        }
    }

    fn unwatch(&mut self) {
        self.watched.clear();
        self.touched = Touched::No;
    }

    /// Gives back all that it holds.
    pub(crate) fn release(&mut self) {
        self.transaction = None;
        self.unwatch();
        self.channels.clear();
        self.patterns.clear();
        self.monitors = false;
        self.blocked = None;
    }
}
