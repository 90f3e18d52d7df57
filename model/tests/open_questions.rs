//! What a live server's clock leaves open is settled by its answers, and nothing else is accepted.
#![allow(clippy::unwrap_used)]

use tally_model::{Allowed, ClientId, DeviationKind, Erratum, Model, Outcome, Peer, Profile, Reply, Span};

const ME: ClientId = ClientId(1);

struct Session {
    model: Model,
}

fn session(profile: Profile) -> Session {
    let mut model = Model::new(profile);
    model.connect(ME, Peer { local: true, ..Peer::default() });
    Session { model }
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

fn span(earliest_ms: i64, latest_ms: i64) -> Span {
    Span { earliest_ms, latest_ms }
}

fn keys(keys: &[&str]) -> Reply {
    Reply::Array(keys.iter().map(|key| Reply::bulk(*key)).collect())
}

fn page(cursor: &str, found: &[&str]) -> Reply {
    Reply::Array(vec![Reply::bulk(cursor), keys(found)])
}

impl Session {
    fn accepts(&mut self, at: Span, line: &str, reply: Reply) {
        if let Err(deviation) = self.model.step(ME, &words(line), &Outcome::reply(&reply), at) {
            panic!("{line}: {deviation}");
        }
    }

    fn rejects(&mut self, at: Span, line: &str, reply: Reply) -> DeviationKind {
        match self.model.step(ME, &words(line), &Outcome::reply(&reply), at) {
            Ok(_) => panic!("{line}: {reply} was accepted"),
            Err(deviation) => deviation.kind,
        }
    }
}

//= SPEC.md#expiry
//# [EXPIRY-2] (wire) A key with a deadline MUST be there until its deadline, the millisecond of the deadline included.
#[test]
fn a_key_lives_through_the_millisecond_of_its_deadline() {
    let mut session = session(Profile::strict());
    session.accepts(Span::at(1000), "SET k v PX 50", Reply::ok());
    session.rejects(Span::at(1050), "GET k", Reply::NilBulk);
    session.accepts(Span::at(1050), "GET k", Reply::bulk("v"));
    session.rejects(Span::at(1051), "GET k", Reply::bulk("v"));
    session.accepts(Span::at(1051), "GET k", Reply::NilBulk);
}

#[test]
fn a_deadline_within_the_span_is_settled_by_the_first_answer_that_tells() {
    for alive in [true, false] {
        let mut session = session(Profile::strict());
        session.accepts(span(1000, 1003), "SET k v PX 50", Reply::ok());
        let value = if alive { Reply::bulk("v") } else { Reply::NilBulk };
        session.accepts(span(1051, 1053), "GET k", value);
        // Once gone it stays gone; alive at 1051 it was set no earlier than 1001.
        let later = span(1051, 1051);
        if alive {
            session.accepts(later, "EXISTS k", Reply::Integer(1));
        } else {
            session.rejects(later, "EXISTS k", Reply::Integer(1));
            session.accepts(later, "EXISTS k", Reply::Integer(0));
        }
    }
}

#[test]
fn an_answer_that_does_not_tell_leaves_both_states_open_until_one_does() {
    let mut session = session(Profile::strict());
    session.accepts(span(1000, 1003), "SET k abcdef PX 50", Reply::ok());
    // Six bytes either way: the old string written over, or zeros and an x in a new one without a deadline.
    session.accepts(span(1050, 1060), "SETRANGE k 5 x", Reply::Integer(6));
    assert!(session.model.unsettled().is_some());
    session.rejects(span(1060, 1060), "GET k", Reply::bulk("abcdef"));
    session.accepts(span(1060, 1060), "GET k", Reply::bulk("\0\0\0\0\0x"));
    assert!(session.model.unsettled().is_none());
    session.accepts(span(1060, 1060), "TTL k", Reply::Integer(-1));
}

#[test]
fn several_open_keys_are_judged_together() {
    let mut session = session(Profile::strict());
    for key in ["a", "b", "c"] {
        session.accepts(span(1000, 1001), &format!("SET {key} v PX 10"), Reply::ok());
    }
    session.rejects(span(1010, 1011), "EXISTS a b c", Reply::Integer(4));
    session.accepts(span(1010, 1011), "EXISTS a b c", Reply::Integer(2));
    session.accepts(span(1011, 1011), "MGET a b", Reply::Array(vec![Reply::bulk("v"), Reply::NilBulk]));
}

#[test]
fn a_time_to_live_is_accepted_within_what_the_clocks_allow() {
    let mut session = session(Profile::strict());
    session.accepts(span(1000, 1004), "PEXPIRE k 10", Reply::Integer(0));
    session.accepts(span(1000, 1004), "SET k v PX 1000", Reply::ok());
    session.rejects(span(1100, 1102), "PTTL k", Reply::Integer(897));
    session.rejects(span(1100, 1102), "PTTL k", Reply::Integer(905));
    session.accepts(span(1100, 1102), "PTTL k", Reply::Integer(898));
    session.accepts(span(1100, 1102), "TTL k", Reply::Integer(1));
}

//= SPEC.md#expiry
//# [EXPIRY-5] (wire) An expired key that nothing has removed yet MAY still be counted by DBSIZE.
#[test]
fn dbsize_may_count_an_expired_key_until_something_finds_it() {
    let mut session = session(Profile::strict());
    session.accepts(Span::at(1000), "SET k v PX 5", Reply::ok());
    session.accepts(Span::at(2000), "DBSIZE", Reply::Integer(1));
    session.accepts(Span::at(2000), "DBSIZE", Reply::Integer(0));
    session.rejects(Span::at(2000), "KEYS *", keys(&["k"]));
    session.accepts(Span::at(2000), "KEYS *", keys(&[]));
    session.accepts(Span::at(2000), "TTL k", Reply::Integer(-2));
    session.rejects(Span::at(2000), "DBSIZE", Reply::Integer(1));
}

//= SPEC.md#cursors
//# [CURSOR-1] (wire) A key that is in the database from the call with cursor 0 to the call that answers cursor 0, each call continuing with the cursor the one before answered, MUST be answered at least once by one of them.
#[test]
fn an_iteration_owes_every_key_that_was_there_all_the_time() {
    let mut session = session(Profile::strict());
    let now = Span::at(1000);
    session.accepts(now, "MSET a 1 b 2 c 3", Reply::ok());
    session.accepts(now, "SCAN 0", page("4", &["a"]));
    session.accepts(now, "SET late 1", Reply::ok());
    session.accepts(now, "DEL c", Reply::Integer(1));
    session.rejects(now, "SCAN 4", page("0", &[]));
    session.rejects(now, "SCAN 4", page("0", &["b", "c"]));
    session.accepts(now, "SCAN 4", page("6", &["late", "a"]));
    // A key that went and came back is not owed.
    session.accepts(now, "SET c 4", Reply::ok());
    session.rejects(now, "SCAN 6", page("0", &["c"]));
    session.accepts(now, "SCAN 6", page("0", &["b"]));
}

#[test]
fn an_iteration_with_patterns_owes_what_matches_all_of_them() {
    let mut session = session(Profile::strict());
    let now = Span::at(1000);
    session.accepts(now, "MSET a1 1 a2 2 b1 3", Reply::ok());
    session.rejects(now, "SCAN 0 MATCH a*", page("9", &["b1"]));
    session.accepts(now, "SCAN 0 MATCH a*", page("9", &[]));
    session.rejects(now, "SCAN 9 MATCH *1", page("0", &[]));
    session.accepts(now, "SCAN 9 MATCH *1", page("0", &["a1"]));
}

#[test]
fn a_swapped_database_owes_nothing_to_earlier_cursors() {
    let mut session = session(Profile::strict());
    let now = Span::at(1000);
    session.accepts(now, "MSET a 1 b 2", Reply::ok());
    session.accepts(now, "SCAN 0", page("7", &[]));
    session.accepts(now, "SWAPDB 0 1", Reply::ok());
    session.accepts(now, "SCAN 7", page("0", &[]));
}

#[test]
fn a_known_defect_is_accepted_by_its_profile_only_and_named() {
    let line = "DECRBY k -9223372036854775808";
    let wrong = Reply::Integer(i64::MIN);
    session(Profile::strict()).rejects(Span::at(1000), line, wrong.clone());
    let mut lenient = session(Profile::redis_5_0());
    let verdict = lenient.model.step(ME, &words(line), &Outcome::reply(&wrong), Span::at(1000)).unwrap();
    assert_eq!(verdict.erratum, Some(Erratum::E_3));
    // What it did is the state now.
    lenient.accepts(Span::at(1000), "GET k", Reply::bulk(i64::MIN.to_string()));
}

#[test]
fn a_defect_hidden_behind_a_right_answer_leaves_both_states_open() {
    let line = "BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775808";
    for (value, known) in [("\u{7f}", true), ("?", false)] {
        let mut session = session(Profile::redis_5_0());
        session.accepts(Span::at(1000), line, Reply::Array(vec![Reply::Integer(0)]));
        if known {
            session.accepts(Span::at(1000), "GET k", Reply::bulk(value));
        } else {
            session.rejects(Span::at(1000), "GET k", Reply::bulk(value));
            session.accepts(Span::at(1000), "GET k", Reply::Bulk(vec![0x80]));
        }
    }
}

#[test]
fn judging_without_an_answer_changes_nothing() {
    let mut session = session(Profile::strict());
    session.accepts(Span::at(1000), "SET k 1", Reply::ok());
    for line in ["INCR k", "DEL k", "FLUSHALL", "SELECT 1", "GET k"] {
        let before = format!("{:?}", session.model.dataset(Span::at(1000)).collect::<Vec<_>>());
        let allowed: Allowed = session.model.allowed(ME, &words(line), Span::at(1000));
        assert!(matches!(allowed, Allowed::Exactly(_)));
        assert_eq!(format!("{:?}", session.model.dataset(Span::at(1000)).collect::<Vec<_>>()), before);
    }
}

#[test]
fn a_known_defect_may_explain_what_a_right_answer_explains_too() {
    // OBJECT shows keys that have expired (E-4), so that its answer does not tell whether SETBIT met the old key.
    for left in [Reply::NilBulk, Reply::bulk("3540 ")] {
        let mut session = session(Profile::redis_5_0());
        session.accepts(span(1077, 1078), "SET k 3540 PX 5", Reply::ok());
        session.accepts(span(1079, 1085), "SETBIT k 34 1", Reply::Integer(0));
        session.accepts(span(1079, 1085), "OBJECT ENCODING k", Reply::bulk("raw"));
        if left == Reply::NilBulk {
            session.accepts(span(1084, 1085), "OBJECT ENCODING k", Reply::bulk("raw"));
            session.accepts(span(1084, 1085), "GET k", left);
        } else {
            session.accepts(span(1080, 1081), "GET k", left);
        }
    }
    let mut session = session(Profile::strict());
    session.accepts(span(1077, 1078), "SET k 3540 PX 5", Reply::ok());
    session.accepts(span(1079, 1085), "SETBIT k 34 1", Reply::Integer(0));
    session.accepts(span(1084, 1085), "OBJECT ENCODING k", Reply::bulk("raw"));
    session.rejects(span(1084, 1085), "GET k", Reply::NilBulk);
}
