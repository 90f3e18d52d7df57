//! The hand-off of an AOF rewrite: how what clients write meanwhile reaches the new file exactly once and in order.
//!
//! A child writes the dataset as it was at the fork. Everything written later is its parent's *diff*. Three pipes join
//! the two:
//!
//! ```text
//! parent                                   child
//!   diff buffer ── data (non-blocking) ──► received
//!   stop? ◄─────── request "!" ─────────── asks the parent to stop sending
//!   confirms ───── acknowledgement "!" ──► knows that nothing more will come
//!
//! new file = dataset at the fork ++ received (by the child) ++ what is left in the diff buffer (by the parent)
//! ```
//!
//! Why nothing is lost or doubled: bytes leave the diff buffer only when the pipe took them, and the parent stops
//! sending *before* it acknowledges. So when the acknowledgement is read, all that will ever be in the data pipe is in
//! it, and reading until it is empty, *after* the acknowledgement, gets a prefix of the diff; the rest is still in the
//! buffer. Both orders are what [`Order`] names, and the tests break each to see it noticed.
//!
//! Both sides are state machines: they never wait, sleep or know a clock. The driver says which pipe is ready, or that
//! a wait ended without any, and what time it is; the answer says what to wait for next.
//!
//! Invariants:
//! - the bytes taken by the data pipe and those in the buffer are together everything appended, in order;
//! - once the parent has stopped, no byte enters the data pipe;
//! - a child without an acknowledgement never finishes, so a finished child has received all that was sent.

use std::collections::VecDeque;
use std::marker::PhantomData;

/// What a pipe did with a read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// It moved that many bytes, at least one.
    Moved(usize),
    /// Nothing to read, or no room to write: EAGAIN.
    NotNow,
    /// The other end is closed: end of file for a reader, EPIPE for a writer.
    Ended,
    /// Any other error.
    Failed,
}

/// One end of a pipe. Nothing here ever blocks.
pub trait Pipe {
    /// Writes as much as there is room for.
    fn try_write(&mut self, bytes: &[u8]) -> Transfer;
    /// Reads what is there.
    fn try_read(&mut self, into: &mut [u8]) -> Transfer;
    /// Closes this end.
    fn close(&mut self);
}

/// What the driver noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PipeEvent {
    /// The data pipe can be written (parent) or read (child).
    Data,
    /// The pipe by which the other side asks or acknowledges can be read.
    Signal,
    /// The wait that was asked for ended, and nothing was ready.
    Nothing,
}

/// The byte that asks, and the byte that acknowledges.
const MARK: u8 = b'!';
/// Milliseconds that the child gathers the diff at most before it asks the parent to stop.
pub const GATHER_MS: u64 = 1_000;
/// So many waits of a millisecond in a row without data end the gathering too.
pub const QUIET_WAITS: u32 = 20;
/// Milliseconds that the child waits for the acknowledgement.
pub const ACKNOWLEDGE_MS: u64 = 5_000;
/// Bytes in one block of the diff buffer.
pub const BLOCK_BYTES: usize = 10 * 1024 * 1024;

/// Bytes asked for in one read.
const READ_BYTES: usize = 16 * 1024;

/// In which order stopping, acknowledging and draining happen. There is one sound order; the others exist so that
/// tests can show that they would be noticed.
pub trait Order {
    /// The parent sends nothing more once it has acknowledged.
    const STOPS_BEFORE_ACKNOWLEDGING: bool = true;
    /// The child reads the data pipe empty after it has got the acknowledgement.
    const DRAINS_AFTER_ACKNOWLEDGEMENT: bool = true;
}

/// The order that loses nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sound;

impl Order for Sound {}

/// The parent's ends of the three pipes.
#[derive(Debug)]
pub struct ParentEnds<P> {
    /// Diff, to the child.
    pub data: P,
    /// Requests, from the child.
    pub requests: P,
    /// Acknowledgements, to the child.
    pub acknowledgements: P,
}

impl<P: Pipe> ParentEnds<P> {
    /// Closes all three.
    pub fn close(&mut self) {
        self.data.close();
        self.requests.close();
        self.acknowledgements.close();
    }
}

/// The child's ends of the three pipes.
#[derive(Debug)]
pub struct ChildEnds<P> {
    /// Diff, from the parent.
    pub data: P,
    /// Requests, to the parent.
    pub requests: P,
    /// Acknowledgements, from the parent.
    pub acknowledgements: P,
}

