//! Removing keys: what only led to the key goes with it, and chains that nothing keeps apart any more are joined.

use super::{Chain, Edges, Node, Rax};

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
        let is_leaf = matches!(target.edges, Edges::None);
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
            let (by_chain, is_key) = (matches!(node.edges, Edges::Chain(_)), node.is_key());
            above.push(Step { offset, by_chain, is_key });
            match &node.edges {
                Edges::None => return None,
                Edges::Chain(chain) => {
                    rest.strip_prefix(&*chain.bytes)?;
                    offset += chain.bytes.len();
                    node = &chain.child;
                }
                Edges::Branch(branch) => {
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
            match &mut node.edges {
                Edges::Chain(chain) => {
                    here += chain.bytes.len();
                    node = &mut chain.child;
                }
                Edges::Branch(branch) => {
                    let Ok(place) = branch.place(key[here]) else { unreachable!("the way was seen") };
                    here += 1;
                    node = &mut branch.children[place];
                }
                Edges::None => unreachable!("the way was seen"),
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
        let freed = node.edges.heap();
        node.edges = Edges::None;
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
        let Edges::Branch(branch) = &mut node.edges else { unreachable!("the way was seen to branch") };
        let before = branch.heap();
        if let Ok(place) = branch.place(key[at.offset]) {
            branch.bytes.remove(place);
            branch.children.remove(place);
        }
        // Room for four times as many is given back; ids come and go at the ends of large branches.
        if branch.children.capacity() > 8 && branch.children.len() <= branch.children.capacity() / 4 {
            branch.bytes.shrink_to(branch.bytes.len() * 2);
            branch.children.shrink_to(branch.children.len() * 2);
        }
        let (&[byte], Some(child)) = (&branch.bytes[..], branch.children.first_mut()) else {
            let after = branch.heap();
            self.heap = self.heap - before + after;
            return;
        };
        // The last edge is a chain.
        let child = std::mem::replace(child, Node { value: None, edges: Edges::None });
        let chain = Chain { bytes: [byte].into(), child };
        let after = chain.heap();
        node.edges = Edges::Chain(Box::new(chain));
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
        let Edges::Chain(upper) = &mut node.edges else { return };
        if upper.child.is_key() {
            return;
        }
        let before = upper.heap();
        match std::mem::replace(&mut upper.child.edges, Edges::None) {
            Edges::Chain(lower) => {
                let freed = before + lower.heap();
                upper.bytes = [&*upper.bytes, &*lower.bytes].concat().into();
                upper.child = lower.child;
                let after = upper.heap();
                self.heap = self.heap - freed + after;
                self.nodes -= 1;
            }
            other => upper.child.edges = other,
        }
    }
}
