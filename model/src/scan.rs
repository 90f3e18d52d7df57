//! SCAN, and what an iteration owes to its caller.

use std::collections::BTreeSet;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::glob::Pattern;
use crate::keyspace::{Fate, Keyspace, Slot};
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};

/// Iterations that are followed at the same time; of more the oldest is forgotten, which only makes the model less strict.
const MOST_ITERATIONS: usize = 32;

/// An iteration under way: what it answered so far, and which cursor continues it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Iteration {
    db: usize,
    cursor: u64,
    /// Keys born before it began are owed.
    began: u64,
    /// The patterns of its calls: keys that one of them rejects are not owed.
    patterns: BTreeSet<Bytes>,
    answered: BTreeSet<Bytes>,
}

/// The iterations under way, the youngest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Iterations(Vec<Iteration>);

impl Iterations {
    fn find(&self, db: usize, cursor: u64) -> Option<&Iteration> {
        self.0.iter().rev().find(|iteration| iteration.db == db && iteration.cursor == cursor)
    }

    /// A page was answered to a cursor.
    pub(crate) fn advance(
        &mut self,
        db: usize,
        cursor: u64,
        pattern: Option<Bytes>,
        reply: Option<&Reply>,
        keyspace: &Keyspace,
    ) {
        let Some((next, page)) = reply.and_then(read_page) else { return };
        let position = self.0.iter().rposition(|iteration| iteration.db == db && iteration.cursor == cursor);
        let mut iteration = match position {
            _ if cursor == 0 => Iteration {
                db,
                cursor,
                began: keyspace.next_born,
                patterns: BTreeSet::new(),
                answered: BTreeSet::new(),
            },
            Some(position) => self.0.remove(position),
            // A cursor from nowhere owes nothing.
            None => return,
        };
        if next == 0 {
            return;
        }
        iteration.cursor = next;
        iteration.patterns.extend(pattern);
        iteration.answered.extend(page);
        if self.0.len() == MOST_ITERATIONS {
            self.0.remove(0);
        }
        self.0.push(iteration);
    }

    /// A database got other contents: its iterations owe nothing any more.
    pub(crate) fn forget(&mut self, db: usize) {
        self.0.retain(|iteration| iteration.db != db);
    }
}

fn read_page(reply: &Reply) -> Option<(u64, Vec<Bytes>)> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(cursor), Reply::Array(elements)] = parts.as_slice() else { return None };
    let mut keys = Vec::new();
    for element in elements {
        let Reply::Bulk(key) = element else { return None };
        keys.push(key.clone());
    }
    Some((parse_cursor(cursor)?, keys))
}

/// Reads a cursor as C's strtoul does: a sign is allowed, and nothing means 0. It ends at a zero byte.
pub(crate) fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [] => return Some(0),
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

/// The cursor at a position.
pub(crate) fn cursor(call: &Call<'_>, position: usize) -> Result<u64, Refusal> {
    parse_cursor(call.args[position]).ok_or_else(|| Refusal::new(Clause::SCAN_4, "ERR invalid cursor"))
}

/// The pattern among the options from a position on, if there is one.
pub(crate) fn options(call: &Call<'_>, mut position: usize) -> Result<Option<Bytes>, Refusal> {
    let mut pattern = None;
    while position < call.args.len() {
        let name = call.args[position].to_ascii_lowercase();
        let value = call.args.get(position + 1);
        match (name.as_slice(), value) {
            (b"count", Some(_)) => {
                if call.integer(position + 1)? < 1 {
                    return Err(Refusal::new(Clause::SCAN_3, "ERR syntax error"));
                }
            }
            (b"match", Some(value)) => pattern = Some(value.to_vec()),
            _ => return Err(Refusal::new(Clause::SCAN_5, "ERR syntax error")),
        }
        position += 2;
    }
    Ok(pattern)
}

pub(crate) fn scan(call: &Call<'_>) -> Result<Plan, Refusal> {
    let cursor = cursor(call, 1)?;
    let pattern = options(call, 2)?;
    if let Some(pattern) = &pattern {
        call.cite_pattern(pattern);
    }
    let compiled = pattern.as_deref().map(Pattern::new);
    let clause = if pattern.is_some() { Clause::SCAN_2 } else { Clause::SCAN_1 };
    let plan = Plan::new(clause, page(call, cursor, compiled.as_ref()));
    let change = Change::Scanned { db: call.db(), cursor, pattern: pattern.clone() };
    let misread = pattern.as_deref().and_then(|text| Pattern::misread(text, false));
    Ok(match misread {
        Some((erratum, misread)) => {
            let allowed = page(call, cursor, Some(&misread));
            plan.with(change.clone()).or_erratum(erratum, allowed, vec![change])
        }
        None => plan.with(change),
    })
}

fn page(call: &Call<'_>, cursor: u64, pattern: Option<&Pattern>) -> Allowed {
    call.cite(Clause::CURSOR_2);
    call.cite(Clause::CURSOR_3);
    call.cite(Clause::CURSOR_4);
    if cursor != 0 && call.model.iterations.find(call.db(), cursor).is_none() {
        call.cite(Clause::SCAN_6);
    }
    let answered = call.answer.and_then(|answer| match answer {
        Reply::Array(parts) => match parts.as_slice() {
            [Reply::Bulk(next), Reply::Array(keys)] if next != b"0" => Some(keys),
            _ => None,
        },
        _ => None,
    });
    if let Some(keys) = answered {
        // Nothing is owed before the end, and of the pool only what was answered counts.
        let mut present = call.present_among(keys, pattern);
        present.surely.append(&mut present.perhaps);
        return Allowed::Page { pool: present.surely, missing: BTreeSet::new() };
    }
    let present = call.present(pattern);
    let iteration = call.model.iterations.find(call.db(), cursor);
    let mut missing = BTreeSet::new();
    let began = match iteration {
        _ if cursor == 0 => Some(u64::MAX),
        Some(iteration) => Some(iteration.began),
        None => None,
    };
    let iteration = iteration.filter(|_| cursor != 0);
    let patterns: Vec<Pattern> =
        iteration.iter().flat_map(|iteration| &iteration.patterns).map(|text| Pattern::new(text)).collect();
    for key in &present.surely {
        let Some(Slot::Known(entry)) = call.model.keyspace.slot(call.db(), key) else { continue };
        let owed = began.is_some_and(|began| entry.born < began)
            && entry.fate(call.span) == Fate::Alive
            && !iteration.is_some_and(|iteration| iteration.answered.contains(key))
            && patterns.iter().all(|pattern| pattern.matches(key));
        if owed {
            missing.insert(key.clone());
        }
    }
    if !missing.is_empty() {
        call.cite(Clause::CURSOR_1);
    }
    let mut pool = present.surely;
    pool.extend(present.perhaps);
    Allowed::Page { pool, missing }
}
