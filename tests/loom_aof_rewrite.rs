//! The hand-off of an AOF rewrite under loom: parent and child as threads, every interleaving within the bound.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --target-dir target/loom --test loom_aof_rewrite
//! ```
//!
//! The pipes hold two bytes, so that the diff of six does not fit, writes fall short and EAGAIN happens. A third
//! thread is the clock, or fate: at one moment, which loom chooses, it lets the time-out pass, kills one side, or
//! breaks the data pipe. The same machines run under the explorer in `aof_rewrite_explorer.rs`.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
use loom::thread;
use tally_engine::aof::rewrite::{
    ACKNOWLEDGE_MS, ChildEnds, ChildWants, Order, Outcome, ParentEnds, Pipe, PipeEvent, RewriteChild, RewriteParent,
    Sound, Transfer,
};

const COMMANDS: [&[u8]; 3] = [b"ab", b"cd", b"ef"];
const CAPACITY: usize = 2;
const BLOCK: usize = 2;

const DATA: usize = 0;
const REQUESTS: usize = 1;
const ACKNOWLEDGEMENTS: usize = 2;

/// What happens once, at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Nothing,
    TimeOut,
    ChildKilled,
    ParentKilled,
    DataPipeFails,
}

#[derive(Default)]
struct Channel {
    bytes: VecDeque<u8>,
    reader_gone: bool,
    writer_gone: bool,
}

#[derive(Default)]
struct State {
    channels: [Channel; 3],
    acknowledged: bool,
    late_bytes: usize,
    data_fails: bool,
    timed_out: bool,
    child_killed: bool,
    parent_killed: bool,
    child_exit: Option<bool>,
}

/// The operating system: pipes, signals, exit codes.
struct Kernel {
    state: Mutex<State>,
    changed: Condvar,
}

impl Kernel {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        result
    }

    fn wait_until<T>(&self, ready: impl Fn(&State) -> Option<T>) -> T {
        let mut state: MutexGuard<'_, State> = self.state.lock().unwrap();
        loop {
            match ready(&state) {
                Some(what) => return what,
                None => state = self.changed.wait(state).unwrap(),
            }
        }
    }

    fn parent_ends(kernel: &Arc<Self>) -> ParentEnds<End> {
        ParentEnds {
            data: End { kernel: kernel.clone(), index: DATA, reads: false },
            requests: End { kernel: kernel.clone(), index: REQUESTS, reads: true },
            acknowledgements: End { kernel: kernel.clone(), index: ACKNOWLEDGEMENTS, reads: false },
        }
    }

    fn child_ends(kernel: &Arc<Self>) -> ChildEnds<End> {
        ChildEnds {
            data: End { kernel: kernel.clone(), index: DATA, reads: true },
            requests: End { kernel: kernel.clone(), index: REQUESTS, reads: false },
            acknowledgements: End { kernel: kernel.clone(), index: ACKNOWLEDGEMENTS, reads: true },
        }
    }
}

struct End {
    kernel: Arc<Kernel>,
    index: usize,
    reads: bool,
}

impl Pipe for End {
    fn try_write(&mut self, bytes: &[u8]) -> Transfer {
        self.kernel.change(|state| {
            if self.index == DATA && state.data_fails {
                return Transfer::Failed;
            }
            let late = self.index == DATA && state.acknowledged;
            let channel = &mut state.channels[self.index];
            if channel.reader_gone {
                return Transfer::Ended;
            }
            let size = bytes.len().min(CAPACITY - channel.bytes.len());
            if size == 0 {
                return Transfer::NotNow;
            }
            channel.bytes.extend(&bytes[..size]);
            if late {
                state.late_bytes += size;
            }
            state.acknowledged |= self.index == ACKNOWLEDGEMENTS;
            Transfer::Moved(size)
        })
    }

