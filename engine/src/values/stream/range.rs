//! The entries of a stream between two ids, in either direction.

use super::id::StreamId;
use super::node::{Entry, Master, Node, Raw};
use crate::faults::{self, Fault};
use crate::structures::rax::{Cursor, Rax, Seek};

/// The entries of a stream, to look at.
#[derive(Clone, Copy)]
pub struct Entries<'a>(pub(super) &'a Rax<Node>);

impl<'a> Entries<'a> {
    /// Those from one id to another, both included.
    #[must_use]
    pub fn range(self, from: StreamId, to: StreamId) -> Range<'a> {
        let mut nodes = self.0.seek(Seek::AtMost, &from.to_key());
        if nodes.value().is_none() {
            nodes = self.0.first();
        }
        Range::new(nodes, from, to, Direction::Forward)
    }

    /// As [`Entries::range`], the last one first.
    #[must_use]
    pub fn range_back(self, from: StreamId, to: StreamId) -> Range<'a> {
        Range::new(self.0.seek(Seek::AtMost, &to.to_key()), from, to, Direction::Backward)
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> Range<'a> {
        self.range(StreamId::MIN, StreamId::MAX)
    }

    /// The entry of this id.
    #[must_use]
    pub fn get(self, id: StreamId) -> Option<Entry<'a>> {
        self.range(id, id).next()
    }

    /// The first one.
    #[must_use]
    pub fn first(self) -> Option<Entry<'a>> {
        self.all().next()
    }

    /// The last one.
    #[must_use]
    pub fn last(self) -> Option<Entry<'a>> {
        self.range_back(StreamId::MIN, StreamId::MAX).next()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// Entries one by one, see [`Entries::range`].
pub struct Range<'a> {
    nodes: Cursor<'a, Node>,
    /// The node that is being read, with its id and what it begins with.
    node: Option<(&'a Node, StreamId, Master)>,
    /// Where the next entry to look at begins or, backwards, ends.
    at: Option<usize>,
    from: StreamId,
    to: StreamId,
    direction: Direction,
}

impl<'a> Range<'a> {
    fn new(nodes: Cursor<'a, Node>, from: StreamId, to: StreamId, direction: Direction) -> Self {
        let mut range = Range { nodes, node: None, at: None, from, to, direction };
        if from <= to {
            range.open();
        }
        range
    }

    /// Begins with the node at the cursor.
    fn open(&mut self) {
        self.node = self.nodes.get().map(|(key, node)| (node, StreamId::of_tree_key(key), node.master()));
        self.at = self.node.as_ref().and_then(|(node, _, master)| match self.direction {
            Direction::Forward => node.first_entry(master),
            Direction::Backward => Some(node.end()),
        });
    }

    fn next_node(&mut self) {
        match self.direction {
            Direction::Forward => self.nodes.forward(),
            Direction::Backward => self.nodes.backward(),
        }
        self.open();
    }

    /// The next entry as it stands in its node, deleted ones left out.
    pub(super) fn next_raw(&mut self) -> Option<(&'a Node, StreamId, Master, Raw)> {
        loop {
            let (node, node_id, master) = self.node?;
            let begin = match self.direction {
                Direction::Forward => self.at,
                Direction::Backward => self.at.and_then(|last| node.beginning(&master, last)),
            };
            let Some(begin) = begin else {
                self.next_node();
                continue;
            };
            let raw = node.raw(node_id, &master, begin);
            self.at = match self.direction {
                Direction::Forward => node.behind(&raw),
                Direction::Backward => Some(node.before(&raw)),
            };
            // Deleted entries need not be in order: the last generated id can be set back behind them.
            if raw.is_deleted() {
                if self.direction == Direction::Backward && faults::is(Fault::StreamBackwardStopsAtDeleted) {
                    self.node = None;
                }
                continue;
            }
            let beyond = match self.direction {
                Direction::Forward => raw.id > self.to,
                Direction::Backward => raw.id < self.from,
            };
            if beyond {
                self.node = None;
                return None;
            }
            if (self.from..=self.to).contains(&raw.id) {
                return Some((node, node_id, master, raw));
            }
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (node, _, _, raw) = self.next_raw()?;
        Some(node.entry(&raw))
    }
}
