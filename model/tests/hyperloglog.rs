//! What the commands of HyperLogLog hand on to the AOF and replicas.
#![allow(clippy::unwrap_used)]

use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Reply, Span};

const NOW: Span = Span { earliest_ms: 1_700_000_000_000, latest_ms: 1_700_000_000_000 };
const ME: ClientId = ClientId(1);

/// Makes a command and answers whether it was handed on as it came.
fn is_handed_on(model: &mut Model, line: &str) -> bool {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let reply = match model.allowed(ME, &words, NOW) {
        Allowed::Exactly(reply) => reply,
        Allowed::Error(line) => Reply::Error(line.into_owned()),
        other => panic!("{line}: {other} is not exact"),
    };
    model.step(ME, &words, &Outcome::reply(&reply), NOW).unwrap();
    let handed_on = model.take_propagated();
    assert_eq!(handed_on.aof, handed_on.replicas, "{line}");
    let as_it_came: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
    assert!(handed_on.aof.is_empty() || handed_on.aof == [as_it_came], "{line}");
    !handed_on.aof.is_empty()
}

//= SPEC.md#pfdebug
//# [PFDEBUG-9] (file) PFDEBUG MUST be propagated as it came when it made a sparse value dense.
#[test]
fn what_changed_bytes_is_handed_on_and_nothing_else() {
    let mut model = Model::new(Profile::strict());
    model.connect(ME, Peer::default());
    model.record_propagation(true);
    for (line, changes) in [
        ("PFADD h a", true),
        ("PFADD h a", false),
        ("PFADD e", true),
        ("PFCOUNT h", true),
        ("PFCOUNT h", false),
        ("PFCOUNT h e", false),
        ("PFCOUNT none", false),
        ("PFMERGE d", true),
        ("PFMERGE d d", true),
        ("PFDEBUG ENCODING h", false),
        ("PFDEBUG DECODE h", false),
        ("PFDEBUG TODENSE h", true),
        ("PFDEBUG TODENSE h", false),
        ("PFDEBUG GETREG h", false),
        ("PFDEBUG GETREG e", true),
        ("PFDEBUG NOSUCH e", false),
        ("PFSELFTEST", false),
    ] {
        assert_eq!(is_handed_on(&mut model, line), changes, "{line}");
    }
}
