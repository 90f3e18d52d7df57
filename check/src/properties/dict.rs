//! The keyspace's hash table: whatever is done to it, it is the map that a `BTreeMap` is, its invariants hold after
//! every operation, and SCAN and the iterators keep what they promise.

use std::collections::{BTreeMap, BTreeSet};

use tally_engine::structures::dict::{Dict, Growth, HashKey};
use tally_engine::structures::key_entry::{EMBSTR_MAX, KeyEntry, Payload, Stored, new_entry};
use tally_engine::structures::key_table::KeyTable;

/// One operation on a table of keys. Keys are numbers, so that operations meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Stores a value, whatever was there.
    Store(u8, Value),
    /// Stores a value if there is one already; the expiry stays.
    Overwrite(u8, Value),
    /// Appends a byte to the value as a growable string.
    Append(u8, u8),
    /// Removes.
    Remove(u8),
    /// Removes this key and all the 31 after it.
    RemoveMany(u8),
    /// Looks up.
    Find(u8),
    /// Sets an expiry.
    Expire(u8, i64),
    /// Drops the expiry.
    Persist(u8),
    /// Gives the value another key, if that is free.
    Rename(u8, u8),
    /// Looks up, and removes what is over at that time.
    FindAlive(u8, i64),
    /// Moves buckets as the cron does.
    Rehash(u8),
    /// Shrinks as the cron does.
    Shrink,
    /// A snapshot child begins or ends.
    Child(bool),
    /// The next page of a SCAN.
    Scan,
    /// Takes some key.
    Random(u64),
    /// Removes all.
    Clear,
}

/// A value to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An integer.
    Int(i64),
    /// A string beside its key if it is short enough.
    Bytes(Vec<u8>),
    /// A growable string.
    Raw(Vec<u8>),
}

impl Value {
    fn payload(&self) -> Payload<'_> {
        match self {
            Value::Int(value) => Payload::Int { value: *value, shared: (0..10_000).contains(value) },
            Value::Bytes(bytes) if bytes.len() <= EMBSTR_MAX => Payload::Embstr(bytes.into()),
            Value::Bytes(bytes) | Value::Raw(bytes) => Payload::Raw(bytes.clone()),
        }
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Value::Int(value) => value.to_string().into_bytes(),
            Value::Bytes(bytes) | Value::Raw(bytes) => bytes.clone(),
        }
    }
}

/// Operations for any bytes: three or four for each.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let value = |kind: u8, n: u8| match kind % 3 {
        0 => Value::Int(i64::from(n) * 977 - 5000),
        1 => Value::Bytes(vec![kind; usize::from(n) / 4]),
        _ => Value::Raw(vec![kind; usize::from(n)]),
    };
    let decode = |chunk: &[u8]| {
        let at = |index: usize| chunk.get(index).copied().unwrap_or(0);
        // Few enough keys that operations meet, enough that tables grow to 128 buckets.
        let (key, a, b) = (at(1) % 80, at(2), at(3));
        match at(0) % 32 {
            0..=7 => Operation::Store(key, value(a, b)),
            8 => Operation::Overwrite(key, value(a, b)),
            9 => Operation::Append(key, a),
            10..=12 => Operation::Remove(key),
            13 => Operation::RemoveMany(key),
            14 => Operation::Find(key),
            15..=17 => Operation::Expire(key, i64::from(a % 4)),
            18 => Operation::Persist(key),
            19 => Operation::Rename(key, a),
            20 | 21 => Operation::FindAlive(key, i64::from(a % 4)),
            22 => Operation::Rehash(a % 4),
            23 => Operation::Child(a % 4 == 0),
            24..=29 => Operation::Scan,
            30 => Operation::Random(u64::from(key)),
            _ if a == 0 => Operation::Clear,
            _ => Operation::Shrink,
        }
    };
    bytes.chunks(4).map(decode).collect()
}

/// Bytes of a key; of different lengths, and one of them is empty.
fn key(number: u8) -> Vec<u8> {
    vec![number; usize::from(number % 9)].into_iter().chain((number > 0).then_some(number)).collect()
}

/// What an iteration of SCAN owes: every key that was there all the time.
#[derive(Default)]
struct Iteration {
    cursor: u64,
    owed: BTreeSet<Vec<u8>>,
    pages: usize,
}

type Contents = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

