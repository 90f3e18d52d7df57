//! The engine in this process: virtual time, a simulated disk, connections without sockets.
//!
//! Bytes that are sent reach the engine at once, one input event per call of `send`; replies leave it when somebody
//! looks for them, because only then the batch ends. So everything sent in between is one pipeline.
//!
//! Wall-clock time stands still unless a script lets it pass, which makes each command's [`Span`] a point. The monotonic
//! clock moves one microsecond per look, so that budgets of time run out.

mod stream;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::rc::Rc;
use std::sync::Once;

use tally_engine::config::Config;
use tally_engine::{
    Busy, ClientId, Effect, Engine, Event, FileEffect, FileId, IoFailure, PeerFailure, PeerId, SnapshotMode, World,
};
use tally_model::Span;

use super::{Capabilities, Connection, HandedOn, HandedOnErrors, Received, Setup, Target, TargetError, Wait};
use crate::reply_reader::ReplyReader;
use crate::simulator::rewrite_child::SimulatedChild;
use stream::Stream;

/// When virtual time begins: 2023-11-14 22:13:20 UTC.
const BEGINNING_MS: i64 = 1_700_000_000_000;

/// The most ticks of the engine's clock that one pause is made of; a longer pause skips some.
const MOST_TICKS: u64 = 12;

thread_local! {
    /// The engine runs: a panic is caught and reported as a finding, so nothing else need say it.
    static DRIVING: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic happened: file and line.
    static PLACE: Cell<String> = const { Cell::new(String::new()) };
}

/// Runs the engine; a panic in it becomes its text and place, without the usual words on standard error.
fn catching<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            PLACE.set(panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default());
            if !DRIVING.get() {
                usual(panic);
            }
        }));
    });
    DRIVING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DRIVING.set(false);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("{} at {}", text.as_deref().unwrap_or("a panic without words"), PLACE.take())
    })
}

/// What somebody does as soon as a script has run for longer than `lua-time-limit`.
#[derive(Clone, Debug)]
struct Interruption {
    by: ClientId,
    sends: Vec<u8>,
    leaves: bool,
}

/// Another server, and the way to it: what MIGRATE reaches. Whoever waits in vain has the time pass that it waited.
pub trait Neighbour {
    /// A connection is made, or not.
    ///
    /// # Errors
    /// Why not.
    fn connect(&mut self, host: &[u8], port: u16) -> Result<PeerId, PeerFailure>;
    /// Takes bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    fn send(&mut self, peer: PeerId, bytes: &[u8]) -> Result<(), PeerFailure>;
    /// Answers, one byte at least.
    ///
    /// # Errors
    /// When the connection is gone, or nothing comes.
    fn receive(&mut self, peer: PeerId, room: &mut [u8]) -> Result<usize, PeerFailure>;
    /// The connection ends.
    fn close(&mut self, peer: PeerId);
}

/// The engine's surroundings.
#[derive(Clone)]
struct VirtualWorld {
    monotonic_us: u64,
    unix_us: i64,
    interruption: Option<Interruption>,
    neighbour: Option<Rc<RefCell<dyn Neighbour>>>,
}

impl VirtualWorld {
    /// Asks the neighbour; nobody listens where there is none.
    fn ask_neighbour<T>(
        &mut self,
        timeout_ms: u64,
        question: impl FnOnce(&mut dyn Neighbour) -> Result<T, PeerFailure>,
    ) -> Result<T, PeerFailure> {
        let Some(neighbour) = &self.neighbour else { return Err(PeerFailure::Broken) };
        let answer = question(&mut *neighbour.borrow_mut());
        if matches!(answer, Err(PeerFailure::TimedOut)) {
            self.sleep_us(timeout_ms.saturating_mul(1000));
        }
        answer
    }
}

impl World for VirtualWorld {
    fn now_us(&mut self) -> u64 {
        // Whoever is to be interrupted runs for too long from the first look on.
        let passed_us = if self.interruption.is_some() { 10_000_000 } else { 1 };
        self.monotonic_us = self.monotonic_us.saturating_add(passed_us);
        self.monotonic_us
    }

    fn serve_others(&mut self, engine: &mut Engine) -> Busy {
        if let Some(Interruption { by, sends, leaves }) =
            self.interruption.take_if(|one| !engine.runs_script_of(one.by))
        {
            engine.feed(self, by, &sends);
            if leaves {
                engine.handle(self, Event::Closed { client: by });
            }
            engine.handle(self, Event::BatchEnd);
        }
        Busy::Continue
    }

