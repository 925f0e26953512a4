//! Which addresses a request may reach whose URL anybody who writes Applications can choose.
//!
//! In: a URL, and the one server inside that somebody with more rights has named. Out: yes or no, before a connection is
//! made: names are judged by what they resolve to as the connection is made, so no name changes its meaning in between.
//! What a proxy reaches is the proxy's to decide.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Environment variables that name proxies, which every client uses.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// What may be reached besides all that is outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard {
    /// Host and port of a server that a Secret names.
    pub(super) known: Option<(String, u16)>,
    /// The host of the proxy that a Secret names.
    pub(super) proxy: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} leads to an address inside, and no Secret of a repository names its host and port")]
pub(super) struct Inside(String);

impl Guard {
    /// Whether a URL may be asked, as far as itself tells.
    pub(super) fn check(&self, url: &Url) -> Result<(), Inside> {
        let inside = || Inside(url.host_str().unwrap_or("it").to_owned());
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            // A name that is known leads inside, but not to another port.
            Some(Host::Domain(name)) => {
                let is_known = self.known.as_ref().is_none_or(|(host, _)| host != name) || self.is_known(url);
                return if is_known { Ok(()) } else { Err(inside()) };
            }
            None => return Err(inside()),
        };
        if !is_inside(address) || self.is_known(url) { Ok(()) } else { Err(inside()) }
    }

    fn is_known(&self, url: &Url) -> bool {
        let place = url.host_str().map(str::to_owned).zip(url.port_or_known_default());
        place.is_some() && place == self.known
    }

    /// Whether a name may lead anywhere.
    fn trusts(&self, name: &str) -> bool {
        let is_proxy = |text: &str| {
            let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
            Url::parse(&with_scheme).is_ok_and(|url| url.host_str() == Some(name))
        };
        self.known.as_ref().is_some_and(|(host, _)| host == name)
            || self.proxy.as_deref().is_some_and(is_proxy)
            || PROXIES.iter().filter_map(|name| std::env::var(name).ok()).any(|text| is_proxy(&text))
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let trusts = self.trusts(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| trusts || !is_inside(found.ip())).collect();
            if allowed.is_empty() {
                return Err(Inside(name.as_str().to_owned()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is of no use on the public Internet: of this machine, its network, its cluster or its cloud.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inside_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| is_inside_v6(address), is_inside_v4),
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || matches!((a, b, c), (0 | 240..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _))
}

fn is_inside_v6(address: Ipv6Addr) -> bool {
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
            assert!(is_inside(inside.parse().expect(inside)), "{inside}");
        }
        for outside in
            ["1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::"]
        {
            assert!(!is_inside(outside.parse().expect(outside)), "{outside}");
        }
    }

    #[test]
    fn a_server_inside_is_reached_where_a_secret_names_its_host_and_port() {
        let guard = Guard { known: Some(("127.0.0.1".to_owned(), 8080)), proxy: None };
        let named =
            Guard { known: Some(("git.internal".to_owned(), 443)), proxy: Some("http://proxy:1".to_owned()) };
        for (guard, url, expected) in [
            (&guard, "http://127.0.0.1:8080/a", true),
            (&guard, "http://127.0.0.1:8081/a", false),
            (&guard, "http://0x7f.1:8081/a", false),
            (&guard, "http://[::1]:8080/a", false),
            (&guard, "http://169.254.169.254/latest", false),
            (&guard, "https://example.org/a", true),
            (&named, "https://git.internal/a", true),
            (&named, "https://git.internal:6443/a", false),
        ] {
            assert_eq!(guard.check(&Url::parse(url).expect(url)).is_ok(), expected, "{url}");
        }
        assert!(named.trusts("git.internal") && named.trusts("proxy") && !named.trusts("other.internal"));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let resolve = async |guard: Guard| guard.resolve("localhost".parse().expect("a name")).await.is_ok();
        assert!(!resolve(Guard::default()).await);
        assert!(resolve(Guard { known: Some(("localhost".to_owned(), 1)), proxy: None }).await);
    }
}
