//! Fuzz targets: each calls one property of `tally-check`.
//!
//! Under cargo fuzz, which sets `cfg(fuzzing)`, a target is driven by libFuzzer. On stable each is a program that runs
//! the property over the files and folders it is given, by default over its seed corpus; that is what the smoke tests
//! do, and how an artifact is replayed without nightly.

use std::cell::RefCell;

use tally_check::properties;
use tally_check::properties::rdb::Loader;

thread_local! {
    /// Few databases: with sixteen, making them anew for each file would take a tenth of the time.
    static LOADER: RefCell<Loader> = RefCell::new(Loader::with_databases(4));
}

/// See [`properties::aof::any_file_is_loaded_or_refused`].
pub fn aof_load(bytes: &[u8]) {
    properties::aof::any_file_is_loaded_or_refused(bytes);
}

/// See [`Loader::judges_as_the_model`].
pub fn rdb_load(bytes: &[u8]) {
    LOADER.with_borrow_mut(|loader| loader.judges_as_the_model(bytes));
}

/// See [`properties::rdb_mutation::mutated`]: half of the inputs of `rdb_load` are files that are whole but for what was
/// changed; the others are what libFuzzer makes of bytes. Returns the length of the new input at the beginning of `data`.
#[cfg(fuzzing)]
pub fn rdb_mutator(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let mut tweak = |text: &mut Vec<u8>| {
        let length = text.len();
        text.resize(length + 16, 0);
        let room = text.len();
        let length = libfuzzer_sys::fuzzer_mutate(text, length, room);
        text.truncate(length);
    };
    let file = properties::rdb_mutation::mutated(&data[..size], u64::from(seed), &mut tweak);
    if file.len() > max_size {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    data[..file.len()].copy_from_slice(&file);
    file.len()
}

/// See [`properties::rdb_dataset::any_dataset_is_kept`].
pub fn rdb_roundtrip(bytes: &[u8]) {
    properties::rdb_dataset::any_dataset_is_kept(bytes);
}

/// See [`properties::config::a_rewrite_says_the_same`] and [`properties::config::any_line_can_be_set_again`].
pub fn config_parse(bytes: &[u8]) {
    properties::config::a_rewrite_says_the_same(bytes);
    properties::config::any_line_can_be_set_again(bytes);
}

/// See [`properties::resp::any_stream_in_any_pieces`].
pub fn resp_parse(bytes: &[u8]) {
    properties::resp::any_stream_in_any_pieces(bytes);
}

/// See [`properties::commands::the_engine_answers_what_the_model_allows`].
pub fn commands(bytes: &[u8]) {
    properties::commands::the_engine_answers_what_the_model_allows(bytes);
}

/// See [`properties::restore_payload::restored_values_behave_as_the_model_says`].
pub fn restore_payload(bytes: &[u8]) {
    properties::restore_payload::restored_values_behave_as_the_model_says(bytes);
}

/// See [`properties::hyperloglog::any_string_is_taken_or_refused`].
pub fn hyperloglog(bytes: &[u8]) {
    properties::hyperloglog::any_string_is_taken_or_refused(bytes);
    properties::hyperloglog::registers_only_rise(&properties::hyperloglog::operations(bytes));
}

/// See [`properties::ziplist::any_bytes_are_taken_or_refused`] and [`properties::ziplist::a_ziplist_is_a_sequence`].
pub fn ziplist(bytes: &[u8]) {
    properties::ziplist::any_bytes_are_taken_or_refused(bytes);
    properties::ziplist::a_ziplist_is_a_sequence(&properties::ziplist::operations(bytes));
}

/// See [`properties::quicklist::any_nodes_are_taken_or_refused`] and
/// [`properties::quicklist::a_quicklist_is_a_sequence`].
pub fn quicklist(bytes: &[u8]) {
    properties::quicklist::any_nodes_are_taken_or_refused(bytes);
    let (options, operations) = properties::quicklist::operations(bytes);
    properties::quicklist::a_quicklist_is_a_sequence(options, &operations);
}

/// See [`properties::intset::any_bytes_are_taken_or_refused`] and [`properties::intset::an_intset_is_a_set`].
pub fn intset(bytes: &[u8]) {
    properties::intset::any_bytes_are_taken_or_refused(bytes);
    properties::intset::an_intset_is_a_set(&properties::intset::operations(bytes));
}

/// See [`properties::listpack::any_bytes_are_taken_or_refused`] and [`properties::listpack::a_listpack_is_a_sequence`].
pub fn listpack(bytes: &[u8]) {
    properties::listpack::any_bytes_are_taken_or_refused(bytes);
    properties::listpack::a_listpack_is_a_sequence(&properties::listpack::operations(bytes));
}

/// See [`properties::stream_payload::any_payload_is_taken_or_refused`] and
/// [`properties::stream_payload::a_stream_is_an_ordered_map`].
pub fn stream_payload(bytes: &[u8]) {
    properties::stream_payload::any_payload_is_taken_or_refused(bytes);
    let (limits, operations) = properties::stream_payload::operations(bytes);
    properties::stream_payload::a_stream_is_an_ordered_map(&limits, &operations);
}

/// Makes a program of a property.
#[cfg(fuzzing)]
#[macro_export]
macro_rules! target {
    ($($property:tt)*) => {
        libfuzzer_sys::fuzz_target!($($property)*);
    };
}

/// Makes libFuzzer change inputs as a function does that gets the buffer, the length of the input in it, the longest that
/// a new one may be, and a seed, and returns the length of the new one.
#[cfg(fuzzing)]
#[macro_export]
macro_rules! mutator {
    ($mutator:expr) => {
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $mutator(data, size, max_size, seed)
        });
    };
}

/// Nothing is changed where nothing is fuzzed.
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! mutator {
    ($mutator:expr) => {};
}

/// Makes a program of a property.
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! target {
    ($property:expr) => {
        fn main() -> std::process::ExitCode {
            $crate::replay(env!("CARGO_BIN_NAME"), $property)
        }
    };
}

/// Runs a property over the files named on the command line, or over the seed corpus of `target`.
#[cfg(not(fuzzing))]
pub fn replay(target: &str, property: fn(&[u8])) -> std::process::ExitCode {
    use std::path::{Path, PathBuf};

    let mut waiting: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if waiting.is_empty() {
        waiting.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target));
    }
    let mut inputs = 0;
    while let Some(path) = waiting.pop() {
        let outcome = if path.is_dir() {
            std::fs::read_dir(&path).map(|entries| waiting.extend(entries.flatten().map(|entry| entry.path())))
        } else {
            std::fs::read(&path).map(|bytes| {
                property(&bytes);
                inputs += 1;
            })
        };
        if let Err(error) = outcome {
            eprintln!("{target}: {}: {error}", path.display());
            return std::process::ExitCode::from(2);
        }
    }
    println!("{target}: {inputs} inputs hold");
    std::process::ExitCode::SUCCESS
}
