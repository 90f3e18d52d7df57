//! Glob patterns: `*`, `?`, `[a-c]`, `[^x]` and `\` before any of them.
//!
//! A class that is not closed ends with the pattern; a range may be given backwards; a backslash at the end is itself.
//!
//! Every part but the star takes exactly one byte, so after a mismatch it is enough to let the last star take one byte
//! more. This keeps patterns such as `*a*a*a*b` from taking exponential time.

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
    let nocase = case == Case::Insensitive;
    let (mut at, mut read) = (0, 0);
    // Where the last star's rest begins, and the first byte that the star did not take.
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            while pattern.get(at) == Some(&b'*') {
                at += 1;
            }
            if at == pattern.len() {
                return true;
            }
            star = Some((at, read));
            continue;
        }
        if let Some(next) = one(pattern, at, text[read], nocase) {
            (at, read) = (next, read + 1);
            continue;
        }
        let Some((rest, taken)) = star else { return false };
        star = Some((rest, taken + 1));
        (at, read) = (rest, taken + 1);
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Matches one byte with the part of the pattern at `at`, which is no star; answers where the next part begins.
fn one(pattern: &[u8], at: usize, byte: u8, nocase: bool) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte, nocase),
        b'\\' if at + 1 < pattern.len() => same(pattern[at + 1], byte, nocase).then_some(at + 2),
        other => same(other, byte, nocase).then_some(at + 1),
    }
}

fn same(left: u8, right: u8, nocase: bool) -> bool {
    if nocase { left.eq_ignore_ascii_case(&right) } else { left == right }
}

/// Matches one byte with the class whose bracket is before `at`; answers where the next part begins.
fn class(pattern: &[u8], mut at: usize, byte: u8, nocase: bool) -> Option<usize> {
    let fold = |byte: u8| if nocase { byte.to_ascii_lowercase() } else { byte };
    let negated = pattern.get(at) == Some(&b'^');
    if negated {
        at += 1;
    }
    let mut found = false;
    loop {
        match pattern.get(at..).unwrap_or_default() {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            // What is escaped is compared as it is, even without regard to case.
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                // Which is the lower end is decided before letters are folded.
                let (low, high) = (*from.min(to), *from.max(to));
                found |= (fold(low)..=fold(high)).contains(&fold(byte));
                at += 3;
            }
            [single, ..] => {
                found |= same(*single, byte, nocase);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::{Case, matches};

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("**", "", true),
            ("?*", "", false),
            ("**", "a", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a", "ba", true),
            ("h?llo", "hello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h\\?llo", "h?llo", true),
            ("h\\?llo", "hello", false),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
            ("[", "[", false),
            ("[^", "x", true),
            ("[a", "a", true),
            ("[a-", "-", true),
            ("[\\]]", "]", true),
            ("[]]", "]", false),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("[\\", "\\", true),
            ("*[0-9]?", "ab7c", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("a*b", "ab", true),
            ("ab", "abc", false),
            ("abc", "ab", false),
            ("ab?", "ab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive), expected, "{pattern:?} {text:?}");
        }
        assert!(matches(b"MAX[m-n]*", b"maxmemory", Case::Insensitive));
        assert!(matches(b"[a-\xff]", b"z", Case::Sensitive));
    }

    //= SPEC.md#glob-patterns
    //# [GLOB-10] (inside) Matching SHOULD take time proportional to at most the product of the lengths of pattern and text.
    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(5000).as_bytes(), Case::Sensitive));
    }
}
