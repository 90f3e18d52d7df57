//! Connections: what the engine keeps for each, and the table of them.
//!
//! Ids rise from 1 and are never used again; slots of the table are. While a client's input is handled, its value is
//! taken out of the table, so that a command can change the rest of the server and its own connection at once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::blocking::Blocked;
use crate::commands::Command;
use crate::config::value::ClientClass;
use crate::event::{ClientId, Peer};
use crate::pubsub::Subscriptions;
use crate::resp::reply::Mark;
use crate::resp::{Output, Reply, RequestParser};
use crate::transaction::Transaction;

/// What CLIENT REPLY asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyMode {
    /// Every command is answered.
    On,
    /// No command is answered.
    Off,
    /// The command after this one is not answered.
    SkipNext,
    /// This command is not answered.
    Skip,
}

/// The event for which a client's command waits; its further input waits too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// SAVE: the end of the snapshot.
    Save,
    /// SHUTDOWN with a snapshot: its end.
    Shutdown,
    /// DEBUG RELOAD: the end of the snapshot, then of the load.
    Reload {
        /// The snapshot is still to end.
        saving: bool,
    },
    /// DEBUG LOADAOF: the end of the load.
    LoadAof,
    /// CONFIG REWRITE: the end of the rewrite.
    ConfigRewrite,
    /// BGSAVE: the fork.
    ForkToSave,
    /// BGREWRITEAOF: the fork.
    ForkToRewrite,
    /// BLPOP and its like, XREAD with BLOCK, WAIT: what [`Client::blocked`] says.
    Blocked,
}

impl Waiting {
    /// Whether it is the fork of a child.
    pub(crate) fn for_fork(self) -> bool {
        matches!(self, Waiting::ForkToSave | Waiting::ForkToRewrite)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) peer: Peer,
    /// CLIENT SETNAME; empty when there is none.
    pub(crate) name: Vec<u8>,
    /// The selected database.
    pub(crate) db: usize,
    pub(crate) authenticated: bool,
    /// Unix milliseconds.
    pub(crate) created_ms: i64,
    /// Unix milliseconds of the last input or output.
    pub(crate) last_interaction_ms: i64,
    /// The command that ran last.
    pub(crate) last_command: Option<&'static Command>,
    pub(crate) reply_mode: ReplyMode,
    /// Nothing more is read; the connection ends when the output that waits has been sent.
    pub(crate) closing: bool,
    /// Refused when it connected: not listed, not counted.
    pub(crate) refused: bool,
    pub(crate) waiting: Option<Waiting>,
    /// What waits is not to be answered.
    pub(crate) unanswered: bool,
    pub(crate) output: Output,
    /// Out of here while the client's requests run, because their arguments lie in it; see [`Client::input`].
    pub(crate) parser: Option<Box<RequestParser>>,
    /// Stands in the list of clients whose output is announced at the end of the batch.
    pub(crate) announced: bool,
    /// Stands in the list of clients whose input waits for the end of a pause.
    pub(crate) paused: bool,
    /// Bytes of input held when the batch of requests that is running began, and the room beside them; the parser
    /// itself is out of reach while a command runs.
    pub(crate) input_held: usize,
    pub(crate) input_room: usize,
    /// Since MULTI.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// Channels and patterns; while there are some, only few commands may run.
    pub(crate) subscriptions: Option<Box<Subscriptions>>,
    /// What it waits for, with [`Waiting::Blocked`].
    pub(crate) blocked: Option<Box<Blocked>>,
    /// Its wait is over, and the input that came meanwhile has not run yet.
    pub(crate) unblocked: bool,
    /// A script of its runs a command.
    pub(crate) in_script: bool,
    /// What it is sent while a command of its script runs, whose reply is the script's.
    pub(crate) beside_script: Output,
    /// It is shown every command.
    pub(crate) monitor: bool,
    /// Too much output waits for it: it gets no more, and is closed when the command that runs is over.
    pub(crate) doomed: bool,
    /// Unix milliseconds since when the output is over its class's soft limit.
    pub(crate) over_soft_limit_since: Option<i64>,
    slot: usize,
}

impl Client {
    pub(crate) fn new(id: ClientId, peer: Peer, now_ms: i64) -> Client {
        Client {
            id,
            peer,
            name: Vec::new(),
            db: 0,
            authenticated: false,
            created_ms: now_ms,
            last_interaction_ms: now_ms,
            last_command: None,
            reply_mode: ReplyMode::On,
            closing: false,
            refused: false,
            waiting: None,
            unanswered: false,
            output: Output::default(),
            parser: Some(Box::default()),
            announced: false,
            paused: false,
            input_held: 0,
            input_room: 0,
            transaction: None,
            subscriptions: None,
            blocked: None,
            unblocked: false,
            in_script: false,
            beside_script: Output::default(),
            monitor: false,
            doomed: false,
            over_soft_limit_since: None,
            slot: 0,
        }
    }

