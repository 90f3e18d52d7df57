//! While memory is limited keys may go at any command, those that the policy can evict and no others.
#![allow(clippy::unwrap_used)]

use tally_model::{Clause, ClientId, Deviation, Model, Outcome, Peer, Profile, Reply, Span};

const NOW: Span = Span { earliest_ms: 1_700_000_000_000, latest_ms: 1_700_000_000_000 };
const LATER: Span = Span { earliest_ms: 1_700_000_100_000, latest_ms: 1_700_000_100_000 };
const ME: ClientId = ClientId(1);
const LISTENER: ClientId = ClientId(2);
const REFUSAL: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.into())
}

fn error(line: &str) -> Reply {
    Reply::Error(line.into())
}

fn try_at(model: &mut Model, span: Span, line: &str, reply: &Reply) -> Result<(), Box<Deviation>> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    model.step(ME, &words, &Outcome::reply(reply), span).map(|_| ())
}

/// The answer is accepted.
#[track_caller]
fn says(model: &mut Model, line: &str, reply: Reply) {
    if let Err(deviation) = try_at(model, NOW, line, &reply) {
        panic!("{line}: {deviation}");
    }
}

/// The answer is not accepted. What comes after is not judged in this model.
#[track_caller]
fn must_not_say(mut model: Model, line: &str, reply: Reply) -> Clause {
    match try_at(&mut model, NOW, line, &reply) {
        Ok(()) => panic!("{line} was answered {reply}, and nobody minded"),
        Err(deviation) => deviation.clause,
    }
}

/// Two databases with a key `plain` and a key `mortal`, which has a deadline.
fn filled(policy: &str) -> Model {
    let mut model = Model::new(Profile::strict());
    model.connect(ME, Peer::default());
    for db in ["3", "0"] {
        says(&mut model, &format!("SELECT {db}"), Reply::ok());
        says(&mut model, "SET plain p", Reply::ok());
        says(&mut model, "SET mortal m EX 50", Reply::ok());
    }
    says(&mut model, &format!("CONFIG SET maxmemory-policy {policy}"), Reply::ok());
    model
}

fn squeezed(policy: &str) -> Model {
    let mut model = filled(policy);
    says(&mut model, "CONFIG SET maxmemory 100000", Reply::ok());
    model
}

//= SPEC.md#eviction
//# [EVICTION-1] (wire) While `maxmemory` is above 0 and more memory than that is in use, a client's command MUST evict keys, one by one, until no more than that is in use or no key is left that can be evicted, before it is executed, queued or refused for lack of memory, and be it one that only reads.
//= SPEC.md#eviction
//# [EVICTION-5] (wire) A policy whose name begins with `allkeys-` MUST be able to evict each key of each database, and one whose name begins with `volatile-` each key that has a deadline.
//= SPEC.md#eviction
//# [EVICTION-8] (wire) A key that is evicted MUST be absent to every command, the one that evicted it included.
#[test]
fn a_key_may_be_gone_and_is_gone_then() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        for (key, value) in [("plain", "p"), ("mortal", "m")] {
            let mut model = squeezed(policy);
            says(&mut model, &format!("GET {key}"), bulk(value));
            must_not_say(model.clone(), &format!("GET {key}"), bulk("another"));
            says(&mut model, &format!("GET {key}"), Reply::NilBulk);
            must_not_say(model.clone(), &format!("GET {key}"), bulk(value));
            says(&mut model, "DBSIZE", Reply::Integer(1));
            must_not_say(model.clone(), "DBSIZE", Reply::Integer(2));
            says(&mut model, "SELECT 3", Reply::ok());
            says(&mut model, "DBSIZE", Reply::Integer(0));
        }
    }
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let mut model = squeezed(policy);
        says(&mut model, "GET mortal", Reply::NilBulk);
        says(&mut model, "SELECT 3", Reply::ok());
        says(&mut model, "GET mortal", Reply::NilBulk);
    }
}

//= SPEC.md#eviction
//# [EVICTION-6] (wire) Under a policy whose name begins with `volatile-` a key without a deadline MUST NOT be evicted.
//= SPEC.md#eviction
//# [EVICTION-7] (wire) Under `noeviction` keys MUST NOT be evicted.
#[test]
fn what_the_policy_cannot_evict_stays() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        must_not_say(squeezed(policy), "GET plain", Reply::NilBulk);
        must_not_say(squeezed(policy), "DBSIZE", Reply::Integer(0));
        let mut model = squeezed(policy);
        says(&mut model, "PERSIST mortal", Reply::Integer(1));
        must_not_say(model, "GET mortal", Reply::NilBulk);
    }
    must_not_say(squeezed("noeviction"), "GET mortal", Reply::NilBulk);
    must_not_say(filled("allkeys-lru"), "GET mortal", Reply::NilBulk);
}

