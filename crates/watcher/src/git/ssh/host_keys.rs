//! Whether the key that a host shows is the one it is known by. Pure.
//!
//! What comes in: lines of known hosts as OpenSSH has them, with hashed names, ports, patterns and revoked keys. What
//! goes out: a verdict. What it does not do: trust authorities that sign host keys.

use ring::hmac;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker};
use russh::keys::{Algorithm, PublicKey};

/// What there is to say of a host's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the one.
    Known,
    /// Nothing is known of this host.
    Unknown,
    /// The host is known by another.
    Changed,
    /// Nobody may be trusted by it.
    Revoked,
}

/// Judges the key of a host.
pub(super) fn judge(lines: &str, host: &str, port: u16, key: &PublicKey) -> Verdict {
    let is_same = |entry: &Entry| entry.public_key().key_data() == key.key_data();
    let entries: Vec<Entry> = entries(lines, host, port).collect();
    if entries.iter().any(|entry| entry.marker() == Some(&Marker::Revoked) && is_same(entry)) {
        return Verdict::Revoked;
    }
    let plain: Vec<&Entry> = entries.iter().filter(|entry| entry.marker().is_none()).collect();
    match plain.as_slice() {
        [] => Verdict::Unknown,
        plain if plain.iter().any(|entry| is_same(entry)) => Verdict::Known,
        _ => Verdict::Changed,
    }
}

/// The kinds of keys that a host is known by.
pub(super) fn kinds(lines: &str, host: &str, port: u16) -> Vec<Algorithm> {
    let plain = entries(lines, host, port).filter(|entry| entry.marker().is_none());
    plain.map(|entry| entry.public_key().algorithm()).collect()
}

/// The lines about a host. One on another port is also meant by lines without a port where none names it.
fn entries(lines: &str, host: &str, port: u16) -> impl Iterator<Item = Entry> {
    let of = |name: &str| -> Vec<Entry> {
        // A line that cannot be read says nothing of any host.
        KnownHosts::new(lines).flatten().filter(|entry| is_about(entry.host_patterns(), name)).collect()
    };
    let (host, with_port) = (host.to_lowercase(), format!("[{}]:{port}", host.to_lowercase()));
    let mut found = if port == 22 { Vec::new() } else { of(&with_port) };
    if !found.iter().any(|entry| entry.marker().is_none()) {
        found.extend(of(&host));
    }
    found.into_iter()
}

fn is_about(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let is_any = |negated: bool| {
                patterns.iter().any(|pattern| match pattern.strip_prefix('!') {
                    Some(pattern) => negated && matches(&pattern.to_lowercase(), name),
                    None => !negated && matches(&pattern.to_lowercase(), name),
                })
            };
            is_any(false) && !is_any(true)
        }
    }
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(one) if *one == '?' || *one == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((begin, swallowed)) => {
                    star = Some((begin, swallowed + 1));
                    at = begin + 1;
                    read = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).expect("a key")
    }

    #[test]
    fn a_host_is_known_by_its_lines() {
        for (line, host, port, expected) in [
            (format!("git.example.org {ONE}"), "git.example.org", 22, Verdict::Known),
            (format!("git.example.org {ONE} a comment"), "GIT.example.org", 22, Verdict::Known),
            (format!("a.example.org,git.example.org {ONE}"), "git.example.org", 22, Verdict::Known),
            (format!("[git.example.org]:2222 {ONE}"), "git.example.org", 2222, Verdict::Known),
            (format!("[git.example.org]:2222 {ONE}"), "git.example.org", 22, Verdict::Unknown),
            (format!("git.example.org {ONE}"), "git.example.org", 2222, Verdict::Known),
            (format!("*.example.org {ONE}"), "git.example.org", 22, Verdict::Known),
            (format!("*.example.org,!git.example.org {ONE}"), "git.example.org", 22, Verdict::Unknown),
            (format!("git?.example.org {ONE}"), "git.example.org", 22, Verdict::Unknown),
            (format!("git.example.org {OTHER}"), "git.example.org", 22, Verdict::Changed),
            (
                format!("git.example.org {OTHER}\ngit.example.org {ONE}"),
                "git.example.org",
                22,
                Verdict::Known,
            ),
            (format!("git.example.org {ONE}\n@revoked * {ONE}"), "git.example.org", 22, Verdict::Revoked),
            (format!("@cert-authority *.example.org {ONE}"), "git.example.org", 22, Verdict::Unknown),
            (
                format!("# a comment\n\nnonsense\ngit.example.org {ONE}"),
                "git.example.org",
                22,
                Verdict::Known,
            ),
            (String::new(), "git.example.org", 22, Verdict::Unknown),
        ] {
            assert_eq!(judge(&line, host, port, &key(ONE)), expected, "{line}");
        }
    }

    #[test]
    fn a_hashed_name_is_found() {
        let salt = [7; 20];
        let mac = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        let line = |name: &str| {
            format!("|1|{}|{} {ONE}", encode(&salt), encode(hmac::sign(&mac, name.as_bytes()).as_ref()))
        };
        assert_eq!(judge(&line("git.example.org"), "git.example.org", 22, &key(ONE)), Verdict::Known);
        assert_eq!(
            judge(&line("[git.example.org]:2222"), "git.example.org", 2222, &key(ONE)),
            Verdict::Known
        );
        assert_eq!(judge(&line("example.org"), "git.example.org", 22, &key(ONE)), Verdict::Unknown);
        assert_eq!(kinds(&line("git.example.org"), "git.example.org", 22), [Algorithm::Ed25519]);
    }
}