    fn unix_us(&mut self) -> i64 {
        self.unix_us
    }

    fn used_memory(&self, account: &dyn Fn() -> usize) -> usize {
        1_000_000 + account()
    }

    fn sleep_us(&mut self, us: u64) {
        self.monotonic_us = self.monotonic_us.saturating_add(us);
        self.unix_us = self.unix_us.saturating_add_unsigned(us);
    }

    fn process_fact(&self, _field: &str) -> Option<String> {
        None
    }

    fn connect_peer(&mut self, host: &[u8], port: u16, timeout_ms: u64) -> Result<PeerId, PeerFailure> {
        self.ask_neighbour(timeout_ms, |neighbour| neighbour.connect(host, port))
    }

    fn send_to_peer(&mut self, peer: PeerId, bytes: &[u8], timeout_ms: u64) -> Result<(), PeerFailure> {
        self.ask_neighbour(timeout_ms, |neighbour| neighbour.send(peer, bytes))
    }

    fn receive_from_peer(&mut self, peer: PeerId, room: &mut [u8], timeout_ms: u64) -> Result<usize, PeerFailure> {
        self.ask_neighbour(timeout_ms, |neighbour| neighbour.receive(peer, room))
    }

    fn close_peer(&mut self, peer: PeerId) {
        if let Some(neighbour) = &self.neighbour {
            neighbour.borrow_mut().close(peer);
        }
    }
}

/// Files as bytes; everything written is there, nothing fails.
#[derive(Clone, Debug, Default)]
struct Disk {
    files: BTreeMap<&'static str, Vec<u8>>,
}

/// The dump's name.
const DUMP: &str = "dump.rdb";

fn file_name(file: FileId) -> &'static str {
    match file {
        FileId::Aof => "appendonly.aof",
        FileId::AofRewritten => "temp-rewriteaof.aof",
    }
}

#[derive(Debug)]
struct Link {
    client: ClientId,
    reader: ReplyReader,
    closed: bool,
    /// Whoever holds the connection knows that it is closed.
    told: bool,
}

