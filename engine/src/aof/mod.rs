//! The append-only file: every change as the command that makes it.
//!
//! ```text
//! [an RDB file, the preamble]  { *N\r\n { $L\r\n L bytes \r\n } }      SELECT wherever the database changes
//! ```
//!
//! `append` is the writing end while clients change data, `read` finds commands and damage in a file, `load` runs them,
//! `compact` writes the fewest commands that make the present dataset, and `rewrite` is the hand-off between the parent,
//! which goes on, and the child that compacts.

pub(crate) mod append;
mod error;
mod read;
pub mod rewrite;

pub use error::{AofError, AofErrorKind};
pub use read::{Reader, Scan, scan};
