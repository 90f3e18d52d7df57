//! Clients that wait for entries of streams.
#![allow(clippy::unwrap_used)]

use crate::world::Still;
use crate::{ClientId, Config, Engine, Event, Held, Peer};

/// Some clients of an engine, by number; time passes only when it is told to.
struct Room {
    engine: Engine,
    world: Still,
    clients: Vec<ClientId>,
}

const NOW_MS: i64 = 1_700_000_000_000;

impl Room {
    fn new(clients: usize) -> Room {
        let mut world = Still { unix_us: NOW_MS * 1000, ..Still::default() };
        let mut engine = Engine::new(Config::default(), 1);
        engine.start(&mut world);
        engine.record_propagation();
        let peer = || Peer { address: "127.0.0.1:5000".into(), descriptor: 7, local: true, unix_socket: false };
        let clients = (0..clients).map(|_| engine.connect(&mut world, peer())).collect();
        Room { engine, world, clients }
    }

    /// What the client has been sent since it was last looked at, line ends as spaces.
    fn got(&mut self, client: usize) -> String {
        let id = self.clients[client];
        let output = self.engine.output(id).collect::<Vec<_>>().concat();
        self.engine.written(id, output.len());
        String::from_utf8(output).unwrap().replace("\r\n", " ").trim_end().to_owned()
    }

    /// Sends a line, and answers what its sender is sent.
    fn say(&mut self, client: usize, line: &str) -> String {
        self.engine.feed(&mut self.world, self.clients[client], format!("{line}\r\n").as_bytes());
        self.engine.handle(&mut self.world, Event::BatchEnd);
        self.engine.validate();
        self.got(client)
    }

    /// Sends a line that is answered nothing now.
    fn block(&mut self, client: usize, line: &str) {
        let answer = self.say(client, line);
        assert_eq!(answer, "", "{line}");
    }

    fn pass(&mut self, ms: u64) {
        self.world.now_us += ms * 1000;
        self.world.unix_us += i64::try_from(ms * 1000).unwrap();
        self.engine.handle(&mut self.world, Event::Tick);
        self.engine.handle(&mut self.world, Event::BatchEnd);
        self.engine.validate();
    }

    fn close(&mut self) -> Held {
        for client in self.clients.drain(..) {
            self.engine.handle(&mut self.world, Event::Closed { client });
        }
        self.engine.handle(&mut self.world, Event::BatchEnd);
        self.engine.validate();
        self.engine.held()
    }

    /// What was handed on since it was last asked, a line each.
    fn handed_on(&mut self) -> Vec<String> {
        let commands = self.engine.take_propagated();
        commands.iter().map(|one| String::from_utf8(one.arguments.join(&b' ')).unwrap()).collect()
    }
}

/// The answer to a reader of `key` that gets these entries, each with the field f of value v.
fn entries(key: &str, ids: &[&str]) -> String {
    let each = ids.iter().map(|id| format!(" *2 ${} {id} *2 $1 f $1 v", id.len()));
    format!("*1 *2 ${} {key} *{}{}", key.len(), ids.len(), each.collect::<String>())
}

const NO_GROUP: &str = "-NOGROUP the consumer group this client was blocked on no longer exists";

#[test]
fn each_reader_is_served_by_an_added_entry_above_its_id() {
    let mut room = Room::new(5);
    room.say(0, "XADD k 3-0 f v");
    room.block(1, "XREAD BLOCK 0 STREAMS k $");
    room.block(2, "XREAD BLOCK 0 STREAMS k 4-7");
    room.block(3, "XREAD BLOCK 0 STREAMS other k 0 3-0");
    room.block(4, "XREAD BLOCK 0 STREAMS k 9-0");
    assert!(room.say(0, "INFO clients").contains("blocked_clients:4"));
    assert_eq!(room.say(0, "XADD k 4-7 f v"), "$3 4-7");
    assert_eq!(room.got(1), entries("k", &["4-7"]));
    assert_eq!(room.got(2), "");
    assert_eq!(room.got(3), entries("k", &["4-7"]));
    room.say(0, "XADD k 4-8 f v");
    assert_eq!(room.got(2), entries("k", &["4-8"]));
    assert_eq!((room.got(1), room.got(3), room.got(4)), Default::default());
    assert_eq!(room.engine.held().blocked_clients, 1);
    assert_eq!(room.engine.held().blocking_keys, 1);
    assert_eq!(room.close(), Held::default());
}

