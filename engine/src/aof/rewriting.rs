//! When the append-only file is rewritten, and how the new file takes its place.
//!
//! ```text
//!  asked, grown, switched on ─► Effect::Rewrite ─► ChildStarted ─(diff gathers)─► RewriteEnded
//!      ─► reopen the child's file, append what is left of the diff, sync, rename, sync the directory
//! ```
//!
//! Each step on the new file waits for the answer to the one before it, so a failure leaves the old file as it was, which
//! meanwhile has everything too. [DURABLE-9] [HANDOFF-13]

use super::append::encode_command;
use super::rewrite::{BLOCK_BYTES, Outcome, RewriteParent};
use crate::client::Waiting;
use crate::commands::transactions;
use crate::effect::{Effect, FileEffect, FileId, LogLevel};
use crate::event::{ClientId, IoFailure};
use crate::faults::{self, Fault};
use crate::state::Server;

const REWRITTEN: FileId = FileId::AofRewritten;

/// In this order.
const STEPS: [FileEffect; 4] = [
    FileEffect::Reopen(REWRITTEN),
    FileEffect::Write(REWRITTEN),
    FileEffect::Fsync(REWRITTEN),
    FileEffect::Rename(REWRITTEN, FileId::Aof),
];

/// The child's file, on its way to its place.
#[derive(Debug)]
struct Placing {
    /// Steps that are done.
    done: usize,
    /// Bytes that the child wrote.
    size: u64,
    /// What the child did not get.
    rest: Vec<u8>,
}

/// A rewrite under way.
#[derive(Debug)]
struct Rewrite {
    /// Unix seconds.
    started_s: i64,
    /// Since the fork.
    parent: Option<RewriteParent>,
    /// Since the child's end.
    placing: Option<Placing>,
}

/// What is known of rewrites.
#[derive(Debug)]
pub(crate) struct Rewrites {
    current: Option<Rewrite>,
    /// One begins as soon as no child is at work.
    pub(crate) scheduled: bool,
    /// How the last one ended.
    pub(crate) last_ok: bool,
    /// Seconds that the last one took, -1 before there was one.
    pub(crate) last_duration_s: i64,
    /// Bytes that copy-on-write duplicated during the last one.
    pub(crate) last_copied: u64,
}

impl Default for Rewrites {
    fn default() -> Self {
        Rewrites { current: None, scheduled: false, last_ok: true, last_duration_s: -1, last_copied: 0 }
    }
}

impl Rewrites {
    /// Whether one is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.current.is_some()
    }

    /// Unix seconds when the one under way began.
    pub(crate) fn started_s(&self) -> Option<i64> {
        self.current.as_ref().map(|rewrite| rewrite.started_s)
    }

    /// Where commands are gathered that the new file needs too.
    #[inline]
    pub(crate) fn diff(&mut self) -> Option<&mut RewriteParent> {
        self.current.as_mut()?.parent.as_mut()
    }

    /// Bytes of the diff that the child has not taken.
    pub(crate) fn buffered(&self) -> usize {
        self.current.as_ref().and_then(|rewrite| rewrite.parent.as_ref()).map_or(0, RewriteParent::buffered)
    }

    /// What the driver is to append to the child's file.
    pub(crate) fn bytes(&self) -> &[u8] {
        let placing = self.current.as_ref().and_then(|rewrite| rewrite.placing.as_ref());
        placing.map_or(&[], |placing| &placing.rest)
    }
}

impl Server {
    /// Whether a child is at work, or is about to be forked.
    pub(crate) fn has_child(&self) -> bool {
        self.saving.background.is_some() || self.rewrites.is_running()
    }

    /// Tables do not move their entries while a child shares their memory.
    pub(crate) fn note_children(&mut self) {
        let lives = self.has_child();
        self.keyspace.set_child(lives);
    }

    /// Begins to rewrite the append-only file; no child may be at work.
    pub(crate) fn rewrite_aof(&mut self) {
        self.rewrites.scheduled = false;
        self.scripting.forget_handed_on();
        self.rewrites.current = Some(Rewrite { started_s: self.clock.unix_s(), parent: None, placing: None });
        self.note_children();
        self.effects.push(Effect::Rewrite);
    }

    /// The child was forked for the rewrite under way: what is appended from now on is not in its dataset.
    pub(crate) fn rewrite_started(&mut self) {
        if !faults::is(Fault::RewriteForgetsSelect) {
            self.aof.forget_selected();
        }
        let mut parent = RewriteParent::new(BLOCK_BYTES);
        // The child has the first half of a transaction that goes on: the second half is one of its own.
        if self.aof.is_enabled() && self.clients.iter().any(transactions::is_wrapped) {
            let mut multi = Vec::new();
            encode_command([&b"MULTI"[..]].into_iter(), &mut multi);
            parent.append(&multi);
        }
        if let Some(rewrite) = &mut self.rewrites.current {
            rewrite.parent = Some(parent);
        }
    }

    /// Begins what was scheduled, or a rewrite because the file has grown; called by the cron.
    pub(crate) fn check_rewrites(&mut self) {
        if self.has_child() {
            return;
        }
        if self.rewrites.scheduled {
            self.rewrite_aof();
            return;
        }
        let percentage = u64::try_from(self.config.auto_aof_rewrite_percentage).unwrap_or(0);
        let size = self.aof.size();
        if !self.aof.is_enabled() || percentage == 0 || size <= self.config.auto_aof_rewrite_min_size {
            return;
        }
        let base = u128::from(self.aof.base_size().max(1));
        let growth = (u128::from(size) * 100 / base).saturating_sub(100);
        if growth >= u128::from(percentage) {
            self.log(LogLevel::Notice, format!("Starting automatic rewriting of AOF on {growth}% growth"));
            self.rewrite_aof();
        }
    }

