//! A source with a buffer, an offset and a checksum.
//!
//! What was taken from the buffer is only counted; it is summed when the buffer is used up, so the checksum runs over
//! long pieces and a field inside the buffer is borrowed, not copied. A field that straddles buffers is gathered in the
//! caller's scratch space, which grows as its bytes come.

use std::borrow::Cow;
use std::io::{self, Read};

use super::number::{LENGTH_32, LENGTH_64, Length, encoding};
use super::reader::Text;
use super::{RdbError, RdbErrorKind};
use crate::crc64::Crc64;
use crate::structures::lzf;

/// Strings from this length on are handed over instead of copied once more.
const OWNED_FROM: usize = 64 * 1024;

/// First size of the buffer, bytes, enough for most payloads and small files; it doubles while the source fills it.
const FIRST_BUFFER: usize = 4 * 1024;
/// Largest size of the buffer, bytes.
const LARGEST_BUFFER: usize = 256 * 1024;

pub(crate) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were taken.
    taken: usize,
    /// Bytes of the buffer that came from the source.
    filled: usize,
    offset: u64,
    checksum: Option<Crc64>,
    /// What errors name as the record they are in.
    pub(crate) opcode: Option<u8>,
    /// How often each form of a string was met, see [`super::Forms`].
    pub(crate) forms: super::Forms,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R, start: u64) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            taken: 0,
            filled: 0,
            offset: start,
            checksum: Some(Crc64::new()),
            opcode: None,
            forms: super::Forms::default(),
        }
    }

    /// Bytes since the beginning of the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Old files have no checksum, so nothing need be summed.
    pub(crate) fn forget_checksum(&mut self) {
        self.checksum = None;
    }

    /// The sum of everything taken so far, 0 when none is kept.
    pub(crate) fn checksum(&mut self) -> u64 {
        self.sum_taken();
        self.checksum.as_ref().map_or(0, Crc64::value)
    }

    /// The source, behind what was read from it ahead.
    pub(crate) fn into_source(mut self) -> io::Chain<io::Cursor<Vec<u8>>, R> {
        self.buffer.truncate(self.filled);
        self.buffer.drain(..self.taken);
        io::Cursor::new(self.buffer).chain(self.source)
    }

    pub(crate) fn error(&self, offset: u64, kind: RdbErrorKind) -> RdbError {
        RdbError { offset, opcode: self.opcode, kind }
    }

    /// Sums what was taken and makes its place free.
    fn sum_taken(&mut self) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.buffer[..self.taken]);
        }
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
    }

    /// What the buffer holds beyond the taken part; empty at the end of the source only.
    #[inline]
    fn rest(&mut self) -> Result<&[u8], RdbError> {
        if self.taken == self.filled {
            self.fill()?;
        }
        Ok(&self.buffer[self.taken..self.filled])
    }

    #[cold]
    fn fill(&mut self) -> Result<(), RdbError> {
        let size = self.buffer.len();
        let full = self.filled == size;
        self.sum_taken();
        if full && size < LARGEST_BUFFER {
            self.buffer.resize((size * 2).max(FIRST_BUFFER), 0);
        }
        loop {
            match self.source.read(&mut self.buffer) {
                Ok(bytes) => {
                    self.filled = bytes;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(self.offset, RdbErrorKind::Io(error.kind()))),
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.offset += bytes as u64;
    }

    /// Whether nothing follows.
    pub(crate) fn at_end(&mut self) -> Result<bool, RdbError> {
        Ok(self.rest()?.is_empty())
    }

    pub(crate) fn byte(&mut self) -> Result<u8, RdbError> {
        match self.rest()?.first() {
            Some(&byte) => {
                self.take(1);
                Ok(byte)
            }
            None => Err(self.error(self.offset, RdbErrorKind::Truncated { needed: 1, available: 0 })),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let start = self.offset;
        let mut bytes = [0; N];
        let mut filled = 0;
        while filled < N {
            let rest = self.rest()?;
            let step = rest.len().min(N - filled);
            bytes[filled..filled + step].copy_from_slice(&rest[..step]);
            if step == 0 {
                let kind = RdbErrorKind::Truncated { needed: N as u64, available: filled as u64 };
                return Err(self.error(start, kind));
            }
            self.take(step);
            filled += step;
        }
        Ok(bytes)
    }

    /// `length` bytes, borrowed where they lie in one buffer, else gathered in `scratch`.
    pub(crate) fn bytes<'a>(&'a mut self, length: u64, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], RdbError> {
        let length = self.addressable(length)?;
        if self.rest()?.len() >= length {
            let from = self.taken;
            self.take(length);
            return Ok(&self.buffer[from..from + length]);
        }
        scratch.clear();
        self.gather(length, scratch)?;
        Ok(scratch)
    }

    /// Appends `length` bytes to `target`.
    fn gather(&mut self, length: usize, target: &mut Vec<u8>) -> Result<(), RdbError> {
        let start = self.offset;
        let mut left = length;
        while left > 0 {
            let rest = self.rest()?;
            let step = rest.len().min(left);
            if step == 0 {
                let kind = RdbErrorKind::Truncated { needed: length as u64, available: (length - left) as u64 };
                return Err(self.error(start, kind));
            }
            target.extend_from_slice(&rest[..step]);
            self.take(step);
            left -= step;
        }
        Ok(())
    }

    fn addressable(&self, length: u64) -> Result<usize, RdbError> {
        // More than half the address space cannot be one allocation.
        usize::try_from(length)
            .ok()
            .filter(|&length| isize::try_from(length).is_ok())
            .ok_or_else(|| self.error(self.offset, RdbErrorKind::Length(length)))
    }

    pub(crate) fn length(&mut self) -> Result<Length, RdbError> {
        let start = self.offset;
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            3 => Length::Encoded(first & 0x3f),
            _ if first == LENGTH_32 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            _ if first == LENGTH_64 => Length::Plain(u64::from_be_bytes(self.array()?)),
            _ => return Err(self.error(start, RdbErrorKind::LengthEncoding(first))),
        })
    }

    /// A length that must be a plain number.
    pub(crate) fn number(&mut self) -> Result<u64, RdbError> {
        let start = self.offset;
        match self.length()? {
            Length::Plain(number) => Ok(number),
            Length::Encoded(code) => Err(self.error(start, RdbErrorKind::NumberExpected(code))),
        }
    }

    /// A string in any of its encodings.
    pub(crate) fn text<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<Text<'a>, RdbError> {
        let start = self.offset;
        match self.length()? {
            Length::Plain(length) => {
                self.forms.raw += 1;
                if length >= OWNED_FROM as u64 {
                    let mut owned = Vec::new();
                    let length = self.addressable(length)?;
                    self.gather(length, &mut owned)?;
                    return Ok(Text::Bytes(Cow::Owned(owned)));
                }
                Ok(Text::Bytes(Cow::Borrowed(self.bytes(length, &mut scratch.plain)?)))
            }
            Length::Encoded(encoding::INT8) => {
                self.forms.int8 += 1;
                Ok(Text::Integer(i32::from(i8::from_le_bytes(self.array()?))))
            }
            Length::Encoded(encoding::INT16) => {
                self.forms.int16 += 1;
                Ok(Text::Integer(i32::from(i16::from_le_bytes(self.array()?))))
            }
            Length::Encoded(encoding::INT32) => {
                self.forms.int32 += 1;
                Ok(Text::Integer(i32::from_le_bytes(self.array()?)))
            }
            Length::Encoded(encoding::LZF) => {
                self.forms.lzf += 1;
                self.compressed_text(start, scratch)
            }
            Length::Encoded(code) => Err(self.error(start, RdbErrorKind::StringEncoding(code))),
        }
    }

    fn compressed_text<'a>(&'a mut self, start: u64, scratch: &'a mut Scratch) -> Result<Text<'a>, RdbError> {
        let compressed = self.number()?;
        let plain = self.number()?;
        let plain = self.addressable(plain)?;
        let opcode = self.opcode;
        let Scratch { plain: target, compressed: gathered } = scratch;
        let block = self.bytes(compressed, gathered)?;
        target.clear();
        lzf::decompress(block, plain, target).map_err(|error| RdbError {
            offset: start,
            opcode,
            kind: RdbErrorKind::Lzf(error),
        })?;
        Ok(Text::Bytes(if plain >= OWNED_FROM { Cow::Owned(std::mem::take(target)) } else { Cow::Borrowed(target) }))
    }
}

/// Room for strings that cannot be borrowed from the source, kept between them.
#[derive(Default)]
pub(crate) struct Scratch {
    plain: Vec<u8>,
    compressed: Vec<u8>,
}
