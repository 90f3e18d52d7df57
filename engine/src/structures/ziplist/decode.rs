//! A ziplist from bytes that somebody else wrote: everything is checked once, so that nothing has to be afterwards.
//!
//! Accepted is whatever Redis can have written, long fields for short lengths included, and nothing else. The check
//! walks all entries and takes no memory; the copy is as long as the input.

use super::block::Block;
use super::entry::{END, Entry, Unreadable};
use super::{COUNT_FIELD, EMPTY_BYTES, HEADER, TAIL_FIELD, UNCOUNTED, Ziplist};

/// Why bytes are no ziplist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ziplist: {reason} at byte {offset}")]
pub struct DecodeError {
    /// Where in the input the trouble is.
    pub offset: usize,
    /// What it is.
    pub reason: Reason,
}

/// What is wrong with a ziplist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Fewer bytes than one without entries has.
    #[error("shorter than an empty one")]
    TooShort,
    /// The length field does not tell how many bytes there are.
    #[error("{said} bytes announced where there are {found}")]
    Length {
        /// What the field says.
        said: u32,
        /// How many there are.
        found: usize,
    },
    /// The last byte is no end mark.
    #[error("no end mark")]
    NoEnd,
    /// An entry is not whole.
    #[error("an entry that is not whole")]
    Truncated,
    /// An encoding that does not exist.
    #[error("encoding {0:#04x}, which does not exist")]
    Encoding(u8),
    /// A previous length is not the length of the entry before.
    #[error("a previous length of {said} after {found} bytes")]
    Previous {
        /// What the field says.
        said: usize,
        /// How long the entry before is.
        found: usize,
    },
    /// The end mark comes before the end.
    #[error("an end mark in the middle")]
    EarlyEnd,
    /// The field for the last entry does not point to it.
    #[error("the last entry said to be at {said}, but it is at {found}")]
    Tail {
        /// What the field says.
        said: u32,
        /// Where it is.
        found: usize,
    },
    /// The number of entries is wrong.
    #[error("{said} entries announced where there are {found}")]
    Count {
        /// What the field says.
        said: u16,
        /// How many there are.
        found: usize,
    },
}

impl Ziplist {
    /// A ziplist with these bytes.
    ///
    /// # Errors
    /// When they are not exactly one ziplist, see [`Ziplist::check`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Ziplist, DecodeError> {
        Ziplist::check(bytes)?;
        Ok(Ziplist(Block::copy_of(bytes)))
    }

    /// Whether these bytes are a ziplist; answers the number of entries.
    ///
    /// # Errors
    /// The first trouble met: of the length, the end mark, the entries from first to last, the place of the last one,
    /// their number.
    pub fn check(bytes: &[u8]) -> Result<usize, DecodeError> {
        let trouble = |offset, reason| Err(DecodeError { offset, reason });
        let (&[l0, l1, l2, l3, t0, t1, t2, t3, c0, c1, ..], true) = (bytes, bytes.len() >= EMPTY_BYTES) else {
            return trouble(bytes.len(), Reason::TooShort);
        };
        let (said, found) = (u32::from_le_bytes([l0, l1, l2, l3]), bytes.len());
        if said as usize != found {
            return trouble(0, Reason::Length { said, found });
        }
        let end = bytes.len() - 1;
        if bytes[end] != END {
            return trouble(end, Reason::NoEnd);
        }
        // Entries are read from what lies before the end mark, so that none reaches beyond it.
        let entries = &bytes[..end];
        let (mut at, mut last, mut last_len, mut found) = (HEADER, HEADER, 0, 0);
        while at < end {
            if entries[at] == END {
                return trouble(at, Reason::EarlyEnd);
            }
            let entry = match Entry::read(entries, at) {
                Ok(entry) if entry.end() <= end => entry,
                Ok(_) | Err(Unreadable::Truncated) => return trouble(at, Reason::Truncated),
                Err(Unreadable::Encoding(mark)) => return trouble(at, Reason::Encoding(mark)),
            };
            if entry.previous_len != last_len {
                return trouble(at, Reason::Previous { said: entry.previous_len, found: last_len });
            }
            (last, last_len, at) = (at, entry.len(), entry.end());
            found += 1;
        }
        let said = u32::from_le_bytes([t0, t1, t2, t3]);
        if said as usize != last {
            return trouble(TAIL_FIELD, Reason::Tail { said, found: last });
        }
        let said = u16::from_le_bytes([c0, c1]);
        if said != UNCOUNTED && usize::from(said) != found {
            return trouble(COUNT_FIELD, Reason::Count { said, found });
        }
        Ok(found)
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
