//! Eviction: when keys go, which may go, and who is told.
//!
//! In a conversation the figure for memory in use stands still, so that everything goes that can; where keys go one by one
//! the embedded engine is asked, whose figure is its own account.
#![allow(clippy::unwrap_used)]

use conversation::Conversation;
use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::eviction::{
    self, CacheLoad, Merit, POLICIES, PoolStep, a_pool_keeps_the_best, eviction_keeps_its_promises, hit_ratio,
    mean_place_of_the_evicted,
};
use tally_engine::config::Config;
use tally_engine::{Busy, Engine, Event, Peer, World};
use tally_model::Reply;

mod conversation;

/// More than is in use.
const PLENTY: &str = "1000000000";

/// A conversation with a policy, whose limit is to be set.
fn with(policy: &str) -> Conversation {
    Conversation::with(Config::parse(format!("maxmemory-policy {policy}")).unwrap())
}

fn handed_on(conversation: &mut Conversation) -> Vec<String> {
    let words = |arguments: Vec<Vec<u8>>| {
        arguments.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" ")
    };
    let commands = conversation.engine.take_propagated();
    assert!(commands.iter().all(|command| command.targets.aof && command.targets.replicas));
    commands.into_iter().map(|command| format!("{} {}", command.db, words(command.arguments))).collect()
}

/// The field of INFO.
fn info(conversation: &mut Conversation, field: &str) -> String {
    let text = conversation.text(&["INFO", "all"]);
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap().to_owned()
}

/// Memory becomes short without a command: more is in use from now on.
fn fill(conversation: &mut Conversation) {
    conversation.world.used_memory = 1 << 30;
}

/// And no more is.
fn relieve(conversation: &mut Conversation) {
    conversation.world.used_memory = 1 << 20;
}

//= SPEC.md#eviction
//# [EVICTION-1] (wire) While `maxmemory` is above 0 and more memory than that is in use, a client's command MUST evict keys, one by one, until no more than that is in use or no key is left that can be evicted, before it is executed, queued or refused for lack of memory, and be it one that only reads.
//# [EVICTION-8] (wire) A key that is evicted MUST be absent to every command, the one that evicted it included.
#[test]
fn a_command_that_reads_evicts_and_finds_what_it_evicted_absent() {
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.|";
    for (line, answer) in [("GET k", "$-1|"), ("EXISTS k", ":0|"), ("DBSIZE", ":0|"), ("SET n v", refused)] {
        for policy in POLICIES {
            let mut all = with(policy);
            all.tell(0, "SET k v EX 100");
            all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
            fill(&mut all);
            assert_eq!(all.tell(0, line), answer, "{policy}");
            relieve(&mut all);
            assert_eq!(all.tell(0, "DBSIZE"), ":0|", "{policy}");
        }
    }
    // One that is queued evicts too, and is refused if nothing is won by that.
    let mut all = with("allkeys-lru");
    all.tell(0, "SET k v");
    all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
    all.tell(1, "MULTI");
    fill(&mut all);
    assert_eq!(all.tell(1, "GET k"), refused);
    relieve(&mut all);
    assert_eq!(all.tell(0, "GET k"), "$-1|");
}

//= SPEC.md#eviction
//# [EVICTION-2] (wire) A command that is unknown, has a wrong number of arguments or is refused for lack of authentication MUST NOT evict keys.
#[test]
fn a_command_that_is_none_evicts_nothing() {
    let mut all = with("allkeys-random");
    all.tell(0, "SET k v");
    all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
    all.tell(0, "CONFIG SET requirepass secret");
    fill(&mut all);
    assert!(all.tell(0, "NOTHING k").starts_with("-ERR unknown command"));
    assert!(all.tell(0, "GET").starts_with("-ERR wrong number"));
    assert!(all.tell(1, "GET k").starts_with("-NOAUTH"));
    relieve(&mut all);
    all.tell(0, "AUTH secret");
    assert_eq!(all.tell(0, "GET k"), "$1|v|");
}

