//! Blocking commands: what a client waits for, and what serves it.

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::{ClientId, Wait};
use crate::deviation::{Deviation, DeviationKind};
use crate::model::Model;
use crate::reply::Reply;
use crate::span::Span;

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
            Wait::List { .. } | Wait::Movement { .. } | Wait::Zset { .. } => Reply::NilArray,
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

    /// A client waits no more.
    pub(crate) fn unblock(&mut self, client: ClientId) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.blocked = None;
        }
    }
}
