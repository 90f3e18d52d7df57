//! What PFSELFTEST does: the packed registers against a plain array, and the estimate of a growing set against its size,
//! in both forms.

use super::{DENSE_LEN, HEADER_LEN, HllMut, HllRef, REGISTER_BITS, REGISTERS, dense, empty, murmur};

/// Elements of the growing set.
const ELEMENTS: u64 = 20_000;
/// Relative error that is let pass: beyond six standard deviations of 1.04/√16384.
const ERROR_MAX: f64 = 0.05;
/// Absolute error that is let pass, for small sets.
const MISSED_MAX: f64 = 3.0;

/// Runs all tests.
///
/// # Errors
/// Says what does not hold.
pub fn run() -> Result<(), String> {
    packed_registers_are_kept_apart()?;
    estimates_are_near_the_truth()
}

fn packed_registers_are_kept_apart() -> Result<(), String> {
    let mut packed = vec![0; DENSE_LEN - HEADER_LEN];
    let mut plain = [0u8; REGISTERS];
    for round in 0..4 * REGISTERS as u64 {
        let drawn = murmur::hash(&round.to_le_bytes());
        let index = drawn as usize % REGISTERS;
        let value = (drawn >> 32) as u8 % (1 << REGISTER_BITS);
        let raised = dense::raise(&mut packed, index, value);
        if raised != (value > plain[index]) {
            return Err(format!("register {index} at {} answers {raised} when raised to {value}", plain[index]));
        }
        plain[index] = plain[index].max(value);
    }
    match (0..REGISTERS).find(|&index| dense::register(&packed, index) != plain[index]) {
        Some(index) => {
            Err(format!("register {index} should be {} but it is {}", plain[index], dense::register(&packed, index)))
        }
        None => Ok(()),
    }
}

fn estimates_are_near_the_truth() -> Result<(), String> {
    let mut dense_bytes = empty();
    let mut sparse_bytes = empty();
    let lost = || "an empty string is not recognized".to_owned();
    let corrupt = |corrupt: super::Corrupt| corrupt.to_string();
    HllMut::recognize(&mut dense_bytes).ok_or_else(lost)?.make_dense().map_err(corrupt)?;
    let mut checkpoint = 1;
    for size in 1..=ELEMENTS {
        let element = murmur::hash(&size.to_be_bytes()).to_le_bytes();
        for bytes in [&mut dense_bytes, &mut sparse_bytes] {
            HllMut::recognize(bytes).ok_or_else(lost)?.add(&element, DENSE_LEN / 8).map_err(corrupt)?;
        }
        if size < checkpoint && size < ELEMENTS {
            continue;
        }
        checkpoint += checkpoint / 2 + 1;
        let of = |bytes: &[u8]| HllRef::recognize(bytes).ok_or_else(lost)?.estimate().map_err(corrupt);
        let (dense, sparse) = (of(&dense_bytes)?, of(&sparse_bytes)?);
        if dense != sparse {
            return Err(format!("{size} elements are {dense} in the dense form and {sparse} in the sparse one"));
        }
        let error = (dense as f64 - size as f64).abs();
        if error > MISSED_MAX.max(size as f64 * ERROR_MAX) {
            return Err(format!("too high error: {size} elements are estimated as {dense}"));
        }
    }
    Ok(())
}
