//! What the server knows of a connection.

use crate::reply::Bytes;

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
}

impl Client {
    /// A new connection.
    pub fn new(peer: Peer) -> Self {
        Self { peer, ..Self::default() }
    }

    /// Makes a change of its own state.
    pub(crate) fn apply(&mut self, change: ClientChange) {
        match change {
            ClientChange::Name(name) => self.name = name,
            ClientChange::Authenticated(authenticated) => self.authenticated = authenticated,
            ClientChange::Replies(replies) => self.replies = replies,
        }
    }
}
