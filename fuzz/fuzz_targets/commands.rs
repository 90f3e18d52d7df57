//! Draws commands from any bytes and runs them on engine and model.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::commands(bytes));
