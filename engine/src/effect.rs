//! What the engine asks its driver to do, in order.

use crate::event::ClientId;

/// Severity of a log line, as in `loglevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `debug`, shown as `.`.
    Debug,
    /// `verbose`, shown as `-`.
    Verbose,
    /// `notice`, shown as `*`.
    Notice,
    /// `warning`, shown as `#`.
    Warning,
}

/// Files the engine writes; the driver maps them to paths by the configuration (`dir`, `dbfilename`, `appendfilename`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileId {
    /// The append-only file.
    Aof,
    /// The file that the child of an AOF rewrite wrote.
    AofRewritten,
}

/// One step on a file, as small as a crash can tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileEffect {
    /// Opens for appending, created when absent.
    Open(FileId),
    /// Opens for appending what is there; a file that is not there is a failure.
    Reopen(FileId),
    /// Appends the bytes of [`crate::Engine::file_bytes`]; answered by `FileDone` or `FileFailed`.
    Write(FileId),
    /// Makes what was written durable before the next effect is executed.
    Fsync(FileId),
    /// The same, but on a background thread.
    FsyncInBackground(FileId),
    /// Cuts the file to this length.
    Truncate(FileId, u64),
    /// Replaces the second file by the first.
    Rename(FileId, FileId),
    /// Closes.
    Close(FileId),
    /// Removes.
    Remove(FileId),
    /// Makes names in `dir` durable.
    SyncDirectory,
}

/// How a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotMode {
    /// At once, while everybody waits (SAVE, SHUTDOWN, DEBUG RELOAD).
    Foreground,
    /// By a forked child (BGSAVE, save points).
    Background,
}

/// One thing to do. The driver executes a list of effects in order and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `Engine::output(client)` holds bytes to send.
    Output {
        /// To whom.
        client: ClientId,
    },
    /// Close the connection; what `Engine::output` still holds is sent first when `after_output`. The engine forgets
    /// the connection when its output is written, or with [`crate::Event::Closed`], which may be told in any case.
    Close {
        /// Whose.
        client: ClientId,
        /// Send what is pending first.
        after_output: bool,
    },
    /// A step on a file.
    File(FileEffect),
    /// Write the dataset (`Engine::snapshot`) to a temporary file in `dir`, fsync it, rename it to `dbfilename`; then
    /// tell [`crate::Event::SnapshotEnded`].
    Snapshot(SnapshotMode),
    /// Kill the child that takes a snapshot in the background, wait for its end and remove its temporary file; no
    /// [`crate::Event::SnapshotEnded`] is told of it.
    StopSnapshot,
    /// Fork a child that writes [`crate::Engine::compact_aof`] to [`FileId::AofRewritten`] and joins in the hand-off of
    /// [`crate::aof::rewrite`]; tell [`crate::Event::ChildStarted`], take [`crate::Engine::rewrite_step`]s while it lives, and
    /// then tell [`crate::Event::RewriteEnded`].
    Rewrite,
    /// Kill the child that rewrites the append-only file, wait for its end, and remove its file; no
    /// [`crate::Event::RewriteEnded`] is told of it.
    StopRewrite,
    /// Load `dbfilename` (`Engine::load_rdb`), or the AOF when `aof`, into the emptied dataset; then tell
    /// [`crate::Event::Reloaded`].
    Reload {
        /// The AOF (DEBUG LOADAOF) instead of the dump (DEBUG RELOAD).
        aof: bool,
    },
    /// Rewrite the configuration file by `Engine::rewritten_config(old text)`; then tell [`crate::Event::ConfigRewritten`].
    RewriteConfig,
    /// A directive that the driver acts on was set at run time (`dir`, `loglevel`, `maxclients`, `tcp-keepalive`, …).
    ConfigChanged {
        /// Its name.
        directive: &'static str,
    },
    /// A line for the log.
    Log {
        /// How grave.
        level: LogLevel,
        /// What to say.
        text: String,
    },
    /// Leave the process, after the effects before this one.
    Exit {
        /// The process's exit code.
        code: i32,
    },
    /// Crash on purpose (DEBUG SEGFAULT, DEBUG PANIC, DEBUG OOM).
    Crash {
        /// What the log says about it.
        reason: &'static str,
    },
}
