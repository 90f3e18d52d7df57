//! One target and one model side by side, from a fresh start: sends, receives, judges.
//!
//! Requests go out in batches of one client each; every answer is then judged in order. The first thing that does not
//! hold ends the session, because from then on the two halves are in different states. After a batch every other connection
//! is looked at: what came there is held against what the batch made due there.

mod conclusion;
mod delivery;
mod harvest;

pub use crate::finding::{Finding, Fingerprint, Wrong};
pub use delivery::Delivered;
pub use harvest::Harvest;

use tally_model::{ClientId, ErrorPolicy, Model, Outcome, Profile, Reply, Span};

use crate::coverage::Coverage;
use crate::generator::Mode;
use crate::grammar::index::{command_index, grammar_at};
use crate::profile::ends_connection;
use crate::propagation::Ledger;
use crate::request::Request;
use crate::script::Slot;
use crate::target::{Connection, Received, Setup, Target, TargetError, Wait};
use delivery::Deliveries;

/// A request within a batch.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// What.
    pub request: Request,
    /// As a line of words.
    pub inline: bool,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    connection: Connection,
    id: ClientId,
    /// Whether its next command is answered can only be told by waiting.
    quiet: bool,
    reply_mode: ReplyMode,
    /// The command that it sent last is WAIT, which answers a number when its time is over.
    waits_for_replicas: bool,
}

/// What CLIENT REPLY asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyMode {
    On,
    Off,
    SkipsNext,
}

/// A target and a model, side by side.
pub struct Session<'a> {
    /// The target, reset when the session began.
    pub target: &'a mut dyn Target,
    /// The model.
    pub model: Model,
    /// What was exercised.
    pub coverage: &'a mut Coverage,
    /// What answers gave the generator.
    pub harvest: Harvest,
    clients: Vec<Option<Client>>,
    commands: usize,
    outgoing: Vec<u8>,
    replies: Vec<Reply>,
    ledger: Option<Ledger>,
    deliveries: Deliveries,
    errors: ErrorPolicy,
    /// Until when CLIENT PAUSE holds commands back, Unix milliseconds.
    paused_until_ms: i64,
    /// The database that each judged command of the batch worked in, and its [`command_index`].
    ran: Vec<(usize, usize)>,
    /// The target shows how values are stored, and they are stored as the model says.
    sees_encodings: bool,
    /// `hll-sparse-max-bytes` or a limit of streams' nodes was changed, so that a replay of the AOF, which does not hold
    /// directives, may make other strings of the same HyperLogLog commands, and other nodes of the same entries.
    file_is_ambiguous: bool,
    /// A script ran that the model cannot follow: nothing is judged from then on.
    lost: bool,
}

impl<'a> Session<'a> {
    /// Resets the target and begins.
    pub fn begin(
        target: &'a mut dyn Target,
        profile: Profile,
        setup: &Setup,
        coverage: &'a mut Coverage,
    ) -> Result<Self, TargetError> {
        target.reset(setup)?;
        let errors = profile.errors;
        let streams = if profile.errata.is_empty() { profile.streams } else { target.stream_habits() };
        let mut model = Model::new(Profile { streams, ..profile });
        let ledger = target.can().propagation.then(Ledger::default);
        model.record_propagation(ledger.is_some());
        if target.propagates_whole_scripts() {
            model.propagate_whole_scripts();
        }
        let sees_encodings = target.can().encodings;
        let mut deliveries = Deliveries::default();
        if target.can().live {
            deliveries.time_passed();
        }
        Ok(Self {
            target,
            model,
            coverage,
            harvest: Harvest::default(),
            clients: Vec::new(),
            commands: 0,
            outgoing: Vec::new(),
            replies: Vec::new(),
            ledger,
            deliveries,
            errors,
            paused_until_ms: i64::MIN,
            ran: Vec::new(),
            sees_encodings,
            file_is_ambiguous: false,
            lost: false,
        })
    }

    /// Commands so far: those that were judged, and those that nobody heard.
    pub fn commands(&self) -> usize {
        self.commands
    }

