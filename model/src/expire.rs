//! Deadlines: the commands that set, ask and drop them, and what an absent, past or impossible one means.

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::keyspace::Deadline;
use crate::plan::{Change, Plan, Propagation, Refusal};
use crate::reply::Bytes;

/// Milliseconds of a second.
pub(crate) const SECOND: i64 = 1000;

/// What real servers make of a number that overflows (E-2).
pub(crate) const SOME_DEADLINE: Deadline = Deadline::UNKNOWN;

/// What a number of seconds or milliseconds from now means.
#[derive(Clone, Debug)]
pub(crate) enum Lifetime {
    /// The key expires then.
    Until(Deadline),
    /// There is no such millisecond: the command is refused.
    Overflow(Refusal),
}

// A lifetime is looked at several times while a SET is judged.
impl Lifetime {
    fn refusal(call: &Call<'_>, clause: Clause) -> Refusal {
        let mut line = b"ERR invalid expire time in ".to_vec();
        line.extend(call.args[0].to_ascii_lowercase());
        Refusal::with(clause, line)
    }
}

/// The lifetime that an argument of SET, SETEX or PSETEX gives, in units of so many milliseconds.
pub(crate) fn lifetime(call: &Call<'_>, position: usize, unit: i64, clause: Clause) -> Result<Lifetime, Refusal> {
    let number = call.integer(position)?;
    if number <= 0 {
        return Err(Lifetime::refusal(call, clause));
    }
    Ok(match relative(call, number, unit) {
        Some(deadline) => Lifetime::Until(deadline),
        None => Lifetime::Overflow(Lifetime::refusal(call, Clause::EXPIRY_7)),
    })
}

/// So many units from now, if there is such a millisecond. What is not in the future is past, whenever that now is.
fn relative(call: &Call<'_>, number: i64, unit: i64) -> Option<Deadline> {
    let lifetime = number.checked_mul(unit)?;
    if number <= 0 {
        return Some(Deadline::at(call.span.earliest_ms.checked_add(lifetime)?));
    }
    Some(Deadline {
        earliest_ms: call.span.earliest_ms.checked_add(lifetime)?,
        latest_ms: call.span.latest_ms.checked_add(lifetime)?,
    })
}

/// The command that gives a key this deadline. Of an interval the earliest millisecond is taken.
pub(crate) fn pexpireat(key: &[u8], deadline: Deadline) -> Vec<Bytes> {
    vec![b"PEXPIREAT".to_vec(), key.to_vec(), deadline.earliest_ms.to_string().into_bytes()]
}

/// The command that an expired key is propagated as.
pub(crate) fn removal(call: &Call<'_>, key: &[u8]) -> Vec<Bytes> {
    let name = if call.model.server.lazy_expire() { b"UNLINK".to_vec() } else { b"DEL".to_vec() };
    vec![name, key.to_vec()]
}

pub(crate) fn expire(call: &Call<'_>) -> Result<Plan, Refusal> {
    let number = call.integer(2)?;
    set_deadline(call, Clause::EXPIRE_1, relative(call, number, SECOND), number)
}

pub(crate) fn pexpire(call: &Call<'_>) -> Result<Plan, Refusal> {
    let number = call.integer(2)?;
    set_deadline(call, Clause::PEXPIRE_1, relative(call, number, 1), number)
}

pub(crate) fn expireat(call: &Call<'_>) -> Result<Plan, Refusal> {
    let number = call.integer(2)?;
    set_deadline(call, Clause::EXPIREAT_1, number.checked_mul(SECOND).map(Deadline::at), number)
}

pub(crate) fn pexpireat_command(call: &Call<'_>) -> Result<Plan, Refusal> {
    let number = call.integer(2)?;
    set_deadline(call, Clause::PEXPIREAT_1, Some(Deadline::at(number)), number)
}

fn set_deadline(call: &Call<'_>, clause: Clause, deadline: Option<Deadline>, number: i64) -> Result<Plan, Refusal> {
    let (db, key) = (call.db(), call.args[1]);
    call.cite(Clause::EXPIRE_4);
    if call.find(key).is_none() {
        return Ok(Plan::integer(Clause::EXPIRE_2, 0));
    }
    let with_some_deadline = || vec![Change::SetDeadline { db, key: key.to_vec(), deadline: Some(SOME_DEADLINE) }];
    let Some(deadline) = deadline else {
        if number > 0 {
            let plan = Plan::from(Lifetime::refusal(call, Clause::EXPIRY_7));
            return Ok(plan.or_erratum(Erratum::E_2, Allowed::Exactly(crate::Reply::Integer(1)), with_some_deadline()));
        }
        // Too far in the past for a number: the key goes. What a server with E-2 does to it only time tells.
        let plan = Plan::integer(Clause::EXPIRE_3, 1).instead(vec![removal(call, key)]);
        return Ok(if call.model.profile.errata.contains(&Erratum::E_2) {
            Plan { changes: with_some_deadline(), ..plan }
        } else {
            plan.with(Change::Remove { db, key: key.to_vec() })
        });
    };
    if deadline.latest_ms <= call.span.earliest_ms {
        call.cite(Clause::PROPAGATION_8);
        let plan = Plan::integer(Clause::EXPIRE_3, 1).instead(vec![removal(call, key)]);
        return Ok(plan.with(Change::Remove { db, key: key.to_vec() }));
    }
    call.cite(Clause::PROPAGATION_7);
    let aof = vec![pexpireat(key, deadline)];
    let mut plan = Plan::integer(clause, 1);
    plan.propagation = if deadline.earliest_ms <= call.span.latest_ms {
        Propagation::Unspecified
    } else {
        Propagation::Instead { aof, replicas: None }
    };
    Ok(plan.with(Change::SetDeadline { db, key: key.to_vec(), deadline: Some(deadline) }))
}

pub(crate) fn ttl(call: &Call<'_>) -> Result<Plan, Refusal> {
    // Half a second and more is rounded up.
    time_left(call, Clause::TTL_1, |ms| ms.saturating_add(SECOND / 2) / SECOND)
}

pub(crate) fn pttl(call: &Call<'_>) -> Result<Plan, Refusal> {
    time_left(call, Clause::PTTL_1, |ms| ms)
}

fn time_left(call: &Call<'_>, clause: Clause, unit: fn(i64) -> i64) -> Result<Plan, Refusal> {
    let Some(entry) = call.find(call.args[1]) else {
        return Ok(Plan::integer(Clause::TTL_3, -2));
    };
    let Some(deadline) = entry.deadline else {
        return Ok(Plan::integer(Clause::TTL_2, -1));
    };
    if deadline.is_unknown() {
        return Ok(Plan::new(clause, Allowed::Within(i64::MIN..=i64::MAX)));
    }
    let least = deadline.earliest_ms.saturating_sub(call.span.latest_ms).max(0);
    let most = deadline.latest_ms.saturating_sub(call.span.earliest_ms).max(0);
    Ok(Plan::new(clause, Allowed::Within(unit(least)..=unit(most))))
}

pub(crate) fn persist(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (db, key) = (call.db(), call.args[1]);
    if call.find(key).is_none_or(|entry| entry.deadline.is_none()) {
        return Ok(Plan::integer(Clause::PERSIST_2, 0));
    }
    let change = Change::SetDeadline { db, key: key.to_vec(), deadline: None };
    Ok(Plan::integer(Clause::PERSIST_1, 1).with(change).verbatim())
}
