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
/// Bytes that are copied at once where it does not matter what comes behind an item.
const STRIDE: usize = 16;

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

/// The three bytes at a place, where there are three.
#[inline]
fn three_at(input: &[u8], at: usize) -> u32 {
    match input[at..] {
        [a, b, c, d, ..] => u32::from_le_bytes([a, b, c, d]) & 0xFF_FFFF,
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        _ => unreachable!("three bytes are left"),
    }
}

/// Which of so many places, a power of two, three bytes are remembered in.
#[inline]
fn hash<const SIZE: usize>(three: u32) -> usize {
    (three.wrapping_mul(0x9E37_79B1) >> (32 - SIZE.trailing_zeros())) as usize
}

/// How many bytes two pieces have in common at their beginning.
#[inline]
fn common(one: &[u8], other: &[u8]) -> usize {
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    for (place, (one, other)) in ones.iter().zip(others).enumerate() {
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return 8 * place + (difference.trailing_zeros() / 8) as usize;
        }
    }
    let whole = 8 * ones.len().min(others.len());
    whole + one[whole..].iter().zip(&other[whole..]).take_while(|(one, other)| one == other).count()
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
        let three = three_at(input, at);
        let slot = &mut last_seen[hash::<SIZE>(three)];
        let candidate = *slot as usize;
        // Inputs beyond 4 GiB do not occur (strings end at 512 MB); their tail would merely go uncompressed.
        *slot = u32::try_from(at).unwrap_or(u32::MAX);
        let matched = if candidate < at && at - candidate <= MAX_DISTANCE && three_at(input, candidate) == three {
            let most = MAX_MATCH.min(input.len() - at);
            MIN_MATCH + common(&input[candidate + MIN_MATCH..], &input[at + MIN_MATCH..at + most])
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
            if inner + MIN_MATCH <= input.len() {
                last_seen[hash::<SIZE>(three_at(input, inner))] = u32::try_from(inner).unwrap_or(u32::MAX);
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

#[inline]
fn push_literals(bytes: &[u8], output: &mut Vec<u8>) {
    for run in bytes.chunks(MAX_LITERALS) {
        output.push((run.len() - 1) as u8);
        output.extend_from_slice(run);
    }
}

#[inline]
fn push_match(length: usize, distance: usize, output: &mut Vec<u8>) {
    debug_assert!((MIN_MATCH..=MAX_MATCH).contains(&length));
    debug_assert!((1..=MAX_DISTANCE).contains(&distance));
    let back = distance - 1;
    let code = length - 2;
    if code < 7 {
        output.extend_from_slice(&[((code << 5) | (back >> 8)) as u8, back as u8]);
    } else {
        output.extend_from_slice(&[((7 << 5) | (back >> 8)) as u8, (code - 7) as u8, back as u8]);
    }
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
    // Whole strides are copied, so there is room for one behind the end.
    output.resize(start + promised.min(block.len().saturating_mul(MAX_EXPANSION)) + STRIDE, 0);
    let place = &mut output[start..];
    let (mut at, mut produced) = (0, 0);
    while let Some(&control) = block.get(at) {
        let item = at;
        let left = promised - produced;
        at += 1;
        if control < 32 {
            let run = usize::from(control) + 1;
            let literals = block.get(at..at + run).ok_or(LzfError::Truncated { at: item })?;
            if run > left {
                return Err(LzfError::TooLong { at_least: produced + run, promised });
            }
            match block.get(at..at + STRIDE) {
                Some(stride) if run <= STRIDE => place[produced..produced + STRIDE].copy_from_slice(stride),
                _ => place[produced..produced + run].copy_from_slice(literals),
            }
            produced += run;
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
        copy_back(place, produced, distance, length);
        produced += length;
    }
    output.truncate(start + produced);
    if produced == promised { Ok(()) } else { Err(LzfError::TooShort { produced, promised }) }
}

/// Puts behind the `produced` bytes of `place` the `length` bytes that begin `distance` before their end. When they
/// overlap, what is written repeats; each round copies all that exists since then, so that even distance 1 takes few
/// copies.
#[inline]
fn copy_back(place: &mut [u8], produced: usize, distance: usize, length: usize) {
    let from = produced - distance;
    if faults::is(Fault::LzfRunEndsInZero) && distance == 1 && length > 16 {
        let last = place[from];
        place[produced..produced + length].fill(last);
        place[produced + length - 1] = 0;
        return;
    }
    let mut done = 0;
    if distance >= STRIDE {
        while done < length {
            place.copy_within(from + done..from + done + STRIDE, produced + done);
            done += STRIDE;
        }
        return;
    }
    while done < length {
        let step = (length - done).min(distance + done);
        place.copy_within(from..from + step, produced + done);
        done += step;
    }
}
