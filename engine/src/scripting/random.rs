//! math.random and math.randomseed: the same numbers for every script, on every machine.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use super::raise::{bad_argument, type_name};
use super::state::ScriptState;

/// The generator that POSIX specifies for `lrand48`, seeded with 0.
#[derive(Debug)]
pub(super) struct Lrand48(u64);

impl Default for Lrand48 {
    fn default() -> Self {
        Lrand48::seeded(0)
    }
}

impl Lrand48 {
    const BITS: u32 = 48;

    /// As `srand48` seeds it.
    pub(super) fn seeded(seed: u32) -> Lrand48 {
        Lrand48(u64::from(seed) << 16 | 0x330E)
    }

    /// The upper 31 bits of the next state.
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << Self::BITS) - 1);
        (self.0 >> (Self::BITS - 31)) as u32
    }
}

/// Puts the two functions in place of Lua's own.
pub(super) fn install(lua: &Lua, math: &Table, state: &Rc<ScriptState>) -> mlua::Result<()> {
    let of_script = Rc::clone(state);
    let random = lua.create_function(move |lua, arguments: MultiValue| {
        const MOST: u32 = i32::MAX as u32;
        let fraction = f64::from(of_script.random.borrow_mut().next() % MOST) / f64::from(MOST);
        let values: Vec<Value> = arguments.into_iter().collect();
        let (low, high, place) = match values.len() {
            0 => return Ok(fraction),
            1 => (1, integer(lua, &values, 1, "random")?, 1),
            2 => (integer(lua, &values, 1, "random")?, integer(lua, &values, 2, "random")?, 2),
            _ => return Err(super::raise::raise_here(lua, "wrong number of arguments")),
        };
        if low > high {
            return Err(bad_argument(lua, place, "random", "interval is empty"));
        }
        // C counts these in `int`, which wraps.
        let width = high.wrapping_sub(low).wrapping_add(1);
        Ok((fraction * f64::from(width)).floor() + f64::from(low))
    })?;
    math.raw_set("random", random)?;
    let of_script = Rc::clone(state);
    let seed = lua.create_function(move |lua, arguments: MultiValue| {
        let values: Vec<Value> = arguments.into_iter().collect();
        let seed = integer(lua, &values, 1, "randomseed")?;
        of_script.random.replace(Lrand48::seeded(seed as u32));
        Ok(())
    })?;
    math.raw_set("randomseed", seed)
}

/// The argument at a place as C's `int`.
fn integer(lua: &Lua, values: &[Value], place: usize, function: &str) -> mlua::Result<i32> {
    let value = values.get(place - 1);
    let number = value.and_then(|value| lua.coerce_number(value.clone()).ok().flatten());
    let Some(number) = number else {
        let got = type_name(value);
        return Err(bad_argument(lua, place, function, format_args!("number expected, got {got}")));
    };
    Ok(number as i64 as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_lrand48() {
        // What POSIX' own function gives after srand48(0) and srand48(1).
        let numbers = |seed| {
            let mut random = Lrand48::seeded(seed);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(numbers(0), [366_850_414, 1_610_402_240, 206_956_554]);
        assert_eq!(numbers(1), [89_400_484, 976_015_093, 1_792_756_325]);
    }
}