#[test]
fn readers_are_served_when_the_transaction_is_over() {
    let mut room = Room::new(3);
    room.block(1, "XREAD COUNT 2 BLOCK 0 STREAMS a b 0 0");
    room.block(2, "XREAD BLOCK 0 STREAMS a b 0 0");
    for line in ["MULTI", "XADD b 1-0 f v", "XADD a 1-0 f v", "XADD b 2-0 f v", "XADD b 3-0 f v", "XDEL b 1-0"] {
        room.say(0, line);
    }
    assert_eq!(room.say(0, "EXEC"), "*5 $3 1-0 $3 1-0 $3 2-0 $3 3-0 :1");
    assert_eq!(room.got(1), entries("b", &["2-0", "3-0"]));
    assert_eq!(room.got(2), entries("b", &["2-0", "3-0"]));
    assert_eq!(room.engine.held().blocking_keys, 0);
}

#[test]
fn a_transaction_does_not_wait() {
    let mut room = Room::new(1);
    room.say(0, "XGROUP CREATE k g $ MKSTREAM");
    room.say(0, "MULTI");
    room.say(0, "XREAD BLOCK 0 STREAMS k 0");
    room.say(0, "XREADGROUP GROUP g c BLOCK 0 STREAMS k >");
    assert_eq!(room.say(0, "EXEC"), "*2 *-1 *-1");
}

#[test]
fn consumers_of_a_group_share_entries_and_are_handed_on() {
    let mut room = Room::new(5);
    room.say(0, "XGROUP CREATE k g $ MKSTREAM");
    room.say(0, "XGROUP CREATE k h $");
    room.block(1, "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS k >");
    room.block(2, "XREADGROUP GROUP g d BLOCK 0 STREAMS k >");
    room.block(3, "XREADGROUP GROUP h c NOACK BLOCK 0 STREAMS k >");
    room.block(4, "XREADGROUP GROUP g e BLOCK 0 STREAMS k >");
    assert_eq!(room.say(0, "XINFO CONSUMERS k g"), "*0");
    for line in ["MULTI", "XADD k 1-0 f v", "XADD k 2-0 f v", "XADD k 3-0 f v"] {
        room.say(0, line);
    }
    room.handed_on();
    room.say(0, "EXEC");
    assert_eq!(room.got(1), entries("k", &["1-0"]));
    assert_eq!(room.got(2), entries("k", &["2-0", "3-0"]));
    assert_eq!(room.got(3), entries("k", &["1-0", "2-0", "3-0"]));
    assert_eq!(room.got(4), "");
    let claim = |consumer: &str, id: &str| {
        format!("XCLAIM k g {consumer} 0 {id} TIME {NOW_MS} RETRYCOUNT 1 FORCE JUSTID LASTID {id}")
    };
    let expected = [
        "MULTI",
        "XADD k 1-0 f v",
        "XADD k 2-0 f v",
        "XADD k 3-0 f v",
        "EXEC",
        &claim("c", "1-0"),
        &claim("d", "2-0"),
        &claim("d", "3-0"),
        "XREADGROUP GROUP h c STREAMS k 18446744073709551615-18446744073709551614",
        "XGROUP SETID k h 1-0",
        "XGROUP SETID k h 2-0",
        "XGROUP SETID k h 3-0",
    ];
    assert_eq!(room.handed_on(), expected);
    assert_eq!(room.say(0, "XPENDING k g"), "*4 :3 $3 1-0 $3 3-0 *2 *2 $1 c $1 1 *2 $1 d $1 2");
    room.say(0, "XADD k 4-0 f v");
    assert_eq!(room.got(4), entries("k", &["4-0"]));
}

#[test]
fn a_consumer_learns_that_its_group_is_gone_when_an_entry_is_added() {
    let mut room = Room::new(3);
    room.say(0, "XGROUP CREATE k g $ MKSTREAM");
    room.say(0, "XGROUP CREATE l g $ MKSTREAM");
    room.block(1, "XREADGROUP GROUP g c BLOCK 0 STREAMS k >");
    room.block(2, "XREADGROUP GROUP g c BLOCK 0 STREAMS l >");
    for line in ["XGROUP DESTROY k g", "DEL l", "SET l v", "DEL l", "RPUSH l v", "DEL l"] {
        room.say(0, line);
        assert_eq!((room.got(1), room.got(2)), Default::default(), "{line}");
    }
    // The entry is gone again before anybody could be served.
    room.say(0, "XADD k MAXLEN 0 1-0 f v");
    assert_eq!(room.got(1), NO_GROUP);
    room.say(0, "XADD l 1-0 f v");
    assert_eq!(room.got(2), NO_GROUP);
    assert_eq!(room.say(1, "PING"), "+PONG");
    assert_eq!(room.engine.held().blocked_clients, 0);
}

