//! When a command ran, and what it led to.

use crate::reply::Reply;

/// The milliseconds since the Unix epoch between which a command ran, both included: a point in virtual time, from sent to
/// received for a live server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before this millisecond.
    pub earliest_ms: i64,
    /// Not after this millisecond.
    pub latest_ms: i64,
}

impl Span {
    /// A command that ran exactly then.
    pub fn at(unix_ms: i64) -> Self {
        Self { earliest_ms: unix_ms, latest_ms: unix_ms }
    }
}

/// Everything a server sent for one command.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The replies: mostly one, none with CLIENT REPLY OFF, several for a SUBSCRIBE to several channels.
    pub replies: &'a [Reply],
    /// The server closed the connection after them.
    pub closed: bool,
}

impl<'a> Outcome<'a> {
    /// One reply, and the connection stays open.
    pub fn reply(reply: &'a Reply) -> Self {
        Self { replies: std::slice::from_ref(reply), closed: false }
    }
}
