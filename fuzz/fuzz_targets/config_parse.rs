//! Any bytes as a configuration file, and as a directive that is set.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::config_parse(bytes));
