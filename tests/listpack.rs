//! Listpacks: a sequence under any changes; any bytes are judged as a plain reading judges them.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::listpack::{
    Operation, a_listpack_is_a_sequence, any_bytes_are_taken_or_refused, operations, value,
};
use tally_engine::structures::listpack::{Listpack, Value};

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(kind, n)| value(kind, n)),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..300),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || any::<u8>();
    prop_oneof![
        4 => (place(), text()).prop_map(|(place, text)| Operation::Insert(place, text)),
        3 => text().prop_map(Operation::Append),
        4 => (place(), text()).prop_map(|(place, text)| Operation::Replace(place, text)),
        3 => place().prop_map(Operation::Delete),
        1 => Just(Operation::Shrink),
        1 => Just(Operation::Reload),
    ]
}

proptest! {
    //= SPEC.md#listpacks
    //# [LISTPACK-4] (file) An element that is the canonical text of a 64-bit integer MUST be written as one, in the shortest of `0nnnnnnn` for 0 to 127, `110nnnnn nnnnnnnn` for 13 bits (signed, high bits first), and 0xF1, 0xF2, 0xF3 and 0xF4 with two, three, four and eight bytes (signed, little-endian) behind it.
    #[test]
    fn a_listpack_is_a_sequence_that_is_whole_at_every_step(operations in vec(operation(), 0..60)) {
        a_listpack_is_a_sequence(&operations);
    }

    #[test]
    fn a_listpack_is_a_sequence_for_any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        a_listpack_is_a_sequence(&operations(&bytes));
    }

    //= SPEC.md#listpacks
    //# [LISTPACK-7] (inside) Reading a listpack of n bytes MUST take time and memory proportional to n at most.
    #[test]
    fn any_bytes_are_judged_as_a_plain_reading_judges_them(bytes in vec(any::<u8>(), 0..60)) {
        any_bytes_are_taken_or_refused(&bytes);
    }

    //= SPEC.md#listpacks
    //# [LISTPACK-6] (file) A reader MUST accept a string or an integer in a longer form than needed, and refuse any other byte in the place of the encoding, elements that do not fill the listpack to its end, and another number or length than announced.
    #[test]
    fn a_damaged_listpack_is_judged_as_a_plain_reading_judges_it(
        texts in vec(text(), 0..8), at: prop::sample::Index, byte: u8, cut in 0usize..3,
    ) {
        let list = Listpack::of(texts.iter().map(|text| Value::of(text)));
        let mut bytes = list.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut);
        any_bytes_are_taken_or_refused(&bytes);
    }
}

//= SPEC.md#listpacks
//# [LISTPACK-2] (file) An element MUST be its encoding with its content and then the length of these two, in as few bytes of seven bits each as hold it, the highest bits first and all bytes but the first of them with the bit 0x80 set.
//= SPEC.md#listpacks
//# [LISTPACK-3] (file) A length that fills all of the seven bits of two or more such bytes MUST be written in one byte more, for example 16,383 in three.
#[test]
fn back_lengths_grow_where_redis_lets_them_grow() {
    for (len, back) in [
        (125, &[0x7F][..]),
        (126, &[0x01, 0x80]),
        (16_377, &[0x7F, 0xFE]),
        (16_378, &[0x00, 0xFF, 0xFF]),
        (16_379, &[0x01, 0x80, 0x80]),
    ] {
        let text = vec![b'x'; len];
        let list = Listpack::of([Value::Bytes(&text)]);
        let bytes = list.as_bytes();
        assert!(bytes[..bytes.len() - 1].ends_with(back), "{len}: {:x?}", &bytes[bytes.len() - 5..]);
        let head = if len < 4096 { 2 } else { 5 };
        assert_eq!(bytes.len(), 7 + head + len + back.len());
    }
}
