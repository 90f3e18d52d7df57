//! The reply writer and the bytes that wait to be sent.
//!
//! ```text
//!   full     chunks that are complete, oldest first; `sent` bytes of the oldest are gone already
//!   current  the chunk that grows
//! ```
//!
//! A chunk is complete when the next piece would take it over [`CHUNK`] bytes, so that a long reply is never copied to
//! a bigger place, and memory goes back as it is sent.

use std::collections::VecDeque;

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

    /// Drops everything that waits and keeps some of the room.
    pub(crate) fn clear_kept(&mut self) {
        self.full.clear();
        self.in_full = 0;
        self.sent = 0;
        self.current.clear();
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

    /// Puts everything that `other` holds where `mark` was taken, before what was added since.
    pub fn insert(&mut self, mark: Mark, other: &Output) {
        let mut behind: Vec<Vec<u8>> = Vec::new();
        while self.full.len() > mark.chunks {
            if let Some(chunk) = self.full.pop_back() {
                self.in_full -= chunk.len();
                behind.push(std::mem::replace(&mut self.current, chunk));
            }
        }
        if self.current.len() > mark.current {
            behind.push(self.current.split_off(mark.current));
        }
        other.slices().for_each(|slice| self.push(slice));
        behind.iter().rev().for_each(|chunk| self.push(chunk));
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

/// A place for an array header whose length is known only later.
#[derive(Debug)]
#[must_use = "the array's length has to be told"]
pub struct LaterArray {
    chunk: usize,
    offset: usize,
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

    /// `+text`; line ends become blanks, for they would end the reply.
    pub fn status_bytes(&mut self, text: &[u8]) {
        self.out.push(b"+");
        self.one_line(text);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.push(b"+OK\r\n");
    }

    /// `-text`, the text beginning with its code; line ends become blanks, for they would end the reply.
    pub fn error(&mut self, text: &[u8]) {
        self.out.push(b"-");
        self.one_line(text);
    }

    fn one_line(&mut self, text: &[u8]) {
        let room = self.out.room(text.len() + 2);
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

    /// Remembers the place of an array header; the elements follow as replies, then [`Reply::set_array`] tells their
    /// number.
    pub fn later_array(&mut self) -> LaterArray {
        LaterArray { chunk: self.out.full.len(), offset: self.out.current.len() }
    }

    /// Puts the header where [`Reply::later_array`] was called. Only the rest of one chunk moves.
    pub fn set_array(&mut self, place: LaterArray, count: usize) {
        let mut digits = [0; I64_TEXT_MAX];
        let text = format_i64(i64::try_from(count).unwrap_or(i64::MAX), &mut digits);
        let header = [&b"*"[..], text, b"\r\n"].into_iter().flatten().copied();
        let added = text.len() + 3;
        let chunk = match self.out.full.get_mut(place.chunk) {
            Some(full) => {
                self.out.in_full += added;
                full
            }
            None => &mut self.out.current,
        };
        chunk.splice(place.offset..place.offset, header);
    }

    /// An array of statuses, one per line: the form of all HELP texts.
    pub fn lines<'t>(&mut self, lines: impl ExactSizeIterator<Item = &'t str>) {
        self.array(lines.len());
        for line in lines {
            self.status(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(output: &Output) -> Vec<u8> {
        output.slices().collect::<Vec<_>>().concat()
    }

    //= SPEC.md#resp-replies
    //# [REPLY-1] (wire) A status MUST be sent as `+`, its text and CR LF, an error as `-`, its text and CR LF, and an integer as `:`, its decimal digits and CR LF.
    //# [REPLY-2] (wire) A bulk string MUST be sent as `$`, its length, CR LF, its bytes and CR LF, and the absent bulk string as `$-1` and CR LF.
    //# [REPLY-3] (wire) An array MUST be sent as `*`, its length, CR LF and its elements, and the absent array as `*-1` and CR LF.
    //# [REPLY-4] (wire) CR and LF in the text of an error MUST be replaced by one space each, so that it stays one line.
    #[test]
    fn replies_have_the_protocols_form() {
        let mut output = Output::default();
        let mut reply = output.reply();
        reply.array(7);
        reply.status("OK");
        reply.error(b"ERR a\r\nb");
        reply.integer(i64::MIN);
        reply.bulk(b"x\r\n");
        reply.bulk_integer(-1);
        reply.nil();
        reply.nil_array();
        let wanted: &[u8] =
            b"*7\r\n+OK\r\n-ERR a  b\r\n:-9223372036854775808\r\n$3\r\nx\r\n\r\n$2\r\n-1\r\n$-1\r\n*-1\r\n";
        assert_eq!(bytes(&output), wanted);
    }

    #[test]
    fn a_length_told_later_stands_before_its_elements_in_whatever_chunk() {
        for (before, size) in [(0, 1), (3, 10), (3, CHUNK / 3), (CHUNK - 10, 100), (2 * CHUNK, 3 * CHUNK)] {
            let mut output = Output::default();
            output.push(&vec![b'b'; before]);
            output.written(before / 2);
            let place = output.reply().later_array();
            for _ in 0..10 {
                output.reply().bulk(&vec![b'e'; size]);
            }
            output.reply().set_array(place, 10);
            let element = [format!("${size}\r\n").as_bytes(), &vec![b'e'; size], b"\r\n"].concat();
            let wanted = [&vec![b'b'; before - before / 2][..], b"*10\r\n", &element.repeat(10)].concat();
            assert!(bytes(&output) == wanted, "{before} {size}");
            assert_eq!(output.len(), wanted.len());
        }
    }

    #[test]
    fn output_is_sent_in_pieces_of_any_size() {
        let mut output = Output::default();
        let mut wanted = Vec::new();
        for number in 0..2000 {
            output.reply().bulk(&vec![number as u8; number]);
            wanted.extend(format!("${number}\r\n").into_bytes());
            wanted.extend(vec![number as u8; number]);
            wanted.extend(b"\r\n");
        }
        let mut sent = Vec::new();
        for step in (1..).map(|step| step * 7 % 40_000 + 1) {
            let Some(slice) = output.slices().next() else { break };
            let piece = slice[..slice.len().min(step)].to_vec();
            output.written(piece.len());
            sent.extend(piece);
            assert_eq!(output.len(), wanted.len() - sent.len());
        }
        assert!(sent == wanted && output.is_empty());
    }

    #[test]
    fn bytes_are_put_in_before_what_came_after_a_mark() {
        for sizes in [[3, 5, 0], [CHUNK / 2, CHUNK, 7], [0, 3 * CHUNK, CHUNK * 2]] {
            let [before, after, between] = sizes;
            let mut output = Output::default();
            output.push(&vec![b'a'; before]);
            let mark = output.mark();
            for _ in 0..3 {
                output.push(&vec![b'z'; after]);
            }
            let mut other = Output::default();
            other.push(&vec![b'm'; between]);
            output.insert(mark, &other);
            let wanted = [vec![b'a'; before], vec![b'm'; between], vec![b'z'; 3 * after]].concat();
            assert!(bytes(&output) == wanted, "{sizes:?}");
            assert_eq!(output.len(), wanted.len());
        }
    }

    #[test]
    fn what_came_after_a_mark_can_be_taken_back() {
        let mut output = Output::default();
        output.push(&[b'a'; 100]);
        let mark = output.mark();
        for _ in 0..5 {
            output.push(&[b'b'; CHUNK / 2]);
        }
        output.truncate(mark);
        assert_eq!(bytes(&output), [b'a'; 100]);
        assert_eq!(output.len(), 100);
    }
}
