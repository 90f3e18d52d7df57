//! An incremental reader of RESP2 replies: bytes go in as they come, whole replies come out.
//!
//! It shares nothing with the engine's protocol code, because it judges that code. `start..` of the buffer is what has not
//! been returned yet; `wanted` is a length below which no reply can be complete, so that a large bulk string that arrives
//! in small pieces is not parsed again for each piece.

use tally_model::Reply;

/// Arrays within arrays deeper than this are refused; no Redis command answers more than four levels.
const MAX_DEPTH: usize = 64;

/// Why the bytes are not RESP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The first byte of a reply is none of `+-:$*`.
    #[error("a reply cannot begin with byte 0x{0:02x}")]
    UnknownType(u8),
    /// A length or an integer is not a decimal number in range.
    #[error("{0:?} is not a number a reply may hold")]
    Number(String),
    /// The line end after a line or a bulk string is missing.
    #[error("a line end is missing")]
    LineEnd,
    /// Arrays are nested too deeply.
    #[error("arrays are nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// Collects bytes and cuts them into replies.
#[derive(Debug, Default)]
pub struct ReplyReader {
    buffer: Vec<u8>,
    start: usize,
    wanted: usize,
}

enum Incomplete {
    /// More bytes are needed; at least this many in all, counted from the start of the reply.
    Needs(usize),
    Damaged(ReplyError),
}

impl ReplyReader {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.make_room();
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to append bytes to, for a reader that fills it itself.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.make_room();
        &mut self.buffer
    }

    fn make_room(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > 64 * 1024 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.start = 0;
        self.wanted = 0;
    }

    /// Bytes that belong to no returned reply.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The next whole reply; `None` while there is none.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        let input = &self.buffer[self.start..];
        if input.len() < self.wanted.max(1) {
            return Ok(None);
        }
        let mut at = 0;
        match parse(input, &mut at, 0) {
            Ok(reply) => {
                self.start += at;
                self.wanted = 0;
                Ok(Some(reply))
            }
            Err(Incomplete::Needs(bytes)) => {
                self.wanted = bytes;
                Ok(None)
            }
            Err(Incomplete::Damaged(error)) => Err(error),
        }
    }
}

fn parse(input: &[u8], at: &mut usize, depth: usize) -> Result<Reply, Incomplete> {
    if depth > MAX_DEPTH {
        return Err(Incomplete::Damaged(ReplyError::TooDeep));
    }
    let Some(&sort) = input.get(*at) else { return Err(Incomplete::Needs(*at + 1)) };
    if !matches!(sort, b'+' | b'-' | b':' | b'$' | b'*') {
        return Err(Incomplete::Damaged(ReplyError::UnknownType(sort)));
    }
    let line = line(input, *at + 1)?;
    let after_line = *at + 1 + line.len() + 2;
    let reply = match sort {
        b'+' => Reply::Status(line.to_vec()),
        b'-' => Reply::Error(line.to_vec()),
        b':' => Reply::Integer(number(line)?),
        b'$' => match number(line)? {
            -1 => Reply::NilBulk,
            length => {
                let length = usize::try_from(length).map_err(|_| not_a_number(line))?;
                let end = after_line.checked_add(length).ok_or_else(|| not_a_number(line))?;
                if input.len() < end + 2 {
                    return Err(Incomplete::Needs(end + 2));
                }
                if &input[end..end + 2] != b"\r\n" {
                    return Err(Incomplete::Damaged(ReplyError::LineEnd));
                }
                *at = end + 2;
                return Ok(Reply::Bulk(input[after_line..end].to_vec()));
            }
        },
        _ => match number(line)? {
            -1 => Reply::NilArray,
            count => {
                let count = usize::try_from(count).map_err(|_| not_a_number(line))?;
                // An element takes four bytes at least, so a false count cannot ask for more memory than has come.
                let mut elements = Vec::with_capacity(count.min((input.len() - after_line) / 4));
                *at = after_line;
                for _ in 0..count {
                    elements.push(parse(input, at, depth + 1)?);
                }
                return Ok(Reply::Array(elements));
            }
        },
    };
    *at = after_line;
    Ok(reply)
}

/// The line from `start`, without its end.
fn line(input: &[u8], start: usize) -> Result<&[u8], Incomplete> {
    let rest = input.get(start..).unwrap_or_default();
    match rest.iter().position(|&byte| byte == b'\r') {
        Some(end) => match rest.get(end + 1) {
            Some(b'\n') => Ok(&rest[..end]),
            Some(_) => Err(Incomplete::Damaged(ReplyError::LineEnd)),
            None => Err(Incomplete::Needs(input.len() + 1)),
        },
        None => Err(Incomplete::Needs(input.len() + 2)),
    }
}

fn not_a_number(line: &[u8]) -> Incomplete {
    Incomplete::Damaged(ReplyError::Number(String::from_utf8_lossy(line).into_owned()))
}

/// A decimal number in the one form servers write: no sign but `-`, no leading zero, no space.
fn number(line: &[u8]) -> Result<i64, Incomplete> {
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && line.len() > 1) {
        return Err(not_a_number(line));
    }
    let mut value: i64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(not_a_number(line));
        }
        let digit = i64::from(digit - b'0');
        let signed = if negative { -digit } else { digit };
        value = value.checked_mul(10).and_then(|value| value.checked_add(signed)).ok_or_else(|| not_a_number(line))?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STREAM: &[u8] = b"+OK\r\n-ERR no\r\n:-9223372036854775808\r\n$-1\r\n*-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n*2\r\n*1\r\n:1\r\n$1\r\nx\r\n*0\r\n";

    fn expected() -> Vec<Reply> {
        vec![
            Reply::ok(),
            Reply::Error(b"ERR no".to_vec()),
            Reply::Integer(i64::MIN),
            Reply::NilBulk,
            Reply::NilArray,
            Reply::Bulk(vec![]),
            Reply::Bulk(b"a\r\nb".to_vec()),
            Reply::Array(vec![Reply::Array(vec![Reply::Integer(1)]), Reply::Bulk(b"x".to_vec())]),
            Reply::Array(vec![]),
        ]
    }

    #[test]
    fn replies_are_the_same_however_the_bytes_arrive() {
        for piece in 1..STREAM.len() {
            let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
            for bytes in STREAM.chunks(piece) {
                reader.push(bytes);
                while let Some(reply) = reader.next_reply().unwrap() {
                    replies.push(reply);
                }
            }
            assert_eq!(replies, expected(), "pieces of {piece}");
            assert!(reader.pending().is_empty());
        }
    }

    #[test]
    fn what_no_server_may_send_is_refused() {
        for bytes in [
            b"OK\r\n".as_slice(),
            b":+1\r\n",
            b":01\r\n",
            b":-0\r\n",
            b":9223372036854775808\r\n",
            b":\r\n",
            b"$-2\r\n",
            b"*-2\r\n",
            b"$1\r\nabc\r\n",
            b"+a\rb\r\n",
        ] {
            let mut reader = ReplyReader::default();
            reader.push(bytes);
            assert!(reader.next_reply().is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        let mut reader = ReplyReader::default();
        reader.push(&b"*1\r\n".repeat(100));
        assert_eq!(reader.next_reply(), Err(ReplyError::TooDeep));
    }
}
