//! What the functions of `redis` say about the script that runs.

use std::cell::{Cell, RefCell};

use mlua::Function;

use super::random::Lrand48;
use crate::effect::LogLevel;
use crate::propagation::Targets;

/// Seen by the functions of the Lua state and by who runs the script.
#[derive(Debug)]
pub(super) struct ScriptState {
    /// A write command ran.
    pub(super) wrote: Cell<bool>,
    /// A command ran whose answer is left to chance.
    pub(super) took_chance: Cell<bool>,
    /// The script's effects are handed on, and not the script.
    pub(super) replicates_effects: Cell<bool>,
    /// A command handed on something else than it came as, or was refused for what is so on this server only, so that the
    /// script done again could do something else. [EVAL-35] [EVAL-37]
    pub(super) rewritten: Cell<bool>,
    /// To whom the effects are handed on.
    pub(super) targets: Cell<Targets>,
    /// MULTI was handed on, so EXEC will be.
    pub(super) wrapped: Cell<bool>,
    /// Somebody killed the script: it ends as soon as Lua's code can be stopped.
    pub(super) killed: Cell<bool>,
    /// The error that ends the script was raised.
    pub(super) ended: Cell<bool>,
    /// Asks whether the script goes on ([`super::slow`]); none while no script runs.
    pub(super) goes_on: RefCell<Option<Function>>,
    /// Lines for the log.
    pub(super) log: RefCell<Vec<(LogLevel, String)>>,
    /// The least grave lines that are logged.
    pub(super) verbosity: Cell<LogLevel>,
    /// math.random's numbers.
    pub(super) random: RefCell<Lrand48>,
}

impl Default for ScriptState {
    fn default() -> Self {
        ScriptState {
            wrote: Cell::new(false),
            took_chance: Cell::new(false),
            replicates_effects: Cell::new(true),
            rewritten: Cell::new(false),
            targets: Cell::new(Targets::ALL),
            wrapped: Cell::new(false),
            killed: Cell::new(false),
            ended: Cell::new(false),
            goes_on: RefCell::default(),
            log: RefCell::default(),
            verbosity: Cell::new(LogLevel::Debug),
            random: RefCell::default(),
        }
    }
}

impl ScriptState {
    /// A script begins.
    pub(super) fn begin(&self, replicates_effects: bool, verbosity: LogLevel) {
        self.wrote.set(false);
        self.took_chance.set(false);
        self.replicates_effects.set(replicates_effects);
        self.rewritten.set(false);
        self.targets.set(Targets::ALL);
        self.wrapped.set(false);
        self.killed.set(false);
        self.ended.set(false);
        self.verbosity.set(verbosity);
        self.random.replace(Lrand48::default());
    }
}
