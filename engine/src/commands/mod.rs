//! From an argument vector to a reply: which command it is, whether it may run now, and what its run leaves behind.
//!
//! Each family has its own file of handlers; [`table`] is the data that names them. A handler gets a [`Context`] and
//! the arguments, and either writes its reply or returns a [`Refusal`], which becomes the error reply.

pub(crate) mod bitfield;
pub(crate) mod bits;
pub(crate) mod blocking;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod debug;
pub(crate) mod dump;
pub(crate) mod expire;
pub(crate) mod geo;
pub(crate) mod hashes;
pub(crate) mod hyperloglog;
pub(crate) mod increments;
pub(crate) mod info;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod lists;
pub(crate) mod lolwut;
pub(crate) mod memory;
pub(crate) mod migrate;
pub(crate) mod movable_keys;
pub(crate) mod object;
pub(crate) mod pubsub;
pub(crate) mod replication;
pub(crate) mod scan;
pub(crate) mod scripting;
pub(crate) mod server;
pub(crate) mod set_algebra;
pub(crate) mod sets;
pub(crate) mod slowlog;
pub(crate) mod sort;
pub(crate) mod stream_groups;
pub(crate) mod stream_info;
pub(crate) mod stream_read;
pub(crate) mod streams;
pub(crate) mod strings;
pub mod table;
pub(crate) mod transactions;
pub(crate) mod zset_algebra;
pub(crate) mod zset_ranges;
pub(crate) mod zsets;

use crate::blocking::Wanted;
use crate::client::{Client, ReplyMode, Waiting};
use crate::faults::{self, Fault};
use crate::propagation::Targets;
use crate::resp::{Args, OwnedArgs, Reply};
use crate::slowlog as log;
use crate::state::Server;
use crate::transaction::Queued;
use crate::world::World;

pub use table::Command;

/// What runs a command.
pub(crate) type Handler = fn(&mut Context<'_>, &Args<'_>) -> Result<(), Refusal>;

/// An error reply, its code in front: `ERR …`, `WRONGTYPE …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Always the same words.
    Fixed(&'static str),
    /// Words with something of the request in them; line ends become blanks in the reply.
    Text(Vec<u8>),
}

impl Refusal {
    pub(crate) const WRONG_TYPE: Refusal =
        Refusal::Fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const SYNTAX: Refusal = Refusal::Fixed("ERR syntax error");
    pub(crate) const NOT_AN_INTEGER: Refusal = Refusal::Fixed("ERR value is not an integer or out of range");
    pub(crate) const NOT_A_FLOAT: Refusal = Refusal::Fixed("ERR value is not a valid float");
    pub(crate) const NO_SUCH_KEY: Refusal = Refusal::Fixed("ERR no such key");
    pub(crate) const INDEX_OUT_OF_RANGE: Refusal = Refusal::Fixed("ERR index out of range");

    /// The command was called with too few or too many arguments; `command` is its name in the table.
    pub(crate) fn arity(command: &str) -> Refusal {
        format!("ERR wrong number of arguments for '{command}' command").into()
    }

    /// The words of the reply.
    pub(crate) fn text(&self) -> &[u8] {
        match self {
            Refusal::Fixed(text) => text.as_bytes(),
            Refusal::Text(text) => text,
        }
    }
}

impl From<&'static str> for Refusal {
    fn from(text: &'static str) -> Refusal {
        Refusal::Fixed(text)
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal::Text(text.into_bytes())
    }
}

impl From<Vec<u8>> for Refusal {
    fn from(text: Vec<u8>) -> Refusal {
        Refusal::Text(text)
    }
}

/// The event of a change that no keyspace event tells of.
pub(crate) const SILENT: &str = "";

/// What a command works on.
pub(crate) struct Context<'a> {
    /// Everything but the client itself.
    pub(crate) server: &'a mut Server,
    /// Who asks. Not in `server.clients` while its command runs.
    pub(crate) client: &'a mut Client,
    /// The surroundings.
    pub(crate) world: &'a mut dyn World,
    /// Unix milliseconds, fixed for the command.
    pub(crate) now_ms: i64,
}

