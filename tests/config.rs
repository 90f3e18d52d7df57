//! The directives, held against what Redis 5.0.14 answered: defaults, order, accepted and refused values, and the form in
//! which they come back; and configuration files.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use tally_check::properties::config::{
    a_rewrite_says_the_same, quoted_words_are_split_again, what_was_set_can_be_set_again,
};
use tally_check::reply_reader::ReplyReader;
use tally_check::request::Request;
use tally_engine::config::rename::COMMANDS_TO_COME;
use tally_engine::config::{Config, DIRECTIVES, WITHOUT_EFFECT};
use tally_engine::world::Still;
use tally_engine::{ClientId, Engine, Event, Peer};
use tally_model::Reply;

/// A client of an engine of its own.
struct Conversation {
    engine: Engine,
    world: Still,
    client: ClientId,
}

impl Conversation {
    fn new() -> Self {
        let mut engine = Engine::new(Config::default(), 1);
        let mut world = Still::default();
        let peer = Peer { address: "127.0.0.1:1".into(), descriptor: 5, local: true, unix_socket: false };
        let client = engine.connect(&mut world, peer);
        Self { engine, world, client }
    }

    fn say(&mut self, words: &[&str]) -> Reply {
        let mut request = Request::new();
        words.iter().for_each(|word| request.push(word.as_bytes()));
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.engine.feed(&mut self.world, self.client, &bytes);
        self.engine.handle(&mut self.world, Event::BatchEnd);
        let output = self.engine.output(self.client).collect::<Vec<_>>().concat();
        self.engine.written(self.client, output.len());
        self.engine.effects().clear();
        let mut reader = ReplyReader::default();
        reader.push(&output);
        reader.next_reply().unwrap().expect("one reply")
    }

