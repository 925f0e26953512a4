//! Answers, small ones as text in memory, large ones on disk: within a limit, their digest taken on the way.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use reqwest::Response;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::error::WebError;

/// An answer on disk, in a file that has no name and goes when nobody reads it any more.
#[derive(Clone, Debug)]
pub struct Downloaded {
    file: Arc<File>,
    /// Bytes.
    pub size: u64,
    /// The SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Downloaded {
    /// Reads it from its beginning. Any number may read at once.
    pub fn reader(&self) -> FileReader {
        FileReader { file: self.file.clone(), at: 0 }
    }
}

/// Reads a file without moving whatever others read of it.
pub struct FileReader {
    file: Arc<File>,
    at: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// Writes the body of an answer to disk, in a folder that is made if need be.
pub async fn download(mut response: Response, folder: &Path, limit: u64) -> Result<Downloaded, WebError> {
    refuse_long(&response, limit)?;
    let file = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    let mut file = tokio::fs::File::from_std(file.map_err(WebError::of_disk)?);
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(part) = response.chunk().await.map_err(WebError::of_request)? {
        size += part.len() as u64;
        if size > limit {
            return Err(too_long(limit));
        }
        hash.update(&part);
        file.write_all(&part).await.map_err(WebError::of_disk)?;
    }
    file.flush().await.map_err(WebError::of_disk)?;
    let file = Arc::new(file.into_std().await);
    Ok(Downloaded { file, size, sha256: hex::encode(hash.finalize()) })
}

/// The body of an answer that is small.
pub async fn text(mut response: Response, limit: u64) -> Result<Vec<u8>, WebError> {
    refuse_long(&response, limit)?;
    let mut text = Vec::new();
    while let Some(part) = response.chunk().await.map_err(WebError::of_request)? {
        text.extend_from_slice(&part);
        if text.len() as u64 > limit {
            return Err(too_long(limit));
        }
    }
    Ok(text)
}

fn refuse_long(response: &Response, limit: u64) -> Result<(), WebError> {
    match response.content_length() {
        Some(length) if length > limit => Err(too_long(limit)),
        _ => Ok(()),
    }
}

fn too_long(limit: u64) -> WebError {
    WebError::Failed(format!("the answer has more than {} MiB", limit >> 20))
}