    fn try_read(&mut self, into: &mut [u8]) -> Transfer {
        self.kernel.change(|state| {
            let channel = &mut state.channels[self.index];
            let size = into.len().min(channel.bytes.len());
            if size > 0 {
                into.iter_mut().zip(channel.bytes.drain(..size)).for_each(|(place, byte)| *place = byte);
                return Transfer::Moved(size);
            }
            if channel.writer_gone { Transfer::Ended } else { Transfer::NotNow }
        })
    }

    fn close(&mut self) {
        self.kernel.change(|state| {
            let channel = &mut state.channels[self.index];
            if self.reads {
                channel.reader_gone = true;
            } else {
                channel.writer_gone = true;
            }
        });
    }
}

fn readable(state: &State, index: usize) -> bool {
    !state.channels[index].bytes.is_empty() || state.channels[index].writer_gone
}

/// The child's life; returns what it wrote after the dataset.
fn child<O: Order>(kernel: &Arc<Kernel>) -> Vec<u8> {
    let mut ends = Kernel::child_ends(kernel);
    // One wait in vain ends the gathering: how long it lasts is loom's choice of interleaving.
    let mut child = RewriteChild::<O>::new(1);
    let mut wants = child.snapshot_written(0);
    let exit = loop {
        let killed = |state: &State| state.child_killed;
        wants = match wants {
            ChildWants::Snapshot | ChildWants::Data { .. } => {
                let (dead, event) = kernel.change(|state| {
                    let ready = readable(state, DATA);
                    (killed(state), if ready { PipeEvent::Data } else { PipeEvent::Nothing })
                });
                if dead {
                    break false;
                }
                child.step(&mut ends, event, 0)
            }
            ChildWants::Signal { .. } => {
                let (event, now_ms) = kernel.wait_until(|state| {
                    if killed(state) {
                        Some((PipeEvent::Nothing, u64::MAX))
                    } else if readable(state, ACKNOWLEDGEMENTS) {
                        Some((PipeEvent::Signal, 0))
                    } else {
                        state.timed_out.then_some((PipeEvent::Nothing, ACKNOWLEDGE_MS))
                    }
                });
                if now_ms == u64::MAX {
                    break false;
                }
                child.step(&mut ends, event, now_ms)
            }
            // A kill may still come before the exit code is set.
            ChildWants::Finish => break !kernel.change(|state| killed(state)),
            ChildWants::GiveUp(_) => break false,
        };
    };
    // The system closes what a process leaves open, and then tells its parent.
    ends.close();
    kernel.change(|state| state.child_exit = Some(exit));
    child.received().to_vec()
}

/// The parent's life; returns what it appended to the old file, and how the rewrite ended unless it was killed.
fn parent<O: Order>(kernel: &Arc<Kernel>) -> (Vec<u8>, Option<Outcome>) {
    let mut ends = Kernel::parent_ends(kernel);
    let mut parent = RewriteParent::<O>::new(BLOCK);
    let mut old_file = Vec::new();
    let mut commands = COMMANDS.iter();
    loop {
        enum Next {
            Killed,
            Reap(bool),
            Step(PipeEvent),
            Command,
        }
        let more = commands.len() > 0;
        let next = kernel.wait_until(|state| {
            let data = &state.channels[DATA];
            if state.parent_killed {
                Some(Next::Killed)
            } else if parent.wants_requests() && readable(state, REQUESTS) {
                Some(Next::Step(PipeEvent::Signal))
            } else if parent.wants_to_send() && (data.bytes.len() < CAPACITY || data.reader_gone) {
                Some(Next::Step(PipeEvent::Data))
            } else if more {
                Some(Next::Command)
            } else if let Some(exit) = state.child_exit {
                Some(Next::Reap(exit))
            } else {
                parent.owes_acknowledgement().then_some(Next::Step(PipeEvent::Nothing))
            }
        });
        match next {
            Next::Killed => {
                ends.close();
                return (old_file, None);
            }
            Next::Step(event) => parent.step(&mut ends, event),
            Next::Command => {
                let command = commands.next().unwrap();
                old_file.extend_from_slice(command);
                parent.append(command);
            }
            Next::Reap(exit) => return (old_file, Some(parent.child_ended(&mut ends, exit))),
        }
    }
}