/// The embedded engine.
pub struct Embedded {
    engine: Engine,
    world: VirtualWorld,
    disk: Disk,
    links: Vec<Link>,
    /// Input came since the last end of a batch.
    unfinished: bool,
    /// Effects being executed; kept for its memory.
    effects: Vec<Effect>,
    records: bool,
    /// It was to start with `lua-replicate-commands no`.
    whole_scripts: bool,
    /// What was handed on and not yet taken.
    handed_on: Vec<HandedOn>,
    /// What was handed on to replicas since the beginning.
    stream: Stream,
    /// Why the engine can be asked no more.
    dead: Option<String>,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl Embedded {
    /// An empty engine with default settings.
    pub fn new() -> Self {
        Self {
            engine: Engine::new(Config::default(), 0),
            world: VirtualWorld { monotonic_us: 0, unix_us: BEGINNING_MS * 1000, interruption: None, neighbour: None },
            disk: Disk::default(),
            links: Vec::new(),
            unfinished: false,
            effects: Vec::new(),
            records: false,
            whole_scripts: false,
            handed_on: Vec::new(),
            stream: Stream::default(),
            dead: None,
        }
    }

    /// The engine, for checks that no client can make.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whom MIGRATE reaches until the next reset, by whatever name.
    pub fn set_neighbour(&mut self, neighbour: Rc<RefCell<dyn Neighbour>>) {
        self.world.neighbour = Some(neighbour);
    }

    /// Sends, as [`Target::send`] does, and makes a script that this sets going run for longer than `lua-time-limit`: meanwhile
    /// another client sends `meanwhile`, and then leaves if that is said. Answers whether it came to that.
    ///
    /// # Errors
    /// When the engine crashed, now or before, or there is no such connection.
    pub fn send_interrupted(
        &mut self,
        connection: Connection,
        bytes: &[u8],
        other: Connection,
        meanwhile: &[u8],
        leaves: bool,
    ) -> Result<bool, TargetError> {
        let link = self.link(other)?;
        let gone = link.closed;
        let interruption = Interruption { by: link.client, sends: meanwhile.to_vec(), leaves };
        self.world.interruption = Some(interruption).filter(|_| !gone);
        let sent = self.send(connection, bytes);
        let interrupted = self.world.interruption.take().is_none() && !gone;
        if interrupted && leaves {
            self.link(other)?.closed = true;
        }
        sent.map(|()| interrupted)
    }

    /// Runs `body` on the engine and then everything that follows from it; a panic is the target's crash.
    fn drive(&mut self, body: impl FnOnce(&mut Self)) -> Result<(), TargetError> {
        if let Some(reason) = &self.dead {
            return Err(TargetError::Crashed(reason.clone()));
        }
        let outcome = catching(|| {
            body(self);
            self.execute_effects();
        });
        if let Err(text) = outcome {
            self.dead = Some(text);
        }
        if self.records {
            self.note_handed_on();
        }
        match &self.dead {
            Some(reason) => Err(TargetError::Crashed(reason.clone())),
            None => Ok(()),
        }
    }

    fn note_handed_on(&mut self) {
        for command in self.engine.take_propagated() {
            let command = HandedOn {
                aof: command.targets.aof,
                replicas: command.targets.replicas,
                db: command.db,
                arguments: command.arguments,
            };
            if command.replicas {
                self.stream.push(self.world.unix_us, command.db, &command.arguments);
            }
            self.handed_on.push(command);
        }
    }

    /// Answers whether one of them was more than handing out replies.
    fn execute_effects(&mut self) -> bool {
        let mut worked = false;
        loop {
            std::mem::swap(&mut self.effects, self.engine.effects());
            if self.effects.is_empty() {
                return worked;
            }
            let mut effects = std::mem::take(&mut self.effects);
            for effect in effects.drain(..) {
                worked |= !matches!(effect, Effect::Output { .. });
                self.execute(effect);
            }
            self.effects = effects;
        }
    }

    fn execute(&mut self, effect: Effect) {
        match effect {
            Effect::Output { client } => self.collect_output(client),
            Effect::Close { client, after_output } => {
                if after_output {
                    self.collect_output(client);
                }
                if let Some(link) = self.links.iter_mut().find(|link| link.client == client) {
                    link.closed = true;
                }
                self.engine.handle(&mut self.world, Event::Closed { client });
            }
            Effect::File(step) => self.file(step),
            Effect::Snapshot(mode) => {
                if mode == SnapshotMode::Background {
                    self.engine.handle(&mut self.world, Event::ChildStarted { fork_us: 0 });
                }
                let mut dump = Vec::new();
                let written = self.engine.snapshot(&mut dump);
                self.disk.files.insert(DUMP, dump);
                let result = written.map_err(|error| IoFailure::new(0, error.to_string()));
                self.engine.handle(&mut self.world, Event::SnapshotEnded { result, copied_on_write: 0 });
            }
            Effect::Rewrite => self.rewrite(),
            Effect::Reload { aof } => {
                let name = if aof { file_name(FileId::Aof) } else { DUMP };
                let result = match self.disk.files.get(name) {
                    None => Err("No such file or directory".to_owned()),
                    Some(content) if aof => {
                        let loaded = self.engine.load_aof(&mut self.world, &mut content.as_slice());
                        loaded.map(drop).map_err(|error| error.to_string())
                    }
                    Some(content) => {
                        let loaded = self.engine.load_rdb(&mut self.world, &mut content.as_slice());
                        loaded.map(drop).map_err(|error| error.to_string())
                    }
                };
                let result = result.map_err(|text| IoFailure::new(0, text));
                self.engine.handle(&mut self.world, Event::Reloaded { result });
            }
            Effect::RewriteConfig => {
                let result = Ok(());
                self.engine.handle(&mut self.world, Event::ConfigRewritten { result });
            }
            Effect::StopSnapshot | Effect::StopRewrite | Effect::ConfigChanged { .. } | Effect::Log { .. } => {}
            Effect::Exit { code } => self.dead = Some(format!("the server left with code {code}")),
            Effect::Crash { reason } => self.dead = Some(reason.to_owned()),
        }
    }

    /// A rewrite by a child that ends as soon as it has begun.
    fn rewrite(&mut self) {
        let failed = |text: String| Err(IoFailure::new(0, text));
        let forked = SimulatedChild::fork(&self.engine, 64 * 1024);
        self.engine.handle(&mut self.world, Event::ChildStarted { fork_us: 0 });
        let result = match forked.map(|(child, ends)| child.finish(&mut self.engine, ends)) {
            Ok(Ok(content)) => {
                let length = content.len() as u64;
                self.disk.files.insert(file_name(FileId::AofRewritten), content);
                Ok(length)
            }
            Ok(Err(why)) => failed(why.to_string()),
            Err(error) => failed(error.to_string()),
        };
        self.engine.handle(&mut self.world, Event::RewriteEnded { result, copied_on_write: 0 });
    }

    fn collect_output(&mut self, client: ClientId) {
        let Some(link) = self.links.iter_mut().find(|link| link.client == client) else { return };
        let buffer = link.reader.buffer();
        let before = buffer.len();
        for slice in self.engine.output(client) {
            buffer.extend_from_slice(slice);
        }
        let length = buffer.len() - before;
        self.engine.written(client, length);
    }

    fn file(&mut self, step: FileEffect) {
        let (file, bytes) = match step {
            FileEffect::Open(file) | FileEffect::Reopen(file) => {
                self.disk.files.entry(file_name(file)).or_default();
                (file, 0)
            }
            FileEffect::Write(file) => {
                let bytes = self.engine.file_bytes(file);
                self.disk.files.entry(file_name(file)).or_default().extend_from_slice(bytes);
                (file, bytes.len())
            }
            FileEffect::Truncate(file, length) => {
                let content = self.disk.files.entry(file_name(file)).or_default();
                content.resize(usize::try_from(length).unwrap_or(usize::MAX).min(content.len()), 0);
                (file, 0)
            }
            FileEffect::Rename(from, to) => {
                let content = self.disk.files.remove(file_name(from)).unwrap_or_default();
                self.disk.files.insert(file_name(to), content);
                (from, 0)
            }
            FileEffect::Remove(file) => {
                self.disk.files.remove(file_name(file));
                (file, 0)
            }
            FileEffect::Fsync(file) | FileEffect::FsyncInBackground(file) | FileEffect::Close(file) => (file, 0),
            FileEffect::SyncDirectory => (FileId::Aof, 0),
        };
        self.engine.handle(&mut self.world, Event::FileDone { file, bytes });
    }

    fn link(&mut self, connection: Connection) -> Result<&mut Link, TargetError> {
        let missing = || TargetError::Connection("no such connection".to_owned());
        usize::try_from(connection.0).ok().and_then(|index| self.links.get_mut(index)).ok_or_else(missing)
    }

    fn end_batch(&mut self) -> Result<(), TargetError> {
        if !self.unfinished {
            return Ok(());
        }
        self.unfinished = false;
        self.drive(|this| {
            this.execute_effects();
            this.engine.handle(&mut this.world, Event::BatchEnd);
            if this.execute_effects() {
                // What waited for an effect was answered meanwhile.
                this.engine.handle(&mut this.world, Event::BatchEnd);
            }
        })
    }

    fn address(index: u64) -> (String, i32) {
        (format!("127.0.0.1:{}", 40_000 + index % 20_000), 8 + i32::try_from(index % 10_000).unwrap_or(0))
    }
}

impl Target for Embedded {
    fn reset(&mut self, setup: &Setup) -> Result<(), TargetError> {
        let mut text = String::new();
        for (name, value) in &setup.config {
            text.push_str(&format!("{name} \"{value}\"\n"));
        }
        let config = Config::parse(&text).map_err(|error| TargetError::Connection(error.to_string()))?;
        let effects = std::mem::take(&mut self.effects);
        *self = Self { engine: Engine::new(config, setup.seed), effects, ..Self::new() };
        self.effects.clear();
        self.records = setup.record_propagation;
        self.whole_scripts = setup.has("lua-replicate-commands", "no");
        if self.records {
            self.engine.record_propagation();
        }
        self.drive(|this| this.engine.start(&mut this.world))
    }

