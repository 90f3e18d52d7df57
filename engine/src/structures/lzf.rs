//! LZF, the byte compression of RDB strings and of inner list nodes.
//!
//! A compressed block is a sequence of two kinds of item:
//!
//! ```text
//! literal run   000lllll  then lllll+1 bytes to copy                                  1..32 bytes
//! short match   lllooooo oooooooo             lll in 1..=6: copy lll+2 bytes          3..8 bytes
//! long match    111ooooo llllllll oooooooo    copy llllllll+9 bytes                   9..264 bytes
//! ```
//!
//! A match copies from what is already decompressed, `o + 1` bytes back (1..8192). It may overlap its own output:
//! distance 1 repeats one byte. The block carries no length; whoever stores it stores both lengths beside it.
//!
//! The compressor is greedy: it remembers the last place of each hash of three bytes, takes the match it finds there,
//! and gives up as soon as the output would pass the caller's limit. The decompressor is total: whatever the input, it
//! returns a value, reads nothing beyond the input and writes nothing beyond the promised length.

use crate::faults::{self, Fault};

/// Longest run of literals that one control byte announces.
const MAX_LITERALS: usize = 32;
/// Shortest copy that is worth two bytes.
const MIN_MATCH: usize = 3;
/// Longest copy of one item.
const MAX_MATCH: usize = 264;
/// Furthest a copy may reach back.
const MAX_DISTANCE: usize = 8192;
/// Three bytes of input become at most `MAX_MATCH` bytes of output.
const MAX_EXPANSION: usize = MAX_MATCH / 3;

/// Places that the compressor remembers.
const PLACES: usize = 1 << 12;
/// For inputs that are shorter than this: clearing the whole table would take longer than they do.
const PLACES_OF_SHORT: usize = 1 << 8;

const _: () = assert!(MAX_DISTANCE == 1 << 13, "a distance is 13 bits");
const _: () = assert!(MAX_MATCH == 7 + 255 + 2, "a long match is its three bits, its byte and two");

/// Why a block cannot be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LzfError {
    /// The block ends inside an item.
    #[error("compressed data ends inside an item at byte {at}")]
    Truncated {
        /// Where in the block the item begins.
        at: usize,
    },
    /// A match reaches back beyond the first byte.
    #[error("item at byte {at} copies from {distance} bytes back, but only {produced} exist")]
    Distance {
        /// Where in the block the item begins.
        at: usize,
        /// How far back it reaches.
        distance: usize,
        /// How many bytes there were.
        produced: usize,
    },
    /// The block decompresses to more, or to fewer, bytes than were promised.
    #[error("decompresses to {at_least} bytes or more where {promised} were promised")]
    TooLong {
        /// How many bytes the block would give, up to the item that is too much.
        at_least: usize,
        /// How many were promised.
        promised: usize,
    },
    /// The block decompresses to fewer bytes than were promised.
    #[error("decompresses to {produced} bytes where {promised} were promised")]
    TooShort {
        /// How many bytes it gives.
        produced: usize,
        /// How many were promised.
        promised: usize,
    },
}

/// Which of so many places, a power of two, three bytes are remembered in.
fn hash<const SIZE: usize>(three: [u8; 3]) -> usize {
    let key = u32::from_le_bytes([three[0], three[1], three[2], 0]);
    (key.wrapping_mul(0x9E37_79B1) >> (32 - SIZE.trailing_zeros())) as usize
}

/// Appends the compressed form of `input` to `output` when it fits into `limit` bytes; otherwise leaves `output` as it
/// was and answers `false`.
pub fn compress(input: &[u8], limit: usize, output: &mut Vec<u8>) -> bool {
    if input.len() < PLACES_OF_SHORT {
        compress_remembering::<PLACES_OF_SHORT>(input, limit, output)
    } else {
        compress_remembering::<PLACES>(input, limit, output)
    }
}

