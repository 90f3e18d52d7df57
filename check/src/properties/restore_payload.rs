//! Payloads of any type behind a right checksum: both halves take or refuse them alike, and whatever was taken behaves
//! under any commands as the model says.

use std::cell::RefCell;

use arbitrary::Unstructured;
use tally_model::Profile;

use crate::coverage::Coverage;
use crate::generator::{Limits, serialize};
use crate::grammar::Family;
use crate::properties::rdb;
use crate::runner::{Plan, run_restored};
use crate::target::Embedded;

/// Bytes that decide about one command, roughly.
const BYTES_PER_COMMAND: usize = 12;
/// Commands drawn when the bytes that decide about them have run out already.
const AT_LEAST: usize = 4;

thread_local! {
    static TARGET: RefCell<Embedded> = RefCell::new(Embedded::new());
}

/// Bytes as an input: the length of the body in two bytes (high first), the body, and what decides about the commands.
#[must_use]
pub fn input(body: &[u8], choices: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], &body[..usize::from(length)], choices].concat()
}

/// Takes an input apart; a body that is cut short is what there is.
fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return (bytes, &[]) };
    rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()))
}

/// The families whose commands work on a value of this type, by its number in files.
fn families(code: Option<u8>) -> Vec<Family> {
    let own: &[Family] = match code {
        Some(1 | 10 | 14) => &[Family::Lists, Family::Sort],
        Some(2 | 11) => &[Family::Sets, Family::Zsets, Family::Sort],
        Some(3 | 5 | 12) => &[Family::Zsets, Family::Geo, Family::Sort],
        Some(4 | 9 | 13) => &[Family::Hashes],
        _ => &[Family::Strings, Family::Bits, Family::HyperLogLog],
    };
    [own, &[Family::Keys, Family::Dump]].concat()
}

/// Restores the payload of an input to a few keys and works on them.
///
/// # Panics
/// When the halves disagree about the payload or about anything that follows; the message holds the script.
pub fn restored_values_behave_as_the_model_says(bytes: &[u8]) {
    let (body, choices) = parts(bytes);
    let payload = serialize(body);
    rdb::payloads_are_judged_alike(&payload);
    let commands = choices.len() / BYTES_PER_COMMAND + AT_LEAST;
    let limits = Limits { families: families(body.first().copied()), commands, ..Limits::default() };
    let plan = Plan { seed: 0, limits, profile: Profile::strict(), lethal: true };
    let mut choice = Unstructured::new(choices);
    let mut coverage = Coverage::default();
    // Bytes that ran out draw the same for ever, which need not be a command.
    let mut rounds = choices.len() + 32;
    let mut enough = |_: &Coverage| {
        rounds = rounds.saturating_sub(1);
        rounds == 0
    };
    TARGET.with_borrow_mut(|target| {
        match run_restored(target, &plan, 0, Some(&payload), &mut choice, &mut coverage, &mut enough) {
            Ok(None) => {}
            Ok(Some(discovery)) => panic!("{}\n{}", discovery.finding, discovery.script),
            Err(error) => panic!("the embedded engine cannot be used: {error}"),
        }
    });
}
