//! Loads any bytes as an RDB file, the naive decoder beside the engine.
#![cfg_attr(fuzzing, no_main)]

tally_fuzz::target!(|bytes: &[u8]| tally_fuzz::rdb_load(bytes));

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    tally_fuzz::rdb_mutator(data, size, max_size, seed)
});
