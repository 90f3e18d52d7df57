//! The blocking commands, and WAIT.

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{Blocked, Wait};
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::expire::SECOND;
use crate::keyspace::Deadline;
use crate::list::{self, End, ListEdit};
use crate::numbers::parse_integer;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::zset::ZsetEdit;
use crate::zsets;

/// When a timeout passes.
enum Timeout {
    /// Never.
    Never,
    /// Then.
    At(Deadline),
    /// There is no such millisecond.
    Beyond(Refusal),
}

/// The timeout in an argument, in units of so many milliseconds. [BLOCK-1] [WAIT-3]
fn timeout(call: &Call<'_>, argument: &[u8], unit: i64, clause: Clause) -> Result<Timeout, Refusal> {
    let refusal = || Refusal::new(clause, "ERR timeout is not an integer or out of range");
    let number = parse_integer(argument).ok_or_else(refusal)?;
    if number < 0 {
        return Err(Refusal::new(clause, "ERR timeout is negative"));
    }
    if number == 0 {
        return Ok(Timeout::Never);
    }
    let later = |now: i64| number.checked_mul(unit).and_then(|lifetime| now.checked_add(lifetime));
    Ok(match (later(call.span.earliest_ms), later(call.span.latest_ms)) {
        (Some(earliest_ms), Some(latest_ms)) => Timeout::At(Deadline { earliest_ms, latest_ms }),
        _ => Timeout::Beyond(refusal()),
    })
}

/// The client is blocked; real servers take a timeout beyond all time for one that has passed (E-93).
fn block(call: &Call<'_>, clause: Clause, wait: Wait, timeout: Timeout) -> Result<Plan, Refusal> {
    let blocks = |deadline| Change::Block(Blocked { wait, deadline });
    match timeout {
        Timeout::Never => Ok(Plan::new(clause, Allowed::Nothing).with(blocks(None))),
        Timeout::At(deadline) => Ok(Plan::new(clause, Allowed::Nothing).with(blocks(Some(deadline)))),
        Timeout::Beyond(refusal) => {
            let now = Deadline { earliest_ms: call.span.earliest_ms, latest_ms: call.span.latest_ms };
            Ok(Plan::from(refusal).or_erratum(Erratum::E_93, Allowed::Nothing, vec![blocks(Some(now))]))
        }
    }
}

/// A timeout beyond all time is refused before the keys are looked at, by servers without E-93.
fn judged_first(call: &Call<'_>, timeout: Timeout) -> Result<Timeout, Refusal> {
    match timeout {
        Timeout::Beyond(refusal) if !call.model.has(Erratum::E_93) => Err(refusal),
        other => Ok(other),
    }
}

/// A key was there: with a timeout that is refused, only servers with E-93 pop from it.
fn popped(timeout: Timeout, plan: Plan) -> Plan {
    match timeout {
        Timeout::Beyond(refusal) => Plan::from(refusal).or_erratum(Erratum::E_93, plan.allowed, plan.changes),
        Timeout::Never | Timeout::At(_) => plan,
    }
}

fn owned(keys: &[&[u8]]) -> Vec<Bytes> {
    keys.iter().map(|key| key.to_vec()).collect()
}

pub(crate) fn blpop(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop_list(call, End::Head, Clause::BLPOP_1)
}

pub(crate) fn brpop(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop_list(call, End::Tail, Clause::BRPOP_1)
}

/// The keys of a command whose last argument is a timeout, and that timeout.
fn keys_and_timeout<'a>(call: &Call<'a>) -> Result<(&'a [&'a [u8]], Timeout), Refusal> {
    let last = call.args.len() - 1;
    let timeout = timeout(call, call.args[last], SECOND, Clause::BLOCK_1)?;
    Ok((&call.args[1..last], judged_first(call, timeout)?))
}

