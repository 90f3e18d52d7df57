//! Scripts: EVAL, EVALSHA and SCRIPT.
//!
//! The model runs no Lua. It reads scripts of a small part of that language ([`reader`]) into a tree ([`syntax`]) and says
//! in plain code what each statement means ([`meaning`]). What a script beyond that part has to answer is left open, and
//! verdicts say so; that it changes the data set nobody tells the model then.
//!
//! ```text
//! step ── judge ── run ── for every way its commands may be answered, on a copy of the model:
//!                           meaning ── call ── judge, for each command with the answer that the reply shows
//!                         the first one that explains the reply becomes the state
//! ```

mod call;
mod library;
mod meaning;
mod reader;
mod run;
mod syntax;
mod value;
mod whole;
mod words;

use std::collections::BTreeMap;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::client::ClientId;
use crate::model::Model;
use crate::numbers::parse_integer;
use crate::observe::Observation;
use crate::plan::{Change, Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::server::{ServerChange, help, sha1, unknown_subcommand};
use syntax::Block;
pub(crate) use whole::PropagatedScripts;

/// Who the commands of scripts come from.
pub(crate) const SCRIPTS: ClientId = ClientId(u64::MAX);

/// The scripts that are kept, by their SHA-1. [EVAL-7]
pub(crate) type Kept = BTreeMap<Bytes, Bytes>;

/// A script with what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Its SHA-1 in hexadecimal digits.
    sha: Bytes,
    block: Block,
    keys: Vec<Bytes>,
    arguments: Vec<Bytes>,
}

/// The SHA-1 of a script in small hexadecimal digits.
fn name_of(text: &[u8]) -> Bytes {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    sha1(text).iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// The words of a request behind others.
type Words<'a> = &'a [&'a [u8]];

/// The text of the script that a call of EVAL or EVALSHA runs, the keys and the arguments. [EVAL-2] [EVAL-3] [EVAL-4]
fn called<'a>(call: &Call<'a>) -> Result<(Bytes, Words<'a>, Words<'a>), Refusal> {
    const DIGITS: usize = 40;
    let by_name = call.args[0].eq_ignore_ascii_case(b"evalsha");
    let absent = || Refusal::new(Clause::EVALSHA_2, "NOSCRIPT No matching script. Please use EVAL.");
    if by_name && call.args[1].len() != DIGITS {
        return Err(absent());
    }
    let refusal = || Refusal::new(Clause::EVAL_2, "ERR value is not an integer or out of range");
    let behind = &call.args[3..];
    let count = parse_integer(call.args[2]).ok_or_else(refusal)?;
    if count > behind.len() as i64 {
        return Err(Refusal::new(Clause::EVAL_4, "ERR Number of keys can't be greater than number of args"));
    }
    let refusal = || Refusal::new(Clause::EVAL_3, "ERR Number of keys can't be negative");
    let count = usize::try_from(count).map_err(|_| refusal())?;
    let (keys, arguments) = behind.split_at(count);
    if !by_name {
        return Ok((call.args[1].to_vec(), keys, arguments));
    }
    let kept = call.model.server.scripts.get(call.args[1].to_ascii_lowercase().as_slice());
    Ok((kept.ok_or_else(absent)?.clone(), keys, arguments))
}

/// The script that a call runs, if the model can read it.
pub(crate) fn script(call: &Call<'_>) -> Option<Script> {
    let (text, keys, arguments) = called(call).ok()?;
    let block = reader::read(&text)?;
    let owned = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
    Some(Script { sha: name_of(&text), block, keys: owned(keys), arguments: owned(arguments) })
}

/// EVAL and EVALSHA, as far as what they run need not be known; what they answer otherwise is judged by [`Model::run_script`].
pub(crate) fn eval(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (text, ..) = called(call)?;
    if call.args[0].eq_ignore_ascii_case(b"evalsha") {
        call.cite(Clause::EVALSHA_1);
    }
    if let Some(script) = script(call)
        && let Some(allowed) = call.model.rehearsed_script(call.client_id, &script, call.span)
    {
        return Ok(Plan::new(Clause::EVAL_1, allowed));
    }
    let open = Plan::new(Clause::EVAL_1, Allowed::Unspecified(Clause::EVAL_1));
    let open = open.with(Change::Observe(Observation::Script(text)));
    Ok(Plan { propagation: Propagation::Unspecified, ..open })
}

/// SCRIPT and its subcommands.
pub(crate) fn script_command(call: &Call<'_>) -> Result<Plan, Refusal> {
    let kept = &call.model.server.scripts;
    match (call.args[1].to_ascii_lowercase().as_slice(), &call.args[2..]) {
        (b"load", [text]) => Ok(load(text)),
        (b"exists", names) => {
            let exists = |name: &&[u8]| kept.contains_key(name.to_ascii_lowercase().as_slice());
            let found = names.iter().map(|name| Reply::Integer(i64::from(exists(name))));
            Ok(Plan::reply(Clause::SCRIPT_2, Reply::Array(found.collect())))
        }
        (b"flush", []) => {
            call.cite(Clause::SCRIPT_7);
            Ok(Plan::ok(Clause::SCRIPT_3).with(Change::Server(ServerChange::ForgetScripts)).verbatim())
        }
        (b"kill", []) => Err(Refusal::new(Clause::SCRIPT_4, "NOTBUSY No scripts in execution right now.")),
        (b"debug", [word]) => match word.to_ascii_lowercase().as_slice() {
            b"no" => Ok(Plan::ok(Clause::SCRIPT_5)),
            // A session of the debugger is no business of the specification.
            b"yes" | b"sync" => Ok(Plan::new(Clause::SCRIPT_5, Allowed::Unspecified(Clause::SCRIPT_5))),
            _ => Err(Refusal::new(Clause::SCRIPT_5, "ERR Use SCRIPT DEBUG yes/sync/no")),
        },
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("SCRIPT"))),
        _ => Err(unknown_subcommand(Clause::SCRIPT_6, call.args[1], "SCRIPT HELP.")),
    }
}