    /// The model's number of a client, if it has sent anything yet.
    pub fn client(&self, slot: Slot) -> Option<ClientId> {
        self.clients.get(slot as usize).copied().flatten().map(|client| client.id)
    }

    fn open(&mut self, slot: Slot) -> Result<Client, TargetError> {
        let index = slot as usize;
        if self.clients.len() <= index {
            self.clients.resize(index + 1, None);
        }
        if let Some(client) = self.clients[index] {
            return Ok(client);
        }
        let connection = self.target.open()?;
        let client = Client {
            connection,
            id: ClientId(connection.0),
            quiet: false,
            reply_mode: ReplyMode::On,
            waits_for_replicas: false,
        };
        self.model.connect(client.id, self.target.peer(connection));
        self.clients[index] = Some(client);
        Ok(client)
    }

    /// Sends a batch, and judges what comes back. `answered` is told of every accepted command and its replies.
    pub fn batch(
        &mut self,
        slot: Slot,
        batch: &[Sent],
        mut answered: impl FnMut(&Request, &[Reply]),
    ) -> Result<(), Box<Finding>> {
        let first_command = self.commands;
        self.ran.clear();
        let mut rest = batch;
        if self.is_blocked(slot) || self.lost {
            // Its requests would wait until it is served, so they are not sent at all.
            self.commands += batch.len();
            return Ok(());
        }
        self.await_deadlines()?;
        while let Some(first) = rest.first() {
            let at = |command: usize, request: &Request, wrong: Wrong| {
                Box::new(Finding { command, client: slot, request: request.clone(), wrong })
            };
            let client = self.open(slot).map_err(|error| at(self.commands, &first.request, Wrong::Target(error)))?;
            // How many answers an open-ended command brings is only known by waiting, so nothing may follow it.
            let monitors = self.model.is_monitor(client.id);
            let open_ended = |sent: &Sent| client.quiet || monitors || is_open_ended(&sent.request);
            if open_ended(first) && !monitors {
                let waited = self.await_end_of_pause(client);
                waited.map_err(|error| at(self.commands, &first.request, Wrong::Target(error)))?;
            }
            let together = match rest.iter().position(open_ended) {
                Some(0) => 1,
                Some(length) => length,
                None => rest.len(),
            };
            let (now, later) = rest.split_at(together);
            rest = later;
            self.outgoing.clear();
            for sent in now {
                // What a script keeps from the file, or from replicas, is missing there.
                self.file_is_ambiguous |= (sent.request.is(0, "eval") || sent.request.is(0, "script"))
                    && sent.request.arguments().any(|text| text.windows(8).any(|word| word == b"set_repl"));
                self.file_is_ambiguous |= sent.request.is(0, "config") && {
                    let directives = ["hll-sparse-max-bytes", "stream-node-max-bytes", "stream-node-max-entries"];
                    directives.into_iter().any(|name| sent.request.is(2, name))
                };
                if sent.inline {
                    use std::io::Write;
                    // Writing to memory cannot fail.
                    let _ = write!(self.outgoing, "{}\r\n", sent.request);
                } else {
                    sent.request.encode(&mut self.outgoing);
                }
            }
            let sent = self.target.send(client.connection, &self.outgoing);
            // Which command of a pipeline it was that the target did not survive is not known: it may be the last.
            let last = now.last().unwrap_or(first);
            sent.map_err(|error| at(self.commands + now.len() - 1, &last.request, Wrong::Target(error)))?;
            // Monitors are not paused.
            if self.paused_until_ms > i64::MIN && !monitors {
                self.outlast_pause(slot)?;
            }
            let wait = if !open_ended(first) {
                Wait::Reply
            } else if ends_connection(&first.request) {
                Wait::Ending
            } else {
                Wait::Settled
            };
            for (index, sent) in now.iter().enumerate() {
                let request = &sent.request;
                let command = self.commands;
                let listens = self.model.is_subscribed(client.id) && self.mode(slot) == Mode::Subscribed;
                let answers = self.answers(client, wait, index + 1 == now.len(), listens);
                let closed = answers.map_err(|error| {
                    if let TargetError::Crashed(_) = error {
                        at(command + now.len() - 1 - index, &last.request, Wrong::Target(error))
                    } else {
                        at(command, request, Wrong::Target(error))
                    }
                })?;
                let whole: Request;
                let understood = if sent.inline && request.arguments().any(<[u8]>::is_empty) {
                    // [INLINE-9] Empty arguments of an inline request vanish.
                    whole = request.arguments().filter(|argument| !argument.is_empty()).collect();
                    &whole
                } else {
                    request
                };
                let db = self.model.selected_db(client.id);
                let known = self.judge(slot, understood, closed).map_err(|wrong| at(command, request, wrong))?;
                self.ran.push((db, known));
                self.deliveries.expect(command, self.model.take_due());
                self.deliveries.note_listening(client.id, request);
                answered(request, &self.replies);
                if closed {
                    self.forget(slot);
                } else {
                    self.note_own_state(slot, request);
                }
                // Nobody hears what follows a closed connection, and nothing is sent behind a command that blocks.
                if closed || self.lost || self.model.is_blocked(client.id) {
                    if let Some(client) = self.clients[slot as usize].as_mut() {
                        client.waits_for_replicas = request.is(0, "wait");
                    }
                    self.commands += now.len() - 1 - index + rest.len();
                    rest = &[];
                    break;
                }
            }
        }
        if self.lost {
            return Ok(());
        }
        self.compare_encodings(slot, batch, first_command)?;
        self.deliver(Some(slot), batch, first_command)?;
        self.compare_propagation(slot, batch)
    }

