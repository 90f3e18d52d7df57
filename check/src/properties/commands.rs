//! Commands drawn from any bytes: the engine answers what the model allows.

use std::cell::RefCell;

use arbitrary::Unstructured;
use tally_model::Profile;

use crate::coverage::Coverage;
use crate::generator::Limits;
use crate::runner::{Plan, run_drawn};
use crate::target::Embedded;

/// Bytes that decide about one command, roughly.
const BYTES_PER_COMMAND: usize = 12;

thread_local! {
    static TARGET: RefCell<Embedded> = RefCell::new(Embedded::new());
}

/// Draws an episode from `bytes` and runs it on the engine, the model beside it.
///
/// # Panics
/// When the two disagree; the message holds the script.
pub fn the_engine_answers_what_the_model_allows(bytes: &[u8]) {
    let limits = Limits { commands: bytes.len() / BYTES_PER_COMMAND + 4, ..Limits::default() };
    let plan = Plan { seed: 0, limits, profile: Profile::strict(), lethal: true };
    let mut choice = Unstructured::new(bytes);
    let mut coverage = Coverage::default();
    // Bytes that ran out draw the same for ever, which need not be a command.
    let mut rounds = bytes.len() + 32;
    let mut enough = |_: &Coverage| {
        rounds = rounds.saturating_sub(1);
        rounds == 0
    };
    TARGET.with_borrow_mut(|target| match run_drawn(target, &plan, 0, &mut choice, &mut coverage, &mut enough) {
        Ok(None) => {}
        Ok(Some(discovery)) => panic!("{}\n{}", discovery.finding, discovery.script),
        Err(error) => panic!("the embedded engine cannot be used: {error}"),
    });
}
