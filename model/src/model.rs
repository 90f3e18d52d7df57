//! The model itself: its state, and what may be asked of it.

use std::collections::BTreeMap;

use crate::clause::Clause;
use crate::client::{Client, ClientId, Peer};
use crate::delivery::Delivery;
use crate::eviction::Eviction;
use crate::hyperloglog::HyperLogLog;
use crate::keyspace::{Entry, Fate, Keyspace, Slot};
use crate::profile::Profile;
use crate::propagation::Propagated;
use crate::reply::Bytes;
use crate::scan::Iterations;
use crate::scan_elements::ElementIterations;
use crate::server::Server;
use crate::span::Span;
use crate::stream::StreamValue;
use crate::value::{Encoding, Kind, Value};

/// The specification, executable.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) profile: Profile,
    pub(crate) keyspace: Keyspace,
    pub(crate) server: Server,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) iterations: Iterations,
    pub(crate) element_iterations: ElementIterations,
    witnessed: Vec<u64>,
    pub(crate) delivery: Delivery,
    pub(crate) eviction: Eviction,
    /// Who waits for a key of a database, in order. [BLOCK-10]
    pub(crate) waiting: BTreeMap<(usize, Bytes), Vec<ClientId>>,
    /// Keys whose waiting clients are served when the command has ended, in order. [BLOCK-9]
    pub(crate) ready: Vec<(usize, Bytes)>,
    /// A waiting client was served in one of two ways, and nothing tells in which: what follows cannot be judged.
    pub(crate) lost_track: bool,
    /// Keys that the command found expired and has not told of yet, each with whether it may not do so.
    pub(crate) untold: Vec<(usize, Bytes, bool)>,
    /// The queued commands of a transaction are executed.
    pub(crate) executing: bool,
    pub(crate) propagated: Propagated,
    pub(crate) records_propagation: bool,
}

/// What the generator of commands may know of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyView<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its value's type.
    pub kind: Kind,
    /// How the value is stored.
    pub encoding: Encoding,
    /// Bytes of a string, elements of anything else.
    pub len: usize,
    /// Whether it has a deadline.
    pub expires: bool,
}

/// One key of the logical data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The database.
    pub db: usize,
    /// The key.
    pub key: &'a [u8],
    /// Its value, or `None` if it may be absent by now.
    pub entry: Option<&'a Entry>,
}

