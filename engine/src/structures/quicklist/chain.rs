//! The nodes of a list that has several.

use std::collections::VecDeque;

use super::node::{Node, NodeView};
use super::{End, Options};
use crate::faults::{self, Fault};
use crate::structures::ziplist::Ziplist;

/// Nodes in a row.
#[derive(Clone, Debug)]
pub struct Chain {
    nodes: VecDeque<Node>,
    /// Elements in all nodes.
    len: usize,
    /// Bytes of heap of all nodes, without their places in the ring buffer.
    heap: usize,
    /// Nodes that are compressed.
    packed: usize,
}

impl Chain {
    pub(super) fn new(nodes: impl IntoIterator<Item = Node>) -> Chain {
        let mut chain = Chain { nodes: VecDeque::new(), len: 0, heap: 0, packed: 0 };
        for node in nodes {
            chain.insert_node(chain.nodes.len(), node);
        }
        chain
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Chain>() + self.nodes.capacity() * size_of::<Node>() + self.heap
    }

    pub(super) fn uncompressed_bytes(&self) -> usize {
        self.nodes.iter().map(|node| node.size as usize).sum()
    }

    /// The index of the node at an end.
    fn end(&self, end: End) -> usize {
        match end {
            End::Front => 0,
            End::Back => self.nodes.len() - 1,
        }
    }

    /// The ziplist at an end, which is never compressed.
    pub(super) fn end_list(&self, end: End) -> &Ziplist {
        match self.nodes[self.end(end)].view() {
            NodeView::Plain(list) => list,
            NodeView::Packed { .. } => unreachable!("the ends are not compressed"),
        }
    }

