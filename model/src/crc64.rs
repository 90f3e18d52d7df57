//! CRC-64 of Jones, bit by bit, as [CRC-1] words it: the polynomial written forwards, bytes and sum reflected.

/// The polynomial, highest power first.
const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9;

/// The checksum of these bytes. [CRC-1]
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut sum: u64 = 0;
    for &byte in bytes {
        for bit in 0..8 {
            // Reflected input: the lowest bit of a byte comes first.
            let enters = (byte >> bit) & 1 == 1;
            let leaves = sum >> 63 == 1;
            sum <<= 1;
            if enters != leaves {
                sum ^= POLYNOMIAL;
            }
        }
    }
    // Reflected output.
    sum.reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::checksum;

    //= SPEC.md#rdb-strings
    //# [CRC-1] (file) The checksum MUST be the CRC-64 of Jones: polynomial 0xad93d23594c935a9, input and output reflected,
    //# initial value and final exclusive-or zero, so that `123456789` gives 0xe9c6d914c4b8d9ca.
    #[test]
    fn the_check_value_of_the_polynomial_comes_out() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(b""), 0);
    }
}
