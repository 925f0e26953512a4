//! The files of one source in memory: what the watcher sent comes in, lookups by path go out.
//!
//! A tree never touches a disk. Paths are relative to the repository's root, with `/` between components; what is not so
//! is refused at the door. Symbolic links are followed inside the tree and never out of it.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

/// How many symbolic links may lie on the way to one file.
const MAX_LINKS: usize = 40;

/// How many paths a walk may have: links to folders can multiply them.
const MAX_WALKED: usize = 200_000;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file; `executable` as Git has it.
    File {
        /// The content.
        data: Bytes,
        /// Whether it may be run.
        executable: bool,
    },
    /// A symbolic link and its target as written.
    Link(String),
}

/// Why a tree cannot be read as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A path that could lead out of a folder.
    #[error("the path \"{0}\" is not a plain path inside the repository")]
    Path(String),
    /// A path that is said to be two things.
    #[error("the path \"{0}\" is both a file and a folder")]
    Conflict(String),
    /// A link whose target lies outside.
    #[error("the symbolic link \"{0}\" leads out of the repository")]
    Outside(String),
    /// Links to folders that lead to links to folders, too often.
    #[error("the path \"{0}\" is one of too many: symbolic links make more than {MAX_WALKED} paths")]
    Multiplied(String),
    /// Links that lead to each other.
    #[error("the symbolic link \"{0}\" leads to itself")]
    Loop(String),
}

/// What a path leads to once all links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A file's content.
    File(&'a Bytes),
    /// A folder that holds something.
    Folder,
    /// Nothing that this tree knows of.
    Nothing,
}

/// Files and links by path.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Adds a file or link.
    ///
    /// # Errors
    /// When the path is absolute, has empty, `.` or `..` components, or passes through a file.
    pub fn insert(&mut self, path: String, entry: Entry) -> Result<(), TreeError> {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !path.split('/').all(plain) {
            return Err(TreeError::Path(path));
        }
        let above = path.match_indices('/').any(|(end, _)| self.entries.contains_key(&path[..end]));
        if above || self.is_folder(&path) {
            return Err(TreeError::Conflict(path));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// All files and links, in the lexical order of their paths.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The files and links at or below `folder` (empty: all), in the lexical order of their paths.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let range = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        self.entries
            .range::<str, _>(range)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// The names of the files directly in `folder`.
    pub fn file_names(&self, folder: &str) -> impl Iterator<Item = &str> {
        let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
        self.below(folder).map(move |(path, _)| &path[skip..]).filter(|name| !name.contains('/'))
    }

    /// What `path` leads to, following links.
    ///
    /// # Errors
    /// When a link on the way leads out of the tree or in a circle.
    pub fn find(&self, path: &str) -> Result<Found<'_>, TreeError> {
        let resolved = self.resolve(path)?;
        Ok(match self.entries.get(&resolved) {
            Some(Entry::File { data, .. }) => Found::File(data),
            _ if self.is_folder(&resolved) => Found::Folder,
            _ => Found::Nothing,
        })
    }

    /// `path` with all links on it followed: a path without links, which need not exist.
    ///
    /// # Errors
    /// When a link on the way leads out of the tree or in a circle.
    pub fn resolve(&self, path: &str) -> Result<String, TreeError> {
        let outside = || TreeError::Outside(path.to_owned());
        let mut left: Vec<&str> = path.split('/').rev().collect();
        let mut resolved = String::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part {
                "" | "." => continue,
                ".." if resolved.is_empty() => return Err(outside()),
                ".." => {
                    resolved.truncate(resolved.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let start = resolved.len();
            if start > 0 {
                resolved.push('/');
            }
            resolved.push_str(part);
            if let Some(Entry::Link(target)) = self.entries.get(&resolved) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(TreeError::Loop(path.to_owned()));
                }
                if target.starts_with('/') {
                    return Err(outside());
                }
                resolved.truncate(start);
                left.extend(target.split('/').rev());
            }
        }
        Ok(resolved)
    }

    /// The paths of all files, also of those behind links to folders. A link that leads nowhere, out or in a circle is a
    /// path as well: whoever asks for it is told.
    ///
    /// # Errors
    /// When links multiply the paths beyond [`MAX_WALKED`].
    pub fn walk(&self) -> Result<Vec<String>, TreeError> {
        let mut paths = Vec::new();
        // What a folder is called, where it really is, and the links on the way to it.
        let mut folders = vec![(String::new(), String::new(), Vec::new())];
        while let Some((called, real, links)) = folders.pop() {
            let skip = if real.is_empty() { 0 } else { real.len() + 1 };
            for (path, entry) in self.below(&real) {
                let below = &path[skip..];
                let called = if called.is_empty() { below.to_owned() } else { format!("{called}/{below}") };
                if paths.len() + folders.len() >= MAX_WALKED {
                    return Err(TreeError::Multiplied(called));
                }
                match (entry, self.resolve(path)) {
                    (Entry::Link(_), Ok(target)) if self.is_folder(&target) => {
                        let links: Vec<&str> = links.iter().copied().chain([path]).collect();
                        if !links.iter().any(|link| is_within(link, &target)) {
                            folders.push((called, target, links));
                        }
                    }
                    _ => paths.push(called),
                }
            }
        }
        Ok(paths)
    }

    /// The part of this tree at or below any of `paths` (an empty one: all). Contents are shared, not copied.
    pub fn part<'a>(&self, paths: impl Iterator<Item = &'a str> + Clone) -> Self {
        let is_in = |path: &str| paths.clone().any(|part| is_within(path, part));
        let entries = self.entries.iter().filter(|(path, _)| is_in(path));
        Self { entries: entries.map(|(path, entry)| (path.clone(), entry.clone())).collect() }
    }

    /// Lays what `other` holds below `from` (empty: all) at `path`. Contents are shared, not copied.
    ///
    /// # Errors
    /// When there is something at `path` already, or it is no plain path.
    pub fn lay(&mut self, path: &str, other: &Self, from: &str) -> Result<(), TreeError> {
        let skip = if from.is_empty() { 0 } else { from.len() + 1 };
        let entries = other.below(from).map(|(at, entry)| (format!("{path}/{}", &at[skip..]), entry.clone()));
        entries.collect::<Vec<_>>().into_iter().try_for_each(|(path, entry)| self.insert(path, entry))
    }

    fn is_folder(&self, path: &str) -> bool {
        path.is_empty() && !self.entries.is_empty() || self.below(path).next().is_some()
    }
}

