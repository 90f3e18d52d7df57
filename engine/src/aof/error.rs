//! What can be wrong with an append-only file, and where.

use std::io;

use crate::rdb::RdbError;

/// Where a file is damaged and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset}: {kind}")]
pub struct AofError {
    /// Bytes from the file's beginning to the damaged command.
    pub offset: u64,
    /// What is wrong.
    pub kind: AofErrorKind,
}

/// What is wrong.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AofErrorKind {
    /// The source could not be read.
    #[error("cannot be read: {0}")]
    Io(io::ErrorKind),
    /// The file ends inside a command, or inside a transaction.
    #[error("the file ends inside a command or transaction, at {end}")]
    Truncated {
        /// The file's length.
        end: u64,
    },
    /// Another byte stands where a command or an argument begins.
    #[error("expected '{}', found '{}'", char::from(*expected), found.escape_ascii())]
    Prefix {
        /// `*` or `$`.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// A header line that is no number, or one out of range.
    #[error("'{0}' is no valid count or length")]
    Number(String),
    /// An argument is not followed by the line end that its length promises.
    #[error("argument {0} does not end where its length says")]
    LineEnd(u64),
    /// A command that the table does not have.
    #[error("unknown command '{0}'")]
    UnknownCommand(String),
    /// A command with too few or too many arguments.
    #[error("wrong number of arguments for '{0}'")]
    Arity(String),
    /// The preamble is damaged.
    #[error("preamble: {0}")]
    Preamble(RdbError),
}
