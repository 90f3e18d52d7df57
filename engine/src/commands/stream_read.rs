//! XREAD and XREADGROUP: what a reader has not seen yet, at once or when it comes.
//!
//! ```text
//! XREAD        entries above an id                                 nothing is changed
//! XREADGROUP   `>`: entries above the group's last delivered id    they become pending for the consumer
//!              an id: the consumer's own history above it          times and numbers of deliveries change
//! ```
//!
//! A reader for whom nothing is there and who named a time to wait becomes a [`WaitingReader`], which waits as
//! [`crate::blocking`] says and is served from each stream that gets new entries.

use super::blocking::deadline;
use super::streams::{parse_count, parse_id, write_entries, write_entry, write_id};
use super::{Context, Refusal, SILENT, until_nul};
use crate::blocking::Wanted;
use crate::number::{I64_TEXT_MAX, format_i64};
use crate::object::{ObjectMut, ObjectRef};
use crate::propagation::Targets;
use crate::resp::{Args, Reply};
use crate::values::Stream;
use crate::values::stream::{BEHIND_ALL, ConsumerId, Entries, GroupMut, ID_TEXT_MAX, Pending, StreamId};

/// Most entries that a reader who had to wait gets, unless it says otherwise.
const WAITING_COUNT: usize = 1000;

/// What stands in front of the keys.
struct Options<'a> {
    /// The names of group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    /// 0 for any number.
    count: usize,
    /// To wait, until a moment in Unix milliseconds or for ever.
    block: Option<Option<i64>>,
    /// Where the first key stands.
    keys: usize,
    /// How many there are.
    len: usize,
}

impl<'a> Options<'a> {
    /// Judges the options from left to right. [XREAD-6] [XREADGROUP-7]
    fn parse(args: &'a Args<'a>, grouped: bool, now_ms: i64) -> Result<Options<'a>, Refusal> {
        let mut options = Options { group: None, no_ack: false, count: 0, block: None, keys: 0, len: 0 };
        let mut at = 1;
        while at < args.len() {
            let more = args.len() - at - 1;
            if args.is(at, "block") && more > 0 {
                options.block = Some(deadline(&args[at + 1], 1, now_ms)?);
                at += 1;
            } else if args.is(at, "count") && more > 0 {
                options.count = parse_count(&args[at + 1])?;
                at += 1;
            } else if args.is(at, "streams") && more > 0 {
                if !more.is_multiple_of(2) {
                    return Err(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
                            .into(),
                    );
                }
                options.keys = at + 1;
                options.len = more / 2;
                break;
            } else if args.is(at, "group") && more > 1 {
                if !grouped {
                    return Err(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.".into()
                    );
                }
                options.group = Some((&args[at + 1], &args[at + 2]));
                at += 2;
            } else if args.is(at, "noack") {
                if !grouped {
                    return Err(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.".into()
                    );
                }
                options.no_ack = true;
            } else {
                return Err(Refusal::SYNTAX);
            }
            at += 1;
        }
        if options.keys == 0 {
            return Err(Refusal::SYNTAX);
        }
        if grouped && options.group.is_none() {
            return Err("ERR Missing GROUP option for XREADGROUP".into());
        }
        Ok(options)
    }

    /// Most entries of a stream.
    fn most(&self) -> usize {
        if self.count == 0 { usize::MAX } else { self.count }
    }

    /// The keys with where to begin with each.
    fn streams(&self, args: &Args<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let keys = args.from(self.keys);
        let starts = args.from(self.keys + self.len);
        keys.iter().zip(starts.iter())
    }
}

/// Where a reader begins with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Behind an id.
    After(StreamId),
    /// With what was not delivered to anybody of the group: `>`.
    New,
}

/// Judges a stream: the type of the key, the group and the id. [XREAD-11] [XREADGROUP-9]
fn judge(found: Option<ObjectRef<'_>>, key: &[u8], start: &[u8], options: &Options<'_>) -> Result<Start, Refusal> {
    let stream = found.map(ObjectRef::stream).transpose()?;
    if let Some((group, _)) = options.group
        && stream.and_then(|stream| stream.group(group)).is_none()
    {
        return Err(no_group(key, group));
    }
    let grouped = options.group.is_some();
    match until_nul(start) {
        b"$" if grouped => Err(MEANINGLESS.into()),
        b"$" => Ok(Start::After(stream.map_or(StreamId::MIN, Stream::last_id))),
        b">" if !grouped => Err(ONLY_GROUPS.into()),
        b">" => Ok(Start::New),
        // The greatest id stands for new entries too. [XREADGROUP-14]
        _ => parse_id(start).map(|id| if grouped && id == StreamId::MAX { Start::New } else { Start::After(id) }),
    }
}

