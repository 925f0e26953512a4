//! The functions on strings that can take long within one instruction, written so that they cannot: search and
//! replacement by patterns, and repetition.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use mlua::{Error, Function, IntoLuaMulti, Lua, LuaString, MultiValue, Result, Table, Value};
use regex::bytes::Captures;

use super::{
    budget::{Budget, CALL},
    patterns::Pattern,
};

/// Patterns that are kept ready.
const KNOWN: usize = 32;
/// How long a repetition may become: a text that long is no message, and no object.
const LONGEST: usize = 4 << 20;

/// A pattern as it is written, and whether it may be anchored.
type PatternKey = (Vec<u8>, bool);

/// What all functions here share.
struct Texts {
    budget: Rc<Budget>,
    patterns: RefCell<HashMap<PatternKey, Rc<Pattern>>>,
}

/// Puts these functions in the place of Lua's own.
pub fn replace(lua: &Lua, string: &Table, budget: &Rc<Budget>) -> Result<()> {
    let texts = Rc::new(Texts { budget: budget.clone(), patterns: RefCell::default() });
    for name in ["dump", "gfind"] {
        string.set(name, Value::Nil)?;
    }
    string.set("rep", lua.create_function(repeat)?)?;
    let shared = texts.clone();
    string.set("find", lua.create_function(move |lua, arguments| shared.find(lua, arguments))?)?;
    let shared = texts.clone();
    string.set("match", lua.create_function(move |lua, arguments| shared.matched(lua, arguments))?)?;
    let shared = texts.clone();
    string
        .set("gmatch", lua.create_function(move |lua, arguments| shared.clone().iterate(lua, &arguments))?)?;
    string.set("gsub", lua.create_function(move |lua, arguments| texts.substitute(lua, arguments))?)
}

fn repeat(lua: &Lua, (text, times): (LuaString, f64)) -> Result<LuaString> {
    let text = text.as_bytes();
    // Less than once is never, as in Lua; more than can be is refused below.
    let times = times as usize;
    match text.len().checked_mul(times) {
        Some(0) => lua.create_string(b""),
        Some(length) if length <= LONGEST => lua.create_string(text.repeat(times)),
        _ => Err(Error::runtime("resulting string too large")),
    }
}

type Search = (LuaString, LuaString, Option<f64>, Option<Value>);

impl Texts {
    fn pattern(&self, pattern: &LuaString, may_anchor: bool) -> Result<Rc<Pattern>> {
        self.budget.spend(CALL)?;
        let key = (pattern.as_bytes().to_vec(), may_anchor);
        if let Some(known) = self.patterns.borrow().get(&key) {
            return Ok(known.clone());
        }
        let parsed = Rc::new(Pattern::parse(&key.0, may_anchor).map_err(Error::runtime)?);
        let mut patterns = self.patterns.borrow_mut();
        if patterns.len() >= KNOWN {
            patterns.clear();
        }
        patterns.insert(key, parsed.clone());
        Ok(parsed)
    }

    fn find(&self, lua: &Lua, (text, pattern, from, plain): Search) -> Result<MultiValue> {
        let text = text.as_bytes();
        let start = start(text.len(), from);
        if plain.is_some_and(|plain| plain.as_boolean() != Some(false) && !plain.is_nil()) {
            self.budget.spend(CALL)?;
            let wanted = pattern.as_bytes();
            return match memchr::memmem::find(&text[start..], &wanted) {
                Some(place) => (start + place + 1, start + place + wanted.len()).into_lua_multi(lua),
                None => nothing(lua),
            };
        }
        let pattern = self.pattern(&pattern, true)?;
        let Some(found) = pattern.regex.captures(&text[start..]) else { return nothing(lua) };
        let (from, to) = bounds(&found);
        let mut returned = captured(lua, &pattern, &found, start, false)?;
        returned.push_front(Value::Number((start + to) as f64));
        returned.push_front(Value::Number((start + from + 1) as f64));
        Ok(returned)
    }

    fn matched(
        &self,
        lua: &Lua,
        (text, pattern, from): (LuaString, LuaString, Option<f64>),
    ) -> Result<MultiValue> {
        let text = text.as_bytes();
        let start = start(text.len(), from);
        let pattern = self.pattern(&pattern, true)?;
        match pattern.regex.captures(&text[start..]) {
            Some(found) => captured(lua, &pattern, &found, start, true),
            None => nothing(lua),
        }
    }

    fn iterate(self: Rc<Self>, lua: &Lua, (text, pattern): &(LuaString, LuaString)) -> Result<Function> {
        let pattern = self.pattern(pattern, false)?;
        // A copy would not count as memory of the script's.
        let text = text.clone();
        let mut start = 0;
        lua.create_function_mut(move |lua, ()| {
            self.budget.spend(CALL)?;
            let text = text.as_bytes();
            let Some(found) = text.get(start..).and_then(|rest| pattern.regex.captures(rest)) else {
                return nothing(lua);
            };
            let (from, to) = bounds(&found);
            let returned = captured(lua, &pattern, &found, start, true)?;
            start += if from == to { to + 1 } else { to };
            Ok(returned)
        })
    }

