//! CLIENT: ids, names, KILL, REPLY.

use std::sync::Arc;

use super::client_list::{ClientList, Line};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{Client, ClientChange, ClientId, Killed, Replies};
use crate::erratum::Erratum;
use crate::observe::Observation;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::server::{help, integer, one_line, unknown_subcommand};

/// CLIENT and its subcommands.
pub(crate) fn client(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.args[1].to_ascii_lowercase();
    match (name.as_slice(), call.args.len()) {
        (b"help", 2) => Ok(Plan::new(Clause::CLIENT_28, help("CLIENT"))),
        (b"id", 2) => Ok(id(call)),
        (b"getname", 2) => Ok(getname(call)),
        (b"setname", 3) => setname(call),
        (b"list", _) => list(call),
        (b"kill", _) => kill(call),
        (b"reply", 3) => reply(call),
        (b"unblock", 3 | 4) => unblock(call),
        (b"pause", 3) => pause(call),
        _ => Err(unknown_subcommand(Clause::CLIENT_1, call.args[1], "CLIENT HELP")),
    }
}

/// [CLIENT-2]
fn id(call: &Call<'_>) -> Plan {
    let earlier = call.model.clients.range(..call.client_id).filter_map(|(_, client)| client.id).max();
    let later = call.model.clients.range(call.client_id..).skip(1).filter_map(|(_, client)| client.id).min();
    let allowed = match call.client.id {
        Some(id) => Allowed::Exactly(Reply::Integer(id)),
        None => Allowed::Within(earlier.unwrap_or(0) + 1..=later.map_or(i64::MAX, |id| id - 1)),
    };
    Plan::new(Clause::CLIENT_2, allowed).with(Change::Observe(Observation::OwnId))
}

/// [CLIENT-3]
fn getname(call: &Call<'_>) -> Plan {
    let name = &call.client.name;
    let reply = if name.is_empty() { Reply::NilBulk } else { Reply::bulk(name.clone()) };
    Plan::reply(Clause::CLIENT_3, reply)
}

/// [CLIENT-4] [CLIENT-5]
fn setname(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.args[2];
    if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        let line = "ERR Client names cannot contain spaces, newlines or special characters.";
        return Err(Refusal::new(Clause::CLIENT_5, line));
    }
    Ok(Plan::ok(Clause::CLIENT_4).with(Change::Client(ClientChange::Name(name.to_vec()))))
}

/// The types of connections; the model has no primaries and replicas.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Normal,
    Pubsub,
    Other,
}

impl Type {
    /// A connection's type. [CLIENT-31]
    fn of(client: &Client) -> Self {
        if client.is_subscribed() { Self::Pubsub } else { Self::Normal }
    }
}

fn client_type(name: &[u8]) -> Result<Type, Refusal> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Type::Normal),
        b"pubsub" => Ok(Type::Pubsub),
        b"master" | b"replica" | b"slave" => Ok(Type::Other),
        _ => {
            let mut line = b"ERR Unknown client type '".to_vec();
            line.extend(one_line(name));
            line.push(b'\'');
            Err(Refusal::with(Clause::CLIENT_9, line))
        }
    }
}

fn list(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (clause, of_type) = match call.args {
        [_, _] => (Clause::CLIENT_6, None),
        [_, _, word, name] if word.eq_ignore_ascii_case(b"type") => (Clause::CLIENT_8, Some(client_type(name)?)),
        _ => return Err(Refusal::new(Clause::CLIENT_10, "ERR syntax error")),
    };
    for clause in [Clause::CLIENT_7, Clause::CLIENT_29, Clause::CLIENT_30, Clause::CLIENT_31] {
        call.cite(clause);
    }
    let mut lines = Vec::new();
    for (&id, client) in &call.model.clients {
        if of_type.is_none_or(|of_type| of_type == Type::of(client)) && client.killed == Killed::No {
            lines.push(Line::of(
                client,
                call.model.touched_by_now(client, call.span),
                id == call.client_id,
                call.model.executing,
            ));
        }
    }
    // Replicas and the like would be connections that the model knows nothing of.
    Ok(Plan::new(clause, Allowed::Judged(Arc::new(ClientList { lines }))))
}

