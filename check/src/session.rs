//! One target and one model side by side, from a fresh start: sends, receives, judges.
//!
//! Requests go out in batches of one client each; every answer is then judged in order. The first thing that does not
//! hold ends the session, because from then on the two halves are in different states.

use std::fmt;

use tally_model::value::Kind;
use tally_model::{Clause, ClientId, Deviation, Model, Outcome, Profile, Reply, Span};

use crate::coverage::{Coverage, command_index, grammar_at};
use crate::profile::ends_connection;
use crate::propagation::{self, Ledger};
use crate::request::{Quoted, Request};
use crate::script::Slot;
use crate::target::{Connection, Received, Setup, Target, TargetError, Wait};

/// Keys asked for after the AOF was loaded.
const AOF_KEYS: usize = 500;

/// What was found wrong.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// An answer that the specification does not allow.
    Answer(Box<Deviation>),
    /// The target gave no answer that could be judged.
    Target(TargetError),
    /// What was handed on to the AOF or to replicas.
    Propagation(propagation::Mismatch),
    /// An invariant inside the target.
    Invariant(String),
    /// The dataset that came out of a file.
    File(String),
    /// A key's value is not stored as it should be.
    Encoding {
        /// The key.
        key: Vec<u8>,
        /// As OBJECT ENCODING should name it.
        expected: &'static str,
        /// As it would.
        received: &'static str,
    },
}

/// Something found, and where.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Number of the command in its episode, from 0.
    pub command: usize,
    /// Which client sent it.
    pub client: Slot,
    /// What it sent.
    pub request: Request,
    /// What is wrong with what followed.
    pub wrong: Wrong,
}

/// What makes two findings the same bug for the shrinker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The command's name in lower case.
    pub command: String,
    /// The sort of wrong.
    pub kind: String,
    /// The clause it departs from, where there is one.
    pub clause: Option<&'static str>,
}

impl Finding {
    /// What a smaller script must show to count as showing the same.
    pub fn fingerprint(&self) -> Fingerprint {
        let command = String::from_utf8_lossy(self.request.name()).to_ascii_lowercase();
        let (kind, clause) = match &self.wrong {
            Wrong::Answer(deviation) => (format!("{:?}", deviation.kind), Some(deviation.clause.id())),
            Wrong::Target(TargetError::Crashed(text)) => {
                return Fingerprint { command: "crash".to_owned(), kind: text.clone(), clause: None };
            }
            Wrong::Target(TargetError::Timeout(_)) => ("timeout".to_owned(), None),
            Wrong::Target(TargetError::Protocol(_)) => ("protocol".to_owned(), None),
            Wrong::Target(_) => ("connection".to_owned(), None),
            Wrong::Propagation(_) => ("propagation".to_owned(), None),
            Wrong::Invariant(_) => ("invariant".to_owned(), None),
            Wrong::File(_) => ("file".to_owned(), None),
            // In the middle of a pipeline another command is the last before it is looked at.
            Wrong::Encoding { expected, received, .. } => {
                return Fingerprint {
                    command: "encoding".to_owned(),
                    kind: format!("{received} for {expected}"),
                    clause: None,
                };
            }
        };
        Fingerprint { command, kind, clause }
    }

    /// The clause, where one is known.
    pub fn clause(&self) -> Option<Clause> {
        match &self.wrong {
            Wrong::Answer(deviation) => Some(deviation.clause),
            _ => None,
        }
    }

    /// What would have been right, in words.
    pub fn expected(&self) -> String {
        match &self.wrong {
            Wrong::Answer(deviation) => deviation.allowed.to_string(),
            Wrong::Target(_) => "an answer".to_owned(),
            Wrong::Propagation(mismatch) => mismatch.expected(),
            Wrong::Invariant(_) => "every invariant holds".to_owned(),
            Wrong::File(_) => "the dataset as it was".to_owned(),
            Wrong::Encoding { key, expected, .. } => format!("{} then stored as {expected}", Quoted(key)),
        }
    }

