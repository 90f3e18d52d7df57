//! The append-only file: every change as the command that makes it.
//!
//! ```text
//! [an RDB file, the preamble]  { *N\r\n { $L\r\n L bytes \r\n } }      SELECT wherever the database changes
//! ```
//!
//! `append` is the writing end while clients change data, `read` finds commands and damage in a file, `load` runs them,
//! `compact` writes the fewest commands that make the present dataset,
//! `rewriting` decides when such a file is written and puts it in place, and `rewrite` is the hand-off between the parent,
//! which goes on, and the child that compacts.

pub(crate) mod append;
mod compact;
mod compact_stream;
mod error;
pub(crate) mod load;
mod read;
pub mod rewrite;
pub(crate) mod rewriting;

pub use error::{AofError, AofErrorKind};
pub use load::AofReport;
pub use read::{Reader, Scan, scan};