/// What CLIENT KILL asks of the connections it closes.
#[derive(Default)]
struct Filter {
    id: Option<i64>,
    address: Option<Bytes>,
    of_type: Option<Type>,
    spares_own: bool,
}

impl Filter {
    /// Whether it closes this connection; `Perhaps` where the model knows too little of it.
    fn closes(&self, call: &Call<'_>, id: ClientId, client: &Client) -> Killed {
        if self.spares_own && id == call.client_id || self.of_type.is_some_and(|of_type| of_type != Type::of(client)) {
            return Killed::No;
        }
        let mut verdict = Killed::Surely;
        if let Some(wanted) = self.id {
            match client.id {
                _ if wanted <= 0 => return Killed::No,
                Some(id) if id != wanted => return Killed::No,
                Some(_) => {}
                None => verdict = Killed::Perhaps,
            }
        }
        if let Some(wanted) = &self.address {
            match &client.peer.address {
                Some(address) if address != wanted => return Killed::No,
                Some(_) => {}
                None if wanted.contains(&b':') => verdict = Killed::Perhaps,
                None => return Killed::No,
            }
        }
        verdict
    }
}

/// [CLIENT-11] to [CLIENT-18]
fn kill(call: &Call<'_>) -> Result<Plan, Refusal> {
    let mut filter = Filter { spares_own: true, ..Filter::default() };
    let by_address = call.args.len() == 3;
    let mut zero_id = false;
    match call.args {
        [_, _, address] => {
            filter.address = Some(address.to_vec());
            filter.spares_own = false;
        }
        [_, _, options @ ..] if !options.is_empty() => {
            for pair in options.chunks(2) {
                let &[option, value] = pair else {
                    return Err(Refusal::new(Clause::CLIENT_14, "ERR syntax error"));
                };
                match option.to_ascii_lowercase().as_slice() {
                    b"id" => {
                        let id = integer(value).ok_or_else(|| {
                            Refusal::new(Clause::CLIENT_15, "ERR value is not an integer or out of range")
                        })?;
                        zero_id = id == 0;
                        filter.id = Some(id);
                    }
                    b"type" => filter.of_type = Some(client_type(value)?),
                    b"addr" => filter.address = Some(value.to_vec()),
                    b"skipme" => match value.to_ascii_lowercase().as_slice() {
                        b"yes" => filter.spares_own = true,
                        b"no" => filter.spares_own = false,
                        _ => return Err(Refusal::new(Clause::CLIENT_14, "ERR syntax error")),
                    },
                    _ => return Err(Refusal::new(Clause::CLIENT_14, "ERR syntax error")),
                }
            }
        }
        _ => return Err(Refusal::new(Clause::CLIENT_14, "ERR syntax error")),
    }
    let plan = killing(call, &filter, by_address);
    if !zero_id {
        return Ok(plan);
    }
    call.cite(Clause::CLIENT_16);
    filter.id = None;
    let unfiltered = killing(call, &filter, by_address);
    Ok(plan.or_erratum(Erratum::E_14, unfiltered.allowed, unfiltered.changes))
}

fn killing(call: &Call<'_>, filter: &Filter, by_address: bool) -> Plan {
    let mut closed = Vec::new();
    let mut surely = 0;
    let mut perhaps = 0;
    let mut own = Killed::No;
    for (&id, client) in &call.model.clients {
        if client.killed == Killed::Surely {
            continue;
        }
        let verdict = filter.closes(call, id, client);
        match verdict {
            Killed::No => continue,
            Killed::Perhaps => perhaps += 1,
            Killed::Surely if client.killed == Killed::Perhaps => perhaps += 1,
            Killed::Surely => surely += 1,
        }
        if id == call.client_id {
            own = verdict;
        } else {
            closed.push((id, verdict));
        }
    }
    let clause = if by_address { Clause::CLIENT_11 } else { Clause::CLIENT_12 };
    let answer = if by_address {
        let none = || Allowed::Error(b"ERR No such client".as_slice().into());
        match (surely, perhaps) {
            (0, 0) => none(),
            (0, _) => Allowed::Either(Box::new(Allowed::ok()), Box::new(none())),
            _ => Allowed::ok(),
        }
    } else {
        // Other connections of a live server, which the model does not know of, may be counted too.
        let most = if filter.id.is_some_and(|id| id > 0) {
            1
        } else if filter.id.is_some() || filter.of_type == Some(Type::Other) {
            0
        } else {
            i64::MAX
        };
        Allowed::Within(surely..=most.max(surely))
    };
    let closing = || Allowed::Closing(Box::new(answer.clone()));
    let allowed = match own {
        Killed::No => answer,
        Killed::Surely => {
            call.cite(Clause::CLIENT_17);
            closing()
        }
        Killed::Perhaps => Allowed::Either(Box::new(closing()), Box::new(answer)),
    };
    Plan::new(clause, allowed).with(Change::Observe(Observation::Closed(closed)))
}

