//! The naive model: SPEC.md, executable. BTreeMaps, vectors and plain loops; it judges answers instead of guessing them.
#![forbid(unsafe_code)]

#[rustfmt::skip] // generated
pub mod clause;
pub mod specification;

pub use clause::Clause;
