//! What one client's commands do to others: transactions, blocked clients, subscribers, monitors, and the end of each.
#![allow(clippy::unwrap_used)]

mod conversation;

use conversation::{BEGIN_MS, Conversation};
use tally_check::target::{Embedded, Received, Setup, Target, Wait};
use tally_engine::{Config, Effect, Event, Held};
use tally_model::Reply;

#[test]
fn clients_are_served_in_the_order_in_which_they_blocked_whatever_others_wait_for() {
    let mut all = Conversation::new();
    for (client, command) in [(1, "BZPOPMIN k 0"), (2, "BLPOP k 0"), (3, "BLPOP k 0"), (4, "BZPOPMIN k 0")] {
        assert_eq!(all.tell(client, command), "");
    }
    assert!(all.text(&["INFO", "clients"]).contains("blocked_clients:4\r\n"));
    assert_eq!(all.tell(0, "RPUSH k x"), ":1|");
    assert_eq!(all.heard(2), "*2|$1|k|$1|x|");
    assert_eq!(all.tell(0, "ZADD k 1 a"), ":1|");
    assert_eq!(all.heard(1), "*3|$1|k|$1|a|$1|1|");
    assert_eq!((all.heard(3), all.heard(4)), (String::new(), String::new()));
    all.engine.validate();
}

#[test]
fn a_client_is_served_however_the_key_came_to_be() {
    for (setup, cause, served) in [
        ("RPUSH l x", "RENAME l k", "*2|$1|k|$1|x|"),
        ("RPUSH l 1", "SORT l STORE k", "*2|$1|k|$1|1|"),
        // In the place of a value of another type, which Redis overlooks.
        ("RPUSH l 2", "SET k v;SORT l STORE k", "*2|$1|k|$1|2|"),
        ("RPUSH l 3", "RPOPLPUSH l k", "*2|$1|k|$1|3|"),
        ("SELECT 1;RPUSH k 4", "MOVE k 0", "*2|$1|k|$1|4|"),
        ("SELECT 1;RPUSH k 5", "SWAPDB 0 1", "*2|$1|k|$1|5|"),
        ("PING", "MULTI;RPUSH k a;LPOP k;SET k v;DEL k;LPUSH k b c;EXEC", "*2|$1|k|$1|c|"),
        ("PING", "MULTI;RPUSH k a;DEL k;EXEC", ""),
        ("PING", "MULTI;RPUSH k a;DEL k;ZADD k 1 m;EXEC", ""),
        ("PING", "LPUSHX k a", ""),
    ] {
        let mut all = Conversation::new();
        setup.split(';').for_each(|line| drop(all.tell(2, line)));
        all.tell(1, "BLPOP k 0");
        cause.split(';').for_each(|line| drop(all.tell(2, line)));
        assert_eq!(all.heard(1), served, "{cause}");
        all.engine.validate();
    }
}

#[test]
fn what_was_stored_for_one_client_serves_the_next() {
    let mut all = Conversation::new();
    all.tell(1, "BRPOPLPUSH a b 0");
    all.tell(2, "BRPOPLPUSH b c 0");
    all.tell(3, "BLPOP c 0");
    all.tell(4, "BRPOPLPUSH d d 0");
    all.engine.record_propagation();
    all.tell(0, "RPUSH a x");
    assert_eq!((all.heard(1), all.heard(2), all.heard(3)), ("$1|x|".into(), "$1|x|".into(), "*2|$1|c|$1|x|".into()));
    let handed_on: Vec<String> = (all.engine.take_propagated().into_iter())
        .map(|one| String::from_utf8(one.arguments.join(&b' ')).unwrap())
        .collect();
    assert_eq!(handed_on, ["RPUSH a x", "RPOP a", "LPUSH b x", "RPOP b", "LPUSH c x", "LPOP c"]);
    all.tell(0, "RPUSH d 1 2");
    assert_eq!(all.heard(4), "$1|2|");
    assert_eq!(all.tell(0, "LRANGE d 0 -1"), "*2|$1|2|$1|1|");
    assert_eq!(all.tell(0, "EXISTS a b c"), ":0|");
}

