//! SSCAN, HSCAN and ZSCAN, and what an iteration over the elements of a collection owes to its caller.
//!
//! An iteration that goes on beyond its first page remembers the elements that it still owes. What is answered or removed
//! is owed no more, and when the key gets another value the iteration owes nothing at all. [CURSOR-8]

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::allowed::{Allowed, Judge, is_cursor};
use crate::call::Call;
use crate::clause::Clause;
use crate::glob::Pattern;
use crate::hash::HashValue;
use crate::keyspace::Slot;
use crate::model::Model;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply, quoted};
use crate::scan;
use crate::set::SetValue;
use crate::value::{Encoding, Value};
use crate::zset::ZsetValue;

/// Iterations that are followed at the same time; of more the oldest is forgotten, which only makes the model less strict.
const MOST_ITERATIONS: usize = 32;

/// A collection being iterated over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scanned<'a> {
    Set(&'a SetValue),
    Hash(&'a HashValue),
    Zset(&'a ZsetValue),
}

impl<'a> Scanned<'a> {
    /// The members or fields.
    fn elements(self) -> Vec<&'a Bytes> {
        match self {
            Self::Set(set) => set.members.iter().collect(),
            Self::Hash(hash) => hash.fields.keys().collect(),
            Self::Zset(zset) => zset.scores.keys().collect(),
        }
    }

    /// What the page shows of an element, if the collection has it: the element alone, or with its value or score behind it.
    fn shown(self, element: &[u8]) -> Option<Vec<Bytes>> {
        match self {
            Self::Set(set) => set.members.get(element).map(|member| vec![member.clone()]),
            Self::Hash(hash) => hash.fields.get(element).map(|value| vec![element.to_vec(), value.clone()]),
            Self::Zset(zset) => {
                zset.scores.get(element).map(|score| vec![element.to_vec(), score.to_string().into_bytes()])
            }
        }
    }

    /// How many strings the page shows of each element.
    fn width(self) -> usize {
        match self {
            Self::Set(_) => 1,
            Self::Hash(_) | Self::Zset(_) => 2,
        }
    }

    fn is_small(self) -> bool {
        let encoding = match self {
            Self::Set(set) => set.encoding,
            Self::Hash(hash) => hash.encoding,
            Self::Zset(zset) => zset.encoding,
        };
        matches!(encoding, Encoding::Intset | Encoding::Ziplist)
    }
}

/// An iteration under way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Iteration {
    db: usize,
    key: Bytes,
    /// The key that it began with, not a later one of the same name.
    born: u64,
    cursor: u64,
    owed: BTreeSet<Bytes>,
}

/// The iterations under way, the youngest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ElementIterations(Vec<Iteration>);

impl ElementIterations {
    fn find(&self, db: usize, key: &[u8], born: u64, cursor: u64) -> Option<usize> {
        self.0.iter().rposition(|iteration| {
            iteration.db == db && iteration.born == born && iteration.cursor == cursor && iteration.key == key
        })
    }

    /// These elements are gone.
    pub(crate) fn lose(&mut self, db: usize, key: &[u8], elements: &[Bytes]) {
        for iteration in self.0.iter_mut().filter(|iteration| iteration.db == db && iteration.key == key) {
            for element in elements {
                iteration.owed.remove(element);
            }
        }
    }

    /// The key got another value.
    pub(crate) fn forget(&mut self, db: usize, key: &[u8]) {
        self.0.retain(|iteration| iteration.db != db || iteration.key != key);
    }
}

/// The elements that a page answers, and the next cursor.
fn read_page(reply: &Reply, width: usize) -> Option<(u64, Vec<&Bytes>)> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(cursor), Reply::Array(page)] = parts.as_slice() else { return None };
    let mut elements = Vec::new();
    for shown in page.chunks(width) {
        let Some(Reply::Bulk(element)) = shown.first() else { return None };
        elements.push(element);
    }
    Some((scan::parse_cursor(cursor)?, elements))
}

fn scanned(value: &Value) -> Option<Scanned<'_>> {
    match value {
        Value::Set(set) => Some(Scanned::Set(set)),
        Value::Hash(hash) => Some(Scanned::Hash(hash)),
        Value::Zset(zset) => Some(Scanned::Zset(zset)),
        Value::String(_) | Value::List(_) | Value::Stream(_) => None,
    }
}

impl Model {
    /// A page of elements was answered to a cursor.
    pub(crate) fn advance_elements(
        &mut self,
        db: usize,
        key: &[u8],
        cursor: u64,
        pattern: Option<Bytes>,
        reply: Option<&Reply>,
    ) {
        let Some(Slot::Known(entry)) = self.keyspace.slot(db, key) else { return };
        let Some(collection) = scanned(&entry.value) else { return };
        let Some((next, page)) = reply.and_then(|reply| read_page(reply, collection.width())) else { return };
        let born = entry.born;
        let position = self.element_iterations.find(db, key, born, cursor).filter(|_| cursor != 0);
        let mut owed = match position {
            Some(position) => self.element_iterations.0.remove(position).owed,
            None if cursor != 0 || next == 0 => return,
            None => collection.elements().into_iter().cloned().collect(),
        };
        if next == 0 {
            return;
        }
        for element in page {
            owed.remove(element);
        }
        if let Some(pattern) = pattern {
            let pattern = Pattern::new(&pattern);
            owed.retain(|element| pattern.matches(element));
        }
        if self.element_iterations.0.len() == MOST_ITERATIONS {
            self.element_iterations.0.remove(0);
        }
        self.element_iterations.0.push(Iteration { db, key: key.to_vec(), born, cursor: next, owed });
    }
}

