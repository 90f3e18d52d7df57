//! A command as a client sends it: its arguments in one flat buffer, so that a reused request costs no allocation.
//!
//! `ends[i]` is where argument `i` ends in `bytes`; it begins where its predecessor ended.

use std::fmt;

/// A command with its arguments, the name first.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Request {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Request {
    /// A request without arguments; add the name first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Number of arguments, the name included.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Nothing at all, not even a name.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends an argument.
    pub fn push(&mut self, argument: &[u8]) {
        self.bytes.extend_from_slice(argument);
        self.ends.push(self.bytes.len());
    }

    /// Appends an argument that `write` puts together at the end of the buffer it is given; it must only append.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Appends a decimal integer.
    pub fn push_integer(&mut self, value: i64) {
        self.push_with(|bytes| append_integer(bytes, value));
    }

    /// Argument `index`; empty when there is none.
    #[inline]
    pub fn argument(&self, index: usize) -> &[u8] {
        let Some(&end) = self.ends.get(index) else { return &[] };
        let start = match index {
            0 => 0,
            index => self.ends[index - 1],
        };
        &self.bytes[start..end]
    }

    /// The command's name as sent.
    pub fn name(&self) -> &[u8] {
        self.argument(0)
    }

    /// Is the command's name, or the argument at `index`, this word in any letter case?
    #[inline]
    pub fn is(&self, index: usize, word: &str) -> bool {
        let argument = self.argument(index);
        // Asked dozens of times for every command, and mostly the length tells.
        argument.len() == word.len() && argument.eq_ignore_ascii_case(word.as_bytes())
    }

    /// All arguments, the name first.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.argument(index))
    }

    /// All arguments' bytes one behind the other, and where each ends there.
    pub(crate) fn flat(&self) -> (&[u8], &[usize]) {
        (&self.bytes, &self.ends)
    }

    /// Number of payload bytes.
    pub fn payload(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes [`Request::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes.len()
    }

    /// Appends the request as RESP: an array of bulk strings.
    pub fn encode(&self, into: &mut Vec<u8>) {
        into.reserve(self.bytes.len() + 16 * self.len() + 16);
        append_header(into, b'*', self.len());
        let mut start = 0;
        for &end in &self.ends {
            append_bulk(into, &self.bytes[start..end]);
            start = end;
        }
    }
}

/// Appends arguments that are no [`Request`] as RESP.
pub fn encode_array(arguments: &[impl AsRef<[u8]>], into: &mut Vec<u8>) {
    append_header(into, b'*', arguments.len());
    for argument in arguments {
        append_bulk(into, argument.as_ref());
    }
}

fn append_bulk(into: &mut Vec<u8>, bytes: &[u8]) {
    append_header(into, b'$', bytes.len());
    into.extend_from_slice(bytes);
    into.extend_from_slice(b"\r\n");
}

fn append_header(into: &mut Vec<u8>, sign: u8, length: usize) {
    into.push(sign);
    if length < 10 {
        into.push(b'0' + length as u8);
    } else {
        append_integer(into, length as i64);
    }
    into.extend_from_slice(b"\r\n");
}

/// Appends `value` in decimal.
pub fn append_integer(into: &mut Vec<u8>, value: i64) {
    let (mut digits, mut at, mut rest) = ([0u8; 20], 20, value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        into.push(b'-');
    }
    into.extend_from_slice(&digits[at..]);
}

impl<A: AsRef<[u8]>> FromIterator<A> for Request {
    fn from_iter<I: IntoIterator<Item = A>>(arguments: I) -> Self {
        let mut request = Self::new();
        for argument in arguments {
            request.push(argument.as_ref());
        }
        request
    }
}

impl<A: AsRef<[u8]>> From<&[A]> for Request {
    fn from(arguments: &[A]) -> Self {
        arguments.iter().collect()
    }
}

/// As redis-cli takes it: plain words bare, everything else in double quotes with escapes.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, argument) in self.arguments().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", Quoted(argument))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Bytes as redis-cli would take them on its command line.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
        if !self.0.is_empty() && self.0.iter().all(plain) {
            for &byte in self.0 {
                write!(f, "{}", byte as char)?;
            }
            return Ok(());
        }
        f.write_str("\"")?;
        for &byte in self.0 {
            match byte {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                0x07 => f.write_str("\\a")?,
                0x08 => f.write_str("\\b")?,
                0x20..=0x7e => write!(f, "{}", byte as char)?,
                other => write!(f, "\\x{other:02x}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Splits a line as redis-cli does: words, `"…"` with escapes, `'…'` with `\'`. None when quotes do not close or a
/// closing quote is followed by something else than a space.
pub fn split_arguments(line: &str) -> Option<Request> {
    let mut request = Request::new();
    let mut rest = line.as_bytes();
    loop {
        while let [b' ' | b'\t' | b'\r' | b'\n', tail @ ..] = rest {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(request);
        }
        let mut argument = Vec::new();
        rest = read_word(rest, &mut argument)?;
        request.push(&argument);
    }
}

fn read_word<'a>(mut rest: &'a [u8], argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] | [b' ' | b'\t' | b'\r' | b'\n', ..] => return Some(rest),
            [b'"', tail @ ..] => return read_double_quoted(tail, argument),
            [b'\'', tail @ ..] => return read_single_quoted(tail, argument),
            [byte, tail @ ..] => {
                argument.push(*byte);
                rest = tail;
            }
        }
    }
}

fn read_double_quoted<'a>(mut rest: &'a [u8], argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'"', tail @ ..] => return word_ended(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
                argument.push(digit(*high) * 16 + digit(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                argument.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 0x07,
                    b'b' => 0x08,
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

fn read_single_quoted<'a>(mut rest: &'a [u8], argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\'', tail @ ..] => return word_ended(tail),
            [b'\\', b'\'', tail @ ..] => {
                argument.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                argument.push(*byte);
                rest = tail;
            }
        }
    }
}

fn word_ended(rest: &[u8]) -> Option<&[u8]> {
    matches!(rest, [] | [b' ' | b'\t' | b'\r' | b'\n', ..]).then_some(rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_byte_survives_printing_and_reading() {
        let all: Vec<u8> = (0..=255).collect();
        let request: Request = [b"SET".as_slice(), b"", &all, b"it's", b"#", b"a\"b"].into_iter().collect();
        assert_eq!(split_arguments(&request.to_string()).unwrap(), request);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\"] {
            assert_eq!(split_arguments(line), None, "{line}");
        }
    }

    #[test]
    fn a_request_is_encoded_as_an_array_of_bulk_strings() {
        let (mut request, mut bytes) = (Request::new(), Vec::new());
        request.push(b"GET");
        request.push_integer(i64::MIN);
        request.encode(&mut bytes);
        assert_eq!(bytes, b"*2\r\n$3\r\nGET\r\n$20\r\n-9223372036854775808\r\n");
    }
}
