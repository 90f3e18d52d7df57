//! COMMAND: what a server says of its commands.

use std::sync::Arc;

use super::container::{help, unknown_subcommand};
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::commands::{self, COMMANDS, Command};
use crate::erratum::Erratum;
use crate::plan::{Plan, Refusal};
use crate::reply::{Bytes, Reply};

/// COMMAND and its subcommands.
pub(crate) fn command(call: &Call<'_>) -> Result<Plan, Refusal> {
    let [_, subcommand, rest @ ..] = call.args else {
        call.cite(Clause::COMMAND_4);
        let table = |age| Allowed::Judged(Arc::new(Table(age)));
        return Ok(Plan::new(Clause::COMMAND_1, table(Age::Present)).or_erratum(
            Erratum::E_26,
            table(Age::Early),
            Vec::new(),
        ));
    };
    match (subcommand.to_ascii_lowercase().as_slice(), rest) {
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("COMMAND"))),
        (b"count", []) => {
            // A server may have more commands than the specification has so far.
            let least = i64::try_from(COMMANDS.len()).unwrap_or(i64::MAX);
            Ok(Plan::new(Clause::COMMAND_5, Allowed::Within(least..=i64::MAX)))
        }
        (b"info", names) => {
            let infos = |age| Allowed::Elements(names.iter().map(|name| info(name, age)).collect());
            let plan = Plan::new(Clause::COMMAND_6, infos(Age::Present));
            Ok(plan.or_erratum(Erratum::E_26, infos(Age::Early), Vec::new()))
        }
        (b"getkeys", [_, ..]) => getkeys(call, rest),
        _ => Err(unknown_subcommand(Clause::COMMAND_12, subcommand, "COMMAND HELP.")),
    }
}

/// Which 5.0 tells of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// 5.0.14.
    Present,
    /// Before 5.0.10, where MONITOR shows AUTH. (E-26)
    Early,
}

/// The entry of a command. [COMMAND-2] [COMMAND-3]
fn entry(command: &Command, age: Age) -> Reply {
    let flags = command.flags.split(' ').filter(|flag| !flag.is_empty());
    let hidden = |flag: &&str| age == Age::Present || command.name != "auth" || *flag != "skip_monitor";
    Reply::Array(vec![
        Reply::bulk(command.name),
        Reply::Integer(command.arity),
        Reply::Array(flags.filter(hidden).map(Reply::status).collect()),
        Reply::Integer(command.first_key),
        Reply::Integer(command.last_key),
        Reply::Integer(command.step),
    ])
}

fn info(name: &[u8], age: Age) -> Allowed {
    match commands::find(name) {
        Some(command) => Allowed::Exactly(entry(command, age)),
        // It may be a command that the specification does not have yet.
        None if may_exist_elsewhere(name) => Allowed::Unspecified(Clause::COMMAND_6),
        None => Allowed::Exactly(Reply::NilBulk),
    }
}

/// A name that a command could have.
fn may_exist_elsewhere(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b':'))
}

/// All entries of the specification's commands, and perhaps others. [COMMAND-1] [COMMAND-4]
#[derive(Debug)]
struct Table(Age);

impl Judge for Table {
    fn describe(&self) -> String {
        format!("the entries of {} commands, in any order, and perhaps others", COMMANDS.len())
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(entries) = reply else { return Err("not an array".into()) };
        for command in COMMANDS {
            if !entries.contains(&entry(command, self.0)) {
                return Err(format!("no entry as {}", entry(command, self.0)));
            }
        }
        Ok(())
    }
}

/// [COMMAND-7] to [COMMAND-11]
fn getkeys(call: &Call<'_>, line: &[&[u8]]) -> Result<Plan, Refusal> {
    let Some(command) = commands::find(line[0]) else {
        if may_exist_elsewhere(line[0]) {
            return Ok(Plan::new(Clause::COMMAND_8, Allowed::Unspecified(Clause::COMMAND_8)));
        }
        return Err(Refusal::new(Clause::COMMAND_8, "ERR Invalid command specified"));
    };
    if !takes_keys(command) {
        return Err(Refusal::new(Clause::COMMAND_9, "ERR The command has no key arguments"));
    }
    if !command.takes(line.len()) {
        let text = "ERR Invalid number of arguments specified for command";
        return Err(Refusal::new(Clause::COMMAND_10, text));
    }
    if command.name == "migrate" {
        let bulks = |keys: Vec<Bytes>| Reply::Array(keys.into_iter().map(Reply::Bulk).collect());
        let plan = Plan::reply(Clause::COMMAND_15, bulks(crate::migrate::keys(line)));
        let mistaken = bulks(crate::migrate::keys_behind_first_word(line));
        return Ok(plan.or_erratum(Erratum::E_177, Allowed::Exactly(mistaken), Vec::new()));
    }
    match keys(command, line) {
        Some(keys) if !keys.is_empty() => {
            let keys = keys.into_iter().map(Reply::Bulk).collect();
            if command.name.starts_with("xread") {
                call.cite(Clause::COMMAND_14);
            }
            Ok(Plan::reply(Clause::COMMAND_7, Reply::Array(keys)))
        }
        _ => Err(Refusal::new(Clause::COMMAND_11, "ERR Invalid arguments specified for command")),
    }
}

fn takes_keys(command: &Command) -> bool {
    command.first_key != 0 || command.flags.split(' ').any(|flag| flag == "movablekeys")
}

/// The key arguments of a command line by first key, last key and step or by the number that the line tells, and those that
/// an option of the command names.
pub(crate) fn keys(command: &Command, line: &[&[u8]]) -> Option<Vec<Bytes>> {
    if command.name == "migrate" {
        return Some(crate::migrate::keys(line));
    }
    if command.first_key == 0 {
        let counted = command.counted_keys(line)?;
        return Some(counted.into_iter().map(|at| line[at].to_vec()).collect());
    }
    if matches!(command.name, "xread" | "xreadgroup") {
        // [COMMAND-14]
        return Some(line[crate::stream::key_positions(line)?].iter().map(|key| key.to_vec()).collect());
    }
    let count = i64::try_from(line.len()).ok()?;
    let last = if command.last_key < 0 { count + command.last_key } else { command.last_key };
    let mut keys = Vec::new();
    let mut at = command.first_key;
    while at > 0 && at <= last {
        keys.push(line.get(usize::try_from(at).ok()?)?.to_vec());
        at += command.step.max(1);
    }
    if command.name == "sort" {
        keys.extend(crate::sort::stored_under(line).map(<[u8]>::to_vec));
    }
    if command.name.starts_with("georadius") {
        keys.extend(crate::geo::stored_under(line).map(<[u8]>::to_vec));
    }
    Some(keys)
}