const MEANINGLESS: &str = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
    this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
    result set.";
const ONLY_GROUPS: &str = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
    <consumer> option.";

fn no_group(key: &[u8], group: &[u8]) -> Refusal {
    let parts = [
        b"NOGROUP No such key '",
        until_nul(key),
        b"' or consumer group '",
        until_nul(group),
        b"' in XREADGROUP with GROUP option",
    ];
    parts.concat().into()
}

/// `XREAD [COUNT count] [BLOCK milliseconds] STREAMS key… id…`.
pub(crate) fn xread(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    read(cx, args, &Options::parse(args, false, cx.now_ms)?)
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key… id…`.
pub(crate) fn xreadgroup(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    read(cx, args, &Options::parse(args, true, cx.now_ms)?)
}

fn read(cx: &mut Context<'_>, args: &Args<'_>, options: &Options<'_>) -> Result<(), Refusal> {
    for (key, start) in options.streams(args) {
        let found = cx.lookup_read(key);
        judge(found, key, start, options)?;
    }
    let now_ms = cx.now_ms;
    let mut place = None;
    let mut served = 0;
    for (key, start) in options.streams(args) {
        // Judged before: what is read meanwhile changes neither keys nor their last ids.
        let found = cx.lookup_read(key);
        let Ok(start) = judge(found, key, start, options) else { continue };
        let (found, mut reply) = cx.write(key);
        let Some(mut object) = found else { continue };
        let mut stream = object.stream()?;
        let mut changes = Changes::default();
        let mut begin = |reply: &mut Reply<'_>| {
            if place.is_none() {
                place = Some(reply.later_array());
            }
            served += 1;
            reply.array(2);
            reply.bulk(key);
        };
        match (options.group, start) {
            (None, Start::After(after)) => {
                let above = after.next().map(|first| stream.entries().range(first, StreamId::MAX));
                let mut above = above.into_iter().flatten().take(options.most()).peekable();
                if above.peek().is_some() {
                    begin(&mut reply);
                    write_entries(&mut reply, above);
                }
            }
            (Some((group, consumer)), start) => {
                let Some((entries, group)) = stream.group_mut(group) else { continue };
                let mut reading = Reading { entries, group, most: options.most(), now_ms };
                match start {
                    Start::After(after) => {
                        begin(&mut reply);
                        changes = reading.show_history(consumer, after, &mut reply);
                    }
                    Start::New if reading.has_new() => {
                        begin(&mut reply);
                        changes = reading.deliver(consumer, options.no_ack, &mut reply);
                    }
                    Start::New => {}
                }
            }
            (None, Start::New) => {}
        }
        drop(stream);
        if let Some((group, consumer)) = options.group
            && !changes.is_empty()
        {
            changes.hand_on(key, group, consumer, &mut |command| cx.server.propagation.instead(Targets::ALL, command));
            cx.modified(key, SILENT);
        }
    }
    match (place, options.block) {
        (Some(place), _) => cx.reply().set_array(place, served),
        (None, Some(deadline_ms)) if cx.may_block() => {
            let reader = WaitingReader::new(cx, args, options);
            let keys = options.streams(args).map(|(key, _)| key);
            cx.wait_for(Wanted::Entries(Box::new(reader)), keys, deadline_ms);
        }
        (None, _) => cx.reply().nil_array(),
    }
    Ok(())
}

/// What a group's reader works on.
struct Reading<'a> {
    entries: Entries<'a>,
    group: GroupMut<'a>,
    most: usize,
    now_ms: i64,
}

impl Reading<'_> {
    /// Whether there are entries that were not delivered yet.
    fn has_new(&self) -> bool {
        self.entries.last().is_some_and(|last| last.id > self.group.last_id)
    }

    fn consumer(&mut self, name: &[u8]) -> (ConsumerId, bool) {
        let (consumer, new) = self.group.find_or_add(name, self.now_ms);
        self.group.see(consumer, self.now_ms);
        (consumer, new)
    }

    /// Delivers what is new, and writes it. [XREADGROUP-1] [XREADGROUP-2] [XREADGROUP-3]
    fn deliver(&mut self, name: &[u8], no_ack: bool, reply: &mut Reply<'_>) -> Changes {
        let (consumer, new) = self.consumer(name);
        let mut changes = Changes { new_consumer: new, ..Changes::default() };
        let place = reply.later_array();
        let mut delivered = 0;
        let above = self.group.last_id.next().map(|first| self.entries.range(first, StreamId::MAX));
        for entry in above.into_iter().flatten().take(self.most) {
            write_entry(reply, &entry);
            delivered += 1;
            self.group.last_id = self.group.last_id.max(entry.id);
            let pending = Pending { consumer, delivered_ms: self.now_ms, deliveries: 1 };
            if !no_ack {
                self.group.set_pending(entry.id, pending);
            }
            let pending = (!no_ack).then_some(pending);
            changes.deliveries.push(Delivery { id: entry.id, pending, last_id: self.group.last_id });
        }
        reply.set_array(place, delivered);
        changes
    }

    /// Writes what is pending for the consumer above an id. [XREADGROUP-4] [XREADGROUP-5]
    fn show_history(&mut self, name: &[u8], after: StreamId, reply: &mut Reply<'_>) -> Changes {
        let (consumer, new) = self.consumer(name);
        let mut changes = Changes { new_consumer: new, ..Changes::default() };
        let place = reply.later_array();
        let mut shown = 0;
        let from = after.next();
        let ids = from.zip(self.group.consumer(consumer)).map(|(from, consumer)| consumer.pending(from));
        for id in ids.into_iter().flatten().take(self.most) {
            shown += 1;
            match self.entries.get(id) {
                Some(entry) => {
                    write_entry(reply, &entry);
                    changes.deliveries.push(Delivery { id, pending: None, last_id: self.group.last_id });
                }
                None => {
                    reply.array(2);
                    write_id(reply, id);
                    reply.nil_array();
                }
            }
        }
        for delivery in &mut changes.deliveries {
            delivery.pending = self.group.delivered_again(delivery.id, self.now_ms);
        }
        reply.set_array(place, shown);
        changes
    }
}

/// One entry that was delivered.
struct Delivery {
    id: StreamId,
    /// What is known of it; nothing when it did not become pending.
    pending: Option<Pending>,
    /// The group's last delivered id after it.
    last_id: StreamId,
}

/// What reading did to a group.
#[derive(Default)]
pub(super) struct Changes {
    new_consumer: bool,
    deliveries: Vec<Delivery>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        !self.new_consumer && self.deliveries.is_empty()
    }

    /// The commands that do the same elsewhere. [PROPAGATION-22] [PROPAGATION-23] [PROPAGATION-25]
    fn hand_on(&self, key: &[u8], group: &[u8], consumer: &[u8], to: &mut dyn FnMut(&[&[u8]])) {
        if self.new_consumer && self.deliveries.iter().all(|delivery| delivery.pending.is_none()) {
            hand_on_consumer(key, group, consumer, to);
        }
        for Delivery { id, pending, last_id } in &self.deliveries {
            let mut text = [0; ID_TEXT_MAX];
            let id = id.text(&mut text);
            match pending {
                Some(pending) => hand_on_claim([key, group, consumer, id], pending, *last_id, to),
                None => to(&[b"XGROUP", b"SETID", key, group, id]),
            }
        }
    }
}

/// That there is a consumer, by the reading of an empty history. [PROPAGATION-25]
fn hand_on_consumer(key: &[u8], group: &[u8], consumer: &[u8], to: &mut dyn FnMut(&[&[u8]])) {
    let mut text = [0; ID_TEXT_MAX];
    to(&[b"XREADGROUP", b"GROUP", group, consumer, b"STREAMS", key, BEHIND_ALL.text(&mut text)]);
}

/// That an entry is pending: key, group, consumer and id come first. [PROPAGATION-22]
pub(super) fn hand_on_claim(
    [key, group, consumer, id]: [&[u8]; 4],
    pending: &Pending,
    last_id: StreamId,
    to: &mut dyn FnMut(&[&[u8]]),
) {
    let (mut time, mut last) = ([0; I64_TEXT_MAX], [0; ID_TEXT_MAX]);
    let count = pending.deliveries.to_string();
    to(&[
        b"XCLAIM",
        key,
        group,
        consumer,
        b"0",
        id,
        b"TIME",
        format_i64(pending.delivered_ms, &mut time),
        b"RETRYCOUNT",
        count.as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last_id.text(&mut last),
    ]);
}

/// A reader for whom nothing was there and who waits: with BLOCK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WaitingReader {
    /// The keys, and behind which id of each; a group's reader goes by the group's last delivered id instead.
    streams: Vec<(Vec<u8>, StreamId)>,
    group: Option<WaitingConsumer>,
    most: usize,
}

/// A consumer of a group who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WaitingConsumer {
    group: Vec<u8>,
    consumer: Vec<u8>,
    no_ack: bool,
}

/// What came of trying to serve a reader who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// There is no stream at the key, for no reader: nothing was written.
    NoStream,
    /// There is nothing for it: it waits on, and nothing was written.
    Not,
    /// Its answer was written, and it waits no more.
    Yes,
}

impl WaitingReader {
    fn new(cx: &mut Context<'_>, args: &Args<'_>, options: &Options<'_>) -> WaitingReader {
        let streams = options.streams(args).map(|(key, start)| {
            let found = cx.server.find(cx.client.db, key, cx.now_ms).map(ObjectMut::into_view);
            match judge(found, key, start, options) {
                Ok(Start::After(after)) => (key.to_vec(), after),
                Ok(Start::New) | Err(_) => (key.to_vec(), StreamId::MAX),
            }
        });
        WaitingReader {
            streams: streams.collect(),
            group: options.group.map(|(group, consumer)| WaitingConsumer {
                group: group.to_vec(),
                consumer: consumer.to_vec(),
                no_ack: options.no_ack,
            }),
            most: if options.count == 0 { WAITING_COUNT } else { options.count },
        }
    }

    /// Bytes that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        let streams = self.streams.iter().map(|(key, _)| size_of::<(Vec<u8>, StreamId)>() + key.capacity());
        let group = self.group.as_ref().map_or(0, |waiting| waiting.group.capacity() + waiting.consumer.capacity());
        size_of::<Self>() + streams.sum::<usize>() + group
    }

    /// Whether the value at `key`, one of [`WaitingReader::streams`], can serve the reader now; writes the whole answer if
    /// so. `to` gets the commands that do elsewhere what was done to the group. [XREAD-13] [XREADGROUP-13]
    pub(crate) fn serve(
        &self,
        key: &[u8],
        object: Option<ObjectMut<'_>>,
        now_ms: i64,
        reply: &mut Reply<'_>,
        to: &mut dyn FnMut(&[&[u8]]),
    ) -> Served {
        let Some(mut object) = object else { return Served::NoStream };
        let Ok(mut stream) = object.stream() else { return Served::NoStream };
        let begin = |reply: &mut Reply<'_>| {
            reply.array(1);
            reply.array(2);
            reply.bulk(key);
        };
        let Some(waiting) = &self.group else {
            let after = self.streams.iter().find(|(own, _)| own == key).map(|(_, after)| *after);
            let first = after.and_then(StreamId::next);
            let above = first.map(|first| stream.entries().range(first, StreamId::MAX));
            let mut above = above.into_iter().flatten().take(self.most).peekable();
            if above.peek().is_none() {
                return Served::Not;
            }
            begin(reply);
            write_entries(reply, above);
            return Served::Yes;
        };
        let Some((entries, group)) = stream.group_mut(&waiting.group) else {
            reply.error(b"NOGROUP the consumer group this client was blocked on no longer exists");
            return Served::Yes;
        };
        let mut reading = Reading { entries, group, most: self.most, now_ms };
        if !reading.has_new() {
            return Served::Not;
        }
        begin(reply);
        let changes = reading.deliver(&waiting.consumer, waiting.no_ack, reply);
        drop(reading);
        changes.hand_on(key, &waiting.group, &waiting.consumer, to);
        Served::Yes
    }
}
