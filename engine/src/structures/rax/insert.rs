//! Adding keys: where a key leaves the edges that are there, they are split.

use super::{Branch, Chain, Edges, Node, Rax};

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

impl<V> Edges<V> {
    fn meet(&self, rest: &[u8]) -> Meeting {
        match self {
            Edges::None => Meeting::Nothing,
            Edges::Chain(chain) => {
                let shared = chain.bytes.iter().zip(rest).take_while(|(one, other)| one == other).count();
                if shared == chain.bytes.len() { Meeting::Along(shared) } else { Meeting::Parting(shared) }
            }
            Edges::Branch(branch) => match branch.place(rest[0]) {
                Ok(place) => Meeting::Child(place),
                Err(place) => Meeting::Absent(place),
            },
        }
    }
}

impl<V> Node<V> {
    /// The only child.
    fn followed(&mut self) -> &mut Node<V> {
        match &mut self.edges {
            Edges::Chain(chain) => &mut chain.child,
            Edges::None | Edges::Branch(_) => unreachable!("the edge was seen to be a chain"),
        }
    }

    /// The child at a place.
    fn child(&mut self, place: usize) -> &mut Node<V> {
        match &mut self.edges {
            Edges::Branch(branch) => &mut branch.children[place],
            Edges::None | Edges::Chain(_) => unreachable!("the node was seen to branch"),
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
        Node { value: None, edges: self.chain(rest, Node::leaf(value)) }
    }

    /// A chain of these bytes; its child is a new node or one that was counted.
    fn chain<V>(&mut self, bytes: &[u8], child: Node<V>) -> Edges<V> {
        let chain = Chain { bytes: bytes.into(), child };
        self.nodes += 1;
        self.heap += chain.heap();
        Edges::Chain(Box::new(chain))
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
            match node.edges.meet(rest) {
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
                    if let Edges::Chain(chain) = std::mem::replace(&mut node.edges, Edges::None) {
                        growth.freed += chain.heap();
                        let lower = growth.chain(&chain.bytes[shared..], chain.child);
                        node.edges = growth.chain(rest, Node { value: None, edges: lower });
                        // One of the two is the chain that was there.
                        growth.nodes -= 1;
                    }
                }
                Meeting::Parting(shared) => {
                    if let Edges::Chain(chain) = std::mem::replace(&mut node.edges, Edges::None) {
                        node.edges = part(*chain, shared, rest, value, &mut growth);
                    }
                    break;
                }
                Meeting::Nothing => {
                    node.edges = growth.chain(rest, Node::leaf(value));
                    break;
                }
                Meeting::Absent(place) => {
                    if let Edges::Branch(branch) = &mut node.edges {
                        growth.freed += branch.heap();
                        branch.make_room();
                        branch.bytes.insert(place, rest[0]);
                        branch.children.insert(place, growth.hang(&rest[1..], value));
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
fn part<V>(chain: Chain<V>, shared: usize, rest: &[u8], value: V, growth: &mut Growth) -> Edges<V> {
    growth.freed += chain.heap();
    let old = match &chain.bytes[shared + 1..] {
        [] => chain.child,
        more => Node { value: None, edges: growth.chain(more, chain.child) },
    };
    let (old_byte, new_byte) = (chain.bytes[shared], rest[shared]);
    let new = growth.hang(&rest[shared + 1..], value);
    let mut branch = Branch { bytes: Vec::with_capacity(2), children: Vec::with_capacity(2) };
    if old_byte < new_byte {
        branch.bytes.extend([old_byte, new_byte]);
        branch.children.extend([old, new]);
    } else {
        branch.bytes.extend([new_byte, old_byte]);
        branch.children.extend([new, old]);
    }
    growth.heap += branch.heap();
    let branch = Edges::Branch(Box::new(branch));
    if shared == 0 { branch } else { growth.chain(&rest[..shared], Node { value: None, edges: branch }) }
}
