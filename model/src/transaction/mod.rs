//! Transactions: MULTI, EXEC and DISCARD.
//!
//! A transaction is executed command by command on the state that each leaves for the next one, every reply being judged in
//! its place of EXEC's answer.

mod watch;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{Client, ClientChange, ClientId, Replies, Touched};
use crate::commands;
use crate::delivery::Manner;
use crate::deviation::{Deviation, DeviationKind, Verdict};
use crate::erratum::Erratum;
use crate::model::Model;
use crate::plan::{Change, Plan, Refusal};
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};
use crate::span::{Outcome, Span};

pub(crate) use watch::{unwatch, watch};

/// [MULTI-1] [MULTI-2]
pub(crate) fn multi(call: &Call<'_>) -> Result<Plan, Refusal> {
    if call.client.transaction.is_some() {
        return Err(Refusal::new(Clause::MULTI_2, "ERR MULTI calls can not be nested"));
    }
    Ok(Plan::ok(Clause::MULTI_1).with(Change::Client(ClientChange::Begin)))
}

/// [DISCARD-1] [DISCARD-2]
pub(crate) fn discard(call: &Call<'_>) -> Result<Plan, Refusal> {
    if call.client.transaction.is_none() {
        return Err(Refusal::new(Clause::DISCARD_2, "ERR DISCARD without MULTI"));
    }
    Ok(Plan::ok(Clause::DISCARD_1).with(Change::Client(ClientChange::End)))
}

/// EXEC, as far as it executes nothing; what it answers otherwise is judged by [`Model::run_transaction`].
/// [EXEC-2] [EXEC-3] [EXEC-4]
pub(crate) fn exec(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(transaction) = &call.client.transaction else {
        return Err(Refusal::new(Clause::EXEC_4, "ERR EXEC without MULTI"));
    };
    call.cite(Clause::EXEC_6);
    let end = || Change::Client(ClientChange::End);
    if transaction.spoiled {
        let refusal = "EXECABORT Transaction discarded because of previous errors.";
        return Ok(Plan::from(Refusal::new(Clause::EXEC_2, refusal)).with(end()));
    }
    let executed = || call.model.rehearsal(call.client_id, call.span);
    let nothing = Plan::reply(Clause::EXEC_3, Reply::NilArray).with(end());
    Ok(match call.model.touched_by_now(call.client, call.span) {
        Touched::No => Plan::new(Clause::EXEC_1, executed()),
        Touched::Spuriously => {
            Plan::new(Clause::EXEC_1, executed()).or_erratum(Erratum::E_90, nothing.allowed, nothing.changes)
        }
        Touched::Perhaps => {
            let either = Allowed::Either(Box::new(nothing.allowed.clone()), Box::new(executed()));
            Plan { allowed: either, ..nothing }
        }
        Touched::Overlooked | Touched::Surely => {
            call.cite(Clause::WATCH_7);
            nothing
        }
    })
}

/// The plan of a command that is queued. [MULTI-1] [MULTI-5]
pub(crate) fn queued(call: &Call<'_>) -> Plan {
    call.cite(Clause::MULTI_5);
    let line = call.args.iter().map(|word| word.to_vec()).collect();
    let plan = Plan::reply(Clause::MULTI_1, Reply::status("QUEUED"));
    Plan { executed: false, ..plan.with(Change::Client(ClientChange::Enqueue(line))) }
}

/// Commands that a transaction does not queue. [MULTI-1]
pub(crate) const UNQUEUED: &[&str] = &["exec", "discard", "multi", "watch"];

impl Model {
    /// Whether a command is an EXEC that, to judge by its outcome, executed its transaction.
    pub(crate) fn executes_transaction(&self, client: ClientId, command: &[&[u8]], outcome: &Outcome<'_>) -> bool {
        let [name] = command else { return false };
        let Some(client) = self.clients.get(&client) else { return false };
        let ready = client.transaction.as_ref().is_some_and(|transaction| !transaction.spoiled);
        let admitted = !self.server.config.effects().has_password || client.authenticated;
        if !name.eq_ignore_ascii_case(b"exec") || !ready || !admitted || client.is_subscribed() {
            return false;
        }
        match outcome.replies.first() {
            Some(reply) => matches!(reply, Reply::Array(_)),
            // The connection ended within the answer.
            None if outcome.closed => true,
            // Without replies nobody sees whether it was.
            None => client.replies != Replies::On && client.touched < Touched::Overlooked,
        }
    }

