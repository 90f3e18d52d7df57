//! SUBSCRIBE and its relatives, PUBLISH, PUBSUB.

use super::{Context, Refusal, unknown_subcommand};
use crate::faults::{self, Fault};
use crate::glob::{self, Case};
use crate::propagation::Targets;
use crate::resp::Args;

const HELP: [&str; 4] = [
    "PUBSUB <subcommand> arg arg ... arg. Subcommands are:",
    "CHANNELS [<pattern>] -- Return the currently active channels matching a pattern (default: all).",
    "NUMPAT -- Return number of subscriptions to patterns.",
    "NUMSUB [channel-1 .. channel-N] -- Returns the number of subscribers for the specified channels (excluding \
     patterns, default: none).",
];

/// Answers that a subscription began or ended, and how many there are now.
fn answer(cx: &mut Context<'_>, what: &str, name: Option<&[u8]>) {
    let forgetful = faults::is(Fault::PubsubUnsubscribeForgetsPatterns) && what == "unsubscribe";
    let count = cx.client.subscriptions.as_ref().map_or(0, |own| match forgetful {
        true => own.channels.len(),
        false => own.len(),
    });
    let mut reply = cx.reply();
    reply.array(3);
    reply.bulk(what.as_bytes());
    match name {
        Some(name) => reply.bulk(name),
        None => reply.nil(),
    }
    reply.count(count);
}

/// `SUBSCRIBE channel…`.
pub(crate) fn subscribe(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    for channel in args.iter().skip(1) {
        cx.server.pubsub.subscribe(cx.client, channel);
        answer(cx, "subscribe", Some(channel));
    }
    Ok(())
}

/// `PSUBSCRIBE pattern…`.
pub(crate) fn psubscribe(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    for pattern in args.iter().skip(1) {
        cx.server.pubsub.subscribe_pattern(cx.client, pattern);
        answer(cx, "psubscribe", Some(pattern));
    }
    Ok(())
}

/// `UNSUBSCRIBE [channel…]`.
pub(crate) fn unsubscribe(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let all: Vec<Vec<u8>> = match &cx.client.subscriptions {
        Some(own) if args.len() == 1 => own.channels.iter().cloned().collect(),
        _ => Vec::new(),
    };
    for channel in args.iter().skip(1).chain(all.iter().map(Vec::as_slice)) {
        cx.server.pubsub.unsubscribe(cx.client, channel);
        answer(cx, "unsubscribe", Some(channel));
    }
    if args.len() == 1 && all.is_empty() {
        answer(cx, "unsubscribe", None);
    }
    Ok(())
}

/// `PUNSUBSCRIBE [pattern…]`: without patterns all, in the order of subscription.
pub(crate) fn punsubscribe(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let all: Vec<Vec<u8>> = match &cx.client.subscriptions {
        Some(own) if args.len() == 1 => own.patterns.values().cloned().collect(),
        _ => Vec::new(),
    };
    for pattern in args.iter().skip(1).chain(all.iter().map(Vec::as_slice)) {
        cx.server.pubsub.unsubscribe_pattern(cx.client, pattern);
        answer(cx, "punsubscribe", Some(pattern));
    }
    if args.len() == 1 && all.is_empty() {
        answer(cx, "punsubscribe", None);
    }
    Ok(())
}

/// `PUBLISH channel message`.
pub(crate) fn publish(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let receivers = cx.server.publish(Some(cx.client), &args[1], &args[2]);
    // Replicas have subscribers of their own.
    cx.propagate_as_it_came(Targets::REPLICAS);
    cx.reply().count(receivers);
    Ok(())
}

/// `PUBSUB CHANNELS [pattern]`, `PUBSUB NUMSUB [channel…]`, `PUBSUB NUMPAT`, `PUBSUB HELP`.
pub(crate) fn pubsub(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match args.len() {
        2 if args.is(1, "help") => cx.reply().lines(HELP.into_iter()),
        2 | 3 if args.is(1, "channels") => {
            let pattern = args.get(2);
            let mut reply = cx.client.output.reply();
            let place = reply.later_array();
            let mut count = 0;
            for channel in cx.server.pubsub.channels() {
                if pattern.is_none_or(|pattern| glob::matches(pattern, channel, Case::Sensitive)) {
                    reply.bulk(channel);
                    count += 1;
                }
            }
            reply.set_array(place, count);
        }
        _ if args.is(1, "numsub") => {
            let mut reply = cx.client.output.reply();
            reply.array((args.len() - 2) * 2);
            for channel in args.iter().skip(2) {
                reply.bulk(channel);
                reply.count(cx.server.pubsub.listeners(channel));
            }
        }
        2 if args.is(1, "numpat") => {
            let mut count = cx.server.pubsub.pattern_count();
            if faults::is(Fault::PubsubNumpatCountsOnce) {
                count = cx.server.pubsub.distinct_patterns();
            }
            cx.reply().count(count);
        }
        _ => return Err(unknown_subcommand("PUBSUB", &args[1], ".")),
    }
    Ok(())
}
