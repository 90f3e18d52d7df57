//! The allocator: the system's, with a count of the bytes in use for `used_memory` and `maxmemory`.
//!
//! The count is of what the C library's allocator really sets aside: a request is rounded up to 16 bytes after 8 bytes
//! of bookkeeping were added, and is at least 32.
//!
//! Invariant: every byte added by an allocation is subtracted when the same allocation is freed, because the layout
//! given to `dealloc` is the one given to `alloc`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static USED: AtomicUsize = AtomicUsize::new(0);

/// Bytes in use now.
pub fn used_bytes() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Asks the C library to give pages back that it does not need; elsewhere than with glibc there is nothing to ask.
pub fn trim() {
    // SAFETY: the call has no preconditions and may be made at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The system allocator with a counter; the binary declares it as its `#[global_allocator]`.
pub struct CountingAllocator;

const fn footprint(size: usize) -> usize {
    let rounded = size.saturating_add(8 + 15) & !15;
    if rounded < 32 { 32 } else { rounded }
}

// SAFETY: every call is passed on to `System` unchanged; counting does not touch the memory.
unsafe impl GlobalAlloc for CountingAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            USED.fetch_add(footprint(layout.size()), Ordering::Relaxed);
        }
        pointer
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(footprint(layout.size()), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            USED.fetch_add(footprint(layout.size()), Ordering::Relaxed);
        }
        pointer
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        if !moved.is_null() {
            USED.fetch_add(footprint(new_size), Ordering::Relaxed);
            USED.fetch_sub(footprint(layout.size()), Ordering::Relaxed);
        }
        moved
    }
}
