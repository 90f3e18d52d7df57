//! Takes any bytes for an intset, the naive decoder beside the engine, and for changes of one.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::intset(bytes));
