//! One array of buckets.
//!
//! Invariants:
//! - `size` is 0 or a power of two of at least [`INITIAL_SIZE`]; `buckets` is an allocation of `size` links, or dangling
//!   when `size` is 0;
//! - `used` is the number of entries in all chains.
//!
//! A table owns its array, not the entries: [`super::Dict`] frees those.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::node::{Link, Node, next, next_place};

/// Buckets of the smallest table.
pub const INITIAL_SIZE: usize = 4;

pub(super) struct Table<N: Node> {
    buckets: NonNull<Link<N>>,
    size: usize,
    pub(super) used: usize,
}

impl<N: Node> Table<N> {
    /// A table without buckets.
    pub(super) const fn empty() -> Self {
        Table { buckets: NonNull::dangling(), size: 0, used: 0 }
    }

    /// A table of `size` empty buckets, a power of two.
    pub(super) fn with_size(size: usize) -> Self {
        debug_assert!(size.is_power_of_two());
        let layout = Self::layout(size);
        // SAFETY: the layout is not of size zero; zero bytes are `None` for an optional `NonNull`.
        let buckets = unsafe { alloc::alloc_zeroed(layout) };
        let Some(buckets) = NonNull::new(buckets.cast::<Link<N>>()) else { alloc::handle_alloc_error(layout) };
        Table { buckets, size, used: 0 }
    }

    fn layout(size: usize) -> Layout {
        match Layout::array::<Link<N>>(size) {
            Ok(layout) => layout,
            Err(_) => unreachable!("a table has fewer buckets than the address space has bytes"),
        }
    }

    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bits of a hash that choose the bucket. Only for a table with buckets.
    #[inline]
    pub(super) fn mask(&self) -> usize {
        debug_assert!(self.size > 0);
        self.size.wrapping_sub(1)
    }

    /// Address of the array, for the fingerprint.
    pub(super) fn address(&self) -> usize {
        if self.size == 0 { 0 } else { self.buckets.as_ptr() as usize }
    }

    /// Bytes of the array.
    pub(super) fn bytes(&self) -> usize {
        self.size * size_of::<Link<N>>()
    }

    /// The place of the link that begins the chain of bucket `index`.
    #[inline]
    pub(super) fn bucket(&self, index: usize) -> NonNull<Link<N>> {
        assert!(index < self.size);
        // SAFETY: `index` is inside the array.
        unsafe { self.buckets.add(index) }
    }

    /// The first entry of bucket `index`.
    #[inline]
    pub(super) fn first(&self, index: usize) -> Link<N> {
        // SAFETY: `bucket` gives a place inside the array, which is initialized.
        unsafe { *self.bucket(index).as_ptr() }
    }

    /// Puts an entry in front of the chain of its bucket.
    ///
    /// # Safety
    /// `node` is a live entry that is in no chain.
    #[inline]
    pub(super) unsafe fn push(&mut self, index: usize, node: NonNull<N>) {
        let place = self.bucket(index);
        // SAFETY: both places are valid: one is inside the array, the other the first field of a live entry.
        unsafe {
            *next_place(node).as_ptr() = *place.as_ptr();
            *place.as_ptr() = Some(node);
        }
        self.used += 1;
    }

    /// Takes the whole chain out of bucket `index`; `used` is not changed.
    #[inline]
    pub(super) fn take_chain(&mut self, index: usize) -> Link<N> {
        // SAFETY: `bucket` gives a place inside the array.
        unsafe { std::mem::take(&mut *self.bucket(index).as_ptr()) }
    }

    /// The entries of bucket `index`, in the order of the chain.
    pub(super) fn chain(&self, index: usize) -> Chain<N> {
        Chain(self.first(index))
    }
}

impl<N: Node> Drop for Table<N> {
    fn drop(&mut self) {
        if self.size > 0 {
            // SAFETY: the array was allocated with this layout.
            unsafe { alloc::dealloc(self.buckets.as_ptr().cast(), Self::layout(self.size)) }
        }
    }
}

/// Walks a chain; only inside this folder, while nothing changes the chain.
pub(super) struct Chain<N: Node>(Link<N>);

impl<N: Node> Iterator for Chain<N> {
    type Item = NonNull<N>;

    fn next(&mut self) -> Option<NonNull<N>> {
        let node = self.0?;
        // SAFETY: entries in a chain are live.
        self.0 = unsafe { next(node) };
        Some(node)
    }
}
