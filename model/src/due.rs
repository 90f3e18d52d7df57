//! What a step makes connections receive other than as the answer to a command of theirs: published messages and
//! notifications, lines of MONITOR, replies to blocked clients that were served, and ends of connections.
//!
//! What is due is queued in order. For one connection that order is exact; between different connections it means nothing.
//! What the *issuing* connection receives before the reply to its own command (its line of MONITOR, a message it sends to
//! itself) belongs to that command's outcome, before the reply, and is not due here.

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::ClientId;
use crate::profile::ErrorPolicy;
use crate::reply::Reply;

/// Something that a connection has to receive.
#[derive(Clone, Debug)]
pub struct Due {
    /// The connection.
    pub client: ClientId,
    /// The clause that demands it.
    pub clause: Clause,
    /// What it may be: one reply, or nothing where only the connection's end is due.
    pub allowed: Allowed,
    /// The connection is closed, after this.
    pub closes: bool,
    /// It may have come earlier than in its place, even before the command that makes it due: a key's expiry, which the
    /// active cycle may have told before the key was looked up. [NOTIFY-4]
    pub early: bool,
    /// It need not come at all, or may come at any later time, unless it [comes now or never](Due::comes_now_or_never): a
    /// failed command may not have looked at the expired key.
    pub optional: bool,
}

impl Due {
    /// Whether it does not come at a later time either. What a command evicts it tells at once, and nothing else tells of
    /// it [EVICTION-11]; an expired key is told of whenever it is found.
    pub fn comes_now_or_never(&self) -> bool {
        self.clause == Clause::NOTIFY_5
    }

    /// Whether a reply that came is this.
    pub fn admits(&self, reply: &Reply, errors: ErrorPolicy) -> bool {
        self.allowed.admits_reply(reply, errors)
    }
}
