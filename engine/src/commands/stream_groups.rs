//! Consumer groups: made and removed, and what is pending in them acknowledged, listed and claimed.

use super::stream_read::hand_on_claim;
use super::streams::{INVALID_ID, parse_count, parse_id, parse_range, write_entry, write_id};
use super::{Context, Refusal, SILENT, unknown_subcommand, until_nul};
use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::propagation::Targets;
use crate::resp::{Args, Reply};
use crate::values::stream::{Entries, Group, GroupMut, ID_TEXT_MAX, Pending, StreamId};
use crate::values::{Collection, Stream};

const HELP: [&str; 7] = [
    "XGROUP <subcommand> arg arg ... arg. Subcommands are:",
    "CREATE <key> <groupname> <id or $> [MKSTREAM] -- Make a group that begins behind an id.",
    "  MKSTREAM: make the stream too, without entries, if it is not there.",
    "SETID <key> <groupname> <id or $> -- Set behind which id the group goes on.",
    "DESTROY <key> <groupname> -- Remove a group and all that is pending in it.",
    "DELCONSUMER <key> <groupname> <consumername> -- Remove a consumer and all that is pending for it.",
    "HELP -- Show these lines.",
];

const NO_STREAM: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
    the MKSTREAM option to create an empty stream automatically.";

/// The refusal of a group that is not there, where the key is.
pub(super) fn no_such_group(key: &[u8], group: &[u8]) -> Refusal {
    let parts = [b"NOGROUP No such consumer group '", until_nul(group), b"' for key name '", until_nul(key), b"'"];
    parts.concat().into()
}

/// The refusal of a key or a group that is not there. [XPENDING-7]
fn no_key_or_group(key: &[u8], group: &[u8]) -> Refusal {
    let parts = [b"NOGROUP No such key '", until_nul(key), b"' or consumer group '", until_nul(group), b"'"];
    parts.concat().into()
}

/// An id, or `$` for the last one of the stream.
fn id_or_last(
    text: &[u8],
    stream: Option<&Stream>,
    parse: fn(&[u8], u64) -> Option<StreamId>,
) -> Result<StreamId, Refusal> {
    if until_nul(text) == b"$" {
        return Ok(stream.map_or(StreamId::MIN, Stream::last_id));
    }
    parse(text, 0).ok_or(INVALID_ID)
}

/// `XGROUP CREATE | SETID | DESTROY | DELCONSUMER key group …` and `XGROUP HELP`.
pub(crate) fn xgroup(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let subcommand = args[1].to_ascii_lowercase();
    let mkstream = args.len() == 6 && subcommand == b"create";
    if mkstream && !args.is(5, "mkstream") {
        return Err(unknown_subcommand("XGROUP", &args[1], "."));
    }
    if args.len() >= 4 {
        let (key, name) = (&args[2], &args[3]);
        let found = cx.lookup_write(key);
        let stream = found.as_ref().map(|object| object.view().stream()).transpose()?;
        if !mkstream {
            let stream = stream.ok_or(NO_STREAM)?;
            if matches!(&*subcommand, b"setid" | b"delconsumer") && stream.group(name).is_none() {
                return Err(no_such_group(key, name));
            }
        }
    }
    match (&*subcommand, args.len()) {
        (b"create", 5 | 6) => create(cx, args),
        (b"setid", 5) => set_id(cx, args),
        (b"destroy", 4) => destroy(cx, args),
        (b"delconsumer", 5) => remove_consumer(cx, args),
        (b"help", _) => {
            cx.reply().lines(HELP.into_iter());
            Ok(())
        }
        _ => Err(unknown_subcommand("XGROUP", &args[1], ".")),
    }
}

/// Changes the stream at a key that was seen to hold one.
fn change<R>(cx: &mut Context<'_>, key: &[u8], change: impl FnOnce(&mut Stream) -> R) -> Result<R, Refusal> {
    let mut object = cx.server.find(cx.client.db, key, cx.now_ms).ok_or(NO_STREAM)?;
    Ok(change(&mut *object.stream()?))
}

fn create(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, name) = (&args[2], &args[3]);
    let found = cx.server.find(cx.client.db, key, cx.now_ms);
    let stream = found.as_ref().map(|object| object.view().stream()).transpose()?;
    let id = id_or_last(&args[4], stream, StreamId::parse)?;
    if stream.is_none() {
        cx.add_collection(key, Collection::Stream(Stream::new()));
    }
    if !change(cx, key, |stream| stream.add_group(name, Group::new(id)))? {
        return Err("BUSYGROUP Consumer Group name already exists".into());
    }
    cx.modified(key, "xgroup-create");
    cx.reply().ok();
    Ok(())
}

fn set_id(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, name) = (&args[2], &args[3]);
    change(cx, key, |stream| {
        let id = id_or_last(&args[4], Some(stream), StreamId::parse_limit)?;
        if let Some((_, mut group)) = stream.group_mut(name) {
            group.last_id = id;
        }
        Ok::<(), Refusal>(())
    })??;
    cx.modified(key, "xgroup-setid");
    cx.reply().ok();
    Ok(())
}

