//! Takes any bytes as a HyperLogLog, and as changes to one.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::hyperloglog(bytes));
