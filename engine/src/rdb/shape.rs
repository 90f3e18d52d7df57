//! Values that the engine does not hold (modules' values, the forms of newer versions) and that are walked over:
//! which type, in which encoding, how many elements.
//!
//! The walk follows lengths only; it does not judge the inner structure of a listpack beyond the header that tells its
//! size.

use std::io::Read;

use super::input::{Input, Scratch};
use super::{RdbError, RdbErrorKind, value_type as ty};

/// Field kinds inside a module's value.
const MODULE_END: u64 = 0;
const MODULE_SIGNED: u64 = 1;
pub(crate) const MODULE_UNSIGNED: u64 = 2;
const MODULE_FLOAT: u64 = 3;
const MODULE_DOUBLE: u64 = 4;
const MODULE_STRING: u64 = 5;

/// How a node of a newer quicklist is stored: one large element, or a listpack.
const PLAIN_NODE: u64 = 1;

/// What is known of a value that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// As TYPE answers: `list`, `set`, `zset`, `hash`, `stream`, or the module's type name.
    pub kind: String,
    /// How the file stores it.
    pub encoding: &'static str,
    /// Elements, members, fields or entries; `None` where only its owner can tell.
    pub elements: Option<u64>,
}

/// What values of this type are, as TYPE answers, and how the file stores them; `None` for modules' and unknown ones.
#[must_use]
pub fn stored_as(code: u8) -> Option<(&'static str, &'static str)> {
    Some(match code {
        ty::STRING => ("string", "string"),
        ty::LIST => ("list", "linkedlist"),
        ty::LIST_ZIPLIST => ("list", "ziplist"),
        ty::LIST_QUICKLIST | ty::LIST_QUICKLIST_2 => ("list", "quicklist"),
        ty::SET => ("set", "hashtable"),
        ty::SET_INTSET => ("set", "intset"),
        ty::SET_LISTPACK => ("set", "listpack"),
        ty::ZSET | ty::ZSET_2 => ("zset", "skiplist"),
        ty::ZSET_ZIPLIST => ("zset", "ziplist"),
        ty::ZSET_LISTPACK => ("zset", "listpack"),
        ty::HASH => ("hash", "hashtable"),
        ty::HASH_ZIPMAP => ("hash", "zipmap"),
        ty::HASH_ZIPLIST => ("hash", "ziplist"),
        ty::HASH_LISTPACK => ("hash", "listpack"),
        ty::STREAM_LISTPACKS | ty::STREAM_LISTPACKS_2 | ty::STREAM_LISTPACKS_3 => ("stream", "stream"),
        _ => return None,
    })
}

/// Walks over the value of type `code`.
pub(crate) fn walk<R: Read>(code: u8, input: &mut Input<R>, scratch: &mut Scratch) -> Result<Shape, RdbError> {
    let Some((kind, encoding)) = stored_as(code) else {
        if code != ty::MODULE && code != ty::MODULE_2 {
            return Err(input.error(input.offset(), RdbErrorKind::UnknownOpcode(code)));
        }
        let module = module_name(input.number()?);
        if code == ty::MODULE {
            return Err(input.error(input.offset(), RdbErrorKind::ModuleValue(module)));
        }
        skip_module_fields(input, scratch)?;
        return Ok(Shape { kind: module, encoding: "module", elements: None });
    };
    let elements = match code {
        ty::LIST_QUICKLIST_2 => nodes(input, scratch)?,
        ty::STREAM_LISTPACKS | ty::STREAM_LISTPACKS_2 | ty::STREAM_LISTPACKS_3 => Some(stream(code, input, scratch)?),
        _ => {
            let entries = listpack_length(&input.text(scratch)?.into_bytes());
            if code == ty::SET_LISTPACK { entries } else { entries.map(|entries| entries / 2) }
        }
    };
    Ok(Shape { kind: kind.to_owned(), encoding, elements })
}

fn nodes<R: Read>(input: &mut Input<R>, scratch: &mut Scratch) -> Result<Option<u64>, RdbError> {
    let count = input.number()?;
    let mut elements = Some(0u64);
    for _ in 0..count {
        let plain = input.number()? == PLAIN_NODE;
        let node = input.text(scratch)?.into_bytes();
        let held = if plain { Some(1) } else { listpack_length(&node) };
        elements = elements.zip(held).map(|(sum, held)| sum.saturating_add(held));
    }
    Ok(elements)
}

fn stream<R: Read>(code: u8, input: &mut Input<R>, scratch: &mut Scratch) -> Result<u64, RdbError> {
    let newer = code != ty::STREAM_LISTPACKS;
    for _ in 0..input.number()? {
        input.text(scratch)?; // the first id of the node
        input.text(scratch)?; // its listpack
    }
    let entries = input.number()?;
    numbers(input, 2)?; // last id
    if newer {
        numbers(input, 5)?; // first id, greatest deleted id, entries ever added
    }
    for _ in 0..input.number()? {
        input.text(scratch)?; // the group's name
        numbers(input, if newer { 3 } else { 2 })?; // last delivered id, entries read
        for _ in 0..input.number()? {
            input.array::<16>()?; // the pending id
            input.array::<8>()?; // when it was delivered
            input.number()?; // how often
        }
        for _ in 0..input.number()? {
            input.text(scratch)?; // the consumer's name
            input.array::<8>()?; // when it was seen
            if code == ty::STREAM_LISTPACKS_3 {
                input.array::<8>()?; // when it was active
            }
            for _ in 0..input.number()? {
                input.array::<16>()?;
            }
        }
    }
    Ok(entries)
}

fn numbers<R: Read>(input: &mut Input<R>, count: u32) -> Result<(), RdbError> {
    for _ in 0..count {
        input.number()?;
    }
    Ok(())
}

/// Skips the fields of a module's value, up to and including its end mark.
pub(crate) fn skip_module_fields<R: Read>(input: &mut Input<R>, scratch: &mut Scratch) -> Result<(), RdbError> {
    loop {
        let offset = input.offset();
        match input.number()? {
            MODULE_END => return Ok(()),
            MODULE_SIGNED | MODULE_UNSIGNED => {
                input.number()?;
            }
            MODULE_FLOAT => {
                input.array::<4>()?;
            }
            MODULE_DOUBLE => {
                input.array::<8>()?;
            }
            MODULE_STRING => {
                input.text(scratch)?;
            }
            other => return Err(input.error(offset, RdbErrorKind::ModuleField(other))),
        }
    }
}

/// A module type's name: nine characters of six bits above ten bits of version.
pub(crate) fn module_name(id: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|place| char::from(ALPHABET[(id >> (10 + 6 * (8 - place)) & 63) as usize])).collect()
}

fn u16_at(blob: &[u8], at: usize) -> Option<u64> {
    blob.get(at..at + 2)?.try_into().ok().map(|bytes| u64::from(u16::from_le_bytes(bytes)))
}

/// Total bytes, count; a count of 65535 means "walk to know".
fn listpack_length(blob: &[u8]) -> Option<u64> {
    u16_at(blob, 4).filter(|&count| count < u64::from(u16::MAX))
}
