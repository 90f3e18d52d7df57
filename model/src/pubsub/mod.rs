//! Publish and subscribe.

use std::collections::BTreeSet;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{Client, ClientChange, ClientId};
use crate::delivery::Manner;
use crate::erratum::Erratum;
use crate::glob::Pattern;
use crate::model::Model;
use crate::plan::{Change, Plan, Propagation, Refusal};
use crate::profile::Profile;
use crate::reply::{Bytes, Reply};
use crate::server::{help, unknown_subcommand};
use crate::strings::length;

/// The commands that subscribed clients may send, QUIT aside.
const FREE: &[&str] = &["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ping"];

/// [SUBSCRIBE-2] [SUBSCRIBE-3]
pub(crate) fn refuse_to_subscribed(call: &Call<'_>, name: &str) -> Result<(), Refusal> {
    if !call.client.is_subscribed() || FREE.contains(&name) {
        return Ok(());
    }
    call.cite(Clause::SUBSCRIBE_3);
    let line = "ERR only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT allowed in this context";
    Err(Refusal::new(Clause::SUBSCRIBE_2, line))
}

/// What PING answers to a subscribed client. [SUBSCRIBE-4]
pub(crate) fn pong(argument: &[u8]) -> Plan {
    Plan::reply(Clause::SUBSCRIBE_4, Reply::Array(vec![Reply::bulk("pong"), Reply::bulk(argument)]))
}

/// The answer to one subscription or its end.
fn answer(kind: &str, name: Reply, count: usize) -> Allowed {
    Allowed::Exactly(Reply::Array(vec![Reply::bulk(kind), name, Reply::Integer(length(count))]))
}

/// The only one of several answers is no list of them.
fn together(clause: Clause, mut answers: Vec<Allowed>) -> Plan {
    match (answers.len(), answers.pop()) {
        (1, Some(answer)) => Plan::new(clause, answer),
        (_, last) => Plan::new(clause, Allowed::Several(answers.into_iter().chain(last).collect())),
    }
}

