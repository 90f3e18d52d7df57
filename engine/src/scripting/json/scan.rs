//! JSON text as tokens.

use crate::number::parse_f64_start;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    /// What is no token.
    Wrong(&'static str),
}

impl Token {
    /// How error messages call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Wrong(words) => words,
        }
    }
}

/// Reads tokens from left to right.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    /// Bytes read.
    pub(super) at: usize,
    /// Where the last token began, or went wrong.
    pub(super) index: usize,
    /// Numbers that JSON does not have are read too.
    lenient: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], lenient: bool) -> Scanner<'a> {
        Scanner { text, at: 0, index: 0, lenient }
    }

    /// The byte at a distance from here; the text ends with a zero byte, or at one.
    fn peek(&self, distance: usize) -> u8 {
        self.text.get(self.at + distance).copied().unwrap_or(0)
    }

    pub(super) fn next(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.index = self.at;
        let single = match self.peek(0) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return Token::End,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                return if !self.lenient && self.is_invalid_number() {
                    Token::Wrong("invalid number")
                } else {
                    self.number()
                };
            }
            _ => return self.word(),
        };
        self.at += 1;
        single
    }

    fn word(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let words = [("true", Token::Boolean(true)), ("false", Token::Boolean(false)), ("null", Token::Null)];
        for (word, token) in words {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        if self.lenient && self.is_invalid_number() { self.number() } else { Token::Wrong("invalid token") }
    }

    /// Whether what begins here is a number for C and not for JSON: a plus, a zero before digits, hexadecimal digits,
    /// infinity, not a number.
    fn is_invalid_number(&self) -> bool {
        if self.peek(0) == b'+' {
            return true;
        }
        let sign = usize::from(self.peek(0) == b'-');
        let first = self.peek(sign);
        if first == b'0' {
            return matches!(self.peek(sign + 1), b'x' | b'X' | b'0'..=b'9');
        }
        if first <= b'9' {
            return false;
        }
        let rest = self.text.get(self.at + sign..).unwrap_or_default();
        let begins = |word: &[u8]| rest.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        begins(b"inf") || begins(b"nan")
    }

    fn number(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some((number, len)) = numeral(rest) else {
            return Token::Wrong("invalid number");
        };
        self.at += len;
        Token::Number(number)
    }

    fn string(&mut self) -> Token {
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Token::String(bytes);
                }
                0 => return self.wrong("unexpected end of string"),
                b'\\' => {
                    let plain = match self.peek(1) {
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 0x08,
                        b'f' => 0x0C,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'u' => {
                            let Some((character, len)) = self.unicode() else {
                                return self.wrong("invalid unicode escape code");
                            };
                            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                            self.at += len;
                            continue;
                        }
                        _ => return self.wrong("invalid escape code"),
                    };
                    bytes.push(plain);
                    self.at += 2;
                }
                byte => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn wrong(&mut self, words: &'static str) -> Token {
        self.index = self.at;
        Token::Wrong(words)
    }

    /// The character of `\uXXXX` here, or of two of them that are a surrogate pair; and their length.
    fn unicode(&self) -> Option<(char, usize)> {
        let unit = |distance: usize| {
            let digits = self.text.get(self.at + distance..)?.strip_prefix(b"\\u")?.get(..4)?;
            let digit = |number: u32, &byte: &u8| Some(number << 4 | char::from(byte).to_digit(16)?);
            digits.iter().try_fold(0, digit)
        };
        let first = unit(0)?;
        if let Some(character) = char::from_u32(first) {
            return Some((character, 6));
        }
        let second = unit(6).filter(|second| (0xDC00..0xE000).contains(second))?;
        let high = first.checked_sub(0xD800).filter(|high| *high < 0x400)?;
        Some((char::from_u32(0x1_0000 + (high << 10 | (second & 0x3FF)))?, 12))
    }
}

/// The number at the beginning of a text, as C's `strtod` finds it, and its length.
fn numeral(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let unsigned = text.get(sign..).unwrap_or_default();
    let begins = |word: &[u8]| unsigned.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    if begins(b"nan") {
        let number = if text.first() == Some(&b'-') { -f64::NAN } else { f64::NAN };
        return Some((number, sign + 3));
    }
    let len = if begins(b"infinity") {
        8
    } else if begins(b"inf") {
        3
    } else {
        let hexadecimal = begins(b"0x").then(|| digits(unsigned, 2, u8::is_ascii_hexdigit, b'p')).flatten();
        hexadecimal.or_else(|| digits(unsigned, 0, u8::is_ascii_digit, b'e'))?
    };
    let number = parse_f64_start(text.get(..sign + len)?)?;
    Some((number, sign + len))
}

/// Where `digits [. digits] [mark [sign] digits]` ends that begins at `from`; none when there is no digit.
fn digits(text: &[u8], from: usize, is_digit: fn(&u8) -> bool, mark: u8) -> Option<usize> {
    let skip = |from: usize, is_digit: fn(&u8) -> bool| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| is_digit(byte)).count()
    };
    let mut end = skip(from, is_digit);
    let mut count = end - from;
    if text.get(end) == Some(&b'.') {
        let fraction = skip(end + 1, is_digit);
        count += fraction - end - 1;
        if count > 0 {
            end = fraction;
        }
    }
    if count == 0 {
        return None;
    }
    if text.get(end).is_some_and(|byte| byte.to_ascii_lowercase() == mark) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        let exponent = skip(end + 1 + sign, u8::is_ascii_digit);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeral_ends_where_strtod_ends() {
        for (text, number, len) in [
            ("1", 1.0, 1),
            ("-12.5e3x", -12500.0, 7),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("1.", 1.0, 2),
            (".5", 0.5, 2),
            ("0x10", 16.0, 4),
            ("0x", 0.0, 1),
            ("0x1.8p1,", 3.0, 7),
            ("+7", 7.0, 2),
            ("infinit", f64::INFINITY, 3),
            ("-Infinity", f64::NEG_INFINITY, 9),
            ("1e400", f64::INFINITY, 5),
            ("1e-400", 0.0, 6),
        ] {
            assert_eq!(numeral(text.as_bytes()), Some((number, len)), "{text}");
        }
        for text in ["", "-", ".", "-.", "e1", "x"] {
            assert_eq!(numeral(text.as_bytes()), None, "{text}");
        }
    }
}
