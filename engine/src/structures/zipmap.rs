//! Small hashes of Redis before 2.6, which old RDB files hold: only read.
//!
//! ```text
//! offset  0  number of pairs; 254 and 255: walk to know
//!         1  pairs: length, field, length, free, value, free bytes
//!         …  end mark 0xFF
//!
//! length     nn                 below 254
//!            FE llllllll×4      little endian
//! free       nn                 bytes behind the value that mean nothing
//! ```

use super::DecodeError;

/// Begins a length of five bytes.
const LONG: u8 = 254;
/// Ends the pairs.
const END: u8 = 255;

/// A field and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The pairs, in their order. That a field comes twice is not this function's matter.
///
/// # Errors
/// When a field or the end mark lies beyond the end, when bytes follow the end mark, or when another number of pairs is
/// announced than there is.
pub fn decode(bytes: &[u8]) -> Result<Vec<Pair<'_>>, DecodeError> {
    let mut input = Input { bytes, at: 0 };
    let announced = input.byte()?;
    let mut pairs = Vec::new();
    loop {
        let start = input.at;
        if input.byte()? == END {
            break;
        }
        input.at = start;
        let length = input.length()?;
        let field = input.take(length)?;
        let length = input.length()?;
        let free = input.byte()?;
        let value = input.take(length)?;
        input.take(usize::from(free))?;
        pairs.push((field, value));
    }
    if input.at != bytes.len() {
        return Err(input.wrong("bytes follow the end of the zipmap"));
    }
    if announced < LONG && usize::from(announced) != pairs.len() {
        return Err(DecodeError { offset: 0, reason: "the zipmap announces another number of pairs than it holds" });
    }
    Ok(pairs)
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn wrong(&self, reason: &'static str) -> DecodeError {
        DecodeError { offset: self.at, reason }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length);
        let Some(taken) = end.and_then(|end| self.bytes.get(self.at..end)) else {
            return Err(self.wrong("the zipmap ends inside a pair"));
        };
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let start = self.at;
        match self.byte()? {
            END => Err(DecodeError { offset: start, reason: "the end mark of a zipmap where a length is needed" }),
            LONG => {
                let bytes = self.take(4)?;
                Ok(bytes.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)))
            }
            short => Ok(usize::from(short)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_whatever_the_form_of_their_lengths_and_whatever_lies_free() {
        let bytes = b"\x02\x01a\x01\x020zz\xfe\x02\0\0\0bc\x00\x00\xff";
        assert_eq!(decode(bytes).unwrap(), [(&b"a"[..], &b"0"[..]), (b"bc", b"")]);
        assert_eq!(decode(b"\x00\xff").unwrap(), []);
        assert_eq!(decode(b"\xfe\x00\x00\x00\xff").unwrap(), [(&b""[..], &b""[..])]);
    }

    #[test]
    fn every_cut_and_every_wrong_count_is_refused() {
        let whole = b"\x02\x01a\x01\x020zz\xfe\x02\0\0\0bc\x00\x00\xff";
        for end in 0..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&whole[..], b"\xff"].concat()).is_err());
        let mut other = whole.to_vec();
        other[0] = 3;
        assert_eq!(decode(&other).unwrap_err().offset, 0);
    }
}
