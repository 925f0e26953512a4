//! A plain folder: a tree of files, what the spec says about them and what its programs gave come in, objects go out.
//!
//! Which files count, in which order, and what happens to files that are no manifests is Argo CD's rule, with one
//! difference: a link to nothing is an error here, as leaving its objects out would delete them from the cluster.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use ithaca_api::DirectoryPattern;
use ithaca_api::source::Directory;
use serde_json::Value;

use crate::manifest::{self, ManifestError};
use crate::tree::{Entry, Found, Tree, TreeError};

/// Bytes that the manifests of one folder may have together.
const MAX_BYTES: usize = 10_000_000;

/// Which files are manifests by their name.
const EXTENSIONS: [&str; 4] = [".yaml", ".yml", ".json", PROGRAM];

/// Which of them are programs that give manifests.
const PROGRAM: &str = ".jsonnet";

/// A file that holds this is none, whatever else it holds.
const SKIPPED: &str = "+argocd:skip-file-rendering";

/// Why a folder gives no manifests.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A link in the folder or on the way to it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A link to nothing.
    #[error("the symbolic link \"{path}\" leads to \"{target}\", which does not exist")]
    Dangling {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A file that is not what it should be.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file in another encoding.
    #[error("failed to read {0}: it is not UTF-8, and does not begin with the byte order mark of UTF-16")]
    Encoding(String),
    /// Files too large in sum.
    #[error("the manifests in \"{path}\" are larger than {MAX_BYTES} bytes together")]
    TooLarge {
        /// The folder.
        path: String,
    },
    /// A pattern that means nothing.
    #[error("failed to read directory.{field}: {reason}")]
    Pattern {
        /// `include` or `exclude`.
        field: &'static str,
        /// The pattern, and what is wrong with it.
        reason: String,
    },
}

/// The paths of the files in `folder` that are programs.
///
/// # Errors
/// When the files cannot be told.
pub fn programs(tree: &Tree, folder: &str, options: &Directory) -> Result<Vec<String>, DirectoryError> {
    let files = files(tree, folder, options)?.into_iter();
    Ok(files.map(|(path, _)| path).filter(|path| path.ends_with(PROGRAM)).collect())
}

/// The objects of the manifests in `folder`, a plain path in `tree`; `evaluated` is what its programs gave.
///
/// # Errors
/// When a file that is or claims to be a manifest cannot be read.
pub fn render(
    tree: &Tree,
    folder: &str,
    options: &Directory,
    evaluated: &BTreeMap<String, String>,
) -> Result<Vec<Value>, DirectoryError> {
    let mut objects = Vec::new();
    let mut bytes = 0;
    for (path, data) in files(tree, folder, options)? {
        bytes += data.len();
        if bytes > MAX_BYTES {
            return Err(DirectoryError::TooLarge { path: folder.to_owned() });
        }
        match evaluated.get(&path) {
            Some(text) => objects.extend(manifest::from_json_arrays(text.as_bytes(), &path)?),
            None => objects.extend(read(&path, data)?),
        }
    }
    Ok(objects)
}

/// The files that count, in the order of a walk.
fn files<'a>(
    tree: &'a Tree,
    folder: &str,
    options: &Directory,
) -> Result<Vec<(String, &'a Bytes)>, DirectoryError> {
    let include = pattern("include", &options.include)?;
    let exclude = pattern("exclude", &options.exclude)?;
    let folder = tree.resolve(folder)?;
    let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
    let mut files = Vec::new();
    for (path, entry) in tree.below(&folder) {
        let relative = &path[skip..];
        let counts = EXTENSIONS.iter().any(|extension| relative.ends_with(extension))
            && (options.recurse || !relative.contains('/'))
            && !exclude.as_ref().is_some_and(|pattern| pattern.matches(relative))
            && include.as_ref().is_none_or(|pattern| pattern.matches(relative));
        if !counts {
            continue;
        }
        match entry {
            Entry::File { data, .. } => files.push((path.to_owned(), data)),
            Entry::Link(target) => match tree.find(path)? {
                Found::File(data) => files.push((path.to_owned(), data)),
                Found::Folder => {}
                Found::Nothing => {
                    return Err(DirectoryError::Dangling { path: path.to_owned(), target: target.clone() });
                }
            },
        }
    }
    files.retain(|(_, data)| !is_skipped(data));
    // A walk sorts the names in each folder, which is not the order of whole paths.
    files.sort_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
    Ok(files)
}

fn read(path: &str, data: &Bytes) -> Result<Vec<Value>, DirectoryError> {
    let Some(text) = text(data) else {
        return Err(DirectoryError::Encoding(path.to_owned()));
    };
    if path.ends_with(".json") {
        return Ok(manifest::from_json(text.as_bytes(), path)?);
    }
    let read = manifest::from_yaml(&text, |_| path);
    match read.error {
        None => Ok(read.objects),
        // Files of other programs lie among manifests and are none of our business.
        Some(_) if read.objects.is_empty() && !looks_like_manifest(&text) => Ok(Vec::new()),
        Some(error) => Err(error.into()),
    }
}