    /// What the commands of a transaction may be answered, as far as that can be told beforehand.
    fn rehearsal(&self, client: ClientId, span: Span) -> Allowed {
        let mut copy = self.clone();
        let queue = copy.begin_execution(client);
        let mut elements = Vec::new();
        let mut known = true;
        for line in &queue {
            let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
            let allowed = if known { copy.allowed(client, &line, span) } else { Allowed::Unspecified(Clause::EXEC_1) };
            let reply = match &allowed {
                Allowed::Exactly(reply) => Some(reply.clone()),
                Allowed::Error(text) => Some(Reply::Error(text.to_vec())),
                _ => None,
            };
            known =
                reply.is_some_and(|reply| copy.judge_with_pushes(client, &line, &Outcome::reply(&reply), span).is_ok());
            elements.push(allowed);
        }
        Allowed::Elements(elements)
    }

    /// The transaction and the watching end; its commands are executed from now on.
    fn begin_execution(&mut self, client: ClientId) -> Vec<Vec<Bytes>> {
        self.executing = true;
        let Some(client) = self.clients.get_mut(&client) else { return Vec::new() };
        let queue = client.transaction.take().map(|transaction| transaction.queue).unwrap_or_default();
        client.apply(ClientChange::End);
        queue
    }

    /// Judges an EXEC that executed its transaction, reply by reply. [EXEC-1] [EXEC-5] [EXEC-7] [EXEC-8] [EXEC-9]
    pub(crate) fn run_transaction(
        &mut self,
        client: ClientId,
        line: &[&[u8]],
        outcome: &Outcome<'_>,
        span: Span,
    ) -> Result<Verdict, Box<Deviation>> {
        let touched = self.clients.get(&client).map_or(Touched::No, |client| self.touched_by_now(client, span));
        let mut verdict = Verdict::default();
        match touched {
            Touched::Surely => return self.judge_with_pushes(client, line, outcome, span),
            Touched::Overlooked if !self.has(Erratum::E_90) => {
                return self.judge_with_pushes(client, line, outcome, span);
            }
            Touched::Overlooked => verdict.erratum = Some(Erratum::E_90),
            Touched::No | Touched::Spuriously | Touched::Perhaps => {}
        }
        for clause in [Clause::EXEC_1, Clause::EXEC_5, Clause::EXEC_6, Clause::EXEC_7, Clause::EXEC_8, Clause::EXEC_9] {
            self.witness(clause);
        }
        let queue = self.begin_execution(client);
        let judged = self.run((client, line[0]), &queue, outcome, span, &mut verdict);
        self.executing = false;
        judged?;
        if let Some(client) = self.clients.get_mut(&client) {
            client.last_command = Some("exec");
        }
        Ok(verdict)
    }