#[test]
fn a_destination_of_another_type_costs_its_client_the_wait_and_no_element() {
    let mut all = Conversation::new();
    all.tell(0, "SET b text");
    all.tell(1, "BRPOPLPUSH a b 0");
    all.tell(2, "BRPOP a 0");
    all.tell(0, "RPUSH a x");
    assert!(all.heard(1).starts_with("-WRONGTYPE "));
    assert_eq!(all.heard(2), "*2|$1|a|$1|x|");
}

#[test]
fn a_wait_ends_by_the_clock_of_the_cron_and_not_before() {
    let mut all = Conversation::new();
    for (client, command) in [(1, "BLPOP k 1"), (2, "BRPOPLPUSH k l 1"), (3, "BZPOPMAX k 1"), (4, "WAIT 1 1000")] {
        assert_eq!(all.tell(client, command), "");
    }
    all.tell(5, "BLPOP k 0");
    all.wait_ms(1000);
    assert_eq!((1..=5).map(|client| all.heard(client)).collect::<String>(), "");
    all.wait_ms(100);
    assert_eq!((1..=5).map(|client| all.heard(client)).collect::<String>(), "*-1|*-1|*-1|:0|");
    // Who is gone is not served.
    all.tell(0, "RPUSH k x");
    assert_eq!(all.heard(5), "*2|$1|k|$1|x|");
    all.engine.validate();
    for timeout in ["9223372036854775807", "9223372036854775", "1.5", ""] {
        assert_eq!(all.tell(1, &format!("BLPOP k {timeout}")), "-ERR timeout is not an integer or out of range|");
    }
    assert_eq!(all.tell(1, "BRPOPLPUSH k l -1"), "-ERR timeout is negative|");
}

#[test]
fn what_a_blocked_client_sends_waits_until_its_wait_is_over() {
    let mut all = Conversation::new();
    all.tell(1, "BLPOP k 0");
    assert_eq!(all.tell(1, "SET after 1"), "");
    assert_eq!(all.tell(1, "BLPOP k 0"), "");
    assert_eq!(all.tell(1, "PING"), "");
    assert_eq!(all.tell(0, "GET after"), "$-1|");
    all.tell(0, "RPUSH k a");
    assert_eq!(all.heard(1), "*2|$1|k|$1|a|+OK|");
    assert_eq!(all.tell(0, "GET after"), "$1|1|");
    all.tell(0, "RPUSH k b");
    assert_eq!(all.heard(1), "*2|$1|k|$1|b|+PONG|");
}

#[test]
fn client_unblock_ends_waits_and_client_kill_takes_them_out_of_the_queue() {
    let mut all = Conversation::new();
    let ids: Vec<u64> = (1..=4).map(|client| all.client(client).0).collect();
    all.tell(1, "BRPOPLPUSH k l 0");
    all.tell(2, "BLPOP k 0");
    all.tell(3, "BLPOP k 0");
    all.tell(4, "BLPOP k 0");
    assert_eq!(all.tell(0, &format!("CLIENT UNBLOCK {} ERROR", ids[0])), ":1|");
    assert_eq!(all.heard(1), "-UNBLOCKED client unblocked via CLIENT UNBLOCK|");
    assert_eq!(all.tell(0, &format!("CLIENT UNBLOCK {} timeout", ids[1])), ":1|");
    assert_eq!(all.heard(2), "*-1|");
    assert_eq!(all.tell(0, &format!("CLIENT UNBLOCK {}", ids[1])), ":0|");
    assert_eq!(all.tell(0, &format!("CLIENT KILL ID {}", ids[2])), ":1|");
    all.tell(0, "RPUSH k x");
    assert_eq!(all.heard(4), "*2|$1|k|$1|x|");
    all.engine.validate();
}