    /// Looks how the keys that a batch named are stored now.
    fn compare_encodings(&self, slot: Slot, batch: &[Sent], first: usize) -> Result<(), Box<Finding>> {
        if !self.sees_encodings {
            return Ok(());
        }
        // From the end, so that what is found is found with the last command that names the key. Pipelines name the same
        // few keys again and again, and each is looked at once.
        let mut looked_at: [(usize, &[u8]); 8] = [(usize::MAX, b""); 8];
        let mut count = 0;
        for (index, &(db, command)) in self.ran.iter().enumerate().rev() {
            let (Some(sent), Some(grammar)) = (batch.get(index), grammar_at(command)) else { continue };
            for key in grammar.keys(&sent.request) {
                let key = sent.request.argument(key);
                if looked_at.contains(&(db, key)) {
                    continue;
                }
                if let Some(place) = looked_at.get_mut(count) {
                    *place = (db, key);
                    count += 1;
                }
                let Some(view) = self.model.key(db, key) else { continue };
                let Some(received) = self.target.encoding(db, key) else { continue };
                let expected = view.encoding.name();
                if received != expected {
                    let wrong = Wrong::Encoding { key: key.to_vec(), expected, received };
                    let request = sent.request.clone();
                    return Err(Box::new(Finding { command: first + index, client: slot, request, wrong }));
                }
            }
        }
        Ok(())
    }

    fn compare_propagation(&mut self, slot: Slot, batch: &[Sent]) -> Result<(), Box<Finding>> {
        let (Some(ledger), Some(last)) = (&mut self.ledger, batch.last()) else { return Ok(()) };
        ledger.handed_on(self.target.take_handed_on());
        ledger.compare(&self.model, self.target.span()).map_err(|mismatch| {
            Box::new(Finding {
                command: self.commands.saturating_sub(1),
                client: slot,
                request: mismatch.request().unwrap_or_else(|| last.request.clone()),
                wrong: Wrong::Propagation(mismatch),
            })
        })
    }

    /// Collects the replies to one command into `self.replies`; true when the connection was closed after them. What comes
    /// unasked to a client that listens may stand before and behind them.
    fn answers(&mut self, client: Client, wait: Wait, last: bool, listens: bool) -> Result<bool, TargetError> {
        self.replies.clear();
        let settles = wait != Wait::Reply;
        let mut wait = wait;
        loop {
            match self.target.receive(client.connection, wait)? {
                Received::Reply(reply) if listens && is_message(&reply) => {
                    self.deliveries.came_ahead(client.id, reply);
                    continue;
                }
                Received::Reply(reply) => self.replies.push(reply),
                Received::Nothing => return Ok(false),
                Received::Closed => return Ok(true),
            }
            if !settles && !last {
                return Ok(false);
            }
            // A reply too many shows after the last command.
            if wait != Wait::Ending {
                wait = Wait::Poll;
            }
        }
    }

