//! Writes files and payloads, plainly or in any of the forms a reader has to accept.

use super::content::Content;
use super::item::ValueType;
use super::{VERSION, opcode};
use crate::crc64;
use crate::lzf;

/// Which of the possible forms a writer chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// Write strings that are integers as integers. [RDB-6]
    pub integers: bool,
    /// Compress strings from this length on. [RDB-9]
    pub compress_from: Option<usize>,
    /// Write lengths in eight bytes where fewer would do. [RDB-2]
    pub wide_lengths: bool,
    /// Compute the checksum. [RDB-27]
    pub checksum: bool,
}

impl Default for Forms {
    fn default() -> Self {
        Self { integers: true, compress_from: None, wide_lengths: false, checksum: true }
    }
}

/// A length in its shortest form. [RDB-1]
pub fn length(number: u64) -> Vec<u8> {
    match number {
        0..=63 => vec![number as u8],
        64..=16_383 => vec![0x40 | (number >> 8) as u8, number as u8],
        16_384..=0xffff_ffff => {
            let mut bytes = vec![0x80];
            bytes.extend((number as u32).to_be_bytes());
            bytes
        }
        _ => wide_length(number),
    }
}

/// A length in the chosen form. [RDB-2]
pub(super) fn length_bytes(number: u64, forms: Forms) -> Vec<u8> {
    if forms.wide_lengths { wide_length(number) } else { length(number) }
}

fn wide_length(number: u64) -> Vec<u8> {
    let mut bytes = vec![0x81];
    bytes.extend(number.to_be_bytes());
    bytes
}

/// A string in the chosen form. [RDB-5] [RDB-6] [RDB-8]
pub fn string_bytes(string: &[u8], forms: Forms) -> Vec<u8> {
    let length = |number: usize| length_bytes(number as u64, forms);
    if forms.integers
        && let Some(integer) = integer_bytes(string)
    {
        return integer;
    }
    if forms.compress_from.is_some_and(|from| string.len() >= from) {
        let compressed = lzf::compress(string);
        let mut bytes = vec![0xc3];
        bytes.extend(length(compressed.len()));
        bytes.extend(length(string.len()));
        bytes.extend(compressed);
        return bytes;
    }
    let mut bytes = length(string.len());
    bytes.extend(string);
    bytes
}

/// The special encoding of a string that is a canonical 32-bit integer. [RDB-6]
fn integer_bytes(string: &[u8]) -> Option<Vec<u8>> {
    let integer: i32 = std::str::from_utf8(string).ok()?.parse().ok()?;
    if integer.to_string().as_bytes() != string {
        return None;
    }
    let mut bytes;
    if let Ok(small) = i8::try_from(integer) {
        bytes = vec![0xc0];
        bytes.extend(small.to_le_bytes());
    } else if let Ok(middle) = i16::try_from(integer) {
        bytes = vec![0xc1];
        bytes.extend(middle.to_le_bytes());
    } else {
        bytes = vec![0xc2];
        bytes.extend(integer.to_le_bytes());
    }
    Some(bytes)
}

/// A DUMP payload of a string. [PAYLOAD-1] [PAYLOAD-2]
pub fn payload_of(string: &[u8], forms: Forms) -> Vec<u8> {
    finished(vec![0], &string_bytes(string, forms))
}

/// A DUMP payload of any value in the form of a type; `None` if that type cannot hold it. [PAYLOAD-1] [PAYLOAD-4]
pub fn payload_of_value(value: &Content, kind: ValueType, forms: Forms) -> Option<Vec<u8>> {
    Some(finished(vec![kind.0], &value.bytes(kind, forms)?))
}

fn finished(mut bytes: Vec<u8>, value: &[u8]) -> Vec<u8> {
    bytes.extend(value);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc64::checksum(&bytes).to_le_bytes());
    bytes
}

/// A file under construction.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    forms: Forms,
}

impl Writer {
    /// Begins a file of this version. [RDB-11]
    pub fn new(version: u16, forms: Forms) -> Self {
        Self { bytes: format!("REDIS{version:04}").into_bytes(), forms }
    }

    /// [RDB-14]
    pub fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.push(opcode::AUX);
        self.string(name);
        self.string(value);
    }

    /// [RDB-16]
    pub fn select_db(&mut self, db: u64) {
        self.bytes.push(opcode::SELECTDB);
        self.bytes.extend(length(db));
    }

    /// [RDB-18]
    pub fn resize_db(&mut self, keys: u64, expires: u64) {
        self.bytes.push(opcode::RESIZEDB);
        self.bytes.extend(length(keys));
        self.bytes.extend(length(expires));
    }

    /// A library of functions, in files since version 10. [RDB-38]
    pub fn function(&mut self, text: &[u8]) {
        self.bytes.push(opcode::FUNCTION2);
        self.string(text);
    }

    /// Hints about a cluster slot, in files since version 11. [RDB-39]
    pub fn slot_info(&mut self, slot: u64, keys: u64, expires: u64) {
        self.bytes.push(opcode::SLOT_INFO);
        for number in [slot, keys, expires] {
            self.bytes.extend(length_bytes(number, self.forms));
        }
    }

    /// A deadline in Unix milliseconds. [RDB-20]
    pub fn expire_ms(&mut self, unix_ms: i64) {
        self.bytes.push(opcode::EXPIRETIME_MS);
        self.bytes.extend(unix_ms.to_le_bytes());
    }

    /// A deadline in Unix seconds. [RDB-21]
    pub fn expire_seconds(&mut self, unix_s: i32) {
        self.bytes.push(opcode::EXPIRETIME);
        self.bytes.extend(unix_s.to_le_bytes());
    }

    /// [RDB-22]
    pub fn idle(&mut self, seconds: u64) {
        self.bytes.push(opcode::IDLE);
        self.bytes.extend(length(seconds));
    }

    /// [RDB-23]
    pub fn frequency(&mut self, frequency: u8) {
        self.bytes.push(opcode::FREQ);
        self.bytes.push(frequency);
    }

    /// [RDB-29]
    pub fn key(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.push(0);
        self.string(key);
        self.string(value);
    }

    /// A key of any type in the form that is named; answers whether that form can hold the value. [RDBVAL-1]
    pub fn value(&mut self, key: &[u8], value: &Content, kind: ValueType) -> bool {
        let Some(value) = value.bytes(kind, self.forms) else { return false };
        self.bytes.push(kind.0);
        self.string(key);
        self.bytes.extend(value);
        true
    }

    /// Bytes as they are, for files that are damaged on purpose.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Ends the file. [RDB-26] [RDB-27]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(opcode::EOF);
        let sum = if self.forms.checksum { crc64::checksum(&self.bytes) } else { 0 };
        self.bytes.extend(sum.to_le_bytes());
        self.bytes
    }

    fn string(&mut self, string: &[u8]) {
        let string = string_bytes(string, self.forms);
        self.bytes.extend(string);
    }
}