    /// The child ended, or could not be forked. Returns the client whose command goes on now.
    pub(crate) fn rewrite_ended(&mut self, result: Result<u64, IoFailure>, copied: u64) -> Option<ClientId> {
        let rewrite = self.rewrites.current.as_mut()?;
        let parent = rewrite.parent.take();
        let forked = parent.is_some();
        let outcome = parent.map_or(Outcome::Abandoned, |parent| parent.outcome(result.is_ok()));
        match (result, outcome) {
            (Ok(size), Outcome::Append(mut rest)) => {
                if faults::is(Fault::RewriteDropsRest) {
                    rest.clear();
                }
                self.rewrites.last_copied = copied;
                self.log(LogLevel::Notice, "Background AOF rewrite terminated with success");
                if let Some(rewrite) = &mut self.rewrites.current {
                    rewrite.placing = Some(Placing { done: 0, size, rest });
                }
                self.effects.push(Effect::File(STEPS[0].clone()));
                None
            }
            (Ok(_), Outcome::Abandoned) => {
                self.give_rewrite_up("the child ended before the parent had stopped to send", true);
                None
            }
            (Err(failure), _) => {
                self.give_rewrite_up(&failure.text, forked);
                if forked { None } else { self.answer_forker(false) }
            }
        }
    }

    /// A step on the child's file succeeded.
    pub(crate) fn rewritten_step_done(&mut self) {
        let Some(rewrite) = &mut self.rewrites.current else { return };
        let Some(placing) = &mut rewrite.placing else { return };
        placing.done += 1;
        if placing.done == 2 && faults::is(Fault::RewriteForgetsSync) {
            placing.done += 1;
        }
        if let Some(step) = STEPS.get(placing.done) {
            self.effects.push(Effect::File(step.clone()));
            return;
        }
        let size = placing.size.saturating_add(placing.rest.len() as u64);
        self.rewrites.last_ok = true;
        self.end_rewrite();
        if self.aof.is_enabled() {
            self.aof.replaced(size, &mut self.effects);
        } else {
            self.effects.push(Effect::File(FileEffect::Close(FileId::Aof)));
            self.effects.push(Effect::File(FileEffect::SyncDirectory));
        }
        self.log(LogLevel::Notice, "Background AOF rewrite finished successfully");
    }

    /// A step on the child's file failed.
    pub(crate) fn rewritten_step_failed(&mut self, why: &IoFailure) {
        if self.rewrites.current.as_ref().is_some_and(|rewrite| rewrite.placing.is_some()) {
            self.give_rewrite_up(&why.text, true);
            // Without an answer that would matter: the old file goes on.
            self.effects.push(Effect::File(FileEffect::Close(REWRITTEN)));
            self.effects.push(Effect::File(FileEffect::Remove(REWRITTEN)));
        }
    }

    fn give_rewrite_up(&mut self, why: &str, status: bool) {
        self.log(LogLevel::Warning, format!("Background AOF rewrite failed: {why}"));
        if status {
            self.rewrites.last_ok = false;
        }
        self.end_rewrite();
        // Somebody waits for the first file.
        self.rewrites.scheduled |= self.aof.is_beginning();
    }

    fn end_rewrite(&mut self) {
        if let Some(rewrite) = self.rewrites.current.take() {
            self.rewrites.last_duration_s = self.clock.unix_s() - rewrite.started_s;
        }
        self.note_children();
    }

    /// Ends the child that rewrites, if there is one.
    pub(crate) fn stop_rewrite(&mut self) {
        if self.rewrites.current.take().is_some() {
            self.note_children();
            self.effects.push(Effect::StopRewrite);
            self.log(LogLevel::Warning, "The rewrite of the append-only file was stopped");
        }
    }

    /// Follows the directive `appendonly`, which was set at run time. [CONFIG-32]
    pub(crate) fn switch_aof(&mut self) {
        match (self.config.appendonly, self.aof.is_enabled()) {
            (true, false) => {
                self.aof.begin();
                // One that goes on for a file without appending has no diff.
                self.stop_rewrite();
                if self.has_child() {
                    self.rewrites.scheduled = true;
                    self.log(LogLevel::Warning, "The append-only file begins when the background save has ended");
                } else {
                    self.rewrite_aof();
                }
            }
            (false, true) => {
                self.stop_rewrite();
                self.rewrites.scheduled = false;
                if self.aof.is_beginning() {
                    self.aof.abandon();
                } else {
                    self.aof.close(self.clock.now_us, &mut self.effects);
                }
            }
            _ => {}
        }
    }

    /// Answers the command that waits for a fork. Returns its client.
    pub(crate) fn answer_forker(&mut self, forked: bool) -> Option<ClientId> {
        let id = self.clients.iter().find(|client| client.waiting.is_some_and(Waiting::for_fork))?.id;
        let client = self.clients.get_mut(id)?;
        match (client.waiting, forked) {
            (Some(Waiting::ForkToSave), true) => client.answer(|reply| reply.status("Background saving started")),
            (_, true) => client.answer(|reply| reply.status("Background append only file rewriting started")),
            (Some(Waiting::ForkToSave), false) => client.answer(|reply| reply.error(b"ERR")),
            (_, false) => client.answer(|reply| {
                reply.error(
                    b"ERR Can't execute an AOF background rewriting. Please check the server logs for more \
                      information.",
                );
            }),
        }
        Some(id)
    }
}
