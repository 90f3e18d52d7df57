//! Counting bits: every kernel counts what a walk bit by bit counts, wherever the bytes lie, and counts add up.

use tally_engine::structures::bits::{
    first_bit, popcount, popcount_kernels, read_signed, read_unsigned, write_integer,
};

/// Bits set, one by one.
fn counted(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| (0..8).filter(|bit| byte & (1 << bit) != 0).count() as u64).sum()
}

/// Every kernel agrees on `bytes` from each of the first `alignments` positions on.
///
/// # Panics
/// When one does not.
pub fn kernels_agree(bytes: &[u8], alignments: usize) {
    for start in 0..=alignments.min(bytes.len()) {
        let part = &bytes[start..];
        let expected = counted(part);
        for (name, kernel) in popcount_kernels() {
            assert_eq!(kernel(part), expected, "{name} over {} bytes from {start}", part.len());
        }
    }
}

/// The count of a whole is the sum of the counts of its two parts.
#[must_use]
pub fn counts_add_up(bytes: &[u8], cut: usize) -> bool {
    let (head, tail) = bytes.split_at(cut.min(bytes.len()));
    popcount(bytes) == popcount(head) + popcount(tail)
}

/// The count of the complement is what is missing to all bits.
#[must_use]
pub fn complement_has_the_rest(bytes: &[u8]) -> bool {
    let complement: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    popcount(bytes) + popcount(&complement) == bytes.len() as u64 * 8
}

/// The first set bit is preceded by clear ones only, and there is one unless the count is zero; and so with set and clear
/// exchanged.
///
/// # Panics
/// When it is not so.
pub fn first_bit_is_first(bytes: &[u8]) {
    for wanted in [false, true] {
        let bit = |position: u64| bytes[(position / 8) as usize] & (0x80 >> (position % 8)) != 0;
        match first_bit(bytes, wanted) {
            Some(found) => {
                assert_eq!(bit(found), wanted);
                assert!((0..found).all(|position| bit(position) != wanted), "{wanted} found at {found}");
            }
            None => assert_eq!(counted(bytes), if wanted { 0 } else { bytes.len() as u64 * 8 }),
        }
    }
}

/// An integer that is written is read back, sign included, and no bit beside it changes.
///
/// # Panics
/// When it is not so.
pub fn written_integers_are_read_back(bytes: &mut [u8], offset: u64, width: u32, value: u64) {
    let before = bytes.to_vec();
    write_integer(bytes, offset, width, value);
    let spare = 64 - width;
    assert_eq!(read_unsigned(bytes, offset, width), value << spare >> spare);
    assert_eq!(read_signed(bytes, offset, width), (value << spare) as i64 >> spare);
    let bit = |bytes: &[u8], position: u64| bytes[(position / 8) as usize] & (0x80 >> (position % 8));
    for position in (0..bytes.len() as u64 * 8).filter(|at| !(offset..offset + u64::from(width)).contains(at)) {
        assert_eq!(bit(bytes, position), bit(&before, position), "bit {position}");
    }
}
