//! PFADD, PFCOUNT, PFMERGE, PFDEBUG and PFSELFTEST.

use super::{Corrupted, HyperLogLog, REGISTERS, estimate, place, sparse};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::Reply;
use crate::value::{Encoding, StringValue, Value};

const CORRUPTED: &str = "INVALIDOBJ Corrupted HLL object detected";

fn corrupted(_: Corrupted) -> Refusal {
    Refusal::new(Clause::HLL_11, CORRUPTED)
}

/// The HyperLogLog at a key. [HLL-1]
fn find(call: &Call<'_>, key: &[u8]) -> Result<Option<HyperLogLog>, Refusal> {
    let Some(string) = call.find_string(key)? else { return Ok(None) };
    match HyperLogLog::of(&string.bytes) {
        Some(found) => Ok(Some(found)),
        None => Err(Refusal::new(Clause::HLL_1, "WRONGTYPE Key is not a valid HyperLogLog string value.")),
    }
}

/// The string that stays, in the encoding that commands on a HyperLogLog leave it in. [HLL-12]
fn put(call: &Call<'_>, key: &[u8], value: HyperLogLog) -> Change {
    let value = Value::String(StringValue::raw(value.bytes));
    Change::Put { db: call.db(), key: key.to_vec(), value, expiry: Expiry::Keep }
}

/// What a command that changes nothing does to a value that is not raw: it gets that encoding. [HLL-12]
fn made_raw(call: &Call<'_>, key: &[u8], value: &HyperLogLog) -> Option<Change> {
    match call.find_string(key) {
        Ok(Some(string)) if string.encoding != Encoding::Raw => Some(put(call, key, value.clone())),
        _ => None,
    }
}

/// A refusal, before which real servers have changed the value. [DB-4]
fn refused_late(call: &Call<'_>, key: &[u8], refusal: Refusal, left: HyperLogLog) -> Plan {
    let plan: Plan = refusal.into();
    let allowed = plan.allowed.clone();
    plan.or_erratum(Erratum::E_70, allowed, vec![put(call, key, left)])
}

pub(crate) fn pfadd(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let found = find(call, key)?;
    let is_new = found.is_none();
    for clause in [Clause::HLL_2, Clause::HLL_3, Clause::HLL_8, Clause::HLL_9, Clause::HLL_10] {
        call.cite(clause);
    }
    let most_bytes = call.model.server.thresholds().hll_sparse_bytes;
    let before = found.unwrap_or_else(HyperLogLog::new);
    let mut value = before.clone();
    let mut raised = false;
    for element in &call.args[2..] {
        let (register, count) = place(element);
        match value.raise(register, count, most_bytes) {
            Ok(lower) => raised |= lower,
            Err(Corrupted) => {
                let refusal = Refusal::new(Clause::PFADD_5, CORRUPTED);
                return Ok(refused_late(call, key, refusal, value));
            }
        }
    }
    if !raised && !is_new {
        let mut plan = Plan::integer(Clause::PFADD_3, 0);
        plan.changes.extend(made_raw(call, key, &value));
        return Ok(plan);
    }
    value.make_stale();
    let clause = if is_new { Clause::PFADD_2 } else { Clause::PFADD_1 };
    Ok(Plan::integer(clause, 1).with(put(call, key, value)).verbatim())
}

/// The greatest value of each register over all keys, and whether one of them is dense.
fn merged(call: &Call<'_>, keys: &[&[u8]]) -> Result<(Vec<u8>, bool), Refusal> {
    let mut greatest = vec![0; REGISTERS];
    let mut dense = false;
    for key in keys {
        let Some(value) = find(call, key)? else { continue };
        dense |= !value.is_sparse();
        for (most, register) in greatest.iter_mut().zip(value.registers().map_err(corrupted)?) {
            *most = register.max(*most);
        }
    }
    Ok((greatest, dense))
}

/// An estimate as an integer reply.
fn answer(clause: Clause, estimate: u64) -> Plan {
    Plan::integer(clause, i64::try_from(estimate).unwrap_or(i64::MAX))
}

pub(crate) fn pfcount(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::HLL_7);
    let &[_, key] = call.args else {
        let (registers, _) = merged(call, &call.args[1..])?;
        return Ok(answer(Clause::PFCOUNT_3, estimate(&registers)));
    };
    let Some(mut value) = find(call, key)? else { return Ok(Plan::integer(Clause::PFCOUNT_2, 0)) };
    if let Some(estimate) = value.cached() {
        call.cite(Clause::HLL_4);
        let mut plan = answer(Clause::PFCOUNT_4, estimate);
        plan.changes.extend(made_raw(call, key, &value));
        return Ok(plan);
    }
    let registers = match value.registers() {
        Ok(registers) => registers,
        Err(reason) => return Ok(refused_late(call, key, corrupted(reason), value)),
    };
    let estimate = estimate(&registers);
    value.cache(estimate);
    Ok(answer(Clause::PFCOUNT_1, estimate).with(put(call, key, value)).verbatim())
}

