//! RDB files, payloads and LZF, held against the naive codecs, damaged on purpose, and replayed from recorded dumps.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tally_check::properties::rdb::{Dataset, Held, Loader, Value};
use tally_check::properties::{lzf, rdb, rdb_dataset, rdb_mutation, restore_payload};
use tally_engine::rdb::{RdbErrorKind, Writer};
use tally_model::rdb::{self as naive, Forms};

/// Text with the repetitions that compression lives on, integers of every width, and anything.
fn string() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<u8>(), 1usize..600).prop_map(|(byte, count)| vec![byte; count]);
    let words = vec(prop::sample::select(vec!["tally ", "stick ", "x", "0123456789", "\0\u{1}"]), 0..60)
        .prop_map(|words| words.concat().into_bytes());
    prop_oneof![
        vec(any::<u8>(), 0..70),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        any::<i8>().prop_map(|number| number.to_string().into_bytes()),
        prop::sample::select(vec![63usize, 64, 65, 16_383, 16_384]).prop_map(|length| vec![b'l'; length]),
        run,
        words,
        vec(any::<u8>(), 0..3000),
    ]
}

fn deadline() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        3 => Just(None),
        2 => (1_700_000_000_001i64..4_000_000_000_000).prop_map(Some),
        1 => any::<i64>().prop_map(Some),
    ]
}

/// Scores at the edges of what their texts and bytes can say.
fn score() -> impl Strategy<Value = u64> {
    let edges = [0.0, -0.0, 1.5, -1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_993.0, 0.1];
    prop_oneof![
        prop::sample::select(edges.to_vec()),
        (-20i32..20).prop_map(f64::from),
        any::<f64>().prop_filter("a number", |score| !score.is_nan()),
    ]
    .prop_map(f64::to_bits)
}

/// A member, small enough that many fit a case.
fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (-200i64..200).prop_map(|number| number.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        3 => vec(any::<u8>(), 0..6),
        1 => (60usize..68).prop_map(|length| vec![b'm'; length]),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let integers = btree_set(any::<i64>().prop_map(|number| number.to_string().into_bytes()), 1..20);
    let short = btree_set((-300i64..300).prop_map(|number| number.to_string().into_bytes()), 1..20);
    prop_oneof![
        3 => string().prop_map(Value::String),
        1 => vec(prop_oneof![3 => member(), 1 => string()], 1..20).prop_map(Value::List),
        1 => btree_set(member(), 1..20).prop_map(Value::Set),
        1 => prop_oneof![integers, short].prop_map(Value::Set),
        1 => btree_map(member(), score(), 1..20).prop_map(Value::Zset),
        1 => btree_map(member(), score(), 120..140).prop_map(Value::Zset),
        1 => btree_map(member(), prop_oneof![3 => member(), 1 => string()], 1..20).prop_map(Value::Hash),
    ]
}

fn dataset() -> impl Strategy<Value = Dataset> {
    let held = (value(), 0u8..15, deadline()).prop_map(|(value, form, deadline_ms)| {
        let forms = value.forms();
        let form = forms[usize::from(form) % forms.len()].0;
        Held { value, form, deadline_ms }
    });
    btree_map((0u64..16, vec(any::<u8>(), 0..20)), held, 0..12)
}

fn forms() -> impl Strategy<Value = Forms> {
    (any::<bool>(), prop::option::of(0usize..100), any::<bool>(), any::<bool>()).prop_map(
        |(integers, compress_from, wide_lengths, checksum)| Forms { integers, compress_from, wide_lengths, checksum },
    )
}

