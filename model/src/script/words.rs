//! Cuts a script into words.

use crate::reply::Bytes;

/// A word of a script.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// A name or a reserved word.
    Name(String),
    Number(f64),
    Text(Bytes),
    Sign(&'static str),
}

/// Longer ones first, so that the first one that fits is the whole sign.
const SIGNS: [&str; 25] = [
    "..", "==", "~=", "<=", ">=", "+", "-", "*", "/", "%", "^", "#", "<", ">", "=", "(", ")", "{", "}", "[", "]", ";",
    ":", ",", ".",
];

/// The words of a script, each with its line; `None` where one is beyond what the model reads.
pub(crate) fn words(text: &[u8]) -> Option<Vec<(Word, u32)>> {
    let mut words = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(&first) = rest.first() {
        match first {
            b'\n' => {
                line += 1;
                rest = &rest[1..];
            }
            b' ' | b'\t' | b'\r' => rest = &rest[1..],
            b'\'' | b'"' => {
                let (text, behind) = quoted(&rest[1..], first)?;
                words.push((Word::Text(text), line));
                rest = behind;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let end = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
                let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
                words.push((Word::Name(String::from_utf8_lossy(name).into_owned()), line));
                rest = behind;
            }
            b'0'..=b'9' => {
                let (number, behind) = number(rest)?;
                words.push((Word::Number(number), line));
                rest = behind;
            }
            // Comments, strings in long brackets and `...` are not written by anyone here.
            _ if rest.starts_with(b"--") || rest.starts_with(b"[[") || rest.starts_with(b"[=") => return None,
            _ if rest.starts_with(b"...") => return None,
            _ => {
                let begins = |sign: &&str| sign.as_bytes()[0] == first && rest.starts_with(sign.as_bytes());
                let sign = SIGNS.into_iter().find(begins)?;
                words.push((Word::Sign(sign), line));
                rest = &rest[sign.len()..];
            }
        }
    }
    Some(words)
}

/// A string up to its closing quote, and what stands behind that.
fn quoted(mut rest: &[u8], quote: u8) -> Option<(Bytes, &[u8])> {
    let mut text = Bytes::new();
    loop {
        let (&first, behind) = rest.split_first()?;
        rest = behind;
        match first {
            _ if first == quote => return Some((text, rest)),
            b'\n' | b'\r' => return None,
            b'\\' => {
                let (&escaped, behind) = rest.split_first()?;
                rest = behind;
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 0x07,
                    b'b' => 0x08,
                    b'0'..=b'9' => {
                        let digits = behind.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
                        let (more, behind) = rest.split_at(digits);
                        rest = behind;
                        let value = more
                            .iter()
                            .fold(u32::from(escaped - b'0'), |value, &digit| value * 10 + u32::from(digit - b'0'));
                        u8::try_from(value).ok()?
                    }
                    b'\n' | b'\r' | b'f' | b'v' => return None,
                    other => other,
                });
            }
            _ => text.push(first),
        }
    }
}

/// A decimal number, and what stands behind it.
fn number(text: &[u8]) -> Option<(f64, &[u8])> {
    let mut end = 0;
    while let Some(&byte) = text.get(end) {
        let exponent = end > 0 && matches!(text[end - 1], b'e' | b'E');
        let belongs = byte.is_ascii_alphanumeric() || byte == b'.' || exponent && matches!(byte, b'+' | b'-');
        // `1..2` is `1.` and `.2` to Lua, which refuses it.
        if !belongs {
            break;
        }
        end += 1;
    }
    let (number, behind) = text.split_at(end);
    Some((plain_number(number)?, behind))
}

/// The value of a decimal number without a sign, written as Lua writes it.
pub(crate) fn plain_number(text: &[u8]) -> Option<f64> {
    let only = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.first().is_some_and(u8::is_ascii_digit) || !text.iter().all(only) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
