//! The request parser: bytes in, argument vectors out, whatever the boundaries at which the bytes arrive.
//!
//! ```text
//!   buffer   │ … done │ *2 $3 GET $40000 │ xx │ free room │
//!                      ▲ request          ▲ pos ▲ filled
//!   growing  │ the bytes of a big bulk that has not wholly come │     (its own allocation, filled by the reader)
//!   big      finished big bulks of the request that is being read
//!   spans    where each argument lies: in `buffer`, or in one of `big`
//! ```
//!
//! Invariants: `request <= pos <= filled <= buffer.len()`; spans point below `pos`; no byte is looked at twice while
//! searching a line end (`scanned`); room is only reserved in proportion to bytes that have come, whatever length a
//! header declares. A bulk of 32 KiB and more which has not wholly come is read straight into an allocation of its own.
//!
//! The limits on the length of a line hold wherever reads happen to break the stream. A NUL in a line hides its end, as
//! it does for a server that searches with `strchr`: such a line ends at the limit.

use std::fmt;
use std::ops::Index;

use super::inline;
use crate::faults::{self, Fault};
use crate::number::parse_i64;

/// Longest line (inline request, or count header) without a line end, in bytes.
pub const MAX_LINE: usize = 64 * 1024;
/// Most arguments of one request.
pub const MAX_ARGUMENTS: i64 = 1024 * 1024;
/// Most arguments of one request before authentication.
pub const MAX_ARGUMENTS_UNAUTHENTICATED: i64 = 10;
/// Longest argument before authentication, in bytes.
pub const MAX_BULK_UNAUTHENTICATED: i64 = 16 * 1024;
/// From this length on a bulk gets an allocation of its own.
pub const BIG_BULK: usize = 32 * 1024;
/// Room offered to one read, in bytes.
pub const READ_ROOM: usize = 16 * 1024;

/// What a client may send at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest argument in bytes (`proto-max-bulk-len`).
    pub max_bulk: i64,
    /// A password is wanted and has not been given yet.
    pub unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_bulk: 512 * 1024 * 1024, unauthenticated: false }
    }
}

/// A request that cannot be understood; the connection is closed after the error is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline request longer than 64 KiB.
    TooBigInline,
    /// An argument count that does not end within 64 KiB.
    TooBigMultibulkCount,
    /// An argument length that does not end within 64 KiB.
    TooBigBulkCount,
    /// An argument count that is no number or over 1,048,576.
    InvalidMultibulkLength,
    /// More than ten arguments before authentication.
    UnauthenticatedMultibulkLength,
    /// An argument length that is no number, negative or over `proto-max-bulk-len`.
    InvalidBulkLength,
    /// An argument over 16 KiB before authentication.
    UnauthenticatedBulkLength,
    /// An argument that begins with another byte than `$`.
    ExpectedDollar(u8),
    /// An inline request whose quotes do not match.
    UnbalancedQuotes,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Protocol error: ")?;
        out.write_str(match self {
            ProtocolError::TooBigInline => "too big inline request",
            ProtocolError::TooBigMultibulkCount => "too big mbulk count string",
            ProtocolError::TooBigBulkCount => "too big bulk count string",
            ProtocolError::InvalidMultibulkLength => "invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::ExpectedDollar(byte) => {
                return write!(out, "expected '$', got '{}'", char::from(*byte));
            }
        })
    }
}

impl std::error::Error for ProtocolError {}

impl ProtocolError {
    /// The error reply's words, its code in front.
    #[must_use]
    pub fn reply(&self) -> Vec<u8> {
        if let ProtocolError::ExpectedDollar(byte) = *self {
            // The byte itself, which need not be text.
            return [b"ERR Protocol error: expected '$', got '", &[byte][..], b"'"].concat();
        }
        format!("ERR {self}").into_bytes()
    }
}

/// Where an argument lies: source 0 is the buffer, source n the n-th big bulk.
#[derive(Clone, Copy, Debug)]
struct Span {
    source: usize,
    start: usize,
    len: usize,
}

