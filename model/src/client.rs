//! What the server knows of a connection.

use crate::reply::Bytes;

/// A connection's number in the run; the model does not demand that CLIENT ID answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `ip:port` as CLIENT LIST shows it, where known.
    pub address: Option<Bytes>,
    /// Came over loopback or a Unix socket.
    pub local: bool,
}

/// One connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Who it is.
    pub peer: Peer,
    /// The database it works in.
    pub db: usize,
}

/// A change of a connection's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientChange {}

impl Client {
    /// A new connection.
    pub fn new(peer: Peer) -> Self {
        Self { peer, db: 0 }
    }

    /// Makes a change of its own state.
    pub(crate) fn apply(&mut self, change: ClientChange) {
        match change {}
    }
}
