//! Servers whose certificates the installation itself knows.
//!
//! What comes in: certificates, of authorities or of the servers themselves. What goes out: how TLS is spoken to such a
//! server. Nobody else's word counts for it.

use std::sync::Arc;

use ithaca_api::repository::ClientCertificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

const NO_PEM: &str = "the entry of its host in ConfigMap argocd-tls-certs-cm is no certificate in PEM";
const NO_CLIENT: &str = "tlsClientCertData and tlsClientCertKey are no certificate and key in PEM";

/// How TLS is spoken to a server that one of these certificates vouches for.
pub(super) fn config(known: &str, client: Option<&ClientCertificate>) -> Result<ClientConfig, &'static str> {
    let known: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(known.as_bytes()).collect::<Result<_, _>>().map_err(|_| NO_PEM)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(known.iter().cloned());
    let usual = WebPkiServerVerifier::builder(roots.into()).build().map_err(|_| NO_PEM)?;
    let builder = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { usual, known }));
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { certificate, key }) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>();
            let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
            let (Ok(chain), Ok(key)) = (chain, key) else { return Err(NO_CLIENT) };
            builder.with_client_auth_cert(chain, key).map_err(|_| NO_CLIENT)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The usual rules, but for a server that has signed its own certificate as if it were an authority: so do the tools that
/// people make such certificates with, and the usual rules know no authority that is a server.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    known: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.usual.verify_server_cert(server, others, name, ocsp, now) {
            // That it is valid at this time was looked at before.
            Err(error) if is_authority(&error) && self.known.iter().any(|known| known == server) => {
                verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, server, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        server: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, server, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

fn is_authority(error: &Error) -> bool {
    format!("{error:?}").contains("CaUsedAsEndEntity")
}
