//! The cursor of SCAN: buckets in the order of their reversed index.
//!
//! A table of twice the size splits bucket `b` into `b` and `b + size`, whose indices differ in their highest bit. A
//! cursor that counts from the highest bit downwards therefore visits all buckets that came from one small bucket one
//! after the other, so whatever growing and shrinking happens between two calls, what lies behind the cursor was
//! returned and what lies before it will be; shrinking can return some entries twice.
//!
//! With 8 buckets the cursor goes 0, 4, 2, 6, 1, 5, 3, 7, 0.

use super::node::{EntryRef, Node};
use super::{Dict, Table};
use crate::faults::{self, Fault};

/// The cursor after `cursor`, for tables whose bucket is chosen by `mask`: counts in reversed bits; 0 after the last.
#[inline]
#[must_use]
pub fn next_cursor(cursor: u64, mask: u64) -> u64 {
    // Setting the bits that the mask leaves out makes the carry of the reversed increment run into the mask.
    (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

impl<N: Node> Dict<N> {
    /// Gives every entry at `cursor` to `visit` and answers the next cursor, 0 at the end of the iteration. While
    /// entries move, one bucket of the smaller table and all those of the larger that belong to it are visited.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(EntryRef<'a, N>)) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let mut visit_bucket = |table: &Table<N>, mask: u64, cursor: u64| {
            for node in table.chain((cursor & mask) as usize) {
                // SAFETY: the entry lives and cannot be changed as long as the dict is borrowed.
                visit(unsafe { EntryRef::new(node) });
            }
        };
        let first = self.tables[0].mask() as u64;
        if !self.is_rehashing() {
            visit_bucket(&self.tables[0], first, cursor);
            return next_cursor(cursor, first);
        }
        let second = self.tables[1].mask() as u64;
        let (small, large) = if first <= second { (0, 1) } else { (1, 0) };
        let (small_mask, large_mask) = (first.min(second), first.max(second));
        visit_bucket(&self.tables[small], small_mask, cursor);
        if faults::is(Fault::ScanForgetsLargerTable) {
            return next_cursor(cursor, small_mask);
        }
        let mut cursor = cursor;
        loop {
            visit_bucket(&self.tables[large], large_mask, cursor);
            cursor = next_cursor(cursor, large_mask);
            // The bits that only the larger mask has are zero again once all its buckets were visited.
            if cursor & (small_mask ^ large_mask) == 0 {
                return cursor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::next_cursor;

    #[test]
    fn the_cursor_visits_every_bucket_once_and_returns_to_zero() {
        for bits in 0..12 {
            let mask = (1u64 << bits) - 1;
            let mut seen = vec![false; 1 << bits];
            let mut cursor = 0;
            loop {
                let bucket = usize::try_from(cursor & mask).unwrap_or(usize::MAX);
                assert!(!std::mem::replace(&mut seen[bucket], true), "bucket {bucket} twice");
                cursor = next_cursor(cursor, mask);
                if cursor == 0 {
                    break;
                }
            }
            assert!(seen.iter().all(|&seen| seen));
        }
    }

    #[test]
    fn eight_buckets_are_visited_in_the_order_of_their_reversed_bits() {
        let mut order = vec![0];
        while order.len() < 8 {
            order.push(next_cursor(order[order.len() - 1], 7));
        }
        assert_eq!(order, [0, 4, 2, 6, 1, 5, 3, 7]);
    }
}
