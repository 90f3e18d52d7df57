//! A compressed radix tree: a map from byte strings to values, in the order of their bytes.
//!
//! ```text
//! keys: foo, foobar, footer, fop, x
//!
//!   root ─┬ f ─► ( "o" ) ─► ─┬ o ─► [foo] ─┬ b ─► ( "ar" ) ─► [foobar]
//!         │                  │             └ t ─► ( "er" ) ─► [footer]
//!         │                  └ p ─► [fop]
//!         └ x ─► [x]
//!
//!   [key]   a node with a value        ( "bytes" )   a node whose only edge is a chain of one byte or more
//!   ─┬ ─    a node that branches: an edge of one byte for each child
//! ```
//!
//! A key is spelled by the edges from the root to its node; bytes that many keys have in common are held once. Looking a
//! key up, adding and removing it take steps for each of its bytes at most, however many keys there are.
//!
//! Invariants, verified by [`Rax::validate`]:
//! - a branching node has two children at least, their bytes ascend;
//! - a chain is not empty, and no chain leads to a node without a value whose edge is a chain: that would be one chain;
//! - a node without edges has a value, unless it is the root of an empty tree;
//! - the numbers of keys and nodes, and the account of bytes, are what the tree has.
//!
//! So the shape follows from the keys alone, whatever the history: one node for each key, one for each place where keys
//! part, and one for each run of bytes between those.

#![forbid(unsafe_code)]

mod cursor;
mod insert;
mod path;
mod remove;
mod run;
mod validate;

pub use cursor::{Cursor, Seek};
use run::Run;

/// The map, see the [module](self).
pub struct Rax<V> {
    root: Node<V>,
    /// Keys.
    len: usize,
    /// Nodes, the root counted.
    nodes: usize,
    /// Bytes of the heap that nodes take.
    heap: usize,
}

/// A node; the root lies in the [`Rax`], others in what leads to them. Most are leaves, so what leads away takes no more
/// than a pointer.
struct Node<V> {
    value: Option<V>,
    edges: Option<Box<Edges<V>>>,
}

/// What leads away from a node.
enum Edges<V> {
    Chain(Chain<V>),
    Branch(Branch<V>),
}

/// The only edge of a node.
struct Chain<V> {
    bytes: Run,
    child: Node<V>,
}

/// Two edges or more, of a byte each. Lists without spare room: allocators round sizes up anyway, and there are never more
/// than 256 to be moved.
struct Branch<V> {
    /// Ascending.
    bytes: Box<[u8]>,
    /// As many.
    children: Box<[Node<V>]>,
}

impl<V> Branch<V> {
    fn heap(&self) -> usize {
        self.bytes.len() + self.children.len() * size_of::<Node<V>>()
    }

    /// Adds a child.
    fn insert(&mut self, place: usize, byte: u8, child: Node<V>) {
        insert(&mut self.bytes, place, byte);
        insert(&mut self.children, place, child);
    }

    /// Takes a child out.
    fn remove(&mut self, place: usize) {
        remove(&mut self.bytes, place);
        remove(&mut self.children, place);
    }

    /// The place of the child behind this byte, or where it would be; keys are mostly added at the end.
    #[inline]
    fn place(&self, byte: u8) -> Result<usize, usize> {
        match self.bytes.last() {
            Some(&last) if last < byte => Err(self.bytes.len()),
            Some(&last) if last == byte => Ok(self.bytes.len() - 1),
            _ => self.bytes.binary_search(&byte),
        }
    }
}

/// Adds an element.
fn insert<T>(list: &mut Box<[T]>, place: usize, element: T) {
    let mut elements = std::mem::take(list).into_vec();
    elements.reserve_exact(1);
    elements.insert(place, element);
    *list = elements.into_boxed_slice();
}

/// Removes an element.
fn remove<T>(list: &mut Box<[T]>, place: usize) {
    let mut elements = std::mem::take(list).into_vec();
    elements.remove(place);
    *list = elements.into_boxed_slice();
}

impl<V> Edges<V> {
    /// Bytes of the heap that they take, without the nodes below.
    fn heap(&self) -> usize {
        size_of::<Self>()
            + match self {
                Edges::Chain(chain) => chain.bytes.heap(),
                Edges::Branch(branch) => branch.heap(),
            }
    }
}

impl<V> Node<V> {
    /// A node without edges.
    fn leaf(value: V) -> Node<V> {
        Node { value: Some(value), edges: None }
    }

    fn is_key(&self) -> bool {
        self.value.is_some()
    }

    /// Bytes of the heap that its edges take, without the nodes below.
    fn heap(&self) -> usize {
        self.edges.as_ref().map_or(0, |edges| edges.heap())
    }
}

impl<V> Default for Rax<V> {
    fn default() -> Self {
        Rax::new()
    }
}

impl<V> Rax<V> {
    /// One without keys.
    #[must_use]
    pub const fn new() -> Rax<V> {
        Rax { root: Node { value: None, edges: None }, len: 0, nodes: 1, heap: 0 }
    }

