//! `redis.call` and `redis.pcall`: a script runs a command.

use mlua::{Lua, MultiValue, Table, Value};

use super::raise::raise;
use super::reply::{self, Answered};
use super::slow::Patience;
use super::state::ScriptState;
use crate::client::ReplyMode;
use crate::commands::table::{self, COMMANDS};
use crate::commands::{self, Command, Context};
use crate::faults::{self, Fault};
use crate::number::format_f64;
use crate::propagation::{Cause, Held, Targets};
use crate::resp::{Output, OwnedArgs};

/// A script that runs, as its calls see it.
pub(super) struct Running<'a, 'c> {
    pub(super) cx: &'a mut Context<'c>,
    pub(super) state: &'a ScriptState,
    /// The database of who runs the script.
    pub(super) db: usize,
    /// The memory was short when the script began.
    pub(super) out_of_memory: bool,
    pub(super) arguments: OwnedArgs,
    pub(super) output: Output,
    /// The bytes of a reply that came in several pieces.
    pub(super) scratch: Vec<u8>,
    /// How long the script may run undisturbed.
    pub(super) patience: Patience,
}

/// Why a command is not run, or its error.
enum Failure {
    /// Told with the place of the call.
    Complaint(Vec<u8>),
    /// The command's own error reply.
    Reply(Vec<u8>),
}

impl Running<'_, '_> {
    /// Runs the command that the values are. An error is raised, or returned as a table with the field `err`.
    pub(super) fn call(&mut self, lua: &Lua, values: &MultiValue, raises: bool) -> mlua::Result<Value> {
        let outcome = match self.prepare(lua, values) {
            Ok(index) => self.run(lua, index)?,
            Err(failure) => Err(failure),
        };
        let text = match outcome {
            Ok(value) => return Ok(value),
            Err(Failure::Complaint(text)) => placed(lua, &text),
            Err(Failure::Reply(text)) => text,
        };
        if raises || faults::is(Fault::ScriptPcallRaises) { Err(raise(text)) } else { reply::field(lua, "err", &text) }
    }

    /// Takes the arguments over and checks whether the command may run.
    fn prepare(&mut self, lua: &Lua, values: &MultiValue) -> Result<usize, Failure> {
        let complain = |text: &str| Err(Failure::Complaint(text.as_bytes().to_vec()));
        if values.is_empty() {
            return complain("Please specify at least one argument for redis.call()");
        }
        self.arguments.clear();
        for value in values {
            match value {
                Value::String(text) => self.arguments.push(&text.as_bytes()),
                Value::Integer(number) => self.arguments.push(format_f64(*number as f64).as_bytes()),
                Value::Number(number) => self.arguments.push(format_f64(*number).as_bytes()),
                _ => return complain("Lua redis() command arguments must be strings or integers"),
            }
        }
        let _ = lua;
        let arguments = self.arguments.as_args();
        let Some(index) = self.cx.server.renames.find(&arguments[0]) else {
            return complain("Unknown Redis command called from Lua script");
        };
        let command = &COMMANDS[index];
        if !command.accepts(arguments.len()) {
            return complain("Wrong number of args calling Redis command From Lua script");
        }
        if command.has(table::NOSCRIPT) {
            return complain("This Redis command is not allowed from scripts");
        }
        self.check_writing(command)?;
        Ok(index)
    }

    fn check_writing(&mut self, command: &Command) -> Result<(), Failure> {
        let state = self.state;
        if command.has(table::WRITE) {
            if state.took_chance.get() && !state.replicates_effects.get() {
                let text = "Write commands not allowed after non deterministic commands. Call \
                    redis.replicate_commands() at the start of your script in order to switch to single commands \
                    replication mode.";
                return Err(Failure::Complaint(text.as_bytes().to_vec()));
            }
            if let Some(text) = commands::writes_refused(self.cx.server) {
                state.rewritten.set(true);
                // Redis quotes the whole line of the reply.
                return Err(Failure::Complaint([b"-", text.text(), b"\r\n"].concat()));
            }
        }
        // A script that has written goes on to its end: half of it would be worse than too much of it.
        if self.out_of_memory && command.has(table::DENYOOM) && !state.wrote.get() {
            state.rewritten.set(true);
            let text = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
            return Err(Failure::Complaint(text.as_bytes().to_vec()));
        }
        if command.has(table::RANDOM) {
            state.took_chance.set(true);
        }
        if command.has(table::WRITE) {
            state.wrote.set(true);
        }
        Ok(())
    }