#[test]
fn a_transaction_fails_when_a_watched_key_changes_in_any_way() {
    for (setup, change, fails) in [
        ("SET k v", "SET k v", true),
        ("SET k v", "GET k", false),
        ("SET k v", "SETNX k w", false),
        ("PING", "DEL k", false),
        ("SET k v", "MOVE k 3", true),
        ("SET k v EX 100", "PERSIST k", true),
        ("SET k v", "EXPIRE k 100", true),
        ("SET k v", "SWAPDB 0 1", true),
        ("PING", "SWAPDB 0 1", false),
        ("SET k v", "SWAPDB 0 0", false),
        ("SET k v", "FLUSHDB", true),
        ("PING", "FLUSHALL", false),
        ("SET k v", "SELECT 1;FLUSHDB", false),
        ("SET k v;SET l w", "RENAME l k", true),
        ("SET k v", "RENAME k l", true),
        ("SET k v", "RENAME k k", false),
        ("PFADD k a", "PFCOUNT k", true),
        ("SADD k a;SADD l a", "SMOVE l k a", true),
        ("SADD k a;SADD l a", "SMOVE k k a", false),
        ("RPUSH k a", "BLPOP k 0", true),
        ("RPUSH l 1", "SORT l STORE k", true),
        ("SET k 0", "BITFIELD k OVERFLOW FAIL INCRBY u1 0 9", true),
        ("SET k 0", "SELECT 1;SET k 1", false),
        ("SET k v", "MULTI;SET k w;EXEC", true),
        ("SET k v", "MULTI;SET k w;DISCARD", false),
    ] {
        let mut all = Conversation::new();
        setup.split(';').for_each(|line| drop(all.tell(0, line)));
        all.tell(1, "WATCH k other");
        change.split(';').for_each(|line| drop(all.tell(2, line)));
        all.tell(1, "MULTI");
        all.tell(1, "PING");
        assert_eq!(all.tell(1, "EXEC"), if fails { "*-1|" } else { "*1|+PONG|" }, "{setup} {change}");
        // And it watches no more.
        all.tell(2, "SELECT 0");
        all.tell(2, "SET k x");
        all.tell(1, "MULTI");
        assert_eq!(all.tell(1, "EXEC"), "*0|");
        assert_eq!(all.engine.held().watched_keys, 0);
    }
}

#[test]
fn a_deadline_that_passes_is_a_change_unless_it_had_passed_before() {
    for removed in [false, true] {
        let mut all = Conversation::new();
        all.tell(0, "DEBUG SET-ACTIVE-EXPIRE 0");
        all.tell(0, "SET k v PX 10");
        all.tell(1, "WATCH k");
        all.pass_ms(20);
        all.tell(2, "WATCH k");
        if removed {
            all.tell(0, "GET k");
        }
        for client in [1, 2] {
            all.tell(client, "MULTI");
        }
        assert_eq!((all.tell(1, "EXEC"), all.tell(2, "EXEC")), ("*-1|".into(), "*0|".into()), "{removed}");
    }
}

#[test]
fn a_client_tells_itself_before_it_answers_itself() {
    let mut all = Conversation::new();
    all.tell(0, "CONFIG SET notify-keyspace-events El");
    all.tell(0, "RPUSH l a b");
    for line in ["MULTI", "SUBSCRIBE __keyevent@0__:lpop c", "LPOP l", "PUBLISH c m", "GET l", "UNSUBSCRIBE c"] {
        all.tell(0, line);
    }
    let event = "*3|$7|message|$19|__keyevent@0__:lpop|$1|l|";
    let expected = "*5|*3|$9|subscribe|$19|__keyevent@0__:lpop|:1|*3|$9|subscribe|$1|c|:2|".to_owned()
        + event
        + "$1|a|*3|$7|message|$1|c|$1|m|:1|-WRONGTYPE Operation against a key holding the wrong kind of value|"
        + "*3|$11|unsubscribe|$1|c|:1|";
    assert_eq!(all.tell(0, "EXEC"), expected);
    assert!(all.tell(0, "GET l").starts_with("-ERR only (P)SUBSCRIBE"));
    assert_eq!(all.tell(0, "PING"), "*2|$4|pong|$0||");
}

