//! MULTI and WATCH: the commands that wait for EXEC, and the keys whose change makes it fail.
//!
//! ```text
//! Client ── Transaction    queued commands, and how far EXEC has come
//! Server ── WatchTable     key ─► who watches it;  client ─► what it watches, and whether that changed
//! ```
//!
//! Whether a watched key changed is kept beside the table and not in the client, because the client whose command makes
//! the change may watch the key itself and is out of the clients' table meanwhile.
//!
//! Invariant: the two directions of the table say the same; a client stands in it only while it watches something.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::ClientId;
use crate::faults::{self, Fault};
use crate::keyspace::Keyspace;
use crate::resp::{Output, OwnedArgs};
use crate::structures::key_table::is_over;

/// A command that waits for EXEC.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Its index in the command table.
    pub(crate) command: usize,
    pub(crate) args: OwnedArgs,
}

/// What a client sent since MULTI.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) queue: Vec<Queued>,
    /// A command was refused instead of queued: EXEC runs nothing.
    pub(crate) refused: bool,
    /// EXEC has begun.
    pub(crate) running: Option<Running>,
}

/// How far EXEC has come. It stops where a command waits for its effect (SAVE), and goes on when that has been answered.
#[derive(Debug)]
pub(crate) struct Running {
    /// The command of the queue that is next.
    pub(crate) next: usize,
    /// EXEC itself, as it came.
    pub(crate) exec: OwnedArgs,
    /// MULTI was handed on, so EXEC will be.
    pub(crate) wrapped: bool,
    /// What the client published to itself while the command runs: it is sent before the command's reply.
    pub(crate) messages: Output,
}

impl Transaction {
    /// Bytes that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        let queued: usize = self.queue.iter().map(|queued| queued.args.allocated()).sum();
        size_of::<Self>() + self.queue.capacity() * size_of::<Queued>() + queued
    }
}

/// A key that a client watches.
#[derive(Clone, Debug)]
struct Watched {
    db: usize,
    key: Vec<u8>,
    /// It was over already when WATCH came, so that its removal changes nothing.
    over: bool,
}

#[derive(Debug, Default)]
struct Watcher {
    keys: Vec<Watched>,
    /// One of the keys changed.
    dirty: bool,
}

/// Who watches which keys.
#[derive(Debug, Default)]
pub(crate) struct WatchTable {
    by_key: BTreeMap<usize, BTreeMap<Vec<u8>, BTreeSet<ClientId>>>,
    watchers: BTreeMap<ClientId, Watcher>,
}

impl WatchTable {
    /// Whether nobody watches anything.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// How many keys are watched, each counted as often as clients watch it.
    pub(crate) fn len(&self) -> usize {
        self.watchers.values().map(|watcher| watcher.keys.len()).sum()
    }

    /// The client watches the key; `over`: its time is over although it is still there.
    pub(crate) fn watch(&mut self, client: ClientId, db: usize, key: &[u8], over: bool) {
        let keys = self.by_key.entry(db).or_default();
        let watching = match keys.get_mut(key) {
            Some(watching) => watching,
            None => keys.entry(key.to_vec()).or_default(),
        };
        if watching.insert(client) {
            let watched = Watched { db, key: key.to_vec(), over };
            self.watchers.entry(client).or_default().keys.push(watched);
        }
    }

    /// The client watches nothing any more.
    pub(crate) fn forget(&mut self, client: ClientId) {
        let Some(watcher) = self.watchers.remove(&client) else { return };
        for Watched { db, key, .. } in watcher.keys {
            let Some(keys) = self.by_key.get_mut(&db) else { continue };
            if let Some(watching) = keys.get_mut(&key) {
                watching.remove(&client);
                if watching.is_empty() {
                    keys.remove(&key);
                }
            }
            if keys.is_empty() {
                self.by_key.remove(&db);
            }
        }
    }

    /// The key changed.
    pub(crate) fn touch(&mut self, db: usize, key: &[u8]) {
        let Some(watching) = self.by_key.get(&db).and_then(|keys| keys.get(key)) else { return };
        for client in watching {
            if let Some(watcher) = self.watchers.get_mut(client) {
                watcher.dirty = true;
            }
        }
    }