    /// Follows what a client says about itself, and CLIENT PAUSE.
    fn note_own_state(&mut self, slot: Slot, request: &Request) {
        if !request.is(0, "client") {
            if let Some(client) = self.clients[slot as usize].as_mut()
                && client.reply_mode == ReplyMode::SkipsNext
            {
                client.reply_mode = ReplyMode::On;
                client.quiet = false;
            }
            return;
        }
        match self.replies.as_slice() {
            [Reply::Integer(id)] if request.is(1, "id") => self.harvest.note_client_id(*id),
            // Who asked for no replies is not told that it worked.
            [] | [Reply::Status(_)] if request.is(1, "pause") && request.len() == 3 => {
                let ms = std::str::from_utf8(request.argument(2)).ok().and_then(|text| text.parse::<i64>().ok());
                // No time at all is no pause.
                if let Some(ms) = ms.filter(|&ms| ms > 0) {
                    self.paused_until_ms = self.paused_until_ms.max(self.target.now_ms().saturating_add(ms));
                }
            }
            _ => {}
        }
        self.note_reply_mode(slot, request);
    }

    fn note_reply_mode(&mut self, slot: Slot, request: &Request) {
        let Some(client) = self.clients[slot as usize].as_mut() else { return };
        let switches = request.len() == 3 && request.is(0, "client") && request.is(1, "reply");
        match client.reply_mode {
            _ if switches && request.is(2, "on") => client.reply_mode = ReplyMode::On,
            _ if switches && request.is(2, "off") => client.reply_mode = ReplyMode::Off,
            ReplyMode::On | ReplyMode::SkipsNext if switches && request.is(2, "skip") => {
                client.reply_mode = ReplyMode::SkipsNext
            }
            ReplyMode::SkipsNext => client.reply_mode = ReplyMode::On,
            ReplyMode::On | ReplyMode::Off => {}
        }
        client.quiet = client.reply_mode != ReplyMode::On;
    }

    /// Has the client asked for no answers?
    pub fn is_quiet(&self, slot: Slot) -> bool {
        self.clients.get(slot as usize).copied().flatten().is_some_and(|client| client.quiet)
    }

    /// Does the client wait for a key?
    pub fn is_blocked(&self, slot: Slot) -> bool {
        self.client(slot).is_some_and(|client| self.model.is_blocked(client))
    }

    /// Does the client monitor the others?
    pub fn is_monitor(&self, slot: Slot) -> bool {
        self.client(slot).is_some_and(|client| self.model.is_monitor(client))
    }

    /// What the client's state makes of what it sends next.
    pub fn mode(&self, slot: Slot) -> Mode {
        match self.client(slot) {
            Some(client) if self.model.in_transaction(client) => Mode::Transaction,
            Some(client) if self.model.is_subscribed(client) => Mode::Subscribed,
            _ => Mode::Plain,
        }
    }