//= SPEC.md#eviction
//# [EVICTION-3] (wire) CONFIG SET `maxmemory` to a number above 0 MUST evict keys in the same way before it answers, and answer `+OK` whether or not enough memory was won.
#[test]
fn a_lower_limit_evicts_at_once() {
    let mut all = with("allkeys-lru");
    all.tell(0, "SET k v");
    assert_eq!(all.tell(0, "CONFIG SET maxmemory 1"), "+OK|");
    assert_eq!(info(&mut all, "evicted_keys"), "1");
    assert_eq!(all.tell(0, "CONFIG SET maxmemory 0"), "+OK|");
    assert_eq!(all.tell(0, "GET k"), "$-1|");
    // Another setting does not.
    let mut all = with("noeviction");
    all.tell(0, "SET k v");
    all.tell(0, "CONFIG SET maxmemory 1");
    all.tell(0, "CONFIG SET maxmemory-policy allkeys-lru");
    all.tell(0, "CONFIG SET maxmemory 0");
    assert_eq!(all.tell(0, "GET k"), "$-1|", "the last command but one came when the policy allowed it");
}

//= SPEC.md#eviction
//# [EVICTION-4] (wire) While a transaction or a script is executed nothing MUST be evicted, but by a CONFIG SET `maxmemory` that is one of its commands.
#[test]
fn nothing_goes_in_the_middle_of_a_transaction_or_a_script() {
    // The embedded engine counts what the first commands of the transaction take.
    let mut target = Limited::start("allkeys-random");
    target.limit_to_what_is_used();
    target.ask(&["MULTI"]);
    for number in 0..20 {
        target.ask(&["SET", &format!("new:{number}"), &"v".repeat(200)]);
    }
    target.ask(&["EVAL", "redis.call('set', 'last', 'v') return redis.call('dbsize')", "0"]);
    target.ask(&["DBSIZE"]);
    let Reply::Array(replies) = target.ask(&["EXEC"]) else { panic!("EXEC was refused") };
    assert_eq!(replies[20..], [Reply::Integer(121), Reply::Integer(121)]);
    let Reply::Integer(left) = target.ask(&["DBSIZE"]) else { panic!("no number") };
    assert!(left < 121, "the next command makes room");
    target.limit_to_what_is_used();
    let script = "local before = redis.call('dbsize') \
        for number = 1, 20 do redis.call('set', 'more:' .. number, string.rep('v', 200)) end \
        return redis.call('dbsize') - before";
    assert_eq!(target.ask(&["EVAL", script, "0"]), Reply::Integer(20));
    // A limit that is set within takes effect within.
    let mut all = with("allkeys-random");
    all.tell(0, "SET k v");
    for line in ["MULTI", "EXISTS k", "CONFIG SET maxmemory 1", "EXISTS k"] {
        all.tell(0, line);
    }
    assert_eq!(all.tell(0, "EXEC"), "*3|:1|+OK|:0|");
}

//= SPEC.md#eviction
//# [EVICTION-5] (wire) A policy whose name begins with `allkeys-` MUST be able to evict each key of each database, and one whose name begins with `volatile-` each key that has a deadline.
//# [EVICTION-6] (wire) Under a policy whose name begins with `volatile-` a key without a deadline MUST NOT be evicted.
//# [EVICTION-7] (wire) Under `noeviction` keys MUST NOT be evicted.
#[test]
fn a_policy_says_which_keys_may_go() {
    for policy in POLICIES.into_iter().chain(["noeviction"]) {
        let mut all = with(policy);
        for db in ["0", "3", "15"] {
            all.tell(0, &format!("SELECT {db}"));
            all.tell(0, "SET mortal v EX 100");
            all.tell(0, "SADD eternal v w");
        }
        all.tell(0, "CONFIG SET maxmemory 1");
        all.tell(0, "CONFIG SET maxmemory 0");
        let left = match policy {
            "noeviction" => ":1|:1|",
            _ if policy.starts_with("volatile") => ":0|:1|",
            _ => ":0|:0|",
        };
        for db in ["0", "3", "15"] {
            all.tell(0, &format!("SELECT {db}"));
            assert_eq!(all.tell(0, "EXISTS mortal") + &all.tell(0, "EXISTS eternal"), left, "{policy}, db {db}");
        }
        all.engine.validate();
    }
}