    fn open(&mut self) -> Result<Connection, TargetError> {
        let index = self.links.len() as u64;
        let (address, descriptor) = Self::address(index);
        let peer = tally_engine::Peer { address, descriptor, local: true, unix_socket: false };
        self.drive(|this| {
            let client = this.engine.connect(&mut this.world, peer);
            this.links.push(Link { client, reader: ReplyReader::default(), closed: false, told: false });
        })?;
        Ok(Connection(index))
    }

    fn peer(&self, connection: Connection) -> tally_model::Peer {
        let (address, _) = Self::address(connection.0);
        // Without it nobody could tell whom CLIENT UNBLOCK or KILL reached.
        let id = self.links.get(connection.0 as usize).and_then(|link| i64::try_from(link.client.0).ok());
        tally_model::Peer { address: Some(address.into_bytes()), local: true, id }
    }

    fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), TargetError> {
        let link = self.link(connection)?;
        if link.closed {
            return Ok(());
        }
        let client = link.client;
        self.unfinished = true;
        self.drive(|this| this.engine.feed(&mut this.world, client, bytes))
    }

    fn receive(&mut self, connection: Connection, _wait: Wait) -> Result<Received, TargetError> {
        self.end_batch()?;
        let link = self.link(connection)?;
        match link.reader.next_reply()? {
            Some(reply) => Ok(Received::Reply(reply)),
            None if link.closed => {
                link.told = true;
                Ok(Received::Closed)
            }
            None => Ok(Received::Nothing),
        }
    }

