//! `tally serve`: sockets, files, fork and the clock around the engine.
//!
//! The engine decides everything; this crate reads bytes into its buffers, executes its effects in order and tells it
//! what became of them.

pub mod logging;
pub mod memory;
mod peers;
pub mod world;

mod child;
mod connection;
mod crash;
mod daemon;
mod effects;
mod event_loop;
mod files;
mod limits;
mod listen;
mod rewrite;
mod settings;
mod signals;
mod startup;

pub use memory::CountingAllocator;
pub use startup::serve;
