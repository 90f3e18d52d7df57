//! The naive model: SPEC.md, executable. BTreeMaps, vectors and plain loops; it judges answers instead of guessing them.
//!
//! ```text
//! Model::step(client, command, outcome, span)
//!   │  for every way the open questions about the touched keys may stand (mostly one):
//!   ├─ commands::plan ── a handler reads through Call and answers a Plan: what is Allowed, and the Changes it implies
//!   ├─ Allowed::admits(outcome)?  no plan admits it → Deviation
//!   └─ the admitted plans' changes become the new state
//! ```
//!
//! Handlers are pure: they see `&Model` and return data. Everything that changes is a [`plan::Change`], so that judging a
//! reply, explaining it and moving on are one piece of code per command.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod allowed;
pub mod aof;
mod apply;
mod big;
mod bitfield;
mod bits;
mod blocking;
pub mod call;
mod changes;
#[rustfmt::skip] // generated
pub mod clause;
pub mod client;
pub mod commands;
mod connection;
pub mod crc64;
mod delivery;
pub mod deviation;
pub mod due;
mod dump;
pub mod edit;
pub mod erratum;
mod eviction;
mod expire;
mod geo;
pub mod glob;
pub mod hash;
mod hyperloglog;
mod keys;
pub mod keyspace;
pub mod list;
mod loading;
pub mod long_double;
pub mod lzf;
mod memory;
mod migrate;
pub mod model;
mod monitor;
pub mod notify;
pub mod numbers;
mod object;
pub mod observe;
pub mod plan;
pub mod profile;
pub mod propagation;
pub mod protocol;
mod pubsub;
pub mod rdb;
mod reload;
pub mod reply;
mod scan;
mod scan_elements;
pub mod score;
mod script;
pub mod server;
pub mod set;
mod sets;
pub mod shared;
mod sort;
pub mod span;
pub mod specification;
mod step;
pub mod stream;
mod strings;
pub mod thresholds;
mod transaction;
pub mod value;
mod weight;
pub mod zset;
mod zsets;

pub use allowed::Allowed;
pub use clause::Clause;
pub use client::{ClientId, Peer};
pub use deviation::{Deviation, DeviationKind, Verdict};
pub use due::Due;
pub use erratum::Erratum;
pub use model::Model;
pub use profile::{ErrorPolicy, Profile, StreamHabits};
pub use propagation::Propagated;
pub use reply::{Bytes, Reply};
pub use span::{Outcome, Span};
