//! What can be held against the model: anything that takes requests and gives replies.
//!
//! Sending and receiving are apart, because pipelines, closed connections and double or missing replies need it. Requests
//! go in as bytes, so that cutting a stream into pieces and the inline form are the same for every target.

mod chunked;
mod embedded;
pub(crate) mod link;
mod live;

pub use chunked::Chunked;
pub use embedded::{Embedded, Neighbour};
pub use link::{LiveError, Place, Url};
pub use live::Live;

use std::collections::BTreeMap;

use tally_model::{Peer, Reply, Span, StreamHabits};

use crate::reply_reader::ReplyError;

/// A connection to a target: its number there, never used twice between resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection(pub u64);

/// How long [`Target::receive`] looks for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until a reply comes, the connection closes, or the target gives up.
    Reply,
    /// Until everything that was sent has been executed, and its replies, if any, must have come.
    Settled,
    /// As [`Wait::Settled`], and some time longer for the end of the connection, which servers may put off.
    Ending,
    /// Not at all.
    Poll,
}

/// What [`Target::receive`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The next reply.
    Reply(Reply),
    /// No reply.
    Nothing,
    /// The connection is closed and every reply before that was returned.
    Closed,
}

/// Which way the dataset takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reload {
    /// Into an RDB file and back.
    Rdb,
    /// Out of the AOF.
    Aof,
}

/// A command that a target handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOn {
    /// To the AOF.
    pub aof: bool,
    /// To replicas.
    pub replicas: bool,
    /// The database it works on.
    pub db: usize,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// The errors that commands answer wherever they are handed on to, by the commands' numbers, from 0, among those that were
/// handed on to replicas.
pub type HandedOnErrors = BTreeMap<usize, Vec<u8>>;

/// What a fresh start should look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Seed of random numbers, where the target takes one.
    pub seed: u64,
    /// Directives that differ from the defaults.
    pub config: Vec<(String, String)>,
    /// Note what is handed on to the AOF and to replicas, for [`Target::take_handed_on`].
    pub record_propagation: bool,
}

impl Setup {
    /// Is the directive among them, with that value?
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.config.iter().rev().find(|(of, _)| of == name).is_some_and(|(_, is)| is == value)
    }

    /// Can no client set the directive, or is a target to start with it?
    pub(crate) fn is_of_the_start(name: &str) -> bool {
        matches!(name, "appendonly" | "lua-replicate-commands")
    }
}

/// What a target can do beyond answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Time is ours: exact, and free.
    pub virtual_time: bool,
    /// It is a process that can die, share its server with others, and must be treated with care.
    pub live: bool,
    /// [`Target::take_handed_on`] works.
    pub propagation: bool,
    /// [`Target::encoding`] works.
    pub encodings: bool,
}

