//! INFO, held against the sections and fields that a real server (5.0.14) shows.
#![allow(clippy::unwrap_used)]

mod conversation;

use std::collections::BTreeMap;

use conversation::Conversation;
use serde_json::Value;
use tally_model::Reply;

fn recorded() -> Value {
    serde_json::from_str(include_str!("data/reference/info-5.0.json")).unwrap()
}

/// Sections in order, each with its fields.
fn sections(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            sections.push((name.to_owned(), Vec::new()));
        } else {
            let (field, value) = line.split_once(':').unwrap();
            sections.last_mut().unwrap().1.push((field.to_owned(), value.to_owned()));
        }
    }
    sections
}

fn fields(conversation: &mut Conversation, section: &str) -> BTreeMap<String, String> {
    sections(&conversation.text(&["INFO", section])).into_iter().flat_map(|(_, fields)| fields).collect()
}

fn number(conversation: &mut Conversation, section: &str, field: &str) -> i64 {
    fields(conversation, section)[field].parse().unwrap()
}

//= SPEC.md#info
//# [INFO-4] (wire) INFO with the name of a section in any letter case MUST answer that section alone, and with any other name an empty bulk string.
#[test]
fn each_argument_selects_the_recorded_sections() {
    let recorded = recorded();
    let mut conversation = Conversation::new();
    for (argument, expected) in recorded["section_arguments"].as_object().unwrap() {
        // The database must hold a key and a command have run, or two sections have no lines; their heads are there.
        let text = conversation.text(&["INFO", argument]);
        let names: Vec<Value> = sections(&text).into_iter().map(|(name, _)| Value::from(name)).collect();
        assert_eq!(&Value::from(names), expected, "{argument}");
    }
    assert_eq!(conversation.say(&["INFO", "a", "b"]), Reply::Error(b"ERR syntax error".to_vec()));
}

//= SPEC.md#info
//# [INFO-7] (wire) Each section MUST hold every field that 5.0.14 shows in every state, and no field twice.
//= SPEC.md#info
//# [INFO-8] (wire) A field that 5.0.14 shows as an integer, a number of bytes or a decimal fraction MUST be one here.
#[test]
fn every_field_that_is_always_shown_is_shown_in_its_kind() {
    let recorded = recorded();
    let mut conversation = Conversation::new();
    let shown: BTreeMap<_, _> = sections(&conversation.text(&["INFO", "all"])).into_iter().collect();
    for section in recorded["sections"].as_array().unwrap() {
        let name = section["section"].as_str().unwrap();
        let fields = &shown[name];
        let map: BTreeMap<_, _> = fields.iter().cloned().collect();
        assert_eq!(map.len(), fields.len(), "{name}");
        if name == "Commandstats" {
            continue;
        }
        for field in section["fields"].as_array().unwrap().iter().filter(|field| field["always"] == true) {
            let field_name = field["name"].as_str().unwrap();
            let value = map.get(field_name).unwrap_or_else(|| panic!("{name}: no {field_name}"));
            match field["kind"].as_str().unwrap() {
                "int" | "bytes" => assert!(value.parse::<i64>().is_ok(), "{field_name}:{value}"),
                "float" => assert!(value.parse::<f64>().is_ok() && value.contains('.'), "{field_name}:{value}"),
                kind if kind.starts_with("string (float") => {
                    assert!(value.strip_suffix('%').unwrap().parse::<f64>().is_ok(), "{field_name}:{value}");
                }
                _ => {}
            }
        }
        // In their order, with our own fields behind them.
        let always = section["fields"].as_array().unwrap().iter().filter(|field| field["always"] == true);
        let always: Vec<_> = always.map(|field| field["name"].as_str().unwrap()).collect();
        let ours: Vec<_> =
            fields.iter().map(|(field, _)| field.as_str()).filter(|field| always.contains(field)).collect();
        assert_eq!(ours, always, "{name}");
    }
}

