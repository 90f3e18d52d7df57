//! Streams: entries under ids that ascend, and the groups that read them.
//!
//! ```text
//! nodes    id of the first entry ─► listpack of entries, see `node`        a radix tree, keys of sixteen bytes
//! groups   name ─► group, see `group`                                      a radix tree
//! ```
//!
//! Entries are added to the last node until it is full; a deleted one stays in its node, marked, until the node has no
//! other. A stream without entries stays, for its last id and its groups. [STREAM-7]
//!
//! Invariants, verified by [`Stream::validate`]: each node is valid, has an entry that is not deleted, and its key is the
//! id of its first entry, deleted or not; ids that are not deleted ascend through all nodes and are not above the last id;
//! their number and the account of bytes are what the nodes and groups have.

mod group;
mod id;
mod node;
mod range;
mod slab;

use std::ops::{Deref, DerefMut};

pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::{BEHIND_ALL, ID_TEXT_MAX, StreamId};
pub use node::{Entry, Fields};
pub use range::{Entries, Range};

use super::Measured;
use crate::config::Config;
use crate::faults::{self, Fault};
use crate::structures::DecodeError;
use crate::structures::listpack::{MAX_BYTES, OVERHEAD_MAX};
use crate::structures::rax::Rax;
use node::Node;

/// Bytes that a new node gets at most because the one before it took as many.
const MOST_EXPECTED: usize = 4096;

/// When a node is full.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Bytes of its listpack and of the fields and values of the entry to be added.
    pub bytes: usize,
    /// Entries that are not deleted; 0 for any number.
    pub entries: i64,
}

impl StreamLimits {
    /// From `stream-node-max-bytes` and `stream-node-max-entries`.
    pub(crate) fn new(config: &Config) -> StreamLimits {
        StreamLimits {
            bytes: usize::try_from(config.stream_node_max_bytes).unwrap_or(usize::MAX).min(MAX_BYTES),
            entries: config.stream_node_max_entries,
        }
    }
}

/// Why an entry is not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// Its id is not above the last one.
    NotAbove,
    /// No node can hold it.
    TooLarge,
}

/// The entries and groups, see the [module](self).
pub struct Stream(Box<Body>);

struct Body {
    nodes: Rax<Node>,
    /// Entries.
    len: u64,
    last_id: StreamId,
    groups: Rax<Box<Group>>,
    /// Bytes that listpacks take.
    node_bytes: usize,
    /// Bytes that groups take.
    group_bytes: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Stream::new()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("entries", &self.entries().all().collect::<Vec<_>>())
            .field("last_id", &self.0.last_id)
            .field("groups", &self.0.groups)
            .finish()
    }
}

impl Measured for Stream {
    fn bytes(&self) -> usize {
        let Body { nodes, groups, node_bytes, group_bytes, .. } = &*self.0;
        size_of::<Body>() + nodes.bytes() + node_bytes + groups.bytes() + group_bytes
    }
}

/// Bytes of a group and of its allocation.
fn bytes_of(group: &Group) -> usize {
    size_of::<Group>() + group.bytes()
}

impl Stream {
    /// One without entries.
    #[must_use]
    pub fn new() -> Stream {
        Stream(Box::new(Body {
            nodes: Rax::new(),
            len: 0,
            last_id: StreamId::MIN,
            groups: Rax::new(),
            node_bytes: 0,
            group_bytes: 0,
        }))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The last id that was given to an entry, or set.
    #[must_use]
    pub fn last_id(&self) -> StreamId {
        self.0.last_id
    }

    /// Sets the last id.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.0.last_id = id;
    }

    /// The id that a new entry gets at a time in Unix milliseconds; `None` behind the greatest. [XADD-2]
    #[must_use]
    pub fn next_id(&self, now_ms: u64) -> Option<StreamId> {
        let last = self.0.last_id;
        if now_ms > last.ms {
            return Some(StreamId { ms: now_ms, seq: 0 });
        }
        if faults::is(Fault::StreamSequenceStartsAnew) && last.seq % 4 == 3 {
            return Some(StreamId { ms: last.ms.checked_add(1)?, seq: 0 });
        }
        last.next()
    }

    /// How many nodes hold entries.
    #[must_use]
    pub fn node_len(&self) -> usize {
        self.0.nodes.len()
    }

