//! RESTORE in the model: what it hands on, and what a payload that is not whole leads to.
#![allow(clippy::unwrap_used)]

use tally_model::rdb::{self, Forms};
use tally_model::{ClientId, Model, Outcome, Peer, Profile, Reply, Span};

const NOW: Span = Span { earliest_ms: 1_700_000_000_000, latest_ms: 1_700_000_000_000 };
const ME: ClientId = ClientId(1);

fn model() -> Model {
    let mut model = Model::new(Profile::strict());
    model.connect(ME, Peer::default());
    model.record_propagation(true);
    model
}

fn handed_on(options: &[&[u8]], ttl: &[u8]) -> Vec<Vec<u8>> {
    let payload = rdb::payload_of(b"hello", Forms::default());
    let mut command = vec![b"RESTORE".as_slice(), b"k", ttl, &payload];
    command.extend(options);
    let mut model = model();
    model.step(ME, &command, &Outcome::reply(&Reply::ok()), NOW).unwrap();
    model.take_propagated().aof.pop().unwrap()
}

fn words(command: &[&[u8]]) -> Vec<Vec<u8>> {
    command.iter().map(|word| word.to_vec()).collect()
}

//= SPEC.md#restore
//# [RESTORE-18] (file) A successful RESTORE MUST be propagated as it came, but one with a positive relative TTL as `RESTORE key deadline payload ABSTTL` followed by those of REPLACE, IDLETIME and FREQ that were given, with the values that counted and in this order.
#[test]
fn a_relative_time_to_live_is_handed_on_as_a_deadline() {
    let payload = rdb::payload_of(b"hello", Forms::default());
    let deadline = b"1700000010000".as_slice();
    assert_eq!(handed_on(&[], b"10000"), words(&[b"RESTORE", b"k", deadline, &payload, b"ABSTTL"]));
    assert_eq!(
        handed_on(&[b"idletime", b"1", b"IDLETIME", b"7", b"replace"], b"10000"),
        words(&[b"RESTORE", b"k", deadline, &payload, b"ABSTTL", b"REPLACE", b"IDLETIME", b"7"])
    );
    // Nothing depends on when these are executed.
    assert_eq!(handed_on(&[], b"0"), words(&[b"RESTORE", b"k", b"0", &payload]));
    assert_eq!(handed_on(&[b"absttl"], deadline), words(&[b"RESTORE", b"k", deadline, &payload, b"absttl"]));
}

/// A string whose length runs into version and checksum, as real servers accept it.
fn overlong() -> Vec<u8> {
    let mut payload = b"\x00\x06hello".to_vec();
    payload.extend(rdb::VERSION.to_le_bytes());
    payload.extend(tally_model::crc64::checksum(&payload).to_le_bytes());
    payload
}

//= SPEC.md#restore
//# [RESTORE-9] (wire) RESTORE of a payload whose version and checksum hold but whose value is damaged, incomplete or of an unknown type MUST answer `-ERR Bad data format` and leave the key as it was.
#[test]
fn a_value_that_runs_into_the_footer_is_refused_and_known_of_real_servers() {
    let payload = overlong();
    let command = [b"RESTORE".as_slice(), b"k", b"0", &payload];
    let refused = Reply::Error(b"ERR Bad data format".to_vec());
    model().step(ME, &command, &Outcome::reply(&refused), NOW).unwrap();
    assert!(model().step(ME, &command, &Outcome::reply(&Reply::ok()), NOW).is_err());

    let mut real = Model::new(Profile::redis_5_0());
    real.connect(ME, Peer::default());
    let verdict = real.step(ME, &command, &Outcome::reply(&Reply::ok()), NOW).unwrap();
    assert_eq!(verdict.erratum.unwrap().id(), "E-12");
    real.step(ME, &[b"GET", b"k"], &Outcome::reply(&Reply::bulk(b"hello\x09".as_slice())), NOW).unwrap();
}
