//! CLIENT: the connections, seen and ended by other connections.

use std::fmt::Write as _;

use super::{Context, Refusal, unknown_subcommand};
use crate::client::{Client, ReplyMode};
use crate::event::ClientId;
use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::resp::Args;

const HELP: [&str; 14] = [
    "CLIENT <subcommand> arg arg ... arg. Subcommands are:",
    "id                     -- Return the ID of the current connection.",
    "getname                -- Return the name of the current connection.",
    "kill <ip:port>         -- Kill connection made from <ip:port>.",
    "kill <option> <value> [option value ...] -- Kill connections. Options are:",
    "     addr <ip:port>                      -- Kill connection made from <ip:port>",
    "     type (normal|master|replica|pubsub) -- Kill connections by type.",
    "     skipme (yes|no)   -- Skip killing current connection (default: yes).",
    "list [options ...]     -- Return information about client connections. Options:",
    "     type (normal|master|replica|pubsub) -- Return clients of specified type.",
    "pause <timeout>        -- Suspend all Redis clients for <timout> milliseconds.",
    "reply (on|off|skip)    -- Control the replies sent to the current connection.",
    "setname <name>         -- Assign the name <name> to the current connection.",
    "unblock <clientid> [TIMEOUT|ERROR] -- Unblock the specified blocked client.",
];

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Normal,
    Replica,
    Pubsub,
    Primary,
}

impl Class {
    fn named(name: &[u8]) -> Result<Class, Refusal> {
        for (word, class) in [
            ("normal", Class::Normal),
            ("slave", Class::Replica),
            ("replica", Class::Replica),
            ("pubsub", Class::Pubsub),
            ("master", Class::Primary),
        ] {
            if name.eq_ignore_ascii_case(word.as_bytes()) {
                return Ok(class);
            }
        }
        let mut text = b"ERR Unknown client type '".to_vec();
        text.extend_from_slice(super::until_nul(name));
        text.push(b'\'');
        Err(text.into())
    }

    fn of(client: &Client) -> Class {
        if client.subscriptions.is_some() { Class::Pubsub } else { Class::Normal }
    }
}

/// `CLIENT subcommand …`.
pub(crate) fn client(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match args.len() {
        2 if args.is(1, "help") => cx.reply().lines(HELP.into_iter()),
        2 if args.is(1, "id") => {
            let id = cx.client.id.0;
            cx.reply().integer(i64::try_from(id).unwrap_or(i64::MAX));
        }
        _ if args.is(1, "list") => return list(cx, args),
        3 if args.is(1, "reply") => return reply(cx, args),
        _ if args.is(1, "kill") => return kill(cx, args),
        3 | 4 if args.is(1, "unblock") => return unblock(cx, args),
        3 if args.is(1, "setname") => return set_name(cx, args),
        2 if args.is(1, "getname") => {
            if cx.client.name.is_empty() {
                cx.reply().nil();
            } else {
                let client = &mut *cx.client;
                client.output.reply().bulk(&client.name);
            }
        }
        3 if args.is(1, "pause") => return pause(cx, args),
        _ => return Err(unknown_subcommand("CLIENT", &args[1], "")),
    }
    Ok(())
}

/// `CLIENT LIST [TYPE class]`.
fn list(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let class = match args.len() {
        2 => None,
        4 if args.is(2, "type") => Some(Class::named(&args[3])?),
        _ => return Err(Refusal::SYNTAX),
    };
    let mut lines: Vec<(ClientId, Vec<u8>)> = Vec::new();
    let others = cx.server.clients.iter();
    for client in others.chain(std::iter::once(&*cx.client)) {
        if !client.refused && class.is_none_or(|class| Class::of(client) == class) {
            let runs = client.id == cx.client.id;
            let dirty = cx.server.watches.changed(client.id, &cx.server.keyspace, cx.now_ms);
            lines.push((client.id, line(client, runs, dirty, cx.now_ms)));
        }
    }
    lines.sort_unstable_by_key(|(id, _)| *id);
    let text: Vec<u8> = lines.into_iter().flat_map(|(_, line)| line).collect();
    cx.reply().bulk(&text);
    Ok(())
}

/// One client as CLIENT LIST shows it; `runs` for the one that asks, `dirty` for one that watches a key which changed.
fn line(client: &Client, runs: bool, dirty: bool, now_ms: i64) -> Vec<u8> {
    let seconds_since = |then_ms: i64| (now_ms - then_ms).max(0) / 1000;
    let (held, room) = match runs {
        true => (client.input_held, client.input_room),
        false => (client.input().held(), client.input().free_room()),
    };
    // Output that an earlier batch announced and that is still here waits for the socket.
    let waits_for_socket = !runs && !client.announced && !client.output.is_empty();
    let output = &client.output;
    let queued = client
        .transaction
        .as_ref()
        .map_or(-1, |transaction| i64::try_from(transaction.queue.len()).unwrap_or(i64::MAX));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "id={} addr={} fd={} name=", client.id.0, client.peer.address, client.peer.descriptor);
    let mut line = text.into_bytes();
    line.extend_from_slice(&client.name);
    let mut text = String::new();
    let _ = writeln!(
        text,
        " age={} idle={} flags={} db={} sub={} psub={} multi={queued} qbuf={held} qbuf-free={room} obl={} oll={} \
         omem={} events={} cmd={}",
        seconds_since(client.created_ms),
        seconds_since(client.last_interaction_ms),
        flags(client, dirty),
        client.db,
        client.subscriptions.as_ref().map_or(0, |own| own.channels.len()),
        client.subscriptions.as_ref().map_or(0, |own| own.patterns.len()),
        output.growing(),
        output.chunks(),
        output.allocated(),
        if waits_for_socket { "rw" } else { "r" },
        client.last_command.map_or("NULL", |command| command.name),
    );
    line.extend_from_slice(text.as_bytes());
    line
}

