//! What a handler concludes: the acceptable answer, and what the accepted answer changes.

use std::borrow::Cow;

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::client::{Blocked, ClientChange, ClientId};
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::keyspace::{Access, Deadline};
use crate::observe::Observation;
use crate::reply::{Bytes, Reply};
use crate::server::ServerChange;
use crate::value::Value;

/// What happens to a key's deadline when its value is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It stays.
    Keep,
    /// The key no longer expires.
    Clear,
    /// It becomes this.
    Set(Deadline),
}

/// One change of the model's state.
#[allow(missing_docs)] // fields say what they are
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key is created or its value replaced.
    Put { db: usize, key: Bytes, value: Value, expiry: Expiry },
    /// The string of an existing key becomes raw and is written to at an offset, zero-filled up to there.
    Write { db: usize, key: Bytes, offset: usize, bytes: Bytes },
    /// The collection of a key is changed in place; it is created before and removed afterwards where need be.
    Edit { db: usize, key: Bytes, edit: Edit },
    /// The key goes.
    Remove { db: usize, key: Bytes },
    /// The key's deadline changes.
    SetDeadline { db: usize, key: Bytes, deadline: Option<Deadline> },
    /// The key's last use and frequency become these (RESTORE); any other use is noted from the key positions.
    SetAccess { db: usize, key: Bytes, access: Access },
    /// Keys that the command's key positions do not tell were used.
    Use { db: usize, keys: Vec<Bytes> },
    /// The key moves over whatever has the other name, or to the other database, with its deadline.
    Move { from: (usize, Bytes), to: (usize, Bytes) },
    /// Two databases trade places.
    Swap(usize, usize),
    /// A database is emptied.
    Flush { db: usize },
    /// All databases are emptied.
    FlushAll,
    /// The client goes on in another database.
    Select(usize),
    /// The data set was saved and loaded.
    Reload,
    /// Something is learned from the answer.
    Observe(Observation),
    /// A page of SCAN was read: which cursor continued, with which pattern.
    Scanned { db: usize, cursor: u64, pattern: Option<Bytes> },
    /// A page of the elements of a collection was read.
    ScannedElements { db: usize, key: Bytes, cursor: u64, pattern: Option<Bytes> },
    /// The client's own state.
    Client(ClientChange),
    /// The client is blocked from now on.
    Block(Blocked),
    /// A blocked client waits no more, and is answered as if its timeout had passed or by an error. [CLIENT-32]
    Unblock { client: ClientId, with_error: bool },
    /// A message is sent to a channel. [PUBLISH-1]
    Publish { channel: Bytes, message: Bytes },
    /// The server's own state.
    Server(ServerChange),
}

/// What reaches the AOF and the replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Nothing: the data set did not change.
    #[default]
    Nothing,
    /// The command as it came.
    Verbatim,
    /// Other commands.
    Instead {
        /// In the AOF.
        aof: Vec<Vec<Bytes>>,
        /// To replicas; `None` is the command as it came.
        replicas: Option<Vec<Vec<Bytes>>>,
    },
    /// Whether anything is written depends on what the specification leaves open.
    Unspecified,
}

/// An outcome that a known defect of a real server leads to.
#[derive(Clone, Debug)]
pub struct ErratumPlan {
    /// The defect.
    pub erratum: Erratum,
    /// What is answered.
    pub allowed: Allowed,
    /// What it changes.
    pub changes: Vec<Change>,
}

/// What is acceptable as the answer to a command, and what follows from it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The clause that decides the answer.
    pub clause: Clause,
    /// The acceptable answers.
    pub allowed: Allowed,
    /// What changes when one of them came, in order.
    pub changes: Vec<Change>,
    /// What is written to the AOF and to replicas.
    pub propagation: Propagation,
    /// Answers of real servers that are known to be wrong.
    pub errata: Vec<ErratumPlan>,
    /// The command is executed, be it with an error: not refused before, and not queued. [MONITOR-5]
    pub executed: bool,
    /// What is stored is one of several choices, and the answer does not tell which.
    pub arbitrary: bool,
}

impl Plan {
    /// These answers are acceptable, and nothing changes.
    pub fn new(clause: Clause, allowed: Allowed) -> Self {
        Self {
            clause,
            allowed,
            changes: Vec::new(),
            propagation: Propagation::Nothing,
            errata: Vec::new(),
            executed: true,
            arbitrary: false,
        }
    }

    /// Only this reply is acceptable.
    pub fn reply(clause: Clause, reply: Reply) -> Self {
        Self::new(clause, Allowed::Exactly(reply))
    }

    /// `+OK`
    pub fn ok(clause: Clause) -> Self {
        Self::new(clause, Allowed::ok())
    }

    /// An integer.
    pub fn integer(clause: Clause, value: i64) -> Self {
        Self::reply(clause, Reply::Integer(value))
    }

    /// Adds a change.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// The data set changed, and the command is propagated as it came.
    #[must_use]
    pub fn verbatim(mut self) -> Self {
        self.propagation = Propagation::Verbatim;
        self
    }

    /// The data set changed, and these commands are propagated to AOF and replicas instead.
    #[must_use]
    pub fn instead(mut self, commands: Vec<Vec<Bytes>>) -> Self {
        self.propagation = Propagation::Instead { aof: commands.clone(), replicas: Some(commands) };
        self
    }

    /// Whether real servers put other commands in the place of this one, in the slow log too (E-96).
    pub(crate) fn rewrites(&self, command: &str) -> bool {
        matches!(self.propagation, Propagation::Instead { .. } | Propagation::Unspecified)
            || matches!(command, "blpop" | "brpop" | "brpoplpush" | "bzpopmin" | "bzpopmax")
    }

    /// A real server may also answer this, by mistake.
    #[must_use]
    pub fn or_erratum(mut self, erratum: Erratum, allowed: Allowed, changes: Vec<Change>) -> Self {
        self.errata.push(ErratumPlan { erratum, allowed, changes });
        self
    }
}

/// An error reply: nothing changes.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The clause that demands it.
    pub clause: Clause,
    /// The whole line, code first.
    pub line: Cow<'static, [u8]>,
}

impl Refusal {
    /// A fixed line, for example `ERR syntax error`.
    pub fn new(clause: Clause, line: &'static str) -> Self {
        Self { clause, line: Cow::Borrowed(line.as_bytes()) }
    }

    /// A line with something of the command in it.
    pub fn with(clause: Clause, line: impl Into<Bytes>) -> Self {
        Self { clause, line: Cow::Owned(line.into()) }
    }
}

impl From<Refusal> for Plan {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.clause, Allowed::Error(refusal.line))
    }
}
