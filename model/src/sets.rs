//! Set commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::{Bytes, Reply, quoted};
use crate::scan_elements::{Scanned, scan_elements};
use crate::set::{SetEdit, SetValue};
use crate::strings::length;
use crate::value::{Encoding, Value};

/// SRANDMEMBER repeats members at most so often. [SRANDMEMBER-5]
const MOST_REPETITIONS: i64 = 2_147_483_647;

impl<'a> Call<'a> {
    /// The set at a key; an error if the key holds something else.
    pub(crate) fn find_set(&self, key: &[u8]) -> Result<Option<&'a SetValue>, Refusal> {
        match self.find(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Set(set)) => Ok(Some(set)),
            Some(_) => Err(Self::wrong_type()),
        }
    }

    /// A change in place of the collection at a key of the sender's database.
    pub(crate) fn edit(&self, key: &[u8], edit: Edit) -> Change {
        Change::Edit { db: self.db(), key: key.to_vec(), edit }
    }
}

fn members_of(set: Option<&SetValue>) -> impl Iterator<Item = &Bytes> {
    set.into_iter().flat_map(|set| &set.members)
}

fn has(set: Option<&SetValue>, member: &[u8]) -> bool {
    set.is_some_and(|set| set.members.contains(member))
}

/// An array of these in any order.
fn in_any_order<'a>(members: impl Iterator<Item = &'a Bytes>) -> Allowed {
    Allowed::AnyOrder(members.map(|member| Reply::bulk(member.as_slice())).collect())
}

pub(crate) fn sadd(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let set = call.find_set(key)?;
    let mut new: BTreeSet<&[u8]> = BTreeSet::new();
    let mut added = Vec::new();
    for &member in &call.args[2..] {
        if !has(set, member) && new.insert(member) {
            added.push(member.to_vec());
        }
    }
    let plan = Plan::integer(Clause::SADD_1, length(added.len()));
    if added.is_empty() {
        return Ok(plan);
    }
    call.cite(Clause::EXPIRY_8);
    Ok(plan.with(call.edit(key, Edit::Set(SetEdit::Add(added)))).verbatim())
}

pub(crate) fn srem(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let set = call.find_set(key)?;
    let removed: BTreeSet<&[u8]> = call.args[2..].iter().copied().filter(|member| has(set, member)).collect();
    let plan = Plan::integer(Clause::SREM_1, length(removed.len()));
    if removed.is_empty() {
        return Ok(plan);
    }
    if set.is_some_and(|set| set.members.len() == removed.len()) {
        call.cite(Clause::DB_5);
    }
    let removed = removed.into_iter().map(<[u8]>::to_vec).collect();
    Ok(plan.with(call.edit(key, Edit::Set(SetEdit::Remove(removed)))).verbatim())
}

pub(crate) fn sismember(call: &Call<'_>) -> Result<Plan, Refusal> {
    let set = call.find_set(call.args[1])?;
    Ok(Plan::integer(Clause::SISMEMBER_1, i64::from(has(set, call.args[2]))))
}

pub(crate) fn scard(call: &Call<'_>) -> Result<Plan, Refusal> {
    let set = call.find_set(call.args[1])?;
    Ok(Plan::integer(Clause::SCARD_1, set.map_or(0, |set| length(set.members.len()))))
}

pub(crate) fn smembers(call: &Call<'_>) -> Result<Plan, Refusal> {
    let set = call.find_set(call.args[1])?;
    Ok(Plan::new(Clause::SMEMBERS_1, in_any_order(members_of(set))))
}

