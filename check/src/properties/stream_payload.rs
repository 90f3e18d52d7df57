//! Streams: the ordered map that a `BTreeMap` is, whatever is added, deleted and trimmed; and payloads of any bytes are
//! taken or refused, and what is taken can be read, changed, saved and restored.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tally_engine::rdb::{self, PayloadError};
use tally_engine::structures::listpack::{Listpack, Value};
use tally_engine::values::stream::{Entry, Group, Pending, StreamId, StreamLimits};
use tally_engine::values::{Collection, Measured, Stream};
use tally_model::Reply;

use crate::generator::serialize;
use crate::target::{Connection, Embedded, Received, Target, Wait};

/// Entries by id, with their fields and values.
type EntryMap = BTreeMap<StreamId, Vec<(Vec<u8>, Vec<u8>)>>;

/// The number of the type in payloads.
const STREAM: u8 = 15;

/// A change of a stream. Ids and places are drawn from few, so that changes meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds an entry so far behind the last id, with these fields.
    Append(u64, u64, Vec<(Vec<u8>, Vec<u8>)>),
    /// Deletes the entry at a place, taken modulo the number of entries.
    Delete(u8),
    /// Trims to so many entries.
    Trim(u8),
    /// Trims by whole nodes.
    TrimNodes(u8),
    /// Sets the last id this far behind the last entry.
    SetLastId(u8),
    /// Shows the entries between the entries at two places.
    Range(u8, u8),
    /// Delivers the entry at a place to a consumer.
    Deliver(u8, u8),
    /// Acknowledges the entry at a place.
    Acknowledge(u8),
    /// Removes a consumer.
    RemoveConsumer(u8),
}

/// Operations for any bytes, four each, and when nodes are full.
#[must_use]
pub fn operations(bytes: &[u8]) -> (StreamLimits, Vec<Operation>) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let limits = match first % 6 {
        0 => StreamLimits { bytes: 4096, entries: 100 },
        1 => StreamLimits { bytes: 4096, entries: 1 },
        2 => StreamLimits { bytes: 64, entries: 0 },
        3 => StreamLimits { bytes: 0, entries: 0 },
        4 => StreamLimits { bytes: 1 << 20, entries: 0 },
        _ => StreamLimits { bytes: 200, entries: 5 },
    };
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let (a, b) = (at(1), at(2));
        match at(0) % 16 {
            0..=6 => Operation::Append(u64::from(a % 5) << (a / 16), u64::from(b % 4), fields(at(3))),
            7..=8 => Operation::Delete(a),
            9 => Operation::Trim(a % 32),
            10 => Operation::TrimNodes(a % 32),
            11 => Operation::SetLastId(a),
            12 => Operation::Range(a, b),
            13 => Operation::Deliver(a, b % 4),
            14 => Operation::Acknowledge(a),
            _ if a % 4 == 0 => Operation::RemoveConsumer(b % 4),
            _ => Operation::Deliver(a, b % 4),
        }
    };
    (limits, rest.chunks(4).map(decode).collect())
}

/// One field or a few; mostly the same names, as in streams of one kind of event.
fn fields(n: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pair = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    match n % 8 {
        0 => vec![pair("a", &[b'v'; 300][..usize::from(n)])],
        1 => vec![pair("b", b"-1")],
        2 => vec![pair("a", b"70000"), pair("c", b"")],
        3 => vec![pair("a", b"x"), pair("b", &n.to_le_bytes())],
        4 => vec![pair("a", b"4096"), pair("a", b"4095")],
        5 => vec![pair("12", b"9223372036854775807")],
        6 => vec![pair("", b""), pair("a", b"1")],
        _ => vec![pair("a", b"9"), pair("b", n.to_string().as_bytes())],
    }
}

const GROUP: &[u8] = b"group";

/// What a stream should hold.
#[derive(Default)]
struct Wanted {
    entries: EntryMap,
    last_id: StreamId,
    /// Consumer and deliveries.
    pending: BTreeMap<StreamId, (u8, u64)>,
}

impl Wanted {
    fn id(&self, place: u8) -> Option<StreamId> {
        self.entries.keys().nth(usize::from(place) % self.entries.len().max(1)).copied()
    }
}

