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
//! The compressor is greedy: it remembers the last place of each hash of four bytes, takes the match it finds there,
//! and gives up as soon as the output would pass the caller's limit. The decompressor is total: whatever the input, it
//! returns a value, reads nothing beyond the input and writes nothing beyond the promised length.

use std::ops::Range;

use crate::faults::{self, Fault};

/// Longest run of literals that one control byte announces.
const MAX_LITERALS: usize = 32;
/// Shortest copy that there is.
const MIN_MATCH: usize = 3;
/// Shortest copy that the compressor looks for. Shorter ones would save a byte, but end runs of literals that cost one
/// each, and so make blocks no smaller.
const SOUGHT: usize = 4;
/// Longest copy of one item.
const MAX_MATCH: usize = 264;
/// Furthest a copy may reach back.
const MAX_DISTANCE: usize = 8192;
/// Three bytes of input become at most `MAX_MATCH` bytes of output.
const MAX_EXPANSION: usize = MAX_MATCH / 3;
/// Bytes that are copied at once where it does not matter what comes behind an item.
const STRIDE: usize = 16;
/// Bytes that the compressor needs behind its limit: it writes a whole run of literals before it sees that it is too long.
const MARGIN: usize = 2 * MAX_LITERALS;

/// Places that the compressor remembers.
const PLACES: usize = 1 << 12;
/// For inputs that are shorter than [`MEDIUM`] and [`SHORT`]: clearing the whole table would take longer than they do.
const PLACES_OF_MEDIUM: usize = 1 << 10;
const PLACES_OF_SHORT: usize = 1 << 8;
const MEDIUM: usize = 1 << 12;
const SHORT: usize = 1 << 8;

const _: () = assert!(MEDIUM <= MAX_DISTANCE, "only in large inputs a distance can be too long");
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