pub(crate) fn smove(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (from, to, member) = (call.args[1], call.args[2], call.args[3]);
    let Some(source) = call.find(from) else {
        // Only removes an expired key of the other name.
        call.find(to);
        return Ok(Plan::integer(Clause::SMOVE_3, 0));
    };
    let Value::Set(source) = &source.value else { return Err(Call::wrong_type()) };
    call.find_set(to)?;
    let is_member = source.members.contains(member);
    if from == to {
        return Ok(Plan::integer(Clause::SMOVE_4, i64::from(is_member)));
    }
    if !is_member {
        return Ok(Plan::integer(Clause::SMOVE_2, 0));
    }
    let member = vec![member.to_vec()];
    Ok(Plan::integer(Clause::SMOVE_1, 1)
        .with(call.edit(from, Edit::Set(SetEdit::Remove(member.clone()))))
        .with(call.edit(to, Edit::Set(SetEdit::Add(member))))
        .verbatim())
}

/// Some members of a set in any order.
#[derive(Debug)]
struct Sample {
    pool: BTreeSet<Bytes>,
    count: usize,
    /// None of them twice.
    different: bool,
}

impl Judge for Sample {
    fn describe(&self) -> String {
        const SHOWN: usize = 16;
        let shown: Vec<String> = self.pool.iter().take(SHOWN).map(|member| quoted(member)).collect();
        let more = if self.pool.len() > SHOWN { ", …" } else { "" };
        let different = if self.different { "different " } else { "" };
        format!("{} {different}elements of {{{}{more}}}", self.count, shown.join(", "))
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(elements) = reply else { return Err("not an array".to_owned()) };
        if elements.len() != self.count {
            return Err(format!("{} elements instead of {}", elements.len(), self.count));
        }
        let mut seen: BTreeSet<&[u8]> = BTreeSet::new();
        for element in elements {
            match element {
                Reply::Bulk(member) if !self.pool.contains(member) => {
                    return Err(format!("{} is no member", quoted(member)));
                }
                Reply::Bulk(member) if !seen.insert(member) && self.different => {
                    return Err(format!("{} is there twice", quoted(member)));
                }
                Reply::Bulk(_) => {}
                _ => return Err("an element is no bulk string".to_owned()),
            }
        }
        Ok(())
    }
}

/// The members that an answer names; all members where there is no answer to judge.
fn named(call: &Call<'_>, set: &SetValue) -> BTreeSet<Bytes> {
    let named = match call.answer {
        Some(Reply::Array(elements)) => elements.as_slice(),
        Some(reply @ Reply::Bulk(_)) => std::slice::from_ref(reply),
        _ => return set.members.clone(),
    };
    let bulks = named.iter().filter_map(|element| match element {
        Reply::Bulk(member) => set.members.get(member),
        _ => None,
    });
    bulks.cloned().collect()
}

pub(crate) fn spop(call: &Call<'_>) -> Result<Plan, Refusal> {
    match call.args.len() {
        2 => spop_one(call),
        3 => spop_several(call),
        _ => Err(Refusal::new(Clause::SPOP_4, "ERR syntax error")),
    }
}

fn srem_command(key: &[u8], member: &[u8]) -> Vec<Bytes> {
    vec![b"SREM".to_vec(), key.to_vec(), member.to_vec()]
}

fn spop_one(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let Some(set) = call.find_set(key)? else {
        return Ok(Plan::reply(Clause::SPOP_1, Reply::NilBulk));
    };
    call.cite(Clause::SPOP_5);
    let pool = named(call, set);
    let chosen: Vec<Bytes> = pool.first().cloned().into_iter().collect();
    let commands = chosen.iter().map(|member| srem_command(key, member)).collect();
    Ok(Plan::new(Clause::SPOP_1, Allowed::OneOf(pool))
        .with(call.edit(key, Edit::Set(SetEdit::Remove(chosen))))
        .instead(commands))
}

