//! Commands on the connection itself, and what decides whether its replies are sent.

mod auth;
mod client_command;
mod client_list;

pub(crate) use auth::{auth, refuse_unauthenticated};
pub(crate) use client_command::client;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{ClientChange, Replies};
use crate::erratum::Erratum;
use crate::plan::{Change, Plan, Refusal};
use crate::pubsub;
use crate::reply::Reply;

pub(crate) fn ping(call: &Call<'_>) -> Result<Plan, Refusal> {
    match call.args.len() {
        1 | 2 if call.client.is_subscribed() => Ok(pubsub::pong(call.args.get(1).copied().unwrap_or_default())),
        1 => Ok(Plan::reply(Clause::PING_1, Reply::status("PONG"))),
        2 => Ok(Plan::reply(Clause::PING_2, Reply::bulk(call.args[1]))),
        _ => {
            let refusal = call.wrong_arity();
            Err(Refusal { clause: Clause::PING_3, ..refusal })
        }
    }
}

pub(crate) fn echo(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::reply(Clause::ECHO_1, Reply::bulk(call.args[1])))
}

/// QUIT stands outside the command table: it is answered before anything is looked at. [QUIT-1]
pub(crate) fn quit(call: &Call<'_>) -> Option<Plan> {
    call.args[0]
        .eq_ignore_ascii_case(b"quit")
        .then(|| Plan::new(Clause::QUIT_1, Allowed::Closing(Box::new(Allowed::ok()))))
}

/// POST and `Host:`.
pub(crate) fn attack(_: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::new(Clause::POST_1, Allowed::Closing(Box::new(Allowed::Nothing))))
}

/// Takes away the replies that the connection does not want. [CLIENT-19] [CLIENT-20] [CLIENT-21]
pub(crate) fn suppress_replies(call: &Call<'_>, plan: &mut Plan) {
    if call.client.replies == Replies::On {
        return;
    }
    let chosen = plan.changes.iter().find_map(|change| match change {
        Change::Client(ClientChange::Replies(replies)) => Some(*replies),
        _ => None,
    });
    if chosen == Some(Replies::On) {
        return;
    }
    if plan.changes.iter().any(|change| matches!(change, Change::Block(_))) {
        call.cite(Clause::CLIENT_36);
    }
    if chosen.is_none() && call.client.replies == Replies::SkipNext {
        plan.changes.push(Change::Client(ClientChange::Replies(Replies::On)));
    }
    let closes = plan.allowed.closes();
    let answered = plan.allowed.count() > 0;
    plan.allowed = silenced(&plan.allowed);
    for erratum in &mut plan.errata {
        erratum.allowed = silenced(&erratum.allowed);
    }
    if closes && answered {
        call.cite(Clause::QUIT_3);
        *plan = plan.clone().or_erratum(Erratum::E_15, Allowed::Nothing, Vec::new());
    }
}

/// The same without replies.
fn silenced(allowed: &Allowed) -> Allowed {
    match allowed {
        Allowed::Closing(_) => Allowed::Closing(Box::new(Allowed::Nothing)),
        Allowed::Either(one, other) => Allowed::Either(Box::new(silenced(one)), Box::new(silenced(other))),
        _ => Allowed::Nothing,
    }
}