impl Model {
    /// A model of an empty server.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            keyspace: Keyspace::default(),
            server: Server::default(),
            clients: BTreeMap::new(),
            iterations: Iterations::default(),
            element_iterations: ElementIterations::default(),
            witnessed: vec![0; Clause::ALL.len()],
            delivery: Delivery::default(),
            eviction: Eviction::default(),
            waiting: BTreeMap::new(),
            ready: Vec::new(),
            lost_track: false,
            untold: Vec::new(),
            executing: false,
            propagated: Propagated::default(),
            records_propagation: false,
        }
    }

    /// Scripts are propagated as they came from the start, as a configuration file or the command line may have it with
    /// `lua-replicate-commands no`. [EVAL-31]
    pub fn propagate_whole_scripts(&mut self) {
        self.server.replicates_effects = false;
    }

    /// A connection was opened.
    pub fn connect(&mut self, client: ClientId, peer: Peer) {
        self.clients.insert(client, Client::new(peer));
    }

    /// A connection ended.
    pub fn disconnect(&mut self, client: ClientId) {
        self.release(client);
        self.clients.remove(&client);
    }

    /// The keys of a database that are there for sure, with what the generator wants to know of them.
    pub fn keys(&self, db: usize) -> impl Iterator<Item = KeyView<'_>> {
        let keys = self.keyspace.databases.get(&db).into_iter().flat_map(|db| &db.keys);
        keys.filter_map(|(key, slot)| {
            let Slot::Known(entry) = &**slot else { return None };
            Some(KeyView {
                key,
                kind: entry.value.kind(),
                encoding: entry.value.encoding(),
                len: entry.value.len(),
                expires: entry.deadline.is_some(),
            })
        })
    }

    /// What is known of one key, if it is there for sure.
    pub fn key(&self, db: usize, key: &[u8]) -> Option<KeyView<'_>> {
        let (key, slot) = self.keyspace.databases.get(&db)?.keys.get_key_value(key)?;
        let Slot::Known(entry) = &**slot else { return None };
        Some(KeyView {
            key,
            kind: entry.value.kind(),
            encoding: entry.value.encoding(),
            len: entry.value.len(),
            expires: entry.deadline.is_some(),
        })
    }

    /// The type of a key's value, if the key is there for sure.
    pub fn holds(&self, db: usize, key: &[u8]) -> Option<Kind> {
        match self.keyspace.slot(db, key)? {
            Slot::Known(entry) => Some(entry.value.kind()),
            Slot::Open(_) => None,
        }
    }

    /// What a key holds, or, where its state is open, may hold, and its length, for a generator that is content with that.
    pub fn likely(&self, db: usize, key: &[u8]) -> Option<(Kind, usize)> {
        self.likely_entry(db, key).map(|entry| (entry.value.kind(), entry.value.len()))
    }

    /// As [`Model::likely`], but only the type: a stream's length has to be counted.
    pub fn likely_kind(&self, db: usize, key: &[u8]) -> Option<Kind> {
        self.likely_entry(db, key).map(|entry| entry.value.kind())
    }

    fn likely_entry(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        match self.keyspace.slot(db, key)? {
            Slot::Known(entry) => Some(entry),
            Slot::Open(states) => states.iter().flatten().next().filter(|_| self.evicts()),
        }
    }

    /// The keys with more than this number of states that they may be in.
    pub fn with_many_states(&self, number: usize) -> impl Iterator<Item = (usize, &[u8])> {
        self.keyspace.databases.iter().flat_map(move |(&db, keys)| {
            let many = move |slot: &Slot| matches!(slot, Slot::Open(states) if states.len() > number);
            keys.keys.iter().filter(move |(_, slot)| many(slot)).map(move |(key, _)| (db, key.as_slice()))
        })
    }

    /// The stream at a key, if there is one or may be: its ids, groups and consumers are what a generator draws from.
    pub fn stream(&self, db: usize, key: &[u8]) -> Option<&StreamValue> {
        match &self.likely_entry(db, key)?.value {
            Value::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// Is the key a skiplist of members with different scores? There ranges of members depend on the random levels of a
    /// real server's skiplist (E-44).
    pub fn has_chancy_ranges(&self, db: usize, key: &[u8]) -> bool {
        match self.keyspace.slot(db, key) {
            Some(Slot::Known(Entry { value: Value::Zset(zset), .. })) => {
                let (first, last) = (zset.order.first(), zset.order.last());
                zset.encoding == Encoding::Skiplist && first.map(|(score, _)| score) != last.map(|(score, _)| score)
            }
            Some(Slot::Open(_)) => true,
            _ => false,
        }
    }

    /// Does the key hold a HyperLogLog whose runs are damaged? A real server may take it for whole, and what it makes of it
    /// then nobody can know (E-71).
    pub fn has_damaged_hyperloglog(&self, db: usize, key: &[u8]) -> bool {
        match self.keyspace.slot(db, key) {
            Some(Slot::Known(Entry { value: Value::String(string), .. })) => {
                HyperLogLog::of(&string.bytes).is_some_and(|found| found.registers().is_err())
            }
            Some(Slot::Open(_)) => true,
            _ => false,
        }
    }

    /// The database a client works in.
    pub fn selected_db(&self, client: ClientId) -> usize {
        self.clients.get(&client).map_or(0, |client| client.db)
    }

    /// The logical data set, in order of database and key. A key whose fate is open or whose deadline may have passed in the
    /// span has no entry; one that is surely gone is left out.
    pub fn dataset(&self, span: Span) -> impl Iterator<Item = Record<'_>> {
        self.keyspace.databases.iter().flat_map(move |(&number, db)| {
            db.keys.iter().filter_map(move |(key, slot)| {
                let entry = match (&**slot, slot.fate(span)) {
                    (_, Fate::Gone) => return None,
                    (Slot::Known(entry), Fate::Alive) => Some(entry),
                    _ => None,
                };
                Some(Record { db: number, key, entry })
            })
        })
    }

    /// A key whose state is open: an EXISTS on it (in its database) settles most of what can be open.
    pub fn unsettled(&self) -> Option<(usize, &[u8])> {
        self.keyspace.databases.iter().find_map(|(&number, db)| {
            let open = db.keys.iter().find(|(_, slot)| matches!(***slot, Slot::Open(_)));
            open.map(|(key, _)| (number, key.as_slice()))
        })
    }

    /// From now on steps note what they propagate (off at first, because it costs a copy of each write).
    pub fn record_propagation(&mut self, on: bool) {
        self.records_propagation = on;
    }

    /// What the last step propagated, if that is recorded.
    pub fn take_propagated(&mut self) -> Propagated {
        std::mem::take(&mut self.propagated)
    }

    /// Whether a client is subscribed to a channel or a pattern. [SUBSCRIBE-2]
    pub fn is_subscribed(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(Client::is_subscribed)
    }

    /// Whether a client is between MULTI and EXEC. [MULTI-1]
    pub fn in_transaction(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.transaction.is_some())
    }

    /// Whether a client is in MONITOR. [MONITOR-1]
    pub fn is_monitor(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.monitors)
    }

    /// One piece more of what the step hands on.
    pub(crate) fn hand_on(&mut self, piece: Propagated) {
        if !self.records_propagation {
            return;
        }
        if self.propagated.is_empty() {
            self.propagated = piece;
        } else {
            self.propagated.further.push(piece);
        }
    }

    /// How often accepted steps relied on each clause.
    pub fn witnessed(&self) -> impl Iterator<Item = (Clause, u64)> {
        Clause::ALL.iter().copied().zip(self.witnessed.iter().copied())
    }

    pub(crate) fn witness(&mut self, clause: Clause) {
        if let Some(count) = self.witnessed.get_mut(clause as usize) {
            *count += 1;
        }
    }
}
