//! Listpacks: a sequence under any changes, whose bytes are always whole; and any bytes are taken or refused as a plain
//! reading of their format says.

use tally_engine::structures::listpack::{EMPTY_BYTES, Listpack, Position, Value};

/// A step of [`a_listpack_is_a_sequence`]. Places are taken modulo the number of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds an entry before a place, or at the end.
    Insert(u8, Vec<u8>),
    /// Adds an entry at the end.
    Append(Vec<u8>),
    /// Puts another value in the place of an entry.
    Replace(u8, Vec<u8>),
    /// Removes an entry.
    Delete(u8),
    /// Gives back room.
    Shrink,
    /// Writes the whole and reads it again.
    Reload,
}

/// Values of the lengths and sizes at which encodings and back-lengths change.
#[must_use]
pub fn value(kind: u8, n: u8) -> Vec<u8> {
    const EDGES: [i64; 14] = [
        0,
        127,
        128,
        4095,
        4096,
        32_767,
        32_768,
        0x7F_FFFF,
        0x80_0000,
        0x7FFF_FFFF,
        0x8000_0000,
        i64::MAX,
        1 << 52,
        10,
    ];
    let edge = EDGES[usize::from(n) % EDGES.len()];
    match kind % 8 {
        0 | 1 => edge.to_string().into_bytes(),
        2 => (-edge - i64::from(n % 2)).to_string().into_bytes(),
        3 => vec![b'a'; usize::from(n % 4)],
        4 => vec![b'b'; 60 + usize::from(n % 8)],
        5 => vec![b'c'; 120 + usize::from(n % 12)],
        6 if n > 250 => vec![b'd'; 4090 + usize::from(n % 8)],
        6 if n > 240 => vec![b'e'; 16_370 + usize::from(n % 16)],
        6 => vec![n; usize::from(n)],
        _ => format!("0{n}").into_bytes(),
    }
}

/// Operations for any bytes: one for every four.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let (place, a, b) = (at(1), at(2), at(3));
        match at(0) % 16 {
            0..=4 => Operation::Insert(place, value(a, b)),
            5..=7 => Operation::Append(value(a, b)),
            8..=10 => Operation::Replace(place, value(a, b)),
            11..=13 => Operation::Delete(place),
            14 => Operation::Shrink,
            _ => Operation::Reload,
        }
    };
    bytes.chunks(4).map(decode).collect()
}

/// A listpack holds what a vector holds, from either end, and its bytes are those of a valid listpack at every step.
///
/// # Panics
/// When it does not.
pub fn a_listpack_is_a_sequence(operations: &[Operation]) {
    let mut list = Listpack::new();
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for operation in operations {
        apply(&mut list, &mut wanted, operation);
        list.validate();
        assert_eq!((list.len(), list.is_empty()), (wanted.len(), wanted.is_empty()));
        assert!(list.bytes() >= list.byte_len());
    }
    same(&list, &wanted);
    // What was built step by step is what is built at once: the bytes do not depend on the history.
    assert_eq!(list.as_bytes(), Listpack::of(wanted.iter().map(|text| Value::of(text))).as_bytes());
    assert_eq!(plainly_read(list.as_bytes()), Ok(wanted));
}

fn apply(list: &mut Listpack, wanted: &mut Vec<Vec<u8>>, operation: &Operation) {
    let place = |place: u8| usize::from(place) % wanted.len().max(1);
    let position = |list: &Listpack, at: usize| list.index(at as i64);
    match operation {
        Operation::Insert(at, text) => {
            let at = usize::from(*at) % (wanted.len() + 1);
            list.insert(position(list, at), Value::of(text));
            wanted.insert(at, text.clone());
        }
        Operation::Append(text) => {
            list.push_back(Value::of(text));
            wanted.push(text.clone());
        }
        Operation::Replace(at, text) => {
            let at = place(*at);
            if let Some(position) = position(list, at) {
                list.replace(position, Value::of(text));
                wanted[at].clone_from(text);
            }
        }
        Operation::Delete(at) => {
            let at = place(*at);
            if let Some(position) = position(list, at) {
                let behind = list.delete(position);
                wanted.remove(at);
                assert_eq!(behind.map(|behind| list.get(behind).to_vec()), wanted.get(at).cloned());
            }
        }
        Operation::Shrink => list.shrink_to_fit(),
        Operation::Reload => match Listpack::from_bytes(list.as_bytes()) {
            Ok(again) => *list = again,
            Err(error) => panic!("a listpack that is none: {error}"),
        },
    }
}

/// Every way to look at the entries shows these.
fn same(list: &Listpack, wanted: &[Vec<u8>]) {
    let held: Vec<Vec<u8>> = list.iter().map(Value::to_vec).collect();
    assert_eq!(held, wanted);
    let steps = |first: Option<Position>, step: fn(&Listpack, Position) -> Option<Position>| {
        std::iter::successors(first, move |&position| step(list, position))
    };
    let forwards: Vec<Position> = steps(list.first(), Listpack::next).collect();
    let mut backwards: Vec<Position> = steps(list.last(), Listpack::previous).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    for (index, &position) in forwards.iter().enumerate() {
        assert_eq!(list.get(position).to_vec(), wanted[index]);
        assert_eq!(list.index(index as i64), Some(position));
        assert_eq!(list.index(index as i64 - wanted.len() as i64), Some(position));
    }
    assert_eq!(list.index(wanted.len() as i64), None);
    assert_eq!(list.index(-(wanted.len() as i64) - 1), None);
}

