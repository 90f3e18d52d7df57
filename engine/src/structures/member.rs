//! A member of a set: an entry of a dict that is nothing but its bytes.
//!
//! ```text
//! offset  0  next entry of the bucket   8 bytes
//!         8  length                     4 bytes
//!        12  bytes
//! ```

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::dict::{Link, Node, Owned};

/// Longest member, bytes.
pub const MEMBER_MAX: usize = u32::MAX as usize;

/// The header; the bytes follow it.
#[repr(C)]
pub struct Member {
    next: Link<Member>,
    len: u32,
    bytes: [u8; 0],
}

/// Where the bytes begin.
const BYTES: usize = std::mem::offset_of!(Member, bytes);
const _: () = assert!(BYTES == 12);

fn layout(len: usize) -> Layout {
    match Layout::from_size_align(BYTES + len, align_of::<Member>()) {
        Ok(layout) => layout,
        Err(_) => unreachable!("a member is shorter than the address space"),
    }
}

impl Member {
    /// Bytes of the allocation of a member of `len` bytes.
    #[inline]
    #[must_use]
    pub fn allocated(len: usize) -> usize {
        BYTES + len
    }

    /// A member that is in no dict yet.
    ///
    /// # Panics
    /// When it is longer than [`MEMBER_MAX`].
    #[must_use]
    pub fn create(bytes: &[u8]) -> Owned<Member> {
        let Ok(len) = u32::try_from(bytes.len()) else { panic!("a member of 4 GiB or more") };
        let layout = layout(bytes.len());
        // SAFETY: the layout has room for the fields and the bytes; nobody else has the entry.
        unsafe {
            let Some(start) = NonNull::new(alloc::alloc(layout)) else { alloc::handle_alloc_error(layout) };
            let this = start.cast::<Member>();
            (&raw mut (*this.as_ptr()).next).write(None);
            (&raw mut (*this.as_ptr()).len).write(len);
            start.add(BYTES).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
            Owned::from_raw(this)
        }
    }
}

// SAFETY: `repr(C)`, the link in front; the bytes are written once, before the entry gets into a dict.
unsafe impl Node for Member {
    #[inline]
    unsafe fn key<'a>(this: NonNull<Self>) -> &'a [u8] {
        // SAFETY: the entry is live, and its bytes were written when it was made.
        unsafe {
            let len = (&raw const (*this.as_ptr()).len).read() as usize;
            std::slice::from_raw_parts(this.cast::<u8>().add(BYTES).as_ptr(), len)
        }
    }

    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the entry is live and ours; it was allocated with the layout of its length.
        unsafe {
            let len = (&raw const (*this.as_ptr()).len).read() as usize;
            alloc::dealloc(this.as_ptr().cast(), layout(len));
        }
    }
}
