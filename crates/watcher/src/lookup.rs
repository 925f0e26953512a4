//! Where the name of a host leads: a repository comes in, and a refusal goes out where content leads into this machine,
//! or to what is beside it, by a name that does not look so.

use std::net::SocketAddr;

use tokio::net::lookup_host;
use url::Host;

use crate::repository::{RepositoryError, RepositoryKey, host, is_internal_address};

/// Any port does: addresses alone are asked for.
const PORT: u16 = 443;

/// Why a repository is not asked, where content alone leads to it. A name that is not known is told by whoever connects.
pub async fn refusal(repository: &RepositoryKey, is_led: bool) -> Option<RepositoryError> {
    let Some(Host::Domain(name)) = host(repository.url()).filter(|_| is_led) else { return None };
    let addresses = lookup_host((name, PORT)).await.ok()?;
    leads_inside(addresses).then(|| RepositoryError::Internal { repository: repository.to_string() })
}

fn leads_inside(mut addresses: impl Iterator<Item = SocketAddr>) -> bool {
    addresses.any(|address| is_internal_address(address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_to_content() {
        let key = |url: &str| RepositoryKey::new(url, "", false).expect("a URL");
        // The one name that every machine knows.
        assert!(refusal(&key("https://localhost/a"), true).await.is_some());
        assert!(refusal(&key("git@localhost:a/b"), true).await.is_some());
        assert!(refusal(&key("https://localhost/a"), false).await.is_none());
        assert!(refusal(&key("https://192.0.2.1/a"), true).await.is_none());
    }

    #[test]
    fn one_inner_address_among_others_is_enough() {
        let addresses = |texts: &[&str]| texts.iter().map(|it| it.parse().expect("one")).collect::<Vec<_>>();
        assert!(leads_inside(addresses(&["192.0.2.1:443", "10.0.0.1:443"]).into_iter()));
        assert!(leads_inside(addresses(&["[::ffff:169.254.169.254]:443"]).into_iter()));
        assert!(!leads_inside(addresses(&["192.0.2.1:443", "198.51.100.1:443"]).into_iter()));
    }
}
