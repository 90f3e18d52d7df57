//! The append-only file: every change as the command that makes it.

pub mod rewrite;
