//! A list of any length: ziplists in a row, those in the middle compressed on request.
//!
//! ```text
//! Single   ziplist                                        one node: nothing but its ziplist
//! Chain    [ node | node | node | … | node | node ]       nodes side by side in a ring buffer, ends plain
//!             │      │      │                             node: ziplist or LZF block, its bytes, its count
//!          ziplist   …    LZF block                       compressed: those `depth` and more nodes from both ends
//! ```
//!
//! When a node is full follows from `fill`: a positive one is a number of entries (and at most 8 KiB), -1 to -5 are
//! 4, 8, 16, 32 and 64 KiB. How nodes fill, split and merge is visible in files and to DEBUG OBJECT, and follows Redis
//! step by step ([`grow`]).
//!
//! Invariants, verified by [`Quicklist::validate`]:
//! - a chain has two nodes at least, and no node of it is empty;
//! - each node knows the number of its entries and the bytes of its ziplist, and the chain their sums;
//! - the `depth` nodes nearest to each end are not compressed, and without a depth none is.

mod chain;
mod grow;
mod node;

use chain::Chain;
use grow::fits;
use node::Node;
pub use node::NodeView;

use super::ziplist::{Value, Ziplist};
use crate::faults::{self, Fault};

/// How long nodes become and which are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    fill: i16,
    depth: u16,
}

impl Options {
    /// From `list-max-ziplist-size` and `list-compress-depth`; what is beyond the greatest values is taken for them.
    #[must_use]
    pub fn new(fill: i64, depth: i64) -> Options {
        Options { fill: fill.clamp(-5, i64::from(i16::MAX)) as i16, depth: depth.clamp(0, i64::from(u16::MAX)) as u16 }
    }

    /// Entries of a node, or negative for its bytes.
    #[must_use]
    pub fn fill(self) -> i16 {
        self.fill
    }

    /// Nodes at each end that are not compressed; 0: none is compressed.
    #[must_use]
    pub fn depth(self) -> u16 {
        self.depth
    }
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Front,
    /// Where index -1 is.
    Back,
}

/// One of the two sides of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nearer to the front.
    Before,
    /// Nearer to the back.
    After,
}

/// The list, see the [module](self).
#[derive(Clone, Debug)]
pub enum Quicklist {
    /// One node or none.
    Single(Options, Ziplist),
    /// Two nodes or more.
    Chain(Options, Box<Chain>),
}