    /// What came, in words.
    pub fn received(&self) -> String {
        match &self.wrong {
            Wrong::Answer(deviation) => {
                let mut text = deviation.received.iter().map(Reply::to_string).collect::<Vec<_>>().join(" then ");
                if deviation.received.is_empty() {
                    text.push_str("no reply");
                }
                if deviation.closed {
                    text.push_str(", connection closed");
                }
                text
            }
            Wrong::Target(error) => error.to_string(),
            Wrong::Propagation(mismatch) => mismatch.received(),
            Wrong::Invariant(text) | Wrong::File(text) => text.clone(),
            Wrong::Encoding { received, .. } => format!("stored as {received}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "client {}: {}", self.client, self.request)?;
        writeln!(f, "  expected {}", self.expected())?;
        writeln!(f, "  received {}", self.received())?;
        match self.clause() {
            Some(clause) => write!(f, "  clause   [{}]", clause.id()),
            None => write!(f, "  clause   none"),
        }
    }
}

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
}

/// What CLIENT REPLY asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyMode {
    On,
    Off,
    SkipsNext,
}

/// What the generator is told about answers: serializations and cursors worth sending again.
#[derive(Clone, Debug, Default)]
pub struct Harvest {
    /// What DUMP answered, the latest few.
    pub payloads: Vec<Vec<u8>>,
    /// What SCAN and its like answered: the command's name in lower case, the key (empty for SCAN), the cursor; the latest
    /// few.
    cursors: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
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
    /// The database that each command of the batch worked in.
    databases: Vec<usize>,
    /// The target shows how values are stored, and they are stored as the model says.
    sees_encodings: bool,
    /// `hll-sparse-max-bytes` or a limit of streams' nodes was changed, so that a replay of the AOF, which does not hold
    /// directives, may make other strings of the same HyperLogLog commands, and other nodes of the same entries.
    file_is_ambiguous: bool,
}

