//! Snapshots as the engine sees them: when one is asked for, what it means that it ended, and who waits for that.
//!
//! The writing itself is the driver's ([`Effect::Snapshot`]). Snapshots in the foreground are answered right after
//! their effect, so that an answer which comes while one is awaited belongs to it, even when a child is at work too.

use crate::client::Waiting;
use crate::effect::{Effect, LogLevel, SnapshotMode};
use crate::event::{ClientId, IoFailure};
use crate::faults::{self, Fault};
use crate::state::Server;

/// Seconds to wait after a failed background save before a save point tries again.
const RETRY_DELAY_S: i64 = 5;

/// What SHUTDOWN answers when the server goes on.
pub(crate) const SHUTDOWN_FAILED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";

/// A snapshot that a child is writing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Background {
    /// Unix seconds.
    pub(crate) started_s: i64,
    dirty_before: u64,
}

/// For whom a snapshot in the foreground is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// For a client that waits.
    Client(ClientId),
    /// The process was told to stop.
    Termination,
    /// For nobody: FLUSHALL with save points.
    Nobody,
}

/// What is known of snapshots.
#[derive(Debug)]
pub(crate) struct Saving {
    /// Unix seconds of the last success; of the start, before there was one.
    pub(crate) last_save_s: i64,
    /// Unix seconds of the last attempt in the background.
    last_attempt_s: i64,
    /// How the last one ended.
    pub(crate) last_ok: bool,
    pub(crate) background: Option<Background>,
    /// Seconds that the last one in the background took, -1 before there was one.
    pub(crate) last_duration_s: i64,
    /// Bytes that copy-on-write duplicated during the last one in the background.
    pub(crate) last_copied: u64,
    /// A background save begins as soon as no child is at work (BGSAVE SCHEDULE).
    pub(crate) scheduled: bool,
    foreground: Vec<Purpose>,
}

impl Default for Saving {
    fn default() -> Self {
        Saving {
            last_save_s: 0,
            last_attempt_s: 0,
            last_ok: true,
            background: None,
            last_duration_s: -1,
            last_copied: 0,
            scheduled: false,
            foreground: Vec::new(),
        }
    }
}

impl Server {
    /// Starts a snapshot in a child.
    pub(crate) fn save_in_background(&mut self) {
        let started_s = self.clock.unix_s();
        self.saving.last_attempt_s = started_s;
        self.saving.background = Some(Background { started_s, dirty_before: self.dirty });
        self.saving.scheduled = false;
        self.note_children();
        self.effects.push(Effect::Snapshot(SnapshotMode::Background));
    }

    /// The child that was asked for last is forked. Returns the client whose command goes on now.
    pub(crate) fn child_started(&mut self, fork_us: u64) -> Option<ClientId> {
        self.stats.fork_usec = fork_us;
        self.took("fork", fork_us);
        match &mut self.saving.background {
            // Its dataset is that of this moment.
            Some(background) => background.dirty_before = self.dirty,
            None => self.rewrite_started(),
        }
        self.answer_forker(true)
    }

    /// Has a snapshot written at once; the client waits for its end.
    pub(crate) fn save_for(&mut self, client: ClientId) {
        self.save_at_once(Purpose::Client(client));
    }

    /// Has a snapshot written at once, for which nobody waits.
    pub(crate) fn save_for_nobody(&mut self) {
        if self.loading {
            return;
        }
        self.save_at_once(Purpose::Nobody);
    }

    fn save_at_once(&mut self, purpose: Purpose) {
        self.saving.foreground.push(purpose);
        self.effects.push(Effect::Snapshot(SnapshotMode::Foreground));
    }

    /// Ends the child that writes a snapshot, if there is one.
    pub(crate) fn stop_background_save(&mut self) {
        if self.saving.background.take().is_some() {
            self.note_children();
            self.effects.push(Effect::StopSnapshot);
            self.log(LogLevel::Warning, "The background save was stopped");
        }
    }

