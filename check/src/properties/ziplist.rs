//! Ziplists: a sequence under any changes, whose bytes are always whole; and any bytes are taken or refused, by both
//! halves alike.

use tally_engine::structures::ziplist::{EMPTY_BYTES, Position, Value, Ziplist};
use tally_model::rdb::ziplist as naive;

/// A step of [`a_ziplist_is_a_sequence`]. Places are taken modulo the number of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds an entry before a place, or at the end.
    Insert(u8, Vec<u8>),
    /// Adds an entry at the end.
    Append(Vec<u8>),
    /// Puts another value in the place of an entry.
    Replace(u8, Vec<u8>),
    /// Removes entries from a place on.
    Delete(u8, u8),
    /// Adds all entries once more, behind themselves.
    Double,
    /// Looks for a value, passing over so many entries after each that is looked at.
    Find(Vec<u8>, u8),
}

/// Values of the lengths and sizes at which encodings change, and at which lengths of neighbours grow.
#[must_use]
pub fn value(kind: u8, n: u8) -> Vec<u8> {
    const EDGES: [i64; 12] =
        [0, 12, 13, 127, 128, 32_767, 32_768, 0x7F_FFFF, 0x80_0000, 0x7FFF_FFFF, 0x8000_0000, i64::MAX];
    let edge = EDGES[usize::from(n) % EDGES.len()];
    match kind % 8 {
        0 => edge.to_string().into_bytes(),
        1 => (-edge - i64::from(n % 2)).to_string().into_bytes(),
        2 => vec![b'a'; usize::from(n % 4)],
        3 => vec![b'b'; 60 + usize::from(n % 8)],
        4 | 5 => vec![b'c'; 244 + usize::from(n % 12)],
        6 => vec![n; usize::from(n) * 3],
        _ if n > 250 => vec![b'd'; 16_380 + usize::from(n % 8)],
        _ => format!("0{n}").into_bytes(),
    }
}

/// Operations for any bytes: four for each.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let (place, a, b) = (at(1), at(2), at(3));
        match at(0) % 16 {
            0..=4 => Operation::Insert(place, value(a, b)),
            5 | 6 => Operation::Append(value(a, b)),
            7..=9 => Operation::Replace(place, value(a, b)),
            10..=12 => Operation::Delete(place, a % 4),
            13 if b < 16 => Operation::Double,
            _ => Operation::Find(value(a, b), place % 3),
        }
    };
    bytes.chunks(4).map(decode).collect()
}

/// Entries beyond which nothing is added, so that runs take no longer than they say something.
const MOST: usize = 600;

/// A ziplist holds what a vector holds, from either end, and its bytes are those of a valid ziplist at every step.
pub fn a_ziplist_is_a_sequence(operations: &[Operation]) {
    let mut list = Ziplist::new();
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for operation in operations {
        apply(&mut list, &mut wanted, operation);
        list.validate();
        assert_eq!(list.len(), wanted.len());
        assert_eq!(list.is_empty(), wanted.is_empty());
        assert!(list.bytes() >= list.byte_len());
    }
    same(&list, &wanted);
    let again = Ziplist::from_bytes(list.as_bytes());
    assert_eq!(again.map(|again| again.as_bytes().to_vec()), Ok(list.as_bytes().to_vec()));
    assert_eq!(naive::read(list.as_bytes()), Ok(wanted));
}

fn apply(list: &mut Ziplist, wanted: &mut Vec<Vec<u8>>, operation: &Operation) {
    let place = |place: u8| usize::from(place) % wanted.len().max(1);
    let position = |list: &Ziplist, at: usize| list.index(at as i64);
    match operation {
        Operation::Insert(..) | Operation::Append(_) | Operation::Double if wanted.len() > MOST => {}
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
        Operation::Delete(at, count) => {
            let at = place(*at);
            if let Some(position) = position(list, at) {
                let behind = list.delete_range(position, usize::from(*count));
                wanted.drain(at..(at + usize::from(*count)).min(wanted.len()));
                assert_eq!(behind.map(|behind| list.get(behind).to_vec()), wanted.get(at).cloned());
            }
        }
        Operation::Double => {
            let again = list.clone();
            list.append_all(&again);
            wanted.extend_from_within(..);
        }
        Operation::Find(text, skip) => {
            let step = usize::from(*skip) + 1;
            let found = (0..wanted.len()).step_by(step).find(|&at| wanted[at] == *text);
            let position = found.and_then(|at| position(list, at));
            assert_eq!(list.find(list.first(), text, usize::from(*skip)), position);
        }
    }
}