    fn get(&mut self, name: &str) -> String {
        match self.say(&["CONFIG", "GET", name]) {
            Reply::Array(pair) => match pair.as_slice() {
                [_, Reply::Bulk(value)] => String::from_utf8(value.clone()).unwrap(),
                other => panic!("{name}: {other:?}"),
            },
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn recorded() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/reference/config-5.0.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A reply as the recordings write it.
fn typed(value: &Value) -> Reply {
    let (kind, content) = value.as_object().unwrap().iter().next().unwrap();
    let text = || content.as_str().unwrap().as_bytes().to_vec();
    match kind.as_str() {
        "s" => Reply::Status(text()),
        "e" => Reply::Error(text()),
        "i" => Reply::Integer(content.as_i64().unwrap()),
        "b" => Reply::Bulk(text()),
        "a" => Reply::Array(content.as_array().unwrap().iter().map(typed).collect()),
        other => panic!("{other}"),
    }
}

fn parameters(recorded: &Value) -> impl Iterator<Item = (&str, &Value)> {
    recorded["parameters"].as_array().unwrap().iter().map(|one| (one["name"].as_str().unwrap(), one))
}

//= SPEC.md#config
//# [CONFIG-2] (wire) CONFIG GET MUST answer an array of name and value pairs, in any order, of all directives of the table below whose name matches the glob pattern without regard to case.
#[test]
fn config_get_of_everything_answers_the_recorded_names_in_order_with_their_defaults() {
    let recorded = recorded();
    let mut conversation = Conversation::new();
    let Reply::Array(all) = conversation.say(&["CONFIG", "GET", "*"]) else { panic!() };
    let names: Vec<_> = all.iter().step_by(2).cloned().collect();
    let expected: Vec<_> = parameters(&recorded).map(|(name, _)| Reply::bulk(name)).collect();
    assert_eq!(names, expected);
    for (name, parameter) in parameters(&recorded) {
        if let Some(default) = parameter["default"].as_str() {
            assert_eq!(conversation.get(name), default, "{name}");
        }
    }
}

//= SPEC.md#config
//# [CONFIG-5] (wire) CONFIG SET of a name that is no directive, or of a directive that is fixed at start, MUST answer `-ERR Unsupported CONFIG parameter: X` with the name as sent for X.
#[test]
fn the_recorded_directives_can_be_set_and_the_others_are_refused() {
    for (name, parameter) in parameters(&recorded()) {
        if name == "dir" {
            continue; // Needs directories.
        }
        let mut conversation = Conversation::new();
        let own = conversation.get(name);
        let reply = conversation.say(&["CONFIG", "SET", name, &own]);
        let expected = match parameter["error"].as_str() {
            Some(error) => Reply::Error(error.into()),
            None => Reply::ok(),
        };
        assert_eq!(reply, expected, "{name}");
    }
}

//= SPEC.md#config
//# [CONFIG-6] (wire) CONFIG SET of a value that the directive does not admit MUST answer `-ERR Invalid argument 'V' for CONFIG SET 'X'` with value and name as sent for V and X, and leave the directive as it was.
//= SPEC.md#config
//# [CONFIG-7] (wire) CONFIG SET of a value that the directive admits MUST answer `+OK`, and CONFIG GET answers it from then on in the form of the clauses below.
#[test]
fn every_recorded_probe_value_is_answered_and_read_back_as_recorded() {
    let mut probes = 0;
    for (name, parameter) in parameters(&recorded()) {
        for (value, outcome) in parameter["probe_values"].as_object().into_iter().flatten() {
            let mut conversation = Conversation::new();
            let before = conversation.get(name);
            let reply = conversation.say(&["CONFIG", "SET", name, value]);
            match (outcome["error"].as_str(), outcome["ok_then_get"].as_str()) {
                (Some(error), None) => {
                    assert_eq!(reply, Reply::Error(error.into()), "{name} {value}");
                    assert_eq!(conversation.get(name), before, "{name} {value}");
                }
                (None, Some(then)) => {
                    assert_eq!(reply, Reply::ok(), "{name} {value}");
                    assert_eq!(conversation.get(name), then, "{name} {value}");
                }
                _ => panic!("{name} {value}: {outcome}"),
            }
            probes += 1;
        }
    }
    assert!(probes > 900, "{probes}");
}

#[test]
fn the_recorded_sequence_of_probes_is_answered_as_recorded() {
    let recorded = recorded();
    let mut conversation = Conversation::new();
    // After the probes of one directive the recording server got the old value back.
    let mut probed: Option<(&str, String)> = None;
    for probe in recorded["extra_probes"].as_array().unwrap() {
        let words: Vec<&str> = probe["cmd"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let directive = words.get(2).copied().unwrap_or_default();
        if let Some((name, value)) = probed.take_if(|(name, _)| *name != directive) {
            assert_eq!(conversation.say(&["CONFIG", "SET", name, &value]), Reply::ok());
        }
        let settable = DIRECTIVES.iter().any(|known| known.settable && known.name == directive);
        if words.len() == 4 && settable && !matches!(directive, "requirepass" | "dir") && probed.is_none() {
            probed = Some((directive, conversation.get(directive)));
        }
        assert_eq!(conversation.say(&words), typed(&probe["reply"]), "{words:?}");
    }
}

//= SPEC.md#config
//# [CONFIG-4] (wire) A directive with two names, one of `slave` and one of `replica`, MUST answer to both and hold one value.
#[test]
fn the_old_and_the_new_name_of_a_directive_hold_one_value() {
    let mut conversation = Conversation::new();
    for (one, other) in [("slave-priority", "replica-priority"), ("replica-lazy-flush", "slave-lazy-flush")] {
        let value = if one.ends_with("flush") { "yes" } else { "7" };
        assert_eq!(conversation.say(&["config", "set", one, value]), Reply::ok());
        assert_eq!(conversation.get(other), value);
    }
}

#[test]
fn the_table_has_no_name_twice_and_a_new_name_for_each_old_one() {
    let names: BTreeSet<_> = DIRECTIVES.iter().map(|directive| directive.name).collect();
    assert_eq!(names.len(), DIRECTIVES.len());
    for directive in DIRECTIVES {
        assert!(directive.renamed_to.is_none_or(|new| names.contains(new)), "{}", directive.name);
    }
    assert!(WITHOUT_EFFECT.iter().all(|name| names.contains(name)));
    assert!(WITHOUT_EFFECT.is_sorted());
}

//= SPEC.md#config
//# [CONFIG-28] (file) CONFIG REWRITE MUST leave a file that a new start reads to the same configuration, with comments and the order of known lines kept, by writing a new file and renaming it over the old.
#[test]
fn each_directive_survives_a_rewrite() {
    let old = "# kept\nport 7000\n\nrename-command FLUSHALL \"\"\n";
    for (name, parameter) in parameters(&recorded()) {
        for (value, outcome) in parameter["probe_values"].as_object().into_iter().flatten() {
            if outcome["ok_then_get"].is_null() {
                continue;
            }
            let mut config = Config::parse(old).unwrap();
            config.set(name.as_bytes(), value.as_bytes()).unwrap();
            let text = config.rewritten(old.as_bytes());
            let read_back = Config::parse(&text);
            if name == "watchdog-period" {
                continue; // Only for the run: files do not know it.
            }
            assert_eq!(read_back.as_ref(), Ok(&config), "{name} {value}: {}", String::from_utf8_lossy(&text));
            assert!(text.starts_with(b"# kept\nport 7000\n\nrename-command FLUSHALL \"\"\n"));
        }
    }
}

#[test]
fn a_wrong_line_is_reported_with_its_number_and_text() {
    for (text, line, shown, reason) in [
        ("port 0\n\n# c\nfoo \"bar\n", 4, "foo \"bar", "Unbalanced quotes in configuration line"),
        ("  timeout a b  ", 1, "timeout a b", "Bad directive or wrong number of arguments"),
        ("nosuch 1", 1, "nosuch 1", "Bad directive or wrong number of arguments"),
        ("timeout -1", 1, "timeout -1", "Invalid timeout value"),
        ("loglevel loud", 1, "loglevel loud", "Invalid log level. Must be one of debug, verbose, notice, warning"),
        ("appendonly maybe", 1, "appendonly maybe", "argument must be 'yes' or 'no'"),
        ("dbfilename a/b", 1, "dbfilename a/b", "dbfilename can't be a path, just a filename"),
        ("watchdog-period 100", 1, "watchdog-period 100", "Bad directive or wrong number of arguments"),
        ("save 0 5", 1, "save 0 5", "Invalid save parameters"),
        ("rename-command nosuch x", 1, "rename-command nosuch x", "No such command in rename-command"),
        ("rename-command get set", 1, "rename-command get set", "Target command name already exists"),
        ("rename-command get zadd", 1, "rename-command get zadd", "Target command name already exists"),
        ("unixsocketperm 1000", 1, "unixsocketperm 1000", "Invalid socket file permissions"),
    ] {
        let error = Config::parse(text).unwrap_err();
        assert_eq!((error.line, String::from_utf8_lossy(&error.text).as_ref()), (line, shown));
        assert_eq!(error.reason, reason);
        let printed = error.to_string();
        assert!(printed.starts_with("\n*** FATAL CONFIG FILE ERROR ***\nReading the configuration file, at line "));
    }
}

#[test]
fn lines_are_applied_in_order_and_included_files_in_place() {
    let mut config = Config::default();
    let text = b"port 1\ninclude other.conf\nSAVE 900 1\nsave 60 2\nmaxmemory 2gb\nbind 127.0.0.1 ::1\n\
        slaveof 10.0.0.1 6379\nrename-command CONFIG \"\"\nclient-output-buffer-limit REPLICA 1kb 2 3\n";
    config
        .apply(text, &mut |path| {
            assert_eq!(path, b"other.conf");
            Ok(b"port 2\ntimeout 5".to_vec())
        })
        .unwrap();
    assert_eq!((config.port, config.timeout, config.maxmemory), (2, 5, 2 << 30));
    assert_eq!(config.save.len(), 2);
    assert_eq!(config.bind, [b"127.0.0.1".to_vec(), b"::1".to_vec()]);
    assert_eq!(config.replicaof, Some((b"10.0.0.1".to_vec(), 6379)));
    assert_eq!(config.rename_command, [(b"config".to_vec(), Vec::new())]);
    assert_eq!(config.client_output_buffer_limit[1].hard, 1024);
    let mut endless = Config::default();
    assert!(endless.apply(b"include x", &mut |_| Ok(b"include x".to_vec())).is_err());
}

#[test]
fn options_of_the_command_line_are_lines_of_a_file() {
    let options = ["--port", "7000", "--save", "900 1", "--requirepass", "a \"b\"", "--appendonly", "yes"];
    let lines = tally_engine::config::lines_from_options(options.map(str::as_bytes));
    // An argument with a space in it stays one argument, so a save point needs two.
    assert!(Config::parse(&lines).unwrap_err().reason.contains("Invalid save") || Config::parse(&lines).is_err());
    let options = ["--port", "7000", "--save", "900", "1", "--requirepass", "a \"b\"", "--appendonly", "yes"];
    let lines = tally_engine::config::lines_from_options(options.map(str::as_bytes));
    let config = Config::parse(&lines).unwrap();
    assert_eq!((config.port, config.appendonly, config.save.len()), (7000, true, 1));
    assert_eq!(config.requirepass, b"a \"b\"");
}

#[test]
fn a_name_that_was_given_away_can_be_taken() {
    let text =
        "rename-command EVAL \"\"\nrename-command get read\nrename-command strlen GET\nrename-command READ get2\n";
    let config = Config::parse(text).unwrap();
    assert_eq!(config.rename_command.len(), 4);
    assert!(Config::parse("rename-command EVAL x\nrename-command EVAL y").is_err());
}

#[test]
fn every_command_of_redis_is_built_or_listed_as_to_come() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/reference/commands-5.0.json");
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let recorded = recorded.as_array().or_else(|| recorded["commands"].as_array()).unwrap();
    let recorded: BTreeSet<&str> = recorded.iter().map(|command| command["name"].as_str().unwrap()).collect();
    let built: BTreeSet<&str> = tally_engine::commands::table::COMMANDS.iter().map(|command| command.name).collect();
    let to_come: BTreeSet<&str> = COMMANDS_TO_COME.iter().copied().collect();
    assert_eq!(&built | &to_come, recorded);
}

#[test]
fn the_specification_lists_the_directives_without_effect() {
    let specification = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md")).unwrap();
    let (_, section) = specification.split_once("## Directives without effect yet").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let listed: BTreeSet<&str> = section.split('`').skip(1).step_by(2).collect();
    assert_eq!(listed, WITHOUT_EFFECT.iter().copied().collect());
}

/// Lines of a configuration file, most of them right.
fn line() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = DIRECTIVES.iter().map(|directive| directive.name).collect();
    let value = prop_oneof![
        Just("yes".to_owned()),
        Just("no".to_owned()),
        (0..100_000i64).prop_map(|number| number.to_string()),
        "[0-9]{1,4}[kmg]b?",
        Just("always".to_owned()),
        Just("allkeys-lfu".to_owned()),
        Just("\"a \\\"b\\\" \\x01\"".to_owned()),
        Just("KEA".to_owned()),
        Just("replica 1mb 2kb 3".to_owned()),
        Just("900 1".to_owned()),
        "[ -~]{0,8}",
    ];
    prop_oneof![
        8 => (proptest::sample::select(names), value).prop_map(|(name, value)| format!("{name} {value}")),
        1 => Just(String::new()),
        1 => "#[ -~]{0,12}",
        1 => "[ -~]{0,20}",
    ]
}

/// As [`line`], but such that each can stand in a file.
fn right_line() -> impl Strategy<Value = String> {
    line().prop_filter("a right line", |line| Config::parse(line).is_ok())
}

proptest! {
    #[test]
    fn a_rewritten_file_reads_to_the_same_settings(lines in proptest::collection::vec(right_line(), 0..12)) {
        a_rewrite_says_the_same(lines.join("\n").as_bytes());
    }

    #[test]
    fn any_text_is_a_configuration_or_has_a_wrong_line(lines in proptest::collection::vec(line(), 0..4)) {
        a_rewrite_says_the_same(lines.join("\n").as_bytes());
    }

    #[test]
    fn settings_print_as_they_can_be_set(line in line()) {
        let (name, value) = line.split_once(' ').unwrap_or((&line, ""));
        what_was_set_can_be_set_again(name.as_bytes(), value.as_bytes());
    }

    #[test]
    fn quoting_keeps_every_byte(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..5)) {
        quoted_words_are_split_again(&words);
    }
}
