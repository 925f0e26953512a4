//! `cargo xtask gen`: every committed file that is made from another one.
//!
//! In: `proto/ithaca/v1/*.proto` and the types of `crates/api`. Out: files in the repository, by their path from its root.
//! A test compares them with what is committed; nothing is generated during a build.

mod crds;
mod protobuf;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Generated text by its path from the repository's root.
type Files = BTreeMap<PathBuf, String>;

/// Writes each generated file whose text has changed and names it.
pub fn write() -> anyhow::Result<()> {
    let root = root();
    for (path, text) in files(&root)? {
        let path = root.join(path);
        if std::fs::read_to_string(&path).is_ok_and(|committed| committed == text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("failed to create {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn files(root: &Path) -> anyhow::Result<Files> {
    let mut files = protobuf::files(root)?;
    files.extend(crds::files()?);
    Ok(files)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_what_gen_writes() -> anyhow::Result<()> {
        let root = root();
        for (path, text) in files(&root)? {
            let committed = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            assert!(committed == text, "{} is out of date: run `cargo xtask gen`", path.display());
        }
        Ok(())
    }
}
