//! Scripts that run for too long: others are told so, and may have the script end.
//!
//! ```text
//!   Lua, every so many instructions ─► hook ─► Running::goes_on ─► World::serve_others ─► Engine::handle …
//! ```
//!
//! The driver serves others through an [`Engine`] that holds the server for as long as that takes. The script's own
//! client is not in the table of clients meanwhile, and everybody who was answered before the script began is answered
//! when it is over: the append-only file may not yet hold what those answers promise.

use std::rc::Rc;

use mlua::{Error, HookTriggers, Lua, VmState};

use super::call::Running;
use super::raise::Raised;
use super::state::ScriptState;
use crate::config::Config;
use crate::effect::LogLevel;
use crate::engine::Engine;
use crate::event::ClientId;
use crate::world::Busy;

/// Instructions of Lua between two looks at the clock.
const INSTRUCTIONS: u32 = 100_000;

/// SCRIPT KILL of a script that has written.
pub(super) const UNKILLABLE: &str = "UNKILLABLE Sorry the script already executed write commands against the dataset. \
    You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";

/// Has scripts asked now and then whether they go on.
pub(super) fn watch(lua: &Lua, state: &Rc<ScriptState>) -> mlua::Result<()> {
    let of_script = Rc::clone(state);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS), move |_, _| {
        let goes_on = of_script.goes_on.borrow().clone();
        match goes_on {
            Some(goes_on) if of_script.ended.get() || !goes_on.call::<bool>(())? => {
                of_script.ended.set(true);
                Err(killed())
            }
            _ => Ok(VmState::Continue),
        }
    })
}

/// The error that ends a script, which no script catches.
pub(super) fn killed() -> Error {
    let text = b"Script killed by user with SCRIPT KILL...".to_vec();
    Error::external(Raised { text, value: None, origin: None, ends_script: true })
}

/// How long a script may run before others are served.
pub(super) struct Patience {
    began_us: u64,
    /// What serves others; none before the limit is reached.
    others: Option<Box<Engine>>,
    /// Clients that were answered before the script began.
    held: Vec<ClientId>,
}

impl Patience {
    /// Of a script that begins now.
    pub(super) fn new(began_us: u64) -> Patience {
        Patience { began_us, others: None, held: Vec::new() }
    }
}

impl Running<'_, '_> {
    /// Whether the script goes on; others are served first when it has run for long.
    pub(super) fn goes_on(&mut self) -> bool {
        let server = &mut *self.cx.server;
        // While a file is loaded nobody is served, and every script of it has run to its end before.
        if server.loading {
            return true;
        }
        if server.scripting.slow.is_none() {
            let Ok(limit_ms) = u64::try_from(server.config.lua_time_limit) else { return true };
            let ran_ms = self.cx.world.now_us().saturating_sub(self.patience.began_us) / 1000;
            if limit_ms == 0 || ran_ms < limit_ms {
                return true;
            }
            server.log(
                LogLevel::Warning,
                format!(
                    "Lua slow script detected: still in execution after {ran_ms} milliseconds. You can try killing the \
                     script using the SCRIPT KILL command."
                ),
            );
            let own = self.cx.client.id;
            server.scripting.slow = Some(own);
            let promises = server.aof.is_enabled();
            self.patience.held = server.announce.extract_if(.., |id| promises || *id == own).collect();
        }
        let others = self.patience.others.get_or_insert_with(|| Box::new(Engine::new(Config::default(), 0)));
        std::mem::swap(server, &mut others.server);
        let wish = self.cx.world.serve_others(others);
        std::mem::swap(server, &mut others.server);
        if self.state.killed.get() {
            self.cx.server.log(LogLevel::Warning, "Lua script killed by user with SCRIPT KILL.");
            return false;
        }
        wish == Busy::Continue
    }

    /// The script is over.
    pub(super) fn end(mut self) {
        let server = &mut *self.cx.server;
        server.scripting.slow = None;
        server.announce.append(&mut self.patience.held);
    }
}
