//! CONFIG against what a real server answered to every directive and to every probe of its values.
#![allow(clippy::unwrap_used)]

mod recorded;

use serde_json::Value;
use tally_model::server::config::DIRECTIVES;
use tally_model::{ClientId, Model, Outcome, Peer, Profile, Reply, Span};

const NOW: Span = Span { earliest_ms: 1_760_000_000_000, latest_ms: 1_760_000_000_000 };
const ME: ClientId = ClientId(1);

/// A server started without any directive.
fn fresh() -> Model {
    let mut model = Model::new(Profile::strict());
    model.assure_defaults();
    model.connect(ME, Peer::default());
    model
}

fn step(model: &mut Model, command: &[&str], reply: &Reply) {
    let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
    if let Err(deviation) = model.step(ME, &words, &Outcome::reply(reply), NOW) {
        panic!("{command:?}: {deviation}");
    }
}

fn rejects(model: &mut Model, command: &[&str], reply: &Reply) -> bool {
    let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
    model.step(ME, &words, &Outcome::reply(reply), NOW).is_err()
}

fn pair(name: &str, value: &str) -> Reply {
    Reply::Array(vec![Reply::bulk(name), Reply::bulk(value)])
}

fn recorded_configuration() -> Value {
    serde_json::from_str(&recorded::text("reference/config-5.0.json")).unwrap()
}

//= SPEC.md#config
//# [CONFIG-2] (wire) CONFIG GET MUST answer an array of name and value pairs, in any order, of all directives of the table below whose name matches the glob pattern without regard to case.
//= SPEC.md#config
//# [CONFIG-4] (wire) A directive with two names, one of `slave` and one of `replica`, MUST answer to both and hold one value.
#[test]
fn every_recorded_directive_is_known_with_its_default() {
    let configuration = recorded_configuration();
    let parameters = configuration["parameters"].as_array().unwrap();
    let mut all = Vec::new();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        let default = parameter["default"].as_str().unwrap_or("/");
        let mut model = fresh();
        step(&mut model, &["CONFIG", "GET", name], &pair(name, default));
        all.extend([Reply::bulk(name), Reply::bulk(default)]);
    }
    assert_eq!(DIRECTIVES.iter().flat_map(|directive| directive.names()).count(), parameters.len());
    step(&mut fresh(), &["CONFIG", "GET", "*"], &Reply::Array(all.clone()));
    all.rotate_left(2);
    step(&mut fresh(), &["CONFIG", "GET", "*"], &Reply::Array(all.clone()));
    all.truncate(all.len() - 2);
    assert!(rejects(&mut fresh(), &["CONFIG", "GET", "*"], &Reply::Array(all)));
}

//= SPEC.md#config
//# [CONFIG-7] (wire) CONFIG SET of a value that the directive admits MUST answer `+OK`, and CONFIG GET answers it from then on in the form of the clauses below.
//= SPEC.md#config
//# [CONFIG-6] (wire) CONFIG SET of a value that the directive does not admit MUST answer `-ERR Invalid argument 'V' for CONFIG SET 'X'` with value and name as sent for V and X, and leave the directive as it was.
#[test]
fn every_recorded_value_is_admitted_or_refused_as_recorded() {
    let configuration = recorded_configuration();
    let mut probes = 0;
    for parameter in configuration["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let Some(values) = parameter["probe_values"].as_object() else { continue };
        for (value, result) in values {
            let mut model = fresh();
            let set = ["CONFIG", "SET", name, value];
            if let Some(read_back) = result["ok_then_get"].as_str() {
                step(&mut model, &set, &Reply::ok());
                step(&mut model, &["CONFIG", "GET", name], &pair(name, read_back));
                assert!(rejects(&mut model, &["CONFIG", "GET", name], &pair(name, &format!("{read_back}7"))));
            } else {
                let error = result["error"].as_str().unwrap_or_else(|| panic!("{name} {value}: {result}"));
                step(&mut model, &set, &Reply::Error(error.as_bytes().to_vec()));
            }
            probes += 1;
        }
    }
    assert!(probes > 800, "{probes}");
}

