//! The index of a Helm repository, read as a stream: an index of many megabytes costs no more memory than one of its
//! entries.
//!
//! What comes in: the text, YAML or JSON, as anybody may have made it, and the name of a chart. What goes out: the
//! chart's versions, one by one. What it does not do: choose one of them, or know where the text came from.

mod entries;
mod narrow;

use std::io::{self, BufRead};

use serde::de::DeserializeSeed;
use serde_saphyr::{DuplicateKeyPolicy, Options};

pub use entries::Entry;

use entries::Index;
use narrow::Narrowed;

/// Parts of YAML that an index may have once all but one chart is left out of it.
const MOST_EVENTS: usize = 20_000_000;

/// Why an index is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its index cannot be read: {reason}")]
pub struct IndexError {
    reason: String,
}

/// Reads an index to its end and hands out the versions of a chart. Says whether the chart is in it at all.
pub fn read(mut index: impl BufRead, chart: &str, mut take: impl FnMut(Entry)) -> Result<bool, IndexError> {
    let failed = |error: io::Error| IndexError { reason: error.to_string() };
    let entries = Index { chart, take: &mut take };
    if begins_with_brace(&mut index).map_err(failed)? {
        let mut json = serde_json::Deserializer::from_reader(index);
        let found = entries.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
        return found.map_err(|error| IndexError { reason: error.to_string() });
    }
    let narrowed = Narrowed::new(index, chart);
    serde_saphyr::with_deserializer_from_reader_with_options(narrowed, options(), |yaml| {
        entries.deserialize(yaml)
    })
    .map_err(|error| IndexError { reason: reason(&error) })
}

/// Skips blanks.
fn begins_with_brace(index: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = index.fill_buf()?;
        match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => return Ok(buffer[at] == b'{'),
            None if buffer.is_empty() => return Ok(false),
            None => {
                let length = buffer.len();
                index.consume(length);
            }
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    // What is passed on need not be kept to look for it again.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    if let Some(budget) = &mut options.budget {
        budget.max_events = MOST_EVENTS;
        budget.max_nodes = MOST_EVENTS;
        budget.max_total_scalar_bytes = usize::MAX;
    }
    options
}

/// The cause at the bottom. The parser shows the place in the text as well, on lines of its own.
fn reason(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => reason(cause),
        None => error.to_string().lines().next().unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests;
