//! `tally rdb` and `tally aof` as a user runs them: what they say of every recorded dump, and of damaged files.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value};
use tally_engine::number::{format_f64, parse_f64};

mod conversation;

fn tally(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tally")).args(arguments).arg(file).output().unwrap()
}

fn dumps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap() == "rdb")
        .collect();
    found.sort();
    assert_eq!(found.len(), 29);
    found
}

fn json(file: &Path) -> Value {
    let output = tally(&["rdb", "--json"], file);
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn by_key(list: &Value) -> Vec<Map<String, Value>> {
    let mut keys: Vec<Map<String, Value>> =
        list.as_array().unwrap().iter().map(|key| key.as_object().unwrap().clone()).collect();
    keys.sort_by_key(|key| key["key"].to_string());
    keys
}

/// How many elements a recorded value has.
fn size(recorded: &Map<String, Value>) -> Option<u64> {
    match &recorded["value"] {
        Value::Array(elements) => Some(elements.len() as u64),
        Value::Object(stream) => stream.get("length").and_then(Value::as_u64),
        _ => None,
    }
}

/// A recorded value as the tool shows it: sets and hashes sorted by bytes, scores with the digits of Redis 5 (newer
/// servers print fewer).
fn in_order(recorded: &Map<String, Value>) -> Value {
    let bytes = |value: &Value| match &value["b64"] {
        Value::String(text) => decoded(text),
        _ => value.as_str().unwrap().as_bytes().to_vec(),
    };
    let mut value = recorded["value"].clone();
    match (recorded["type"].as_str(), value.as_array_mut()) {
        (Some("set"), Some(members)) => members.sort_by_key(bytes),
        (Some("zset"), Some(members)) => {
            for member in members {
                let score = parse_f64(member[1].as_str().unwrap().as_bytes()).unwrap();
                member[1] = format_f64(score).into();
            }
        }
        (Some("hash"), Some(pairs)) => pairs.sort_by_key(|pair| bytes(&pair[0])),
        _ => {}
    }
    value
}

/// Redis 5 has no place for what 7.0 knows of streams beyond it. [RDBSTREAM-10]
fn without_what_newer_versions_added(value: &mut Value) {
    let Some(stream) = value.as_object_mut() else { return };
    for field in ["max_deleted_entry_id", "entries_added", "recorded_first_entry_id"] {
        stream.remove(field);
    }
    for group in stream.get_mut("groups").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(group) = group.as_object_mut() {
            group.remove("entries_read");
            group.remove("lag");
        }
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let text = base64.trim_end_matches('=').as_bytes();
    let word = |group: &[u8]| group.iter().fold(0u32, |word, &byte| word << 6 | u32::from(sextet(byte)));
    let group = |group: &[u8]| {
        let bytes = (word(group) << (6 * (4 - group.len()))).to_be_bytes();
        bytes[1..group.len()].to_vec()
    };
    text.chunks(4).flat_map(group).collect()
}

//= SPEC.md#rdb-file
//# [RDB-13] (file) After these nine bytes the file MUST be a sequence of items, each an opcode byte and its content or a value type byte, a key and a value, up to the opcode 255.
#[test]
fn every_recorded_dump_is_described_as_it_was_recorded() {
    for file in dumps() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let recorded: Value = serde_json::from_slice(&fs::read(file.with_extension("json")).unwrap()).unwrap();
        let found = json(&file);
        for field in ["rdb_version", "bytes", "opcodes_and_types", "string_encodings", "checksum"] {
            assert_eq!(found[field], recorded[field], "{field} of {name}");
        }
        let aux: Vec<&Value> = found["aux_fields"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
        assert_eq!(aux, recorded["aux_fields"].as_array().unwrap().iter().collect::<Vec<_>>(), "{name}");
        let databases = recorded["dbs"].as_object().unwrap();
        assert_eq!(found["dbs"].as_object().unwrap().len(), databases.len(), "{name}");
        for (index, keys) in databases {
            let (mut found, recorded) = (by_key(&found["dbs"][index]), by_key(keys));
            // What had expired when it was recorded is in the file all the same: 2.4 let seconds overflow.
            found.retain(|key| key["expire_at_ms"].as_i64().is_none_or(|at_ms| at_ms > 0));
            assert_eq!(found.len(), recorded.len(), "{name}, db {index}");
            for (found, recorded) in found.iter().zip(&recorded) {
                let which = format!("{name}, db {index}, key {}", recorded["key"]);
                for field in ["key", "type", "expire_at_ms", "idle_seconds_in_file", "freq_in_file"] {
                    assert_eq!(found.get(field), recorded.get(field), "{field} of {which}");
                }
                // What a module's value means is known to the module alone.
                if found.get("encoding").is_some_and(|encoding| encoding == "module") {
                    assert_eq!(found.get("value"), None, "{which}");
                    continue;
                }
                let mut wanted = in_order(recorded);
                without_what_newer_versions_added(&mut wanted);
                assert_eq!(found["value"], wanted, "{which}");
                assert_eq!(found.get("elements").and_then(Value::as_u64), size(recorded), "{which}");
            }
        }
    }
}

//= SPEC.md#rdb-file
//# [RDB-32] (file) A file that ends before its EOF opcode and checksum MUST be refused, naming the offset where more was needed.
#[test]
fn a_dump_that_was_cut_is_damaged_whatever_was_cut_off() {
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb/5.0-multidb.rdb")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.rdb");
    for length in (0..whole.len()).step_by(37) {
        fs::write(&path, &whole[..length]).unwrap();
        let output = tally(&["rdb"], &path);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "cut at {length}: {text}");
        assert!(text.contains("DAMAGED at offset "), "cut at {length}: {text}");
    }
}

