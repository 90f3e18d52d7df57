//! HyperLogLog strings: registers under any changes, in both forms; any bytes are judged.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::hyperloglog::{
    Operation, any_string_is_taken_or_refused, operations, registers_only_rise,
};

fn register() -> impl Strategy<Value = (u16, u8)> {
    (any::<u16>(), any::<u8>())
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        20 => register().prop_map(|(index, value)| Operation::Raise(index, value)),
        4 => vec(any::<u8>(), 0..20).prop_map(Operation::Add),
        1 => (16usize..60).prop_map(Operation::Limit),
        2 => (vec(register(), 0..20), prop::bool::weighted(0.05)).prop_map(|(all, dense)| Operation::Merge(all, dense)),
        1 => Just(Operation::Count),
    ]
}

/// Opcodes that often cover the registers exactly.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        (0u8..0x40).prop_map(|byte| vec![byte]),
        (0x40u8..0x44, any::<u8>()).prop_map(|(high, low)| vec![high, low]),
        (0x80u8..=0xff).prop_map(|byte| vec![byte]),
    ];
    (vec(opcode, 0..40), 0usize..3).prop_map(|(opcodes, slack)| {
        let length = |opcode: &Vec<u8>| match opcode[..] {
            [short @ 0..0x40] => usize::from(short) + 1,
            [high, low] => usize::from(high & 0x3f) * 256 + usize::from(low) + 1,
            _ => usize::from(opcode[0] & 3) + 1,
        };
        let covered: usize = opcodes.iter().map(length).sum();
        let rest = 16384usize.saturating_sub(covered + slack);
        let mut bytes = opcodes.concat();
        if rest > 0 {
            bytes.extend([0x40 | ((rest - 1) >> 8) as u8, (rest - 1) as u8]);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn registers_rise_as_those_of_an_array_do(operations in vec(operation(), 0..120)) {
        registers_only_rise(&operations);
    }

    #[test]
    fn registers_rise_as_those_of_an_array_do_for_any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        registers_only_rise(&operations(&bytes));
    }

    #[test]
    fn opcodes_are_taken_when_they_cover_the_registers_and_refused_otherwise(opcodes in opcodes(), cut in 0usize..4) {
        any_string_is_taken_or_refused(&opcodes[..opcodes.len() - cut.min(opcodes.len())]);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in vec(any::<u8>(), 0..100), dense: bool) {
        any_string_is_taken_or_refused(&bytes);
        let mut whole = b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80".to_vec();
        if dense {
            whole.extend(bytes.iter().cycle().take(if bytes.is_empty() { 0 } else { 12288 }));
        }
        any_string_is_taken_or_refused(&whole);
    }
}
