//! What Git signed with the real `gpg` and `ssh-keygen` counts, and nothing else does.

mod gpg;

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use gpg::Home;
use ithaca_api::project::{Depth, GitDemand};
use ithaca_watcher::signature::{AllowedSigners, Keyring, OpenPgpKeys, SignatureError, Signed, verify};

/// A repository, and a home in which keys are.
struct Author {
    home: Home,
}

impl Author {
    fn new() -> anyhow::Result<Self> {
        let author = Self { home: Home::new()? };
        author.git(&["init", "--quiet", "--initial-branch=main"])?;
        std::fs::write(author.path().join("empty"), "")?;
        Ok(author)
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.path())
            .env("GNUPGHOME", self.path())
            .env("GIT_CONFIG_GLOBAL", self.path().join("empty"))
            .env("GIT_CONFIG_SYSTEM", self.path().join("empty"))
            .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
            .output()
            .with_context(|| format!("failed to run {program}"))?;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run("git", arguments)
    }

    /// An SSH key of a kind; its line.
    fn ssh_key(&self, kind: &str) -> anyhow::Result<String> {
        self.run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-C", "ada", "-f", &format!("id_{kind}")])?;
        Ok(std::fs::read_to_string(self.path().join(format!("id_{kind}.pub")))?.trim().to_owned())
    }

    fn commit(&self, options: &[&str]) -> anyhow::Result<Signed> {
        let mut all = Vec::new();
        let (config, flags): (Vec<&&str>, Vec<&&str>) =
            options.iter().partition(|option| option.contains('='));
        config.iter().for_each(|option| all.extend(["-c", option]));
        all.extend(["commit", "--quiet", "--allow-empty", "-m", "Say something"]);
        all.extend(flags);
        self.git(&all)?;
        self.head()
    }

    fn head(&self) -> anyhow::Result<Signed> {
        let repository = git2::Repository::open(self.path())?;
        let commit = repository.head()?.peel_to_commit()?;
        let (signature, payload) = match repository.extract_signature(&commit.id(), None) {
            Ok((signature, payload)) => (Some(std::str::from_utf8(&signature)?.to_owned()), payload.to_vec()),
            Err(_) => (None, Vec::new()),
        };
        Ok(Signed { payload, signature, made: commit.time().seconds() })
    }

    fn tag(&self, name: &str) -> anyhow::Result<Signed> {
        let repository = git2::Repository::open(self.path())?;
        let id = repository.refname_to_id(&format!("refs/tags/{name}"))?;
        Ok(Signed::of_tag(repository.odb()?.read(id)?.data(), now()))
    }
}

fn now() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    time.as_secs().try_into().unwrap_or(i64::MAX)
}

fn pgp(texts: &[&str]) -> anyhow::Result<Keyring> {
    let (openpgp, unreadable) = OpenPgpKeys::read(texts.iter().map(|text| ("key", *text)));
    ensure!(unreadable.is_empty(), "{unreadable:?}");
    Ok(Keyring { openpgp, ..Keyring::default() })
}

fn ssh(text: &str) -> anyhow::Result<Keyring> {
    let (ssh, unreadable) = AllowedSigners::read([("signers", text)]);
    ensure!(unreadable.is_empty(), "{unreadable:?}");
    Ok(Keyring { ssh, ..Keyring::default() })
}

fn keys(ids: &[&str]) -> GitDemand {
    let keys = Some(ids.iter().map(|id| (*id).to_owned()).collect());
    GitDemand { depth: Depth::Head, keys, signers: None }
}

fn signers(names: &[&str]) -> GitDemand {
    let signers = Some(names.iter().map(|name| (*name).to_owned()).collect());
    GitDemand { depth: Depth::Head, keys: None, signers }
}

fn refused(result: Result<(), SignatureError>, word: &str) -> anyhow::Result<()> {
    let error = result.err().with_context(|| format!("it should be refused: {word}"))?.to_string();
    ensure!(error.contains(word), "{error}");
    Ok(())
}

const FULL: [&str; 3] = ["ed25519", "sign", "never"];

#[test]
fn commits_signed_with_gpg_count_by_their_key() -> anyhow::Result<()> {
    for algorithm in ["ed25519", "rsa3072", "nistp256"] {
        let author = Author::new()?;
        let id = author.home.key([algorithm, "sign", "never"])?;
        let keyring = pgp(&[&author.home.exported()?])?;
        let signed = author.commit(&[&format!("user.signingkey={id}"), "-S"])?;
        verify(&signed, &keys(&[&id]), &keyring, Some(now()))?;
        verify(&signed, &keys(&["0000000000000000", &id[24..]]), &keyring, Some(now()))?;
        refused(verify(&signed, &keys(&[]), &keyring, Some(now())), "does not permit")?;
        // The short ids of old are anybody's to make.
        refused(verify(&signed, &keys(&[&id[32..]]), &keyring, Some(now())), "does not permit")?;
        refused(verify(&signed, &signers(&["*"]), &keyring, Some(now())), "permits none of that kind")?;
        let none = Keyring::default();
        refused(verify(&signed, &keys(&[&id]), &none, Some(now())), "argocd-gpg-keys-cm")?;
        let mut changed = signed.clone();
        changed.payload.push(b'!');
        refused(verify(&changed, &keys(&[&id]), &keyring, Some(now())), "does not hold")?;
        let unsigned = author.commit(&[])?;
        refused(verify(&unsigned, &keys(&[&id]), &keyring, Some(now())), "is not signed")?;
    }
    Ok(())
}

