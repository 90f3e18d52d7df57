//! The server's own state, and the commands that show or change it.

mod command_command;
pub mod config;
mod config_command;
mod config_rules;
mod container;
mod counters;
mod debug;
mod debug_lines;
mod digest;
mod info;
mod info_fields;
mod latency;
mod lolwut;
mod memory_command;
mod modules;
mod saving;
mod sha1;
mod slowlog;
mod standalone;
mod time;

use crate::reply::Bytes;
use crate::script::{Kept, PropagatedScripts};
use crate::shared::Shared;
use crate::thresholds::Thresholds;

pub use config::Configuration;
pub use counters::Counters;
pub use slowlog::Slowlog;

pub(crate) use command_command::command;
pub(crate) use config_command::config;
pub(crate) use container::{help, integer, one_line, unknown_subcommand};
pub(crate) use debug::debug;
pub(crate) use info::info;
pub(crate) use latency::latency;
pub(crate) use lolwut::lolwut;
pub(crate) use memory_command::memory;
pub(crate) use modules::module;
pub(crate) use saving::{bgrewriteaof, bgsave, lastsave, save, shutdown};
pub(crate) use sha1::sha1;
pub(crate) use slowlog::slowlog;
pub(crate) use standalone::{asking, cluster, readonly, readwrite, role};
pub(crate) use time::time;

/// The server's own state: configuration and counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How many databases there are.
    pub databases: usize,
    /// The directives.
    pub config: Configuration,
    /// When the data set was last saved, Unix seconds, once an answer told it; a later save is always possible.
    pub last_save_s: Option<i64>,
    /// Counters of INFO that do not fall.
    pub counters: Counters,
    /// The slow log, as far as it is known.
    pub slowlog: Slowlog,
    /// The scripts that are kept, by their SHA-1. [EVAL-7]
    pub(crate) scripts: Shared<Kept>,
    /// Scripts are propagated as what their commands propagate, and not as they came (`lua-replicate-commands`). [EVAL-31]
    pub(crate) replicates_effects: bool,
    /// The scripts whose text was propagated because EVALSHA ran them. [EVALSHA-3]
    pub(crate) propagated_scripts: Shared<PropagatedScripts>,
    /// No event's latency was sampled, for sure. [LATENCY-5]
    pub has_no_samples: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            databases: 16,
            config: Configuration::default(),
            last_save_s: None,
            counters: Counters::default(),
            slowlog: Slowlog::default(),
            scripts: Shared::default(),
            replicates_effects: true,
            propagated_scripts: Shared::default(),
            has_no_samples: false,
        }
    }
}

/// A change of the server's own state that follows from the command alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerChange {
    /// The counters of INFO begin anew. [CONFIG-26]
    ResetCounters,
    /// The slow log is emptied. [SLOWLOG-8]
    ResetSlowlog,
    /// A script is kept. [SCRIPT-1]
    KeepScript(Bytes),
    /// All scripts are forgotten. [SCRIPT-3]
    ForgetScripts,
    /// Scripts are propagated as what their commands propagate from now on, or as they came. [EVAL-31]
    ReplicateEffects(bool),
    /// All samples of latency are dropped while none are taken. [LATENCY-5]
    ResetSamples,
}

impl Server {
    /// Makes a change of its own state.
    pub(crate) fn apply(&mut self, change: ServerChange) {
        match change {
            ServerChange::ResetCounters => self.counters = Counters::default(),
            ServerChange::ResetSlowlog => self.slowlog.reset(),
            ServerChange::KeepScript(text) => crate::script::keep(&mut self.scripts, text),
            ServerChange::ForgetScripts => {
                self.scripts.clear();
                self.propagated_scripts.forget();
            }
            ServerChange::ReplicateEffects(effects) => self.replicates_effects = effects,
            ServerChange::ResetSamples => self.has_no_samples = true,
        }
    }

    /// Keys expire through UNLINK instead of DEL (`lazyfree-lazy-expire`).
    pub fn lazy_expire(&self) -> bool {
        self.config.effects().lazy_expire
    }

    /// When collections leave their small encodings.
    pub fn thresholds(&self) -> Thresholds {
        self.config.effects().thresholds
    }

    /// Integers 0 to 9999 are shared objects: not while maxmemory needs each key's own access time.
    pub fn shares_integers(&self) -> bool {
        self.config.effects().shares_integers
    }

    /// The access counter is kept instead of the access time (an LFU policy).
    pub fn counts_frequency(&self) -> bool {
        self.config.effects().counts_frequency
    }
}