    fn run(&mut self, lua: &Lua, index: usize) -> mlua::Result<Result<Value, Failure>> {
        let command = &COMMANDS[index];
        let state = self.state;
        let handed_on = state.targets.get();
        if handed_on != Targets::NONE && state.wrote.get() {
            self.begin_wrapping();
        }
        let cx = &mut *self.cx;
        cx.server.propagation.reset();
        cx.server.propagation.allowed = handed_on;
        let before = cx.server.propagation.held.as_ref().map_or(0, Vec::len);
        std::mem::swap(&mut cx.client.output, &mut self.output);
        let mode = std::mem::replace(&mut cx.client.reply_mode, ReplyMode::On);
        let last = cx.client.last_command;
        cx.client.in_script = true;
        if let Err(refusal) = commands::run(cx, index, command, &self.arguments.as_args()) {
            cx.reply().error(refusal.text());
        }
        cx.client.in_script = false;
        cx.client.last_command = last;
        cx.client.reply_mode = mode;
        std::mem::swap(&mut cx.client.output, &mut self.output);
        if !cx.client.beside_script.is_empty() {
            let lines = std::mem::take(&mut cx.client.beside_script);
            let end = cx.client.output.mark();
            cx.client.output.insert(end, &lines);
        }
        cx.server.propagation.allowed = Targets::ALL;
        if let Some(held) = &cx.server.propagation.held {
            let came = |held: &Held| {
                held.cause != Cause::Command
                    || held.command.arguments.iter().map(Vec::as_slice).eq(self.arguments.as_args().iter())
            };
            let new = held.get(before..).unwrap_or_default();
            state.rewritten.set(state.rewritten.get() || !new.iter().all(came));
        }
        let sorted = command.has(table::SORT_FOR_SCRIPT)
            && !state.replicates_effects.get()
            && !faults::is(Fault::ScriptGetsUnsortedElements);
        let answered = self.answer(lua, sorted);
        self.output.clear_kept();
        Ok(match answered? {
            Answered::Value(value) => Ok(value),
            Answered::Error(text) => Err(Failure::Reply(text)),
        })
    }

    fn answer(&mut self, lua: &Lua, sorted: bool) -> mlua::Result<Answered> {
        let mut slices = self.output.slices();
        let first = slices.next().unwrap_or_default();
        match slices.next() {
            None => reply::to_lua(lua, first, sorted),
            Some(second) => {
                self.scratch.clear();
                self.scratch.extend_from_slice(first);
                self.scratch.extend_from_slice(second);
                slices.for_each(|slice| self.scratch.extend_from_slice(slice));
                let answered = reply::to_lua(lua, &self.scratch, sorted);
                self.scratch = Vec::new();
                answered
            }
        }
    }

    /// Hands on MULTI, once, unless EXEC has done so.
    fn begin_wrapping(&mut self) {
        if faults::is(Fault::ScriptForgetsMulti) {
            return;
        }
        if !self.state.wrapped.get() && self.cx.client.transaction.is_none() {
            self.state.wrapped.set(true);
            self.cx.server.hand_on_for(Cause::Wrapping, Targets::ALL, self.db, [&b"MULTI"[..]].into_iter());
        }
    }
}

/// A table with the field `err`: the words behind the place from which the running function was called.
pub(super) fn complaint(lua: &Lua, text: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("err", lua.create_string(placed(lua, text))?)?;
    Ok(table)
}

/// The words behind the place from which the running function was called, in the form of `redis`' functions.
fn placed(lua: &Lua, text: &[u8]) -> Vec<u8> {
    let place = lua.inspect_stack(1, |debug| {
        let line = debug.current_line().map_or(-1, |line| i64::try_from(line).unwrap_or(-1));
        format!("{}: {line}: ", debug.source().source.unwrap_or_default())
    });
    [place.unwrap_or_default().as_bytes(), text].concat()
}