#[test]
fn a_subkey_counts_as_its_primary_key_while_that_is_good() -> anyhow::Result<()> {
    let author = Author::new()?;
    let id = author.home.key(["ed25519", "cert", "never"])?;
    author.home.gpg(&["--quick-add-key", &id, "ed25519", "sign", "never"])?;
    let before = author.home.exported()?;
    let signed = author.commit(&[&format!("user.signingkey={id}"), "-S"])?;
    let keyring = pgp(&[&before])?;
    verify(&signed, &keys(&[&id]), &keyring, Some(now()))?;

    let revocation = std::fs::read_to_string(author.path().join(format!("openpgp-revocs.d/{id}.rev")))?;
    std::fs::write(author.path().join("revocation"), revocation.replace(":-----BEGIN", "-----BEGIN"))?;
    author.home.gpg(&["--import", "revocation"])?;
    let after = author.home.exported()?;
    refused(verify(&signed, &keys(&[&id]), &pgp(&[&after])?, Some(now())), "is revoked")?;
    refused(verify(&signed, &keys(&[&id]), &pgp(&[&before, &after])?, Some(now())), "is revoked")
}

#[test]
fn a_key_that_expired_counts_no_more_unless_for_what_is_older() -> anyhow::Result<()> {
    let author = Author::new()?;
    let id = author.home.key(["ed25519", "sign", "1d"])?;
    let keyring = pgp(&[&author.home.exported()?])?;
    let signed = author.commit(&[&format!("user.signingkey={id}"), "-S"])?;
    let (demand, day) = (keys(&[&id]), 24 * 60 * 60);
    verify(&signed, &demand, &keyring, Some(now()))?;
    verify(&signed, &demand, &keyring, None)?;
    refused(verify(&signed, &demand, &keyring, Some(now() + day)), "was valid until")?;

    // Who makes it last longer gives it again, alone or beside the old one.
    author.home.gpg(&["--quick-set-expire", &id, "1y"])?;
    let later = author.home.exported()?;
    verify(&signed, &demand, &pgp(&[&later])?, Some(now() + day))?;
    verify(&signed, &demand, &pgp(&[&author.home.exported()?, &later])?, Some(now() + day))?;
    Ok(())
}

#[test]
fn annotated_tags_have_signatures_of_their_own() -> anyhow::Result<()> {
    let author = Author::new()?;
    let id = author.home.key(FULL)?;
    let keyring = pgp(&[&author.home.exported()?])?;
    author.commit(&[])?;
    author.git(&["-c", &format!("user.signingkey={id}"), "tag", "-s", "-m", "One", "v1"])?;
    author.git(&["tag", "-a", "-m", "Two", "v2"])?;
    verify(&author.tag("v1")?, &keys(&[&id]), &keyring, Some(now()))?;
    refused(verify(&author.tag("v2")?, &keys(&[&id]), &keyring, Some(now())), "is not signed")?;
    // What a message quotes is no signature.
    let message = "Tell of -----BEGIN PGP SIGNATURE----- within";
    author.git(&["-c", &format!("user.signingkey={id}"), "tag", "-s", "-m", message, "v1.1"])?;
    verify(&author.tag("v1.1")?, &keys(&[&id]), &keyring, Some(now()))?;
    author.git(&["tag", "-a", "-m", message, "v2.1"])?;
    refused(verify(&author.tag("v2.1")?, &keys(&[&id]), &keyring, Some(now())), "is not signed")?;

    let public = author.ssh_key("ed25519")?;
    let config = ["-c", "gpg.format=ssh", "-c", "user.signingkey=id_ed25519"];
    author.git(&[&config[..], &["tag", "-s", "-m", "Three", "v3"]].concat())?;
    let keyring = ssh(&format!("ada@example.com {public}"))?;
    verify(&author.tag("v3")?, &signers(&["*"]), &keyring, Some(now()))?;
    Ok(())
}

