//! Radix trees: the ordered map that a `BTreeMap` is, whatever keys come and go, in a shape that follows from the keys
//! alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use tally_engine::structures::rax::{Cursor, Rax, Seek};

/// A change or a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets the value of a key.
    Insert(Vec<u8>, u32),
    /// Removes a key.
    Remove(Vec<u8>),
    /// Removes the key at a place, taken modulo the number of keys.
    RemoveAt(u8),
    /// Looks a key up, and its neighbours on either side.
    Find(Vec<u8>),
    /// Walks from a key so many steps forth and back.
    Walk(Vec<u8>, u8),
    /// Changes the value of the greatest key.
    ChangeLast(u32),
    /// Removes everything.
    Clear,
}

/// Keys that have much in common: few letters, prefixes of each other, or sixteen bytes as ids have.
#[must_use]
pub fn key(kind: u8, a: u8, b: u8) -> Vec<u8> {
    match kind % 8 {
        0..=2 => b"abaabbab".iter().cycle().skip(usize::from(a % 8)).take(usize::from(b % 9)).copied().collect(),
        3 | 4 => [u64::from(a % 4).to_be_bytes(), u64::from(b).to_be_bytes()].concat(),
        5 => [u64::from(a).to_be_bytes(), (u64::MAX - u64::from(b)).to_be_bytes()].concat(),
        6 => vec![a; usize::from(b % 64)],
        _ => vec![a, b],
    }
}

/// Operations for any bytes: one for every five.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let key = key(at(1), at(2), at(3));
        match at(0) % 16 {
            0..=6 => Operation::Insert(key, u32::from(at(4))),
            7..=8 => Operation::Remove(key),
            9..=10 => Operation::RemoveAt(at(1)),
            11..=12 => Operation::Find(key),
            13 => Operation::Walk(key, at(4)),
            14 => Operation::ChangeLast(u32::from(at(4))),
            _ if at(4) < 16 => Operation::Clear,
            _ => Operation::Find(key),
        }
    };
    bytes.chunks(5).map(decode).collect()
}

/// A tree holds what a `BTreeMap` holds, and is whole and as small as can be at every step.
///
/// # Panics
/// When it does not.
pub fn a_radix_tree_is_an_ordered_map(operations: &[Operation]) {
    let mut tree = Rax::new();
    let mut wanted: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for operation in operations {
        apply(&mut tree, &mut wanted, operation);
        tree.validate();
        assert_eq!((tree.len(), tree.is_empty()), (wanted.len(), wanted.is_empty()));
    }
    let mut held = Vec::new();
    tree.for_each(|key, value| held.push((key.to_vec(), *value)));
    assert!(held.iter().map(|(key, value)| (key, value)).eq(&wanted), "{held:?}");
    let mut backwards = Vec::new();
    let mut cursor = tree.last();
    while let Some((key, value)) = cursor.get() {
        backwards.push((key.to_vec(), *value));
        cursor.backward();
    }
    backwards.reverse();
    assert_eq!(backwards, held);
    assert_eq!(tree.nodes(), nodes_needed(&wanted.keys().map(Vec::as_slice).collect::<Vec<_>>()));
}

/// The nodes that keys need: the root, one for each of them, one for each place where some part, and one for each run
/// of bytes between those.
fn nodes_needed(keys: &[&[u8]]) -> usize {
    let mut places: BTreeMap<&[u8], BTreeSet<u8>> = BTreeMap::from([(&[][..], BTreeSet::new())]);
    for key in keys {
        for len in 0..key.len() {
            places.entry(&key[..len]).or_default().insert(key[len]);
        }
        places.entry(key).or_default();
    }
    let begins_run = |place: &[u8], next: &BTreeSet<u8>| {
        let Some((_, parent)) = place.split_last() else { return true };
        let is_key = |place: &[u8]| keys.contains(&place);
        // Only what lies within a run is no node.
        is_key(place) || next.len() != 1 || is_key(parent) && places[parent].len() > 1 || places[parent].len() > 1
    };
    places.iter().filter(|(place, next)| begins_run(place, next)).count()
}

fn apply(tree: &mut Rax<u32>, wanted: &mut BTreeMap<Vec<u8>, u32>, operation: &Operation) {
    match operation {
        Operation::Insert(key, value) => {
            assert_eq!(tree.insert(key, *value), wanted.insert(key.clone(), *value));
        }
        Operation::Remove(key) => assert_eq!(tree.remove(key), wanted.remove(key)),
        Operation::RemoveAt(place) => {
            let place = usize::from(*place) % wanted.len().max(1);
            if let Some(key) = wanted.keys().nth(place).cloned() {
                assert_eq!(tree.remove(&key), wanted.remove(&key));
            }
        }
        Operation::Find(key) => {
            assert_eq!(tree.get(key), wanted.get(key));
            assert_eq!(tree.get_mut(key).copied(), wanted.get(key).copied());
            assert_eq!(tree.contains(key), wanted.contains_key(key));
            find_beside(tree, wanted, key);
        }
        Operation::Walk(key, steps) => walk(tree, wanted, key, usize::from(*steps)),
        Operation::ChangeLast(value) => {
            let (held, last) = (tree.last_mut(), wanted.values_mut().next_back());
            assert_eq!(held, last);
            held.into_iter().chain(last).for_each(|held| *held = *value);
        }
        Operation::Clear => {
            tree.clear();
            wanted.clear();
        }
    }
}

fn shown(cursor: &Cursor<'_, u32>) -> Option<(Vec<u8>, u32)> {
    assert_eq!(cursor.get().map(|(_, value)| value), cursor.value());
    cursor.get().map(|(key, value)| (key.to_vec(), *value))
}

fn find_beside(tree: &Rax<u32>, wanted: &BTreeMap<Vec<u8>, u32>, key: &[u8]) {
    let owned = |found: Option<(&Vec<u8>, &u32)>| found.map(|(key, value)| (key.clone(), *value));
    let up_to = |end| wanted.range::<[u8], _>((Bound::Unbounded, end));
    let from = |begin| wanted.range::<[u8], _>((begin, Bound::Unbounded));
    let found = |seek| shown(&tree.seek(seek, key));
    assert_eq!(found(Seek::Less), owned(up_to(Bound::Excluded(key)).next_back()), "< {key:?}");
    assert_eq!(found(Seek::AtMost), owned(up_to(Bound::Included(key)).next_back()), "<= {key:?}");
    assert_eq!(found(Seek::AtLeast), owned(from(Bound::Included(key)).next()), ">= {key:?}");
    assert_eq!(found(Seek::Greater), owned(from(Bound::Excluded(key)).next()), "> {key:?}");
}

/// From the first key that is not below `key`, forth and back again.
fn walk(tree: &Rax<u32>, wanted: &BTreeMap<Vec<u8>, u32>, key: &[u8], steps: usize) {
    let entries: Vec<(Vec<u8>, u32)> = wanted.iter().map(|(key, value)| (key.clone(), *value)).collect();
    let begin = entries.partition_point(|(held, _)| held.as_slice() < key);
    let mut cursor = tree.seek(Seek::AtLeast, key);
    let end = (begin + steps).min(entries.len());
    for entry in &entries[begin..end] {
        assert_eq!(shown(&cursor).as_ref(), Some(entry));
        cursor.forward();
    }
    assert_eq!(shown(&cursor).as_ref(), entries.get(end));
    if end < entries.len() {
        for entry in entries[..=end].iter().rev() {
            assert_eq!(shown(&cursor).as_ref(), Some(entry));
            cursor.backward();
        }
        assert_eq!(shown(&cursor), None);
    }
}
