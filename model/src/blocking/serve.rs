//! Serving the clients that wait for a key, after the command or transaction that made it ready.

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::{ClientId, Touched, Wait};
use crate::delivery::Manner;
use crate::erratum::Erratum;
use crate::keyspace::{Fate, Slot};
use crate::list::{End, ListEdit, ListValue};
use crate::model::Model;
use crate::plan::Expiry;
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};
use crate::span::Span;
use crate::stream::{Reading, StreamEdit, Woken};
use crate::value::{Kind, Value};
use crate::zsets;

/// What a served client is answered where its destination holds another type.
const WRONG_TYPE: &[u8] = b"WRONGTYPE Operation against a key holding the wrong kind of value";

impl Wait {
    /// The keys it is about, each once. [BLOCK-11]
    pub(crate) fn keys(&self) -> Vec<Bytes> {
        let mut keys: Vec<Bytes> = Vec::new();
        let named: &[Bytes] = match self {
            Self::List { keys, .. } | Self::Zset { keys, .. } => keys,
            Self::Movement { from, .. } => std::slice::from_ref(from),
            Self::Stream(reading) => &reading.keys(),
            Self::Replicas => &[],
        };
        for key in named {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// The type of value that serves it.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::List { .. } | Self::Movement { .. } => Some(Kind::List),
            Self::Zset { .. } => Some(Kind::Zset),
            Self::Stream(_) => Some(Kind::Stream),
            Self::Replicas => None,
        }
    }
}

impl Model {
    /// A key has a new value. [BLOCK-8]
    pub(crate) fn make_ready(&mut self, db: usize, key: &[u8]) {
        let place = (db, key.to_vec());
        if self.waiting.contains_key(&place) && !self.ready.contains(&place) {
            self.witness(Clause::BLOCK_8);
            self.ready.push(place);
        }
    }

    /// Whether any client waits for entries of a stream.
    pub(crate) fn has_waiting_readers(&self) -> bool {
        let waits = |blocked: &crate::client::Blocked| matches!(blocked.wait, Wait::Stream(_));
        self.clients.values().any(|client| client.blocked.as_ref().is_some_and(waits))
    }

    /// Two databases have traded places. [BLOCK-15]
    pub(crate) fn make_ready_after_swap(&mut self, one: usize, other: usize, span: Span) {
        for db in [one, other] {
            for (of, key) in self.waiting.keys().cloned().collect::<Vec<_>>() {
                if of == db && matches!(self.kind(db, &key, span), Some(Kind::List | Kind::Zset | Kind::Stream)) {
                    self.witness(Clause::BLOCK_15);
                    self.make_ready(db, &key);
                }
            }
        }
    }

    /// Every key was put in its place anew, also one that nobody was served from when it came. (E-95)
    pub(crate) fn make_ready_after_reload(&mut self, span: Span) {
        for (db, key) in self.waiting.keys().cloned().collect::<Vec<_>>() {
            if matches!(self.kind(db, &key, span), Some(Kind::List | Kind::Zset)) {
                self.make_ready(db, &key);
            }
        }
    }

    /// Whether an exchange of two databases makes several keys of one of them ready: which of them is served first cannot be
    /// told then. [BLOCK-15]
    pub fn has_chancy_swap(&self, one: usize, other: usize) -> bool {
        let ready = |of: usize, from: usize| {
            let keys = self.waiting.keys().filter(|(db, _)| *db == of);
            keys.filter(|(_, key)| self.keyspace.slot(from, key).is_some()).count()
        };
        ready(one, other) > 1 || ready(other, one) > 1
    }

    /// Serves whoever waits for what has become ready. [BLOCK-9] [BLOCK-12]
    pub(crate) fn serve(&mut self, span: Span) {
        while !self.ready.is_empty() {
            for (db, key) in std::mem::take(&mut self.ready) {
                self.witness(Clause::BLOCK_9);
                self.serve_key(db, &key, span);
            }
        }
    }

