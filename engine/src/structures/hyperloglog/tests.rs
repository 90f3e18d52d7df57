//! Tests of the whole, beside the property tests that `check` holds.
#![allow(clippy::unwrap_used)]

use super::*;

fn added(elements: std::ops::Range<u32>, sparse_max: usize) -> Vec<u8> {
    let mut bytes = empty();
    let mut hll = HllMut::recognize(&mut bytes).unwrap();
    for element in elements {
        hll.add(format!("e{element}").as_bytes(), sparse_max).unwrap();
    }
    bytes
}

fn decoded(bytes: &[u8]) -> Registers {
    let mut registers = Registers::default();
    registers.merge(HllRef::recognize(bytes).unwrap()).unwrap();
    registers
}

#[test]
fn elements_concern_the_registers_that_a_server_raises_for_them() {
    // Registers that a server of version 5.0.6 raised for these elements.
    let raised: [(&[u8], usize, u8); 9] = [
        (b"", 5938, 2),
        (b"a", 12711, 2),
        (b"ab", 719, 1),
        (b"1234567", 10327, 3),
        (b"12345678", 10579, 3),
        (b"123456789", 9293, 2),
        (b"\xff\x00\x80", 913, 1),
        (b"0123456789abcdef", 5949, 1),
        (b"The quick brown fox jumps over the lazy dog", 6862, 4),
    ];
    for (element, index, value) in raised {
        assert_eq!(register_of(element), (index, value), "{element:?}");
    }
}

#[test]
fn a_sparse_string_turns_dense_at_the_recorded_number_of_elements() {
    for (sparse_max, last_sparse, length) in [(3000, 1683, 3000), (100, 28, 99)] {
        let sparse = added(0..last_sparse, sparse_max);
        assert_eq!(sparse.len(), length);
        assert_eq!(HllRef::recognize(&sparse).unwrap().form(), Form::Sparse);
        let dense = added(0..last_sparse + 1, sparse_max);
        assert_eq!(dense.len(), DENSE_LEN);
        assert_eq!(HllRef::recognize(&dense).unwrap().form(), Form::Dense);
    }
    assert_eq!(HllRef::recognize(&added(0..1683, 3000)).unwrap().estimate(), Ok(1683));
    assert_eq!(HllRef::recognize(&added(0..1684, 3000)).unwrap().estimate(), Ok(1685));
}

#[test]
fn both_forms_hold_the_same_registers() {
    for elements in [1, 10, 300, 1500] {
        let sparse = added(0..elements, 12000);
        let dense = added(0..elements, 0);
        assert!(decoded(&sparse).iter().eq(decoded(&dense).iter()));
        let mut converted = sparse;
        assert_eq!(HllMut::recognize(&mut converted).unwrap().make_dense(), Ok(true));
        assert_eq!(converted, dense);
    }
}

#[test]
fn a_merge_in_rising_order_leaves_the_bytes_of_single_changes() {
    for elements in [1, 5, 100, 700] {
        let (one, two) = (added(0..elements, 3000), added(elements / 2..2 * elements, 3000));
        let union = {
            let mut registers = decoded(&one);
            registers.merge(HllRef::recognize(&two).unwrap()).unwrap();
            registers
        };
        let mut merged = one.clone();
        HllMut::recognize(&mut merged).unwrap().merge(&union, false, 3000).unwrap();
        let mut single = one;
        let mut hll = HllMut::recognize(&mut single).unwrap();
        for (index, value) in union.iter().enumerate().filter(|(_, value)| *value > 0) {
            hll.raise(index, value, 3000).unwrap();
        }
        assert_eq!(merged, single);
        assert_eq!(HllRef::recognize(&merged).unwrap().validate(), Ok(()));
    }
}

#[test]
fn opcodes_that_do_not_cover_the_registers_are_refused_with_their_place() {
    let with = |opcodes: &[u8]| {
        let mut bytes = empty();
        bytes.truncate(HEADER_LEN);
        bytes.extend(opcodes);
        HllRef::recognize(&bytes).unwrap().validate()
    };
    assert_eq!(with(&[0x7f, 0xff]), Ok(()));
    assert_eq!(with(&[]), Err(Corrupt { offset: 16, reason: Reason::TooFew(0) }));
    assert_eq!(with(&[0x7f]), Err(Corrupt { offset: 16, reason: Reason::CutOff }));
    assert_eq!(with(&[0x7f, 0xfe]), Err(Corrupt { offset: 18, reason: Reason::TooFew(16383) }));
    assert_eq!(with(&[0x7f, 0xff, 0]), Err(Corrupt { offset: 18, reason: Reason::TooMany(16385) }));
}

#[test]
fn the_self_test_passes() {
    assert_eq!(self_test::run(), Ok(()));
}
