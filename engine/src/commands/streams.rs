//! Streams: entries added, counted, shown, deleted and trimmed.

use super::{Context, Refusal, until_nul};
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, format_i64, parse_i64};
use crate::propagation::Targets;
use crate::resp::{Args, Reply};
use crate::values::stream::{Entry, ID_TEXT_MAX, NotAdded, StreamId, StreamLimits};
use crate::values::{Collection, Stream};

pub(super) const INVALID_ID: Refusal = Refusal::Fixed("ERR Invalid stream ID specified as stream command argument");
const NEGATIVE_LENGTH: Refusal = Refusal::Fixed("ERR The MAXLEN argument must be >= 0.");
const EXHAUSTED: Refusal =
    Refusal::Fixed("ERR The stream has exhausted the last possible ID, unable to add more items");
const NOT_ABOVE: Refusal =
    Refusal::Fixed("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const TOO_LARGE: Refusal = Refusal::Fixed("ERR Elements are too large to be stored");

pub(super) fn integer(text: &[u8]) -> Result<i64, Refusal> {
    parse_i64(text).ok_or(Refusal::NOT_AN_INTEGER)
}

/// An id, its sequence number 0 where there is none.
pub(super) fn parse_id(text: &[u8]) -> Result<StreamId, Refusal> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

/// The first and the last id of a range. [STREAM-4] [XRANGE-2]
pub(super) fn parse_range(first: &[u8], last: &[u8]) -> Result<(StreamId, StreamId), Refusal> {
    let first = StreamId::parse_limit(first, 0).ok_or(INVALID_ID)?;
    Ok((first, StreamId::parse_limit(last, u64::MAX).ok_or(INVALID_ID)?))
}

/// Writes an id.
pub(super) fn write_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.text(&mut [0; ID_TEXT_MAX]));
}

/// Writes an entry: its id, and its fields and values in turn. [STREAM-9]
pub(super) fn write_entry(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    reply.array(2);
    write_id(reply, entry.id);
    reply.array(2 * entry.len());
    for (field, value) in entry.fields() {
        reply.bulk(field.text(&mut [0; I64_TEXT_MAX]));
        reply.bulk(value.text(&mut [0; I64_TEXT_MAX]));
    }
}

/// Writes an array of entries.
pub(super) fn write_entries<'a>(reply: &mut Reply<'_>, entries: impl Iterator<Item = Entry<'a>>) {
    let place = reply.later_array();
    let mut written = 0;
    for entry in entries {
        write_entry(reply, &entry);
        written += 1;
    }
    reply.set_array(place, written);
}

/// To how many entries a stream is to be cut.
#[derive(Clone, Copy, Debug)]
struct MaxLen {
    length: u64,
    /// By whole nodes only.
    approximate: bool,
    /// Where the length stands; behind `~` or `=`, if there is one.
    place: usize,
}

impl MaxLen {
    /// Reads what stands behind MAXLEN at `at`, which is not the last argument. [XADD-6] [XADD-9]
    fn parse(args: &Args<'_>, at: usize) -> Result<MaxLen, Refusal> {
        let sign = (at + 2 < args.len()).then(|| until_nul(&args[at + 1]));
        let approximate = sign == Some(b"~");
        let place = if approximate || sign == Some(b"=") { at + 2 } else { at + 1 };
        let length = u64::try_from(integer(&args[place])?).map_err(|_| NEGATIVE_LENGTH)?;
        Ok(MaxLen { length, approximate, place })
    }
}

/// Reads a count behind COUNT: how many at most.
pub(super) fn parse_count(text: &[u8]) -> Result<usize, Refusal> {
    Ok(usize::try_from(integer(text)?).unwrap_or(0))
}

impl Context<'_> {
    /// Reads the stream at a key, with the writer of the reply; an absent key gives `None`.
    pub(super) fn read_stream(&mut self, key: &[u8]) -> Result<(Option<&Stream>, Reply<'_>), Refusal> {
        let (found, reply) = self.read(key);
        match found {
            Some(object) => Ok((Some(object.stream()?), reply)),
            None => Ok((None, reply)),
        }
    }

    /// Hands on the command with other arguments in some places.
    fn propagate_changed(&mut self, args: &Args<'_>, changes: &[(usize, &[u8])]) {
        let mut arguments: Vec<&[u8]> = args.iter().collect();
        for &(place, text) in changes {
            arguments[place] = text;
        }
        self.propagate_instead(Targets::ALL, &arguments);
    }
}