/// Whether `path` is `folder` (an empty one: the root) or lies below it.
fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path as a user writes it, made plain: without `.`, doubled or trailing slashes.
///
/// # Errors
/// When it leads out of the folder that it starts from.
pub fn plain(path: &str) -> Result<String, TreeError> {
    Tree::default().resolve(path).map_err(|_| TreeError::Path(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in entries {
            let entry = match text.strip_prefix("-> ") {
                Some(target) => Entry::Link(target.to_owned()),
                None => Entry::File { data: Bytes::copy_from_slice(text.as_bytes()), executable: false },
            };
            tree.insert((*path).to_owned(), entry).expect("a plain path");
        }
        tree
    }

    #[test]
    fn paths_that_could_lead_out_are_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/", "a\0b"] {
            let file = Entry::File { data: Bytes::new(), executable: false };
            assert!(
                matches!(Tree::default().insert(path.to_owned(), file), Err(TreeError::Path(_))),
                "{path:?}"
            );
        }
    }

    #[test]
    fn nothing_can_be_put_below_a_file_or_over_a_folder() {
        let mut tree = tree(&[("a", "-> b"), ("c/d", "")]);
        assert!(matches!(
            tree.insert("a/x".to_owned(), Entry::Link("y".to_owned())),
            Err(TreeError::Conflict(_))
        ));
        assert!(matches!(
            tree.insert("c".to_owned(), Entry::Link("y".to_owned())),
            Err(TreeError::Conflict(_))
        ));
    }

    #[test]
    fn links_are_followed_inside_and_refused_outside() {
        let tree = tree(&[
            ("a/file", "text"),
            ("b/file", "-> ../a/file"),
            ("folder", "-> b"),
            ("twice", "-> folder/file"),
            ("up", "-> folder/../a"),
            ("out", "-> ../etc/passwd"),
            ("absolute", "-> /etc/passwd"),
            ("sneaky", "-> folder/../../x"),
            ("loop", "-> loop"),
            ("dangling", "-> nowhere"),
        ]);
        let text = Bytes::from_static(b"text");
        for path in ["a/file", "b/file", "folder/file", "twice", "up/file"] {
            assert_eq!(tree.find(path), Ok(Found::File(&text)), "{path}");
        }
        for path in ["out", "absolute", "sneaky"] {
            assert_eq!(tree.find(path), Err(TreeError::Outside(path.to_owned())), "{path}");
        }
        assert_eq!(tree.find("loop"), Err(TreeError::Loop("loop".to_owned())));
        assert_eq!(tree.find("dangling"), Ok(Found::Nothing));
        assert_eq!(tree.find("folder"), Ok(Found::Folder));
    }

    #[test]
    fn a_walk_goes_through_links_to_folders_and_comes_back() {
        let tree = tree(&[
            ("a/b/x", ""),
            ("a/up", "-> ../a"),
            ("a/root", "-> .."),
            ("c/loop", "-> ../d"),
            ("d/loop", "-> ../c"),
            ("f", "-> a/b"),
            ("gone", "-> nowhere"),
            ("out", "-> .."),
            ("to", "-> a/b/x"),
        ]);
        let mut paths = tree.walk().expect("paths");
        paths.sort();
        assert_eq!(paths, ["a/b/x", "f/x", "gone", "out", "to"]);
    }

    #[test]
    fn links_cannot_multiply_a_walk_without_end() {
        let mut tree = Tree::default();
        for level in 0..30 {
            for link in ["a", "b"] {
                let target = Entry::Link(format!("../{}", level + 1));
                tree.insert(format!("{level}/{link}"), target).expect("a plain path");
            }
        }
        let file = Entry::File { data: Bytes::new(), executable: false };
        tree.insert("30/x".to_owned(), file).expect("a plain path");
        assert!(matches!(tree.walk(), Err(TreeError::Multiplied(_))));
    }

    #[test]
    fn the_names_in_a_folder_are_those_of_its_own_files() {
        let tree = tree(&[("a", ""), ("a.x/b", ""), ("c/d", ""), ("c/e/f", "")]);
        assert_eq!(tree.file_names("c").collect::<Vec<_>>(), ["d"]);
        assert_eq!(tree.file_names("").collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_part_holds_whole_folders_only() {
        let tree = tree(&[("a/x", ""), ("ab/y", ""), ("b", ""), ("c/z", "")]);
        let part = |paths: &[&'static str]| {
            let part = tree.part(paths.iter().copied());
            part.entries().map(|(path, _)| path.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(part(&["a", "b"]), ["a/x", "b"]);
        assert_eq!(part(&[""]).len(), 4);
        assert!(part(&[]).is_empty());
    }

    #[test]
    fn a_folder_is_laid_where_nothing_is() {
        let mut target = tree(&[("Chart.yaml", ""), ("libs/a/x", "1"), ("libs/ab/y", "")]);
        let other = tree(&[("Chart.yaml", "other"), ("deep/z", "")]);
        assert_eq!(target.lay("charts/other", &other, ""), Ok(()));
        let own = target.clone();
        assert_eq!(target.lay("charts/a", &own, "libs/a"), Ok(()));
        let charts: Vec<_> = target.below("charts").map(|(path, _)| path).collect();
        assert_eq!(charts, ["charts/a/x", "charts/other/Chart.yaml", "charts/other/deep/z"]);
        assert!(target.lay("Chart.yaml", &own, "libs/a").is_err());
        assert!(target.lay("../out", &own, "libs/a").is_err());
    }

    #[test]
    fn a_written_path_is_made_plain_or_refused() {
        assert_eq!(plain("./a//b/../c/").as_deref(), Ok("a/c"));
        assert_eq!(plain(".").as_deref(), Ok(""));
        assert_eq!(plain("a/../.."), Err(TreeError::Path("a/../..".to_owned())));
    }
}
