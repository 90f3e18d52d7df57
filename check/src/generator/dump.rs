//! Serializations for RESTORE: the value's type and bytes, the format's version, a checksum.

use crc::{CRC_64_REDIS, Crc};

use crate::choice::Choice;

const CHECKSUM: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

/// The version of the format that Redis 5 writes.
const VERSION: u16 = 9;

/// What the bytes before the version and the checksum are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A string that a server must take.
    String,
    /// Something else, or damaged.
    Other,
    /// The checksum is wrong, or the version is too new, so that nobody looks at the body.
    Unchecked,
}

/// Adds version and checksum to a body.
pub fn serialize(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = CHECKSUM.checksum(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What a server finds in this payload.
pub fn classify(payload: &[u8]) -> Body {
    let Some((front, checksum)) = payload.split_last_chunk::<8>() else { return Body::Unchecked };
    let Some((body, version)) = front.split_last_chunk::<2>() else { return Body::Unchecked };
    if u16::from_le_bytes(*version) > VERSION || CHECKSUM.checksum(front) != u64::from_le_bytes(*checksum) {
        return Body::Unchecked;
    }
    if is_string(body) { Body::String } else { Body::Other }
}

/// Is it type 0, then exactly one string in the plain, integer or LZF form?
fn is_string(body: &[u8]) -> bool {
    let [0, first, rest @ ..] = body else { return false };
    let plain = |header: usize, length: usize| rest.len() == header + length;
    match first >> 6 {
        0 => plain(0, usize::from(first & 63)),
        1 => rest.first().is_some_and(|&low| plain(1, usize::from(first & 63) << 8 | usize::from(low))),
        2 => match (first, rest) {
            (0x80, [a, b, c, d, ..]) => plain(4, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
            _ => false,
        },
        _ => match first & 63 {
            0 => rest.len() == 1,
            1 => rest.len() == 2,
            2 => rest.len() == 4,
            // Compressed strings are left to servers' own DUMP: whether one is sound cannot be told without unpacking.
            _ => false,
        },
    }
}

/// The body of a string in the plain form, whatever else would be shorter.
pub fn string_body(value: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    match value.len() {
        length @ 0..=63 => body.push(length as u8),
        length @ 64..=16_383 => body.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        length => {
            body.push(0x80);
            body.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    body.extend_from_slice(value);
    body
}

/// Draws a payload: one that a server gave out, one made here, or one that is damaged.
pub(super) fn payload(choice: &mut impl Choice, known: &[Vec<u8>], values: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = match known {
        [_, ..] if choice.ratio(2, 3) => known[choice.below(known.len() as u32) as usize].clone(),
        _ => serialize(&made_body(choice, values)),
    };
    match choice.below(20) {
        0 => {
            payload.truncate(choice.below(payload.len() as u32 + 1) as usize);
        }
        1 if !payload.is_empty() => {
            let place = choice.below(payload.len() as u32) as usize;
            payload[place] ^= 1 << choice.below(8);
        }
        // Damage behind a right checksum: what a live Redis of the profile does not survive is held back by `profile`.
        2 if payload.len() > 10 => {
            let mut body = payload[..payload.len() - 10].to_vec();
            let place = 1 + choice.below(body.len() as u32 - 1) as usize;
            if let Some(byte) = body.get_mut(place) {
                *byte ^= 1 << choice.below(8);
            }
            payload = serialize(&body);
        }
        _ => {}
    }
    payload
}

fn made_body(choice: &mut impl Choice, values: &[Vec<u8>]) -> Vec<u8> {
    match choice.below(5) {
        0 => vec![0, 0xC0, choice.below(256) as u8],
        1 => [&[0, 0xC1][..], &(choice.below(65_536) as u16).to_le_bytes()].concat(),
        2 => [&[0, 0xC2][..], &(choice.int(i64::from(i32::MIN)..=i64::from(i32::MAX)) as i32).to_le_bytes()].concat(),
        _ => string_body(&values[choice.below(values.len() as u32) as usize]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_told_apart() {
        assert_eq!(classify(&serialize(&string_body(b"value"))), Body::String);
        assert_eq!(classify(&serialize(&string_body(&[7; 300]))), Body::String);
        assert_eq!(classify(&serialize(&string_body(&[7; 20_000]))), Body::String);
        assert_eq!(classify(&serialize(&[0, 0xC1, 1, 2])), Body::String);
        assert_eq!(classify(&serialize(&[])), Body::Other);
        assert_eq!(classify(&serialize(&[0, 5, 1])), Body::Other);
        assert_eq!(classify(b"short"), Body::Unchecked);
        let mut damaged = serialize(&string_body(b"value"));
        damaged[3] ^= 1;
        assert_eq!(classify(&damaged), Body::Unchecked);
    }
}
