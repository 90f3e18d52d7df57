//! The seeds of the fuzz targets hold on stable too, so that a target is never broken unseen.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tally_check::properties::rdb::Loader;
use tally_check::properties::{
    aof, commands, config, hyperloglog, intset, listpack, quicklist, rdb_dataset, resp, restore_payload,
    stream_payload, ziplist,
};

/// Runs a property over the seeds of a target and answers how many there were.
fn seeds(target: &str, mut property: impl FnMut(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.map(|bytes| property(&bytes)).count()
}

#[test]
fn the_seeds_of_aof_load_hold_and_many_are_compared() {
    let mut compared = 0;
    let all = seeds("aof_load", |bytes| compared += usize::from(aof::any_file_is_loaded_or_refused(bytes)));
    assert!(all >= 10 && compared >= 5, "{compared} of {all} come to a comparison");
}

#[test]
fn the_seeds_of_rdb_load_hold_and_many_of_them_load() {
    let mut loader = Loader::default();
    let mut loaded = 0;
    let all = seeds("rdb_load", |bytes| loaded += usize::from(loader.judges_as_the_model(bytes)));
    assert!(all >= 10, "only {all} seeds");
    // The folder also gathers what local runs of the fuzzer find, most of which is damaged.
    assert!(loaded >= 10, "{loaded} of {all} load");
}

#[test]
fn the_seeds_of_rdb_roundtrip_hold() {
    assert!(seeds("rdb_roundtrip", rdb_dataset::any_dataset_is_kept) >= 10);
}

#[test]
fn the_seeds_of_config_parse_hold() {
    assert!(seeds("config_parse", config::a_rewrite_says_the_same) >= 5);
    seeds("config_parse", config::any_line_can_be_set_again);
}

#[test]
fn the_seeds_of_resp_parse_hold() {
    assert!(seeds("resp_parse", resp::any_stream_in_any_pieces) >= 5);
}

#[test]
fn the_seeds_of_commands_hold() {
    assert!(seeds("commands", commands::the_engine_answers_what_the_model_allows) >= 3);
}

#[test]
fn the_seeds_of_hyperloglog_hold() {
    assert!(seeds("hyperloglog", hyperloglog::any_string_is_taken_or_refused) >= 5);
    seeds("hyperloglog", |bytes| hyperloglog::registers_only_rise(&hyperloglog::operations(bytes)));
}

#[test]
fn the_seeds_of_ziplist_hold() {
    assert!(seeds("ziplist", ziplist::any_bytes_are_taken_or_refused) >= 5);
    seeds("ziplist", |bytes| ziplist::a_ziplist_is_a_sequence(&ziplist::operations(bytes)));
}

#[test]
fn the_seeds_of_quicklist_hold() {
    assert!(seeds("quicklist", quicklist::any_nodes_are_taken_or_refused) >= 5);
    seeds("quicklist", |bytes| {
        let (options, operations) = quicklist::operations(bytes);
        quicklist::a_quicklist_is_a_sequence(options, &operations);
    });
}

#[test]
fn the_seeds_of_restore_payload_hold() {
    assert!(seeds("restore_payload", restore_payload::restored_values_behave_as_the_model_says) >= 10);
}

#[test]
fn the_seeds_of_intset_hold_and_some_are_intsets() {
    let mut taken = 0;
    let all = seeds("intset", |bytes| taken += usize::from(intset::any_bytes_are_taken_or_refused(bytes)));
    assert!(all >= 10 && taken >= 5, "{taken} of {all} are intsets");
    seeds("intset", |bytes| intset::an_intset_is_a_set(&intset::operations(bytes)));
}

#[test]
fn the_seeds_of_listpack_hold_and_some_are_listpacks() {
    let mut taken = 0;
    let all = seeds("listpack", |bytes| taken += usize::from(listpack::any_bytes_are_taken_or_refused(bytes)));
    assert!(all >= 8 && taken >= 4, "{taken} of {all} are listpacks");
    seeds("listpack", |bytes| listpack::a_listpack_is_a_sequence(&listpack::operations(bytes)));
}

#[test]
fn the_seeds_of_stream_payload_hold_and_some_are_streams() {
    let mut taken = 0;
    let all =
        seeds("stream_payload", |bytes| taken += usize::from(stream_payload::any_payload_is_taken_or_refused(bytes)));
    assert!(all >= 8 && taken >= 4, "{taken} of {all} are streams");
    seeds("stream_payload", |bytes| {
        let (limits, operations) = stream_payload::operations(bytes);
        stream_payload::a_stream_is_an_ordered_map(&limits, &operations);
    });
}

#[test]
fn every_target_has_seeds_and_a_dictionary() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut targets = 0;
    for entry in fs::read_dir(fuzz.join("fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(fs::read_to_string(&path).unwrap().lines().count() <= 5, "{name} holds more than a call");
        assert!(fuzz.join("corpus").join(&name).is_dir(), "{name} has no seeds");
        assert!(fuzz.join("dictionaries").join(format!("{name}.dict")).is_file(), "{name} has no dictionary");
        targets += 1;
    }
    assert!(targets >= 3);
}
