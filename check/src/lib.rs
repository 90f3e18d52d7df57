//! The harness: holds the engine, or any server that speaks RESP, against the model.
#![forbid(unsafe_code)]

pub mod citations;

pub use tally_model::specification;