impl Quicklist {
    /// An empty list.
    #[must_use]
    pub fn new(options: Options) -> Quicklist {
        Quicklist::Single(options, Ziplist::new())
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> Options {
        match self {
            Quicklist::Single(options, _) | Quicklist::Chain(options, _) => *options,
        }
    }

    /// Number of elements.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Quicklist::Single(_, list) => list.len(),
            Quicklist::Chain(_, chain) => chain.len(),
        }
    }

    /// Whether there is no element.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Quicklist::Single(_, list) => list.is_empty(),
            Quicklist::Chain(..) => false,
        }
    }

    /// Bytes of heap it takes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Quicklist::Single(_, list) => list.bytes(),
            Quicklist::Chain(_, chain) => chain.bytes(),
        }
    }

    /// Its nodes from front to back; none of an empty list.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeView<'_>> {
        let single = match self {
            Quicklist::Single(_, list) => (!list.is_empty()).then_some(list),
            Quicklist::Chain(..) => None,
        };
        (0..self.node_count()).map(move |index| match (self, single) {
            (Quicklist::Chain(_, chain), _) => chain.node(index).view(),
            (Quicklist::Single(_, list), _) => NodeView::Plain(single.unwrap_or(list)),
        })
    }

    /// Number of nodes.
    #[must_use]
    pub fn node_count(&self) -> usize {
        match self {
            Quicklist::Single(_, list) => usize::from(!list.is_empty()),
            Quicklist::Chain(_, chain) => chain.node_count(),
        }
    }

    /// Bytes of all nodes' ziplists, uncompressed.
    #[must_use]
    pub fn uncompressed_bytes(&self) -> usize {
        match self {
            Quicklist::Single(_, list) if list.is_empty() => 0,
            Quicklist::Single(_, list) => list.byte_len(),
            Quicklist::Chain(_, chain) => chain.uncompressed_bytes(),
        }
    }

    /// Adds a node at the back, however long it is; nothing when it is empty.
    pub fn push_node(&mut self, list: Ziplist) {
        if list.is_empty() {
            return;
        }
        match self {
            Quicklist::Single(_, own) if own.is_empty() => *own = list,
            _ => {
                let options = self.options();
                let chain = self.chain();
                chain.insert_node(chain.node_count(), Node::new(list));
                chain.settle(options.depth, chain.node_count() - 1);
            }
        }
    }

    /// Adds an element at an end.
    ///
    /// # Panics
    /// When it is longer than a ziplist can be.
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8]) {
        if let Quicklist::Single(options, list) = self
            && (list.is_empty() || fits(list.byte_len(), list.len(), options.fill, text.len()))
        {
            match end {
                End::Front => list.push_front(Value::of(text)),
                End::Back => list.push_back(Value::of(text)),
            }
            return;
        }
        let options = self.options();
        self.chain().push(options, end, text);
    }

    /// The element at an end.
    #[inline]
    #[must_use]
    pub fn peek(&self, end: End) -> Option<Value<'_>> {
        let list = match self {
            Quicklist::Single(_, list) => list,
            Quicklist::Chain(_, chain) => chain.end_list(end),
        };
        let position = match end {
            End::Front => list.first(),
            End::Back => list.last(),
        };
        position.map(|position| list.get(position))
    }

    /// Removes the element at an end, if there is one.
    #[inline]
    pub fn drop_end(&mut self, end: End) {
        match self {
            Quicklist::Single(_, list) => {
                let position = match end {
                    End::Front => list.first(),
                    End::Back => list.last(),
                };
                if let Some(position) = position {
                    list.delete(position);
                }
            }
            Quicklist::Chain(options, chain) => {
                chain.drop_end(*options, end);
                self.normalize();
            }
        }
    }

    /// Gives the element at `index` to `read`; `None` when there is none.
    pub fn read<R>(&self, index: usize, read: impl FnOnce(Value<'_>) -> R) -> Option<R> {
        match self {
            Quicklist::Single(_, list) => {
                let position = nearest(list, index, list.len())?;
                Some(read(list.get(position)))
            }
            Quicklist::Chain(_, chain) => {
                let (node, offset) = chain.locate(index)?;
                let list = chain.node(node).read();
                let position = nearest(&list, offset, chain.node(node).count as usize)?;
                Some(read(list.get(position)))
            }
        }
    }

    /// Gives up to `count` elements from index `from` on to `visit`, in order.
    pub fn visit(&self, from: usize, count: usize, mut visit: impl FnMut(Value<'_>)) {
        match self {
            Quicklist::Single(_, list) => visit_list(list, from, list.len(), count, &mut visit),
            Quicklist::Chain(_, chain) => {
                let Some((mut node, mut offset)) = chain.locate(from) else { return };
                let mut left = count;
                while left > 0 && node < chain.node_count() {
                    let entries = chain.node(node).count as usize;
                    visit_list(&chain.node(node).read(), offset, entries, left, &mut visit);
                    left = left.saturating_sub(entries - offset);
                    let skipped = faults::is(Fault::QuicklistRangeSkips) && from > 0;
                    (node, offset) = (node + 1, usize::from(skipped));
                }
            }
        }
    }

    /// Puts another element in the place of the one at `index`; false when there is none.
    pub fn set(&mut self, index: usize, text: &[u8]) -> bool {
        match self {
            Quicklist::Single(_, list) => match nearest(list, index, list.len()) {
                Some(position) => {
                    list.replace(position, Value::of(text));
                    true
                }
                None => false,
            },
            Quicklist::Chain(options, chain) => {
                let Some((node, offset)) = chain.locate(index) else { return false };
                let entries = chain.node(node).count;
                chain.edit(node, entries, |list| {
                    if let Some(position) = nearest(list, offset, entries as usize) {
                        list.replace(position, Value::of(text));
                    }
                });
                chain.settle(options.depth, node);
                true
            }
        }
    }

    /// Adds an element beside the first one that equals `pivot`; false when none does.
    pub fn insert_beside(&mut self, pivot: &[u8], side: Side, text: &[u8]) -> bool {
        if let Quicklist::Single(options, list) = self {
            let Some(position) = list.find(list.first(), pivot, 0) else { return false };
            if fits(list.byte_len(), list.len(), options.fill, text.len()) {
                grow::insert_in(list, position, side, text);
                return true;
            }
        }
        let options = self.options();
        let found = self.chain().insert_beside(options, pivot, side, text);
        self.normalize();
        found
    }

    /// Removes elements that equal `text`: from front to back up to `count` of them, from back to front when it is
    /// negative, all when it is 0. Answers how many.
    pub fn remove(&mut self, text: &[u8], count: i64) -> usize {
        let most = if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
        let from = if count < 0 { End::Back } else { End::Front };
        match self {
            Quicklist::Single(_, list) => chain::remove_from(list, text, from, most),
            Quicklist::Chain(options, chain) => {
                let removed = chain.remove(*options, text, from, most);
                self.normalize();
                removed
            }
        }
    }

    /// Removes `front` elements at the front, then `back` at the back.
    pub fn trim(&mut self, front: usize, back: usize) {
        match self {
            Quicklist::Single(_, list) => {
                chain::trim_list(list, End::Front, front);
                chain::trim_list(list, End::Back, back);
            }
            Quicklist::Chain(options, chain) => {
                chain.trim(*options, End::Front, front);
                chain.trim(*options, End::Back, back);
                self.normalize();
            }
        }
    }

    /// Makes a chain of it; of one node for a moment.
    fn chain(&mut self) -> &mut Chain {
        if let Quicklist::Single(options, list) = self {
            let nodes = (!list.is_empty()).then(|| Node::new(std::mem::take(list)));
            *self = Quicklist::Chain(*options, Box::new(Chain::new(nodes)));
        }
        match self {
            Quicklist::Chain(_, chain) => chain,
            Quicklist::Single(..) => unreachable!("a chain was made of it"),
        }
    }

    /// Makes a single ziplist of a chain that has no more than one node.
    fn normalize(&mut self) {
        if let Quicklist::Chain(options, chain) = self
            && chain.node_count() < 2
        {
            let list = chain.take_last().map(Node::into_list).unwrap_or_default();
            *self = Quicklist::Single(*options, list);
        }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        match self {
            Quicklist::Single(_, list) => list.validate(),
            Quicklist::Chain(options, chain) => chain.validate(options.depth),
        }
    }
}

/// The entry at `index` of `entries`, sought from the nearer end.
fn nearest(list: &Ziplist, index: usize, entries: usize) -> Option<super::ziplist::Position> {
    if index >= entries {
        return None;
    }
    // A ziplist has fewer than 2^31 entries.
    list.index(if index <= entries / 2 { index as i64 } else { index as i64 - entries as i64 })
}

fn visit_list(list: &Ziplist, from: usize, entries: usize, count: usize, visit: &mut impl FnMut(Value<'_>)) {
    if let Some(position) = nearest(list, from, entries) {
        list.iter_from(position).take(count).for_each(visit);
    }
}