/// [SCRIPT-1] [SCRIPT-7]
fn load(text: &[u8]) -> Plan {
    let name = Allowed::Exactly(Reply::Bulk(name_of(text)));
    if reader::read(text).is_some() {
        let keeps = Change::Server(ServerChange::KeepScript(text.to_vec()));
        return Plan::new(Clause::SCRIPT_1, name).with(keeps).verbatim();
    }
    // Whether it is Lua at all the model cannot tell.
    let refusal = Allowed::Checked("an error of the compiler", |reply| match reply {
        Reply::Error(line) if is_compiler_error(line) => Ok(()),
        _ => Err("no error of the compiler".into()),
    });
    let either = Allowed::Either(Box::new(name), Box::new(refusal));
    let open = Plan::new(Clause::SCRIPT_1, either).with(Change::Observe(Observation::Script(text.to_vec())));
    Plan { propagation: Propagation::Unspecified, ..open }
}

/// Whether a script was not run because it is none. [EVAL-6]
pub(crate) fn is_refusal(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(line) if is_compiler_error(line))
}

fn is_compiler_error(line: &[u8]) -> bool {
    line.starts_with(b"ERR Error compiling script (new function): ")
}

/// [EVAL-7]
pub(crate) fn keep(kept: &mut Kept, text: Bytes) {
    kept.insert(name_of(&text), text);
}

impl Model {
    /// The answer to a script that the model cannot read tells whether it is kept. [EVAL-6] [EVAL-7]
    pub(crate) fn learn_script(&mut self, text: Bytes, reply: Option<&Reply>) {
        if !reply.is_some_and(is_refusal) {
            self.server.propagated_scripts.doubt(name_of(&text));
            self.keep_script(text);
        }
    }

    pub(crate) fn keep_script(&mut self, text: Bytes) {
        keep(&mut self.server.scripts, text);
    }

    /// The scripts that are kept, by their SHA-1: a generator calls them by it.
    pub fn scripts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.server.scripts.iter().map(|(name, text)| (name.as_slice(), text.as_slice()))
    }
}