    /// Bytes that the connection takes, about.
    pub(crate) fn memory(&self) -> usize {
        let transaction = self.transaction.as_ref().map_or(0, |transaction| transaction.memory());
        let blocked = self.blocked.as_ref().map_or(0, |blocked| blocked.memory());
        let buffers = self.output.allocated() + self.output.growing() + self.input().allocated();
        size_of::<Self>() + buffers + transaction + blocked
    }

    /// What decides how much output may wait for it.
    #[inline]
    pub(crate) fn class(&self) -> ClientClass {
        if self.subscriptions.is_some() { ClientClass::Pubsub } else { ClientClass::Normal }
    }

    /// The input that is kept; nothing, while the client's requests run.
    pub(crate) fn input(&self) -> &RequestParser {
        static NOTHING: RequestParser = RequestParser::new();
        self.parser.as_deref().unwrap_or(&NOTHING)
    }

    /// The writer of this connection's replies.
    #[inline]
    pub(crate) fn reply(&mut self) -> Reply<'_> {
        self.output.reply()
    }

    /// Writes the reply of a command that waited, unless the client asked for silence when it sent it.
    pub(crate) fn answer(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        if !self.unanswered {
            write(&mut self.output.reply());
        }
    }

    /// Drops the replies written since `mark` when the client asked for silence.
    pub(crate) fn silence(&mut self, mark: Mark) {
        match self.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off => self.output.truncate(mark),
            ReplyMode::Skip => {
                self.output.truncate(mark);
                self.reply_mode = ReplyMode::On;
            }
            ReplyMode::SkipNext => {
                self.output.truncate(mark);
                self.reply_mode = ReplyMode::Skip;
            }
        }
    }
}

/// Hashes client ids: they are consecutive, so spreading them is all there is to do.
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(20);
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct ClientTable {
    slots: Vec<Option<Box<Client>>>,
    free: Vec<usize>,
    by_id: HashMap<u64, usize, BuildHasherDefault<IdHasher>>,
    last_id: u64,
    /// Connections that were refused and are not gone yet.
    refused: usize,
    /// The slot at which the next turn of the cron begins.
    turn: usize,
}

impl ClientTable {
    /// How many connections there are, those not counted that were refused.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len() - self.refused
    }

    /// How many connections there are, refused ones too.
    pub(crate) fn all(&self) -> usize {
        self.by_id.len()
    }

    /// Places of clients, taken or not.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The id that the next connection gets.
    pub(crate) fn next_id(&mut self) -> ClientId {
        self.last_id += 1;
        ClientId(self.last_id)
    }

    /// Adds a connection.
    pub(crate) fn insert(&mut self, mut client: Box<Client>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        client.slot = slot;
        self.refused += usize::from(client.refused);
        self.by_id.insert(client.id.0, slot);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(client);
        }
    }

    #[inline]
    fn place(&mut self, id: ClientId) -> Option<&mut Option<Box<Client>>> {
        let slot = *self.by_id.get(&id.0)?;
        self.slots.get_mut(slot)
    }

    /// Takes a client out, to be put back with [`ClientTable::put`].
    #[inline]
    pub(crate) fn take(&mut self, id: ClientId) -> Option<Box<Client>> {
        self.place(id)?.take()
    }

    /// Puts a client back that was taken out.
    #[inline]
    pub(crate) fn put(&mut self, client: Box<Client>) {
        if let Some(place) = self.slots.get_mut(client.slot) {
            *place = Some(client);
        }
    }

    /// Forgets a client that is in the table or was taken out.
    pub(crate) fn remove(&mut self, id: ClientId) -> Option<Box<Client>> {
        let slot = self.by_id.remove(&id.0)?;
        let client = self.slots.get_mut(slot)?.take();
        self.free.push(slot);
        if client.as_ref().is_some_and(|client| client.refused) {
            self.refused -= 1;
        }
        client
    }

    /// A client that is in the table (not taken out).
    #[inline]
    pub(crate) fn get(&self, id: ClientId) -> Option<&Client> {
        self.slots.get(*self.by_id.get(&id.0)?)?.as_deref()
    }

    /// A client that is in the table (not taken out).
    #[inline]
    pub(crate) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.place(id)?.as_deref_mut()
    }

    /// All clients in the table, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    /// The next `count` clients, in turn: called again and again, it comes to each as often as to any other.
    pub(crate) fn next_in_turn(&mut self, count: usize) -> impl Iterator<Item = &mut Client> {
        let begin = self.turn.min(self.slots.len());
        self.turn = if begin + count >= self.slots.len() { 0 } else { begin + count };
        self.slots.iter_mut().skip(begin).take(count).filter_map(Option::as_deref_mut)
    }
}
