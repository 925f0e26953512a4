//! What the real `gpg` signed of a chart counts for its archive, name and version, and for nothing else. The real
//! `helm package --sign` is in the behaviours.

mod gpg;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use gpg::Home;
use ithaca_api::project::HelmDemand;
use ithaca_watcher::repository::ChartArchive;
use ithaca_watcher::signature::{Keyring, OpenPgpKeys, SignatureError, verify_chart};

const DIGEST: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

/// Somebody with a key that lasts for a day.
struct Maker {
    home: Home,
    id: String,
}

impl Maker {
    fn new() -> anyhow::Result<Self> {
        let home = Home::new()?;
        let id = home.key(["ed25519", "sign", "1d"])?;
        Ok(Self { home, id })
    }

    fn sign(&self, text: &str) -> anyhow::Result<Vec<u8>> {
        std::fs::write(self.home.path().join("text"), text)?;
        self.home.gpg(&["--yes", "--clear-sign", "text"])?;
        Ok(std::fs::read(self.home.path().join("text.asc"))?)
    }

    fn keyring(&self) -> anyhow::Result<Keyring> {
        let exported = self.home.exported()?;
        let (openpgp, unreadable) = OpenPgpKeys::read([("key", exported.as_str())]);
        ensure!(unreadable.is_empty(), "{unreadable:?}");
        Ok(Keyring { openpgp, ..Keyring::default() })
    }
}

fn now() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

/// What helm signs; a line that begins with a dash is written otherwise when it is signed.
fn body(name: &str, version: &str, digest: &str) -> String {
    format!(
        "apiVersion: v2\nkeywords:\n- a\n- b   \nname: {name}\nversion: {version}\n\n...\nfiles:\n  \
         {name}-{version}.tgz: sha256:{digest}\n"
    )
}

fn archive(provenance: Option<Vec<u8>>) -> ChartArchive {
    let (name, version) = ("web".to_owned(), Some("1.0.0".to_owned()));
    ChartArchive { name, version, sha256: DIGEST.to_owned(), provenance, unread: None }
}

fn keys(ids: &[&str]) -> HelmDemand {
    HelmDemand { keys: ids.iter().map(|id| (*id).to_owned()).collect() }
}

fn refused(result: Result<(), SignatureError>, word: &str) -> anyhow::Result<()> {
    let error = result.err().with_context(|| format!("it should be refused: {word}"))?.to_string();
    ensure!(error.contains(word), "{error}");
    Ok(())
}

#[test]
fn a_provenance_file_counts_by_its_key_while_that_is_valid() -> anyhow::Result<()> {
    let (maker, other) = (Maker::new()?, Maker::new()?);
    let (demand, keyring) = (keys(&[&maker.id]), maker.keyring()?);
    let good = archive(Some(maker.sign(&body("web", "1.0.0", DIGEST))?));
    verify_chart(&good, &demand, &keyring, now()?)?;
    verify_chart(&good, &keys(&["0000000000000000", &maker.id[24..]]), &keyring, now()?)?;
    let by_digest = ChartArchive { version: None, ..good.clone() };
    verify_chart(&by_digest, &demand, &keyring, now()?)?;

    refused(verify_chart(&archive(None), &demand, &keyring, now()?), "has no provenance file")?;
    refused(verify_chart(&good, &keys(&[]), &keyring, now()?), "does not permit")?;
    refused(verify_chart(&good, &keys(&[&other.id]), &keyring, now()?), "does not permit")?;
    refused(verify_chart(&good, &demand, &other.keyring()?, now()?), "argocd-gpg-keys-cm")?;
    refused(verify_chart(&good, &demand, &keyring, now()? + 24 * 60 * 60), "was valid until")?;
    let unread = ChartArchive { unread: Some("the server refuses it to us".to_owned()), ..archive(None) };
    refused(verify_chart(&unread, &demand, &keyring, now()?), "refuses it")
}

#[test]
fn what_was_signed_for_something_else_does_not_count() -> anyhow::Result<()> {
    let maker = Maker::new()?;
    let (demand, keyring) = (keys(&[&maker.id]), maker.keyring()?);
    let check = |provenance: Vec<u8>, word: &str| -> anyhow::Result<()> {
        refused(verify_chart(&archive(Some(provenance)), &demand, &keyring, now()?), word)
    };
    check(maker.sign(&body("web", "1.0.0", &"0b".repeat(32)))?, "no archive with the digest")?;
    check(maker.sign(&body("web", "0.9.0", DIGEST))?, "it is for web 0.9.0")?;
    check(maker.sign(&body("till", "1.0.0", DIGEST))?, "it is for till 1.0.0")?;
    check(maker.sign("name: web\nversion: 1.0.0\n")?, "it names no digests")?;
    check(maker.sign("name: [\n...\nfiles: {}\n")?, "cannot be read")?;
    check(b"name: web".to_vec(), "cannot be read")?;
    check(vec![0xff; 9], "cannot be read")?;

    // What is changed afterwards, and what stands around it without being signed.
    let other = String::from_utf8(maker.sign(&body("web", "1.0.0", &"0b".repeat(32)))?)?;
    check(other.replace(&"0b".repeat(32), DIGEST).into_bytes(), "does not hold")?;
    let files = format!("...\nfiles:\n  web-1.0.0.tgz: sha256:{DIGEST}\n");
    check(format!("{}\n\n{files}{other}", body("web", "1.0.0", DIGEST)).into_bytes(), "")?;
    check(format!("{other}\n{files}").into_bytes(), "")?;
    let unsigned = other.split("-----BEGIN PGP SIGNATURE").next().context("a text")?;
    check(unsigned.as_bytes().to_vec(), "cannot be read")
}
