//! The allocation of an intset: header and values, behind a thin pointer.
//!
//! Invariant: the header is initialized and says how long the allocation is; so are all values.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// Bytes before the values.
pub(super) const HEADER: usize = 8;
/// The values lie behind the header at a multiple of their width.
const ALIGN: usize = 8;

/// Bytes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    /// The narrowest that holds a value.
    #[inline]
    pub(super) fn of(value: i64) -> Width {
        if i16::try_from(value).is_ok() {
            Width::Two
        } else if i32::try_from(value).is_ok() {
            Width::Four
        } else {
            Width::Eight
        }
    }

    pub(super) fn from_bytes(bytes: usize) -> Option<Width> {
        [Width::Two, Width::Four, Width::Eight].into_iter().find(|width| width.bytes() == bytes)
    }

    #[inline]
    pub(super) fn bytes(self) -> usize {
        self as usize
    }
}

/// The values in their width; little endian on every machine.
pub(super) enum Slice<'a> {
    Two(&'a [i16]),
    Four(&'a [i32]),
    Eight(&'a [i64]),
}

#[repr(transparent)]
pub(super) struct Raw(NonNull<u8>);

// SAFETY: the allocation is owned, and holds nothing but integers.
unsafe impl Send for Raw {}
// SAFETY: as above; it is changed only through `&mut`.
unsafe impl Sync for Raw {}

impl Raw {
    /// A header, and no value.
    pub(super) fn empty(width: Width) -> Raw {
        let layout = Self::layout(HEADER);
        // SAFETY: the layout is not of size zero.
        let start = unsafe { alloc::alloc(layout) };
        let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(layout) };
        // SAFETY: the header's eight bytes are inside the allocation, which is aligned for them.
        unsafe {
            start.cast::<u32>().write((width.bytes() as u32).to_le());
            start.cast::<u32>().add(1).write(0);
        }
        Raw(start)
    }

    fn layout(bytes: usize) -> Layout {
        match Layout::from_size_align(bytes, ALIGN) {
            Ok(layout) => layout,
            Err(_) => unreachable!("2^32 values of eight bytes are less than the address space"),
        }
    }

    #[inline]
    pub(super) fn width(&self) -> Width {
        // SAFETY: the header is initialized and aligned.
        match u32::from_le(unsafe { self.0.cast::<u32>().read() }) {
            2 => Width::Two,
            4 => Width::Four,
            _ => Width::Eight,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        // SAFETY: as in `width`.
        u32::from_le(unsafe { self.0.cast::<u32>().add(1).read() }) as usize
    }

    /// Bytes of header and values.
    #[inline]
    fn size(&self) -> usize {
        HEADER + self.len() * self.width().bytes()
    }

    /// Drops values at the end, or adds zeros there.
    ///
    /// # Panics
    /// When `len` does not fit 32 bits.
    pub(super) fn resize(&mut self, len: usize) {
        let Ok(stored) = u32::try_from(len) else { panic!("an intset of 2^32 values") };
        let (old, new) = (self.size(), HEADER + len * self.width().bytes());
        // SAFETY: the allocation was made with this layout; the new size is not zero.
        let start = unsafe { alloc::realloc(self.0.as_ptr(), Self::layout(old), new) };
        let Some(start) = NonNull::new(start) else { alloc::handle_alloc_error(Self::layout(new)) };
        self.0 = start;
        // SAFETY: what is added is inside the allocation, and the header is as in `empty`.
        unsafe {
            start.add(old.min(new)).write_bytes(0, new.saturating_sub(old));
            start.cast::<u32>().add(1).write(stored.to_le());
        }
    }

    /// Header and values.
    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        // SAFETY: the allocation is of this size and initialized; it is not changed while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), self.size()) }
    }

    /// The bytes of the values.
    #[inline]
    pub(super) fn values_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed exclusively; the header is left out.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr().add(HEADER), self.size() - HEADER) }
    }

    /// The values.
    #[inline]
    pub(super) fn slice(&self) -> Slice<'_> {
        let len = self.len();
        // SAFETY: `len` initialized values of that width follow the header, whose length is a multiple of each width,
        // and so is the alignment of the allocation; nothing changes while `self` is borrowed.
        unsafe {
            let values = self.0.as_ptr().add(HEADER);
            match self.width() {
                Width::Two => Slice::Two(std::slice::from_raw_parts(values.cast(), len)),
                Width::Four => Slice::Four(std::slice::from_raw_parts(values.cast(), len)),
                Width::Eight => Slice::Eight(std::slice::from_raw_parts(values.cast(), len)),
            }
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let layout = Self::layout(self.size());
        // SAFETY: the allocation was made with this layout, and nobody uses it any more.
        unsafe { alloc::dealloc(self.0.as_ptr(), layout) }
    }
}
