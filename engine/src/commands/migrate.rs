//! MIGRATE: hands keys over to another server.
//!
//! ```text
//!   look keys up ─► kept connection or a new one ─► AUTH, SELECT ─► answers ─► RESTORE … ─► answers ─► remove keys
//! ```
//! The engine waits for the target, and serves nobody meanwhile, as Redis does: a key is on its way from the moment when
//! it is sent until its answer has come, and to let others in would take a lock on it, which every command had to
//! look for. [MIGRATE-19]
//!
//! The answers to AUTH and SELECT are waited for before the first key leaves; this costs a round trip on a new
//! connection, and saves the keys from going where nobody wanted them (E-172).

use super::{Context, Refusal, SILENT};
use crate::faults::{self, Fault};
use crate::migration::Link;
use crate::number::{I64_TEXT_MAX, format_i64, parse_i64};
use crate::propagation::Targets;
use crate::rdb;
use crate::resp::Args;
use crate::world::PeerFailure;

/// The timeout where none is given, milliseconds. [MIGRATE-5]
const DEFAULT_TIMEOUT_MS: u64 = 1000;
/// Bytes that are sent at once, each time within the timeout.
const SENT_AT_ONCE: usize = 64 * 1024;
/// Bytes that are received at once.
const RECEIVED_AT_ONCE: usize = 4 * 1024;
/// The longest line that an answer may be: beyond it this is no server of ours.
const LONGEST_LINE: usize = 64 * 1024;
/// Bytes of an error of the target that are shown. [MIGRATE-13]
const SHOWN: usize = 1022;

/// What stands behind the timeout.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    copy: bool,
    replace: bool,
    /// The place of the password.
    password: Option<usize>,
    /// The place of the first key behind KEYS.
    keys: Option<usize>,
}

