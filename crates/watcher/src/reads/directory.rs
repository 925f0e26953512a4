//! A plain folder reads the manifests in it that its patterns let through, and no others: a root
//! Application over a large tree must not be concerned by every commit below it.

use ithaca_api::DirectoryPattern;
use ithaca_api::source::Directory;

use super::error::ReadError;
use super::jsonnet;
use super::reader::Reader;
use super::tree::Kind;

const MANIFESTS: [&str; 3] = [".yaml", ".yml", ".json"];
const PROGRAM: &str = ".jsonnet";
/// With more manifests than this the folder is read as a whole, so that messages stay small.
const MOST_FILES: usize = 1_000;

pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    has_programs: bool,
) -> Result<(), ReadError> {
    let source = reader.source(index);
    let none = Directory::default();
    let directory = source.directory.as_ref().unwrap_or(&none);
    let files = reader.files(index);
    let include = DirectoryPattern::parse(&directory.include);
    let exclude = DirectoryPattern::parse(&directory.exclude);
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(inside) = folders.pop() {
        for (name, entry) in (files.list)(&inside) {
            let at = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            reader.look_at(&at, entry.kind)?;
            if entry.kind == Kind::Module && directory.recurse {
                return Err(ReadError::Module { path: at });
            }
            if entry.kind == Kind::Folder {
                if directory.recurse {
                    folders.push(at);
                }
                continue;
            }
            let below = at.strip_prefix(folder).unwrap_or(&at).trim_start_matches('/');
            let excluded = matches!(&exclude, Ok(Some(pattern)) if pattern.matches(below));
            let included = !matches!(&include, Ok(Some(pattern)) if !pattern.matches(below));
            let counts =
                MANIFESTS.iter().any(|end| at.ends_with(end)) || has_programs && at.ends_with(PROGRAM);
            // Of more than that the programs alone count.
            let is_needed = found.len() <= MOST_FILES || at.ends_with(PROGRAM);
            if counts && included && !excluded && is_needed {
                found.push((at, entry));
            }
        }
    }
    let programs = found.iter().map(|(at, _)| at.clone()).filter(|at| at.ends_with(PROGRAM));
    // What is read by programs that are none is not known.
    let is_known = jsonnet::read(reader, index, folder, &directory.jsonnet, programs)?;
    // A pattern that cannot be read is the renderer's to refuse.
    let unreadable = include.is_err() || exclude.is_err();
    // With nothing to read, the folder itself is what is there.
    if !is_known || unreadable || found.is_empty() || found.len() > MOST_FILES {
        return reader.read(index, folder).map(drop);
    }
    reader.decide_by(index, folder);
    found.iter().try_for_each(|(at, entry)| reader.read_entry(index, at, entry))
}
