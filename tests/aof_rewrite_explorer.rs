//! The hand-off of an AOF rewrite, in every order of steps: every short write, every death, every failing pipe.
//!
//! The machines are the engine's. The pipes hold two bytes, the clients write eight in four commands, blocks hold two.
//! The same machines run under loom in `loom_aof_rewrite.rs`, where threads take the place of the explorer's actions.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::VecDeque;

use tally_check::explorer::{System, Violation, explore};
use tally_engine::aof::rewrite::{
    ACKNOWLEDGE_MS, ChildEnds, ChildWants, Order, Outcome, ParentEnds, Pipe, PipeEvent, RewriteChild, RewriteParent,
    Sound, Transfer,
};

const COMMANDS: [&[u8]; 4] = [b"abc", b"de", b"f", b"gh"];
const CAPACITY: usize = 2;
const BLOCK: usize = 2;
const QUIET_WAITS: u32 = 2;
/// So many things go wrong in one run at most.
const FAULTS: u8 = 3;

/// Data, requests, acknowledgements.
const DATA: usize = 0;
const REQUESTS: usize = 1;
const ACKNOWLEDGEMENTS: usize = 2;

#[derive(Clone, Debug, Default, Hash)]
struct Channel {
    bytes: VecDeque<u8>,
    reader_gone: bool,
    writer_gone: bool,
    fails: bool,
}

/// One end of a channel, with room for `room` bytes at this moment.
struct End<'a> {
    channel: &'a RefCell<Channel>,
    reads: bool,
    room: usize,
}

