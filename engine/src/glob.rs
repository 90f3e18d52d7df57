//! Glob patterns, as KEYS, SCAN, PSUBSCRIBE and CONFIG GET match with them.
//!
//! `*` any bytes, `?` one byte, `[abc]` one of a set, `[^abc]` one outside it, `[a-c]` a range in either order, `\x` the
//! byte `x`. A set that is not closed ends with the pattern; a backslash at the end is itself.
//!
//! A mismatch goes back to the last `*` only, because what earlier ones took can stay as it is: matching takes at most
//! pattern × text steps, whatever the pattern.

/// Whether letter case matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// It does.
    Sensitive,
    /// It does not, for ASCII letters.
    Insensitive,
}

/// Whether the whole text matches the pattern.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let (mut p, mut t) = (0, 0);
    // The pattern after the last `*`, and how much of the text that `*` leaves for it.
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        if pattern.get(p) == Some(&b'*') {
            while pattern.get(p) == Some(&b'*') {
                p += 1;
            }
            if p == pattern.len() {
                return true;
            }
            last_star = Some((p, t));
        } else if let Some(after) = match_one(pattern, p, byte, case) {
            p = after;
            t += 1;
        } else if let Some((after_star, from)) = last_star {
            p = after_star;
            t = from + 1;
            last_star = Some((after_star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&rest| rest == b'*')
}

/// Matches one byte against the pattern's element at `p`; returns the place after the element.
fn match_one(pattern: &[u8], p: usize, byte: u8, case: Case) -> Option<usize> {
    let literal = |literal: u8, after: usize| equal(literal, byte, case).then_some(after);
    match (*pattern.get(p)?, pattern.get(p + 1)) {
        (b'?', _) => Some(p + 1),
        (b'[', _) => match_set(pattern, p + 1, byte, case),
        (b'\\', Some(&escaped)) => literal(escaped, p + 2),
        (plain, _) => literal(plain, p + 1),
    }
}

/// Matches a byte against the set whose content begins at `p`.
fn match_set(pattern: &[u8], mut p: usize, byte: u8, case: Case) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut found = false;
    loop {
        match pattern[p.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= escaped == byte; // Letter case always matters here.
                p += 2;
            }
            [b']', ..] => {
                p += 1;
                break;
            }
            [first, b'-', last, ..] => {
                // C compares signed bytes.
                let fold = |byte: u8| if case == Case::Insensitive { byte.to_ascii_lowercase() } else { byte } as i8;
                let (first, last, byte) = (fold(first), fold(last), fold(byte));
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                p += 3;
            }
            [member, ..] => {
                found |= equal(member, byte, case);
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

fn equal(left: u8, right: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => left == right,
        Case::Insensitive => left.eq_ignore_ascii_case(&right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive)
    }

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("**", "abc"),
            ("a*c", "abc"),
            ("a*c", "ac"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hallo"),
            ("\\*", "*"),
            ("a\\", "a\\"),
            ("[abc", "b"),
            ("[^", "x"),
            ("[\\]]", "]"),
            ("*a*b*", "xaxbx"),
            ("[a-]", "^"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a", ""),
            ("a*c", "acb"),
            ("h[^e]llo", "hello"),
            ("[", "["),
            ("h[a-b]llo", "hcllo"),
            ("\\*", "a"),
            ("[]", "a"),
            ("abc", "ABC"),
            ("a**b", "ac"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
        assert!(matches(b"MaX[A-C]*", b"maxcx", Case::Insensitive));
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let text = "a".repeat(2000);
        assert!(!glob(&format!("{}b", "*a".repeat(200)), &text));
    }
}
