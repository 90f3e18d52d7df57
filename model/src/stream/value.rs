//! Streams as values: nodes of entries, and groups of consumers.
//!
//! Nodes are part of the value because they can be seen: MAXLEN with `~` removes whole ones, XINFO counts them, and DUMP
//! shows them. So a deleted entry stays in its node, marked, until the node goes.

use std::collections::BTreeMap;

use super::id::StreamId;
use crate::rdb;
use crate::reply::Bytes;
use crate::span::Span;
use crate::thresholds::Thresholds;

/// Fields and values of an entry in turn. [STREAM-8]
pub type Pairs = Vec<(Bytes, Bytes)>;

/// A stream. Invariants: no node is without entries that are left, the nodes' entries follow each other in the order of
/// their ids, each node has its first entry's id, and no id is above the last generated one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamValue {
    /// The nodes by their ids. [STREAMENC-1]
    pub nodes: BTreeMap<StreamId, Node>,
    /// The greatest id that was ever generated. [STREAM-6]
    pub last_id: StreamId,
    /// The groups by their names. [GROUP-2]
    pub groups: BTreeMap<Bytes, Group>,
}

/// A node: entries that share a listpack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its entries, deleted ones too, by their ids.
    pub entries: BTreeMap<StreamId, Item>,
}

/// An entry as its node keeps it. [STREAMENC-3]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// It is not in the stream any more.
    pub deleted: bool,
    /// Fields and values.
    pub pairs: Pairs,
}

/// A group of consumers. [GROUP-1]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The last delivered id.
    pub last_id: StreamId,
    /// The entries that were delivered and not acknowledged.
    pub pending: BTreeMap<StreamId, Pending>,
    /// The consumers by their names.
    pub consumers: BTreeMap<Bytes, Consumer>,
}

/// A delivery that is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whose it is: a consumer of the group.
    pub consumer: Bytes,
    /// When it was last delivered.
    pub delivered: Span,
    /// How often it was.
    pub deliveries: u64,
}

/// A consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Since when its idle time counts. [GROUP-5]
    pub seen: Span,
}

/// How far a stream is trimmed. [XTRIM-1] [XTRIM-2]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// The most entries that are left.
    pub length: usize,
    /// Only whole nodes go.
    pub whole_nodes: bool,
}

/// What is done to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEdit {
    /// It is made, if it is not there. [XGROUP-3]
    Make,
    /// An entry is added behind the last one, in a node of its own or not.
    Add {
        /// Its id.
        id: StreamId,
        /// Its fields and values.
        pairs: Pairs,
        /// A new node begins with it.
        new_node: bool,
    },
    /// These entries are deleted.
    Delete(Vec<StreamId>),
    /// It is trimmed.
    Trim(Trim),
    /// The last generated id becomes this.
    SetLastId(StreamId),
    /// The group of that name becomes this, or goes.
    Group(Bytes, Option<Group>),
}

impl Node {
    /// The fields that the node's listpack begins with. [STREAMENC-5]
    pub fn fields(&self) -> impl Iterator<Item = &Bytes> {
        self.entries.values().next().into_iter().flat_map(|first| first.pairs.iter().map(|(field, _)| field))
    }

    /// The entries that are left.
    pub fn len(&self) -> usize {
        self.entries.values().filter(|item| !item.deleted).count()
    }

    /// Never true of a node of a stream.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl StreamValue {
    /// The number of entries. [XLEN-1]
    pub fn len(&self) -> usize {
        self.nodes.values().map(Node::len).sum()
    }

    /// A stream may be empty. [STREAM-7]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it can be that stream, whose times are known to the millisecond.
    pub fn may_be(&self, exact: &Self) -> bool {
        let within =
            |time: Span, exact: Span| time.earliest_ms <= exact.earliest_ms && exact.latest_ms <= time.latest_ms;
        let same_group = |one: &Group, exact: &Group| {
            one.last_id == exact.last_id
                && one.pending.len() == exact.pending.len()
                && one.consumers.len() == exact.consumers.len()
                && one.pending.iter().zip(&exact.pending).all(|((id, one), (exact_id, exact))| {
                    id == exact_id
                        && one.consumer == exact.consumer
                        && one.deliveries == exact.deliveries
                        && within(one.delivered, exact.delivered)
                })
                && one
                    .consumers
                    .iter()
                    .zip(&exact.consumers)
                    .all(|((name, one), (exact_name, exact))| name == exact_name && within(one.seen, exact.seen))
        };
        self.nodes == exact.nodes
            && self.last_id == exact.last_id
            && self.groups.len() == exact.groups.len()
            && self
                .groups
                .iter()
                .zip(&exact.groups)
                .all(|((name, one), (exact_name, exact))| name == exact_name && same_group(one, exact))
    }

