//! The entries of an archive, one after the other, each checked before it is kept.

use std::io::{self, Read};

use git2::Oid;
use tar::{Archive, Entry, EntryType, Header, PaxExtensions};

use super::Layout;
use super::error::ArchiveError;
use super::limits::ArchiveLimits;
use super::path::{parts, stays_inside};
use super::plant::Plant;

/// Bytes of a header that only names what follows it.
const LONGEST_HEADER: u64 = 64 << 10;

/// Unpacks the entries of a plain tar archive.
pub(super) fn unpack(
    reader: impl Read,
    layout: Layout,
    limits: &ArchiveLimits,
    cache: &git2::Repository,
) -> Result<Oid, ArchiveError> {
    let mut archive = Archive::new(reader);
    let mut unpacking = Unpacking { layout, limits, plant: Plant::new(cache), top: None };
    let mut announced = Announced::default();
    // The names that precede an entry are read here, since whoever reads them for us sets no limit to them.
    for (number, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if number >= limits.entries {
            return Err(ArchiveError::TooLarge(format!("it holds more than {} entries", limits.entries)));
        }
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => {}
            EntryType::XHeader => announced.take_extensions(&header_text(&mut entry)?)?,
            EntryType::GNULongName => announced.path = Some(without_end(header_text(&mut entry)?)),
            EntryType::GNULongLink => announced.link = Some(without_end(header_text(&mut entry)?)),
            _ => unpacking.take(&mut entry, std::mem::take(&mut announced))?,
        }
    }
    // What follows the last entry is read as well, for it holds the checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    unpacking.plant.grow()
}

/// What headers said about the entry that follows them.
#[derive(Default)]
struct Announced {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Announced {
    fn take_extensions(&mut self, text: &[u8]) -> Result<(), ArchiveError> {
        for extension in PaxExtensions::new(text) {
            let extension = extension?;
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| unreadable("a size in it is no number"))?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// An archive that is being unpacked.
struct Unpacking<'a> {
    layout: Layout,
    limits: &'a ArchiveLimits,
    plant: Plant<'a>,
    /// The folder that all files are in.
    top: Option<String>,
}

impl Unpacking<'_> {
    fn take(&mut self, entry: &mut Entry<'_, impl Read>, announced: Announced) -> Result<(), ArchiveError> {
        let header = entry.header().clone();
        let name = announced.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = announced.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let size = header.entry_size()?;
        if announced.size.is_some_and(|announced| announced != size) {
            return Err(unreadable("two of its sizes contradict each other"));
        }
        let is_folder = header.entry_type().is_dir() || name.ends_with(b"/");
        let Some(path) = self.inside(&name, is_folder)? else { return Ok(()) };
        match header.entry_type() {
            _ if is_folder => self.plant.folder(&path),
            EntryType::Regular | EntryType::Continuous => {
                let data = self.data(entry, size, &name)?;
                self.plant.file(&path, &data, is_executable(&header))
            }
            EntryType::Symlink => {
                let target = text(link.unwrap_or_default())?;
                if !stays_inside(&path, &target) {
                    return Err(ArchiveError::Link { path: shown(&name), target });
                }
                self.plant.link(&path, &target)
            }
            EntryType::Link => {
                let target = text(link.unwrap_or_default())?;
                let found =
                    self.inside(target.as_bytes(), false)?.and_then(|target| self.plant.find(&target));
                match found {
                    Some(planted) => self.plant.again(&path, planted),
                    None => Err(ArchiveError::Link { path: shown(&name), target }),
                }
            }
            _ => Err(ArchiveError::Special { path: shown(&name) }),
        }
    }

    /// Where an entry lies once the folder that all files are in is left out; none for that folder itself.
    fn inside(&mut self, name: &[u8], is_folder: bool) -> Result<Option<Vec<String>>, ArchiveError> {
        let mut path = parts(name)?;
        if path.is_empty() {
            return Ok(None);
        }
        if self.layout == Layout::InFolder {
            let top = path.remove(0);
            let is_inside = !path.is_empty() || is_folder;
            if !is_inside || self.top.as_ref().is_some_and(|known| *known != top) {
                let reason = "it lies beside the folder that everything else is in";
                return Err(ArchiveError::Path { path: shown(name), reason });
            }
            self.top = Some(top);
        }
        Ok((!path.is_empty()).then_some(path))
    }

    fn data(
        &self,
        entry: &mut Entry<'_, impl Read>,
        size: u64,
        name: &[u8],
    ) -> Result<Vec<u8>, ArchiveError> {
        if size > self.limits.file {
            let most = self.limits.file >> 20;
            let excess = format!("{} has more than {most} MiB", shown(name));
            return Err(ArchiveError::TooLarge(excess));
        }
        let mut data = Vec::new();
        entry.read_to_end(&mut data)?;
        if data.len() as u64 == size { Ok(data) } else { Err(unreadable("it ends too early")) }
    }
}

fn header_text(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, ArchiveError> {
    if entry.size() > LONGEST_HEADER {
        return Err(ArchiveError::TooLarge(format!("a header in it has more than {LONGEST_HEADER} bytes")));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    Ok(text)
}

fn without_end(mut text: Vec<u8>) -> Vec<u8> {
    if text.last() == Some(&0) {
        text.pop();
    }
    text
}

fn is_executable(header: &Header) -> bool {
    header.mode().is_ok_and(|mode| mode & 0o111 != 0)
}

fn text(name: Vec<u8>) -> Result<String, ArchiveError> {
    String::from_utf8(name).map_err(|_| unreadable("the name of a file in it is not UTF-8"))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn unreadable(reason: &str) -> ArchiveError {
    ArchiveError::Unreadable { reason: reason.to_owned() }
}
