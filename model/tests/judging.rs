//! The model accepts what the specification allows, rejects the rest, and moves on only after what it accepts.
#![allow(clippy::unwrap_used)]

use tally_model::{Clause, ClientId, DeviationKind, Model, Outcome, Peer, Profile, Reply, Span};

const NOW: Span = Span { earliest_ms: 1_700_000_000_000, latest_ms: 1_700_000_000_000 };
const ME: ClientId = ClientId(1);

fn model() -> Model {
    let mut model = Model::new(Profile::strict());
    model.connect(ME, Peer::default());
    model
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

#[test]
fn a_right_answer_is_accepted_and_witnessed() {
    let mut model = model();
    let pong = Reply::status("PONG");
    model.step(ME, &words("PING"), &Outcome::reply(&pong), NOW).unwrap();
    assert!(model.witnessed().any(|(clause, count)| clause == Clause::PING_1 && count == 1));
}

#[test]
fn a_wrong_answer_is_a_deviation_that_names_the_clause_and_changes_nothing() {
    let mut model = model();
    let error = Reply::Error(b"ERR no".to_vec());
    let deviation = model.step(ME, &words("SELECT 3"), &Outcome::reply(&error), NOW).unwrap_err();
    assert_eq!(deviation.clause, Clause::SELECT_1);
    assert_eq!(deviation.kind, DeviationKind::UnexpectedError);
    assert_eq!(model.selected_db(ME), 0);
    model.step(ME, &words("select 3"), &Outcome::reply(&Reply::ok()), NOW).unwrap();
    assert_eq!(model.selected_db(ME), 3);
}

#[test]
fn a_missing_reply_is_a_deviation() {
    let nothing = Outcome { replies: &[], closed: false };
    let deviation = model().step(ME, &words("PING"), &nothing, NOW).unwrap_err();
    assert_eq!(deviation.kind, DeviationKind::ReplyCount);
}