//= SPEC.md#eviction
//# [EVICTION-9] (wire) A key whose deadline has passed MAY be evicted in place of being found expired, and is told by `evicted` then.
#[test]
fn a_key_whose_time_is_over_may_be_evicted_all_the_same() {
    let mut all = with("volatile-ttl");
    all.tell(1, "PSUBSCRIBE *");
    for line in ["CONFIG SET notify-keyspace-events Exe", "DEBUG SET-ACTIVE-EXPIRE 0", "SET k v PX 10"] {
        assert_eq!(all.tell(0, line), "+OK|");
    }
    all.pass_ms(11);
    all.tell(0, "CONFIG SET maxmemory 1");
    assert_eq!(all.heard(1), "*4|$8|pmessage|$1|*|$22|__keyevent@0__:evicted|$1|k|");
    assert_eq!((info(&mut all, "evicted_keys"), info(&mut all, "expired_keys")), ("1".to_owned(), "0".to_owned()));
}

//= SPEC.md#eviction
//# [EVICTION-10] (file) An eviction MUST be propagated as `DEL key`, or `UNLINK key` with `lazyfree-lazy-eviction yes`, before all that the command propagates that evicted the key, and by no command else.
#[test]
fn an_eviction_is_propagated_before_the_command_that_evicted() {
    for (lazy, removal) in [("no", "DEL"), ("yes", "UNLINK")] {
        let mut all = with("allkeys-random");
        all.tell(0, &format!("CONFIG SET lazyfree-lazy-eviction {lazy}"));
        all.tell(0, "SELECT 2");
        all.tell(0, "SET k v");
        all.tell(0, "SELECT 0");
        all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
        all.engine.record_propagation();
        for line in ["MULTI", "DEL no", "SCRIPT LOAD return(1)"] {
            all.tell(0, line);
        }
        fill(&mut all);
        // Commands that need no memory are executed although nothing else can go.
        all.tell(0, "EXEC");
        let expected = [format!("2 {removal} k"), "0 MULTI".into(), "0 SCRIPT LOAD return(1)".into(), "0 EXEC".into()];
        assert_eq!(handed_on(&mut all), expected);
    }
}

//= SPEC.md#eviction
//# [EVICTION-11] (wire) The event of [NOTIFY-5] MUST be published once for each key that is evicted, before all that the command sends that evicted it, to its own client and to others.
//= SPEC.md#events
//# [NOTIFY-5] (wire) A key that is evicted MUST be told by `evicted`, of class `e`.
//= SPEC.md#watch
//# [WATCH-7] (wire) A key that is evicted, and a key with a deadline that passes between WATCH and EXEC, MUST count as touched, be it removed by then or not.
#[test]
fn an_eviction_is_told_to_those_who_listen_and_to_those_who_watch() {
    let event = "*4|$8|pmessage|$1|*|$22|__keyevent@5__:evicted|$1|k|";
    let mut all = with("allkeys-random");
    all.tell(0, "CONFIG SET notify-keyspace-events Ee");
    all.tell(1, "PSUBSCRIBE *");
    for client in [2, 3] {
        all.tell(client, "SELECT 5");
    }
    all.tell(2, "SET k v");
    all.tell(2, "WATCH k");
    all.tell(2, "MULTI");
    all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
    fill(&mut all);
    // Its own command is what evicts.
    assert_eq!(all.tell(1, "PING"), format!("{event}*2|$4|pong|$0||"));
    assert_eq!(all.tell(2, "EXEC"), "*-1|");
    all.tell(0, "CONFIG SET maxmemory 0");
    all.tell(3, "SET k v");
    assert_eq!(all.heard(1), "");
    all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
    // CONFIG SET evicted it, and the one who watches no more is not disturbed.
    assert_eq!(all.heard(1), event);
    all.tell(2, "MULTI");
    assert_eq!(all.tell(2, "EXEC"), "*0|");
    // Other classes are not told.
    relieve(&mut all);
    all.tell(3, "SET k v");
    all.tell(0, "CONFIG SET notify-keyspace-events Egx");
    fill(&mut all);
    all.tell(3, "GET k");
    assert_eq!(all.heard(1), "");
}

