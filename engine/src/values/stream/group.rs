//! A consumer group: what was delivered to whom and is not acknowledged yet.
//!
//! ```text
//! pending     id ─► consumer, time and number of deliveries      one tree for the group …
//! consumer    name, last seen, ids pending for it                … and one of bare ids for each consumer
//! names       name ─► number of the consumer
//! ```
//!
//! Invariants, verified by [`Group::validate`]: an id is pending for a consumer exactly if the group's entry of the id
//! names that consumer; names lead to all consumers and to none that is gone; the account of bytes is what consumers
//! take.

use super::id::StreamId;
use super::slab::Slab;
use crate::faults::{self, Fault};
use crate::structures::rax::{Cursor, Rax, Seek};

/// A pending entry of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// For whom.
    pub consumer: ConsumerId,
    /// When it was delivered last, Unix milliseconds.
    pub delivered_ms: i64,
    /// How often.
    pub deliveries: u64,
}

/// The number of a consumer in its group, while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerId(u32);

/// One who reads entries of a group.
#[derive(Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// Since when its idle time counts, Unix milliseconds.
    pub(crate) seen_ms: i64,
    pending: Rax<()>,
}

impl Consumer {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Since when its idle time counts, Unix milliseconds.
    #[must_use]
    pub fn seen_ms(&self) -> i64 {
        self.seen_ms
    }

    /// How many entries are pending for it.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids that are pending for it, from `from` on.
    pub fn pending(&self, from: StreamId) -> impl Iterator<Item = StreamId> + use<'_> {
        Ids(self.pending.seek(Seek::AtLeast, &from.to_key()))
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.pending.bytes()
    }
}

/// Ids that are keys of a tree.
struct Ids<'a>(Cursor<'a, ()>);

impl Iterator for Ids<'_> {
    type Item = StreamId;

    fn next(&mut self) -> Option<StreamId> {
        let id = StreamId::of_tree_key(self.0.get()?.0);
        self.0.forward();
        Some(id)
    }
}

/// The group, see the [module](self).
#[derive(Debug)]
pub struct Group {
    /// The last delivered id.
    pub last_id: StreamId,
    pending: Rax<Pending>,
    consumers: Slab<Consumer>,
    names: Rax<u32>,
    /// Bytes that consumers own.
    consumer_bytes: usize,
}

impl Group {
    /// One without consumers.
    #[must_use]
    pub fn new(last_id: StreamId) -> Group {
        Group { last_id, pending: Rax::new(), consumers: Slab::default(), names: Rax::new(), consumer_bytes: 0 }
    }

    /// Bytes of the heap that it owns.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pending.bytes() + self.consumers.bytes() + self.names.bytes() + self.consumer_bytes
    }

    /// The consumer of this name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied().map(ConsumerId)
    }

    /// The consumer of this name, a new one if need be, and whether it is new.
    pub fn find_or_add(&mut self, name: &[u8], seen_ms: i64) -> (ConsumerId, bool) {
        if let Some(found) = self.find(name) {
            return (found, false);
        }
        let consumer = Consumer { name: name.into(), seen_ms, pending: Rax::new() };
        self.consumer_bytes += consumer.bytes();
        let number = self.consumers.add(consumer);
        self.names.insert(name, number);
        (ConsumerId(number), true)
    }

    /// A consumer.
    #[must_use]
    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(id.0)
    }

    /// Has the idle time of a consumer count from now on.
    pub fn see(&mut self, id: ConsumerId, now_ms: i64) {
        if let Some(consumer) = self.consumers.get_mut(id.0) {
            consumer.seen_ms = now_ms;
        }
    }

    /// How many consumers there are.
    #[must_use]
    pub fn consumer_len(&self) -> usize {
        self.consumers.len()
    }

    /// The consumers, by name. [GROUP-2]
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        let mut cursor = self.names.first();
        std::iter::from_fn(move || {
            let consumer = self.consumers.get(*cursor.value()?);
            cursor.forward();
            consumer
        })
    }

    /// Removes a consumer with what is pending for it; answers how many entries these were, `None` without such a one.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(self.names.remove(name)?)?;
        self.consumer_bytes -= consumer.bytes();
        consumer.pending.for_each(|key, ()| {
            self.pending.remove(key);
        });
        Some(consumer.pending.len())
    }

    /// How many entries are pending.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// A pending entry.
    #[must_use]
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id.to_key())
    }

    /// Pending entries from `from` on, by id.
    pub fn pending_from(&self, from: StreamId) -> impl Iterator<Item = (StreamId, &Pending)> {
        let mut cursor = self.pending.seek(Seek::AtLeast, &from.to_key());
        std::iter::from_fn(move || {
            let (key, pending) = cursor.get()?;
            let found = (StreamId::of_tree_key(key), pending);
            cursor.forward();
            Some(found)
        })
    }

    /// The least and the greatest id that is pending.
    #[must_use]
    pub fn pending_ends(&self) -> Option<(StreamId, StreamId)> {
        let (first, last) = (self.pending.first(), self.pending.last());
        Some((StreamId::of_tree_key(first.get()?.0), StreamId::of_tree_key(last.get()?.0)))
    }

    /// Makes an entry pending as told, whether or not, and for whomever, it was before.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending) {
        let key = id.to_key();
        let before = self.pending.insert(&key, pending).map(|before| before.consumer);
        if before == Some(pending.consumer) {
            return;
        }
        if let Some(before) = before.filter(|_| !faults::is(Fault::StreamPendingForTwo)) {
            self.change_ids(before, |ids| ids.remove(&key));
        }
        self.change_ids(pending.consumer, |ids| ids.insert(&key, ()));
    }

    /// Notes that a pending entry was delivered once more; answers what is known of it now.
    pub fn delivered_again(&mut self, id: StreamId, now_ms: i64) -> Option<Pending> {
        let pending = self.pending.get_mut(&id.to_key())?;
        pending.delivered_ms = now_ms;
        pending.deliveries = pending.deliveries.wrapping_add(1);
        Some(*pending)
    }

    /// Has an entry pending no more; whether it was.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let key = id.to_key();
        match self.pending.remove(&key) {
            Some(pending) => {
                self.change_ids(pending.consumer, |ids| ids.remove(&key));
                true
            }
            None => false,
        }
    }

    fn change_ids<R>(&mut self, consumer: ConsumerId, change: impl FnOnce(&mut Rax<()>) -> R) {
        if let Some(consumer) = self.consumers.get_mut(consumer.0) {
            let before = consumer.bytes();
            change(&mut consumer.pending);
            self.consumer_bytes = self.consumer_bytes - before + consumer.bytes();
        }
    }

    /// Checks every invariant.
    pub(super) fn validate(&self) {
        self.pending.validate();
        self.names.validate();
        let (mut owned, mut bytes, mut consumers) = (0, 0, 0);
        self.names.for_each(|name, &number| {
            let Some(consumer) = self.consumers.get(number) else { panic!("a name of nobody") };
            assert_eq!(*consumer.name, *name, "the name of a consumer");
            consumer.pending.validate();
            consumer.pending.for_each(|key, ()| {
                let owner = self.pending.get(key).map(|pending| pending.consumer);
                assert_eq!(owner, Some(ConsumerId(number)), "the owner of a pending entry");
            });
            owned += consumer.pending.len();
            bytes += consumer.bytes();
            consumers += 1;
        });
        assert_eq!(owned, self.pending.len(), "pending entries of consumers");
        assert_eq!(consumers, self.consumers.len(), "consumers with a name");
        assert_eq!(bytes, self.consumer_bytes, "account of bytes");
    }
}
