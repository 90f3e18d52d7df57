//! SLOWLOG: the commands that took long.

use super::{Context, Refusal, unknown_subcommand};
use crate::number::parse_i64;
use crate::resp::Args;

const HELP: [&str; 5] = [
    "SLOWLOG <subcommand> arg arg ... arg. Subcommands are:",
    "GET [count] -- Return top entries from the slowlog (default: 10).    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port, client name",
    "LEN -- Return the length of the slowlog.",
    "RESET -- Reset the slowlog.",
];

/// Entries shown unless a number is given.
const SHOWN: i64 = 10;

/// `SLOWLOG GET [count]`, `SLOWLOG LEN`, `SLOWLOG RESET`, `SLOWLOG HELP`.
pub(crate) fn slowlog(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match args.len() {
        2 if args.is(1, "help") => cx.reply().lines(HELP.into_iter()),
        2 if args.is(1, "reset") => {
            cx.server.slowlog.reset();
            cx.reply().ok();
        }
        2 if args.is(1, "len") => {
            let count = cx.server.slowlog.entries().len();
            cx.reply().count(count);
        }
        2 | 3 if args.is(1, "get") => {
            let count = match args.get(2) {
                Some(count) => parse_i64(count).ok_or(Refusal::NOT_AN_INTEGER)?,
                None => SHOWN,
            };
            show(cx, count);
        }
        _ => return Err(unknown_subcommand("SLOWLOG", &args[1], ".")),
    }
    Ok(())
}

/// Shows the newest entries; all of them for a negative count.
fn show(cx: &mut Context<'_>, count: i64) {
    let entries = cx.server.slowlog.entries();
    let shown = usize::try_from(count).unwrap_or(usize::MAX).min(entries.len());
    let mut reply = cx.client.output.reply();
    reply.array(shown);
    for entry in entries.take(shown) {
        reply.array(6);
        reply.integer(i64::try_from(entry.id).unwrap_or(i64::MAX));
        reply.integer(entry.at_s);
        reply.integer(i64::try_from(entry.took_us).unwrap_or(i64::MAX));
        reply.array(entry.arguments.len());
        for argument in &entry.arguments {
            reply.bulk(argument);
        }
        reply.bulk(entry.address.as_bytes());
        reply.bulk(&entry.name);
    }
}
