//! A field of a hash and its value: one allocation, an entry of a dict.
//!
//! ```text
//! offset  0  next entry of the bucket   8 bytes
//!         8  length of the field        4 bytes
//!        12  length of the value        4 bytes
//!        16  field, then value
//! ```
//!
//! The allocation is rounded up to what an allocator gives anyway, so that a value can change a little in its place.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use crate::faults::{self, Fault};

use super::dict::{Dict, EntryRef, Link, Node, Owned};

/// Longest field and longest value, bytes.
pub const PART_MAX: usize = u32::MAX as usize;
/// Sizes are this less than a multiple of the granularity, which is what an allocator of words in front can give.
const WORD: usize = 8;
const GRANULARITY: usize = 16;

/// The header; field and value follow it.
#[repr(C)]
pub struct Field {
    next: Link<Field>,
    field_len: u32,
    value_len: u32,
}

const HEADER: usize = size_of::<Field>();
const _: () = assert!(HEADER == 16);

/// Bytes of the allocation for a field and a value of these lengths.
fn allocated(field_len: usize, value_len: usize) -> usize {
    (HEADER + field_len + value_len + WORD).next_multiple_of(GRANULARITY) - WORD
}

fn layout(field_len: usize, value_len: usize) -> Layout {
    match Layout::from_size_align(allocated(field_len, value_len), align_of::<Field>()) {
        Ok(layout) => layout,
        Err(_) => unreachable!("two lengths of 32 bits are less than the address space"),
    }
}

/// All functions of this block: `this` points to a live entry, and nobody else writes it meanwhile.
impl Field {
    /// Lengths of field and value.
    #[inline]
    unsafe fn lengths(this: NonNull<Self>) -> (usize, usize) {
        // SAFETY: see the block.
        unsafe {
            let fields = this.as_ptr();
            ((&raw const (*fields).field_len).read() as usize, (&raw const (*fields).value_len).read() as usize)
        }
    }

    /// Where the bytes begin.
    #[inline]
    fn bytes(this: NonNull<Self>) -> NonNull<u8> {
        // SAFETY: the allocation is never smaller than the header.
        unsafe { this.cast::<u8>().add(HEADER) }
    }
}

impl Field {
    /// An entry that is in no dict yet.
    ///
    /// # Panics
    /// When either is longer than [`PART_MAX`].
    #[must_use]
    pub fn create(field: &[u8], value: &[u8]) -> Owned<Field> {
        let (Ok(field_len), Ok(value_len)) = (u32::try_from(field.len()), u32::try_from(value.len())) else {
            panic!("a field or value of 4 GiB")
        };
        let layout = layout(field.len(), value.len());
        // SAFETY: the layout holds the header and both parts, which are all written; nobody else has the entry.
        unsafe {
            let Some(start) = NonNull::new(alloc::alloc(layout)) else { alloc::handle_alloc_error(layout) };
            let this = start.cast::<Field>();
            this.write(Field { next: None, field_len, value_len });
            let bytes = Field::bytes(this);
            bytes.copy_from_nonoverlapping(NonNull::from(field).cast(), field.len());
            bytes.add(field.len()).copy_from_nonoverlapping(NonNull::from(value).cast(), value.len());
            Owned::from_raw(this)
        }
    }
}

// SAFETY: `repr(C)`, the link in front; the field is written once, before the entry gets into a dict.
unsafe impl Node for Field {
    #[inline]
    unsafe fn key<'a>(this: NonNull<Self>) -> &'a [u8] {
        // SAFETY: the entry is live, and the field was written when it was made.
        unsafe {
            let (field_len, _) = Field::lengths(this);
            std::slice::from_raw_parts(Field::bytes(this).as_ptr(), field_len)
        }
    }

    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the entry is live and ours; it was allocated with the layout of its lengths.
        unsafe {
            let (field_len, value_len) = Field::lengths(this);
            alloc::dealloc(this.as_ptr().cast(), layout(field_len, value_len));
        }
    }
}

impl<'a> EntryRef<'a, Field> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn value(self) -> &'a [u8] {
        // SAFETY: an `EntryRef`'s entry lives unchanged; the value follows the field.
        unsafe {
            let (field_len, value_len) = Field::lengths(self.as_raw());
            std::slice::from_raw_parts(Field::bytes(self.as_raw()).add(field_len).as_ptr(), value_len)
        }
    }

    /// Bytes of the entry's allocation.
    #[must_use]
    pub fn allocated(self) -> usize {
        // SAFETY: an `EntryRef`'s entry lives unchanged.
        let (field_len, value_len) = unsafe { Field::lengths(self.as_raw()) };
        allocated(field_len, value_len)
    }
}

/// Sets a field's value, and adds the field if it is new. Answers whether it is, and adds to `heap` what the entries
/// take more, or takes away what they take less.
///
/// # Panics
/// When either is longer than [`PART_MAX`].
pub fn set(dict: &mut Dict<Field>, field: &[u8], value: &[u8], heap: &mut usize) -> bool {
    let Some(mut found) = dict.find_mut(field) else {
        let new = Field::create(field, value);
        *heap += new.as_entry().allocated();
        dict.insert_new(new);
        return true;
    };
    let before = found.get().allocated();
    let after = allocated(field.len(), value.len());
    let kept = if faults::is(Fault::HashShorterValueKeepsEnd) { found.get().value().len() } else { 0 };
    match u32::try_from(value.len().max(kept)) {
        Ok(value_len) if before == after => {
            let this = found.as_raw();
            // SAFETY: the entry is live, and ours as long as `found` borrows the dict; the allocation holds the new
            // value as well, which cannot overlap with it, for the borrow is a mutable one.
            unsafe {
                (&raw mut (*this.as_ptr()).value_len).write(value_len);
                Field::bytes(this).add(field.len()).copy_from_nonoverlapping(NonNull::from(value).cast(), value.len());
            }
        }
        _ => {
            drop(found.replace(Field::create(field, value)));
            *heap = *heap - before + after;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::dict::HashKey;
    use super::*;

    #[test]
    fn values_of_any_length_replace_each_other_and_the_account_follows() {
        let mut dict = Dict::new(HashKey(1, 2));
        let mut heap = 0;
        for round in 0..4usize {
            for number in 0..100usize {
                let value = vec![b'v'; number * (round + 1) % 90];
                let new = set(&mut dict, number.to_string().as_bytes(), &value, &mut heap);
                assert_eq!(new, round == 0);
                assert_eq!(dict.peek(number.to_string().as_bytes()).unwrap().value(), value);
                dict.validate();
            }
            assert_eq!(heap, dict.iter().map(EntryRef::<Field>::allocated).sum::<usize>());
        }
    }
}