fn flags(client: &Client, dirty: bool) -> String {
    let mut flags = String::new();
    for (set, letter) in [
        (client.monitor, 'O'),
        (client.subscriptions.is_some(), 'P'),
        (client.transaction.is_some(), 'x'),
        (client.blocked.is_some(), 'b'),
        (dirty, 'd'),
        (client.closing, 'c'),
        (client.unblocked, 'u'),
        (client.doomed, 'A'),
        (client.peer.unix_socket, 'U'),
    ] {
        if set {
            flags.push(letter);
        }
    }
    if flags.is_empty() {
        flags.push('N');
    }
    flags
}

/// `CLIENT REPLY ON|OFF|SKIP`: only ON is answered.
fn reply(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.is(2, "on") {
        cx.client.reply_mode = ReplyMode::On;
        cx.reply().ok();
    } else if args.is(2, "off") {
        cx.client.reply_mode = ReplyMode::Off;
    } else if args.is(2, "skip") {
        if cx.client.reply_mode != ReplyMode::Off {
            cx.client.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(Refusal::SYNTAX);
    }
    Ok(())
}

/// Which connections CLIENT KILL means.
#[derive(Debug)]
struct Filter<'a> {
    /// A number that no connection has closes nothing, 0 and negative ones included.
    id: Option<i64>,
    address: Option<&'a [u8]>,
    class: Option<Class>,
    skip_me: bool,
}

impl Filter<'_> {
    fn accepts(&self, client: &Client) -> bool {
        !client.refused
            && self.address.is_none_or(|address| client.peer.address.as_bytes() == address)
            && self.class.is_none_or(|class| Class::of(client) == class)
            && self.id.is_none_or(|id| u64::try_from(id) == Ok(client.id.0))
    }
}

/// `CLIENT KILL address`, or `CLIENT KILL option value …`.
fn kill(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let mut filter = Filter { id: None, address: None, class: None, skip_me: true };
    let by_address = args.len() == 3;
    if by_address {
        filter.address = Some(&args[2]);
        filter.skip_me = false;
    } else if args.len() == 2 {
        return Err(Refusal::SYNTAX);
    }
    for option in (2..args.len()).step_by(2).take_while(|_| !by_address) {
        let value = args.get(option + 1).ok_or(Refusal::SYNTAX)?;
        if args.is(option, "id") {
            filter.id = Some(parse_i64(value).ok_or(Refusal::NOT_AN_INTEGER)?);
        } else if args.is(option, "type") {
            filter.class = Some(Class::named(value)?);
        } else if args.is(option, "addr") {
            filter.address = Some(value);
        } else if args.is(option, "skipme") {
            filter.skip_me = match value {
                yes if yes.eq_ignore_ascii_case(b"yes") => true,
                no if no.eq_ignore_ascii_case(b"no") => false,
                _ => return Err(Refusal::SYNTAX),
            };
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    let mut found: Vec<ClientId> =
        cx.server.clients.iter().filter(|client| filter.accepts(client)).map(|client| client.id).collect();
    found.sort_unstable();
    let mut killed = found.len();
    for id in found {
        cx.server.close_now(id);
    }
    let skip_me = filter.skip_me && !faults::is(Fault::ClientKillReachesItself);
    if !skip_me && filter.accepts(cx.client) {
        // It gets its answer before it ends.
        cx.client.closing = true;
        killed += 1;
    }
    match (by_address, killed) {
        (true, 0) => return Err("ERR No such client".into()),
        (true, _) => cx.reply().ok(),
        (false, killed) => cx.reply().count(killed),
    }
    Ok(())
}

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`.
fn unblock(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() == 4 && !args.is(3, "timeout") && !args.is(3, "error") {
        return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
    }
    let id = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let id = u64::try_from(id).map(ClientId).ok();
    let blocked = id.filter(|&id| cx.server.clients.get(id).is_some_and(|client| client.blocked.is_some()));
    if let Some(id) = blocked {
        let with_error =
            args.len() == 4 && args.is(3, "error") || args.len() == 3 && faults::is(Fault::ClientUnblockIsAnError);
        cx.server.answer_blocked(id, |wanted, reply| match with_error {
            true => reply.error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK"),
            false => wanted.answer_too_late(reply),
        });
    }
    cx.reply().integer(i64::from(blocked.is_some()));
    Ok(())
}

/// `CLIENT SETNAME name`: an empty one takes the name away.
fn set_name(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    // Names stand in the lines of CLIENT LIST, so nothing in them may look like the end of a field or a line.
    if !args[2].iter().all(u8::is_ascii_graphic) {
        return Err("ERR Client names cannot contain spaces, newlines or special characters.".into());
    }
    cx.client.name = args[2].to_vec();
    cx.reply().ok();
    Ok(())
}

/// `CLIENT PAUSE milliseconds`: no input of clients is handled for so long, from the next request on.
fn pause(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    const NO_TIMEOUT: Refusal = Refusal::Fixed("ERR timeout is not an integer or out of range");
    let for_ms = parse_i64(&args[2]).ok_or(NO_TIMEOUT)?;
    if for_ms < 0 {
        return Err("ERR timeout is negative".into());
    }
    // Redis lets the sum wrap, so that the longest pauses end at once; a moment that does not exist is refused here.
    let until_ms = cx.now_ms.checked_add(for_ms).ok_or(NO_TIMEOUT)?;
    if for_ms > 0 {
        cx.server.paused_until_ms = Some(cx.server.paused_until_ms.unwrap_or(until_ms).max(until_ms));
    }
    cx.reply().ok();
    Ok(())
}