/// A table of keys is a map with expiries; SCAN keeps its guarantee.
pub fn a_key_table_is_a_map(seed: u64, operations: &[Operation]) {
    let mut table = KeyTable::new(HashKey(seed, !seed));
    let mut map = Contents::new();
    let mut iteration = Iteration::default();
    for operation in operations {
        apply(&mut table, &mut map, operation);
        if *operation == Operation::Scan {
            scan_page(&table, &map, &mut iteration);
        }
        iteration.owed.retain(|key| map.contains_key(key));
        table.validate();
        assert_eq!(table.len(), map.len());
        assert_eq!(table.expiring(), map.values().filter(|(_, expiry)| expiry.is_some()).count());
    }
    // What was begun comes to its end, however long that takes.
    let buckets: usize = table.dict().sizes().iter().sum();
    while iteration.cursor != 0 {
        scan_page(&table, &map, &mut iteration);
        assert!(iteration.pages <= operations.len() + 2 * buckets + 1, "the iteration does not end");
    }
    let held = table.iter().map(|entry| (entry.key().to_vec(), (text(entry.stored()), entry.expiry())));
    assert_eq!(held.collect::<Contents>(), map);
}

fn text(stored: Stored<'_>) -> Vec<u8> {
    match stored {
        Stored::Int(value) => value.to_string().into_bytes(),
        Stored::Bytes(bytes) => bytes.to_vec(),
        Stored::Collection(collection) => format!("{collection:?}").into_bytes(),
    }
}

fn scan_page(table: &KeyTable, map: &Contents, iteration: &mut Iteration) {
    if iteration.cursor == 0 {
        *iteration = Iteration { cursor: 0, owed: map.keys().cloned().collect(), pages: 0 };
    }
    iteration.pages += 1;
    iteration.cursor = table.scan(iteration.cursor, |entry| {
        assert!(map.contains_key(entry.key()), "a page shows a key that is not there");
        iteration.owed.remove(entry.key());
    });
    if iteration.cursor == 0 {
        assert!(iteration.owed.is_empty(), "never shown: {:?}", iteration.owed);
    }
}

fn apply(table: &mut KeyTable, map: &mut Contents, operation: &Operation) {
    match operation {
        Operation::Store(number, value) => {
            let key = key(*number);
            match table.find(&key) {
                Some(mut found) => found.assign(value.payload(), 7),
                None => table.insert_new(&key, value.payload(), 7, None),
            }
            map.insert(key, (value.text(), None));
        }
        Operation::Overwrite(number, value) => {
            let key = key(*number);
            let found = table.find(&key).map(|mut found| found.overwrite(value.payload()));
            let known = map.get_mut(&key).map(|(known, _)| *known = value.text());
            assert_eq!(found, known);
        }
        Operation::Append(number, byte) => {
            let key = key(*number);
            let found = table.find(&key).and_then(|mut found| found.raw().map(|mut raw| raw.push(*byte)));
            let known = map.get_mut(&key).map(|(known, _)| known.push(*byte));
            assert_eq!(found, known);
        }
        Operation::Remove(number) => remove(table, map, &key(*number)),
        Operation::RemoveMany(number) => {
            for number in *number..=number.saturating_add(31) {
                remove(table, map, &key(number));
            }
        }
        Operation::Find(number) => {
            let key = key(*number);
            let peeked = table.peek(&key).map(|entry| text(entry.stored()));
            let found = table.find(&key).map(|found| (text(found.get().stored()), found.get().expiry()));
            assert_eq!(peeked.as_ref(), map.get(&key).map(|(value, _)| value));
            assert_eq!(found.as_ref(), map.get(&key));
        }
        Operation::Expire(number, at_ms) => {
            let key = key(*number);
            let found = table.find(&key).map(|mut found| found.set_expiry(*at_ms));
            let known = map.get_mut(&key).map(|(_, expiry)| *expiry = Some(*at_ms));
            assert_eq!(found, known);
        }
        Operation::Persist(number) => {
            let key = key(*number);
            let found = table.find(&key).map(|mut found| found.persist());
            let known = map.get_mut(&key).map(|(_, expiry)| expiry.take().is_some());
            assert_eq!(found, known);
        }
        Operation::Rename(from, to) => {
            let (from, to) = (key(*from), key(*to));
            if map.contains_key(&to) {
                return;
            }
            let detached = table.find(&from).map(|found| found.detach());
            let known = map.remove(&from);
            assert_eq!(detached.is_some(), known.is_some());
            if let (Some(detached), Some(known)) = (detached, known) {
                table.attach(detached.renamed(&to));
                map.insert(to, known);
            }
        }
        Operation::FindAlive(number, now_ms) => {
            let key = key(*number);
            let over = map.get(&key).is_some_and(|(_, expiry)| expiry.is_some_and(|at_ms| at_ms < *now_ms));
            let mut expired = false;
            let found = table.find_alive(&key, *now_ms, &mut expired).is_some();
            assert_eq!(expired, over);
            if over {
                map.remove(&key);
            }
            assert_eq!(found, map.contains_key(&key));
        }
        Operation::Rehash(buckets) => {
            table.rehash(usize::from(*buckets));
        }
        Operation::Shrink => table.shrink_if_sparse(),
        Operation::Child(lives) => table.set_growth(if *lives { Growth::Avoided } else { Growth::Free }),
        Operation::Random(seed) => {
            let mut state = *seed;
            let drawn = table.random(|bound| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            });
            assert_eq!(drawn.is_none(), map.is_empty());
            assert!(drawn.is_none_or(|entry| map.contains_key(entry.key())));
            let mut some = BTreeSet::new();
            table.dict().some(5, *seed, |entry| {
                assert!(map.contains_key(entry.key()));
                assert!(some.insert(entry.key()), "an entry twice");
            });
            assert_eq!(some.len(), map.len().min(5));
        }
        Operation::Scan => {}
        Operation::Clear => {
            table.clear();
            map.clear();
        }
    }
}

