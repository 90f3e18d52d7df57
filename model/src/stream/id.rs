//! Ids of entries: milliseconds and a sequence number. [STREAM-1]

use std::fmt;

use crate::numbers::parse_integer;

/// The id of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch, or whatever a client gave for them.
    pub ms: u64,
    /// The number of the entry within its millisecond.
    pub seq: u64,
}

/// The longest text of an id, in bytes. [STREAM-5]
const LONGEST: usize = 127;

impl StreamId {
    /// 0-0, which no entry has. [STREAM-4]
    pub const LEAST: Self = Self { ms: 0, seq: 0 };

    /// [STREAM-4]
    pub const GREATEST: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The id that follows this one, if there is any.
    pub fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { seq, ..self }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id that precedes this one, if there is any.
    pub fn previous(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { seq, ..self }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Sixteen bytes that sort as ids do. [RDBSTREAM-2]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.ms.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// The id of so many bytes; `None` if they are not sixteen.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (ms, seq) = bytes.split_at_checked(8)?;
        Some(Self { ms: u64::from_be_bytes(ms.try_into().ok()?), seq: u64::from_be_bytes(seq.try_into().ok()?) })
    }

    /// A text that is an id; `seq` is the sequence number of one without. [STREAM-2] [STREAM-5]
    pub fn parse(text: &[u8], seq: u64) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let text = c_string(text);
        match text.iter().position(|&byte| byte == b'-') {
            Some(dash) => Some(Self { ms: number(&text[..dash])?, seq: number(&text[dash + 1..])? }),
            None => Some(Self { ms: number(text)?, seq }),
        }
    }

    /// A text that limits a range. [STREAM-4]
    pub fn parse_limit(text: &[u8], seq: u64) -> Option<Self> {
        match c_string(text) {
            b"-" if text.len() <= LONGEST => Some(Self::LEAST),
            b"+" if text.len() <= LONGEST => Some(Self::GREATEST),
            _ => Self::parse(text, seq),
        }
    }

    /// As clients see it. [STREAM-1]
    pub fn to_text(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The bytes before the first zero byte. [STREAM-2]
pub(crate) fn c_string(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// One of the two numbers of an id. [STREAM-3]
fn number(text: &[u8]) -> Option<u64> {
    if let Some(integer) = parse_integer(text) {
        return u64::try_from(integer).ok();
    }
    let spaces = text.iter().take_while(|&&byte| byte == b' ' || (b'\t'..=b'\r').contains(&byte)).count();
    let (negative, digits) = match &text[spaces..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::StreamId;

    fn parse(text: &str) -> Option<String> {
        StreamId::parse(text.as_bytes(), 0).map(|id| id.to_string())
    }

    #[test]
    fn ids_are_read_as_real_servers_read_them() {
        for (text, id) in [
            ("5", "5-0"),
            ("5-6", "5-6"),
            ("05-+06", "5-6"),
            (" \t5- 6", "5-6"),
            ("+5", "5-0"),
            ("5--0", "5-0"),
            ("5- -1", "5-18446744073709551615"),
            ("5--9223372036854775809", "5-9223372036854775807"),
            ("18446744073709551615-18446744073709551615", "18446744073709551615-18446744073709551615"),
            ("7\0-x", "7-0"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(id), "{text}");
        }
        let long = format!("{:0>128}", 5);
        for text in
            ["", "-", "+", "-5", "5-", "5-6-7", "5--6", "18446744073709551616", "a", "5-a", "5 ", "\x005", &long]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(StreamId::parse_limit(b"-", 0), Some(StreamId::LEAST));
        assert_eq!(StreamId::parse_limit(b"+\0x", 0), Some(StreamId::GREATEST));
        assert_eq!(StreamId::parse_limit(b"5", u64::MAX).unwrap().seq, u64::MAX);
    }

    #[test]
    fn ids_follow_each_other() {
        let last_of_five = StreamId { ms: 5, seq: u64::MAX };
        assert_eq!(last_of_five.next(), Some(StreamId { ms: 6, seq: 0 }));
        assert_eq!(StreamId { ms: 6, seq: 0 }.previous(), Some(last_of_five));
        assert_eq!(StreamId::GREATEST.next(), None);
        assert_eq!(StreamId::LEAST.previous(), None);
    }
}
