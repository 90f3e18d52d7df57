//! Removing keys: what only led to the key goes with it, and chains that nothing keeps apart any more are joined.

use super::{Chain, Edges, Node, Rax, Run};

/// A node on the way to a key.
#[derive(Clone, Copy)]
struct Step {
    /// How many bytes of the key spell the way to it.
    offset: usize,
    /// Whether the way goes on by a chain, not by a branch.
    by_chain: bool,
    /// Whether it has a value.
    is_key: bool,
}

/// The nodes above the one of a key that removing it can concern, the nearest first.
#[derive(Default)]
struct Above {
    parent: Option<Step>,
    grandparent: Option<Step>,
    before: Option<Step>,
}

impl Above {
    fn push(&mut self, step: Step) {
        self.before = self.grandparent;
        self.grandparent = self.parent;
        self.parent = Some(step);
    }
}

impl<V> Rax<V> {
    /// Removes a key; answers its value.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        let above = self.nodes_above(key)?;
        let target = self.at(key, key.len());
        let is_leaf = target.edges.is_none();
        let value = target.value.take()?;
        self.len -= 1;
        match (is_leaf, above.parent) {
            (true, Some(parent)) => self.remove_leaf(key, parent, &above),
            (true, None) => {}
            (false, Some(parent)) if parent.by_chain => self.join(key, parent.offset),
            (false, _) => {}
        }
        Some(value)
    }

    /// The way to a key; `None` when it is not there.
    fn nodes_above(&self, key: &[u8]) -> Option<Above> {
        let mut above = Above::default();
        let (mut node, mut offset) = (&self.root, 0);
        loop {
            let rest = &key[offset..];
            let Some(&first) = rest.first() else { break };
            let (by_chain, is_key) = (matches!(node.edges.as_deref(), Some(Edges::Chain(_))), node.is_key());
            above.push(Step { offset, by_chain, is_key });
            match node.edges.as_deref() {
                None => return None,
                Some(Edges::Chain(chain)) => {
                    rest.strip_prefix(chain.bytes.bytes())?;
                    offset += chain.bytes.bytes().len();
                    node = &chain.child;
                }
                Some(Edges::Branch(branch)) => {
                    node = branch.children.get(branch.place(first).ok()?)?;
                    offset += 1;
                }
            }
        }
        node.is_key().then_some(above)
    }

    /// The node to which so many bytes of a key lead.
    fn at(&mut self, key: &[u8], offset: usize) -> &mut Node<V> {
        let (mut node, mut here) = (&mut self.root, 0);
        while here < offset {
            match node.edges.as_deref_mut() {
                Some(Edges::Chain(chain)) => {
                    here += chain.bytes.bytes().len();
                    node = &mut chain.child;
                }
                Some(Edges::Branch(branch)) => {
                    let Ok(place) = branch.place(key[here]) else { unreachable!("the way was seen") };
                    here += 1;
                    node = &mut branch.children[place];
                }
                None => unreachable!("the way was seen"),
            }
        }
        node
    }

    /// Takes out a leaf that is no key any more.
    fn remove_leaf(&mut self, key: &[u8], parent: Step, above: &Above) {
        self.nodes -= 1;
        if !parent.by_chain {
            return self.remove_child(key, parent, above.grandparent);
        }
        // The chain leads to nothing now.
        let node = self.at(key, parent.offset);
        let freed = node.heap();
        node.edges = None;
        self.heap -= freed;
        // A node without value and edges goes too, and then it is a branch that leads to it: otherwise there were two
        // chains in a row.
        if let (false, Some(branch)) = (parent.is_key, above.grandparent) {
            self.nodes -= 1;
            self.remove_child(key, branch, above.before);
        }
    }

    /// Takes the child behind the key's byte out of a branch.
    fn remove_child(&mut self, key: &[u8], at: Step, parent: Option<Step>) {
        let node = self.at(key, at.offset);
        let before = node.heap();
        let Some(Edges::Branch(branch)) = node.edges.as_deref_mut() else { unreachable!("the way was seen to branch") };
        if let Ok(place) = branch.place(key[at.offset]) {
            branch.remove(place);
        }
        let (&[byte], Some(child)) = (&*branch.bytes, branch.children.first_mut()) else {
            let after = node.heap();
            self.heap = self.heap - before + after;
            return;
        };
        // The last edge is a chain.
        let child = std::mem::replace(child, Node { value: None, edges: None });
        node.edges = Some(Box::new(Edges::Chain(Chain { bytes: Run::of(&[byte]), child })));
        let after = node.heap();
        self.heap = self.heap - before + after;
        self.join(key, at.offset);
        if let (false, Some(parent)) = (at.is_key, parent)
            && parent.by_chain
        {
            self.join(key, parent.offset);
        }
    }

    /// Makes one chain of two, if a chain leads from the node there to one without a value whose edge is a chain.
    fn join(&mut self, key: &[u8], offset: usize) {
        let node = self.at(key, offset);
        let before = node.heap();
        let Some(Edges::Chain(upper)) = node.edges.as_deref_mut() else { return };
        if upper.child.is_key() {
            return;
        }
        match upper.child.edges.take().map(|lower| (lower.heap(), *lower)) {
            Some((freed, Edges::Chain(lower))) => {
                upper.bytes = Run::of(&[upper.bytes.bytes(), lower.bytes.bytes()].concat());
                upper.child = lower.child;
                let after = node.heap();
                self.heap = self.heap - before - freed + after;
                self.nodes -= 1;
            }
            Some((_, other)) => upper.child.edges = Some(Box::new(other)),
            None => {}
        }
    }
}
