//! XINFO: what a stream, its groups and their consumers are made of.

use super::stream_groups::no_such_group;
use super::streams::{write_entry, write_id};
use super::{Context, Refusal, unknown_subcommand};
use crate::resp::{Args, Reply};
use crate::values::Stream;
use crate::values::stream::{Entry, Group};

const HELP: [&str; 5] = [
    "XINFO <subcommand> arg arg ... arg. Subcommands are:",
    "CONSUMERS <key> <groupname> -- Show the consumers of a group.",
    "GROUPS <key> -- Show the groups of a stream.",
    "STREAM <key> -- Show what a stream is made of, and its first and last entry.",
    "HELP -- Show these lines.",
];

/// `XINFO STREAM key | GROUPS key | CONSUMERS key group` and `XINFO HELP`.
pub(crate) fn xinfo(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.is(1, "help") {
        cx.reply().lines(HELP.into_iter());
        return Ok(());
    }
    let Some(key) = args.get(2) else { return Err("ERR syntax error, try 'XINFO HELP'".into()) };
    let now_ms = cx.now_ms;
    let (found, mut reply) = cx.write(key);
    let object = found.ok_or(Refusal::NO_SUCH_KEY)?;
    let stream = object.view().stream()?;
    if args.is(1, "consumers") && args.len() == 4 {
        let group = stream.group(&args[3]).ok_or_else(|| no_such_group(key, &args[3]))?;
        show_consumers(&mut reply, group, now_ms);
    } else if args.is(1, "groups") && args.len() == 3 {
        show_groups(&mut reply, stream);
    } else if args.is(1, "stream") && args.len() == 3 {
        show_stream(&mut reply, stream);
    } else {
        return Err(unknown_subcommand("XINFO", &args[1], "."));
    }
    Ok(())
}

fn show_consumers(reply: &mut Reply<'_>, group: &Group, now_ms: i64) {
    reply.array(group.consumer_len());
    for consumer in group.consumers() {
        reply.array(6);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.count(consumer.pending_len());
        reply.bulk(b"idle");
        reply.integer(now_ms.saturating_sub(consumer.seen_ms()).max(0));
    }
}

fn show_groups(reply: &mut Reply<'_>, stream: &Stream) {
    reply.array(stream.group_len());
    stream.for_each_group(|name, group| {
        reply.array(8);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.count(group.consumer_len());
        reply.bulk(b"pending");
        reply.count(group.pending_len());
        reply.bulk(b"last-delivered-id");
        write_id(reply, group.last_id);
    });
}

fn show_stream(reply: &mut Reply<'_>, stream: &Stream) {
    reply.array(14);
    reply.bulk(b"length");
    reply.integer(i64::try_from(stream.len()).unwrap_or(i64::MAX));
    reply.bulk(b"radix-tree-keys");
    reply.count(stream.node_len());
    reply.bulk(b"radix-tree-nodes");
    reply.count(stream.tree_nodes());
    reply.bulk(b"groups");
    reply.count(stream.group_len());
    reply.bulk(b"last-generated-id");
    write_id(reply, stream.last_id());
    let mut show = |name: &[u8], entry: Option<Entry<'_>>| {
        reply.bulk(name);
        match entry {
            Some(entry) => write_entry(reply, &entry),
            None => reply.nil(),
        }
    };
    show(b"first-entry", stream.entries().first());
    show(b"last-entry", stream.entries().last());
}
