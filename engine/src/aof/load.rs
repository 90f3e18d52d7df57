//! An append-only file into the dataset, by the commands' own handlers.
//!
//! Commands run as a client's would, but nothing is answered, propagated or counted, no key expires meanwhile, and what
//! does not write is passed over. A transaction runs when its EXEC is reached, so that one without it never happened.

use std::io::{BufRead, BufReader, Read};

use super::read::{Role, Transactions};
use super::{AofError, AofErrorKind, Reader};
use crate::client::Client;
use crate::commands::{self, Context, table};
use crate::effect::LogLevel;
use crate::engine::Engine;
use crate::event::{ClientId, Peer};
use crate::faults::{self, Fault};
use crate::rdb::LoadReport;
use crate::rdb::load::LoadedAs;
use crate::resp::OwnedArgs;
use crate::state::Server;
use crate::world::{Busy, World};

/// The world is asked whether to go on after so many commands.
const POLL_EVERY: u64 = 1000;
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
        let server = &mut self.server;
        let mut kept = server.keyspace.empty_twin();
        kept.exchange(&mut server.keyspace);
        server.loading = true;
        let loaded = load(server, world, source);
        server.loading = false;
        match &loaded {
            Ok(report) => {
                server.dirty = 0;
                server.touch_replaced(&kept);
                server.aof.loaded(report.bytes, report.cut, &mut server.effects);
            }
            Err(_) => server.keyspace.exchange(&mut kept),
        }
        loaded
    }
}

fn load(server: &mut Server, world: &mut dyn World, source: &mut dyn Read) -> Result<AofReport, AofError> {
    let mut report = AofReport { preamble: None, commands: 0, bytes: 0, cut: false };
    let mut source = BufReader::with_capacity(BUFFER, source);
    let first = source.fill_buf().map(|bytes| bytes.first().copied());
    let first = first.map_err(|error| AofError { offset: 0, kind: AofErrorKind::Io(error.kind()) })?;
    if first != Some(b'R') {
        return load_commands(server, world, source, report);
    }
    let (preamble, rest) = server
        .load_snapshot(world, source, LoadedAs::Preamble)
        .map_err(|error| AofError { offset: error.offset, kind: AofErrorKind::Preamble(error) })?;
    report.bytes = preamble.bytes;
    report.preamble = Some(preamble);
    load_commands(server, world, BufReader::with_capacity(BUFFER, rest), report)
}

fn load_commands<R: BufRead>(
    server: &mut Server,
    world: &mut dyn World,
    source: R,
    mut report: AofReport,
) -> Result<AofReport, AofError> {
    let mut runner = Runner {
        client: Client::new(ClientId(0), nobody(), server.clock.unix_ms()),
        reader: Reader::new(source, report.bytes),
        transactions: Transactions::default(),
        queue: Vec::new(),
    };
    runner.client.authenticated = true;
    let end = loop {
        if report.commands % POLL_EVERY == POLL_EVERY - 1 && world.poll_while_busy() == Busy::Stop {
            break Err(AofError { offset: runner.reader.offset(), kind: AofErrorKind::Stopped });
        }
        match runner.step(server, world) {
            Ok(0) => {
                if faults::is(Fault::AofKeepsOpenMulti) {
                    report.bytes = runner.reader.offset();
                }
            }
            Ok(commands) => {
                report.commands += commands;
                report.bytes = runner.reader.offset();
            }
            Err(None) => break Ok(()),
            Err(Some(error)) => break Err(error),
        }
    };
    match end {
        Err(AofError { kind: AofErrorKind::Truncated { end }, .. }) if server.config.aof_load_truncated => {
            let text =
                format!("The append-only file ends inside a command; it is cut from {end} to {} bytes", report.bytes);
            server.log(LogLevel::Warning, text);
            report.cut = !faults::is(Fault::AofGoesOnBehindTear);
        }
        other => other?,
    }
    Ok(report)
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

impl<R: BufRead> Runner<R> {
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
