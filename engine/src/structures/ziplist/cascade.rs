//! The cascade: entries whose previous length no longer fits its field grow by four bytes, each of which can make the
//! next one grow.
//!
//! ```text
//! before   [ p | 253 bytes ] [ 1: 253 | … ] [ 1: 253 | … ] [ 1: 253 | … ]
//! the first grows to 254 …   [ 5: 254 | … ] [ 5: 257 | … ] [ 5: 257 | … ]
//! ```
//!
//! All entries that will grow are found first, then everything moves once, from the end: linear time, where growing one
//! entry after the other would move the rest as often as there are entries.

use super::Ziplist;
use super::entry::{previous_size, write_previous};

/// Bytes by which a field grows.
const GROWTH: usize = 4;

impl Ziplist {
    /// Makes the previous lengths behind the entry at `at` right, as far as its own length makes them wrong.
    pub(super) fn cascade(&mut self, at: usize) {
        let end = self.end();
        let first = self.entry(at);
        // Where entries begin that grow, and the lengths of those before them.
        let mut growing: Vec<(usize, usize)> = Vec::new();
        let (mut next_at, mut len) = (first.end(), first.len());
        while next_at < end {
            let next = self.entry(next_at);
            if next.previous_len == len {
                break;
            }
            if next.previous_size >= previous_size(len) {
                // A field that could shrink stays as it is.
                write_previous(&mut self.0.bytes_mut()[next_at..], next.previous_size, len);
                break;
            }
            growing.push((next_at, len));
            len = next.len() + GROWTH;
            next_at = next.end();
        }
        if !growing.is_empty() {
            self.grow(&growing, end);
        }
    }

    fn grow(&mut self, growing: &[(usize, usize)], end: usize) {
        let tail = self.tail();
        self.0.resize(self.byte_len() + GROWTH * growing.len());
        let bytes = self.0.bytes_mut();
        // The end mark moves with the last stretch.
        let mut stretch_end = end + 1;
        for (index, &(entry_at, len)) in growing.iter().enumerate().rev() {
            let moved_to = entry_at + GROWTH * index;
            bytes.copy_within(entry_at + 1..stretch_end, moved_to + 1 + GROWTH);
            write_previous(&mut bytes[moved_to..], 1 + GROWTH, len);
            stretch_end = entry_at;
        }
        // The last entry moves by what those before it grew.
        let before_tail = growing.iter().filter(|&&(entry_at, _)| entry_at < tail).count();
        self.set_tail(tail + GROWTH * before_tail);
    }
}
