//! Clients that wait for keys: who waits for what, which keys became ready, and who is served first.
//!
//! ```text
//!   BLPOP …  ─► block ─► waiting: database ─► key ─► kind ─► ticket ─► client
//!   a key appears ─► signal ─► ready ─► (when the command is over) serve ─► unblocked ─► (end of the batch) its input
//! ```
//!
//! Nobody is served while a command or a transaction runs: when it is over, each key that appeared meanwhile is looked
//! at, in the order in which they did, and those who wait for a value of its type are served in the order in which they
//! came. A client waits once per key, however often it names it. Lists and sorted sets are consumed by those who are
//! served, until nothing is left; a stream is looked at for each of its readers.
//!
//! Invariants: the keys of a client's [`Blocked`] are those under which its ticket stands; a deadline stands in
//! `deadlines` exactly for the clients that have one; a key stands in `ready` at most once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::client::{Client, ClientTable, Waiting};
use crate::commands::stream_read::{Served, WaitingReader};
use crate::event::ClientId;
use crate::faults::{self, Fault};
use crate::number::I64_TEXT_MAX;
use crate::object::{ObjectRef, Type};
use crate::propagation::Targets;
use crate::resp::{OwnedArgs, Reply};
use crate::state::Server;
use crate::structures::quicklist::End;
use crate::values::{Collection, List};

/// What a client waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// An element of a list.
    Element(End),
    /// The last element of a list, to be put in front of another.
    Moved {
        /// The other list.
        destination: Vec<u8>,
    },
    /// The member of a sorted set with the least or the greatest score.
    Member(Extreme),
    /// Entries of a stream.
    Entries(Box<WaitingReader>),
    /// That replicas have caught up. There are none, so only time ends it.
    Replicas,
}

/// An end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extreme {
    /// The least score.
    Least,
    /// The greatest score.
    Greatest,
}

impl Extreme {
    /// The command that pops there, and its event.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Extreme::Least => "zpopmin",
            Extreme::Greatest => "zpopmax",
        }
    }
}

/// The kinds of values that clients wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    Zset,
    Stream,
}

impl Wanted {
    fn kind(&self) -> Kind {
        match self {
            Wanted::Element(_) | Wanted::Moved { .. } | Wanted::Replicas => Kind::List,
            Wanted::Member(_) => Kind::Zset,
            Wanted::Entries(_) => Kind::Stream,
        }
    }

    /// Bytes that it takes beside itself, about.
    fn memory(&self) -> usize {
        match self {
            Wanted::Moved { destination } => destination.capacity(),
            Wanted::Entries(reader) => reader.memory(),
            Wanted::Element(_) | Wanted::Member(_) | Wanted::Replicas => 0,
        }
    }

    /// The answer when it did not come in time.
    pub(crate) fn answer_too_late(&self, reply: &mut Reply<'_>) {
        match self {
            Wanted::Replicas => reply.integer(0),
            // Redis answers the absent array to BRPOPLPUSH too.
            _ => reply.nil_array(),
        }
    }
}

/// A client's wait.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) wanted: Wanted,
    db: usize,
    keys: Vec<Vec<u8>>,
    /// Unix milliseconds; `None` for ever.
    deadline_ms: Option<i64>,
    ticket: u64,
}

impl Blocked {
    /// Bytes that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.wanted.memory()
            + self.keys.iter().map(|key| key.capacity() + size_of::<Vec<u8>>()).sum::<usize>()
    }
}

/// Who waits for one key, first come first, by what they wait for.
#[derive(Debug, Default)]
struct Queue {
    lists: BTreeMap<u64, ClientId>,
    zsets: BTreeMap<u64, ClientId>,
    streams: BTreeMap<u64, ClientId>,
    /// It stands in the list of keys that are ready.
    ready: bool,
}

impl Queue {
    fn of(&mut self, kind: Kind) -> &mut BTreeMap<u64, ClientId> {
        match kind {
            Kind::List => &mut self.lists,
            Kind::Zset => &mut self.zsets,
            Kind::Stream => &mut self.streams,
        }
    }

    fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.zsets.is_empty() && self.streams.is_empty()
    }
}

