//! Encrypted YAML: values are replaced where they stand, so that all else is as its author wrote it.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::cipher::Plain;
use super::error::SopsError;
use super::json::quoted;
use super::tree::{self, Leaf, Node};
use super::{Keys, METADATA};

/// Nobody nests deeper by hand.
const DEEPEST: usize = 200;

/// None where the text says nothing of SOPS.
pub(super) fn decrypt(path: &str, text: &str, keys: &Keys) -> Result<Option<Vec<u8>>, SopsError> {
    if !text.lines().any(|line| line.starts_with("sops:")) {
        return Ok(None);
    }
    let Documents { mut roots, own } = match read(text) {
        // Whoever writes about encrypted files writes no encrypted file.
        Err(_) if ![".yaml", ".yml"].iter().any(|end| path.ends_with(end)) => return Ok(None),
        read => read?,
    };
    if !tree::decrypt(&mut roots, keys)? {
        return Ok(None);
    }
    let mut edits: Vec<(Range<usize>, String)> =
        own.into_iter().map(|range| (range, String::new())).collect();
    roots.iter().for_each(|root| collect(root, &mut edits));
    edits.sort_by_key(|(range, _)| range.start);
    Ok(Some(edited(text, edits).into_bytes()))
}

/// What is read of a text.
struct Documents {
    roots: Vec<Node>,
    /// Where the part `sops` of each document stands, in characters.
    own: Vec<Range<usize>>,
}

fn read(text: &str) -> Result<Documents, SopsError> {
    let mut reader = Reader { events: Parser::new_from_str(text), own: Vec::new() };
    let mut roots = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(Documents { roots, own: reader.own }),
            (Event::DocumentStart(_), _) => {
                let (event, span) = reader.next()?;
                roots.push(reader.node(event, span, 0)?);
            }
            _ => {}
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    own: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SopsError> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(SopsError::Syntax(error.to_string())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SopsError> {
        if depth > DEEPEST {
            return Err(SopsError::Format("it is nested too deeply"));
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let at = span.start.index()..span.end.index();
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if is_plain { resolve(&text) } else { Plain::Text(text.as_bytes().to_vec()) };
                Ok(Node::Leaf(Leaf::new(value, at)))
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => return Ok(Node::List(items)),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => self.mapping(depth),
            Event::Alias(_) => Err(SopsError::Format("it has references (*name), which sops never writes")),
            _ => Err(SopsError::Syntax("it ends too early".to_owned())),
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node, SopsError> {
        let mut entries = Vec::new();
        let mut begun = None;
        loop {
            let (key, span) = self.next()?;
            if let Some(start) = begun.take() {
                self.own.push(start..span.start.index());
            }
            match key {
                Event::MappingEnd => return Ok(Node::Map(entries)),
                Event::Scalar(key, ..) => {
                    if depth == 0 && key == METADATA {
                        begun = Some(span.start.index());
                    }
                    let (event, span) = self.next()?;
                    entries.push((key.into_owned(), self.node(event, span, depth + 1)?));
                }
                _ => return Err(SopsError::Syntax("a key is no text".to_owned())),
            }
        }
    }
}

/// What a scalar without quotes is to SOPS, which reads by YAML 1.2.
fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        _ if is_number(text) => Plain::Number(text.to_owned()),
        _ => Plain::Text(text.as_bytes().to_vec()),
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.ends_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.parse::<f64>().is_ok()
}

/// The replacements of what was encrypted below a node.
fn collect(node: &Node, edits: &mut Vec<(Range<usize>, String)>) {
    match node {
        Node::Map(entries) => entries.iter().for_each(|(_, node)| collect(node, edits)),
        Node::List(items) => items.iter().for_each(|node| collect(node, edits)),
        Node::Leaf(leaf) if leaf.was_encrypted => edits.push((leaf.at.clone(), written(&leaf.value))),
        Node::Leaf(_) => {}
    }
}

fn written(value: &Plain) -> String {
    match value {
        Plain::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if is_plain(text) => text.to_owned(),
            _ => quoted(bytes),
        },
        Plain::Number(digits) => digits.clone(),
        Plain::Bool(is_true) => is_true.to_string(),
        Plain::Null => "null".to_owned(),
    }
}

/// Whether a text stands for itself without quotes, whoever reads it.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 12] =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The text with ranges of its characters replaced; they are sorted and do not overlap.
fn edited(text: &str, edits: Vec<(Range<usize>, String)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut edits = edits.into_iter().peekable();
    let mut skipped_to = 0;
    for (index, character) in text.chars().enumerate() {
        while let Some((range, replacement)) = edits.next_if(|(range, _)| range.start <= index) {
            out.push_str(&replacement);
            skipped_to = skipped_to.max(range.end);
        }
        if index >= skipped_to {
            out.push(character);
        }
    }
    out
}
