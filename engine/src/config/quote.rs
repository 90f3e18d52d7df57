//! Arguments as configuration files quote them: split into words, and quoted so that splitting gives them back.

use crate::resp::inline::split_in_place;

/// The words of a line, cut as those of an inline request; `None` when its quotes do not match.
#[must_use]
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut line = line.to_vec();
    let mut places = Vec::new();
    split_in_place(&mut line, |start, length| places.push(start..start + length)).ok()?;
    places.into_iter().map(|place| line.get(place).map(<[u8]>::to_vec)).collect()
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

/// A word as it is when it can stand so in a line, else in double quotes.
#[must_use]
pub fn plain_or_quoted(word: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'');
    if !word.is_empty() && word.iter().all(plain) { word.to_vec() } else { quoted(word) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_quoted_is_split_into_the_same_word() {
        let every_byte: Vec<u8> = (0..=255).collect();
        assert_eq!(split(&quoted(&every_byte)).unwrap(), [every_byte]);
    }
}
