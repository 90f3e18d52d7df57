//! A machine that runs one server: its disk, its clock, and everything that can go wrong with them.
//!
//! The driver here does what `tally serve` does, effect by effect, and may die before each of them. The child of a
//! rewrite or of a background save is a second actor that is stepped between the events.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use tally_engine::aof::rewrite::{ParentEnds, PipeEvent};
use tally_engine::config::Config;
use tally_engine::world::Still;
use tally_engine::{ClientId, Effect, Engine, Event, FileEffect, FileId, IoFailure, Peer, SnapshotMode};

use super::disk::{Disk, NodeId};
use super::pipe::PipeEnd;
use super::rewrite_child::SimulatedChild;
use crate::choice::Choice;

/// The append-only file.
pub(crate) const AOF: &str = "appendonly.aof";
/// The dump.
pub(crate) const DUMP: &str = "dump.rdb";
const TEMPORARY_DUMP: &str = "temp.rdb";
const REWRITTEN: &str = "temp-rewriteaof-bg.aof";

/// A child at work.
enum Child {
    /// Writes a dump: how far it is, and all of it.
    Dump { done: usize, bytes: Vec<u8> },
    /// Takes part in the hand-off.
    Rewrite { side: Box<SimulatedChild>, ends: ParentEnds<PipeEnd> },
    /// Has taken everything, and writes its file.
    Finishing { done: usize, bytes: Vec<u8>, ends: ParentEnds<PipeEnd> },
}

/// What the test is told as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Replies may have left.
    Output,
    /// A background save has the dataset of this moment.
    Forked,
    /// That save's file is in place, durably.
    Saved,
    /// The append-only file that was switched on is in place, durably.
    Begun,
}

/// The machine.
pub(crate) struct Machine {
    pub(crate) disk: Disk,
    pub(crate) world: Still,
    pub(crate) chance: ChaCha8Rng,
    /// Effects and steps of children until the machine dies.
    pub(crate) left: u32,
    /// The disk takes nothing more at present, and cannot sync.
    pub(crate) failing: bool,
    /// Something was refused since the server began.
    pub(crate) failed: bool,
    /// What follows from an effect waits behind those that were asked for with it, as it does where files are worked on
    /// beside the clients; else it comes first.
    pub(crate) patient: bool,
    /// Longest that a sync in the background takes.
    pub(crate) sync_us: u64,
}

/// A server that runs on it.
pub(crate) struct Process {
    pub(crate) engine: Engine,
    pub(crate) client: ClientId,
    aof: Option<NodeId>,
    rewritten: Option<NodeId>,
    /// A sync in the background: of which file, up to where, and when it ends.
    background: Option<(NodeId, usize, u64)>,
    child: Option<Child>,
    renamed: bool,
    pending: VecDeque<Effect>,
    executing: bool,
    /// It left by itself.
    pub(crate) exited: bool,
    pub(crate) output: Vec<u8>,
    pub(crate) notices: Vec<Notice>,
}

fn failure(errno: i32, text: &str) -> IoFailure {
    IoFailure::new(errno, text)
}

fn no_space() -> IoFailure {
    failure(28, "No space left on device")
}

