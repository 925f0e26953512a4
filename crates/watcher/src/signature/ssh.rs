//! SSH: lists of allowed signers, and signatures as `ssh-keygen -Y sign` makes them and Git uses them.
//!
//! Lists are in the format of `ssh-keygen(1)`, ALLOWED SIGNERS. Certificates are not followed: a line of an authority
//! says so, and lets nobody in.

use globset::{Glob, GlobMatcher};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use ssh_key::authorized_keys::{ConfigOptsIter, Entry};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey, SshSig};

use super::error::{KeyName, SignatureError};
use super::validity::{Moments, Validity, one_good};

/// Where lists of allowed signers are.
pub const CONFIG_MAP: &str = "ithaca-allowed-signers";

/// What Git signs.
const NAMESPACE: &str = "git";
/// What certificates are called within a signature.
const CERTIFICATE: &[u8] = b"-cert-v01@openssh.com";

/// Who may sign.
#[derive(Clone, Debug, Default)]
pub struct AllowedSigners {
    lines: Vec<Line>,
    /// What they were read from: two that were read from the same are equal.
    texts: Vec<String>,
}

impl PartialEq for AllowedSigners {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

#[derive(Clone, Debug)]
struct Line {
    /// As written, for people.
    principals: String,
    patterns: Patterns,
    namespaces: Option<Patterns>,
    validity: Validity,
    key: KeyData,
}

impl AllowedSigners {
    /// Reads named lists, and says which lines cannot be read: those let nobody in.
    pub fn read<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<String>) {
        let (mut signers, mut unreadable) = (Self::default(), Vec::new());
        for (name, text) in texts {
            signers.texts.push(text.to_owned());
            for (number, line) in text.lines().map(str::trim).enumerate() {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                match Line::read(line) {
                    Ok(line) => signers.lines.push(line),
                    Err(reason) => unreadable.push(format!("line {} of entry {name}: {reason}", number + 1)),
                }
            }
        }
        (signers, unreadable)
    }

    /// Verifies a signature, and that one of the permitted signers made it; `*` permits all.
    pub(super) fn verify(
        &self,
        payload: &[u8],
        armored: &str,
        moments: Moments,
        permitted: &[String],
    ) -> Result<(), SignatureError> {
        let signature = SshSig::from_pem(armored.trim_end()).map_err(|error| unreadable(armored, &error))?;
        let key = PublicKey::from(signature.public_key().clone());
        let name = |owner: Option<&Line>| KeyName {
            kind: "SSH",
            id: key.fingerprint(HashAlg::Sha256).to_string(),
            owner: owner.map(|line| line.principals.clone()),
        };
        let of_key: Vec<&Line> =
            self.lines.iter().filter(|line| line.key == *signature.public_key()).collect();
        let Some(first) = of_key.first() else {
            return Err(SignatureError::Unknown { key: name(None), config_map: CONFIG_MAP });
        };
        if signature.namespace() != NAMESPACE {
            let reason = "the signature was made for something else than Git";
            return Err(SignatureError::Unfit { key: name(Some(first)), reason });
        }
        key.verify(NAMESPACE, payload, &signature).map_err(|_| SignatureError::Invalid(name(Some(first))))?;
        let judged = of_key.iter().map(|line| line.check(|| name(Some(line)), moments, permitted));
        one_good(judged).unwrap_or_else(|| Err(SignatureError::Invalid(name(Some(first)))))
    }
}

impl Line {
    fn read(line: &str) -> Result<Self, String> {
        let (principals, rest) =
            line.split_once(char::is_whitespace).ok_or("it has no key after its principals")?;
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        let entry: Entry = rest.parse().map_err(|error: ssh_key::Error| error.to_string())?;
        let principals = principals.trim_matches('"').to_owned();
        let mut read = Self {
            patterns: Patterns::read(&principals)?,
            principals,
            namespaces: None,
            validity: Validity::default(),
            key: entry.public_key().key_data().clone(),
        };
        let options = ConfigOptsIter::new(entry.config_opts().as_str()).map_err(|error| error.to_string())?;
        for option in options {
            let (option, value) = option.split_once('=').unwrap_or((option, ""));
            let value = value.trim_matches('"');
            match option.to_ascii_lowercase().as_str() {
                "namespaces" => read.namespaces = Some(Patterns::read(value)?),
                "valid-after" => read.validity.from = Some(time(value)?),
                "valid-before" => read.validity.until = Some(time(value)?),
                "cert-authority" => {
                    return Err("certificates are not supported: list the keys of its signers".to_owned());
                }
                other => return Err(format!("its option {other} is not known")),
            }
        }
        Ok(read)
    }

    fn check(
        &self,
        name: impl Fn() -> KeyName,
        moments: Moments,
        permitted: &[String],
    ) -> Result<(), SignatureError> {
        if self.namespaces.as_ref().is_some_and(|namespaces| !namespaces.matches(NAMESPACE)) {
            let reason = "its line among the allowed signers has other namespaces than git";
            return Err(SignatureError::Unfit { key: name(), reason });
        }
        self.validity.check(moments, &name)?;
        match permitted.iter().any(|signer| signer == "*" || self.patterns.matches(signer)) {
            true => Ok(()),
            false => Err(SignatureError::NotPermitted(name())),
        }
    }
}

/// Patterns as OpenSSH writes them: with commas between, `*` and `?`, and `!` before what is not meant.
#[derive(Clone, Debug)]
struct Patterns(Vec<(bool, GlobMatcher)>);

impl Patterns {
    fn read(text: &str) -> Result<Self, String> {
        let pattern = |text: &str| {
            let (means, text) = text.strip_prefix('!').map_or((true, text), |rest| (false, rest));
            let escaped = globset::escape(text).replace("[*]", "*").replace("[?]", "?");
            Glob::new(&escaped).map(|glob| (means, glob.compile_matcher())).map_err(|error| error.to_string())
        };
        text.split(',').map(pattern).collect::<Result<_, _>>().map(Self)
    }

    fn matches(&self, text: &str) -> bool {
        let any = |wanted: bool| self.0.iter().any(|(means, glob)| *means == wanted && glob.is_match(text));
        any(true) && !any(false)
    }
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC with or without a `Z`.
fn time(text: &str) -> Result<i64, String> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let read = match digits.len() {
        8 => Date::strptime("%Y%m%d", digits).map(DateTime::from),
        12 => DateTime::strptime("%Y%m%d%H%M", digits),
        14 => DateTime::strptime("%Y%m%d%H%M%S", digits),
        _ => return Err(format!("{text:?} is no time: write YYYYMMDD or YYYYMMDDHHMMSS")),
    };
    let time = read.and_then(|read| TimeZone::UTC.to_timestamp(read)).map_err(|error| error.to_string())?;
    Ok(time.as_second())
}

/// Certificates are told from damage.
fn unreadable(armored: &str, error: &ssh_key::Error) -> SignatureError {
    use base64::Engine;
    let text: String = armored.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    SignatureError::Unreadable(match memchr::memmem::find(&bytes, CERTIFICATE) {
        Some(_) => "it was made with an SSH certificate, which is not supported: sign with a key".to_owned(),
        None => error.to_string(),
    })
}