    /// How many nodes the radix tree of these has.
    #[must_use]
    pub fn tree_nodes(&self) -> usize {
        self.0.nodes.nodes()
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries(&self.0.nodes)
    }

    /// Shows each node: its id and its listpack.
    pub(crate) fn for_each_node(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        self.0.nodes.for_each(|key, node| visit(key, node.listpack().as_bytes()));
    }

    /// Adds an entry behind all others: fields and values in turn, `len` of each.
    ///
    /// # Errors
    /// When its id is not above the last one, or it is too large; nothing is changed then.
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        texts: impl ExactSizeIterator<Item = &'f [u8]> + Clone,
        limits: &StreamLimits,
    ) -> Result<(), NotAdded> {
        let body = &mut *self.0;
        if id <= body.last_id {
            return Err(NotAdded::NotAbove);
        }
        let size = texts.clone().fold(0usize, |sum, text| sum.saturating_add(text.len()));
        // The fields of a node's first entry stand there twice.
        let elements = texts.len().saturating_mul(2).saturating_add(16);
        if size.saturating_add(elements.saturating_mul(OVERHEAD_MAX)) > MAX_BYTES {
            return Err(NotAdded::TooLarge);
        }
        let len = texts.len() / 2;
        if !body.has_open_node(size, elements, limits) {
            let mut expected = 0;
            if let Some(full) = body.nodes.last_mut() {
                let before = full.bytes();
                full.close();
                body.node_bytes = body.node_bytes - before + full.bytes();
                // The next one will be much the same. Growing to that size bit by bit would leave a block of every size
                // behind, each in a page of its own.
                let len = full.listpack().byte_len();
                expected = (len + len / 32).min(MOST_EXPECTED);
            }
            let node = Node::begin(FieldNames { texts: texts.clone(), len }, expected);
            body.node_bytes += node.bytes();
            body.nodes.insert(&id.to_key(), node);
        }
        let node_id = body.nodes.last().get().map_or(id, |(key, _)| StreamId::of_tree_key(key));
        if let Some(node) = body.nodes.last_mut() {
            let before = node.bytes();
            node.append(node_id, id, texts, len);
            body.node_bytes = body.node_bytes - before + node.bytes();
        }
        body.len += 1;
        body.last_id = id;
        Ok(())
    }

    /// Deletes an entry; whether it was there.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let body = &mut *self.0;
        let Some((_, node_id, master, raw)) = Entries(&body.nodes).range(id, id).next_raw() else { return false };
        let key = node_id.to_key();
        body.len -= 1;
        if master.count <= 1 {
            body.remove_node(&key);
        } else if let Some(node) = body.nodes.get_mut(&key) {
            let before = node.bytes();
            node.delete(&raw);
            body.node_bytes = body.node_bytes - before + node.bytes();
        }
        true
    }

    /// Removes entries from the front until no more than `most` are there; with `whole_nodes` only as many nodes as can
    /// be spared. Answers how many were removed.
    pub fn trim(&mut self, most: u64, whole_nodes: bool) -> u64 {
        let body = &mut *self.0;
        let before = body.len;
        while body.len > most {
            let first = body.nodes.first();
            let Some((key, node)) = first.get() else { break };
            let node_id = StreamId::of_tree_key(key);
            // Nodes hold one entry at least.
            let count = node.count().max(1).cast_unsigned().min(body.len);
            let spared = body.len - count;
            let spare = if faults::is(Fault::StreamTrimSparesNode) { spared > most } else { spared >= most };
            if spare {
                body.len = spared;
                body.remove_node(&node_id.to_key());
                continue;
            }
            if whole_nodes {
                break;
            }
            let superfluous = body.len - most;
            if let Some(node) = body.nodes.get_mut(&node_id.to_key()) {
                let bytes = node.bytes();
                node.delete_first(node_id, i64::try_from(superfluous).unwrap_or(i64::MAX));
                body.node_bytes = body.node_bytes - bytes + node.bytes();
            }
            body.len = most;
        }
        before - body.len
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_len(&self) -> usize {
        self.0.groups.len()
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.0.groups.get(name).map(|group| &**group)
    }

    /// The group of this name, to change it, and the entries beside it.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<(Entries<'_>, GroupMut<'_>)> {
        let body = &mut *self.0;
        let group = &mut **body.groups.get_mut(name)?;
        let before = bytes_of(group);
        Some((Entries(&body.nodes), GroupMut { group, account: &mut body.group_bytes, before }))
    }

    /// Adds a group; false when there is one of this name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        let body = &mut *self.0;
        if body.groups.contains(name) {
            return false;
        }
        body.group_bytes += bytes_of(&group);
        body.groups.insert(name, Box::new(group));
        true
    }

    /// Removes a group; false when there is none.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.0.groups.remove(name) else { return false };
        self.0.group_bytes -= bytes_of(&group);
        true
    }

    /// Shows each group, by name. [GROUP-2]
    pub fn for_each_group(&self, mut visit: impl FnMut(&[u8], &Group)) {
        self.0.groups.for_each(|name, group| visit(name, group));
    }

    /// Adds a node that somebody else wrote, behind all others. [RDBSTREAM-6] The last id is that of its last entry then.
    ///
    /// # Errors
    /// When it is none, or its ids are not above those that are there.
    pub(crate) fn push_node(&mut self, id: StreamId, listpack: &[u8]) -> Result<(), DecodeError> {
        let body = &mut *self.0;
        let (node, first, last) = Node::from_bytes(id, listpack)?;
        let last_key = body.nodes.last().get().map(|(key, _)| StreamId::of_tree_key(key));
        if last_key.is_some_and(|last_key| id <= last_key || first <= body.last_id) {
            return Err(DecodeError { offset: 0, reason: "ids that are not above those of the node before" });
        }
        body.len += node.count().max(0).cast_unsigned();
        body.node_bytes += node.bytes();
        body.last_id = last;
        body.nodes.insert(&id.to_key(), node);
        Ok(())
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        let body = &*self.0;
        body.nodes.validate();
        body.groups.validate();
        let (mut len, mut node_bytes, mut group_bytes, mut last) = (0, 0, 0, None);
        body.nodes.for_each(|key, node| {
            assert_eq!(key.len(), 16, "the id of a node");
            let (first_id, last_id) = node.validate(StreamId::of_tree_key(key));
            assert!(last.is_none_or(|last| last < first_id), "ids that do not ascend");
            assert!(last_id <= body.last_id, "an entry above the last id");
            last = Some(last_id);
            len += node.count();
            node_bytes += node.bytes();
        });
        body.groups.for_each(|_, group| {
            group.validate();
            group_bytes += bytes_of(group);
        });
        assert_eq!(u64::try_from(len), Ok(body.len), "number of entries");
        assert_eq!((node_bytes, group_bytes), (body.node_bytes, body.group_bytes), "account of bytes");
    }
}

