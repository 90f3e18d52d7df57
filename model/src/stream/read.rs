//! XREAD and XREADGROUP.
//!
//! A command is first read into a [`Reading`]: what is wanted of which streams. [`Reading::serve`] then answers what one
//! stream has for it when the command is called, and [`Reading::wake`] when an entry was added for which it waits.

use super::{Consumer, Group, Pairs, Pending, StreamEdit, StreamId, StreamValue, c_string, claim_command, entry_reply};
use super::{naming, set_id_command, syntax_error, words};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{Blocked, Wait};
use crate::erratum::Erratum;
use crate::keyspace::Deadline;
use crate::numbers::parse_integer;
use crate::plan::{Change, Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::span::Span;

/// Most entries that a reader is answered for which it waited, where COUNT does not say. [XREAD-13]
const MOST_AFTER_WAITING: usize = 1000;

/// From where on a stream is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The entries above an id or, within a group, the consumer's history above it.
    Above(StreamId),
    /// What the group was not delivered yet. [XREADGROUP-1]
    Undelivered,
}

/// What a reader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Most entries of each stream. [XREAD-4]
    pub count: usize,
    /// How long it waits, 0 for ever; `None` for not at all. [XREAD-12]
    pub block_ms: Option<i64>,
    /// The names of the group and the consumer that it reads for.
    pub group: Option<(Bytes, Bytes)>,
    /// Nothing becomes pending. [XREADGROUP-3]
    pub no_ack: bool,
    /// The keys, and from where on each is wanted.
    pub streams: Vec<(Bytes, Wanted)>,
}

/// What becomes of a waiting reader when an entry was added to a stream.
#[derive(Clone, Debug)]
pub enum Woken {
    /// It goes on waiting.
    Waits,
    /// It is answered.
    Served(Served),
    /// Its group is gone. [XREADGROUP-13]
    Refused(Refusal),
}

/// What a stream has for a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// An array of the key and an array of entries.
    pub reply: Reply,
    /// What becomes of the group.
    pub group: Option<Group>,
    /// What replicas hear of it.
    pub commands: Vec<Vec<Bytes>>,
}

pub(crate) fn xread(call: &Call<'_>) -> Result<Plan, Refusal> {
    read(call, false)
}

pub(crate) fn xreadgroup(call: &Call<'_>) -> Result<Plan, Refusal> {
    read(call, true)
}

fn read(call: &Call<'_>, in_group: bool) -> Result<Plan, Refusal> {
    let (options, streams_at, beyond) = options(call, in_group)?;
    let Some(refusal) = beyond else { return planned(call, options, streams_at) };
    // Real servers go on with a deadline that has passed. (E-93)
    let plan = planned(call, options, streams_at).unwrap_or_else(Plan::from);
    Ok(Plan::from(refusal).or_erratum(Erratum::E_93, plan.allowed, plan.changes))
}

fn planned(call: &Call<'_>, options: Reading, streams_at: usize) -> Result<Plan, Refusal> {
    let reading = streams(call, options, streams_at)?;
    let plan = serve_all(call, &reading, Rules::Specified)?;
    // Early versions take a sequence number that cannot grow for 0, and answer streams that have nothing new. (E-114) (E-123)
    let early = serve_all(call, &reading, Rules::Early)?;
    let erratum = if reading.has_greatest_sequence() { Erratum::E_114 } else { Erratum::E_123 };
    Ok(if plan.changes == early.changes && same(&plan.allowed, &early.allowed) {
        plan
    } else {
        plan.or_erratum(erratum, early.allowed, early.changes)
    })
}

fn same(one: &Allowed, other: &Allowed) -> bool {
    matches!((one, other), (Allowed::Exactly(one), Allowed::Exactly(other)) if one == other)
}

