//! What a script finds when it starts: a list of what is allowed, and never more.
//!
//! Functions of Lua's own libraries that can take long within one instruction are replaced first, for nobody can stop
//! those.

use std::rc::Rc;

use mlua::{Error, Function, Lua, MultiValue, Result, Table, Value};

use super::{budget::Budget, reason, text};

/// Always there.
const BASIC: &[&str] = &[
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "pcall",
    "xpcall",
    "_VERSION",
];
/// Libraries that are always there, and what of them; nothing named is all.
const LIBRARIES: &[(&str, &[&str])] = &[("table", &[]), ("os", &["time", "date"])];
/// Libraries that are there for scripts that ask for open libraries.
const OPEN_LIBRARIES: &[(&str, &[&str])] =
    &[("table", &[]), ("os", &["time", "date", "clock", "difftime"]), ("string", &[]), ("math", &[])];

/// Inserting far below the first place moves nothing, some thousand million times.
const PRELUDE: &str = r##"
local insert, select, tonumber, error = table.insert, select, tonumber, error
function table.insert(list, ...)
  local place = ...
  if select("#", ...) > 1 then
    place = tonumber(place)
    if place and (place < 1 or place > 2147483647) then error("position out of bounds", 2) end
  end
  return insert(list, ...)
end
-- All scripts share what strings can do.
getmetatable("").__metatable = false
"##;

/// Makes the libraries of a new machine harmless.
pub fn prepare(lua: &Lua, budget: &Rc<Budget>) -> Result<()> {
    let globals = lua.globals();
    text::replace(lua, &globals.get("string")?, budget)?;
    lua.load(PRELUDE).set_name("=prelude").exec()?;
    globals.set("pcall", pcall(lua, budget)?)?;
    globals.set("xpcall", xpcall(lua, budget)?)
}

/// What one run finds, in tables of its own: what it changes is gone with it.
pub fn fresh(lua: &Lua, use_open_libs: bool) -> Result<Table> {
    let globals = lua.globals();
    let environment = lua.create_table()?;
    for name in BASIC {
        environment.raw_set(*name, globals.raw_get::<Value>(*name)?)?;
    }
    let modules = lua.create_table()?;
    for (name, members) in if use_open_libs { OPEN_LIBRARIES } else { LIBRARIES } {
        let library = copy(lua, &globals.raw_get(*name)?, members)?;
        modules.raw_set(*name, &library)?;
        environment.raw_set(*name, library)?;
    }
    environment.raw_set("_G", &environment)?;
    environment.raw_set("require", require(lua, modules)?)?;
    environment.raw_set("print", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    Ok(environment)
}

fn copy(lua: &Lua, library: &Table, members: &[&str]) -> Result<Table> {
    let copied = lua.create_table()?;
    for member in library.pairs::<Value, Value>() {
        let (name, value) = member?;
        let is_meant =
            |named: &mlua::LuaString| members.is_empty() || members.iter().any(|one| *named == **one);
        if name.as_string().is_some_and(is_meant) {
            copied.raw_set(name, value)?;
        }
    }
    Ok(copied)
}

/// `require` gives the libraries that are there, and loads nothing.
fn require(lua: &Lua, modules: Table) -> Result<Function> {
    lua.create_function(move |_, name: String| match modules.raw_get::<Value>(name.as_str())? {
        Value::Nil => Err(Error::runtime(format!("module {name:?} is not available to scripts"))),
        module => Ok(module),
    })
}

/// `pcall` that does not catch the end of the budget.
fn pcall(lua: &Lua, budget: &Rc<Budget>) -> Result<Function> {
    let budget = budget.clone();
    lua.create_function(move |lua, (function, arguments): (Value, MultiValue)| {
        match budget.nested(|| call(&function, arguments)) {
            Ok(mut returned) => {
                returned.push_front(Value::Boolean(true));
                Ok(returned)
            }
            Err(error) if budget.is_spent() => Err(error),
            Err(error) => {
                let message = lua.create_string(reason(&error))?;
                Ok(MultiValue::from_iter([Value::Boolean(false), Value::String(message)]))
            }
        }
    })
}

/// `xpcall` that does not catch the end of the budget.
fn xpcall(lua: &Lua, budget: &Rc<Budget>) -> Result<Function> {
    let budget = budget.clone();
    lua.create_function(move |_, (function, handler): (Value, Function)| {
        let (success, mut returned) = match budget.nested(|| call(&function, MultiValue::new())) {
            Ok(returned) => (true, returned),
            Err(error) if budget.is_spent() => return Err(error),
            Err(error) => (false, budget.nested(|| handler.call(reason(&error)))?),
        };
        returned.push_front(Value::Boolean(success));
        Ok(returned)
    })
}

fn call(function: &Value, arguments: MultiValue) -> Result<MultiValue> {
    match function {
        Value::Function(function) => function.call(arguments),
        other => Err(Error::runtime(format!("attempt to call a {} value", other.type_name()))),
    }
}
