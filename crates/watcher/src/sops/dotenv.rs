//! Encrypted files of `NAME=value` lines. Line breaks in values are written `\n`.

use super::cipher::Plain;
use super::error::SopsError;
use super::metadata::{Age, Metadata};
use super::{Keys, open};

const PREFIX: &str = "sops_";

/// True where the lines say of themselves how they are encrypted.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("sops_mac="))
}

pub(super) fn decrypt(text: &str, keys: &Keys) -> Result<Vec<u8>, SopsError> {
    let metadata = metadata(text)?;
    let (cipher, mut mac) = open(&metadata, keys)?;
    let mut plain = Vec::new();
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix('#') {
            // Comments are encrypted at no place; they do not count.
            let found = cipher.decrypt(comment, ":").unwrap_or_default();
            plain.push(b'#');
            plain.extend(found.as_ref().map_or(comment.as_bytes(), Plain::bytes));
            plain.push(b'\n');
            continue;
        }
        let Some((name, written)) = line.split_once('=') else {
            return Err(SopsError::Syntax("a line has no =".to_owned()));
        };
        if name.starts_with(PREFIX) {
            continue;
        }
        let written = written.replace("\\n", "\n");
        let found = cipher.decrypt(&written, &format!("{name}:"));
        let found = found.map_err(|_| SopsError::Value { place: name.to_owned() })?;
        let was_encrypted = found.is_some();
        let value = found.unwrap_or(Plain::Text(written.into_bytes()));
        mac.add(&value, was_encrypted);
        plain.extend(name.as_bytes());
        plain.push(b'=');
        match &value {
            Plain::Number(digits) => plain.extend(digits.as_bytes()),
            Plain::Bool(is_true) => plain.extend(is_true.to_string().as_bytes()),
            other => plain.extend(String::from_utf8_lossy(other.bytes()).replace('\n', "\\n").as_bytes()),
        }
        plain.push(b'\n');
    }
    metadata.check(&cipher, mac)?;
    Ok(plain)
}

fn metadata(text: &str) -> Result<Metadata, SopsError> {
    let mut metadata = Metadata::default();
    for (name, value) in text.lines().filter_map(|line| line.strip_prefix(PREFIX)?.split_once('=')) {
        let value = value.replace("\\n", "\n");
        match name {
            "mac" => metadata.mac = value,
            "lastmodified" => metadata.lastmodified = value,
            "mac_only_encrypted" => metadata.mac_only_encrypted = value == "true",
            _ if name.starts_with("key_groups__") => {
                return Err(SopsError::Format("keys that are divided among groups are not supported"));
            }
            _ => {
                let Some((index, field)) =
                    name.strip_prefix("age__list_").and_then(|rest| rest.split_once("__map_"))
                else {
                    continue;
                };
                let index: usize = index.parse().unwrap_or(usize::MAX);
                // In their order, but nobody has a thousand.
                if index >= 1_000 {
                    return Err(SopsError::Metadata("too many recipients".to_owned()));
                }
                if metadata.age.len() <= index {
                    metadata.age.resize(index + 1, Age::default());
                }
                match field {
                    "recipient" => metadata.age[index].recipient = value,
                    "enc" => metadata.age[index].enc = value,
                    _ => {}
                }
            }
        }
    }
    Ok(metadata)
}