/// All who wait.
#[derive(Debug, Default)]
pub(crate) struct Blocking {
    waiting: BTreeMap<usize, BTreeMap<Vec<u8>, Queue>>,
    deadlines: BTreeSet<(i64, ClientId)>,
    /// Keys that appeared since clients were last served, oldest first.
    ready: Vec<(usize, Vec<u8>)>,
    /// Clients whose further input may run.
    unblocked: Vec<ClientId>,
    /// Clients that wait.
    clients: usize,
    /// Those of them that wait for entries.
    readers: usize,
    next_ticket: u64,
}

impl Blocking {
    /// How many clients wait.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// How many keys are waited for.
    pub(crate) fn keys(&self) -> usize {
        self.waiting.values().map(BTreeMap::len).sum()
    }

    /// Keys that are ready and have not been looked at.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether a key appeared for which somebody waits.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The key holds a new value. Its turn is decided by that, even where nobody waits for a value of its kind. [BLOCK-8]
    fn signal(&mut self, db: usize, key: &[u8]) {
        let Some(queue) = self.waiting.get_mut(&db).and_then(|keys| keys.get_mut(key)) else { return };
        if !queue.ready {
            queue.ready = true;
            self.ready.push((db, key.to_vec()));
        }
    }

    /// The client waits from now on, see [`Waiting::Blocked`].
    pub(crate) fn block<'k>(
        &mut self,
        client: &mut Client,
        wanted: Wanted,
        keys: impl Iterator<Item = &'k [u8]>,
        deadline_ms: Option<i64>,
    ) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.clients += 1;
        let (db, kind) = (client.db, wanted.kind());
        self.readers += usize::from(kind == Kind::Stream);
        let mut own: Vec<Vec<u8>> = Vec::new();
        for key in keys {
            let queues = self.waiting.entry(db).or_default();
            if queues.entry(key.to_vec()).or_default().of(kind).insert(ticket, client.id).is_none() {
                own.push(key.to_vec());
            }
        }
        if let Some(deadline_ms) = deadline_ms {
            self.deadlines.insert((deadline_ms, client.id));
        }
        client.waiting = Some(Waiting::Blocked);
        client.blocked = Some(Box::new(Blocked { wanted, db, keys: own, deadline_ms, ticket }));
    }

    /// The client waits no more; answers what it waited for. Its further input is not run here.
    pub(crate) fn unblock(&mut self, client: &mut Client) -> Option<Box<Blocked>> {
        let blocked = client.blocked.take()?;
        client.waiting = None;
        self.clients -= 1;
        if let Some(deadline_ms) = blocked.deadline_ms {
            self.deadlines.remove(&(deadline_ms, client.id));
        }
        let kind = blocked.wanted.kind();
        self.readers -= usize::from(kind == Kind::Stream);
        if let Some(queues) = self.waiting.get_mut(&blocked.db) {
            for key in &blocked.keys {
                if let Some(queue) = queues.get_mut(key) {
                    queue.of(kind).remove(&blocked.ticket);
                    if queue.is_empty() {
                        queues.remove(key);
                    }
                }
            }
            if queues.is_empty() {
                self.waiting.remove(&blocked.db);
            }
        }
        Some(blocked)
    }

    /// Clients that may go on, once.
    pub(crate) fn take_unblocked(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.unblocked)
    }

    /// The client that waits longest for a value of this kind at the key.
    fn first(&mut self, db: usize, key: &[u8], kind: Kind) -> Option<ClientId> {
        let queue = self.waiting.get_mut(&db)?.get_mut(key)?.of(kind);
        let one =
            if faults::is(Fault::BlockedServedLastFirst) { queue.last_key_value() } else { queue.first_key_value() };
        one.map(|(_, client)| *client)
    }

    /// The reader of the stream at the key whose turn comes after `ticket`, or the first, with its own ticket.
    fn next_reader(&mut self, db: usize, key: &[u8], ticket: Option<u64>) -> Option<(u64, ClientId)> {
        let queue = &self.waiting.get(&db)?.get(key)?.streams;
        let next = match (ticket, faults::is(Fault::BlockedServedLastFirst)) {
            (None, false) => queue.first_key_value(),
            (None, true) => queue.last_key_value(),
            (Some(ticket), false) => queue.range((Bound::Excluded(ticket), Bound::Unbounded)).next(),
            (Some(ticket), true) => queue.range(..ticket).next_back(),
        };
        next.map(|(ticket, client)| (*ticket, *client))
    }

    /// Checks the invariants.
    ///
    /// # Panics
    /// When one does not hold.
    pub(crate) fn validate(&self, clients: &ClientTable) {
        let mut tickets = 0;
        for queues in self.waiting.values() {
            assert!(!queues.is_empty(), "a database for whose keys nobody waits is not kept");
            for queue in queues.values() {
                assert!(!queue.is_empty(), "a key for which nobody waits is not kept");
                tickets += queue.lists.len() + queue.zsets.len() + queue.streams.len();
            }
        }
        let blocked: Vec<&Client> = clients.iter().filter(|client| client.blocked.is_some()).collect();
        assert_eq!(blocked.len(), self.clients);
        let own = || blocked.iter().filter_map(|client| client.blocked.as_deref());
        assert_eq!(own().map(|blocked| blocked.keys.len()).sum::<usize>(), tickets);
        assert_eq!(own().filter(|blocked| blocked.wanted.kind() == Kind::Stream).count(), self.readers);
        assert_eq!(own().filter(|blocked| blocked.deadline_ms.is_some()).count(), self.deadlines.len());
        assert!(blocked.iter().all(|client| client.waiting == Some(Waiting::Blocked)));
    }
}

