//! What becomes of a value that is saved and loaded: DUMP and RESTORE, DEBUG RELOAD, a restart.
//!
//! A value is written in the form of its encoding, and its encoding is decided anew when it is loaded, by rules that
//! differ a little from those of the commands: a structure that is loaded whole is only asked for the number of its
//! elements, one that is loaded element by element for their sizes too. [LOADENC-1] to [LOADENC-6]
//! A list is its elements alone, so that it does not matter in which nodes it came. [LOADENC-7]

use std::collections::BTreeSet;

use crate::hash::HashValue;
use crate::list::ListValue;
use crate::numbers::parse_integer;
use crate::rdb::{Content, ValueType};
use crate::reply::Bytes;
use crate::score::Score;
use crate::set::SetValue;
use crate::thresholds::Thresholds;
use crate::value::{Encoding, StringValue, Value};
use crate::zset::ZsetValue;

/// The form in which a value is saved. [PAYLOAD-4]
pub(crate) fn form(value: &Value) -> ValueType {
    match (value, value.encoding()) {
        (Value::String(_), _) => ValueType::STRING,
        (Value::List(_), _) => ValueType::QUICKLIST,
        (Value::Set(_), Encoding::Intset) => ValueType::INTSET,
        (Value::Set(_), _) => ValueType::SET,
        (Value::Zset(_), Encoding::Ziplist) => ValueType::ZSET_ZIPLIST,
        (Value::Zset(_), _) => ValueType::ZSET_2,
        (Value::Hash(_), Encoding::Ziplist) => ValueType::HASH_ZIPLIST,
        (Value::Hash(_), _) => ValueType::HASH,
        (Value::Stream(_), _) => ValueType::STREAM,
    }
}

/// The encoding of a value that was loaded from a form.
fn encoding(value: &Value, form: ValueType, limits: &Thresholds) -> Encoding {
    let choose = |small: bool, one: Encoding, other: Encoding| if small { one } else { other };
    match value {
        Value::String(string) => string.encoding,
        Value::List(_) => Encoding::Quicklist,
        Value::Stream(_) => Encoding::Stream,
        Value::Set(set) => {
            let small = set.members.len() <= limits.set_intset_entries;
            let integers =
                || form == ValueType::INTSET || set.members.iter().all(|member| parse_integer(member).is_some());
            choose(small && integers(), Encoding::Intset, Encoding::Hashtable)
        }
        Value::Zset(zset) => {
            let small = zset.scores.len() <= limits.zset_ziplist_entries;
            let short = |member: &Bytes| member.len() <= limits.zset_ziplist_value;
            let whole = matches!(form, ValueType::ZSET_ZIPLIST | ValueType::ZSET_LISTPACK);
            let fits = || whole || zset.scores.keys().all(short);
            choose(small && fits(), Encoding::Ziplist, Encoding::Skiplist)
        }
        Value::Hash(hash) => {
            let small = hash.fields.len() <= limits.hash_ziplist_entries;
            let short = |bytes: &Bytes| bytes.len() <= limits.hash_ziplist_value;
            let whole = matches!(form, ValueType::HASH_ZIPLIST | ValueType::HASH_LISTPACK);
            let fits = || whole || hash.fields.iter().all(|(field, value)| short(field) && short(value));
            choose(small && fits(), Encoding::Ziplist, Encoding::Hashtable)
        }
    }
}

/// Decides the encoding of a loaded value. [LOADENC-1] to [LOADENC-6]
fn encode(value: &mut Value, form: ValueType, limits: &Thresholds, shares_integers: bool) {
    let decided = encoding(value, form, limits);
    match value {
        // [RDB-35]
        Value::String(string) => *string = StringValue::encoded(&string.bytes, shares_integers),
        Value::List(_) | Value::Stream(_) => {}
        Value::Set(set) => set.encoding = decided,
        Value::Zset(zset) => zset.encoding = decided,
        Value::Hash(hash) => hash.encoding = decided,
    }
}

