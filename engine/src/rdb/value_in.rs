//! Values out of a file: the bytes of a value into the collection that they are.
//!
//! Nothing is believed: packed structures are checked once as a whole, and members, fields and scores one by one. What
//! Redis cannot have written is damage. The encodings are those in which Redis holds the value after loading it, which
//! need not be the ones in which it was saved: packed structures stay packed while they have no more entries than the
//! configuration allows, and elements that come one by one are added as commands would add them. [RESTORE-9]

use std::io::Read;

use super::input::{Input, Scratch};
use super::{RdbError, RdbErrorKind, value_type as ty};
use crate::config::Config;
use crate::number::I64_TEXT_MAX;
use crate::structures::dict::HashKey;
use crate::structures::intset::Intset;
use crate::values::{Collection, Set, SetLimits};

/// How values are made: what decides about their encodings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    set: SetLimits,
}

impl Holding {
    /// As configured; `hash_key` is the secret of hash tables.
    pub(crate) fn new(config: &Config, hash_key: HashKey) -> Holding {
        Holding { set: SetLimits::new(config, hash_key) }
    }
}

impl Default for Holding {
    fn default() -> Self {
        Holding::new(&Config::default(), HashKey::default())
    }
}

/// The collection of type `code` that begins here; `None`, and nothing is read, when the engine does not hold the type.
pub(super) fn collection<R: Read>(
    code: u8,
    input: &mut Input<R>,
    scratch: &mut Scratch,
    holding: &Holding,
) -> Result<Option<Collection>, RdbError> {
    let mut source = Source { input, scratch };
    Ok(Some(match code {
        ty::SET => Collection::Set(source.set(holding)?),
        ty::SET_INTSET => Collection::Set(source.set_of_intset(holding)?),
        _ => return Ok(None),
    }))
}

/// Where a value is read from.
struct Source<'a, R> {
    input: &'a mut Input<R>,
    scratch: &'a mut Scratch,
}

impl<R: Read> Source<'_, R> {
    /// The next string, given to `take`.
    fn text<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<T, RdbError> {
        let mut digits = [0; I64_TEXT_MAX];
        Ok(take(self.input.text(self.scratch)?.bytes(&mut digits)))
    }

    /// The next string, in which `read` finds a structure.
    fn packed<T>(&mut self, read: impl FnOnce(&[u8]) -> Result<T, RdbErrorKind>) -> Result<T, RdbError> {
        let offset = self.input.offset();
        self.text(read)?.map_err(|kind| self.input.error(offset, kind))
    }

    /// An error at `offset` when `fresh` says that a member was there before.
    fn distinct(&self, offset: u64, fresh: bool) -> Result<(), RdbError> {
        if fresh { Ok(()) } else { Err(self.input.error(offset, RdbErrorKind::DuplicateMember)) }
    }

    fn set(&mut self, holding: &Holding) -> Result<Set, RdbError> {
        let count = self.input.number()?;
        let mut set = Set::new();
        for _ in 0..count {
            let offset = self.input.offset();
            let fresh = self.text(|member| set.insert(member, &holding.set))?;
            self.distinct(offset, fresh)?;
        }
        Ok(set)
    }

    fn set_of_intset(&mut self, holding: &Holding) -> Result<Set, RdbError> {
        let intset = self.packed(|bytes| {
            Intset::decode(bytes).map_err(|error| RdbErrorKind::Structure {
                structure: "intset",
                at: error.offset as u64,
                reason: error.reason.to_owned(),
            })
        })?;
        Ok(Set::from_intset(intset, &holding.set))
    }
}
