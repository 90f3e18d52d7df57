//! The model's own command table, and the dispatch of a command to its handler.

use crate::call::{Call, Handler};
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::{keys, server};

/// A command: what COMMAND tells of it, and its handler.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The name in lower case.
    pub name: &'static str,
    /// The number of arguments with the name; negative: at least so many.
    pub arity: i64,
    /// The flags in COMMAND's order.
    pub flags: &'static [&'static str],
    /// Position of the first key, 0 for none.
    pub first_key: i64,
    /// Position of the last key, counted from the end if negative.
    pub last_key: i64,
    /// Distance between keys.
    pub step: i64,
    pub(crate) handler: Handler,
}

macro_rules! command {
    ($name:literal $arity:literal [$($flag:literal)*] $first:literal $last:literal $step:literal $handler:path) => {
        Command {
            name: $name, arity: $arity, flags: &[$($flag),*], first_key: $first, last_key: $last, step: $step,
            handler: $handler,
        }
    };
}

/// All commands, sorted by name.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    command!("echo" 2 ["fast"] 0 0 0 server::echo),
    command!("ping" -1 ["stale" "fast"] 0 0 0 server::ping),
    command!("select" 2 ["loading" "fast"] 0 0 0 keys::select),
];

/// Finds a command by its name in any letter case.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let name = name.to_ascii_lowercase();
    let index = COMMANDS.binary_search_by(|command| command.name.as_bytes().cmp(&name)).ok()?;
    COMMANDS.get(index)
}

impl Command {
    /// Whether a command with so many arguments, name included, has the right number of them.
    pub fn takes(&self, arguments: usize) -> bool {
        let arguments = i64::try_from(arguments).unwrap_or(i64::MAX);
        if self.arity >= 0 { arguments == self.arity } else { arguments >= -self.arity }
    }
}

/// What is acceptable as the answer to a call.
pub(crate) fn plan(call: &Call<'_>) -> Plan {
    dispatch(call).unwrap_or_else(Plan::from)
}

fn dispatch(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(command) = find(call.args[0]) else {
        return Err(unknown(call));
    };
    if !command.takes(call.args.len()) {
        return Err(call.wrong_arity());
    }
    (command.handler)(call)
}

/// The refusal of an unknown command names it and the first of its arguments, about 128 bytes of them.
fn unknown(call: &Call<'_>) -> Refusal {
    const SHOWN: usize = 128;
    let mut arguments: Vec<u8> = Vec::new();
    for argument in &call.args[1..] {
        if arguments.len() >= SHOWN {
            break;
        }
        arguments.push(b'`');
        arguments.extend(c_text(argument, SHOWN - (arguments.len() - 1)));
        arguments.extend(b"`, ");
    }
    let mut line = b"ERR unknown command `".to_vec();
    line.extend(c_text(call.args[0], SHOWN));
    line.extend(b"`, with args beginning with: ");
    line.extend(arguments);
    for byte in &mut line {
        if matches!(*byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    Refusal::with(Clause::DISPATCH_2, line)
}

/// The bytes up to the first NUL, at most `limit` of them.
fn c_text(bytes: &[u8], limit: usize) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    &bytes[..end.min(limit)]
}
