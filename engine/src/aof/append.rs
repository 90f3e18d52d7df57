//! The writing end of the append-only file: what is buffered, what is being written, what is durable.
//!
//! ```text
//!  commands ─► buffer ─(flush)─► writing ─(driver writes)─► file ─(driver syncs)─► durable
//! ```
//!
//! The driver answers the steps it was given in order, before it does anything else; only a sync in the background is
//! answered later. So an answer belongs to the oldest step in `steps`, and to the background when there is none.
//!
//! Invariants:
//! - `buffer` and `writing` begin and end between commands, except that after a short write which could not be undone
//!   `writing` begins where the file ends;
//! - while `steps` is not empty, `writing` is what the driver sees and does not change;
//! - under `appendfsync always` replies are held while anything before them is not durable.

use std::collections::VecDeque;

use super::rewrite::RewriteParent;
use crate::config::AppendFsync;
use crate::effect::{Effect, FileEffect, FileId, LogLevel};
use crate::event::IoFailure;
use crate::faults::{self, Fault};

/// How long a write may wait for a sync that is under way.
const MAX_POSTPONED_US: u64 = 2_000_000;
/// How often the file is synced under `everysec`, and how often a failed write is tried again.
const SECOND_US: u64 = 1_000_000;

/// A step that the driver was given and has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Write,
    Sync,
    SyncDirectory,
    Close,
    /// Undoes a short write; so many bytes of `writing` are in the file until then.
    CutBack {
        written: usize,
    },
}

/// What the caller has to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Wait,
    /// More came meanwhile: flush again, before any reply is sent.
    Flush,
    /// Everything that replies promise is durable: send them.
    Release,
    /// Leave: under `always` a reply would promise what is not kept.
    Die,
}

/// When and how to flush.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flush {
    /// Monotonic microseconds.
    pub(crate) now_us: u64,
    pub(crate) policy: AppendFsync,
    /// A child writes a snapshot and `no-appendfsync-on-rewrite` is on.
    pub(crate) no_sync: bool,
    /// Write even if a sync is under way (shutdown, switching off).
    pub(crate) force: bool,
}

/// The append-only file.
#[derive(Debug, Default)]
pub(crate) struct AppendFile {
    enabled: bool,
    /// The file is not in place yet: everything is buffered.
    beginning: bool,
    buffer: Vec<u8>,
    writing: Vec<u8>,
    /// The database that the next command of the file works on; `None` = unknown, so SELECT comes first.
    selected: Option<usize>,
    steps: VecDeque<Step>,
    /// Bytes in the file.
    size: u64,
    /// Size when the file was loaded or rewritten.
    base_size: u64,
    background_sync: bool,
    postponed_since_us: Option<u64>,
    /// Something was written since the last sync began.
    unsynced: bool,
    last_sync_us: u64,
    /// The system's words for the last write's failure.
    failure: Option<String>,
    last_try_us: u64,
    always: bool,
    /// When the oldest step was begun, about.
    step_began_us: u64,
    /// Writes that went ahead although a sync was under way.
    pub(crate) delayed_syncs: u64,
}

impl AppendFile {
    /// Whether commands are appended.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Begins to append to a file of `size` bytes, opened by a step of its own.
    pub(crate) fn open(&mut self, size: u64, effects: &mut Vec<Effect>) {
        *self = Self { enabled: true, size, base_size: size, delayed_syncs: self.delayed_syncs, ..Self::default() };
        self.push(Step::Open, FileEffect::Open(FileId::Aof), effects);
        // A new file whose name is not durable would be gone with all that was ever synced to it.
        if !faults::is(Fault::AofForgetsDirectory) {
            self.push(Step::SyncDirectory, FileEffect::SyncDirectory, effects);
        }
    }

    /// The file that is open was loaded, its first `size` bytes at least; what follows them is cut off when `cut`.
    pub(crate) fn loaded(&mut self, size: u64, cut: bool, effects: &mut Vec<Effect>) {
        if self.enabled {
            (self.size, self.base_size, self.selected) = (size, size, None);
            if cut {
                self.push(Step::CutBack { written: 0 }, FileEffect::Truncate(FileId::Aof, size), effects);
            }
        }
    }

    /// Begins to buffer commands for a file that is being written.
    pub(crate) fn begin(&mut self) {
        *self = Self { enabled: true, beginning: true, delayed_syncs: self.delayed_syncs, ..Self::default() };
    }

