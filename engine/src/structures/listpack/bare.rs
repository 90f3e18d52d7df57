//! Elements by themselves, as a listpack encodes them but without their back-lengths: for who reads them forwards, and
//! makes a listpack of them only where one is asked for. Small numbers take half as many bytes.

use super::entry::{self, Entry, back_length, back_size, read_back};
use super::{COUNT_FIELD, END, HEADER, UNCOUNTED, Value};

/// Appends an element; answers how many bytes it takes in a listpack.
#[inline]
pub fn push(value: Value<'_>, target: &mut Vec<u8>) -> usize {
    let start = target.len();
    entry::write_bare(value, target);
    listed_len(target.len() - start)
}

/// Bytes that an element of so many takes in a listpack.
#[inline]
#[must_use]
pub fn listed_len(len: usize) -> usize {
    len + back_size(len)
}

/// Bytes that a value takes in a listpack.
#[inline]
#[must_use]
pub fn listed_len_of(value: Value<'_>) -> usize {
    entry::entry_len(value)
}

/// The element that begins at `at`, and where the next begins.
///
/// # Panics
/// When none begins there.
#[inline]
#[must_use]
pub fn read(bytes: &[u8], at: usize) -> (Value<'_>, usize) {
    match Entry::read(bytes, at) {
        Ok(entry) => (entry.value(bytes), at + entry.len()),
        Err(_) => panic!("no element begins at {at}"),
    }
}

/// Appends a length that [`length_before`] reads from behind.
#[inline]
pub fn push_length(len: usize, target: &mut Vec<u8>) {
    let (bytes, size) = back_length(len);
    target.extend_from_slice(&bytes[..size]);
}

/// The length that ends before `end`, and where it begins.
#[inline]
#[must_use]
pub fn length_before(bytes: &[u8], end: usize) -> Option<(usize, usize)> {
    let len = read_back(bytes, end)?;
    Some((len, end.checked_sub(back_size(len))?))
}

/// Bytes that [`push_length`] takes.
#[inline]
#[must_use]
pub fn length_size(len: usize) -> usize {
    back_size(len)
}

/// Numbers below this, from 0 on, are small: they take a byte.
const SMALL_END: u8 = 0x80;

/// Bytes that are moved at once where it does not matter what comes behind an element.
const STRIDE: usize = 16;

/// So many small numbers are looked at together.
pub const MANY: usize = 8;

/// Writes an array at an offset; answers where it ends. An array is moved in a register, a slice by a call.
#[inline]
fn put<const BYTES: usize>(place: &mut [u8], at: usize, bytes: [u8; BYTES]) -> usize {
    let Some(target) = place[at..].first_chunk_mut() else { panic!("{BYTES} bytes at {at} of {}", place.len()) };
    *target = bytes;
    at + BYTES
}

/// A listpack of known length that is written behind what a buffer holds.
pub struct Listing<'t> {
    place: &'t mut [u8],
    at: usize,
    count: usize,
}

impl<'t> Listing<'t> {
    /// One without elements yet, that will have `len` bytes.
    ///
    /// # Panics
    /// When these are fewer than an empty one has; all else here does when they are not as many as are written.
    pub fn begin(target: &'t mut Vec<u8>, len: usize) -> Self {
        let start = target.len();
        target.resize(start + len, 0);
        Listing { place: &mut target[start..], at: HEADER, count: 0 }
    }

    /// Adds a number.
    #[inline]
    pub fn number(&mut self, number: i64) {
        self.count += 1;
        if let Ok(small @ 0..SMALL_END) = u8::try_from(number) {
            self.at = put(self.place, self.at, [small, 1]);
            return;
        }
        let value = Value::Int(number);
        let end = self.at + entry::entry_len(value);
        entry::write_over(value, &mut self.place[self.at..end]);
        self.at = end;
    }

    /// Adds so many of the elements at `from`, [`MANY`] at most, if all are small numbers and there is room to write more
    /// of them; whether it did.
    #[inline(always)]
    pub fn small_numbers(&mut self, bytes: &[u8], from: usize, elements: usize) -> bool {
        let (Some(numbers), Some(place)) =
            (bytes[from..].first_chunk::<MANY>(), self.place[self.at..].first_chunk_mut::<{ 2 * MANY }>())
        else {
            return false;
        };
        let concerned = u64::MAX >> (u64::BITS as usize - 8 * elements);
        if u64::from_le_bytes(*numbers) & 0x8080_8080_8080_8080 & concerned != 0 {
            return false;
        }
        let [a, b, c, d, e, f, g, h] = *numbers;
        *place = [a, 1, b, 1, c, 1, d, 1, e, 1, f, 1, g, 1, h, 1];
        self.at += 2 * elements;
        self.count += elements;
        true
    }

