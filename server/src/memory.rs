//! The allocator: mimalloc, with a count of the bytes in use for `used_memory` and `maxmemory`.
//!
//! mimalloc because the engine's values are many and small: it has no header in front of each, and frees by size class.
//! The count is of what it really sets aside, which is the request rounded up to its size class.
//!
//! Each thread gathers its own changes and hands them on to the common count once they exceed [`BATCH`], because an atomic
//! addition on every allocation costs more than the allocation. So the count is exact for the thread that asks, and off by
//! at most [`BATCH`] bytes for each other thread.
//!
//! Invariant: every byte added by an allocation is subtracted when the same allocation is freed, because the layout
//! given to `dealloc` is the one given to `alloc`; until [`stop_counting`], if that is called.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

use libmimalloc_sys as mi;

/// Bytes that a thread may have allocated or freed without telling the common count.
const BATCH: isize = 8 * 1024;

static USED: AtomicIsize = AtomicIsize::new(0);

static COUNTS: AtomicBool = AtomicBool::new(true);

thread_local! {
    /// What this thread allocated (or, negative, freed) and [`USED`] does not know yet.
    static UNTOLD: Cell<isize> = const { Cell::new(0) };
}

/// Bytes in use now.
pub fn used_bytes() -> usize {
    let untold = UNTOLD.try_with(Cell::get).unwrap_or(0);
    usize::try_from(USED.load(Ordering::Relaxed) + untold).unwrap_or(0)
}

/// From here on nothing is counted: for a process that serves nobody, and asks for no count.
pub fn stop_counting() {
    COUNTS.store(false, Ordering::Relaxed);
}

/// Asks the allocator to give pages back that it does not need.
pub fn trim() {
    // SAFETY: the call has no preconditions and may be made at any time.
    unsafe {
        mi::mi_collect(true);
    }
}

/// mimalloc with a counter; the binary declares it as its `#[global_allocator]`.
pub struct CountingAllocator;

/// A block became `new` bytes long, which were `old` ones.
#[inline]
fn note(old: usize, new: usize) {
    if COUNTS.load(Ordering::Relaxed) {
        count(footprint(new) - footprint(old));
    }
}

#[inline]
fn count(change: isize) {
    let told = UNTOLD.try_with(|untold| {
        let sum = untold.get() + change;
        if sum.abs() < BATCH {
            untold.set(sum);
        } else {
            untold.set(0);
            USED.fetch_add(sum, Ordering::Relaxed);
        }
    });
    if told.is_err() {
        // The thread is ending and its cell is gone.
        USED.fetch_add(change, Ordering::Relaxed);
    }
}

/// What mimalloc sets aside for a request, and nothing for none: multiples of 16 bytes up to 128 (8 for the least), then
/// four classes to each power of two.
const fn footprint(size: usize) -> isize {
    let class = match size {
        0 => 0,
        1..=8 => 8,
        9..=128 => (size + 15) & !15,
        _ => {
            let step = 1usize << (usize::BITS - 1 - (size - 1).leading_zeros() - 2);
            (size + step - 1) & !(step - 1)
        }
    };
    class as isize
}

/// What mimalloc aligns everything to without being asked, which saves it the longer way: a word.
const NATURAL_ALIGNMENT: usize = size_of::<usize>();

// SAFETY: every call is passed on to mimalloc; counting does not touch the memory. Blocks that are asked for without an
// alignment have at least that of a word, and `mi_free` takes back blocks of either kind.
unsafe impl GlobalAlloc for CountingAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the size is not 0 and the alignment a power of two, as the caller warrants.
        let pointer = unsafe {
            if align <= NATURAL_ALIGNMENT { mi::mi_malloc(size) } else { mi::mi_malloc_aligned(size, align) }
        };
        if !pointer.is_null() {
            note(0, size);
        }
        pointer.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(layout.size(), 0);
        // SAFETY: the pointer came from one of the calls here and was not freed, as the caller warrants.
        unsafe { mi::mi_free(pointer.cast()) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        let pointer = unsafe {
            if align <= NATURAL_ALIGNMENT { mi::mi_zalloc(size) } else { mi::mi_zalloc_aligned(size, align) }
        };
        if !pointer.is_null() {
            note(0, size);
        }
        pointer.cast()
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (old, align) = (pointer.cast(), layout.align());
        // SAFETY: the pointer as in `dealloc`, size and alignment as in `alloc`.
        let moved = unsafe {
            if align <= NATURAL_ALIGNMENT {
                mi::mi_realloc(old, new_size)
            } else {
                mi::mi_realloc_aligned(old, new_size, align)
            }
        };
        if !moved.is_null() {
            note(layout.size(), new_size);
        }
        moved.cast()
    }
}