#[test]
fn commits_signed_with_ssh_count_by_the_allowed_signers() -> anyhow::Result<()> {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let author = Author::new()?;
        let public = author.ssh_key(kind)?;
        let signed = author.commit(&["gpg.format=ssh", &format!("user.signingkey=id_{kind}"), "-S"])?;
        let check = |line: &str, names: &[&str]| -> anyhow::Result<Result<(), SignatureError>> {
            let keyring = ssh(&format!("# people\n\n{line} {public}\n"))?;
            Ok(verify(&signed, &signers(names), &keyring, Some(now())))
        };
        check("ada@example.com", &["*"])??;
        check("bob@example.com,*@example.com", &["ada@example.com"])??;
        check("ada@example.com namespaces=\"git\",valid-after=\"20200101Z\"", &["ada@example.com"])??;
        refused(check("*@example.com,!ada@example.com", &["ada@example.com"])?, "does not permit")?;
        refused(check("ada@example.com", &["bob@example.com"])?, "does not permit")?;
        refused(check("ada@example.com", &[])?, "does not permit")?;
        refused(check("ada@example.com namespaces=\"file\"", &["*"])?, "namespaces")?;
        refused(check("ada@example.com valid-before=\"20240101\"", &["*"])?, "2024-01-01")?;
        refused(check("ada@example.com valid-after=\"29990101000000\"", &["*"])?, "2999-01-01")?;
        refused(verify(&signed, &signers(&["*"]), &Keyring::default(), None), "ithaca-allowed-signers")?;
        refused(verify(&signed, &keys(&["A"]), &Keyring::default(), None), "permits none of that kind")?;
        let mut changed = signed.clone();
        changed.payload.push(b'!');
        let keyring = ssh(&format!("ada {public}"))?;
        refused(verify(&changed, &signers(&["*"]), &keyring, None), "does not hold")?;
    }
    Ok(())
}

#[test]
fn a_signer_counts_by_the_key_of_his_line_and_by_when_he_signed() -> anyhow::Result<()> {
    let (author, other) = (Author::new()?, Author::new()?);
    let (public, of_other) = (author.ssh_key("ed25519")?, other.ssh_key("ed25519")?);
    let signed = author.commit(&["gpg.format=ssh", "user.signingkey=id_ed25519", "-S"])?;
    let old = Signed { made: 1_500_000_000, ..signed.clone() };
    let check =
        |signed: &Signed, lines: &str, now: Option<i64>| -> anyhow::Result<Result<(), SignatureError>> {
            Ok(verify(signed, &signers(&["ada@example.com"]), &ssh(lines)?, now))
        };
    let theirs = format!("ada@example.com {of_other}\n");
    refused(check(&signed, &theirs, Some(now()))?, "ithaca-allowed-signers")?;
    check(&signed, &format!("{theirs}ada@example.com {public}\n"), Some(now()))??;
    refused(check(&signed, &format!("{theirs}bob@example.com {public}\n"), Some(now()))?, "does not permit")?;

    let since = format!("ada@example.com valid-after=\"20200101Z\" {public}");
    check(&signed, &since, Some(now()))??;
    refused(check(&old, &since, Some(now()))?, "2020-01-01")?;
    refused(check(&old, &since, None)?, "2020-01-01")?;
    let until = format!("ada@example.com valid-before=\"20200101Z\" {public}");
    check(&old, &until, None)??;
    refused(check(&old, &until, Some(now()))?, "2020-01-01")?;
    // One good line is enough.
    check(&signed, &format!("{until}\n{since}"), Some(now()))??;
    Ok(())
}

#[test]
fn what_was_signed_for_something_else_does_not_count() -> anyhow::Result<()> {
    let author = Author::new()?;
    let public = author.ssh_key("ed25519")?;
    let signed = author.commit(&["gpg.format=ssh", "user.signingkey=id_ed25519", "-S"])?;
    std::fs::write(author.path().join("payload"), &signed.payload)?;
    author.run("ssh-keygen", &["-q", "-Y", "sign", "-n", "file", "-f", "id_ed25519", "payload"])?;
    let signature = std::fs::read_to_string(author.path().join("payload.sig"))?;
    let elsewhere = Signed { signature: Some(signature), ..signed };
    let keyring = ssh(&format!("ada {public}"))?;
    refused(verify(&elsewhere, &signers(&["*"]), &keyring, None), "something else than Git")
}

#[test]
fn certificates_are_refused_in_words() -> anyhow::Result<()> {
    let author = Author::new()?;
    let public = author.ssh_key("ed25519")?;
    let (_, unreadable) = AllowedSigners::read([("signers", &*format!("* cert-authority {public}"))]);
    ensure!(unreadable.len() == 1 && unreadable[0].contains("certificates"), "{unreadable:?}");
    author.run("ssh-keygen", &["-q", "-s", "id_ed25519", "-I", "ada", "-n", "ada", "id_ed25519.pub"])?;
    let signed = author.commit(&["gpg.format=ssh", "user.signingkey=id_ed25519-cert.pub", "-S"])?;
    let keyring = ssh(&format!("ada {public}"))?;
    refused(verify(&signed, &signers(&["*"]), &keyring, None), "certificate")
}

#[test]
fn what_is_no_key_is_told_of() {
    let (_, unreadable) = OpenPgpKeys::read([("4AEE18F83AFDEB23", "nonsense")]);
    assert!(unreadable.len() == 1 && unreadable[0].contains("4AEE18F83AFDEB23"), "{unreadable:?}");
    let (_, unreadable) = AllowedSigners::read([("team", "ada ssh-ed25519 nonsense\nbob\n")]);
    assert_eq!(unreadable.len(), 2, "{unreadable:?}");
}
