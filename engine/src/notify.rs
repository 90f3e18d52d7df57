//! Keyspace events: what happens to keys, published to who asked for it by `notify-keyspace-events`, and the news of it
//! for clients that watch the key.

use crate::client::Client;
use crate::config::value::NotifyEvents;
use crate::keyspace::Keyspace;
use crate::state::Server;
use crate::structures::key_table::{KeyTable, is_over};

/// Whether a table holds a key that is not over.
fn is_there(keys: &KeyTable, key: &[u8], now_ms: i64) -> bool {
    keys.peek(key).is_some_and(|entry| entry.expiry().is_none_or(|at_ms| !is_over(at_ms, now_ms)))
}

/// The class of an event; none for [`crate::commands::SILENT`].
fn class_of(event: &str) -> u16 {
    NotifyEvents::class(match event {
        "del" | "expire" | "rename_from" | "rename_to" => b'g',
        "set" | "setrange" | "setbit" | "append" | "incrby" | "incrbyfloat" | "pfadd" => b'$',
        "lpush" | "rpush" | "lpop" | "rpop" | "lset" | "linsert" | "lrem" | "ltrim" | "sortstore" => b'l',
        "sadd" | "srem" | "spop" | "sinterstore" | "sunionstore" | "sdiffstore" => b's',
        "hset" | "hdel" | "hincrby" | "hincrbyfloat" => b'h',
        "zadd" | "zincr" | "zrem" | "zremrangebyscore" | "zremrangebyrank" | "zremrangebylex" | "zpopmin"
        | "zpopmax" | "zunionstore" | "zinterstore" | "georadiusstore" => b'z',
        "expired" => b'x',
        "evicted" => b'e',
        _ if event.starts_with('x') => b't',
        _ => return 0,
    })
}

impl Server {
    /// Whether changes of keys are of interest to anybody: clients that watch, or who asked for events.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.config.notify_keyspace_events != NotifyEvents::NONE || !self.watches.is_empty()
    }

    /// Tells that the value, the expiry or the presence of a key changed.
    #[inline]
    pub(crate) fn changed(&mut self, current: Option<&mut Client>, db: usize, key: &[u8], event: &'static str) {
        if self.is_observed() && !self.loading {
            self.tell_of_change(current, db, key, event);
        }
    }

    #[cold]
    fn tell_of_change(&mut self, mut current: Option<&mut Client>, db: usize, key: &[u8], event: &'static str) {
        // What a look-up removed happened before.
        self.tell_of_expired(current.as_deref_mut());
        self.watches.touch(db, key);
        self.notify(current, db, key, event);
    }

    /// Tells of the keys that look-ups found to be over, once each.
    pub(crate) fn tell_of_expired(&mut self, mut current: Option<&mut Client>) {
        while let Some((db, key)) = self.keyspace.expired.get_mut(self.keyspace.expired_told) {
            let (db, key) = (*db, std::mem::take(key));
            self.watches.touch_expired(db, &key);
            self.notify(current.as_deref_mut(), db, &key, "expired");
            if let Some((_, place)) = self.keyspace.expired.get_mut(self.keyspace.expired_told) {
                *place = key;
            }
            self.keyspace.expired_told += 1;
        }
    }

    /// Tells who watches that all keys of a database are about to be removed.
    pub(crate) fn touch_all_of(&mut self, db: usize) {
        if !self.watches.is_empty() {
            let now_ms = self.expiry_now(self.clock.unix_ms());
            let keys = &self.keyspace.db(db).keys;
            self.watches.touch_all(db, |key| is_there(keys, key, now_ms));
        }
    }

    /// Tells who watches that all keys are about to be removed.
    pub(crate) fn touch_everything(&mut self) {
        for db in self.watches.databases() {
            self.touch_all_of(db);
        }
    }

    /// Tells who watches that these keys were replaced by those of a file.
    pub(crate) fn touch_replaced(&mut self, replaced: &Keyspace) {
        let now_ms = self.clock.unix_ms();
        for db in self.watches.databases() {
            self.watches.touch_all(db, |key| is_there(&replaced.db(db).keys, key, now_ms));
        }
    }

    /// Tells who watches, and who waits, that two databases have exchanged their keys.
    pub(crate) fn touch_exchanged(&mut self, first: usize, second: usize) {
        let now_ms = self.expiry_now(self.clock.unix_ms());
        let (one, other) = (&self.keyspace.db(first).keys, &self.keyspace.db(second).keys);
        for db in [first, second] {
            self.watches.touch_all(db, |key| is_there(one, key, now_ms) || is_there(other, key, now_ms));
        }
        self.keys_are_ready(first);
        self.keys_are_ready(second);
    }

    /// Publishes an event, if its class is asked for.
    pub(crate) fn notify(&mut self, mut current: Option<&mut Client>, db: usize, key: &[u8], event: &'static str) {
        let wanted = self.config.notify_keyspace_events.0;
        if wanted & class_of(event) == 0 || self.pubsub.is_empty() {
            return;
        }
        if wanted & NotifyEvents::KEYSPACE != 0 {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(current.as_deref_mut(), &channel, event.as_bytes());
        }
        if wanted & NotifyEvents::KEYEVENT != 0 {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(current, channel.as_bytes(), key);
        }
    }
}