    /// Number of keys.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of nodes, the root counted: 1 without keys.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Bytes of the heap that the tree takes, without what its values own.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.heap
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        let (mut node, mut rest) = (&self.root, key);
        loop {
            let Some((&first, tail)) = rest.split_first() else { return node.value.as_ref() };
            match node.edges.as_deref() {
                None => return None,
                Some(Edges::Chain(chain)) => {
                    rest = rest.strip_prefix(chain.bytes.bytes())?;
                    node = &chain.child;
                }
                Some(Edges::Branch(branch)) => {
                    node = branch.children.get(branch.place(first).ok()?)?;
                    rest = tail;
                }
            }
        }
    }

    /// The value of a key, to change it.
    #[must_use]
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let (mut node, mut rest) = (&mut self.root, key);
        loop {
            let Some((&first, tail)) = rest.split_first() else { return node.value.as_mut() };
            match node.edges.as_deref_mut() {
                None => return None,
                Some(Edges::Chain(chain)) => {
                    rest = rest.strip_prefix(chain.bytes.bytes())?;
                    node = &mut chain.child;
                }
                Some(Edges::Branch(branch)) => {
                    let place = branch.place(first).ok()?;
                    node = branch.children.get_mut(place)?;
                    rest = tail;
                }
            }
        }
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// The value of the greatest key, to change it.
    #[must_use]
    pub fn last_mut(&mut self) -> Option<&mut V> {
        let mut node = &mut self.root;
        loop {
            match node.edges.as_deref_mut() {
                None => return node.value.as_mut(),
                Some(Edges::Chain(chain)) => node = &mut chain.child,
                Some(Edges::Branch(branch)) => node = branch.children.last_mut()?,
            }
        }
    }

    /// Shows every key and its value, ascending.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &V)) {
        let mut cursor = self.first();
        while let Some((key, value)) = cursor.get() {
            visit(key, value);
            cursor.forward();
        }
    }

    /// Removes all keys.
    pub fn clear(&mut self) {
        drop(std::mem::take(self));
    }
}

/// The last child first, without recursion: keys from outside can make a tree as deep as there are keys.
impl<V> Drop for Rax<V> {
    fn drop(&mut self) {
        let Some(edges) = self.root.edges.take() else { return };
        let mut waiting = vec![edges];
        while let Some(edges) = waiting.pop() {
            match *edges {
                Edges::Chain(chain) => waiting.extend(chain.child.edges),
                Edges::Branch(branch) => waiting.extend(branch.children.into_iter().filter_map(|child| child.edges)),
            }
        }
    }
}

impl<V: std::fmt::Debug> std::fmt::Debug for Rax<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        self.for_each(|key, value| {
            map.entry(&key.escape_ascii().to_string(), value);
        });
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(keys: &[&str]) -> Rax<usize> {
        let mut tree = Rax::new();
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(tree.insert(key.as_bytes(), at), None);
            tree.validate();
        }
        tree
    }

    fn keys(tree: &Rax<usize>) -> Vec<String> {
        let mut keys = Vec::new();
        tree.for_each(|key, _| keys.push(String::from_utf8(key.to_vec()).unwrap()));
        keys
    }

    #[test]
    fn the_tree_of_the_header_has_ten_nodes_in_whatever_order_its_keys_come() {
        let mut names = ["foo", "foobar", "footer", "fop", "x"];
        for turn in 0..names.len() {
            names.rotate_left(turn);
            let tree = of(&names);
            assert_eq!(keys(&tree), ["foo", "foobar", "footer", "fop", "x"]);
            assert_eq!(tree.nodes(), 10, "{tree:?}");
        }
    }

    #[test]
    fn removing_keys_joins_what_they_kept_apart() {
        let mut tree = of(&["foo", "foobar", "footer", "fop", "x", ""]);
        for (key, nodes) in [("x", 8), ("fop", 6), ("foo", 6), ("footer", 2), ("", 2), ("foobar", 1)] {
            assert!(tree.remove(key.as_bytes()).is_some());
            tree.validate();
            assert_eq!(tree.nodes(), nodes, "without {key}: {tree:?}");
            assert_eq!(tree.remove(key.as_bytes()), None);
        }
        assert_eq!((tree.len(), tree.bytes()), (0, 0));
    }

    #[test]
    fn ids_take_the_nodes_that_redis_counts() {
        let id = |ms: u64, seq: u64| [ms.to_be_bytes(), seq.to_be_bytes()].concat();
        let mut tree = Rax::new();
        for (seq, nodes) in [(1, 2), (101, 4), (201, 5)] {
            tree.insert(&id(1, seq), ());
            assert_eq!(tree.nodes(), nodes);
        }
        let mut tree = Rax::new();
        for seq in 1..=1000 {
            tree.insert(&id(1, seq), ());
        }
        assert_eq!(tree.nodes(), 1006);
    }

    #[test]
    fn a_tree_as_deep_as_it_has_keys_is_built_walked_and_dropped() {
        let mut tree = Rax::new();
        let key = vec![b'a'; 20_000];
        for len in 0..key.len() {
            tree.insert(&key[..len], len);
        }
        let mut cursor = tree.last();
        for len in (0..key.len()).rev() {
            assert_eq!(cursor.get().map(|(key, &value)| (key.len(), value)), Some((len, len)));
            cursor.backward();
        }
        tree.validate();
        assert_eq!(tree.remove(&key[..10_000]), Some(10_000));
    }
}
