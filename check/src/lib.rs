//! The harness: holds the engine, or any server that speaks RESP, against the model.
#![forbid(unsafe_code)]

pub mod campaign;
pub mod choice;
pub mod citations;
pub mod coverage;
pub mod explorer;
pub mod finding;
pub mod generator;
pub mod grammar;
mod journal;
pub mod profile;
pub mod progress;
pub mod propagation;
pub mod properties;
pub mod racing;
pub mod reply_reader;
pub mod report;
pub mod request;
pub mod runner;
pub mod script;
pub mod session;
pub mod shrink;
pub mod simulator;
pub mod target;

pub use tally_model::{Reply, specification};
