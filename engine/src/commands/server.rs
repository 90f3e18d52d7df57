//! TIME, LASTSAVE, SAVE, BGSAVE, SHUTDOWN, and what closes the connection of a browser.

use super::{Context, Refusal};
use crate::client::Waiting;
use crate::effect::LogLevel;
use crate::resp::Args;

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
    cx.wait(Waiting::Save);
    cx.server.save_for(cx.client.id);
    Ok(())
}

/// `BGSAVE [SCHEDULE]`: a snapshot by a child. SCHEDULE only matters while an AOF rewrite goes on.
pub(crate) fn bgsave(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() > 2 || (args.len() == 2 && !args.is(1, "schedule")) {
        return Err(Refusal::SYNTAX);
    }
    if cx.server.saving.background.is_some() {
        return Err("ERR Background save already in progress".into());
    }
    cx.server.save_in_background();
    cx.reply().status("Background saving started");
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
    cx.wait(Waiting::Shutdown);
    cx.server.shut_down(Some(cx.client.id), save);
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
