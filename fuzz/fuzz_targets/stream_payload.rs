//! Takes any bytes for a stream's payload, and for changes of a stream.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::stream_payload(bytes));