impl Server {
    /// A key has a new value: whoever waits for one of its type is served when the command is over. Those who wait for
    /// entries are not: only what is added to a stream is news of it, see [`Server::stream_is_ready`].
    #[inline]
    pub(crate) fn key_is_ready(&mut self, db: usize, key: &[u8]) {
        if !self.blocking.waiting.is_empty() && !self.loading {
            match self.awaited_kind(db, key) {
                None | Some(Kind::Stream) => {}
                Some(Kind::List | Kind::Zset) => self.blocking.signal(db, key),
            }
        }
    }

    /// An entry was added to a stream: its readers are served when the command is over.
    #[inline]
    pub(crate) fn stream_is_ready(&mut self, db: usize, key: &[u8]) {
        if self.blocking.readers > 0 && !self.loading {
            self.blocking.signal(db, key);
        }
    }

    /// What clients may wait for in the value at a key.
    #[cold]
    fn awaited_kind(&self, db: usize, key: &[u8]) -> Option<Kind> {
        match ObjectRef::new(self.keyspace.db(db).keys.peek(key)?).kind() {
            Type::List => Some(Kind::List),
            Type::Zset => Some(Kind::Zset),
            Type::Stream => Some(Kind::Stream),
            Type::String | Type::Set | Type::Hash => None,
        }
    }

    /// The keys of a database are others than before, its streams among them. [BLOCK-15]
    pub(crate) fn keys_are_ready(&mut self, db: usize) {
        let Some(queues) = self.blocking.waiting.get(&db) else { return };
        let keys: Vec<Vec<u8>> = queues.keys().cloned().collect();
        for key in keys {
            if self.awaited_kind(db, &key).is_some() {
                self.blocking.signal(db, &key);
            }
        }
    }

    /// Serves clients for whose keys there is something now, until nobody is left who can be served. `current` is the
    /// client whose command made the keys ready, if it was one.
    pub(crate) fn serve_blocked(&mut self, mut current: Option<&mut Client>) {
        while self.blocking.has_ready() {
            for (db, key) in std::mem::take(&mut self.blocking.ready) {
                if let Some(queue) = self.blocking.waiting.get_mut(&db).and_then(|queues| queues.get_mut(&key)) {
                    queue.ready = false;
                }
                self.serve_list(current.as_deref_mut(), db, &key);
                self.serve_zset(current.as_deref_mut(), db, &key);
                self.serve_stream(db, &key);
                self.hand_on_expired(current.as_deref_mut());
            }
        }
    }