/// As many bytes of a place as the shortest copy that is sought has.
#[inline]
fn word_at(input: &[u8], at: usize) -> Option<u32> {
    input.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

/// Which of so many places, a power of two, four bytes are remembered in.
#[inline]
fn hash<const SIZE: usize>(word: u32) -> usize {
    (word.wrapping_mul(0x27D4_EB2F) >> (32 - SIZE.trailing_zeros())) as usize
}

/// How many bytes from `at` on are those from `earlier` on, `most` at most, which exist.
#[inline(always)]
fn common(input: &[u8], earlier: usize, at: usize, most: usize) -> usize {
    let mut found = 0;
    while found < most {
        let words = (input[earlier + found..].first_chunk(), input[at + found..].first_chunk());
        let (Some(one), Some(other)) = words else {
            // The last bytes of the input.
            while found < most && input[earlier + found] == input[at + found] {
                found += 1;
            }
            return found;
        };
        let difference = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if difference != 0 {
            return most.min(found + (difference.trailing_zeros() / 8) as usize);
        }
        found += 8;
    }
    most
}

/// Appends the compressed form of `input` to `output` when it fits into `limit` bytes; otherwise leaves `output` as it
/// was and answers `false`.
pub fn compress(input: &[u8], limit: usize, output: &mut Vec<u8>) -> bool {
    let start = output.len();
    // Never longer than all of it as literals, and those of a limit that no input reaches need no room.
    let room = limit.min(input.len() + input.len() / MAX_LITERALS + 1);
    output.resize(start + room + MARGIN, 0);
    let place = &mut output[start..];
    let written = match input.len() {
        0..SHORT => compress_remembering::<PLACES_OF_SHORT>(input, room, place),
        SHORT..MEDIUM => compress_remembering::<PLACES_OF_MEDIUM>(input, room, place),
        _ => compress_remembering::<PLACES>(input, room, place),
    };
    output.truncate(start + written.unwrap_or(0));
    written.is_some()
}

/// Writes the compressed form into `output`, which has [`MARGIN`] bytes more than the limit; answers its length.
fn compress_remembering<const SIZE: usize>(input: &[u8], limit: usize, output: &mut [u8]) -> Option<usize> {
    // A place that was not filled yet is the input's beginning, which is looked at like any other.
    let mut last_seen = [0u32; SIZE];
    let mut written = 0;
    let mut literals_from = 0;
    let mut at = 1;
    while let Some(word) = word_at(input, at) {
        let slot = &mut last_seen[hash::<SIZE>(word)];
        let candidate = *slot as usize;
        // Inputs beyond 4 GiB do not occur (strings end at 512 MB); their tail would merely go uncompressed.
        *slot = at as u32;
        let same = word_at(input, candidate) == Some(word);
        let distance = at - candidate;
        if !same || SIZE == PLACES && distance > MAX_DISTANCE {
            at += 1;
            // Hopeless input is given up early: literals alone already cost more than allowed.
            if at - literals_from > limit {
                return None;
            }
            continue;
        }
        let most = MAX_MATCH.min(input.len() - at) - SOUGHT;
        let matched = SOUGHT + common(input, candidate + SOUGHT, at + SOUGHT, most);
        written = push_literals(input, literals_from..at, output, written, limit)?;
        written += push_match(matched, distance, &mut output[written..]);
        if written > limit {
            return None;
        }
        // The last position inside the match is remembered too, so that a following repetition is found.
        let end = at + matched;
        if let Some(word) = word_at(input, end - 1) {
            last_seen[hash::<SIZE>(word)] = (end - 1) as u32;
        }
        at = end;
        literals_from = end;
    }
    written = push_literals(input, literals_from..input.len(), output, written, limit)?;
    (written <= limit).then_some(written)
}

/// Writes an array.
#[inline]
fn put<const BYTES: usize>(place: &mut [u8], at: usize, bytes: [u8; BYTES]) {
    // An array is moved in a register, a slice of the same length by a call.
    let Some(target) = place[at..].first_chunk_mut() else { panic!("{BYTES} bytes at {at} of {}", place.len()) };
    *target = bytes;
}

/// Writes the first `run` bytes of `from`, as many as one item announces. What stands behind them, up to the length of
/// the longest run, has no meaning afterwards.
#[inline(always)]
fn put_run(from: &[u8], run: usize, place: &mut [u8], at: usize) {
    match (from.first_chunk::<STRIDE>(), from.first_chunk::<MAX_LITERALS>()) {
        (Some(bytes), _) if run <= STRIDE => put(place, at, *bytes),
        (_, Some(bytes)) => put(place, at, *bytes),
        _ => place[at..at + run].copy_from_slice(&from[..run]),
    }
}

/// Writes these bytes as runs; answers where they end, nothing when that is far beyond the limit.
#[inline(always)]
fn push_literals(
    input: &[u8],
    mut bytes: Range<usize>,
    output: &mut [u8],
    mut written: usize,
    limit: usize,
) -> Option<usize> {
    while !bytes.is_empty() {
        let run = bytes.len().min(MAX_LITERALS);
        if written > limit {
            return None;
        }
        output[written] = (run - 1) as u8;
        put_run(&input[bytes.start..], run, output, written + 1);
        written += 1 + run;
        bytes.start += run;
    }
    Some(written)
}

/// Writes an item that copies; answers how many bytes it takes.
#[inline]
fn push_match(length: usize, distance: usize, output: &mut [u8]) -> usize {
    debug_assert!((MIN_MATCH..=MAX_MATCH).contains(&length));
    debug_assert!((1..=MAX_DISTANCE).contains(&distance));
    let back = distance - 1;
    let code = length - 2;
    if code < 7 {
        put(output, 0, [((code << 5) | (back >> 8)) as u8, back as u8]);
        2
    } else {
        put(output, 0, [((7 << 5) | (back >> 8)) as u8, (code - 7) as u8, back as u8]);
        3
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
    // Whole strides and runs are copied, so there is room for one behind the end.
    output.resize(start + promised.min(block.len().saturating_mul(MAX_EXPANSION)) + MAX_LITERALS, 0);
    let place = &mut output[start..];
    let (mut at, mut produced) = (0, 0);
    while let Some(&control) = block.get(at) {
        let item = at;
        let left = promised - produced;
        at += 1;
        if control < 32 {
            let run = usize::from(control) + 1;
            let literals = block.get(at..).filter(|rest| rest.len() >= run).ok_or(LzfError::Truncated { at: item })?;
            if run > left {
                return Err(LzfError::TooLong { at_least: produced + run, promised });
            }
            put_run(literals, run, place, produced);
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

/// Bytes of a word.
const WORD: usize = 8;

/// How a few bytes are repeated in a word.
#[derive(Clone, Copy)]
struct Repetition {
    /// A number made of them times this one has them over and over.
    factor: u64,
    /// Bytes of the repetitions that are whole.
    step: usize,
}

/// By the number of bytes.
const REPETITIONS: [Repetition; WORD] = {
    let mut all = [Repetition { factor: 1, step: WORD }; WORD];
    let mut bytes = 1;
    while bytes < WORD {
        let (mut factor, mut at) = (0, 0);
        while at < WORD {
            factor |= 1 << (8 * at);
            at += bytes;
        }
        all[bytes] = Repetition { factor, step: WORD - WORD % bytes };
        bytes += 1;
    }
    all
};

/// Reads an array.
#[inline]
fn get<const BYTES: usize>(place: &[u8], at: usize) -> [u8; BYTES] {
    let Some(bytes) = place[at..].first_chunk() else { panic!("{BYTES} bytes at {at} of {}", place.len()) };
    *bytes
}

/// Puts behind the `produced` bytes of `place` the `length` bytes that begin `distance` before their end, and up to a
/// stride of others. When they overlap, what is written repeats.
#[inline]
fn copy_back(place: &mut [u8], produced: usize, distance: usize, length: usize) {
    let from = produced - distance;
    if faults::is(Fault::LzfRunEndsInZero) && distance == 1 && length > 16 {
        let last = place[from];
        place[produced..produced + length].fill(last);
        place[produced + length - 1] = 0;
        return;
    }
    if distance >= STRIDE {
        return copy_strides::<STRIDE>(place, from, produced, length);
    }
    if distance >= WORD {
        return copy_strides::<WORD>(place, from, produced, length);
    }
    // As many repetitions as fit a word; what stands behind them is written over by the next round.
    let once = u64::from_le_bytes(get(place, from)) & (u64::MAX >> (64 - 8 * distance));
    let Repetition { factor, step } = REPETITIONS[distance];
    let word = once.wrapping_mul(factor).to_le_bytes();
    let mut done = 0;
    while done < length {
        put(place, produced + done, word);
        done += step;
    }
}

/// Copies `length` bytes and up to a stride more, in strides no longer than the distance between both places.
#[inline]
fn copy_strides<const BYTES: usize>(place: &mut [u8], from: usize, to: usize, length: usize) {
    let mut done = 0;
    while done < length {
        let stride: [u8; BYTES] = get(place, from + done);
        put(place, to + done, stride);
        done += BYTES;
    }
}
