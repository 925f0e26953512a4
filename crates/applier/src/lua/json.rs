//! What a script made, as JSON.
//!
//! What comes in: a Lua value, and the JSON that it was before where there is one: Lua has one empty table, and JSON two.
//! What goes out: JSON, or what in it no JSON can say.

use mlua::{Table, Value as LuaValue};
use serde_json::{Map, Number, Value};

/// Tables within tables beyond which one is taken to contain itself.
const DEEPEST: usize = 64;

/// The JSON of a value; `before` is what it was.
pub fn of(value: &LuaValue, before: Option<&Value>) -> Result<Value, String> {
    at(value, before, DEEPEST)
}

fn at(value: &LuaValue, before: Option<&Value>, depth: usize) -> Result<Value, String> {
    Ok(match value {
        LuaValue::Nil => Value::Null,
        LuaValue::Boolean(value) => Value::Bool(*value),
        LuaValue::Integer(value) => Value::from(*value),
        LuaValue::Number(value) => number(*value)?,
        LuaValue::String(text) => Value::String(text.to_string_lossy()),
        LuaValue::Table(_) if depth == 0 => {
            return Err("it made a table that contains itself".to_owned());
        }
        LuaValue::Table(table) => of_table(table, before, depth - 1)?,
        other => return Err(format!("it made a {}, which is no JSON", other.type_name())),
    })
}

/// Lua has no whole numbers, and Kubernetes takes no others for most fields.
fn number(value: f64) -> Result<Value, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Ok(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number).ok_or_else(|| format!("it made the number {value}"))
}

fn of_table(table: &Table, before: Option<&Value>, depth: usize) -> Result<Value, String> {
    let length = table.raw_len();
    let failed = |error: mlua::Error| error.to_string();
    if length > 0 {
        let item = |place: usize| {
            let value: LuaValue = table.raw_get(place + 1).map_err(failed)?;
            at(&value, before.and_then(|before| before.get(place)), depth)
        };
        return (0..length).map(item).collect::<Result<_, _>>().map(Value::Array);
    }
    let mut fields = Map::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (name, value) = pair.map_err(failed)?;
        let LuaValue::String(name) = name else {
            return Err(format!("it made a field whose name is a {}", name.type_name()));
        };
        let name = name.to_string_lossy();
        let value = at(&value, before.and_then(|before| before.get(&name)), depth)?;
        fields.insert(name, value);
    }
    let was_list = before.is_some_and(Value::is_array);
    Ok(if fields.is_empty() && was_list { Value::Array(Vec::new()) } else { Value::Object(fields) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lua::Machine;

    fn made(script: &str, object: &Value) -> Result<Value, String> {
        let machine = Machine::new().expect("a machine");
        let script = machine.compile(script).expect("a script");
        machine.run(&script, true, object, |returned| of(&returned, Some(object))).expect("it ends")
    }

    #[test]
    fn an_object_that_is_given_back_is_the_same() {
        let object = json!({
            "metadata": {"name": "web", "labels": {}, "finalizers": []},
            "spec": {"replicas": 3, "ratio": 0.5, "paused": false, "items": [{"a": []}, {}]},
        });
        assert_eq!(made("return obj", &object), Ok(object));
    }

    #[test]
    fn what_no_json_can_say_is_told() {
        let cases = [
            ("obj.self = obj return obj", "contains itself"),
            ("return {f = print or pairs}", "a function"),
            ("return {n = 1 / 0}", "the number inf"),
            ("return {[true] = 1}", "whose name is a boolean"),
        ];
        for (script, word) in cases {
            let told = made(script, &json!({})).expect_err(script);
            assert!(told.contains(word), "{word:?} is not in: {told}");
        }
    }
}