    fn serve_key(&mut self, db: usize, key: &[u8], span: Span) {
        match self.keyspace.slot(db, key).map(|slot| slot.fate(span)) {
            None => return,
            Some(Fate::Gone) => {
                let removal = Propagated { expired: vec![(db, key.to_vec())], db, ..Propagated::default() };
                self.hand_on(removal);
                self.expire(db, key, false);
                return;
            }
            Some(Fate::Alive | Fate::Perhaps) => {}
        }
        let Some(kind) = self.kind(db, key, span) else { return };
        self.witness(Clause::BLOCK_10);
        let place = (db, key.to_vec());
        // Looking whether it suits those who wait may count as a use of the key.
        let counts_frequency = self.server.counts_frequency();
        if self.waiting.contains_key(&place)
            && let Some(entry) = self.keyspace.entry_mut(db, key)
        {
            entry.access.used(span, true, counts_frequency);
        }
        for client in self.waiting.get(&place).cloned().unwrap_or_default() {
            let Some(wait) = self.clients.get(&client).and_then(|client| client.blocked.clone()) else { continue };
            let used_up = self.keyspace.slot(db, key).is_none_or(
                |slot| matches!(slot, Slot::Known(entry) if entry.value.is_empty() && kind != Kind::Stream),
            );
            let fits = wait.wait.kind() == Some(kind);
            // A list is only found used up when a further client asks it, a sorted set before that.
            if used_up && (fits || kind == Kind::Zset) {
                break;
            }
            if !fits {
                self.put_behind(&place, client, kind);
                continue;
            }
            // What is taken from a key that may stand in several ways nobody knows, until its client has told.
            self.lost_track |= !matches!(self.keyspace.slot(db, key), Some(Slot::Known(_)));
            let served = match wait.wait {
                Wait::List { end, .. } => self.serve_pop(client, db, key, end),
                Wait::Movement { to, .. } => self.serve_movement(client, db, key, &to, span),
                Wait::Zset { highest, .. } => self.serve_member(client, db, key, highest),
                Wait::Stream(reading) => self.serve_reader(client, db, key, &reading, span),
                Wait::Replicas => false,
            };
            if served {
                self.witness(Clause::BLOCK_13);
                self.witness(Clause::BLOCK_17);
            }
        }
        if let Some(Slot::Known(entry)) = self.keyspace.slot(db, key)
            && matches!(kind, Kind::List | Kind::Zset)
            && entry.value.is_empty()
        {
            self.keyspace.set_slot(db, key, None);
            self.notify(db, key, (b'g', "del"), Manner::surely(Clause::NOTIFY_13));
        }
    }