#[test]
fn a_group_that_is_made_anew_serves() {
    let mut room = Room::new(2);
    room.say(0, "XADD k 1-0 f v");
    room.say(0, "XGROUP CREATE k g $");
    room.block(1, "XREADGROUP GROUP g c BLOCK 0 STREAMS k >");
    room.say(0, "XGROUP DESTROY k g");
    room.say(0, "XGROUP CREATE k g 0");
    assert_eq!(room.got(1), "");
    room.say(0, "XADD k 2-0 f v");
    assert_eq!(room.got(1), entries("k", &["1-0", "2-0"]));
}

#[test]
fn a_stream_that_takes_the_name_serves_nobody_until_an_entry_is_added() {
    let mut room = Room::new(4);
    room.block(1, "XREAD BLOCK 0 STREAMS k 0");
    room.block(2, "XREAD BLOCK 0 STREAMS l 0");
    room.say(0, "XADD x 1-0 f v");
    room.say(0, "RENAME x k");
    room.say(0, "SELECT 1");
    room.say(0, "XADD l 1-0 f v");
    assert_eq!(room.say(0, "MOVE l 0"), ":1");
    room.say(0, "SELECT 0");
    assert_eq!((room.got(1), room.got(2)), Default::default());
    room.say(0, "XADD k 2-0 f v");
    room.say(0, "XADD l 2-0 f v");
    assert_eq!(room.got(1), entries("k", &["1-0", "2-0"]));
    assert_eq!(room.got(2), entries("l", &["1-0", "2-0"]));
}

#[test]
fn databases_that_are_exchanged_serve_readers() {
    let mut room = Room::new(4);
    room.say(0, "XGROUP CREATE l g $ MKSTREAM");
    room.block(1, "XREAD BLOCK 0 STREAMS k $");
    room.block(2, "XREADGROUP GROUP g c BLOCK 0 STREAMS l >");
    room.block(3, "XREAD BLOCK 0 STREAMS text 0");
    room.say(0, "SELECT 1");
    for line in ["XADD k 1-0 f v", "XADD l 1-0 f v", "SET text v", "SWAPDB 0 1"] {
        room.say(0, line);
    }
    assert_eq!(room.got(1), entries("k", &["1-0"]));
    assert_eq!(room.got(2), NO_GROUP);
    assert_eq!(room.got(3), "");
}

#[test]
fn a_trimmed_or_deleted_entry_serves_nobody() {
    let mut room = Room::new(2);
    room.block(1, "XREAD BLOCK 0 STREAMS k $");
    room.say(0, "XADD k MAXLEN 0 1-0 f v");
    for line in ["MULTI", "XADD k 2-0 f v", "XDEL k 2-0", "EXEC"] {
        room.say(0, line);
    }
    assert_eq!(room.got(1), "");
    room.say(0, "XADD k 3-0 f v");
    assert_eq!(room.got(1), entries("k", &["3-0"]));
}

#[test]
fn those_who_wait_for_another_type_keep_their_place() {
    let mut room = Room::new(5);
    room.block(1, "BLPOP k 0");
    room.block(2, "XREAD BLOCK 0 STREAMS k 0");
    room.block(3, "BZPOPMIN k 0");
    room.block(4, "BLPOP k 0");
    room.say(0, "XADD k 1-0 f v");
    assert_eq!(room.got(2), entries("k", &["1-0"]));
    room.say(0, "DEL k");
    room.say(0, "RPUSH k a");
    assert_eq!(room.got(1), "*2 $1 k $1 a");
    assert_eq!((room.got(3), room.got(4)), Default::default());
    assert_eq!(room.close(), Held::default());
}

#[test]
fn a_key_named_twice_counts_with_its_first_id() {
    let mut room = Room::new(2);
    room.block(1, "XREAD BLOCK 0 STREAMS k k 5-0 0");
    room.say(0, "XADD k 1-0 f v");
    assert_eq!(room.got(1), "");
    room.say(0, "XADD k 6-0 f v");
    assert_eq!(room.got(1), entries("k", &["6-0"]));
}

