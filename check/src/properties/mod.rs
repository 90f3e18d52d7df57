//! Properties: functions that take any input and panic where something that must always hold does not.
//!
//! Each is called by the property tests in `tests/`, by a fuzz target of five lines, and from the command line, so
//! that there is one place that says what holds.

pub mod aof;
pub mod commands;
pub mod config;
pub mod crashes;
pub mod dict;
pub mod eviction;
pub mod held;
pub mod hyperloglog;
pub mod intset;
pub mod listpack;
pub mod lzf;
pub mod migration;
pub mod number;
pub mod popcount;
pub mod quicklist;
pub mod random_choice;
pub mod rax;
pub mod rdb;
pub mod rdb_dataset;
pub mod rdb_mutation;
pub mod resp;
pub mod restore_payload;
pub mod scripts;
pub mod skiplist;
pub mod stream_payload;
pub mod ziplist;