fn spop_several(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    call.cite(Clause::SPOP_3);
    let Ok(count) = usize::try_from(call.integer(2)?) else {
        return Err(Refusal::new(Clause::SPOP_3, "ERR index out of range"));
    };
    let Some(set) = call.find_set(key)?.filter(|_| count > 0) else {
        return Ok(Plan::reply(Clause::SPOP_2, Reply::Array(Vec::new())));
    };
    call.cite(Clause::SPOP_5);
    if count >= set.members.len() {
        call.cite(Clause::DB_5);
        return Ok(Plan::new(Clause::SPOP_2, in_any_order(set.members.iter()))
            .with(Change::Remove { db: call.db(), key: key.to_vec() })
            .instead(vec![vec![b"DEL".to_vec(), key.to_vec()]]));
    }
    let pool = named(call, set);
    let chosen: Vec<Bytes> = match call.answer {
        Some(Reply::Array(elements)) => {
            // In the order of the answer, which is that of the propagated commands.
            elements
                .iter()
                .filter_map(|element| if let Reply::Bulk(member) = element { Some(member.clone()) } else { None })
                .collect()
        }
        _ => pool.iter().take(count).cloned().collect(),
    };
    let commands = chosen.iter().map(|member| srem_command(key, member)).collect();
    let judge = Sample { pool, count, different: true };
    let removal = call.edit(key, Edit::Set(SetEdit::Remove(chosen)));
    let plan = Plan::new(Clause::SPOP_2, Allowed::Judged(Arc::new(judge))).with(removal).instead(commands);
    if (set.members.len() - count).saturating_mul(5) <= count {
        call.cite(Clause::SETENC_7);
        return Ok(plan.with(call.edit(key, Edit::Set(SetEdit::Anew))));
    }
    Ok(plan)
}

pub(crate) fn srandmember(call: &Call<'_>) -> Result<Plan, Refusal> {
    if call.args.len() > 3 {
        return Err(Refusal::new(Clause::SPOP_4, "ERR syntax error"));
    }
    let key = call.args[1];
    if call.args.len() == 2 {
        return Ok(match call.find_set(key)? {
            Some(set) => Plan::new(Clause::SRANDMEMBER_1, Allowed::OneOf(named(call, set))),
            None => Plan::reply(Clause::SRANDMEMBER_1, Reply::NilBulk),
        });
    }
    let count = call.integer(2)?;
    if count < -MOST_REPETITIONS {
        let refusal = Plan::from(Refusal::new(Clause::SRANDMEMBER_5, "ERR value is out of range"));
        // Real servers try, which only a missing key survives. Looked at, not up: whoever refuses leaves an expired key.
        let erratum = match call.look(key).map(|entry| &entry.value) {
            None => Allowed::Exactly(Reply::Array(Vec::new())),
            Some(Value::Set(_)) => return Ok(refusal),
            Some(_) => Allowed::Error(Call::wrong_type().line),
        };
        return Ok(refusal.or_erratum(Erratum::E_42, erratum, Vec::new()));
    }
    let Some(set) = call.find_set(key)? else {
        return Ok(Plan::reply(Clause::SRANDMEMBER_4, Reply::Array(Vec::new())));
    };
    let repeats = count < 0;
    let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let judge = match repeats {
        true => Sample { pool: named(call, set), count, different: false },
        false => Sample { pool: named(call, set), count: count.min(set.members.len()), different: true },
    };
    let clause = if repeats { Clause::SRANDMEMBER_3 } else { Clause::SRANDMEMBER_2 };
    Ok(Plan::new(clause, Allowed::Judged(Arc::new(judge))))
}

/// Two or more sets made one.
#[derive(Clone, Copy)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

/// The result of an operation.
struct Combined {
    members: BTreeSet<Bytes>,
    /// A source was missing where every source is needed.
    cut_short: bool,
    /// The result is stored as a hashtable whatever it holds. [SETENC-6]
    as_hashtable: bool,
}