    /// Ends a client's wait with an answer; its further input runs at the end of the batch.
    pub(crate) fn answer_blocked(&mut self, id: ClientId, write: impl FnOnce(&Wanted, &mut Reply<'_>)) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(blocked) = self.blocking.unblock(client) else { return };
        client.answer(|reply| write(&blocked.wanted, reply));
        client.unblocked = true;
        self.blocking.unblocked.push(id);
        if !client.announced {
            client.announced = true;
            self.announce.push(id);
        }
    }

    /// Ends the waits whose time is over.
    pub(crate) fn time_out_blocked(&mut self) {
        let now_ms = self.clock.unix_ms();
        while let Some((deadline_ms, id)) = self.blocking.deadlines.first().copied() {
            let over =
                if faults::is(Fault::BlockedTimesOutLate) { deadline_ms.saturating_add(1000) } else { deadline_ms };
            if over >= now_ms {
                return;
            }
            self.answer_blocked(id, Wanted::answer_too_late);
        }
    }

    /// What the first client in a key's queue wants.
    fn first_waiting(&mut self, db: usize, key: &[u8], kind: Kind) -> Option<(ClientId, Wanted)> {
        let id = self.blocking.first(db, key, kind)?;
        let wanted = self.clients.get(id)?.blocked.as_ref()?.wanted.clone();
        Some((id, wanted))
    }

    fn serve_list(&mut self, mut current: Option<&mut Client>, db: usize, key: &[u8]) {
        while let Some((id, wanted)) = self.first_waiting(db, key, Kind::List) {
            let end = match wanted {
                Wanted::Element(end) => end,
                _ => End::Back,
            };
            let now_ms = self.clock.unix_ms();
            let Some(element) = self.find(db, key, now_ms).and_then(|object| {
                let list = object.into_view().list().ok()?;
                list.peek(end).map(|element| element.text(&mut [0; I64_TEXT_MAX]).to_vec())
            }) else {
                break;
            };
            match wanted {
                Wanted::Moved { destination } => {
                    if !self.move_element(current.as_deref_mut(), db, key, &destination, &element) {
                        self.answer_blocked(id, |_, reply| reply.error(crate::commands::Refusal::WRONG_TYPE.text()));
                        continue;
                    }
                    self.answer_blocked(id, |_, reply| reply.bulk(&element));
                }
                _ => {
                    let (name, event) = match end {
                        End::Front => (&b"LPOP"[..], "lpop"),
                        End::Back => (&b"RPOP"[..], "rpop"),
                    };
                    self.drop_element(db, key, end);
                    self.hand_on(Targets::ALL, db, [name, key].into_iter());
                    self.changed(current.as_deref_mut(), db, key, event);
                    self.answer_blocked(id, |_, reply| {
                        reply.array(2);
                        reply.bulk(key);
                        reply.bulk(&element);
                    });
                }
            }
            if self.remove_if_empty(db, key) {
                if !faults::is(Fault::NotifyServedListVanishes) {
                    self.changed(current.as_deref_mut(), db, key, "del");
                }
                break;
            }
        }
    }

    /// Takes the element at an end out of a list; a list without elements stays for the moment.
    fn drop_element(&mut self, db: usize, key: &[u8], end: End) {
        let now_ms = self.clock.unix_ms();
        if let Some(mut object) = self.find(db, key, now_ms)
            && let Ok(mut list) = object.list()
        {
            list.drop_end(end);
        }
    }

    /// Removes a list that has no elements left; false when it has some.
    fn remove_if_empty(&mut self, db: usize, key: &[u8]) -> bool {
        let now_ms = self.clock.unix_ms();
        let Some(object) = self.find(db, key, now_ms) else { return true };
        let empty = object.view().list().is_ok_and(List::is_empty);
        if empty {
            object.remove();
        }
        empty
    }

    /// Puts the last element of a list, which is `element`, in front of another list; false when that is none.
    fn move_element(
        &mut self,
        mut current: Option<&mut Client>,
        db: usize,
        source: &[u8],
        destination: &[u8],
        element: &[u8],
    ) -> bool {
        let now_ms = self.clock.unix_ms();
        let there = match self.find(db, destination, now_ms) {
            Some(object) if object.view().list().is_err() => return false,
            Some(_) => true,
            None => false,
        };
        // The removal of a destination that is over comes before what is stored there.
        if !faults::is(Fault::PropagationExpiryComesLate) {
            self.hand_on_expired(current.as_deref_mut());
        }
        self.drop_element(db, source, End::Back);
        if there {
            if let Some(mut object) = self.find(db, destination, now_ms)
                && let Ok(mut list) = object.list()
            {
                list.push(End::Front, element);
            }
        } else {
            let mut list = List::new(self.config.list_options());
            list.push(End::Front, element);
            self.add_collection(db, destination, Collection::List(list), now_ms);
        }
        self.hand_on(Targets::ALL, db, [&b"RPOP"[..], source].into_iter());
        if !faults::is(Fault::BlockedPushIsNotPropagated) {
            self.hand_on(Targets::ALL, db, [&b"LPUSH"[..], destination, element].into_iter());
        }
        self.changed(current.as_deref_mut(), db, destination, "lpush");
        self.changed(current, db, source, "rpop");
        true
    }

    fn serve_zset(&mut self, mut current: Option<&mut Client>, db: usize, key: &[u8]) {
        while let Some((id, wanted)) = self.first_waiting(db, key, Kind::Zset) {
            let Wanted::Member(extreme) = wanted else { return };
            let now_ms = self.clock.unix_ms();
            let Some((member, score, emptied)) = self.pop_member(db, key, extreme, now_ms) else { return };
            self.dirty = self.dirty.saturating_add(1);
            let event = extreme.event();
            self.hand_on(Targets::ALL, db, [event.as_bytes(), key].into_iter());
            self.changed(current.as_deref_mut(), db, key, event);
            if emptied {
                self.changed(current.as_deref_mut(), db, key, "del");
            }
            self.answer_blocked(id, |_, reply| {
                reply.array(3);
                reply.bulk(key);
                reply.bulk(&member);
                crate::commands::zsets::write_score(reply, score);
            });
        }
    }

    /// Serves each reader for whom the stream at the key has something, in the order in which they came. [BLOCK-10]
    fn serve_stream(&mut self, db: usize, key: &[u8]) {
        let mut last = None;
        while let Some((ticket, id)) = self.blocking.next_reader(db, key, last) {
            last = Some(ticket);
            let now_ms = self.clock.unix_ms();
            // Out of the table, because the answer is written from the stream itself.
            let Some(mut client) = self.clients.take(id) else { continue };
            let mark = client.output.mark();
            let mut commands = Vec::new();
            let served = match client.blocked.as_deref() {
                Some(Blocked { wanted: Wanted::Entries(reader), .. }) => {
                    let object = self.find(db, key, now_ms);
                    let mut hand_on = |command: &[&[u8]]| commands.push(OwnedArgs::new(command.iter().copied()));
                    reader.serve(key, object, now_ms, &mut client.output.reply(), &mut hand_on)
                }
                _ => Served::Not,
            };
            if client.unanswered {
                client.output.truncate(mark);
            }
            self.clients.put(client);
            for command in commands {
                self.hand_on(Targets::ALL, db, command.as_args().iter());
            }
            match served {
                Served::Not => {}
                Served::Yes => self.answer_blocked(id, |_, _| {}),
                Served::NoStream => return,
            }
        }
    }

    /// Takes the member at one end out of a sorted set, and the key with the last one: the member, its score, and whether
    /// the key is gone. `None` when there is no sorted set at the key.
    pub(crate) fn pop_member(
        &mut self,
        db: usize,
        key: &[u8],
        extreme: Extreme,
        now_ms: i64,
    ) -> Option<(Vec<u8>, f64, bool)> {
        let mut object = self.find(db, key, now_ms)?;
        let mut zset = object.zset().ok()?;
        let len = zset.len();
        let ranks = match extreme {
            Extreme::Least => 0..1,
            Extreme::Greatest => len - 1..len,
        };
        let (member, score) = zset.range(ranks.clone()).next().map(|(member, score)| (member.to_vec(), score))?;
        zset.remove_range(ranks);
        let emptied = zset.is_empty();
        drop(zset);
        if emptied {
            object.remove();
        }
        Some((member, score, emptied))
    }
}