//= SPEC.md#eviction
//# [EVICTION-24] (wire) An eviction MUST be published as `notify-keyspace-events` and the subscriptions ask for it before the command that evicts is executed, be it one that changes them.
#[test]
fn an_eviction_is_told_as_was_asked_for_before_the_command() {
    let keyevent = "*4|$8|pmessage|$1|*|$22|__keyevent@0__:evicted|$1|k|";
    let keyspace = "*4|$8|pmessage|$1|*|$16|__keyspace@0__:k|$7|evicted|";
    let short = || {
        let mut all = with("allkeys-random");
        all.tell(0, "CONFIG SET notify-keyspace-events Ee");
        all.tell(1, "PSUBSCRIBE *");
        all.tell(0, "SET k v");
        all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
        fill(&mut all);
        all
    };
    let mut all = short();
    all.tell(0, "CONFIG SET notify-keyspace-events Ke");
    assert_eq!(all.heard(1), keyevent);
    // Who begins to listen hears nothing of it, and who ends hears it first.
    let mut all = short();
    assert_eq!(all.tell(2, "PSUBSCRIBE *"), "*3|$10|psubscribe|$1|*|:1|");
    assert_eq!(all.heard(1), keyevent);
    let mut all = short();
    assert_eq!(all.tell(1, "PUNSUBSCRIBE *"), format!("{keyevent}*3|$12|punsubscribe|$1|*|:0|"));
    // Within a transaction it is what was set before.
    let mut all = short();
    relieve(&mut all);
    for line in [
        "MULTI",
        "CONFIG SET notify-keyspace-events Ke",
        "CONFIG SET maxmemory 1",
        "CONFIG SET notify-keyspace-events Ee",
        "EXEC",
    ] {
        all.tell(0, line);
    }
    assert_eq!(all.heard(1), keyspace);
}

//= SPEC.md#eviction
//# [EVICTION-12] (wire) `evicted_keys` in the section Stats of INFO MUST be how many keys were evicted since start or CONFIG RESETSTAT.
//# [EVICTION-13] (wire) An eviction MUST NOT count as a change in `rdb_changes_since_last_save`.
#[test]
fn evictions_are_counted_but_not_as_changes() {
    let mut all = with("allkeys-lfu");
    (0..20).for_each(|number| drop(all.tell(0, &format!("SET {number} v"))));
    assert_eq!(info(&mut all, "evicted_keys"), "0");
    all.tell(0, "CONFIG SET maxmemory 1");
    assert_eq!(info(&mut all, "evicted_keys"), "20");
    assert_eq!(info(&mut all, "rdb_changes_since_last_save"), "20");
    all.tell(0, "CONFIG RESETSTAT");
    assert_eq!(info(&mut all, "evicted_keys"), "0");
}

/// A world where each look at the clock takes two milliseconds.
struct Slow {
    now_us: u64,
    used_memory: usize,
}

impl World for Slow {
    fn now_us(&mut self) -> u64 {
        self.now_us += 2000;
        self.now_us
    }

    fn unix_us(&mut self) -> i64 {
        1_700_000_000_000_000
    }

    fn used_memory(&self, account: &dyn Fn() -> usize) -> usize {
        self.used_memory + account()
    }

    fn sleep_us(&mut self, us: u64) {
        self.now_us += us;
    }

    fn process_fact(&self, _field: &str) -> Option<String> {
        None
    }
}

