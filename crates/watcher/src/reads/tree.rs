//! The files of a commit as this module sees them: three questions, answered by whoever has the commit.

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The hexadecimal id of the tree or blob.
    pub id: String,
    /// What it is.
    pub kind: Kind,
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link.
    Link,
    /// A submodule, whose files are in another repository.
    Module,
}

/// The files of a commit. Paths are relative to the root, without leading or trailing slash.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// What is at a path; links are not followed, and the empty path is the root.
    pub entry: &'a dyn Fn(&str) -> Option<Entry>,
    /// What a folder holds, by name; empty where there is no folder.
    pub list: &'a dyn Fn(&str) -> Vec<(String, Entry)>,
    /// The content of a file or link, where there is one of a size worth parsing.
    pub text: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

impl Files<'_> {
    /// Nothing at all.
    pub(super) const NONE: Self = Self { entry: &|_| None, list: &|_| Vec::new(), text: &|_| None };
}
