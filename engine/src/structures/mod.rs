//! The data structures, each usable and testable alone.

pub mod bits;
pub mod lzf;
