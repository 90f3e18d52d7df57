//! The engine's command table, held against the one recorded from Redis 5.0.14.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::Value;
use tally_engine::commands::table::{COMMANDS, FLAG_NAMES, find};

/// The recorded entries by name: arity, flags, first key, last key, step.
fn recorded() -> BTreeMap<String, (i64, Vec<String>, [i64; 3])> {
    let text = include_str!("data/reference/commands-5.0.json");
    let data: Value = serde_json::from_str(text).unwrap();
    let commands = data["commands"].as_array().unwrap();
    assert_eq!(commands.len(), 200);
    let entry = |command: &Value| {
        let flags = command["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap().to_owned());
        let number = |field: &str| command[field].as_i64().unwrap();
        let keys = [number("first_key"), number("last_key"), number("step")];
        (command["name"].as_str().unwrap().to_owned(), (number("arity"), flags.collect(), keys))
    };
    commands.iter().map(entry).collect()
}

//= SPEC.md#command
//# [COMMAND-4] (wire) The entries of commands that Redis 5.0.14 has MUST equal those that it reports, flags in the same order.
#[test]
fn every_command_present_is_described_as_redis_describes_it() {
    let recorded = recorded();
    for command in COMMANDS {
        let flags = FLAG_NAMES.iter().filter(|(flag, _)| command.has(*flag)).map(|(_, name)| (*name).to_owned());
        let keys = [command.first_key, command.last_key, command.step].map(i64::from);
        let entry = (i64::from(command.arity), flags.collect(), keys);
        assert_eq!(recorded.get(command.name), Some(&entry), "{}", command.name);
    }
}

//= SPEC.md#command-dispatch
//# [DISPATCH-1] (wire) Command names MUST be matched without regard to the case of ASCII letters.
#[test]
fn every_command_is_found_in_any_letter_case_and_nothing_else_is() {
    for (index, command) in COMMANDS.iter().enumerate() {
        assert_eq!(find(command.name.as_bytes()), Some(index));
        assert_eq!(find(command.name.to_uppercase().as_bytes()), Some(index));
        assert_ne!(find(format!("{}x", command.name).as_bytes()), Some(index));
        assert_ne!(find(&command.name.as_bytes()[1..]), Some(index));
    }
    // Bytes that differ from letters only in the bit that tells capitals from small ones.
    for name in [&b"\x10ing"[..], b"", b"host\x1a", b"HOST\x3a\0", &[b'a'; 4096]] {
        assert_eq!(find(name), None, "{name:?}");
    }
    assert!(find(b"HOST:").is_some());
}

#[test]
fn the_table_is_sorted_and_names_no_command_twice() {
    assert!(COMMANDS.is_sorted_by(|one, next| one.name < next.name));
}

#[test]
fn keys_stand_where_the_table_says() {
    let keys = |name: &str, arguments: usize| -> Vec<usize> {
        COMMANDS[find(name.as_bytes()).unwrap()].keys(arguments).collect()
    };
    assert!(keys("ping", 2).is_empty());
    for command in COMMANDS.iter().filter(|command| command.first_key > 0) {
        let arguments = command.arity.unsigned_abs() as usize + 4;
        let keys: Vec<usize> = command.keys(arguments).collect();
        assert_eq!(keys.first(), Some(&(command.first_key as usize)), "{}", command.name);
        assert!(keys.iter().all(|&place| place < arguments), "{}", command.name);
    }
}
