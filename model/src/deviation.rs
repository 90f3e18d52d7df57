//! The verdict on a step: it holds, it is a known erratum, or it deviates.

use std::fmt;

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::reply::Reply;

/// What an accepted step was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The answer was not what the specification says but a known defect of the profile.
    pub erratum: Option<Erratum>,
    /// The specification leaves this answer open, so that nothing was checked.
    pub unspecified: bool,
    /// A script was run that the model cannot follow: what the data set is now nobody knows.
    pub lost: bool,
}

/// The sort of a deviation; part of a finding's fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviationKind {
    /// A reply of the right sort with another value.
    Value,
    /// A reply of another RESP type, neither side being an error.
    ReplyType,
    /// An error where none is allowed.
    UnexpectedError,
    /// Something else where an error is due.
    MissingError,
    /// An error is due, but another one.
    ErrorText,
    /// Fewer or more replies than due.
    ReplyCount,
    /// The connection was closed, or stayed open against what is due.
    Connection,
}

impl DeviationKind {
    /// Compares what was due with what came.
    pub(crate) fn of(allowed: &Allowed, replies: &[Reply], closed: bool) -> Self {
        if closed != allowed.closes() {
            return Self::Connection;
        }
        if replies.len() != allowed.count() {
            return Self::ReplyCount;
        }
        let Some(reply) = replies.first() else { return Self::Value };
        match (allowed.expects_error(), reply) {
            (true, Reply::Error(_)) => Self::ErrorText,
            (true, _) => Self::MissingError,
            (false, Reply::Error(_)) => Self::UnexpectedError,
            (false, reply) if allowed.same_type(reply) => Self::Value,
            (false, _) => Self::ReplyType,
        }
    }
}

/// An answer that the specification does not allow.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// The clause it departs from.
    pub clause: Clause,
    /// What would have been accepted.
    pub allowed: Allowed,
    /// What came.
    pub received: Vec<Reply>,
    /// Whether the connection was closed.
    pub closed: bool,
    /// Its sort.
    pub kind: DeviationKind,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] allowed {}, received ", self.clause.id(), self.allowed)?;
        match self.received.as_slice() {
            [] => f.write_str("no reply")?,
            [reply] => write!(f, "{reply}")?,
            replies => {
                for (index, reply) in replies.iter().enumerate() {
                    write!(f, "{}{reply}", if index > 0 { " then " } else { "" })?;
                }
            }
        }
        if self.closed {
            f.write_str(", connection closed")?;
        }
        Ok(())
    }
}
