//! One of two owned values behind a single pointer: a small form that is a thin pointer itself, or a boxed large one.
//!
//! ```text
//! pointer ............0   S: a thin pointer, as it is
//!         ............1   Box<L>, one byte further
//! ```
//!
//! Allocations begin at even addresses, so the lowest bit is free to tell the two apart, and a value with two encodings
//! takes no more than eight bytes in its key's entry.
//!
//! Invariant: the pointer is what one of the two constructors made of its argument, which it owns.

use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, forget};
use std::ptr::NonNull;

/// What is one pointer to an allocation.
///
/// # Safety
/// The type is `repr(transparent)` over a `NonNull` pointer whose address is always even.
pub unsafe trait Thin: Sized {}

/// What a [`Tagged`] holds, seen from outside.
#[derive(Debug)]
pub enum Either<S, L> {
    /// The small form.
    Small(S),
    /// The large form.
    Large(L),
}

/// See the [module](self).
pub struct Tagged<S: Thin, L> {
    pointer: NonNull<u8>,
    owned: PhantomData<(S, Box<L>)>,
}

// SAFETY: it owns either of two values that may both be sent.
unsafe impl<S: Thin + Send, L: Send> Send for Tagged<S, L> {}
// SAFETY: it gives out shared references only to values that may both be shared.
unsafe impl<S: Thin + Sync, L: Sync> Sync for Tagged<S, L> {}

impl<S: Thin, L> Tagged<S, L> {
    const LAYOUTS_FIT: () = assert!(
        size_of::<S>() == size_of::<NonNull<u8>>() && size_of::<L>() > 1 && align_of::<L>() > 1,
        "the tag needs an even address and a second byte to point at"
    );

    /// Holds the small form.
    #[inline]
    #[must_use]
    pub fn small(small: S) -> Self {
        let () = Self::LAYOUTS_FIT;
        let small = ManuallyDrop::new(small);
        // SAFETY: a `Thin` type is transparent over a non-null pointer.
        let pointer = unsafe { (&raw const small).cast::<NonNull<u8>>().read() };
        debug_assert!(pointer.addr().get() & 1 == 0);
        Tagged { pointer, owned: PhantomData }
    }

    /// Holds the large form.
    #[inline]
    #[must_use]
    pub fn large(large: Box<L>) -> Self {
        let () = Self::LAYOUTS_FIT;
        // SAFETY: the box has a second byte, and its address is even, so this only sets the lowest bit.
        let pointer = unsafe { NonNull::from(Box::leak(large)).cast::<u8>().add(1) };
        Tagged { pointer, owned: PhantomData }
    }

    #[inline]
    fn is_large(&self) -> bool {
        self.pointer.addr().get() & 1 == 1
    }

    /// Where the large form is.
    ///
    /// # Safety
    /// It is held.
    #[inline]
    unsafe fn boxed(&self) -> NonNull<L> {
        // SAFETY: the constructor went one byte forward from there.
        unsafe { self.pointer.sub(1).cast() }
    }

    /// Looks at it.
    #[inline]
    #[must_use]
    pub fn view(&self) -> Either<&S, &L> {
        if self.is_large() {
            // SAFETY: the tag tells that a box was put in, which lives as long as this value.
            Either::Large(unsafe { self.boxed().as_ref() })
        } else {
            // SAFETY: the tag tells that the pointer is the small form, which is transparent over it.
            Either::Small(unsafe { &*(&raw const self.pointer).cast::<S>() })
        }
    }

    /// Looks at it to change it.
    #[inline]
    #[must_use]
    pub fn view_mut(&mut self) -> Either<&mut S, &mut L> {
        if self.is_large() {
            // SAFETY: as in `view`; this is borrowed alone.
            Either::Large(unsafe { self.boxed().as_mut() })
        } else {
            // SAFETY: as in `view`; whatever the small form becomes is a pointer with an even address again.
            Either::Small(unsafe { &mut *(&raw mut self.pointer).cast::<S>() })
        }
    }

    /// Takes it out.
    #[must_use]
    pub fn into_inner(self) -> Either<S, Box<L>> {
        let either = if self.is_large() {
            // SAFETY: the box was leaked by the constructor, and this value is forgotten below.
            Either::Large(unsafe { Box::from_raw(self.boxed().as_ptr()) })
        } else {
            // SAFETY: the pointer is the small form, and this value is forgotten below.
            Either::Small(unsafe { (&raw const self.pointer).cast::<S>().read() })
        };
        forget(self);
        either
    }
}

impl<S: Thin, L> Drop for Tagged<S, L> {
    #[inline]
    fn drop(&mut self) {
        if self.is_large() {
            // SAFETY: the box was leaked by the constructor, and nobody uses this value again.
            drop(unsafe { Box::from_raw(self.boxed().as_ptr()) });
        } else {
            // SAFETY: the pointer is the small form, and nobody uses this value again.
            unsafe { (&raw mut self.pointer).cast::<S>().drop_in_place() }
        }
    }
}

impl<S: Thin + fmt::Debug, L: fmt::Debug> fmt::Debug for Tagged<S, L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            Either::Small(small) => small.fmt(formatter),
            Either::Large(large) => large.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[repr(transparent)]
    struct Counted(NonNull<Rc<()>>);

    // SAFETY: transparent over a pointer to a leaked box of alignment eight.
    unsafe impl Thin for Counted {}

    impl Counted {
        fn new(count: &Rc<()>) -> Counted {
            Counted(NonNull::from(Box::leak(Box::new(count.clone()))))
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            // SAFETY: the box was leaked by `new`.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }

    #[test]
    fn either_form_is_found_as_it_was_put_in_and_dropped_once() {
        let count = Rc::new(());
        let small = || Tagged::<Counted, (Rc<()>, u64)>::small(Counted::new(&count));
        let large = |number| Tagged::<Counted, _>::large(Box::new((count.clone(), number)));
        let mut tagged = small();
        assert!(matches!(tagged.view(), Either::Small(_)));
        assert_eq!(Rc::strong_count(&count), 2);
        tagged = large(7);
        assert_eq!(Rc::strong_count(&count), 2);
        if let Either::Large(large) = tagged.view_mut() {
            large.1 += 1;
        }
        assert!(matches!(tagged.view(), Either::Large((_, 8))));
        assert!(matches!(tagged.into_inner(), Either::Large(boxed) if boxed.1 == 8));
        assert_eq!(Rc::strong_count(&count), 1);
        assert!(matches!(small().into_inner(), Either::Small(_)));
        if let Either::Small(held) = small().view_mut() {
            *held = Counted::new(&count);
        }
        assert_eq!(Rc::strong_count(&count), 1);
        assert_eq!(size_of::<Option<Tagged<Counted, (Rc<()>, u64)>>>(), 8);
    }
}
