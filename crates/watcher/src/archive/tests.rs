//! Archives as anybody may make them, good and bad.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::*;

const LIMITS: ArchiveLimits =
    ArchiveLimits { total: 1 << 20, file: 1 << 18, entries: 100, ratio: 200, harmless: 1 << 17 };

struct Packer(Builder<Vec<u8>>);

impl Packer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", data)
    }

    /// An entry whose name is written as it is.
    fn entry(mut self, kind: EntryType, name: &str, link: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data).expect("an entry");
        self
    }

    fn extensions(mut self, extensions: &[(&str, &str)]) -> Self {
        let extensions = extensions.iter().map(|(key, value)| (*key, value.as_bytes()));
        self.0.append_pax_extensions(extensions).expect("extensions");
        self
    }

    fn tar(self) -> Vec<u8> {
        self.0.into_inner().expect("an archive")
    }

    fn tgz(self) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&self.tar()).expect("gzip");
        gzip.finish().expect("gzip")
    }
}

/// The paths of the tree that an archive gives, with what is in them, or why it gives none.
fn unpacked(archive: &[u8], packing: Packing, layout: Layout) -> Result<Vec<(String, String)>, ArchiveError> {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = git2::Repository::init_bare(folder.path()).expect("a cache");
    let tree = cache.find_tree(unpack(archive, packing, layout, &LIMITS, &cache)?).expect("the tree");
    let mut found = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |parent, entry| {
        if let Ok(blob) = cache.find_blob(entry.id()) {
            let name = format!("{parent}{}", entry.name().expect("a name"));
            found.push((name, String::from_utf8_lossy(blob.content()).into_owned()));
        }
        git2::TreeWalkResult::Ok
    })
    .expect("a walk");
    Ok(found)
}

fn chart(packer: Packer) -> Result<Vec<(String, String)>, ArchiveError> {
    unpacked(&packer.tgz(), Packing::Gzip, Layout::InFolder)
}

fn paths(files: Result<Vec<(String, String)>, ArchiveError>) -> Vec<String> {
    files.expect("files").into_iter().map(|(path, _)| path).collect()
}

fn refusal(packer: Packer) -> String {
    chart(packer).expect_err("a refusal").to_string()
}

#[test]
fn a_charts_files_begin_at_the_root() {
    let packer = Packer::new()
        .entry(EntryType::Directory, "web/", "", b"")
        .file("web/Chart.yaml", b"name: web")
        .file("web/empty", b"")
        .file("web/charts/db/Chart.yaml", b"name: db");
    let found = chart(packer).expect("a chart");
    let texts: Vec<_> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(texts, [("Chart.yaml", "name: web"), ("charts/db/Chart.yaml", "name: db"), ("empty", "")]);
}

#[test]
fn an_artifacts_files_stay_where_they_are() {
    let files = || Packer::new().file("./a.yaml", b"1").file("deep/b.yaml", b"2");
    assert_eq!(paths(unpacked(&files().tgz(), Packing::Gzip, Layout::AtRoot)), ["a.yaml", "deep/b.yaml"]);
    assert_eq!(paths(unpacked(&files().tar(), Packing::Plain, Layout::AtRoot)), ["a.yaml", "deep/b.yaml"]);
}

#[test]
fn long_names_are_read_in_every_spelling() {
    let long = format!("web/{}/a.yaml", "x".repeat(200));
    let gnu = Packer::new()
        .entry(EntryType::GNULongName, "././@LongLink", "", long.as_bytes())
        .file("web/cut", b"1");
    assert_eq!(paths(chart(gnu)), [long.strip_prefix("web/").expect("a prefix")]);
    let pax = Packer::new().extensions(&[("path", &long), ("mtime", "1.5")]).file("web/cut", b"1");
    assert_eq!(paths(chart(pax)), [long.strip_prefix("web/").expect("a prefix")]);
}

#[test]
fn links_that_stay_inside_are_kept() {
    let packer = Packer::new()
        .file("web/a", b"1")
        .entry(EntryType::Symlink, "web/deep/soft", "../a", b"")
        .entry(EntryType::Link, "web/hard", "web/a", b"");
    let found = chart(packer).expect("a chart");
    let texts: Vec<_> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(texts, [("a", "1"), ("deep/soft", "../a"), ("hard", "1")]);
}

