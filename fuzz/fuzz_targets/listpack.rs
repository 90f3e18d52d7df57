//! Takes any bytes for a listpack, a plain reading beside the engine, and for changes of one.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::listpack(bytes));