fn compress_remembering<const SIZE: usize>(input: &[u8], limit: usize, output: &mut Vec<u8>) -> bool {
    let start = output.len();
    let mut last_seen = [u32::MAX; SIZE];
    let mut literals_from = 0;
    let mut at = 0;
    while at + MIN_MATCH <= input.len() {
        let three = [input[at], input[at + 1], input[at + 2]];
        let slot = &mut last_seen[hash::<SIZE>(three)];
        let candidate = *slot as usize;
        // Inputs beyond 4 GiB do not occur (strings end at 512 MB); their tail would merely go uncompressed.
        *slot = u32::try_from(at).unwrap_or(u32::MAX);
        let matched = if candidate < at && at - candidate <= MAX_DISTANCE && input[candidate..candidate + 3] == three {
            let most = MAX_MATCH.min(input.len() - at);
            MIN_MATCH
                + input[candidate + MIN_MATCH..]
                    .iter()
                    .zip(&input[at + MIN_MATCH..at + most])
                    .take_while(|(old, new)| old == new)
                    .count()
        } else {
            0
        };
        if matched == 0 {
            at += 1;
            // Hopeless input is given up early: literals alone already cost more than allowed.
            if at - literals_from > limit {
                break;
            }
            continue;
        }
        push_literals(&input[literals_from..at], output);
        push_match(matched, at - candidate, output);
        if output.len() - start > limit {
            break;
        }
        // The last positions inside the match are remembered too, so that a following repetition is found.
        let end = at + matched;
        for inner in end.saturating_sub(2).max(at + 1)..end {
            if let Some(&[a, b, c]) = input.get(inner..inner + 3) {
                last_seen[hash::<SIZE>([a, b, c])] = u32::try_from(inner).unwrap_or(u32::MAX);
            }
        }
        at = end;
        literals_from = end;
    }
    if output.len() - start + (input.len() - literals_from) <= limit {
        push_literals(&input[literals_from..], output);
        if output.len() - start <= limit {
            return true;
        }
    }
    output.truncate(start);
    false
}

fn push_literals(bytes: &[u8], output: &mut Vec<u8>) {
    for run in bytes.chunks(MAX_LITERALS) {
        output.push((run.len() - 1) as u8);
        output.extend_from_slice(run);
    }
}

fn push_match(length: usize, distance: usize, output: &mut Vec<u8>) {
    assert!((MIN_MATCH..=MAX_MATCH).contains(&length));
    assert!((1..=MAX_DISTANCE).contains(&distance));
    let back = distance - 1;
    let code = length - 2;
    if code < 7 {
        output.push(((code << 5) | (back >> 8)) as u8);
    } else {
        output.push(((7 << 5) | (back >> 8)) as u8);
        output.push((code - 7) as u8);
    }
    output.push((back & 0xff) as u8);
}

/// Appends the `promised` bytes that `block` decompresses to; on an error `output` is as it was.
///
/// Memory grows with what the block really holds, never with `promised` alone.
pub fn decompress(block: &[u8], promised: usize, output: &mut Vec<u8>) -> Result<(), LzfError> {
    let start = output.len();
    let result = decompress_items(block, promised, output, start);
    if result.is_err() {
        output.truncate(start);
    }
    result
}

fn decompress_items(block: &[u8], promised: usize, output: &mut Vec<u8>, start: usize) -> Result<(), LzfError> {
    output.reserve(promised.min(block.len().saturating_mul(MAX_EXPANSION)));
    let mut at = 0;
    while let Some(&control) = block.get(at) {
        let item = at;
        let produced = output.len() - start;
        let left = promised - produced;
        at += 1;
        if control < 32 {
            let run = usize::from(control) + 1;
            let literals = block.get(at..at + run).ok_or(LzfError::Truncated { at: item })?;
            if run > left {
                return Err(LzfError::TooLong { at_least: produced + run, promised });
            }
            output.extend_from_slice(literals);
            at += run;
            continue;
        }
        let mut length = usize::from(control >> 5) + 2;
        if control >> 5 == 7 {
            length += usize::from(*block.get(at).ok_or(LzfError::Truncated { at: item })?);
            at += 1;
        }
        let low = *block.get(at).ok_or(LzfError::Truncated { at: item })?;
        at += 1;
        let distance = (usize::from(control & 31) << 8 | usize::from(low)) + 1;
        if distance > produced {
            return Err(LzfError::Distance { at: item, distance, produced });
        }
        if length > left {
            return Err(LzfError::TooLong { at_least: produced + length, promised });
        }
        copy_back(output, distance, length);
    }
    let produced = output.len() - start;
    if produced == promised { Ok(()) } else { Err(LzfError::TooShort { produced, promised }) }
}

/// Appends `length` bytes that begin `distance` before the end. When they overlap, what is appended repeats; each round
/// copies all that exists since then, so that even distance 1 takes few copies.
fn copy_back(output: &mut Vec<u8>, distance: usize, length: usize) {
    let from = output.len() - distance;
    if faults::is(Fault::LzfRunEndsInZero) && distance == 1 && length > 16 {
        let last = output[from];
        output.resize(output.len() + length - 1, last);
        output.push(0);
        return;
    }
    let mut left = length;
    while left > 0 {
        let step = left.min(output.len() - from);
        output.extend_from_within(from..from + step);
        left -= step;
    }
}
