//! Values as JSON.

use serde_json::{Value as Json, json};
use tally_engine::number::format_f64;
use tally_engine::values::stream::{Entry as StreamEntry, Group, StreamId};
use tally_engine::values::{Collection, Element, Stream, Type};

/// The elements of a collection: those of lists and sorted sets in their order, scores as text, others sorted.
pub(super) fn contents(collection: &Collection) -> Json {
    if let Collection::Stream(stream) = collection {
        return stream_contents(stream);
    }
    let mut elements: Vec<(Vec<u8>, Json)> = Vec::with_capacity(collection.view().len());
    collection.view().for_each(|element| {
        let json = match element {
            Element::Item(item) => json_bytes(item),
            Element::Field(field, value) => json!([json_bytes(field), json_bytes(value)]),
            Element::Scored(member, score) => json!([json_bytes(member), format_f64(score)]),
            Element::Entry(entry) => stream_entry(&entry),
        };
        let name = match element {
            Element::Item(name) | Element::Field(name, _) | Element::Scored(name, _) => name,
            Element::Entry(_) => &[],
        };
        elements.push((name.to_vec(), json));
    });
    if matches!(collection.view().kind(), Type::Set | Type::Hash) {
        elements.sort_by(|one, other| one.0.cmp(&other.0));
    }
    elements.into_iter().map(|(_, json)| json).collect()
}

/// Entries, last id and groups of a stream.
fn stream_contents(stream: &Stream) -> Json {
    let mut groups = Vec::new();
    stream.for_each_group(|name, group| groups.push(stream_group(name, group)));
    json!({
        "length": stream.len(),
        "last_generated_id": stream.last_id().to_string(),
        "entries": stream.entries().all().map(|entry| stream_entry(&entry)).collect::<Vec<_>>(),
        "groups": groups,
    })
}

fn stream_entry(entry: &StreamEntry<'_>) -> Json {
    let texts = entry.fields().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
    json!([entry.id.to_string(), texts.map(|text| json_bytes(&text)).collect::<Vec<_>>()])
}

fn stream_group(name: &[u8], group: &Group) -> Json {
    let name_of = |consumer| group.consumer(consumer).map_or(Json::Null, |consumer| json_bytes(consumer.name()));
    let consumers = group
        .consumers()
        .map(|consumer| json!({ "name": json_bytes(consumer.name()), "pending": consumer.pending_len() }));
    let pending = group.pending_from(StreamId::MIN).map(|(id, pending)| {
        json!({
            "id": id.to_string(),
            "consumer": name_of(pending.consumer),
            "delivery_time_ms": pending.delivered_ms,
            "delivery_count": pending.deliveries,
        })
    });
    json!({
        "name": json_bytes(name),
        "last_delivered_id": group.last_id.to_string(),
        "consumers": consumers.collect::<Vec<_>>(),
        "pel": pending.collect::<Vec<_>>(),
    })
}

/// Bytes as JSON: text where they are UTF-8, else base64.
pub(super) fn json_bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({ "b64": base64(bytes) }),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}
