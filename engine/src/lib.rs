//! The optimized engine: a deterministic state machine with the observable behaviour of Redis 5.0.14.
//!
//! Whoever drives it supplies the world (clock, memory figure, sockets, files) and executes the effects it leaves, in
//! order. Same seed, same world and same events give the same effects, byte for byte, on every machine.
//!
//! ```text
//!   driver (server, checker, simulator)
//!     │ bytes into Engine::input_buffer, then Event::Input …        ▲ Effect::Output → Engine::output, Engine::written
//!     ▼                                                             │ Effect::File, Effect::Snapshot → Event::…Done
//!   Engine::handle(world, event) ── resp ─► commands ─► keyspace ── aof, rdb ─► effects
//! ```
#![deny(missing_docs)]

pub mod aof;
mod blocking;
#[cfg(test)]
mod blocking_tests;
mod chance;
mod client;
pub mod commands;
pub mod config;
pub mod crc64;
mod cron;
mod digest;
pub mod effect;
mod engine;
pub mod event;
pub mod faults;
pub mod geo;
pub mod glob;
mod held;
mod identity;
pub mod info;
mod keyspace;
mod latency;
mod loading;
pub mod long_double;
pub mod lru;
mod memory;
mod migration;
mod monitor;
mod notify;
pub mod number;
mod object;
pub mod propagation;
mod pubsub;
pub mod rdb;
pub mod resp;
mod saving;
mod scripting;
mod slowlog;
mod state;
mod stats;
pub mod structures;
pub mod timers;
mod transaction;
pub mod values;
pub mod world;

pub use config::Config;
pub use effect::{Effect, FileEffect, FileId, LogLevel, SnapshotMode};
pub use engine::Engine;
pub use event::{ClientId, Event, IoFailure, Peer};
pub use held::Held;
pub use loading::{LoadError, Loading};
pub use world::{Busy, PeerFailure, PeerId, World};
