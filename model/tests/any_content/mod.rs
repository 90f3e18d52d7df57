//! Values of every type as strategies: what the naive codecs are held against, here and on real servers.
#![allow(dead_code)] // Each test file uses its part.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use tally_model::Span;
use tally_model::rdb::{Content, Forms, ValueType};
use tally_model::stream::{Consumer, Group, Item, Node, Pending, StreamId, StreamValue};

/// Integers of every width, runs that compress, and anything.
pub(crate) fn any_string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any_member(),
        1 => (any::<u8>(), 0..600_usize).prop_map(|(byte, count)| vec![byte; count]),
        1 => vec(any::<u8>(), 0..300),
        1 => prop::sample::select(vec![63_usize, 64, 4095, 4096, 16_383, 16_384]).prop_map(|count| vec![b'l'; count]),
    ]
}

/// A string that is small enough for many of them.
pub(crate) fn any_member() -> impl Strategy<Value = Vec<u8>> {
    let edges = [0_i64, 12, 13, 127, 128, -1, 4095, 4096, -4096, -4097, 32_767, -32_769, 1 << 23, 1 << 31, i64::MIN];
    prop_oneof![
        prop::sample::select(edges.to_vec()).prop_map(|number| number.to_string().into_bytes()),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        any::<i8>().prop_map(|number| number.to_string().into_bytes()),
        vec(any::<u8>(), 0..8),
        (60..140_usize).prop_map(|count| vec![b'm'; count]),
    ]
}

fn any_score() -> impl Strategy<Value = f64> {
    let edges = [0.0, -0.0, 0.1, 1.5, -1e300, 5e-324, 9_007_199_254_740_992.0, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![
        prop::sample::select(edges.to_vec()),
        (-20..20_i32).prop_map(f64::from),
        any::<f64>().prop_filter("a score is a number", |score| !score.is_nan()),
    ]
}

/// What follows an id: mostly in the same millisecond.
fn any_step() -> impl Strategy<Value = (u64, u64)> {
    prop_oneof![
        3 => (Just(0), 1..5_u64),
        2 => (1..1000_u64, 0..5_u64),
        1 => (1 << 40..1_u64 << 50, any::<u64>().prop_map(|seq| seq >> 1)),
    ]
}

fn after(id: StreamId, (ms, seq): (u64, u64)) -> StreamId {
    if ms == 0 { StreamId { seq: id.seq.saturating_add(seq), ..id } } else { StreamId { ms: id.ms + ms, seq } }
}

/// Entries with their places, whether they are deleted, and whether they begin a node.
fn any_nodes() -> impl Strategy<Value = (BTreeMap<StreamId, Node>, StreamId)> {
    let field = prop_oneof![3 => prop::sample::select(vec![b"f".to_vec(), b"g".to_vec()]), 1 => any_member()];
    let pairs = vec((field, any_member()), 1..4);
    vec((any_step(), pairs, prop::bool::weighted(0.2), prop::bool::weighted(0.2)), 0..12).prop_map(|entries| {
        let mut nodes: Vec<(StreamId, Node)> = Vec::new();
        let mut last_id = StreamId { ms: 0, seq: 0 };
        for (step, pairs, deleted, begins) in entries {
            let id = after(last_id, step);
            if id == last_id {
                continue;
            }
            last_id = id;
            if begins || nodes.is_empty() {
                nodes.push((id, Node::default()));
            }
            if let Some((_, node)) = nodes.last_mut() {
                node.entries.insert(id, Item { deleted, pairs });
            }
        }
        // A node goes with its last entry.
        nodes.retain(|(_, node)| !node.is_empty());
        (nodes.into_iter().collect(), last_id)
    })
}

fn any_group() -> impl Strategy<Value = Group> {
    let time = || 0..4_000_000_000_000_i64;
    let id = || prop_oneof![(0..3_u64, 0..8_u64), (any::<u64>(), any::<u64>())];
    let id = move || id().prop_map(|(ms, seq)| StreamId { ms, seq });
    let consumers = btree_map(any_member(), time(), 0..4);
    let pending = btree_map(id(), (any::<prop::sample::Index>(), time(), 0..1_u64 << 40), 0..6);
    (id(), consumers, pending).prop_map(|(last_id, consumers, pending)| {
        let names: Vec<Vec<u8>> = consumers.keys().cloned().collect();
        let pending = if names.is_empty() { BTreeMap::new() } else { pending };
        Group {
            last_id,
            consumers: consumers.into_iter().map(|(name, seen)| (name, Consumer { seen: Span::at(seen) })).collect(),
            pending: pending
                .into_iter()
                .map(|(id, (consumer, delivered, deliveries))| {
                    let consumer = consumer.get(&names).clone();
                    (id, Pending { consumer, delivered: Span::at(delivered), deliveries })
                })
                .collect(),
        }
    })
}

pub(crate) fn any_stream() -> impl Strategy<Value = StreamValue> {
    (any_nodes(), 0..3_u64, btree_map(any_member(), any_group(), 0..3)).prop_map(|((nodes, last_id), more, groups)| {
        let last_id = StreamId { seq: last_id.seq.saturating_add(more), ..last_id };
        StreamValue { nodes, last_id, groups }
    })
}

/// A value of any type; collections are not empty, but streams may be.
pub(crate) fn any_content() -> impl Strategy<Value = Content> {
    let integer = any::<i64>().prop_map(|number| number.to_string().into_bytes());
    let short = any::<i16>().prop_map(|number| number.to_string().into_bytes());
    let set = prop_oneof![btree_set(any_member(), 1..20), btree_set(integer, 1..20), btree_set(short, 1..20)];
    prop_oneof![
        any_string().prop_map(Content::String),
        vec(any_string(), 1..20).prop_map(Content::List),
        set.prop_map(|members| Content::Set(members.into_iter().collect())),
        btree_map(any_member(), any_score(), 1..20).prop_map(|members| Content::Zset(members.into_iter().collect())),
        btree_map(any_member(), any_string(), 1..20).prop_map(|pairs| Content::Hash(pairs.into_iter().collect())),
        any_stream().prop_map(Content::Stream),
    ]
}

pub(crate) fn any_forms() -> impl Strategy<Value = Forms> {
    (any::<bool>(), proptest::option::of(0..40_usize), any::<bool>(), any::<bool>()).prop_map(
        |(integers, compress_from, wide_lengths, checksum)| Forms { integers, compress_from, wide_lengths, checksum },
    )
}

/// The types that can hold a value in a file of a version.
pub(crate) fn kinds_of(content: &Content, version: u16) -> Vec<ValueType> {
    let possible = |kind: &ValueType| {
        kind.since().is_some_and(|since| since <= version) && content.bytes(*kind, Forms::default()).is_some()
    };
    (0..=u8::MAX).map(ValueType).filter(possible).collect()
}

/// The same value with its elements in one order where their order is free, so that equal ones print alike; that a
/// score is -0 and not 0 shows too.
pub(crate) fn ordered(content: &Content) -> String {
    let mut content = content.clone();
    match &mut content {
        Content::String(_) | Content::List(_) | Content::Stream(_) => {}
        Content::Set(members) => members.sort(),
        Content::Hash(pairs) => pairs.sort(),
        Content::Zset(members) => members.sort_by(|one, other| one.0.cmp(&other.0)),
    }
    format!("{content:?}")
}
