//! What the functions of `cjson` go by, and the functions that show and change it.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{IntoLuaMulti as _, Lua, MultiValue, Table, Value};

use crate::scripting::arguments::Arguments;

/// Tables within tables that are encoded or decoded whatever is set: as many as fit into Lua's stack and ours.
pub(super) const DEPTH_MAX: u32 = 2000;

/// What becomes of numbers that JSON has no form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidNumbers {
    /// They are refused.
    Refused,
    /// They are written as C writes them.
    Written,
    /// They become `null`.
    Null,
}

/// The settings of one instance of the library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// An array too sparse becomes an object instead of an error.
    pub(super) sparse_converts: bool,
    /// An array is too sparse when its highest index is more than this many times the number of its elements; 0: never.
    pub(super) sparse_ratio: i32,
    /// … and higher than this.
    pub(super) sparse_safe: i32,
    pub(super) encode_depth: i32,
    pub(super) decode_depth: i32,
    pub(super) encode_invalid: InvalidNumbers,
    pub(super) decode_invalid: bool,
    /// Significant digits of numbers.
    pub(super) precision: i32,
    /// Only shown: there is no buffer that could be kept.
    keep_buffer: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sparse_converts: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            encode_invalid: InvalidNumbers::Refused,
            decode_invalid: true,
            precision: 14,
            keep_buffer: true,
        }
    }
}

type Setter = fn(&Arguments<'_>, &mut Settings) -> mlua::Result<MultiValue>;

/// Puts the functions into the table.
pub(super) fn install(lua: &Lua, table: &Table, settings: &Rc<RefCell<Settings>>) -> mlua::Result<()> {
    let setters: [(&'static str, usize, Setter); 7] = [
        ("encode_sparse_array", 3, sparse_array),
        ("encode_max_depth", 1, |arguments, settings| {
            set_integer(arguments, 1, &mut settings.encode_depth, 1, i32::MAX)?;
            settings.encode_depth.into_lua_multi(arguments.lua)
        }),
        ("decode_max_depth", 1, |arguments, settings| {
            set_integer(arguments, 1, &mut settings.decode_depth, 1, i32::MAX)?;
            settings.decode_depth.into_lua_multi(arguments.lua)
        }),
        ("encode_number_precision", 1, |arguments, settings| {
            set_integer(arguments, 1, &mut settings.precision, 1, 14)?;
            settings.precision.into_lua_multi(arguments.lua)
        }),
        ("encode_keep_buffer", 1, |arguments, settings| {
            set_switch(arguments, 1, &mut settings.keep_buffer)?;
            settings.keep_buffer.into_lua_multi(arguments.lua)
        }),
        ("encode_invalid_numbers", 1, encode_invalid_numbers),
        ("decode_invalid_numbers", 1, |arguments, settings| {
            set_switch(arguments, 1, &mut settings.decode_invalid)?;
            settings.decode_invalid.into_lua_multi(arguments.lua)
        }),
    ];
    for (name, most, setter) in setters {
        let settings = Rc::clone(settings);
        let function = lua.create_function(move |lua, values: MultiValue| {
            let arguments = Arguments::new(lua, name, values);
            if arguments.len() > most {
                return Err(arguments.bad(most + 1, "found too many arguments"));
            }
            setter(&arguments, &mut settings.borrow_mut())
        })?;
        table.raw_set(name, function)?;
    }
    Ok(())
}

fn sparse_array(arguments: &Arguments<'_>, settings: &mut Settings) -> mlua::Result<MultiValue> {
    // What stands before an argument that does not fit is set nevertheless.
    set_switch(arguments, 1, &mut settings.sparse_converts)?;
    set_integer(arguments, 2, &mut settings.sparse_ratio, 0, i32::MAX)?;
    set_integer(arguments, 3, &mut settings.sparse_safe, 0, i32::MAX)?;
    (settings.sparse_converts, settings.sparse_ratio, settings.sparse_safe).into_lua_multi(arguments.lua)
}

fn encode_invalid_numbers(arguments: &Arguments<'_>, settings: &mut Settings) -> mlua::Result<MultiValue> {
    const WORDS: [(&str, InvalidNumbers); 3] =
        [("off", InvalidNumbers::Refused), ("on", InvalidNumbers::Written), ("null", InvalidNumbers::Null)];
    if let Some(chosen) = choice(arguments, 1, &WORDS)? {
        settings.encode_invalid = chosen;
    }
    match settings.encode_invalid {
        InvalidNumbers::Refused => false.into_lua_multi(arguments.lua),
        InvalidNumbers::Written => true.into_lua_multi(arguments.lua),
        InvalidNumbers::Null => "null".into_lua_multi(arguments.lua),
    }
}

fn set_switch(arguments: &Arguments<'_>, place: usize, setting: &mut bool) -> mlua::Result<()> {
    if let Some(chosen) = choice(arguments, place, &[("off", false), ("on", true)])? {
        *setting = chosen;
    }
    Ok(())
}

/// What the argument chooses by a word, or by a boolean among the first two; none when there is no argument.
fn choice<T: Copy>(arguments: &Arguments<'_>, place: usize, words: &[(&str, T)]) -> mlua::Result<Option<T>> {
    if arguments.is_absent(place) {
        return Ok(None);
    }
    if let Some(Value::Boolean(on)) = arguments.get(place) {
        return Ok(words.get(usize::from(*on)).map(|(_, chosen)| *chosen));
    }
    let text = arguments.string(place)?;
    let known = words.iter().find(|(word, _)| text.as_bytes() == word.as_bytes());
    match known {
        Some((_, chosen)) => Ok(Some(*chosen)),
        None => Err(arguments.bad(place, format_args!("invalid option '{}'", text.display()))),
    }
}

fn set_integer(arguments: &Arguments<'_>, place: usize, setting: &mut i32, low: i32, high: i32) -> mlua::Result<()> {
    if arguments.is_absent(place) {
        return Ok(());
    }
    let number = i32::try_from(arguments.integer(place)?).ok().filter(|number| (low..=high).contains(number));
    match number {
        Some(number) => *setting = number,
        // Whichever argument it is: the library says the first.
        None => return Err(arguments.bad(1, format_args!("expected integer between {low} and {high}"))),
    }
    Ok(())
}