/// What was read in a form, as a value.
pub(crate) fn loaded(content: Content, form: ValueType, limits: &Thresholds, shares_integers: bool) -> Value {
    // The encodings given here stand until they are decided below.
    let mut value = match content {
        Content::String(bytes) => Value::String(StringValue::raw(bytes)),
        Content::List(items) => Value::List(ListValue { items: items.into() }),
        Content::Set(members) => {
            Value::Set(SetValue { members: members.into_iter().collect(), encoding: Encoding::Hashtable })
        }
        Content::Zset(members) => {
            Value::Zset(ZsetValue::of(members.into_iter().map(|(member, score)| (member, Score(score))), limits))
        }
        Content::Hash(pairs) => {
            Value::Hash(HashValue { fields: pairs.into_iter().collect(), encoding: Encoding::Hashtable })
        }
        // [RDBSTREAM-9]
        Content::Stream(stream) => Value::Stream(stream),
    };
    encode(&mut value, form, limits, shares_integers);
    value
}

/// Saves and loads a value in place.
pub(crate) fn reload(value: &mut Value, limits: &Thresholds, shares_integers: bool) {
    let form = form(value);
    encode(value, form, limits, shares_integers);
}

/// Whether what was read is this value, however its elements are ordered where their order is free.
pub(crate) fn holds(content: &Content, value: &Value) -> bool {
    match (content, value) {
        (Content::String(bytes), Value::String(string)) => *bytes == string.bytes,
        (Content::List(items), Value::List(list)) => items.iter().eq(&list.items),
        // A file names no element twice.
        (Content::Set(members), Value::Set(set)) => {
            members.iter().collect::<BTreeSet<_>>().into_iter().eq(&set.members)
        }
        (Content::Zset(members), Value::Zset(zset)) => {
            members.len() == zset.scores.len()
                && members.iter().all(|(member, score)| {
                    zset.scores.get(member).is_some_and(|held| held.0.to_bits() == score.to_bits())
                })
        }
        (Content::Hash(pairs), Value::Hash(hash)) => {
            pairs.len() == hash.fields.len() && pairs.iter().all(|(field, value)| hash.fields.get(field) == Some(value))
        }
        (Content::Stream(read), Value::Stream(stream)) => stream.may_be(read),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::loaded;
    use crate::rdb::{Content, ValueType};
    use crate::thresholds::Thresholds;
    use crate::value::Encoding;

    fn encoding(content: Content, form: ValueType) -> Encoding {
        let limits = Thresholds {
            hash_ziplist_entries: 512,
            hash_ziplist_value: 64,
            zset_ziplist_entries: 128,
            zset_ziplist_value: 64,
            set_intset_entries: 512,
            ..Thresholds::default()
        };
        loaded(content, form, &limits, true).encoding()
    }

    fn numbered(count: usize, length: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| format!("{number:0>length$}").into_bytes()).collect()
    }

    // [LOADENC-3] [LOADENC-4]
    #[test]
    fn a_hash_that_came_whole_is_asked_for_the_number_of_its_fields_alone() {
        let hash =
            |count, length| Content::Hash(numbered(count, length).into_iter().map(|f| (f, Vec::new())).collect());
        for form in [ValueType::HASH_LISTPACK, ValueType::HASH_ZIPLIST] {
            assert_eq!(encoding(hash(512, 65), form), Encoding::Ziplist);
            assert_eq!(encoding(hash(513, 1), form), Encoding::Hashtable);
        }
        assert_eq!(encoding(hash(1, 65), ValueType::HASH), Encoding::Hashtable);
        assert_eq!(encoding(hash(1, 65), ValueType::HASH_ZIPMAP), Encoding::Hashtable);
    }

    // [LOADENC-5] [LOADENC-6]
    #[test]
    fn a_sorted_set_that_came_whole_is_asked_for_the_number_of_its_members_alone() {
        let zset = |count, length| Content::Zset(numbered(count, length).into_iter().map(|m| (m, 0.0)).collect());
        for form in [ValueType::ZSET_LISTPACK, ValueType::ZSET_ZIPLIST] {
            assert_eq!(encoding(zset(128, 65), form), Encoding::Ziplist);
            assert_eq!(encoding(zset(129, 3), form), Encoding::Skiplist);
        }
        assert_eq!(encoding(zset(1, 65), ValueType::ZSET_2), Encoding::Skiplist);
    }

    // [LOADENC-1] [LOADENC-2] [LOADENC-7]
    #[test]
    fn lists_and_sets_are_what_their_elements_make_them() {
        assert_eq!(encoding(Content::List(numbered(3, 100)), ValueType::QUICKLIST_2), Encoding::Quicklist);
        assert_eq!(encoding(Content::Set(numbered(10, 1)), ValueType::SET_LISTPACK), Encoding::Intset);
        assert_eq!(encoding(Content::Set(numbered(10, 2)), ValueType::SET_LISTPACK), Encoding::Hashtable);
    }
}
