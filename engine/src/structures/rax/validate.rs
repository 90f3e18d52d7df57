//! The invariants of a tree, checked one by one.

use super::{Edges, Node, Rax};

impl<V> Rax<V> {
    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        let (mut keys, mut nodes, mut heap) = (0, 0, 0);
        let mut waiting: Vec<(&Node<V>, bool)> = vec![(&self.root, false)];
        while let Some((node, behind_chain)) = waiting.pop() {
            keys += usize::from(node.is_key());
            nodes += 1;
            heap += node.heap();
            match node.edges.as_deref() {
                None => assert!(node.is_key() || self.len == 0, "a node that leads nowhere"),
                Some(Edges::Chain(chain)) => {
                    assert!(!chain.bytes.bytes().is_empty(), "a chain without bytes");
                    assert!(node.is_key() || !behind_chain, "two chains that should be one");
                    waiting.push((&chain.child, true));
                }
                Some(Edges::Branch(branch)) => {
                    assert!(branch.bytes.len() >= 2, "a branch with {} children", branch.bytes.len());
                    assert_eq!(branch.bytes.len(), branch.children.len(), "bytes and children of a branch");
                    assert!(branch.bytes.is_sorted_by(|one, next| one < next), "children in disorder");
                    waiting.extend(branch.children.iter().map(|child| (child, false)));
                }
            }
        }
        assert_eq!(keys, self.len, "number of keys");
        assert_eq!(nodes, self.nodes, "number of nodes");
        assert_eq!(heap, self.heap, "account of bytes");
    }
}
