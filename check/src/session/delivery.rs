//! What clients receive without having asked for it just now, held against what is due to them.
//!
//! The order per client is exact; between different clients it means nothing. The only freedom is the moment at which a
//! blocked client's time is over and the one at which an expired key is deleted: the active cycle may do that, and publish
//! it, before a command finds the key.

use std::collections::BTreeSet;

use tally_model::{Allowed, ClientId, Due, ErrorPolicy, Reply};

use super::{Client, Sent, Session, Wrong};
use crate::finding::{Came, Delivery, DeliverySort, Finding};
use crate::request::Request;
use crate::script::Slot;
use crate::target::{Received, TargetError, Wait};

/// On a live server nothing is sent from so long before a blocked client's deadline until its reply has come, milliseconds:
/// whether the deadline or the command comes first could not be told.
const CLEARANCE_MS: i64 = 300;

/// How long after its deadline a blocked client may still wait in virtual time, milliseconds: deadlines are looked at ten
/// times a second.
const LATENESS_MS: i64 = 250;

/// Something that came to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Who received it.
    pub client: Slot,
    /// What.
    pub what: Came,
}

/// What is due, and what came.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// With the number of the command that made it due.
    due: Vec<(usize, Due)>,
    /// What was due and need not have come: it may at any time.
    optional: Vec<Due>,
    /// What came before what it belongs to was judged.
    ahead: Vec<(ClientId, Reply)>,
    /// Time has passed, or a command was executed that may have removed expired keys that it does not name.
    passed: bool,
    /// Clients that began to listen, or heard of other events, after some time had passed: an expiry may have been told
    /// before.
    late: BTreeSet<ClientId>,
    /// Other events are told than before some time had passed.
    events_changed: bool,
    /// Everything that came since somebody asked.
    came: Vec<Delivered>,
}

impl Deliveries {
    /// The model says what a command makes due.
    pub(super) fn expect(&mut self, command: usize, due: Vec<Due>) {
        self.due.extend(due.into_iter().map(|due| (command, due)));
    }

    /// Time passes: the active cycle may delete what has expired, and tell whoever listens then.
    pub(super) fn time_passed(&mut self) {
        self.passed = true;
    }

    /// Follows who listens from when on.
    pub(super) fn note_listening(&mut self, client: ClientId, request: &Request) {
        // How many keys these look at, and find expired, is theirs to choose.
        self.passed |= ["scan", "randomkey", "eval", "evalsha"].into_iter().any(|name| request.is(0, name));
        if self.passed && (request.is(0, "subscribe") || request.is(0, "psubscribe")) {
            self.late.insert(client);
        }
        if request.is(0, "config") && request.is(2, "notify-keyspace-events") {
            self.events_changed |= self.passed;
        }
    }

    /// A client received something while the reply to its own command was waited for.
    pub(super) fn came_ahead(&mut self, client: ClientId, message: Reply) {
        self.ahead.push((client, message));
    }

    fn is_ahead(&self, client: ClientId) -> bool {
        self.ahead.iter().any(|(of, _)| *of == client)
    }

    /// The first that is due to a client.
    fn next(&self, client: ClientId) -> Option<usize> {
        self.due.iter().position(|(_, due)| due.client == client)
    }

    /// What is due to the client and admits the reply: the next, behind those that need not come; or one that may come early.
    /// What has to come goes before what need not: if both come, the second of them is left for the latter.
    fn admitting(&self, client: ClientId, reply: &Reply, errors: ErrorPolicy) -> Option<usize> {
        let late = self.events_changed || self.late.contains(&client);
        let mut in_turn = true;
        let mut spare = None;
        for (index, (_, due)) in self.due.iter().enumerate().filter(|(_, (_, due))| due.client == client) {
            if (in_turn || due.early) && due.admits(reply, errors) {
                if !due.optional {
                    return Some(index);
                }
                spare = spare.or(Some(index));
            }
            in_turn &= due.optional || due.early && late;
        }
        spare
    }

    /// What was due before, did not come then, and admits the reply.
    fn put_off_and_admitting(&self, client: ClientId, reply: &Reply, errors: ErrorPolicy) -> Option<usize> {
        self.optional.iter().position(|due| due.client == client && due.admits(reply, errors))
    }

    /// Puts off what need not come now.
    fn put_off(&mut self, client: ClientId) {
        let late = self.events_changed || self.late.contains(&client);
        let optional = |(_, due): &mut (usize, Due)| due.client == client && (due.optional || due.early && late);
        let put_off = self.due.extract_if(.., optional).map(|(_, due)| due);
        self.optional.extend(put_off.filter(|due| !due.comes_now_or_never()));
    }
}