#[test]
fn the_time_to_wait_is_in_milliseconds_and_ends_in_the_absent_array() {
    let mut room = Room::new(3);
    room.say(0, "XGROUP CREATE k g $ MKSTREAM");
    room.block(1, "XREAD BLOCK 1500 STREAMS k $");
    room.block(2, "XREADGROUP GROUP g c BLOCK 2000 STREAMS k >");
    room.pass(1500);
    assert_eq!(room.got(1), "");
    // The cron looks ten times a second.
    room.pass(100);
    assert_eq!((room.got(1), room.got(2)), ("*-1".into(), String::new()));
    room.pass(500);
    assert_eq!(room.got(2), "*-1");
    room.say(0, "XADD k 1-0 f v");
    assert_eq!((room.got(1), room.got(2)), Default::default());
    assert_eq!(room.say(0, "XINFO CONSUMERS k g"), "*0");
}

#[test]
fn client_unblock_ends_the_wait() {
    let mut room = Room::new(3);
    room.block(1, "XREAD BLOCK 0 STREAMS k $");
    room.block(2, "XREAD BLOCK 0 STREAMS k $");
    let [_, first, second] = room.clients[..] else { unreachable!("there are three") };
    assert_eq!(room.say(0, &format!("CLIENT UNBLOCK {}", first.0)), ":1");
    assert_eq!(room.say(0, &format!("CLIENT UNBLOCK {} ERROR", second.0)), ":1");
    assert_eq!(room.got(1), "*-1");
    assert_eq!(room.got(2), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    assert_eq!(room.engine.held().blocking_keys, 0);
}

#[test]
fn a_reader_without_replies_is_served_in_silence() {
    let mut room = Room::new(2);
    room.say(0, "XGROUP CREATE k g $ MKSTREAM");
    room.say(1, "CLIENT REPLY OFF");
    room.block(1, "XREADGROUP GROUP g c BLOCK 0 STREAMS k >");
    room.say(0, "XADD k 1-0 f v");
    assert_eq!(room.got(1), "");
    assert_eq!(room.say(0, "XPENDING k g"), "*4 :1 $3 1-0 $3 1-0 *1 *2 $1 c $1 1");
    assert_eq!(room.say(1, "CLIENT REPLY ON"), "+OK");
}

#[test]
fn input_behind_the_wait_runs_when_it_is_over() {
    let mut room = Room::new(2);
    room.block(1, "XREAD BLOCK 0 STREAMS k $\r\nPING\r\nXREAD BLOCK 0 STREAMS k $\r\nPING");
    room.say(0, "XADD k 1-0 f v");
    assert_eq!(room.got(1), format!("{} +PONG", entries("k", &["1-0"])));
    room.say(0, "XADD k 2-0 f v");
    assert_eq!(room.got(1), format!("{} +PONG", entries("k", &["2-0"])));
}

#[test]
fn a_reader_that_waited_gets_a_thousand_entries_at_most() {
    let mut room = Room::new(2);
    room.block(1, "XREAD BLOCK 0 STREAMS k 0");
    room.say(0, "MULTI");
    for number in 1..=1005 {
        room.say(0, &format!("XADD k {number}-0 f v"));
    }
    room.say(0, "EXEC");
    assert!(room.got(1).starts_with("*1 *2 $1 k *1000 *2 $3 1-0 "));
}

#[test]
fn a_time_that_is_none_is_refused_where_it_stands() {
    let mut room = Room::new(1);
    let no_time = "-ERR timeout is not an integer or out of range";
    let beyond = i64::MAX - NOW_MS + 1;
    for (line, answer) in [
        ("XREAD BLOCK abc v", no_time),
        (&format!("XREAD BLOCK {beyond} v"), no_time),
        (&format!("XREAD BLOCK {} v", beyond - 1), "-ERR syntax error"),
        (&format!("XREAD BLOCK {beyond} BLOCK 1 STREAMS k $"), no_time),
        (&format!("XREADGROUP GROUP g c BLOCK {beyond} STREAMS k >"), no_time),
        ("XREADGROUP GROUP g c BLOCK abc v", no_time),
        ("XREAD BLOCK -1 v", "-ERR timeout is negative"),
        ("XREAD v BLOCK abc", "-ERR syntax error"),
        ("XREAD COUNT abc BLOCK abc", "-ERR value is not an integer or out of range"),
    ] {
        assert_eq!(room.say(0, line), answer, "{line}");
    }
    room.block(0, &format!("XREAD BLOCK {} STREAMS k $", beyond - 1));
}