fn combine(call: &Call<'_>, operation: Operation, keys: &[&[u8]]) -> Result<Combined, Refusal> {
    let mut sets = Vec::new();
    for key in keys {
        let set = call.find_set(key)?;
        if set.is_none() && matches!(operation, Operation::Intersection) {
            call.cite(Clause::SINTER_2);
            return Ok(Combined { members: BTreeSet::new(), cut_short: true, as_hashtable: false });
        }
        sets.push(set);
    }
    let (first, others) = sets.split_first().map_or((None, &[][..]), |(first, others)| (*first, others));
    let members = match operation {
        Operation::Union => sets.iter().flat_map(|set| members_of(*set)).cloned().collect(),
        Operation::Intersection => {
            members_of(first).filter(|member| others.iter().all(|set| has(*set, member))).cloned().collect()
        }
        Operation::Difference => {
            members_of(first).filter(|member| !others.iter().any(|set| has(*set, member))).cloned().collect()
        }
    };
    let as_hashtable = matches!(operation, Operation::Difference) && {
        let size = |set: &Option<&SetValue>| set.map_or(0, |set| set.members.len());
        let present = sets.iter().filter(|set| set.is_some()).count();
        let thresholds = call.model.server.thresholds();
        first.is_some()
            && present * size(&first) / 2 > sets.iter().map(size).sum()
            && SetValue::of(members_of(first).cloned(), &thresholds).encoding == Encoding::Hashtable
    };
    Ok(Combined { members, cut_short: false, as_hashtable })
}

fn answer(call: &Call<'_>, clause: Clause, operation: Operation) -> Result<Plan, Refusal> {
    let combined = combine(call, operation, &call.args[1..])?;
    Ok(Plan::new(clause, in_any_order(combined.members.iter())))
}

fn store(call: &Call<'_>, clause: Clause, operation: Operation) -> Result<Plan, Refusal> {
    let destination = call.args[1];
    let combined = combine(call, operation, &call.args[2..])?;
    if call.args[2..].contains(&destination) {
        call.cite(Clause::SINTERSTORE_3);
    }
    let existed = call.find(destination).is_some();
    let count = length(combined.members.len());
    if count == 0 {
        let plan = Plan::integer(Clause::SINTERSTORE_2, 0);
        return Ok(match (existed, combined.cut_short) {
            (true, _) => plan.with(Change::Remove { db: call.db(), key: destination.to_vec() }).verbatim(),
            (false, false) => plan.verbatim(),
            (false, true) => plan,
        });
    }
    call.cite(Clause::EXPIRY_9);
    let mut set = SetValue::of(combined.members, &call.model.server.thresholds());
    if combined.as_hashtable {
        call.cite(Clause::SETENC_6);
        set.encoding = Encoding::Hashtable;
    }
    let put = Change::Put { db: call.db(), key: destination.to_vec(), value: Value::Set(set), expiry: Expiry::Clear };
    Ok(Plan::integer(clause, count).with(put).verbatim())
}

pub(crate) fn sinter(call: &Call<'_>) -> Result<Plan, Refusal> {
    answer(call, Clause::SINTER_1, Operation::Intersection)
}

pub(crate) fn sunion(call: &Call<'_>) -> Result<Plan, Refusal> {
    answer(call, Clause::SUNION_1, Operation::Union)
}

pub(crate) fn sdiff(call: &Call<'_>) -> Result<Plan, Refusal> {
    answer(call, Clause::SDIFF_1, Operation::Difference)
}

pub(crate) fn sinterstore(call: &Call<'_>) -> Result<Plan, Refusal> {
    store(call, Clause::SINTERSTORE_1, Operation::Intersection)
}

pub(crate) fn sunionstore(call: &Call<'_>) -> Result<Plan, Refusal> {
    store(call, Clause::SUNIONSTORE_1, Operation::Union)
}

pub(crate) fn sdiffstore(call: &Call<'_>) -> Result<Plan, Refusal> {
    store(call, Clause::SDIFFSTORE_1, Operation::Difference)
}

pub(crate) fn sscan(call: &Call<'_>) -> Result<Plan, Refusal> {
    scan_elements(call, Clause::SSCAN_1, |call, key| Ok(call.find_set(key)?.map(Scanned::Set)))
}