#[test]
fn what_would_leave_the_archive_is_refused() {
    for name in ["web/../../a", "/web/a", "../web/a", "web/.git/config"] {
        let error = refusal(Packer::new().file(name, b"1"));
        assert!(error.contains(name), "{error}");
    }
    for target in ["../../a", "../a", "/etc/passwd"] {
        let error = refusal(Packer::new().entry(EntryType::Symlink, "web/link", target, b""));
        assert!(error.contains(target), "{error}");
    }
    let unknown = refusal(Packer::new().entry(EntryType::Link, "web/link", "web/none", b""));
    assert!(unknown.contains("web/none"), "{unknown}");
    let hidden = Packer::new().extensions(&[("path", "web/../../a")]).file("web/harmless", b"1");
    assert!(refusal(hidden).contains("leads out"));
}

#[test]
fn devices_and_pipes_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse] {
        let error = refusal(Packer::new().entry(kind, "web/odd", "", b""));
        assert!(error.contains("neither a file"), "{error}");
    }
}

#[test]
fn one_path_is_one_file() {
    let twice = Packer::new().file("web/a", b"1").file("web/a", b"2");
    assert!(refusal(twice).contains("\"a\" twice"));
    let same = Packer::new().file("web/a", b"1").file("web/./a", b"1");
    assert_eq!(paths(chart(same)), ["a"]);
    let through_a_file = Packer::new().file("web/a", b"1").file("web/a/b", b"2");
    assert!(refusal(through_a_file).contains("twice"));
    let through_a_link = Packer::new().entry(EntryType::Symlink, "web/a", "b", b"").file("web/a/b", b"2");
    assert!(refusal(through_a_link).contains("twice"));
    let over_a_folder = Packer::new().file("web/a/b", b"2").file("web/a", b"1");
    assert!(refusal(over_a_folder).contains("twice"));
}

#[test]
fn a_chart_is_one_folder() {
    for packer in
        [Packer::new().file("web/a", b"1").file("db/a", b"2"), Packer::new().file("Chart.yaml", b"1")]
    {
        assert!(refusal(packer).contains("beside the folder"));
    }
    assert_eq!(chart(Packer::new().entry(EntryType::Directory, "web/", "", b"")), Err(ArchiveError::Empty));
}

#[test]
fn limits_are_kept() {
    let noise: Vec<u8> =
        (0..1_u32 << 17).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let large = refusal(Packer::new().file("web/large", &noise[..(1 << 18) + 1]));
    assert!(large.contains("web/large has more than"), "{large}");
    let much = (0..6).fold(Packer::new(), |packer, number| {
        packer.file(&format!("web/{number}"), &noise[number..number + (1 << 18)])
    });
    assert!(refusal(much).contains("more than 1 MiB"));
    let many = (0..101).fold(Packer::new(), |packer, number| packer.file(&format!("web/{number}"), b"1"));
    assert!(refusal(many).contains("more than 100 entries"));
    let bomb =
        (0..3).fold(Packer::new(), |packer, number| packer.file(&format!("web/{number}"), &[0; 1 << 18]));
    assert!(refusal(bomb).contains("200 times"));
    let name = "x".repeat(1 << 17);
    let header = Packer::new().entry(EntryType::GNULongName, "././@LongLink", "", name.as_bytes());
    assert!(refusal(header).contains("header"));
    let sizes = Packer::new().extensions(&[("size", "1")]).file("web/a", b"123");
    assert!(refusal(sizes).contains("contradict"));
}

#[test]
fn what_is_cut_off_or_damaged_is_refused() {
    let whole = Packer::new().file("web/a", &[7; 5_000]).file("web/b", b"2").tgz();
    for length in [0, 10, whole.len() / 2, whole.len() - 4] {
        assert!(unpacked(&whole[..length], Packing::Gzip, Layout::InFolder).is_err(), "{length}");
    }
    let mut damaged = whole.clone();
    let at = whole.len() - 6;
    damaged[at] ^= 0xff;
    assert!(unpacked(&damaged, Packing::Gzip, Layout::InFolder).is_err());
    let tar = Packer::new().file("web/a", &[7; 5_000]).tar();
    assert!(unpacked(&tar[..3_000], Packing::Plain, Layout::InFolder).is_err());
    assert!(unpacked(b"<html>not found</html>", Packing::Gzip, Layout::InFolder).is_err());
}
