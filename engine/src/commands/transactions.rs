//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! EXEC runs the queue in one go, unless a command waits for its effect (SAVE): then it stops, and the engine goes on
//! with it when the effect has been answered, before anybody else's input is handled.

use super::table::{ADMIN, COMMANDS, READONLY};
use super::{Context, Refusal, run, settle};
use crate::client::{Client, ReplyMode};
use crate::faults::{self, Fault};
use crate::propagation::Targets;
use crate::resp::{Args, OwnedArgs};
use crate::state::Server;
use crate::structures::key_table::is_over;
use crate::transaction::{Running, Transaction};
use crate::world::World;

/// `MULTI`.
pub(crate) fn multi(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    if cx.client.transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    cx.client.transaction = Some(Box::default());
    cx.reply().ok();
    Ok(())
}

/// `DISCARD`.
pub(crate) fn discard(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    if cx.client.transaction.take().is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    if !faults::is(Fault::TransactionDiscardKeepsWatch) {
        cx.server.watches.forget(cx.client.id);
    }
    cx.reply().ok();
    Ok(())
}

/// `WATCH key…`.
pub(crate) fn watch(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if cx.client.transaction.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    let db = cx.client.db;
    for key in args.iter().skip(1) {
        let expiry = cx.server.keyspace.db(db).keys.peek(key).and_then(|entry| entry.expiry());
        let over = expiry.is_some_and(|at_ms| is_over(at_ms, cx.now_ms));
        cx.server.watches.watch(cx.client.id, db, key, over);
    }
    cx.reply().ok();
    Ok(())
}

/// `UNWATCH`.
pub(crate) fn unwatch(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    cx.server.watches.forget(cx.client.id);
    cx.reply().ok();
    Ok(())
}

/// `EXEC`.
pub(crate) fn exec(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let Some(transaction) = &mut cx.client.transaction else {
        return Err("ERR EXEC without MULTI".into());
    };
    // What its commands change is handed on by them.
    cx.server.propagation.nothing();
    let changed = cx.server.watches.changed(cx.client.id, &cx.server.keyspace, cx.now_ms);
    if transaction.refused || changed {
        let refused = transaction.refused;
        cx.client.transaction = None;
        cx.server.watches.forget(cx.client.id);
        let mark = cx.client.output.mark();
        if refused {
            cx.reply().error(b"EXECABORT Transaction discarded because of previous errors.");
        } else {
            cx.reply().nil_array();
        }
        drop_unless_answered(cx.client, mark);
        show(cx, args);
        return Ok(());
    }
    let count = transaction.queue.len();
    let exec = OwnedArgs::new(args.iter());
    transaction.running = Some(Running { next: 0, exec, wrapped: false, messages: Default::default() });
    cx.server.watches.forget(cx.client.id);
    let mark = cx.client.output.mark();
    cx.reply().array(count);
    drop_unless_answered(cx.client, mark);
    go_on(cx);
    cx.server.propagation.nothing();
    Ok(())
}

/// Goes on with a transaction in which a command waited, after its reply.
pub(crate) fn resume(server: &mut Server, client: &mut Client, world: &mut dyn World) {
    let now_ms = server.clock.unix_ms();
    let mut cx = Context { server, client, world, now_ms };
    go_on(&mut cx);
    cx.server.propagation.reset();
    settle(&mut cx);
}

/// Whether a transaction is being executed.
pub(crate) fn is_running(client: &Client) -> bool {
    client.transaction.as_ref().is_some_and(|transaction| transaction.running.is_some())
}

/// Whether a transaction is being executed of which something was handed on.
pub(crate) fn is_wrapped(client: &Client) -> bool {
    let running = client.transaction.as_ref().and_then(|transaction| transaction.running.as_ref());
    running.is_some_and(|running| running.wrapped)
}

fn drop_unless_answered(client: &mut Client, mark: crate::resp::reply::Mark) {
    if matches!(client.reply_mode, ReplyMode::Off | ReplyMode::Skip) {
        client.output.truncate(mark);
    }
}

/// Runs what is left of the queue, up to a command that waits; then ends the transaction.
fn go_on(cx: &mut Context<'_>) {
    while let Some((index, args)) = cx.client.transaction.as_mut().and_then(|transaction| next(transaction)) {
        let command = &COMMANDS[index];
        if !command.has(READONLY | ADMIN) || faults::is(Fault::TransactionReadsArePropagated) {
            begin_wrapping(cx);
        }
        let mark = cx.client.output.mark();
        cx.now_ms = cx.server.clock.unix_ms();
        cx.server.propagation.reset();
        if let Err(refusal) = run(cx, index, command, &args.as_args()) {
            cx.reply().error(refusal.text());
        }
        drop_unless_answered(cx.client, mark);
        put_messages_before(cx.client, mark);
        if faults::is(Fault::BlockedServedInsideTransaction) && cx.server.blocking.has_ready() {
            cx.server.serve_blocked(Some(cx.client));
        }
        if cx.client.waiting.is_some() {
            return;
        }
    }
    let Some(running) = cx.client.transaction.take().and_then(|transaction| transaction.running) else { return };
    let args = running.exec.as_args();
    if running.wrapped {
        cx.server.dirty = cx.server.dirty.saturating_add(1);
        cx.server.hand_on(Targets::ALL, cx.client.db, args.iter());
    }
    show(cx, &args);
}

/// The next command of the queue, which is not needed in it any more.
fn next(transaction: &mut Transaction) -> Option<(usize, OwnedArgs)> {
    let running = transaction.running.as_mut()?;
    let queued = transaction.queue.get_mut(running.next)?;
    running.next += 1;
    Some((queued.command, std::mem::take(&mut queued.args)))
}

/// Hands on MULTI, once.
fn begin_wrapping(cx: &mut Context<'_>) {
    let Some(running) = cx.client.transaction.as_mut().and_then(|transaction| transaction.running.as_mut()) else {
        return;
    };
    if !running.wrapped {
        running.wrapped = true;
        cx.server.hand_on(Targets::ALL, cx.client.db, [&b"MULTI"[..]].into_iter());
    }
}

/// What the client published to itself while a command ran comes before the command's reply.
fn put_messages_before(client: &mut Client, mark: crate::resp::reply::Mark) {
    let Some(running) = client.transaction.as_mut().and_then(|transaction| transaction.running.as_mut()) else {
        return;
    };
    if !running.messages.is_empty() {
        let messages = std::mem::take(&mut running.messages);
        client.output.insert(mark, &messages);
    }
}

/// Shows EXEC to monitors, behind the commands that it ran.
fn show(cx: &mut Context<'_>, args: &Args<'_>) {
    if !cx.server.monitors.is_empty() {
        cx.server.show_to_monitors(cx.client, args);
    }
}
