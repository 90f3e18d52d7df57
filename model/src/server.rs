//! Connection and server commands.

use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

/// The server's own state: configuration and counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How many databases there are.
    pub databases: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self { databases: 16 }
    }
}

/// A change of the server's own state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerChange {}

impl Server {
    /// Makes a change of its own state.
    pub(crate) fn apply(&mut self, change: ServerChange) {
        match change {}
    }

    /// Keys expire through UNLINK instead of DEL (`lazyfree-lazy-expire`).
    pub fn lazy_expire(&self) -> bool {
        false
    }

    /// Integers 0 to 9999 are shared objects: not while maxmemory needs each key's own access time.
    pub fn shares_integers(&self) -> bool {
        true
    }

    /// The access counter is kept instead of the access time (an LFU policy).
    pub fn counts_frequency(&self) -> bool {
        false
    }
}

pub(crate) fn ping(call: &Call<'_>) -> Result<Plan, Refusal> {
    match call.args.len() {
        1 => Ok(Plan::reply(Clause::PING_1, Reply::status("PONG"))),
        2 => Ok(Plan::reply(Clause::PING_2, Reply::bulk(call.args[1]))),
        _ => Err(call.wrong_arity()),
    }
}

pub(crate) fn echo(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::reply(Clause::ECHO_1, Reply::bulk(call.args[1])))
}