    /// Judges a command by the replies that it was given; answers its [`command_index`].
    fn judge(&mut self, slot: Slot, request: &Request, closed: bool) -> Result<usize, Wrong> {
        let command = command_index(request.name());
        let Some(client) = self.clients[slot as usize] else { return Ok(command) };
        let span = self.target.span();
        let mut few: [&[u8]; 8] = [&[]; 8];
        let many: Vec<&[u8]>;
        let arguments: &[&[u8]] = if request.len() <= few.len() {
            for (place, argument) in few.iter_mut().zip(request.arguments()) {
                *place = argument;
            }
            &few[..request.len()]
        } else {
            many = request.arguments().collect();
            &many
        };
        // Who hears of every deletion knows what was evicted. CONFIG, in a transaction too, may begin it.
        let may_evict = || self.model.evicts() || request.is(0, "config") || request.is(0, "exec");
        if self.ledger.is_some() && may_evict() {
            let came = self.target.take_handed_on();
            if let Some(ledger) = &mut self.ledger {
                ledger.handed_on(came);
                self.model.foretell_deletions(ledger.deletions());
            }
        }
        let outcome = Outcome { replies: &self.replies, closed };
        let verdict = self.model.step(client.id, arguments, &outcome, span).map_err(Wrong::Answer)?;
        if let Some(ledger) = &mut self.ledger {
            let failed = matches!(self.replies.as_slice(), [Reply::Error(_)]);
            ledger.expect(self.model.take_propagated(), failed);
        }
        self.commands += 1;
        self.coverage.accepted(command);
        if let Some(erratum) = verdict.erratum {
            *self.coverage.errata.entry(erratum).or_default() += 1;
        }
        self.coverage.unspecified += u64::from(verdict.unspecified);
        self.lost |= verdict.lost;
        match self.replies.first() {
            // DEBUG ERROR answers what it is told to, which is no path of its own.
            Some(Reply::Error(_)) if request.is(0, "debug") && request.is(1, "error") => {}
            Some(Reply::Error(line)) => self.coverage.error(command, line),
            Some(reply) => self.harvest.collect(request, reply),
            None => {}
        }
        Ok(command)
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) -> Result<(), Box<Finding>> {
        self.let_pass(ms)?;
        self.deliver(None, &[], self.commands)
    }

    fn let_pass(&mut self, ms: u64) -> Result<(), Box<Finding>> {
        self.target.pass(ms).map_err(|error| {
            let request = Request::from(&[b"(time passes)"][..]);
            Box::new(Finding { command: self.commands, client: 0, request, wrong: Wrong::Target(error) })
        })?;
        self.deliveries.time_passed();
        if let Some(ledger) = &mut self.ledger {
            ledger.handed_on(self.target.take_handed_on());
        }
        Ok(())
    }

    /// A client closes its connection; where a request is given it sends so many of its bytes first.
    pub fn leave(&mut self, slot: Slot, begun: Option<(usize, &Request)>) -> Result<(), Box<Finding>> {
        let at = |error: TargetError, command: usize| {
            let request = Request::from(&[b"(connection closed)"][..]);
            Box::new(Finding { command, client: slot, request, wrong: Wrong::Target(error) })
        };
        if self.client(slot).is_none() && begun.is_none() {
            return Ok(());
        }
        let client = self.open(slot).map_err(|error| at(error, self.commands))?;
        if let Some((bytes, request)) = begun {
            self.outgoing.clear();
            request.encode(&mut self.outgoing);
            self.outgoing.truncate(bytes.min(self.outgoing.len().saturating_sub(1)));
            self.target.send(client.connection, &self.outgoing).map_err(|error| at(error, self.commands))?;
        }
        self.forget(slot);
        self.deliver(None, &[], self.commands)
    }

    /// Ends a connection on our side.
    fn forget(&mut self, slot: Slot) {
        let Some(client) = self.clients.get_mut(slot as usize).and_then(Option::take) else { return };
        self.target.close(client.connection);
        self.model.disconnect(client.id);
    }

    /// When the next command will have run, for the generator: the middle of what is known.
    pub fn span(&self) -> Span {
        self.target.span()
    }
}

/// Is it what a subscription brings?
fn is_message(reply: &Reply) -> bool {
    let Reply::Array(parts) = reply else { return false };
    match parts.as_slice() {
        [Reply::Bulk(kind), _, _] => kind == b"message",
        [Reply::Bulk(kind), _, _, _] => kind == b"pmessage",
        _ => false,
    }
}

/// Is the number of answers not fixed at one, or may connections end?
fn is_open_ended(request: &Request) -> bool {
    let name = request.name();
    // Names are compared often, so by their length first.
    let names: &[&str] = match name.len() {
        4 => &["quit", "post", "wait"],
        5 => &["debug", "blpop", "brpop", "host:", "xread"],
        6 => &["client"],
        7 => &["monitor"],
        8 => &["bzpopmin", "bzpopmax", "shutdown"],
        9 => &["subscribe"],
        10 => &["brpoplpush", "psubscribe", "xreadgroup"],
        11 => &["unsubscribe"],
        12 => &["punsubscribe"],
        _ => return false,
    };
    names.iter().any(|open_ended| name.eq_ignore_ascii_case(open_ended.as_bytes()))
}
