//! An append-only file into the dataset, by the commands' own handlers.
//!
//! Commands run as a client's would, but nothing is answered, propagated or counted, no key expires meanwhile, and what
//! does not write is passed over. A transaction runs when its EXEC is reached, so that one without it never happened.

use std::io::{BufRead, BufReader, Chain, Cursor, Read};

use super::read::{Role, Transactions};
use super::{AofError, AofErrorKind, Reader};
use crate::client::Client;
use crate::commands::{self, Context, table};
use crate::effect::LogLevel;
use crate::engine::Engine;
use crate::event::{ClientId, Peer};
use crate::faults::{self, Fault};
use crate::keyspace::Keyspace;
use crate::rdb::load::{LoadedAs, SnapshotLoad};
use crate::rdb::{LoadReport, RdbError};
use crate::resp::OwnedArgs;
use crate::state::Server;
use crate::world::World;

/// A step ends after so many commands, or with the one that reaches so many bytes: meanwhile nobody is served.
const STEP: u64 = 10_000;
const STEP_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;

/// What a file brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AofReport {
    /// What the preamble brought, if there is one.
    pub preamble: Option<LoadReport>,
    /// Commands that were run or passed over.
    pub commands: u64,
    /// Bytes up to the end of the last whole command or transaction.
    pub bytes: u64,
    /// The file went on, but ended inside a command or transaction: it is to be cut to `bytes`.
    pub cut: bool,
}

impl Engine {
    /// Replaces the dataset by what an append-only file makes. On an error the dataset is as it was. [AOF-4]
    ///
    /// A file that ends inside a command is loaded up to there while `aof-load-truncated` is on, and cut as soon as it
    /// is appended to.
    pub fn load_aof(&mut self, world: &mut dyn World, source: &mut dyn Read) -> Result<AofReport, AofError> {
        self.read_clock(world);
        let mut load = AofLoad::begin(&mut self.server, source);
        loop {
            match load.step(&mut self.server, world) {
                Ok(true) => {}
                Ok(false) => return Ok(load.finish(&mut self.server)),
                Err(error) => {
                    load.abandon(&mut self.server);
                    return Err(error);
                }
            }
        }
    }
}

/// An append-only file on its way into the dataset, which is empty when that begins.
pub(crate) struct AofLoad<R> {
    stage: Stage<R>,
    /// The dataset before.
    kept: Keyspace,
    /// Bytes of the file where that is known: hints of its preamble can be believed as far.
    length: u64,
    report: AofReport,
}

/// What follows a preamble: bytes that were read ahead, then the rest of the file.
type Behind<R> = BufReader<Chain<Cursor<Vec<u8>>, BufReader<R>>>;

enum Stage<R> {
    /// It is not known yet what the file begins with.
    Begin(BufReader<R>),
    Preamble(Box<SnapshotLoad<BufReader<R>>>),
    Commands(Box<Runner<Behind<R>>>),
    /// Only after an error.
    Over,
}

impl<R: Read> AofLoad<R> {
    /// Sets the dataset aside. What was begun must be finished or abandoned.
    pub(crate) fn begin(server: &mut Server, source: R) -> Self {
        let mut kept = server.keyspace.empty_twin();
        kept.exchange(&mut server.keyspace);
        server.loading = true;
        let report = AofReport { preamble: None, commands: 0, bytes: 0, cut: false };
        Self { stage: Stage::Begin(BufReader::with_capacity(BUFFER, source)), kept, length: 0, report }
    }

    /// Tells how many bytes the source has.
    pub(crate) fn of_length(mut self, length: u64) -> Self {
        self.length = length;
        self
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        match &self.stage {
            Stage::Begin(_) | Stage::Over => self.report.bytes,
            Stage::Preamble(load) => load.offset(),
            Stage::Commands(runner) => runner.reader.offset(),
        }
    }

    /// Goes on for a while; `false` when the end is reached.
    pub(crate) fn step(&mut self, server: &mut Server, world: &mut dyn World) -> Result<bool, AofError> {
        let preamble_failed = |error: RdbError| AofError { offset: error.offset, kind: AofErrorKind::Preamble(error) };
        match &mut self.stage {
            Stage::Begin(source) => {
                let first = source.fill_buf().map(|bytes| bytes.first().copied());
                let first = first.map_err(|error| AofError { offset: 0, kind: AofErrorKind::Io(error.kind()) })?;
                let Stage::Begin(source) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(false) };
                self.stage = if first == Some(b'R') {
                    let load = SnapshotLoad::begin(server, source, LoadedAs::Preamble).map_err(preamble_failed)?;
                    Stage::Preamble(Box::new(load.of_length(self.length)))
                } else {
                    Stage::Commands(Box::new(Runner::new(server, Cursor::default().chain(source), 0)))
                };
                Ok(true)
            }
            Stage::Preamble(load) => {
                if load.step(server).map_err(preamble_failed)? {
                    return Ok(true);
                }
                let Stage::Preamble(load) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(false) };
                let (preamble, rest) = load.finish(server);
                self.report.bytes = preamble.bytes;
                self.report.preamble = Some(preamble);
                self.stage = Stage::Commands(Box::new(Runner::new(server, rest, self.report.bytes)));
                Ok(true)
            }
            Stage::Commands(runner) => match runner.some_steps(server, world, &mut self.report) {
                Err(AofError { kind: AofErrorKind::Truncated { end }, .. }) if server.config.aof_load_truncated => {
                    let bytes = self.report.bytes;
                    let text = format!(
                        "The append-only file ends inside a command or transaction; it is cut from {end} to {bytes} bytes"
                    );
                    server.log(LogLevel::Warning, text);
                    self.report.cut = !faults::is(Fault::AofGoesOnBehindTear);
                    Ok(false)
                }
                other => other,
            },
            Stage::Over => Ok(false),
        }
    }

    /// What was loaded is the dataset from now on.
    pub(crate) fn finish(self, server: &mut Server) -> AofReport {
        server.loading = false;
        server.dirty = 0;
        server.touch_replaced(&self.kept);
        server.aof.loaded(self.report.bytes, self.report.cut, &mut server.effects);
        self.report
    }

    /// The dataset is the one before again.
    pub(crate) fn abandon(mut self, server: &mut Server) {
        server.loading = false;
        server.keyspace.exchange(&mut self.kept);
    }
}

