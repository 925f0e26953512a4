//! Values that may have nearly a megabyte of JSON, in no more memory than that takes.
//!
//! In: a value. Out: how long its JSON is, or the JSON.

use std::io::{self, Write};

use serde::Serialize;

/// Bytes of JSON of a value.
///
/// # Errors
/// When the value cannot be told in JSON.
pub fn length(value: &impl Serialize) -> serde_json::Result<usize> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value)?;
    Ok(length.0)
}

/// The JSON of a value, in no more room than it takes: a buffer that grows has up to twice that, and half of it besides
/// while it grows.
///
/// # Errors
/// When the value cannot be told in JSON.
pub fn exact(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = Vec::with_capacity(length(value)?);
    serde_json::to_writer(&mut json, value)?;
    Ok(json)
}

/// Counts what is written, and keeps nothing of it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_takes_no_more_room_than_it_has_bytes() {
        let value: Vec<String> = (0..30_000).map(|number| format!("object-{number} \"ü\"")).collect();
        let json = exact(&value).expect("JSON");
        assert_eq!((json.len(), json.capacity()), (length(&value).expect("JSON"), json.len()));
        assert_eq!(serde_json::from_slice::<Vec<String>>(&json).expect("what it was"), value);
    }
}