    fn run(
        &mut self,
        (client, name): (ClientId, &[u8]),
        queue: &[Vec<Bytes>],
        outcome: &Outcome<'_>,
        span: Span,
        verdict: &mut Verdict,
    ) -> Result<(), Box<Deviation>> {
        let silent = self.silence(client, outcome.closed);
        let mut items: Vec<Reply> = Vec::new();
        if let [Reply::Array(elements), behind @ ..] = outcome.replies {
            // The array is announced with one element for each command, whatever they send. [EXEC-8]
            if elements.len() != queue.len() {
                return Err(Self::miscounted(Clause::EXEC_1, outcome));
            }
            items.extend(elements.iter().chain(behind).cloned());
        }
        let mut items = items.as_slice();
        let mut pieces: Vec<Propagated> = Vec::new();
        let mut began = false;
        for line in queue {
            let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
            if !began && is_handed_on(line[0]) {
                began = true;
                pieces.push(self.marker(b"MULTI", client));
            }
            let pushes = self.pushes_at_front(client, items);
            let (count, closes) = self.replies_due(client, &line, span, items.get(pushes));
            let (own, rest) = items.split_at((pushes + count).min(items.len()));
            let closed = outcome.closed && closes;
            let one = self.judge_with_pushes(client, &line, &Outcome { replies: own, closed }, span)?;
            verdict.erratum = verdict.erratum.or(one.erratum);
            verdict.unspecified |= one.unspecified;
            if one.lost {
                // What follows was executed on what nobody knows.
                verdict.lost = true;
                return Ok(());
            }
            items = rest;
            pieces.push(std::mem::take(&mut self.propagated));
        }
        if began {
            self.witness(Clause::EXEC_10);
            // As it came, while MULTI is the server's own word.
            pieces.push(self.marker(name, client));
        }
        self.gather(pieces);
        self.unsilence(client, silent);
        // What EXEC itself shows to MONITOR comes last. [MONITOR-6]
        self.delivery.begin(client);
        self.show_execution(client, name, span);
        let own = self.delivery.end();
        own.after.compare(items, self.profile.errors)?;
        Ok(())
    }

    fn miscounted(clause: Clause, outcome: &Outcome<'_>) -> Box<Deviation> {
        Box::new(Deviation {
            clause,
            allowed: Allowed::Unspecified(clause),
            received: outcome.replies.to_vec(),
            closed: outcome.closed,
            kind: DeviationKind::ReplyCount,
        })
    }

    /// CLIENT REPLY SKIP before EXEC is about all that it sends, and nothing of an answer is seen that the connection's end cut
    /// short.
    fn silence(&mut self, client: ClientId, cut_short: bool) -> bool {
        match self.clients.get_mut(&client) {
            Some(client) if client.replies == Replies::SkipNext || cut_short => {
                client.replies = Replies::Off;
                true
            }
            _ => false,
        }
    }

    fn unsilence(&mut self, client: ClientId, silent: bool) {
        if let Some(client) = self.clients.get_mut(&client)
            && silent
            && client.replies == Replies::Off
        {
            client.replies = Replies::On;
        }
    }

    /// MULTI or EXEC as it is handed on.
    fn marker(&self, name: &[u8], client: ClientId) -> Propagated {
        let commands = vec![vec![name.to_vec()]];
        let db = self.selected_db(client);
        Propagated { db, aof: commands.clone(), replicas: commands, ..Propagated::default() }
    }

    /// Several pieces become what the step handed on.
    pub(crate) fn gather(&mut self, pieces: Vec<Propagated>) {
        if !self.records_propagation {
            return;
        }
        let each = |mut piece: Propagated| {
            let further = std::mem::take(&mut piece.further);
            std::iter::once(piece).chain(further)
        };
        let mut pieces = pieces.into_iter().flat_map(each).filter(|piece| !piece.is_empty());
        self.propagated = pieces.next().unwrap_or_default();
        self.propagated.further = pieces.collect();
    }

    /// Shows EXEC itself to those in MONITOR, when what it executes has been shown. [MONITOR-6]
    pub(crate) fn show_execution(&mut self, client: ClientId, name: &[u8], span: Span) {
        let monitors: Vec<ClientId> = self.monitors();
        for monitor in monitors {
            let line = self.monitor_line(client, &[name], span);
            self.send_behind(monitor, Manner::surely(Clause::MONITOR_6), line);
        }
    }
}

/// Whether a command begins what is handed on of its transaction. [EXEC-10]
fn is_handed_on(name: &[u8]) -> bool {
    commands::find(name)
        .is_some_and(|command| !command.flags.split(' ').any(|flag| matches!(flag, "readonly" | "admin")))
}

impl Client {
    /// How many commands wait for EXEC. [CLIENT-30]
    pub fn queued(&self) -> Option<usize> {
        self.transaction.as_ref().map(|transaction| transaction.queue.len())
    }
}