/// A request's arguments; `args[0]` is the command's name. A view into the parser's buffers: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    buffer: &'a [u8],
    big: &'a [Vec<u8>],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// How many arguments there are, the command's name included.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`, if there are that many.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).and_then(|span| self.bytes(span))
    }

    #[inline]
    fn bytes(&self, span: &Span) -> Option<&'a [u8]> {
        let source = match span.source {
            0 => self.buffer,
            n => self.big.get(n - 1)?.as_slice(),
        };
        source.get(span.start..span.start + span.len)
    }

    /// Whether the argument at `index` is this word, in whatever letter case.
    #[must_use]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|argument| argument.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// All arguments in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let args = *self;
        self.spans.iter().map(move |span| args.bytes(span).unwrap_or_default())
    }

    /// The arguments from `begin` on and before `end`; empty when there are not that many.
    #[must_use]
    pub fn between(&self, begin: usize, end: usize) -> Args<'a> {
        Args { spans: self.spans.get(begin..end).unwrap_or_default(), ..*self }
    }

    /// The arguments from `index` on; empty when there are not that many.
    #[must_use]
    pub fn from(&self, index: usize) -> Args<'a> {
        Args { spans: self.spans.get(index..).unwrap_or_default(), ..*self }
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        let span = &self.spans[index];
        self.bytes(span).unwrap_or_default()
    }
}

/// Arguments that own their bytes: what is read back from an AOF, or kept for later.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgs {
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// Arguments copied from elsewhere.
    pub fn new<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> OwnedArgs {
        let mut owned = OwnedArgs::default();
        for argument in arguments {
            owned.push(argument);
        }
        owned
    }

    /// Adds one argument.
    pub fn push(&mut self, argument: &[u8]) {
        self.spans.push(Span { source: 0, start: self.buffer.len(), len: argument.len() });
        self.buffer.extend_from_slice(argument);
    }

    /// Forgets the arguments and keeps the room.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.spans.clear();
    }

    /// Bytes allocated for them.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.buffer.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// The view that commands take.
    #[must_use]
    pub fn as_args(&self) -> Args<'_> {
        Args { buffer: &self.buffer, big: &[], spans: &self.spans }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between requests.
    Idle,
    /// In an inline request's line.
    Inline,
    /// In the line that counts the arguments.
    Count,
    /// In the line that gives the next argument's length.
    Length,
    /// In an argument of this many bytes.
    Bulk(usize),
}

/// A bulk that is read into its own allocation.
#[derive(Debug)]
struct Growing {
    bytes: Vec<u8>,
    filled: usize,
    /// Its length, with the line end after it.
    whole: usize,
}

/// Reads requests from a stream of bytes, see the [module](self).
#[derive(Debug)]
pub struct RequestParser {
    buffer: Vec<u8>,
    filled: usize,
    request: usize,
    pos: usize,
    /// How far a line end has been searched for.
    scanned: usize,
    state: State,
    /// Arguments still to come.
    remaining: usize,
    spans: Vec<Span>,
    big: Vec<Vec<u8>>,
    growing: Option<Growing>,
}

impl Default for RequestParser {
    fn default() -> Self {
        RequestParser::new()
    }
}

impl RequestParser {
    /// A parser that has seen nothing; allocates nothing.
    #[must_use]
    pub const fn new() -> RequestParser {
        RequestParser {
            buffer: Vec::new(),
            filled: 0,
            request: 0,
            pos: 0,
            scanned: 0,
            state: State::Idle,
            remaining: 0,
            spans: Vec::new(),
            big: Vec::new(),
            growing: None,
        }
    }

    /// Room to read into, never empty; what was read is then told by [`RequestParser::filled`].
    pub fn room(&mut self) -> &mut [u8] {
        if let Some(growing) = &mut self.growing {
            if growing.filled == growing.bytes.len() {
                // Doubling keeps the room in proportion to what has come, and copying linear.
                let more = growing.filled.max(READ_ROOM);
                let len = growing.filled.saturating_add(more).min(growing.whole);
                growing.bytes.resize(len, 0);
            }
            return growing.bytes.get_mut(growing.filled..).unwrap_or_default();
        }
        if self.filled == self.buffer.len() {
            let more = self.filled.max(READ_ROOM);
            self.buffer.resize(self.filled + more, 0);
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// `bytes` bytes were placed at the start of the slice that [`RequestParser::room`] returned.
    pub fn filled(&mut self, bytes: usize) {
        match &mut self.growing {
            Some(growing) => growing.filled = (growing.filled + bytes).min(growing.bytes.len()),
            None => self.filled = (self.filled + bytes).min(self.buffer.len()),
        }
    }

    /// Copies `bytes` in, or as many of them as there is room for; returns how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let taken = room.len().min(bytes.len());
        for (place, byte) in room.iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.filled(taken);
        taken
    }

    /// Bytes that have come and belong to no finished argument.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.filled - self.pos + self.growing.as_ref().map_or(0, |growing| growing.filled)
    }

    /// Bytes kept for the current request and what follows it, read or not.
    #[must_use]
    pub fn held(&self) -> usize {
        let growing = self.growing.as_ref().map_or(0, |growing| growing.filled);
        let big: usize = self.big.iter().map(Vec::len).sum();
        self.filled - self.request + growing + big
    }

    /// Bytes of room that stand ready and hold no input.
    #[must_use]
    pub fn free_room(&self) -> usize {
        match &self.growing {
            Some(growing) => growing.bytes.len() - growing.filled,
            None => self.buffer.len() - self.filled,
        }
    }

    /// Bytes allocated for input.
    #[must_use]
    pub fn allocated(&self) -> usize {
        let growing = (self.growing.as_ref()).map_or(0, |growing| growing.bytes.capacity());
        let big: usize = self.big.iter().map(Vec::capacity).sum();
        self.buffer.capacity() + growing + big + self.spans.capacity() * size_of::<Span>()
    }

    /// Whether nothing is kept: every byte that came belongs to a finished request.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && self.pos == self.filled
    }

    /// The arguments of the request that [`RequestParser::next`] found last.
    #[must_use]
    #[inline]
    pub fn args(&self) -> Args<'_> {
        Args { buffer: self.buffer.get(..self.filled).unwrap_or_default(), big: &self.big, spans: &self.spans }
    }

    /// Goes on to the next request; false when more bytes are needed for it. Requests without arguments (`*0`, an
    /// empty line) are passed over.
    ///
    /// # Errors
    /// When the bytes are no request; the parser must not be used any more then.
    #[inline]
    pub fn next(&mut self, limits: &Limits) -> Result<bool, ProtocolError> {
        loop {
            let done = match self.state {
                State::Idle => {
                    self.spans.clear();
                    self.big.clear();
                    self.request = self.pos;
                    self.scanned = self.pos;
                    let Some(&first) = self.buffer.get(self.pos) else {
                        return Ok(false);
                    };
                    if self.pos == self.filled {
                        return Ok(false);
                    }
                    if first == b'*' && !limits.unauthenticated && self.whole(limits.max_bulk) {
                        return Ok(true);
                    }
                    self.state = if first == b'*' { State::Count } else { State::Inline };
                    continue;
                }
                State::Inline => self.inline()?,
                State::Count => self.count(limits)?,
                State::Length => self.length(limits)?,
                State::Bulk(len) => self.bulk(len),
            };
            if !done {
                return Ok(false);
            }
            if self.state == State::Idle && !self.spans.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Forgets finished requests. Called when the bytes at hand are used up, so that room is used again; the arguments
    /// of the last request are gone then.
    pub fn compact(&mut self) {
        if self.state == State::Idle {
            self.spans.clear();
            self.big.clear();
            self.request = self.pos;
        }
        let gone = self.request;
        if gone == 0 {
            return;
        }
        if gone < self.filled {
            self.buffer.copy_within(gone..self.filled, 0);
        }
        self.filled -= gone;
        self.pos -= gone;
        self.scanned -= gone;
        self.request = 0;
        for span in &mut self.spans {
            if span.source == 0 {
                span.start -= gone;
            }
        }
    }

    /// Lends `room` to a parser that keeps nothing, as its buffer with `bytes` bytes of input in it. The buffer that
    /// it had comes back in `room`. This is how all idle connections share one read buffer.
    pub fn lend(&mut self, room: &mut Vec<u8>, bytes: usize) {
        debug_assert!(self.is_idle());
        std::mem::swap(&mut self.buffer, room);
        self.filled = bytes.min(self.buffer.len());
        self.pos = 0;
        self.request = 0;
        self.scanned = 0;
    }

    /// Takes back what was lent; what of the input is still needed is copied into the parser's own buffer `own`.
    pub fn take_back(&mut self, own: &mut Vec<u8>) {
        self.compact();
        std::mem::swap(&mut self.buffer, own);
        let rest = own.get(..self.filled).unwrap_or_default();
        if !rest.is_empty() {
            if self.buffer.len() < rest.len() {
                self.buffer.resize(rest.len(), 0);
            }
            if let Some(place) = self.buffer.get_mut(..rest.len()) {
                place.copy_from_slice(rest);
            }
        }
    }

    /// Gives back the allocations of a connection that keeps nothing.
    pub fn shrink(&mut self) {
        if self.is_idle() {
            self.compact();
            self.buffer = Vec::new();
            self.filled = 0;
            self.pos = 0;
            self.request = 0;
            self.scanned = 0;
        }
    }

    /// Checks the invariants named at the [module](self).
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        assert!(self.request <= self.pos && self.pos <= self.filled);
        assert!(self.filled <= self.buffer.len());
        for span in &self.spans {
            match span.source {
                0 => assert!(span.start >= self.request && span.start + span.len <= self.pos),
                n => {
                    assert!(span.start == 0 && self.big.get(n - 1).map(Vec::len) == Some(span.len))
                }
            }
        }
        if let Some(growing) = &self.growing {
            assert!(growing.filled <= growing.bytes.len() && growing.bytes.len() <= growing.whole);
            assert_eq!(self.pos, self.filled);
            assert!(matches!(self.state, State::Bulk(_)));
        }
    }

    /// Reads a whole request at once where it is all there and as plain as nearly all requests are: a few short
    /// arguments. Otherwise changes nothing but `spans`, which begins anew, and leaves the request to the states.
    #[inline]
    fn whole(&mut self, max_bulk: i64) -> bool {
        let input = self.buffer.get(self.pos..self.filled).unwrap_or_default();
        let Some((count @ 1..=MAX_PLAIN_ARGUMENTS, mut at)) = plain_number(input) else {
            return false;
        };
        for _ in 0..count {
            let header = input.get(at..).unwrap_or_default();
            let Some((len, header_len)) = plain_number(header).filter(|_| header.first() == Some(&b'$')) else {
                self.spans.clear();
                return false;
            };
            let start = at + header_len;
            at = start + len + 2;
            if at > input.len() || len as i64 > max_bulk {
                self.spans.clear();
                return false;
            }
            self.spans.push(Span { source: 0, start: self.pos + start, len });
        }
        self.pos += at;
        self.scanned = self.pos;
        true
    }

    /// Looks for `wanted` from where the search stopped before; its place, or `None` when it has not come.
    fn find(&mut self, wanted: u8, too_long: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let limit = self.pos.saturating_add(MAX_LINE + 1).min(self.filled);
        let unseen = self.buffer.get(self.scanned..limit).unwrap_or_default();
        match unseen.iter().position(|&byte| byte == wanted || byte == 0) {
            Some(offset) if unseen.get(offset) == Some(&wanted) => Ok(Some(self.scanned + offset)),
            _ if limit - self.pos > MAX_LINE => Err(too_long),
            // At a NUL the search stays for good.
            Some(offset) => {
                self.scanned += offset;
                Ok(None)
            }
            None => {
                self.scanned = limit;
                Ok(None)
            }
        }
    }

    fn inline(&mut self) -> Result<bool, ProtocolError> {
        let Some(end) = self.find(b'\n', ProtocolError::TooBigInline)? else {
            return Ok(false);
        };
        let start = self.pos;
        let line = self.buffer.get_mut(start..end).unwrap_or_default();
        let line = match line {
            [head @ .., b'\r'] => head,
            whole => whole,
        };
        let spans = &mut self.spans;
        inline::split_in_place(line, |offset, len| {
            // Empty words ("") are dropped, as Redis does.
            if len > 0 {
                spans.push(Span { source: 0, start: start + offset, len });
            }
        })
        .map_err(|inline::UnbalancedQuotes| ProtocolError::UnbalancedQuotes)?;
        self.pos = end + 1;
        self.scanned = self.pos;
        self.state = State::Idle;
        Ok(true)
    }

    /// The number in a header line which begins at `pos` with one marker byte; `None` until the whole line, with the
    /// byte after its CR, has come. That byte is not looked at, as in Redis.
    fn header(&mut self, too_long: ProtocolError) -> Result<Option<(u8, Option<i64>)>, ProtocolError> {
        let Some(end) = self.find(b'\r', too_long)? else {
            return Ok(None);
        };
        if end + 1 >= self.filled {
            // The search resumes at the CR.
            self.scanned = end;
            return Ok(None);
        }
        let marker = self.buffer.get(self.pos).copied().unwrap_or_default();
        let digits = self.buffer.get(self.pos + 1..end).unwrap_or_default();
        let number = parse_i64(digits);
        self.pos = end + 2;
        Ok(Some((marker, number)))
    }

    fn count(&mut self, limits: &Limits) -> Result<bool, ProtocolError> {
        let Some((_, number)) = self.header(ProtocolError::TooBigMultibulkCount)? else {
            return Ok(false);
        };
        self.scanned = self.pos;
        let count = match number {
            Some(count) if count <= MAX_ARGUMENTS => count,
            _ => return Err(ProtocolError::InvalidMultibulkLength),
        };
        if count > MAX_ARGUMENTS_UNAUTHENTICATED && limits.unauthenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        match usize::try_from(count) {
            Ok(count) if count > 0 => {
                self.remaining = count;
                self.state = State::Length;
            }
            _ => self.state = State::Idle,
        }
        Ok(true)
    }

    fn length(&mut self, limits: &Limits) -> Result<bool, ProtocolError> {
        let start = self.pos;
        let Some((marker, number)) = self.header(ProtocolError::TooBigBulkCount)? else {
            return Ok(false);
        };
        if marker != b'$' {
            self.pos = start;
            return Err(ProtocolError::ExpectedDollar(marker));
        }
        let len = match number {
            Some(len) if len <= limits.max_bulk => {
                usize::try_from(len).map_err(|_| ProtocolError::InvalidBulkLength)?
            }
            _ => return Err(ProtocolError::InvalidBulkLength),
        };
        if limits.unauthenticated && number > Some(MAX_BULK_UNAUTHENTICATED) {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        self.state = State::Bulk(len);
        Ok(true)
    }

    fn bulk(&mut self, len: usize) -> bool {
        let whole = len.saturating_add(2);
        if let Some(growing) = &self.growing {
            if growing.filled < whole {
                return false;
            }
            if let Some(mut growing) = self.growing.take() {
                growing.bytes.truncate(len);
                if faults::is(Fault::BigBulkLosesLastByte) {
                    growing.bytes.pop();
                }
                self.big.push(growing.bytes);
            }
            self.spans.push(Span { source: self.big.len(), start: 0, len: self.big.last().map_or(0, Vec::len) });
        } else if self.filled - self.pos >= whole {
            self.spans.push(Span { source: 0, start: self.pos, len });
            self.pos += whole;
        } else {
            if len >= BIG_BULK {
                let come = self.buffer.get(self.pos..self.filled).unwrap_or_default();
                self.growing = Some(Growing { bytes: come.to_vec(), filled: come.len(), whole });
                self.filled = self.pos;
            }
            return false;
        }
        self.scanned = self.pos;
        self.remaining -= 1;
        self.state = if self.remaining == 0 { State::Idle } else { State::Length };
        true
    }
}

/// Most arguments of a request that is read at once.
const MAX_PLAIN_ARGUMENTS: usize = 64;

/// The number in a header line of one marker byte and one to four digits, and the length of the line; `None` for any
/// other line, and when it is not wholly there.
#[inline]
fn plain_number(line: &[u8]) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    match *line {
        [_, a @ b'0'..=b'9', b'\r', _, ..] => Some((digit(a), 4)),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', _, ..] => Some((digit(a) * 10 + digit(b), 5)),
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', _, ..] => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), 6))
        }
        [_, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', d @ b'0'..=b'9', b'\r', _, ..] => {
            Some((digit(a) * 1000 + digit(b) * 100 + digit(c) * 10 + digit(d), 7))
        }
        _ => None,
    }
}
