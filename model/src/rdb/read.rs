//! Reads bytes front to back.

use std::collections::BTreeSet;

use super::item::{File, Item, Key, RdbError, RdbErrorKind, ValueType};
use super::{VERSION, opcode};
use crate::crc64;
use crate::lzf;
use crate::reply::Bytes;

/// Bytes, and how far they are read.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What stands where a length can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Number(u64),
    Special(u8),
}

type Fault = (usize, RdbErrorKind);

impl<'a> Cursor<'a> {
    /// Reads from the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next `count` bytes. [RDB-32] [RDB-34]
    fn take(&mut self, count: u64) -> Result<&'a [u8], Fault> {
        let available = self.bytes.len() - self.at;
        let taken = usize::try_from(count).ok().filter(|&count| count <= available);
        let Some(taken) = taken else {
            return Err((self.at, RdbErrorKind::Truncated { needed: count, available: available as u64 }));
        };
        let taken = &self.bytes[self.at..self.at + taken];
        self.at += taken.len();
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    fn big_endian(&mut self, count: u64) -> Result<u64, Fault> {
        Ok(self.take(count)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn little_endian(&mut self, count: u64) -> Result<u64, Fault> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// [RDB-1] [RDB-2] [RDB-3] [RDB-4]
    fn length_or_special(&mut self) -> Result<Length, Fault> {
        let start = self.at;
        let first = self.byte()?;
        match first {
            0x00..=0x3f => Ok(Length::Number(u64::from(first))),
            0x40..=0x7f => Ok(Length::Number(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?))),
            0x80 => Ok(Length::Number(self.big_endian(4)?)),
            0x81 => Ok(Length::Number(self.big_endian(8)?)),
            0x82..=0xbf => Err((start, RdbErrorKind::LengthForm(first))),
            0xc0..=0xc3 => Ok(Length::Special(first & 0x3f)),
            0xc4..=0xff => Err((start, RdbErrorKind::SpecialEncoding(first))),
        }
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let start = self.at;
        match self.length_or_special()? {
            Length::Number(number) => Ok(number),
            Length::Special(special) => Err((start, RdbErrorKind::SpecialEncoding(special | 0xc0))),
        }
    }

    fn string(&mut self) -> Result<Bytes, Fault> {
        match self.length_or_special()? {
            // [RDB-5]
            Length::Number(length) => Ok(self.take(length)?.to_vec()),
            // [RDB-7]
            Length::Special(0) => Ok((self.little_endian(1)? as i8).to_string().into_bytes()),
            Length::Special(1) => Ok((self.little_endian(2)? as i16).to_string().into_bytes()),
            Length::Special(2) => Ok((self.little_endian(4)? as i32).to_string().into_bytes()),
            // [RDB-8] [RDB-10]
            Length::Special(_) => {
                let compressed = self.number()?;
                let length = self.number()?;
                let start = self.at;
                let compressed = self.take(compressed)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                lzf::expand(compressed, length).map_err(|error| (start, RdbErrorKind::Lzf(error)))
            }
        }
    }

    /// Module data outside keys: its id, when it was saved, and parts. [RDB-25]
    fn module_aux(&mut self) -> Result<u64, Fault> {
        let id = self.number()?;
        // When it was saved, as a part of its own.
        self.number()?;
        self.number()?;
        self.module_parts()?;
        Ok(id)
    }

    /// Parts of module data that each begin with their sort.
    fn module_parts(&mut self) -> Result<(), Fault> {
        loop {
            let start = self.at;
            match self.number()? {
                0 => return Ok(()),
                1 | 2 => {
                    self.number()?;
                }
                3 => {
                    self.take(4)?;
                }
                4 => {
                    self.take(8)?;
                }
                5 => {
                    self.string()?;
                }
                part => return Err((start, RdbErrorKind::ModulePart(part))),
            }
        }
    }
}

impl Cursor<'_> {
    /// Reads over a value that is no string, as far as its form tells where it ends.
    fn skip(&mut self, kind: ValueType, start: usize) -> Result<(), Fault> {
        match kind.0 {
            // Lists, sets, quicklists: so many strings.
            1 | 2 | 14 => self.skip_strings(1),
            // Hashes: so many pairs of strings.
            4 => self.skip_strings(2),
            // Sorted sets: so many members, each with a score, as text or in eight bytes.
            3 => {
                for _ in 0..self.number()? {
                    self.string()?;
                    let length = self.byte()?;
                    // 253 to 255 stand for not a number and the infinities.
                    if length < 253 {
                        self.take(u64::from(length))?;
                    }
                }
                Ok(())
            }
            5 => {
                for _ in 0..self.number()? {
                    self.string()?;
                    self.take(8)?;
                }
                Ok(())
            }
            7 => {
                self.number()?;
                self.module_parts()
            }
            // Zipmaps, ziplists, intsets: one string that holds it all.
            9..=13 => self.string().map(drop),
            15 => self.skip_stream(),
            _ => Err((start, RdbErrorKind::OtherType(kind))),
        }
    }

    fn skip_strings(&mut self, each: usize) -> Result<(), Fault> {
        for _ in 0..self.number()? {
            for _ in 0..each {
                self.string()?;
            }
        }
        Ok(())
    }

    fn skip_stream(&mut self) -> Result<(), Fault> {
        self.skip_strings(2)?;
        // Entries, and the last id's two halves.
        for _ in 0..3 {
            self.number()?;
        }
        for _group in 0..self.number()? {
            self.string()?;
            self.number()?;
            self.number()?;
            for _pending in 0..self.number()? {
                // Id, delivery time, delivery count.
                self.take(16 + 8)?;
                self.number()?;
            }
            for _consumer in 0..self.number()? {
                self.string()?;
                self.take(8)?;
                for _pending in 0..self.number()? {
                    self.take(16)?;
                }
            }
        }
        Ok(())
    }
}

