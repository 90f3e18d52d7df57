//! Blocking commands: what a client waits for, and what serves it.

mod commands;
mod serve;

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::{Blocked, ClientId, Wait};
use crate::delivery::Manner;
use crate::deviation::{Deviation, DeviationKind};
use crate::model::Model;
use crate::reply::Reply;
use crate::span::Span;

pub(crate) use commands::{blpop, brpop, brpoplpush, bzpopmax, bzpopmin, wait};

/// What a client is answered that CLIENT UNBLOCK unblocks with ERROR. [CLIENT-32]
const UNBLOCKED: &[u8] = b"UNBLOCKED client unblocked via CLIENT UNBLOCK";

impl Model {
    /// Whether a client waits in a blocking command, so that it must not send anything before a reply has come.
    pub fn is_blocked(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.blocked.is_some())
    }

    /// When a blocked client's timeout has passed at the latest, Unix milliseconds: some 200 ms later its null reply has to be
    /// there. `None` for a client that waits for ever or not at all. [BLOCK-5]
    pub fn blocked_until(&self, client: ClientId) -> Option<i64> {
        let blocked = self.clients.get(&client)?.blocked.as_ref()?;
        blocked.deadline.map(|deadline| deadline.latest_ms)
    }

    /// What a blocked client is answered when its timeout has passed. [BLOCK-5] [WAIT-2]
    pub fn timeout_reply(&self, client: ClientId) -> Option<Reply> {
        let blocked = self.clients.get(&client)?.blocked.as_ref()?;
        Some(match blocked.wait {
            Wait::Replicas => Reply::Integer(0),
            Wait::List { .. } | Wait::Movement { .. } | Wait::Zset { .. } | Wait::Stream(_) => Reply::NilArray,
        })
    }

    /// The reply of a timeout came to a blocked client by the end of the span: allowed if its timeout can have passed by then.
    pub fn timed_out(&mut self, client: ClientId, span: Span) -> Result<(), Box<Deviation>> {
        let reply = self.timeout_reply(client);
        let deadline = self.clients.get(&client).and_then(|client| client.blocked.as_ref()?.deadline);
        let clause = if reply == Some(Reply::Integer(0)) { Clause::WAIT_2 } else { Clause::BLOCK_5 };
        if reply.is_some() && deadline.is_some_and(|deadline| deadline.earliest_ms <= span.latest_ms) {
            self.witness(clause);
            self.unblock(client);
            return Ok(());
        }
        Err(Box::new(Deviation {
            clause,
            allowed: Allowed::Nothing,
            received: reply.into_iter().collect(),
            closed: false,
            kind: DeviationKind::ReplyCount,
        }))
    }

    /// A client waits from now on, behind those who wait already.
    pub(crate) fn block(&mut self, id: ClientId, blocked: Blocked) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        for key in blocked.wait.keys() {
            let waiting = self.waiting.entry((client.db, key)).or_default();
            if !waiting.contains(&id) {
                waiting.push(id);
            }
        }
        client.blocked = Some(blocked);
    }

    /// A client waits no more.
    pub(crate) fn unblock(&mut self, client: ClientId) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|other| *other != client);
            !waiting.is_empty()
        });
        if let Some(client) = self.clients.get_mut(&client) {
            client.blocked = None;
        }
    }

    /// CLIENT UNBLOCK. [CLIENT-32]
    pub(crate) fn unblock_by_command(&mut self, client: ClientId, with_error: bool) {
        let reply = if with_error { Some(Reply::Error(UNBLOCKED.to_vec())) } else { self.timeout_reply(client) };
        self.unblock(client);
        if let Some(reply) = reply {
            self.send(client, Manner::surely(Clause::CLIENT_32), Allowed::Exactly(reply));
        }
    }
}