impl<P: Pipe> ChildEnds<P> {
    /// Closes all three.
    pub fn close(&mut self) {
        self.data.close();
        self.requests.close();
        self.acknowledgements.close();
    }
}

/// Bytes in blocks, taken away from the front as they are sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct DiffBuffer {
    blocks: VecDeque<Vec<u8>>,
    /// How much of the first block is gone.
    sent: usize,
    block_bytes: usize,
}

impl DiffBuffer {
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|block| block.len() == self.block_bytes) {
                // A block is allocated as it fills, so a short diff does not cost ten megabytes.
                self.blocks.push_back(Vec::new());
            }
            if let Some(block) = self.blocks.back_mut() {
                let (piece, rest) = bytes.split_at(bytes.len().min(self.block_bytes - block.len()));
                block.extend_from_slice(piece);
                bytes = rest;
            }
        }
    }

    fn front(&self) -> Option<&[u8]> {
        self.blocks.front().map(|block| &block[self.sent..])
    }

    fn remove(&mut self, bytes: usize) {
        self.sent += bytes;
        let size = self.blocks.front().map_or(0, Vec::len);
        assert!(self.sent <= size, "a pipe cannot take more than it was given");
        if self.sent == size {
            self.blocks.pop_front();
            self.sent = 0;
        }
    }

    fn len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum::<usize>() - self.sent
    }

    fn into_bytes(mut self) -> Vec<u8> {
        let mut all = match self.blocks.pop_front() {
            Some(first) if self.sent == 0 => first,
            Some(first) => first[self.sent..].to_vec(),
            None => Vec::new(),
        };
        for block in self.blocks {
            all.extend_from_slice(&block);
        }
        all
    }
}

/// How the parent stands to the child's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    /// The child may still ask.
    Awaited,
    /// It asked; the acknowledgement did not fit into the pipe yet.
    ToAcknowledge,
    /// It asked and was told.
    Acknowledged,
    /// The pipes are of no use any more: the other end is closed, or said what it never says.
    Broken,
}

/// How a rewrite ended for the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The child's file holds everything but these bytes; they are to be appended before it takes the old file's place.
    Append(Vec<u8>),
    /// The child's file is worthless; the old file goes on.
    Abandoned,
}

/// The parent's side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RewriteParent<O = Sound> {
    diff: DiffBuffer,
    request: Request,
    /// Whether bytes may enter the data pipe.
    sending: bool,
    order: PhantomData<O>,
}

impl<O: Order> RewriteParent<O> {
    /// A rewrite begins; the child has just been forked. `block_bytes` is [`BLOCK_BYTES`] except in tests.
    #[must_use]
    pub fn new(block_bytes: usize) -> Self {
        assert!(block_bytes > 0);
        let diff = DiffBuffer { blocks: VecDeque::new(), sent: 0, block_bytes };
        Self { diff, request: Request::Awaited, sending: true, order: PhantomData }
    }

    /// A command was appended to the old file: its bytes belong to the new one too.
    pub fn append(&mut self, bytes: &[u8]) {
        self.diff.append(bytes);
    }