//= SPEC.md#eviction
//# [EVICTION-2] (wire) A command that is unknown, has a wrong number of arguments or is refused for lack of authentication MUST NOT evict keys.
#[test]
fn a_command_that_is_none_evicts_nothing() {
    let sure = |model: &Model| model.dataset(NOW).filter(|record| record.entry.is_some()).count();
    let mut model = squeezed("allkeys-lru");
    for (key, value) in [("plain", "p"), ("mortal", "m")] {
        says(&mut model, &format!("GET {key}"), bulk(value));
    }
    assert_eq!(sure(&model), 1, "the last one was seen");
    says(&mut model, "GET", error("ERR wrong number of arguments for 'get' command"));
    says(&mut model, "NOSUCH", error("ERR unknown command `NOSUCH`, with args beginning with: "));
    assert_eq!(sure(&model), 1);
    says(&mut model, "PING", Reply::status("PONG"));
    assert_eq!(sure(&model), 0);
}

//= SPEC.md#eviction
//# [EVICTION-3] (wire) CONFIG SET `maxmemory` to a number above 0 MUST evict keys in the same way before it answers, and answer `+OK` whether or not enough memory was won.
//= SPEC.md#eviction
//# [EVICTION-4] (wire) While a transaction or a script is executed nothing MUST be evicted, but by a CONFIG SET `maxmemory` that is one of its commands.
#[test]
fn within_a_transaction_only_config_set_evicts() {
    let queue = |model: &mut Model, lines: &[&str]| {
        says(model, "MULTI", Reply::ok());
        for line in lines {
            says(model, line, Reply::status("QUEUED"));
        }
    };
    let mut model = squeezed("allkeys-lru");
    queue(&mut model, &["GET plain", "GET plain"]);
    must_not_say(model.clone(), "EXEC", Reply::Array(vec![bulk("p"), Reply::NilBulk]));
    says(&mut model, "EXEC", Reply::Array(vec![Reply::NilBulk, Reply::NilBulk]));

    let mut model = filled("allkeys-lru");
    queue(&mut model, &["GET plain", "CONFIG SET maxmemory 100000", "GET plain"]);
    must_not_say(model.clone(), "EXEC", Reply::Array(vec![Reply::NilBulk, Reply::ok(), Reply::NilBulk]));
    says(&mut model, "EXEC", Reply::Array(vec![bulk("p"), Reply::ok(), Reply::NilBulk]));
}

//= SPEC.md#command-dispatch
//# [OOM-1] (wire) While `maxmemory` is above 0, more memory than that is in use and none can be won by eviction, a command flagged `denyoom` MUST answer `-OOM command not allowed when used memory > 'maxmemory'.` and change nothing.
#[test]
fn memory_is_short_when_nothing_is_left_to_evict() {
    let mut model = squeezed("allkeys-lru");
    says(&mut model, "SET new n", error(REFUSAL));
    must_not_say(model.clone(), "GET plain", bulk("p"));
    says(&mut model, "DBSIZE", Reply::Integer(0));

    let mut model = squeezed("volatile-ttl");
    says(&mut model, "SET new n", error(REFUSAL));
    must_not_say(model.clone(), "GET mortal", bulk("m"));
    says(&mut model, "GET plain", bulk("p"));
}

//= SPEC.md#eviction
//# [EVICTION-10] (file) An eviction MUST be propagated as `DEL key`, or `UNLINK key` with `lazyfree-lazy-eviction yes`, before all that the command propagates that evicted the key, and by no command else.
#[test]
fn where_deletions_are_told_what_was_not_deleted_is_there() {
    let mut model = filled("allkeys-lru");
    model.foretell_deletions([(3, b"plain".as_slice()), (0, b"mortal")].into_iter());
    says(&mut model, "CONFIG SET maxmemory 100000", Reply::ok());
    must_not_say(model.clone(), "GET plain", Reply::NilBulk);
    says(&mut model, "GET mortal", Reply::NilBulk);
    assert_eq!(must_not_say(model.clone(), "SET new n", error(REFUSAL)), Clause::EVICTION_1);
    says(&mut model, "SELECT 3", Reply::ok());
    says(&mut model, "GET plain", Reply::NilBulk);
    must_not_say(model, "GET mortal", Reply::NilBulk);
}