    /// A rewritten file of `size` bytes took the place of the one before and is open. It holds everything that waited to
    /// be written to that one.
    pub(crate) fn replaced(&mut self, size: u64, effects: &mut Vec<Effect>) {
        self.beginning = false;
        (self.size, self.base_size) = (size, size);
        if !faults::is(Fault::RewriteWritesTwice) {
            self.buffer.clear();
        }
        self.writing.clear();
        (self.unsynced, self.failure, self.postponed_since_us) = (false, None, None);
        self.push(Step::SyncDirectory, FileEffect::SyncDirectory, effects);
    }

    /// Whether the first file is still being written.
    pub(crate) fn is_beginning(&self) -> bool {
        self.beginning
    }

    /// What is appended from now on must make sense without what came before.
    pub(crate) fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// There will be no file.
    pub(crate) fn abandon(&mut self) {
        *self = Self { delayed_syncs: self.delayed_syncs, ..Self::default() };
    }

    fn push(&mut self, step: Step, effect: FileEffect, effects: &mut Vec<Effect>) {
        self.steps.push_back(step);
        effects.push(Effect::File(effect));
    }

    /// Writes and syncs what is left, closes the file and appends no more.
    pub(crate) fn close(&mut self, now_us: u64, effects: &mut Vec<Effect>) {
        self.flush(Flush { now_us, policy: AppendFsync::No, no_sync: true, force: true }, effects);
        self.push(Step::Sync, FileEffect::Fsync(FileId::Aof), effects);
        self.push(Step::Close, FileEffect::Close(FileId::Aof), effects);
        self.enabled = false;
        self.selected = None;
    }

