//! Streams in files and payloads.
//!
//! ```text
//! nodes { id as a string of 16 bytes, listpack }  entries  last id
//! groups { name  last id
//!          pending { id(16)  delivered(8, low first)  deliveries }
//!          consumers { name  seen(8, low first)  pending { id(16) } } }
//! ```
//!
//! Each list begins with its length; an id is two lengths, or sixteen bytes with the high ones first. Newer versions add
//! what this engine does not keep, [`StreamForm`].

use std::io::{self, Read, Write};

use super::value_in::Source;
use super::writer::Writer;
use super::{RdbError, RdbErrorKind};
use crate::faults::{self, Fault};
use crate::values::Stream;
use crate::values::stream::{Group, Pending, StreamId};

/// What a version adds to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamForm {
    /// Nothing.
    V9,
    /// First id, greatest deleted id and entries ever added behind the last id; entries read behind a group's. [RDBSTREAM-10]
    V10,
    /// Also when a consumer last got an entry. [RDBSTREAM-11]
    V11,
}

impl<W: Write> Writer<W> {
    pub(super) fn stream(&mut self, stream: &Stream) -> io::Result<()> {
        self.number(stream.node_len() as u64)?;
        let mut outcome = Ok(());
        stream.for_each_node(|id, listpack| {
            if outcome.is_ok() {
                outcome = self.text(id).and_then(|()| self.text(listpack));
            }
        });
        outcome?;
        self.number(stream.len())?;
        self.stream_id(stream.last_id())?;
        self.number(stream.group_len() as u64)?;
        let mut outcome = Ok(());
        stream.for_each_group(|name, group| {
            if outcome.is_ok() {
                outcome = self.text(name).and_then(|()| self.group(group));
            }
        });
        outcome
    }

    fn stream_id(&mut self, id: StreamId) -> io::Result<()> {
        self.number(id.ms)?;
        self.number(id.seq)
    }

    fn group(&mut self, group: &Group) -> io::Result<()> {
        self.stream_id(group.last_id)?;
        self.number(group.pending_len() as u64)?;
        for (id, pending) in group.pending_from(StreamId::MIN) {
            self.raw(&id.to_key())?;
            self.raw(&pending.delivered_ms.to_le_bytes())?;
            let one = faults::is(Fault::StreamSavesOneDelivery);
            self.number(if one { pending.deliveries.min(1) } else { pending.deliveries })?;
        }
        self.number(group.consumer_len() as u64)?;
        group.consumers().try_for_each(|consumer| {
            self.text(consumer.name())?;
            self.raw(&consumer.seen_ms().to_le_bytes())?;
            self.number(consumer.pending_len() as u64)?;
            consumer.pending(StreamId::MIN).try_for_each(|id| self.raw(&id.to_key()))
        })
    }
}

impl<R: Read> Source<'_, R> {
    pub(super) fn stream(&mut self, form: StreamForm) -> Result<Stream, RdbError> {
        let mut stream = Stream::new();
        for _ in 0..self.input.number()? {
            self.stream_node(&mut stream)?;
        }
        let offset = self.input.offset();
        if self.input.number()? != stream.len() {
            return Err(self.trouble(offset, "a number of entries that is not right"));
        }
        let offset = self.input.offset();
        let last_id = self.stream_id()?;
        // A deleted entry may be above it: XSETID sets it back behind those that are left.
        if stream.entries().last().is_some_and(|top| top.id > last_id) {
            return Err(self.trouble(offset, "an entry above the last id"));
        }
        stream.set_last_id(last_id);
        if form >= StreamForm::V10 {
            self.pass_over(5)?;
        }
        let mut name = Vec::new();
        for _ in 0..self.input.number()? {
            let offset = self.input.offset();
            self.text_into(&mut name)?;
            let group = self.group(form)?;
            if !stream.add_group(&name, group) {
                return Err(self.trouble(offset, "a group that stands twice"));
            }
        }
        Ok(stream)
    }

    fn trouble(&self, offset: u64, reason: &'static str) -> RdbError {
        self.input.error(offset, RdbErrorKind::Stream(reason))
    }

    fn stream_node(&mut self, stream: &mut Stream) -> Result<(), RdbError> {
        let offset = self.input.offset();
        let id = self.text(|id| id.try_into().map(StreamId::from_key))?;
        let Ok(id) = id else { return Err(self.trouble(offset, "an id of a node that has not sixteen bytes")) };
        self.packed(|listpack| {
            stream.push_node(id, listpack).map_err(|error| RdbErrorKind::Structure {
                structure: "stream node",
                at: error.offset as u64,
                reason: error.reason.to_owned(),
            })
        })
    }

    fn stream_id(&mut self) -> Result<StreamId, RdbError> {
        Ok(StreamId { ms: self.input.number()?, seq: self.input.number()? })
    }

    /// Reads over so many lengths.
    fn pass_over(&mut self, lengths: u32) -> Result<(), RdbError> {
        for _ in 0..lengths {
            self.input.number()?;
        }
        Ok(())
    }

    fn group(&mut self, form: StreamForm) -> Result<Group, RdbError> {
        let mut group = Group::new(self.stream_id()?);
        if form >= StreamForm::V10 {
            self.pass_over(1)?;
        }
        // Whose each is comes later: until then nobody's.
        let mut deliveries: Vec<Delivery> = Vec::new();
        for _ in 0..self.input.number()? {
            let offset = self.input.offset();
            let id = StreamId::from_key(&self.input.array()?);
            let delivered_ms = i64::from_le_bytes(self.input.array()?);
            let count = self.input.number()?;
            if deliveries.last().is_some_and(|last| last.id >= id) {
                return Err(self.trouble(offset, "pending entries that do not ascend"));
            }
            deliveries.push(Delivery { id, delivered_ms, count });
        }
        let mut name = Vec::new();
        for _ in 0..self.input.number()? {
            let offset = self.input.offset();
            self.text_into(&mut name)?;
            let seen_ms = i64::from_le_bytes(self.input.array()?);
            if form >= StreamForm::V11 {
                self.input.array::<8>()?;
            }
            let (consumer, new) = group.find_or_add(&name, seen_ms);
            if !new {
                return Err(self.trouble(offset, "a consumer that stands twice"));
            }
            for _ in 0..self.input.number()? {
                let offset = self.input.offset();
                let id = StreamId::from_key(&self.input.array()?);
                let Ok(at) = deliveries.binary_search_by_key(&id, |delivery| delivery.id) else {
                    return Err(self.trouble(offset, "an entry that is pending for a consumer, but not in the group"));
                };
                if group.pending(id).is_some() {
                    return Err(self.trouble(offset, "an entry that is pending twice"));
                }
                let Delivery { delivered_ms, count, .. } = deliveries[at];
                group.set_pending(id, Pending { consumer, delivered_ms, deliveries: count });
            }
        }
        if group.pending_len() != deliveries.len() {
            return Err(self.trouble(self.input.offset(), "an entry that is pending for no consumer"));
        }
        Ok(group)
    }
}

/// A pending entry as the group's list tells it.
struct Delivery {
    id: StreamId,
    delivered_ms: i64,
    count: u64,
}
