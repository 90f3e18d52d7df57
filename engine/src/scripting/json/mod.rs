//! The library `cjson`: Lua values as JSON and back, with settings of its own for each instance of the library.
//!
//! ```text
//!   settings   the functions that show and change them
//!   encode     tables whose keys are 1, 2, 3 … are arrays, others objects
//!   scan       text to tokens;  decode   tokens to values
//! ```

mod decode;
mod encode;
mod scan;
mod settings;

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use super::arguments::Arguments;
use settings::Settings;

/// Makes the table.
pub(super) fn create(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let settings = Rc::new(RefCell::new(Settings::default()));
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    table.raw_set("null", Value::NULL)?;
    let own = Rc::clone(&settings);
    let encode = move |lua: &Lua, values: MultiValue| {
        let arguments = single(lua, "encode", values)?;
        encode::encode(lua, &own.borrow(), arguments.get(1).unwrap_or(&Value::Nil))
    };
    table.raw_set("encode", lua.create_function(encode)?)?;
    let own = Rc::clone(&settings);
    let decode = move |lua: &Lua, values: MultiValue| {
        let text = single(lua, "decode", values)?.string(1)?;
        decode::decode(lua, &own.borrow(), &text.as_bytes())
    };
    table.raw_set("decode", lua.create_function(decode)?)?;
    settings::install(lua, &table, &settings)?;
    table.raw_set("new", lua.create_function(|lua, _: MultiValue| create(lua))?)?;
    Ok(table)
}

fn single<'a>(lua: &'a Lua, function: &'static str, values: MultiValue) -> mlua::Result<Arguments<'a>> {
    let arguments = Arguments::new(lua, function, values);
    if arguments.len() != 1 {
        return Err(arguments.bad(1, "expected 1 argument"));
    }
    Ok(arguments)
}
