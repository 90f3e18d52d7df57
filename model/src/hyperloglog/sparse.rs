//! The sparse form: runs of equal registers.
//!
//! ```text
//! 00nnnnnn                n + 1 zeros, up to 64
//! 01nnnnnn nnnnnnnn       n + 1 zeros, up to 16,384
//! 1vvvvvnn                n + 1 registers, up to 4, of the value v + 1, up to 32
//! ```

use super::Corrupted;
use crate::reply::Bytes;

const MOST_SHORT_ZEROS: usize = 64;
const MOST_EQUAL_VALUES: usize = 4;
const GREATEST_VALUE: u8 = 32;

/// How far to both sides of a change neighbours are joined, in runs from the one before the change on.
const RUNS_LOOKED_AT: usize = 5;

/// Some registers in a row with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// 0 for zeros.
    pub(crate) value: u8,
    /// How many.
    pub(crate) length: usize,
    /// Zeros in two bytes, also where one would do.
    wide: bool,
}

impl Run {
    /// Zeros in the shortest form.
    pub(crate) fn zeros(length: usize) -> Self {
        Self { value: 0, length, wide: length > MOST_SHORT_ZEROS }
    }

    fn of(value: u8, length: usize) -> Self {
        if value == 0 { Self::zeros(length) } else { Self { value, length, wide: false } }
    }

    pub(crate) fn bytes(self) -> Bytes {
        let rest = self.length - 1;
        match self.value {
            0 if self.wide => vec![0x40 | (rest >> 8) as u8, rest as u8],
            0 => vec![rest as u8],
            value => vec![0x80 | (value - 1) << 2 | rest as u8],
        }
    }

    /// As PFDEBUG DECODE writes it.
    pub(crate) fn text(self) -> String {
        match self {
            Self { value: 0, wide: true, length } => format!("Z:{length}"),
            Self { value: 0, length, .. } => format!("z:{length}"),
            Self { value, length, .. } => format!("v:{value},{length}"),
        }
    }
}

/// The run that these bytes begin with, and what follows it.
fn first_run(body: &[u8]) -> Result<(Run, &[u8]), Corrupted> {
    match *body {
        [first @ 0..=0x3f, ref rest @ ..] => Ok((Run { value: 0, length: usize::from(first) + 1, wide: false }, rest)),
        [first @ 0x40..=0x7f, second, ref rest @ ..] => {
            let length = usize::from(first & 0x3f) << 8 | usize::from(second);
            Ok((Run { value: 0, length: length + 1, wide: true }, rest))
        }
        [first @ 0x80..=0xff, ref rest @ ..] => {
            let run = Run { value: (first >> 2 & 31) + 1, length: usize::from(first & 3) + 1, wide: false };
            Ok((run, rest))
        }
        [] | [0x40..=0x7f] => Err(Corrupted),
    }
}

/// All runs. [HLL-6]
pub(crate) fn runs(mut body: &[u8]) -> Result<Vec<Run>, Corrupted> {
    let mut runs = Vec::new();
    while !body.is_empty() {
        let (run, rest) = first_run(body)?;
        runs.push(run);
        body = rest;
    }
    Ok(runs)
}

/// What raising a register came to.
pub(crate) enum Raised {
    /// It was not lower.
    Already,
    /// These are the bytes with the register raised.
    Body(Bytes),
    /// The value cannot be written as a run, or the bytes would grow beyond their limit.
    TooLarge,
}

/// Raises a register to a value. Runs behind the register's own are not looked at, other than to join them. [HLL-8] [PFADD-5]
pub(crate) fn raise(body: &[u8], register: usize, value: u8, most_bytes: usize) -> Result<Raised, Corrupted> {
    if value > GREATEST_VALUE {
        return Ok(Raised::TooLarge);
    }
    // Where the run before the register's own begins, or that one if it is the first.
    let mut previous = 0;
    let mut own_start = 0;
    let mut first = 0;
    let (run, rest) = loop {
        let (run, rest) = first_run(&body[own_start..])?;
        if register < first + run.length {
            break (run, rest);
        }
        first += run.length;
        previous = own_start;
        own_start = body.len() - rest.len();
    };
    if run.value >= value {
        return Ok(Raised::Already);
    }
    let own = [
        Run::of(run.value, register - first),
        Run::of(value, 1),
        Run::of(run.value, first + run.length - 1 - register),
    ];
    let own = own.into_iter().filter(|run| run.length > 0);
    let own_bytes: Bytes = own.flat_map(Run::bytes).collect();
    let replaced = run.bytes().len();
    // Only growth is limited: a value that is too large already may stay as it is.
    if own_bytes.len() > replaced && body.len() - replaced + own_bytes.len() > most_bytes {
        return Ok(Raised::TooLarge);
    }
    // Everything up to the run before the register's stays; from there on neighbours are joined.
    let open = [&body[previous..own_start], &own_bytes, rest].concat();
    Ok(Raised::Body([&body[..previous], &joined(&open)].concat()))
}

/// Joins neighbouring runs of the same value that fit one, among the first few runs. [HLL-10]
fn joined(mut open: &[u8]) -> Bytes {
    let mut done = Bytes::new();
    let mut pending: Option<Run> = None;
    for _ in 0..RUNS_LOOKED_AT {
        let run = match pending.take() {
            Some(run) => run,
            None => match first_run(open) {
                Ok((run, rest)) => {
                    open = rest;
                    run
                }
                Err(Corrupted) => break,
            },
        };
        let fits =
            |next: &Run| run.value > 0 && next.value == run.value && run.length + next.length <= MOST_EQUAL_VALUES;
        match first_run(open) {
            Ok((next, rest)) if fits(&next) => {
                open = rest;
                // The joined run is looked at again, with the run behind it.
                pending = Some(Run::of(run.value, run.length + next.length));
            }
            _ => done.extend(run.bytes()),
        }
    }
    done.extend(pending.into_iter().flat_map(Run::bytes));
    done.extend(open);
    done
}
