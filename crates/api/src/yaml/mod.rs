//! YAML as Kubernetes tools read it: text comes in, one JSON value per document goes out.
//!
//! The syntax is a parser's, the meaning of scalars is `scalar`'s, and this file puts documents together: anchors, aliases,
//! merge keys and the bounds that keep a hostile file from eating memory or stack. It knows no Kubernetes objects.

mod scalar;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use scalar::Scalar;
pub use scalar::number;

/// How deeply values may be nested. Readers of the bundle stop at 128 levels, and a list of objects adds some.
pub const MAX_DEPTH: usize = 120;

/// What the aliases of one text may add to it, in bytes of text and sixteen for each value.
const MAX_ALIASED: usize = 8 * 1024 * 1024;

/// Why a text is not YAML, and the line (from 1) where that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct YamlError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// Reads the documents of `text` one after the other; after an error comes nothing more.
///
/// An empty document is `Value::Null`. Of equal keys the last one wins.
pub fn documents(text: &str) -> Documents<'_> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Documents { text, events: Parser::new_from_str(text), ended: false, anchors: HashMap::new(), aliased: 0 }
}

/// The documents of a text: see [`documents`].
pub struct Documents<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    ended: bool,
    anchors: HashMap<usize, Anchored>,
    aliased: usize,
}

/// What an anchor stands for, and what each of its aliases costs.
struct Anchored {
    node: Node,
    cost: usize,
}

/// A value that may still become a key.
#[derive(Clone)]
enum Node {
    Scalar(Scalar),
    Sequence(Vec<Value>),
    Mapping(Map<String, Value>),
}

impl Iterator for Documents<'_> {
    type Item = Result<Value, YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        // The whole text is looked at once, before its first document.
        let document = match unprintable(std::mem::take(&mut self.text)) {
            Some(error) => Some(Err(error)),
            None => self.document().transpose(),
        };
        self.ended = !matches!(document, Some(Ok(_)));
        document
    }
}

impl<'a> Documents<'a> {
    fn document(&mut self) -> Result<Option<Value>, YamlError> {
        loop {
            match self.event()? {
                (Event::DocumentStart(_), _) => break,
                (Event::StreamEnd, _) => return Ok(None),
                _ => {}
            }
        }
        self.anchors.clear();
        let (event, span) = self.event()?;
        let value = self.value(event, span, 0)?;
        Ok(Some(value))
    }