impl Machine {
    /// One more thing happens; false when the machine dies before it.
    fn alive(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    /// Whether the disk refuses this time.
    fn refuses(&mut self) -> bool {
        let refuses = self.failing && self.chance.ratio(2, 3);
        self.failed |= refuses;
        refuses
    }

    /// A whole file under a temporary name, step by step; whether it is there.
    fn write_file(&mut self, name: &str, bytes: &[u8], done: usize) -> Option<Result<(), IoFailure>> {
        let half = bytes.len() / 2;
        let Some(node) = self.disk.open(name, true) else { return Some(Err(no_space())) };
        match done {
            0 => self.disk.truncate(node, 0),
            1 | 2 if self.refuses() => {
                self.disk.remove(name);
                return Some(Err(no_space()));
            }
            1 => self.disk.append(node, &bytes[..half]),
            2 => self.disk.append(node, &bytes[half..]),
            _ => {
                let mark = self.disk.mark(node);
                self.disk.sync(node, mark);
                return Some(Ok(()));
            }
        }
        None
    }
}

impl Process {
    /// Starts a server as `tally serve` does: it opens its files, loads them and goes on. Why it does not start, else.
    pub(crate) fn start(machine: &mut Machine, config: Config, seed: u64) -> Result<Process, String> {
        let appends = config.appendonly;
        let mut engine = Engine::new(config, seed);
        engine.start(&mut machine.world);
        let content = machine.disk.read(if appends { AOF } else { DUMP }).map(<[u8]>::to_vec);
        let loaded = match content {
            Some(bytes) if appends && bytes.is_empty() => Ok(()),
            Some(bytes) if appends => {
                let loaded = engine.load_aof(&mut machine.world, &mut bytes.as_slice());
                loaded.map(drop).map_err(|error| error.to_string())
            }
            Some(bytes) => {
                let loaded = engine.load_rdb(&mut machine.world, &mut bytes.as_slice());
                loaded.map(drop).map_err(|error| error.to_string())
            }
            None => Ok(()),
        };
        loaded?;
        engine.validate();
        let peer = Peer { address: "127.0.0.1:5000".into(), descriptor: 7, local: true, unix_socket: false };
        let client = engine.connect(&mut machine.world, peer);
        let mut process = Process {
            engine,
            client,
            aof: None,
            rewritten: None,
            background: None,
            child: None,
            renamed: false,
            pending: VecDeque::new(),
            executing: false,
            exited: false,
            output: Vec::new(),
            notices: Vec::new(),
        };
        process.execute_effects(machine);
        Ok(process)
    }

    /// The digest of the dataset.
    pub(crate) fn digest(&mut self, machine: &mut Machine) -> String {
        let peer = Peer { address: "127.0.0.1:5001".into(), descriptor: 8, local: true, unix_socket: false };
        let observer = self.engine.connect(&mut machine.world, peer);
        self.engine.feed(&mut machine.world, observer, b"DEBUG DIGEST\r\n");
        let digest = self.engine.output(observer).collect::<Vec<_>>().concat();
        self.engine.handle(&mut machine.world, Event::Closed { client: observer });
        String::from_utf8_lossy(&digest).into_owned()
    }

    /// Sends requests, which are run at once.
    pub(crate) fn feed(&mut self, machine: &mut Machine, bytes: &[u8]) {
        self.engine.feed(&mut machine.world, self.client, bytes);
        self.execute_effects(machine);
    }

    /// Hands over an event and does what it asks for.
    pub(crate) fn tell(&mut self, machine: &mut Machine, event: Event) {
        self.engine.handle(&mut machine.world, event);
        self.execute_effects(machine);
    }

    fn runs(&self, machine: &Machine) -> bool {
        machine.left > 0 && !self.exited
    }

    /// The end of a turn of the loop: replies, the sync in the background, and the child.
    pub(crate) fn turn(&mut self, machine: &mut Machine) {
        self.tell(machine, Event::Tick);
        self.tell(machine, Event::BatchEnd);
        if let Some((node, mark, due_us)) = self.background
            && due_us <= machine.world.now_us
            && self.runs(machine)
        {
            self.background = None;
            let event = if machine.refuses() {
                Event::FileFailed { file: FileId::Aof, bytes: 0, failure: failure(5, "Input/output error") }
            } else {
                machine.disk.sync(node, mark);
                Event::FileDone { file: FileId::Aof, bytes: 0 }
            };
            self.tell(machine, event);
        }
        for _ in 0..machine.chance.below(40) {
            if self.runs(machine) && self.child.is_some() {
                self.child_step(machine);
            }
        }
    }

    /// Ends the child as if it were killed.
    pub(crate) fn kill_child(&mut self, machine: &mut Machine) {
        let killed = Err(failure(0, "terminated by signal 9"));
        match self.child.take() {
            None => {}
            Some(Child::Dump { .. }) => {
                machine.disk.remove(TEMPORARY_DUMP);
                self.tell(machine, Event::SnapshotEnded { result: killed, copied_on_write: 0 });
            }
            Some(_) => {
                machine.disk.remove(REWRITTEN);
                self.tell(machine, Event::RewriteEnded { result: killed, copied_on_write: 0 });
            }
        }
    }

    /// Whether a child is at work.
    pub(crate) fn has_child(&self) -> bool {
        self.child.is_some()
    }

