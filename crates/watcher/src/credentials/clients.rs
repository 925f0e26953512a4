//! HTTP clients for repositories: one for all that are reached alike.
//!
//! What comes in: how a repository is reached. What goes out: a client with its certificates and its proxy. As whom a
//! repository is reached goes with each request, so those who share a client do not share a user.

mod authorities;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ithaca_api::Sensitive;
use ithaca_api::repository::ClientCertificate;
use reqwest::{Client, ClientBuilder, Identity, NoProxy, Proxy, redirect};
use url::Url;

use super::Access;
use super::guard::Guard;
use crate::repository::is_internal;

/// Some hosts answer Git's protocol only to what calls itself git.
const USER_AGENT: &str = concat!("git/2.0 (ithaca/", env!("CARGO_PKG_VERSION"), ")");
/// How many clients are kept; more come only of as many certificates and proxies.
const KEPT: usize = 64;
const REDIRECTS: usize = 10;

/// The clients in use; cheap to clone.
#[derive(Clone)]
pub(super) struct Clients {
    silence: Duration,
    kept: Arc<Mutex<Vec<(Way, Client)>>>,
}

/// What a connection is made with.
#[derive(Clone, PartialEq, Eq)]
struct Way {
    client_certificate: Option<ClientCertificate>,
    authorities: Option<Arc<str>>,
    insecure: bool,
    proxy: Sensitive,
    no_proxy: String,
    guard: Option<Guard>,
}

impl Clients {
    pub(super) fn new(silence: Duration) -> Self {
        Self { silence, kept: Arc::default() }
    }

    /// The client for an access, or what is wrong with that. What it says holds nothing of a Secret.
    pub(super) fn get(&self, access: &Access, guard: Option<Guard>) -> Result<Client, &'static str> {
        let way = Way {
            client_certificate: access.settings.client_certificate.clone(),
            authorities: access.authorities.clone(),
            insecure: access.settings.insecure,
            proxy: access.settings.proxy.clone(),
            no_proxy: access.settings.no_proxy.clone(),
            guard,
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.iter().find(|(known, _)| *known == way) {
            return Ok(client.clone());
        }
        let client = self.build(&way)?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.push((way, client.clone()));
        Ok(client)
    }

    fn build(&self, way: &Way) -> Result<Client, &'static str> {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.silence)
            .read_timeout(self.silence)
            .redirect(policy(way.guard.clone()));
        let client = way.client_certificate.as_ref();
        let builder = match way.authorities.as_deref().filter(|_| !way.insecure) {
            Some(known) => builder.tls_backend_preconfigured(authorities::config(known, client)?),
            None => shown(builder.tls_danger_accept_invalid_certs(way.insecure), client)?,
        };
        let builder = match way.guard.clone() {
            Some(guard) => through(builder, way)?.dns_resolver(Arc::new(guard)),
            None => through(builder, way)?,
        };
        builder.build().map_err(|_| "its certificates cannot be used")
    }
}

fn policy(guard: Option<Guard>) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        match guard.as_ref().map_or(Ok(()), |guard| guard.check(attempt.url())) {
            Ok(()) => follow(attempt),
            Err(inside) => attempt.error(inside),
        }
    })
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let refused = attempt.previous().last().and_then(|from| refused(from, attempt.url()));
    match refused {
        Some(reason) => attempt.error(reason),
        None if attempt.previous().len() > REDIRECTS => attempt.error("the server redirects too often"),
        None => attempt.follow(),
    }
}

/// Nobody leads from a connection that is secured to one that is not, or from outside to a host that is not seen there.
fn refused(from: &Url, to: &Url) -> Option<&'static str> {
    if from.scheme() == "https" && to.scheme() != "https" {
        Some("the server redirects to a connection without TLS")
    } else if !is_internal(from.as_str()) && is_internal(to.as_str()) {
        Some("the server redirects to an internal host")
    } else {
        None
    }
}

fn shown(builder: ClientBuilder, client: Option<&ClientCertificate>) -> Result<ClientBuilder, &'static str> {
    let Some(ClientCertificate { certificate, key }) = client else { return Ok(builder) };
    let pem = format!("{certificate}\n{}\n", key.reveal());
    let identity = Identity::from_pem(pem.as_bytes());
    let identity =
        identity.map_err(|_| "tlsClientCertData and tlsClientCertKey are no certificate and key in PEM")?;
    Ok(builder.identity(identity))
}

fn through(builder: ClientBuilder, way: &Way) -> Result<ClientBuilder, &'static str> {
    if way.proxy.is_empty() {
        return Ok(builder);
    }
    let proxy = Proxy::all(way.proxy.reveal()).map_err(|_| "its proxy is no URL")?;
    Ok(builder.proxy(proxy.no_proxy(NoProxy::from_string(&way.no_proxy))))
}

#[cfg(test)]
mod tests;
