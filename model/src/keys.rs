//! Commands on keys of any type.

use std::collections::BTreeSet;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::glob::Pattern;
use crate::keyspace::Fate;
use crate::numbers::parse_integer;
use crate::plan::{Change, Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::strings::length;

pub(crate) fn del(call: &Call<'_>) -> Result<Plan, Refusal> {
    remove(call, Clause::DEL_1)
}

pub(crate) fn unlink(call: &Call<'_>) -> Result<Plan, Refusal> {
    remove(call, Clause::UNLINK_1)
}

fn remove(call: &Call<'_>, clause: Clause) -> Result<Plan, Refusal> {
    let mut existing: Vec<&[u8]> = Vec::new();
    for &key in &call.args[1..] {
        if call.find(key).is_some() && !existing.contains(&key) {
            existing.push(key);
        }
    }
    let mut plan = Plan::integer(clause, length(existing.len()));
    if !existing.is_empty() {
        plan = plan.verbatim();
    }
    for key in existing {
        plan = plan.with(Change::Remove { db: call.db(), key: key.to_vec() });
    }
    Ok(plan)
}

pub(crate) fn exists(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::integer(Clause::EXISTS_1, existing(call)))
}

pub(crate) fn touch(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::integer(Clause::TOUCH_1, existing(call)))
}

/// How many of the keys exist, each time it is named.
fn existing(call: &Call<'_>) -> i64 {
    let mut count = 0;
    for key in &call.args[1..] {
        count += i64::from(call.find(key).is_some());
    }
    count
}

pub(crate) fn type_of(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.find(call.args[1]).map_or("none", |entry| entry.value.kind().name());
    Ok(Plan::reply(Clause::TYPE_1, Reply::status(name)))
}

pub(crate) fn rename(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (from, to) = (call.args[1], call.args[2]);
    if call.find(from).is_none() {
        return Err(Refusal::new(Clause::RENAME_2, "ERR no such key"));
    }
    if from == to {
        return Ok(Plan::ok(Clause::RENAME_3));
    }
    // Only removes an expired key of the other name.
    call.find(to);
    Ok(Plan::ok(Clause::RENAME_1).with(call.movement(from, call.db(), to)).verbatim())
}

pub(crate) fn renamenx(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (from, to) = (call.args[1], call.args[2]);
    if call.find(from).is_none() {
        return Err(Refusal::new(Clause::RENAME_2, "ERR no such key"));
    }
    if from == to || call.find(to).is_some() {
        return Ok(Plan::integer(Clause::RENAMENX_2, 0));
    }
    Ok(Plan::integer(Clause::RENAMENX_1, 1).with(call.movement(from, call.db(), to)).verbatim())
}

impl Call<'_> {
    /// Notes which clauses of glob patterns a pattern relies on.
    pub(crate) fn cite_pattern(&self, text: &[u8]) {
        for clause in Pattern::clauses(text) {
            self.cite(clause);
        }
    }

    fn movement(&self, from: &[u8], db: usize, to: &[u8]) -> Change {
        Change::Move { from: (self.db(), from.to_vec()), to: (db, to.to_vec()) }
    }

    /// The database of this number, if there is one.
    fn database(&self, number: i64) -> Option<usize> {
        self.cite(Clause::DB_1);
        usize::try_from(number).ok().filter(|&number| number < self.model.server.databases)
    }
}

pub(crate) fn move_to(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let Some(target) = parse_integer(call.args[2]).and_then(|number| call.database(number)) else {
        return Err(Refusal::new(Clause::MOVE_3, "ERR index out of range"));
    };
    if target == call.db() {
        return Err(Refusal::new(Clause::MOVE_4, "ERR source and destination objects are the same"));
    }
    if call.find(key).is_none() || call.find_in(target, key).is_some() {
        return Ok(Plan::integer(Clause::MOVE_2, 0));
    }
    Ok(Plan::integer(Clause::MOVE_1, 1).with(call.movement(key, target, key)).verbatim())
}

/// What a real server makes of a database number: it keeps the low 32 bits (E-5).
fn low_half(number: i64) -> i64 {
    // Cutting off is the point.
    i64::from(number as i32)
}

pub(crate) fn swapdb(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(first) = parse_integer(call.args[1]) else {
        return Err(Refusal::new(Clause::SWAPDB_2, "ERR invalid first DB index"));
    };
    let Some(second) = parse_integer(call.args[2]) else {
        return Err(Refusal::new(Clause::SWAPDB_2, "ERR invalid second DB index"));
    };
    if let (Some(first), Some(second)) = (call.database(first), call.database(second)) {
        return Ok(Plan::ok(Clause::SWAPDB_1).with(Change::Swap(first, second)).verbatim());
    }
    let refusal = Refusal::new(Clause::SWAPDB_3, "ERR DB index is out of range");
    match (call.database(low_half(first)), call.database(low_half(second))) {
        (Some(first), Some(second)) => {
            let swap = vec![Change::Swap(first, second)];
            Ok(Plan::from(refusal).or_erratum(Erratum::E_5, Allowed::ok(), swap))
        }
        _ => Err(refusal),
    }
}

