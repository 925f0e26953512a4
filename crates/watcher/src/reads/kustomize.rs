//! An overlay reads its folder and every folder and file outside of it that a kustomization refers to,
//! and what those refer to in turn. Plugins' configurations name files as kustomizations do. What is named by URL is
//! wanted of other repositories, and read like the rest once it was found.

use std::collections::BTreeSet;

use ithaca_api::source::REMOTE_VALUE_FILE;
use ithaca_api::source_type::KUSTOMIZATION_FILES;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::dependencies::is_name;
use super::error::ReadError;
use super::kustomization::{self, Chart, Named};
use super::path::{self, is_remote};
use super::reader::Reader;
use super::remote::{self, Remote};
use super::tree::Kind;
use super::{Reference, Want, What};
use crate::value_file::NEWEST;

/// How often a base elsewhere may name another that is elsewhere again.
const HOPS: usize = 8;
/// Where bases of other repositories are laid.
const BASES: &str = ".ithaca-bases";
/// Where the file at a URL is laid, in the folder of whoever names it: kustomize reads no files above that.
const FILE: &str = ".ithaca-file";

/// Reads an overlay, and says whether it inflates a chart.
pub(super) fn read(reader: &mut Reader<'_>, index: usize, folder: &str) -> Result<bool, ReadError> {
    reader.is_overlay(index);
    reader.read(index, folder)?;
    let here = Place { index, folder: folder.to_owned(), hops: 0 };
    let mut overlay = Overlay { reader, places: vec![here.clone()], has_chart: false };
    if let Some(kustomize) = &overlay.reader.source(index).kustomize {
        for component in &kustomize.components {
            overlay.base(&here, component)?;
        }
        for patch in &kustomize.patches {
            overlay.refer(&here, &patch.path)?;
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(place) = overlay.places.pop() {
        if seen.insert((place.index, place.folder.clone())) {
            let kustomization = overlay.kustomization(place.index, &place.folder)?;
            let named = kustomization.as_ref().map(Named::in_kustomization).unwrap_or_default();
            overlay.follow(&place, named)?;
        }
    }
    Ok(overlay.has_chart)
}

/// An overlay that is being read.
struct Overlay<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Kustomizations that are still to be looked into.
    places: Vec<Place>,
    has_chart: bool,
}

/// The folder of a kustomization.
#[derive(Clone, Debug)]
struct Place {
    /// Whose files it is in: a source's, or those of what was found for one.
    index: usize,
    folder: String,
    /// How many URLs lead to it, one after the other.
    hops: usize,
}

impl Overlay<'_, '_> {
    /// Reads all that a kustomization names.
    fn follow(&mut self, here: &Place, named: Named) -> Result<(), ReadError> {
        for reference in &named.resources {
            self.resource(here, reference)?;
        }
        for reference in &named.components {
            self.base(here, reference)?;
        }
        for reference in &named.paths {
            self.refer(here, reference)?;
        }
        for chart in &named.charts {
            self.inflate(here, chart)?;
        }
        let mut plugins = named.plugins;
        let mut seen = BTreeSet::new();
        while let Some(reference) = plugins.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            let text = self.configuration(here, &reference, &mut plugins)?;
            let configured = Named::in_plugins(&text);
            for reference in &configured.paths {
                self.refer(here, reference)?;
            }
            for chart in &configured.charts {
                self.inflate(here, chart)?;
            }
        }
        Ok(())
    }

    /// Reads a file or a folder, which may be elsewhere.
    fn resource(&mut self, here: &Place, reference: &str) -> Result<(), ReadError> {
        match remote::parse(reference)? {
            Some(Remote::File { url }) => self.file(here, reference, url),
            _ => self.base(here, reference),
        }
    }

    /// Reads a folder, which may be one of another repository.
    fn base(&mut self, here: &Place, reference: &str) -> Result<(), ReadError> {
        let Some(Remote::Folder { repository, path, revision }) = remote::parse(reference)? else {
            return self.refer(here, reference).map(drop);
        };
        let url = || shown(reference);
        let hops = here.hops + 1;
        if hops > HOPS {
            return Err(ReadError::TooDeep { url: url(), most: HOPS });
        }
        let (source, folder) = self.reader.place(here.index, &here.folder);
        let at = format!("{BASES}/{}", name([&repository, &revision]));
        let target = path::relative(&folder, &path::below(&at, &path));
        self.reader.refer(source, Reference { folder, written: reference.to_owned(), path: target });
        let what = What::Base;
        let want = Want { what, source, path: at, repository, chart: String::new(), revision };
        let Some(index) = self.reader.want_once(want)? else { return Ok(()) };
        let problem = match self.reader.read(index, &path)? {
            (folder, Some(Kind::Folder)) => {
                self.places.push(Place { index, folder, hops });
                return Ok(());
            }
            (_, Some(_)) => "is a file and no folder",
            (_, None) => "does not exist at that revision of its repository",
        };
        Err(ReadError::Base { url: url(), problem })
    }

    /// Has the file at a URL laid beside the kustomization that names it.
    fn file(&mut self, here: &Place, reference: &str, url: String) -> Result<(), ReadError> {
        let (source, folder) = self.reader.place(here.index, &here.folder);
        let beside = format!("{FILE}-{}", name([&url, ""]));
        let path = path::join(&folder, &beside).unwrap_or_default();
        let target = format!("{beside}/{REMOTE_VALUE_FILE}");
        self.reader.refer(source, Reference { folder, written: reference.to_owned(), path: target });
        let (chart, revision) = (String::new(), NEWEST.to_owned());
        let want = Want { what: What::File, source, path, repository: url, chart, revision };
        self.reader.want_once(want).map(drop)
    }

    /// Reads a chart that lies where it is looked for, or has it laid there.
    fn inflate(&mut self, here: &Place, chart: &Chart) -> Result<(), ReadError> {
        self.has_chart = true;
        let Chart { home, name, version, repository } = chart;
        if name.is_empty() {
            return Ok(());
        }
        let at = path::below(home, name);
        let is_there = self.refer(here, &at)?.is_some();
        if is_there || repository.is_empty() || !is_name(name) || version.contains('/') {
            return Ok(());
        }
        let (source, folder) = self.reader.place(here.index, &here.folder);
        let path = path::join(&folder, &at).ok_or_else(|| ReadError::Escape { path: at.clone() })?;
        let (what, repository) = (What::Chart, repository.clone());
        let (chart, revision) = (name.clone(), version.clone());
        self.reader.want_once(Want { what, source, path, repository, chart, revision }).map(drop)
    }

    /// The text of a plugin's configuration. A folder of them holds more as its resources; the paths in those begin
    /// where they are used.
    fn configuration(
        &mut self,
        here: &Place,
        reference: &str,
        more: &mut Vec<String>,
    ) -> Result<String, ReadError> {
        if kustomization::is_inline(reference) {
            return Ok(reference.to_owned());
        }
        let Some((at, kind)) = self.refer(here, reference)? else { return Ok(String::new()) };
        if kind == Kind::Folder {
            let kustomization = self.kustomization(here.index, &at)?;
            let resources = kustomization.iter().flat_map(kustomization::resources);
            let inside = resources.filter_map(|resource| path::join(&at, &resource));
            more.extend(inside.map(|resource| path::relative(&here.folder, &resource)));
            return Ok(String::new());
        }
        let text = (self.reader.files(here.index).text)(&at).unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Reads what is named by its path, and says where it really is; folders are to be looked into as well.
    fn refer(&mut self, here: &Place, reference: &str) -> Result<Option<(String, Kind)>, ReadError> {
        if reference.is_empty() || kustomization::is_inline(reference) {
            return Ok(None);
        }
        // The program would fetch it from wherever it can reach, or read it from its own machine.
        if is_remote(reference) || reference.starts_with('/') {
            return Err(ReadError::Elsewhere { url: shown(reference) });
        }
        let escape = || ReadError::Escape { path: reference.to_owned() };
        let at = path::join(&here.folder, reference).ok_or_else(escape)?;
        let (index, hops) = (here.index, here.hops);
        let entry = (self.reader.files(index).entry)(&at);
        let (folder, kind) = match entry {
            Some(entry) if self.reader.covers(index, &at) && entry.kind != Kind::Link => {
                (at, Some(entry.kind))
            }
            // Shorthands such as `example.org/group/repository` name no path here.
            None if is_shorthand(reference) => (at, None),
            _ => self.reader.read(index, &at)?,
        };
        if kind == Some(Kind::Folder) {
            self.places.push(Place { index, folder: folder.clone(), hops });
        }
        Ok(kind.map(|kind| (folder, kind)))
    }

    /// The kustomization in a folder.
    fn kustomization(&mut self, index: usize, folder: &str) -> Result<Option<Value>, ReadError> {
        for name in KUSTOMIZATION_FILES {
            let at = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let files = self.reader.files(index);
            let Some(entry) = (files.entry)(&at) else { continue };
            let at = if entry.kind == Kind::Link { self.reader.read(index, &at)?.0 } else { at };
            let text = (files.text)(&at).unwrap_or_default();
            return Ok(kustomization::documents(&String::from_utf8_lossy(&text)).into_iter().next());
        }
        Ok(None)
    }
}

/// What to call the folder of something elsewhere: the same wherever it is named.
fn name(parts: [&str; 2]) -> String {
    hex::encode(&Sha256::digest(parts.join("\n"))[..8])
}

/// A reference as it may be shown: credentials may stand before the host, and tokens in the query.
fn shown(reference: &str) -> String {
    let address = reference.split_once('?').map_or(reference, |(address, _)| address);
    ithaca_api::without_credentials(address)
}

fn is_shorthand(reference: &str) -> bool {
    reference.split('/').next().is_some_and(|host| host.contains('.') && !host.starts_with('.'))
}
