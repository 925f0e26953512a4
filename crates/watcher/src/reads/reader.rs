//! Collects what is read: paths with their objects, and the targets of the links on the way.

use std::collections::{BTreeMap, BTreeSet};

use super::error::ReadError;
use super::path;
use super::tree::{Entry, Files, Kind};
use super::{AttachedFiles, Reads, Reference, SourceFiles, Want, What};

/// How many links may stand between a path and what it means.
const LINKS: usize = 32;
/// How many other charts and bases the sources may need.
const DEPENDENCIES: usize = 100;
/// How many files and folders may be looked at in the folders that the sources read.
const FILES: usize = 500_000;
/// As how many files a link counts, which may lead anywhere.
const LINK: usize = 50;
/// No path that anybody could write to a disk is longer.
const LONGEST: usize = 4096;
/// How much is told of a path that may be of any length.
const TOLD: usize = 200;

/// What was read so far, for each source and then for what was found of other repositories.
pub(super) struct Reader<'a> {
    sources: &'a [SourceFiles<'a>],
    attached: &'a [AttachedFiles<'a>],
    pub(super) reads: Vec<Reads>,
    wants: Vec<Want>,
    /// Folders whose links were followed already.
    searched: BTreeSet<(usize, String)>,
    /// How many files and folders were looked at.
    looked_at: usize,
}

