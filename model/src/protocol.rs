//! The request protocol, naively: all bytes that a connection ever sent, read from the front each time a request is wanted.
//!
//! An incremental parser must come to the same requests however the bytes were cut into reads [RESP-13]; this one never sees a cut.

use crate::clause::Clause;
use crate::reply::Bytes;

/// The longest line before it is too big. [LIMIT-1] [LIMIT-2] [LIMIT-3]
pub const LONGEST_LINE: usize = 65_536;
/// The most arguments of a multibulk request. [RESP-6]
pub const MOST_ARGUMENTS: i64 = 1_048_576;
/// The most arguments of a client that has not authenticated. [RESP-9]
pub const MOST_ARGUMENTS_UNAUTHENTICATED: i64 = 10;
/// The longest argument of a client that has not authenticated. [RESP-10]
pub const LONGEST_ARGUMENT_UNAUTHENTICATED: i64 = 16_384;

/// What a stream may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `proto-max-bulk-len`, bytes. [RESP-8]
    pub longest_argument: i64,
    /// A password is set, and the client has not given it.
    pub unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { longest_argument: 512 * 1024 * 1024, unauthenticated: false }
    }
}

/// A request that cannot be understood; the connection ends with it. [RESP-11]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// The clause that demands it.
    pub clause: Clause,
    /// What is answered, the whole line.
    pub line: Bytes,
}

/// What the bytes at the front of a stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// A request of at least one argument, and how many bytes it takes.
    Request(Vec<Bytes>, usize),
    /// Bytes that are skipped without a reply. [RESP-5] [INLINE-2]
    Nothing(usize),
    /// The beginning of something whose end has not arrived.
    Incomplete,
    /// No request.
    Error(ProtocolError),
}

/// Everything a stream means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its requests in order. [RESP-12]
    pub requests: Vec<Vec<Bytes>>,
    /// The error that ends it.
    pub error: Option<ProtocolError>,
    /// How many bytes all of this takes; those behind wait for more, or are never read after an error.
    pub consumed: usize,
}

/// Reads all requests of a stream.
pub fn stream(bytes: &[u8], limits: Limits) -> Stream {
    let mut stream = Stream { requests: Vec::new(), error: None, consumed: 0 };
    loop {
        match front(&bytes[stream.consumed..], limits) {
            Front::Request(arguments, length) => {
                stream.requests.push(arguments);
                stream.consumed += length;
            }
            Front::Nothing(length) => stream.consumed += length,
            Front::Incomplete => return stream,
            Front::Error(error) => {
                stream.error = Some(error);
                return stream;
            }
        }
    }
}

/// Reads what is at the front. [RESP-1]
pub fn front(bytes: &[u8], limits: Limits) -> Front {
    match bytes.first() {
        None => Front::Incomplete,
        Some(b'*') => multibulk(bytes, limits),
        Some(_) => inline(bytes),
    }
}

/// The line up to `end`, not counting it.
enum Line<'a> {
    Whole(&'a [u8]),
    Incomplete,
    TooLong,
}

/// Finds the end of a line; a zero byte hides every end behind it. [RESP-16]
fn line(bytes: &[u8], end: u8) -> Line<'_> {
    for (index, &byte) in bytes.iter().enumerate() {
        if index > LONGEST_LINE {
            return Line::TooLong;
        }
        if byte == end {
            return Line::Whole(&bytes[..index]);
        }
        if byte == 0 {
            return if bytes.len() > LONGEST_LINE { Line::TooLong } else { Line::Incomplete };
        }
    }
    if bytes.len() > LONGEST_LINE { Line::TooLong } else { Line::Incomplete }
}

fn error(clause: Clause, text: impl AsRef<[u8]>) -> Front {
    let mut line = b"ERR Protocol error: ".to_vec();
    line.extend(text.as_ref());
    Front::Error(ProtocolError { clause, line })
}

