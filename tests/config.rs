//! The directives, held against what Redis 5.0.14 answered: defaults, order, accepted and refused values, and the form in
//! which they come back; and configuration files.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use tally_check::properties::config::{
    a_rewrite_says_the_same, quoted_words_are_split_again, what_was_set_can_be_set_again,
};
use tally_engine::config::rename::COMMANDS_TO_COME;
use tally_engine::config::{Config, DIRECTIVES, WITHOUT_EFFECT};
use tally_model::Reply;

mod conversation;

use conversation::{Conversation, typed};

/// The present value of a directive.
fn get(conversation: &mut Conversation, name: &str) -> String {
    match conversation.say(&["CONFIG", "GET", name]) {
        Reply::Array(pair) => match pair.as_slice() {
            [_, Reply::Bulk(value)] => String::from_utf8(value.clone()).unwrap(),
            other => panic!("{name}: {other:?}"),
        },
        other => panic!("{name}: {other:?}"),
    }
}

fn recorded() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/reference/config-5.0.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
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
            assert_eq!(get(&mut conversation, name), default, "{name}");
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
        let own = get(&mut conversation, name);
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
            let before = get(&mut conversation, name);
            let reply = conversation.say(&["CONFIG", "SET", name, value]);
            match (outcome["error"].as_str(), outcome["ok_then_get"].as_str()) {
                (Some(error), None) => {
                    assert_eq!(reply, Reply::Error(error.into()), "{name} {value}");
                    assert_eq!(get(&mut conversation, name), before, "{name} {value}");
                }
                (None, Some(then)) => {
                    assert_eq!(reply, Reply::ok(), "{name} {value}");
                    assert_eq!(get(&mut conversation, name), then, "{name} {value}");
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
            probed = Some((directive, get(&mut conversation, directive)));
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
        assert_eq!(get(&mut conversation, other), value);
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

//= SPEC.md#configuration-file
//# [CONFFILE-3] (file) The reason for an unknown directive or a wrong number of arguments MUST be `Bad directive or wrong number of arguments`, and for a quote that is not closed `Unbalanced quotes in configuration line`.
//= SPEC.md#configuration-file
//# [CONFFILE-11] (file) `rename-command` MUST be refused by `No such command in rename-command` for an unknown name and by `Target command name already exists` for a new name that is taken.
//= SPEC.md#configuration-file
//# [CONFFILE-13] (file) A switch other than `yes` and `no` MUST be refused with the reason `argument must be 'yes' or 'no'`.
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

//= SPEC.md#configuration-file
//# [CONFFILE-1] (file) Each line of a configuration file MUST be empty, a comment that begins with `#`, or a directive name in any letter case and its arguments, quoted as in inline requests and with white space at both ends ignored.
//= SPEC.md#configuration-file
//# [CONFFILE-7] (file) When a directive stands more than once, the last MUST count, except that `save`, `include`, `rename-command` and `client-output-buffer-limit` add up.
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

//= SPEC.md#configuration-file
//# [CONFFILE-5] (file) Arguments of the command line MUST be read as lines after those of the file: `--name` begins a directive, and the words up to the next one are its values.
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

//= SPEC.md#configuration-file
//# [CONFFILE-10] (file) `rename-command NAME NEW` MUST make the command answer to NEW alone, and to nothing when NEW is the empty string.
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
    assert_eq!(&built & &to_come, BTreeSet::new());
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

//= SPEC.md#configuration-file
//# [CONFFILE-4] (file) Every name that CONFIG GET knows MUST be accepted as a directive, except `watchdog-period`, which can be set at run time only.
#[test]
fn files_know_every_name_of_config_get() {
    for (name, parameter) in parameters(&recorded()) {
        let value = match name {
            "save" => "900 1",
            "bind" => "127.0.0.1",
            "slaveof" => "127.0.0.1 6379",
            "client-output-buffer-limit" => "normal 0 0 0",
            "dir" => "/",
            _ => parameter["default"].as_str().unwrap(),
        };
        let quoted = if value.is_empty() { "\"\"" } else { value };
        let read = Config::parse(format!("{name} {quoted}"));
        assert_eq!(read.is_ok(), name != "watchdog-period", "{name}: {read:?}");
    }
}

//= SPEC.md#configuration-file
//# [CONFFILE-8] (file) `save ""` MUST remove all save points named so far, the default ones included.
#[test]
fn an_empty_save_line_removes_the_save_points_before_it() {
    let mut config = Config::for_server();
    assert_eq!(config.save.len(), 3);
    config.apply(b"save 900 1\nsave \"\"\nsave 60 5", &mut |_| Err(String::new())).unwrap();
    assert_eq!(config.save.iter().map(|point| (point.seconds, point.changes)).collect::<Vec<_>>(), [(60, 5)]);
}

//= SPEC.md#configuration-file
//# [CONFFILE-12] (file) A value that CONFIG SET would refuse MAY be refused in the file too.
#[test]
fn numbers_in_files_are_read_strictly() {
    for line in [
        "timeout abc",
        "timeout 1.5",
        "maxmemory -1",
        "maxmemory 1.5gb",
        "hash-max-ziplist-entries 99999999999999999999",
    ] {
        assert!(Config::parse(line).is_err(), "{line}");
    }
    assert_eq!(Config::parse("hz -7").unwrap().hz, 1);
    assert_eq!(Config::parse("hz 9999").unwrap().hz, 500);
}

//= SPEC.md#configuration-file
//# [CONFFILE-14] (wire) A renamed command MUST go on to name itself by its original name in errors of arity.
#[test]
fn a_renamed_command_names_itself_as_before() {
    let mut conversation =
        Conversation::with(Config::parse("rename-command get read\nrename-command INCR \"\"").unwrap());
    assert_eq!(conversation.say(&["SET", "k", "v"]), Reply::ok());
    assert_eq!(conversation.say(&["READ", "k"]), Reply::bulk("v"));
    let error = Reply::Error(b"ERR wrong number of arguments for 'get' command".to_vec());
    assert_eq!(conversation.say(&["read"]), error);
    for gone in ["GET", "INCR"] {
        let Reply::Error(line) = conversation.say(&[gone, "k"]) else { panic!() };
        assert!(line.starts_with(b"ERR unknown command"));
    }
}

//= SPEC.md#config
//# [CONFIG-29] (file) CONFIG REWRITE MUST NOT add a line for a directive that has its default value and stood in no line before.
//= SPEC.md#config
//# [CONFIG-30] (file) CONFIG REWRITE SHOULD append directives that stood in no line before below the comment `# Generated by CONFIG REWRITE`.
#[test]
fn a_rewrite_appends_only_what_differs_from_the_default() {
    let mut config = Config::parse("port 7000\ntimeout 0").unwrap();
    assert_eq!(config.rewritten(b"port 7000\ntimeout 0\n"), b"port 7000\ntimeout 0\n");
    config.set(b"hz", b"20").unwrap();
    assert_eq!(
        String::from_utf8(config.rewritten(b"port 7000\ntimeout 0\n")).unwrap(),
        "port 7000\ntimeout 0\n# Generated by CONFIG REWRITE\nhz 20\n"
    );
}

//= SPEC.md#config
//# [CONFIG-34] (wire) A new `maxclients`, `timeout`, `maxmemory`, encoding limit or other directive that has an effect MUST take it from the next command on, [EVICTION-3] aside, without a change to what is already encoded or connected.
#[test]
fn a_directive_takes_effect_from_the_next_command_on() {
    let mut conversation = Conversation::new();
    assert_eq!(conversation.say(&["CONFIG", "SET", "requirepass", "secret"]), Reply::ok());
    let refused = Reply::Error(b"NOAUTH Authentication required.".to_vec());
    assert_eq!(conversation.say(&["GET", "k"]), refused);
    assert_eq!(conversation.say(&["AUTH", "secret"]), Reply::ok());
    assert_eq!(conversation.say(&["GET", "k"]), Reply::NilBulk);
}