proptest! {
    //= SPEC.md#rdb-strings
    //# [LZF-4] (file) A copy from before the beginning of the output, output beyond the announced length and input that ends within an item MUST be refused.
    #[test]
    fn lzf_decompression_is_total_and_judged_alike(block in vec(any::<u8>(), 0..200), promised in 0usize..2000) {
        lzf::decompression_is_total_and_judged_alike(&block, promised);
    }

    //= SPEC.md#rdb-strings
    //# [LZF-2] (file) Any other control byte c MUST be read as a copy of n + 2 bytes from d + 1 bytes back in the output, n being the three high bits of c plus, where these are 7, the following byte, and d the five low bits of c followed by the next byte as eight more.
    //= SPEC.md#rdb-strings
    //# [LZF-3] (file) A copy MAY overlap the bytes it produces, in which case it repeats them.
    #[test]
    fn what_is_compressed_is_decompressed_by_both_halves(plain in string(), limit in 0usize..700) {
        lzf::compression_is_undone_by_both_halves(&plain);
        lzf::compression_keeps_its_limit(&plain, limit);
    }

    //= SPEC.md#rdb-lengths
    //# [RDB-2] (file) A reader MUST accept a length in any of the four forms, also where a shorter one would do.
    //= SPEC.md#rdb-file
    //# [RDB-30] (file) A key whose deadline has passed when the file is loaded MUST be left out by a server that is no replica.
    #[test]
    fn files_keep_their_dataset_in_every_allowed_form(dataset in dataset(), forms in forms()) {
        rdb::files_keep_their_dataset(&dataset, forms);
    }

    //= SPEC.md#dump-payload
    //# [PAYLOAD-2] (file) The payload of a string MUST begin with type byte 0, followed by the string in any encoding that RDB strings allow.
    #[test]
    fn payloads_keep_their_value_in_every_allowed_form(value in value(), forms in forms()) {
        rdb::payloads_keep_their_value(&value, forms);
    }

    //= SPEC.md#restore
    //# [RESTORE-9] (wire) RESTORE of a payload whose version and checksum hold but whose value is damaged, incomplete or of an unknown type MUST answer `-ERR Bad data format` and leave the key as it was.
    #[test]
    fn damaged_payloads_with_a_right_checksum_are_judged_alike(
        value in value(), forms in forms(), place: usize, change: u8, body in vec(any::<u8>(), 0..40)
    ) {
        for form in value.forms() {
            let mut payload = naive::payload_of_value(&(&value).into(), form, forms).unwrap();
            let end = payload.len() - 8;
            payload[place % end] ^= change;
            let sum = tally_engine::crc64::crc64(&payload[..end]);
            payload[end..].copy_from_slice(&sum.to_le_bytes());
            rdb::payloads_are_judged_alike(&payload);
        }
        let mut payload = body.clone();
        payload.extend_from_slice(&[9, 0]);
        let sum = tally_engine::crc64::crc64(&payload);
        payload.extend_from_slice(&sum.to_le_bytes());
        rdb::payloads_are_judged_alike(&payload);
        rdb::payloads_are_judged_alike(&body);
    }

    #[test]
    fn restored_values_behave_under_any_commands_as_the_model_says(
        value in value(), forms in forms(), which: usize, damage in prop::option::of((any::<usize>(), 1u8..)),
        choices in vec(any::<u8>(), 0..2000)
    ) {
        let kinds = value.forms();
        let payload = naive::payload_of_value(&(&value).into(), kinds[which % kinds.len()], forms).unwrap();
        let mut body = payload[..payload.len() - 10].to_vec();
        if let Some((place, change)) = damage {
            let end = body.len();
            body[place % end] ^= change;
        }
        restore_payload::restored_values_behave_as_the_model_says(&restore_payload::input(&body, &choices));
    }

    #[test]
    fn any_bytes_after_the_header_are_judged_as_the_model_judges_them(body in vec(any::<u8>(), 0..200)) {
        let file = [b"REDIS0009".as_slice(), &body].concat();
        Loader::default().judges_as_the_model(&file);
    }
}