/// The options up to STREAMS, where the keys begin, and the refusal of a deadline that is no time, where a real server may
/// go on (E-93). [XREAD-6] [XREADGROUP-7]
fn options(call: &Call<'_>, in_group: bool) -> Result<(Reading, usize, Option<Refusal>), Refusal> {
    let syntax = if in_group { Clause::XREADGROUP_7 } else { Clause::XREAD_6 };
    call.cite(syntax);
    let mut reading = Reading { count: usize::MAX, block_ms: None, group: None, no_ack: false, streams: Vec::new() };
    let mut at = 1;
    let mut beyond = None;
    loop {
        let Some(word) = call.args.get(at) else { return Err(syntax_error(syntax)) };
        let more = call.args.len() - at - 1;
        match word.to_ascii_lowercase().as_slice() {
            b"block" if more >= 1 => {
                let line = "ERR timeout is not an integer or out of range";
                let ms = parse_integer(call.args[at + 1]).ok_or_else(|| Refusal::new(Clause::XREAD_8, line))?;
                // The deadline has to be a time.
                if call.span.latest_ms.checked_add(ms).is_none() {
                    let refusal = Refusal::new(Clause::XREAD_8, line);
                    if !call.model.has(Erratum::E_93) {
                        return Err(refusal);
                    }
                    beyond = beyond.or(Some(refusal));
                }
                if ms < 0 {
                    return Err(Refusal::new(Clause::XREAD_8, "ERR timeout is negative"));
                }
                reading.block_ms = Some(ms);
                at += 2;
            }
            b"count" if more >= 1 => {
                let count = call.integer(at + 1).inspect_err(|_| call.cite(Clause::XREAD_7))?;
                call.cite(Clause::XREAD_4);
                reading.count = usize::try_from(count).ok().filter(|&count| count > 0).unwrap_or(usize::MAX);
                at += 2;
            }
            b"streams" if more >= 1 => {
                if !more.is_multiple_of(2) {
                    return Err(Refusal::new(
                        Clause::XREAD_5,
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                if in_group && reading.group.is_none() {
                    return Err(Refusal::new(Clause::XREADGROUP_8, "ERR Missing GROUP option for XREADGROUP"));
                }
                return Ok((reading, at + 1, beyond));
            }
            b"group" if more >= 2 => {
                if !in_group {
                    return Err(Refusal::new(
                        Clause::XREAD_9,
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                reading.group = Some((call.args[at + 1].to_vec(), call.args[at + 2].to_vec()));
                at += 3;
            }
            b"noack" => {
                if !in_group {
                    return Err(Refusal::new(
                        Clause::XREAD_9,
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                reading.no_ack = true;
                at += 1;
            }
            _ => return Err(syntax_error(syntax)),
        }
    }
}

/// The keys and their ids, judged stream by stream. [XREAD-11]
fn streams(call: &Call<'_>, mut reading: Reading, at: usize) -> Result<Reading, Refusal> {
    let count = (call.args.len() - at) / 2;
    let (keys, ids) = (&call.args[at..at + count], &call.args[at + count..]);
    call.cite(Clause::XREAD_11);
    for (key, id) in keys.iter().zip(ids) {
        let stream = call.find_stream(key)?;
        if let Some((name, _)) = &reading.group
            && stream.is_none_or(|stream| !stream.groups.contains_key(name))
        {
            let parts: [&[u8]; 5] =
                [b"NOGROUP No such key '", key, b"' or consumer group '", name, b"' in XREADGROUP with GROUP option"];
            return Err(naming(Clause::XREADGROUP_9, &parts));
        }
        let from = match (c_string(id), &reading.group) {
            (b"$", None) => {
                call.cite(Clause::XREAD_3);
                Wanted::Above(stream.map_or(StreamId::LEAST, |stream| stream.last_id))
            }
            (b"$", Some(_)) => {
                return Err(Refusal::new(
                    Clause::XREADGROUP_10,
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
                     return an empty result set.",
                ));
            }
            (b">", None) => {
                return Err(Refusal::new(
                    Clause::XREAD_10,
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
                     option.",
                ));
            }
            (b">", Some(_)) => Wanted::Undelivered,
            (_, group) => match call.stream_id(id)? {
                StreamId::GREATEST if group.is_some() => {
                    call.cite(Clause::XREADGROUP_14);
                    Wanted::Undelivered
                }
                id => Wanted::Above(id),
            },
        };
        reading.streams.push((key.to_vec(), from));
    }
    Ok(reading)
}

/// Whose rules decide what a stream has for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The specification's.
    Specified,
    /// Those of 5.0.6. (E-114) (E-123)
    Early,
}

/// Serves every stream in turn, each in the state that the ones before it have left.
fn serve_all(call: &Call<'_>, reading: &Reading, rules: Rules) -> Result<Plan, Refusal> {
    let mut changed: Vec<(Bytes, StreamValue)> = Vec::new();
    let mut replies = Vec::new();
    let mut commands = Vec::new();
    for (key, from) in &reading.streams {
        let stream = match changed.iter().find(|(changed, _)| changed == key) {
            Some((_, stream)) => {
                call.cite(Clause::XREADGROUP_12);
                Some(stream.clone())
            }
            None => call.find_stream(key)?.cloned(),
        };
        let Some(mut stream) = stream else { continue };
        let Some(served) = reading.serve(key, *from, &stream, call.span, rules) else { continue };
        replies.push(served.reply);
        commands.extend(served.commands);
        if let (Some(group), Some((name, _))) = (served.group, &reading.group) {
            stream.apply(StreamEdit::Group(name.clone(), Some(group)));
            changed.retain(|(changed, _)| changed != key);
            changed.push((key.clone(), stream));
        }
    }
    if replies.is_empty() {
        return Ok(unserved(call, reading));
    }
    let mut plan = Plan::reply(clause(call, reading), Reply::Array(replies));
    for (key, mut stream) in changed {
        let Some((name, _)) = &reading.group else { continue };
        let group = stream.groups.remove(name);
        plan = plan.with(call.edit_stream(&key, StreamEdit::Group(name.clone(), group)));
    }
    if !commands.is_empty() {
        plan.propagation = Propagation::Instead { aof: commands.clone(), replicas: Some(commands) };
    }
    Ok(plan)
}

/// Nothing is there: the reader is told so, or waits. [XREAD-2] [XREAD-12] [XREAD-14] [XREADGROUP-11]
///
/// Only readers of new entries come here with a group, since a history is answered even if it is empty.
fn unserved(call: &Call<'_>, reading: &Reading) -> Plan {
    match reading.block_ms {
        Some(ms) if !call.model.executing => {
            call.cite(Clause::XREADGROUP_11);
            // A deadline that is no time has passed, where it is taken at all. (E-93)
            let later = |now: i64| now.checked_add(ms).unwrap_or(now);
            let (earliest_ms, latest_ms) = (later(call.span.earliest_ms), later(call.span.latest_ms));
            let deadline = (ms > 0).then_some(Deadline { earliest_ms, latest_ms });
            let mut reading = reading.clone();
            if reading.count == usize::MAX {
                reading.count = MOST_AFTER_WAITING;
            }
            let blocked = Blocked { wait: Wait::Stream(reading), deadline };
            Plan::new(Clause::XREAD_12, Allowed::Nothing).with(Change::Block(blocked))
        }
        Some(_) => Plan::reply(Clause::XREAD_14, Reply::NilArray),
        None => Plan::reply(Clause::XREAD_2, Reply::NilArray),
    }
}

/// The clause that decides the answer, after all that bear on it were cited.
fn clause(call: &Call<'_>, reading: &Reading) -> Clause {
    if reading.group.is_none() {
        return Clause::XREAD_1;
    }
    let history = reading.streams.iter().any(|(_, from)| *from != Wanted::Undelivered);
    let cited: &[Clause] = match (history, reading.no_ack) {
        (true, _) => &[
            Clause::XREADGROUP_5,
            Clause::XREADGROUP_6,
            Clause::GROUP_4,
            Clause::PROPAGATION_22,
            Clause::PROPAGATION_25,
        ],
        (false, true) => &[Clause::XREADGROUP_3, Clause::PROPAGATION_23, Clause::PROPAGATION_25],
        (false, false) => &[Clause::XREADGROUP_2, Clause::GROUP_1, Clause::PROPAGATION_22],
    };
    cited.iter().for_each(|&clause| call.cite(clause));
    if history { Clause::XREADGROUP_4 } else { Clause::XREADGROUP_1 }
}

impl Reading {
    /// The keys that it names.
    pub(crate) fn keys(&self) -> Vec<Bytes> {
        self.streams.iter().map(|(key, _)| key.clone()).collect()
    }

    /// What becomes of a reader that waits, now that an entry was added to the stream at a key. [XREAD-12] [XREAD-13]
    /// [XREADGROUP-11] [XREADGROUP-13]
    pub fn wake(&self, key: &[u8], stream: &StreamValue, now: Span) -> Woken {
        // [XREAD-15]
        let Some((_, from)) = self.streams.iter().find(|(named, _)| named == key) else { return Woken::Waits };
        if let Some((name, _)) = &self.group
            && !stream.groups.contains_key(name)
        {
            let line = "NOGROUP the consumer group this client was blocked on no longer exists";
            return Woken::Refused(Refusal::new(Clause::XREADGROUP_13, line));
        }
        match self.serve(key, *from, stream, now, Rules::Specified) {
            // The streams stand in an array, as those of a command that did not wait.
            Some(served) => Woken::Served(Served { reply: Reply::Array(vec![served.reply]), ..served }),
            None => Woken::Waits,
        }
    }

    fn has_greatest_sequence(&self) -> bool {
        self.streams.iter().any(|(_, from)| matches!(from, Wanted::Above(StreamId { seq: u64::MAX, .. })))
    }

    /// What a stream has for the reader now; `None` if there is nothing to answer.
    pub fn serve(&self, key: &[u8], from: Wanted, stream: &StreamValue, now: Span, rules: Rules) -> Option<Served> {
        let group = match &self.group {
            None => None,
            Some((name, consumer)) => Some((name, consumer, stream.groups.get(name)?)),
        };
        let (entries, group, commands) = match (group, from) {
            (None, Wanted::Above(id)) => (self.above(stream, id, rules)?, None, Vec::new()),
            (None, Wanted::Undelivered) => return None,
            (Some((name, consumer, group)), Wanted::Undelivered) => {
                let found = self.above(stream, group.last_id, rules)?;
                let (group, commands) = self.deliver(key, name, consumer, group, &found, now);
                (found, Some(group), commands)
            }
            (Some((name, consumer, group)), Wanted::Above(id)) => {
                let (replies, group, commands) = self.history(key, name, consumer, group, id, stream, now, rules);
                return Some(Served { reply: of_key(key, replies), group: Some(group), commands });
            }
        };
        let replies = entries.into_iter().map(|(id, pairs)| entry_reply(id, pairs)).collect();
        Some(Served { reply: of_key(key, replies), group, commands })
    }

    /// The entries above an id; `None` if there are none.
    fn above<'s>(&self, stream: &'s StreamValue, id: StreamId, rules: Rules) -> Option<Vec<(StreamId, &'s Pairs)>> {
        let first = first_above(id, rules)?;
        let found: Vec<_> = stream.entries().filter(|(id, _)| *id >= first).take(self.count).collect();
        let early_takes_it = rules == Rules::Early && !stream.is_empty() && stream.last_id > id;
        match rules {
            Rules::Specified if found.is_empty() => None,
            Rules::Early if !early_takes_it => None,
            _ => Some(found),
        }
    }

    /// Delivers entries to the consumer. [XREADGROUP-1] [XREADGROUP-2] [XREADGROUP-3]
    fn deliver(
        &self,
        key: &[u8],
        name: &[u8],
        consumer: &[u8],
        group: &Group,
        entries: &[(StreamId, &Pairs)],
        now: Span,
    ) -> (Group, Vec<Vec<Bytes>>) {
        let mut group = group.clone();
        let mut commands = Vec::new();
        if self.no_ack {
            commands.extend(self.made(key, name, consumer, &group));
        }
        // [GROUP-4] [GROUP-5]
        group.consumers.insert(consumer.to_vec(), Consumer { seen: now });
        for &(id, _) in entries {
            group.last_id = group.last_id.max(id);
            if self.no_ack {
                commands.push(set_id_command(key, name, &group));
            } else {
                let pending = Pending { consumer: consumer.to_vec(), delivered: now, deliveries: 1 };
                commands.push(claim_command(key, name, &group, id, &pending));
                group.pending.insert(id, pending);
            }
        }
        (group, commands)
    }

    /// The history of the consumer above an id. [XREADGROUP-4] [XREADGROUP-5]
    #[expect(clippy::too_many_arguments, reason = "a group, its stream and who reads them")]
    fn history(
        &self,
        key: &[u8],
        name: &[u8],
        consumer: &[u8],
        group: &Group,
        id: StreamId,
        stream: &StreamValue,
        now: Span,
        rules: Rules,
    ) -> (Vec<Reply>, Group, Vec<Vec<Bytes>>) {
        let mut group = group.clone();
        let mut commands: Vec<Vec<Bytes>> = self.made(key, name, consumer, &group).into_iter().collect();
        group.consumers.insert(consumer.to_vec(), Consumer { seen: now });
        let first = first_above(id, rules);
        let found: Vec<StreamId> = group
            .pending_of(consumer)
            .map(|(id, _)| id)
            .filter(|id| first.is_some_and(|first| *id >= first))
            .take(self.count)
            .collect();
        let mut replies = Vec::new();
        for id in found {
            let Some(pairs) = stream.entry(id) else {
                replies.push(Reply::Array(vec![Reply::Bulk(id.to_text()), Reply::NilArray]));
                continue;
            };
            replies.push(entry_reply(id, pairs));
            if let Some(pending) = group.pending.get_mut(&id) {
                pending.delivered = now;
                pending.deliveries = pending.deliveries.saturating_add(1);
                let pending = pending.clone();
                commands.push(claim_command(key, name, &group, id, &pending));
            }
        }
        (replies, group, commands)
    }

    /// How replicas hear of a consumer that is made. [PROPAGATION-25]
    fn made(&self, key: &[u8], name: &[u8], consumer: &[u8], group: &Group) -> Option<Vec<Bytes>> {
        if group.consumers.contains_key(consumer) {
            return None;
        }
        let mut command = words(&[b"XREADGROUP", b"GROUP", name, consumer, b"STREAMS", key]);
        command.push(StreamId::GREATEST.previous()?.to_text());
        Some(command)
    }
}

fn of_key(key: &[u8], entries: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(key), Reply::Array(entries)])
}

/// The least id above one. Early versions let the sequence number begin anew. (E-114)
fn first_above(id: StreamId, rules: Rules) -> Option<StreamId> {
    match rules {
        Rules::Specified => id.next(),
        Rules::Early => Some(StreamId { seq: id.seq.wrapping_add(1), ..id }),
    }
}

/// Where the keys of XREAD and XREADGROUP stand; `None` if that cannot be told. [COMMAND-14]
pub(crate) fn key_positions(line: &[&[u8]]) -> Option<std::ops::Range<usize>> {
    let mut at = 1;
    loop {
        match line.get(at)?.to_ascii_lowercase().as_slice() {
            b"block" | b"count" => at += 2,
            b"group" => at += 3,
            b"noack" => at += 1,
            b"streams" => break,
            _ => return None,
        }
    }
    let behind = line.len() - at - 1;
    (behind > 0 && behind.is_multiple_of(2)).then(|| at + 1..at + 1 + behind / 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Reading, Wanted, Woken};
    use crate::clause::Clause;
    use crate::reply::Reply;
    use crate::span::Span;
    use crate::stream::{Group, StreamEdit, StreamId, StreamValue, Trim};

    fn id(ms: u64) -> StreamId {
        StreamId { ms, seq: 1 }
    }

    fn add(stream: &mut StreamValue, ms: u64) {
        let pairs = vec![(b"f".to_vec(), b"v".to_vec())];
        stream.apply(StreamEdit::Add { id: id(ms), pairs, new_node: false });
    }

    fn answer(ids: &[u64]) -> Reply {
        let pair = || Reply::Array(vec![Reply::bulk("f"), Reply::bulk("v")]);
        let entries = ids.iter().map(|ms| Reply::Array(vec![Reply::Bulk(id(*ms).to_text()), pair()])).collect();
        Reply::Array(vec![Reply::Array(vec![Reply::bulk("k"), Reply::Array(entries)])])
    }

    fn reading(group: Option<&str>, streams: &[(&str, Wanted)]) -> Reading {
        Reading {
            count: 2,
            block_ms: Some(0),
            group: group.map(|name| (name.as_bytes().to_vec(), b"c".to_vec())),
            no_ack: false,
            streams: streams.iter().map(|(key, from)| (key.as_bytes().to_vec(), *from)).collect(),
        }
    }

    // [XREAD-12] [XREAD-13] [XREAD-15]
    #[test]
    fn a_waiting_reader_is_served_what_is_above_the_id_it_gave_first() {
        let waiting =
            reading(None, &[("other", Wanted::Above(id(0))), ("k", Wanted::Above(id(5))), ("k", Wanted::Above(id(0)))]);
        let mut stream = StreamValue::default();
        add(&mut stream, 5);
        assert!(matches!(waiting.wake(b"k", &stream, Span::at(9)), Woken::Waits));
        add(&mut stream, 6);
        stream.apply(StreamEdit::Trim(Trim { length: 0, whole_nodes: false }));
        assert!(matches!(waiting.wake(b"k", &stream, Span::at(9)), Woken::Waits));
        (7..=9).for_each(|ms| add(&mut stream, ms));
        assert!(matches!(waiting.wake(b"elsewhere", &stream, Span::at(9)), Woken::Waits));
        let Woken::Served(served) = waiting.wake(b"k", &stream, Span::at(9)) else { panic!("not served") };
        assert_eq!(served.reply, answer(&[7, 8]));
        assert_eq!((served.group, served.commands), (None, Vec::new()));
    }

    // [XREADGROUP-11] [XREADGROUP-13]
    #[test]
    fn a_waiting_consumer_is_delivered_what_its_group_lacks_unless_that_is_gone() {
        let waiting = reading(Some("g"), &[("k", Wanted::Undelivered)]);
        let mut stream = StreamValue::default();
        stream.apply(StreamEdit::Group(b"g".to_vec(), Some(Group { last_id: id(5), ..Group::default() })));
        add(&mut stream, 5);
        assert!(matches!(waiting.wake(b"k", &stream, Span::at(9)), Woken::Waits));
        add(&mut stream, 6);
        let Woken::Served(served) = waiting.wake(b"k", &stream, Span::at(9)) else { panic!("not served") };
        assert_eq!(served.reply, answer(&[6]));
        let group = served.group.unwrap();
        assert_eq!((group.last_id, group.pending.len()), (id(6), 1));
        assert_eq!(served.commands.len(), 1);
        assert_eq!(served.commands[0].join(&b' '), b"XCLAIM k g c 0 6-1 TIME 9 RETRYCOUNT 1 FORCE JUSTID LASTID 6-1");
        stream.apply(StreamEdit::Group(b"g".to_vec(), None));
        let Woken::Refused(refusal) = waiting.wake(b"k", &stream, Span::at(9)) else { panic!("not refused") };
        assert_eq!(refusal.clause, Clause::XREADGROUP_13);
    }
}
