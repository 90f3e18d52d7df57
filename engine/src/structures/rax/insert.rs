//! Adding keys: where a key leaves the edges that are there, they are split.

use super::{Branch, Chain, Edges, Node, Rax, Run};

/// How the edges of a node meet the rest of a key, which is not empty.
enum Meeting {
    /// There are none.
    Nothing,
    /// The chain leads so many bytes along it.
    Along(usize),
    /// The chain shares so many bytes with it, but has more.
    Parting(usize),
    /// The child at this place is behind its first byte.
    Child(usize),
    /// A child behind its first byte would be at this place.
    Absent(usize),
}

impl<V> Node<V> {
    fn meet(&self, rest: &[u8]) -> Meeting {
        match self.edges.as_deref() {
            None => Meeting::Nothing,
            Some(Edges::Chain(chain)) => {
                let bytes = chain.bytes.bytes();
                let shared = bytes.iter().zip(rest).take_while(|(one, other)| one == other).count();
                if shared == bytes.len() { Meeting::Along(shared) } else { Meeting::Parting(shared) }
            }
            Some(Edges::Branch(branch)) => match branch.place(rest[0]) {
                Ok(place) => Meeting::Child(place),
                Err(place) => Meeting::Absent(place),
            },
        }
    }

    /// The only child.
    fn followed(&mut self) -> &mut Node<V> {
        match self.edges.as_deref_mut() {
            Some(Edges::Chain(chain)) => &mut chain.child,
            None | Some(Edges::Branch(_)) => unreachable!("the edge was seen to be a chain"),
        }
    }

    /// The child at a place.
    fn child(&mut self, place: usize) -> &mut Node<V> {
        match self.edges.as_deref_mut() {
            Some(Edges::Branch(branch)) => &mut branch.children[place],
            None | Some(Edges::Chain(_)) => unreachable!("the node was seen to branch"),
        }
    }
}

/// What a change adds to the figures of a tree.
#[derive(Default)]
struct Growth {
    nodes: usize,
    heap: usize,
    /// Heap of what was taken apart.
    freed: usize,
}

impl Growth {
    /// A node of this key: a leaf, behind a chain unless the key is empty.
    fn hang<V>(&mut self, rest: &[u8], value: V) -> Node<V> {
        self.nodes += 1;
        if rest.is_empty() {
            return Node::leaf(value);
        }
        Node { value: None, edges: Some(self.chain(rest, Node::leaf(value))) }
    }

    /// A chain of these bytes; its child is a new node or one that was counted.
    fn chain<V>(&mut self, bytes: &[u8], child: Node<V>) -> Box<Edges<V>> {
        let chain = Edges::Chain(Chain { bytes: Run::of(bytes), child });
        self.nodes += 1;
        self.heap += chain.heap();
        Box::new(chain)
    }

    /// The chain that leads away from a node, taken off.
    fn cut<V>(&mut self, node: &mut Node<V>) -> Option<Chain<V>> {
        let edges = node.edges.take()?;
        self.freed += edges.heap();
        match *edges {
            Edges::Chain(chain) => Some(chain),
            Edges::Branch(_) => unreachable!("the edge was seen to be a chain"),
        }
    }
}

impl<V> Rax<V> {
    /// Sets the value of a key; answers the one that it had.
    pub fn insert(&mut self, key: &[u8], value: V) -> Option<V> {
        let (mut node, mut rest) = (&mut self.root, key);
        let mut growth = Growth::default();
        loop {
            if rest.is_empty() {
                let old = node.value.replace(value);
                self.len += usize::from(old.is_none());
                self.grow(growth);
                return old;
            }
            match node.meet(rest) {
                Meeting::Along(bytes) => {
                    node = node.followed();
                    rest = &rest[bytes..];
                }
                Meeting::Child(place) => {
                    node = node.child(place);
                    rest = &rest[1..];
                }
                // The key ends inside the chain: its node comes between two halves.
                Meeting::Parting(shared) if shared == rest.len() => {
                    if let Some(chain) = growth.cut(node) {
                        let lower = growth.chain(&chain.bytes.bytes()[shared..], chain.child);
                        node.edges = Some(growth.chain(rest, Node { value: None, edges: Some(lower) }));
                        // One of the two is the chain that was there.
                        growth.nodes -= 1;
                    }
                }
                Meeting::Parting(shared) => {
                    if let Some(chain) = growth.cut(node) {
                        node.edges = Some(part(chain, shared, rest, value, &mut growth));
                    }
                    break;
                }
                Meeting::Nothing => {
                    node.edges = Some(growth.chain(rest, Node::leaf(value)));
                    break;
                }
                Meeting::Absent(place) => {
                    if let Some(Edges::Branch(branch)) = node.edges.as_deref_mut() {
                        growth.freed += branch.heap();
                        branch.insert(place, rest[0], growth.hang(&rest[1..], value));
                        growth.heap += branch.heap();
                    }
                    break;
                }
            }
        }
        self.len += 1;
        self.grow(growth);
        None
    }

    fn grow(&mut self, growth: Growth) {
        self.nodes += growth.nodes;
        self.heap = self.heap + growth.heap - growth.freed;
    }
}

/// What becomes of a chain that shares its first bytes with the rest of a key, and then goes another way: a chain of
/// what they share, a node that branches, and what is left of both.
fn part<V>(chain: Chain<V>, shared: usize, rest: &[u8], value: V, growth: &mut Growth) -> Box<Edges<V>> {
    let Chain { bytes, child } = chain;
    let bytes = bytes.bytes();
    let old = match &bytes[shared + 1..] {
        [] => child,
        more => Node { value: None, edges: Some(growth.chain(more, child)) },
    };
    let (old_byte, new_byte) = (bytes[shared], rest[shared]);
    let new = growth.hang(&rest[shared + 1..], value);
    let branch = Edges::Branch(if old_byte < new_byte {
        Branch { bytes: [old_byte, new_byte].into(), children: [old, new].into() }
    } else {
        Branch { bytes: [new_byte, old_byte].into(), children: [new, old].into() }
    });
    growth.heap += branch.heap();
    let branch = Box::new(branch);
    if shared == 0 { branch } else { growth.chain(&rest[..shared], Node { value: None, edges: Some(branch) }) }
}
