//! Contents that were had from Git LFS, on disk beside a repository's cache: each is fetched once.
//!
//! In: answers of servers. Out: contents, which are what their pointers say or are not there.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::Response;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::Pointer;
use crate::web::WebError;

/// How many bytes are kept; beyond that the oldest go.
const MOST: u64 = 1 << 30;

/// The contents of one repository.
#[derive(Clone, Debug)]
pub struct Objects {
    folder: PathBuf,
}

/// Why there is no content.
pub(super) enum Refused {
    /// It cannot be had now.
    Web(WebError),
    /// It is not what the pointer says.
    Other(String),
}

impl From<WebError> for Refused {
    fn from(error: WebError) -> Self {
        Self::Web(error)
    }
}

impl Objects {
    /// Those in a folder, which is made if need be.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The content. Blocks. What is on disk and is something else is taken away.
    pub fn read(&self, pointer: &Pointer) -> Option<Vec<u8>> {
        let file = self.folder.join(&pointer.oid);
        let content = std::fs::read(&file).ok()?;
        if hex::encode(Sha256::digest(&content)) == pointer.oid {
            return Some(content);
        }
        let _ = std::fs::remove_file(&file);
        None
    }

    /// Whether it is here, as far as its size tells.
    pub(super) fn has(&self, pointer: &Pointer) -> bool {
        std::fs::metadata(self.folder.join(&pointer.oid)).is_ok_and(|found| found.len() == pointer.size)
    }

    /// Takes a content from a server, if it is what the pointer says. Not a byte more than that is read.
    pub(super) async fn put(&self, pointer: &Pointer, mut response: Response) -> Result<(), Refused> {
        let disk = WebError::of_disk;
        let made = std::fs::create_dir_all(&self.folder)
            .and_then(|()| tempfile::NamedTempFile::new_in(&self.folder));
        let (file, name) = made.map_err(disk)?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(part) = response.chunk().await.map_err(WebError::of_request)? {
            size += part.len() as u64;
            if size > pointer.size {
                let reason =
                    format!("its server has more than the {} bytes that the pointer names", pointer.size);
                return Err(Refused::Other(reason));
            }
            hash.update(&part);
            file.write_all(&part).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        let oid = hex::encode(hash.finalize());
        if size != pointer.size || oid != pointer.oid {
            let reason = format!(
                "its server gave {size} bytes with the SHA-256 {oid}, and the pointer names {} bytes with {}",
                pointer.size, pointer.oid
            );
            return Err(Refused::Other(reason));
        }
        name.persist(self.folder.join(&pointer.oid)).map_err(|error| disk(error.error).into())
    }

    /// Takes away the oldest while there are too many bytes, except what is in use. Blocks.
    pub(super) fn tidy(&self, is_used: impl Fn(&str) -> bool) {
        self.tidy_to(MOST, is_used);
    }

    fn tidy_to(&self, most: u64, is_used: impl Fn(&str) -> bool) {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries.flatten(),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    tracing::warn!(%error, folder = %self.folder.display(), "failed to list contents of Git LFS");
                }
                return;
            }
        };
        let described = entries.filter_map(|entry| {
            let found = entry.metadata().ok()?;
            Some((found.modified().unwrap_or(SystemTime::UNIX_EPOCH), found.len(), entry))
        });
        let mut files: Vec<_> = described.collect();
        files.sort_by_key(|(modified, ..)| *modified);
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, entry) in &files {
            if total <= most {
                return;
            }
            if !entry.file_name().to_str().is_some_and(&is_used) && std::fs::remove_file(entry.path()).is_ok()
            {
                total -= size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer { oid: hex::encode(Sha256::digest(text)), size: text.len() as u64 }
    }

    fn answer(text: &str) -> Response {
        axum::http::Response::new(text.to_owned()).into()
    }

    #[tokio::test]
    async fn only_what_a_pointer_says_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = Objects::new(folder.path().join("lfs"));
        let wanted = pointer("content");
        assert!(!objects.has(&wanted) && objects.read(&wanted).is_none());
        for text in ["content and more", "conten", "c0ntent"] {
            let refused = objects.put(&wanted, answer(text)).await;
            assert!(matches!(refused, Err(Refused::Other(_))), "{text}");
            assert!(!objects.has(&wanted), "{text}");
        }
        assert!(objects.put(&wanted, answer("content")).await.is_ok());
        assert!(objects.has(&wanted));
        assert_eq!(objects.read(&wanted).as_deref(), Some(b"content".as_slice()));
        std::fs::write(folder.path().join("lfs").join(&wanted.oid), "c0ntent").expect("damaged");
        assert!(objects.read(&wanted).is_none() && !objects.has(&wanted));
        assert_eq!(std::fs::read_dir(folder.path().join("lfs")).expect("a folder").count(), 0);
    }

    #[tokio::test]
    async fn the_oldest_go_first_and_never_what_is_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let objects = Objects::new(folder.path().to_owned());
        let all = ["first", "other", "third"].map(pointer);
        for (age, (text, pointer)) in ["first", "other", "third"].iter().zip(&all).enumerate() {
            assert!(objects.put(pointer, answer(text)).await.is_ok());
            let file = std::fs::File::open(folder.path().join(&pointer.oid)).expect("a file");
            let made = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            file.set_modified(made).expect("a time");
        }
        objects.tidy_to(10, |oid| oid == all[0].oid);
        assert_eq!(all.clone().map(|pointer| objects.has(&pointer)), [true, false, true]);
        objects.tidy_to(10, |_| false);
        assert_eq!(all.map(|pointer| objects.has(&pointer)), [true, false, true]);
    }
}
