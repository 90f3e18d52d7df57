//! Accepted connections: their sockets, and the table that finds one by poll token or by the engine's id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::OwnedFd;

use tally_engine::ClientId;

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket, non-blocking.
    pub(crate) socket: OwnedFd,
    /// Its number in the engine.
    pub(crate) client: ClientId,
    /// The socket took less than there was: wait until it is writable before trying again.
    pub(crate) blocked: bool,
    /// Close as soon as the output has been sent.
    pub(crate) closing: bool,
    /// Stands in the event loop's list of connections that have more to do without another event.
    pub(crate) queued: bool,
    /// The turn of the event loop in which it last brought input.
    pub(crate) fed_in: u64,
}

/// A place in the [`Table`]; reused after the connection ended.
pub(crate) type Slot = usize;

/// The connections, by slot and by client.
///
/// Invariant: `by_client` maps exactly the clients of the occupied slots to them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Option<Connection>>,
    free: Vec<Slot>,
    by_client: HashMap<ClientId, Slot, BuildHasherDefault<IdHasher>>,
}

impl Table {
    /// The slot that [`Table::insert`] will use next.
    pub(crate) fn next_slot(&self) -> Slot {
        self.free.last().copied().unwrap_or(self.slots.len())
    }

    /// Adds a connection.
    pub(crate) fn insert(&mut self, connection: Connection) -> Slot {
        let slot = self.next_slot();
        self.by_client.insert(connection.client, slot);
        match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = Some(connection);
                }
            }
            None => self.slots.push(Some(connection)),
        }
        slot
    }

    /// One more than the greatest slot that was ever used.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The connection in a slot.
    #[inline]
    pub(crate) fn get(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Where a client's connection is.
    #[inline]
    pub(crate) fn slot_of(&self, client: ClientId) -> Option<Slot> {
        self.by_client.get(&client).copied()
    }

    /// Takes a connection out.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Connection> {
        let connection = self.slots.get_mut(slot)?.take()?;
        self.by_client.remove(&connection.client);
        self.free.push(slot);
        Some(connection)
    }
}

/// Client ids are consecutive: one multiplication spreads them over the table's upper bits.
#[derive(Debug, Default)]
struct IdHasher(u64);

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
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn connection(client: u64) -> Connection {
        let socket = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        Connection { socket, client: ClientId(client), blocked: false, closing: false, queued: false, fed_in: 0 }
    }

    #[test]
    fn a_slot_is_reused_and_its_old_client_is_forgotten() {
        let mut table = Table::default();
        assert_eq!((table.insert(connection(1)), table.insert(connection(2))), (0, 1));
        assert_eq!(table.remove(0).map(|gone| gone.client), Some(ClientId(1)));
        assert!(table.remove(0).is_none());
        assert_eq!(table.insert(connection(3)), 0);
        assert_eq!((table.slot_of(ClientId(1)), table.slot_of(ClientId(3))), (None, Some(0)));
        assert_eq!(table.get(1).map(|there| there.client), Some(ClientId(2)));
    }
}