/// The client whose commands a file holds.
fn nobody() -> Peer {
    Peer { address: String::new(), descriptor: -1, local: true, unix_socket: false }
}

struct Runner<R> {
    client: Client,
    reader: Reader<R>,
    transactions: Transactions,
    /// The commands of the open transaction.
    queue: Vec<OwnedArgs>,
}

impl<S: Read> Runner<BufReader<S>> {
    /// Runs what `source` holds, whose next byte has the given offset in the file.
    fn new(server: &Server, source: S, offset: u64) -> Self {
        let mut client = Client::new(ClientId(0), nobody(), server.clock.unix_ms());
        client.authenticated = true;
        let reader = Reader::new(BufReader::with_capacity(BUFFER, source), offset);
        Runner { client, reader, transactions: Transactions::default(), queue: Vec::new() }
    }
}

impl<R: BufRead> Runner<R> {
    /// Runs some commands; `false` when the file has ended.
    fn some_steps(
        &mut self,
        server: &mut Server,
        world: &mut dyn World,
        report: &mut AofReport,
    ) -> Result<bool, AofError> {
        let until = self.reader.offset().saturating_add(STEP_BYTES);
        for _ in 0..STEP {
            match self.step(server, world) {
                Ok(0) => {
                    if faults::is(Fault::AofKeepsOpenMulti) {
                        report.bytes = self.reader.offset();
                    }
                }
                Ok(commands) => {
                    report.commands += commands;
                    report.bytes = self.reader.offset();
                }
                Err(None) => return Ok(false),
                Err(Some(error)) => return Err(error),
            }
            if self.reader.offset() >= until {
                break;
            }
        }
        Ok(true)
    }

    /// Reads one command and runs it, or the transaction it ends. Answers how many commands are done; `Err(None)` at
    /// the end of the file.
    fn step(&mut self, server: &mut Server, world: &mut dyn World) -> Result<u64, Option<AofError>> {
        let mut command = OwnedArgs::default();
        if !self.reader.read(&mut command)? {
            let end = self.reader.offset();
            let open = self.transactions.open();
            return Err(open.map(|offset| AofError { offset, kind: AofErrorKind::Truncated { end } }));
        }
        let offset = self.reader.start();
        let fail = |kind| Some(AofError { offset, kind });
        match self.transactions.step(&command.as_args()[0], offset) {
            Role::Alone => {
                self.run(server, world, &command).map_err(fail)?;
                Ok(1)
            }
            Role::Queued => {
                find(server, &command).map_err(fail)?;
                if faults::is(Fault::AofRunsOpenTransactions) {
                    self.run(server, world, &command).map_err(fail)?;
                } else {
                    self.queue.push(command);
                }
                Ok(0)
            }
            Role::Exec => {
                let queue = std::mem::take(&mut self.queue);
                for command in &queue {
                    self.run(server, world, command).map_err(fail)?;
                }
                Ok(queue.len() as u64 + 1)
            }
        }
    }

    fn run(&mut self, server: &mut Server, world: &mut dyn World, command: &OwnedArgs) -> Result<(), AofErrorKind> {
        let Some(found) = find(server, command)? else { return Ok(()) };
        // PFCOUNT counts as one that reads, but keeps what it computes; scripts do what they do.
        if !found.has(table::WRITE) && !["select", "pfcount", "eval", "evalsha", "script"].contains(&found.name) {
            return Ok(());
        }
        let now_ms = server.clock.unix_ms();
        let mut cx = Context { server, client: &mut self.client, world, now_ms };
        // An error is what the client got too, so it changes nothing here as it did there.
        let _ = (found.handler)(&mut cx, &command.as_args());
        server.propagation.reset();
        self.client.output.clear();
        self.client.waiting = None;
        Ok(())
    }
}

/// The command of the table; `None` for one that only belongs to transactions.
fn find(server: &Server, command: &OwnedArgs) -> Result<Option<&'static commands::Command>, AofErrorKind> {
    let args = command.as_args();
    let name = &args[0];
    if [&b"multi"[..], b"exec"].iter().any(|word| name.eq_ignore_ascii_case(word)) {
        return Ok(None);
    }
    let shown = || name.escape_ascii().to_string();
    // What the server itself wrote has the command's own name, whatever the clients call it.
    let index = server.renames.find(name).or_else(|| table::find(name));
    let found = index.and_then(|index| table::COMMANDS.get(index));
    let found = found.ok_or_else(|| AofErrorKind::UnknownCommand(shown()))?;
    if !found.accepts(args.len()) {
        return Err(AofErrorKind::Arity(shown()));
    }
    Ok(Some(found))
}