fn destroy(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, name) = (&args[2], &args[3]);
    let removed = change(cx, key, |stream| stream.remove_group(name))?;
    if removed {
        cx.modified(key, "xgroup-destroy");
    }
    cx.reply().integer(i64::from(removed));
    Ok(())
}

fn remove_consumer(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, name, consumer) = (&args[2], &args[3], &args[4]);
    let pending = change(cx, key, |stream| stream.group_mut(name)?.1.remove_consumer(consumer))?;
    cx.modified(key, "xgroup-delconsumer");
    cx.reply().count(pending.unwrap_or(0));
    Ok(())
}

/// `XACK key group id…`. No id is acknowledged unless all are ids. [XACK-3]
pub(crate) fn xack(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let mut acknowledged = 0;
    if let Some(mut object) = cx.lookup_write(key)
        && let Some((_, mut group)) = object.stream()?.group_mut(&args[2])
    {
        args.iter().skip(3).try_for_each(|id| parse_id(id).map(drop))?;
        let ids = args.iter().skip(3).filter_map(|id| StreamId::parse(id, 0));
        acknowledged = ids.filter(|&id| group.acknowledge(id)).count();
    }
    if acknowledged > 0 {
        cx.modified_times(key, SILENT, acknowledged);
    }
    cx.reply().count(acknowledged);
    Ok(())
}

/// `XPENDING key group [first last count [consumer]]`.
pub(crate) fn xpending(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = match args.len() {
        3 => None,
        6 | 7 => {
            let count = parse_count(&args[5])?;
            Some((parse_range(&args[3], &args[4])?, count))
        }
        _ => return Err(Refusal::SYNTAX),
    };
    let now_ms = cx.now_ms;
    let (stream, mut reply) = cx.read_stream(&args[1])?;
    let group = stream.and_then(|stream| stream.group(&args[2]));
    let group = group.ok_or_else(|| no_key_or_group(&args[1], &args[2]))?;
    match range {
        None => summarize(&mut reply, group),
        Some(((first, last), count)) => {
            let shown = Shown { first, last, count, now_ms };
            match args.get(6) {
                None => shown.write(&mut reply, group, group.pending_from(first)),
                Some(name) => {
                    let consumer = group.find(name).and_then(|consumer| group.consumer(consumer));
                    let ids = consumer.into_iter().flat_map(|consumer| consumer.pending(first));
                    shown.write(&mut reply, group, ids.filter_map(|id| Some((id, group.pending(id)?))));
                }
            }
        }
    }
    Ok(())
}

/// Number, least and greatest id, and who has how many. [XPENDING-1] [XPENDING-2]
fn summarize(reply: &mut Reply<'_>, group: &Group) {
    reply.array(4);
    reply.count(group.pending_len());
    let Some((first, last)) = group.pending_ends() else {
        reply.nil();
        reply.nil();
        reply.nil_array();
        return;
    };
    write_id(reply, first);
    write_id(reply, last);
    let busy = || group.consumers().filter(|consumer| consumer.pending_len() > 0);
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(i64::try_from(consumer.pending_len()).unwrap_or(i64::MAX));
    }
}

/// Which pending entries are shown.
struct Shown {
    first: StreamId,
    last: StreamId,
    count: usize,
    now_ms: i64,
}

impl Shown {
    fn write<'a>(&self, reply: &mut Reply<'_>, group: &Group, pending: impl Iterator<Item = (StreamId, &'a Pending)>) {
        let place = reply.later_array();
        let mut written = 0;
        let within = |(id, _): &(StreamId, &Pending)| (self.first..=self.last).contains(id);
        for (id, pending) in pending.take_while(within).take(self.count) {
            written += 1;
            reply.array(4);
            write_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).map_or(b"", |consumer| consumer.name()));
            reply.integer(self.now_ms.saturating_sub(pending.delivered_ms).max(0));
            reply.integer(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
        }
        reply.set_array(place, written);
    }
}