fn check<O: Order + 'static>(fate: Fate) {
    loom::model(move || {
        let kernel = Arc::new(Kernel { state: Mutex::new(State::default()), changed: Condvar::new() });
        let of_child = kernel.clone();
        let child = thread::spawn(move || child::<O>(&of_child));
        let clock = (fate != Fate::Nothing).then(|| {
            let kernel = kernel.clone();
            thread::spawn(move || {
                kernel.change(|state| match fate {
                    Fate::Nothing => {}
                    Fate::TimeOut => state.timed_out = true,
                    Fate::ChildKilled => state.child_killed = true,
                    Fate::ParentKilled => state.parent_killed = true,
                    Fate::DataPipeFails => state.data_fails = true,
                });
            })
        });
        let (old_file, outcome) = parent::<O>(&kernel);
        let received = child.join().unwrap();
        if let Some(clock) = clock {
            clock.join().unwrap();
        }
        let everything = COMMANDS.concat();
        let state = kernel.state.lock().unwrap();
        assert_eq!(state.late_bytes, 0, "a byte entered the data pipe after the acknowledgement");
        for channel in &state.channels {
            assert!(channel.reader_gone && channel.writer_gone, "an end stays open");
        }
        match outcome {
            Some(Outcome::Append(residue)) => {
                assert_eq!([received, residue].concat(), everything, "the new file is not every later command");
            }
            Some(Outcome::Abandoned) => {
                assert!(matches!(fate, Fate::TimeOut | Fate::ChildKilled), "abandoned without a reason");
                assert_eq!(old_file, everything, "the old file is not complete");
            }
            None => {
                assert_eq!(fate, Fate::ParentKilled);
                assert!(everything.starts_with(&old_file), "the old file is out of order");
            }
        }
    });
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-12] (file) The new file MUST hold the snapshot and every command after it once and in order, none lost and none doubled.
#[test]
fn every_byte_reaches_the_new_file_once_and_in_order() {
    check::<Sound>(Fate::Nothing);
}

#[test]
fn a_time_out_at_any_moment_leaves_a_complete_file() {
    check::<Sound>(Fate::TimeOut);
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-13] (file) The parent MUST go on to append every command to the old file until the new one has replaced it, so that the old file is complete whenever the rewrite fails.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-14] (inside) When the child fails or dies, the parent MUST drop the diff and remove the child's file.
#[test]
fn the_childs_death_at_any_moment_leaves_the_old_file_complete() {
    check::<Sound>(Fate::ChildKilled);
}

#[test]
fn the_parents_death_at_any_moment_ends_the_child_too() {
    check::<Sound>(Fate::ParentKilled);
}

#[test]
fn a_data_pipe_that_fails_at_any_moment_loses_nothing() {
    check::<Sound>(Fate::DataPipeFails);
}

struct NoDrainAfterAcknowledgement;

impl Order for NoDrainAfterAcknowledgement {
    const DRAINS_AFTER_ACKNOWLEDGEMENT: bool = false;
}

#[test]
#[should_panic(expected = "the new file is not every later command")]
fn an_acknowledgement_taken_for_the_last_drain_is_caught() {
    check::<NoDrainAfterAcknowledgement>(Fate::Nothing);
}

struct SendsOnAfterAcknowledging;

impl Order for SendsOnAfterAcknowledging {
    const STOPS_BEFORE_ACKNOWLEDGING: bool = false;
}

#[test]
#[should_panic(expected = "after the acknowledgement")]
fn sending_on_after_the_acknowledgement_is_caught() {
    check::<SendsOnAfterAcknowledging>(Fate::Nothing);
}