/// The damage property, with its counts: a run that only ever met wrong checksums would mean nothing.
#[test]
fn damaged_dumps_do_no_harm_and_often_load() {
    let cases = std::env::var("TALLY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(3000u32);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut loader = Loader::default();
    let mut loaded = 0;
    for case in 0..cases {
        let sets = dataset().prop_filter("keys to damage", |dataset| !dataset.is_empty());
        let dataset = sets.new_tree(&mut runner).unwrap().current();
        let places = if case % 10 == 0 { 2 } else { 1 };
        let damage = vec((any::<usize>(), 1u8..), places).new_tree(&mut runner).unwrap().current();
        loaded += u32::from(loader.survives_damage(&dataset, &damage));
    }
    println!("{loaded} of {cases} damaged files load, the others are refused");
    assert!(loaded > cases / 10, "{loaded} of {cases} loaded");
    assert!(loaded < cases - cases / 20, "{loaded} of {cases} loaded");
}

//= SPEC.md#rdb-file
//# [RDB-34] (inside) A reader MUST NOT allocate more than a constant factor of the bytes that are present, whatever the lengths in the file announce.
#[test]
fn huge_announced_lengths_cost_no_memory() {
    let huge = [&[0x81][..], &(1u64 << 61).to_be_bytes()].concat();
    let cases: [&[&[u8]]; 7] = [
        &[&[0xfa], &huge, b"x"],
        &[&[0x00], &huge, b"k"],
        &[&[0x00, 1, b'k'], &huge, b"v"],
        &[&[0x00, 1, b'k', 0xc3], &huge, &huge, b"v"],
        &[&[0x00, 1, b'k', 0xc3, 2], &huge, &[0, b'v']],
        &[&[0xfb], &huge, &huge, &[0x00, 1, b'k', 1, b'v']],
        &[&[0x01, 1, b'k'], &huge, &[1, b'v']],
    ];
    for parts in cases {
        let file = [b"REDIS0009".as_slice(), &parts.concat()].concat();
        let error = Loader::default().load(&file).unwrap_err();
        assert!(error.offset >= 9 && error.offset <= file.len() as u64, "{error}");
    }
}

//= SPEC.md#rdb-file
//# [RDB-31] (file) A key that stands twice in one database MUST be refused as damage.
#[test]
fn a_key_that_stands_twice_is_refused_and_the_dataset_stays_as_it_was() {
    let mut loader = Loader::default();
    let kept = Dataset::from([(
        (3, b"kept".to_vec()),
        Held { value: Value::String(b"1".to_vec()), form: 0, deadline_ms: None },
    )]);
    loader.hold(&kept);
    let mut writer = Writer::new(Vec::new(), true, true).unwrap();
    for _ in 0..2 {
        writer.string(b"twice", Default::default(), b"v").unwrap();
    }
    let (file, _) = writer.finish().unwrap();
    let error = loader.load(&file).unwrap_err();
    assert_eq!(error.kind, RdbErrorKind::DuplicateKey);
    assert_eq!(loader.dataset(), kept);
}

//= SPEC.md#rdb-file
//# [RDB-12] (file) A reader MUST refuse a file with another beginning, with version 0 and with a version above 11, naming which of these it is.
//= SPEC.md#rdb-file
//# [RDB-41] (file) A server MUST refuse a file that holds a value of a module it lacks, naming the module's type.
#[test]
fn every_recorded_dump_of_held_types_loads_as_recorded_and_every_other_is_refused_by_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb");
    // The type of values that the recorded module has.
    const MODULE_TYPE: &str = "hellotype";
    let mut loaded = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() != "rdb" {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = fs::read(&path).unwrap();
        let recorded: serde_json::Value =
            serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let codes = recorded["opcodes_and_types"].as_object().unwrap();
        let other = ["type:MODULE_2", "op:MODULE_AUX"];
        let held = codes.keys().all(|code| !other.contains(&code.as_str()));
        let mut loader = Loader::default();
        match loader.load(&file) {
            Ok(report) => {
                assert!(held, "{name} holds what this engine does not");
                assert_eq!(report.keys, recorded["keys"].as_u64().unwrap(), "{name}");
                assert!(loader.judges_as_the_model(&file), "{name}");
                loaded += 1;
            }
            Err(error) => match error.kind {
                RdbErrorKind::ModuleMissing(ref module) => assert_eq!(module, MODULE_TYPE, "{name}: {error}"),
                RdbErrorKind::ModuleAux(ref module) => assert_eq!(module, "test__rdb", "{name}"),
                _ => panic!("{name}: {error}"),
            },
        }
    }
    assert_eq!(loaded, 27, "two dumps of 29 hold a module's data");
}

#[test]
fn files_that_are_whole_but_for_one_change_are_judged_as_the_model_judges_them() {
    let mut choice = ChaCha8Rng::seed_from_u64(7);
    let mut loader = Loader::default();
    let (mut loaded, mut refused) = (0, 0);
    for round in 0..300 {
        let (dataset, forms) = rdb_dataset::draw(&mut choice);
        let mut file = rdb::written_by_the_model(&dataset, forms);
        for step in 0..10 {
            let seed = round * 10 + step;
            let mut tweaks = ChaCha8Rng::seed_from_u64(seed);
            file = rdb_mutation::mutated(&file, seed, &mut |bytes| rdb_mutation::tweaked(bytes, &mut tweaks));
            if loader.judges_as_the_model(&file) { loaded += 1 } else { refused += 1 }
        }
    }
    // Both must happen often, or the mutation does nothing or nothing but damage.
    assert!(loaded > 500 && refused > 500, "{loaded} loaded, {refused} refused");
}