/// One string from the beginning of these bytes, and how many bytes it takes.
pub fn string(bytes: &[u8]) -> Result<(Bytes, usize), RdbError> {
    let mut cursor = Cursor::new(bytes);
    let string = cursor.string().map_err(|(offset, kind)| RdbError { offset, kind, items: Vec::new() })?;
    Ok((string, cursor.at))
}

/// Reads a file to its end, or to the first thing that is wrong.
pub fn file(bytes: &[u8]) -> Result<File, RdbError> {
    let mut items = Vec::new();
    match read_file(bytes, &mut items) {
        Ok((version, checksum, length)) => Ok(File { version, items, checksum, length }),
        Err((offset, kind)) => Err(RdbError { offset, kind, items }),
    }
}

fn read_file(bytes: &[u8], items: &mut Vec<(usize, Item)>) -> Result<(u16, Option<u64>, usize), Fault> {
    let mut cursor = Cursor::new(bytes);
    // [RDB-11] [RDB-12]
    if cursor.take(5)? != b"REDIS" {
        return Err((0, RdbErrorKind::Magic));
    }
    let digits = cursor.take(4)?;
    let version = digits
        .iter()
        .try_fold(0_u16, |version, digit| digit.is_ascii_digit().then(|| version * 10 + u16::from(digit - b'0')));
    let Some(version @ 1..=VERSION) = version else {
        return Err((5, RdbErrorKind::Version));
    };
    let mut db = 0;
    let mut deadline_ms = None;
    let mut idle_seconds = None;
    let mut frequency = None;
    let mut seen: BTreeSet<(u64, Bytes)> = BTreeSet::new();
    loop {
        let start = cursor.at;
        match cursor.byte()? {
            opcode::AUX => {
                let name = cursor.string()?;
                let value = cursor.string()?;
                items.push((start, Item::Aux { name, value }));
            }
            opcode::SELECTDB => {
                db = cursor.number()?;
                items.push((start, Item::SelectDb(db)));
            }
            opcode::RESIZEDB => {
                let keys = cursor.number()?;
                let expires = cursor.number()?;
                items.push((start, Item::ResizeDb { keys, expires }));
            }
            opcode::MODULE_AUX => {
                let id = cursor.module_aux()?;
                items.push((start, Item::ModuleAux { id }));
            }
            opcode::EXPIRETIME_MS => deadline_ms = Some(cursor.little_endian(8)? as i64),
            opcode::EXPIRETIME => {
                deadline_ms = Some(i64::from(cursor.little_endian(4)? as i32) * 1000);
            }
            opcode::IDLE => idle_seconds = Some(cursor.number()?),
            opcode::FREQ => frequency = Some(cursor.byte()?),
            opcode::EOF => {
                let checksum = if version >= 5 { Some(read_checksum(&mut cursor)?) } else { None };
                return Ok((version, checksum, cursor.at));
            }
            0 => {
                let named = cursor.at;
                let key = cursor.string()?;
                let value = cursor.string()?;
                if !seen.insert((db, key.clone())) {
                    return Err((named, RdbErrorKind::Duplicate));
                }
                let item = Key {
                    db,
                    key,
                    value,
                    deadline_ms: deadline_ms.take(),
                    idle_seconds: idle_seconds.take(),
                    frequency: frequency.take(),
                };
                items.push((start, Item::Key(item)));
            }
            other if ValueType(other).name().is_some() => {
                let named = cursor.at;
                let key = cursor.string()?;
                cursor.skip(ValueType(other), start)?;
                if !seen.insert((db, key.clone())) {
                    return Err((named, RdbErrorKind::Duplicate));
                }
                (deadline_ms, idle_seconds, frequency) = (None, None, None);
                items.push((start, Item::Other { db, key, kind: ValueType(other) }));
            }
            other => return Err((start, RdbErrorKind::UnknownOpcode(other))),
        }
    }
}

/// [RDB-26] [RDB-27] [RDB-28]
fn read_checksum(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let covered = cursor.at;
    let stored = cursor.little_endian(8)?;
    if stored != 0 {
        let computed = crc64::checksum(&cursor.bytes[..covered]);
        if computed != stored {
            return Err((covered, RdbErrorKind::Checksum { stored, computed }));
        }
    }
    Ok(stored)
}

/// A payload's type byte and value, if its version and checksum hold. [PAYLOAD-1]
pub fn payload(payload: &[u8]) -> Option<&[u8]> {
    let body = payload.len().checked_sub(10)?;
    let version = u16::from_le_bytes([payload[body], payload[body + 1]]);
    let mut stored = [0; 8];
    stored.copy_from_slice(&payload[body + 2..]);
    let holds = version <= VERSION && u64::from_le_bytes(stored) == crc64::checksum(&payload[..body + 2]);
    holds.then_some(&payload[..body])
}

/// The string in a payload's body, and how many bytes follow it. [PAYLOAD-2]
pub fn value_of_payload(body: &[u8]) -> Result<(Bytes, usize), RdbError> {
    let fault = |offset, kind| RdbError { offset, kind, items: Vec::new() };
    let Some((&first, rest)) = body.split_first() else {
        return Err(fault(0, RdbErrorKind::Truncated { needed: 1, available: 0 }));
    };
    match ValueType(first) {
        ValueType::STRING => {
            let (value, length) = string(rest).map_err(|error| fault(error.offset + 1, error.kind))?;
            Ok((value, rest.len() - length))
        }
        kind if kind.name().is_some() => Err(fault(0, RdbErrorKind::OtherType(kind))),
        _ => Err(fault(0, RdbErrorKind::UnknownOpcode(first))),
    }
}
