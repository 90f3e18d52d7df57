//! A place among the keys of a tree, which can be moved either way. Nothing is allocated for keys of up to 32 bytes
//! in trees no deeper than the ids of streams make them.

use super::path::{Spelling, Stack};
use super::{Edges, Node, Rax};

/// Nodes on the way to an id: one for each byte and the root, at most.
const NEAR: usize = 18;

/// Which key is looked for beside a given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// The greatest below it.
    Less,
    /// The greatest that is not above it.
    AtMost,
    /// The least that is not below it.
    AtLeast,
    /// The least above it.
    Greater,
}

/// A node on the way from the root.
struct Frame<'a, V> {
    node: &'a Node<V>,
    /// Which of its children the way goes on to.
    place: usize,
    /// Bytes of the key that lead to it.
    depth: usize,
}

impl<V> Clone for Frame<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Frame<'_, V> {}

/// A key of a tree, or none: see [`Rax::seek`].
pub struct Cursor<'a, V> {
    /// The nodes above the present one.
    above: Stack<Frame<'a, V>, NEAR>,
    key: Spelling,
    /// The node of the key.
    node: Option<&'a Node<V>>,
}

impl<V> Clone for Cursor<'_, V> {
    fn clone(&self) -> Self {
        Cursor { above: self.above.clone(), key: self.key.clone(), node: self.node }
    }
}

impl<V> Rax<V> {
    fn top(&self) -> Cursor<'_, V> {
        let filler = Frame { node: &self.root, place: 0, depth: 0 };
        Cursor { above: Stack::new(filler), key: Spelling::new(), node: Some(&self.root) }
    }

    /// The least key.
    #[must_use]
    pub fn first(&self) -> Cursor<'_, V> {
        let mut cursor = self.top();
        cursor.descend_to_first();
        cursor
    }

    /// The greatest key.
    #[must_use]
    pub fn last(&self) -> Cursor<'_, V> {
        let mut cursor = self.top();
        cursor.descend_to_last();
        cursor
    }

    /// The key that stands to `key` as `seek` says.
    #[must_use]
    pub fn seek(&self, seek: Seek, key: &[u8]) -> Cursor<'_, V> {
        let mut cursor = self.top();
        let mut rest = key;
        while let (Some(node), Some((&first, tail))) = (cursor.node, rest.split_first()) {
            match node.edges.as_deref() {
                // The key goes on below this one: it is greater.
                None => return cursor.aside(seek, Aside::Below),
                Some(Edges::Chain(chain)) => match rest.strip_prefix(chain.bytes.bytes()) {
                    Some(behind) => {
                        cursor.step_down(0);
                        rest = behind;
                    }
                    None if chain.bytes.bytes() < rest => return cursor.aside(seek, Aside::Below),
                    None => return cursor.aside(seek, Aside::Before(0)),
                },
                Some(Edges::Branch(branch)) => match branch.place(first) {
                    Ok(place) => {
                        cursor.step_down(place);
                        rest = tail;
                    }
                    Err(place) if place == branch.bytes.len() => return cursor.aside(seek, Aside::Below),
                    Err(place) => return cursor.aside(seek, Aside::Before(place)),
                },
            }
        }
        // The key ends at this node.
        let held = cursor.node.is_some_and(Node::is_key);
        match seek {
            Seek::AtMost | Seek::AtLeast if held => {}
            Seek::AtLeast | Seek::Greater => cursor.forward(),
            Seek::AtMost | Seek::Less => cursor.backward(),
        }
        cursor
    }
}

/// Where a key would be that leaves the tree at a node.
enum Aside {
    /// Behind all that is below the node.
    Below,
    /// Right before the child at this place.
    Before(usize),
}