//= SPEC.md#eviction
//# [EVICTION-14] (wire) The removal of a key that is evicted MUST be an event `eviction-del` of LATENCY, and all that a command evicts, if that is enough, one `eviction-cycle`.
#[test]
fn slow_evictions_are_events_of_latency() {
    let mut world = Slow { now_us: 0, used_memory: 1 << 20 };
    let directives = "maxmemory-policy allkeys-random\nlatency-monitor-threshold 1";
    let mut engine = Engine::new(Config::parse(directives).unwrap(), 1);
    let peer = Peer { address: "127.0.0.1:1".into(), descriptor: 5, local: true, unix_socket: false };
    let client = engine.connect(&mut world, peer);
    let mut say = |line: &str| {
        engine.feed(&mut world, client, line.as_bytes());
        engine.handle(&mut world, Event::BatchEnd);
        let output = engine.output(client).collect::<Vec<_>>().concat();
        engine.written(client, output.len());
        String::from_utf8(output).unwrap()
    };
    let value = "v".repeat(500);
    (0..8).for_each(|number| drop(say(&format!("SET {number} {value}\r\n"))));
    say("LATENCY RESET\r\n");
    // The table of sixteen buckets and some keys stay.
    say(&format!("CONFIG SET maxmemory {}\r\n", (1 << 20) + 2000));
    let history = |text: &str| text.matches(":170").count();
    assert_eq!(history(&say("LATENCY HISTORY eviction-del\r\n")), 1);
    assert_eq!(history(&say("LATENCY HISTORY eviction-cycle\r\n")), 1);
    let left = say("DBSIZE\r\n");
    assert!([":2\r\n", ":3\r\n"].contains(&left.as_str()), "{left}");
    // All that went counts for the cycle, two looks at the clock each.
    let cycle = say("LATENCY LATEST\r\n");
    let worst = |event: &str| -> u64 {
        let behind = cycle.split(event).nth(1).unwrap();
        behind.split(':').nth(2).unwrap().split("\r\n").next().unwrap().parse().unwrap()
    };
    assert_eq!(worst("eviction-del"), 2);
    assert!(worst("eviction-cycle") >= 5 * 4, "{cycle}");
}

//= SPEC.md#eviction
//# [EVICTION-15] (wire) While clients are paused nothing MUST be evicted.
#[test]
fn nothing_goes_while_clients_are_paused() {
    let mut all = with("allkeys-lru");
    all.tell(0, "SET k v");
    all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
    all.tell(1, "MONITOR");
    all.tell(0, "CLIENT PAUSE 1000");
    fill(&mut all);
    // One who monitors is not paused.
    assert!(all.tell(1, "GET k").contains("$1|v|"));
    assert_eq!(all.tell(0, "GET k"), "");
    all.wait_ms(2000);
    assert_eq!(all.heard(0), "$-1|");
}

//= SPEC.md#eviction
//# [EVICTION-16] (inside) While a data set is loaded, or a script runs for longer than `lua-time-limit`, nothing MUST be evicted.
#[test]
fn nothing_goes_of_a_dataset_that_is_not_complete() {
    let mut writer = tally_model::rdb::Writer::new(tally_model::rdb::VERSION, tally_model::rdb::Forms::default());
    writer.select_db(0);
    (0..60_000).for_each(|number: u32| writer.key(&number.to_be_bytes(), &[b'v'; 100]));
    let file = writer.finish();
    let mut all = with("allkeys-lru");
    all.tell(0, &format!("CONFIG SET maxmemory {PLENTY}"));
    fill(&mut all);
    let mut loading = all.engine.begin_loading(&mut all.world, &file[..], false, file.len() as u64).unwrap();
    assert!(all.engine.load_step(&mut all.world, &mut loading).unwrap());
    assert!(all.tell(0, "INFO stats").contains("evicted_keys:0|"));
    while all.engine.load_step(&mut all.world, &mut loading).unwrap() {}
    relieve(&mut all);
    assert_eq!(all.tell(0, "DBSIZE"), ":60000|");
}

/// A world in which somebody else sends commands while a script runs for long.
struct Interrupted {
    still: tally_engine::world::Still,
    other: Option<tally_engine::ClientId>,
    answers: Vec<u8>,
}

impl World for Interrupted {
    fn now_us(&mut self) -> u64 {
        self.still.now_us += 1000;
        self.still.now_us
    }

    fn unix_us(&mut self) -> i64 {
        self.still.unix_us
    }

    fn used_memory(&self, _account: &dyn Fn() -> usize) -> usize {
        self.still.used_memory
    }

    fn sleep_us(&mut self, _us: u64) {}

    fn serve_others(&mut self, engine: &mut Engine) -> Busy {
        let Some(other) = self.other.take() else { return Busy::Continue };
        self.still.used_memory = 1 << 30;
        engine.feed(self, other, b"GET k\r\nSCRIPT KILL\r\n");
        self.answers = engine.output(other).collect::<Vec<_>>().concat();
        Busy::Continue
    }

    fn process_fact(&self, _field: &str) -> Option<String> {
        None
    }
}

