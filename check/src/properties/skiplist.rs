//! Skiplists: whatever is done to one, it is the sorted sequence that a `BTreeMap` of members and a sorted vector of pairs
//! are, its ranks and ranges agree with them, and its invariants hold after every operation.

use std::collections::BTreeMap;
use std::ops::Range;

use tally_engine::structures::dict::HashKey;
use tally_engine::structures::skiplist::Skiplist;

/// One change or look-up. Members are numbers, so that operations meet.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Adds a member, unless it is there.
    Insert(u8, f64),
    /// Adds members of equal scores from this one on.
    InsertMany(u8, u8, f64),
    /// Gives a member another score.
    SetScore(u8, f64),
    /// Takes a member out.
    Remove(u8),
    /// Takes out a range of ranks.
    RemoveRange(u8, u8),
    /// Looks a member up.
    Find(u8),
    /// Looks at a range of ranks from both ends.
    Range(u8, u8),
    /// Counts the scores below and up to this one.
    Count(f64),
}

/// Scores at which comparing goes wrong most easily.
#[must_use]
pub fn score(kind: u8) -> f64 {
    const SCORES: [f64; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        9_007_199_254_740_992.0,
        9_007_199_254_740_994.0,
        0.1,
        1e300,
    ];
    SCORES.get(usize::from(kind % 16)).copied().unwrap_or(f64::from(kind / 16))
}

/// Operations for any bytes: one for every four.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let (member, other, score) = (at(1), at(2), score(at(3)));
        match at(0) % 16 {
            0..=3 => Operation::Insert(member, score),
            4 | 5 => Operation::InsertMany(member, other % 64, score),
            6..=8 => Operation::SetScore(member, score),
            9 | 10 => Operation::Remove(member),
            11 => Operation::RemoveRange(member, other % 16),
            12 => Operation::Find(member),
            13 | 14 => Operation::Range(member, other),
            _ => Operation::Count(score),
        }
    };
    bytes.chunks(4).map(decode).collect()
}

/// Bytes of a member: of different lengths, some the beginning of others, one of them empty.
fn bytes(member: u8) -> Vec<u8> {
    vec![b'a' + member % 5; usize::from(member / 5)]
}

type Pair = (f64, Vec<u8>);

/// All members in order: by score, 0 and -0 being equal, and by bytes.
fn in_order(members: &BTreeMap<Vec<u8>, f64>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = members.iter().map(|(member, score)| (*score, member.clone())).collect();
    pairs.sort_by(|one, other| {
        one.0.partial_cmp(&other.0).map_or(std::cmp::Ordering::Equal, |o| o.then(one.1.cmp(&other.1)))
    });
    pairs
}

fn pairs<'a>(members: impl Iterator<Item = (&'a [u8], f64)>) -> Vec<Pair> {
    members.map(|(member, score)| (score, member.to_vec())).collect()
}

/// A skiplist is a sorted map.
pub fn a_skiplist_is_a_sorted_map(seed: u64, operations: &[Operation]) {
    let mut list = Skiplist::new(HashKey(seed, !seed));
    let mut members: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
    for operation in operations {
        apply(&mut list, &mut members, operation);
        list.validate();
        assert_eq!(list.len(), members.len());
    }
    let sorted = in_order(&members);
    assert_eq!(pairs(list.iter()), sorted);
    for (rank, (score, member)) in sorted.iter().enumerate() {
        assert_eq!((list.rank(member), list.score(member)), (Some(rank), Some(*score)));
    }
}

fn insert(list: &mut Skiplist, members: &mut BTreeMap<Vec<u8>, f64>, member: u8, score: f64) {
    let member = bytes(member);
    let fresh = !members.contains_key(&member);
    assert_eq!(list.insert(&member, score), fresh);
    members.entry(member).or_insert(score);
}

fn apply(list: &mut Skiplist, members: &mut BTreeMap<Vec<u8>, f64>, operation: &Operation) {
    let ranks = |from: u8, count: u8| -> Range<usize> { from.into()..usize::from(from) + usize::from(count) };
    match *operation {
        Operation::Insert(member, score) => insert(list, members, member, score),
        Operation::InsertMany(first, count, score) => {
            for member in first..first.saturating_add(count) {
                insert(list, members, member, score);
            }
        }
        Operation::SetScore(member, score) => {
            let known = members.get_mut(&bytes(member)).map(|held| std::mem::replace(held, score));
            assert_eq!(list.set_score(&bytes(member), score), known);
        }
        Operation::Remove(member) => assert_eq!(list.remove(&bytes(member)), members.remove(&bytes(member))),
        Operation::RemoveRange(from, count) => {
            let sorted = in_order(members);
            let mut removed = Vec::new();
            let number = list.remove_range(ranks(from, count), |member, score| removed.push((score, member.to_vec())));
            let wanted: Vec<Pair> = sorted.into_iter().skip(from.into()).take(count.into()).collect();
            assert_eq!((number, &removed), (wanted.len(), &wanted));
            for (_, member) in removed {
                members.remove(&member);
            }
        }
        Operation::Find(member) => {
            let member = bytes(member);
            assert_eq!(list.score(&member), members.get(&member).copied());
            assert_eq!(list.rank(&member), in_order(members).iter().position(|(_, held)| *held == member));
        }
        Operation::Range(from, count) => {
            let mut wanted: Vec<Pair> = in_order(members).into_iter().skip(from.into()).take(count.into()).collect();
            assert_eq!(pairs(list.range(ranks(from, count))), wanted);
            wanted.reverse();
            assert_eq!(pairs(list.range(ranks(from, count)).rev()), wanted);
        }
        Operation::Count(score) => {
            let below = members.values().filter(|held| **held < score).count();
            let up_to = members.values().filter(|held| **held <= score).count();
            assert_eq!(
                (list.count_scores(|held| held < score), list.count_scores(|held| held <= score)),
                (below, up_to)
            );
        }
    }
}
