//! Two dumps compared by what they mean: order, encodings, versions and expired forms aside.
//!
//! Both are read twice at most, one key at a time; what is kept of the first is one digest for each key and one for what
//! the key holds, so that dumps of any size can be compared.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use sha1::{Digest, Sha1};
use tally_engine::rdb::{self, Entry, RdbError, Reader, Record, Value};
use tally_engine::values::stream::StreamId;
use tally_engine::values::{Collection, Element, Stream};

use super::progress;

/// So many differing keys are named; the others are counted.
const NAMED: u64 = 100;

type Sum = [u8; 20];

/// How two dumps differ: numbers of keys.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) equal: u64,
    pub(super) differing: u64,
    pub(super) only_first: u64,
    pub(super) only_second: u64,
}

impl Difference {
    pub(super) fn is_none(&self) -> bool {
        self.differing + self.only_first + self.only_second == 0
    }
}

/// Why dumps could not be compared.
pub(super) enum Trouble {
    /// A dump is damaged: which, and where.
    Damage(String, RdbError),
    /// A dump cannot be opened.
    Open(String, io::Error),
    /// The output is gone.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Output(error)
    }
}

/// Compares, naming keys as they are found.
pub(super) fn compare(first: &Path, second: &Path, output: &mut dyn Write) -> Result<Difference, Trouble> {
    let mut held: HashMap<Sum, Sum> = HashMap::new();
    let mut difference = Difference::default();
    each(first, |database, entry| {
        held.insert(key_sum(database, entry.key), value_sum(entry));
        Ok(())
    })?;
    let mut named = 0;
    let mut name = |how: &str, database: u64, key: &[u8]| {
        named += 1;
        if named <= NAMED { writeln!(output, "{how} db {database} {}", key.escape_ascii()) } else { Ok(()) }
    };
    each(second, |database, entry| match held.remove(&key_sum(database, entry.key)) {
        None => {
            difference.only_second += 1;
            name("+", database, entry.key)
        }
        Some(sum) if sum != value_sum(entry) => {
            difference.differing += 1;
            name("~", database, entry.key)
        }
        Some(_) => {
            difference.equal += 1;
            Ok(())
        }
    })?;
    difference.only_first = held.len() as u64;
    // Only digests were kept: names are in the file.
    if !held.is_empty() {
        each(first, |database, entry| {
            if held.contains_key(&key_sum(database, entry.key)) { name("-", database, entry.key) } else { Ok(()) }
        })?;
    }
    if named > NAMED {
        writeln!(output, "and {} keys more", named - NAMED)?;
    }
    Ok(difference)
}

/// Gives each key of a dump to `take`, with its database.
fn each(path: &Path, mut take: impl FnMut(u64, &Entry<'_>) -> io::Result<()>) -> Result<(), Trouble> {
    let name = || path.display().to_string();
    let file = File::open(path).map_err(|error| Trouble::Open(name(), error))?;
    let mut database = 0;
    let damage = |error| Trouble::Damage(name(), error);
    let mut reader = Reader::new(progress::shown(file), rdb::NEWEST_READABLE).map_err(damage)?;
    loop {
        match reader.read().map_err(damage)? {
            None => return Ok(()),
            Some(Record::SelectDb(index)) => database = index,
            Some(Record::Entry(entry)) => take(database, &entry)?,
            Some(_) => {}
        }
    }
}

fn key_sum(database: u64, key: &[u8]) -> Sum {
    let mut sum = Sha1::new();
    sum.update(database.to_le_bytes());
    sum.update(key);
    sum.finalize().into()
}

/// Of type, content and expiry.
fn value_sum(entry: &Entry<'_>) -> Sum {
    let mut sum = Sha1::new();
    sum.update(entry.expires_at_ms.map_or([0; 9], |at_ms| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&at_ms.to_le_bytes());
        bytes
    }));
    match &entry.value {
        Value::String(text) => {
            sum.update(b"string");
            text_sum(&mut sum, text);
        }
        Value::Module(name) => {
            // What a module's value means is known to the module alone: only its type is compared.
            sum.update(b"module");
            part(&mut sum, name.as_bytes());
        }
        Value::Collection(Collection::Stream(stream)) => stream_sum(&mut sum, stream),
        Value::Collection(collection) => {
            let view = collection.view();
            part(&mut sum, view.kind().name().as_bytes());
            if matches!(collection, Collection::List(_)) {
                view.for_each(|element| element_sum(&mut sum, &element));
            } else {
                // Members have no order: the sums of all are added up, as numbers, with the carry lost.
                let mut total = [0_u8; 20];
                view.for_each(|element| {
                    let mut one = Sha1::new();
                    element_sum(&mut one, &element);
                    add(&mut total, &one.finalize().into());
                });
                sum.update((view.len() as u64).to_le_bytes());
                sum.update(total);
            }
        }
    }
    sum.finalize().into()
}

fn text_sum(sum: &mut Sha1, text: &rdb::Text<'_>) {
    match text {
        rdb::Text::Integer(number) => part(sum, number.to_string().as_bytes()),
        rdb::Text::Bytes(bytes) => part(sum, bytes),
    }
}

/// Bytes behind their length, so that neighbours cannot be taken for each other.
fn part(sum: &mut Sha1, bytes: &[u8]) {
    sum.update((bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
}

fn add(total: &mut Sum, sum: &Sum) {
    let mut carry = 0;
    for (digit, more) in total.iter_mut().zip(sum) {
        let value = u16::from(*digit) + u16::from(*more) + carry;
        *digit = value as u8;
        carry = value >> 8;
    }
}

fn element_sum(sum: &mut Sha1, element: &Element<'_>) {
    match element {
        Element::Item(item) => part(sum, item),
        Element::Field(field, value) => {
            part(sum, field);
            part(sum, value);
        }
        Element::Scored(member, score) => {
            part(sum, member);
            // Zero has two forms and one meaning.
            sum.update((score + 0.0).to_bits().to_le_bytes());
        }
        Element::Entry(entry) => {
            id_sum(sum, entry.id);
            entry.fields().for_each(|(field, value)| {
                part(sum, &field.to_vec());
                part(sum, &value.to_vec());
            });
            sum.update([0xff; 8]);
        }
    }
}

fn id_sum(sum: &mut Sha1, id: StreamId) {
    sum.update(id.to_key());
}

/// Entries, last id, groups, consumers and what is pending; how entries are spread over nodes does not matter.
fn stream_sum(sum: &mut Sha1, stream: &Stream) {
    sum.update(b"stream");
    stream.entries().all().for_each(|entry| element_sum(sum, &Element::Entry(entry)));
    id_sum(sum, stream.last_id());
    sum.update((stream.group_len() as u64).to_le_bytes());
    stream.for_each_group(|name, group| {
        part(sum, name);
        id_sum(sum, group.last_id);
        sum.update((group.consumer_len() as u64).to_le_bytes());
        let mut consumers: Vec<_> = group.consumers().collect();
        consumers.sort_by(|one, other| one.name().cmp(other.name()));
        for consumer in consumers {
            part(sum, consumer.name());
            sum.update(consumer.seen_ms().to_le_bytes());
            sum.update((consumer.pending_len() as u64).to_le_bytes());
            consumer.pending(StreamId::MIN).for_each(|id| id_sum(sum, id));
        }
        for (id, pending) in group.pending_from(StreamId::MIN) {
            id_sum(sum, id);
            sum.update(pending.delivered_ms.to_le_bytes());
            sum.update(pending.deliveries.to_le_bytes());
        }
    });
}
