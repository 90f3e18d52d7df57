//! The request parser: what a stream means does not depend on how it is cut, is what the model reads in it, and costs
//! memory in proportion to what came.

use tally_engine::resp::{Limits, RequestParser};
use tally_model::protocol;

/// Everything that a stream means: its requests, and the error reply that ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Each request's arguments.
    pub requests: Vec<Vec<Vec<u8>>>,
    /// The words of the error reply.
    pub error: Option<Vec<u8>>,
}

/// How pieces reach the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Always its own buffer.
    Own,
    /// A shared buffer, lent while it keeps nothing, as the engine does it.
    Lent,
}

/// Reads a stream that is cut into pieces of these sizes, again and again from the first; 0 means 1.
#[must_use]
pub fn read(bytes: &[u8], pieces: &[usize], limits: &Limits, room: Room) -> Meaning {
    let mut meaning = Meaning::default();
    let mut parser = RequestParser::new();
    let mut shared = vec![0xAA; 4096];
    let mut sizes = pieces.iter().copied().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let lent = room == Room::Lent && parser.is_idle();
        let taken = if lent {
            let taken = size.min(shared.len());
            shared[..taken].copy_from_slice(&rest[..taken]);
            parser.lend(&mut shared, taken);
            taken
        } else {
            parser.push(&rest[..size])
        };
        assert!(taken > 0, "there is always room");
        rest = &rest[taken..];
        parser.validate();
        loop {
            match parser.next(limits) {
                Ok(true) => meaning.requests.push(parser.args().iter().map(<[u8]>::to_vec).collect()),
                Ok(false) => break,
                Err(error) => {
                    meaning.error = Some(error.reply());
                    return meaning;
                }
            }
            parser.validate();
        }
        if lent {
            parser.take_back(&mut shared);
        } else {
            parser.compact();
        }
        parser.validate();
        let come = bytes.len() - rest.len();
        // An argument of six bytes on the wire costs a span; buffers double; a read needs room.
        assert!(parser.allocated() <= 16 * come + 64 * 1024, "{} bytes for {come}", parser.allocated());
    }
    meaning
}

/// Cutting the stream in whatever way gives the same requests and the same error as reading it at once, and these are
/// what the model reads.
///
/// # Panics
/// When it is not so.
pub fn chunking_is_invisible(bytes: &[u8], pieces: &[usize], limits: &Limits) {
    let whole = read(bytes, &[], limits, Room::Own);
    for room in [Room::Own, Room::Lent] {
        let cut = read(bytes, pieces, limits, room);
        assert_eq!(cut, whole, "pieces {pieces:?}, {room:?}");
    }
    let stream = protocol::stream(
        bytes,
        protocol::Limits { longest_argument: limits.max_bulk, unauthenticated: limits.unauthenticated },
    );
    let modelled = Meaning { requests: stream.requests, error: stream.error.map(|error| shown(&error.line)) };
    assert_eq!(Meaning { error: whole.error.as_deref().map(shown), ..whole }, modelled);
}

/// An error line without what surrounds its words on the wire, line ends as blanks.
fn shown(line: &[u8]) -> Vec<u8> {
    let words = line.strip_suffix(b"\r\n").unwrap_or(line);
    let words = words.strip_prefix(b"-").unwrap_or(words);
    words.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}

/// [`chunking_is_invisible`] for a fuzzer's bytes: the first two say how the rest is cut, and whether the client has
/// yet to authenticate.
pub fn any_stream_in_any_pieces(bytes: &[u8]) {
    if let Some((&[first, second], stream)) = bytes.split_first_chunk() {
        let pieces = [usize::from(first), usize::from(second) * 16];
        let limits = Limits { max_bulk: 512 * 1024 * 1024, unauthenticated: second % 8 == 7 };
        chunking_is_invisible(stream, &pieces, &limits);
    }
}