//= SPEC.md#info
//# [INFO-6] (wire) The section Server MUST say `redis_version:5.0.14`, `redis_mode:standalone` and, beside them, `tally_version:` with the server's own version.
#[test]
fn the_server_names_the_version_it_follows_and_its_own() {
    let fields = fields(&mut Conversation::new(), "server");
    assert_eq!(fields["redis_version"], "5.0.14");
    assert_eq!(fields["redis_mode"], "standalone");
    assert_eq!(fields["tally_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(fields["run_id"].len(), 40);
}

//= SPEC.md#info
//# [INFO-9] (wire) The section Keyspace MUST hold a line `dbN:keys=K,expires=E,avg_ttl=T` for each database that holds keys, in ascending order of N, and none for an empty one.
//= SPEC.md#info
//# [INFO-10] (wire) In the section Keyspace K MUST be what DBSIZE answers in that database and E the number of its keys that have an expiry.
#[test]
fn the_keyspace_lists_databases_that_hold_keys() {
    let mut conversation = Conversation::new();
    assert_eq!(conversation.text(&["INFO", "keyspace"]), "# Keyspace\r\n");
    conversation.say(&["SET", "a", "1"]);
    conversation.say(&["SET", "b", "1", "EX", "10"]);
    conversation.say(&["SELECT", "3"]);
    conversation.say(&["SET", "c", "1"]);
    assert_eq!(
        conversation.text(&["INFO", "keyspace"]),
        "# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n"
    );
    conversation.say(&["DEL", "c"]);
    assert!(!conversation.text(&["INFO", "keyspace"]).contains("db3"));
}

//= SPEC.md#info
//# [INFO-13] (wire) Each look-up of a key that exists MUST raise `keyspace_hits` by one and each of one that does not `keyspace_misses` when the command only reads, or is GETSET, BITOP of its sources or BITFIELD without SET and INCRBY, whereas look-ups by other commands that write count in neither.
//= SPEC.md#info
//# [INFO-15] (wire) `rdb_changes_since_last_save` MUST be the number of changes since the last successful save, counted as each command's clauses say.
#[test]
fn reads_count_hits_and_misses_and_writes_count_changes() {
    let mut conversation = Conversation::new();
    conversation.say(&["MSET", "a", "1", "b", "2"]);
    conversation.say(&["INCR", "a"]);
    conversation.say(&["APPEND", "b", "x"]);
    conversation.say(&["SETNX", "b", "x"]);
    conversation.say(&["BITFIELD", "c", "SET", "u8", "0", "1", "GET", "u8", "0", "INCRBY", "u8", "8", "1"]);
    assert_eq!(number(&mut conversation, "persistence", "rdb_changes_since_last_save"), 6);
    assert_eq!(number(&mut conversation, "stats", "keyspace_hits"), 0);
    assert_eq!(number(&mut conversation, "stats", "keyspace_misses"), 0);
    conversation.say(&["MGET", "a", "b", "nokey"]);
    conversation.say(&["STRLEN", "a"]);
    conversation.say(&["GETBIT", "nokey", "0"]);
    assert_eq!(number(&mut conversation, "stats", "keyspace_hits"), 3);
    assert_eq!(number(&mut conversation, "stats", "keyspace_misses"), 2);
}

//= SPEC.md#info
//# [INFO-18] (wire) The section Commandstats MUST hold a line `cmdstat_NAME:calls=C,usec=U,usec_per_call=P` for each command that has been called since start or CONFIG RESETSTAT, C being how often.
//= SPEC.md#config
//# [CONFIG-26] (wire) CONFIG RESETSTAT MUST answer `+OK` and set to zero the counters of the sections Stats and Commandstats of INFO.
#[test]
fn calls_are_counted_by_command_until_they_are_reset() {
    let mut conversation = Conversation::new();
    conversation.say(&["GET", "k"]);
    conversation.say(&["get", "k"]);
    let stats = fields(&mut conversation, "commandstats");
    assert!(stats["cmdstat_get"].starts_with("calls=2,usec="), "{stats:?}");
    assert!(!stats.contains_key("cmdstat_set"));
    conversation.say(&["CONFIG", "RESETSTAT"]);
    assert!(!fields(&mut conversation, "commandstats").contains_key("cmdstat_get"));
    for field in ["total_connections_received", "keyspace_misses", "expired_keys", "rejected_connections"] {
        assert_eq!(number(&mut conversation, "stats", field), 0, "{field}");
    }
}

//= SPEC.md#info
//# [INFO-17] (wire) A field whose name ends in `_human` MUST be its neighbour rounded to two decimals in the largest unit of `B`, `K`, `M`, `G`, `T` and `P` in which it is at least one.
#[test]
fn sizes_are_repeated_for_people() {
    let mut conversation = Conversation::new();
    conversation.say(&["CONFIG", "SET", "maxmemory", "1610612736"]);
    let memory = fields(&mut conversation, "memory");
    assert_eq!((memory["maxmemory"].as_str(), memory["maxmemory_human"].as_str()), ("1610612736", "1.50G"));
    assert_eq!((memory["used_memory"].as_str(), memory["used_memory_human"].as_str()), ("1048576", "1.00M"));
}

#[test]
fn uptime_is_counted_by_the_worlds_clock() {
    let mut conversation = Conversation::new();
    conversation.pass_ms(90_061_000);
    let server = fields(&mut conversation, "server");
    assert_eq!((server["uptime_in_seconds"].as_str(), server["uptime_in_days"].as_str()), ("90061", "1"));
}