    /// Adds so many of the elements at `from`; answers where they end.
    #[inline]
    pub fn elements(&mut self, bytes: &[u8], mut from: usize, elements: usize) -> usize {
        let mut left = elements;
        self.count += elements;
        while left > 0 {
            // Small numbers, most of what streams consist of, each with the back-length 1.
            if let (Some(four), true) = (bytes[from..].first_chunk::<4>(), left >= 4)
                && u32::from_le_bytes(*four) & 0x8080_8080 == 0
            {
                let [a, b, c, d] = *four;
                self.at = put(self.place, self.at, [a, 1, b, 1, c, 1, d, 1]);
                from += 4;
                left -= 4;
                continue;
            }
            left -= 1;
            // What is moved besides a short element is written over by what follows.
            if let (Some(stride), Some(place)) =
                (bytes[from..].first_chunk::<STRIDE>(), self.place[self.at..].first_chunk_mut::<STRIDE>())
                && let Some(len) = entry::short_len(stride[0])
            {
                *place = *stride;
                place[len] = len as u8;
                self.at += len + 1;
                from += len;
                continue;
            }
            let (_, end) = read(bytes, from);
            let (back, size) = back_length(end - from);
            for piece in [&bytes[from..end], &back[..size]] {
                self.place[self.at..self.at + piece.len()].copy_from_slice(piece);
                self.at += piece.len();
            }
            from = end;
        }
        from
    }

    /// Ends it.
    pub fn finish(self) {
        let Listing { place, at, count } = self;
        assert_eq!(put(place, at, [END]), place.len(), "bytes of a listpack");
        let Ok(len) = u32::try_from(place.len()) else { panic!("a listpack of 4 GiB or more") };
        put(place, 0, len.to_le_bytes());
        put(place, COUNT_FIELD, u16::try_from(count).unwrap_or(UNCOUNTED).to_le_bytes());
    }
}

/// Elements of a listpack on their way to become bare ones, in a buffer that has room for all.
pub struct Filling {
    bytes: Vec<u8>,
    at: usize,
}

impl Filling {
    /// A buffer for so many bytes, the first `begin` of which are zeros.
    #[must_use]
    pub fn new(begin: usize, most: usize) -> Filling {
        // Small numbers are written many at once, whether or not all count.
        Filling { bytes: vec![0; most + MANY], at: begin }
    }

    /// Bytes so far.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether there is nothing yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Adds the first so many of these small numbers; answers how many bytes they take in a listpack.
    #[inline]
    pub fn small<const NUMBERS: usize>(&mut self, numbers: [u8; NUMBERS], count: usize) -> usize {
        put(&mut self.bytes, self.at, numbers);
        self.at += count;
        2 * count
    }

    /// Adds a number; answers how many bytes it takes in a listpack.
    #[inline]
    pub fn number(&mut self, number: i64) -> usize {
        match u8::try_from(number) {
            Ok(small @ 0..SMALL_END) => self.small([small], 1),
            _ => {
                let value = Value::Int(number);
                let listed = entry::entry_len(value);
                entry::write_over(value, &mut self.bytes[self.at..self.at + listed]);
                // A number's back-length takes a byte, which the next element is written over.
                self.at += listed - 1;
                listed
            }
        }
    }

    /// Adds an element that is encoded already; answers how many bytes it takes in a listpack.
    pub fn encoded(&mut self, element: &[u8]) -> usize {
        self.bytes[self.at..self.at + element.len()].copy_from_slice(element);
        self.at += element.len();
        listed_len(element.len())
    }

    /// Adds a length that [`length_before`] reads from behind.
    #[inline]
    pub fn length(&mut self, len: usize) {
        match u8::try_from(len) {
            Ok(short @ 0..SMALL_END) => self.at = put(&mut self.bytes, self.at, [short]),
            _ => {
                let (bytes, size) = back_length(len);
                self.encoded(&bytes[..size]);
            }
        }
    }

    /// Exactly the bytes that were added.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes[..self.at].into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Listpack;
    use super::*;

    #[test]
    fn elements_make_the_listpack_that_their_values_make() {
        let long = vec![b'x'; 5000];
        let mixed = [
            Value::Int(0),
            Value::Int(127),
            Value::Int(3),
            Value::Int(4),
            Value::Int(128),
            Value::Int(-1),
            Value::Bytes(b""),
            Value::Bytes(&long[..63]),
            Value::Bytes(&long[..127]),
            Value::Bytes(&long),
            Value::Int(i64::MIN),
            Value::Int(1),
        ];
        let texts = (0..20).map(|len| Value::Bytes(&long[..len]));
        let widths = [-4096, 4095, i16::MIN.into(), 1 << 22, i32::MAX.into(), i64::MAX].map(Value::Int);
        let last = [Value::Int(5), Value::Bytes(b"x"), Value::Int(6)];
        let values: Vec<Value<'_>> = widths.into_iter().chain(texts).chain(mixed).chain(widths).chain(last).collect();
        let (mut bare, mut listed) = (Vec::new(), 0);
        values.iter().for_each(|value| listed += push(*value, &mut bare));
        let mut at = 0;
        for &value in &values {
            let (found, next) = read(&bare, at);
            assert_eq!(found, value);
            at = next;
        }
        assert_eq!(at, bare.len());
        let mut list = Vec::new();
        let mut listing = Listing::begin(&mut list, HEADER + listed + 1);
        assert_eq!(listing.elements(&bare, 0, values.len()), bare.len());
        listing.finish();
        assert_eq!(list, Listpack::of(values).as_bytes());
    }

    #[test]
    fn lengths_are_read_from_behind() {
        for len in [0, 1, 127, 128, 16_382, 16_383, 3_000_000] {
            let mut bytes = vec![0xFF];
            push_length(len, &mut bytes);
            assert_eq!(length_before(&bytes, bytes.len()), Some((len, 1)));
            assert_eq!(bytes.len(), 1 + length_size(len));
        }
    }
}
