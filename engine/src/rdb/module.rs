//! What modules wrote, which is walked over and named: nobody else knows what it means.

use std::io::Read;

use super::input::{Input, Scratch};
use super::{RdbError, RdbErrorKind, value_type as ty};

/// Field kinds inside a module's value.
const END: u64 = 0;
const SIGNED: u64 = 1;
pub(crate) const UNSIGNED: u64 = 2;
const FLOAT: u64 = 3;
const DOUBLE: u64 = 4;
const STRING: u64 = 5;

/// Walks over a module's value of type `code`; returns the name of the module's type.
pub(crate) fn walk<R: Read>(code: u8, input: &mut Input<R>, scratch: &mut Scratch) -> Result<String, RdbError> {
    if code != ty::MODULE && code != ty::MODULE_2 {
        return Err(input.error(input.offset(), RdbErrorKind::UnknownOpcode(code)));
    }
    let name = type_name(input.number()?);
    if code == ty::MODULE {
        return Err(input.error(input.offset(), RdbErrorKind::ModuleValue(name)));
    }
    skip_fields(input, scratch)?;
    Ok(name)
}

/// Skips the fields of a module's value, up to and including its end mark.
pub(crate) fn skip_fields<R: Read>(input: &mut Input<R>, scratch: &mut Scratch) -> Result<(), RdbError> {
    loop {
        let offset = input.offset();
        match input.number()? {
            END => return Ok(()),
            SIGNED | UNSIGNED => {
                input.number()?;
            }
            FLOAT => {
                input.array::<4>()?;
            }
            DOUBLE => {
                input.array::<8>()?;
            }
            STRING => {
                input.text(scratch)?;
            }
            other => return Err(input.error(offset, RdbErrorKind::ModuleField(other))),
        }
    }
}

/// A module type's name: nine characters of six bits above ten bits of version.
pub(crate) fn type_name(id: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|place| char::from(ALPHABET[(id >> (10 + 6 * (8 - place)) & 63) as usize])).collect()
}