impl Context<'_> {
    /// The writer of the reply.
    #[inline]
    pub(crate) fn reply(&mut self) -> Reply<'_> {
        self.client.reply()
    }

    /// Tells that the value or the expiry at `key` changed: counts one change, and is where keyspace events named
    /// `event` and watching clients learn of it. Called as often as Redis lets `dirty` grow.
    #[inline]
    pub(crate) fn modified(&mut self, key: &[u8], event: &'static str) {
        self.server.dirty = self.server.dirty.saturating_add(1);
        self.touched(key, event);
    }

    /// As [`Context::modified`], for a change that is counted `changes` times, once at least.
    #[inline]
    pub(crate) fn modified_times(&mut self, key: &[u8], event: &'static str, changes: usize) {
        self.modified(key, event);
        self.server.dirty = self.server.dirty.saturating_add(changes.saturating_sub(1) as u64);
    }

    /// Tells that `removed` elements, if any, were taken out of the value at `key`, and with the last of them the key.
    pub(crate) fn elements_removed(&mut self, key: &[u8], event: &'static str, removed: usize, emptied: bool) {
        if removed > 0 {
            self.modified_times(key, event, removed);
        }
        if emptied {
            self.touched(key, "del");
        }
    }

    /// As [`Context::modified`], for a second key that the same change concerns: nothing is counted.
    #[inline]
    pub(crate) fn touched(&mut self, key: &[u8], event: &'static str) {
        self.touched_in(self.client.db, key, event);
    }

    /// As [`Context::touched`], for a key of another database than the client's.
    #[inline]
    pub(crate) fn touched_in(&mut self, db: usize, key: &[u8], event: &'static str) {
        self.server.changed(Some(self.client), db, key, event);
    }

    /// Whether the command may wait for others: not when EXEC runs it, nor when a file is loaded.
    pub(crate) fn may_block(&self) -> bool {
        self.client.transaction.is_none() && !self.server.loading
    }

    /// Hands this command on to `targets` in place of the command that runs: called several times, all are handed on, in
    /// order.
    pub(crate) fn propagate_instead(&mut self, targets: Targets, arguments: &[&[u8]]) {
        self.server.propagation.instead(targets, arguments);
    }

    /// Hands this command on to `targets` alone, as it came, even if it changed nothing.
    pub(crate) fn propagate_as_it_came(&mut self, targets: Targets) {
        self.server.propagation.as_it_came(targets);
    }

    /// The client waits for keys of its database; it is answered when there is something, or at the deadline.
    pub(crate) fn wait_for<'k>(
        &mut self,
        wanted: Wanted,
        keys: impl Iterator<Item = &'k [u8]>,
        deadline_ms: Option<i64>,
    ) {
        // CLIENT REPLY SKIP is about what is answered at once.
        self.client.unanswered = self.client.reply_mode == ReplyMode::Off;
        self.server.blocking.block(self.client, wanted, keys, deadline_ms);
    }

    /// The client's further input waits until the event has come for which the command waits; its reply is written
    /// then.
    pub(crate) fn wait(&mut self, what: Waiting) {
        self.client.unanswered = self.client.reply_mode != ReplyMode::On;
        self.client.waiting = Some(what);
    }
}

/// Runs one request, or refuses it.
pub(crate) fn process(server: &mut Server, client: &mut Client, world: &mut dyn World, args: &Args<'_>) {
    let mark = client.output.mark();
    let now_ms = server.clock.unix_ms();
    let mut cx = Context { server, client, world, now_ms };
    if let Err(refusal) = admit(&mut cx, args) {
        cx.reply().error(refusal.text());
    }
    if cx.client.reply_mode != ReplyMode::On {
        // EXEC has seen to each of its replies itself.
        let executed = cx.client.last_command.is_some_and(|command| command.name == "exec");
        cx.client.silence(if executed { cx.client.output.mark() } else { mark });
    }
    settle(&mut cx);
}

/// What follows a command, whoever runs it: those are served who waited for what it made ready, and those closed who
/// are sent more than they read.
#[inline]
pub(crate) fn settle(cx: &mut Context<'_>) {
    if cx.server.scripting.slow.is_some() {
        // Who waits for what a script makes ready is served when it is over.
        return;
    }
    if cx.server.blocking.has_ready() {
        cx.server.serve_blocked(Some(cx.client));
    }
    if !cx.server.doomed.is_empty() {
        cx.server.close_doomed();
    }
}

