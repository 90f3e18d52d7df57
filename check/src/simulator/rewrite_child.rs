//! The child of an AOF rewrite without a process: the dataset is written at once, the hand-off goes step by step.

use std::io;

use tally_engine::Engine;
use tally_engine::aof::rewrite::{
    ChildEnds, ChildWants, GaveUp, ParentEnds, PipeEvent, QUIET_WAITS, RewriteChild, Sound,
};

use super::pipe::{PipeEnd, pipe};

/// A child that has written the dataset and now takes what the parent sends.
#[derive(Debug)]
pub struct SimulatedChild {
    side: RewriteChild<Sound>,
    ends: ChildEnds<PipeEnd>,
    dataset: Vec<u8>,
    now_ms: u64,
}

impl SimulatedChild {
    /// The child as it is right after the fork, and the parent's ends of its pipes, each with room for `capacity` bytes.
    pub fn fork(engine: &Engine, capacity: usize) -> io::Result<(SimulatedChild, ParentEnds<PipeEnd>)> {
        let (data_out, data_in) = pipe(capacity);
        let (requests_out, requests_in) = pipe(capacity);
        let (acknowledgements_out, acknowledgements_in) = pipe(capacity);
        let parent = ParentEnds { data: data_in, requests: requests_out, acknowledgements: acknowledgements_in };
        let ends = ChildEnds { data: data_out, requests: requests_in, acknowledgements: acknowledgements_out };
        let mut dataset = Vec::new();
        engine.compact_aof(&mut dataset)?;
        let mut side = RewriteChild::new(QUIET_WAITS);
        side.snapshot_written(0);
        Ok((SimulatedChild { side, ends, dataset, now_ms: 0 }, parent))
    }

    /// One step, a millisecond long; the whole file once the child has finished.
    pub fn step(&mut self) -> Option<Result<Vec<u8>, GaveUp>> {
        self.now_ms += 1;
        let event = match self.side.wants(self.now_ms) {
            ChildWants::Snapshot => PipeEvent::Nothing,
            ChildWants::Data { .. } => PipeEvent::Data,
            ChildWants::Signal { .. } => PipeEvent::Signal,
            ChildWants::Finish => return Some(Ok([&self.dataset, self.side.received()].concat())),
            ChildWants::GiveUp(why) => return Some(Err(why)),
        };
        self.side.step(&mut self.ends, event, self.now_ms);
        None
    }

    /// Runs to the end with a parent that does nothing else meanwhile.
    pub fn finish(mut self, engine: &mut Engine, mut ends: ParentEnds<PipeEnd>) -> Result<Vec<u8>, GaveUp> {
        loop {
            if let Some(end) = self.step() {
                return end;
            }
            for event in [PipeEvent::Data, PipeEvent::Signal] {
                engine.rewrite_step(&mut ends, event);
            }
        }
    }
}