//= SPEC.md#eviction
//# [EVICTION-16] (inside) While a data set is loaded, or a script runs for longer than `lua-time-limit`, nothing MUST be evicted.
#[test]
fn nothing_goes_beside_a_script_that_runs_for_long() {
    let still = tally_engine::world::Still { used_memory: 1 << 20, ..Default::default() };
    let mut world = Interrupted { still, other: None, answers: Vec::new() };
    let directives = "maxmemory-policy allkeys-random\nmaxmemory 1gb\nlua-time-limit 1";
    let mut engine = Engine::new(Config::parse(directives).unwrap(), 1);
    let mut connect = |world: &mut Interrupted, number: i32| {
        let peer = Peer { address: format!("127.0.0.1:{number}"), descriptor: number, local: true, unix_socket: false };
        engine.connect(world, peer)
    };
    let (one, other) = (connect(&mut world, 5), connect(&mut world, 6));
    world.other = Some(other);
    engine.feed(&mut world, one, b"SET k v\r\n");
    engine.feed(&mut world, one, b"EVAL \"while true do end\" 0\r\n");
    let answers = String::from_utf8_lossy(&world.answers).into_owned();
    assert!(answers.starts_with("-BUSY ") && answers.ends_with("+OK\r\n"), "{answers}");
    world.still.used_memory = 1 << 20;
    engine.feed(&mut world, one, b"DBSIZE\r\n");
    let output = engine.output(one).collect::<Vec<_>>().concat();
    assert!(output.ends_with(b":1\r\n"), "{}", output.escape_ascii());
}

//= SPEC.md#eviction
//# [EVICTION-19] (inside) Under the policies that end with `-random` the databases that hold a key that can be evicted MUST take turns, each giving one that is chosen at random.
#[test]
fn databases_take_turns_where_chance_decides() {
    for policy in ["allkeys-random", "volatile-random"] {
        let mut all = with(policy);
        for (db, keys) in [(1, 3), (4, 2), (9, 4)] {
            all.tell(0, &format!("SELECT {db}"));
            (0..keys).for_each(|number| drop(all.tell(0, &format!("SET {number} v EX 100"))));
        }
        all.engine.record_propagation();
        all.tell(0, "CONFIG SET maxmemory 1");
        let databases: Vec<usize> = all.engine.take_propagated().iter().map(|command| command.db).collect();
        assert_eq!(databases, [1, 4, 9, 1, 4, 9, 1, 9, 9], "{policy}");
    }
}

//= SPEC.md#eviction
//# [EVICTION-20] (inside) The output buffers of replicas and the buffers of the append-only file MUST NOT count as memory in use.
#[test]
fn what_waits_for_the_append_only_file_does_not_count() {
    let mut all = Conversation::with(Config::parse("maxmemory-policy allkeys-lru\nappendonly yes").unwrap());
    all.tell(0, "SET other v");
    let value = "v".repeat(10_000);
    let client = all.client(0);
    all.tell(0, &format!("CONFIG SET maxmemory {}", (1 << 20) + 5000));
    let set = tally_check::request::Request::from_iter(["SET", "k", &value]);
    let mut bytes = Vec::new();
    set.encode(&mut bytes);
    // No end of a batch comes, so that nothing is written.
    all.engine.feed(&mut all.world, client, &bytes);
    all.world.used_memory = (1 << 20) + 9000;
    all.engine.feed(&mut all.world, client, b"EXISTS k other\r\n");
    assert!(all.take_output(0).ends_with(b":2\r\n"));
    all.world.used_memory = (1 << 20) + 20_000;
    all.engine.feed(&mut all.world, client, b"EXISTS k other\r\n");
    assert!(all.take_output(0).ends_with(b":0\r\n"));
}

