//! Intsets: the set of integers that a `BTreeSet` is, in bytes whose width follows from what was ever in it; and any
//! bytes are taken or refused, by both halves alike.

use std::collections::BTreeSet;

use tally_engine::structures::intset::Intset;
use tally_model::rdb::intset as naive;

/// One change or look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds an integer.
    Insert(i64),
    /// Takes an integer out.
    Remove(i64),
    /// Takes out the integer at a place, taken modulo the number of integers.
    RemoveAt(u8),
    /// Looks for an integer.
    Contains(i64),
    /// Saves and loads the whole.
    Reload,
}

/// An integer near one of the borders between widths, or a small one.
#[must_use]
pub fn integer(kind: u8, n: u8) -> i64 {
    const EDGES: [i64; 7] = [0, i16::MIN as i64, i16::MAX as i64, i32::MIN as i64, i32::MAX as i64, i64::MIN, i64::MAX];
    let near = i64::from(n as i8);
    match EDGES.get(usize::from(kind % 16)) {
        Some(edge) => edge.saturating_add(near / 16),
        None => near,
    }
}

/// Operations for any bytes: one for every three.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let value = integer(at(1), at(2));
        match at(0) % 16 {
            0..=7 => Operation::Insert(value),
            8..=10 => Operation::Remove(value),
            11 | 12 => Operation::RemoveAt(at(1)),
            13 | 14 => Operation::Contains(value),
            _ => Operation::Reload,
        }
    };
    bytes.chunks(3).map(decode).collect()
}

/// Bytes that the widest integer so far needs.
fn width(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

/// Whatever is done to an intset, it is a set of integers; its width is the least that held all it ever had.
pub fn an_intset_is_a_set(operations: &[Operation]) {
    let mut set = Intset::new();
    let mut known = BTreeSet::new();
    let mut widest = 2;
    for operation in operations {
        match *operation {
            Operation::Insert(value) => {
                assert_eq!(set.insert(value), known.insert(value));
                widest = widest.max(width(value));
            }
            Operation::Remove(value) => assert_eq!(set.remove(value), known.remove(&value)),
            Operation::RemoveAt(place) => {
                let place = usize::from(place) % known.len().max(1);
                let value = known.iter().nth(place).copied();
                assert_eq!(set.get(place), value);
                if let Some(value) = value {
                    assert!(set.remove(value) && known.remove(&value));
                }
            }
            Operation::Contains(value) => assert_eq!(set.contains(value), known.contains(&value)),
            Operation::Reload => match Intset::decode(set.as_bytes()) {
                Ok(loaded) => set = loaded,
                Err(error) => panic!("an intset does not load what it saved: {error}"),
            },
        }
        set.validate();
        assert_eq!((set.len(), set.width()), (known.len(), widest));
        assert!(set.iter().eq(known.iter().copied()) && set.iter().rev().eq(known.iter().rev().copied()));
        assert_eq!(naive::read(set.as_bytes()).ok().as_deref(), Some(&known.iter().copied().collect::<Vec<_>>()[..]));
    }
}

/// Any bytes are an intset or refused, as the naive reader says; what is taken is held as it came. Says whether it was
/// taken.
pub fn any_bytes_are_taken_or_refused(bytes: &[u8]) -> bool {
    let read = naive::read(bytes);
    match Intset::decode(bytes) {
        Ok(set) => {
            set.validate();
            assert_eq!(set.as_bytes(), bytes);
            assert_eq!(read, Ok(set.iter().collect()));
            true
        }
        Err(error) => {
            assert!(read.is_err(), "only the engine refuses {bytes:?}: {error}");
            assert!(error.offset <= bytes.len());
            false
        }
    }
}