/// Every way to look at the entries shows these.
fn same(list: &Ziplist, wanted: &[Vec<u8>]) {
    let held: Vec<Vec<u8>> = list.iter().map(Value::to_vec).collect();
    assert_eq!(held, wanted);
    let steps = |first: Option<Position>, step: fn(&Ziplist, Position) -> Option<Position>| {
        std::iter::successors(first, move |&position| step(list, position))
    };
    let forwards: Vec<Position> = steps(list.first(), Ziplist::next).collect();
    let mut backwards: Vec<Position> = steps(list.last(), Ziplist::previous).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    for (index, &position) in forwards.iter().enumerate() {
        assert_eq!(list.get(position).to_vec(), wanted[index]);
        assert_eq!(list.get(position).text_len(), wanted[index].len());
        assert_eq!(list.index(index as i64), Some(position));
        assert_eq!(list.index(index as i64 - wanted.len() as i64), Some(position));
    }
    assert_eq!(list.index(wanted.len() as i64), None);
    assert_eq!(list.index(-(wanted.len() as i64) - 1), None);
}

/// Any bytes are judged by both halves alike, and what is taken is a ziplist that can be changed. So are the bytes when
/// they are taken for entries, with a header that fits them put in front.
pub fn any_bytes_are_taken_or_refused(bytes: &[u8]) {
    judged_alike(bytes);
    judged_alike(&with_header(bytes));
}

fn judged_alike(bytes: &[u8]) {
    let read = naive::read(bytes);
    match Ziplist::from_bytes(bytes) {
        Ok(mut list) => {
            let held: Vec<Vec<u8>> = list.iter().map(Value::to_vec).collect();
            assert_eq!(read, Ok(held.clone()));
            assert_eq!(list.as_bytes(), bytes);
            if let Some(first) = list.first() {
                list.replace(first, Value::Bytes(&[b'x'; 300]));
                list.validate();
                list.delete(first);
                list.validate();
            }
            list.push_front(Value::Int(5));
            list.validate();
            assert_eq!(list.len(), held.len().max(1));
        }
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error}");
            assert!(read.is_err(), "{error}, but the model reads {read:?}");
        }
    }
}

/// These bytes as the entries of a ziplist whose header fits them, as far as they can be read.
#[must_use]
pub fn with_header(entries: &[u8]) -> Vec<u8> {
    let header = EMPTY_BYTES - 1;
    let mut bytes = vec![0; header];
    bytes.extend_from_slice(entries);
    bytes.push(0xFF);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    // Previous lengths are put right where they take one byte, so that most of the trouble lies elsewhere.
    let (mut at, mut last, mut last_len, mut count) = (header, header, 0, 0u16);
    while at + 1 < bytes.len() - 1 {
        if last_len < 254 && bytes[at] < 254 {
            bytes[at] = last_len as u8;
        }
        let previous = if bytes[at] < 254 { 1 } else { 5 };
        let body = match bytes.get(at + previous) {
            Some(&mark @ 0..0x40) => 1 + usize::from(mark),
            Some(&mark @ 0x40..0x80) => {
                let low = bytes.get(at + previous + 1).copied().unwrap_or(0);
                2 + (usize::from(mark & 0x3F) << 8 | usize::from(low))
            }
            Some(0xFE) => 2,
            Some(0xC0) => 3,
            Some(0xF0) => 4,
            Some(0xD0) => 5,
            Some(0xE0) => 9,
            Some(0xF1..0xFE) => 1,
            _ => break,
        };
        last = at;
        last_len = previous + body;
        at += last_len;
        count += 1;
    }
    bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    bytes[8..10].copy_from_slice(&count.to_le_bytes());
    bytes
}
