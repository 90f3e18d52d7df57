//! Distinct integers, sorted and packed in as few bytes as the widest of them needs.
//!
//! ```text
//! offset 0  width of a value: 2, 4 or 8 bytes     4 bytes, little endian
//!        4  number of values                      4 bytes, little endian
//!        8  values, ascending                     width bytes each, little endian, two's complement
//! ```
//!
//! These are the bytes that DUMP and RDB files hold. The whole is one allocation behind a thin pointer, as long as
//! its contents: the allocator's size classes are slack enough.
//!
//! A value that does not fit makes the set wider, and it stays so when that value goes. Such a value is smaller or
//! larger than all others, so its place is at one end.
//!
//! Invariants, verified by [`Intset::validate`]: the width is one of the three; values ascend strictly.

mod raw;

use super::DecodeError;
use super::tagged::Thin;
use raw::{HEADER, Raw, Slice, Width};

/// The set, see the [module](self).
#[repr(transparent)]
pub struct Intset(Raw);

// SAFETY: transparent over a `Raw`, which is transparent over a pointer to an allocation of alignment eight.
unsafe impl Thin for Intset {}

impl Default for Intset {
    fn default() -> Self {
        Intset::new()
    }
}

impl Intset {
    /// Most values that a set can hold: their number is stored in 32 bits.
    pub const MAX_LEN: usize = u32::MAX as usize;

    /// An empty set, two bytes wide.
    #[must_use]
    pub fn new() -> Intset {
        Intset(Raw::empty(Width::Two))
    }

    /// Takes over a set from its bytes, which anybody may have made.
    ///
    /// # Errors
    /// [`DecodeError`] when the header does not fit the length, or values do not ascend strictly.
    pub fn decode(bytes: &[u8]) -> Result<Intset, DecodeError> {
        let wrong = |offset, reason| Err(DecodeError { offset, reason });
        let field = |at: usize| {
            let field = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(field) as usize)
        };
        let (Some(width), Some(len)) = (field(0), field(4)) else { return wrong(0, "the header is cut off") };
        let Some(width) = Width::from_bytes(width) else { return wrong(0, "a width of integers that there is not") };
        if len.checked_mul(width.bytes()).and_then(|values| values.checked_add(HEADER)) != Some(bytes.len()) {
            return wrong(4, "the number of integers does not fit the length");
        }
        let mut raw = Raw::empty(width);
        raw.resize(len);
        raw.values_mut().copy_from_slice(&bytes[HEADER..]);
        let set = Intset(raw);
        let mut previous = None;
        for (index, value) in set.iter().enumerate() {
            if previous.is_some_and(|previous| previous >= value) {
                return wrong(HEADER + index * width.bytes(), "the integers are not in ascending order");
            }
            previous = Some(value);
        }
        Ok(set)
    }

    /// The bytes of the set as files hold them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Number of values.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of each value: 2, 4 or 8.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.width().bytes()
    }

    /// The value at `index`, in ascending order.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<i64> {
        match self.0.slice() {
            Slice::Two(values) => values.get(index).map(|value| i16::from_le(*value).into()),
            Slice::Four(values) => values.get(index).map(|value| i32::from_le(*value).into()),
            Slice::Eight(values) => values.get(index).map(|value| i64::from_le(*value)),
        }
    }

    /// All values, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + '_ {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// The place of a value, or the one where it would go.
    #[inline]
    fn search(&self, value: i64) -> Result<usize, usize> {
        match self.0.slice() {
            Slice::Two(values) => place(values, value, |found| i16::from_le(found).into()),
            Slice::Four(values) => place(values, value, |found| i32::from_le(found).into()),
            Slice::Eight(values) => place(values, value, i64::from_le),
        }
    }

    /// Whether a value is there.
    #[inline]
    #[must_use]
    pub fn contains(&self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// Adds a value; false when it is there already.
    ///
    /// # Panics
    /// When the set holds [`Intset::MAX_LEN`] values.
    pub fn insert(&mut self, value: i64) -> bool {
        let width = Width::of(value);
        if width > self.0.width() {
            // Narrower than the value, the set cannot hold it, and it goes to an end.
            self.widen(width);
            let place = if value < 0 { 0 } else { self.len() };
            self.insert_at(place, value);
            return true;
        }
        match self.search(value) {
            Ok(_) => false,
            Err(place) => {
                self.insert_at(place, value);
                true
            }
        }
    }

    /// Takes a value out; false when it is not there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(place) = self.search(value) else { return false };
        let (width, len) = (self.width(), self.len());
        self.0.values_mut().copy_within((place + 1) * width.., place * width);
        self.0.resize(len - 1);
        true
    }

    fn insert_at(&mut self, place: usize, value: i64) {
        let (width, len) = (self.width(), self.len());
        self.0.resize(len + 1);
        let values = self.0.values_mut();
        values.copy_within(place * width..len * width, (place + 1) * width);
        values[place * width..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
    }

    fn widen(&mut self, width: Width) {
        let mut wider = Raw::empty(width);
        wider.resize(self.len());
        for (place, value) in wider.values_mut().chunks_exact_mut(width.bytes()).zip(self.iter()) {
            place.copy_from_slice(&value.to_le_bytes()[..width.bytes()]);
        }
        self.0 = wider;
    }

    /// Bytes of the allocation.
    #[inline]
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.as_bytes().len()
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        assert!(matches!(self.width(), 2 | 4 | 8));
        assert_eq!(self.as_bytes().len(), HEADER + self.len() * self.width());
        let ascends = self.iter().zip(self.iter().skip(1)).all(|(value, next)| value < next);
        assert!(ascends, "the values of an intset do not ascend: {:?}", self.iter().collect::<Vec<_>>());
    }
}

