//! Files that are other files with something changed, and whole but for what was changed: lengths fit, the checksum is
//! right, and a damaged structure lies in a string of the right length. Bytes that are flipped at random seldom get so far.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_model::rdb::{self as naive, Content, File, Forms, Item, Key, ValueType, Writer};

use crate::choice::Choice;

/// Records of a file that are kept at most, so that files do not grow without end.
const MOST_RECORDS: usize = 40;

/// Changes one thing or a few in a file, as the seed decides; `tweak` changes bytes inside one string. What cannot be
/// read to its end is changed as far as it can be read.
pub fn mutated(bytes: &[u8], seed: u64, tweak: &mut dyn FnMut(&mut Vec<u8>)) -> Vec<u8> {
    let choice = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut items: Vec<Item> = match naive::file(bytes) {
        Ok(File { items, .. }) => items,
        Err(error) => error.items,
    }
    .into_iter()
    .map(|(_, item)| item)
    .collect();
    items.truncate(MOST_RECORDS);
    let mut packed = None;
    for _ in 0..=choice.below(2) {
        change(&mut items, &mut packed, choice, tweak);
    }
    let forms = Forms {
        integers: choice.ratio(1, 2),
        compress_from: choice.ratio(1, 3).then(|| choice.below(40) as usize),
        wide_lengths: choice.ratio(1, 5),
        // Whoever loads it does not look: the rest is for the code that reads past a sum.
        checksum: choice.ratio(1, 16),
    };
    write(&items, packed, forms, choice, tweak)
}

fn at(items: &[Item], choice: &mut impl Choice) -> Option<usize> {
    (!items.is_empty()).then(|| choice.below(items.len() as u32) as usize)
}

/// `packed` names the record whose structure is to be damaged when it is written.
fn change(
    items: &mut Vec<Item>,
    packed: &mut Option<usize>,
    choice: &mut impl Choice,
    tweak: &mut dyn FnMut(&mut Vec<u8>),
) {
    let Some(place) = at(items, choice) else {
        items.push(Item::Key(Key {
            db: 0,
            key: b"k".to_vec(),
            kind: ValueType::LIST,
            value: Content::List(vec![b"1".to_vec(), b"two".to_vec()]),
            deadline_ms: None,
            idle_seconds: None,
            frequency: None,
        }));
        return;
    };
    match choice.below(8) {
        0 => {
            items.remove(place);
        }
        1 => items.insert(place, items[place].clone()),
        2 => {
            if let Some(other) = at(items, choice) {
                items.swap(place, other);
            }
        }
        3 => *packed = Some(place),
        _ => match &mut items[place] {
            Item::Key(key) => change_key(key, choice, tweak),
            Item::Aux { name, value } => tweak(if choice.ratio(1, 2) { name } else { value }),
            Item::SelectDb(db) => *db = u64::from(choice.below(6)),
            Item::ResizeDb { keys, expires } => {
                *keys = choice.int(0..=i64::MAX).cast_unsigned();
                *expires = u64::from(choice.below(5));
            }
            _ => {}
        },
    }
}

fn change_key(key: &mut Key, choice: &mut impl Choice, tweak: &mut dyn FnMut(&mut Vec<u8>)) {
    match choice.below(6) {
        0 => tweak(&mut key.key),
        1 => key.deadline_ms = choice.ratio(2, 3).then(|| choice.int(i64::MIN..=i64::MAX)),
        2 => key.idle_seconds = choice.ratio(2, 3).then(|| choice.int(0..=i64::MAX).cast_unsigned()),
        3 => key.kind = ValueType(choice.below(22) as u8),
        _ => change_value(&mut key.value, choice, tweak),
    }
}

fn change_value(value: &mut Content, choice: &mut impl Choice, tweak: &mut dyn FnMut(&mut Vec<u8>)) {
    match value {
        Content::String(bytes) => tweak(bytes),
        Content::List(items) | Content::Set(items) => change_elements(items, choice, tweak, |item| item),
        Content::Hash(pairs) => {
            let second = choice.ratio(1, 2);
            change_elements(pairs, choice, tweak, |pair| if second { &mut pair.1 } else { &mut pair.0 });
        }
        Content::Zset(members) => {
            if let Some((_, score)) = members.first_mut()
                && choice.ratio(1, 3)
            {
                *score = f64::from_bits(choice.int(i64::MIN..=i64::MAX).cast_unsigned());
            }
            change_elements(members, choice, tweak, |member| &mut member.0);
        }
        Content::Stream(stream) => {
            stream.last_id.seq = stream.last_id.seq.wrapping_add_signed(choice.int(-2..=2));
            for group in stream.groups.values_mut() {
                group.last_id.ms = group.last_id.ms.wrapping_add_signed(choice.int(-1..=1));
            }
        }
    }
}

