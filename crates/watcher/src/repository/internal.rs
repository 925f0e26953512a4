//! Hosts that only those may name who may also see what is behind them: this machine, its network,
//! the cluster, the cloud.
//! A URL or an address comes in, a verdict goes out. No name is looked up here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// How names end that mean something inside of a cluster, a machine or a cloud.
const ENDINGS: [&str; 6] = ["localhost", "svc", "cluster.local", "local", "internal", "localdomain"];

/// Whether a URL of a repository leads to an internal host.
pub fn is_internal(url: &str) -> bool {
    if url.starts_with('/') || url.starts_with("file://") {
        return false;
    }
    match host(url) {
        Some(Host::Ipv4(address)) => is_internal_address(address.into()),
        Some(Host::Ipv6(address)) => is_internal_address(address.into()),
        Some(Host::Domain(name)) => is_internal_name(&name),
        // Whoever connects may read it otherwise.
        None => true,
    }
}

/// Whether an address is of no use on the public Internet: of this machine, its network, its cluster or its cloud.
pub fn is_internal_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| is_internal_v6(address), is_internal_v4),
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || matches!((a, b, c), (0 | 240..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _))
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    // Only a part of all addresses is given out.
    address.segments()[0] & 0xe000 != 0x2000
}

/// The address of the older kind that one of the newer kind stands for.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

/// A name without a dot is one of the cluster's, by its search domains.
fn is_internal_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.') || ENDINGS.iter().any(|ending| is_below(&name, ending))
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The host of a repository's URL, in any of its spellings.
pub fn host(url: &str) -> Option<Host<String>> {
    if let Some((_, rest)) = url.split_once("://") {
        // Addresses are read as browsers do only in the URLs of the web: `0x7f.1` is one.
        return Url::parse(&format!("http://{rest}")).ok()?.host().map(|host| host.to_owned());
    }
    let (authority, _) = url.split_once(':')?;
    let name = authority.rsplit_once('@').map_or(authority, |(_, name)| name);
    Host::parse(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        for inside in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.170",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
        ] {
            assert!(is_internal_address(inside.parse().expect(inside)), "{inside}");
        }
        for outside in
            ["1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::"]
        {
            assert!(!is_internal_address(outside.parse().expect(outside)), "{outside}");
        }
    }

    #[test]
    fn what_is_internal_is_told_by_names_and_addresses() {
        for url in [
            "http://localhost/a",
            "https://LOCALHOST.:8443/a",
            "http://127.0.0.1:80/a",
            "http://127.1/a",
            "http://0x7f000001/a",
            "http://2130706433/a",
            "http://0.0.0.0/a",
            "http://192.168.1.10/a",
            "https://10.0.0.4/a",
            "http://[::1]/a",
            "http://[::ffff:127.0.0.1]/a",
            "http://[64:ff9b::a9fe:a9fe]/a",
            "http://[fe80::1]/a",
            "http://169.254.169.254/latest/meta-data",
            "http://metadata.google.internal/a",
            "http://kubernetes/api",
            "https://kubernetes.default.svc/api",
            "http://nats.ithaca.svc.cluster.local:8222/",
            "ssh://git@localhost/a",
            "git@127.0.0.1:a/b",
            "git@gitea:a/b",
            "https://user:pass@localhost/a",
            "https://example.org@localhost/a",
            "http://[",
        ] {
            assert!(is_internal(url), "{url}");
        }
    }

    #[test]
    fn all_else_is_not() {
        for url in [
            "https://github.com/org/repo",
            "git@github.com:a/b",
            "ssh://git@git.example.org:2222/a",
            "https://localhost.example.org/a",
            "https://svc.example.org/a",
            "https://[2001:db8::1]/a",
            "file:///srv/a",
            "/srv/a",
        ] {
            assert!(!is_internal(url), "{url}");
        }
    }
}