/// Runs one request, queues it, or refuses it.
#[inline]
fn admit(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    // QUIT is no command of the table: it works whatever state the client or the server is in.
    if args.is(0, "quit") {
        cx.reply().ok();
        cx.client.closing = true;
        return Ok(());
    }
    let index = match check(cx, args) {
        Ok(index) => index,
        Err(Unfit { refusal, breaks_transaction }) => {
            if let (true, Some(transaction)) = (breaks_transaction, &mut cx.client.transaction) {
                transaction.refused = true;
            }
            return Err(refusal);
        }
    };
    let command = &table::COMMANDS[index];
    if let Some(transaction) = &mut cx.client.transaction
        && !["exec", "discard", "multi", "watch"].contains(&command.name)
    {
        transaction.queue.push(Queued { command: index, args: OwnedArgs::new(args.iter()) });
        cx.reply().status("QUEUED");
        return Ok(());
    }
    run(cx, index, command, args)
}

/// Why a request is not run.
struct Unfit {
    refusal: Refusal,
    /// A transaction that it should have become a part of is not executed.
    breaks_transaction: bool,
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Unfit {
        Unfit { refusal, breaks_transaction: true }
    }
}

/// Commands that a client with subscriptions may send.
const WITH_SUBSCRIPTIONS: [&str; 5] = ["ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe"];

/// The checks before a command runs, in the order in which Redis makes them; the command's index.
#[inline]
fn check(cx: &mut Context<'_>, args: &Args<'_>) -> Result<usize, Unfit> {
    let Some(index) = cx.server.renames.find(&args[0]) else {
        cx.client.last_command = None;
        return Err(unknown(args).into());
    };
    let command = &table::COMMANDS[index];
    cx.client.last_command = Some(command);
    if !command.accepts(args.len()) {
        let breaks_transaction = !faults::is(Fault::TransactionForgetsWrongArity);
        return Err(Unfit { refusal: Refusal::arity(command.name), breaks_transaction });
    }
    let config = &cx.server.config;
    if !config.requirepass.is_empty() && !cx.client.authenticated && command.name != "auth" {
        return Err(Refusal::Fixed("NOAUTH Authentication required.").into());
    }
    let slow = cx.server.scripting.slow.is_some();
    // Tried before reads, too: memory that they and their replies take would else never be won back.
    if config.maxmemory > 0 && !slow && !cx.server.make_room(cx.world, cx.client) && takes_memory(cx.client, command) {
        return Err(Refusal::Fixed("OOM command not allowed when used memory > 'maxmemory'.").into());
    }
    // PING too, so that who watches over the server learns of it.
    if (command.has(table::WRITE) || command.name == "ping")
        && let Some(refusal) = writes_refused(cx.server)
    {
        return Err(refusal.into());
    }
    if cx.client.subscriptions.is_some() && !WITH_SUBSCRIPTIONS.contains(&command.name) {
        let refusal = Refusal::Fixed("ERR only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT allowed in this context");
        return Err(Unfit { refusal, breaks_transaction: false });
    }
    if cx.server.loading && !command.has(table::LOADING) {
        let refusal = Refusal::Fixed("LOADING Redis is loading the dataset in memory");
        return Err(Unfit { refusal, breaks_transaction: false });
    }
    if slow && !runs_beside_scripts(command, args) {
        return Err(Refusal::Fixed(BUSY).into());
    }
    Ok(index)
}

/// Whether the command may run while a script takes longer than it should. As in Redis the first letter decides.
#[cold]
fn runs_beside_scripts(command: &Command, args: &Args<'_>) -> bool {
    let letter = if args.len() == 2 { args[1].first().map(u8::to_ascii_lowercase) } else { None };
    match command.name {
        "auth" | "replconf" => true,
        "shutdown" => letter == Some(b'n'),
        "script" => letter == Some(b'k'),
        _ => false,
    }
}

const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

/// Whether the command is refused when memory is short: those that may need some, and all that would be queued.
fn takes_memory(client: &Client, command: &Command) -> bool {
    command.has(table::DENYOOM) || (client.transaction.is_some() && !["exec", "discard"].contains(&command.name))
}

/// Why nothing may be written at the moment, if so: what was written before could not be kept.
#[inline]
pub(crate) fn writes_refused(server: &Server) -> Option<Refusal> {
    if !server.saving.last_ok && server.config.stop_writes_on_bgsave_error && !server.config.save.is_empty() {
        return Some(Refusal::Fixed(MISCONF));
    }
    let failure = server.aof.failure()?;
    Some(Refusal::from(format!("MISCONF Errors writing to the AOF file: {failure}")))
}

/// The refusal of writes while snapshots fail, word for word: tools look for it.
const MISCONF: &str = "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on \
    disk. Commands that may modify the data set are disabled, because this instance is configured to report errors \
    during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
    details about the RDB error.";

