//! Which addresses a request may reach whose URL anybody who writes Applications can choose.
//!
//! In: a URL, and the one server inside that somebody with more rights has named. Out: yes or no, before a connection is
//! made: names are judged by what they resolve to as the connection is made, so no name changes its meaning in between.
//! What a proxy reaches is the proxy's to decide.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::repository::is_internal_address;

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
        if !is_internal_address(address) || self.is_known(url) { Ok(()) } else { Err(inside()) }
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
            let allowed: Vec<SocketAddr> =
                found.filter(|found| trusts || !is_internal_address(found.ip())).collect();
            if allowed.is_empty() {
                return Err(Inside(name.as_str().to_owned()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
