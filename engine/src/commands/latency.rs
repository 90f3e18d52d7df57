//! LATENCY: what took long, by kind of operation.

use super::{Context, Refusal, unknown_subcommand};
use crate::resp::Args;

const HELP: [&str; 8] = [
    "LATENCY <subcommand> arg arg ... arg. Subcommands are:",
    "DOCTOR              -- Returns a human readable latency analysis report.",
    "GRAPH   <event>     -- Returns an ASCII latency graph for the event class.",
    "HISTORY <event>     -- Returns time-latency samples for the event class.",
    "LATEST              -- Returns the latest latency samples for all events.",
    "RESET   [event ...] -- Resets latency data of one or more event classes.",
    "                       (default: reset all data for all event classes)",
    "HELP                -- Prints this help.",
];

/// `LATENCY HISTORY event`, `LATENCY LATEST`, `LATENCY RESET [event…]`, `LATENCY GRAPH event`, `LATENCY DOCTOR`,
/// `LATENCY HELP`.
pub(crate) fn latency(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match args.len() {
        3 if args.is(1, "history") => history(cx, &args[2]),
        3 if args.is(1, "graph") => return graph(cx, &args[2]),
        2 if args.is(1, "latest") => latest(cx),
        2 if args.is(1, "doctor") => {
            let config = &cx.server.config;
            let (threshold_ms, slowlog_us) = (config.latency_monitor_threshold, config.slowlog_log_slower_than);
            let report = cx.server.latency.report(cx.server.clock.unix_s(), threshold_ms, slowlog_us);
            cx.reply().bulk(report.as_bytes());
        }
        2 if args.is(1, "reset") => {
            let count = cx.server.latency.reset_all();
            cx.reply().count(count);
        }
        _ if args.is(1, "reset") => {
            let count = args.iter().skip(2).filter(|event| cx.server.latency.reset(event)).count();
            cx.reply().count(count);
        }
        2 if args.is(1, "help") => cx.reply().lines(HELP.into_iter()),
        _ => return Err(unknown_subcommand("LATENCY", &args[1], ".")),
    }
    Ok(())
}

fn milliseconds(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn history(cx: &mut Context<'_>, event: &[u8]) {
    let mut reply = cx.client.output.reply();
    let Some((_, series)) = cx.server.latency.event(event) else {
        reply.array(0);
        return;
    };
    reply.array(series.samples().len());
    for sample in series.samples() {
        reply.array(2);
        reply.integer(sample.at_s);
        reply.integer(milliseconds(sample.ms));
    }
}

fn graph(cx: &mut Context<'_>, event: &[u8]) -> Result<(), Refusal> {
    let now_s = cx.server.clock.unix_s();
    match cx.server.latency.graph(event, now_s) {
        Some(graph) => {
            cx.reply().bulk(graph.as_bytes());
            Ok(())
        }
        None => Err([b"ERR No samples available for event '", super::until_nul(event), b"'"].concat().into()),
    }
}

fn latest(cx: &mut Context<'_>) {
    let mut reply = cx.client.output.reply();
    let events = cx.server.latency.events();
    reply.array(events.len());
    for (name, series) in events {
        let latest = series.latest().copied();
        reply.array(4);
        reply.bulk(name.as_bytes());
        reply.integer(latest.map_or(0, |sample| sample.at_s));
        reply.integer(milliseconds(latest.map_or(0, |sample| sample.ms)));
        reply.integer(milliseconds(series.worst_ms));
    }
}
