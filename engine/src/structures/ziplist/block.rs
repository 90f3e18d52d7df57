//! The allocation behind a ziplist: its length is its own first field, so a thin pointer is all that is kept of it.
//!
//! Sizes are rounded up to steps that a general-purpose allocator would round to anyway, and in larger ones by an
//! eighth at most. How much is allocated follows from the length alone, so growing inside a step moves nothing.
//!
//! Invariants: at least four bytes are initialized, and the first four hold, little endian, how many are.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// Bytes of the field that holds the length.
const LENGTH_FIELD: usize = size_of::<u32>();
/// More than bytes need: the address's lowest bits are free to mean something where the pointer is kept.
const ALIGN: usize = 8;
/// What the allocator keeps in front of each allocation, bytes.
const ALLOCATOR_WORD: usize = 8;
/// Allocations below this are rounded to the allocator's granularity, larger ones to an eighth.
const SMALL: usize = 256;

/// Bytes behind a thin pointer.
#[repr(transparent)]
pub(super) struct Block(NonNull<u8>);

// SAFETY: the block owns its bytes alone, and nothing in it can be changed through a shared reference.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

/// Bytes that are allocated for `len`.
fn capacity(len: usize) -> usize {
    let with_word = len + ALLOCATOR_WORD;
    let step = if with_word <= SMALL { 16 } else { (with_word / 8).next_power_of_two() / 2 };
    with_word.next_multiple_of(step) - ALLOCATOR_WORD
}

fn layout(len: usize) -> Layout {
    match Layout::from_size_align(capacity(len), ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!("a length is a 32-bit number"),
    }
}

impl Block {
    /// A copy of these bytes. Their first four become their number.
    ///
    /// # Panics
    /// When they are fewer than four or 2^32 and more.
    pub(super) fn copy_of(bytes: &[u8]) -> Block {
        assert!(bytes.len() >= LENGTH_FIELD);
        let layout = layout(bytes.len());
        // SAFETY: the layout is not empty and holds as many bytes as are copied into it.
        let mut block = unsafe {
            let start = alloc::alloc(layout);
            let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(layout) };
            start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
            Block(start)
        };
        block.set_len(bytes.len());
        block
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        // SAFETY: four bytes are always there.
        let field = unsafe { self.0.cast::<[u8; LENGTH_FIELD]>().read() };
        u32::from_le_bytes(field) as usize
    }

    fn set_len(&mut self, len: usize) {
        let Ok(len) = u32::try_from(len) else { panic!("a ziplist of 4 GiB") };
        // SAFETY: four bytes are always there.
        unsafe { self.0.cast::<[u8; LENGTH_FIELD]>().write(len.to_le_bytes()) };
    }

    /// Bytes allocated.
    pub(super) fn allocated(&self) -> usize {
        capacity(self.len())
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: as many bytes as the length says are initialized.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.len()) }
    }

    /// The bytes, to change; the first four must stay as they are.
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above. The callers, all in this folder, write the length only through `resize`.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), self.len()) }
    }

    /// Makes it `len` bytes long, at least four; what is added is zeros.
    ///
    /// # Panics
    /// When that is 2^32 and more.
    pub(super) fn resize(&mut self, len: usize) {
        assert!(len >= LENGTH_FIELD);
        let before = self.len();
        let (old, new) = (layout(before), layout(len));
        if old.size() != new.size() {
            // SAFETY: the block was allocated with `old`; the new size is not zero.
            let start = unsafe { alloc::realloc(self.0.as_ptr(), old, new.size()) };
            let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(new) };
            self.0 = start;
        }
        if len > before {
            // SAFETY: the allocation holds `len` bytes now.
            unsafe { self.0.add(before).write_bytes(0, len - before) };
        }
        self.set_len(len);
    }

    /// Replaces `removed` bytes from `at` on by `inserted` others, whose content is left over from before.
    pub(super) fn splice(&mut self, at: usize, removed: usize, inserted: usize) {
        let before = self.len();
        assert!(at >= LENGTH_FIELD && removed <= before - at);
        if inserted > removed {
            self.resize(before + (inserted - removed));
        }
        if inserted != removed {
            self.bytes_mut().copy_within(at + removed..before, at + inserted);
        }
        if inserted < removed {
            self.resize(before - (removed - inserted));
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated with the layout that follows from its length, and nobody uses it afterwards.
        unsafe { alloc::dealloc(self.0.as_ptr(), layout(self.len())) };
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Block::copy_of(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_wastes_an_eighth_at_most() {
        for len in (4..5000).chain([1 << 20, (1 << 20) + 1, u32::MAX as usize]) {
            let capacity = capacity(len);
            assert!(capacity >= len, "{len}");
            assert!(capacity - len <= 16.max(len / 8), "{len} {capacity}");
        }
    }

    #[test]
    fn bytes_keep_their_place_when_others_come_and_go() {
        let mut block = Block::copy_of(&(0..50).collect::<Vec<u8>>());
        block.splice(10, 5, 500);
        assert_eq!(block.len(), 545);
        assert_eq!(block.bytes()[..4], 545u32.to_le_bytes());
        assert_eq!(block.bytes()[510..], (15..50).collect::<Vec<u8>>());
        block.splice(4, 506, 0);
        assert_eq!(block.bytes()[4..], (15..50).collect::<Vec<u8>>());
        assert_eq!(block.clone().bytes(), block.bytes());
    }
}