    fn substitute(
        &self,
        lua: &Lua,
        (text, pattern, replacement, most): (LuaString, LuaString, Value, Option<f64>),
    ) -> Result<(LuaString, usize)> {
        let text = text.as_bytes();
        let pattern = self.pattern(&pattern, true)?;
        let most = most.map_or(usize::MAX, |most| most as usize);
        let (mut result, mut start, mut times) = (Vec::new(), 0, 0);
        while times < most
            && start <= text.len()
            && let Some(found) = pattern.regex.captures(&text[start..])
        {
            self.budget.spend(CALL)?;
            times += 1;
            let (from, to) = bounds(&found);
            result.extend_from_slice(&text[start..start + from]);
            let whole = &text[start + from..start + to];
            self.put(lua, &mut result, &replacement, whole, captured(lua, &pattern, &found, start, true)?)?;
            if result.len() > LONGEST {
                return Err(Error::runtime("resulting string too large"));
            }
            start += to;
            if from == to {
                result.extend(text.get(start));
                start += 1;
            }
            if pattern.anchored {
                break;
            }
        }
        result.extend_from_slice(text.get(start..).unwrap_or_default());
        Ok((lua.create_string(result)?, times))
    }

    /// What stands in the place of one match.
    fn put(
        &self,
        lua: &Lua,
        result: &mut Vec<u8>,
        replacement: &Value,
        whole: &[u8],
        groups: MultiValue,
    ) -> Result<()> {
        let first = groups.front().cloned().unwrap_or_default();
        let value = match replacement {
            Value::String(template) => return fill(lua, result, &template.as_bytes(), whole, &groups),
            Value::Number(_) | Value::Integer(_) => replacement.clone(),
            Value::Table(table) => self.budget.nested(|| table.get::<Value>(first))?,
            Value::Function(function) => self.budget.nested(|| function.call::<Value>(groups))?,
            other => {
                let name = other.type_name();
                return Err(Error::runtime(format!(
                    "bad argument #3 to 'gsub' (string/function/table expected, got {name})"
                )));
            }
        };
        match value {
            Value::Nil | Value::Boolean(false) => result.extend_from_slice(whole),
            Value::Table(_) | Value::Function(_) | Value::Boolean(true) => {
                return Err(Error::runtime(format!("invalid replacement value (a {})", value.type_name())));
            }
            value => append(lua, result, value)?,
        }
        Ok(())
    }
}

/// A template with its `%0` to `%9` filled in.
fn fill(lua: &Lua, result: &mut Vec<u8>, template: &[u8], whole: &[u8], groups: &MultiValue) -> Result<()> {
    let mut letters = template.iter();
    while let Some(letter) = letters.next() {
        if *letter != b'%' {
            result.push(*letter);
            continue;
        }
        match letters.next() {
            Some(b'0') => result.extend_from_slice(whole),
            Some(digit @ b'1'..=b'9') => {
                let group = groups.get(usize::from(digit - b'1')).cloned();
                append(lua, result, group.ok_or_else(|| Error::runtime("invalid capture index"))?)?;
            }
            Some(other) => result.push(*other),
            None => {}
        }
    }
    Ok(())
}

fn append(lua: &Lua, result: &mut Vec<u8>, value: Value) -> Result<()> {
    if let Some(text) = lua.coerce_string(value)? {
        result.extend_from_slice(&text.as_bytes());
    }
    Ok(())
}

/// Where a search begins, counted from 0, at most at the end. Lua counts from 1, and from the end below 0.
fn start(length: usize, from: Option<f64>) -> usize {
    let from = from.unwrap_or(1.0);
    let start =
        if from < 0.0 { length.saturating_sub(-from as usize) } else { (from as usize).saturating_sub(1) };
    start.min(length)
}

fn bounds(found: &Captures<'_>) -> (usize, usize) {
    found.get(0).map_or((0, 0), |whole| (whole.start(), whole.end()))
}

/// The groups of a match; where there are none and the whole counts as one, that.
fn captured(
    lua: &Lua,
    pattern: &Pattern,
    found: &Captures<'_>,
    offset: usize,
    or_whole: bool,
) -> Result<MultiValue> {
    let skipped = usize::from(!(pattern.positions.is_empty() && or_whole));
    let groups = found.iter().skip(skipped).enumerate().map(|(group, capture)| {
        let Some(capture) = capture else { return Ok(Value::Nil) };
        match pattern.positions.get(group) {
            Some(true) => Ok(Value::Number((offset + capture.start() + 1) as f64)),
            _ => lua.create_string(capture.as_bytes()).map(Value::String),
        }
    });
    groups.collect()
}

fn nothing(lua: &Lua) -> Result<MultiValue> {
    Value::Nil.into_lua_multi(lua)
}
