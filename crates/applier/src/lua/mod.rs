//! Lua as Argo CD's users write it: Lua 5.1, without a way out, and with an end.
//!
//! What comes in: scripts as text, and an object as JSON. What goes out: what the script returned, or why it did not.
//! A script cannot reach a file, a process, another module or another script. Whatever it does, it is over after a
//! limited number of instructions, a limited time of its own, and within a limited memory.
//! What it does not do: know what the result means.

mod budget;
mod environment;
pub mod json;
mod patterns;
mod text;

use std::rc::Rc;

use mlua::{
    Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value as LuaValue, VmState, chunk::ChunkMode,
};
use serde_json::Value;

use budget::Budget;

/// What all objects of a machine may take at once. An object of the size that Kubernetes allows fits in ten times over.
const MEMORY: usize = 32 << 20;
/// How much of an error is told: it stands in the status of an Application.
const LONGEST_REASON: usize = 512;
/// What may stay behind a run: a machine that is not used holds no more.
const WORN: usize = 1 << 20;

/// Why a script returned nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It ran for too long.
    #[error(
        "it did not end within {} instructions or {} milliseconds; does it loop?",
        budget::INSTRUCTIONS,
        budget::TIME.as_millis()
    )]
    Time,
    /// It took too much.
    #[error("it needed more than {} MiB of memory; does it collect without end?", MEMORY >> 20)]
    Memory,
    /// It failed, in Lua's words.
    #[error("{0}")]
    Script(String),
}

impl Failure {
    /// Whether the machine is in a state in which the next script might fail for no fault of its own.
    pub fn is_exhausting(&self) -> bool {
        matches!(self, Self::Time | Self::Memory)
    }
}

/// What scripts run in. Belongs to one thread.
pub struct Machine {
    lua: Lua,
    budget: Rc<Budget>,
}

impl Machine {
    /// A machine in which nothing has run.
    pub fn new() -> Result<Self, Failure> {
        Self::build().map_err(|error| Failure::Script(reason(&error)))
    }

    fn build() -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        // Lua itself in C, not Luau: its errors are C++ exceptions, which end a process whose panics abort.
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let budget = Rc::new(Budget::default());
        environment::prepare(&lua, &budget)?;
        lua.set_memory_limit(MEMORY)?;
        let watched = budget.clone();
        lua.set_hook(HookTriggers::new().every_nth_instruction(budget::STEP), move |_, _| {
            watched.spend(budget::STEP)?;
            Ok(VmState::Continue)
        })?;
        Ok(Self { lua, budget })
    }

    /// Makes a function of a script. Bytecode is refused: nobody can say what it does.
    pub fn compile(&self, script: &str) -> Result<Function, Failure> {
        self.guarded(|| self.lua.load(script).set_name("=script").set_mode(ChunkMode::Text).into_function())
    }

    /// Runs a script on an object, with nothing left of any run before it.
    pub fn run<T>(
        &self,
        script: &Function,
        use_open_libs: bool,
        object: &Value,
        read: impl FnOnce(LuaValue) -> T,
    ) -> Result<T, Failure> {
        let prepared = self.guarded(|| {
            let environment = environment::fresh(&self.lua, use_open_libs)?;
            environment.raw_set("obj", to_lua(&self.lua, object)?)?;
            script.set_environment(environment)
        });
        // A large object takes its time before the script has begun.
        prepared.and_then(|_| self.guarded(|| script.call::<LuaValue>(()))).map(read)
    }

    /// Whether runs have left so much behind that a new machine is the better one.
    pub fn is_worn(&self) -> bool {
        self.lua.used_memory() > WORN
    }

    fn guarded<T>(&self, work: impl FnOnce() -> mlua::Result<T>) -> Result<T, Failure> {
        self.budget.renew();
        work().map_err(|error| match self.budget.is_spent() {
            true => Failure::Time,
            false if is_about_memory(&error) => Failure::Memory,
            false => Failure::Script(reason(&error)),
        })
    }
}

/// An object as scripts see it: nothing is nil, and a list begins at 1.
fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(value) => LuaValue::Number(value.as_f64().unwrap_or(f64::NAN)),
        Value::String(value) => LuaValue::String(lua.create_string(value)?),
        Value::Array(items) => {
            let table: Table = lua.create_table_with_capacity(items.len(), 0)?;
            for (place, item) in items.iter().enumerate() {
                table.raw_set(place + 1, to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(fields) => {
            let table: Table = lua.create_table_with_capacity(0, fields.len())?;
            for (name, field) in fields {
                table.raw_set(name.as_str(), to_lua(lua, field)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

fn is_about_memory(error: &mlua::Error) -> bool {
    match error {
        mlua::Error::MemoryError(_) => true,
        mlua::Error::CallbackError { cause, .. } => is_about_memory(cause),
        _ => false,
    }
}

/// An error in one line, without the way that led to it.
fn reason(error: &mlua::Error) -> String {
    let cause = match error {
        mlua::Error::CallbackError { cause, .. } => return reason(cause),
        mlua::Error::RuntimeError(message) | mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let told = cause.split("\nstack traceback:").next().unwrap_or_default();
    let line = told.lines().next().unwrap_or_default();
    // Where a table lies in memory is another place each time, and nothing may change while nothing changes.
    let line = line.split(": 0x").next().unwrap_or_default();
    line[..line.floor_char_boundary(LONGEST_REASON)].to_owned()
}

#[cfg(test)]
mod tests;