/// The text of a file: UTF-8, or what the mark says that it begins with. PowerShell writes UTF-16.
fn text(data: &[u8]) -> Option<Cow<'_, str>> {
    let (encoding, mark) = Encoding::for_bom(data).unwrap_or((UTF_8, 0));
    encoding.decode_without_bom_handling_and_without_replacement(data.get(mark..)?)
}

fn is_skipped(data: &[u8]) -> bool {
    let is_marked = |text: &[u8]| memchr::memmem::find(text, SKIPPED.as_bytes()).is_some();
    match Encoding::for_bom(data) {
        Some((encoding, _)) if encoding != UTF_8 => text(data).is_some_and(|text| is_marked(text.as_bytes())),
        _ => is_marked(data),
    }
}

/// All three fields that every object has, wherever they stand, as with Argo CD. Where they stand as an object's own, two
/// are enough: the third may be the mistake, and passing the file over would delete the object.
fn looks_like_manifest(text: &str) -> bool {
    const FIELDS: [&str; 3] = ["apiVersion:", "kind:", "metadata:"];
    let is_own = |field: &&&str| text.lines().any(|line| line.starts_with(**field));
    FIELDS.iter().all(|field| text.contains(field)) || FIELDS.iter().filter(is_own).count() >= 2
}

fn pattern(field: &'static str, pattern: &str) -> Result<Option<DirectoryPattern>, DirectoryError> {
    let read = DirectoryPattern::parse(pattern);
    read.map_err(|reason| DirectoryError::Pattern { field, reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            let entry = match text.strip_prefix("-> ") {
                Some(target) => Entry::Link(target.to_owned()),
                None => Entry::File { data: Bytes::copy_from_slice(text.as_bytes()), executable: false },
            };
            tree.insert((*path).to_owned(), entry).expect("a plain path");
        }
        tree
    }

    fn object(name: &str) -> String {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}")
    }

    fn matching(paths: &[&str], options: Directory) -> Vec<String> {
        let files: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
        let tree = tree(&files);
        files_of(&tree, &options)
    }

    fn files_of(tree: &Tree, options: &Directory) -> Vec<String> {
        files(tree, "", options).expect("valid patterns").into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn only_manifests_by_name_count_and_folders_only_when_asked() {
        let paths = ["a.yaml", "b.yml", "c.json", "d.yaml.bak", "e.YAML", ".h/i.yaml", "sub/j.yaml"];
        assert_eq!(matching(&paths, Directory::default()), ["a.yaml", "b.yml", "c.json"]);
        let recurse = Directory { recurse: true, ..Default::default() };
        assert_eq!(matching(&paths, recurse), [".h/i.yaml", "a.yaml", "b.yml", "c.json", "sub/j.yaml"]);
        let without_recurse = Directory { include: "sub/*".to_owned(), ..Default::default() };
        assert!(matching(&paths, without_recurse).is_empty());
    }

    #[test]
    fn exclude_wins_over_include() {
        let options = Directory {
            recurse: true,
            include: "*.yaml".to_owned(),
            exclude: "{secret*,b/*}".to_owned(),
            ..Default::default()
        };
        assert_eq!(matching(&["a.yaml", "b/c.yaml", "secret.yaml", "d.yml"], options), ["a.yaml"]);
    }

    #[test]
    fn a_walk_reads_a_folder_where_its_name_sorts() {
        let recurse = Directory { recurse: true, ..Default::default() };
        let paths = ["a-b.yaml", "a.yaml", "a/x.yaml", "a/b/c.yaml"];
        assert_eq!(matching(&paths, recurse), ["a/b/c.yaml", "a/x.yaml", "a-b.yaml", "a.yaml"]);
    }

    #[test]
    fn a_pattern_that_means_nothing_is_an_error() {
        let error = pattern("include", "{a").expect_err("not closed").to_string();
        assert!(error.starts_with("failed to read directory.include: \"{a\" is no pattern: "), "{error}");
    }

    #[rstest]
    #[case::values("replicas: 1\nimage: {}\n", true)]
    #[case::template("{{- if .x }}\na: b: c\n", true)]
    #[case::values_that_name_kinds("kind: DaemonSet\n# apiVersion: apps/v1\nrole:\n  apiVersion: v1\n", true)]
    #[case::template_of_a_manifest("{{- if .x }}\napiVersion: v1\nkind: Pod\n  metadata:\n", false)]
    #[case::no_kind("apiVersion: v1\nmetadata: {name: a}\n", false)]
    #[case::no_syntax("apiVersion: v1\nkind: Pod\nmetadata: [\n", false)]
    #[case::second_document("{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\na: 1\n", false)]
    fn files_of_other_programs_are_passed_over(#[case] text: &str, #[case] passed_over: bool) {
        let tree = tree(&[("x/a.yaml", text)]);
        let result = render(&tree, "x", &Directory::default(), &BTreeMap::new());
        assert_eq!(result.is_ok_and(|objects| objects.is_empty()), passed_over);
    }

    #[test]
    fn a_file_that_says_so_is_passed_over() {
        let skipped = format!("# +argocd:skip-file-rendering\n{}", object("a"));
        let tree = tree(&[
            ("a.yaml", &skipped),
            ("b.json", "{\"//\": \"+argocd:skip-file-rendering\"}"),
            ("c.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .x }}} # +argocd:skip-file-rendering"),
            ("d.yaml", &object("d")),
            ("e.jsonnet", "// +argocd:skip-file-rendering"),
        ]);
        let objects = render(&tree, "", &Directory::default(), &BTreeMap::new()).expect("it renders");
        assert_eq!(objects.len(), 1);
        assert_eq!(programs(&tree, "", &Directory::default()).expect("files"), Vec::<String>::new());
    }

    #[test]
    fn a_mark_of_the_byte_order_is_no_part_of_a_file() {
        let yaml = format!("\u{feff}{}", object("a"));
        let json = "\u{feff}{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\"}}";
        let tree = tree(&[("a.yaml", &yaml), ("b.json", json)]);
        let objects = render(&tree, "", &Directory::default(), &BTreeMap::new()).expect("it renders");
        assert_eq!(objects.len(), 2);
    }

    /// As `kubectl get -o yaml > file` writes it on Windows.
    #[test]
    fn a_file_may_be_in_the_utf_16_that_its_mark_says() {
        let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let (yaml, json) =
            (object("größer"), r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "𝔟"}}"#);
        let render = |files: &[(&str, Vec<u8>)]| {
            let mut tree = Tree::default();
            for (path, data) in files {
                let entry = Entry::File { data: Bytes::copy_from_slice(data), executable: false };
                tree.insert((*path).to_owned(), entry).expect("a plain path");
            }
            render(&tree, "", &Directory::default(), &BTreeMap::new())
        };
        for encode in [&little as &dyn Fn(&str) -> Vec<u8>, &big] {
            let marked = |text: &str| encode(&format!("\u{feff}{text}"));
            let skipped = marked("# +argocd:skip-file-rendering\nkind: [");
            let files = [("a.yaml", marked(&yaml)), ("b.json", marked(json)), ("c.yaml", skipped)];
            let objects = render(&files).expect("it renders");
            let names: Vec<_> = objects.iter().map(|object| &object["metadata"]["name"]).collect();
            assert_eq!(names, ["größer", "𝔟"]);
            let error =
                render(&[("a.yaml", encode("größer"))]).expect_err("nobody knows what it is").to_string();
            assert!(error.contains("a.yaml") && error.contains("byte order mark"), "{error}");
        }
        let odd = [little(&format!("\u{feff}{yaml}")), b"x".to_vec()].concat();
        assert!(render(&[("a.yaml", odd)]).is_err());
    }

    #[test]
    fn an_error_names_the_file_in_the_repository() {
        let tree = tree(&[("apps/x/a.yaml", "apiVersion: v1\nkind: Pod\n")]);
        let error = render(&tree, "apps/x", &Directory::default(), &BTreeMap::new())
            .expect_err("no name")
            .to_string();
        assert_eq!(error, "failed to read document 1 of apps/x/a.yaml: the Pod has no metadata.name");
    }

    #[test]
    fn links_inside_are_followed_and_links_outside_are_errors() {
        let shared = object("shared");
        let inside = tree(&[
            ("shared/a.yaml", &shared),
            ("app/a.yaml", "-> ../shared/a.yaml"),
            ("app/dir.yaml", "-> ../shared"),
        ]);
        assert_eq!(
            render(&inside, "app", &Directory::default(), &BTreeMap::new()).expect("it renders").len(),
            1
        );
        let outside = tree(&[("app/a.yaml", "-> ../../etc/passwd")]);
        let error = render(&outside, "app", &Directory::default(), &BTreeMap::new())
            .expect_err("outside")
            .to_string();
        assert_eq!(error, "the symbolic link \"app/a.yaml\" leads out of the repository");
        let dangling = tree(&[("app/a.yaml", "-> b.yaml")]);
        let error = render(&dangling, "app", &Directory::default(), &BTreeMap::new())
            .expect_err("dangling")
            .to_string();
        assert_eq!(error, "the symbolic link \"app/a.yaml\" leads to \"b.yaml\", which does not exist");
    }

    #[test]
    fn ten_megabytes_are_the_limit() {
        let large = format!("{}\n# {}", object("a"), "x".repeat(5_000_000));
        let tree = tree(&[("a.yaml", &large), ("b.yaml", &large)]);
        assert!(matches!(
            render(&tree, "", &Directory::default(), &BTreeMap::new()),
            Err(DirectoryError::TooLarge { .. })
        ));
    }
}