//= SPEC.md#eviction
//# [EVICTION-9] (wire) A key whose deadline has passed MAY be evicted in place of being found expired, and is told by `evicted` then.
//= SPEC.md#eviction
//# [EVICTION-11] (wire) The event of [NOTIFY-5] MUST be published once for each key that is evicted, before all that the command sends that evicted it, to its own client and to others.
//= SPEC.md#events
//# [NOTIFY-5] (wire) A key that is evicted MUST be told by `evicted`, of class `e`.
#[test]
fn an_eviction_is_told_of_what_may_have_been_evicted() {
    let message = |event: &str, key: &str| {
        Reply::Array(vec![bulk("message"), bulk(&format!("__keyevent@0__:{event}")), bulk(key)])
    };
    let listen = |model: &mut Model| {
        model.connect(LISTENER, Peer::default());
        says(model, "CONFIG SET notify-keyspace-events Eex", Reply::ok());
        for (number, event) in ["evicted", "expired"].into_iter().enumerate() {
            let channel = format!("__keyevent@0__:{event}");
            let words = [b"SUBSCRIBE".as_slice(), channel.as_bytes()];
            let count = i64::try_from(number).unwrap() + 1;
            let reply = Reply::Array(vec![bulk("subscribe"), bulk(&channel), Reply::Integer(count)]);
            model.step(LISTENER, &words, &Outcome::reply(&reply), NOW).unwrap();
        }
    };
    let mut model = filled("volatile-lru");
    listen(&mut model);
    assert!(model.clone().unsolicited(LISTENER, &message("evicted", "mortal"), NOW).is_err());
    says(&mut model, "CONFIG SET maxmemory 100000", Reply::ok());
    assert!(model.clone().unsolicited(LISTENER, &message("evicted", "plain"), NOW).is_err());
    model.clone().unsolicited(LISTENER, &message("evicted", "mortal"), NOW).unwrap();

    // Whether it was evicted or is found expired, there is one event at most.
    try_at(&mut model, LATER, "GET mortal", &Reply::NilBulk).unwrap();
    assert!(model.take_due().iter().all(|due| due.optional && due.early));
    model.unsolicited(LISTENER, &message("evicted", "mortal"), LATER).unwrap();
}

/// What listeners of everything hear of a key of database 0: `keyspace` or `keyevent`.
fn heard(channel: &str, message: &str) -> Reply {
    Reply::Array(vec![bulk("pmessage"), bulk("*"), bulk(channel), bulk(message)])
}

fn listens(model: &mut Model, client: ClientId) {
    let reply = Reply::Array(vec![bulk("psubscribe"), bulk("*"), Reply::Integer(1)]);
    model.step(client, &[b"PSUBSCRIBE", b"*"], &Outcome::reply(&reply), NOW).unwrap();
}

//= SPEC.md#eviction
//# [EVICTION-24] (wire) An eviction MUST be published as `notify-keyspace-events` and the subscriptions ask for it before the command that evicts is executed, be it one that changes them.
#[test]
fn an_eviction_is_told_as_was_asked_for_before_the_command() {
    let (keyevent, keyspace) = (heard("__keyevent@0__:evicted", "plain"), heard("__keyspace@0__:plain", "evicted"));
    let third = ClientId(3);
    let set = |events: &str| {
        let mut model = filled("allkeys-lru");
        for client in [LISTENER, third] {
            model.connect(client, Peer::default());
            listens(&mut model, client);
        }
        says(&mut model, &format!("CONFIG SET notify-keyspace-events {events}"), Reply::ok());
        says(&mut model, "CONFIG SET maxmemory 100000", Reply::ok());
        model.take_due();
        model
    };
    // One who hears of it by what was before hears of it so surely, and so does everybody else.
    let mut model = set("Ee");
    says(&mut model, "CONFIG SET notify-keyspace-events Ke", Reply::ok());
    model.unsolicited(LISTENER, &keyevent, NOW).unwrap();
    let due = model.take_due();
    let [other] = due.as_slice() else { panic!("{due:?}") };
    assert!(other.client == third && !other.optional && other.comes_now_or_never());
    assert!(other.admits(&keyevent, Profile::strict().errors) && !other.admits(&keyspace, Profile::strict().errors));
    // What was asked for by both is no sign of either.
    let mut model = set("Ee");
    says(&mut model, "CONFIG SET notify-keyspace-events KEe", Reply::ok());
    model.unsolicited(LISTENER, &keyevent, NOW).unwrap();
    let due = model.take_due();
    let surely = |due: &&tally_model::Due| !due.optional;
    assert_eq!((due.len(), due.iter().filter(surely).count()), (3, 1), "{due:?}");
    // Nobody ever asked for this.
    let mut model = set("Ee");
    assert!(model.clone().unsolicited(LISTENER, &keyspace, NOW).is_err());
    // And when another sends commands, all that was before has been heard.
    says(&mut model, "CONFIG SET notify-keyspace-events Ke", Reply::ok());
    model.clone().unsolicited(LISTENER, &keyevent, NOW).unwrap();
    model.connect(ClientId(4), Peer::default());
    model.step(ClientId(4), &[b"PING"], &Outcome::reply(&Reply::status("PONG")), NOW).unwrap();
    assert!(model.unsolicited(LISTENER, &keyevent, NOW).is_err());
}

