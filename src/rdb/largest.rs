//! The keys that take most memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many are shown.
const SHOWN: usize = 10;

/// A key, ordered by its bytes of memory; of equally large ones the one that came first is the larger.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    bytes: u64,
    came: Reverse<u64>,
    database: u64,
    key: Vec<u8>,
}

/// A few largest of any number of keys.
#[derive(Default)]
pub(super) struct Largest {
    /// The smallest of them on top.
    kept: BinaryHeap<Reverse<Kept>>,
    offered: u64,
}

impl Largest {
    pub(super) fn offer(&mut self, bytes: u64, database: u64, key: &[u8]) {
        self.offered += 1;
        if self.kept.len() == SHOWN {
            if self.kept.peek().is_some_and(|Reverse(least)| least.bytes >= bytes) {
                return;
            }
            self.kept.pop();
        }
        self.kept.push(Reverse(Kept { bytes, came: Reverse(self.offered), database, key: key.to_vec() }));
    }

    /// From the largest on: bytes, database, key.
    pub(super) fn descending(&self) -> Vec<(u64, u64, &[u8])> {
        let mut all: Vec<&Kept> = self.kept.iter().map(|Reverse(kept)| kept).collect();
        all.sort_by(|one, other| other.cmp(one));
        all.into_iter().map(|kept| (kept.bytes, kept.database, kept.key.as_slice())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_in_descending_order_and_the_first_of_equals() {
        let mut largest = Largest::default();
        for number in 0..100_u64 {
            largest.offer(number % 50, 0, format!("k{number}").as_bytes());
        }
        let found: Vec<(u64, String)> = largest
            .descending()
            .into_iter()
            .map(|(bytes, _, key)| (bytes, String::from_utf8_lossy(key).into_owned()))
            .collect();
        let wanted: Vec<(u64, String)> = (45..50)
            .rev()
            .flat_map(|bytes| [(bytes, format!("k{bytes}")), (bytes, format!("k{}", bytes + 50))])
            .collect();
        assert_eq!(found, wanted);
    }
}
