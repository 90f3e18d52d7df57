//! How nodes fill, split and merge.
//!
//! An element goes into the node beside which it belongs as long as that has room. At the end of a full node it goes to
//! the neighbour if that has room, and otherwise into a node of its own; inside, the node is split there and the parts
//! merge with their neighbours where two fit into one. A full node whose last element is followed is split too, behind
//! that element: Redis does so, and it is visible in files.

use super::chain::Chain;
use super::node::Node;
use super::{End, Options, Side};
use crate::faults::{self, Fault};
use crate::structures::ziplist::{EMPTY_BYTES, Position, Value, Ziplist};

/// Bytes of a node by `fill` from -1 to -5.
const SIZES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];
/// Bytes of a node whose entries are counted.
const COUNTED_SIZE: usize = 8192;

/// Whether a node of so many bytes and entries is no more than full.
fn allowed(bytes: usize, entries: usize, fill: i16) -> bool {
    if let Ok(limit) = usize::try_from(fill) {
        return bytes <= COUNTED_SIZE && entries <= limit;
    }
    let size = SIZES.get(usize::from(fill.unsigned_abs()) - 1);
    size.is_some_and(|&size| bytes <= size)
}

/// Bytes of a new entry, as they are estimated before it is there: as a string.
fn estimate(text_len: usize) -> usize {
    let previous = if text_len < 254 { 1 } else { 5 };
    let encoding = match text_len {
        0..64 => 1,
        64..16_384 => 2,
        _ => 5,
    };
    text_len + previous + encoding
}

/// Whether an element of `text_len` bytes still goes into a node of so many bytes and entries.
#[inline]
pub(super) fn fits(bytes: usize, entries: usize, fill: i16, text_len: usize) -> bool {
    allowed(bytes + estimate(text_len), entries + 1, fill)
}

/// Adds an element beside an entry.
pub(super) fn insert_in(list: &mut Ziplist, beside: Position, side: Side, text: &[u8]) {
    let before = match side {
        Side::Before => Some(beside),
        Side::After => list.next(beside),
    };
    list.insert(before, Value::of(text));
}

impl Chain {
    fn has_room(&self, index: usize, options: Options, text_len: usize) -> bool {
        let node = self.node(index);
        fits(node.size as usize, node.count as usize, options.fill, text_len)
    }

    /// Adds an element at the front or the back of a node.
    fn push_into(&mut self, index: usize, end: End, text: &[u8]) {
        let count = self.node(index).count + 1;
        self.edit(index, count, |list| match end {
            End::Front => list.push_front(Value::of(text)),
            End::Back => list.push_back(Value::of(text)),
        });
    }

    /// Adds a node that holds one element.
    fn insert_alone(&mut self, index: usize, options: Options, text: &[u8]) {
        self.insert_node(index, Node::new(Ziplist::of([Value::of(text)])));
        self.settle(options.depth, index);
    }

    /// See [`super::Quicklist::push`].
    pub(super) fn push(&mut self, options: Options, end: End, text: &[u8]) {
        let count = self.node_count();
        let (index, new) = match end {
            End::Front => (0, 0),
            End::Back => (count.saturating_sub(1), count),
        };
        if count > 0 && self.has_room(index, options, text.len()) {
            self.push_into(index, end, text);
        } else {
            self.insert_alone(new, options, text);
        }
    }

    /// See [`super::Quicklist::insert_beside`].
    pub(super) fn insert_beside(&mut self, options: Options, pivot: &[u8], side: Side, text: &[u8]) -> bool {
        let found = (0..self.node_count()).find_map(|index| {
            let list = self.node(index).read();
            list.find(list.first(), pivot, 0).map(|position| (index, position))
        });
        let Some((index, position)) = found else { return false };
        if self.has_room(index, options, text.len()) {
            let count = self.node(index).count + 1;
            self.edit(index, count, |list| insert_in(list, position, side, text));
            self.settle(options.depth, index);
            return true;
        }
        let at_front = side == Side::Before && self.node(index).read().first() == Some(position);
        if at_front && index > 0 {
            if self.has_room(index - 1, options, text.len()) {
                self.push_into(index - 1, End::Back, text);
                self.settle(options.depth, index - 1);
            } else {
                self.insert_alone(index, options, text);
            }
            return true;
        }
        self.split(options, index, position, side, text);
        true
    }

    /// Splits a node beside an entry, and puts an element there.
    fn split(&mut self, options: Options, index: usize, beside: Position, side: Side, text: &[u8]) {
        let mut other = self.node(index).read().into_owned();
        let entries = self.node(index).count;
        let cut = match side {
            Side::Before => Some(beside),
            Side::After => other.next(beside),
        };
        let behind = cut.map_or(0, |cut| other.iter_from(cut).count());
        // No more than the node has.
        let (ahead, behind) = (entries - behind as u32, behind as u32);
        // The node keeps the part that its entry is in, and the element begins or ends the other part.
        let drop_behind = |list: &mut Ziplist| {
            if let Some(cut) = cut {
                list.delete_range(cut, behind as usize);
            }
        };
        let drop_ahead = |list: &mut Ziplist| {
            if let Some(first) = list.first() {
                list.delete_range(first, ahead as usize);
            }
        };
        match side {
            Side::After => {
                drop_ahead(&mut other);
                if let (true, Some(first)) = (faults::is(Fault::QuicklistSplitLosesElement), other.first()) {
                    other.delete(first);
                }
                other.push_front(Value::of(text));
                self.edit(index, ahead, drop_behind);
                self.insert_node(index + 1, Node::new(other));
                self.merge_around(options, index);
            }
            Side::Before => {
                drop_behind(&mut other);
                other.push_back(Value::of(text));
                self.edit(index, behind, drop_ahead);
                self.insert_node(index, Node::new(other));
                self.merge_around(options, index + 1);
            }
        }
    }

    /// Joins a node and the next one if they fit into one; false when they do not.
    fn merge(&mut self, options: Options, index: usize) -> bool {
        if index + 1 >= self.node_count() {
            return false;
        }
        let (first, second) = (self.node(index), self.node(index + 1));
        let bytes = first.size as usize + second.size as usize - EMPTY_BYTES;
        let count = first.count + second.count;
        if !allowed(bytes, count as usize, options.fill) {
            return false;
        }
        if let Some(second) = self.remove_node(index + 1) {
            let second = second.into_list();
            self.edit(index, count, |list| list.append_all(&second));
        }
        true
    }

    /// Joins what fits together around a node that was split: the two nodes before it, the two behind it, it and the one
    /// before, and the result and the one behind.
    fn merge_around(&mut self, options: Options, center: usize) {
        let mut center = center;
        let before = center.checked_sub(2).is_some_and(|first| self.merge(options, first));
        center -= usize::from(before);
        self.merge(options, center + 1);
        if center > 0 && self.merge(options, center - 1) {
            center -= 1;
        }
        self.merge(options, center);
        for touched in center.saturating_sub(1)..(center + 2).min(self.node_count()) {
            self.settle(options.depth, touched);
        }
    }
}