impl Options {
    /// Judges the words behind the timeout from left to right. [MIGRATE-1] [MIGRATE-2]
    fn parse(request: &Args<'_>) -> Result<Options, Refusal> {
        let mut options = Options::default();
        let mut at = 6;
        while at < request.len() {
            if request.is(at, "copy") {
                options.copy = true;
            } else if request.is(at, "replace") {
                options.replace = true;
            } else if request.is(at, "auth") && at + 1 < request.len() {
                at += 1;
                options.password = Some(at);
            } else if request.is(at, "keys") {
                if !request[3].is_empty() {
                    let text = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
                    return Err(Refusal::Fixed(text));
                }
                options.keys = Some(at + 1);
                break;
            } else {
                return Err(Refusal::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

/// The places of a request's keys, whether or not its options are right. [COMMAND-15]
pub(crate) fn key_places(request: &Args<'_>) -> Vec<usize> {
    let mut at = 6;
    while request[3].is_empty() && at < request.len() {
        if request.is(at, "keys") {
            return (at + 1..request.len()).collect();
        }
        // A password may be any word.
        at += if request.is(at, "auth") { 2 } else { 1 };
    }
    vec![3]
}

/// The port as `atoi` reads it; none where there can be none. [MIGRATE-6] [MIGRATE-22]
fn port_number(text: &[u8]) -> Option<u16> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut port = 0u16;
    for digit in digits.iter().take_while(|digit| digit.is_ascii_digit()) {
        port = port.checked_mul(10)?.checked_add(u16::from(digit - b'0'))?;
    }
    (!negative || port == 0).then_some(port)
}

/// What is to be handed over, and how.
struct Task<'a> {
    host: &'a [u8],
    port: &'a [u8],
    /// Those that were there when the command began.
    keys: Vec<&'a [u8]>,
    db: i64,
    timeout_ms: u64,
    password: Option<&'a [u8]>,
    replace: bool,
}

/// What came of it.
#[derive(Default)]
struct Outcome<'a> {
    /// Keys that the target has.
    taken: Vec<&'a [u8]>,
    /// The first error of the target.
    error: Option<Vec<u8>>,
    /// A line came that no server of ours sends: what follows it means nothing.
    foreign: bool,
}

impl Outcome<'_> {
    /// Whether the line is a status; what else it is, is kept if it is the first. [MIGRATE-12] [MIGRATE-13]
    fn accepts(&mut self, line: &[u8]) -> bool {
        match line {
            [b'+', ..] => return true,
            [b'-', text @ ..] => self.refused(text),
            text => {
                self.foreign = true;
                self.refused(text);
            }
        }
        false
    }

    fn refused(&mut self, text: &[u8]) {
        self.error.get_or_insert_with(|| text.get(..SHOWN).unwrap_or(text).to_vec());
    }
}

/// Where the talk ended before its end.
enum Break {
    Sending(PeerFailure),
    Receiving(PeerFailure),
}

impl Break {
    /// Another attempt may do: the connection may have been kept for too long.
    fn is_worth_another(&self) -> bool {
        let (Break::Sending(failure) | Break::Receiving(failure)) = self;
        *failure != PeerFailure::TimedOut
    }
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password] [KEYS key …]`.
pub(crate) fn migrate(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let options = Options::parse(args)?;
    let timeout_ms = parse_i64(&args[5]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let db = parse_i64(&args[4]).ok_or(Refusal::NOT_AN_INTEGER)?;
    let named = options.keys.map_or_else(|| args.between(3, 4), |first| args.from(first));
    let keys: Vec<&[u8]> = named.iter().filter(|key| cx.lookup_read(key).is_some()).collect();
    if keys.is_empty() {
        cx.reply().status("NOKEY");
        return Ok(());
    }
    let task = Task {
        host: args.get(1).unwrap_or_default(),
        port: args.get(2).unwrap_or_default(),
        keys,
        db,
        timeout_ms: u64::try_from(timeout_ms).ok().filter(|&ms| ms > 0).unwrap_or(DEFAULT_TIMEOUT_MS),
        password: options.password.and_then(|place| args.get(place)),
        replace: options.replace,
    };
    let mut outcome = Outcome::default();
    let ended = hand_over(cx, &task, &mut outcome);
    if !options.copy || faults::is(Fault::MigrateCopyRemoves) {
        remove(cx, &outcome.taken);
    }
    match (outcome.error, ended) {
        (Some(error), _) => Err([b"ERR Target instance replied with error: ", error.as_slice()].concat().into()),
        (None, ended) => ended.map(|()| cx.reply().ok()),
    }
}

/// The keys are the target's now; DEL tells it to the others, whatever became of the rest. [MIGRATE-20]
fn remove(cx: &mut Context<'_>, taken: &[&[u8]]) {
    let mut command: Vec<&[u8]> = vec![b"DEL"];
    for key in taken {
        if cx.remove(key) {
            cx.modified(key, SILENT);
            command.push(key);
        }
    }
    if command.len() > 1 {
        cx.propagate_instead(Targets::ALL, &command);
    }
}

/// Finds a connection and talks over it, a second time if the first connection broke before it told anything.
/// [MIGRATE-14] [MIGRATE-15] [MIGRATE-17]
fn hand_over<'a>(cx: &mut Context<'_>, task: &Task<'a>, outcome: &mut Outcome<'a>) -> Result<(), Refusal> {
    let mut again = true;
    loop {
        let mut talk = Talk { link: link_to(cx, task)?, received: Vec::new(), read: 0, answered: 0 };
        let ended = match talk.run(cx, task, outcome) {
            Ok(()) => Ok(()),
            Err(broken) => {
                cx.world.close_peer(talk.link.peer);
                let untold = talk.answered == 0 || faults::is(Fault::MigrateStartsAnewInTheMiddle);
                if again && untold && outcome.error.is_none() && broken.is_worth_another() {
                    again = false;
                    continue;
                }
                return Err(Refusal::Fixed(match broken {
                    Break::Sending(_) => "IOERR error or timeout writing to target instance",
                    Break::Receiving(_) => "IOERR error or timeout reading to target instance",
                }));
            }
        };
        // Bytes that nothing asked for would be taken for the answers to the next call.
        if outcome.foreign || talk.read < talk.received.len() {
            cx.world.close_peer(talk.link.peer);
        } else {
            let selected = outcome.error.is_none() || faults::is(Fault::MigrateTrustsFailedSelect);
            talk.link.db = selected.then_some(task.db);
            cx.server.migration.keep(talk.link, cx.server.clock.unix_s(), cx.world);
        }
        return ended;
    }
}

/// A connection that was kept, or a new one. [MIGRATE-6] [MIGRATE-7] [MIGRATE-8]
fn link_to(cx: &mut Context<'_>, task: &Task<'_>) -> Result<Link, Refusal> {
    if let Some(link) = cx.server.migration.take(task.host, task.port) {
        return Ok(link);
    }
    let unreachable = |reason: &str| Refusal::from(format!("ERR Can't connect to target node: {reason}"));
    let port = port_number(task.port).ok_or_else(|| unreachable("Servname not supported for ai_socktype"))?;
    match cx.world.connect_peer(task.host, port, task.timeout_ms) {
        Ok(peer) => Ok(Link::new(task.host, task.port, peer)),
        Err(PeerFailure::Unreachable(reason)) => Err(unreachable(&reason)),
        Err(PeerFailure::TimedOut) => Err(Refusal::Fixed("IOERR error or timeout connecting to the client")),
        // Redis learns that nobody listens when it writes.
        Err(PeerFailure::Broken) => Err(Refusal::Fixed("IOERR error or timeout writing to target instance")),
    }
}

/// Commands out, lines in.
struct Talk {
    link: Link,
    received: Vec<u8>,
    /// Bytes of `received` that have been read.
    read: usize,
    /// Keys that were answered.
    answered: usize,
}

impl Talk {
    fn run<'a>(&mut self, cx: &mut Context<'_>, task: &Task<'a>, outcome: &mut Outcome<'a>) -> Result<(), Break> {
        self.introduce(cx, task, outcome)?;
        if outcome.error.is_some() {
            return Ok(());
        }
        let sent = self.send_keys(cx, task)?;
        for key in sent {
            let line = self.line(cx, task.timeout_ms)?;
            self.answered += 1;
            let refused_of_several = faults::is(Fault::MigrateRemovesRefused) && task.keys.len() > 1;
            if outcome.accepts(&line) || refused_of_several {
                outcome.taken.push(key);
            }
        }
        Ok(())
    }

    /// AUTH and SELECT, where they are needed, and their answers. [MIGRATE-9] [MIGRATE-11]
    fn introduce(&mut self, cx: &mut Context<'_>, task: &Task<'_>, outcome: &mut Outcome<'_>) -> Result<(), Break> {
        let mut bytes = Vec::new();
        let mut asked = 0;
        if let Some(password) = task.password {
            push_command(&mut bytes, &[b"AUTH", password]);
            asked += 1;
        }
        if self.link.db != Some(task.db) {
            push_command(&mut bytes, &[b"SELECT", format_i64(task.db, &mut [0; I64_TEXT_MAX])]);
            asked += 1;
        }
        self.send(cx, &mut bytes, task.timeout_ms)?;
        for _ in 0..asked {
            let line = self.line(cx, task.timeout_ms)?;
            outcome.accepts(&line);
        }
        Ok(())
    }

    /// Sends the keys, in pieces, so that not all of their payloads are in memory at once. Those that are over by now stay
    /// behind; answers the others.
    fn send_keys<'a>(&mut self, cx: &mut Context<'_>, task: &Task<'a>) -> Result<Vec<&'a [u8]>, Break> {
        let (db, compress) = (cx.client.db, cx.server.config.rdbcompression);
        let mut bytes = Vec::new();
        let mut sent = Vec::with_capacity(task.keys.len());
        for key in &task.keys {
            // Not the time when the command began: to connect may have taken long.
            let now_ms = cx.world.unix_us().div_euclid(1000);
            let Some(object) = cx.server.find(db, key, i64::MIN) else { continue };
            let object = object.into_view();
            let left_ms = object.expiry().map(|at_ms| at_ms.saturating_sub(now_ms));
            if left_ms.is_some_and(|ms| ms < 0) {
                continue;
            }
            let ttl = left_ms.map_or(0, |ms| ms.max(1));
            let payload = rdb::payload(object, compress);
            let mut digits = [0; I64_TEXT_MAX];
            let command: [&[u8]; 5] = [b"RESTORE", key, format_i64(ttl, &mut digits), &payload, b"REPLACE"];
            push_command(&mut bytes, if task.replace { &command } else { &command[..4] });
            sent.push(*key);
            if bytes.len() >= SENT_AT_ONCE {
                self.send(cx, &mut bytes, task.timeout_ms)?;
            }
        }
        self.send(cx, &mut bytes, task.timeout_ms)?;
        Ok(sent)
    }

    /// Sends and clears the bytes.
    fn send(&mut self, cx: &mut Context<'_>, bytes: &mut Vec<u8>, timeout_ms: u64) -> Result<(), Break> {
        for piece in bytes.chunks(SENT_AT_ONCE) {
            cx.world.send_to_peer(self.link.peer, piece, timeout_ms).map_err(Break::Sending)?;
        }
        bytes.clear();
        Ok(())
    }

    /// The next line, without its end.
    fn line(&mut self, cx: &mut Context<'_>, timeout_ms: u64) -> Result<Vec<u8>, Break> {
        let began_us = cx.world.now_us();
        loop {
            let unread = &self.received[self.read..];
            if let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
                let line = &unread[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.read += end + 1;
                return Ok(line);
            }
            if unread.len() > LONGEST_LINE {
                return Err(Break::Receiving(PeerFailure::Broken));
            }
            self.received.drain(..self.read);
            self.read = 0;
            let passed_ms = cx.world.now_us().saturating_sub(began_us) / 1000;
            let left_ms = timeout_ms.checked_sub(passed_ms).filter(|&ms| ms > 0);
            let left_ms = left_ms.ok_or(Break::Receiving(PeerFailure::TimedOut))?;
            let held = self.received.len();
            self.received.resize(held + RECEIVED_AT_ONCE, 0);
            let came = cx.world.receive_from_peer(self.link.peer, &mut self.received[held..], left_ms);
            self.received.truncate(held + came.as_ref().map_or(0, |&bytes| bytes.min(RECEIVED_AT_ONCE)));
            came.map_err(Break::Receiving)?;
        }
    }
}

fn push_command(bytes: &mut Vec<u8>, arguments: &[&[u8]]) {
    let mut digits = [0; I64_TEXT_MAX];
    let mut header = |bytes: &mut Vec<u8>, sign: u8, length: usize| {
        bytes.push(sign);
        bytes.extend_from_slice(format_i64(i64::try_from(length).unwrap_or(i64::MAX), &mut digits));
        bytes.extend_from_slice(b"\r\n");
    };
    header(bytes, b'*', arguments.len());
    for argument in arguments {
        header(bytes, b'$', argument.len());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= SPEC.md#migrate
    //# [MIGRATE-22] (wire) The port MUST be the decimal number that its argument begins with, blanks and a sign before it aside, and 0 when it begins with none.
    #[test]
    fn ports_are_read_leniently_but_never_wrap() {
        for (text, port) in [
            ("6379", Some(6379)),
            ("1x", Some(1)),
            (" +1", Some(1)),
            ("", Some(0)),
            ("x", Some(0)),
            ("-0", Some(0)),
            ("-1", None),
            ("65535", Some(65_535)),
            ("65536", None),
            ("99999999999", None),
        ] {
            assert_eq!(port_number(text.as_bytes()), port, "{text:?}");
        }
    }
}
