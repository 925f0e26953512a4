//! Health by a script of the installation's: what it returned, put into our words.
//!
//! What comes in: the value that a script returned. What goes out: a health, or none, as for a kind without a rule.

use ithaca_api::HealthStatusCode;
use mlua::{Table, Value};

use super::Health;

/// How long a message may be. It is kept for every object and stands in the Application's status.
const LONGEST: usize = 1024;

/// Reads `{status = "Healthy", message = "all is well"}`. Nothing, or a table of nothing, is no health.
pub(crate) fn read(returned: &Value) -> Result<Option<Health>, String> {
    match returned {
        Value::Nil => Ok(None),
        Value::Table(table) => read_table(table),
        other => Err(format!("it returned a {}; return a table with status and message", other.type_name())),
    }
}

fn read_table(table: &Table) -> Result<Option<Health>, String> {
    let field = |name: &str| table.raw_get::<Value>(name).map_err(|error| error.to_string());
    let (status, message) = (field("status")?, field("message")?);
    if status.is_nil() && message.is_nil() {
        return Ok(None);
    }
    let status = text(&status).ok_or("it returned no status")?;
    let known = HealthStatusCode::parse(&status).ok_or_else(|| {
        format!(
            "Lua returned an invalid health status: {status:?}; \
             there are Healthy, Progressing, Degraded, Suspended, Missing and Unknown"
        )
    })?;
    let mut message = match &message {
        Value::Nil => String::new(),
        given => text(given).ok_or_else(|| format!("its message is a {}", given.type_name()))?,
    };
    message.truncate(message.floor_char_boundary(LONGEST));
    Ok(Some(Health { status: known, message }))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string_lossy()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
