//! Arguments as configuration files quote them: split into words, and quoted so that splitting gives them back.

/// The words of a line: separated by white space, in double quotes with escapes (`\n`, `\r`, `\t`, `\a`, `\b`, `\xNN`, and
/// any other byte for itself), or in single quotes where only `\'` is an escape. `None` when a quote is not closed, or is
/// followed by something other than white space.
#[must_use]
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        // A NUL ends a line, as everywhere in a C string.
        if rest.first().is_none_or(|&byte| byte == 0) {
            return Some(words);
        }
        let (word, after) = next_word(rest)?;
        words.push(word);
        rest = after;
    }
}

fn next_word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut at = 0;
    loop {
        match line.get(at) {
            None | Some(b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0) => return Some((word, &line[at..])),
            Some(b'"') => {
                at = read_double_quoted(line, at + 1, &mut word)?;
                return ends_there(line, at).then(|| (word, &line[at..]));
            }
            Some(b'\'') => {
                at = read_single_quoted(line, at + 1, &mut word)?;
                return ends_there(line, at).then(|| (word, &line[at..]));
            }
            Some(&byte) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn ends_there(line: &[u8], at: usize) -> bool {
    line.get(at).is_none_or(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0))
}

/// Reads up to the closing quote and returns the position after it.
fn read_double_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*line.get(at)?, line.get(at + 1)) {
            (b'"', _) => return Some(at + 1),
            (b'\\', Some(b'x')) => {
                let digits = (hex_digit(line.get(at + 2)), hex_digit(line.get(at + 3)));
                if let (Some(high), Some(low)) = digits {
                    word.push(high << 4 | low);
                    at += 4;
                } else {
                    word.push(b'x');
                    at += 2;
                }
            }
            (b'\\', Some(&escaped)) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn read_single_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*line.get(at)?, line.get(at + 1)) {
            (b'\'', _) => return Some(at + 1),
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Appends a word in double quotes, with escapes for everything that is not printable ASCII.
pub fn quote_into(text: &mut Vec<u8>, word: &[u8]) {
    text.push(b'"');
    for &byte in word {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', byte]),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'\t' => text.extend(b"\\t"),
            0x07 => text.extend(b"\\a"),
            0x08 => text.extend(b"\\b"),
            b' '..=b'~' => text.push(byte),
            _ => text.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    text.push(b'"');
}

/// A word in double quotes.
#[must_use]
pub fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(word.len() + 2);
    quote_into(&mut text, word);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_split_at_white_space_and_quotes_keep_it() {
        assert_eq!(split(b" a  b\t'c d' \"e\\x41\\n\\q\" ").unwrap(), [&b"a"[..], b"b", b"c d", b"eA\nq"]);
        assert_eq!(split(b"'it\\'s \\n'").unwrap(), [&b"it's \\n"[..]]);
        assert_eq!(split(b"\"\"").unwrap(), [&b""[..]]);
        assert_eq!(split(b"").unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn an_open_quote_or_one_followed_by_text_is_refused() {
        for line in [&b"a \"b"[..], b"'", b"\"a\"b", b"'a'b", b"\"a\\"] {
            assert_eq!(split(line), None, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn what_was_quoted_is_split_into_the_same_word() {
        let every_byte: Vec<u8> = (0..=255).collect();
        assert_eq!(split(&quoted(&every_byte)).unwrap(), [every_byte]);
    }
}