pub(crate) fn pfmerge(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let (registers, dense) = merged(call, &call.args[1..])?;
    let mut value = find(call, key)?.unwrap_or_else(HyperLogLog::new);
    if dense {
        call.cite(Clause::PFMERGE_3);
        value = value.to_dense().map_err(corrupted)?;
    }
    let most_bytes = call.model.server.thresholds().hll_sparse_bytes;
    for (register, &most) in registers.iter().enumerate().filter(|(_, most)| **most > 0) {
        value.raise(register, most, most_bytes).map_err(corrupted)?;
    }
    value.make_stale();
    call.cite(Clause::PFMERGE_2);
    Ok(Plan::ok(Clause::PFMERGE_1).with(put(call, key, value)).verbatim())
}

pub(crate) fn pfdebug(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (name, key) = (call.args[1], call.args[2]);
    let Some(value) = find(call, key)? else {
        return Err(Refusal::new(Clause::PFDEBUG_1, "ERR The specified key does not exist"));
    };
    let refused = |refusal| Ok(refused_late(call, key, refusal, value.clone()));
    let lower = name.to_ascii_lowercase();
    if !matches!(lower.as_slice(), b"getreg" | b"decode" | b"encoding" | b"todense") {
        let mut line = b"ERR Unknown PFDEBUG subcommand '".to_vec();
        line.extend(Call::quotable(name, usize::MAX));
        line.push(b'\'');
        return refused(Refusal::with(Clause::PFDEBUG_2, line));
    }
    if call.args.len() != 3 {
        let mut line = b"ERR Wrong number of arguments for the '".to_vec();
        line.extend(Call::quotable(name, usize::MAX));
        line.extend(b"' subcommand");
        return refused(Refusal::with(Clause::PFDEBUG_3, line));
    }
    let seen = |mut plan: Plan| {
        plan.changes.extend(made_raw(call, key, &value));
        Ok(plan)
    };
    match lower.as_slice() {
        b"encoding" => {
            let name = if value.is_sparse() { "sparse" } else { "dense" };
            seen(Plan::reply(Clause::PFDEBUG_4, Reply::Status(name.into())))
        }
        b"decode" if !value.is_sparse() => refused(Refusal::new(Clause::PFDEBUG_5, "ERR HLL encoding is not sparse")),
        b"decode" => seen(decode(&value)),

        subcommand => {
            let converts = value.is_sparse();
            let dense = match if converts { value.to_dense() } else { Ok(value.clone()) } {
                Ok(dense) => dense,
                Err(reason) => return refused(corrupted(reason)),
            };
            let plan = if subcommand == b"todense" {
                Plan::integer(Clause::PFDEBUG_6, i64::from(converts))
            } else {
                let registers = dense.registers().unwrap_or_default();
                let registers = registers.into_iter().map(|register| Reply::Integer(i64::from(register)));
                Plan::reply(Clause::PFDEBUG_7, Reply::Array(registers.collect()))
            };
            if converts { Ok(plan.with(put(call, key, dense)).verbatim()) } else { seen(plan) }
        }
    }
}

/// [PFDEBUG-5] [PFDEBUG-8]
fn decode(value: &HyperLogLog) -> Plan {
    let body = &value.bytes[super::HEADER..];
    let text = |runs: Vec<sparse::Run>| {
        let words: Vec<String> = runs.into_iter().map(sparse::Run::text).collect();
        Reply::bulk(words.join(" "))
    };
    if let Ok(runs) = sparse::runs(body) {
        return Plan::reply(Clause::PFDEBUG_5, text(runs));
    }
    // Only the second byte of the last run is missing, for which real servers read a zero (E-71).
    let runs = |body: &[u8]| text(sparse::runs(body).unwrap_or_default());
    let whole = &body[..body.len() - 1];
    let misread = runs(&[body, &[0]].concat());
    let changes = Vec::new();
    Plan::reply(Clause::PFDEBUG_8, runs(whole)).or_erratum(Erratum::E_71, Allowed::Exactly(misread), changes)
}

pub(crate) fn pfselftest(_: &Call<'_>) -> Result<Plan, Refusal> {
    let failed = Reply::Error(b"ERR TESTFAILED sparse encoding not used".to_vec());
    Ok(Plan::ok(Clause::PFSELFTEST_1).or_erratum(Erratum::E_73, Allowed::Exactly(failed), Vec::new()))
}
