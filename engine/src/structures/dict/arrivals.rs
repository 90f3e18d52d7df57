//! Entries on their way into a dict that is filled from a file.
//!
//! Where an entry belongs is known as soon as it is made, but that part of memory is mostly in no cache, and waiting for
//! it is most of what filling a large dict takes. So the bucket is asked for at once, the first entry of its chain half a
//! queue later, and the entry is added when both should be there.

use std::collections::VecDeque;

use super::{Dict, Hash, Node, Owned};

/// Entries that wait at most: enough to hide the memory's delay, few enough to stay in the nearest cache.
const QUEUE: usize = 16;

/// An entry whose turn it is, with its hash and what its owner noted about it.
pub struct Arrived<N: Node, T> {
    /// The hash of its key.
    pub hash: Hash,
    /// The entry.
    pub node: Owned<N>,
    /// The note.
    pub note: T,
}

/// The queue, see the [module](self).
pub struct Arrivals<N: Node, T> {
    waiting: VecDeque<Arrived<N, T>>,
}

impl<N: Node, T> Default for Arrivals<N, T> {
    fn default() -> Self {
        Arrivals::new()
    }
}

impl<N: Node, T> Arrivals<N, T> {
    /// One in which nothing waits; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Arrivals { waiting: VecDeque::new() }
    }

    /// Queues an entry for the dict; answers the one whose turn it is, if the queue is full.
    #[inline]
    pub fn push(&mut self, dict: &Dict<N>, node: Owned<N>, note: T) -> Option<Arrived<N, T>> {
        let hash = dict.hash_of(node.as_entry().key());
        dict.prefetch_bucket(hash);
        self.waiting.push_back(Arrived { hash, node, note });
        if let Some(halfway) = self.waiting.len().checked_sub(QUEUE / 2).and_then(|place| self.waiting.get(place)) {
            dict.prefetch_chain(halfway.hash);
        }
        if self.waiting.len() > QUEUE { self.waiting.pop_front() } else { None }
    }

    /// The next entry, whether or not the queue is full.
    pub fn pop(&mut self) -> Option<Arrived<N, T>> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{HashKey, INITIAL_SIZE};
    use super::*;
    use crate::structures::member::Member;

    #[test]
    fn all_that_arrives_gets_in_whatever_was_announced_and_tables_stay_in_proportion() {
        const COUNT: usize = 5_000;
        for expected in [0, 7, 100, COUNT, usize::MAX] {
            let mut dict = Dict::new(HashKey(1, 2));
            let mut arrivals = Arrivals::new();
            let mut met = Vec::new();
            let mut admit = |dict: &mut Dict<Member>, arrived: Arrived<Member, usize>| {
                assert!(!dict.holds(arrived.hash, arrived.node.as_entry().key()));
                met.push(arrived.note);
                dict.grow_towards(expected);
                dict.insert_hashed(arrived.hash, arrived.node);
                let size: usize = dict.sizes().iter().sum();
                assert!(size <= 16 * dict.len().max(INITIAL_SIZE), "{size} buckets for {} entries", dict.len());
            };
            for number in 0..COUNT {
                let member = Member::create(number.to_string().as_bytes());
                if let Some(arrived) = arrivals.push(&dict, member, number) {
                    admit(&mut dict, arrived);
                }
            }
            while let Some(arrived) = arrivals.pop() {
                admit(&mut dict, arrived);
            }
            assert!(met.into_iter().eq(0..COUNT), "the order of arrival");
            dict.validate();
            assert_eq!(dict.len(), COUNT);
            let key = 4_321.to_string();
            assert!(dict.holds(dict.hash_of(key.as_bytes()), key.as_bytes()));
            if expected == COUNT {
                assert_eq!(dict.sizes(), [COUNT.next_power_of_two(), 0]);
            }
        }
    }
}