/// A stream holds what a `BTreeMap` holds, and is whole at every step.
///
/// # Panics
/// When it does not.
pub fn a_stream_is_an_ordered_map(limits: &StreamLimits, operations: &[Operation]) {
    let mut stream = Stream::new();
    assert!(stream.add_group(GROUP, Group::new(StreamId::MIN)) && !stream.add_group(GROUP, Group::new(StreamId::MAX)));
    let mut wanted = Wanted::default();
    for operation in operations {
        apply(&mut stream, &mut wanted, limits, operation);
        stream.validate();
        assert_eq!((stream.len(), stream.last_id()), (wanted.entries.len() as u64, wanted.last_id));
    }
    holds(&stream, &wanted.entries);
    let Some(group) = stream.group(GROUP) else { panic!("the group is gone") };
    let pending: BTreeMap<StreamId, (Vec<u8>, u64)> = group
        .pending_from(StreamId::MIN)
        .map(|(id, pending)| {
            let Some(consumer) = group.consumer(pending.consumer) else { panic!("an entry pending for nobody") };
            (id, (consumer.name().to_vec(), pending.deliveries))
        })
        .collect();
    assert!(pending.iter().map(|(id, (name, count))| (*id, (name[0], *count))).eq(wanted.pending.clone()));
    assert_eq!(group.pending_ends(), wanted.pending.keys().next().copied().zip(wanted.pending.keys().last().copied()));
}

fn apply(stream: &mut Stream, wanted: &mut Wanted, limits: &StreamLimits, operation: &Operation) {
    match operation {
        Operation::Append(ms, seq, fields) => {
            let last = wanted.last_id;
            let id = match last.ms.checked_add(*ms) {
                Some(more) if *ms > 0 => StreamId { ms: more, seq: *seq },
                _ => StreamId { ms: last.ms, seq: last.seq.wrapping_add(*seq) },
            };
            let texts: Vec<&[u8]> = fields.iter().flat_map(|(name, value)| [&name[..], &value[..]]).collect();
            let added = stream.append(id, texts.into_iter(), limits);
            assert_eq!(added.is_ok(), id > last, "{id} behind {last}");
            if added.is_ok() {
                wanted.entries.insert(id, fields.clone());
                wanted.last_id = id;
            }
        }
        Operation::Delete(place) => {
            if let Some(id) = wanted.id(*place) {
                wanted.entries.remove(&id);
                assert!(stream.delete(id) && !stream.delete(id));
            }
        }
        Operation::Trim(most) => {
            let superfluous = wanted.entries.len().saturating_sub(usize::from(*most));
            assert_eq!(stream.trim(u64::from(*most), false), superfluous as u64);
            (0..superfluous).for_each(|_| drop(wanted.entries.pop_first()));
        }
        Operation::TrimNodes(most) => {
            let before = wanted.entries.len();
            let nodes = stream.node_len();
            let removed = stream.trim(u64::from(*most), true) as usize;
            assert!(removed == 0 || before - removed >= usize::from(*most), "too much was trimmed");
            assert_eq!(removed == 0, nodes == stream.node_len());
            (0..removed).for_each(|_| drop(wanted.entries.pop_first()));
        }
        Operation::SetLastId(more) => {
            let top = wanted.entries.keys().last().copied().unwrap_or_default();
            wanted.last_id = StreamId { seq: top.seq.saturating_add(u64::from(*more)), ..top };
            stream.set_last_id(wanted.last_id);
        }
        Operation::Range(from, to) => {
            if let Some((from, to)) = wanted.id(*from).zip(wanted.id(*to)) {
                let ids = |range: &mut dyn Iterator<Item = Entry<'_>>| range.map(|entry| entry.id).collect::<Vec<_>>();
                let held: Vec<StreamId> =
                    wanted.entries.keys().copied().filter(|id| (from..=to).contains(id)).collect();
                assert_eq!(ids(&mut stream.entries().range(from, to)), held);
                let mut back = ids(&mut stream.entries().range_back(from, to));
                back.reverse();
                assert_eq!(back, held);
            }
        }
        Operation::Deliver(place, name) => {
            if let (Some(id), Some((_, mut group))) = (wanted.id(*place), stream.group_mut(GROUP)) {
                let (consumer, _) = group.find_or_add(&[*name], 5);
                let deliveries = group.pending(id).map_or(1, |pending| pending.deliveries + 1);
                group.set_pending(id, Pending { consumer, delivered_ms: 7, deliveries });
                wanted.pending.insert(id, (*name, deliveries));
            }
        }
        Operation::Acknowledge(place) => {
            if let (Some(id), Some((_, mut group))) = (wanted.id(*place), stream.group_mut(GROUP)) {
                assert_eq!(group.acknowledge(id), wanted.pending.remove(&id).is_some());
            }
        }
        Operation::RemoveConsumer(name) => {
            if let Some((_, mut group)) = stream.group_mut(GROUP) {
                let before = wanted.pending.len();
                wanted.pending.retain(|_, (owner, _)| owner != name);
                let removed = group.remove_consumer(&[*name]);
                assert_eq!(removed.unwrap_or(0), before - wanted.pending.len());
            }
        }
    }
}