    /// The entries in ascending order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (StreamId, &Pairs)> {
        self.nodes
            .values()
            .flat_map(|node| &node.entries)
            .filter(|(_, item)| !item.deleted)
            .map(|(&id, item)| (id, &item.pairs))
    }

    /// An entry that is not deleted.
    pub fn entry(&self, id: StreamId) -> Option<&Pairs> {
        let (_, node) = self.nodes.range(..=id).next_back()?;
        node.entries.get(&id).filter(|item| !item.deleted).map(|item| &item.pairs)
    }

    /// Does an entry with these fields and values begin a new node? `one_more`: nodes take one entry more than they should.
    /// [STREAMENC-2] (E-117)
    pub fn begins_node(&self, pairs: &Pairs, limits: &Thresholds, one_more: bool) -> bool {
        let Some((&id, last)) = self.nodes.iter().next_back() else { return true };
        let bytes = rdb::stream::listpack_of_node(id, last).len();
        let entries = last.len();
        if one_more {
            return bytes > limits.stream_node_bytes
                || limits.stream_node_entries > 0 && entries > limits.stream_node_entries;
        }
        let added: usize = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
        bytes + added >= limits.stream_node_bytes
            || limits.stream_node_entries > 0 && entries >= limits.stream_node_entries
    }

    /// How many entries a trim takes away, once the given entries were added to the nodes.
    pub fn trimmed(&self, trim: Trim, added: Option<Added>) -> usize {
        let mut nodes: Vec<usize> = self.nodes.values().map(Node::len).collect();
        match (added, nodes.last_mut()) {
            (Some(Added { new_node: false }), Some(last)) => *last += 1,
            (Some(_), _) => nodes.push(1),
            (None, _) => {}
        }
        let length: usize = nodes.iter().sum();
        if !trim.whole_nodes {
            return length.saturating_sub(trim.length);
        }
        let mut removed = 0;
        for entries in nodes {
            if length - removed <= trim.length || length - removed - entries < trim.length {
                break;
            }
            removed += entries;
        }
        removed
    }

    /// Does what is to be done.
    pub(crate) fn apply(&mut self, edit: StreamEdit) {
        match edit {
            StreamEdit::Make => {}
            StreamEdit::Add { id, pairs, new_node } => {
                let node = match self.nodes.last_entry() {
                    Some(last) if !new_node => last.into_mut(),
                    _ => self.nodes.entry(id).or_default(),
                };
                node.entries.insert(id, Item { deleted: false, pairs });
                self.last_id = id;
            }
            StreamEdit::Delete(ids) => {
                for id in ids {
                    self.delete(id);
                }
            }
            StreamEdit::Trim(trim) => {
                let removed: Vec<StreamId> = self.entries().map(|(id, _)| id).take(self.trimmed(trim, None)).collect();
                for id in removed {
                    self.delete(id);
                }
            }
            StreamEdit::SetLastId(id) => self.last_id = id,
            StreamEdit::Group(name, Some(group)) => {
                self.groups.insert(name, group);
            }
            StreamEdit::Group(name, None) => {
                self.groups.remove(&name);
            }
        }
    }

    /// Marks an entry, and removes its node with the last one. [STREAMENC-3]
    fn delete(&mut self, id: StreamId) {
        let Some((&node_id, node)) = self.nodes.range_mut(..=id).next_back() else { return };
        if let Some(item) = node.entries.get_mut(&id) {
            item.deleted = true;
        }
        if node.is_empty() {
            self.nodes.remove(&node_id);
        }
    }
}

/// An entry that is added before a trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// It begins a node.
    pub new_node: bool,
}

impl Group {
    /// The pending entries of a consumer, in ascending order.
    pub fn pending_of<'a>(&'a self, consumer: &'a [u8]) -> impl Iterator<Item = (StreamId, &'a Pending)> {
        self.pending.iter().filter(move |(_, pending)| pending.consumer == consumer).map(|(&id, pending)| (id, pending))
    }
}
