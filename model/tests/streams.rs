//! Streams in files and on their way to replicas: listpacks, payloads, what a reader refuses, and that what is propagated
//! makes the same streams again.
#![allow(clippy::unwrap_used)]

use tally_model::rdb::{self, Content, Forms, RdbErrorKind, ValueType, listpack};
use tally_model::stream::{Consumer, StreamId, StreamValue};
use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Reply, Span};

const ME: ClientId = ClientId(1);

/// What DUMP of a 5.0.6 answered, uncompressed, for a stream with two nodes, deleted entries, numbers of all widths and two
/// groups, one with a consumer that has nothing pending.
const PAYLOAD: &str = "0f0210000000000000000500000000000000054045450000001900020101010201816102816202000103010001000101018374776f\
    040501020100010101c12c02dfff02050100010101dffc020101816302f290eefe040601ff10ffffffffffffffff0000000000000000409a9a000000\
    19000201010102018161028162020001030100010001f400f2052a0100000009f4000efad5feffffff090501020100010101f1001003f1ffef030501\
    000100010a010101846c6f6e6705e0467878787878787878787878787878787878787878787878787878787878787878787878787878787878787878\
    7878787878787878787878787878787878787878787878787878480601ff0481ffffffffffffffff0a02023737050600010469646c65fe4a0720a201\
    00000001670601030000000000000005000000000000000600806e8774010000030000000000000006000000000000000100806e877401000003ffff\
    ffffffffffff00000000000000010098f73e5d01000040640205616c696365fd4a0720a2010000020000000000000005000000000000000600000000\
    00000006000000000000000103626f62fd4a0720a201000001ffffffffffffffff000000000000000109009dfeee0fe45aebdf";

fn payload() -> Vec<u8> {
    let digits: Vec<u8> = PAYLOAD.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn value_of(body: &[u8]) -> Result<StreamValue, RdbErrorKind> {
    match rdb::value_of_payload(body) {
        Ok((ValueType::STREAM, Content::Stream(stream), 0)) => Ok(stream),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind),
    }
}

fn body_of(stream: &StreamValue) -> Vec<u8> {
    [vec![15], Content::Stream(stream.clone()).bytes(ValueType::STREAM, Forms::default()).unwrap()].concat()
}