//= SPEC.md#eviction
//# [EVICTION-21] (wire) A command flagged `denyoom` that a script calls MUST fail with the line `@user_script: LINE: -OOM command not allowed when used memory > 'maxmemory'.`, two spaces behind it, if memory is short and was so, with no key left that could be evicted, when its client sent EVAL, EVALSHA or EXEC, unless the script has called a command flagged `write` before.
//# [EVICTION-23] (wire) A command that a script calls behind one flagged `write` MUST NOT fail for lack of memory.
#[test]
fn a_script_that_began_when_memory_was_short_may_not_take_more() {
    let mut all = with("volatile-lru");
    all.tell(0, "SET eternal v");
    all.tell(0, "SET mortal v EX 100");
    all.tell(0, "CONFIG SET maxmemory 1");
    let mut eval = |script: &str| match all.say(&["EVAL", script, "0"]) {
        Reply::Error(text) => String::from_utf8(text).unwrap(),
        other => other.to_string(),
    };
    let line = "@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.";
    let failed = eval("return redis.call('set', 'k', 'v')");
    assert!(failed.ends_with(&format!("{line}   ")), "{failed:?}");
    assert_eq!(eval("return redis.pcall('set', 'k', 'v').err"), format!("\"{line}\\r\\n\""));
    assert_eq!(eval("return redis.call('get', 'eternal')"), "\"v\"");
    assert_eq!(eval("redis.call('del', 'no') return redis.call('strlen', 'eternal')"), "(integer) 1");
    let written = eval("redis.call('del', 'no') redis.call('set', 'k', 'v') return redis.call('exists', 'k')");
    assert_eq!(written, "(integer) 1");
}

//= SPEC.md#eviction
//# [EVICTION-22] (wire) Such a command MAY fail in the same way if memory became short only since then.
#[test]
fn a_script_in_a_transaction_may_take_what_can_be_won_back_later() {
    let mut target = Limited::start("allkeys-lru");
    target.limit_to_what_is_used();
    target.ask(&["MULTI"]);
    target.ask(&["SET", "large", &"v".repeat(2000)]);
    target.ask(&["EVAL", "return redis.call('set', 'k', 'v')", "0"]);
    let Reply::Array(replies) = target.ask(&["EXEC"]) else { panic!("EXEC was refused") };
    assert_eq!(replies, [Reply::ok(), Reply::ok()]);
}

/// The embedded engine with a hundred keys.
struct Limited {
    target: tally_check::target::Embedded,
    connection: tally_check::target::Connection,
}

impl Limited {
    fn start(policy: &str) -> Self {
        use tally_check::target::{Embedded, Setup, Target as _};
        let mut target = Embedded::new();
        let config = vec![("maxmemory-policy".to_owned(), policy.to_owned())];
        target.reset(&Setup { seed: 1, config, ..Setup::default() }).unwrap();
        let connection = target.open().unwrap();
        let mut limited = Self { target, connection };
        for number in 0..100 {
            limited.ask(&["SET", &format!("key:{number}"), "value"]);
        }
        limited
    }

