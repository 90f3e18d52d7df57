//! CRC-64 as Redis uses it: Jones' polynomial, reflected, no initial value and no final XOR.
//!
//! It ends RDB files and DUMP payloads as eight bytes, least significant first. 0 in a file means "not computed".

use crc::{CRC_64_REDIS, Crc, Table};

use crate::structures::folding::fold;

static ALGORITHM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// The checksum of one piece.
pub fn crc64(bytes: &[u8]) -> u64 {
    goes_on(0, bytes)
}

/// The checksum of a piece behind what has the checksum `state`.
fn goes_on(state: u64, bytes: &[u8]) -> u64 {
    // The table's checksum begins with a reversed number.
    let by_table = |state: u64, bytes: &[u8]| {
        let mut digest = ALGORITHM.digest_with_initial(state.reverse_bits());
        digest.update(bytes);
        digest.finalize()
    };
    match fold(state, bytes) {
        Some((folded, rest)) => by_table(by_table(0, &folded), rest),
        None => by_table(state, bytes),
    }
}

/// A checksum over pieces that come one after the other.
#[derive(Clone)]
pub struct Crc64(u64);

impl Crc64 {
    /// Over nothing yet.
    pub fn new() -> Self {
        Self(0)
    }

    /// Takes in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = goes_on(self.0, bytes);
    }

    /// The checksum of everything so far.
    pub fn value(&self) -> u64 {
        self.0
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_nine_digits_is_the_published_one() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn pieces_and_the_whole_have_the_same_checksum() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        assert_eq!(crc64(&bytes), ALGORITHM.checksum(&bytes));
        for cut in [0, 1, 7, 15, 16, 17, 500, 1000] {
            let mut pieces = Crc64::new();
            pieces.update(&bytes[..cut]);
            pieces.update(&bytes[cut..]);
            assert_eq!(pieces.value(), crc64(&bytes), "cut at {cut}");
        }
    }
}
