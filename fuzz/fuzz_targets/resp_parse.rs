//! Parses any bytes as requests, cut into any pieces, the model's parser beside the engine's.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::resp_parse(bytes));
