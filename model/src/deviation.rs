//! The verdict on a step: it holds, it is a known erratum, or it deviates.

use std::fmt;

use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::reply::Reply;

/// A known departure of a real Redis from the specification, listed in SPEC.md's appendix.
#[allow(missing_docs, non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Erratum {
    E_1,
    E_2,
    E_3,
    E_4,
    E_5,
    E_6,
    E_7,
}

impl Erratum {
    /// All errata, in the appendix' order.
    pub const ALL: &'static [Self] = &[Self::E_1, Self::E_2, Self::E_3, Self::E_4, Self::E_5, Self::E_6, Self::E_7];

    /// The id as SPEC.md writes it, for example `E-1`.
    pub fn id(self) -> &'static str {
        match self {
            Self::E_1 => "E-1",
            Self::E_2 => "E-2",
            Self::E_3 => "E-3",
            Self::E_4 => "E-4",
            Self::E_5 => "E-5",
            Self::E_6 => "E-6",
            Self::E_7 => "E-7",
        }
    }
}

/// What an accepted step was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The answer was not what the specification says but a known defect of the profile.
    pub erratum: Option<Erratum>,
    /// The specification leaves this answer open, so that nothing was checked.
    pub unspecified: bool,
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