//= SPEC.md#eviction
//# [EVICTION-24] (wire) An eviction MUST be published as `notify-keyspace-events` and the subscriptions ask for it before the command that evicts is executed, be it one that changes them.
#[test]
fn within_a_transaction_an_eviction_is_told_as_was_asked_for_then() {
    let mut model = filled("allkeys-lru");
    model.connect(LISTENER, Peer::default());
    listens(&mut model, LISTENER);
    says(&mut model, "CONFIG SET notify-keyspace-events Eg", Reply::ok());
    says(&mut model, "MULTI", Reply::ok());
    let lines = ["notify-keyspace-events Ke", "maxmemory 100000", "notify-keyspace-events Ee"];
    for line in lines {
        says(&mut model, &format!("CONFIG SET {line}"), Reply::status("QUEUED"));
    }
    says(&mut model, "EXEC", Reply::Array(lines.iter().map(|_| Reply::ok()).collect()));
    model.unsolicited(LISTENER, &heard("__keyspace@0__:plain", "evicted"), NOW).unwrap();
}

/// EVAL of a script without keys, whose text may hold spaces.
fn evaluate(model: &mut Model, script: &str, reply: &Reply) -> Result<(), Box<Deviation>> {
    model.step(ME, &[b"EVAL", script.as_bytes(), b"0"], &Outcome::reply(reply), NOW).map(|verdict| {
        assert!(!verdict.lost, "the model cannot follow {script}");
    })
}

//= SPEC.md#eviction
//# [EVICTION-21] (wire) A command flagged `denyoom` that a script calls MUST fail with the line `@user_script: LINE: -OOM command not allowed when used memory > 'maxmemory'.`, two spaces behind it, if memory is short and was so, with no key left that could be evicted, when its client sent EVAL, EVALSHA or EXEC, unless the script has called a command flagged `write` before.
//= SPEC.md#eviction
//# [EVICTION-22] (wire) Such a command MAY fail in the same way if memory became short only since then.
//= SPEC.md#eviction
//# [EVICTION-23] (wire) A command that a script calls behind one flagged `write` MUST NOT fail for lack of memory.
#[test]
fn a_script_may_lack_memory_until_it_writes() {
    let refused = error(&format!("@user_script: 1: -{REFUSAL}  "));
    let writes = "return redis.pcall('set','new','n')";
    evaluate(&mut squeezed("noeviction"), writes, &Reply::ok()).unwrap();
    evaluate(&mut squeezed("noeviction"), writes, &refused).unwrap();
    evaluate(&mut filled("noeviction"), writes, &refused).unwrap_err();

    let mut model = squeezed("noeviction");
    evaluate(&mut model, writes, &refused).unwrap();
    must_not_say(model.clone(), "GET new", bulk("n"));
    says(&mut model, "GET new", Reply::NilBulk);

    let behind = "redis.call('del','nosuch'); return redis.pcall('set','new','n')";
    evaluate(&mut squeezed("noeviction"), behind, &refused).unwrap_err();
    evaluate(&mut squeezed("noeviction"), behind, &Reply::ok()).unwrap();
    evaluate(&mut squeezed("noeviction"), "return redis.call('get','plain')", &bulk("p")).unwrap();

    let uncaught = "return redis.call('set','new','n')";
    let sha = "c83f7bd8d2bb1a8f5c3b8bd4f5c6d8c2d5ff0f2f";
    let other =
        error(&format!("ERR Error running script (call to f_{sha}): @user_script:1: @user_script: 1: -{REFUSAL}   "));
    let deviation = evaluate(&mut squeezed("noeviction"), uncaught, &other).unwrap_err();
    // All but the name of the script is right.
    assert!(deviation.to_string().contains(&format!("@user_script:1: @user_script: 1: -{REFUSAL}   ")), "{deviation}");
}
