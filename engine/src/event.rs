//! What happens outside and is told to the engine.

use crate::effect::FileId;

/// A connection's number: unique for the life of the engine, rising from 1, as in CLIENT ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Who is at the other end of a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `ip:port`, `[ip6]:port`, or `path:0` for a Unix socket: as CLIENT LIST shows it.
    pub address: String,
    /// The socket's descriptor, shown by CLIENT LIST; any number in a simulated world.
    pub descriptor: i32,
    /// Came over loopback or a Unix socket: protected-mode lets it in.
    pub local: bool,
    /// Came over the Unix socket.
    pub unix_socket: bool,
}

/// Why the driver could not do what an effect asked: the system's error number and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoFailure {
    /// `errno`, 0 where there is none.
    pub errno: i32,
    /// What `strerror` says of it.
    pub text: String,
    /// An operator ended the process that was to do it: no sign that it cannot be done.
    pub called_off: bool,
}

impl IoFailure {
    /// The system refused.
    pub fn new(errno: i32, text: impl Into<String>) -> Self {
        Self { errno, text: text.into(), called_off: false }
    }
}

/// One thing that happened outside. New connections come through [`crate::Engine::connect`], because they return an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `bytes` bytes were placed at the start of the slice that `Engine::input_buffer(client)` last returned.
    Input {
        /// From whom.
        client: ClientId,
        /// How many bytes were placed.
        bytes: usize,
    },
    /// The connection ended: the peer closed it, or an error did. Nothing more can be sent to it.
    Closed {
        /// Whose connection.
        client: ClientId,
    },
    /// The driver has no more input at hand: AOF flush, fast expiry cycle, then the replies (Redis' beforeSleep).
    BatchEnd,
    /// A cron tick is due; `hz` a second.
    Tick,
    /// A file effect succeeded.
    FileDone {
        /// Which file.
        file: FileId,
        /// Bytes written, for a write.
        bytes: usize,
    },
    /// A file effect failed, or a write fell short after `bytes` bytes.
    FileFailed {
        /// Which file.
        file: FileId,
        /// Bytes written before it failed.
        bytes: usize,
        /// Why.
        failure: IoFailure,
    },
    /// The child was forked that [`crate::Effect::Snapshot`] in the background or [`crate::Effect::Rewrite`] asked for. It
    /// writes the dataset of this moment, so nothing may run between the fork and this event. A fork that fails is told
    /// as the end of what it was for.
    ChildStarted {
        /// Microseconds that the fork took.
        fork_us: u64,
    },
    /// A snapshot ended: in the foreground right after its effect, or when the child did.
    SnapshotEnded {
        /// `Ok(bytes written)`, or why there is no new file.
        result: Result<u64, IoFailure>,
        /// Bytes that copy-on-write duplicated meanwhile; 0 in the foreground.
        copied_on_write: u64,
    },
    /// The child that rewrites the append-only file ended, or could not be forked.
    RewriteEnded {
        /// `Ok(bytes of the child's file)`, which is complete and durable under the name of [`FileId::AofRewritten`]; or
        /// why there is none.
        result: Result<u64, IoFailure>,
        /// Bytes that copy-on-write duplicated meanwhile.
        copied_on_write: u64,
    },
    /// The driver finished loading what [`crate::Effect::Reload`] named, or could not.
    Reloaded {
        /// Why not.
        result: Result<(), IoFailure>,
    },
    /// CONFIG REWRITE's effect ended.
    ConfigRewritten {
        /// Why not.
        result: Result<(), IoFailure>,
    },
    /// The process was told to stop (SIGTERM, SIGINT): as SHUTDOWN without arguments.
    Terminate,
}
