//! Streams as files hold them: nodes as listpacks, and groups. [RDBSTREAM-1] to [RDBSTREAM-5]

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::item::ValueType;
use super::listpack;
use super::write::{Forms, length_bytes, string_bytes};
use super::ziplist::Wrong;
use crate::numbers::parse_integer;
use crate::reply::Bytes;
use crate::stream::{Group, Item, Node, StreamId, StreamValue};

/// The flag of an entry that is deleted. [STREAMENC-7]
const DELETED: i64 = 1;
/// The flag of an entry with the fields that its node begins with. [STREAMENC-7]
const SAME_FIELDS: i64 = 2;
/// How many entries a group read, where nobody knows: -1 as real servers write it.
const READ_UNKNOWN: u64 = u64::MAX;

fn number<'a>(number: i64) -> Cow<'a, [u8]> {
    Cow::Owned(number.to_string().into_bytes())
}

fn count<'a>(count: usize) -> Cow<'a, [u8]> {
    Cow::Owned(count.to_string().into_bytes())
}

fn text(text: &Bytes) -> Cow<'_, [u8]> {
    Cow::Borrowed(text)
}

/// The listpack of a node. [STREAMENC-5] [STREAMENC-6] [STREAMENC-7]
pub fn listpack_of_node(id: StreamId, node: &Node) -> Bytes {
    let fields: Vec<&Bytes> = node.fields().collect();
    let mut elements = vec![count(node.len()), count(node.entries.len() - node.len()), count(fields.len())];
    elements.extend(fields.iter().copied().map(text));
    elements.push(number(0));
    for (entry_id, item) in &node.entries {
        let same = item.pairs.iter().map(|(field, _)| field).eq(fields.iter().copied());
        let before = elements.len();
        elements.push(number(i64::from(item.deleted) * DELETED + i64::from(same) * SAME_FIELDS));
        elements.push(number(entry_id.ms.wrapping_sub(id.ms).cast_signed()));
        elements.push(number(entry_id.seq.wrapping_sub(id.seq).cast_signed()));
        if !same {
            elements.push(count(item.pairs.len()));
        }
        for (field, value) in &item.pairs {
            if !same {
                elements.push(text(field));
            }
            elements.push(text(value));
        }
        elements.push(count(elements.len() - before));
    }
    listpack::write(&elements)
}

/// Elements of a listpack, taken one after the other.
struct Elements<'a>(std::slice::Iter<'a, Bytes>);

impl Elements<'_> {
    fn next(&mut self) -> Result<Bytes, Wrong> {
        self.0.next().cloned().ok_or("the listpack ends within an entry")
    }

    fn integer(&mut self) -> Result<i64, Wrong> {
        parse_integer(&self.next()?).ok_or("a string stands where an entry has a number")
    }

    fn several(&mut self, count: usize) -> Result<Vec<Bytes>, Wrong> {
        // Not more is set aside than there is.
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.push(self.next()?);
        }
        Ok(taken)
    }

    fn count(&mut self) -> Result<usize, Wrong> {
        usize::try_from(self.integer()?).map_err(|_| "a number of entries or fields is negative")
    }
}

/// A node whose listpack this is. [RDBSTREAM-6]
pub fn node_of_listpack(id: StreamId, bytes: &[u8]) -> Result<Node, Wrong> {
    let all = listpack::read(bytes)?;
    let mut elements = Elements(all.iter());
    let (left, deleted) = (elements.count()?, elements.count()?);
    let count = elements.count()?;
    let fields = elements.several(count)?;
    if elements.integer()? != 0 {
        return Err("the fields of a node do not end in 0");
    }
    let mut node = Node::default();
    // Of the entries that are left: XSETID may set the last id back behind those, and what is added then is below deleted
    // ones, or has the id of one.
    let (mut last, mut dead) = (None, 0);
    let mut first = true;
    while !elements.0.as_slice().is_empty() {
        let before = elements.0.len();
        let flags = elements.integer()?;
        if !(0..=DELETED + SAME_FIELDS).contains(&flags) {
            return Err("an entry has flags that do not exist");
        }
        let entry_id = StreamId {
            ms: id.ms.wrapping_add_signed(elements.integer()?),
            seq: id.seq.wrapping_add_signed(elements.integer()?),
        };
        let pairs: Vec<(Bytes, Bytes)> = if flags & SAME_FIELDS != 0 {
            fields.iter().cloned().zip(elements.several(fields.len())?).collect()
        } else {
            let count = elements.count()?;
            let flat = elements.several(count.checked_mul(2).ok_or("an entry has too many fields")?)?;
            flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
        };
        let taken = before - elements.0.len();
        if elements.count()? != taken {
            return Err("an entry has another number of elements than it says");
        }
        if pairs.is_empty() {
            return Err("an entry has no fields");
        }
        let deleted = flags & DELETED != 0;
        let ascends = entry_id >= id && last.is_none_or(|last| entry_id > last);
        if std::mem::take(&mut first) && entry_id != id || !deleted && !ascends {
            return Err("the ids of a node do not ascend from its own");
        }
        if deleted {
            dead += 1;
            // No server writes one below its node's id; nobody asks for it, and it must not become the node's first.
            if entry_id >= id {
                node.entries.entry(entry_id).or_insert(Item { deleted, pairs });
            }
        } else {
            last = Some(entry_id);
            node.entries.insert(entry_id, Item { deleted, pairs });
        }
    }
    if !node.fields().eq(&fields) {
        return Err("a node begins with other fields than its first entry has");
    }
    if node.len() != left || dead != deleted {
        return Err("a node has another number of entries than it says");
    }
    if node.is_empty() { Err("a node has no entries") } else { Ok(node) }
}