    /// Real servers put those who wait for another type behind the others as they pass them (E-94). [BLOCK-10]
    fn put_behind(&mut self, place: &(usize, Bytes), client: ClientId, kind: Kind) {
        if !self.has(Erratum::E_94) || kind == Kind::Stream {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(place) {
            waiting.retain(|other| *other != client);
            waiting.push(client);
        }
    }

    /// The list at a key, while it has elements.
    fn list_at(&mut self, db: usize, key: &[u8]) -> Option<&mut ListValue> {
        match &mut self.keyspace.entry_mut(db, key)?.value {
            Value::List(list) if !list.items.is_empty() => Some(list),
            _ => None,
        }
    }

    fn answer(&mut self, client: ClientId, clause: Clause, reply: Reply) {
        self.unblock(client);
        self.send(client, Manner::surely(clause), Allowed::Exactly(reply));
    }

    fn serve_pop(&mut self, client: ClientId, db: usize, key: &[u8], end: End) -> bool {
        let Some(list) = self.list_at(db, key) else { return false };
        let item = match end {
            End::Head => list.items.pop_front(),
            End::Tail => list.items.pop_back(),
        };
        let Some(item) = item else { return false };
        let (name, event) = if end == End::Head { ("LPOP", "lpop") } else { ("RPOP", "rpop") };
        self.notify(db, key, (b'l', event), Manner::surely(Clause::NOTIFY_13));
        self.touch_by_serving(db, key);
        self.hand_on_command(db, &[name.as_bytes(), key]);
        self.answer(client, Clause::BLOCK_13, Reply::Array(vec![Reply::bulk(key), Reply::Bulk(item)]));
        true
    }

    /// [BLOCK-14]
    fn serve_movement(&mut self, client: ClientId, db: usize, key: &[u8], to: &[u8], span: Span) -> bool {
        if self.list_at(db, key).is_none() {
            return false;
        }
        if self.keyspace.slot(db, to).is_some_and(|slot| slot.fate(span) == Fate::Gone) {
            self.hand_on(Propagated { expired: vec![(db, to.to_vec())], db, ..Propagated::default() });
            self.expire(db, to, false);
        }
        // Whether its deadline has passed decides between an error and the element, and which of several values it holds, to
        // what the element is added.
        let is_open = |slot: &Slot| matches!(slot, Slot::Open(_)) || slot.fate(span) == Fate::Perhaps;
        self.lost_track |= self.keyspace.slot(db, to).is_some_and(is_open);
        if self.kind(db, to, span).is_some_and(|kind| kind != Kind::List) {
            self.answer(client, Clause::BLOCK_14, Reply::Error(WRONG_TYPE.to_vec()));
            return false;
        }
        let Some(item) = self.list_at(db, key).and_then(|list| list.items.pop_back()) else { return false };
        let existed = self.keyspace.slot(db, to).is_some();
        match self.keyspace.entry_mut(db, to).map(|entry| &mut entry.value) {
            Some(Value::List(list)) => list.apply(ListEdit::Push(End::Head, vec![item.clone()])),
            _ => {
                let value = Value::List(ListValue { items: [item.clone()].into() });
                self.put(db, to.to_vec(), value, Expiry::Clear, span);
            }
        }
        if !existed {
            self.witness(Clause::BLOCK_12);
            self.make_ready(db, to);
        }
        self.notify(db, to, (b'l', "lpush"), Manner::surely(Clause::NOTIFY_13));
        self.notify(db, key, (b'l', "rpop"), Manner::surely(Clause::NOTIFY_13));
        self.touch_by_serving(db, key);
        self.touch(db, to, Touched::Surely);
        self.hand_on_command(db, &[b"RPOP", key]);
        self.hand_on_command(db, &[b"LPUSH", to, &item]);
        self.answer(client, Clause::BLOCK_13, Reply::Bulk(item));
        true
    }

    fn serve_member(&mut self, client: ClientId, db: usize, key: &[u8], highest: bool) -> bool {
        let Some(Value::Zset(zset)) = self.keyspace.entry_mut(db, key).map(|entry| &mut entry.value) else {
            return false;
        };
        let ranked = if highest { zset.order.last() } else { zset.order.first() };
        let Some((score, member)) = ranked.cloned() else { return false };
        zset.remove(&member);
        let empty = zset.order.is_empty();
        self.element_iterations.lose(db, key, std::slice::from_ref(&member));
        let name = if highest { "zpopmax" } else { "zpopmin" };
        self.notify(db, key, (b'z', name), Manner::surely(Clause::NOTIFY_13));
        self.touch(db, key, Touched::Surely);
        if empty {
            self.keyspace.set_slot(db, key, None);
            self.notify(db, key, (b'g', "del"), Manner::surely(Clause::NOTIFY_13));
        }
        self.hand_on_command(db, &[name.as_bytes(), key]);
        let parts = vec![Reply::bulk(key), Reply::Bulk(member), zsets::score_reply(score)];
        self.answer(client, Clause::BLOCK_13, Reply::Array(parts));
        true
    }

    /// [XREAD-13] [XREADGROUP-11] [XREADGROUP-13]
    fn serve_reader(&mut self, client: ClientId, db: usize, key: &[u8], reading: &Reading, span: Span) -> bool {
        let Some(Value::Stream(stream)) = self.keyspace.entry_mut(db, key).map(|entry| &mut entry.value) else {
            return false;
        };
        match reading.wake(key, stream, span) {
            Woken::Waits => false,
            Woken::Refused(refusal) => {
                self.answer(client, refusal.clause, Reply::Error(refusal.line.into_owned()));
                false
            }
            Woken::Served(served) => {
                if let (Some(group), Some((name, _))) = (served.group, &reading.group) {
                    stream.apply(StreamEdit::Group(name.clone(), Some(group)));
                }
                for command in &served.commands {
                    let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                    self.hand_on_command(db, &words);
                }
                self.answer(client, Clause::XREAD_13, served.reply);
                true
            }
        }
    }

    /// The pop is a change of its own, of which real servers think that the one before it was told. [WATCH-9]
    fn touch_by_serving(&mut self, db: usize, key: &[u8]) {
        self.witness(Clause::WATCH_9);
        self.touch(db, key, Touched::Overlooked);
    }

    fn hand_on_command(&mut self, db: usize, words: &[&[u8]]) {
        let commands = vec![words.iter().map(|word| word.to_vec()).collect::<Vec<Bytes>>()];
        self.hand_on(Propagated { db, aof: commands.clone(), replicas: commands, ..Propagated::default() });
    }
}