    fn child_step(&mut self, machine: &mut Machine) {
        if !machine.alive() {
            return;
        }
        match self.child.take() {
            None => {}
            Some(Child::Dump { done, bytes }) => match dump_step(machine, done, &bytes) {
                None => self.child = Some(Child::Dump { done: done + 1, bytes }),
                Some(result) => {
                    if result.is_ok() {
                        self.notices.push(Notice::Saved);
                    }
                    self.tell(machine, Event::SnapshotEnded { result, copied_on_write: 0 });
                }
            },
            Some(Child::Rewrite { mut side, mut ends }) => {
                match side.step() {
                    None => {
                        for event in [PipeEvent::Data, PipeEvent::Signal] {
                            if machine.chance.ratio(1, 2) {
                                self.engine.rewrite_step(&mut ends, event);
                            }
                        }
                        self.child = Some(Child::Rewrite { side, ends });
                    }
                    Some(Ok(bytes)) => self.child = Some(Child::Finishing { done: 0, bytes, ends }),
                    Some(Err(why)) => {
                        let result = Err(failure(0, &why.to_string()));
                        self.tell(machine, Event::RewriteEnded { result, copied_on_write: 0 });
                    }
                };
            }
            Some(Child::Finishing { done, bytes, ends }) => match machine.write_file(REWRITTEN, &bytes, done) {
                None => self.child = Some(Child::Finishing { done: done + 1, bytes, ends }),
                Some(result) => {
                    let result = result.map(|()| bytes.len() as u64);
                    self.tell(machine, Event::RewriteEnded { result, copied_on_write: 0 });
                }
            },
        }
    }

    fn execute_effects(&mut self, machine: &mut Machine) {
        if self.executing {
            return;
        }
        self.executing = true;
        loop {
            if machine.patient {
                self.pending.extend(self.engine.effects().drain(..));
            } else {
                self.engine.effects().drain(..).rev().for_each(|effect| self.pending.push_front(effect));
            }
            let Some(effect) = self.pending.pop_front() else { break };
            // Nothing that the test looks at lies between a log line and what follows it.
            if !matches!(effect, Effect::Log { .. }) && !machine.alive() || !self.runs(machine) {
                self.pending.clear();
                break;
            }
            self.execute(machine, effect);
        }
        self.executing = false;
    }

    fn execute(&mut self, machine: &mut Machine, effect: Effect) {
        match effect {
            Effect::Output { client } => {
                let before = self.output.len();
                for slice in self.engine.output(client) {
                    self.output.extend_from_slice(slice);
                }
                self.engine.written(client, self.output.len() - before);
                self.notices.push(Notice::Output);
            }
            Effect::File(step) => self.file_step(machine, step),
            Effect::Snapshot(SnapshotMode::Foreground) => {
                let mut bytes = Vec::new();
                let _ = self.engine.snapshot(&mut bytes);
                for done in 0.. {
                    if !machine.alive() {
                        return;
                    }
                    if let Some(result) = dump_step(machine, done, &bytes) {
                        self.tell(machine, Event::SnapshotEnded { result, copied_on_write: 0 });
                        return;
                    }
                }
            }
            Effect::Snapshot(SnapshotMode::Background) => {
                let mut bytes = Vec::new();
                let _ = self.engine.snapshot(&mut bytes);
                self.child = Some(Child::Dump { done: 0, bytes });
                self.notices.push(Notice::Forked);
                self.tell(machine, Event::ChildStarted { fork_us: 1 });
            }
            Effect::Rewrite => match SimulatedChild::fork(&self.engine, 50) {
                Ok((side, ends)) => {
                    self.child = Some(Child::Rewrite { side: Box::new(side), ends });
                    self.tell(machine, Event::ChildStarted { fork_us: 1 });
                }
                Err(error) => {
                    let result = Err(failure(0, &error.to_string()));
                    self.tell(machine, Event::RewriteEnded { result, copied_on_write: 0 });
                }
            },
            Effect::StopSnapshot => {
                self.child = None;
                machine.disk.remove(TEMPORARY_DUMP);
            }
            Effect::StopRewrite => {
                self.child = None;
                machine.disk.remove(REWRITTEN);
            }
            Effect::Exit { .. } => self.exited = true,
            Effect::Close { .. }
            | Effect::Reload { .. }
            | Effect::RewriteConfig
            | Effect::ConfigChanged { .. }
            | Effect::Log { .. }
            | Effect::Crash { .. } => {}
        }
    }

