//! PING, ECHO, AUTH, SELECT: what concerns the connection itself.

use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::resp::Args;

/// `PING [message]`.
pub(crate) fn ping(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match args.len() {
        1 | 2 if cx.client.subscriptions.is_some() => {
            let mut reply = cx.reply();
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.get(1).unwrap_or_default());
        }
        1 => cx.reply().status("PONG"),
        2 => cx.reply().bulk(&args[1]),
        _ => return Err(Refusal::arity("ping")),
    }
    Ok(())
}

/// `ECHO message`.
pub(crate) fn echo(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    cx.reply().bulk(&args[1]);
    Ok(())
}

/// `SELECT index`.
pub(crate) fn select(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let index = parse_i64(&args[1]).ok_or("ERR invalid DB index")?;
    let mut databases = cx.server.config.databases;
    if faults::is(Fault::SelectRefusesLastDatabase) {
        databases -= 1;
    }
    match usize::try_from(index) {
        Ok(db) if index < databases => {
            cx.client.db = db;
            cx.reply().ok();
            Ok(())
        }
        _ => Err("ERR DB index is out of range".into()),
    }
}

/// `AUTH password`.
pub(crate) fn auth(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let wanted = &cx.server.config.requirepass;
    if wanted.is_empty() {
        return Err("ERR Client sent AUTH, but no password is set".into());
    }
    cx.client.authenticated = equal_in_constant_time(wanted, &args[1]);
    if !cx.client.authenticated {
        return Err("ERR invalid password".into());
    }
    cx.reply().ok();
    Ok(())
}

/// Whether the two are equal, in a time that tells nothing about where they differ.
fn equal_in_constant_time(wanted: &[u8], given: &[u8]) -> bool {
    let mut difference = wanted.len() ^ given.len();
    for (index, byte) in given.iter().enumerate() {
        let other = wanted.get(index % wanted.len().max(1)).copied().unwrap_or_default();
        difference |= usize::from(byte ^ other);
    }
    difference == 0
}