    /// Starts a background save when a save point is reached; called by the cron.
    pub(crate) fn check_save_points(&mut self) {
        if self.has_child() {
            return;
        }
        let now_s = self.clock.unix_s();
        let since_save = now_s - self.saving.last_save_s;
        let may_try = self.saving.last_ok || now_s - self.saving.last_attempt_s > RETRY_DELAY_S;
        let dirty = self.dirty;
        let reached = self.config.save.iter().find(|point| {
            u64::try_from(point.changes).is_ok_and(|changes| dirty >= changes) && since_save > point.seconds
        });
        if let (Some(point), true) = (reached, may_try) {
            let text = format!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
            self.log(LogLevel::Notice, text);
            self.save_in_background();
        } else if self.saving.scheduled && may_try {
            self.save_in_background();
        }
    }

    /// Begins to stop the process as `SHUTDOWN` does. `save` says whether to write a snapshot, `None`: if there are
    /// save points. The client, if one asked, waits for the end of the snapshot.
    /// False when the server cannot leave now.
    #[must_use]
    pub(crate) fn shut_down(&mut self, client: Option<ClientId>, save: Option<bool>) -> bool {
        self.log(LogLevel::Warning, "User requested shutdown...");
        self.stop_background_save();
        if self.aof.is_beginning() {
            // The dataset is in no file yet. [SHUTDOWN-6]
            self.log(LogLevel::Warning, "Writing initial AOF, can't exit.");
            return false;
        }
        self.stop_rewrite();
        if save.unwrap_or(!self.config.save.is_empty()) {
            self.log(LogLevel::Notice, "Saving the final RDB snapshot before exiting.");
            self.save_at_once(client.map_or(Purpose::Termination, Purpose::Client));
        } else {
            self.leave();
        }
        true
    }

    /// Leaves the process.
    fn leave(&mut self) {
        if self.aof.is_enabled() {
            self.log(LogLevel::Notice, "Calling fsync() on the AOF file.");
            self.aof.close(self.clock.now_us, &mut self.effects);
        }
        self.log(LogLevel::Warning, "Ready to exit, bye bye...");
        self.effects.push(Effect::Exit { code: 0 });
        self.leaving = true;
    }

    /// A snapshot ended. Returns the client whose command goes on now.
    pub(crate) fn snapshot_ended(&mut self, result: &Result<u64, IoFailure>, copied: u64) -> Option<ClientId> {
        if self.saving.foreground.is_empty() {
            return self.background_ended(result, copied);
        }
        let purpose = self.saving.foreground.remove(0);
        match result {
            Ok(_) => {
                // What FLUSHALL saves it counts as changes afterwards. [FLUSHALL-3]
                if purpose != Purpose::Nobody {
                    self.dirty = 0;
                }
                self.saving.last_save_s = self.clock.unix_s();
                self.saving.last_ok = true;
                self.log(LogLevel::Notice, "DB saved on disk");
            }
            Err(failure) => {
                let text = format!("Write error saving DB on disk: {}", failure.text);
                self.log(LogLevel::Warning, text);
            }
        }
        match purpose {
            Purpose::Nobody => None,
            Purpose::Termination => {
                match result {
                    Ok(_) => self.leave(),
                    Err(_) => self.log(LogLevel::Warning, "Error trying to save the DB, can't exit."),
                }
                None
            }
            Purpose::Client(id) => self.answer_saver(id, result.is_ok()),
        }
    }

