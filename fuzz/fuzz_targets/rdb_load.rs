//! Loads any bytes as an RDB file, the naive decoder beside the engine.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::mutator!(tally_fuzz::rdb_mutator);
tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::rdb_load(bytes));
