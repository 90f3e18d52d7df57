//! Values as files hold them: the forms of each type, read into plain vectors and written from them.

use std::collections::BTreeSet;

use super::item::ValueType;
use super::write::{Forms, string_bytes};
use super::ziplist::Wrong;
use super::{intset, length, listpack, ziplist};
use crate::reply::Bytes;
use crate::score::Score;
use crate::stream::StreamValue;

/// Elements in a node of a list: few, so that short lists have several nodes too.
const NODE: usize = 3;
/// The size from which an element of a list stands alone where the form allows it: small, for the same reason.
const LARGE: usize = 100;

/// What a value is, whatever form it was written in.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A string.
    String(Bytes),
    /// The elements of a list from head to tail.
    List(Vec<Bytes>),
    /// The members of a set in the order of the file.
    Set(Vec<Bytes>),
    /// The members of a sorted set with their scores in the order of the file.
    Zset(Vec<(Bytes, f64)>),
    /// The fields and values of a hash in the order of the file.
    Hash(Vec<(Bytes, Bytes)>),
    /// A stream.
    Stream(StreamValue),
}

impl Content {
    /// The string, if it is one.
    pub fn string(&self) -> Option<&Bytes> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// A collection without elements, which no server holds. [RDBVAL-8]
    pub fn is_empty_collection(&self) -> bool {
        match self {
            // [RDBSTREAM-8]
            Self::String(_) | Self::Stream(_) => false,
            Self::List(items) | Self::Set(items) => items.is_empty(),
            Self::Zset(members) => members.is_empty(),
            Self::Hash(pairs) => pairs.is_empty(),
        }
    }

    /// What a server cannot hold: an element that stands twice where all differ, a score that is no number. [RDBVAL-7]
    pub(super) fn wrong(&self) -> Option<Wrong> {
        fn distinct<'a>(mut names: impl Iterator<Item = &'a Bytes>) -> bool {
            let mut seen = BTreeSet::new();
            names.all(|name| seen.insert(name))
        }
        match self {
            Self::String(_) | Self::List(_) | Self::Stream(_) => None,
            Self::Set(members) if !distinct(members.iter()) => Some("a member stands twice"),
            Self::Hash(pairs) if !distinct(pairs.iter().map(|(field, _)| field)) => Some("a field stands twice"),
            Self::Zset(members) if !distinct(members.iter().map(|(member, _)| member)) => Some("a member stands twice"),
            Self::Zset(members) if members.iter().any(|(_, score)| score.is_nan()) => Some("a score is no number"),
            _ => None,
        }
    }

    /// The value in the form of a type that can hold it, without the type byte; `None` if the type cannot.
    pub fn bytes(&self, kind: ValueType, forms: Forms) -> Option<Bytes> {
        let strings = |strings: &[Bytes]| {
            let mut bytes = length(strings.len() as u64);
            strings.iter().for_each(|string| bytes.extend(string_bytes(string, forms)));
            bytes
        };
        let blob = |blob: Bytes| string_bytes(&blob, Forms { integers: false, ..forms });
        Some(match (self, kind) {
            (Self::String(string), ValueType::STRING) => string_bytes(string, forms),
            (Self::List(items), ValueType::LIST) | (Self::Set(items), ValueType::SET) => strings(items),
            (Self::Stream(stream), ValueType::STREAM | ValueType::STREAM_2 | ValueType::STREAM_3) => {
                super::stream::write(stream, kind, forms)
            }
            (Self::List(items), ValueType::LIST_ZIPLIST) => blob(ziplist::write(items)),
            (Self::List(items), ValueType::QUICKLIST) => {
                let mut bytes = length(items.chunks(NODE).count() as u64);
                items.chunks(NODE).for_each(|node| bytes.extend(blob(ziplist::write(node))));
                bytes
            }
            (Self::List(items), ValueType::QUICKLIST_2) => {
                let nodes = nodes(items);
                let mut bytes = length(nodes.len() as u64);
                for node in nodes {
                    match node {
                        [large] if large.len() >= LARGE => {
                            bytes.extend(length(1));
                            bytes.extend(string_bytes(large, forms));
                        }
                        several => {
                            bytes.extend(length(2));
                            bytes.extend(blob(listpack::write(several)));
                        }
                    }
                }
                bytes
            }
            (Self::Set(members), ValueType::SET_LISTPACK) => blob(listpack::write(members)),
            (Self::Set(members), ValueType::INTSET) => {
                let integers: Option<Vec<i64>> =
                    members.iter().map(|member| crate::numbers::parse_integer(member)).collect();
                blob(intset::write(&integers?))
            }
            (Self::Zset(members), ValueType::ZSET_2) => {
                let mut bytes = length(members.len() as u64);
                for (member, score) in members {
                    bytes.extend(string_bytes(member, forms));
                    bytes.extend(score.to_le_bytes());
                }
                bytes
            }
            (Self::Zset(members), ValueType::ZSET) => {
                let mut bytes = length(members.len() as u64);
                for (member, score) in members {
                    bytes.extend(string_bytes(member, forms));
                    match score {
                        score if score.is_nan() => bytes.push(253),
                        score if score.is_infinite() => bytes.push(if *score > 0.0 { 254 } else { 255 }),
                        score => {
                            let text = Score(*score).to_string();
                            bytes.push(text.len() as u8);
                            bytes.extend(text.as_bytes());
                        }
                    }
                }
                bytes
            }
            (Self::Zset(members), ValueType::ZSET_ZIPLIST | ValueType::ZSET_LISTPACK) => {
                let mut sorted: Vec<&(Bytes, f64)> = members.iter().collect();
                sorted.sort_by(|one, other| (Score(one.1), &one.0).cmp(&(Score(other.1), &other.0)));
                let score = |score: f64| Score(score).to_string().into_bytes();
                let entries: Vec<Bytes> =
                    sorted.into_iter().flat_map(|(member, number)| [member.clone(), score(*number)]).collect();
                blob(if kind == ValueType::ZSET_ZIPLIST { ziplist::write(&entries) } else { listpack::write(&entries) })
            }
            (Self::Hash(pairs), ValueType::HASH | ValueType::HASH_ZIPLIST | ValueType::HASH_LISTPACK) => {
                let flat: Vec<Bytes> = pairs.iter().flat_map(|(field, value)| [field.clone(), value.clone()]).collect();
                match kind {
                    ValueType::HASH_ZIPLIST => return Some(blob(ziplist::write(&flat))),
                    ValueType::HASH_LISTPACK => return Some(blob(listpack::write(&flat))),
                    _ => {}
                }
                let mut bytes = length(pairs.len() as u64);
                flat.iter().for_each(|string| bytes.extend(string_bytes(string, forms)));
                bytes
            }
            _ => return None,
        })
    }
}

/// Elements that stand together, large ones each alone. [RDBVAL-10]
fn nodes(items: &[Bytes]) -> Vec<&[Bytes]> {
    let mut nodes = Vec::new();
    for run in items.chunk_by(|one, other| one.len() < LARGE && other.len() < LARGE) {
        nodes.extend(run.chunks(NODE));
    }
    nodes
}
