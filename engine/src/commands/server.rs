//! TIME, LASTSAVE, SAVE, BGSAVE, BGREWRITEAOF, SHUTDOWN, and what closes the connection of a browser.

use super::{Context, Refusal};
use crate::client::Waiting;
use crate::effect::LogLevel;
use crate::faults::{self, Fault};
use crate::resp::Args;
use crate::saving::SHUTDOWN_FAILED;

/// `TIME`: Unix seconds, and microseconds of the second.
pub(crate) fn time(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    let unix_us = cx.server.clock.unix_us;
    let mut reply = cx.reply();
    reply.array(2);
    reply.bulk_integer(unix_us.div_euclid(1_000_000));
    reply.bulk_integer(unix_us.rem_euclid(1_000_000));
    Ok(())
}

/// `LASTSAVE`: Unix seconds of the last successful snapshot.
pub(crate) fn lastsave(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    let last_save_s = cx.server.saving.last_save_s;
    cx.reply().integer(last_save_s);
    Ok(())
}

/// `SAVE`: a snapshot at once; answered when it has ended.
pub(crate) fn save(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    if cx.server.saving.background.is_some() {
        return Err("ERR Background save already in progress".into());
    }
    if faults::is(Fault::SaveAnswersEarly) {
        cx.server.save_for_nobody();
        cx.reply().ok();
        return Ok(());
    }
    cx.wait(Waiting::Save);
    cx.server.save_for(cx.client.id);
    Ok(())
}

/// `BGSAVE [SCHEDULE]`: a snapshot by a child, answered when that is forked. SCHEDULE only matters while an AOF rewrite
/// goes on.
pub(crate) fn bgsave(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() > 2 || (args.len() == 2 && !args.is(1, "schedule")) {
        return Err(Refusal::SYNTAX);
    }
    if cx.server.saving.background.is_some() {
        return Err("ERR Background save already in progress".into());
    }
    if cx.server.rewrites.is_running() {
        if args.len() == 1 {
            return Err(
                "ERR An AOF log rewriting in progress: can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                        schedule a BGSAVE whenever possible."
                    .into(),
            );
        }
        cx.server.saving.scheduled = true;
        cx.reply().status("Background saving scheduled");
        return Ok(());
    }
    cx.wait(Waiting::ForkToSave);
    cx.server.save_in_background();
    Ok(())
}

/// `BGREWRITEAOF`: the append-only file is rewritten by a child, as soon as there is no other; answered when that is
/// forked.
pub(crate) fn bgrewriteaof(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    if cx.server.rewrites.is_running() {
        return Err("ERR Background append only file rewriting already in progress".into());
    }
    if cx.server.saving.background.is_some() {
        cx.server.rewrites.scheduled = true;
        cx.reply().status("Background append only file rewriting scheduled");
        return Ok(());
    }
    cx.wait(Waiting::ForkToRewrite);
    cx.server.rewrite_aof();
    Ok(())
}

/// `SHUTDOWN [NOSAVE|SAVE]`: not answered, unless the snapshot fails.
pub(crate) fn shutdown(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let save = match args.len() {
        1 => None,
        2 if args.is(1, "nosave") => Some(false),
        2 if args.is(1, "save") => Some(true),
        _ => return Err(Refusal::SYNTAX),
    };
    // A dataset that is not wholly loaded must not replace the file that it comes from.
    let save = if cx.server.loading { Some(false) } else { save };
    if !cx.server.shut_down(Some(cx.client.id), save) {
        return Err(SHUTDOWN_FAILED.into());
    }
    cx.wait(Waiting::Shutdown);
    Ok(())
}

/// `MONITOR`: the client is shown every command from now on. A second one is not answered.
pub(crate) fn monitor(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    if !cx.client.monitor {
        cx.client.monitor = true;
        cx.server.monitors.push(cx.client.id);
        cx.reply().ok();
    }
    Ok(())
}

/// `POST …` and `Host: …`: somebody tricked a browser into talking to us. The connection ends without an answer.
pub(crate) fn http(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    cx.client.closing = true;
    let who = cx.client.peer.address.as_str();
    let text = format!(
        "Possible SECURITY ATTACK detected: {who} sends an HTTP request, which may be an attempt at cross protocol \
         scripting. Its connection is closed."
    );
    cx.server.log(LogLevel::Warning, text);
    Ok(())
}
