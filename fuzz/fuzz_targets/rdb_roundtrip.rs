//! Datasets in files that the model writes in any form, which the engine loads, saves and loads again.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::rdb_roundtrip(bytes));