    fn event(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(error.into()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, YamlError> {
        match self.node(event, span, depth)? {
            Node::Scalar(scalar) => scalar.into_value().map_err(at(span)),
            Node::Sequence(items) => Ok(Value::Array(items)),
            Node::Mapping(map) => Ok(Value::Object(map)),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(at(span)(format!("values are nested more than {MAX_DEPTH} levels deep")));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().map(whole_tag);
                let plain = matches!(style, ScalarStyle::Plain);
                let scalar = scalar::resolve(&text, tag.as_deref(), plain).map_err(at(span))?;
                (anchor, Node::Scalar(scalar))
            }
            Event::SequenceStart(anchor, _) => (anchor, Node::Sequence(self.sequence(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, Node::Mapping(self.mapping(depth)?)),
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            _ => return Err(at(span)("a value is missing".to_owned())),
        };
        if anchor > 0 {
            let cost = node.cost();
            self.anchors.insert(anchor, Anchored { node: node.clone(), cost });
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Value>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.event()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.value(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Map<String, Value>, YamlError> {
        let mut map = Map::new();
        loop {
            let (event, span) = self.event()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(map);
            }
            if is_merge(&event) {
                let (event, span) = self.event()?;
                let merged = self.value(event, span, depth + 1)?;
                merge(&mut map, merged).map_err(at(span))?;
                continue;
            }
            let key = match self.node(event, span, depth + 1)? {
                Node::Scalar(scalar) => scalar.into_key().map_err(at(span))?,
                _ => return Err(at(span)("a map or a list cannot be a key".to_owned())),
            };
            let (event, span) = self.event()?;
            map.insert(key, self.value(event, span, depth + 1)?);
        }
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, YamlError> {
        // An anchor is known once its value is complete, hence a value cannot contain itself.
        let anchored = self
            .anchors
            .get(&anchor)
            .ok_or_else(|| at(span)("an alias stands inside the value that it names".to_owned()))?;
        self.aliased += anchored.cost;
        if self.aliased > MAX_ALIASED {
            return Err(at(span)("aliases make the document too large".to_owned()));
        }
        if depth + anchored.node.depth() > MAX_DEPTH {
            return Err(at(span)(format!("values are nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(anchored.node.clone())
    }
}

impl Node {
    fn cost(&self) -> usize {
        match self {
            Self::Scalar(Scalar::Text(text)) => 16 + text.len(),
            Self::Scalar(_) => 16,
            Self::Sequence(items) => 16 + items.iter().map(cost).sum::<usize>(),
            Self::Mapping(map) => 16 + map.iter().map(|(key, value)| key.len() + cost(value)).sum::<usize>(),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Scalar(_) => 0,
            Self::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Self::Mapping(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        }
    }
}

fn cost(value: &Value) -> usize {
    match value {
        Value::String(text) => 16 + text.len(),
        Value::Array(items) => 16 + items.iter().map(cost).sum::<usize>(),
        Value::Object(map) => 16 + map.iter().map(|(key, value)| key.len() + cost(value)).sum::<usize>(),
        _ => 16,
    }
}

/// The first character that no YAML may hold.
fn unprintable(text: &str) -> Option<YamlError> {
    let index = text.find(|c: char| {
        matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}')
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    })?;
    let line = 1 + text[..index].matches('\n').count();
    Some(YamlError { line, reason: "control characters are not allowed".to_owned() })
}

/// How many levels of maps and lists `value` has.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn is_merge(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(text, style, _, tag) if text == "<<" => match tag.as_deref().map(whole_tag) {
            None => matches!(style, ScalarStyle::Plain),
            Some(tag) => tag == "tag:yaml.org,2002:merge" || tag == "!",
        },
        _ => false,
    }
}

/// Puts the keys of what `<<` names into `map`; of a list the earlier maps win.
fn merge(map: &mut Map<String, Value>, merged: Value) -> Result<(), String> {
    let not_a_map = || "a merge key (<<) takes a map or a list of maps".to_owned();
    match merged {
        Value::Object(merged) => map.extend(merged),
        Value::Array(items) => {
            for item in items.into_iter().rev() {
                let Value::Object(item) = item else {
                    return Err(not_a_map());
                };
                map.extend(item);
            }
        }
        _ => return Err(not_a_map()),
    }
    Ok(())
}

fn whole_tag(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn at(span: Span) -> impl Fn(String) -> YamlError {
    move |reason| YamlError { line: span.start.line().max(1), reason }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line().max(1), reason: error.info().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Vec<Value>, YamlError> {
        documents(text).collect()
    }

    #[test]
    fn documents_are_separate_and_empty_ones_are_null() {
        let read = read("a: 1\n---\n# nothing\n---\n- 2\n...\n---\n").expect("it parses");
        assert_eq!(read, [json!({"a": 1}), Value::Null, json!([2]), Value::Null]);
    }

    #[test]
    fn documents_before_an_error_are_read_and_the_error_names_its_line() {
        let mut read = documents("a: 1\n---\nb: [\n");
        assert_eq!(read.next(), Some(Ok(json!({"a": 1}))));
        assert_eq!(read.next().and_then(Result::err).map(|error| error.line), Some(4));
        assert_eq!(read.next(), None);
    }

    #[test]
    fn an_error_in_a_value_names_its_line() {
        let error = read("a: 1\nb:\n  c: .inf\n").expect_err("JSON has no infinity");
        assert_eq!(error.to_string(), "line 3: infinity and not-a-number have no place in a manifest");
    }

    #[test]
    fn anchors_end_with_their_document() {
        assert!(read("a: &x 1\n---\nb: *x\n").is_err());
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let inner = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![inner; 10].join(", ")));
        }
        let error = read(&bomb).expect_err("a bomb");
        assert!(error.reason.contains("aliases"), "{error}");
    }

    #[test]
    fn nesting_beyond_the_limit_is_refused_also_through_aliases() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(read(&nested(MAX_DEPTH + 2)).is_err());
        assert!(read(&nested(200_000)).is_err());
        let half = nested(MAX_DEPTH / 2 + 2);
        assert!(read(&format!("a: &x {half}\nb: {}*x{}\n", "[".repeat(70), "]".repeat(70))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[\\PC\n\t{}\\[\\]:,&*!|>'\"#?% -]{0,60}") {
            let _ = read(&text);
        }
    }
}