impl Client {
    /// Its subscriptions to channels and patterns.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

/// Begins or ends subscriptions one after the other, and answers for each.
fn one_by_one(
    call: &Call<'_>,
    (clause, kind): (Clause, &str),
    names: &[&[u8]],
    change: fn(Bytes) -> ClientChange,
) -> Plan {
    let mut client = call.client.clone();
    let mut answers = Vec::new();
    let mut changes = Vec::new();
    for name in names {
        client.apply(change(name.to_vec()));
        answers.push(answer(kind, Reply::bulk(*name), client.subscriptions()));
        changes.push(Change::Client(change(name.to_vec())));
    }
    Plan { changes, ..together(clause, answers) }
}

pub(crate) fn subscribe(call: &Call<'_>) -> Result<Plan, Refusal> {
    let form = (Clause::SUBSCRIBE_1, "subscribe");
    Ok(one_by_one(call, form, &call.args[1..], ClientChange::Subscribe))
}

pub(crate) fn psubscribe(call: &Call<'_>) -> Result<Plan, Refusal> {
    for pattern in &call.args[1..] {
        call.cite_pattern(pattern);
    }
    let form = (Clause::PSUBSCRIBE_1, "psubscribe");
    Ok(one_by_one(call, form, &call.args[1..], ClientChange::SubscribeToPattern))
}

/// The answer of a client that has nothing to end. [UNSUBSCRIBE-3]
fn nothing_to_end(call: &Call<'_>, kind: &str) -> Plan {
    Plan::new(Clause::UNSUBSCRIBE_3, answer(kind, Reply::NilBulk, call.client.subscriptions()))
}

pub(crate) fn unsubscribe(call: &Call<'_>) -> Result<Plan, Refusal> {
    let kind = "unsubscribe";
    if call.args.len() > 1 {
        let form = (Clause::UNSUBSCRIBE_1, kind);
        return Ok(one_by_one(call, form, &call.args[1..], ClientChange::Unsubscribe));
    }
    if call.client.channels.is_empty() {
        return Ok(nothing_to_end(call, kind));
    }
    call.cite(Clause::UNSUBSCRIBE_4);
    let names: BTreeSet<Bytes> = call.client.channels.clone();
    let changes = names.iter().map(|name| Change::Client(ClientChange::Unsubscribe(name.clone()))).collect();
    let allowed = Allowed::Departures { kind, names, left: length(call.client.patterns.len()) };
    Ok(Plan { changes, ..Plan::new(Clause::UNSUBSCRIBE_2, allowed) })
}

pub(crate) fn punsubscribe(call: &Call<'_>) -> Result<Plan, Refusal> {
    let form = (Clause::PUNSUBSCRIBE_1, "punsubscribe");
    if call.args.len() > 1 {
        return Ok(one_by_one(call, form, &call.args[1..], ClientChange::UnsubscribeFromPattern));
    }
    if call.client.patterns.is_empty() {
        return Ok(nothing_to_end(call, form.1));
    }
    let names: Vec<&[u8]> = call.client.patterns.iter().map(Vec::as_slice).collect();
    Ok(one_by_one(call, form, &names, ClientChange::UnsubscribeFromPattern))
}

/// A pattern as the profile's server reads it: to real servers asterisks alone do not match the empty channel (E-10).
fn reading(profile: &Profile, text: &[u8]) -> Pattern {
    if text == b"*" && profile.errata.contains(&Erratum::E_10) {
        return Pattern::new(b"*?");
    }
    match Pattern::misread(text, false) {
        Some((erratum, pattern)) if profile.errata.contains(&erratum) => pattern,
        _ => Pattern::new(text),
    }
}

/// [PUBLISH-2] [PUBLISH-5]
pub(crate) fn publish(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (channel, message) = (call.args[1], call.args[2]);
    let mut count = 0;
    for client in call.model.clients.values() {
        count += usize::from(client.channels.contains(channel));
        let matches = |text: &&Bytes| reading(&call.model.profile, text).matches(channel);
        count += client.patterns.iter().filter(matches).count();
    }
    call.cite(Clause::PUBLISH_5);
    let publication = Change::Publish { channel: channel.to_vec(), message: message.to_vec() };
    let plan = Plan::integer(Clause::PUBLISH_2, length(count)).with(publication);
    Ok(Plan { propagation: Propagation::Instead { aof: Vec::new(), replicas: None }, ..plan })
}

pub(crate) fn pubsub(call: &Call<'_>) -> Result<Plan, Refusal> {
    let clients = call.model.clients.values();
    match (call.args[1].to_ascii_lowercase().as_slice(), &call.args[2..]) {
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("PUBSUB"))),
        (b"channels", [] | [_]) => {
            let pattern = call.args.get(2).map(|text| reading(&call.model.profile, text));
            let wanted = |channel: &&Bytes| pattern.as_ref().is_none_or(|pattern| pattern.matches(channel));
            let channels: BTreeSet<&Bytes> = clients.flat_map(|client| &client.channels).filter(wanted).collect();
            let channels = channels.into_iter().map(|channel| Reply::bulk(channel.as_slice())).collect();
            Ok(Plan::new(Clause::PUBSUB_1, Allowed::AnyOrder(channels)))
        }
        (b"numsub", channels) => {
            let mut elements = Vec::new();
            for &channel in channels {
                let count = clients.clone().filter(|client| client.channels.contains(channel)).count();
                elements.extend([Reply::bulk(channel), Reply::Integer(length(count))]);
            }
            Ok(Plan::reply(Clause::PUBSUB_2, Reply::Array(elements)))
        }
        (b"numpat", []) => {
            let count: usize = clients.map(|client| client.patterns.len()).sum();
            Ok(Plan::integer(Clause::PUBSUB_3, length(count)))
        }
        _ => Err(unknown_subcommand(Clause::PUBSUB_4, call.args[1], "PUBSUB HELP.")),
    }
}

impl Model {
    /// Sends a message to all who are subscribed to a channel or to a pattern that it matches. [PUBLISH-1] [PUBLISH-3] [PUBLISH-4]
    pub(crate) fn publish(&mut self, channel: &[u8], message: &[u8], manner: Manner) {
        let mut sent: Vec<(ClientId, Reply)> = Vec::new();
        for (&id, client) in &self.clients {
            let messages = self.messages(&client.channels, &client.patterns, channel, message);
            sent.extend(messages.map(|message| (id, message)));
        }
        if !sent.is_empty() {
            self.witness(Clause::PUBLISH_3);
            self.witness(Clause::PUBLISH_4);
        }
        for (client, message) in sent {
            self.send(client, manner, Allowed::Exactly(message));
        }
    }

    /// What one who has these subscriptions receives of a message. [PUBLISH-3] [PUBLISH-4]
    fn messages<'m>(
        &'m self,
        channels: &BTreeSet<Bytes>,
        patterns: &'m [Bytes],
        channel: &'m [u8],
        message: &'m [u8],
    ) -> impl Iterator<Item = Reply> + use<'m> {
        let array = |parts: &[&[u8]]| Reply::Array(parts.iter().map(|part| Reply::bulk(*part)).collect());
        let exact = channels.contains(channel).then(|| array(&[b"message", channel, message]));
        let matching = patterns.iter().filter(move |pattern| reading(&self.profile, pattern).matches(channel));
        exact.into_iter().chain(matching.map(move |pattern| array(&[b"pmessage", pattern, channel, message])))
    }
}
