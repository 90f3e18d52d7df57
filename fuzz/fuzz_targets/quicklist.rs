//! Takes any bytes for nodes of a quicklist, and for changes of one.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::quicklist(bytes));