fn texts(entry: &Entry<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    entry.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Every way to read a stream shows these entries.
fn holds(stream: &Stream, wanted: &EntryMap) {
    let entries = stream.entries();
    let held: Vec<_> = entries.all().map(|entry| (entry.id, texts(&entry))).collect();
    assert!(held.iter().map(|(id, fields)| (id, fields)).eq(wanted), "{held:?}");
    let mut back: Vec<_> =
        entries.range_back(StreamId::MIN, StreamId::MAX).map(|entry| (entry.id, texts(&entry))).collect();
    back.reverse();
    assert_eq!(back, held);
    for (id, fields) in wanted {
        assert_eq!(entries.get(*id).map(|entry| texts(&entry)).as_ref(), Some(fields));
    }
    assert_eq!(entries.first().map(|entry| entry.id), wanted.keys().next().copied());
    assert_eq!(entries.last().map(|entry| entry.id), wanted.keys().last().copied());
}

/// The body of a stream's payload that any bytes decide about: mostly whole, with something wrong here and there.
#[must_use]
pub fn body(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes.iter().copied();
    let mut draw = |below: u8| rest.next().map_or(0, |byte| byte % below.max(1));
    let mut body = vec![STREAM];
    let nodes = draw(4);
    body.push(nodes);
    let (mut entries, mut last) = (0u8, StreamId::MIN);
    for _ in 0..nodes {
        let id = StreamId { ms: last.ms + u64::from(draw(3)), seq: u64::from(draw(4)) };
        body.push(16);
        body.extend(id.to_key());
        let (same, alive, dead) = (draw(4), draw(5), draw(3));
        let mut numbers = vec![i64::from(alive), i64::from(dead), 1];
        let mut values: Vec<Vec<u8>> = numbers.drain(..).map(|number| number.to_string().into_bytes()).collect();
        values.extend([b"f".to_vec(), b"0".to_vec()]);
        for entry in 0..alive + dead {
            let deleted = u8::from(entry < dead);
            let mut flags = deleted | if same > 0 { 2 } else { 0 };
            let mut elements = vec![i64::from(draw(2) + entry / 2), i64::from(entry + draw(2))];
            if draw(24) == 23 {
                flags ^= 3;
            }
            if flags & 2 == 0 {
                elements.push(1);
            }
            values.push(flags.to_string().into_bytes());
            values.extend(elements.iter().map(|number| number.to_string().into_bytes()));
            if flags & 2 == 0 {
                values.push(b"g".to_vec());
            }
            values.push(vec![b'v'; usize::from(draw(5))]);
            let count = if flags & 2 == 0 { 6 } else { 4 } + usize::from(draw(32) == 31);
            values.push(count.to_string().into_bytes());
        }
        let list = Listpack::of(values.iter().map(|text| Value::of(text)));
        let len = list.byte_len() as u16;
        body.extend([0x40 | (len >> 8) as u8, len as u8]);
        body.extend(list.as_bytes());
        entries = entries.wrapping_add(alive);
        last = id;
    }
    body.extend([entries & 0x3F, (last.ms as u8 + draw(8)) & 0x3F, draw(64)]);
    let groups = draw(3);
    body.push(groups);
    for group in 0..groups {
        body.extend([1, b'g' + group % 2 * draw(2), draw(4), draw(4)]);
        let pending = draw(4);
        body.push(pending);
        let id = |place: u8| StreamId { ms: u64::from(place / 2), seq: u64::from(place % 2) }.to_key();
        for place in 0..pending {
            body.extend(id(place));
            body.extend([draw(255); 8]);
            body.push(draw(64));
        }
        let consumers = draw(3) + u8::from(pending > 0);
        body.push(consumers);
        for consumer in 0..consumers {
            body.extend([1, b'c' + consumer]);
            body.extend([0; 8]);
            let own = if consumer == 0 { pending } else { draw(16) / 15 };
            body.push(own);
            (0..own).for_each(|place| body.extend(id(place)));
        }
    }
    body
}

thread_local! {
    static TARGET: RefCell<Embedded> = RefCell::new(Embedded::new());
}

/// Takes any bytes for the body of a stream's payload, and for what decides about one. Whether one of both was taken.
///
/// # Panics
/// When what is taken does not behave as a stream does.
pub fn any_payload_is_taken_or_refused(bytes: &[u8]) -> bool {
    let as_they_are = judge(&[&[STREAM], bytes].concat());
    judge(&body(bytes)) || as_they_are
}

/// Bytes of the heap that a stream may take for each byte of its payload, and beside them: an empty consumer of no more
/// than a dozen bytes has a name, a tree and a place.
const HEAP_FACTOR: usize = 40;
const HEAP_BESIDE: usize = 2_000;

fn judge(body: &[u8]) -> bool {
    let payload = serialize(body);
    let taken = rdb::read_payload(&payload, |value| match value {
        rdb::Value::Collection(Collection::Stream(stream)) => Ok(stream),
        other => Err(format!("{other:?}")),
    });
    let mut stream = match taken {
        Ok(Ok(stream)) => stream,
        Ok(Err(other)) => panic!("no stream, but {other}"),
        Err(PayloadError::Value(error)) => {
            assert!(error.offset <= body.len() as u64, "{error}");
            return false;
        }
        Err(PayloadError::Footer) => panic!("the footer was right"),
    };
    stream.validate();
    // Compressed strings may stand for many times their bytes.
    let plain = payload.len() + stream.entries().all().map(|entry| texts(&entry).len()).sum::<usize>();
    if plain == payload.len() {
        assert!(stream.bytes() <= HEAP_FACTOR * plain + HEAP_BESIDE, "{} bytes of {plain}", stream.bytes());
    }
    TARGET.with_borrow_mut(|target| comes_back(target, &payload));
    change(&mut stream);
    true
}

/// Restored, dumped and restored again it is the same.
fn comes_back(target: &mut Embedded, payload: &[u8]) {
    let connection = target.open().unwrap_or_else(|error| panic!("{error}"));
    let mut say = |words: &[&[u8]]| say(target, connection, words);
    let ok = Reply::Status(b"OK".to_vec());
    assert_eq!(say(&[b"FLUSHALL"]), ok);
    assert_eq!(say(&[b"RESTORE", b"k", b"0", payload]), ok);
    let Reply::Bulk(dumped) = say(&[b"DUMP", b"k"]) else { panic!("no dump") };
    assert_eq!(say(&[b"RESTORE", b"l", b"0", &dumped]), ok);
    assert_eq!(say(&[b"DUMP", b"l"]), Reply::Bulk(dumped));
    for question in [&b"STREAM"[..], b"GROUPS"] {
        assert_eq!(say(&[b"XINFO", question, b"k"]), say(&[b"XINFO", question, b"l"]));
    }
    assert_eq!(say(&[b"DEBUG", b"DIGEST-VALUE", b"k"]), say(&[b"DEBUG", b"DIGEST-VALUE", b"l"]));
    target.close(connection);
}

fn say(target: &mut Embedded, connection: Connection, words: &[&[u8]]) -> Reply {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).into_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    let received = target.send(connection, &request).and_then(|()| target.receive(connection, Wait::Settled));
    match received {
        Ok(Received::Reply(reply)) => reply,
        Ok(other) => panic!("{other:?}"),
        Err(error) => panic!("{error}"),
    }
}

