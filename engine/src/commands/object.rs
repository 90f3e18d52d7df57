//! OBJECT: how a value is stored and when it was used.

use super::{Context, Refusal, unknown_subcommand};
use crate::lru;
use crate::resp::Args;

const HELP: [&str; 5] = [
    "OBJECT <subcommand> arg arg ... arg. Subcommands are:",
    "ENCODING <key> -- Tell how the value is stored.",
    "FREQ <key> -- Tell the counter of accesses, which grows with the logarithm of their number (LFU policies only).",
    "IDLETIME <key> -- Tell the seconds since the last access (not under LFU policies).",
    "REFCOUNT <key> -- Tell the number of references to the value.",
];

const IDLE_TIME_NOT_TRACKED: Refusal = Refusal::Fixed(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies \
     at runtime LRU and LFU data will take some time to adjust.",
);
const FREQUENCY_NOT_TRACKED: Refusal = Refusal::Fixed(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
     between policies at runtime LRU and LFU data will take some time to adjust.",
);

/// `OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT key` and `OBJECT HELP`.
pub(crate) fn object(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() == 2 && args.is(1, "help") {
        cx.reply().lines(HELP.into_iter());
        return Ok(());
    }
    let subcommand =
        ["encoding", "freq", "idletime", "refcount"].into_iter().find(|name| args.len() == 3 && args.is(1, name));
    let Some(subcommand) = subcommand else {
        return Err(unknown_subcommand("OBJECT", &args[1], "."));
    };
    let now_ms = cx.now_ms;
    let lfu = cx.server.config.maxmemory_policy.is_lfu();
    let decay = cx.server.config.lfu_decay_time;
    let found = cx.server.find(cx.client.db, &args[2], now_ms);
    let mut reply = cx.client.reply();
    let Some(object) = &found else {
        reply.nil();
        return Ok(());
    };
    let object = object.view();
    match subcommand {
        "encoding" => reply.bulk(object.encoding().name().as_bytes()),
        "refcount" => reply.integer(object.refcount()),
        "idletime" if lfu => return Err(IDLE_TIME_NOT_TRACKED),
        "idletime" => {
            let idle_ms = lru::idle_ms(lru::clock(now_ms), object.lru());
            reply.integer(i64::try_from(idle_ms / 1000).unwrap_or(i64::MAX));
        }
        _ if lfu => reply.integer(i64::from(lru::decayed(object.lru(), lru::minutes(now_ms), decay))),
        _ => return Err(FREQUENCY_NOT_TRACKED),
    }
    Ok(())
}