//= SPEC.md#rdb-file
//# [RDB-33] (file) An unknown opcode or value type MUST be refused, naming it and its offset.
#[test]
fn damage_is_named_with_offset_opcode_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.rdb");
    let cases: [(&[u8], &str); 6] = [
        (b"REDIX0009\xff", "offset 0: does not begin with REDIS"),
        (b"REDIS0099\xff", "offset 5: version 99 is not between 1 and 11"),
        (b"REDIS0009\xfe\x00\x63", "offset 11, in record 99: 99 is neither an opcode nor a value type"),
        (b"REDIS0009\x00\x01k\xc7", "offset 12, in STRING (0): string encoding 7 is unknown"),
        (b"REDIS0009\xfe\xc0\x01", "offset 10, in SELECTDB (254): string encoding 0 where a number is needed"),
        (b"REDIS0009\x00\x01k\x05abc", "offset 13, in STRING (0): ends 3 bytes into a field of 5"),
    ];
    for (bytes, reason) in cases {
        fs::write(&path, bytes).unwrap();
        let output = tally(&["rdb"], &path);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(reason), "{text}\nshould say: {reason}");
    }
    assert_eq!(tally(&["rdb"], &folder.path().join("absent.rdb")).status.code(), Some(2));
}

//= SPEC.md#rdb-file
//# [RDB-28] (file) A reader MUST refuse a checksum that is neither zero nor that of the bytes, naming both.
#[test]
fn a_wrong_checksum_is_damage_and_a_zero_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump.rdb");
    let mut bytes = b"REDIS0009\xff".to_vec();
    bytes.extend_from_slice(&[0; 8]);
    fs::write(&path, &bytes).unwrap();
    assert!(tally(&["rdb"], &path).status.success());
    bytes[10] = 1;
    fs::write(&path, &bytes).unwrap();
    let output = tally(&["rdb"], &path);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("offset 10, in EOF (255): checksum 0x0000000000000001 is stored"), "{text}");
}

const COMMANDS: &str = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";

fn check_aof(bytes: &[u8], fix: bool) -> (Option<i32>, String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("appendonly.aof");
    fs::write(&path, bytes).unwrap();
    let output = tally(if fix { &["aof", "--fix", "--yes"] } else { &["aof"] }, &path);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), fs::read(&path).unwrap())
}