/// Reads and changes all of a stream.
fn change(stream: &mut Stream) {
    let held: EntryMap = stream.entries().all().map(|entry| (entry.id, texts(&entry))).collect();
    holds(stream, &held);
    let limits = StreamLimits { bytes: 200, entries: 3 };
    let fields: [&[u8]; 2] = [b"f", b"v"];
    if let Some(id) = stream.next_id(5) {
        assert_eq!(stream.append(id, fields.into_iter(), &limits), Ok(()));
        stream.validate();
    }
    for id in held.keys().step_by(2) {
        assert!(stream.delete(*id));
        stream.validate();
    }
    let mut names = Vec::new();
    stream.for_each_group(|name, _| names.push(name.to_vec()));
    for name in names {
        if let Some((_, mut group)) = stream.group_mut(&name) {
            let (consumer, _) = group.find_or_add(b"new", 1);
            let pending: Vec<StreamId> = group.pending_from(StreamId::MIN).map(|(id, _)| id).collect();
            for (at, id) in pending.into_iter().enumerate() {
                if at % 2 == 0 {
                    group.set_pending(id, Pending { consumer, delivered_ms: 1, deliveries: 2 });
                } else {
                    assert!(group.acknowledge(id));
                }
            }
        }
        stream.validate();
        assert!(stream.remove_group(&name));
    }
    stream.trim(1, true);
    stream.validate();
    stream.trim(0, false);
    stream.validate();
    assert!(stream.is_empty() && stream.node_len() == 0 && stream.tree_nodes() == 1);
}
