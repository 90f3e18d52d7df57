//! Zipmaps: how small hashes stood in files before version 4.
//!
//! ```text
//! pairs (1; 254 and more: not known)   pairs …   ff
//! pair: length   field   length   unused bytes after the value (1)   value   those bytes
//! length: 1 byte below fe, or fe and 4 bytes, low byte first
//! ```

use super::ziplist::Wrong;
use crate::reply::Bytes;

const END: u8 = 0xff;
const LONG: u8 = 0xfe;

const CUT: Wrong = "the zipmap ends within a pair";

/// Fields and values in their order. [ZIPMAP-1]
pub fn read(bytes: &[u8]) -> Result<Vec<(Bytes, Bytes)>, Wrong> {
    let (&announced, mut rest) = bytes.split_first().ok_or("a zipmap has at least two bytes")?;
    let mut pairs = Vec::new();
    loop {
        match rest {
            [] => return Err("the zipmap has no end"),
            [END] => break,
            [END, ..] => return Err("bytes follow the end of the zipmap"),
            _ => {}
        }
        let field_length = length(&mut rest)?;
        let field = take(&mut rest, field_length)?;
        let value_length = length(&mut rest)?;
        let unused = take(&mut rest, 1)?[0];
        let value = take(&mut rest, value_length)?;
        take(&mut rest, u64::from(unused))?;
        pairs.push((field, value));
    }
    if announced < LONG && usize::from(announced) != pairs.len() {
        return Err("the zipmap announces another number of pairs");
    }
    Ok(pairs)
}

fn take(rest: &mut &[u8], count: u64) -> Result<Bytes, Wrong> {
    let count = usize::try_from(count).ok().filter(|&count| count <= rest.len()).ok_or(CUT)?;
    let (taken, behind) = rest.split_at(count);
    *rest = behind;
    Ok(taken.to_vec())
}

fn length(rest: &mut &[u8]) -> Result<u64, Wrong> {
    match take(rest, 1)?[0] {
        END => Err(CUT),
        LONG => Ok(take(rest, 4)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))),
        short => Ok(u64::from(short)),
    }
}