    fn ask(&mut self, words: &[&str]) -> Reply {
        use tally_check::target::{Received, Target as _, Wait};
        let mut bytes = Vec::new();
        tally_check::request::Request::from(words).encode(&mut bytes);
        self.target.send(self.connection, &bytes).unwrap();
        match self.target.receive(self.connection, Wait::Reply).unwrap() {
            Received::Reply(reply) => reply,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn limit_to_what_is_used(&mut self) {
        let Reply::Bulk(text) = self.ask(&["INFO", "memory"]) else { panic!("no text") };
        let text = String::from_utf8(text).unwrap();
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().to_owned();
        assert_eq!(self.ask(&["CONFIG", "SET", "maxmemory", &used]), Reply::ok());
    }
}

fn pool_step() -> impl Strategy<Value = PoolStep> {
    prop_oneof![
        12 => (0u8..20, 0u8..3, 0u8..12).prop_map(|(score, db, key)| PoolStep::Offer { score, db, key }),
        2 => Just(PoolStep::Take),
        1 => prop::sample::select(vec![PoolStep::Take, PoolStep::Take, PoolStep::Clear]),
    ]
}

proptest! {
    //= SPEC.md#eviction
    //# [EVICTION-17] (inside) Under the policies that end with `-lru`, `-lfu` and `-ttl` the next key to be evicted MUST be the best that is still there of a pool of the 16 best candidates of all databases, to which up to `maxmemory-samples` keys, chosen at random, of each database are shown before each eviction, of those that the policy can evict.
    #[test]
    fn the_pool_keeps_the_sixteen_best_candidates(steps in vec(pool_step(), 0..200)) {
        a_pool_keeps_the_best(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(8)))]
    #[test]
    fn whatever_is_done_eviction_keeps_its_promises(seed: u64, policy in prop::sample::select(POLICIES.to_vec())) {
        eviction_keeps_its_promises(seed, policy, 150);
    }
}

#[test]
fn every_policy_evicts_and_refuses_while_it_keeps_its_promises() {
    for policy in POLICIES {
        let (evicted, refused) = eviction_keeps_its_promises(8, policy, 4000);
        println!("{policy}: {evicted} evicted, {refused} refused");
        assert!(evicted > 40, "{policy}: only {evicted} keys were evicted");
        assert!(refused > 0, "{policy}: nothing was refused");
    }
    let (evicted, refused) = eviction_keeps_its_promises(8, "noeviction", 4000);
    assert!(evicted == 0 && refused > 100, "noeviction: {evicted} evicted, {refused} refused");
}

/// Policies without chance, and what they go by.
const MERITS: [(&str, Merit); 5] = [
    ("allkeys-lru", Merit::Use),
    ("volatile-lru", Merit::Use),
    ("allkeys-lfu", Merit::Uses),
    ("volatile-lfu", Merit::Uses),
    ("volatile-ttl", Merit::Deadline),
];

//= SPEC.md#eviction
//# [EVICTION-18] (inside) The best candidate MUST be, for `-lru`, the one with the longest idle time, for `-lfu`, the one with the least access counter after the decay, and for `volatile-ttl`, the one with the earliest deadline.
#[test]
fn a_sample_of_all_keys_finds_the_best() {
    for (policy, merit) in MERITS {
        let place = mean_place_of_the_evicted(policy, merit, "2147483647", 100, 3);
        assert_eq!(place, 0.0, "{policy}");
    }
}

#[test]
fn a_sample_of_five_keys_comes_close_to_the_best() {
    for (policy, merit) in MERITS {
        let place = mean_place_of_the_evicted(policy, merit, "5", 200, 4);
        println!("{policy}: {place:.3}");
        assert!(place < 0.1, "{policy}: the evicted stand at {place:.3} of all on average");
    }
    let place = mean_place_of_the_evicted("allkeys-random", Merit::Deadline, "5", 200, 4);
    println!("allkeys-random: {place:.3}");
    assert!((0.4..0.6).contains(&place), "allkeys-random: {place:.3}");
}

/// Room for a twentieth of the keys that are asked for.
const LOAD: CacheLoad = CacheLoad { keys: 4000, room: 200, accesses: 10_000 };

#[test]
fn policies_that_look_at_use_keep_more_of_what_is_asked_for_than_chance() {
    for kind in ["allkeys", "volatile"] {
        let ratio = |policy: &str| {
            let ratio = hit_ratio(&format!("{kind}-{policy}"), "5", LOAD, 11);
            println!("{kind}-{policy}: {ratio:.3}");
            ratio
        };
        let (random, lru, lfu) = (ratio("random"), ratio("lru"), ratio("lfu"));
        // Three standard deviations of a ratio of 10,000 accesses are 0.015.
        assert!(lru > random + 0.02, "{kind}: LRU {lru:.3}, random {random:.3}");
        assert!(lfu > random + 0.05, "{kind}: LFU {lfu:.3}, random {random:.3}");
    }
    let exact = hit_ratio("allkeys-lru", "2147483647", LOAD, 11);
    let sampled = hit_ratio("allkeys-lru", "5", LOAD, 11);
    println!("allkeys-lru of all keys: {exact:.3}");
    assert!((exact - sampled).abs() < 0.02, "a sample of five {sampled:.3}, of all {exact:.3}");
}

#[test]
fn the_trace_is_as_skewed_as_it_says() {
    let mut counts = vec![0u32; 1000];
    eviction::SkewedTrace::new(1000, 5).take(100_000).for_each(|key| counts[key] += 1);
    // The harmonic number of 1000 is 7.485.
    for (rank, share) in [(1, 1.0 / 7.485), (2, 0.5 / 7.485), (10, 0.1 / 7.485)] {
        let measured = f64::from(counts[rank - 1]) / 100_000.0;
        assert!((measured / share - 1.0).abs() < 0.1, "rank {rank}: {measured:.4}, not {share:.4}");
    }
}
