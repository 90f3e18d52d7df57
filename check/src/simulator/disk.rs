//! A disk that forgets: what was written is there for everybody at once, and survives a loss of power only as far as it
//! was forced to, or happened to, reach it.
//!
//! Per file, changes reach the disk in order, the last of them perhaps in part; names change in order too, durable once
//! the directory is synced. But files and names wait for each other in no way, so that a rename may survive without the
//! content that was written before it, and one file's later write without another's earlier one. Holes inside of one
//! file are left out: no append-only file could be told from one with other values then.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use crate::choice::Choice;

#[derive(Clone, Debug)]
enum Change {
    Append(Vec<u8>),
    Truncate(usize),
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Append(bytes) => content.extend_from_slice(bytes),
        Change::Truncate(length) => content.truncate(*length),
    }
}

#[derive(Clone, Debug, Default)]
struct Node {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Since `durable`.
    changes: Vec<Change>,
    /// Changes that were made durable, in all.
    synced: usize,
}

/// A file, whatever its names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(usize);

type Names = BTreeMap<String, usize>;

/// The disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
    names: Names,
    durable_names: Names,
    /// The names after each change that is not durable yet.
    name_changes: Vec<Names>,
}

impl Disk {
    fn names_changed(&mut self) {
        self.name_changes.push(self.names.clone());
    }

    /// The file of this name, made if it is not there and `create`.
    pub(crate) fn open(&mut self, name: &str, create: bool) -> Option<NodeId> {
        if let Some(node) = self.names.get(name) {
            return Some(NodeId(*node));
        }
        create.then(|| {
            self.nodes.push(Node::default());
            let node = self.nodes.len() - 1;
            self.names.insert(name.to_owned(), node);
            self.names_changed();
            NodeId(node)
        })
    }

    /// What is in the file of this name.
    pub(crate) fn read(&self, name: &str) -> Option<&[u8]> {
        Some(&self.nodes[*self.names.get(name)?].content)
    }

    fn change(&mut self, node: NodeId, change: Change) {
        let node = &mut self.nodes[node.0];
        apply(&mut node.content, &change);
        node.changes.push(change);
    }

    pub(crate) fn append(&mut self, node: NodeId, bytes: &[u8]) {
        self.change(node, Change::Append(bytes.to_vec()));
    }

    pub(crate) fn truncate(&mut self, node: NodeId, length: u64) {
        self.change(node, Change::Truncate(usize::try_from(length).unwrap_or(usize::MAX)));
    }

    /// How many changes the file has seen: what a sync that begins now makes durable.
    pub(crate) fn mark(&self, node: NodeId) -> usize {
        let node = &self.nodes[node.0];
        node.synced + node.changes.len()
    }

    /// Makes the changes up to `mark` durable.
    pub(crate) fn sync(&mut self, node: NodeId, mark: usize) {
        let node = &mut self.nodes[node.0];
        let count = mark.saturating_sub(node.synced).min(node.changes.len());
        for change in node.changes.drain(..count) {
            apply(&mut node.durable, &change);
        }
        node.synced += count;
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(node) = self.names.remove(from) else { return false };
        self.names.insert(to.to_owned(), node);
        self.names_changed();
        true
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.names_changed();
        }
    }

    /// Makes the names durable.
    pub(crate) fn sync_names(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.name_changes.clear();
    }

    /// The power fails: of what was not forced to the disk some is lost, and what is left is all there is.
    pub(crate) fn lose_power(&mut self, chance: &mut ChaCha8Rng) {
        let kept = chance.below(u32::try_from(self.name_changes.len() + 1).unwrap_or(u32::MAX)) as usize;
        if let Some(index) = kept.checked_sub(1) {
            self.durable_names.clone_from(&self.name_changes[index]);
        }
        self.names.clone_from(&self.durable_names);
        self.name_changes.clear();
        for node in &mut self.nodes {
            let whole = chance.below(u32::try_from(node.changes.len() + 1).unwrap_or(u32::MAX)) as usize;
            for change in &node.changes[..whole] {
                apply(&mut node.durable, change);
            }
            if let Some(Change::Append(bytes)) = node.changes.get(whole) {
                let torn = chance.below(u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX)) as usize;
                node.durable.extend_from_slice(&bytes[..torn]);
            }
            node.content.clone_from(&node.durable);
            node.synced += node.changes.len();
            node.changes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_was_synced_survives_and_the_rest_as_a_prefix() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut chance = ChaCha8Rng::seed_from_u64(seed);
            let mut disk = Disk::default();
            let node = disk.open("a", true).unwrap();
            disk.append(node, b"012");
            let mark = disk.mark(node);
            disk.append(node, b"345");
            disk.sync(node, mark);
            disk.sync_names();
            disk.append(node, b"678");
            disk.rename("a", "b");
            disk.lose_power(&mut chance);
            assert_ne!(disk.read("a").is_some(), disk.read("b").is_some());
            let content = disk.read("a").or(disk.read("b")).unwrap();
            assert!(b"012345678".starts_with(content) && content.len() >= 3);
            lengths.insert((content.len(), disk.read("a").is_some()));
        }
        assert_eq!(lengths.len(), 14, "every length with either name: {lengths:?}");
    }
}