    /// The bytes that the driver is to write.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.writing
    }

    /// Bytes in the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Size when the file was loaded or rewritten last.
    pub(crate) fn base_size(&self) -> u64 {
        self.base_size
    }

    /// Bytes that wait to be written.
    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len() + self.writing.len()
    }

    /// Whether a sync in the background is under way.
    pub(crate) fn syncs_in_background(&self) -> bool {
        self.background_sync
    }

    /// Why writing fails at present.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether replies must wait.
    pub(crate) fn holds_replies(&self) -> bool {
        let early = faults::is(Fault::AofReleasesEarly);
        self.enabled && self.always && !self.beginning && !early && (!self.steps.is_empty() || self.buffered() > 0)
    }

    /// Appends a command that works on `db`, to the diff of a rewrite as well if there is one. [HANDOFF-2]
    pub(crate) fn append<'a>(
        &mut self,
        db: usize,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
        diff: Option<&mut RewriteParent>,
    ) {
        if !self.enabled {
            return;
        }
        let before = self.buffer.len();
        let stays = faults::is(Fault::AofForgetsSelect) && self.selected.is_some_and(|known| known > db);
        if self.selected != Some(db) && !stays {
            let number = db.to_string();
            encode_command([&b"SELECT"[..], number.as_bytes()].into_iter(), &mut self.buffer);
            self.selected = Some(db);
        }
        encode_command(arguments, &mut self.buffer);
        if let Some(diff) = diff {
            diff.append(self.buffer.get(before..).unwrap_or_default());
        }
        if self.beginning {
            // What comes before the fork is in the dataset, and what comes after it in the diff.
            self.buffer.truncate(before);
        }
    }

    /// Has what is buffered written, and synced as the policy says. Called at the end of each batch and by the cron.
    pub(crate) fn flush(&mut self, flush: Flush, effects: &mut Vec<Effect>) {
        self.always = flush.policy == AppendFsync::Always;
        if !self.enabled || self.beginning || !self.steps.is_empty() {
            return;
        }
        if self.buffered() == 0 {
            if !faults::is(Fault::AofForgetsLastSync) {
                self.sync_in_background(flush, effects);
            }
            return;
        }
        let every_second = flush.policy == AppendFsync::EverySec;
        if every_second && self.background_sync && !flush.force {
            let since = *self.postponed_since_us.get_or_insert(flush.now_us);
            if flush.now_us.saturating_sub(since) < MAX_POSTPONED_US {
                return;
            }
            self.delayed_syncs += 1;
        }
        let too_soon = flush.now_us.saturating_sub(self.last_try_us) < SECOND_US;
        if self.failure.is_some() && too_soon && !flush.force {
            return;
        }
        self.postponed_since_us = None;
        self.last_try_us = flush.now_us;
        self.step_began_us = flush.now_us;
        if self.writing.is_empty() {
            std::mem::swap(&mut self.writing, &mut self.buffer);
        } else {
            self.writing.append(&mut self.buffer);
        }
        self.push(Step::Write, FileEffect::Write(FileId::Aof), effects);
        if self.always && !flush.no_sync {
            self.push(Step::Sync, FileEffect::Fsync(FileId::Aof), effects);
        }
        self.unsynced = true;
        self.sync_in_background(flush, effects);
    }

    fn sync_in_background(&mut self, flush: Flush, effects: &mut Vec<Effect>) {
        let due = flush.now_us.saturating_sub(self.last_sync_us) >= SECOND_US;
        if flush.policy != AppendFsync::EverySec || !self.unsynced || !due || self.background_sync || flush.no_sync {
            return;
        }
        self.unsynced = false;
        self.background_sync = true;
        self.last_sync_us = flush.now_us;
        effects.push(Effect::File(FileEffect::FsyncInBackground(FileId::Aof)));
    }

    /// The name of the oldest step, as LATENCY calls it, which ends now, and the microseconds that it took. Others than
    /// writes and the syncs for which replies wait have none.
    pub(crate) fn timed_step(&mut self, now_us: u64) -> Option<(&'static str, u64)> {
        let began_us = std::mem::replace(&mut self.step_began_us, now_us);
        let name = match self.steps.front()? {
            Step::Write => "aof-write",
            Step::Sync if self.always => "aof-fsync-always",
            _ => return None,
        };
        Some((name, now_us.saturating_sub(began_us)))
    }

    /// The oldest step succeeded, or the sync in the background did.
    pub(crate) fn done(&mut self, effects: &mut Vec<Effect>) -> Next {
        match self.steps.pop_front() {
            None => self.background_sync = false,
            Some(Step::Open | Step::Sync | Step::SyncDirectory | Step::Close | Step::CutBack { .. }) => {}
            Some(Step::Write) => {
                self.size += self.writing.len() as u64;
                // A large batch's room is not kept for the small ones after it.
                const KEPT: usize = 64 * 1024;
                self.writing.clear();
                self.writing.shrink_to(KEPT);
                if self.failure.take().is_some() {
                    effects.push(Effect::Log {
                        level: LogLevel::Warning,
                        text: "AOF write error looks solved, Redis can write again.".into(),
                    });
                }
            }
        }
        match (self.always && self.steps.is_empty(), self.buffered()) {
            (false, _) => Next::Wait,
            (true, 0) => Next::Release,
            (true, _) => Next::Flush,
        }
    }

    /// The oldest step failed, a write after `written` bytes, or the sync in the background did.
    pub(crate) fn failed(&mut self, written: usize, why: &IoFailure, effects: &mut Vec<Effect>) -> Next {
        let step = self.steps.pop_front();
        let words = match step {
            Some(Step::Open) => "Can't open the append-only file",
            Some(Step::Write) => "Error writing to the AOF file",
            Some(Step::CutBack { .. }) => "Could not remove short write from the append-only file",
            Some(Step::SyncDirectory) => "Can't persist the directory of the append-only file",
            Some(Step::Close) => "Can't close the append-only file",
            Some(Step::Sync) | None => "Can't persist AOF for fsync error",
        };
        let text = format!("{words}: {}", why.text);
        effects.push(Effect::Log { level: LogLevel::Warning, text });
        match step {
            Some(Step::Open) => return Next::Die,
            Some(Step::Write) => {
                self.failure = Some(why.text.clone());
                if written > 0 && !faults::is(Fault::AofKeepsShortWrites) {
                    let cut = FileEffect::Truncate(FileId::Aof, self.size);
                    self.push(Step::CutBack { written }, cut, effects);
                }
                // The steps after a failed write are answered too, but they prove nothing.
                if self.always {
                    let text = "Leaving: under appendfsync always a reply would promise what cannot be kept";
                    effects.push(Effect::Log { level: LogLevel::Warning, text: text.into() });
                    return Next::Die;
                }
            }
            _ if self.always => return Next::Die,
            Some(Step::CutBack { written }) => {
                // What is there stays there, and the rest is written after it.
                self.writing.drain(..written.min(self.writing.len()));
                self.size += written as u64;
            }
            Some(Step::Sync | Step::SyncDirectory | Step::Close) => {}
            None => {
                self.background_sync = false;
                self.unsynced |= !faults::is(Fault::AofForgivesSync);
            }
        }
        Next::Wait
    }
}