fn remove(table: &mut KeyTable, map: &mut Contents, key: &[u8]) {
    let found = table.find(key).map(|found| found.remove()).is_some();
    assert_eq!(found, map.remove(key).is_some());
}

fn entry(key: &[u8]) -> tally_engine::structures::dict::Owned<KeyEntry> {
    new_entry(key, Payload::Int { value: 1, shared: true }, 0, false)
}

/// A dict of these keys, with `steps` buckets of a move done that the last insertion may have begun.
fn dict_of(seed: u64, keys: &BTreeSet<u8>, steps: usize) -> Dict<KeyEntry> {
    let mut dict = Dict::new(HashKey(seed, seed.rotate_left(17)));
    for &number in keys {
        dict.insert_new(entry(&key(number)));
    }
    dict.rehash(steps);
    dict
}

/// A safe iterator returns once what is there from its beginning to its end, nothing moves while it is open, and
/// changes through it (`true` inserts, `false` removes, one before each step) do it no harm.
pub fn a_safe_iterator_survives_changes(seed: u64, keys: &BTreeSet<u8>, steps: usize, changes: &[(bool, u8)]) {
    let mut dict = dict_of(seed, keys, steps);
    let mut known: BTreeSet<Vec<u8>> = keys.iter().map(|&number| key(number)).collect();
    let mut constant = known.clone();
    let mut returned: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let moved = dict.rehash_index();
    let mut iterator = dict.safe_iter();
    let mut changes = changes.iter();
    while let Some(current) = iterator.next().map(|entry| entry.key().to_vec()) {
        assert!(known.contains(&current), "it returns what is not there");
        *returned.entry(current.clone()).or_default() += 1;
        if let Some(&(insert, number)) = changes.next() {
            // Every fourth change removes what was just returned.
            let changed = if !insert && number % 4 == 0 { current } else { key(number) };
            constant.remove(&changed);
            if insert {
                assert_eq!(iterator.insert(entry(&changed)).is_ok(), known.insert(changed));
            } else {
                assert_eq!(iterator.remove(&changed).is_some(), known.remove(&changed));
            }
        }
        if moved.is_some() {
            assert_eq!(iterator.dict().rehash_index(), moved, "a bucket moved");
        }
    }
    drop(iterator);
    dict.validate();
    assert_eq!(dict.len(), known.len());
    for key in constant {
        assert_eq!(returned.get(&key), Some(&1), "{key:?}");
    }
}

/// An unsafe iterator returns every entry once, and notices an insertion, a removal and a move of buckets.
pub fn an_unsafe_iterator_notices_changes(seed: u64, keys: &BTreeSet<u8>, steps: usize, before: usize) {
    let mut dict = dict_of(seed, keys, steps);
    let mut iterator = dict.unsafe_iter();
    let mut seen = BTreeSet::new();
    while let Some(entry) = iterator.next(&dict).unwrap_or_else(|_| panic!("nothing changed")) {
        assert!(seen.insert(entry.key().to_vec()), "an entry twice");
    }
    assert_eq!(seen, keys.iter().map(|&number| key(number)).collect());
    let mut iterator = dict.unsafe_iter();
    for _ in 0..before {
        assert!(iterator.next(&dict).is_ok());
    }
    let absent = vec![b'x'; 300];
    dict.insert_new(entry(&absent));
    assert!(iterator.next(&dict).is_err(), "an insertion is not noticed");
    let mut iterator = dict.unsafe_iter();
    drop(dict.remove(&absent));
    assert!(iterator.next(&dict).is_err(), "a removal is not noticed");
    let mut iterator = dict.unsafe_iter();
    if dict.is_rehashing() {
        let (index, used) = (dict.rehash_index(), dict.used());
        dict.rehash(1);
        // Passing over empty buckets changes nothing that an iterator could miss.
        let moved = dict.used() != used || dict.rehash_index().is_none() && index.is_some();
        assert_eq!(iterator.next(&dict).is_err(), moved);
    }
}
