//! Leaves out of an index, line by line, what does not concern one chart, before a parser sees it: parsing all of a
//! large index takes a hundred times as long.
//!
//! It knows one way of writing, in which every tool writes indexes: nested blocks, each key on a line of its own. As
//! soon as something else shows, everything from there on is passed on as it is. It never reports an error: whatever
//! is odd is the parser's to judge.

use std::io::{self, BufRead, Read};

/// The longest line.
const LONGEST: u64 = 1 << 20;
/// What is of use in a version of the chart.
const WANTED: [&str; 3] = ["version", "urls", "digest"];

/// The lines of an index that concern a chart.
pub(super) struct Narrowed<'a, R> {
    index: R,
    filter: Filter<'a>,
    line: Vec<u8>,
    /// How much of the line was read.
    at: usize,
}

impl<'a, R: BufRead> Narrowed<'a, R> {
    pub(super) fn new(index: R, chart: &'a str) -> Self {
        Self { index, filter: Filter::new(chart), line: Vec::new(), at: 0 }
    }

    /// Reads on until a line is to be kept; an empty one is the end.
    fn next_line(&mut self) -> io::Result<()> {
        loop {
            self.line.clear();
            self.at = 0;
            let length = self.index.by_ref().take(LONGEST).read_until(b'\n', &mut self.line)?;
            if length as u64 == LONGEST {
                return Err(io::Error::other("a line of it has more than 1 MiB"));
            }
            if length == 0 {
                return Ok(());
            }
            match self.filter.look(&self.line) {
                Verdict::Keep => return Ok(()),
                Verdict::Drop => {}
                Verdict::Dash(indent) => {
                    self.line = [b" ".repeat(indent).as_slice(), b"-\n"].concat();
                    return Ok(());
                }
            }
        }
    }
}

impl<R: BufRead> Read for Narrowed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            self.next_line()?;
        }
        let length = buffer.len().min(self.line.len() - self.at);
        buffer[..length].copy_from_slice(&self.line[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Drop,
    /// Of a line that begins a version with something of no use, only the dash is kept, at this indentation.
    Dash(usize),
}

/// Where in the index a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Outside of the entries.
    Outside,
    /// In the entries, in no chart or in another one.
    Elsewhere,
    /// In the chart.
    Chart,
    /// Where nothing is left out any more.
    Unknown,
}

struct Filter<'a> {
    chart: &'a str,
    place: Place,
    /// How far the names of charts are indented, once that is known.
    charts: Option<usize>,
    /// How far the dashes are that begin the chart's versions.
    dashes: Option<usize>,
    /// How far the keys of the version are.
    keys: Option<usize>,
    /// Whether the key's value is kept.
    is_wanted: bool,
}

impl<'a> Filter<'a> {
    fn new(chart: &'a str) -> Self {
        Self { chart, place: Place::Outside, charts: None, dashes: None, keys: None, is_wanted: false }
    }

    fn look(&mut self, line: &[u8]) -> Verdict {
        let line = line.trim_ascii_end();
        let indent = line.iter().take_while(|byte| **byte == b' ').count();
        let content = &line[indent..];
        if self.place == Place::Unknown {
            return Verdict::Keep;
        }
        if indent == 0 && !content.is_empty() && !content.starts_with(b"#") {
            return self.begin(content);
        }
        if self.place == Place::Outside {
            return Verdict::Keep;
        }
        if content.is_empty() || content.starts_with(b"#") {
            return Verdict::Drop;
        }
        let charts = *self.charts.get_or_insert(indent);
        match indent.cmp(&charts) {
            std::cmp::Ordering::Less => self.give_up(),
            std::cmp::Ordering::Equal if !is_dash(content) => self.chart(content),
            _ if self.place == Place::Chart => self.within(indent, content),
            _ => Verdict::Drop,
        }
    }

    fn give_up(&mut self) -> Verdict {
        self.place = Place::Unknown;
        Verdict::Keep
    }

    /// A line at the margin.
    fn begin(&mut self, content: &[u8]) -> Verdict {
        (self.place, self.charts) = match content {
            b"entries:" => (Place::Elsewhere, None),
            _ => (Place::Outside, None),
        };
        Verdict::Keep
    }

    /// A line with the name of a chart.
    fn chart(&mut self, content: &[u8]) -> Verdict {
        let Some((name, value)) = key(content) else { return self.give_up() };
        if name != self.chart.as_bytes() {
            self.place = Place::Elsewhere;
            return Verdict::Drop;
        }
        if !value.is_empty() {
            return self.give_up();
        }
        (self.place, self.dashes, self.keys) = (Place::Chart, None, None);
        Verdict::Keep
    }

    /// A line of the chart.
    fn within(&mut self, indent: usize, content: &[u8]) -> Verdict {
        let dashes = *self.dashes.get_or_insert(indent);
        if indent == dashes && is_dash(content) {
            let rest = content[1..].trim_ascii_start();
            if rest.is_empty() {
                self.keys = None;
                return Verdict::Keep;
            }
            self.keys = Some(indent + content.len() - rest.len());
            return match self.field(rest) {
                Verdict::Drop => Verdict::Dash(indent),
                other => other,
            };
        }
        let keys = *self.keys.get_or_insert(indent);
        match indent.cmp(&keys) {
            std::cmp::Ordering::Less => self.give_up(),
            std::cmp::Ordering::Equal if !is_dash(content) => self.field(content),
            _ if self.is_wanted => Verdict::Keep,
            _ => Verdict::Drop,
        }
    }

    /// A line with a key of the version.
    fn field(&mut self, content: &[u8]) -> Verdict {
        let Some((name, _)) = key(content) else { return self.give_up() };
        self.is_wanted = WANTED.iter().any(|wanted| wanted.as_bytes() == name);
        if self.is_wanted { Verdict::Keep } else { Verdict::Drop }
    }
}

fn is_dash(content: &[u8]) -> bool {
    content == b"-" || content.starts_with(b"- ")
}

/// A plain or quoted key and what follows it on its line; none where it is written in any other way.
fn key(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = match content.first()? {
        quote @ (b'"' | b'\'') => {
            let end = content[1..].iter().position(|byte| byte == quote)?;
            (&content[1..=end], content[end + 2..].strip_prefix(b":")?)
        }
        first if first.is_ascii_alphanumeric() => {
            let end = content.iter().position(|byte| *byte == b':')?;
            (&content[..end], &content[end + 1..])
        }
        _ => return None,
    };
    let is_key = rest.is_empty() || rest.starts_with(b" ");
    (is_key && !name.contains(&b'\\')).then(|| (name, rest.trim_ascii_start()))
}