//= SPEC.md#aof-file
//# [AOF-8] (file) Any other damage, for example a line that does not begin with `*` or `$`, a count below 1 or a command that does not exist, MUST be refused, naming the offset where the damaged command begins.
#[test]
fn damage_of_an_append_only_file_is_named_with_the_offset_of_its_command() {
    let offset = COMMANDS.len();
    for (tail, reason) in [
        ("SET k v\r\n", "expected '*', found 'S'"),
        ("*0\r\n", "'*0' is no valid count or length"),
        ("*-1\r\n", "'*-' is no valid count or length"),
        ("*1\r\n+PING\r\n", "expected '$', found '+'"),
        ("*1\r\n$3\r\nPING\r\n", "argument 0 does not end where its length says"),
        ("*1\r\n$4\r\nPI", "the file ends inside a command or transaction"),
        ("*1\r\n$5\r\nMULTI\r\n", "the file ends inside a command or transaction"),
    ] {
        let (code, text, _) = check_aof(format!("{COMMANDS}{tail}").as_bytes(), false);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("DAMAGED at offset {offset}: {reason}")), "{text}\nshould say: {reason}");
    }
    assert_eq!(check_aof(COMMANDS.as_bytes(), false).0, Some(0));
    assert_eq!(check_aof(b"", false).0, Some(0));
}

/// redis-check-aof finds the first two as well, and cuts the file there, with everything behind.
#[test]
fn commands_that_make_no_sense_where_they_stand_are_told_and_nothing_is_cut() {
    let multi = "*1\r\n$5\r\nMULTI\r\n";
    let exec = "*1\r\n$4\r\nEXEC\r\n";
    let begin = COMMANDS.len();
    for (tail, offset, reason) in [
        (exec.to_owned(), begin, "EXEC without MULTI"),
        (format!("{multi}{multi}{exec}"), begin + multi.len(), "MULTI inside a transaction"),
        ("*1\r\n$5\r\nPIN\x1bG\r\n".to_owned(), begin, "unknown command 'PIN\\x1bG'"),
    ] {
        let bytes = format!("{COMMANDS}{tail}{COMMANDS}").into_bytes();
        let (code, text, left) = check_aof(&bytes, true);
        assert_eq!((code, left), (Some(1), bytes), "{text}");
        assert!(text.contains(&format!("offset {offset}: {reason}")), "{text}\nshould say: {reason}");
    }
    let (code, text, _) = check_aof(format!("{COMMANDS}{multi}{exec}").as_bytes(), false);
    assert_eq!(code, Some(0), "{text}");
    // A file full of them is not told of line by line.
    let (code, text, _) = check_aof(exec.repeat(1000).as_bytes(), false);
    assert_eq!((code, text.matches("EXEC without MULTI").count()), (Some(1), 10), "{text}");
}

//= SPEC.md#aof-file
//# [AOF-7] (file) A transaction without its EXEC at the end of the file MUST be treated as if the file ended before its MULTI.
#[test]
fn fixing_cuts_after_the_last_whole_command_or_transaction() {
    let open = format!("{COMMANDS}*1\r\n$5\r\nMULTI\r\n{COMMANDS}");
    for damaged in [open.clone(), format!("{COMMANDS}*3\r\n$3\r\nSE"), format!("{COMMANDS}garbage")] {
        let (code, text, fixed) = check_aof(damaged.as_bytes(), true);
        assert_eq!((code, fixed), (Some(0), COMMANDS.as_bytes().to_vec()), "{text}");
    }
    let closed = format!("{open}*1\r\n$4\r\nEXEC\r\n");
    assert_eq!(check_aof(closed.as_bytes(), true).2, closed.as_bytes());
}

#[test]
fn nothing_is_cut_without_consent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("appendonly.aof");
    let damaged = format!("{COMMANDS}garbage");
    for (answer, cuts) in
        [("", false), ("\n", false), ("no\n", false), ("yesterday\n", false), ("y\n", true), ("YES", true)]
    {
        fs::write(&path, &damaged).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command.args(["aof", "--fix"]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("cut 7 bytes, so that {} are left? [y/N]", COMMANDS.len())), "{text}");
        let (code, left) = if cuts { (0, COMMANDS) } else { (1, damaged.as_str()) };
        assert_eq!(output.status.code(), Some(code), "{answer:?}: {text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), left, "{answer:?}: {text}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_tally")).args(["aof", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("Exit codes: 0 "));
    assert_eq!(tally(&["aof", "--yes"], &path).status.code(), Some(2));
}

