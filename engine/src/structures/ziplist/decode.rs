//! A ziplist from bytes that somebody else wrote: everything is checked once, so that nothing has to be afterwards.
//!
//! Accepted is whatever Redis can have written, long fields for short lengths included, and nothing else. The check
//! walks all entries and takes no memory; the copy is as long as the input.

use super::block::Block;
use super::entry::{END, Entry, Unreadable, Value};
use super::{COUNT_FIELD, EMPTY_BYTES, HEADER, TAIL_FIELD, UNCOUNTED, Ziplist};
use crate::structures::DecodeError;

impl Ziplist {
    /// A ziplist with these bytes.
    ///
    /// # Errors
    /// When they are not exactly one ziplist, see [`Ziplist::check`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Ziplist, DecodeError> {
        Ziplist::from_bytes_showing(bytes, |_| {})
    }

    /// As [`Ziplist::from_bytes`], and shows each value when it is reached: who has to look at the values anyway need
    /// not walk them twice.
    ///
    /// # Errors
    /// As [`Ziplist::from_bytes`]; some values may have been shown then.
    #[inline]
    pub fn from_bytes_showing<'a>(bytes: &'a [u8], show: impl FnMut(Value<'a>)) -> Result<Ziplist, DecodeError> {
        walk(bytes, show)?;
        Ok(Ziplist(Block::copy_of(bytes)))
    }

    /// Whether these bytes are a ziplist; answers the number of entries.
    ///
    /// # Errors
    /// The first trouble met: of the length, the end mark, the entries from first to last, the place of the last one,
    /// their number.
    pub fn check(bytes: &[u8]) -> Result<usize, DecodeError> {
        walk(bytes, |_| {})
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        if let Err(error) = Ziplist::check(self.as_bytes()) {
            panic!("{error}: {:?}", self.as_bytes());
        }
    }
}

/// See [`Ziplist::check`] and [`Ziplist::from_bytes_showing`].
#[inline]
fn walk<'a>(bytes: &'a [u8], mut show: impl FnMut(Value<'a>)) -> Result<usize, DecodeError> {
    let trouble = |offset, reason| Err(DecodeError { offset, reason });
    let (&[l0, l1, l2, l3, t0, t1, t2, t3, c0, c1, ..], true) = (bytes, bytes.len() >= EMPTY_BYTES) else {
        return trouble(bytes.len(), "a ziplist shorter than an empty one");
    };
    let (said, found) = (u32::from_le_bytes([l0, l1, l2, l3]), bytes.len());
    if said as usize != found {
        return trouble(0, "a length that is not that of the ziplist");
    }
    let end = bytes.len() - 1;
    if bytes[end] != END {
        return trouble(end, "no end mark");
    }
    // Entries are read from what lies before the end mark, so that none reaches beyond it.
    let entries = &bytes[..end];
    let (mut at, mut last, mut last_len, mut found) = (HEADER, HEADER, 0, 0);
    while at < end {
        if entries[at] == END {
            return trouble(at, "an end mark before the end");
        }
        let entry = match Entry::read(entries, at) {
            Ok(entry) if entry.end() <= end => entry,
            Ok(_) | Err(Unreadable::Truncated) => return trouble(at, "an entry that is not whole"),
            Err(Unreadable::Encoding) => return trouble(at, "an encoding that does not exist"),
        };
        if entry.previous_len != last_len {
            return trouble(at, "a previous length that is not that of the entry before");
        }
        show(entry.value(entries));
        (last, last_len, at) = (at, entry.len(), entry.end());
        found += 1;
    }
    let said = u32::from_le_bytes([t0, t1, t2, t3]);
    if said as usize != last {
        return trouble(TAIL_FIELD, "a last entry elsewhere than it is");
    }
    let said = u16::from_le_bytes([c0, c1]);
    if said != UNCOUNTED && usize::from(said) != found {
        return trouble(COUNT_FIELD, "a wrong number of entries");
    }
    Ok(found)
}
