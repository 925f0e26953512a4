//! As whom repositories are reached, from Secrets and ConfigMaps in the control plane's namespace.
//!
//! What comes in: those objects as they change. What goes out: for each repository an `Access`, to whoever speaks to
//! it. What it does not do: let anything of that out of the process, or into an error or a log.

mod follow;
mod index;

use std::sync::Arc;

use tokio::sync::watch;

pub use follow::follow;
pub use index::{Access, Index};

use crate::repository::{RepositoryError, RepositoryKey};

/// What is known of credentials, for whoever speaks to repositories; cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    index: watch::Receiver<Option<Arc<Index>>>,
}

impl Credentials {
    /// Of what is known now and from now on.
    pub fn new(index: watch::Receiver<Option<Arc<Index>>>) -> Self {
        Self { index }
    }

    /// What is known, once it is.
    pub async fn first(&mut self) -> Option<Arc<Index>> {
        self.index.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// What is known, once that has changed. Never ends where nobody tells any more.
    pub async fn changed(&mut self) -> Arc<Index> {
        match self.index.changed().await {
            Ok(()) => self.index.borrow_and_update().clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// How a repository is reached, and as whom.
    pub fn access(&self, repository: &RepositoryKey) -> Result<Access, RepositoryError> {
        match self.index.borrow().as_deref() {
            Some(index) => index.access(repository),
            None => Ok(Access::default()),
        }
    }
}

/// Nothing is known: every repository is reached without credentials.
impl Default for Credentials {
    fn default() -> Self {
        Self::new(watch::channel(None).1)
    }
}
