//! Records into a stream, with the running checksum.
//!
//! Small fields are gathered in a buffer of a few kilobytes; what is larger goes straight to the sink, so a snapshot
//! allocates nothing per key.

use std::io::{self, Write};

use super::number::{ENCODED, encode_integer, encode_length, encoding, integer_of};
use super::{VERSION, opcode, value_type};
use crate::crc64::Crc64;
use crate::faults::{self, Fault};
use crate::structures::lzf;

/// Fields are passed on to the sink in pieces of about this size.
const BUFFER: usize = 16 * 1024;
/// Strings up to this length are never compressed.
const NEVER_COMPRESSED: usize = 20;
/// How much a compressed string must save.
const MIN_SAVING: usize = 4;

/// What is written before a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// When it expires, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Seconds since it was used (LRU policies only).
    pub idle_seconds: Option<u64>,
    /// Its LFU counter (LFU policies only).
    pub frequency: Option<u8>,
}

/// Writes records one by one.
pub struct Writer<W: Write> {
    sink: W,
    buffer: Vec<u8>,
    packed: Vec<u8>,
    checksum: Option<Crc64>,
    compress: bool,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header. `compress`: strings may be compressed; `checksum`: the file ends in one, else in 0.
    pub fn new(sink: W, compress: bool, checksum: bool) -> io::Result<Self> {
        let mut writer = Self { checksum: checksum.then(Crc64::new), ..Self::bare(sink, compress) };
        writer.raw(format!("REDIS{VERSION:04}").as_bytes())?;
        Ok(writer)
    }

    /// Writes neither header nor end: for values by themselves.
    pub(crate) fn bare(sink: W, compress: bool) -> Self {
        Self { sink, buffer: Vec::new(), packed: Vec::new(), checksum: None, compress, written: 0 }
    }

    /// The sink, when everything was passed on to it.
    pub(crate) fn into_sink(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.sink)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            return self.pass_on(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        self.written += bytes.len() as u64;
        self.sink.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.pass_on(&buffer);
        buffer.clear();
        self.buffer = buffer;
        result
    }

    pub(super) fn number(&mut self, number: u64) -> io::Result<()> {
        let (bytes, used) = encode_length(number);
        self.raw(&bytes[..used])
    }

    pub(super) fn text(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Short strings, most of them, are encoded in place.
        if bytes.len() <= NEVER_COMPRESSED {
            if self.buffer.len() + NEVER_COMPRESSED + 1 > BUFFER {
                self.flush()?;
            }
            write_text(bytes, false, &mut self.buffer);
            return Ok(());
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        let result = if self.compress && pack(bytes, &mut packed) {
            self.raw(&packed)
        } else {
            self.number(bytes.len() as u64).and_then(|()| self.raw(bytes))
        };
        self.packed = packed;
        result
    }

    /// A fact about the file.
    pub fn aux(&mut self, name: &[u8], text: &[u8]) -> io::Result<()> {
        self.raw(&[opcode::AUX])?;
        self.text(name)?;
        self.text(text)
    }

    /// The database of the keys after it, and its size.
    pub fn database(&mut self, index: u64, keys: u64, expires: u64) -> io::Result<()> {
        self.raw(&[opcode::SELECTDB])?;
        self.number(index)?;
        self.raw(&[opcode::RESIZEDB])?;
        self.number(keys)?;
        self.number(expires)
    }

    /// A key that holds the string `value`.
    pub fn string(&mut self, key: &[u8], attributes: Attributes, value: &[u8]) -> io::Result<()> {
        self.entry(key, attributes, value_type::STRING)?;
        self.text(value)
    }

    /// A key that holds the integer `value`.
    pub fn integer(&mut self, key: &[u8], attributes: Attributes, value: i64) -> io::Result<()> {
        self.entry(key, attributes, value_type::STRING)?;
        self.integer_text(value)
    }

    /// The text of an integer, in its shortest form.
    pub(super) fn integer_text(&mut self, value: i64) -> io::Result<()> {
        match encode_integer(value) {
            Some((bytes, used)) => self.raw(&bytes[..used]),
            None => self.text(value.to_string().as_bytes()),
        }
    }

    /// A string that was compressed before.
    pub(super) fn compressed(&mut self, block: &[u8], plain: usize) -> io::Result<()> {
        self.raw(&[ENCODED | encoding::LZF])?;
        self.number(block.len() as u64)?;
        self.number(plain as u64)?;
        self.raw(block)
    }

    pub(super) fn entry(&mut self, key: &[u8], attributes: Attributes, value_type: u8) -> io::Result<()> {
        if let Some(at_ms) = attributes.expires_at_ms {
            let at_ms = if faults::is(Fault::RdbDeadlineInSeconds) { at_ms / 1000 * 1000 } else { at_ms };
            self.raw(&[opcode::EXPIRETIME_MS])?;
            self.raw(&at_ms.to_le_bytes())?;
        }
        if let Some(seconds) = attributes.idle_seconds {
            self.raw(&[opcode::IDLE])?;
            self.number(seconds)?;
        }
        if let Some(frequency) = attributes.frequency {
            self.raw(&[opcode::FREQ, frequency])?;
        }
        self.raw(&[value_type])?;
        self.text(key)
    }

    /// Writes the end; returns the sink and how many bytes the whole took.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.raw(&[opcode::EOF])?;
        self.flush()?;
        let checksum = self.checksum.take().map_or(0, |checksum| checksum.value());
        self.raw(&checksum.to_le_bytes())?;
        self.flush()?;
        self.sink.flush()?;
        Ok((self.sink, self.written))
    }
}

/// Appends the stored form of a string: an integer where it is one, compressed where that pays, else plain.
pub fn write_text(bytes: &[u8], compress: bool, target: &mut Vec<u8>) {
    if let Some((form, used)) = integer_of(bytes).and_then(|value| encode_integer(i64::from(value))) {
        target.extend_from_slice(&form[..used]);
        return;
    }
    if compress && pack(bytes, target) {
        return;
    }
    let (length, used) = encode_length(bytes.len() as u64);
    target.extend_from_slice(&length[..used]);
    target.extend_from_slice(bytes);
}

/// Appends the compressed form when it saves enough; otherwise leaves `target` alone and answers `false`.
fn pack(bytes: &[u8], target: &mut Vec<u8>) -> bool {
    if bytes.len() <= NEVER_COMPRESSED {
        return false;
    }
    let start = target.len();
    // The lengths stand before the block, and the first is known after it: room for the longest is left, then closed.
    const HEADER: usize = 1 + 9 + 9;
    target.resize(start + HEADER, 0);
    if !lzf::compress(bytes, bytes.len() - MIN_SAVING, target) {
        target.truncate(start);
        return false;
    }
    let compressed = target.len() - start - HEADER;
    let mut header = [0; HEADER];
    header[0] = ENCODED | encoding::LZF;
    let mut used = 1;
    for length in [compressed, bytes.len()] {
        let (form, size) = encode_length(length as u64);
        header[used..used + size].copy_from_slice(&form[..size]);
        used += size;
    }
    target[start..start + used].copy_from_slice(&header[..used]);
    target.drain(start + used..start + HEADER);
    true
}
