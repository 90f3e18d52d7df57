//! Entries of a dict: thin pointers to allocations that begin with the pointer to the next entry of the bucket.
//!
//! The dict owns its entries and chains them through themselves, so an entry costs one allocation and no box around
//! it. [`Owned`] is an entry outside of any dict, [`EntryRef`] one that is looked at inside its dict.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// The pointer to the next entry of a bucket, or to the first one.
pub type Link<N> = Option<NonNull<N>>;

/// What can be an entry of a [`super::Dict`].
///
/// # Safety
/// The type is `repr(C)` and its first field is a [`Link`] to itself, which only the dict touches; `key` answers the
/// same bytes as long as the entry is in a dict.
pub unsafe trait Node: Sized {
    /// The bytes under which the entry is found.
    ///
    /// # Safety
    /// `this` points to a live entry, with the provenance of its whole allocation; `'a` ends before the entry is
    /// changed or freed.
    unsafe fn key<'a>(this: NonNull<Self>) -> &'a [u8];

    /// Releases the entry and what it owns.
    ///
    /// # Safety
    /// `this` points to a live entry that nobody uses afterwards.
    unsafe fn free(this: NonNull<Self>);
}

/// Reads the link with which an entry begins.
///
/// # Safety
/// `node` points to a live entry.
#[inline]
pub(super) unsafe fn next<N: Node>(node: NonNull<N>) -> Link<N> {
    // SAFETY: the caller gives a live entry, and by the contract of `Node` a link is its first field.
    unsafe { *node.cast::<Link<N>>().as_ptr() }
}

/// The place of the link with which an entry begins.
#[inline]
pub(super) fn next_place<N: Node>(node: NonNull<N>) -> NonNull<Link<N>> {
    node.cast()
}

/// An entry that is in no dict; dropping it frees it.
pub struct Owned<N: Node>(NonNull<N>);

impl<N: Node> Owned<N> {
    /// Takes over an entry.
    ///
    /// # Safety
    /// `node` is a live entry, in no dict, that nobody else will use or free.
    #[inline]
    pub unsafe fn from_raw(node: NonNull<N>) -> Owned<N> {
        Owned(node)
    }

    /// Gives the entry away; the caller frees it.
    #[inline]
    #[must_use]
    pub fn into_raw(self) -> NonNull<N> {
        ManuallyDrop::new(self).0
    }

    /// Looks at it.
    #[inline]
    #[must_use]
    pub fn as_entry(&self) -> EntryRef<'_, N> {
        EntryRef(self.0, PhantomData)
    }

    /// Its pointer.
    #[inline]
    pub(crate) fn as_raw(&self) -> NonNull<N> {
        self.0
    }
}

impl<N: Node> Drop for Owned<N> {
    fn drop(&mut self) {
        // SAFETY: the entry is ours alone, see `from_raw`.
        unsafe { N::free(self.0) }
    }
}

/// An entry that is looked at and not changed meanwhile.
pub struct EntryRef<'a, N: Node>(NonNull<N>, PhantomData<&'a N>);

impl<N: Node> Clone for EntryRef<'_, N> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<N: Node> Copy for EntryRef<'_, N> {}

impl<'a, N: Node> EntryRef<'a, N> {
    /// # Safety
    /// `node` points to an entry that lives and is not changed during `'a`.
    #[inline]
    pub(crate) unsafe fn new(node: NonNull<N>) -> Self {
        EntryRef(node, PhantomData)
    }

    /// The bytes under which it is found.
    #[inline]
    #[must_use]
    pub fn key(self) -> &'a [u8] {
        // SAFETY: an `EntryRef` exists only while its entry lives unchanged.
        unsafe { N::key(self.0) }
    }

    /// Its pointer.
    #[inline]
    pub(crate) fn as_raw(self) -> NonNull<N> {
        self.0
    }
}
