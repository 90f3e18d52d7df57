//! The check of every invariant of a skiplist.

use super::super::dict::Node as _;
use super::node::Scored;
use super::{Skiplist, order};

impl Skiplist {
    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        self.dict.validate();
        let mut nodes = Vec::new();
        let mut bytes = 0;
        let mut link = self.forward(None, 0).node;
        while let Some(node) = link {
            let (score, member) = self.read(node);
            assert!(!score.is_nan(), "a score that is no number");
            let held = self.dict.peek(member).map(|entry| entry.as_raw());
            assert_eq!(held, Some(node), "a member is in the list and not in the dict");
            if let Some(&before) = nodes.last() {
                let (before_score, before_member) = self.read(before);
                assert!(order(before_score, before_member, score, member).is_lt(), "members out of order");
            }
            // SAFETY: entries in the list are live, and it is borrowed.
            unsafe {
                assert_eq!(Scored::before(node), nodes.last().copied(), "a link backwards is wrong");
                bytes += Scored::allocated(node);
                link = Scored::after(node);
            }
            nodes.push(node);
            assert!(nodes.len() <= self.len(), "more members in the list than in the dict");
        }
        assert_eq!(nodes.len(), self.len());
        assert_eq!(self.tail, nodes.last().copied());
        assert_eq!(bytes, self.entries, "the account of entries' bytes is wrong");
        // SAFETY: as above.
        let heights: Vec<usize> = nodes.iter().map(|&node| unsafe { Scored::height(node) }).collect();
        assert_eq!(self.head.len(), heights.iter().copied().max().unwrap_or(1));
        for level in 0..self.head.len() {
            let mut from = None;
            let mut rank = 0;
            for place in (0..nodes.len()).filter(|&place| heights[place] > level) {
                let forward = self.forward(from, level);
                assert_eq!(forward.node, Some(nodes[place]), "a level leaves a member out");
                assert_eq!(rank + forward.span, place + 1, "a span is wrong on level {level}");
                (from, rank) = (forward.node, place + 1);
            }
            let forward = self.forward(from, level);
            assert_eq!((forward.node, rank + forward.span), (None, nodes.len()), "the end of level {level} is wrong");
        }
        // Keys are read here once more, so that a tool that looks for wrong accesses sees every byte.
        // SAFETY: as above.
        let longest = nodes.iter().map(|&node| unsafe { Scored::key(node) }.len()).max();
        assert!(longest.unwrap_or(0) <= u32::MAX as usize);
    }
}
