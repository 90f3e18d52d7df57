//! tally-model
