//! What is on its way to connections: due to others, or to the sender of the command that is being judged.

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::{ClientId, Killed, Replies};
use crate::deviation::{Deviation, DeviationKind};
use crate::due::Due;
use crate::keyspace::Fate;
use crate::model::Model;
use crate::notify;
use crate::profile::ErrorPolicy;
use crate::reply::Reply;
use crate::span::Span;

/// Why and how surely something is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) clause: Clause,
    /// See [`Due::early`].
    pub(crate) early: bool,
    /// See [`Due::optional`].
    pub(crate) optional: bool,
}

impl Manner {
    /// In its place and without fail.
    pub(crate) fn surely(clause: Clause) -> Self {
        Self { clause, early: false, optional: false }
    }
}

/// What was sent and not yet taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// To others, in order.
    pub(crate) due: Vec<Due>,
    /// Whose command is being judged.
    issuing: Option<ClientId>,
    own: Own,
}

/// What the sender of a command receives of it besides the reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    /// Before the reply.
    pub(crate) before: Pushes,
    /// Behind it: EXEC's line of MONITOR. [MONITOR-6]
    pub(crate) after: Pushes,
}

/// Some of what is due to one connection, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pushes(Vec<Due>);

impl Pushes {
    /// Holds what came against what is due.
    pub(crate) fn compare(&self, came: &[Reply], errors: ErrorPolicy) -> Result<(), Box<Deviation>> {
        let mut rest = came.iter().peekable();
        for due in &self.0 {
            match rest.peek() {
                Some(reply) if due.admits(reply, errors) => {
                    rest.next();
                }
                _ if due.optional => {}
                _ => return Err(Self::deviation(due.clause, due.allowed.clone(), came)),
            }
        }
        match rest.peek() {
            None => Ok(()),
            Some(_) => Err(Self::deviation(Clause::PUBLISH_1, Allowed::Nothing, came)),
        }
    }

    fn deviation(clause: Clause, allowed: Allowed, came: &[Reply]) -> Box<Deviation> {
        let kind = DeviationKind::ReplyCount;
        Box::new(Deviation { clause, allowed, received: came.to_vec(), closed: false, kind })
    }
}

impl Delivery {
    /// A client's command is judged from now on.
    pub(crate) fn begin(&mut self, client: ClientId) {
        self.issuing = Some(client);
        self.own = Own::default();
    }

    /// It was judged.
    pub(crate) fn end(&mut self) -> Own {
        self.issuing = None;
        std::mem::take(&mut self.own)
    }

    /// Several worlds began from `base` and led to these: what not all of them send need not come.
    pub(crate) fn merge(&mut self, base: &Self, worlds: Vec<Self>) {
        let list = |of: fn(&Self) -> &Vec<Due>| {
            let begun = of(base).len();
            merged(of(base), worlds.iter().map(|world| of(world).get(begun..).unwrap_or_default()).collect())
        };
        self.due = list(|delivery| &delivery.due);
        self.own.before.0 = list(|delivery| &delivery.own.before.0);
        self.own.after.0 = list(|delivery| &delivery.own.after.0);
    }
}

/// One list that holds each of some continuations in its order, of which what is not in all is optional.
pub(crate) fn merged(base: &[Due], continuations: Vec<&[Due]>) -> Vec<Due> {
    /// What is due, how it reads, and in how many of the continuations it is.
    struct Shared {
        due: Due,
        text: String,
        count: usize,
    }
    let count = continuations.len();
    let mut all: Vec<Shared> = Vec::new();
    for continuation in continuations {
        let mut place = 0;
        for due in continuation {
            // Whether it must come is no matter of what it is.
            let text = format!("{:?}", Due { optional: false, ..due.clone() });
            match all[place..].iter().position(|shared| shared.text == text) {
                Some(further) => {
                    place += further;
                    all[place].count += 1;
                    all[place].due.optional |= due.optional;
                }
                None => all.insert(place, Shared { due: due.clone(), text, count: 1 }),
            }
            place += 1;
        }
    }
    let optional = |shared: Shared| Due { optional: shared.due.optional || shared.count < count, ..shared.due };
    base.iter().cloned().chain(all.into_iter().map(optional)).collect()
}