impl<'a, V> Cursor<'a, V> {
    /// The key and its value; `None` beyond either end.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Option<(&[u8], &'a V)> {
        let value = self.node?.value.as_ref()?;
        Some((self.key.bytes(), value))
    }

    /// The value; `None` beyond either end.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&'a V> {
        self.node?.value.as_ref()
    }

    /// Goes to the next key; beyond the end it stays there.
    #[inline]
    pub fn forward(&mut self) {
        let Some(node) = self.node else { return };
        if node.edges.is_none() {
            self.climb_forward();
        } else {
            self.step_down(0);
            self.descend_to_first();
        }
    }

    /// Goes to the key before; beyond the end it stays there.
    #[inline]
    pub fn backward(&mut self) {
        while let Some(frame) = self.step_up() {
            if let (Some(Edges::Branch(_)), 1..) = (frame.node.edges.as_deref(), frame.place) {
                self.step_down(frame.place - 1);
                return self.descend_to_last();
            }
            if frame.node.is_key() {
                return;
            }
        }
    }

    /// From a node at which a key leaves the tree to the key that is looked for.
    fn aside(mut self, seek: Seek, aside: Aside) -> Self {
        match (seek, aside) {
            (Seek::AtLeast | Seek::Greater, Aside::Before(place)) => {
                self.step_down(place);
                self.descend_to_first();
            }
            (Seek::AtLeast | Seek::Greater, Aside::Below) => self.climb_forward(),
            (Seek::AtMost | Seek::Less, Aside::Below) => self.descend_to_last(),
            (Seek::AtMost | Seek::Less, Aside::Before(0)) => {
                if !self.node.is_some_and(Node::is_key) {
                    self.backward();
                }
            }
            (Seek::AtMost | Seek::Less, Aside::Before(place)) => {
                self.step_down(place - 1);
                self.descend_to_last();
            }
        }
        self
    }

    /// To the first key that is not below the present node.
    fn climb_forward(&mut self) {
        while let Some(frame) = self.step_up() {
            if let Some(Edges::Branch(branch)) = frame.node.edges.as_deref()
                && frame.place + 1 < branch.children.len()
            {
                self.step_down(frame.place + 1);
                return self.descend_to_first();
            }
        }
    }

    /// To the least key at or below the present node.
    fn descend_to_first(&mut self) {
        while let Some(node) = self.node {
            if node.is_key() {
                return;
            }
            self.step_down(0);
        }
    }

    /// To the greatest key at or below the present node.
    fn descend_to_last(&mut self) {
        while let Some(node) = self.node {
            match node.edges.as_deref() {
                None => {
                    if !node.is_key() {
                        self.node = None;
                    }
                    return;
                }
                Some(Edges::Chain(_)) => self.step_down(0),
                Some(Edges::Branch(branch)) => self.step_down(branch.children.len() - 1),
            }
        }
    }

    /// To the child at a place; nowhere, when there is none.
    #[inline]
    fn step_down(&mut self, place: usize) {
        let Some(node) = self.node else { return };
        let depth = self.key.len();
        self.node = match node.edges.as_deref() {
            None => None,
            Some(Edges::Chain(chain)) => {
                self.key.push(chain.bytes.bytes());
                Some(&chain.child)
            }
            Some(Edges::Branch(branch)) => {
                self.key.push(&branch.bytes[place..=place]);
                branch.children.get(place)
            }
        };
        self.above.push(Frame { node, place, depth });
    }

    /// To the parent, which is answered; nowhere, from the root.
    #[inline]
    fn step_up(&mut self) -> Option<Frame<'a, V>> {
        let frame = self.above.pop();
        self.node = frame.map(|frame| frame.node);
        if let Some(frame) = frame {
            self.key.truncate(frame.depth);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_on_either_side_of_any_other() {
        let keys = ["", "a", "ab", "abcd", "abce", "b", "bcd", "bcdefg", "z"];
        let mut tree = Rax::new();
        for key in keys {
            tree.insert(key.as_bytes(), ());
        }
        let others = ["", "0", "a", "aa", "abc", "abcd", "abcda", "abcf", "abd", "bc", "bcd", "bce", "c", "z", "zz"];
        for key in others {
            let found = |seek| {
                let cursor = tree.seek(seek, key.as_bytes());
                cursor.get().map(|(key, ())| String::from_utf8_lossy(key).into_owned())
            };
            let wanted = |held: Option<&&str>| held.map(|held| (*held).to_owned());
            assert_eq!(found(Seek::Less), wanted(keys.iter().rev().find(|held| **held < key)), "< {key}");
            assert_eq!(found(Seek::AtMost), wanted(keys.iter().rev().find(|held| **held <= key)), "<= {key}");
            assert_eq!(found(Seek::AtLeast), wanted(keys.iter().find(|held| **held >= key)), ">= {key}");
            assert_eq!(found(Seek::Greater), wanted(keys.iter().find(|held| **held > key)), "> {key}");
        }
        let empty = Rax::<()>::new();
        for seek in [Seek::Less, Seek::AtMost, Seek::AtLeast, Seek::Greater] {
            assert!(empty.seek(seek, b"a").get().is_none() && empty.seek(seek, b"").get().is_none());
        }
        assert!(empty.first().get().is_none() && empty.last().get().is_none());
    }
}
