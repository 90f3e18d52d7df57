//! Inline requests: a line of words as a person types it into telnet, with shell-like quoting.
//!
//! Words are cut out *in place*: a word without its quotes and escapes is never longer than with them, so each is
//! written over its own beginning, and no byte is copied for plain words.
//!
//! Grammar: words are separated by blanks; `"…"` knows `\n \r \t \b \a \xHH` and `\` before any other byte; `'…'`
//! knows only `\'`; a quote may also open inside a word; a closing quote must be followed by a blank or the end.

/// The quotes of an inline request do not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// What `isspace` of the C locale holds for a blank.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Cuts `line` into words and tells `found(start, length)` of each; the words' bytes are at that place in `line`
/// afterwards.
///
/// # Errors
/// When a quote is not closed, or a closing quote is followed by something else than a blank.
pub fn split_in_place(line: &mut [u8], mut found: impl FnMut(usize, usize)) -> Result<(), UnbalancedQuotes> {
    let mut read = 0;
    loop {
        while line.get(read).copied().is_some_and(is_blank) {
            read += 1;
        }
        if read >= line.len() {
            return Ok(());
        }
        let start = read;
        let end = cut_word(line, &mut read)?;
        found(start, end - start);
    }
}

/// Moves one word, stripped of its quotes, to where it begins; returns the end of the stripped word.
fn cut_word(line: &mut [u8], read: &mut usize) -> Result<usize, UnbalancedQuotes> {
    enum Quote {
        None,
        Single,
        Double,
    }
    let mut quote = Quote::None;
    let mut write = *read;
    loop {
        let Some(&byte) = line.get(*read) else {
            return match quote {
                Quote::None => Ok(write),
                Quote::Single | Quote::Double => Err(UnbalancedQuotes),
            };
        };
        *read += 1;
        let plain = match quote {
            Quote::None => match byte {
                b' ' | b'\n' | b'\r' | b'\t' => return Ok(write),
                b'"' => {
                    quote = Quote::Double;
                    continue;
                }
                b'\'' => {
                    quote = Quote::Single;
                    continue;
                }
                _ => byte,
            },
            Quote::Double => match byte {
                b'\\' => match unescape(line, read) {
                    Some(unescaped) => unescaped,
                    // A backslash as the very last byte stands for itself; the missing quote is found next.
                    None => byte,
                },
                b'"' => return close_word(line, *read, write),
                _ => byte,
            },
            Quote::Single => match byte {
                b'\\' if line.get(*read) == Some(&b'\'') => {
                    *read += 1;
                    b'\''
                }
                b'\'' => return close_word(line, *read, write),
                _ => byte,
            },
        };
        if let Some(place) = line.get_mut(write) {
            *place = plain;
        }
        write += 1;
    }
}

/// The byte that the escape after a backslash stands for.
fn unescape(line: &[u8], read: &mut usize) -> Option<u8> {
    let byte = *line.get(*read)?;
    *read += 1;
    if byte == b'x' {
        let digits = line.get(*read..*read + 2).and_then(|two| match two {
            [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
            _ => None,
        });
        if let Some(value) = digits {
            *read += 2;
            return Some(value);
        }
    }
    Some(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    })
}

fn close_word(line: &[u8], read: usize, write: usize) -> Result<usize, UnbalancedQuotes> {
    match line.get(read) {
        Some(&next) if !is_blank(next) => Err(UnbalancedQuotes),
        _ => Ok(write),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
        let mut line = line.to_vec();
        let mut places = Vec::new();
        split_in_place(&mut line, |start, len| places.push((start, len)))?;
        Ok(places.into_iter().map(|(start, len)| line[start..start + len].to_vec()).collect())
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(words(b"  set\tkey \x0b value ").unwrap(), [&b"set"[..], b"key", b"value"]);
        assert!(words(b"").unwrap().is_empty());
        assert!(words(b"   ").unwrap().is_empty());
    }

    #[test]
    fn double_quotes_know_escapes() {
        assert_eq!(words(br#""\n\r\t\b\a\x41\xfF\q\"\\" x"#).unwrap(), [&b"\n\r\t\x08\x07A\xffq\"\\"[..], b"x"]);
        assert_eq!(words(br#""\xg1""#).unwrap(), [b"xg1"]);
    }

    #[test]
    fn single_quotes_know_only_the_escaped_quote() {
        assert_eq!(words(br"'a\'b\n' ''").unwrap(), [&br"a'b\n"[..], b""]);
    }

    #[test]
    fn a_quote_may_open_inside_a_word() {
        assert_eq!(words(br#"ab"c d""#).unwrap(), [b"abc d"]);
    }

    #[test]
    fn quotes_must_close_before_a_blank() {
        for line in [&br#""a"#[..], b"'a", br#""a"b"#, br"'a'b", br#""a\"#] {
            assert_eq!(words(line), Err(UnbalancedQuotes), "{line:?}");
        }
    }
}
