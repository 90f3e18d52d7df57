//! Restores any payload and works on what it gave, the model beside the engine.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::restore_payload(bytes));
