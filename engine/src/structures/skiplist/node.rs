//! A member with its score and its links, in one allocation.
//!
//! ```text
//! offset  0  next entry of the dict's bucket        8 bytes
//!         8  the member before it                   8 bytes
//!        16  score                                  8 bytes
//!        24  length of the member                   4 bytes
//!        28  height, the number of its levels       1 byte, and three unused
//!        32  level 0: the next member               8 bytes; its span is always one step
//!        40  level 1…: the next on that level, and  16 bytes each
//!            the steps to it (its span)
//!         …  bytes of the member
//! ```

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::super::dict::{Link, Node, Owned};

/// Most levels.
pub(super) const HEIGHT_MAX: usize = 64;

/// The header; levels and bytes follow it.
#[repr(C)]
pub struct Scored {
    next: Link<Scored>,
    before: Link<Scored>,
    score: f64,
    len: u32,
    height: u8,
}

/// Where a level leads, and over how many members.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Forward {
    /// The next member on the level.
    pub(super) node: Link<Scored>,
    /// The steps to it on level 0; at the end of a level, those to the last member of all.
    pub(super) span: usize,
}

const HEADER: usize = size_of::<Scored>();
const LEVEL_0: usize = size_of::<Link<Scored>>();
const LEVEL: usize = size_of::<Forward>();
const _: () = assert!(HEADER == 32 && LEVEL_0 == 8 && LEVEL == 16 && align_of::<Scored>() == 8);

/// Bytes before those of the member.
fn bytes_at(height: usize) -> usize {
    HEADER + LEVEL_0 + (height - 1) * LEVEL
}

fn layout(height: usize, len: usize) -> Layout {
    match Layout::from_size_align(bytes_at(height) + len, align_of::<Scored>()) {
        Ok(layout) => layout,
        Err(_) => unreachable!("a member is shorter than the address space"),
    }
}

/// All functions of this block that are unsafe: `this` points to a live entry with the provenance of its whole allocation,
/// and nobody else reads or writes what they read or write meanwhile, apart from other readers during a read.
impl Scored {
    /// An entry that is in no list.
    ///
    /// # Panics
    /// When the member is of 4 GiB or more, or the height not between 1 and [`HEIGHT_MAX`].
    pub(super) fn create(member: &[u8], score: f64, height: usize) -> Owned<Scored> {
        assert!((1..=HEIGHT_MAX).contains(&height));
        let Ok(len) = u32::try_from(member.len()) else { panic!("a member of 4 GiB or more") };
        let layout = layout(height, member.len());
        // SAFETY: the layout has room for header, levels and bytes; nobody else has the entry, and all of it is written.
        unsafe {
            let Some(start) = NonNull::new(alloc::alloc(layout)) else { alloc::handle_alloc_error(layout) };
            let this = start.cast::<Scored>();
            this.write(Scored { next: None, before: None, score, len, height: height as u8 });
            for level in 0..height {
                Self::set_forward(this, level, Forward { node: None, span: 0 });
            }
            start.add(bytes_at(height)).copy_from_nonoverlapping(NonNull::from(member).cast(), member.len());
            Owned::from_raw(this)
        }
    }

    #[inline]
    unsafe fn len(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        unsafe { (&raw const (*this.as_ptr()).len).read() as usize }
    }

    #[inline]
    pub(super) unsafe fn height(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        unsafe { usize::from((&raw const (*this.as_ptr()).height).read()) }
    }

    #[inline]
    pub(super) unsafe fn score(this: NonNull<Self>) -> f64 {
        // SAFETY: see the block.
        unsafe { (&raw const (*this.as_ptr()).score).read() }
    }

    #[inline]
    pub(super) unsafe fn set_score(this: NonNull<Self>, score: f64) {
        // SAFETY: see the block.
        unsafe { (&raw mut (*this.as_ptr()).score).write(score) }
    }

    #[inline]
    pub(super) unsafe fn before(this: NonNull<Self>) -> Link<Scored> {
        // SAFETY: see the block.
        unsafe { (&raw const (*this.as_ptr()).before).read() }
    }

    #[inline]
    pub(super) unsafe fn set_before(this: NonNull<Self>, before: Link<Scored>) {
        // SAFETY: see the block.
        unsafe { (&raw mut (*this.as_ptr()).before).write(before) }
    }

    /// The place of level 0's link.
    #[inline]
    fn level_0(this: NonNull<Self>) -> *mut Link<Scored> {
        this.as_ptr().cast::<u8>().wrapping_add(HEADER).cast()
    }

    /// The place of a higher level.
    #[inline]
    fn level(this: NonNull<Self>, level: usize) -> *mut Forward {
        this.as_ptr().cast::<u8>().wrapping_add(HEADER + LEVEL_0 + (level - 1) * LEVEL).cast()
    }

    /// The next member.
    #[inline]
    pub(super) unsafe fn after(this: NonNull<Self>) -> Link<Scored> {
        // SAFETY: see the block; every entry has a level 0.
        unsafe { Self::level_0(this).read() }
    }

    /// Where `level`, which is below the height, leads.
    #[inline]
    pub(super) unsafe fn forward(this: NonNull<Self>, level: usize) -> Forward {
        debug_assert!(level < unsafe_height(this));
        // SAFETY: see the block; the entry has that level.
        unsafe {
            if level == 0 {
                let node = Self::after(this);
                return Forward { node, span: usize::from(node.is_some()) };
            }
            Self::level(this, level).read()
        }
    }

    /// Sets where `level`, which is below the height, leads.
    #[inline]
    pub(super) unsafe fn set_forward(this: NonNull<Self>, level: usize, forward: Forward) {
        debug_assert!(level < unsafe_height(this));
        // SAFETY: see the block; the entry has that level.
        unsafe {
            if level == 0 {
                Self::level_0(this).write(forward.node);
            } else {
                Self::level(this, level).write(forward);
            }
        }
    }

    /// Bytes of the allocation.
    #[inline]
    pub(super) unsafe fn allocated(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        unsafe { bytes_at(Self::height(this)) + Self::len(this) }
    }
}

/// The height, for assertions of functions whose callers promise that the entry lives.
fn unsafe_height(this: NonNull<Scored>) -> usize {
    // SAFETY: see `Scored`'s block, whose functions are the only callers.
    unsafe { Scored::height(this) }
}

// SAFETY: `repr(C)`, the link in front; the bytes are written once, before the entry gets into a dict.
unsafe impl Node for Scored {
    #[inline]
    unsafe fn key<'a>(this: NonNull<Self>) -> &'a [u8] {
        // SAFETY: the entry is live, and its bytes were written when it was made.
        unsafe {
            let bytes = this.cast::<u8>().add(bytes_at(Scored::height(this)));
            std::slice::from_raw_parts(bytes.as_ptr(), Scored::len(this))
        }
    }

    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the entry is live and ours; it was allocated with the layout of its height and length.
        unsafe {
            let layout = layout(Scored::height(this), Scored::len(this));
            alloc::dealloc(this.as_ptr().cast(), layout);
        }
    }
}
