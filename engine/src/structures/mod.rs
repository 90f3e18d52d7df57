//! The data structures, each usable and testable alone.

pub mod bits;
mod decode_error;
pub mod dict;
pub mod eviction_pool;
pub mod field;
pub mod folding;
pub mod hyperloglog;
pub mod intset;
pub mod key_entry;
pub mod key_table;
pub mod listpack;
pub mod lzf;
pub mod member;
pub mod quicklist;
pub mod rax;
pub mod skiplist;
pub mod tagged;
pub mod ziplist;
pub mod zipmap;

pub use decode_error::DecodeError;