/// Does the AOF hold what the question is about? It holds no encodings, and not when consumers were last seen.
fn is_in_file(question: &Request) -> bool {
    !question.is(0, "object") && !(question.is(0, "xinfo") && question.is(1, "consumers"))
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
        let streams = if profile.errata.is_empty() { profile.streams } else { target.stream_habits() };
        let mut model = Model::new(Profile { streams, ..profile });
        let ledger = target.can().propagation.then(Ledger::default);
        model.record_propagation(ledger.is_some());
        let sees_encodings = target.can().encodings;
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
            databases: Vec::new(),
            sees_encodings,
            file_is_ambiguous: false,
        })
    }

    /// Commands judged so far.
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
        let client = Client { connection, id: ClientId(connection.0), quiet: false, reply_mode: ReplyMode::On };
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
        self.databases.clear();
        let mut rest = batch;
        while let Some(first) = rest.first() {
            let at = |command: usize, request: &Request, wrong: Wrong| {
                Box::new(Finding { command, client: slot, request: request.clone(), wrong })
            };
            let client = self.open(slot).map_err(|error| at(self.commands, &first.request, Wrong::Target(error)))?;
            // How many answers an open-ended command brings is only known by waiting, so nothing may follow it.
            let open_ended = |sent: &Sent| client.quiet || is_open_ended(&sent.request);
            let together = match rest.iter().position(open_ended) {
                Some(0) => 1,
                Some(length) => length,
                None => rest.len(),
            };
            let (now, later) = rest.split_at(together);
            rest = later;
            self.outgoing.clear();
            for sent in now {
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
                let closed = self.answers(client.connection, wait, index + 1 == now.len()).map_err(|error| {
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
                self.databases.push(self.model.selected_db(client.id));
                self.judge(slot, understood, closed).map_err(|wrong| at(command, request, wrong))?;
                answered(request, &self.replies);
                if closed {
                    self.target.close(client.connection);
                    self.model.disconnect(client.id);
                    self.clients[slot as usize] = None;
                    rest = &[];
                    break;
                }
                self.note_reply_mode(slot, request);
            }
        }
        self.compare_encodings(slot, batch, first_command)?;
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
        for (index, &db) in self.databases.iter().enumerate().rev() {
            let Some(sent) = batch.get(index) else { continue };
            let Some(grammar) = grammar_at(command_index(sent.request.name())) else { continue };
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

    /// Collects the replies to one command into `self.replies`; true when the connection was closed after them.
    fn answers(&mut self, connection: Connection, wait: Wait, last: bool) -> Result<bool, TargetError> {
        self.replies.clear();
        let settles = wait != Wait::Reply;
        let mut wait = wait;
        loop {
            match self.target.receive(connection, wait)? {
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

    /// Follows CLIENT REPLY.
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

    fn judge(&mut self, slot: Slot, request: &Request, closed: bool) -> Result<(), Wrong> {
        let Some(client) = self.clients[slot as usize] else { return Ok(()) };
        let span = self.target.span();
        let outcome = Outcome { replies: &self.replies, closed };
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
        let verdict = self.model.step(client.id, arguments, &outcome, span).map_err(Wrong::Answer)?;
        if let Some(ledger) = &mut self.ledger {
            let failed = matches!(self.replies.as_slice(), [Reply::Error(_)]);
            ledger.expect(self.model.take_propagated(), failed);
        }
        self.commands += 1;
        let command = command_index(request.name());
        self.coverage.accepted(command);
        if let Some(erratum) = verdict.erratum {
            *self.coverage.errata.entry(erratum).or_default() += 1;
        }
        self.coverage.unspecified += u64::from(verdict.unspecified);
        match self.replies.first() {
            // DEBUG ERROR answers what it is told to, which is no path of its own.
            Some(Reply::Error(_)) if request.is(0, "debug") && request.is(1, "error") => {}
            Some(Reply::Error(line)) => self.coverage.error(command, line),
            Some(reply) => self.harvest.collect(request, reply),
            None => {}
        }
        Ok(())
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) -> Result<(), TargetError> {
        self.target.pass(ms)?;
        if let Some(ledger) = &mut self.ledger {
            ledger.handed_on(self.target.take_handed_on());
        }
        Ok(())
    }

    /// Questions about everything the model knows, so that no difference stays hidden at the end.
    pub fn audit(&self, most_keys: usize) -> Vec<Sent> {
        let mut questions: Vec<Sent> = Vec::new();
        let mut ask = |words: &[&[u8]]| questions.push(Sent { request: words.into(), inline: false });
        let mut database = None;
        for record in self.model.dataset(self.target.span()).take(most_keys) {
            if database != Some(record.db) {
                database = Some(record.db);
                ask(&[b"SELECT", record.db.to_string().as_bytes()]);
                ask(&[b"DBSIZE"]);
            }
            ask(&[b"TYPE", record.key]);
            ask(&[b"PTTL", record.key]);
            let kind = record.entry.map_or(Kind::String, |entry| entry.value.kind());
            match kind {
                Kind::String => ask(&[b"GET", record.key]),
                Kind::List => ask(&[b"LRANGE", record.key, b"0", b"-1"]),
                Kind::Set => ask(&[b"SMEMBERS", record.key]),
                Kind::Zset => ask(&[b"ZRANGE", record.key, b"0", b"-1", b"WITHSCORES"]),
                Kind::Hash => ask(&[b"HGETALL", record.key]),
                Kind::Stream => {
                    ask(&[b"XRANGE", record.key, b"-", b"+"]);
                    ask(&[b"XINFO", b"STREAM", record.key]);
                    ask(&[b"XINFO", b"GROUPS", record.key]);
                    let groups = self.model.stream(record.db, record.key).into_iter().flat_map(|stream| &stream.groups);
                    for (name, _) in groups {
                        ask(&[b"XPENDING", record.key, name, b"-", b"+", b"1000000"]);
                        ask(&[b"XINFO", b"CONSUMERS", record.key, name]);
                    }
                }
            }
            ask(&[b"OBJECT", b"ENCODING", record.key]);
        }
        questions
    }

    /// Checks what no client can see: the target's invariants, and that its AOF holds the dataset.
    pub fn conclude(&mut self) -> Result<(), Box<Finding>> {
        let at_end = |wrong: Wrong, request: &Request| {
            Box::new(Finding { command: self.commands, client: 0, request: request.clone(), wrong })
        };
        let end = Request::from(&[b"(end)"][..]);
        self.target.validate().map_err(|text| at_end(Wrong::Invariant(text), &end))?;
        if self.file_is_ambiguous {
            return Ok(());
        }
        let restarted = self.target.restarted_from_aof();
        let restarted = restarted.map_err(|error| at_end(Wrong::File(error.to_string()), &end))?;
        let Some(mut second) = restarted else { return Ok(()) };
        // Encodings may differ: a value that came in pieces is written to the file as one. DBSIZE may too, because a key
        // that has expired is still in the file; KEYS hides it.
        let mut questions: Vec<Sent> =
            self.audit(AOF_KEYS).into_iter().filter(|sent| is_in_file(&sent.request)).collect();
        for question in questions.iter_mut().filter(|sent| sent.request.is(0, "dbsize")) {
            question.request = ["KEYS", "*"].iter().collect();
        }
        let mut uncounted = Coverage::default();
        let mut session = Session {
            target: &mut *second,
            model: self.model.clone(),
            coverage: &mut uncounted,
            harvest: Harvest::default(),
            clients: Vec::new(),
            commands: 0,
            outgoing: Vec::new(),
            replies: Vec::new(),
            ledger: None,
            databases: Vec::new(),
            sees_encodings: false,
            file_is_ambiguous: false,
        };
        for batch in questions.chunks(32) {
            session.batch(1, batch, |_, _| {}).map_err(|finding| {
                let text = format!("after loading the AOF {} answers {}", finding.request, finding.received());
                at_end(Wrong::File(text), &end)
            })?;
        }
        Ok(())
    }

    /// When the next command will have run, for the generator: the middle of what is known.
    pub fn span(&self) -> Span {
        self.target.span()
    }
}

/// Is the number of answers not fixed at one, or may connections end?
fn is_open_ended(request: &Request) -> bool {
    const OPEN_ENDED: [&str; 6] = ["quit", "post", "host:", "client", "shutdown", "debug"];
    // Names are compared often, so by their length first.
    matches!(request.name().len(), 4 | 5 | 6 | 8) && OPEN_ENDED.into_iter().any(|name| request.is(0, name))
}

impl Harvest {
    const MOST: usize = 8;

    /// The cursor that this command of the SCAN family last answered for this key.
    pub fn cursor(&self, command: &[u8], key: &[u8]) -> Option<&[u8]> {
        let same = |entry: &&(Vec<u8>, Vec<u8>, Vec<u8>)| entry.0.eq_ignore_ascii_case(command) && entry.1 == key;
        self.cursors.iter().find(same).map(|(_, _, cursor)| cursor.as_slice())
    }

    fn collect(&mut self, request: &Request, reply: &Reply) {
        match reply {
            Reply::Bulk(payload) if request.is(0, "dump") => {
                if self.payloads.len() == Self::MOST {
                    self.payloads.remove(0);
                }
                self.payloads.push(payload.clone());
            }
            Reply::Array(parts) if matches!(request.name().len(), 4 | 5) => {
                let key = match request.name().to_ascii_lowercase().as_slice() {
                    b"scan" => b"".as_slice(),
                    b"sscan" | b"hscan" | b"zscan" => request.argument(1),
                    _ => return,
                };
                if let Some(Reply::Bulk(cursor)) = parts.first() {
                    self.note_cursor(request.name(), key, cursor);
                }
            }
            _ => {}
        }
    }

    fn note_cursor(&mut self, command: &[u8], key: &[u8], cursor: &[u8]) {
        self.cursors.retain(|entry| !(entry.0.eq_ignore_ascii_case(command) && entry.1 == key));
        if cursor == b"0" {
            return;
        }
        if self.cursors.len() == Self::MOST {
            self.cursors.remove(0);
        }
        self.cursors.push((command.to_vec(), key.to_vec(), cursor.to_vec()));
    }
}