fn change_elements<T: Clone>(
    elements: &mut Vec<T>,
    choice: &mut impl Choice,
    tweak: &mut dyn FnMut(&mut Vec<u8>),
    text: impl Fn(&mut T) -> &mut Vec<u8>,
) {
    if elements.is_empty() {
        return;
    }
    let place = choice.below(elements.len() as u32) as usize;
    match choice.below(4) {
        0 => {
            elements.remove(place);
        }
        1 => elements.insert(place, elements[place].clone()),
        _ => tweak(text(&mut elements[place])),
    }
}

fn write(
    items: &[Item],
    packed: Option<usize>,
    forms: Forms,
    choice: &mut impl Choice,
    tweak: &mut dyn FnMut(&mut Vec<u8>),
) -> Vec<u8> {
    let version = [naive::HIGHEST_READ, naive::VERSION, 10, 4][choice.below(4) as usize];
    let mut writer = Writer::new(version, forms);
    for (place, item) in items.iter().enumerate() {
        match item {
            Item::Aux { name, value } => writer.aux(name, value),
            Item::SelectDb(db) => writer.select_db(*db),
            Item::ResizeDb { keys, expires } => writer.resize_db(*keys, *expires),
            Item::Key(key) => write_key(&mut writer, key, packed == Some(place), forms, tweak),
            // Their content is not kept.
            _ => {}
        }
    }
    writer.finish()
}

fn write_key(writer: &mut Writer, key: &Key, damaged: bool, forms: Forms, tweak: &mut dyn FnMut(&mut Vec<u8>)) {
    if let Some(deadline_ms) = key.deadline_ms {
        writer.expire_ms(deadline_ms);
    }
    if let Some(seconds) = key.idle_seconds {
        writer.idle(seconds);
    }
    if let Some(frequency) = key.frequency {
        writer.frequency(frequency);
    }
    if damaged && let Some(mut blob) = structure(&key.value, key.kind) {
        tweak(&mut blob);
        writer.raw(&[key.kind.0]);
        writer.raw(&naive::string_bytes(&key.key, forms));
        writer.raw(&naive::string_bytes(&blob, Forms { integers: false, ..forms }));
    } else if !writer.value(&key.key, &key.value, key.kind) {
        // A form that cannot hold the value is written with its bytes in another form, as damage would.
        let bytes = naive::string_bytes(b"\x0b\0\0\0\x0a\0\0\0\0\0\xff", forms);
        writer.raw(&[key.kind.0]);
        writer.raw(&naive::string_bytes(&key.key, forms));
        writer.raw(&bytes);
    }
}

/// The packed structure that is the value in this form, when the form is one such.
fn structure(value: &Content, kind: ValueType) -> Option<Vec<u8>> {
    let packed = [
        ValueType::LIST_ZIPLIST,
        ValueType::INTSET,
        ValueType::ZSET_ZIPLIST,
        ValueType::HASH_ZIPLIST,
        ValueType::HASH_LISTPACK,
        ValueType::ZSET_LISTPACK,
        ValueType::SET_LISTPACK,
    ];
    if !packed.contains(&kind) {
        return None;
    }
    let plain = Forms { integers: false, compress_from: None, wide_lengths: false, checksum: false };
    let bytes = value.bytes(kind, plain)?;
    naive::string(&bytes).ok().map(|(blob, _)| blob)
}

/// Flips, cuts, doubles or adds a byte: what there is to change bytes with where no fuzzer does.
pub fn tweaked(bytes: &mut Vec<u8>, choice: &mut impl Choice) {
    let place = choice.below(bytes.len() as u32 + 1) as usize;
    match choice.below(5) {
        0 => bytes.insert(place, choice.below(256) as u8),
        1 => bytes.truncate(place),
        2 if place < bytes.len() => {
            bytes.remove(place);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << choice.below(8);
            }
        }
    }
}