// [STREAMENC-1] [STREAMENC-5] [STREAMENC-6] [STREAMENC-7] [RDBSTREAM-1] [RDBSTREAM-2] [RDBSTREAM-3] [RDBSTREAM-4] [RDBSTREAM-5]
// [LISTPACK-1] [LISTPACK-2] [LISTPACK-4] [LISTPACK-5]
#[test]
fn a_payload_of_a_real_server_is_read_and_written_alike() {
    let payload = payload();
    let body = rdb::payload(&payload).unwrap();
    let stream = value_of(body).unwrap();
    let id = |text: &str| StreamId::parse(text.as_bytes(), 0).unwrap();
    let entries: Vec<String> = stream.entries().map(|(id, _)| id.to_string()).collect();
    let last_ms = "18446744073709551615";
    assert_eq!(entries, ["5-6", "6-1", &format!("{last_ms}-1"), &format!("{last_ms}-10")]);
    let node = &stream.nodes[&id("5-5")];
    assert!(node.entries[&id("5-5")].deleted);
    let pairs = |field: &str, value: &str| (field.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(node.entries[&id("5-5")].pairs, [pairs("a", "1"), pairs("b", "two")]);
    assert_eq!(stream.nodes.len(), 2);
    assert_eq!(stream.entry(id("6-1")).unwrap(), &vec![pairs("c", "-70000")]);
    assert_eq!(stream.entry(id("5-5")), None);
    let group = &stream.groups[b"g".as_slice()];
    assert_eq!(group.last_id, id("6-1"));
    assert_eq!(group.pending_of(b"alice").count(), 2);
    let pending = &group.pending[&id(&format!("{last_ms}-1"))];
    assert_eq!((pending.delivered, pending.deliveries), (Span::at(1_500_000_000_000), 100));
    assert_eq!(stream.groups[b"77".as_slice()].consumers.keys().collect::<Vec<_>>(), [b"idle"]);
    assert_eq!(body_of(&stream), body);
}

// [LISTPACK-1] [LISTPACK-2] [LISTPACK-3] [LISTPACK-5]
#[test]
fn listpacks_have_the_form_that_real_servers_give_them() {
    let pack =
        |elements: &[&[u8]]| listpack::write(&elements.iter().map(|element| element.to_vec()).collect::<Vec<_>>());
    assert_eq!(pack(&[]), [7, 0, 0, 0, 0, 0, 0xff]);
    assert_eq!(pack(&[b"a", b"-1", b"64"]), [15, 0, 0, 0, 3, 0, 0x81, b'a', 2, 0xdf, 0xff, 2, 64, 1, 0xff]);
    // A string of 16,378 bytes takes 16,383 with its header, whose two groups of bits are all set.
    let long = pack(&[&[b'x'; 16_378]]);
    assert_eq!(long[..11], [0x09, 0x40, 0, 0, 1, 0, 0xf0, 0xfa, 0x3f, 0, 0]);
    assert_eq!(long[long.len() - 4..], [0, 0xff, 0xff, 0xff]);
    let many = vec![b"1".to_vec(); 70_000];
    assert_eq!(listpack::write(&many)[4..6], [0xff, 0xff]);
    assert_eq!(listpack::read(&listpack::write(&many)).unwrap(), many);
}

//= SPEC.md#listpacks
//# [LISTPACK-6] (file) A reader MUST accept a string or an integer in a longer form than needed, and refuse any other byte in the place of the encoding, elements that do not fill the listpack to its end, and another number or length than announced.
//= SPEC.md#listpacks
//# [LISTPACK-7] (inside) Reading a listpack of n bytes MUST take time and memory proportional to n at most.
#[test]
fn listpacks_in_other_forms_are_read_and_damaged_ones_refused() {
    let whole =
        |elements: &[u8], number: u8| [&[7 + elements.len() as u8, 0, 0, 0, number, 0], elements, &[0xff]].concat();
    for (element, text) in [
        ([0xf1, 5, 0, 3].as_slice(), "5"),
        (&[0xf4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 9], "-1"),
        (&[0xc0, 7, 2], "7"),
        (&[0xe0, 1, b'a', 3], "a"),
        (&[0xf0, 1, 0, 0, 0, b'a', 6], "a"),
        (&[0x81, b'5', 2], "5"),
    ] {
        assert_eq!(listpack::read(&whole(element, 1)).unwrap(), [text.as_bytes()], "{element:?}");
        assert_eq!(
            listpack::read(&[&whole(element, 1)[..4], &[0xff, 0xff], &whole(element, 1)[6..]].concat()).unwrap().len(),
            1
        );
        assert!(listpack::read(&whole(element, 2)).is_err());
    }
    for wrong in [
        [0xf5, 1].as_slice(),
        &[0xfe, 1],
        &[0x81, b'a', 3],
        &[0x81, b'a', 0x82],
        &[0x82, b'a', 2],
        &[0xf0, 0xff, 0xff, 0xff, 0xff, b'a', 6],
        &[0xf4, 1, 2],
        &[5],
        &[0x80],
        &[0xff, 5, 1],
    ] {
        assert!(listpack::read(&whole(wrong, 1)).is_err(), "{wrong:?}");
    }
    let good = whole(&[5, 1], 1);
    for end in 0..good.len() {
        assert!(listpack::read(&good[..end]).is_err());
    }
    assert!(listpack::read(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(listpack::read(&[&[8], &good[1..]].concat()).is_err());
}

/// The payload's value with some bytes replaced, which stand once in it.
fn damaged(from: &[u8], to: &[u8]) -> Vec<u8> {
    let payload = payload();
    let body = rdb::payload(&payload).unwrap().to_vec();
    let places: Vec<usize> = (0..body.len()).filter(|&at| body[at..].starts_with(from)).collect();
    assert_eq!(places.len(), 1, "{from:?}");
    [&body[..places[0]], to, &body[places[0] + from.len()..]].concat()
}

//= SPEC.md#stream-values
//# [RDBSTREAM-6] (file) A reader MUST refuse as damage a stream whose listpacks break a rule of "Listpacks" or of "Stream encodings", the use of flag 2 aside, whose ids, those of deleted entries aside, do not ascend or exceed the last generated one, or whose entries are not as many as it says.
//= SPEC.md#stream-values
//# [RDBSTREAM-7] (file) A reader MUST refuse as damage a group or a consumer that stands twice, and pending entries of which not each one belongs to exactly one consumer.
#[test]
fn streams_that_contradict_themselves_are_refused() {
    let wrong = |from: &[u8], to: &[u8], reason: &str| match value_of(&damaged(from, to)) {
        Err(RdbErrorKind::Structure(text)) => assert_eq!(text, reason),
        other => panic!("{other:?}"),
    };
    wrong(
        &[0x45, 0, 0, 0, 0x19, 0, 2, 1, 1],
        &[0x45, 0, 0, 0, 0x19, 0, 3, 1, 0],
        "a node has another number of entries than it says",
    );
    wrong(
        &[3, 1, 0, 1, 0, 1, 1, 1, 0x83, b't'],
        &[4, 1, 0, 1, 0, 1, 1, 1, 0x83, b't'],
        "an entry has flags that do not exist",
    );
    wrong(
        &[3, 1, 0, 1, 0, 1, 1, 1, 0x83, b't'],
        &[3, 1, 0, 1, 1, 1, 1, 1, 0x83, b't'],
        "the ids of a node do not ascend from its own",
    );
    wrong(
        &[5, 1, 2, 1, 0, 1, 1, 1, 0xc1],
        &[4, 1, 2, 1, 0, 1, 1, 1, 0xc1],
        "an entry has another number of elements than it says",
    );
    wrong(
        &[2, 1, 0x81, b'a', 2, 0x81, b'b', 2, 0, 1, 3, 1, 0, 1, 0, 1, 1],
        &[2, 1, 0x81, b'a', 2, 0x81, b'b', 2, 1, 1, 3, 1, 0, 1, 0, 1, 1],
        "the fields of a node do not end in 0",
    );
    wrong(
        &[0xff, 4, 0x81, 0xff, 0xff],
        &[0xff, 5, 0x81, 0xff, 0xff],
        "the stream has another number of entries than it says",
    );
    wrong(
        &[4, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a],
        &[4, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 9],
        "an entry is above the last generated id",
    );
    wrong(
        b"\x10\x00\x00\x00\x00\x00\x00\x00\x05",
        b"\x0f\x00\x00\x00\x00\x00\x00\x05",
        "the id of a node has not 16 bytes",
    );
    wrong(b"\x01g\x06\x01\x03", b"\x0277\x06\x01\x03", "a group stands twice");
    wrong(b"\x03bob", b"\x05alice", "a consumer stands twice");
    wrong(
        &[2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        "a consumer has an entry that is not pending for it alone",
    );
    wrong(&[2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6], &[1], "a pending entry has no consumer");
    // Where two nodes trade places, their ids do not ascend.
    let stream = value_of(rdb::payload(&payload()).unwrap()).unwrap();
    let mut other = stream.clone();
    let last = other.nodes.pop_last().unwrap();
    other.nodes.insert(StreamId::LEAST, last.1);
    assert!(value_of(&body_of(&other)).is_err());
}

// [RDBSTREAM-6]
#[test]
fn no_damage_of_one_byte_does_harm() {
    let payload = payload();
    let body = rdb::payload(&payload).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for at in 1..body.len() {
        for bit in 0..8 {
            let mut body = body.to_vec();
            body[at] ^= 1 << bit;
            match rdb::value_of_payload(&body) {
                Ok((_, Content::Stream(stream), _)) => {
                    taken += 1;
                    assert_eq!(value_of(&body_of(&stream)).unwrap(), stream);
                    assert!(stream.nodes.values().all(|node| !node.is_empty()));
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 500 && refused > 500, "{taken} taken, {refused} refused");
}

/// A model that records what it propagates.
struct Primary {
    model: Model,
    now: i64,
}

impl Primary {
    fn new() -> Self {
        let mut model = Model::new(Profile::strict());
        model.connect(ME, Peer { local: true, ..Peer::default() });
        model.record_propagation(true);
        Self { model, now: 1_600_000_000_000 }
    }

    /// Makes a command, and says what is propagated.
    fn make(&mut self, words: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
        fn chosen(allowed: &Allowed) -> Reply {
            match allowed {
                Allowed::Exactly(reply) => reply.clone(),
                Allowed::Error(line) => Reply::Error(line.to_vec()),
                Allowed::Elements(elements) => Reply::Array(elements.iter().map(chosen).collect()),
                Allowed::Within(range) => Reply::Integer(*range.start()),
                other => panic!("{other}"),
            }
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let span = Span::at(self.now);
        let reply = chosen(&self.model.allowed(ME, &words, span));
        self.model.step(ME, &words, &Outcome::reply(&reply), span).unwrap();
        let propagated = self.model.take_propagated();
        assert!(!propagated.unspecified);
        assert_eq!(propagated.aof, propagated.replicas);
        propagated.aof
    }

    fn line(&mut self, line: &str) -> Vec<String> {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        let text = |command: Vec<Vec<u8>>| String::from_utf8(command.join(&b' ')).unwrap();
        self.make(&words).into_iter().map(text).collect()
    }
}

//= SPEC.md#what-is-propagated
//# [PROPAGATION-25] (file) A consumer that XREADGROUP makes by reading its history or with NOACK MUST be made known by `XREADGROUP GROUP group consumer STREAMS key 18446744073709551615-18446744073709551614`, which reads an empty history, before what else the command propagates for that stream.
#[test]
fn replicas_hear_of_consumers_and_of_deliveries_of_a_history() {
    let mut primary = Primary::new();
    for line in ["XADD k 1-1 f v", "XADD k 2-1 f v", "XGROUP CREATE k g 0"] {
        assert_eq!(primary.line(line), [line]);
    }
    let made =
        |consumer: &str| format!("XREADGROUP GROUP g {consumer} STREAMS k 18446744073709551615-18446744073709551614");
    assert_eq!(primary.line("XREADGROUP GROUP g a STREAMS k 0"), [made("a")]);
    assert_eq!(primary.line("XREADGROUP GROUP g a STREAMS k 0"), [] as [&str; 0]);
    assert_eq!(
        primary.line("XREADGROUP GROUP g b NOACK COUNT 1 STREAMS k >"),
        [made("b"), "XGROUP SETID k g 1-1".to_owned()]
    );
    let claim =
        |count: u32, now: i64| format!("XCLAIM k g b 0 2-1 TIME {now} RETRYCOUNT {count} FORCE JUSTID LASTID 2-1");
    assert_eq!(primary.line("XREADGROUP GROUP g b STREAMS k >"), [claim(1, 1_600_000_000_000)]);
    primary.now += 5;
    assert_eq!(primary.line("XREADGROUP GROUP g b STREAMS k 1-1"), [claim(2, 1_600_000_000_005)]);
}

/// Draws words of commands from a sequence of numbers that looks random.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    fn command(&mut self) -> String {
        let ids = ["0", "1-1", "2-1", "3-2", "5", "9-9", "1000-1", "*"];
        let (key, group, consumer) = (self.one(&["k", "k", "l"]), self.one(&["g", "h"]), self.one(&["a", "b", "c"]));
        let (id, other) = (self.one(&ids[..7]), self.one(&ids[..7]));
        let new = self.one(&["*", "*", "*", "2-1", "3-2", "1600000000000000-5"]);
        let sign = self.one(&["", "~ ", "= "]);
        let length = self.below(6);
        match self.below(20) {
            0..=4 => format!("XADD {key} {new} f v"),
            5 => format!("XADD {key} MAXLEN {sign}{length} {new} f v g w"),
            6 => format!("XTRIM {key} MAXLEN {sign}{length}"),
            7 => format!("XGROUP CREATE {key} {group} {} MKSTREAM", self.one(&["0", "$", id])),
            8 => format!("XGROUP SETID {key} {group} {}", self.one(&["0", "$", id])),
            9 => format!("XGROUP {} {key} {group} {consumer}", self.one(&["DELCONSUMER", "DESTROY"])),
            10 if self.below(8) == 0 => format!("XGROUP DESTROY {key} {group}"),
            10 => format!("XSETID {key} {id}"),
            11 => format!("XDEL {key} {id} {other}"),
            12 => format!("XACK {key} {group} {id} {other}"),
            13 | 14 => {
                let options =
                    ["", " FORCE", " FORCE IDLE 5", " JUSTID", " LASTID 5-5", " RETRYCOUNT 3 FORCE", " TIME 77"];
                format!("XCLAIM {key} {group} {consumer} {} {id} {other}{}", self.below(3), self.one(&options))
            }
            15 => format!("XREADGROUP GROUP {group} {consumer} NOACK COUNT 2 STREAMS {key} >"),
            16 => format!("XREADGROUP GROUP {group} {consumer} STREAMS k l {id} >"),
            _ => format!("XREADGROUP GROUP {group} {consumer} COUNT 3 STREAMS {key} {}", self.one(&[">", ">", id])),
        }
    }
}

//= SPEC.md#what-is-propagated
//# [PROPAGATION-26] (file) Loading the AOF MUST lead to the same streams down to their groups, consumers and pending entries, the idle times of consumers and the nodes of `~` aside.
#[test]
fn what_is_propagated_makes_the_same_streams_again() {
    let mut pending = 0;
    for seed in 0..60 {
        let (mut primary, mut replica, mut draw) = (Primary::new(), Primary::new(), Draw(seed));
        // Nodes are as small as what is drawn.
        for model in [&mut primary.model, &mut replica.model] {
            let words: [&[u8]; 4] = [b"CONFIG", b"SET", b"stream-node-max-entries", b"2"];
            model.step(ME, &words, &Outcome::reply(&Reply::ok()), Span::at(0)).unwrap();
        }
        for _ in 0..300 {
            primary.now += draw.below(4) as i64;
            // The replica runs behind.
            replica.now = primary.now + 50;
            let line = draw.command();
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            for command in primary.make(&words) {
                replica.make(&command);
            }
            for key in [b"k", b"l"] {
                let told = |model: &Model| {
                    model.stream(0, key).map(|stream| {
                        let mut stream = stream.clone();
                        let consumers = stream.groups.values_mut().flat_map(|group| group.consumers.values_mut());
                        consumers.for_each(|consumer| *consumer = Consumer { seen: Span::at(0) });
                        stream
                    })
                };
                assert_eq!(told(&primary.model), told(&replica.model), "seed {seed}: {line}");
                let groups = primary.model.stream(0, key).into_iter().flat_map(|stream| stream.groups.values());
                pending += groups.map(|group| group.pending.len()).sum::<usize>();
            }
        }
    }
    assert!(pending > 10_000, "{pending}");
}

// [XREAD-8] [XREAD-12] [XREADGROUP-11]
#[test]
fn a_reader_that_waits_is_not_answered() {
    let mut primary = Primary::new();
    primary.line("XADD k 1-1 f v");
    primary.line("XGROUP CREATE k g $");
    for line in
        ["XREAD BLOCK 0 STREAMS k $", "XREAD BLOCK 5 STREAMS nokey k 0 1-1", "XREADGROUP GROUP g c BLOCK 0 STREAMS k >"]
    {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let nothing = Outcome { replies: &[], closed: false };
        primary.model.clone().step(ME, &words, &nothing, Span::at(primary.now)).unwrap();
        let early = primary.model.clone().step(ME, &words, &Outcome::reply(&Reply::NilArray), Span::at(primary.now));
        assert!(early.is_err(), "{line}");
    }
    let words: [&[u8]; 6] = [b"XREAD", b"BLOCK", b"9223372036854775807", b"STREAMS", b"k", b"$"];
    let refused = Reply::Error(b"ERR timeout is not an integer or out of range".to_vec());
    primary.model.step(ME, &words, &Outcome::reply(&refused), Span::at(primary.now)).unwrap();
}