impl<'a> Reader<'a> {
    /// A reader that goes on from what was read.
    pub(super) fn new(
        sources: &'a [SourceFiles<'a>],
        attached: &'a [AttachedFiles<'a>],
        reads: Vec<Reads>,
    ) -> Self {
        Self { sources, attached, reads, wants: Vec::new(), searched: BTreeSet::new(), looked_at: 0 }
    }

    pub(super) fn source(&self, index: usize) -> &'a ithaca_api::ApplicationSource {
        self.sources[index].source
    }

    /// The files of a source, or of what was found of another repository.
    pub(super) fn files(&self, index: usize) -> Files<'a> {
        let attached = || self.attached.get(index - self.sources.len())?.files;
        self.sources.get(index).map(|source| source.files).or_else(attached).unwrap_or(Files::NONE)
    }

    /// Where a folder lies in the files of the source that it is read for, and which that is.
    pub(super) fn place(&self, index: usize, folder: &str) -> (usize, String) {
        let attached = index.checked_sub(self.sources.len()).and_then(|index| self.attached.get(index));
        match attached {
            Some(AttachedFiles { want, .. }) => (want.source, path::below(&want.path, folder)),
            None => (index, folder.to_owned()),
        }
    }

    /// Notes where what a kustomization names by URL is laid.
    pub(super) fn refer(&mut self, source: usize, reference: Reference) {
        self.reads[source].references.insert(reference);
    }

    /// Notes that a source is an overlay.
    pub(super) fn is_overlay(&mut self, index: usize) {
        self.reads[index].is_overlay = true;
    }

    /// Notes that plugins are asked about a source.
    pub(super) fn may_be_a_plugins(&mut self, index: usize) {
        self.reads[index].discover = true;
    }

    /// Notes that a folder, which is read, is laid at another path as well.
    pub(super) fn lay(&mut self, index: usize, at: String, from: String) -> Result<(), ReadError> {
        let laid = &mut self.reads[index].laid;
        if !laid.iter().any(|(known, _)| *known == at) {
            laid.push((at, from));
        }
        if laid.len() > DEPENDENCIES {
            Err(ReadError::TooManyDependencies { most: DEPENDENCIES })
        } else {
            Ok(())
        }
    }

    /// Notes that a chart of another repository is wanted. Of two with one name, the second gets another.
    pub(super) fn want(&mut self, mut want: Want) -> Result<(), ReadError> {
        if want.chart.is_empty() && self.wants.contains(&want) {
            return Ok(());
        }
        let (source, path) = (want.source, want.path.clone());
        let is_taken =
            |path: &str| self.wants.iter().any(|known| known.source == source && known.path == path);
        for number in 2.. {
            if !is_taken(&want.path) {
                break;
            }
            want.path = format!("{path}-{number}");
        }
        self.add(want)
    }

    /// Notes that something is wanted by an overlay, once. Gives the place of its files, where they are known.
    pub(super) fn want_once(&mut self, want: Want) -> Result<Option<usize>, ReadError> {
        let found = self.attached.iter().position(|known| *known.want == want && known.files.is_some());
        let is_taken = |known: &Want| known.source == want.source && known.path == want.path;
        if !self.wants.iter().any(is_taken) {
            self.add(want)?;
        }
        Ok(found.map(|index| self.sources.len() + index))
    }

    /// Leaves out what a source's kustomizations name by URL.
    pub(super) fn leave_elsewhere(&mut self, source: usize) {
        self.wants.retain(|want| want.source != source || !matches!(want.what, What::Base | What::File));
        self.reads[source].references.clear();
    }

    fn add(&mut self, want: Want) -> Result<(), ReadError> {
        self.wants.push(want);
        if self.wants.len() > DEPENDENCIES {
            return Err(ReadError::TooManyDependencies { most: DEPENDENCIES });
        }
        Ok(())
    }

    /// Counts what is looked at in a folder, so that no repository can have more of it than there is time and memory.
    pub(super) fn look_at(&mut self, at: &str, kind: Kind) -> Result<(), ReadError> {
        self.looked_at += if kind == Kind::Link { LINK } else { 1 };
        if self.looked_at <= FILES && at.len() <= LONGEST {
            return Ok(());
        }
        Err(ReadError::TooManyFiles { path: at.chars().take(TOLD).collect(), most: FILES })
    }

    /// The source that goes by a `ref`.
    pub(super) fn referenced(&self, reference: &str) -> Option<usize> {
        self.sources.iter().position(|other| other.source.reference == reference)
    }

    /// Resolves a source's own path, which must be a folder, and says where it really is.
    pub(super) fn folder(&mut self, index: usize, folder: &str) -> Result<String, ReadError> {
        let real = self.resolve(index, folder, LINKS)?;
        match (self.files(index).entry)(&real) {
            Some(Entry { kind: Kind::Folder, .. }) => Ok(real),
            Some(_) => Err(ReadError::NotAFolder { path: folder.to_owned() }),
            None => Err(ReadError::Missing { path: folder.to_owned() }),
        }
    }

    /// Reads whatever is at a path, links followed, and says where it really is.
    pub(super) fn read(&mut self, index: usize, at: &str) -> Result<(String, Option<Kind>), ReadError> {
        let real = self.resolve(index, at, LINKS)?;
        let entry = (self.files(index).entry)(&real);
        self.record(index, &real, entry.as_ref(), true);
        let kind = entry.map(|entry| entry.kind);
        if kind == Some(Kind::Folder) {
            self.follow_links_below(index, &real)?;
        }
        Ok((real, kind))
    }

    /// Reads one file of a folder that is not read as a whole, and what it leads to where it is a link.
    pub(super) fn read_entry(&mut self, index: usize, at: &str, entry: &Entry) -> Result<(), ReadError> {
        self.record(index, at, Some(entry), true);
        if entry.kind == Kind::Link {
            self.follow(index, at)?;
        }
        Ok(())
    }

    /// Notes that what is at a path decides on what is read, without being read itself.
    pub(super) fn decide_by(&mut self, index: usize, at: &str) {
        let entry = (self.files(index).entry)(at);
        self.record(index, at, entry.as_ref(), false);
    }

    /// True where a path lies in a folder that is read as a whole.
    pub(super) fn covers(&self, index: usize, at: &str) -> bool {
        self.reads[index].paths.contains_key(at)
            || self.searched.iter().any(|(source, folder)| *source == index && path::is_within(at, folder))
    }

    /// What was read, without paths that lie in folders which are read as a whole, what is wanted besides, and what is
    /// read of that.
    pub(super) fn finish(self) -> (Vec<Reads>, Vec<Want>, Vec<BTreeMap<String, String>>) {
        let covered = |index: usize, at: &str| {
            self.searched
                .iter()
                .any(|(source, folder)| *source == index && folder != at && path::is_within(at, folder))
        };
        let mut reads = self.reads;
        for (index, reads) in reads.iter_mut().enumerate() {
            reads.paths.retain(|at, _| !covered(index, at));
            // A folder's id tells all that is below it.
            let mut decided_by = std::mem::take(&mut reads.decided_by);
            let folders: BTreeSet<String> = decided_by.keys().cloned().collect();
            decided_by.retain(|at, _| !path::ancestors(at).any(|folder| folders.contains(folder)));
            reads.decided_by = decided_by;
            reads.laid = in_order(&reads.laid);
        }
        let of = |want: &Want| {
            let found = self.attached.iter().position(|known| known.want == want);
            let found = found.and_then(|index| Some((index, self.attached[index].files?)));
            match (found, want.what) {
                (Some((index, _)), What::Base) => reads[self.sources.len() + index].paths.clone(),
                (Some((_, files)), _) => root(files),
                (None, _) => BTreeMap::new(),
            }
        };
        let attached = self.wants.iter().map(of).collect();
        reads.truncate(self.sources.len());
        (reads, self.wants, attached)
    }

    fn record(&mut self, index: usize, at: &str, entry: Option<&Entry>, is_read: bool) {
        let id = entry.map(|entry| entry.id.clone()).unwrap_or_default();
        let reads = &mut self.reads[index];
        if is_read {
            reads.paths.insert(at.to_owned(), id.clone());
        }
        reads.decided_by.insert(at.to_owned(), id);
    }

    /// Where a path leads when the links in it are followed. The links are read on the way.
    fn resolve(&mut self, index: usize, at: &str, links: usize) -> Result<String, ReadError> {
        let mut real = String::new();
        let mut rest = at.split('/').filter(|part| !part.is_empty());
        while let Some(part) = rest.next() {
            let next = if real.is_empty() { part.to_owned() } else { format!("{real}/{part}") };
            let Some(entry) = (self.files(index).entry)(&next) else {
                return Ok(rest.fold(next, |path, part| format!("{path}/{part}")));
            };
            if entry.kind == Kind::Module {
                return Err(ReadError::Module { path: next });
            }
            if entry.kind != Kind::Link {
                real = next;
                continue;
            }
            if links == 0 {
                return Err(ReadError::LinkLoop { link: next });
            }
            self.record(index, &next, Some(&entry), true);
            let target = self.target(index, &next)?;
            let whole = rest.fold(target, |path, part| format!("{path}/{part}"));
            return self.resolve(index, &whole, links - 1);
        }
        Ok(real)
    }

    /// Reads what a link leads to.
    fn follow(&mut self, index: usize, link: &str) -> Result<(), ReadError> {
        let target = self.target(index, link)?;
        let real = self.resolve(index, &target, LINKS)?;
        if self.covers(index, &real) {
            return Ok(());
        }
        self.read(index, &real).map(drop)
    }

    fn follow_links_below(&mut self, index: usize, folder: &str) -> Result<(), ReadError> {
        if !self.searched.insert((index, folder.to_owned())) {
            return Ok(());
        }
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for (name, entry) in (self.files(index).list)(&folder) {
                let at = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                self.look_at(&at, entry.kind)?;
                match entry.kind {
                    Kind::Folder => folders.push(at),
                    Kind::Link => self.follow(index, &at)?,
                    Kind::Module => return Err(ReadError::Module { path: at }),
                    Kind::File | Kind::Executable => {}
                }
            }
        }
        Ok(())
    }

    /// The path that a link holds, seen from the root.
    fn target(&self, index: usize, link: &str) -> Result<String, ReadError> {
        let text = (self.files(index).text)(link).unwrap_or_default();
        let target = String::from_utf8_lossy(&text).into_owned();
        let is_path = !target.starts_with('/') && target.len() <= LONGEST;
        let joined = if is_path { path::join(path::parent(link), &target) } else { None };
        joined.ok_or_else(|| ReadError::LinkEscape {
            link: link.to_owned(),
            target: target.chars().take(TOLD).collect(),
        })
    }
}

/// All that there is.
fn root(files: Files<'_>) -> BTreeMap<String, String> {
    (files.entry)("").map(|root| (String::new(), root.id)).into_iter().collect()
}

/// What is laid into a folder comes before that folder is laid anywhere.
fn in_order(laid: &[(String, String)]) -> Vec<(String, String)> {
    fn visit<'a>(
        laid: &'a [(String, String)],
        one: &'a (String, String),
        seen: &mut BTreeSet<&'a str>,
        done: &mut Vec<(String, String)>,
    ) {
        if seen.insert(&one.0) {
            let before = laid.iter().filter(|(at, _)| path::is_within(at, &one.1));
            before.for_each(|other| visit(laid, other, seen, done));
            done.push(one.clone());
        }
    }
    let (mut seen, mut done) = (BTreeSet::new(), Vec::new());
    laid.iter().for_each(|one| visit(laid, one, &mut seen, &mut done));
    done
}
