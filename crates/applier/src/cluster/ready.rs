//! Whether an API server may be believed.
//!
//! One that has just started answers before it has read its roles and its custom kinds: it forbids everything to
//! everybody, and serves fewer kinds than it will.

use super::Cluster;
use crate::error::Error;

impl Cluster {
    /// Fails while the API server starts.
    pub(super) async fn ensure_ready(&self) -> Result<(), Error> {
        let what = "its readiness";
        let answer = self.answered(&what, self.ask_readiness()).await?;
        answer.map_err(|source| Error::Unreachable { what: what.to_owned(), source })
    }

    /// What it says of itself.
    pub(super) async fn ask_readiness(&self) -> kube::Result<()> {
        let request = http::Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await.map(drop)
    }
}
