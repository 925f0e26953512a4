//! Files that the real `sops` encrypted are given as they were; what was tampered with is not given at all.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use ithaca_watcher::sops::{Keys, SopsError, decrypt};
use serde_json::Value;

/// A folder with a key, in which files are encrypted.
struct Author {
    tools: PathBuf,
    folder: tempfile::TempDir,
    recipient: String,
    key: String,
}

impl Author {
    fn new() -> anyhow::Result<Self> {
        let tools = std::env::var_os("ITHACA_SOURCE_TOOLS").map(PathBuf::from).context(
            "ITHACA_SOURCE_TOOLS must name the folder of sops and age; `cargo xtask test` sets it",
        )?;
        let folder = tempfile::tempdir()?;
        let key = run(Command::new(tools.join("age-keygen")))?;
        let key = String::from_utf8(key)?;
        let public = key.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = public.context("a public key")?.to_owned();
        Ok(Self { tools, folder, recipient, key })
    }

    fn keys(&self) -> Keys {
        Keys::read([("keys.txt", self.key.as_str())]).0
    }

    fn sops(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let mut sops = Command::new(self.tools.join("sops"));
        let path = self.folder.path().join("keys.txt");
        std::fs::write(&path, &self.key)?;
        sops.args(arguments).current_dir(self.folder.path()).env("SOPS_AGE_KEY_FILE", path);
        run(sops)
    }

    fn encrypt(&self, name: &str, content: &[u8], flags: &[&str]) -> anyhow::Result<Vec<u8>> {
        std::fs::write(self.folder.path().join(name), content)?;
        let mut arguments = vec!["encrypt", "--age", &self.recipient];
        arguments.extend(flags);
        arguments.push(name);
        self.sops(&arguments)
    }

    /// What the real program makes of an encrypted file.
    fn decrypt(&self, name: &str, encrypted: &[u8]) -> anyhow::Result<Vec<u8>> {
        std::fs::write(self.folder.path().join(name), encrypted)?;
        self.sops(&["decrypt", name])
    }
}

