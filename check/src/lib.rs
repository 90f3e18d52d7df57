//! The harness: holds the engine, or any server that speaks RESP, against the model.
#![forbid(unsafe_code)]

pub mod choice;
pub mod citations;
pub mod request;
pub mod script;

pub use tally_model::specification;