impl Body {
    /// Whether the last node takes an entry of so many bytes and elements. [STREAMENC-2]
    fn has_open_node(&self, size: usize, elements: usize, limits: &StreamLimits) -> bool {
        let last = self.nodes.last();
        let Some(node) = last.value() else { return false };
        let list = node.listpack();
        let mut count = node.count();
        if faults::is(Fault::StreamNodeCountsDeleted) {
            count += node.master().deleted;
        }
        list.byte_len().saturating_add(size) < limits.bytes
            && list.has_room(size, elements)
            && (limits.entries == 0 || count < limits.entries)
    }

    fn remove_node(&mut self, key: &[u8]) {
        if let Some(node) = self.nodes.remove(key) {
            self.node_bytes -= node.bytes();
        }
    }
}

/// The fields among fields and values in turn.
struct FieldNames<I> {
    texts: I,
    len: usize,
}

impl<I: Iterator> Iterator for FieldNames<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.len = self.len.checked_sub(1)?;
        let name = self.texts.next();
        self.texts.next();
        name
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<I: Iterator> ExactSizeIterator for FieldNames<I> {}

/// A group that is being changed; when it goes, its stream's account of bytes follows what it took or freed.
pub struct GroupMut<'a> {
    group: &'a mut Group,
    account: &'a mut usize,
    before: usize,
}

impl Deref for GroupMut<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for GroupMut<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for GroupMut<'_> {
    fn drop(&mut self) {
        *self.account = *self.account - self.before + bytes_of(self.group);
    }
}
