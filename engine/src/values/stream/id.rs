//! Ids of a stream's entries: a time in milliseconds and a number that tells apart what came in the same one.

/// Longest text of an id, bytes: two numbers of twenty digits and what stands between them.
pub const ID_TEXT_MAX: usize = 41;
/// Longest text that is tried as an id, bytes.
const TRIED_MAX: usize = 127;

/// An id, ordered by both numbers. [STREAM-1]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds.
    pub ms: u64,
    /// The sequence number.
    pub seq: u64,
}

/// Whose reader has an empty history behind it: the greatest id but one, since Redis takes the greatest for `>`.
/// [PROPAGATION-25]
pub const BEHIND_ALL: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX - 1 };

impl StreamId {
    /// The least id.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The next id; `None` behind the greatest.
    #[must_use]
    pub fn next(self) -> Option<StreamId> {
        match (self.ms.checked_add(1), self.seq.checked_add(1)) {
            (_, Some(seq)) => Some(StreamId { ms: self.ms, seq }),
            (Some(ms), None) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// Sixteen bytes that are ordered as the ids are.
    #[inline]
    #[must_use]
    pub fn to_key(self) -> [u8; 16] {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.ms.to_be_bytes());
        key[8..].copy_from_slice(&self.seq.to_be_bytes());
        key
    }

    /// The id of these bytes.
    #[inline]
    #[must_use]
    pub fn from_key(key: &[u8; 16]) -> StreamId {
        let [ms, seq] = [0, 8].map(|at| {
            let mut number = [0; 8];
            number.copy_from_slice(&key[at..at + 8]);
            u64::from_be_bytes(number)
        });
        StreamId { ms, seq }
    }

    /// The id of a tree's key; 0-0 for bytes that are none, of which a stream's trees have no others.
    #[inline]
    pub(crate) fn of_tree_key(key: &[u8]) -> StreamId {
        key.try_into().map(StreamId::from_key).unwrap_or_default()
    }

    /// What is to be added to the numbers of `base`, wrapping around, to make those of this one. [STREAMENC-6]
    #[inline]
    pub(super) fn minus(self, base: StreamId) -> (i64, i64) {
        (self.ms.wrapping_sub(base.ms).cast_signed(), self.seq.wrapping_sub(base.seq).cast_signed())
    }

    /// The reverse of [`StreamId::minus`].
    #[inline]
    pub(super) fn plus(self, (ms, seq): (i64, i64)) -> StreamId {
        StreamId { ms: self.ms.wrapping_add_signed(ms), seq: self.seq.wrapping_add_signed(seq) }
    }

    /// The text, written into `buffer`.
    #[must_use]
    pub fn text(self, buffer: &mut [u8; ID_TEXT_MAX]) -> &[u8] {
        self.text_with(b'-', buffer)
    }

    /// The text with another byte between the numbers.
    pub(crate) fn text_with(self, between: u8, buffer: &mut [u8; ID_TEXT_MAX]) -> &[u8] {
        let mut at = write_before(self.seq, buffer, ID_TEXT_MAX);
        at -= 1;
        buffer[at] = between;
        at = write_before(self.ms, buffer, at);
        &buffer[at..]
    }

    /// Reads an id; a sequence number that is not there is `missing_seq`. Numbers are read as loosely as Redis reads
    /// them. [STREAM-2] [STREAM-3]
    #[must_use]
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        if text.len() > TRIED_MAX {
            return None;
        }
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        match text.iter().position(|&byte| byte == b'-') {
            Some(at) => Some(StreamId { ms: number(&text[..at])?, seq: number(&text[at + 1..])? }),
            None => Some(StreamId { ms: number(text)?, seq: missing_seq }),
        }
    }

    /// As [`StreamId::parse`], with `-` and `+` for the least and the greatest. [STREAM-4]
    #[must_use]
    pub fn parse_limit(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        match text.split(|&byte| byte == 0).next() {
            Some(b"-") if text.len() <= TRIED_MAX => Some(StreamId::MIN),
            Some(b"+") if text.len() <= TRIED_MAX => Some(StreamId::MAX),
            _ => StreamId::parse(text, missing_seq),
        }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Writes a number's digits so that they end before `end`; answers where they begin.
fn write_before(number: u64, buffer: &mut [u8; ID_TEXT_MAX], end: usize) -> usize {
    let (mut at, mut rest) = (end, number);
    loop {
        at -= 1;
        // The remainder of a division by ten is a single digit.
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return at;
        }
    }
}

/// One of the numbers, as C's `strtoull` takes it, except that the text of a negative integer is none.
fn number(text: &[u8]) -> Option<u64> {
    if crate::number::parse_i64(text).is_some_and(|number| number < 0) {
        return None;
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().position(|byte| !blank(byte))?..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_and_read_back_at_their_limits() {
        for (ms, seq, text) in [
            (0, 0, "0-0"),
            (1, 2, "1-2"),
            (1_526_919_030_474, 55, "1526919030474-55"),
            (u64::MAX, u64::MAX, "18446744073709551615-18446744073709551615"),
        ] {
            let id = StreamId { ms, seq };
            assert_eq!(id.text(&mut [0; ID_TEXT_MAX]), text.as_bytes());
            assert_eq!(StreamId::parse(text.as_bytes(), 7), Some(id));
            assert_eq!(StreamId::from_key(&id.to_key()), id);
            for base in [StreamId::MIN, StreamId::MAX, StreamId { ms: 5, seq: 9 }] {
                assert_eq!(base.plus(id.minus(base)), id);
            }
        }
        assert_eq!(StreamId { ms: 1, seq: u64::MAX }.next(), Some(StreamId { ms: 2, seq: 0 }));
        assert_eq!(StreamId::MAX.next(), None);
    }

    #[test]
    fn numbers_are_read_as_loosely_as_redis_reads_them() {
        let wrapped = 0u64.wrapping_sub(3);
        for (text, id) in [
            ("5", (5, 7)),
            ("007", (7, 7)),
            (" \t5", (5, 7)),
            ("+5-+6", (5, 6)),
            ("5- -3", (5, wrapped)),
            ("5--03", (5, wrapped)),
            ("5--0", (5, 0)),
            ("5\x00-9", (5, 7)),
            ("18446744073709551615", (u64::MAX, 7)),
        ] {
            let found = StreamId::parse(text.as_bytes(), 7).map(|id| (id.ms, id.seq));
            assert_eq!(found, Some(id), "{text:?}");
        }
        let long = "0".repeat(128);
        for text in
            ["", "-", "+", "5-", "-5", "5--3", "5-6-7", "5 ", "0x5", "5.0", "18446744073709551616", "+ 5", "+-5", &long]
        {
            assert_eq!(StreamId::parse(text.as_bytes(), 7), None, "{text:?}");
        }
        assert_eq!(StreamId::parse_limit(b"-", 7), Some(StreamId::MIN));
        assert_eq!(StreamId::parse_limit(b"+\0x", 7), Some(StreamId::MAX));
        assert_eq!(StreamId::parse_limit(b"3", 7), Some(StreamId { ms: 3, seq: 7 }));
    }
}
