//! Intsets: integers in ascending order, all of one width, as files hold them.
//!
//! ```text
//! width in bytes (4): 2, 4 or 8   members (4)   the members, each low byte first
//! ```

use super::ziplist::Wrong;

const HEADER: usize = 8;

/// The members. [INTSET-1] [INTSET-2]
pub fn read(bytes: &[u8]) -> Result<Vec<i64>, Wrong> {
    if bytes.len() < HEADER {
        return Err("an intset has at least eight bytes");
    }
    let width = match bytes[..4] {
        [2, 0, 0, 0] => 2,
        [4, 0, 0, 0] => 4,
        [8, 0, 0, 0] => 8,
        _ => return Err("the intset has a width that does not exist"),
    };
    let mut announced = [0; 4];
    announced.copy_from_slice(&bytes[4..HEADER]);
    let content = &bytes[HEADER..];
    if content.len() as u64 != u64::from(u32::from_le_bytes(announced)) * width as u64 {
        return Err("the intset announces another number of members");
    }
    let unused = 64 - 8 * width as u32;
    let members: Vec<i64> = content
        .chunks_exact(width)
        .map(|member| member.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)))
        .map(|number| (number << unused) as i64 >> unused)
        .collect();
    if members.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("the members of the intset do not ascend");
    }
    Ok(members)
}

/// An intset that held these and no wider members. [INTSET-3]
pub fn write(members: &[i64]) -> Vec<u8> {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let fits = |least: i64, most: i64| sorted.iter().all(|member| (least..=most).contains(member));
    let width: u32 = if fits(i16::MIN.into(), i16::MAX.into()) {
        2
    } else if fits(i32::MIN.into(), i32::MAX.into()) {
        4
    } else {
        8
    };
    let mut bytes = width.to_le_bytes().to_vec();
    bytes.extend((sorted.len() as u32).to_le_bytes());
    for member in &sorted {
        bytes.extend(&member.to_le_bytes()[..width as usize]);
    }
    bytes
}