/// Where in a run a delivery belongs.
#[derive(Clone, Copy)]
struct Moment<'a> {
    sender: Option<Slot>,
    batch: &'a [Sent],
    first_command: usize,
}

impl Moment<'_> {
    /// The finding, with the command that made the delivery due, or the last one.
    fn finding(&self, command: Option<usize>, wrong: Wrong) -> Box<Finding> {
        let last = self.first_command + self.batch.len().saturating_sub(1);
        let command = command.unwrap_or(last);
        let sent = command.checked_sub(self.first_command).and_then(|index| self.batch.get(index));
        let request = sent.map_or_else(|| Request::from(&[b"(time passes)"][..]), |sent| sent.request.clone());
        Box::new(Finding { command, client: self.sender.unwrap_or(0), request, wrong })
    }
}

impl Client {
    /// Is it what it receives when it has waited long enough?
    fn times_out_with(&self, reply: &Reply) -> bool {
        match reply {
            Reply::NilArray => !self.waits_for_replicas,
            Reply::Integer(0) => self.waits_for_replicas,
            _ => false,
        }
    }
}

impl Session<'_> {
    /// What came to clients since the last call, for whoever shows it.
    pub fn take_delivered(&mut self) -> Vec<Delivered> {
        std::mem::take(&mut self.deliveries.came)
    }

    /// Looks at every other connection: what came there must be what is due there.
    pub(super) fn deliver(
        &mut self,
        sender: Option<Slot>,
        batch: &[Sent],
        first_command: usize,
    ) -> Result<(), Box<Finding>> {
        // Slots begin at 1, so that one client has two places.
        let nothing_waits = self.deliveries.due.is_empty() && self.deliveries.ahead.is_empty();
        if self.clients.len() <= 2 && sender.is_some() && nothing_waits || self.lost {
            return Ok(());
        }
        // Nothing is due and nothing came, as after most batches; but who is blocked may have waited too long.
        let is_blocked = |client: &Client| self.model.is_blocked(client.id);
        if nothing_waits && !self.target.may_have_sent() && !self.clients.iter().flatten().any(is_blocked) {
            return Ok(());
        }
        let moment = Moment { sender, batch, first_command };
        let live = self.target.can().live;
        let mut settled = !live;
        for slot in 0..self.clients.len() as Slot {
            let Some(client) = self.clients[slot as usize] else { continue };
            let owed = self.deliveries.next(client.id).is_some() || self.deliveries.is_ahead(client.id);
            if !owed && (sender == Some(slot) || live && !self.may_receive(client.id)) {
                continue;
            }
            // Nothing came here, nothing is owed, and nobody waits too long.
            if !owed && !live && !self.target.may_have_sent() && !self.model.is_blocked(client.id) {
                continue;
            }
            // On a live server one connection is waited for until everything is executed; then the others have theirs.
            let wait = if settled { Wait::Poll } else { Wait::Settled };
            settled = true;
            self.deliver_to(slot, client, wait, moment)?;
        }
        // What came unasked to one client may have made something due to one that was looked at before.
        while let Some((_, due)) = self.deliveries.due.first() {
            let id = due.client;
            match self.clients.iter().position(|client| client.is_some_and(|client| client.id == id)) {
                Some(slot) => {
                    if let Some(client) = self.clients[slot] {
                        self.deliver_to(slot as Slot, client, Wait::Poll, moment)?;
                    }
                }
                // Whoever is not connected any more receives nothing.
                None => self.deliveries.due.retain(|(_, due)| due.client != id),
            }
        }
        Ok(())
    }

    /// Can anything come to this client that it did not just ask for?
    fn may_receive(&self, client: ClientId) -> bool {
        self.model.is_blocked(client) || self.model.is_subscribed(client) || self.model.is_monitor(client)
    }

    fn deliver_to(&mut self, slot: Slot, client: Client, wait: Wait, moment: Moment<'_>) -> Result<(), Box<Finding>> {
        let came: Vec<Reply> =
            self.deliveries.ahead.extract_if(.., |(id, _)| *id == client.id).map(|(_, reply)| reply).collect();
        for reply in came {
            self.message(slot, client, reply, moment)?;
        }
        let mut wait = wait;
        let mut patient = self.target.can().live;
        loop {
            let received = self.target.receive(client.connection, wait);
            let received = received.map_err(|error| moment.finding(None, Wrong::Target(error)))?;
            wait = Wait::Poll;
            match received {
                Received::Nothing => {
                    self.deliveries.put_off(client.id);
                    let Some(due) = self.deliveries.next(client.id) else {
                        return self.is_not_overdue(slot, client, moment);
                    };
                    // A long message may come in pieces, and connections may be closed a little later.
                    if patient {
                        patient = false;
                        wait = Wait::Ending;
                        continue;
                    }
                    return Err(self.wrong_delivery(slot, Some(due), Came::Nothing, moment));
                }
                Received::Reply(reply) => self.message(slot, client, reply, moment)?,
                Received::Closed => {
                    self.deliveries.put_off(client.id);
                    let due = self.deliveries.next(client.id);
                    return self.closed(slot, due, moment);
                }
            }
        }
    }

    /// A client received something.
    fn message(&mut self, slot: Slot, client: Client, reply: Reply, moment: Moment<'_>) -> Result<(), Box<Finding>> {
        let span = self.target.span();
        if let Some(index) = self.deliveries.admitting(client.id, &reply, self.errors) {
            let due = &mut self.deliveries.due[index].1;
            if due.closes {
                // The end of the connection is still to come.
                due.allowed = Allowed::Nothing;
            } else {
                self.deliveries.due.remove(index);
            }
        } else if let Some(index) = self.deliveries.put_off_and_admitting(client.id, &reply, self.errors) {
            self.deliveries.optional.remove(index);
        } else if self.deliveries.next(client.id).is_none()
            && self.model.is_blocked(client.id)
            && client.times_out_with(&reply)
        {
            self.model.timed_out(client.id, span).map_err(|deviation| {
                let delivery = Delivery {
                    to: slot,
                    sort: DeliverySort::Early,
                    clause: Some(deviation.clause),
                    due: "nothing yet, or what it waits for".to_owned(),
                    came: Came::Message(reply.clone()),
                };
                moment.finding(None, Wrong::Delivery(Box::new(delivery)))
            })?;
        } else if self.model.unsolicited(client.id, &reply, span).is_ok() {
            let command = moment.first_command + moment.batch.len().saturating_sub(1);
            self.deliveries.expect(command, self.model.take_due());
        } else {
            let due = self.deliveries.next(client.id);
            return Err(self.wrong_delivery(slot, due, Came::Message(reply), moment));
        }
        self.deliveries.came.push(Delivered { client: slot, what: Came::Message(reply) });
        Ok(())
    }

    /// A connection ended.
    fn closed(&mut self, slot: Slot, due: Option<usize>, moment: Moment<'_>) -> Result<(), Box<Finding>> {
        let nothing_before = |due: &Due| matches!(due.allowed, Allowed::Nothing);
        match due {
            Some(index) if self.deliveries.due[index].1.closes && nothing_before(&self.deliveries.due[index].1) => {
                let client = self.deliveries.due[index].1.client;
                self.deliveries.due.retain(|(_, due)| due.client != client);
                self.deliveries.came.push(Delivered { client: slot, what: Came::Closed });
                self.forget(slot);
                Ok(())
            }
            // A CLIENT KILL may have reached whoever's id or address the model does not know; whether it did, that
            // client's next command shows.
            None if moment.batch.iter().any(|sent| sent.request.is(0, "client") || sent.request.is(0, "exec")) => {
                if self.client(slot).is_some_and(|client| self.may_receive(client)) {
                    self.forget(slot);
                }
                Ok(())
            }
            None if !self.client(slot).is_some_and(|client| self.may_receive(client)) => Ok(()),
            due => Err(self.wrong_delivery(slot, due, Came::Closed, moment)),
        }
    }

    /// A blocked client that received nothing must have some time left.
    fn is_not_overdue(&self, slot: Slot, client: Client, moment: Moment<'_>) -> Result<(), Box<Finding>> {
        if self.target.can().live || !self.model.is_blocked(client.id) {
            return Ok(());
        }
        match self.model.blocked_until(client.id) {
            Some(deadline_ms) if deadline_ms.saturating_add(LATENESS_MS) < self.target.now_ms() => {
                let delivery = Delivery {
                    to: slot,
                    sort: DeliverySort::Overdue,
                    clause: None,
                    due: "a null reply, because its time is over".to_owned(),
                    came: Came::Nothing,
                };
                Err(moment.finding(None, Wrong::Delivery(Box::new(delivery))))
            }
            _ => Ok(()),
        }
    }

    fn wrong_delivery(&self, to: Slot, due: Option<usize>, came: Came, moment: Moment<'_>) -> Box<Finding> {
        let due = due.and_then(|index| self.deliveries.due.get(index));
        let sort = match (due, &came) {
            (None, _) => DeliverySort::Unexpected,
            (Some(_), Came::Nothing) => DeliverySort::Missing,
            (Some(_), _) => DeliverySort::Differs,
        };
        let words = match due {
            None => "nothing".to_owned(),
            Some((_, due)) if due.closes => format!("{}, then the end of its connection", due.allowed),
            Some((_, due)) => due.allowed.to_string(),
        };
        let clause = due.map(|(_, due)| due.clause);
        let delivery = Delivery { to, sort, clause, due: words, came };
        moment.finding(due.map(|(command, _)| *command), Wrong::Delivery(Box::new(delivery)))
    }

    /// On a live server: waits for blocked clients whose time is about to be over.
    pub(super) fn await_deadlines(&mut self) -> Result<(), Box<Finding>> {
        if !self.target.can().live {
            return Ok(());
        }
        let moment = Moment { sender: None, batch: &[], first_command: self.commands };
        for slot in 0..self.clients.len() as Slot {
            let Some(client) = self.clients[slot as usize] else { continue };
            let Some(deadline_ms) = self.model.blocked_until(client.id).filter(|_| self.model.is_blocked(client.id))
            else {
                continue;
            };
            let now_ms = self.target.now_ms();
            let pause_ms = self.paused_until_ms.saturating_sub(now_ms).max(0);
            if deadline_ms.saturating_sub(CLEARANCE_MS + pause_ms) > now_ms {
                continue;
            }
            match self.target.receive(client.connection, Wait::Reply) {
                Ok(Received::Reply(reply)) => self.message(slot, client, reply, moment)?,
                Ok(Received::Closed) => self.closed(slot, None, moment)?,
                Ok(Received::Nothing) => {}
                Err(TargetError::Timeout(_)) => {
                    let delivery = Delivery {
                        to: slot,
                        sort: DeliverySort::Overdue,
                        clause: None,
                        due: "a null reply, because its time is over".to_owned(),
                        came: Came::Nothing,
                    };
                    return Err(moment.finding(None, Wrong::Delivery(Box::new(delivery))));
                }
                Err(error) => return Err(moment.finding(None, Wrong::Target(error))),
            }
        }
        Ok(())
    }

    /// In virtual time nobody but us ends what CLIENT PAUSE began; what was sent meanwhile is answered after it.
    pub(super) fn outlast_pause(&mut self, waiting: Slot) -> Result<(), Box<Finding>> {
        let left_ms = self.paused_until_ms.saturating_sub(self.target.now_ms());
        if self.target.can().live && left_ms > 0 {
            // A later batch may fall into it too.
            return Ok(());
        }
        self.paused_until_ms = i64::MIN;
        if self.target.can().live || left_ms < 0 {
            return Ok(());
        }
        // Up to the last millisecond of the pause nothing of the batch is executed: what comes has other reasons.
        self.let_pass(u64::try_from(left_ms).unwrap_or(0))?;
        self.deliver(Some(waiting), &[], self.commands)?;
        self.let_pass(1)?;
        self.take_timeouts(waiting)
    }

    /// A live server that ends a pause goes on with its connections in an order of its own, so that an answer to another one
    /// does not say that this one has none: what is answered at an unknown time is sent after the pause.
    pub(super) fn await_end_of_pause(&mut self, client: Client) -> Result<(), TargetError> {
        if !self.target.can().live || self.paused_until_ms == i64::MIN {
            return Ok(());
        }
        self.paused_until_ms = i64::MIN;
        if let Received::Reply(reply) = self.target.receive(client.connection, Wait::Settled)? {
            self.deliveries.came_ahead(client.id, reply);
        }
        Ok(())
    }

    /// Clients may have given up waiting just before what was held back is executed, and so before it is judged.
    fn take_timeouts(&mut self, waiting: Slot) -> Result<(), Box<Finding>> {
        let moment = Moment { sender: Some(waiting), batch: &[], first_command: self.commands };
        for slot in 0..self.clients.len() as Slot {
            let Some(client) = self.clients[slot as usize].filter(|client| self.model.is_blocked(client.id)) else {
                continue;
            };
            let over = self.model.blocked_until(client.id).is_some_and(|deadline| deadline <= self.target.now_ms());
            if !over {
                continue;
            }
            let received = self.target.receive(client.connection, Wait::Poll);
            match received.map_err(|error| moment.finding(None, Wrong::Target(error)))? {
                Received::Reply(reply) if client.times_out_with(&reply) => self.message(slot, client, reply, moment)?,
                Received::Reply(reply) => self.deliveries.came_ahead(client.id, reply),
                Received::Nothing | Received::Closed => {}
            }
        }
        Ok(())
    }
}
