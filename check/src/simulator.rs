//! A server's surroundings in memory: what the engine is held against where real ones are too slow, too kind, or not
//! repeatable.

pub(crate) mod disk;
pub(crate) mod machine;
pub mod pipe;
pub mod rewrite_child;