#[test]
fn replies_that_are_switched_off_within_a_transaction_leave_those_before() {
    let mut all = Conversation::new();
    for (switch, answer, next) in [
        ("OFF", "*3|+PONG|", ["", ""]),
        ("SKIP", "*3|+PONG|+PONG|", ["", "+PONG|"]),
        ("ON", "*3|+PONG|+OK|+PONG|", ["+PONG|"; 2]),
    ] {
        all.tell(1, "MULTI");
        all.tell(1, "PING");
        all.tell(1, &format!("CLIENT REPLY {switch}"));
        all.tell(1, "PING");
        assert_eq!(all.tell(1, "EXEC"), answer);
        assert_eq!([all.tell(1, "PING"), all.tell(1, "PING")], next);
        assert_eq!(all.tell(1, "CLIENT REPLY ON"), "+OK|");
    }
}

#[test]
fn a_transaction_waits_for_its_snapshot_and_goes_on_in_order() {
    let mut target = Embedded::new();
    target.reset(&Setup::default()).unwrap();
    let one = target.open().unwrap();
    target.send(one, b"MULTI\r\nSET k 1\r\nSAVE\r\nDEBUG RELOAD\r\nINCR k\r\nEXEC\r\nGET k\r\n").unwrap();
    let mut replies = Vec::new();
    while let Received::Reply(reply) = target.receive(one, Wait::Settled).unwrap() {
        replies.push(reply);
    }
    let ok = || Reply::Status(b"OK".to_vec());
    assert_eq!(replies[5..], [Reply::Array(vec![ok(), ok(), ok(), Reply::Integer(2)]), Reply::Bulk(b"2".to_vec())]);
}

