//! Scripts: Lua 5.1 in a sandbox, which reaches the dataset by `redis.call`.
//!
//! ```text
//!   commands/scripting ─► run ──────────► environment   the Lua state, its sandbox and its libraries
//!                          │ scoped call      │
//!                          ▼                  ├─ redis_table, random, bits, json, message_pack, packing
//!                         call ─► commands    └─ raise   errors that are plain Lua values
//!                          │
//!                         reply               RESP to Lua, Lua to RESP
//! ```
//!
//! The Lua state belongs to the server and outlives scripts. While a script runs, `redis.call` and `redis.pcall` are
//! functions that borrow the command's context and end with it ([`mlua::Lua::scope`]); all that the other functions of
//! `redis` say about the script that runs lies in [`state::ScriptState`], which both sides see.

mod arguments;
mod bits;
mod call;
mod environment;
mod json;
mod message_pack;
mod packing;
mod raise;
mod random;
mod redis_table;
mod reply;
mod run;
mod slow;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sha1::{Digest as _, Sha1};

use crate::commands::Refusal;
use crate::event::ClientId;

use environment::Environment;
pub(crate) use run::{HandedOn, run};

/// The name of a script: the SHA1 of its text, in hexadecimal digits of lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sha([u8; 40]);

impl Sha {
    /// The name of the script with this text.
    pub(crate) fn of(text: &[u8]) -> Sha {
        Sha(hexadecimal(text))
    }

    /// A name as a request spells it, in whatever letter case; none when it has another length.
    pub(crate) fn spelled(name: &[u8]) -> Option<Sha> {
        let name: [u8; 40] = name.try_into().ok()?;
        Some(Sha(name.map(|byte| byte.to_ascii_lowercase())))
    }

    /// The digits.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The SHA1 of `bytes` in hexadecimal digits of lower case.
pub(super) fn hexadecimal(bytes: &[u8]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let sum: [u8; 20] = Sha1::digest(bytes).into();
    std::array::from_fn(|place| {
        let byte = sum[place / 2];
        DIGITS[usize::from(if place % 2 == 0 { byte >> 4 } else { byte & 15 })]
    })
}

/// A script that is known.
struct Script {
    text: Vec<u8>,
    function: mlua::Function,
}

/// The scripts that are known, and the Lua state in which they are.
pub(crate) struct Scripting {
    /// None before the first script.
    environment: Option<Rc<Environment>>,
    scripts: BTreeMap<Sha, Script>,
    /// Those whose text was handed on in place of their name, so that the name will do.
    handed_on: BTreeSet<Sha>,
    /// Scripts hand on their effects from the beginning, and not themselves.
    pub(crate) replicates_effects: bool,
    /// Whose script runs for longer than `lua-time-limit`, while others are served.
    pub(crate) slow: Option<ClientId>,
}

impl Scripting {
    /// No script is known.
    pub(crate) fn new(replicates_effects: bool) -> Scripting {
        Scripting {
            environment: None,
            scripts: BTreeMap::new(),
            handed_on: BTreeSet::new(),
            replicates_effects,
            slow: None,
        }
    }

    /// The text of a script that is known, if EVALSHA of it cannot be handed on as it came because those to whom it is
    /// handed on may not know it yet. From now on they do.
    pub(crate) fn text_to_hand_on(&mut self, sha: &Sha) -> Option<Vec<u8>> {
        let script = self.scripts.get(sha)?;
        self.handed_on.insert(*sha).then(|| script.text.clone())
    }

    /// Scripts are told anew from here: the append-only file begins again.
    pub(crate) fn forget_handed_on(&mut self) {
        self.handed_on.clear();
    }

    /// Whether the script is known.
    pub(crate) fn knows(&self, sha: &Sha) -> bool {
        self.scripts.contains_key(sha)
    }

    /// How many scripts are known.
    pub(crate) fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Bytes that the Lua state takes.
    pub(crate) fn lua_memory(&self) -> usize {
        self.environment.as_ref().map_or(0, |environment| environment.lua.used_memory())
    }

    /// Bytes that the texts take beside the Lua state, about.
    pub(crate) fn memory(&self) -> usize {
        self.scripts.values().map(|script| size_of::<Sha>() + size_of::<Script>() + script.text.capacity()).sum()
    }

    /// Forgets all scripts, and whatever they left in the Lua state.
    pub(crate) fn flush(&mut self) {
        self.scripts.clear();
        self.handed_on.clear();
        self.environment = None;
    }

    /// Has the script that runs end, unless it has written.
    pub(crate) fn kill(&mut self) -> Result<(), Refusal> {
        match self.environment.as_ref().filter(|_| self.slow.is_some()) {
            None => Err("NOTBUSY No scripts in execution right now.".into()),
            Some(environment) if environment.state.wrote.get() => Err(Refusal::Fixed(slow::UNKILLABLE)),
            Some(environment) => {
                environment.state.killed.set(true);
                Ok(())
            }
        }
    }

    fn environment(&mut self) -> Result<Rc<Environment>, Vec<u8>> {
        if let Some(environment) = &self.environment {
            return Ok(Rc::clone(environment));
        }
        let fresh = Environment::new().map_err(|error| raise::words(&error))?;
        Ok(Rc::clone(self.environment.insert(Rc::new(fresh))))
    }

    /// Makes a script known; answers its name, or why it is no Lua.
    pub(crate) fn load(&mut self, text: &[u8]) -> Result<Sha, Vec<u8>> {
        let sha = Sha::of(text);
        if !self.knows(&sha) {
            let function = self.environment()?.compile(&sha, text)?;
            self.scripts.insert(sha, Script { text: text.to_vec(), function });
        }
        Ok(sha)
    }
}