/// Searches a slice of any width. Values that come in order are found to belong at the end at once.
#[inline]
fn place<T: Copy>(values: &[T], value: i64, read: impl Fn(T) -> i64) -> Result<usize, usize> {
    match values.last() {
        Some(last) if read(*last) < value => Err(values.len()),
        _ => values.binary_search_by(|found| read(*found).cmp(&value)),
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_that_does_not_fit_widens_the_set_and_goes_to_an_end() {
        for (wide, width) in
            [(32_768, 4), (-32_769, 4), (1 << 31, 8), (-(1 << 31) - 1, 8), (i64::MIN, 8), (i64::MAX, 8)]
        {
            let mut set = Intset::new();
            for value in [5, -7, 32_767, -32_768, 5] {
                set.insert(value);
            }
            assert_eq!((set.width(), set.len()), (2, 4));
            assert!(set.insert(wide) && !set.insert(wide));
            set.validate();
            assert_eq!(set.width(), width);
            let mut wanted = vec![5, -7, 32_767, -32_768, wide];
            wanted.sort_unstable();
            assert_eq!(set.iter().collect::<Vec<_>>(), wanted);
            assert!(set.remove(wide) && !set.remove(wide));
            assert_eq!(set.width(), width, "a set never becomes narrower");
            set.validate();
        }
    }

    #[test]
    fn the_bytes_of_a_set_are_those_of_redis() {
        let mut set = Intset::new();
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 0, 0, 0, 0]);
        for value in [1, -1, 32_768] {
            set.insert(value);
        }
        let wanted = [&[4, 0, 0, 0, 3, 0, 0, 0][..], &[255; 4], &[1, 0, 0, 0], &[0, 128, 0, 0]].concat();
        assert_eq!(set.as_bytes(), wanted);
        assert_eq!(Intset::decode(&wanted).unwrap().as_bytes(), wanted);
    }

    #[test]
    fn bytes_that_are_no_set_are_refused_where_they_are_wrong() {
        for (bytes, offset) in [
            (&[][..], 0),
            (&[2, 0, 0, 0, 0, 0, 0], 0),
            (&[3, 0, 0, 0, 0, 0, 0, 0], 0),
            (&[2, 0, 0, 0, 1, 0, 0, 0], 4),
            (&[2, 0, 0, 0, 0, 0, 0, 0, 1], 4),
            (&[8, 0, 0, 0, 255, 255, 255, 255], 4),
            (&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0], 10),
            (&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 128], 10),
        ] {
            assert_eq!(Intset::decode(bytes).unwrap_err().offset, offset, "{bytes:?}");
        }
        assert!(Intset::decode(&[8, 0, 0, 0, 0, 0, 0, 0]).unwrap().is_empty());
    }
}
