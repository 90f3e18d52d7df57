//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE and SHUTDOWN.

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::observe::Observation;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::Reply;

const IN_PROGRESS: &[u8] = b"ERR Background save already in progress";

fn either(one: Allowed, other: Allowed) -> Allowed {
    Allowed::Either(Box::new(one), Box::new(other))
}

/// [SAVE-1] [SAVE-2] [SAVE-3]; whether a background save runs, or the disk fails, is not for the model to know.
pub(crate) fn save(_: &Call<'_>) -> Result<Plan, Refusal> {
    let failed = either(Allowed::Error(IN_PROGRESS.into()), Allowed::Error(b"ERR".as_slice().into()));
    let plan = Plan::new(Clause::SAVE_1, either(Allowed::ok(), failed));
    Ok(plan.with(Change::Observe(Observation::Saved)))
}

/// [BGSAVE-1] to [BGSAVE-4]
pub(crate) fn bgsave(call: &Call<'_>) -> Result<Plan, Refusal> {
    let scheduled = match call.args {
        [_] => false,
        [_, word] if word.eq_ignore_ascii_case(b"schedule") => true,
        _ => return Err(Refusal::new(Clause::BGSAVE_4, "ERR syntax error")),
    };
    let started = Allowed::Exactly(Reply::status("Background saving started"));
    let rewriting = if scheduled {
        Allowed::Exactly(Reply::status("Background saving scheduled"))
    } else {
        Allowed::Error(
            b"ERR An AOF log rewriting in progress: can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule \
              a BGSAVE whenever possible."
                .as_slice()
                .into(),
        )
    };
    let running = either(Allowed::Error(IN_PROGRESS.into()), rewriting);
    Ok(Plan::new(Clause::BGSAVE_1, either(started, running)))
}

/// [BGREWRITEAOF-1] to [BGREWRITEAOF-3]; which children are at work is not for the model to know.
pub(crate) fn bgrewriteaof(_: &Call<'_>) -> Result<Plan, Refusal> {
    let begun = |word: &str| Allowed::Exactly(Reply::status(&format!("Background append only file rewriting {word}")));
    let running = Allowed::Error(b"ERR Background append only file rewriting already in progress".as_slice().into());
    let plan = Plan::new(Clause::BGREWRITEAOF_1, either(begun("started"), either(begun("scheduled"), running)));
    Ok(plan.with(Change::Observe(Observation::Rewriting)))
}

/// [LASTSAVE-1] [LASTSAVE-2]
pub(crate) fn lastsave(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::LASTSAVE_2);
    let latest = call.span.latest_ms.div_euclid(1000);
    let earliest = call.model.server.last_save_s.unwrap_or(0).min(latest);
    let plan = Plan::new(Clause::LASTSAVE_1, Allowed::Within(earliest..=latest));
    Ok(plan.with(Change::Observe(Observation::LastSave)))
}

/// [SHUTDOWN-1] [SHUTDOWN-2] [SHUTDOWN-4]
pub(crate) fn shutdown(call: &Call<'_>) -> Result<Plan, Refusal> {
    let known = match call.args {
        [_] => true,
        [_, word] => word.eq_ignore_ascii_case(b"save") || word.eq_ignore_ascii_case(b"nosave"),
        _ => false,
    };
    if !known {
        return Err(Refusal::new(Clause::SHUTDOWN_2, "ERR syntax error"));
    }
    let failed = Allowed::Error(b"ERR Errors trying to SHUTDOWN. Check logs.".as_slice().into());
    let stopped = Allowed::Closing(Box::new(Allowed::Nothing));
    Ok(Plan::new(Clause::SHUTDOWN_1, either(stopped, failed)))
}