fn run(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

const YAML: &str = r##"# a comment
apiVersion: v1
kind: Secret
metadata:
    name: db # inline
    labels: {a: "1", b: yes}
    replicas_unencrypted: 3
    ratio_unencrypted: 1.50
    flag_unencrypted: true
    word_unencrypted: plain words
    date_unencrypted: 2020-01-01
stringData:
    password: "p@ss: word #1"
    empty: ""
    number: 5432
    float: 1.50
    big: 1e21
    truth: true
    like_a_number: "007"
    like_a_bool: "no"
    nothing: null
    multi: |
        line one
          line two
    control: "\e[0m \x7f \u2028"
    date: 2020-01-01
    list: [one, 2, {k: v}, []]
    "émoji": "ü😀"
---
apiVersion: v1
kind: Secret
metadata: {name: second}
data: {a: aGVsbG8=}
"##;

fn documents(text: &[u8]) -> anyhow::Result<Vec<Value>> {
    let text = std::str::from_utf8(text)?;
    Ok(ithaca_api::yaml::documents(text).collect::<Result<_, _>>()?)
}

#[test]
fn yaml_is_given_as_it_was() -> anyhow::Result<()> {
    let author = Author::new()?;
    for flags in
        [&[][..], &["--encrypted-regex", "^(data|stringData)$"], &["--unencrypted-suffix", "_unencrypted"]]
    {
        let encrypted = author.encrypt("secret.yaml", YAML.as_bytes(), flags)?;
        let plain = decrypt("secret.yaml", &encrypted, &author.keys())?.context("it is encrypted")?;
        let by_sops = author.decrypt("secret.yaml", &encrypted)?;
        assert_eq!(
            documents(&plain)?,
            documents(&by_sops)?,
            "{flags:?}: {}",
            String::from_utf8_lossy(&plain)
        );
        ensure!(!String::from_utf8_lossy(&plain).contains("sops"), "what sops added is gone");
    }
    Ok(())
}

#[test]
fn a_mac_over_encrypted_values_alone_holds() -> anyhow::Result<()> {
    let author = Author::new()?;
    let rules = format!(
        "creation_rules:\n- age: {}\n  mac_only_encrypted: true\n  encrypted_regex: ^stringData$\n",
        author.recipient
    );
    std::fs::write(author.folder.path().join(".sops.yaml"), rules)?;
    std::fs::write(author.folder.path().join("secret.yaml"), YAML)?;
    let encrypted = String::from_utf8(author.sops(&["encrypt", "secret.yaml"])?)?;
    ensure!(encrypted.contains("mac_only_encrypted: true"), "{encrypted}");
    let changed = encrypted.replace("plain words", "other words");
    ensure!(changed != encrypted);
    ensure!(decrypt("secret.yaml", changed.as_bytes(), &author.keys())?.is_some());
    Ok(())
}

#[test]
fn json_is_given_as_it_was() -> anyhow::Result<()> {
    let author = Author::new()?;
    let json = "{\"z\": \"last\", \"a\": {\"n\": 12, \"f\": 1.25, \"b\": false, \"x\": null, \"l\": [\"s\", 1, {}, []], \"t\": \"<tag> ü 😀 \\u2028\"}}";
    let encrypted = author.encrypt("values.json", json.as_bytes(), &[])?;
    let plain = decrypt("values.json", &encrypted, &author.keys())?.context("it is encrypted")?;
    assert_eq!(serde_json::from_slice::<Value>(&plain)?, serde_json::from_str::<Value>(json)?);
    Ok(())
}

#[test]
fn dotenv_and_other_files_are_given_byte_for_byte() -> anyhow::Result<()> {
    let author = Author::new()?;
    let dotenv: &[u8] = b"# comment\nA=one\nB=two words # x\nC=multi\\nline\nEMPTY=\nN=12\n";
    let other: Vec<u8> = (0..=u8::MAX).cycle().take(1_000).collect();
    for (name, content) in
        [("a.env", dotenv), ("key.pem", b"-----BEGIN\nx\n"), ("blob.bin", &other), ("none", b"\0")]
    {
        let encrypted = author.encrypt(name, content, &[])?;
        let plain = decrypt(name, &encrypted, &author.keys())?.context("it is encrypted")?;
        assert_eq!(plain, author.decrypt(name, &encrypted)?, "{name}");
        assert_eq!(plain, content, "{name}");
    }
    Ok(())
}

#[test]
fn what_is_not_encrypted_is_left_alone() -> anyhow::Result<()> {
    let keys = Keys::default();
    let value = "ENC[AES256_GCM,data:…]";
    for (path, content) in [
        ("a.yaml", String::new()),
        ("a.yaml", "a: 1\n".to_owned()),
        ("a.json", format!("{{\"a\": \"{value}\"}}")),
        ("template.yaml", format!("{{{{ if }}}} {value}\n")),
        ("README.md", format!("# How\n\n```yaml\na: {value}\nsops:\n  mac: {value}\n```\n")),
    ] {
        let given = decrypt(path, content.as_bytes(), &keys);
        ensure!(given == Ok(None), "{content}: {given:?}");
    }
    Ok(())
}

#[test]
fn what_was_changed_without_sops_is_refused() -> anyhow::Result<()> {
    let author = Author::new()?;
    let plain = "a: secret\nb: other\nc_unencrypted: open\n";
    let encrypted = String::from_utf8(author.encrypt(
        "x.yaml",
        plain.as_bytes(),
        &["--unencrypted-suffix", "_unencrypted"],
    )?)?;
    let line =
        |name: &str| encrypted.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let (a, b) = (line("a: "), line("b: "));
    let swapped = encrypted.replace(&a, &b.replace("b: ", "a: "));
    let cases = [
        (swapped, SopsError::Value { place: "a".to_owned() }),
        (encrypted.replace("c_unencrypted: open", "c_unencrypted: shut"), SopsError::Mac),
        (encrypted.replace(&format!("{b}\n"), ""), SopsError::Mac),
    ];
    for (content, expected) in cases {
        ensure!(content != encrypted, "nothing was changed");
        let given = decrypt("x.yaml", content.as_bytes(), &author.keys());
        assert_eq!(given, Err(expected));
    }
    Ok(())
}

#[test]
fn without_the_key_it_is_said_which_is_wanted() -> anyhow::Result<()> {
    let author = Author::new()?;
    let stranger = Author::new()?;
    let recipients = author.recipient.clone();
    for (name, content) in [("x.yaml", "a: secret\n"), ("x.env", "A=secret\n"), ("x.txt", "secret")] {
        let encrypted = author.encrypt(name, content.as_bytes(), &[])?;
        let given = |keys: &Keys| decrypt(name, &encrypted, keys);
        assert_eq!(given(&Keys::default()), Err(SopsError::NoKeys { recipients: recipients.clone() }));
        assert_eq!(given(&stranger.keys()), Err(SopsError::WrongKey { recipients: recipients.clone() }));
    }
    Ok(())
}

#[test]
fn lines_that_are_no_keys_are_told_without_what_they_are() {
    let (keys, problems) = Keys::read([("keys.txt", "# note\n\nAGE-SECRET-KEY-1NOT\n")]);
    assert!(keys.is_empty());
    assert_eq!(problems, ["line 3 of keys.txt is no age key"]);
}