    /// Bytes that wait in the diff buffer.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.diff.len()
    }

    /// Whether to be told when the data pipe can be written.
    #[must_use]
    pub fn wants_to_send(&self) -> bool {
        self.sending && self.diff.front().is_some()
    }

    /// Whether to be told when the request pipe can be read.
    #[must_use]
    pub fn wants_requests(&self) -> bool {
        self.request == Request::Awaited
    }

    /// Whether an acknowledgement waits for room; any event is a chance to send it.
    #[must_use]
    pub fn owes_acknowledgement(&self) -> bool {
        self.request == Request::ToAcknowledge
    }

    /// Takes in one event.
    pub fn step<P: Pipe>(&mut self, ends: &mut ParentEnds<P>, event: PipeEvent) {
        match event {
            PipeEvent::Data => self.send(ends),
            PipeEvent::Signal => self.hear(ends),
            PipeEvent::Nothing => {}
        }
        if self.request == Request::ToAcknowledge {
            self.acknowledge(ends);
        }
    }

    fn send<P: Pipe>(&mut self, ends: &mut ParentEnds<P>) {
        while self.sending {
            let Some(front) = self.diff.front() else {
                return;
            };
            match ends.data.try_write(front) {
                Transfer::Moved(bytes) => self.diff.remove(bytes),
                Transfer::NotNow => return,
                // The child's end tells how it ended; until then everything unsent stays here, in order.
                Transfer::Ended | Transfer::Failed => self.sending = false,
            }
        }
    }

    fn hear<P: Pipe>(&mut self, ends: &mut ParentEnds<P>) {
        if self.request != Request::Awaited {
            return;
        }
        let mut byte = [0];
        match ends.requests.try_read(&mut byte) {
            Transfer::Moved(_) if byte == [MARK] => {
                if O::STOPS_BEFORE_ACKNOWLEDGING {
                    self.sending = false;
                }
                self.request = Request::ToAcknowledge;
            }
            Transfer::NotNow => {}
            Transfer::Moved(_) | Transfer::Ended | Transfer::Failed => {
                self.sending = false;
                self.request = Request::Broken;
            }
        }
    }

    fn acknowledge<P: Pipe>(&mut self, ends: &mut ParentEnds<P>) {
        match ends.acknowledgements.try_write(&[MARK]) {
            Transfer::Moved(_) => self.request = Request::Acknowledged,
            Transfer::NotNow => {}
            Transfer::Ended | Transfer::Failed => self.request = Request::Broken,
        }
    }

    /// The child ended; `finished` when it said so by its exit code and was not killed. Closes the pipes.
    #[must_use]
    pub fn child_ended<P: Pipe>(self, ends: &mut ParentEnds<P>, finished: bool) -> Outcome {
        ends.close();
        self.outcome(finished)
    }

    /// The same for a driver that has closed the pipes itself.
    #[must_use]
    pub fn outcome(self, finished: bool) -> Outcome {
        // A child cannot finish rightly without having been told that nothing more will come.
        if finished && self.request == Request::Acknowledged {
            Outcome::Append(self.diff.into_bytes())
        } else {
            Outcome::Abandoned
        }
    }
}

/// Why a child gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GaveUp {
    /// The parent's end of a pipe is closed.
    #[error("the parent is gone")]
    ParentGone,
    /// A pipe answered an error.
    #[error("a pipe failed")]
    PipeFailed,
    /// The parent did not acknowledge in time.
    #[error("no acknowledgement within {ACKNOWLEDGE_MS} ms")]
    NotAcknowledged,
    /// The parent answered something else.
    #[error("the parent answered {0:#04x} where an acknowledgement was due")]
    Unexpected(u8),
}

/// What the child wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildWants {
    /// To go on with the dataset; data may be read between keys.
    Snapshot,
    /// Data, for so many milliseconds at most.
    Data {
        /// Milliseconds.
        at_most_ms: u64,
    },
    /// A signal, for so many milliseconds at most.
    Signal {
        /// Milliseconds.
        at_most_ms: u64,
    },
    /// To append what was received to the file, make it durable, rename it and exit with 0.
    Finish,
    /// To remove the file and exit with another code.
    GiveUp(GaveUp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Snapshot,
    Gather { since_ms: u64, quiet: u32 },
    Ask { since_ms: u64 },
    AwaitAcknowledgement { since_ms: u64 },
    Finished,
    GaveUp(GaveUp),
}

/// The child's side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RewriteChild<O = Sound> {
    phase: Phase,
    received: Vec<u8>,
    quiet_waits: u32,
    order: PhantomData<O>,
}

impl<O: Order> RewriteChild<O> {
    /// Just forked. `quiet_waits` is [`QUIET_WAITS`] except in tests.
    #[must_use]
    pub fn new(quiet_waits: u32) -> Self {
        Self { phase: Phase::Snapshot, received: Vec::new(), quiet_waits, order: PhantomData }
    }

    /// What came from the parent so far; complete once the child is to finish.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// The dataset is written; now what came meanwhile is gathered.
    pub fn snapshot_written(&mut self, now_ms: u64) -> ChildWants {
        if self.phase == Phase::Snapshot {
            self.phase = Phase::Gather { since_ms: now_ms, quiet: 0 };
        }
        self.wants(now_ms)
    }