/// A page of elements.
#[derive(Debug)]
struct Page {
    width: usize,
    /// What each element that may be in it looks like, one after the other.
    pool: BTreeSet<Vec<Bytes>>,
    /// Elements that have to be in it if it is the last.
    missing: BTreeSet<Bytes>,
    /// It has to be the last.
    whole: bool,
}

impl Judge for Page {
    fn describe(&self) -> String {
        const SHOWN: usize = 16;
        let list = |elements: &mut dyn Iterator<Item = &Bytes>| {
            let mut shown: Vec<String> = elements.take(SHOWN + 1).map(|element| quoted(element)).collect();
            if shown.len() > SHOWN {
                shown.pop();
                shown.push("…".to_owned());
            }
            format!("{{{}}}", shown.join(", "))
        };
        let mut text = if self.whole { "the cursor 0 and " } else { "a cursor and elements of " }.to_owned();
        text.push_str(&list(&mut self.pool.iter().flatten()));
        if !self.missing.is_empty() && !self.whole {
            text.push_str(", and before the cursor 0 also ");
            text.push_str(&list(&mut self.missing.iter()));
        }
        text
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(parts) = reply else { return Err("not an array".to_owned()) };
        let [Reply::Bulk(cursor), Reply::Array(page)] = parts.as_slice() else {
            return Err("not a cursor and an array".to_owned());
        };
        if !is_cursor(cursor) {
            return Err(format!("{} is no cursor", quoted(cursor)));
        }
        let mut seen: BTreeSet<&[u8]> = BTreeSet::new();
        for shown in page.chunks(self.width) {
            let mut item: Vec<Bytes> = Vec::new();
            for reply in shown {
                let Reply::Bulk(bytes) = reply else { return Err("an element is no bulk string".to_owned()) };
                item.push(bytes.clone());
            }
            if !self.pool.contains(&item) {
                return Err(format!(
                    "{} is not in the collection as shown",
                    item.first().map_or(String::new(), |e| quoted(e))
                ));
            }
            let Some(Reply::Bulk(element)) = shown.first() else { continue };
            if !seen.insert(element) && self.whole {
                return Err(format!("{} is there twice", quoted(element)));
            }
        }
        let last = cursor == b"0";
        if self.whole && !last {
            return Err("the cursor is not 0".to_owned());
        }
        match self.missing.iter().find(|element| last && !seen.contains(element.as_slice())) {
            Some(element) => Err(format!("{} was never answered", quoted(element))),
            None => Ok(()),
        }
    }
}

fn page(call: &Call<'_>, key: &[u8], collection: Scanned<'_>, cursor: u64, pattern: Option<&Pattern>) -> Allowed {
    let width = collection.width();
    let fits = |element: &[u8]| pattern.is_none_or(|pattern| pattern.matches(element));
    let whole = collection.is_small();
    let answered = call.answer.and_then(|answer| read_page(answer, width));
    let last = answered.as_ref().is_none_or(|(next, _)| *next == 0);
    let pool = match &answered {
        // Only what was answered bears on the judgement.
        Some((_, elements)) => {
            let elements = elements.iter().filter(|element| fits(element));
            elements.filter_map(|element| collection.shown(element)).collect()
        }
        None => {
            let elements = collection.elements().into_iter().filter(|element| fits(element));
            elements.filter_map(|element| collection.shown(element)).collect()
        }
    };
    let mut missing = BTreeSet::new();
    if whole {
        call.cite(Clause::CURSOR_9);
    }
    if last {
        let born = call.find(key).map_or(0, |entry| entry.born);
        let position = call.model.element_iterations.find(call.db(), key, born, cursor);
        match position.and_then(|position| call.model.element_iterations.0.get(position)) {
            _ if cursor == 0 || whole => {
                missing = collection.elements().into_iter().filter(|element| fits(element)).cloned().collect();
            }
            Some(iteration) => missing = iteration.owed.iter().filter(|element| fits(element)).cloned().collect(),
            None => {}
        }
    }
    if !missing.is_empty() {
        call.cite(Clause::CURSOR_8);
    }
    Allowed::Judged(Arc::new(Page { width, pool, missing, whole }))
}

/// SSCAN, HSCAN or ZSCAN over what `find` finds at the key.
pub(crate) fn scan_elements<'a>(
    call: &Call<'a>,
    clause: Clause,
    find: impl Fn(&Call<'a>, &[u8]) -> Result<Option<Scanned<'a>>, Refusal>,
) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let cursor = scan::cursor(call, 2)?;
    call.cite(Clause::CURSOR_10);
    let Some(collection) = find(call, key)? else {
        let empty = vec![Reply::bulk("0"), Reply::Array(Vec::new())];
        return Ok(Plan::reply(Clause::CURSOR_11, Reply::Array(empty)));
    };
    let pattern = scan::options(call, 3)?;
    if let Some(pattern) = &pattern {
        call.cite(Clause::CURSOR_12);
        call.cite_pattern(pattern);
    }
    let compiled = pattern.as_deref().map(Pattern::new);
    let plan = Plan::new(clause, page(call, key, collection, cursor, compiled.as_ref()));
    let change = Change::ScannedElements { db: call.db(), key: key.to_vec(), cursor, pattern: pattern.clone() };
    Ok(match pattern.as_deref().and_then(|text| Pattern::misread(text, false)) {
        Some((erratum, misread)) => {
            let allowed = page(call, key, collection, cursor, Some(&misread));
            plan.with(change.clone()).or_erratum(erratum, allowed, vec![change])
        }
        None => plan.with(change),
    })
}
