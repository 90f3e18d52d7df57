//! Datasets over all types, drawn from any source of decisions, and files in any allowed form of them.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Unstructured;
use tally_model::Span;
use tally_model::rdb::Forms;
use tally_model::stream::{Consumer, Group, Item, Node, Pending, StreamId, StreamValue};

use crate::choice::Choice;
use crate::properties::rdb::{Dataset, Held, Value, files_keep_their_dataset};

/// Keys of a dataset at most.
const KEYS: u32 = 8;
/// Elements of most collections at most; some have more than any threshold of a new server that is not in the hundreds.
const ELEMENTS: u32 = 12;
const MANY_ELEMENTS: u32 = 140;

/// A dataset and the forms that its file is to have.
pub fn draw(choice: &mut impl Choice) -> (Dataset, Forms) {
    let forms = Forms {
        integers: choice.ratio(1, 2),
        compress_from: choice.ratio(1, 2).then(|| choice.below(60) as usize),
        wide_lengths: choice.ratio(1, 4),
        checksum: choice.ratio(3, 4),
    };
    let mut dataset = Dataset::new();
    for _ in 0..choice.below(KEYS) {
        let key = (u64::from(choice.below(3)) * 7, text(choice));
        let value = value(choice);
        let possible = value.forms();
        let form = possible[choice.below(possible.len() as u32) as usize].0;
        let deadline_ms = choice.ratio(1, 3).then(|| choice.int(1_600_000_000_000..=4_000_000_000_000));
        dataset.insert(key, Held { value, form, deadline_ms });
    }
    (dataset, forms)
}

/// Draws a dataset from any bytes and holds both halves to it: [`files_keep_their_dataset`].
///
/// # Panics
/// When one of them loses something.
pub fn any_dataset_is_kept(bytes: &[u8]) {
    let (dataset, forms) = draw(&mut Unstructured::new(bytes));
    files_keep_their_dataset(&dataset, forms);
}

/// Integers at the edges of their widths, runs that compress, and anything.
fn text(choice: &mut impl Choice) -> Vec<u8> {
    match choice.below(6) {
        0 => choice.int(-300..=300).to_string().into_bytes(),
        1 => choice.int(i64::MIN..=i64::MAX).to_string().into_bytes(),
        2 => vec![b'a' + choice.below(26) as u8; choice.below(70) as usize],
        3 => vec![b'r'; [63, 64, 253, 254, 255, 4095, 4096, 16_383, 16_384][choice.below(9) as usize]],
        _ => {
            let mut bytes = Vec::new();
            choice.bytes(20, &mut bytes);
            bytes
        }
    }
}

fn score(choice: &mut impl Choice) -> u64 {
    const EDGES: [f64; 8] = [0.0, -0.0, 1.5, -1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_993.0];
    let score = match choice.below(3) {
        0 => EDGES[choice.below(EDGES.len() as u32) as usize],
        1 => f64::from(choice.below(40)) - 20.0,
        _ => choice.int(-1_000_000..=1_000_000) as f64 / 7.0,
    };
    score.to_bits()
}

fn value(choice: &mut impl Choice) -> Value {
    let most = if choice.ratio(1, 12) { MANY_ELEMENTS } else { ELEMENTS };
    let count = 1 + choice.below(most);
    match choice.below(7) {
        0 => Value::String(text(choice)),
        1 => Value::List((0..count).map(|_| text(choice)).collect()),
        2 => Value::Set((0..count).map(|_| text(choice)).collect()),
        3 => {
            let widest = [300, 70_000, i64::MAX][choice.below(3) as usize];
            let members: BTreeSet<i64> = (0..count).map(|_| choice.int(-widest..=widest)).collect();
            Value::Set(members.into_iter().map(|member| member.to_string().into_bytes()).collect())
        }
        4 => Value::Zset((0..count).map(|_| (text(choice), score(choice))).collect()),
        5 => Value::Hash((0..count).map(|_| (text(choice), text(choice))).collect()),
        _ => Value::Stream(stream(choice, count)),
    }
}

/// A stream with deleted entries, groups, consumers and deliveries of entries that are there or were.
fn stream(choice: &mut impl Choice, entries: u32) -> StreamValue {
    let mut stream = StreamValue::default();
    let mut ids = Vec::new();
    let mut id = StreamId { ms: u64::from(choice.below(1000)), seq: u64::from(choice.below(5)) };
    let mut node: Option<(StreamId, Node)> = None;
    for _ in 0..entries {
        id = match choice.below(3) {
            0 => StreamId { ms: id.ms + 1 + u64::from(choice.below(1 << 20)), seq: 0 },
            _ => StreamId { ms: id.ms, seq: id.seq + 1 + u64::from(choice.below(3)) },
        };
        ids.push(id);
        if choice.ratio(1, 5) {
            stream.nodes.extend(node.take());
        }
        let (_, node) = node.get_or_insert_with(|| (id, Node::default()));
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = node.fields().map(|field| (field.clone(), Vec::new())).collect();
        if pairs.is_empty() || choice.ratio(1, 3) {
            pairs = (0..=choice.below(3)).map(|_| (text(choice), Vec::new())).collect();
        }
        for (_, value) in &mut pairs {
            *value = text(choice);
        }
        node.entries.insert(id, Item { deleted: choice.ratio(1, 5), pairs });
    }
    stream.nodes.extend(node);
    // A node goes with the last of its entries.
    stream.nodes.retain(|_, node| !node.is_empty());
    stream.last_id = StreamId { ms: id.ms, seq: id.seq + u64::from(choice.below(3)) };
    for _ in 0..choice.below(3) {
        let group = group(choice, &ids);
        stream.groups.insert(text(choice), group);
    }
    stream
}

fn group(choice: &mut impl Choice, ids: &[StreamId]) -> Group {
    let mut group = Group { last_id: ids[choice.below(ids.len() as u32) as usize], ..Group::default() };
    let names: Vec<Vec<u8>> = (0..choice.below(4)).map(|_| text(choice)).collect();
    for name in &names {
        let seen = Span::at(choice.int(0..=2_000_000_000_000));
        group.consumers.insert(name.clone(), Consumer { seen });
    }
    if names.is_empty() {
        return group;
    }
    let mut pending = BTreeMap::new();
    for id in ids {
        if choice.ratio(1, 3) {
            let consumer = names[choice.below(names.len() as u32) as usize].clone();
            let delivered = Span::at(choice.int(0..=2_000_000_000_000));
            let deliveries = 1 + u64::from(choice.below(300));
            pending.insert(*id, Pending { consumer, delivered, deliveries });
        }
    }
    group.pending = pending;
    group
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn every_type_and_every_form_of_it_is_drawn() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut forms = BTreeSet::new();
        for _ in 0..400 {
            forms.extend(draw(&mut rng).0.values().map(|held| held.form));
        }
        let all = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21];
        assert_eq!(forms.into_iter().collect::<Vec<_>>(), all);
    }

    #[test]
    fn no_bytes_are_an_empty_dataset() {
        assert!(draw(&mut Unstructured::new(&[])).0.is_empty());
    }
}