/// Why a target gave no answer that the model could judge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The connection cannot be made or broke in the middle of something.
    #[error("connection: {0}")]
    Connection(String),
    /// What came is not RESP.
    #[error("protocol: {0}")]
    Protocol(#[from] ReplyError),
    /// No answer in time.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// It panicked, or left on its own.
    #[error("crashed: {0}")]
    Crashed(String),
    /// It cannot do that.
    #[error("unsupported: {0}")]
    Unsupported(&'static str),
}

/// Something that takes requests and gives replies.
pub trait Target {
    /// Starts anew: no keys, no connections, the given settings.
    fn reset(&mut self, setup: &Setup) -> Result<(), TargetError>;

    /// Opens a connection.
    fn open(&mut self) -> Result<Connection, TargetError>;

    /// Who the server thinks is at the other end.
    fn peer(&self, connection: Connection) -> Peer;

    /// Queues request bytes; they are on their way at the latest when [`Target::receive`] is called.
    fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), TargetError>;

    /// Sends what is queued and looks for the next reply.
    fn receive(&mut self, connection: Connection, wait: Wait) -> Result<Received, TargetError>;

    /// Can [`Target::receive`] find anything on any connection, its end included? Asked after every batch, so a guess has to be
    /// a quick one; a target that would have to look says that it can.
    fn may_have_sent(&self) -> bool {
        true
    }

    /// Ends a connection.
    fn close(&mut self, connection: Connection);

    /// When the command ran whose reply was received last: exact in virtual time.
    fn span(&self) -> Span;

    /// The time now, Unix milliseconds.
    fn now_ms(&self) -> i64 {
        self.span().latest_ms
    }

    /// Lets time pass, in milliseconds.
    fn pass(&mut self, ms: u64) -> Result<(), TargetError>;

    /// What it can do beyond answering.
    fn can(&self) -> Capabilities;

    /// What was handed on to the AOF and to replicas since the last call, in order.
    fn take_handed_on(&mut self) -> Vec<HandedOn> {
        Vec::new()
    }

    /// How the value of a key is stored, seen without a command; none where that cannot be seen, or the key is not there.
    fn encoding(&self, _db: usize, _key: &[u8]) -> Option<&'static str> {
        None
    }

    /// Which of the departures of early versions it has that a model must know of beforehand.
    fn stream_habits(&self) -> StreamHabits {
        StreamHabits::default()
    }

    /// Did it start so that scripts are propagated as they came (`lua-replicate-commands no`)?
    fn propagates_whole_scripts(&self) -> bool {
        false
    }

    /// Checks what no client can see; says what does not hold.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }

    /// A second target that has just loaded the AOF which stands on this one's disk; none where there is no AOF.
    ///
    /// # Errors
    /// When the file cannot be loaded.
    fn restarted_from_aof(&self) -> Result<Option<Box<dyn Target>>, TargetError> {
        Ok(None)
    }

    /// A second target that has executed everything which this one handed on to replicas; none where that is not recorded.
    /// Only those commands that `errors` names may answer an error, and have to answer that one.
    ///
    /// # Errors
    /// When a command of the stream answers otherwise.
    fn replica(&self, errors: &HandedOnErrors) -> Result<Option<Box<dyn Target>>, TargetError> {
        let _ = errors;
        Ok(None)
    }
}

/// Whatever holds a target is one: every method goes to what is held.
macro_rules! forwarded {
    ($($holder:ty),*) => {
        $(impl<T: Target + ?Sized> Target for $holder {
            fn reset(&mut self, setup: &Setup) -> Result<(), TargetError> {
                (**self).reset(setup)
            }

            fn open(&mut self) -> Result<Connection, TargetError> {
                (**self).open()
            }

            fn peer(&self, connection: Connection) -> Peer {
                (**self).peer(connection)
            }

            fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), TargetError> {
                (**self).send(connection, bytes)
            }

            fn receive(&mut self, connection: Connection, wait: Wait) -> Result<Received, TargetError> {
                (**self).receive(connection, wait)
            }

            fn may_have_sent(&self) -> bool {
                (**self).may_have_sent()
            }

            fn close(&mut self, connection: Connection) {
                (**self).close(connection);
            }

            fn span(&self) -> Span {
                (**self).span()
            }

            fn now_ms(&self) -> i64 {
                (**self).now_ms()
            }

            fn pass(&mut self, ms: u64) -> Result<(), TargetError> {
                (**self).pass(ms)
            }

            fn can(&self) -> Capabilities {
                (**self).can()
            }

            fn stream_habits(&self) -> StreamHabits {
                (**self).stream_habits()
            }

            fn propagates_whole_scripts(&self) -> bool {
                (**self).propagates_whole_scripts()
            }

            fn take_handed_on(&mut self) -> Vec<HandedOn> {
                (**self).take_handed_on()
            }

            fn encoding(&self, db: usize, key: &[u8]) -> Option<&'static str> {
                (**self).encoding(db, key)
            }

            fn validate(&self) -> Result<(), String> {
                (**self).validate()
            }

            fn restarted_from_aof(&self) -> Result<Option<Box<dyn Target>>, TargetError> {
                (**self).restarted_from_aof()
            }

            fn replica(&self, errors: &HandedOnErrors) -> Result<Option<Box<dyn Target>>, TargetError> {
                (**self).replica(errors)
            }
        })*
    };
}

forwarded!(Box<T>, &mut T);
