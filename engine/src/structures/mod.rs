//! The data structures, each usable and testable alone.

pub mod bits;
pub mod dict;
pub mod key_entry;
pub mod key_table;
pub mod lzf;