impl Pipe for End<'_> {
    fn try_write(&mut self, bytes: &[u8]) -> Transfer {
        let mut channel = self.channel.borrow_mut();
        if channel.fails {
            return Transfer::Failed;
        }
        if channel.reader_gone {
            return Transfer::Ended;
        }
        let size = bytes.len().min(self.room).min(CAPACITY - channel.bytes.len());
        if size == 0 {
            return Transfer::NotNow;
        }
        channel.bytes.extend(&bytes[..size]);
        self.room -= size;
        Transfer::Moved(size)
    }

    fn try_read(&mut self, into: &mut [u8]) -> Transfer {
        let mut channel = self.channel.borrow_mut();
        let size = into.len().min(channel.bytes.len());
        if size > 0 {
            into.iter_mut().zip(channel.bytes.drain(..size)).for_each(|(place, byte)| *place = byte);
            return Transfer::Moved(size);
        }
        if channel.writer_gone { Transfer::Ended } else { Transfer::NotNow }
    }

    fn close(&mut self) {
        let mut channel = self.channel.borrow_mut();
        if self.reads {
            channel.reader_gone = true;
        } else {
            channel.writer_gone = true;
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ParentIs {
    Rewriting,
    /// With what the new file got appended, or nothing when the old one goes on.
    Done(Option<Vec<u8>>),
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ChildIs {
    Running,
    Finished,
    Failed,
}

#[derive(Clone, Hash)]
struct State<O> {
    parent: RewriteParent<O>,
    parent_is: ParentIs,
    child: RewriteChild<O>,
    child_is: ChildIs,
    channels: [Channel; 3],
    /// Commands the clients have sent; all are in the old file.
    commands: usize,
    /// Commands sent while the rewrite ran, so part of its diff.
    in_diff: usize,
    now_ms: u64,
    faults_left: u8,
    /// Bytes that entered the data pipe after the acknowledgement had.
    late_bytes: usize,
}

#[derive(Clone, Debug)]
enum Action {
    ClientWrites,
    ParentSends { room: usize },
    ParentHears,
    ParentRepeatsAcknowledgement,
    ParentReaps,
    ParentDies,
    ChildReads,
    ChildWritesSnapshot,
    ChildWaitsInVain,
    ChildHears,
    ChildFinishes,
    ChildFailsToWriteItsFile,
    ChildDies,
    TimePasses,
    DataPipeFails,
}

struct Rewrite<O> {
    order: std::marker::PhantomData<O>,
}

impl<O: Order> Rewrite<O> {
    fn new() -> Self {
        Self { order: std::marker::PhantomData }
    }
}

impl<O: Order + Clone + std::hash::Hash> State<O> {
    /// Runs `step` with both sides' ends of the channels.
    fn with_ends<T>(
        &mut self,
        room: usize,
        step: impl FnOnce(&mut Self, &mut ParentEnds<End<'_>>, &mut ChildEnds<End<'_>>) -> T,
    ) -> T {
        let cells = std::mem::take(&mut self.channels).map(RefCell::new);
        let end = |index: usize, reads| End { channel: &cells[index], reads, room };
        let mut parent = ParentEnds {
            data: end(DATA, false),
            requests: end(REQUESTS, true),
            acknowledgements: end(ACKNOWLEDGEMENTS, false),
        };
        let mut child = ChildEnds {
            data: end(DATA, true),
            requests: end(REQUESTS, false),
            acknowledgements: end(ACKNOWLEDGEMENTS, true),
        };
        let result = step(self, &mut parent, &mut child);
        self.channels = cells.map(RefCell::into_inner);
        result
    }

    fn parent_step(&mut self, event: PipeEvent, room: usize) {
        let acknowledged = !self.channels[ACKNOWLEDGEMENTS].bytes.is_empty() || self.past_acknowledgement();
        let before = self.channels[DATA].bytes.len();
        self.with_ends(room, |state, ends, _| state.parent.step(ends, event));
        if acknowledged {
            self.late_bytes += self.channels[DATA].bytes.len() - before;
        }
    }

    fn past_acknowledgement(&self) -> bool {
        !self.parent.wants_requests() && !self.parent.owes_acknowledgement()
    }

    fn child_step(&mut self, event: PipeEvent) {
        let now_ms = self.now_ms;
        let wants = self.with_ends(CAPACITY, |state, _, ends| state.child.step(ends, event, now_ms));
        if let ChildWants::GiveUp(_) = wants {
            self.child_ends(ChildIs::Failed);
        }
    }

    fn child_wants(&self) -> ChildWants {
        self.child.wants(self.now_ms)
    }

    fn child_ends(&mut self, how: ChildIs) {
        self.child_is = how;
        self.with_ends(0, |_, _, ends| ends.close());
    }

    fn everything(&self) -> Vec<u8> {
        COMMANDS[..self.commands].concat()
    }
}

impl<O: Order + Clone + std::hash::Hash> System for Rewrite<O> {
    type State = State<O>;
    type Action = Action;

    fn initial(&self) -> Vec<State<O>> {
        vec![State {
            parent: RewriteParent::new(BLOCK),
            parent_is: ParentIs::Rewriting,
            child: RewriteChild::new(QUIET_WAITS),
            child_is: ChildIs::Running,
            channels: Default::default(),
            commands: 0,
            in_diff: 0,
            now_ms: 0,
            faults_left: FAULTS,
            late_bytes: 0,
        }]
    }

    fn actions(&self, state: &State<O>, actions: &mut Vec<Action>) {
        let faulty = state.faults_left > 0;
        if state.parent_is != ParentIs::Dead && state.commands < COMMANDS.len() {
            actions.push(Action::ClientWrites);
        }
        if state.parent_is == ParentIs::Rewriting {
            let data = &state.channels[DATA];
            if state.parent.wants_to_send() && (data.bytes.len() < CAPACITY || data.reader_gone || data.fails) {
                actions.push(Action::ParentSends { room: 1 });
                actions.push(Action::ParentSends { room: CAPACITY });
            }
            let requests = &state.channels[REQUESTS];
            if state.parent.wants_requests() && (!requests.bytes.is_empty() || requests.writer_gone) {
                actions.push(Action::ParentHears);
            }
            if state.parent.owes_acknowledgement() {
                actions.push(Action::ParentRepeatsAcknowledgement);
            }
            if state.child_is != ChildIs::Running {
                actions.push(Action::ParentReaps);
            }
            if faulty {
                actions.push(Action::ParentDies);
                actions.push(Action::DataPipeFails);
            }
        }
        if state.child_is == ChildIs::Running {
            let data = &state.channels[DATA];
            let readable = !data.bytes.is_empty() || data.writer_gone;
            match state.child_wants() {
                ChildWants::Snapshot => {
                    if readable {
                        actions.push(Action::ChildReads);
                    }
                    actions.push(Action::ChildWritesSnapshot);
                }
                ChildWants::Data { .. } if readable => actions.push(Action::ChildReads),
                ChildWants::Data { .. } => actions.push(Action::ChildWaitsInVain),
                ChildWants::Signal { .. } => {
                    let signals = &state.channels[ACKNOWLEDGEMENTS];
                    if !signals.bytes.is_empty() || signals.writer_gone {
                        actions.push(Action::ChildHears);
                    }
                }
                ChildWants::Finish => {
                    actions.push(Action::ChildFinishes);
                    if faulty {
                        actions.push(Action::ChildFailsToWriteItsFile);
                    }
                }
                ChildWants::GiveUp(_) => {}
            }
            if faulty {
                actions.push(Action::ChildDies);
                actions.push(Action::TimePasses);
            }
        }
    }

    fn next(&self, state: &State<O>, action: &Action) -> State<O> {
        let mut next = state.clone();
        match *action {
            Action::ClientWrites => {
                if next.parent_is == ParentIs::Rewriting {
                    next.parent.append(COMMANDS[next.commands]);
                    next.in_diff += 1;
                }
                next.commands += 1;
            }
            Action::ParentSends { room } => next.parent_step(PipeEvent::Data, room),
            Action::ParentHears => next.parent_step(PipeEvent::Signal, CAPACITY),
            Action::ParentRepeatsAcknowledgement => next.parent_step(PipeEvent::Nothing, CAPACITY),
            Action::ParentReaps => {
                let finished = next.child_is == ChildIs::Finished;
                let parent = next.parent.clone();
                let outcome = next.with_ends(0, |_, ends, _| parent.child_ended(ends, finished));
                next.parent_is = ParentIs::Done(match outcome {
                    Outcome::Append(residue) => Some(residue),
                    Outcome::Abandoned => None,
                });
            }
            Action::ParentDies => {
                next.faults_left -= 1;
                next.parent_is = ParentIs::Dead;
                next.with_ends(0, |_, ends, _| ends.close());
            }
            Action::DataPipeFails => {
                next.faults_left -= 1;
                next.channels[DATA].fails = true;
            }
            Action::ChildReads => next.child_step(PipeEvent::Data),
            Action::ChildWritesSnapshot => {
                let now_ms = next.now_ms;
                next.child.snapshot_written(now_ms);
            }
            Action::ChildWaitsInVain => next.child_step(PipeEvent::Nothing),
            Action::ChildHears => next.child_step(PipeEvent::Signal),
            Action::ChildFinishes => next.child_ends(ChildIs::Finished),
            Action::ChildFailsToWriteItsFile | Action::ChildDies => {
                next.faults_left -= 1;
                next.child_ends(ChildIs::Failed);
            }
            Action::TimePasses => {
                next.faults_left -= 1;
                next.now_ms += ACKNOWLEDGE_MS;
                next.child_step(PipeEvent::Nothing);
            }
        }
        next
    }

    fn always(&self, state: &State<O>) -> Result<(), String> {
        if state.late_bytes > 0 {
            return Err("a byte entered the data pipe after the acknowledgement".into());
        }
        if let ParentIs::Done(Some(residue)) = &state.parent_is {
            let diff = COMMANDS[..state.in_diff].concat();
            let held = [state.child.received(), residue].concat();
            if held != diff {
                return Err(format!("the new file holds {held:?} of {diff:?}"));
            }
            let later = COMMANDS[state.in_diff..state.commands].concat();
            if [held, later].concat() != state.everything() {
                return Err("the new file is not the dataset and every later command".into());
            }
        }
        Ok(())
    }

    fn finally(&self, state: &State<O>) -> Result<(), String> {
        if state.parent_is == ParentIs::Rewriting {
            return Err("deadlock: the rewrite never ends for the parent".into());
        }
        if state.child_is == ChildIs::Running {
            return Err("deadlock: the child never ends".into());
        }
        for (name, channel) in ["data", "requests", "acknowledgements"].iter().zip(&state.channels) {
            if !channel.reader_gone || !channel.writer_gone {
                return Err(format!("an end of the pipe for {name} stays open"));
            }
        }
        if state.faults_left == FAULTS && !matches!(state.parent_is, ParentIs::Done(Some(_))) {
            return Err("nothing failed, but the rewrite was abandoned".into());
        }
        Ok(())
    }

    fn goals(&self) -> &'static [&'static str] {
        &[
            "everything went through the pipe",
            "something was left for the parent",
            "the parent went on after the child's failure",
            "the parent acknowledged with its diff unsent",
            "the data pipe was full",
        ]
    }

    fn shows(&self, state: &State<O>, goal: usize) -> bool {
        let residue = match &state.parent_is {
            ParentIs::Done(residue) => residue.as_ref(),
            _ => None,
        };
        match goal {
            0 => residue.is_some_and(Vec::is_empty) && state.child.received().len() == COMMANDS.concat().len(),
            1 => residue.is_some_and(|residue| !residue.is_empty()) && !state.child.received().is_empty(),
            2 => state.parent_is == ParentIs::Done(None) && state.commands == COMMANDS.len(),
            3 => state.past_acknowledgement() && state.parent.buffered() > 0,
            _ => state.channels[DATA].bytes.len() == CAPACITY,
        }
    }
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-1] (inside) Parent and child MUST be joined by three pipes: data from parent to child, non-blocking at both ends, an acknowledgement from child to parent, and one from parent to child.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-2] (inside) Each command that the parent appends to the old file while the child rewrites MUST be appended to the diff as well, in the same order.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-3] (inside) The parent MUST write the diff to the data pipe as the pipe takes it, in order, and drop from the diff exactly the bytes that were taken.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-5] (inside) The child then MUST write `!` to ask the parent to stop.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-6] (inside) The parent, on reading `!`, MUST stop to write to the data pipe before it answers with `!`.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-7] (inside) The parent MUST stop to watch the pipe of the child's request once it was read, whether or not the answer could be written.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-9] (inside) A child that waits 5 seconds for the acknowledgement in vain, or reads another byte than `!`, MUST fail.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-11] (inside) When the child has succeeded, the parent MUST append to its file what the diff still holds before it renames the file over the old one.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-15] (inside) When the rewrite has ended in any way, both sides MUST have closed their ends of all three pipes.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-16] (inside) A child whose parent is gone MUST end without renaming anything.
#[test]
fn no_order_of_steps_loses_doubles_or_reorders_a_byte_or_ends_in_a_deadlock() {
    let explored = explore(&Rewrite::<Sound>::new(), 5_000_000).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{explored:?}");
    assert!(explored.states > 10_000, "too few states to mean anything: {explored:?}");
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NoDrainAfterAcknowledgement;

impl Order for NoDrainAfterAcknowledgement {
    const DRAINS_AFTER_ACKNOWLEDGEMENT: bool = false;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SendsOnAfterAcknowledging;

impl Order for SendsOnAfterAcknowledging {
    const STOPS_BEFORE_ACKNOWLEDGING: bool = false;
}

fn violation<O: Order + Clone + std::hash::Hash>() -> Violation {
    explore(&Rewrite::<O>::new(), 5_000_000).expect_err("the fault must be found")
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-8] (inside) The child MUST read the data pipe to its end for now only after the acknowledgement has come, since bytes may have entered it until then.
#[test]
fn an_acknowledgement_taken_for_the_last_drain_is_caught() {
    let found = violation::<NoDrainAfterAcknowledgement>();
    assert!(found.message.starts_with("the new file holds"), "{found}");
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-17] (inside) What the parent appends after its acknowledgement MUST stay in its diff.
#[test]
fn sending_on_after_the_acknowledgement_is_caught() {
    let found = violation::<SendsOnAfterAcknowledging>();
    assert!(found.message.contains("after the acknowledgement"), "{found}");
}

/// A data pipe in which nothing ever comes, and others that take everything.
struct Quiet;

impl Pipe for Quiet {
    fn try_write(&mut self, bytes: &[u8]) -> Transfer {
        Transfer::Moved(bytes.len())
    }

    fn try_read(&mut self, _: &mut [u8]) -> Transfer {
        Transfer::NotNow
    }

    fn close(&mut self) {}
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-4] (inside) The child MUST read the data pipe while it writes the snapshot and once more after it, waiting for up to one millisecond at a time until 1,000 milliseconds have passed or 20 waits in a row brought nothing.
//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-9] (inside) A child that waits 5 seconds for the acknowledgement in vain, or reads another byte than `!`, MUST fail.
#[test]
fn the_child_gathers_for_a_second_or_twenty_quiet_milliseconds_and_waits_five_seconds_for_its_answer() {
    let mut ends = ChildEnds { data: Quiet, requests: Quiet, acknowledgements: Quiet };
    let mut child = RewriteChild::<Sound>::new(20);
    assert_eq!(child.snapshot_written(100), ChildWants::Data { at_most_ms: 1 });
    for wait in 1..20 {
        let wants = child.step(&mut ends, PipeEvent::Nothing, 100 + wait);
        assert_eq!(wants, ChildWants::Data { at_most_ms: 1 }, "after {wait} quiet waits");
    }
    assert_eq!(child.step(&mut ends, PipeEvent::Nothing, 120), ChildWants::Signal { at_most_ms: 5000 });
    assert_eq!(child.step(&mut ends, PipeEvent::Nothing, 5119), ChildWants::Signal { at_most_ms: 1 });
    assert!(matches!(child.step(&mut ends, PipeEvent::Nothing, 5120), ChildWants::GiveUp(_)));

    let mut hurried = RewriteChild::<Sound>::new(20);
    hurried.snapshot_written(0);
    assert_eq!(hurried.step(&mut ends, PipeEvent::Nothing, 999), ChildWants::Data { at_most_ms: 1 });
    assert!(matches!(hurried.step(&mut ends, PipeEvent::Nothing, 1000), ChildWants::Signal { .. }));
}

//= SPEC.md#aof-rewriting-hand-off
//# [HANDOFF-10] (inside) The child MUST append what it read to the snapshot, force the file to disk and end with success only when all of that succeeded.
#[test]
fn a_child_that_could_not_write_its_file_leaves_the_old_one_in_use() {
    let mut failing = RewriteParent::<Sound>::new(BLOCK);
    failing.append(b"diff");
    let mut marked = ParentEnds { data: Marked, requests: Marked, acknowledgements: Marked };
    failing.step(&mut marked, PipeEvent::Signal);
    let finishing = failing.clone();
    assert_eq!(failing.child_ended(&mut marked, false), Outcome::Abandoned);
    assert_eq!(finishing.child_ended(&mut marked, true), Outcome::Append(b"diff".to_vec()));
    // Nor does an end count that nobody was told of in time.
    let deaf = RewriteParent::<Sound>::new(BLOCK);
    assert_eq!(deaf.child_ended(&mut marked, true), Outcome::Abandoned);
}

/// Pipes by which the other side says `!` and hears everything.
struct Marked;

impl Pipe for Marked {
    fn try_write(&mut self, bytes: &[u8]) -> Transfer {
        Transfer::Moved(bytes.len())
    }

    fn try_read(&mut self, into: &mut [u8]) -> Transfer {
        into[0] = b'!';
        Transfer::Moved(1)
    }

    fn close(&mut self) {}
}
