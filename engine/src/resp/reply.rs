//! The reply writer and the bytes that wait to be sent.
//!
//! ```text
//!   full     chunks that are complete, oldest first; `sent` bytes of the oldest are gone already
//!   current  the chunk that grows
//! ```
//!
//! A chunk is complete when the next piece would take it over [`CHUNK`] bytes, so that a long reply is never copied to
//! a bigger place, and memory goes back as it is sent. A mark for a length that is known only later
//! ([`Reply::later_array`]) completes the chunk too: the header is then appended to it without moving anything.

use std::collections::VecDeque;
use std::io::Write as _;

use crate::number::{I64_TEXT_MAX, format_i64};

/// Bytes of a chunk after which a new one is begun.
pub const CHUNK: usize = 16 * 1024;

/// Bytes for one connection that wait to be sent.
#[derive(Debug, Default)]
pub struct Output {
    full: VecDeque<Vec<u8>>,
    current: Vec<u8>,
    /// Bytes of the oldest chunk that were sent.
    sent: usize,
    /// Bytes in `full`.
    in_full: usize,
}

/// How much output there is, to undo what came after ([`Output::truncate`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    chunks: usize,
    current: usize,
}

impl Output {
    /// Whether everything was sent.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.current.len() == self.sent
    }

    /// Bytes not yet sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_full + self.current.len() - self.sent
    }

    /// Complete chunks that wait before the growing one.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.full.len()
    }

    /// Bytes in the chunk that grows.
    #[must_use]
    pub fn growing(&self) -> usize {
        self.current.len()
    }

    /// Bytes allocated for complete chunks.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.full.iter().map(Vec::capacity).sum()
    }

    /// The unsent bytes, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.sent;
        self.full
            .iter()
            .chain(std::iter::once(&self.current))
            .map(move |chunk| chunk.get(std::mem::take(&mut skip)..).unwrap_or_default())
            .filter(|slice| !slice.is_empty())
    }

    /// `bytes` bytes of [`Output::slices`] were sent.
    pub fn written(&mut self, bytes: usize) {
        self.sent += bytes;
        while let Some(oldest) = self.full.front() {
            if self.sent < oldest.len() {
                return;
            }
            self.sent -= oldest.len();
            self.in_full -= oldest.len();
            self.full.pop_front();
        }
        self.sent = self.sent.min(self.current.len());
        if self.sent == self.current.len() {
            self.sent = 0;
            if self.current.capacity() > CHUNK {
                self.current = Vec::new();
            } else {
                self.current.clear();
            }
        }
    }

    /// Drops everything that waits.
    pub fn clear(&mut self) {
        *self = Output::default();
    }

    /// Gives back the room of a connection that has nothing to send.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    /// Where the output ends now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { chunks: self.full.len(), current: self.current.len() }
    }

    /// Forgets what was added since `mark`; nothing may have been sent since.
    pub fn truncate(&mut self, mark: Mark) {
        while self.full.len() > mark.chunks {
            if let Some(chunk) = self.full.pop_back() {
                self.in_full -= chunk.len();
                self.current = chunk;
            }
        }
        self.current.truncate(mark.current);
    }

    /// Appends bytes that are already in the protocol's form.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).extend_from_slice(bytes);
    }

    /// The chunk to which `len` more bytes go.
    #[inline]
    fn room(&mut self, len: usize) -> &mut Vec<u8> {
        if self.current.len() + len > CHUNK && !self.current.is_empty() {
            self.complete(len);
        }
        &mut self.current
    }

    #[cold]
    fn complete(&mut self, next: usize) {
        let fresh = Vec::with_capacity(next.max(CHUNK));
        let mut chunk = std::mem::replace(&mut self.current, fresh);
        if chunk.len() < chunk.capacity() / 2 {
            chunk.shrink_to_fit();
        }
        self.in_full += chunk.len();
        self.full.push_back(chunk);
    }

    /// A writer of replies.
    #[inline]
    pub fn reply(&mut self) -> Reply<'_> {
        Reply { out: self }
    }
}

/// A place kept for an array header whose length is known only later.
#[derive(Debug)]
#[must_use = "the array's length has to be told"]
pub struct LaterArray {
    chunk: usize,
}

/// Writes replies in the protocol's form.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Output,
}

impl Reply<'_> {
    /// `+text`.
    #[inline]
    pub fn status(&mut self, text: &str) {
        let room = self.out.room(text.len() + 3);
        room.push(b'+');
        room.extend_from_slice(text.as_bytes());
        room.extend_from_slice(b"\r\n");
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.push(b"+OK\r\n");
    }

    /// `-text`, the text beginning with its code; line ends become blanks, for they would end the reply.
    pub fn error(&mut self, text: &[u8]) {
        let room = self.out.room(text.len() + 3);
        room.push(b'-');
        room.extend(text.iter().map(|&byte| match byte {
            b'\r' | b'\n' => b' ',
            other => other,
        }));
        room.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn header(&mut self, marker: u8, number: i64) {
        let mut digits = [0; I64_TEXT_MAX];
        let text = format_i64(number, &mut digits);
        let room = self.out.room(text.len() + 3);
        room.push(marker);
        room.extend_from_slice(text);
        room.extend_from_slice(b"\r\n");
    }

    /// `:number`.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        match number {
            0 => self.out.push(b":0\r\n"),
            1 => self.out.push(b":1\r\n"),
            _ => self.header(b':', number),
        }
    }

    /// `:number`, for a count.
    #[inline]
    pub fn count(&mut self, number: usize) {
        self.integer(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// `$length` and the bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        let mut digits = [0; I64_TEXT_MAX];
        let text = format_i64(i64::try_from(bytes.len()).unwrap_or(i64::MAX), &mut digits);
        let room = self.out.room(bytes.len() + text.len() + 5);
        room.push(b'$');
        room.extend_from_slice(text);
        room.extend_from_slice(b"\r\n");
        room.extend_from_slice(bytes);
        room.extend_from_slice(b"\r\n");
    }

    /// The number's digits as a bulk string.
    pub fn bulk_integer(&mut self, number: i64) {
        let mut digits = [0; I64_TEXT_MAX];
        self.bulk(format_i64(number, &mut digits));
    }

    /// `$-1`.
    #[inline]
    pub fn nil(&mut self) {
        self.out.push(b"$-1\r\n");
    }

    /// `*-1`.
    pub fn nil_array(&mut self) {
        self.out.push(b"*-1\r\n");
    }

    /// `*count`; the elements follow as replies.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.header(b'*', i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Keeps a place for an array header; the elements follow as replies, then [`Reply::set_array`] tells their number.
    pub fn later_array(&mut self) -> LaterArray {
        self.out.complete(0);
        LaterArray { chunk: self.out.full.len() - 1 }
    }

    /// Fills the place that [`Reply::later_array`] kept.
    pub fn set_array(&mut self, place: LaterArray, count: usize) {
        if let Some(chunk) = self.out.full.get_mut(place.chunk) {
            let before = chunk.len();
            // Writing to a Vec cannot fail.
            let _ = write!(chunk, "*{count}\r\n");
            self.out.in_full += chunk.len() - before;
        }
    }

    /// An array of statuses, one per line: the form of all HELP texts.
    pub fn lines<'t>(&mut self, lines: impl ExactSizeIterator<Item = &'t str>) {
        self.array(lines.len());
        for line in lines {
            self.status(line);
        }
    }
}