/// What is wrong with nodes that follow each other in this order. [RDBSTREAM-6]
pub(super) fn nodes(nodes: Vec<(StreamId, Node)>, last_id: StreamId) -> Result<BTreeMap<StreamId, Node>, Wrong> {
    let mut last = None;
    for (id, node) in &nodes {
        if last.is_some_and(|last| *id <= last) {
            return Err("the ids of the nodes do not ascend");
        }
        last = node.entries.iter().rfind(|(_, item)| !item.deleted).map(|(&id, _)| id);
    }
    if last.is_some_and(|last| last > last_id) {
        return Err("an entry is above the last generated id");
    }
    Ok(nodes.into_iter().collect())
}

/// A stream in one of its three forms, of which the later two tell what the model does not keep. [RDBSTREAM-1] to
/// [RDBSTREAM-5] [RDBSTREAM-10] [RDBSTREAM-11]
pub(super) fn write(stream: &StreamValue, form: ValueType, forms: Forms) -> Bytes {
    let number = |number: u64| length_bytes(number, forms);
    let size = |size: usize| number(size as u64);
    let mut bytes = size(stream.nodes.len());
    for (id, node) in &stream.nodes {
        bytes.extend(string_bytes(&id.to_bytes(), Forms { integers: false, compress_from: None, ..forms }));
        bytes.extend(string_bytes(&listpack_of_node(*id, node), Forms { integers: false, ..forms }));
    }
    bytes.extend(size(stream.len()));
    bytes.extend(number(stream.last_id.ms));
    bytes.extend(number(stream.last_id.seq));
    if form != ValueType::STREAM {
        let first = stream.entries().next().map_or(StreamId::LEAST, |(id, _)| id);
        let items = || stream.nodes.values().flat_map(|node| &node.entries);
        let deleted = items().rfind(|(_, item)| item.deleted).map_or(StreamId::LEAST, |(&id, _)| id);
        for id in [first, deleted] {
            bytes.extend(number(id.ms));
            bytes.extend(number(id.seq));
        }
        bytes.extend(size(items().count()));
    }
    bytes.extend(size(stream.groups.len()));
    for (name, group) in &stream.groups {
        // Names are not looked at for being integers.
        bytes.extend(string_bytes(name, Forms { integers: false, ..forms }));
        write_group(&mut bytes, group, form, forms);
    }
    bytes
}

fn write_group(bytes: &mut Bytes, group: &Group, form: ValueType, forms: Forms) {
    let number = |number: u64| length_bytes(number, forms);
    bytes.extend(number(group.last_id.ms));
    bytes.extend(number(group.last_id.seq));
    if form != ValueType::STREAM {
        bytes.extend(number(READ_UNKNOWN));
    }
    bytes.extend(number(group.pending.len() as u64));
    for (id, pending) in &group.pending {
        bytes.extend(id.to_bytes());
        bytes.extend(pending.delivered.earliest_ms.to_le_bytes());
        bytes.extend(number(pending.deliveries));
    }
    bytes.extend(number(group.consumers.len() as u64));
    for (name, consumer) in &group.consumers {
        bytes.extend(string_bytes(name, Forms { integers: false, ..forms }));
        bytes.extend(consumer.seen.earliest_ms.to_le_bytes());
        if form == ValueType::STREAM_3 {
            bytes.extend(consumer.seen.earliest_ms.to_le_bytes());
        }
        let own: Vec<StreamId> = group.pending_of(name).map(|(id, _)| id).collect();
        bytes.extend(number(own.len() as u64));
        for id in own {
            bytes.extend(id.to_bytes());
        }
    }
}
