//! Streams: entries in the order of their ids, and groups of consumers that read them.

mod claim;
mod group;
mod id;
mod info;
mod range;
mod read;
mod value;
mod write;

pub use id::StreamId;
pub use read::{Reading, Rules, Served, Wanted, Woken};
pub use value::{Added, Consumer, Group, Item, Node, Pairs, Pending, StreamEdit, StreamValue, Trim};

pub(crate) use claim::xclaim;
pub(crate) use group::{xack, xgroup, xpending};
pub(crate) use id::c_string;
pub(crate) use info::xinfo;
pub(crate) use range::{xlen, xrange, xrevrange};
pub(crate) use read::{key_positions, xread, xreadgroup};
pub(crate) use write::{xadd, xdel, xsetid, xtrim};

use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::plan::{Change, Refusal};
use crate::reply::{Bytes, Reply};
use crate::server::one_line;
use crate::span::Span;
use crate::value::Value;

impl<'a> Call<'a> {
    /// The stream at a key; an error if the key holds something else.
    pub(crate) fn find_stream(&self, key: &[u8]) -> Result<Option<&'a StreamValue>, Refusal> {
        match self.find(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(Self::wrong_type()),
        }
    }

    fn edit_stream(&self, key: &[u8], edit: StreamEdit) -> Change {
        self.cite(Clause::STREAM_10);
        Change::Edit { db: self.db(), key: key.to_vec(), edit: Edit::Stream(edit) }
    }

    /// An id that names an entry. [STREAM-1] [STREAM-2] [STREAM-3] [STREAM-5]
    fn stream_id(&self, text: &[u8]) -> Result<StreamId, Refusal> {
        for clause in [Clause::STREAM_1, Clause::STREAM_2, Clause::STREAM_3] {
            self.cite(clause);
        }
        StreamId::parse(text, 0).ok_or_else(invalid_id)
    }

    /// An id that limits a range; `seq` is the sequence number of one without. [STREAM-4]
    fn range_limit(&self, text: &[u8], seq: u64) -> Result<StreamId, Refusal> {
        self.cite(Clause::STREAM_4);
        StreamId::parse_limit(text, seq).ok_or_else(invalid_id)
    }
}

fn invalid_id() -> Refusal {
    Refusal::new(Clause::STREAM_5, "ERR Invalid stream ID specified as stream command argument")
}

fn syntax_error(clause: Clause) -> Refusal {
    Refusal::new(clause, "ERR syntax error")
}

/// An entry as clients see it. [STREAM-8] [STREAM-9]
fn entry_reply(id: StreamId, pairs: &Pairs) -> Reply {
    let flat = pairs.iter().flat_map(|(field, value)| [Reply::bulk(field.as_slice()), Reply::bulk(value.as_slice())]);
    Reply::Array(vec![Reply::Bulk(id.to_text()), Reply::Array(flat.collect())])
}

/// An error line that names things.
fn naming(clause: Clause, parts: &[&[u8]]) -> Refusal {
    let mut line: Bytes = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        // Every second part comes from the command.
        if index % 2 == 1 { line.extend(one_line(part)) } else { line.extend(*part) }
    }
    Refusal::with(clause, line)
}

fn words(words: &[&[u8]]) -> Vec<Bytes> {
    words.iter().map(|word| word.to_vec()).collect()
}

/// How long ago something was, in milliseconds; never negative.
fn ago(then: Span, now: Span) -> std::ops::RangeInclusive<i64> {
    let least = now.earliest_ms.saturating_sub(then.latest_ms).max(0);
    let most = now.latest_ms.saturating_sub(then.earliest_ms).max(0);
    least..=most
}

/// The command by which replicas hear of a pending entry. [PROPAGATION-22]
fn claim_command(key: &[u8], name: &[u8], group: &Group, id: StreamId, pending: &Pending) -> Vec<Bytes> {
    let mut command = words(&[b"XCLAIM", key, name, &pending.consumer, b"0"]);
    command.push(id.to_text());
    command.push(b"TIME".to_vec());
    command.push(pending.delivered.earliest_ms.to_string().into_bytes());
    command.push(b"RETRYCOUNT".to_vec());
    command.push(pending.deliveries.to_string().into_bytes());
    command.extend(words(&[b"FORCE", b"JUSTID", b"LASTID"]));
    command.push(group.last_id.to_text());
    command
}

/// The command by which replicas hear of a last delivered id alone. [PROPAGATION-23]
fn set_id_command(key: &[u8], name: &[u8], group: &Group) -> Vec<Bytes> {
    let mut command = words(&[b"XGROUP", b"SETID", key, name]);
    command.push(group.last_id.to_text());
    command
}
