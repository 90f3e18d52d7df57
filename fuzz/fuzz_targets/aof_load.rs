//! Loads any bytes as an append-only file, the naive reader beside the engine.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::aof_load(bytes));
