//! SCAN: the keys of a database, a page at a time.

use super::{Context, Refusal};
use crate::glob::{self, Case};
use crate::number::parse_i64;
use crate::resp::{Args, Reply};
use crate::structures::key_table::is_over;

/// Entries of a page when COUNT is not given.
const PAGE: u64 = 10;
/// Buckets visited for each entry that a page should have: a bound for nearly empty tables.
const BUCKETS_PER_ENTRY: u64 = 10;

/// Reads a cursor as C's `strtoul` reads a whole text: a sign is allowed, nothing means 0, a zero byte ends the text, but
/// no white space in front.
fn cursor(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return text.is_empty().then_some(0);
    }
    let magnitude = digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
}

/// The cursor of a command of the SCAN family.
pub(crate) fn parse_cursor(text: &[u8]) -> Result<u64, Refusal> {
    cursor(text).ok_or("ERR invalid cursor".into())
}

/// `[MATCH pattern] [COUNT count]`.
pub(crate) struct Options<'a> {
    /// How much work a page may take, in elements.
    pub(crate) count: u64,
    /// What elements have to match; nothing where all do.
    pattern: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads the options from argument `at` on.
    pub(crate) fn parse(args: &Args<'a>, mut at: usize) -> Result<Self, Refusal> {
        let mut options = Options { count: PAGE, pattern: None };
        while at < args.len() {
            let value = args.get(at + 1);
            match value {
                Some(value) if args.is(at, "count") => {
                    let number = parse_i64(value).ok_or(Refusal::NOT_AN_INTEGER)?;
                    options.count = u64::try_from(number).ok().filter(|&count| count > 0).ok_or(Refusal::SYNTAX)?;
                }
                Some(value) if args.is(at, "match") => options.pattern = (value != b"*").then_some(value),
                _ => return Err(Refusal::SYNTAX),
            }
            at += 2;
        }
        Ok(options)
    }

    /// Whether an element is to be shown.
    pub(crate) fn matches(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, element, Case::Sensitive))
    }
}

/// Writes a page: the cursor, and the elements as texts.
pub(crate) fn write_page<T: AsRef<[u8]>>(mut reply: Reply<'_>, cursor: u64, elements: &[T]) {
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
    reply.array(elements.len());
    for element in elements {
        reply.bulk(element.as_ref());
    }
}

/// `SCAN cursor [MATCH pattern] [COUNT count]`.
pub(crate) fn scan(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let mut cursor = parse_cursor(&args[1])?;
    let options = Options::parse(args, 2)?;
    let count = options.count;
    let now_ms = cx.server.expiry_now(cx.now_ms);
    let table = &cx.server.keyspace.db(cx.client.db).keys;
    let mut found = Vec::new();
    let mut visits = count.saturating_mul(BUCKETS_PER_ENTRY);
    loop {
        cursor = table.scan(cursor, |entry| found.push(entry));
        if cursor == 0 || visits == 0 || found.len() as u64 >= count {
            break;
        }
        visits -= 1;
    }
    found.retain(|entry| options.matches(entry.key()));
    let over = |at_ms| is_over(at_ms, now_ms);
    let mut expired = Vec::new();
    let mut reply = cx.client.reply();
    reply.array(2);
    reply.bulk(cursor.to_string().as_bytes());
    let place = reply.later_array();
    let mut shown = 0;
    for entry in found {
        if entry.expiry().is_some_and(over) {
            expired.push(entry.key().to_vec());
        } else {
            reply.bulk(entry.key());
            shown += 1;
        }
    }
    reply.set_array(place, shown);
    for key in expired {
        // The look-up removes it.
        cx.exists(&key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cursor;

    #[test]
    fn a_cursor_is_read_as_an_unsigned_64_bit_integer() {
        for (text, value) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("+5", Some(5)),
            ("007", Some(7)),
            ("-1", Some(u64::MAX)),
            ("-0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-18446744073709551615", Some(1)),
            ("-18446744073709551616", None),
            (" 1", None),
            ("1 ", None),
            ("1.5", None),
            ("0x10", None),
            ("-", None),
            ("+", None),
            ("--1", None),
        ] {
            assert_eq!(cursor(text.as_bytes()), value, "{text:?}");
        }
    }
}
