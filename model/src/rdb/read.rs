//! Reads bytes front to back.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Content;
use super::item::{File, Item, Key, RdbError, RdbErrorKind, ValueType};
use super::ziplist::Wrong;
use super::{HIGHEST_READ, VERSION, intset, listpack, opcode, stream, ziplist, zipmap};
use crate::crc64;
use crate::lzf;
use crate::reply::Bytes;
use crate::score::Score;
use crate::score::parse_score;
use crate::span::Span;
use crate::stream::{Consumer, Group, Pending, StreamId, StreamValue};

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

/// What a key holds.
enum Value {
    Held(Content),
    /// A value of the module type with this id.
    OfModule(u64),
}

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
        let start = self.at;
        match self.number()? {
            2 => self.number()?,
            part => return Err((start, RdbErrorKind::ModulePart(part))),
        };
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
    /// A value in the form of a type; of modules' values only whose they are, as far as their form tells where they end.
    /// [RDBVAL-1]
    fn value(&mut self, kind: ValueType, start: usize) -> Result<Value, Fault> {
        let value_start = self.at;
        let content = match kind {
            ValueType::STRING => Content::String(self.string()?),
            ValueType::LIST => Content::List(self.strings()?),
            ValueType::SET => Content::Set(self.strings()?),
            ValueType::HASH => Content::Hash(self.pairs(|cursor| cursor.string())?),
            ValueType::ZSET => Content::Zset(self.pairs(Self::score_text)?),
            ValueType::ZSET_2 => Content::Zset(self.pairs(|cursor| Ok(f64::from_bits(cursor.little_endian(8)?)))?),
            ValueType::HASH_ZIPMAP => Content::Hash(self.structure(zipmap::read)?),
            ValueType::LIST_ZIPLIST => Content::List(self.structure(ziplist::read)?),
            ValueType::INTSET => {
                let members = self.structure(intset::read)?;
                Content::Set(members.into_iter().map(|member| member.to_string().into_bytes()).collect())
            }
            ValueType::ZSET_ZIPLIST => Content::Zset(self.structure(|bytes| sorted(&ziplist::read(bytes)?))?),
            ValueType::HASH_ZIPLIST => Content::Hash(self.structure(|bytes| in_pairs(&ziplist::read(bytes)?))?),
            ValueType::QUICKLIST => {
                let mut items = Vec::new();
                for _ in 0..self.number()? {
                    items.extend(self.structure(ziplist::read)?);
                }
                Content::List(items)
            }
            ValueType::STREAM | ValueType::STREAM_2 | ValueType::STREAM_3 => Content::Stream(self.stream(kind)?),
            ValueType::SET_LISTPACK => Content::Set(self.structure(listpack::read)?),
            ValueType::ZSET_LISTPACK => Content::Zset(self.structure(|bytes| sorted(&listpack::read(bytes)?))?),
            ValueType::HASH_LISTPACK => Content::Hash(self.structure(|bytes| in_pairs(&listpack::read(bytes)?))?),
            ValueType::QUICKLIST_2 => {
                let mut items = Vec::new();
                for _ in 0..self.number()? {
                    items.extend(self.list_node()?);
                }
                Content::List(items)
            }
            _ => return Ok(Value::OfModule(self.module_value(kind, start)?)),
        };
        match content.wrong() {
            None => Ok(Value::Held(content)),
            Some(wrong) => Err((value_start, RdbErrorKind::Structure(wrong))),
        }
    }

    fn strings(&mut self) -> Result<Vec<Bytes>, Fault> {
        let mut strings = Vec::new();
        for _ in 0..self.number()? {
            strings.push(self.string()?);
        }
        Ok(strings)
    }

    fn pairs<T>(&mut self, second: fn(&mut Self) -> Result<T, Fault>) -> Result<Vec<(Bytes, T)>, Fault> {
        let mut pairs = Vec::new();
        for _ in 0..self.number()? {
            pairs.push((self.string()?, second(self)?));
        }
        Ok(pairs)
    }

    /// A string that holds a structure, which is judged where its content begins.
    fn structure<T>(&mut self, read: fn(&[u8]) -> Result<T, Wrong>) -> Result<T, Fault> {
        let start = self.at;
        read(&self.string()?).map_err(|wrong| (start, RdbErrorKind::Structure(wrong)))
    }

    /// One large element, or a listpack of elements. [RDBVAL-10]
    fn list_node(&mut self) -> Result<Vec<Bytes>, Fault> {
        let start = self.at;
        match self.number()? {
            1 => Ok(vec![self.string()?]),
            2 => self.structure(listpack::read),
            _ => Err((start, RdbErrorKind::Structure("a node of the list is neither an element nor a listpack"))),
        }
    }

    /// A score as text of so many bytes, 253 to 255 standing for not a number and the infinities. [RDBVAL-3]
    fn score_text(&mut self) -> Result<f64, Fault> {
        let start = self.at;
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            length => {
                let text = self.take(u64::from(length))?;
                parse_score(text).ok_or((start, RdbErrorKind::Structure("a score is no number")))
            }
        }
    }

    /// Reads over a module's value, but for its type's id.
    fn module_value(&mut self, kind: ValueType, start: usize) -> Result<u64, Fault> {
        match kind.0 {
            7 => {
                let id = self.number()?;
                self.module_parts()?;
                Ok(id)
            }
            _ => Err((start, RdbErrorKind::OtherType(kind))),
        }
    }

    /// [RDBSTREAM-1] [RDBSTREAM-2] [RDBSTREAM-10]
    fn stream(&mut self, form: ValueType) -> Result<StreamValue, Fault> {
        let start = self.at;
        let mut nodes = Vec::new();
        for _ in 0..self.number()? {
            let at = self.at;
            let id = self.structure(|bytes| StreamId::from_bytes(bytes).ok_or("the id of a node has not 16 bytes"))?;
            let listpack = self.string()?;
            let node = stream::node_of_listpack(id, &listpack);
            nodes.push((id, node.map_err(|wrong| (at, RdbErrorKind::Structure(wrong)))?));
        }
        let wrong = |wrong| (start, RdbErrorKind::Structure(wrong));
        let length = self.number()?;
        let last_id = self.id()?;
        let nodes = stream::nodes(nodes, last_id).map_err(wrong)?;
        let mut value = StreamValue { nodes, last_id, groups: BTreeMap::new() };
        if value.len() as u64 != length {
            return Err(wrong("the stream has another number of entries than it says"));
        }
        if form != ValueType::STREAM {
            // The first id, the greatest deleted one, and how many entries were ever added.
            self.id()?;
            self.id()?;
            self.number()?;
        }
        for _ in 0..self.number()? {
            let at = self.at;
            let name = self.string()?;
            let group = self.group(form)?;
            if value.groups.insert(name, group).is_some() {
                return Err((at, RdbErrorKind::Structure("a group stands twice")));
            }
        }
        Ok(value)
    }

    /// The two numbers of an id as lengths.
    fn id(&mut self) -> Result<StreamId, Fault> {
        Ok(StreamId { ms: self.number()?, seq: self.number()? })
    }

    /// The two numbers of an id in sixteen bytes.
    fn plain_id(&mut self) -> Result<StreamId, Fault> {
        Ok(StreamId { ms: self.big_endian(8)?, seq: self.big_endian(8)? })
    }

    fn time(&mut self) -> Result<Span, Fault> {
        Ok(Span::at(self.little_endian(8)?.cast_signed()))
    }

    /// A group but for its name. [RDBSTREAM-3] [RDBSTREAM-4] [RDBSTREAM-5] [RDBSTREAM-7] [RDBSTREAM-10] [RDBSTREAM-11]
    fn group(&mut self, form: ValueType) -> Result<Group, Fault> {
        let start = self.at;
        let wrong = |wrong| (start, RdbErrorKind::Structure(wrong));
        let mut group = Group { last_id: self.id()?, ..Group::default() };
        if form != ValueType::STREAM {
            // How many entries were read.
            self.number()?;
        }
        // What is pending, and whose it is once that is known.
        let mut unowned: BTreeMap<StreamId, (Span, u64)> = BTreeMap::new();
        for _ in 0..self.number()? {
            let (id, delivered, deliveries) = (self.plain_id()?, self.time()?, self.number()?);
            if unowned.insert(id, (delivered, deliveries)).is_some() {
                return Err(wrong("a pending entry stands twice"));
            }
        }
        for _ in 0..self.number()? {
            let name = self.string()?;
            let consumer = Consumer { seen: self.time()? };
            if form == ValueType::STREAM_3 {
                // When something was last delivered to it.
                self.time()?;
            }
            for _ in 0..self.number()? {
                let id = self.plain_id()?;
                let Some((delivered, deliveries)) = unowned.remove(&id) else {
                    return Err(wrong("a consumer has an entry that is not pending for it alone"));
                };
                group.pending.insert(id, Pending { consumer: name.clone(), delivered, deliveries });
            }
            if group.consumers.insert(name, consumer).is_some() {
                return Err(wrong("a consumer stands twice"));
            }
        }
        if unowned.is_empty() { Ok(group) } else { Err(wrong("a pending entry has no consumer")) }
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
    let Some(version @ 1..=HIGHEST_READ) = version else {
        return Err((5, RdbErrorKind::Version(version)));
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
            // [RDB-40]
            opcode::FUNCTION2 if version >= 10 => items.push((start, Item::Function(cursor.string()?))),
            opcode::SLOT_INFO if version >= 11 => {
                let (slot, keys, expires) = (cursor.number()?, cursor.number()?, cursor.number()?);
                items.push((start, Item::SlotInfo { slot, keys, expires }));
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
            other if ValueType(other).since().is_some_and(|since| since <= version) => {
                let kind = ValueType(other);
                let named = cursor.at;
                let key = cursor.string()?;
                let value = cursor.value(kind, start)?;
                if !seen.insert((db, key.clone())) {
                    return Err((named, RdbErrorKind::Duplicate));
                }
                let (deadline_ms, idle_seconds, frequency) =
                    (deadline_ms.take(), idle_seconds.take(), frequency.take());
                let item = match value {
                    Value::Held(value) => Item::Key(Key { db, key, kind, value, deadline_ms, idle_seconds, frequency }),
                    Value::OfModule(id) => Item::Other { db, key, kind, id },
                };
                items.push((start, item));
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

/// The value in a payload's body, its form, and how many bytes follow it. [PAYLOAD-2] [PAYLOAD-4]
///
/// Types that came after the version of payloads are unknown in them. [RESTORE-9]
pub fn value_of_payload(body: &[u8]) -> Result<(ValueType, Content, usize), RdbError> {
    let fault = |(offset, kind)| RdbError { offset, kind, items: Vec::new() };
    let mut cursor = Cursor::new(body);
    let kind = ValueType(cursor.byte().map_err(fault)?);
    if kind.since().is_none_or(|since| since > VERSION) {
        return Err(fault((0, RdbErrorKind::UnknownOpcode(kind.0))));
    }
    match cursor.value(kind, 0).map_err(fault)? {
        Value::Held(value) => Ok((kind, value, body.len() - cursor.at)),
        Value::OfModule(_) => Err(fault((0, RdbErrorKind::OtherType(kind)))),
    }
}

/// Two entries each of a ziplist or listpack. [RDBVAL-4]
fn in_pairs(entries: &[Bytes]) -> Result<Vec<(Bytes, Bytes)>, Wrong> {
    if !entries.len().is_multiple_of(2) {
        return Err("there is an odd number of entries");
    }
    Ok(entries.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// Members and scores of a ziplist or listpack, by ascending score and then by bytes. [RDBVAL-5]
fn sorted(entries: &[Bytes]) -> Result<Vec<(Bytes, f64)>, Wrong> {
    let mut members: Vec<(Bytes, f64)> = Vec::new();
    for (member, score) in in_pairs(entries)? {
        let score = parse_score(&score).ok_or("a score is no number")?;
        if members.last().is_some_and(|last| (Score(last.1), &last.0) > (Score(score), &member)) {
            return Err("the members do not ascend by score");
        }
        members.push((member, score));
    }
    Ok(members)
}