#[test]
fn monitors_are_shown_what_is_executed() {
    let mut all = Conversation::new();
    assert_eq!(all.tell(1, "MONITOR"), "+OK|");
    assert_eq!(all.tell(1, "MONITOR"), "");
    all.tell(2, "SELECT 3");
    all.exchange_as(2, &[b"set", b"a\"\\\n\r\t\x07\x08\x01\xff ~", b""]);
    all.tell(2, "GET");
    all.tell(2, "CONFIG GET port");
    for line in ["MULTI", "PING", "SELECT 1", "EXEC", "AUTH x", "BLPOP q 0"] {
        all.tell(2, line);
    }
    all.tell(0, "SELECT 1");
    all.tell(0, "RPUSH q 1");
    let (seconds, address) = (BEGIN_MS / 1000, "127.0.0.1:3");
    let line = |db: i32, words: &str| format!("+{seconds}.000000 [{db} {address}] {words}|");
    let expected = [
        line(0, r#""SELECT" "3""#),
        line(3, r#""set" "a\"\\\n\r\t\a\b\x01\xff ~" """#),
        line(3, r#""MULTI""#),
        line(3, r#""PING""#),
        line(3, r#""SELECT" "1""#),
        line(1, r#""EXEC""#),
        line(1, r#""BLPOP" "q" "0""#),
        format!("+{seconds}.000000 [0 127.0.0.1:1] \"SELECT\" \"1\"|"),
        format!("+{seconds}.000000 [1 127.0.0.1:1] \"RPUSH\" \"q\" \"1\"|"),
    ];
    assert_eq!(all.heard(1), expected.concat());
    assert_eq!(all.tell(1, "PING"), format!("+{seconds}.000000 [0 127.0.0.1:2] \"PING\"|+PONG|"));
}

#[test]
fn a_pause_holds_all_but_monitors_and_waits_go_on() {
    let mut all = Conversation::new();
    all.tell(1, "BLPOP k 1");
    all.tell(2, "MONITOR");
    all.tell(0, "CLIENT PAUSE 5000");
    // Nobody else can send another one.
    assert!(all.tell(2, "CLIENT PAUSE 10").ends_with("+OK|"));
    assert_eq!(all.tell(3, "RPUSH k x"), "");
    assert!(all.tell(2, "PING").ends_with("+PONG|"));
    all.wait_ms(1200);
    assert_eq!(all.heard(1), "*-1|");
    assert_eq!(all.tell(1, "PING"), "");
    all.wait_ms(4000);
    assert_eq!((all.heard(1), all.heard(3)), ("+PONG|".into(), ":1|".into()));
    assert_eq!(all.tell(3, "CLIENT PAUSE 9223372036854775807"), "-ERR timeout is not an integer or out of range|");
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_at_its_class_s_limit() {
    let mut all = Conversation::new();
    all.tell(0, "CONFIG SET client-output-buffer-limit x");
    all.exchange(&[b"CONFIG", b"SET", b"client-output-buffer-limit", b"pubsub 1000 0 0"]);
    all.tell(1, "SUBSCRIBE c");
    all.tell(2, "PSUBSCRIBE *");
    let slow = all.client(1);
    for _ in 0..100 {
        all.tell(0, "PUBLISH c 0123456789");
        all.heard(2);
    }
    assert!(all.effects.contains(&Effect::Close { client: slow, after_output: false }));
    assert_eq!(all.tell(0, "PUBLISH c x"), ":1|");
    assert_eq!(all.engine.held().subscriptions, 0);
    all.engine.validate();
}

#[test]
fn the_slow_log_keeps_commands_as_they_came() {
    let mut all = Conversation::new();
    all.tell(0, "CONFIG SET slowlog-log-slower-than 0");
    all.tell(1, "CLIENT SETNAME me");
    all.tell(0, "SLOWLOG RESET");
    for line in ["SADD s a", "SPOP s", "MULTI", "PING", "EXEC", "NOSUCH", "GET"] {
        all.tell(1, line);
    }
    all.tell(0, "CONFIG SET slowlog-log-slower-than -1");
    let seconds = BEGIN_MS / 1000;
    let first = format!("*6|:3|:{seconds}|:0|*3|$4|SADD|$1|s|$1|a|$11|127.0.0.1:2|$2|me|");
    let log = all.tell(0, "SLOWLOG GET -1");
    assert!(log.starts_with("*5|") && log.contains(&first) && log.contains("*2|$4|SPOP|$1|s|"), "{log}");
    assert!(!log.contains("EXEC") && log.contains("*1|$4|PING|"), "{log}");
    assert_eq!(all.tell(0, "SLOWLOG LEN"), ":5|");
    assert_eq!(all.tell(0, "SLOWLOG RESET"), "+OK|");
    assert_eq!(all.tell(0, "SLOWLOG GET"), "*0|");
}

#[test]
fn latency_is_sampled_above_the_threshold() {
    let mut all = Conversation::new();
    assert_eq!(all.tell(0, "LATENCY LATEST"), "*0|");
    assert!(all.tell(0, "LATENCY DOCTOR").contains("latency-monitor-threshold"));
    all.tell(0, "CONFIG SET latency-monitor-threshold 20");
    for seconds in ["0.01", "0.05", "0.03"] {
        all.tell(0, &format!("DEBUG SLEEP {seconds}"));
    }
    let now_s = BEGIN_MS / 1000;
    assert_eq!(all.tell(0, "LATENCY LATEST"), format!("*1|*4|$7|command|:{now_s}|:50|:50|"));
    all.pass_ms(2000);
    all.tell(0, "DEBUG SLEEP 0.04");
    let history = format!("*2|*2|:{now_s}|:50|*2|:{}|:40|", now_s + 2);
    assert_eq!(all.tell(0, "LATENCY HISTORY command"), history);
    assert_eq!(all.tell(0, "LATENCY HISTORY COMMAND"), "*0|");
    assert!(
        all.tell(0, "LATENCY GRAPH command").contains("command - high 50 ms, low 40 ms (all time high 50 ms)\n---")
    );
    assert!(all.tell(0, "LATENCY DOCTOR").contains("command"));
    assert_eq!(all.tell(0, "LATENCY GRAPH nope"), "-ERR No samples available for event 'nope'|");
    assert_eq!(all.tell(0, "LATENCY RESET command command nope"), ":1|");
    assert_eq!(all.tell(0, "LATENCY RESET"), ":0|");
}

#[test]
fn client_list_shows_what_a_client_is_in() {
    let mut all = Conversation::new();
    all.tell(1, "MONITOR");
    all.tell(2, "SUBSCRIBE a b");
    all.tell(2, "PSUBSCRIBE c");
    all.tell(3, "WATCH k");
    all.tell(3, "MULTI");
    all.tell(3, "PING");
    all.tell(4, "BLPOP q 0");
    all.tell(0, "SET k v");
    let list = all.text(&["CLIENT", "LIST"]);
    let lines: Vec<&str> = list.lines().collect();
    for (line, shown) in lines.iter().zip([
        "flags=N db=0 sub=0 psub=0 multi=-1 ",
        "flags=O db=0 sub=0 psub=0 multi=-1 ",
        "flags=P db=0 sub=2 psub=1 multi=-1 ",
        "flags=xd db=0 sub=0 psub=0 multi=1 ",
        "flags=b db=0 sub=0 psub=0 multi=-1 ",
    ]) {
        assert!(line.contains(shown), "{line}");
    }
    assert_eq!(all.text(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count(), 1);
    assert_eq!(all.tell(0, "CLIENT KILL TYPE pubsub"), ":1|");
    assert_eq!(all.engine.held().subscriptions + all.engine.held().patterns, 0);
}

#[test]
fn memory_that_is_short_refuses_whatever_would_be_queued() {
    let config = Config { maxmemory: 1, ..Config::default() };
    let mut all = Conversation::with(config);
    let refused = "-OOM command not allowed when used memory > 'maxmemory'.|";
    assert_eq!(all.tell(0, "GET k"), "$-1|");
    assert_eq!(all.tell(0, "MULTI"), "+OK|");
    assert_eq!(all.tell(0, "GET k"), refused);
    assert!(all.tell(0, "EXEC").starts_with("-EXECABORT "));
    all.tell(0, "MULTI");
    assert_eq!(all.tell(0, "DISCARD"), "+OK|");
}

/// A small generator of numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn whatever_connections_did_nothing_is_held_when_they_are_gone() {
    const LINES: &[&str] = &[
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH a b",
        "UNWATCH",
        "SET a 1",
        "DEL a b",
        "GET a",
        "RPUSH a 1 2",
        "RPUSH b 1",
        "ZADD b 1 x",
        "BLPOP a b a 1",
        "BRPOP b 0",
        "BRPOPLPUSH a b 0",
        "BRPOPLPUSH b a 2",
        "BZPOPMIN b a 0",
        "BZPOPMAX b 1",
        "SUBSCRIBE a b",
        "PSUBSCRIBE * a*",
        "UNSUBSCRIBE a",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "PUNSUBSCRIBE *",
        "PUBLISH a m",
        "MONITOR",
        "SELECT 1",
        "SELECT 0",
        "SWAPDB 0 1",
        "FLUSHALL",
        "CLIENT PAUSE 30",
        "WAIT 1 50",
        "QUIT",
        "CLIENT KILL TYPE pubsub",
        "CLIENT REPLY OFF",
        "CLIENT REPLY ON",
        "NOSUCH",
        "RENAME a b",
        "MOVE a 1",
    ];
    let mut most = Held::default();
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut all = Conversation::new();
        all.tell(0, "CONFIG SET notify-keyspace-events KEA");
        let mut clients = Vec::new();
        for _ in 0..150 {
            if clients.is_empty() || dice.below(12) == 0 {
                let number = 1000 * seed + clients.len() as u64 + 1;
                clients.push(all.client(number));
            }
            let client = clients[dice.below(clients.len() as u64) as usize];
            let line = LINES[dice.below(LINES.len() as u64) as usize];
            match dice.below(20) {
                0 => all.engine.handle(&mut all.world, Event::Closed { client }),
                1 => all.wait_ms(dice.below(1500)),
                2 => {
                    // The connection is cut within a request.
                    let cut = dice.below(line.len() as u64 + 1) as usize;
                    all.engine.feed(&mut all.world, client, &line.as_bytes()[..cut]);
                    all.end_batch();
                    all.engine.handle(&mut all.world, Event::Closed { client });
                }
                3 => {
                    let output = all.engine.output(client).map(<[u8]>::len).sum();
                    all.engine.written(client, output);
                }
                _ => {
                    all.engine.feed(&mut all.world, client, format!("{line}\r\n").as_bytes());
                    if dice.below(3) > 0 {
                        all.end_batch();
                    }
                }
            }
            all.engine.validate();
            let held = all.engine.held();
            most.blocked_clients = most.blocked_clients.max(held.blocked_clients);
            most.watched_keys = most.watched_keys.max(held.watched_keys);
            most.queued_commands = most.queued_commands.max(held.queued_commands);
            most.patterns = most.patterns.max(held.patterns);
        }
        for client in clients.into_iter().chain([all.client(0)]) {
            all.engine.handle(&mut all.world, Event::Closed { client });
        }
        all.end_batch();
        all.engine.validate();
        assert_eq!(all.engine.held(), Held::default(), "seed {seed}");
    }
    assert!(
        most.patterns > 3 && most.watched_keys > 3 && most.queued_commands > 3 && most.blocked_clients > 1,
        "{most:?}"
    );
}

#[test]
fn a_blocking_command_in_a_file_blocks_nobody() {
    let mut all = Conversation::new();
    let file = b"*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n0\r\n*3\r\n$5\r\nRPUSH\r\n$1\r\nk\r\n$1\r\nx\r\n";
    all.engine.load_aof(&mut all.world, &mut &file[..]).unwrap();
    assert_eq!(all.tell(0, "LRANGE k 0 -1"), "*1|$1|x|");
    assert_eq!(all.engine.held().blocked_clients, 0);
    all.engine.validate();
}

#[test]
fn what_several_clients_hand_on_leads_to_the_same_dataset() {
    const LINES: &[&str] = &[
        "MULTI",
        "EXEC",
        "EXEC",
        "RPUSH a 1 2",
        "LPUSH b 3",
        "RPUSH c 4 5 6",
        "ZADD b 1 x 2 y",
        "ZADD d 3 z",
        "BLPOP a b 0",
        "BRPOPLPUSH a b 0",
        "BRPOPLPUSH c c 0",
        "BZPOPMIN b d 0",
        "BZPOPMAX d 0",
        "DEL a b",
        "RENAME a b",
        "MOVE a 1",
        "SELECT 1",
        "SELECT 0",
        "SWAPDB 0 1",
        "SADD s 1 2 3",
        "SPOP s",
        "PFADD p a b",
        "PFCOUNT p",
        "SET e v PX 40",
        "GET e",
        "PUBLISH c m",
        "INCRBYFLOAT f 0.5",
    ];
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut all = Conversation::new();
        all.engine.record_propagation();
        for _ in 0..120 {
            let number = dice.below(6);
            let line = LINES[dice.below(LINES.len() as u64) as usize];
            if dice.below(10) == 0 {
                all.wait_ms(30);
            }
            all.tell(number, line);
        }
        let propagated = all.engine.take_propagated();
        for aof in [true, false] {
            let mut copy = Conversation::new();
            let mut open = false;
            for one in propagated.iter().filter(|one| if aof { one.targets.aof } else { one.targets.replicas }) {
                let wraps = |name: &[u8]| one.arguments[0].eq_ignore_ascii_case(name);
                assert_eq!(wraps(b"MULTI"), !open && wraps(b"MULTI"), "MULTI within MULTI");
                assert!(open || !wraps(b"EXEC"), "EXEC without MULTI");
                open = wraps(b"MULTI") || open && !wraps(b"EXEC");
                // A copy runs nothing by its own clock.
                copy.world.unix_us = BEGIN_MS * 1000;
                copy.tell(0, &format!("SELECT {}", one.db));
                copy.exchange(&one.arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            assert!(!open, "EXEC is missing");
            let digest = |conversation: &mut Conversation| {
                conversation.wait_ms(1_000_000);
                conversation.tell(99, "DEBUG DIGEST")
            };
            assert_eq!(digest(&mut all), digest(&mut copy), "seed {seed}, AOF {aof}");
        }
    }
}