/// [CLIENT-19] to [CLIENT-22]
fn reply(call: &Call<'_>) -> Result<Plan, Refusal> {
    let change = |replies| Change::Client(ClientChange::Replies(replies));
    match call.args[2].to_ascii_lowercase().as_slice() {
        b"on" => Ok(Plan::ok(Clause::CLIENT_21).with(change(Replies::On))),
        b"off" => Ok(Plan::new(Clause::CLIENT_19, Allowed::Nothing).with(change(Replies::Off))),
        b"skip" => {
            let plan = Plan::new(Clause::CLIENT_20, Allowed::Nothing);
            let off = call.client.replies == Replies::Off;
            Ok(plan.with(change(if off { Replies::Off } else { Replies::SkipNext })))
        }
        _ => Err(Refusal::new(Clause::CLIENT_22, "ERR syntax error")),
    }
}

/// [CLIENT-23] [CLIENT-24] [CLIENT-25] [CLIENT-32]
fn unblock(call: &Call<'_>) -> Result<Plan, Refusal> {
    let with_error = match call.args.get(3).map(|reason| reason.to_ascii_lowercase()).as_deref() {
        None | Some(b"timeout") => false,
        Some(b"error") => true,
        Some(_) => {
            let line = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return Err(Refusal::new(Clause::CLIENT_24, line));
        }
    };
    let Some(wanted) = integer(call.args[2]) else {
        return Err(Refusal::new(Clause::CLIENT_25, "ERR value is not an integer or out of range"));
    };
    let clients = &call.model.clients;
    let named = clients.iter().find(|(_, client)| client.id == Some(wanted));
    if let Some((&client, _)) = named.filter(|(_, client)| client.blocked.is_some()) {
        return Ok(Plan::integer(Clause::CLIENT_23, 1).with(Change::Unblock { client, with_error }));
    }
    let unknown = clients.iter().filter(|(_, client)| client.id.is_none() && client.blocked.is_some());
    match unknown.map(|(&id, _)| id).next() {
        Some(client) if named.is_none() && wanted > 0 => {
            let learned = Change::Observe(Observation::Unblocked { client, with_error });
            Ok(Plan::new(Clause::CLIENT_23, Allowed::Within(0..=1)).with(learned))
        }
        _ => Ok(Plan::integer(Clause::CLIENT_23, 0)),
    }
}

/// [CLIENT-26] [CLIENT-27] [CLIENT-34]
fn pause(call: &Call<'_>) -> Result<Plan, Refusal> {
    let line = "ERR timeout is not an integer or out of range";
    match integer(call.args[2]) {
        None => Err(Refusal::new(Clause::CLIENT_27, line)),
        Some(..0) => Err(Refusal::new(Clause::CLIENT_27, "ERR timeout is negative")),
        Some(ms) if call.span.latest_ms.checked_add(ms).is_none() => {
            // Real servers pause for no time at all.
            let plan = Plan::from(Refusal::new(Clause::CLIENT_34, line));
            Ok(plan.or_erratum(Erratum::E_93, Allowed::ok(), Vec::new()))
        }
        Some(_) => {
            call.cite(Clause::CLIENT_33);
            call.cite(Clause::CLIENT_35);
            Ok(Plan::ok(Clause::CLIENT_26))
        }
    }
}
