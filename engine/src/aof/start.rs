//! Switching the append-only file on and off while the server runs.
//!
//! Switched on, the present dataset is written to a temporary file, made durable and renamed; commands that come
//! meanwhile wait in the buffer and follow once the file is in place. Each step waits for the answer to the one before
//! it, so a failure leaves an old file as it was. [DURABLE-9]

use crate::effect::{Effect, FileEffect, FileId, LogLevel};
use crate::event::IoFailure;
use crate::state::Server;

const TEMPORARY: FileId = FileId::AofTemporary;

/// In this order; a file left over from a start that failed is emptied, not appended to.
const STEPS: [FileEffect; 5] = [
    FileEffect::Open(TEMPORARY),
    FileEffect::Truncate(TEMPORARY, 0),
    FileEffect::Write(TEMPORARY),
    FileEffect::Fsync(TEMPORARY),
    FileEffect::Rename(TEMPORARY, FileId::Aof),
];

/// A file that is being put in place.
#[derive(Debug, Default)]
pub(crate) struct Start {
    /// Steps that are done.
    done: usize,
    bytes: Vec<u8>,
}

impl Start {
    /// What the driver is to write.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Server {
    /// Follows the directive `appendonly`, which was set at run time.
    pub(crate) fn switch_aof(&mut self) {
        match (self.config.appendonly, self.aof.is_enabled()) {
            (true, false) => self.begin_aof(),
            (false, true) if self.aof_start.is_some() => self.give_aof_up(),
            (false, true) => self.aof.close(self.clock.now_us, &mut self.effects),
            _ => {}
        }
    }

    fn begin_aof(&mut self) {
        let mut bytes = Vec::new();
        // Nothing can fail in memory.
        if self.write_compact_aof(&mut bytes).is_ok() {
            self.aof.begin();
            self.aof_start = Some(Start { done: 0, bytes });
            self.effects.push(Effect::File(STEPS[0].clone()));
        }
    }

    /// A step on the temporary file succeeded.
    pub(crate) fn aof_start_done(&mut self) {
        let Some(start) = &mut self.aof_start else { return };
        start.done += 1;
        match STEPS.get(start.done) {
            Some(step) => self.effects.push(Effect::File(step.clone())),
            None => {
                let size = start.bytes.len() as u64;
                self.aof_start = None;
                self.aof.ready(size, &mut self.effects);
            }
        }
    }

    /// A step on the temporary file failed.
    pub(crate) fn aof_start_failed(&mut self, why: &IoFailure) {
        if self.aof_start.is_some() {
            self.log(LogLevel::Warning, format!("The append-only file could not be begun: {}", why.text));
            self.config.appendonly = false;
            self.give_aof_up();
        }
    }

    fn give_aof_up(&mut self) {
        self.aof_start = None;
        self.aof.abandon();
        self.effects.push(Effect::File(FileEffect::Close(TEMPORARY)));
        self.effects.push(Effect::File(FileEffect::Remove(TEMPORARY)));
    }
}