    /// The node of the element at `index`, and its place there.
    pub(super) fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut before = 0;
            for (number, node) in self.nodes.iter().enumerate() {
                let count = node.count as usize;
                if index - before < count {
                    return Some((number, index - before));
                }
                before += count;
            }
        } else {
            let mut before = self.len;
            for (number, node) in self.nodes.iter().enumerate().rev() {
                before -= node.count as usize;
                if index >= before {
                    return Some((number, index - before));
                }
            }
        }
        None
    }

    /// Changes the ziplist of a node, which has `count` entries afterwards.
    pub(super) fn edit<R>(&mut self, index: usize, count: u32, change: impl FnOnce(&mut Ziplist) -> R) -> R {
        let node = &mut self.nodes[index];
        self.heap -= node.bytes();
        self.len -= node.count as usize;
        self.packed -= usize::from(node.is_packed());
        let result = change(node.list());
        node.changed(count);
        self.heap += node.bytes();
        self.len += count as usize;
        result
    }

    pub(super) fn insert_node(&mut self, index: usize, node: Node) {
        self.heap += node.bytes();
        self.len += node.count as usize;
        self.packed += usize::from(node.is_packed());
        self.nodes.insert(index, node);
    }

    pub(super) fn remove_node(&mut self, index: usize) -> Option<Node> {
        let node = self.nodes.remove(index)?;
        self.heap -= node.bytes();
        self.packed -= usize::from(node.is_packed());
        self.len -= node.count as usize;
        // Room that nine tenths of the nodes have left is given back.
        if self.nodes.capacity() > 16 && self.nodes.len() < self.nodes.capacity() / 10 {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
        Some(node)
    }

    /// Takes out the only node.
    pub(super) fn take_last(&mut self) -> Option<Node> {
        self.remove_node(0)
    }

    /// Decompresses what is near an end now, and compresses the node at `index` and those that the ends left behind, if
    /// they are far from both.
    pub(super) fn settle(&mut self, depth: u16, index: usize) {
        let (depth, count) = (usize::from(depth), self.nodes.len());
        if depth == 0 || self.packed == 0 && count <= 2 * depth {
            return;
        }
        for near in (0..depth.min(count)).chain(count.saturating_sub(depth)..count) {
            if self.nodes[near].is_packed() {
                self.repack(near, Node::unpack);
            }
        }
        if count > 2 * depth {
            for far in [index, depth, count - 1 - depth] {
                if (depth..count - depth).contains(&far) && !self.nodes[far].is_packed() {
                    self.repack(far, Node::pack);
                }
            }
        }
    }

    fn repack(&mut self, index: usize, how: impl FnOnce(&mut Node)) {
        let node = &mut self.nodes[index];
        self.heap -= node.bytes();
        self.packed -= usize::from(node.is_packed());
        how(node);
        self.packed += usize::from(node.is_packed());
        self.heap += node.bytes();
    }

    pub(super) fn drop_end(&mut self, options: Options, end: End) {
        let index = self.end(end);
        let left = self.nodes[index].count - 1;
        if left == 0 {
            self.remove_node(index);
            self.settle(options.depth, index);
            return;
        }
        self.edit(index, left, |list| trim_list(list, end, 1));
    }

    /// Removes elements at an end.
    pub(super) fn trim(&mut self, options: Options, end: End, count: usize) {
        let mut left = count;
        while left > 0 && !self.nodes.is_empty() {
            let index = self.end(end);
            let entries = self.nodes[index].count as usize;
            if entries <= left {
                self.remove_node(index);
                left -= entries;
                continue;
            }
            // Fewer than the node has, which are counted in 32 bits.
            self.edit(index, (entries - left) as u32, |list| trim_list(list, end, left));
            left = 0;
        }
        if !self.nodes.is_empty() {
            self.settle(options.depth, self.end(end));
        }
    }

    /// See [`super::Quicklist::remove`].
    pub(super) fn remove(&mut self, options: Options, text: &[u8], from: End, most: usize) -> usize {
        let mut removed = 0;
        let count = self.nodes.len();
        for step in 0..count {
            if removed == most {
                break;
            }
            let index = if from == End::Front { step } else { count - 1 - step };
            let node = &self.nodes[index];
            let (entries, packed) = (node.count, node.is_packed());
            if packed {
                // A node without the element stays compressed.
                let list = node.read();
                if list.find(list.first(), text, 0).is_none() {
                    continue;
                }
            }
            let left = most - removed;
            let here = self.edit(index, entries, |list| remove_from(list, text, from, left));
            self.note_removed(index, here);
            if packed {
                self.repack(index, Node::pack);
            }
            removed += here;
        }
        if removed > 0 {
            // Nodes are dropped together, so that their number does not matter.
            let heap = &mut self.heap;
            self.nodes.retain(|node| {
                let stays = node.count > 0;
                if !stays {
                    *heap -= node.bytes();
                }
                stays
            });
            if !self.nodes.is_empty() {
                self.settle(options.depth, 0);
            }
        }
        removed
    }

    /// Corrects the count of a node that lost entries in an edit that could not say how many beforehand.
    fn note_removed(&mut self, index: usize, removed: usize) {
        let node = &mut self.nodes[index];
        // No more than the node had.
        node.changed(node.count - removed as u32);
        self.len -= removed;
    }

    pub(super) fn validate(&self, depth: u16) {
        assert!(self.nodes.len() >= 2);
        let (mut len, mut heap, mut packed) = (0, 0, 0);
        for (index, node) in self.nodes.iter().enumerate() {
            node.validate();
            assert!(node.count > 0);
            let from_end = index.min(self.nodes.len() - 1 - index);
            assert!(!node.is_packed() || depth > 0 && from_end >= usize::from(depth), "node {index} is compressed");
            len += node.count as usize;
            heap += node.bytes();
            packed += usize::from(node.is_packed());
        }
        assert_eq!((len, heap, packed), (self.len, self.heap, self.packed));
    }
}

/// Removes up to `most` entries that equal `text`, beginning at an end; answers how many.
pub(super) fn remove_from(list: &mut Ziplist, text: &[u8], from: End, most: usize) -> usize {
    let mut removed = 0;
    if from == End::Front {
        let mut at = list.first();
        while removed < most {
            let Some(found) = list.find(at, text, 0) else { break };
            at = list.delete(found);
            removed += 1;
        }
        return removed;
    }
    let mut at = list.last();
    while let Some(position) = at
        && removed < most
    {
        at = list.previous(position);
        if list.get(position).is_text(text) {
            list.delete(position);
            removed += 1;
            if faults::is(Fault::ListRemovalPassesOver) {
                at = at.and_then(|before| list.previous(before));
            }
        }
    }
    removed
}

/// Removes up to `count` entries at an end.
pub(super) fn trim_list(list: &mut Ziplist, end: End, count: usize) {
    let first = match end {
        End::Front => list.first(),
        // Beyond the front it is the first.
        End::Back if count > 0 => list.index(-i64::try_from(count).unwrap_or(i64::MAX)).or(list.first()),
        End::Back => None,
    };
    if let Some(first) = first {
        list.delete_range(first, count);
    }
}
