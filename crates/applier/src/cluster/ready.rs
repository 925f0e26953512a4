//! Whether an API server may be believed.
//!
//! One that has just started answers before it has read its roles and its custom kinds: it forbids everything to
//! everybody, and serves fewer kinds than it will.

use super::Cluster;
use crate::error::Error;

impl Cluster {
    /// Fails while the API server starts.
    pub(super) async fn ensure_ready(&self) -> Result<(), Error> {
        let not_ready = |source| Error::Unreachable { what: "its readiness".to_owned(), source };
        let request = http::Request::get("/readyz").body(Vec::new());
        let request = request.map_err(|error| not_ready(kube::Error::HttpError(error)))?;
        self.client.request_text(request).await.map(drop).map_err(not_ready)
    }
}