    fn may_have_sent(&self) -> bool {
        self.unfinished
            || self.links.iter().any(|link| !link.told && (link.closed || !link.reader.pending().is_empty()))
    }

    fn close(&mut self, connection: Connection) {
        let Ok(link) = self.link(connection) else { return };
        link.told = true;
        if !link.closed {
            link.closed = true;
            let client = link.client;
            // A crash shows in the next call.
            let _ = self.drive(|this| this.engine.handle(&mut this.world, Event::Closed { client }));
        }
    }

    fn span(&self) -> Span {
        Span::at(self.world.unix_us / 1000)
    }

    fn pass(&mut self, ms: u64) -> Result<(), TargetError> {
        self.end_batch()?;
        let end_us = self.world.unix_us.saturating_add_unsigned(ms.saturating_mul(1000));
        let mut ticks = 0;
        loop {
            let due_us = self.engine.next_tick_ms(self.world.unix_us.div_euclid(1000)).saturating_mul(1000);
            if due_us > end_us || ticks == MOST_TICKS {
                break;
            }
            ticks += 1;
            let step = u64::try_from(due_us.saturating_sub(self.world.unix_us)).unwrap_or(0);
            self.world.sleep_us(step);
            self.drive(|this| this.engine.handle(&mut this.world, Event::Tick))?;
        }
        let rest = u64::try_from(end_us.saturating_sub(self.world.unix_us)).unwrap_or(0);
        self.world.sleep_us(rest);
        self.drive(|this| {
            this.engine.handle(&mut this.world, Event::Tick);
            this.execute_effects();
            this.engine.handle(&mut this.world, Event::BatchEnd);
        })
    }

    fn can(&self) -> Capabilities {
        Capabilities { virtual_time: true, live: false, propagation: self.records, encodings: true }
    }

    fn propagates_whole_scripts(&self) -> bool {
        self.whole_scripts
    }

    fn take_handed_on(&mut self) -> Vec<HandedOn> {
        std::mem::take(&mut self.handed_on)
    }

    fn encoding(&self, db: usize, key: &[u8]) -> Option<&'static str> {
        self.engine.encoding_of(db, key)
    }

    fn validate(&self) -> Result<(), String> {
        catching(|| self.engine.validate())
    }

    fn restarted_from_aof(&self) -> Result<Option<Box<dyn Target>>, TargetError> {
        let Some(content) = self.disk.files.get(file_name(FileId::Aof)).filter(|_| self.engine.config().appendonly)
        else {
            return Ok(None);
        };
        // Restarted with the directives as they stand, as after CONFIG REWRITE: they decide between encodings.
        // Not with a limit, though: the dataset is to be seen, and takes another number of bytes when it is laid out anew.
        let config = Config { maxmemory: 0, ..self.engine.config().clone() };
        let engine = Engine::new(config, 0);
        let mut second = Self { world: self.world.clone(), engine, ..Self::new() };
        let mut failure = None;
        second.drive(|this| {
            this.engine.start(&mut this.world);
            let loaded = this.engine.load_aof(&mut this.world, &mut content.as_slice());
            failure = loaded.err().map(|error| error.to_string());
        })?;
        match failure {
            Some(reason) => Err(TargetError::Connection(format!("the AOF cannot be loaded: {reason}"))),
            None => Ok(Some(Box::new(second))),
        }
    }

    fn replica(&self, errors: &HandedOnErrors) -> Result<Option<Box<dyn Target>>, TargetError> {
        if !self.records {
            return Ok(None);
        }
        let mut config = self.engine.config().clone();
        config.appendonly = false;
        // What comes as a script is to be run as its primary ran it.
        config.lua_replicate_commands = false;
        // Its primary decides what is evicted.
        config.maxmemory = 0;
        let mut second = Self { engine: Engine::new(config, 0), ..Self::new() };
        second.drive(|this| this.engine.start(&mut this.world))?;
        self.stream.run_on(&mut second, errors)?;
        second.world = self.world.clone();
        Ok(Some(Box::new(second)))
    }
}
