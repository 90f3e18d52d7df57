//! The commands that make a stream with its groups.
//!
//! ```text
//! XADD …               each entry; of a stream without entries, one that its own MAXLEN 0 removes
//! XSETID               the last id
//! XGROUP CREATE        each group
//! XCLAIM … FORCE       each pending entry, under the consumer
//! XREADGROUP … STREAMS each consumer without pending entries: it reads an empty history
//! ```
//!
//! What no such commands can make (pending entries of deleted entries, and what only a damaged file can have brought)
//! is written as one RESTORE. [PROPAGATION-27]

use std::io;

use super::append::{begin_command, push_argument};
use super::compact::Sink;
use crate::number::{I64_TEXT_MAX, format_i64};
use crate::object::ObjectRef;
use crate::rdb;
use crate::values::Stream;
use crate::values::stream::{BEHIND_ALL, Group, ID_TEXT_MAX, StreamId};

pub(super) fn compact_stream(object: ObjectRef<'_>, stream: &Stream, sink: &mut Sink<'_>) -> io::Result<()> {
    let key = object.key();
    if !has_commands(stream) {
        let payload = rdb::payload(object, true);
        return sink.command(&[b"RESTORE", key, b"0", &payload]);
    }
    for entry in stream.entries().all() {
        begin_command(3 + 2 * entry.len(), &mut sink.buffer);
        push_argument(b"XADD", &mut sink.buffer);
        push_argument(key, &mut sink.buffer);
        push_argument(entry.id.text(&mut [0; ID_TEXT_MAX]), &mut sink.buffer);
        let mut digits = [0; I64_TEXT_MAX];
        for (field, value) in entry.fields() {
            push_argument(field.text(&mut digits), &mut sink.buffer);
            push_argument(value.text(&mut digits), &mut sink.buffer);
        }
        sink.pass_on_if_full()?;
    }
    if stream.is_empty() {
        sink.command(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"])?;
    }
    sink.command(&[b"XSETID", key, stream.last_id().text(&mut [0; ID_TEXT_MAX])])?;
    let mut outcome = Ok(());
    stream.for_each_group(|name, group| {
        if outcome.is_ok() {
            outcome = compact_group(key, name, group, sink);
        }
    });
    outcome
}

/// Whether commands can make it.
fn has_commands(stream: &Stream) -> bool {
    let mut all = true;
    stream.for_each_group(|_, group| {
        all = all
            && group.pending_from(StreamId::MIN).all(|(id, pending)| {
                // Times and counts are given as signed numbers, and a time before all time would be refused.
                stream.entries().get(id).is_some()
                    && pending.delivered_ms >= 0
                    && i64::try_from(pending.deliveries).is_ok()
            });
    });
    all
}

fn compact_group(key: &[u8], name: &[u8], group: &Group, sink: &mut Sink<'_>) -> io::Result<()> {
    let mut text = [0; ID_TEXT_MAX];
    sink.command(&[b"XGROUP", b"CREATE", key, name, group.last_id.text(&mut text)])?;
    for consumer in group.consumers() {
        if consumer.pending_len() == 0 {
            let behind_all = BEHIND_ALL.text(&mut text);
            sink.command(&[b"XREADGROUP", b"GROUP", name, consumer.name(), b"STREAMS", key, behind_all])?;
        }
        for id in consumer.pending(StreamId::MIN) {
            let Some(pending) = group.pending(id) else { continue };
            let mut digits = [0; I64_TEXT_MAX];
            let count = pending.deliveries.to_string();
            sink.command(&[
                b"XCLAIM",
                key,
                name,
                consumer.name(),
                b"0",
                id.text(&mut text),
                b"TIME",
                format_i64(pending.delivered_ms, &mut digits),
                b"RETRYCOUNT",
                count.as_bytes(),
                b"JUSTID",
                b"FORCE",
            ])?;
        }
    }
    Ok(())
}