#[test]
fn statistics_count_keys_elements_and_bytes_of_each_type_and_form() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb/redis-5.0.14-all.rdb");
    let output = tally(&["rdb", "--stats"], &file);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let keys: u64 = ["string", "list", "set", "zset", "hash", "stream"]
        .iter()
        .flat_map(|kind| rows.iter().filter(move |row| row.first() == Some(kind) && row.len() > 5))
        .map(|row| row[2].parse::<u64>().unwrap())
        .sum();
    assert_eq!(keys, 87, "{text}");
    assert!(rows.iter().any(|row| row.starts_with(&["hash", "ziplist"])), "{text}");
    assert!(rows.iter().any(|row| row.starts_with(&["zset", "skiplist"])), "{text}");
}

#[test]
fn statistics_name_the_largest_keys_from_the_largest_on() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb/redis-5.0.14-all.rdb");
    let output = tally(&["rdb", "--stats"], &file);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| line.trim() == "largest keys, bytes of memory").unwrap() + 1;
    let sizes: Vec<u64> =
        lines[from..from + 10].iter().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(sizes.is_sorted_by(|one, next| one >= next), "{text}");
    assert!(sizes[9] > 0, "{text}");
}

fn diff(one: &Path, other: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tally")).args(["rdb", "--diff"]).args([other, one]).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

/// A file of strings, and of one set with these members.
fn dump_of(strings: &[(&str, &str)], members: &[&str]) -> tempfile::NamedTempFile {
    use std::io::Write as _;
    use tally_model::rdb::{Content, Forms, VERSION, ValueType, Writer};
    let mut writer = Writer::new(VERSION, Forms::default());
    for (key, value) in strings {
        writer.key(key.as_bytes(), value.as_bytes());
    }
    writer.select_db(3);
    let members = Content::Set(members.iter().map(|member| member.as_bytes().to_vec()).collect());
    assert!(writer.value(b"set", &members, ValueType::SET));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&writer.finish()).unwrap();
    file
}

#[test]
fn dumps_are_equal_when_they_mean_the_same_and_their_differences_are_named_by_key() {
    let one = dump_of(&[("a", "1"), ("b", "2"), ("c", "3")], &["x", "y", "12"]);
    let other = dump_of(&[("c", "3"), ("b", "two"), ("d", "4")], &["12", "y", "x"]);
    let (code, text) = diff(one.path(), other.path());
    assert_eq!(code, Some(1), "{text}");
    let mut lines: Vec<&str> = text.lines().collect();
    let sum = lines.pop().unwrap();
    assert_eq!(lines, ["~ db 0 b", "+ db 0 d", "- db 0 a"]);
    assert!(sum.starts_with("2 keys equal, 1 differ, 1 only in "), "{sum}");
    assert_eq!(diff(one.path(), dump_of(&[("b", "2"), ("c", "3"), ("a", "1")], &["y", "12", "x"]).path()).0, Some(0));
    assert_eq!(diff(one.path(), dump_of(&[("b", "2"), ("c", "3"), ("a", "1")], &["y", "12", "z"]).path()).0, Some(1));
    assert_eq!(diff(one.path(), Path::new("no such file")).0, Some(2));
}

//= SPEC.md#rdb-values
//# [RDBVAL-1] (file) A reader MUST accept every value type of the table, whatever encoding its own server would give the value.
#[test]
fn what_newer_servers_saved_means_the_same_when_this_engine_has_saved_it_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb");
    for name in ["redis-7.0.15-all.rdb", "valkey-all.rdb", "6.2-streams.rdb", "redis-2.8.24-all.rdb"] {
        let newer = folder.join(name);
        let mut server = conversation::Conversation::new();
        server.engine.load_rdb(&mut server.world, &mut &fs::read(&newer).unwrap()[..]).unwrap();
        let mut saved = tempfile::NamedTempFile::new().unwrap();
        server.engine.snapshot(saved.as_file_mut()).unwrap();
        let (code, text) = diff(&newer, saved.path());
        assert_eq!(code, Some(0), "{name}: {text}");
    }
}