/// [RESP-2]
fn multibulk(bytes: &[u8], limits: Limits) -> Front {
    let text = match line(bytes, b'\r') {
        Line::TooLong => return error(Clause::LIMIT_2, "too big mbulk count string"),
        // The byte behind the CR has to be there, whatever it is. [RESP-3]
        Line::Whole(text) if text.len() + 2 <= bytes.len() => text,
        _ => return Front::Incomplete,
    };
    let Some(count) = integer(&text[1..]).filter(|&count| count <= MOST_ARGUMENTS) else {
        return error(Clause::RESP_6, "invalid multibulk length");
    };
    if limits.unauthenticated && count > MOST_ARGUMENTS_UNAUTHENTICATED {
        return error(Clause::RESP_9, "unauthenticated multibulk length");
    }
    let mut at = text.len() + 2;
    let mut arguments = Vec::new();
    for _ in 0..count {
        let text = match line(&bytes[at..], b'\r') {
            Line::TooLong => return error(Clause::LIMIT_3, "too big bulk count string"),
            Line::Whole(text) if at + text.len() + 2 <= bytes.len() => text,
            _ => return Front::Incomplete,
        };
        let first = bytes[at];
        if first != b'$' {
            let shown = if matches!(first, b'\r' | b'\n') { b' ' } else { first };
            let mut text = b"expected '$', got '".to_vec();
            text.extend([shown, b'\'']);
            return error(Clause::RESP_7, text);
        }
        let length = integer(&text[1..]).filter(|length| (0..=limits.longest_argument).contains(length));
        let Some(length) = length else {
            return error(Clause::RESP_8, "invalid bulk length");
        };
        if limits.unauthenticated && length > LONGEST_ARGUMENT_UNAUTHENTICATED {
            return error(Clause::RESP_10, "unauthenticated bulk length");
        }
        at += text.len() + 2;
        let Some(end) = usize::try_from(length).ok().and_then(|length| at.checked_add(length)) else {
            return Front::Incomplete;
        };
        // Two more bytes have to be there, whatever they are. [RESP-3]
        if bytes.len() < end.saturating_add(2) {
            return Front::Incomplete;
        }
        arguments.push(bytes[at..end].to_vec());
        at = end + 2;
    }
    if arguments.is_empty() { Front::Nothing(at) } else { Front::Request(arguments, at) }
}

/// A canonical decimal integer of 64 bits. [RESP-4]
fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// [INLINE-1]
fn inline(bytes: &[u8]) -> Front {
    let text = match line(bytes, b'\n') {
        Line::TooLong => return error(Clause::LIMIT_1, "too big inline request"),
        Line::Incomplete => return Front::Incomplete,
        Line::Whole(text) => text,
    };
    let length = text.len() + 1;
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let Some(arguments) = split(text) else {
        return error(Clause::INLINE_8, "unbalanced quotes in request");
    };
    // [INLINE-9]
    let arguments: Vec<Bytes> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
    if arguments.is_empty() { Front::Nothing(length) } else { Front::Request(arguments, length) }
}

/// White space between arguments. [INLINE-3]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Splits a line into arguments as inline requests and configuration lines are; `None` if a quote is not closed.
pub fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let mut arguments = Vec::new();
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest
            && is_space(*first)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(arguments);
        }
        let mut argument = Vec::new();
        loop {
            match rest {
                // [INLINE-4]
                [] => break,
                [b' ' | b'\t' | b'\n' | b'\r', ..] => break,
                // [INLINE-7]
                [b'"', tail @ ..] => {
                    rest = double_quoted(tail, &mut argument)?;
                    break;
                }
                [b'\'', tail @ ..] => {
                    rest = single_quoted(tail, &mut argument)?;
                    break;
                }
                [byte, tail @ ..] => {
                    argument.push(*byte);
                    rest = tail;
                }
            }
        }
        arguments.push(argument);
    }
}

/// Whether an argument may end here, behind a closing quote. [INLINE-8]
fn closes(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] => Some(rest),
        [byte, ..] if is_space(*byte) => Some(rest),
        _ => None,
    }
}

/// [INLINE-5]
fn double_quoted<'a>(mut rest: &'a [u8], argument: &mut Bytes) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'"', tail @ ..] => return closes(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                argument.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                argument.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                argument.push(*byte);
                rest = tail;
            }
        }
    }
}

/// [INLINE-6]
fn single_quoted<'a>(mut rest: &'a [u8], argument: &mut Bytes) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\\', b'\'', tail @ ..] => {
                argument.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return closes(tail),
            [byte, tail @ ..] => {
                argument.push(*byte);
                rest = tail;
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