fn pop_list(call: &Call<'_>, end: End, clause: Clause) -> Result<Plan, Refusal> {
    let (keys, timeout) = keys_and_timeout(call)?;
    for &key in keys {
        let Some(list) = call.find_list(key).inspect_err(|_| call.cite(Clause::BLOCK_3))? else { continue };
        call.cite(Clause::BLOCK_2);
        call.cite(Clause::BLOCK_18);
        let (item, name) = match end {
            End::Head => (list.items.front(), b"LPOP"),
            End::Tail => (list.items.back(), b"RPOP"),
        };
        let item = item.map_or(Reply::NilBulk, |item| Reply::bulk(item.as_slice()));
        let pop = Change::Edit { db: call.db(), key: key.to_vec(), edit: Edit::List(ListEdit::Pop(end)) };
        let plan = Plan::reply(clause, Reply::Array(vec![Reply::bulk(key), item])).with(pop);
        let plan = plan.with(Change::Use { db: call.db(), keys: vec![key.to_vec()] });
        return Ok(popped(timeout, plan.instead(vec![vec![name.to_vec(), key.to_vec()]])));
    }
    if call.model.executing {
        return Ok(Plan::reply(Clause::BLOCK_6, Reply::NilArray));
    }
    block(call, Clause::BLOCK_4, Wait::List { end, keys: owned(keys) }, timeout)
}

/// [BRPOPLPUSH-1] [BRPOPLPUSH-2]
pub(crate) fn brpoplpush(call: &Call<'_>) -> Result<Plan, Refusal> {
    let timeout = timeout(call, call.args[3], SECOND, Clause::BLOCK_1)?;
    let timeout = judged_first(call, timeout)?;
    let (from, to) = (call.args[1], call.args[2]);
    if call.find_list(from).inspect_err(|_| call.cite(Clause::BLOCK_3))?.is_some() {
        call.cite(Clause::BRPOPLPUSH_1);
        call.cite(Clause::BLOCK_18);
        let plan = list::rpoplpush(call)?;
        return Ok(popped(timeout, plan.instead(vec![vec![b"RPOPLPUSH".to_vec(), from.to_vec(), to.to_vec()]])));
    }
    if call.model.executing {
        return Ok(Plan::reply(Clause::BLOCK_6, Reply::NilBulk));
    }
    block(call, Clause::BRPOPLPUSH_2, Wait::Movement { from: from.to_vec(), to: to.to_vec() }, timeout)
}

pub(crate) fn bzpopmin(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop_zset(call, false, Clause::BZPOPMIN_1)
}

pub(crate) fn bzpopmax(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop_zset(call, true, Clause::BZPOPMAX_1)
}

fn pop_zset(call: &Call<'_>, highest: bool, clause: Clause) -> Result<Plan, Refusal> {
    let (keys, timeout) = keys_and_timeout(call)?;
    for &key in keys {
        let Some(zset) = call.find_zset(key).inspect_err(|_| call.cite(Clause::BLOCK_3))? else { continue };
        let member = if highest { zset.order.last() } else { zset.order.first() };
        let Some((score, member)) = member else { continue };
        call.cite(Clause::BLOCK_2);
        call.cite(Clause::BLOCK_18);
        let edit = Edit::Zset(ZsetEdit::Remove(vec![member.clone()]));
        let pop = Change::Edit { db: call.db(), key: key.to_vec(), edit };
        let parts = vec![Reply::bulk(key), Reply::bulk(member.as_slice()), zsets::score_reply(*score)];
        let plan = Plan::reply(clause, Reply::Array(parts)).with(pop);
        let plan = plan.with(Change::Use { db: call.db(), keys: vec![key.to_vec()] });
        let name = if highest { b"ZPOPMAX" } else { b"ZPOPMIN" };
        return Ok(popped(timeout, plan.instead(vec![vec![name.to_vec(), key.to_vec()]])));
    }
    if call.model.executing {
        return Ok(Plan::reply(Clause::BLOCK_6, Reply::NilArray));
    }
    block(call, Clause::BLOCK_4, Wait::Zset { highest, keys: owned(keys) }, timeout)
}

/// WAIT on a server without replicas. [WAIT-1] [WAIT-2] [WAIT-3]
pub(crate) fn wait(call: &Call<'_>) -> Result<Plan, Refusal> {
    let refusal = || Refusal::new(Clause::WAIT_3, "ERR value is not an integer or out of range");
    let wanted = parse_integer(call.args[1]).ok_or_else(refusal)?;
    let timeout = timeout(call, call.args[2], 1, Clause::WAIT_3)?;
    let timeout = judged_first(call, timeout)?;
    if wanted <= 0 || call.model.executing {
        return Ok(popped(timeout, Plan::integer(Clause::WAIT_1, 0)));
    }
    let plan = block(call, Clause::WAIT_2, Wait::Replicas, timeout)?;
    let asks_for_none = wanted as i32 <= 0;
    Ok(if asks_for_none {
        plan.or_erratum(Erratum::E_97, Allowed::Exactly(Reply::Integer(0)), Vec::new())
    } else {
        plan
    })
}