pub(crate) fn select(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(number) = parse_integer(call.args[1]) else {
        return Err(Refusal::new(Clause::SELECT_2, "ERR invalid DB index"));
    };
    if let Some(db) = call.database(number) {
        return Ok(Plan::ok(Clause::SELECT_1).with(Change::Select(db)));
    }
    let refusal = Refusal::new(Clause::SELECT_3, "ERR DB index is out of range");
    match call.database(low_half(number)) {
        Some(db) => Ok(Plan::from(refusal).or_erratum(Erratum::E_5, Allowed::ok(), vec![Change::Select(db)])),
        None => Err(refusal),
    }
}

/// Keys that are there, and keys that may be.
#[derive(Default)]
pub(crate) struct Present {
    pub(crate) surely: BTreeSet<Bytes>,
    pub(crate) perhaps: BTreeSet<Bytes>,
}

impl Present {
    fn add(&mut self, key: &[u8], fate: Fate) {
        match fate {
            Fate::Alive => self.surely.insert(key.to_vec()),
            Fate::Perhaps => self.perhaps.insert(key.to_vec()),
            Fate::Gone => false,
        };
    }
}

impl Call<'_> {
    /// The keys of the sender's database that match.
    pub(crate) fn present(&self, pattern: Option<&Pattern>) -> Present {
        let mut present = Present::default();
        let Some(db) = self.model.keyspace.databases.get(&self.db()) else { return present };
        for (key, slot) in &db.keys {
            if pattern.is_some_and(|pattern| !pattern.matches(key)) {
                continue;
            }
            present.add(key, slot.fate(self.span));
        }
        present
    }

    /// Those of some keys that are in the sender's database and match.
    pub(crate) fn present_among(&self, keys: &[Reply], pattern: Option<&Pattern>) -> Present {
        let mut present = Present::default();
        for key in keys {
            let Reply::Bulk(key) = key else { continue };
            if pattern.is_none_or(|pattern| pattern.matches(key))
                && let Some(slot) = self.model.keyspace.slot(self.db(), key)
            {
                present.add(key, slot.fate(self.span));
            }
        }
        present
    }
}

pub(crate) fn dbsize(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(db) = call.model.keyspace.databases.get(&call.db()) else {
        return Ok(Plan::integer(Clause::DBSIZE_1, 0));
    };
    let alive = db.keys.values().filter(|slot| slot.fate(call.span) == Fate::Alive).count();
    if alive == db.keys.len() {
        return Ok(Plan::integer(Clause::DBSIZE_1, length(alive)));
    }
    // Expired keys that nothing has removed yet may count.
    let allowed = Allowed::Within(length(alive)..=length(db.keys.len()));
    Ok(Plan::new(Clause::EXPIRY_5, allowed))
}

pub(crate) fn keys(call: &Call<'_>) -> Result<Plan, Refusal> {
    let judge = |pattern: Pattern| {
        let present = call.present(Some(&pattern));
        Allowed::Between { must: present.surely, may: present.perhaps }
    };
    let pattern = Pattern::new(call.args[1]);
    call.cite_pattern(call.args[1]);
    let plan = Plan::new(Clause::KEYS_1, judge(pattern));
    Ok(match Pattern::misread(call.args[1], true) {
        Some((erratum, pattern)) => plan.or_erratum(erratum, judge(pattern), Vec::new()),
        None => plan,
    })
}

pub(crate) fn randomkey(call: &Call<'_>) -> Result<Plan, Refusal> {
    if let Some(key @ Reply::Bulk(_)) = call.answer {
        let mut present = call.present_among(std::slice::from_ref(key), None);
        present.surely.append(&mut present.perhaps);
        return Ok(Plan::new(Clause::RANDOMKEY_1, Allowed::OneOf(present.surely)));
    }
    let present = call.present(None);
    if present.surely.is_empty() && present.perhaps.is_empty() {
        return Ok(Plan::reply(Clause::RANDOMKEY_2, Reply::NilBulk));
    }
    let none_for_sure = present.surely.is_empty();
    let mut pool = present.surely;
    pool.extend(present.perhaps);
    let mut allowed = Allowed::OneOf(pool);
    if none_for_sure {
        allowed = Allowed::Either(Box::new(allowed), Box::new(Allowed::Exactly(Reply::NilBulk)));
    }
    Ok(Plan::new(Clause::RANDOMKEY_1, allowed))
}

/// The only argument that FLUSHDB and FLUSHALL take.
fn flush_option(call: &Call<'_>) -> Result<(), Refusal> {
    match &call.args[1..] {
        [] => Ok(()),
        [option] if option.eq_ignore_ascii_case(b"async") => Ok(()),
        _ => Err(Refusal::new(Clause::FLUSHDB_2, "ERR syntax error")),
    }
}

pub(crate) fn flushdb(call: &Call<'_>) -> Result<Plan, Refusal> {
    flush_option(call)?;
    let mut plan = Plan::ok(Clause::FLUSHDB_1).with(Change::Flush { db: call.db() });
    if let Some(db) = call.model.keyspace.databases.get(&call.db()) {
        let alive = db.keys.values().any(|slot| slot.fate(call.span) == Fate::Alive);
        plan.propagation = match (alive, db.keys.is_empty()) {
            (true, _) => Propagation::Verbatim,
            (false, true) => Propagation::Nothing,
            (false, false) => Propagation::Unspecified,
        };
    }
    Ok(plan)
}

pub(crate) fn flushall(call: &Call<'_>) -> Result<Plan, Refusal> {
    flush_option(call)?;
    Ok(Plan::ok(Clause::FLUSHALL_1).with(Change::FlushAll).verbatim())
}