    fn node(&self, file: FileId) -> Option<NodeId> {
        match file {
            FileId::Aof => self.aof,
            FileId::AofRewritten => self.rewritten,
        }
    }

    fn file_step(&mut self, machine: &mut Machine, step: FileEffect) {
        let name = |file| if file == FileId::Aof { AOF } else { REWRITTEN };
        let done = |file| Event::FileDone { file, bytes: 0 };
        let fail = |file, bytes, failure| Event::FileFailed { file, bytes, failure };
        let missing = || failure(9, "Bad file descriptor");
        let event = match step {
            FileEffect::Open(file) | FileEffect::Reopen(file) => {
                let create = matches!(step, FileEffect::Open(_));
                let node = machine.disk.open(name(file), create);
                match file {
                    FileId::Aof => self.aof = node,
                    FileId::AofRewritten => self.rewritten = node,
                }
                if node.is_some() { done(file) } else { fail(file, 0, missing()) }
            }
            FileEffect::Write(file) => {
                let bytes = self.engine.file_bytes(file).to_vec();
                match self.node(file) {
                    None => fail(file, 0, missing()),
                    Some(node) if machine.refuses() => {
                        let written = machine.chance.below(u32::try_from(bytes.len()).unwrap_or(u32::MAX)) as usize;
                        machine.disk.append(node, &bytes[..written]);
                        fail(file, written, no_space())
                    }
                    Some(node) => {
                        let (first, second) = bytes.split_at(bytes.len() / 2);
                        machine.disk.append(node, first);
                        if !machine.alive() {
                            return;
                        }
                        machine.disk.append(node, second);
                        Event::FileDone { file, bytes: bytes.len() }
                    }
                }
            }
            FileEffect::Fsync(file) => match self.node(file) {
                None => fail(file, 0, missing()),
                Some(_) if machine.refuses() => fail(file, 0, failure(5, "Input/output error")),
                Some(node) => {
                    let mark = machine.disk.mark(node);
                    machine.disk.sync(node, mark);
                    done(file)
                }
            },
            FileEffect::FsyncInBackground(file) => {
                let Some(node) = self.node(file) else { return self.tell(machine, fail(file, 0, missing())) };
                let most = u32::try_from(machine.sync_us).unwrap_or(u32::MAX);
                let due_us = machine.world.now_us + u64::from(machine.chance.below(most));
                self.background = Some((node, machine.disk.mark(node), due_us));
                return;
            }
            FileEffect::Truncate(file, length) => match self.node(file) {
                None => fail(file, 0, missing()),
                Some(_) if machine.refuses() => fail(file, 0, failure(5, "Input/output error")),
                Some(node) => {
                    machine.disk.truncate(node, length);
                    done(file)
                }
            },
            FileEffect::Rename(from, to) => {
                if machine.disk.rename(name(from), name(to)) {
                    self.aof = self.rewritten.take();
                    self.renamed = true;
                    done(from)
                } else {
                    fail(from, 0, failure(2, "No such file or directory"))
                }
            }
            FileEffect::Close(file) => {
                match file {
                    FileId::Aof => self.aof = None,
                    FileId::AofRewritten => self.rewritten = None,
                }
                done(file)
            }
            FileEffect::Remove(file) => {
                machine.disk.remove(name(file));
                done(file)
            }
            FileEffect::SyncDirectory => {
                machine.disk.sync_names();
                // Without appending a rewrite may put a file in place as well, but nothing follows in it.
                if std::mem::take(&mut self.renamed) && self.engine.config().appendonly {
                    self.notices.push(Notice::Begun);
                }
                done(FileId::Aof)
            }
        };
        self.tell(machine, event);
    }
}

/// One step of a dump; what came of it with the last one.
fn dump_step(machine: &mut Machine, done: usize, bytes: &[u8]) -> Option<Result<u64, IoFailure>> {
    match done {
        0..=3 => match machine.write_file(TEMPORARY_DUMP, bytes, done) {
            Some(Err(failure)) => Some(Err(failure)),
            _ => None,
        },
        4 => {
            machine.disk.rename(TEMPORARY_DUMP, DUMP);
            None
        }
        _ => {
            machine.disk.sync_names();
            Some(Ok(bytes.len() as u64))
        }
    }
}