    fn answer_saver(&mut self, id: ClientId, ok: bool) -> Option<ClientId> {
        let waiting = self.clients.get(id)?.waiting?;
        if waiting == Waiting::Shutdown && ok {
            self.leave();
            return None;
        }
        let client = self.clients.get_mut(id)?;
        match waiting {
            Waiting::Save if ok => client.answer(|reply| reply.ok()),
            Waiting::Reload { saving: true } if ok => {
                client.waiting = Some(Waiting::Reload { saving: false });
                self.effects.push(Effect::Reload { aof: false });
                return None;
            }
            // Redis answers a bare code when a snapshot fails.
            Waiting::Save | Waiting::Reload { saving: true } => client.answer(|reply| reply.error(b"ERR")),
            Waiting::Shutdown => {
                client.answer(|reply| reply.error(SHUTDOWN_FAILED.as_bytes()));
                self.log(LogLevel::Warning, "Error trying to save the DB, can't exit.");
            }
            Waiting::Reload { saving: false }
            | Waiting::LoadAof
            | Waiting::ConfigRewrite
            | Waiting::ForkToSave
            | Waiting::ForkToRewrite
            | Waiting::Blocked => return None,
        }
        Some(id)
    }

    fn background_ended(&mut self, result: &Result<u64, IoFailure>, copied: u64) -> Option<ClientId> {
        let background = self.saving.background.take()?;
        self.note_children();
        let now_s = self.clock.unix_s();
        self.saving.last_duration_s = now_s - background.started_s;
        // [BGSAVE-10]
        let called_off = result.as_ref().is_err_and(|failure| failure.called_off);
        self.saving.last_ok = result.is_ok() || called_off && self.saving.last_ok;
        match result {
            Ok(_) => {
                let forgets = faults::is(Fault::SaveForgetsChanges);
                let saved = if forgets { self.dirty } else { background.dirty_before };
                self.dirty = self.dirty.saturating_sub(saved);
                self.saving.last_save_s = now_s;
                self.saving.last_copied = copied;
                self.log(LogLevel::Notice, "Background saving terminated with success");
            }
            Err(failure) => {
                let text = format!("Background saving error: {}", failure.text);
                self.log(LogLevel::Warning, text);
            }
        }
        // Still waiting: there was no fork.
        self.answer_forker(false)
    }

    /// What DEBUG RELOAD or DEBUG LOADAOF asked for ended. Returns the client whose command goes on now.
    pub(crate) fn reloaded(&mut self, result: &Result<(), IoFailure>) -> Option<ClientId> {
        let id =
            self.waiting_client(|waiting| matches!(waiting, Waiting::Reload { saving: false } | Waiting::LoadAof))?;
        let client = self.clients.get_mut(id)?;
        let aof = client.waiting == Some(Waiting::LoadAof);
        match result {
            Ok(()) => client.answer(|reply| reply.ok()),
            Err(_) if aof => client.answer(|reply| reply.error(b"ERR")),
            Err(_) => client.answer(|reply| reply.error(b"ERR Error trying to load the RDB dump")),
        }
        match result {
            Ok(()) if aof => {
                self.dirty = 0;
                self.log(LogLevel::Warning, "Append Only File loaded by DEBUG LOADAOF");
            }
            Ok(()) => self.log(LogLevel::Warning, "DB reloaded by DEBUG RELOAD"),
            Err(failure) => self.log(LogLevel::Warning, format!("Reloading failed: {}", failure.text)),
        }
        Some(id)
    }

    /// CONFIG REWRITE ended. Returns the client whose command goes on now.
    pub(crate) fn config_rewritten(&mut self, result: &Result<(), IoFailure>) -> Option<ClientId> {
        let id = self.waiting_client(|waiting| waiting == Waiting::ConfigRewrite)?;
        match result {
            Ok(()) => {
                self.clients.get_mut(id)?.answer(|reply| reply.ok());
                self.log(LogLevel::Warning, "CONFIG REWRITE executed with success.");
            }
            Err(failure) => {
                let text = format!("ERR Rewriting config file: {}", failure.text);
                self.clients.get_mut(id)?.answer(|reply| reply.error(text.as_bytes()));
                self.log(LogLevel::Warning, format!("CONFIG REWRITE failed: {}", failure.text));
            }
        }
        Some(id)
    }

    fn waiting_client(&self, matches: impl Fn(Waiting) -> bool) -> Option<ClientId> {
        self.clients.iter().find(|client| client.waiting.is_some_and(&matches)).map(|client| client.id)
    }
}