/// Runs the command, counts it, and hands it on.
#[inline]
pub(crate) fn run(
    cx: &mut Context<'_>,
    index: usize,
    command: &'static Command,
    args: &Args<'_>,
) -> Result<(), Refusal> {
    if !cx.server.monitors.is_empty() && !command.has(table::SKIP_MONITOR | table::ADMIN) {
        cx.server.show_to_monitors(cx.client, args);
    }
    let dirty = cx.server.dirty;
    let db = cx.client.db;
    let began_us = cx.server.clock.now_us;
    let outcome = (command.handler)(cx, args);
    cx.server.clock.advance(cx.world);
    // EXEC's commands have moved the clock on before it.
    let usec = cx.server.clock.now_us.saturating_sub(began_us);
    cx.server.hand_on_expired(Some(cx.client));
    cx.server.stats.count(index, usec);
    let config = &cx.server.config;
    let is_slow = u64::try_from(config.slowlog_log_slower_than).is_ok_and(|limit_us| usec >= limit_us);
    if is_slow || config.latency_monitor_threshold > 0 {
        note_time(cx, command, args, usec, is_slow);
    }
    if cx.server.dirty != dirty || cx.server.propagation.said {
        hand_on(cx.server, db, args);
    }
    outcome
}

/// Takes note of a command that took long. EXEC is not noted: its commands are, each by itself.
#[cold]
fn note_time(cx: &mut Context<'_>, command: &Command, args: &Args<'_>, usec: u64, is_slow: bool) {
    if command.name == "exec" {
        return;
    }
    cx.server.took(if command.has(table::FAST) { "fast-command" } else { "command" }, usec);
    if is_slow {
        // Scripts are a client of their own, without a connection.
        let in_script = cx.client.in_script;
        let entry = log::Entry {
            id: 0,
            at_s: cx.server.clock.unix_s(),
            took_us: usec,
            arguments: log::cut(args),
            address: if in_script { "?:0".to_owned() } else { cx.client.peer.address.clone() },
            name: if in_script { Vec::new() } else { cx.client.name.clone() },
        };
        cx.server.slowlog.add(entry, cx.server.config.slowlog_max_len);
    }
}

/// Hands on what the command left, see [`crate::propagation`].
fn hand_on(server: &mut Server, db: usize, args: &Args<'_>) {
    let allowed = server.propagation.allowed;
    if !server.propagation.said {
        server.hand_on(allowed, db, args.iter());
        return;
    }
    let aof = server.propagation.aof.take();
    let replicas = server.propagation.replicas.take();
    server.propagation.reset();
    if aof.is_none() || replicas.is_none() {
        let targets = Targets { aof: aof.is_none(), replicas: replicas.is_none() };
        server.hand_on(targets.and(allowed), db, args.iter());
    }
    for (targets, list) in [(Targets::AOF, aof), (Targets::REPLICAS, replicas)] {
        for command in list.iter().flatten() {
            server.hand_on(targets.and(allowed), db, command.as_args().iter());
        }
    }
}

/// The refusal of a name that is no command; it quotes the request's beginning.
#[cold]
fn unknown(args: &Args<'_>) -> Refusal {
    // Redis prints the arguments as C strings, so each ends at its first NUL; about 128 bytes of them are shown.
    const SHOWN: usize = 128;
    let mut shown: Vec<u8> = Vec::new();
    for argument in args.iter().skip(1) {
        if shown.len() >= SHOWN {
            break;
        }
        let room = SHOWN - shown.len();
        let argument = until_nul(argument);
        shown.push(b'`');
        shown.extend_from_slice(argument.get(..room).unwrap_or(argument));
        shown.extend_from_slice(b"`, ");
    }
    let mut text = b"ERR unknown command `".to_vec();
    text.extend_from_slice(until_nul(&args[0]));
    text.extend_from_slice(b"`, with args beginning with: ");
    text.extend_from_slice(&shown);
    text.into()
}

/// The bytes before the first NUL, which is where texts end that Redis prints with `%s`.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The refusal of a subcommand that is not known, or known with other arguments. The point after HELP is there in most
/// families, but not in all.
pub(crate) fn unknown_subcommand(family: &str, subcommand: &[u8], end: &str) -> Refusal {
    let mut text = b"ERR Unknown subcommand or wrong number of arguments for '".to_vec();
    text.extend_from_slice(until_nul(subcommand));
    text.extend_from_slice(format!("'. Try {family} HELP{end}").as_bytes());
    text.into()
}