/// Appends a command as a multibulk request.
pub(crate) fn encode_command<'a>(arguments: impl ExactSizeIterator<Item = &'a [u8]>, target: &mut Vec<u8>) {
    begin_command(arguments.len(), target);
    for argument in arguments {
        push_argument(argument, target);
    }
}

/// Begins a multibulk request of so many arguments, the name counted.
pub(crate) fn begin_command(arguments: usize, target: &mut Vec<u8>) {
    encode_header(b'*', arguments, target);
}

/// Appends an argument of a request.
pub(crate) fn push_argument(argument: &[u8], target: &mut Vec<u8>) {
    encode_header(b'$', argument.len(), target);
    target.extend_from_slice(argument);
    target.extend_from_slice(b"\r\n");
}

fn encode_header(kind: u8, count: usize, target: &mut Vec<u8>) {
    target.push(kind);
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = count;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    target.extend_from_slice(&digits[at..]);
    target.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_us: u64, policy: AppendFsync) -> Flush {
        Flush { now_us, policy, no_sync: false, force: false }
    }

    fn opened() -> AppendFile {
        let mut file = AppendFile::default();
        let mut effects = Vec::new();
        file.open(0, &mut effects);
        file.done(&mut effects);
        file.done(&mut effects);
        file
    }

    fn set(file: &mut AppendFile, db: usize) {
        file.append(db, [&b"SET"[..], b"k", b"v"].into_iter(), None);
    }

    const WRITE: Effect = Effect::File(FileEffect::Write(FileId::Aof));
    const FSYNC: Effect = Effect::File(FileEffect::Fsync(FileId::Aof));
    const BACKGROUND: Effect = Effect::File(FileEffect::FsyncInBackground(FileId::Aof));
    const COMMAND: &str = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";

    fn no_space() -> IoFailure {
        IoFailure::new(28, "No space left on device")
    }

    //= SPEC.md#aof-file
    //# [AOF-2] (file) SELECT MUST be written before the first command of the file and before each command of another database than the one before it.
    #[test]
    fn select_stands_before_the_first_command_and_before_each_change_of_database() {
        let mut file = opened();
        for db in [0, 0, 11, 0] {
            set(&mut file, db);
        }
        let mut effects = Vec::new();
        file.flush(at(0, AppendFsync::No), &mut effects);
        let select = |db: &str| format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{db}\r\n", db.len());
        let wanted = [&select("0"), COMMAND, COMMAND, &select("11"), COMMAND, &select("0"), COMMAND].concat();
        assert_eq!(String::from_utf8_lossy(file.bytes()), wanted);
        assert_eq!(effects, [WRITE]);
    }

    #[test]
    fn always_holds_replies_until_the_sync_is_answered() {
        let mut file = opened();
        set(&mut file, 0);
        let mut effects = Vec::new();
        file.flush(at(0, AppendFsync::Always), &mut effects);
        assert_eq!(effects, [WRITE, FSYNC]);
        assert!(file.holds_replies());
        assert_eq!(file.done(&mut effects), Next::Wait);
        assert!(file.holds_replies());
        assert_eq!(file.done(&mut effects), Next::Release);
        assert!(!file.holds_replies());
    }

    #[test]
    fn always_dies_of_a_failed_write_and_of_a_failed_sync() {
        for steps_before in [0, 1] {
            let mut file = opened();
            set(&mut file, 0);
            let mut effects = Vec::new();
            file.flush(at(0, AppendFsync::Always), &mut effects);
            for _ in 0..steps_before {
                file.done(&mut effects);
            }
            assert_eq!(file.failed(0, &no_space(), &mut effects), Next::Die);
        }
    }

    //= SPEC.md#aof-durability
    //# [DURABLE-5] (file) A write that falls short MUST be undone by cutting the file back to the end of the last whole batch, or where that fails be completed later from the byte where it stopped.
    #[test]
    fn always_cuts_a_short_write_back_before_it_dies() {
        let mut file = opened();
        set(&mut file, 0);
        let mut effects = Vec::new();
        file.flush(at(0, AppendFsync::Always), &mut effects);
        assert_eq!(file.failed(5, &no_space(), &mut effects), Next::Die);
        assert!(effects.contains(&Effect::File(FileEffect::Truncate(FileId::Aof, 0))), "{effects:?}");
        // What is answered until the process has ended lets no reply go, and begins no write.
        let steps = effects.len();
        for _ in 0..2 {
            let next = file.done(&mut effects);
            assert_ne!(next, Next::Release);
            if next == Next::Flush {
                file.flush(at(1, AppendFsync::Always), &mut effects);
            }
        }
        assert!(file.holds_replies());
        assert_eq!(effects.len(), steps);
    }

    //= SPEC.md#aof-durability
    //# [DURABLE-3] (inside) A write that is postponed because a fsync is under way MUST be made after two seconds at the latest, counted by `aof_delayed_fsync`.
    #[test]
    fn everysec_postpones_a_write_for_two_seconds_while_a_sync_is_under_way() {
        let mut file = opened();
        let mut effects = Vec::new();
        set(&mut file, 0);
        file.flush(at(SECOND_US, AppendFsync::EverySec), &mut effects);
        assert_eq!(effects, [WRITE, BACKGROUND]);
        file.done(&mut effects);
        effects.clear();
        set(&mut file, 0);
        for now_us in [SECOND_US * 2, SECOND_US * 3, SECOND_US * 4 - 1] {
            file.flush(at(now_us, AppendFsync::EverySec), &mut effects);
            assert!(effects.is_empty(), "at {now_us}");
        }
        file.flush(at(SECOND_US * 4, AppendFsync::EverySec), &mut effects);
        assert_eq!((effects.as_slice(), file.delayed_syncs), (&[WRITE][..], 1));
    }

    //= SPEC.md#aof-durability
    //# [DURABLE-2] (file) Under `appendfsync everysec` commands MUST be written to the file before their replies are sent, unless a fsync is still under way, and be forced to disk about once a second in the background.
    #[test]
    fn everysec_syncs_the_last_write_even_if_no_other_follows() {
        let mut file = opened();
        let mut effects = Vec::new();
        set(&mut file, 0);
        file.flush(at(SECOND_US, AppendFsync::EverySec), &mut effects);
        file.done(&mut effects);
        file.done(&mut effects);
        set(&mut file, 0);
        file.flush(at(SECOND_US + 1, AppendFsync::EverySec), &mut effects);
        file.done(&mut effects);
        effects.clear();
        file.flush(at(SECOND_US * 2, AppendFsync::EverySec), &mut effects);
        assert_eq!(effects, [BACKGROUND]);
    }

    //= SPEC.md#aof-durability
    //# [DURABLE-5] (file) A write that falls short MUST be undone by cutting the file back to the end of the last whole batch, or where that fails be completed later from the byte where it stopped.
    #[test]
    fn a_short_write_is_cut_back_and_made_again_as_a_whole() {
        let mut file = opened();
        let mut effects = Vec::new();
        set(&mut file, 0);
        file.flush(at(SECOND_US, AppendFsync::No), &mut effects);
        let whole = file.bytes().to_vec();
        assert_eq!(file.failed(5, &no_space(), &mut effects), Next::Wait);
        assert_eq!(effects.last(), Some(&Effect::File(FileEffect::Truncate(FileId::Aof, 0))));
        assert_eq!(file.failure(), Some("No space left on device"));
        file.done(&mut effects);
        effects.clear();
        file.flush(at(SECOND_US + 1, AppendFsync::No), &mut effects);
        assert!(effects.is_empty(), "it waits a second before it tries again");
        file.flush(at(SECOND_US * 2, AppendFsync::No), &mut effects);
        assert_eq!((file.bytes(), effects.as_slice()), (&whole[..], &[WRITE][..]));
        file.done(&mut effects);
        assert_eq!((file.failure(), file.size()), (None, whole.len() as u64));
    }

    #[test]
    fn a_short_write_that_cannot_be_cut_back_is_completed_from_where_it_stopped() {
        let mut file = opened();
        let mut effects = Vec::new();
        set(&mut file, 0);
        file.flush(at(SECOND_US, AppendFsync::No), &mut effects);
        let whole = file.bytes().to_vec();
        file.failed(5, &no_space(), &mut effects);
        file.failed(0, &no_space(), &mut effects);
        file.flush(at(SECOND_US * 2, AppendFsync::No), &mut effects);
        assert_eq!((file.bytes(), file.size()), (&whole[5..], 5));
    }
}