/// The texts of a listpack, or where the format is broken: the format as its description has it, and nothing else.
fn plainly_read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, usize> {
    let number = |from: usize, size: usize| {
        let field = bytes.get(from..from + size).ok_or(from)?;
        Ok::<u64, usize>(field.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    if bytes.len() < EMPTY_BYTES || number(0, 4)? != bytes.len() as u64 || bytes.last() != Some(&0xFF) {
        return Err(0);
    }
    let (mut texts, mut at, end) = (Vec::new(), 6, bytes.len() - 1);
    while at < end {
        let mark = bytes[at];
        let signed = |value: u64, bits: u32| {
            let value = i128::from(value);
            if value >> (bits - 1) == 1 { value - (1 << bits) } else { value }
        };
        let (text_at, text_len, integer) = match mark {
            0..0x80 => (at + 1, 0, Some(i128::from(mark))),
            0x80..0xC0 => (at + 1, usize::from(mark - 0x80), None),
            0xC0..0xE0 => (at + 2, 0, Some(signed(u64::from(mark - 0xC0) << 8 | number(at + 1, 1)?, 13))),
            0xE0..0xF0 => (at + 2, usize::from(mark - 0xE0) << 8 | number(at + 1, 1)? as usize, None),
            0xF0 => (at + 5, number(at + 1, 4)? as usize, None),
            0xF1 => (at + 3, 0, Some(signed(number(at + 1, 2)?, 16))),
            0xF2 => (at + 4, 0, Some(signed(number(at + 1, 3)?, 24))),
            0xF3 => (at + 5, 0, Some(signed(number(at + 1, 4)?, 32))),
            0xF4 => (at + 9, 0, Some(signed(number(at + 1, 8)?, 64))),
            _ => return Err(at),
        };
        let text = match integer {
            Some(integer) => integer.to_string().into_bytes(),
            None => bytes.get(text_at..text_at + text_len).ok_or(at)?.to_vec(),
        };
        let len = text_at + text_len - at;
        // Seven bits a byte, the highest first; a length that fills all bits of two, three or four bytes takes one more.
        let mut groups = vec![len as u8 & 0x7F];
        let mut rest = len >> 7;
        while rest > 0 {
            groups.push(rest as u8 & 0x7F);
            rest >>= 7;
        }
        if (2..5).contains(&groups.len()) && groups.iter().all(|group| *group == 0x7F) {
            groups.push(0);
        }
        let last = groups.len() - 1;
        let back: Vec<u8> = groups
            .iter()
            .enumerate()
            .rev()
            .map(|(place, group)| if place == last { *group } else { group | 0x80 })
            .collect();
        let behind = at + len + back.len();
        if behind > end || bytes[at + len..behind] != back[..] {
            return Err(at);
        }
        texts.push(text);
        at = behind;
    }
    let said = number(4, 2)?;
    if said != 65_535 && said != texts.len() as u64 { Err(4) } else { Ok(texts) }
}

/// Any bytes are judged as a plain reading judges them, and what is taken is a listpack that can be changed. So are the
/// bytes when they are taken for entries, with a header that fits them put in front. Whether one of both was taken.
///
/// # Panics
/// When they are not.
pub fn any_bytes_are_taken_or_refused(bytes: &[u8]) -> bool {
    let as_they_are = judged_plainly(bytes);
    judged_plainly(&with_header(bytes)) || as_they_are
}

fn judged_plainly(bytes: &[u8]) -> bool {
    let read = plainly_read(bytes);
    match Listpack::from_bytes(bytes) {
        Ok(mut list) => {
            let held: Vec<Vec<u8>> = list.iter().map(Value::to_vec).collect();
            assert_eq!(read, Ok(held.clone()));
            assert_eq!(list.as_bytes(), bytes);
            same(&list, &held);
            if let Some(last) = list.last() {
                list.replace(last, Value::Bytes(&[b'x'; 300]));
                list.validate();
                list.delete(last);
                list.validate();
            }
            list.insert(list.first(), Value::Int(5));
            list.validate();
            true
        }
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error}");
            assert!(read.is_err(), "{error}, but it reads {read:?}");
            false
        }
    }
}

/// These bytes as the entries of a listpack whose header fits them, each with the back-length that it needs, as far as
/// they can be read.
#[must_use]
pub fn with_header(entries: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; EMPTY_BYTES - 1];
    let (mut at, mut count) = (0, 0u16);
    while let Some(&mark) = entries.get(at) {
        let len = match mark {
            0..0x80 => 1,
            0x80..0xC0 => 1 + usize::from(mark - 0x80),
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 2 + (usize::from(mark - 0xE0) << 8) + usize::from(entries.get(at + 1).copied().unwrap_or(0)),
            0xF0 => 5 + usize::from(entries.get(at + 1).copied().unwrap_or(0)),
            0xF1 => 3,
            0xF2 => 4,
            0xF3 => 5,
            0xF4 => 9,
            _ => 1,
        };
        let piece = &entries[at..(at + len).min(entries.len())];
        bytes.extend_from_slice(piece);
        match piece.len() {
            len @ 0..=127 => bytes.push(len as u8),
            len => bytes.extend([(len >> 7) as u8, len as u8 & 0x7F | 0x80]),
        }
        at += len;
        count = count.saturating_add(1);
    }
    bytes.push(0xFF);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
    bytes
}