impl Model {
    /// What the steps since the last call made connections receive, in order; see [`Due`].
    pub fn take_due(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.delivery.due)
    }

    /// Something came to a connection that was not due: allowed if it tells of a key that may have expired or been evicted
    /// by the end of the span, which the server tells at a time of its own choice. What else follows from that, for other
    /// connections too, is due afterwards. [NOTIFY-4] [NOTIFY-5]
    pub fn unsolicited(&mut self, client: ClientId, reply: &Reply, span: Span) -> Result<(), Box<Deviation>> {
        let errors = self.profile.errors;
        let told = notify::read(reply);
        if told.as_ref().is_some_and(|(_, _, event)| event == b"evicted") {
            self.doubt_at_last();
        }
        let told = told.filter(|(db, key, event)| match event.as_slice() {
            b"expired" => self.keyspace.slot(*db, key).is_some_and(|slot| slot.fate(span) != Fate::Alive),
            b"evicted" => self.may_tell_of_eviction(*db, key),
            _ => false,
        });
        let begun = self.delivery.due.len();
        let (mut clause, mut expected) = (Clause::NOTIFY_4, false);
        if let Some((db, key, event)) = told {
            if event == b"evicted" {
                clause = Clause::NOTIFY_5;
                self.tell_of_eviction(db, &key, (client, reply));
            } else {
                self.expire(db, &key, false);
            }
            let new = &self.delivery.due[begun..];
            if let Some(place) = new.iter().position(|due| due.client == client && due.admits(reply, errors)) {
                self.delivery.due.remove(begun + place);
                expected = true;
            }
        }
        if expected {
            self.witness(clause);
            return Ok(());
        }
        let kind = DeviationKind::ReplyCount;
        let received = vec![reply.clone()];
        Err(Box::new(Deviation { clause, allowed: Allowed::Nothing, received, closed: false, kind }))
    }

    /// Sends a reply to a connection, unless it switched its replies off. [SUBSCRIBE-6] [BLOCK-19]
    pub(crate) fn send(&mut self, to: ClientId, manner: Manner, allowed: Allowed) {
        if let Some(due) = self.addressed(to, manner, allowed) {
            if self.delivery.issuing == Some(to) {
                self.delivery.own.before.0.push(due);
            } else {
                self.delivery.due.push(due);
            }
        }
    }

    /// Sends something that comes behind the reply where it goes to the sender itself.
    pub(crate) fn send_behind(&mut self, to: ClientId, manner: Manner, allowed: Allowed) {
        if let Some(due) = self.addressed(to, manner, allowed) {
            if self.delivery.issuing == Some(to) {
                self.delivery.own.after.0.push(due);
            } else {
                self.delivery.due.push(due);
            }
        }
    }

    fn addressed(&mut self, to: ClientId, manner: Manner, allowed: Allowed) -> Option<Due> {
        let client = self.clients.get(&to)?;
        if client.killed == Killed::Surely || client.replies != Replies::On {
            return None;
        }
        self.witness(manner.clause);
        let Manner { clause, early, optional } = manner;
        let optional = optional || self.clients.get(&to)?.killed == Killed::Perhaps;
        Some(Due { client: to, clause, allowed, closes: false, early, optional })
    }

    /// A connection is closed from elsewhere.
    pub(crate) fn close(&mut self, client: ClientId) {
        let clause = Clause::CLIENT_12;
        let (early, optional) = (false, false);
        self.delivery.due.push(Due { client, clause, allowed: Allowed::Nothing, closes: true, early, optional });
        self.release(client);
    }

    /// A connection has ended or is about to: all that it held is given back. [DISCARD-3] [SUBSCRIBE-5] [BLOCK-16]
    pub(crate) fn release(&mut self, client: ClientId) {
        self.unblock(client);
        if let Some(client) = self.clients.get_mut(&client) {
            client.release();
        }
    }

    /// How many replies before the one to a client's command are something else that is sent to it.
    pub(crate) fn pushes_at_front(&self, client: ClientId, replies: &[Reply]) -> usize {
        replies.iter().take_while(|reply| self.is_push(client, reply)).count()
    }

    /// How many replies behind the first are something else.
    pub(crate) fn pushes_at_end(&self, client: ClientId, replies: &[Reply]) -> usize {
        replies.iter().skip(1).rev().take_while(|reply| self.is_push(client, reply)).count()
    }

    /// Whether a reply looks like a message or a line of MONITOR to a client that may receive such. No command's reply to
    /// such a client looks like one, unless within EXEC it shows data that was made to.
    fn is_push(&self, client: ClientId, reply: &Reply) -> bool {
        let Some(client) = self.clients.get(&client) else { return false };
        match reply {
            Reply::Status(line) => client.monitors && crate::monitor::is_line(line),
            Reply::Array(parts) if client.is_subscribed() => match parts.as_slice() {
                [Reply::Bulk(kind), _, _] => kind == b"message",
                [Reply::Bulk(kind), _, _, _] => kind == b"pmessage",
                _ => false,
            },
            _ => false,
        }
    }
}