/// `XADD key [MAXLEN [~|=] length] id|* field value…`.
pub(crate) fn xadd(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let mut max_len = None;
    let mut at = 2;
    let given = loop {
        // The arity leaves no fewer than five arguments, and all but the last of an option are gone over.
        let Some(argument) = args.get(at) else { return Err("ERR wrong number of arguments for XADD".into()) };
        if until_nul(argument) == b"*" {
            break None;
        }
        if args.is(at, "maxlen") && at + 1 < args.len() {
            let found = MaxLen::parse(args, at)?;
            at = found.place + 1;
            max_len = Some(found);
            continue;
        }
        break Some(parse_id(argument)?);
    };
    let texts = args.from(at + 1);
    if texts.len() < 2 || !texts.len().is_multiple_of(2) {
        return Err("ERR wrong number of arguments for XADD".into());
    }
    if given == Some(StreamId::MIN) {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    let limits = StreamLimits::new(&cx.server.config);
    let now_ms = u64::try_from(cx.now_ms).unwrap_or(0);
    let add = |stream: &mut Stream| {
        if stream.last_id() == StreamId::MAX {
            return Err(EXHAUSTED);
        }
        let id = match given {
            Some(id) => id,
            None => stream.next_id(now_ms).ok_or(EXHAUSTED)?,
        };
        stream.append(id, texts.iter(), &limits).map_err(|trouble| match trouble {
            NotAdded::NotAbove => NOT_ABOVE,
            NotAdded::TooLarge => TOO_LARGE,
        })?;
        let trimmed = max_len.map_or(0, |max: MaxLen| stream.trim(max.length, max.approximate));
        Ok((id, trimmed, stream.len()))
    };
    let (id, trimmed, left) = match cx.lookup_write(key) {
        Some(mut object) => add(&mut *object.stream()?)?,
        None => {
            let mut stream = Stream::new();
            let added = add(&mut stream)?;
            cx.add_collection(key, Collection::Stream(stream));
            added
        }
    };
    cx.server.stream_is_ready(cx.client.db, key);
    cx.modified(key, "xadd");
    if trimmed > 0 {
        cx.touched(key, "xtrim");
    }
    let mut text = [0; ID_TEXT_MAX];
    let text = id.text(&mut text);
    match max_len.filter(|max| max.approximate) {
        Some(max) => {
            let mut digits = [0; I64_TEXT_MAX];
            let left = format_i64(i64::try_from(left).unwrap_or(i64::MAX), &mut digits);
            cx.propagate_changed(args, &[(max.place - 1, b"="), (max.place, left), (at, text)]);
        }
        None if args[at] == *text => {}
        None => cx.propagate_changed(args, &[(at, text)]),
    }
    cx.reply().bulk(text);
    Ok(())
}

/// `XLEN key`.
pub(crate) fn xlen(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (stream, mut reply) = cx.read_stream(&args[1])?;
    let len = stream.map_or(0, Stream::len);
    reply.integer(i64::try_from(len).unwrap_or(i64::MAX));
    Ok(())
}

/// `XRANGE key first last [COUNT count]`.
pub(crate) fn xrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (first, last) = parse_range(&args[2], &args[3])?;
    show_range(cx, args, first, last, false)
}

/// `XREVRANGE key last first [COUNT count]`.
pub(crate) fn xrevrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    // The one that is given first is judged first, but the answer to either is the same.
    let (first, mut last) = parse_range(&args[3], &args[2])?;
    if faults::is(Fault::StreamReverseEndWithoutSequence) && !args[2].contains(&b'-') && until_nul(&args[2]) != b"+" {
        last.seq = 0;
    }
    show_range(cx, args, first, last, true)
}

fn show_range(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    first: StreamId,
    last: StreamId,
    backwards: bool,
) -> Result<(), Refusal> {
    let mut count = None;
    let mut at = 4;
    while at < args.len() {
        if !args.is(at, "count") || at + 1 == args.len() {
            return Err(Refusal::SYNTAX);
        }
        count = Some(parse_count(&args[at + 1])?);
        at += 2;
    }
    let (stream, mut reply) = cx.read_stream(&args[1])?;
    let Some(stream) = stream else {
        reply.array(0);
        return Ok(());
    };
    if count == Some(0) {
        reply.nil_array();
        return Ok(());
    }
    let entries = stream.entries();
    let range = if backwards { entries.range_back(first, last) } else { entries.range(first, last) };
    write_entries(&mut reply, range.take(count.unwrap_or(usize::MAX)));
    Ok(())
}

/// `XDEL key id…`.
pub(crate) fn xdel(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut stream = object.stream()?;
    args.iter().skip(2).try_for_each(|id| parse_id(id).map(drop))?;
    let ids = args.iter().skip(2).filter_map(|id| StreamId::parse(id, 0));
    let deleted = ids.filter(|&id| stream.delete(id)).count();
    drop(stream);
    if deleted > 0 {
        cx.modified_times(key, "xdel", deleted);
    }
    cx.reply().count(deleted);
    Ok(())
}

/// `XTRIM key MAXLEN [~|=] length`.
pub(crate) fn xtrim(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut stream = object.stream()?;
    let mut max_len = None;
    let mut at = 2;
    while at < args.len() {
        if !args.is(at, "maxlen") || at + 1 == args.len() {
            return Err(Refusal::SYNTAX);
        }
        let found = MaxLen::parse(args, at)?;
        at = found.place + 1;
        max_len = Some(found);
    }
    let max: MaxLen = max_len.ok_or("ERR XTRIM called without an option to trim the stream")?;
    let removed = usize::try_from(stream.trim(max.length, max.approximate)).unwrap_or(usize::MAX);
    let left = stream.len();
    drop(stream);
    if removed > 0 {
        cx.modified_times(key, "xtrim", removed);
        if max.approximate {
            let mut digits = [0; I64_TEXT_MAX];
            let left = format_i64(i64::try_from(left).unwrap_or(i64::MAX), &mut digits);
            cx.propagate_changed(args, &[(max.place - 1, b"="), (max.place, left)]);
        }
    }
    cx.reply().count(removed);
    Ok(())
}

/// `XSETID key id`.
pub(crate) fn xsetid(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let mut object = cx.lookup_write(key).ok_or(Refusal::NO_SUCH_KEY)?;
    let mut stream = object.stream()?;
    let id = parse_id(&args[2])?;
    if stream.entries().last().is_some_and(|top| id < top.id) {
        return Err("ERR The ID specified in XSETID is smaller than the target stream top item".into());
    }
    stream.set_last_id(id);
    drop(stream);
    cx.modified(key, "xsetid");
    cx.reply().ok();
    Ok(())
}