//= SPEC.md#config
//# [CONFIG-5] (wire) CONFIG SET of a name that is no directive, or of a directive that is fixed at start, MUST answer `-ERR Unsupported CONFIG parameter: X` with the name as sent for X.
#[test]
fn directives_that_are_fixed_at_start_are_not_set() {
    let configuration = recorded_configuration();
    for parameter in configuration["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let value = parameter["default"].as_str().unwrap_or("/");
        let reply = match parameter["error"].as_str() {
            Some(error) => Reply::Error(error.as_bytes().to_vec()),
            None => Reply::ok(),
        };
        step(&mut fresh(), &["CONFIG", "SET", name, value], &reply);
    }
}

//= SPEC.md#config
//# [CONFIG-10] (wire) A memory directive MUST admit decimal digits followed by nothing or one of `b`, `k`, `kb`, `m`, `mb`, `g` and `gb` in any letter case, which stand for 1, 1, 1000, 1024, 1000², 1024², 1000³ and 1024³ bytes, and answers bytes.
//= SPEC.md#config
//# [CONFIG-20] (wire) `save` MUST admit the empty string or pairs of seconds (at least 1) and changes (at least 0) separated by single spaces, which replace all earlier pairs.
//= SPEC.md#config
//# [CONFIG-21] (wire) `client-output-buffer-limit` MUST admit the empty string or groups, separated by single spaces, of a class `normal`, `slave`, `replica` or `pubsub` in any letter case, two memory values and a number of seconds, and changes the named classes alone, the last group of a class counting.
//= SPEC.md#config
//# [CONFIG-23] (wire) `notify-keyspace-events` MUST admit any sequence of the letters `K`, `E`, `g`, `$`, `l`, `s`, `h`, `z`, `x`, `e`, `t` and `A`, and answers the set of them in the order `A` or `g$lshzxet`, then `K`, then `E`, `A` standing for all nine of `g$lshzxet`.
//= SPEC.md#auth
//# [AUTH-6] (wire) Setting a password by CONFIG SET MUST take effect on the next command of every client that has never authenticated, the one that set it included.
#[test]
fn the_recorded_sequence_of_probes_is_accepted_in_order() {
    let configuration = recorded_configuration();
    let probes = configuration["extra_probes"].as_array().unwrap();
    let mut model = Model::new(Profile::strict());
    model.connect(ME, Peer::default());
    for probe in probes {
        let command: Vec<&str> = probe["cmd"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let Some(reply) = recorded::reply(&probe["reply"]) else { panic!("{probe}") };
        if command == ["CONFIG", "GET", "maxmem*"] {
            // From here on another server was asked, which had its defaults.
            model = fresh();
        }
        step(&mut model, &command, &reply);
    }
    assert!(probes.len() > 250);
}

//= SPEC.md#config
//# [CONFIG-12] (wire) A memory value whose product with its unit exceeds 9,223,372,036,854,775,807, or that is negative, MUST be refused.
//= SPEC.md#config
//# [CONFIG-11] (wire) Missing digits in a memory directive MUST mean zero, and digits above 9,223,372,036,854,775,807 mean that number.
#[test]
fn memory_values_do_not_wrap() {
    let name = "auto-aof-rewrite-min-size";
    for value in ["18014398509481984kb", "9223372036854775807kb", "-1", "-1kb", "-", "1tb", "1 ", "0x10", "+1"] {
        let error = format!("ERR Invalid argument '{value}' for CONFIG SET '{name}'");
        step(&mut fresh(), &["CONFIG", "SET", name, value], &Reply::Error(error.into_bytes()));
    }
    for (value, bytes) in
        [("", "0"), ("b", "0"), ("KB", "0"), ("-0", "0"), ("1B", "1"), ("99999999999999999999", "9223372036854775807")]
    {
        let mut model = fresh();
        step(&mut model, &["CONFIG", "SET", name, value], &Reply::ok());
        step(&mut model, &["CONFIG", "GET", name], &pair(name, bytes));
    }
}
