//! SORT and the collections' known defects: what a strict model rejects, a model of Redis 5.0 accepts and goes on from.
#![allow(clippy::unwrap_used)]

use tally_model::{Allowed, ClientId, Deviation, Model, Outcome, Peer, Profile, Reply, Span, Verdict};

const NOW: Span = Span { earliest_ms: 1_700_000_000_000, latest_ms: 1_700_000_000_000 };
const ME: ClientId = ClientId(1);

fn model(profile: Profile) -> Model {
    let mut model = Model::new(profile);
    model.connect(ME, Peer::default());
    model
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

fn array(items: &[&str]) -> Reply {
    Reply::Array(items.iter().map(|item| Reply::bulk(*item)).collect())
}

/// Makes commands whose answer is certain.
fn make(model: &mut Model, lines: &[&str]) {
    for line in lines {
        let Allowed::Exactly(reply) = model.allowed(ME, &words(line), NOW) else { panic!("{line} is open") };
        model.step(ME, &words(line), &Outcome::reply(&reply), NOW).unwrap();
    }
}

fn judge(model: &mut Model, line: &str, reply: &Reply) -> Result<Verdict, Box<Deviation>> {
    model.step(ME, &words(line), &Outcome::reply(reply), NOW)
}

fn accepts(model: &Model, line: &str, reply: &Reply) -> bool {
    judge(&mut model.clone(), line, reply).is_ok()
}

//= SPEC.md#sort
//# [SORT-12] (wire) BY with a pattern without asterisk MUST leave the elements as they are: a list's from head to tail, a sorted set's by score and then bytes, both from the other end with DESC, and a set's in any order.
#[test]
fn a_window_of_an_unsorted_set_may_hold_any_members_each_once() {
    let mut model = model(Profile::strict());
    make(&mut model, &["SADD s a b c", "SET v_a 1"]);
    let line = "SORT s BY nosort LIMIT 1 2 GET # GET v_*";
    let row = |member: &str| match member {
        "a" => vec![Reply::bulk("a"), Reply::bulk("1")],
        other => vec![Reply::bulk(other), Reply::NilBulk],
    };
    let rows = |members: &[&str]| Reply::Array(members.iter().flat_map(|member| row(member)).collect());
    assert!(accepts(&model, line, &rows(&["c", "a"])));
    assert!(accepts(&model, line, &rows(&["a", "b"])));
    assert!(!accepts(&model, line, &rows(&["a", "a"])));
    assert!(!accepts(&model, line, &rows(&["a"])));
    assert!(!accepts(&model, line, &rows(&["a", "b", "c"])));
    assert!(!accepts(&model, line, &rows(&["a", "d"])));
    assert!(!accepts(&model, line, &array(&["a", "1", "b", "1"])));
}

//= SPEC.md#sort
//# [SORT-7] (wire) Elements of equal weight MUST be ordered by their own bytes, shorter before longer where one begins with the other.
#[test]
fn equal_weights_under_alpha_are_free_only_where_the_erratum_is_accepted() {
    let lines = ["RPUSH l d c b a", "SET w_a x", "SET w_d w", "SET w_c w"];
    let line = "SORT l BY w_* ALPHA";
    // b has no weight, c and d have equal ones.
    let right = array(&["b", "c", "d", "a"]);
    let stable = array(&["b", "d", "c", "a"]);
    let wrong = array(&["c", "b", "d", "a"]);
    let mut strict = model(Profile::strict());
    make(&mut strict, &lines);
    assert!(accepts(&strict, line, &right));
    assert!(!accepts(&strict, line, &stable));
    let mut real = model(Profile::redis_5_0());
    make(&mut real, &lines);
    assert!(accepts(&real, line, &right));
    assert!(!accepts(&real, line, &wrong));
    assert_eq!(judge(&mut real, line, &stable).unwrap().erratum.map(|erratum| erratum.id()), Some("E-52"));
}

#[test]
fn texts_may_end_at_a_zero_byte_only_where_the_erratum_is_accepted() {
    let lines = ["RPUSH l b\0b b\0a a", "SET k\0a v"];
    let mut strict = model(Profile::strict());
    make(&mut strict, &lines);
    assert!(!accepts(&strict, "SORT l ALPHA", &array(&["a", "b\0b", "b\0a"])));
    let mut real = model(Profile::redis_5_0());
    make(&mut real, &lines);
    assert!(accepts(&real, "SORT l ALPHA", &array(&["a", "b\0b", "b\0a"])));
    let none = Reply::Array(vec![Reply::NilBulk]);
    assert!(accepts(&strict, "SORT l ALPHA LIMIT 0 1 GET k\0*", &array(&["v"])));
    assert!(!accepts(&strict, "SORT l ALPHA LIMIT 0 1 GET k\0*", &none));
    assert_eq!(
        judge(&mut real, "SORT l ALPHA LIMIT 0 1 GET k\0*", &none).unwrap().erratum.map(|erratum| erratum.id()),
        Some("E-53")
    );
}

//= SPEC.md#sort
//# [SORT-19] (wire) SORT of a sorted set MUST give it the encoding `skiplist` once the options are accepted, also if a weight is then refused.
#[test]
fn sorting_a_sorted_set_converts_it_even_if_a_weight_is_refused() {
    let mut model = model(Profile::strict());
    make(&mut model, &["ZADD z 1 a"]);
    let syntax = Reply::Error(b"ERR syntax error".to_vec());
    judge(&mut model, "SORT z NOSUCH", &syntax).unwrap();
    assert!(accepts(&model, "OBJECT ENCODING z", &Reply::bulk("ziplist")));
    let refused = Reply::Error(b"ERR One or more scores can't be converted into double".to_vec());
    judge(&mut model, "SORT z", &refused).unwrap();
    assert!(accepts(&model, "OBJECT ENCODING z", &Reply::bulk("skiplist")));
}

#[test]
fn keys_that_patterns_lead_to_are_used() {
    let mut model = model(Profile::strict());
    make(&mut model, &["RPUSH l a", "SET w_a 1", "SET v_a 1", "SET x_a 1"]);
    let later = Span { earliest_ms: NOW.earliest_ms + 10_000, latest_ms: NOW.latest_ms + 10_000 };
    let sorted = array(&["1"]);
    model.step(ME, &words("SORT l BY w_* GET v_*"), &Outcome::reply(&sorted), later).unwrap();
    for (key, seconds) in [("w_a", 0), ("v_a", 0), ("x_a", 10)] {
        let reply = Reply::Integer(seconds);
        let line = format!("OBJECT IDLETIME {key}");
        model.step(ME, &words(&line), &Outcome::reply(&reply), later).unwrap();
    }
}

//= SPEC.md#hincrbyfloat
//# [HINCRBYFLOAT-5] (wire) A sum that is infinite or no number MUST answer `-ERR increment would produce NaN or Infinity` and leave neither key nor field behind.
#[test]
fn a_failed_hincrbyfloat_leaves_a_key_only_where_the_erratum_is_accepted() {
    let refused = Reply::Error(b"ERR increment would produce NaN or Infinity".to_vec());
    let mut strict = model(Profile::strict());
    judge(&mut strict, "HINCRBYFLOAT h f inf", &refused).unwrap();
    assert!(!accepts(&strict, "EXISTS h", &Reply::Integer(1)));
    let mut real = model(Profile::redis_5_0());
    judge(&mut real, "HINCRBYFLOAT h f inf", &refused).unwrap();
    assert!(accepts(&real, "EXISTS h", &Reply::Integer(0)));
    judge(&mut real, "EXISTS h", &Reply::Integer(1)).unwrap();
    // From here on it is known which of the two happened.
    make(&mut real, &["HLEN h", "TYPE h"]);
    assert!(accepts(&real, "TYPE h", &Reply::status("hash")));
    assert!(!accepts(&real, "EXISTS h", &Reply::Integer(0)));
    make(&mut real, &["HSET h a 1", "HDEL h a"]);
    assert!(accepts(&real, "EXISTS h", &Reply::Integer(0)));
}

//= SPEC.md#hsetnx
//# [HSETNX-2] (wire) HSETNX of a field that the hash has MUST change nothing, the encoding included, and answer 0.
#[test]
fn a_refused_hsetnx_converts_only_where_the_erratum_is_accepted() {
    let line = format!("HSETNX h f {}", "x".repeat(65));
    for (profile, converts) in [(Profile::strict(), false), (Profile::redis_5_0(), true)] {
        let mut model = model(profile);
        make(&mut model, &["HSET h f v"]);
        judge(&mut model, &line, &Reply::Integer(0)).unwrap();
        assert!(accepts(&model, "OBJECT ENCODING h", &Reply::bulk("ziplist")));
        assert_eq!(accepts(&model, "OBJECT ENCODING h", &Reply::bulk("hashtable")), converts);
    }
}

//= SPEC.md#hgetall
//# [HGETALL-1] (wire) HGETALL MUST answer an array of all fields, each followed by its value, the fields in any order.
#[test]
fn the_pairs_of_a_hash_may_come_in_any_order_but_not_torn_apart() {
    let mut model = model(Profile::strict());
    make(&mut model, &["HSET h a 1 b 2"]);
    assert!(accepts(&model, "HGETALL h", &array(&["b", "2", "a", "1"])));
    assert!(accepts(&model, "HGETALL h", &array(&["a", "1", "b", "2"])));
    assert!(!accepts(&model, "HGETALL h", &array(&["a", "2", "b", "1"])));
    assert!(!accepts(&model, "HGETALL h", &array(&["a", "1"])));
    assert!(!accepts(&model, "HGETALL h", &array(&["a", "1", "b"])));
    assert!(!accepts(&model, "HGETALL h", &array(&["a", "1", "a", "1"])));
}

#[test]
fn numbers_may_be_refused_for_an_earlier_commands_sake_only_where_the_erratum_is_accepted() {
    let refused = Reply::Error(b"ERR One or more scores can't be converted into double".to_vec());
    for (profile, accepted) in [(Profile::strict(), false), (Profile::redis_5_0(), true)] {
        let mut model = model(profile);
        make(&mut model, &["RPUSH l 2 1"]);
        assert_eq!(accepts(&model, "SORT l", &refused), accepted);
        assert!(!accepts(&model, "SORT l ALPHA", &refused));
        assert!(!accepts(&model, "SORT nosuch", &refused));
        assert!(accepts(&model, "SORT l", &array(&["1", "2"])));
    }
}

#[test]
fn an_erratum_that_explains_an_answer_in_several_worlds_leaves_them_all_open() {
    let mut model = model(Profile::redis_5_0());
    make(&mut model, &["RPUSH l b 0 a", "SET k0 5"]);
    let passing = Span { earliest_ms: NOW.earliest_ms, latest_ms: NOW.earliest_ms + 100 };
    let step = |model: &mut Model, line: &str, reply: &Reply| {
        model.step(ME, &words(line), &Outcome::reply(reply), passing).map(|_| ())
    };
    step(&mut model, "PEXPIRE k0 50", &Reply::Integer(1)).unwrap();
    // Whether k0 is still there does not show.
    step(&mut model, "SORT l BY k* ALPHA", &array(&["b", "a", "0"])).unwrap();
    for reply in [0, 1] {
        assert!(step(&mut model.clone(), "EXISTS k0", &Reply::Integer(reply)).is_ok());
    }
}
