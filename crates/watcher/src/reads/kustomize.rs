//! An overlay reads its folder and every folder and file outside of it that a kustomization refers to,
//! and what those refer to in turn. Plugins' configurations name files as kustomizations do.

use std::collections::BTreeSet;

use ithaca_api::source_type::KUSTOMIZATION_FILES;
use serde_json::Value;

use super::error::ReadError;
use super::kustomization::{self, Named};
use super::path::{self, is_remote};
use super::reader::Reader;
use super::tree::Kind;

/// Reads an overlay, and says whether it inflates a chart.
pub(super) fn read(reader: &mut Reader<'_>, index: usize, folder: &str) -> Result<bool, ReadError> {
    reader.is_overlay(index);
    reader.read(index, folder)?;
    let mut overlay = Overlay { reader, index, folders: vec![folder.to_owned()], has_chart: false };
    if let Some(kustomize) = &overlay.reader.source(index).kustomize {
        let patches = kustomize.patches.iter().map(|patch| &patch.path);
        for reference in kustomize.components.iter().chain(patches) {
            overlay.refer(folder, reference)?;
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(folder) = overlay.folders.pop() {
        if seen.insert(folder.clone()) {
            let kustomization = overlay.kustomization(&folder)?;
            overlay
                .follow(&folder, kustomization.as_ref().map(Named::in_kustomization).unwrap_or_default())?;
        }
    }
    Ok(overlay.has_chart)
}

/// An overlay that is being read.
struct Overlay<'r, 'a> {
    reader: &'r mut Reader<'a>,
    index: usize,
    /// Folders of kustomizations that are still to be looked into.
    folders: Vec<String>,
    has_chart: bool,
}

impl Overlay<'_, '_> {
    /// Reads all that a kustomization in `folder` names.
    fn follow(&mut self, folder: &str, named: Named) -> Result<(), ReadError> {
        self.has_chart |= named.has_chart;
        for reference in &named.paths {
            self.refer(folder, reference)?;
        }
        let mut plugins = named.plugins;
        let mut seen = BTreeSet::new();
        while let Some(reference) = plugins.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            let text = self.configuration(folder, &reference, &mut plugins)?;
            let configured = Named::in_plugins(&text);
            self.has_chart |= configured.has_chart;
            for reference in &configured.paths {
                self.refer(folder, reference)?;
            }
        }
        Ok(())
    }

    /// The text of a plugin's configuration. A folder of them holds more as its resources; the paths in those begin
    /// where they are used.
    fn configuration(
        &mut self,
        folder: &str,
        reference: &str,
        more: &mut Vec<String>,
    ) -> Result<String, ReadError> {
        if kustomization::is_inline(reference) {
            return Ok(reference.to_owned());
        }
        let Some((at, kind)) = self.refer(folder, reference)? else { return Ok(String::new()) };
        if kind == Kind::Folder {
            let kustomization = self.kustomization(&at)?;
            let resources = kustomization.iter().flat_map(kustomization::resources);
            let inside = resources.filter_map(|resource| path::join(&at, &resource));
            more.extend(inside.map(|resource| path::relative(folder, &resource)));
            return Ok(String::new());
        }
        let text = (self.reader.files(self.index).text)(&at).unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Reads what is named in `folder`, and says where it really is; folders are to be looked into as well.
    fn refer(&mut self, folder: &str, reference: &str) -> Result<Option<(String, Kind)>, ReadError> {
        if reference.is_empty() || kustomization::is_inline(reference) {
            return Ok(None);
        }
        // The program would fetch it from wherever it can reach, or read it from its own machine.
        if is_remote(reference) || reference.starts_with('/') {
            return Err(ReadError::Elsewhere { path: reference.to_owned() });
        }
        let at =
            path::join(folder, reference).ok_or_else(|| ReadError::Escape { path: reference.to_owned() })?;
        let entry = (self.reader.files(self.index).entry)(&at);
        let (at, kind) = match entry {
            Some(entry) if self.reader.covers(self.index, &at) && entry.kind != Kind::Link => {
                (at, Some(entry.kind))
            }
            // Shorthands such as `example.org/group/repository` name no path here.
            None if is_shorthand(reference) => (at, None),
            _ => self.reader.read(self.index, &at)?,
        };
        if kind == Some(Kind::Folder) {
            self.folders.push(at.clone());
        }
        Ok(kind.map(|kind| (at, kind)))
    }

    /// The kustomization in a folder.
    fn kustomization(&mut self, folder: &str) -> Result<Option<Value>, ReadError> {
        for name in KUSTOMIZATION_FILES {
            let at = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let files = self.reader.files(self.index);
            let Some(entry) = (files.entry)(&at) else { continue };
            let at = if entry.kind == Kind::Link { self.reader.read(self.index, &at)?.0 } else { at };
            let text = (files.text)(&at).unwrap_or_default();
            return Ok(kustomization::documents(&String::from_utf8_lossy(&text)).into_iter().next());
        }
        Ok(None)
    }
}

fn is_shorthand(reference: &str) -> bool {
    reference.split('/').next().is_some_and(|host| host.contains('.') && !host.starts_with('.'))
}