    /// The key was removed because its time was over.
    pub(crate) fn touch_expired(&mut self, db: usize, key: &[u8]) {
        let Some(watching) = self.by_key.get(&db).and_then(|keys| keys.get(key)) else { return };
        for client in watching {
            if let Some(watcher) = self.watchers.get_mut(client) {
                let known = watcher.keys.iter_mut().find(|watched| watched.db == db && watched.key == key);
                match known.filter(|watched| watched.over) {
                    // What comes under this name from now on is a change.
                    Some(watched) => watched.over = false,
                    None => watcher.dirty = true,
                }
            }
        }
    }

    /// The keys of a database for which `changes` holds change all at once.
    pub(crate) fn touch_all(&mut self, db: usize, changes: impl Fn(&[u8]) -> bool) {
        for (key, watching) in self.by_key.get(&db).into_iter().flatten() {
            if !changes(key) {
                continue;
            }
            for client in watching {
                if let Some(watcher) = self.watchers.get_mut(client) {
                    watcher.dirty = true;
                }
            }
        }
    }

    /// Databases of which keys are watched.
    pub(crate) fn databases(&self) -> Vec<usize> {
        self.by_key.keys().copied().collect()
    }

    /// Whether a key that the client watches changed, or its time is over by now.
    pub(crate) fn changed(&self, client: ClientId, keyspace: &Keyspace, now_ms: i64) -> bool {
        let Some(watcher) = self.watchers.get(&client) else { return false };
        let gone = |watched: &Watched| {
            let entry = keyspace.db(watched.db).keys.peek(&watched.key);
            entry.and_then(|entry| entry.expiry()).is_some_and(|at_ms| is_over(at_ms, now_ms))
        };
        let overlooked = faults::is(Fault::TransactionOverlooksDeadlines);
        watcher.dirty || !overlooked && watcher.keys.iter().any(|watched| !watched.over && gone(watched))
    }

    /// Whether a change of a watched key has been seen.
    #[cfg(test)]
    fn is_dirty(&self, client: ClientId) -> bool {
        self.watchers.get(&client).is_some_and(|watcher| watcher.dirty)
    }

    /// Checks the invariant.
    ///
    /// # Panics
    /// When it does not hold.
    pub(crate) fn validate(&self) {
        let mut pairs = 0;
        for (db, keys) in &self.by_key {
            assert!(!keys.is_empty(), "a database without watched keys is not kept");
            for (key, watching) in keys {
                assert!(!watching.is_empty(), "a key that nobody watches is not kept");
                pairs += watching.len();
                for client in watching {
                    let watched = &self.watchers[client].keys;
                    assert!(watched.iter().any(|watched| watched.db == *db && watched.key == *key));
                }
            }
        }
        assert_eq!(pairs, self.len());
        assert!(self.watchers.values().all(|watcher| !watcher.keys.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientId = ClientId(1);
    const B: ClientId = ClientId(2);

    fn dirty(table: &WatchTable) -> [bool; 2] {
        [table.is_dirty(A), table.is_dirty(B)]
    }

    #[test]
    fn a_touch_concerns_those_who_watch_the_key_in_that_database() {
        let mut table = WatchTable::default();
        table.watch(A, 0, b"k", false);
        table.watch(A, 0, b"k", false);
        table.watch(B, 1, b"k", false);
        table.watch(B, 0, b"other", false);
        table.validate();
        assert_eq!(table.len(), 3);
        table.touch(2, b"k");
        table.touch(0, b"kk");
        assert_eq!(dirty(&table), [false, false]);
        table.touch(0, b"k");
        assert_eq!(dirty(&table), [true, false]);
        table.touch_all(1, |key| key == b"other");
        assert_eq!(dirty(&table), [true, false]);
        table.touch_all(1, |_| true);
        assert_eq!(dirty(&table), [true, true]);
        table.forget(A);
        table.validate();
        assert_eq!(table.len(), 2);
        table.forget(B);
        table.forget(B);
        table.validate();
        assert!(table.is_empty() && table.databases().is_empty());
    }

    #[test]
    fn the_removal_of_a_key_that_was_over_when_it_was_watched_is_no_change() {
        let mut table = WatchTable::default();
        table.watch(A, 0, b"k", true);
        table.watch(B, 0, b"k", false);
        table.touch_expired(0, b"k");
        assert_eq!(dirty(&table), [false, true]);
        table.touch_expired(0, b"k");
        assert_eq!(dirty(&table), [true, true]);
    }
}