/// What stands behind the ids of XCLAIM.
struct ClaimOptions {
    /// Least milliseconds since the last delivery.
    min_idle_ms: i64,
    /// The arguments that are ids end before this one.
    ids_end: usize,
    /// The time of delivery that is noted, Unix milliseconds.
    delivered_ms: i64,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl ClaimOptions {
    /// Judges the arguments behind the consumer from left to right. [XCLAIM-8] [XCLAIM-11]
    fn parse(args: &Args<'_>, now_ms: i64) -> Result<ClaimOptions, Refusal> {
        let min_idle_ms = parse_i64(&args[4]).ok_or("ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
        let is_id = |text: &[u8]| StreamId::parse(text, 0).is_some();
        let ids_end = 5 + args.iter().skip(5).take_while(|text| is_id(text)).count();
        let mut options = ClaimOptions {
            min_idle_ms,
            ids_end,
            delivered_ms: now_ms,
            deliveries: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
        };
        let mut at = ids_end;
        while at < args.len() {
            let more = at + 1 < args.len();
            if args.is(at, "force") {
                options.force = true;
            } else if args.is(at, "justid") {
                options.just_id = true;
            } else if args.is(at, "idle") && more {
                at += 1;
                let idle_ms = parse_i64(&args[at]).ok_or("ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_ms = now_ms.saturating_sub(idle_ms);
            } else if args.is(at, "time") && more {
                at += 1;
                options.delivered_ms = parse_i64(&args[at]).ok_or("ERR Invalid TIME option argument for XCLAIM")?;
            } else if args.is(at, "retrycount") && more {
                at += 1;
                let count = parse_i64(&args[at]).ok_or("ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.deliveries = u64::try_from(count).ok();
            } else if args.is(at, "lastid") && more {
                at += 1;
                options.last_id = parse_id(&args[at])?;
            } else {
                return Err([b"ERR Unrecognized XCLAIM option '", until_nul(&args[at]), b"'"].concat().into());
            }
            at += 1;
        }
        // What lies in the future, or before all time, is the client's clock being wrong. [XCLAIM-4]
        if !(0..=now_ms).contains(&options.delivered_ms) {
            options.delivered_ms = now_ms;
        }
        Ok(options)
    }
}

/// What XCLAIM did.
#[derive(Default)]
struct Claimed {
    moved_on: bool,
    /// What was claimed, and what is known of it now.
    entries: Vec<(StreamId, Pending)>,
    last_id: StreamId,
}

/// `XCLAIM key group consumer min-idle-time id… [IDLE ms | TIME ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]`.
pub(crate) fn xclaim(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, name, consumer) = (&args[1], &args[2], &args[3]);
    let now_ms = cx.now_ms;
    let (found, mut reply) = cx.write(key);
    let mut object = found.ok_or_else(|| no_key_or_group(key, name))?;
    let mut stream = object.stream()?;
    let (entries, group) = stream.group_mut(name).ok_or_else(|| no_key_or_group(key, name))?;
    let options = ClaimOptions::parse(args, now_ms)?;
    let claimed = claim(args, &options, now_ms, entries, group, &mut reply);
    drop(stream);
    let mut to = |command: &[&[u8]]| cx.server.propagation.instead(Targets::ALL, command);
    for (id, pending) in &claimed.entries {
        let mut text = [0; ID_TEXT_MAX];
        hand_on_claim([key, name, consumer, id.text(&mut text)], pending, claimed.last_id, &mut to);
    }
    if claimed.moved_on && claimed.entries.is_empty() {
        let mut text = [0; ID_TEXT_MAX];
        to(&[b"XGROUP", b"SETID", key, name, claimed.last_id.text(&mut text)]);
    }
    if claimed.moved_on || !claimed.entries.is_empty() {
        cx.modified_times(key, SILENT, claimed.entries.len());
    }
    Ok(())
}

fn claim(
    args: &Args<'_>,
    options: &ClaimOptions,
    now_ms: i64,
    entries: Entries<'_>,
    mut group: GroupMut<'_>,
    reply: &mut Reply<'_>,
) -> Claimed {
    let mut claimed = Claimed::default();
    let sets_back = faults::is(Fault::StreamClaimSetsBack) && options.last_id > StreamId::MIN;
    if options.last_id > group.last_id || sets_back {
        group.last_id = options.last_id;
        claimed.moved_on = true;
    }
    claimed.last_id = group.last_id;
    let place = reply.later_array();
    for at in 5..options.ids_end {
        let Some(id) = StreamId::parse(&args[at], 0) else { continue };
        let before = match group.pending(id) {
            Some(pending) if now_ms.saturating_sub(pending.delivered_ms) < options.min_idle_ms => continue,
            Some(pending) => pending.deliveries,
            None if options.force && entries.get(id).is_some() => 1,
            None => continue,
        };
        // With the first entry that it claims it is there. [GROUP-4]
        let (consumer, _) = group.find_or_add(&args[3], now_ms);
        group.see(consumer, now_ms);
        let deliveries = match options.deliveries {
            Some(count) => count,
            None if options.just_id => before,
            None => before.wrapping_add(1),
        };
        let pending = Pending { consumer, delivered_ms: options.delivered_ms, deliveries };
        group.set_pending(id, pending);
        claimed.entries.push((id, pending));
        match entries.get(id) {
            _ if options.just_id => write_id(reply, id),
            Some(entry) => write_entry(reply, &entry),
            None => reply.nil(),
        }
    }
    reply.set_array(place, claimed.entries.len());
    claimed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_show_names_up_to_their_first_zero_byte() {
        let shown = no_key_or_group(b"k\0x", b"g\0y");
        assert_eq!(shown.text(), b"NOGROUP No such key 'k' or consumer group 'g'");
    }
}