    /// Takes in one event; `now_ms` is any clock that does not go back.
    pub fn step<P: Pipe>(&mut self, ends: &mut ChildEnds<P>, event: PipeEvent, now_ms: u64) -> ChildWants {
        match (self.phase, event) {
            (Phase::Snapshot, PipeEvent::Data) => self.drain(ends),
            (Phase::Gather { since_ms, quiet }, event) => self.gather(ends, event, now_ms, since_ms, quiet),
            (Phase::AwaitAcknowledgement { .. }, PipeEvent::Signal) => self.hear(ends),
            _ => {}
        }
        if let Phase::Ask { since_ms } = self.phase {
            self.ask(ends, since_ms);
        }
        if let Phase::Ask { since_ms } | Phase::AwaitAcknowledgement { since_ms } = self.phase
            && now_ms.saturating_sub(since_ms) >= ACKNOWLEDGE_MS
        {
            self.give_up(GaveUp::NotAcknowledged);
        }
        self.wants(now_ms)
    }

    /// What the last step asked for.
    #[must_use]
    pub fn wants(&self, now_ms: u64) -> ChildWants {
        match self.phase {
            Phase::Snapshot => ChildWants::Snapshot,
            Phase::Gather { .. } | Phase::Ask { .. } => ChildWants::Data { at_most_ms: 1 },
            Phase::AwaitAcknowledgement { since_ms } => {
                let passed = now_ms.saturating_sub(since_ms);
                ChildWants::Signal { at_most_ms: ACKNOWLEDGE_MS.saturating_sub(passed).max(1) }
            }
            Phase::Finished => ChildWants::Finish,
            Phase::GaveUp(why) => ChildWants::GiveUp(why),
        }
    }

    fn give_up(&mut self, why: GaveUp) {
        self.phase = Phase::GaveUp(why);
    }

    fn gather<P: Pipe>(&mut self, ends: &mut ChildEnds<P>, event: PipeEvent, now_ms: u64, since_ms: u64, quiet: u32) {
        let before = self.received.len();
        if event == PipeEvent::Data {
            self.drain(ends);
            if let Phase::GaveUp(_) = self.phase {
                return;
            }
        }
        let quiet = if self.received.len() > before { 0 } else { quiet.saturating_add(1) };
        self.phase = if quiet >= self.quiet_waits || now_ms.saturating_sub(since_ms) >= GATHER_MS {
            Phase::Ask { since_ms: now_ms }
        } else {
            Phase::Gather { since_ms, quiet }
        };
    }

    /// Reads the data pipe until it is empty.
    fn drain<P: Pipe>(&mut self, ends: &mut ChildEnds<P>) {
        let mut piece = [0; READ_BYTES];
        loop {
            match ends.data.try_read(&mut piece) {
                Transfer::Moved(bytes) => self.received.extend_from_slice(&piece[..bytes]),
                Transfer::NotNow => return,
                Transfer::Ended => return self.give_up(GaveUp::ParentGone),
                Transfer::Failed => return self.give_up(GaveUp::PipeFailed),
            }
        }
    }

    fn ask<P: Pipe>(&mut self, ends: &mut ChildEnds<P>, since_ms: u64) {
        match ends.requests.try_write(&[MARK]) {
            Transfer::Moved(_) => self.phase = Phase::AwaitAcknowledgement { since_ms },
            Transfer::NotNow => {}
            Transfer::Ended => self.give_up(GaveUp::ParentGone),
            Transfer::Failed => self.give_up(GaveUp::PipeFailed),
        }
    }

    fn hear<P: Pipe>(&mut self, ends: &mut ChildEnds<P>) {
        let mut byte = [0];
        match ends.acknowledgements.try_read(&mut byte) {
            Transfer::Moved(_) if byte == [MARK] => {
                if O::DRAINS_AFTER_ACKNOWLEDGEMENT {
                    self.drain(ends);
                }
                // A parent that died after its acknowledgement has closed the pipe, but all it sent is there; whether
                // the file is used is decided by whoever is left.
                if !matches!(self.phase, Phase::GaveUp(GaveUp::PipeFailed)) {
                    self.phase = Phase::Finished;
                }
            }
            Transfer::NotNow => {}
            Transfer::Moved(_) => self.give_up(GaveUp::Unexpected(byte[0])),
            Transfer::Ended => self.give_up(GaveUp::ParentGone),
            Transfer::Failed => self.give_up(GaveUp::PipeFailed),
        }
    }
}
