//! The way to one repository: as whom it is asked, with which client, and for how long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ithaca_api::repository::Credential;

use super::{Web, WebError};
use crate::credentials::{Access, Credentials};
use crate::repository::{RepositoryError, RepositoryKey};

/// How one repository is reached.
pub struct Way {
    repository: RepositoryKey,
    credentials: Credentials,
    limit: Duration,
    last: Mutex<Option<Arc<Web>>>,
}

impl Way {
    /// The way to a repository; `limit` is how long one look at it may take.
    pub fn new(repository: RepositoryKey, credentials: Credentials, limit: Duration) -> Self {
        Self { repository, credentials, limit, last: Mutex::new(None) }
    }

    /// The way to another repository that this one leads to, as whom its own Secrets say.
    pub fn to(&self, repository: RepositoryKey) -> Self {
        let repository = repository.within(self.repository.scope());
        Self::new(repository, self.credentials.clone(), self.limit)
    }

    /// Whether content of the repository may name another place.
    pub fn may_lead_to(&self, url: &str) -> bool {
        self.credentials.may_lead(&self.repository, url)
    }

    /// The repository.
    pub fn repository(&self) -> &RepositoryKey {
        &self.repository
    }

    /// What to ask with now; the same as before while credentials are.
    pub async fn web(&self) -> Result<Arc<Web>, RepositoryError> {
        let access = self.credentials.access(&self.repository)?;
        // The tokens of an App are short-lived, and whoever makes them keeps them.
        let is_lasting = !matches!(access.settings.credential, Some(Credential::GitHubApp(_)));
        if let Some(last) = self.last().as_ref().filter(|last| is_lasting && last.access == access) {
            return Ok(last.clone());
        }
        let client = self.credentials.client(&self.repository, &access)?;
        let authorization = self.credentials.authorization(&self.repository, &access).await?;
        let web = Arc::new(Web { client, authorization, access });
        *self.last() = Some(web.clone());
        Ok(web)
    }

    /// Waits for a look at the repository, for as long as one may take.
    pub async fn within_limit<T>(
        &self,
        look: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        let late = || RepositoryError::Timeout { repository: self.repository.to_string(), limit: self.limit };
        tokio::time::timeout(self.limit, look).await.unwrap_or_else(|_| Err(late()))
    }

    /// What it means that the repository as a whole was not to be had.
    pub fn failed(&self, error: WebError, access: &Access) -> RepositoryError {
        let repository = self.repository.to_string();
        match (error, &access.settings.credential) {
            (WebError::Authentication, Some(_)) => {
                let origin = access.secret.as_ref().map(|secret| format!("Secret {secret}"));
                let origin = origin.unwrap_or_else(|| "its URL".to_owned());
                RepositoryError::Refused { repository, origin }
            }
            (error, _) => error.about(&repository, self.limit),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Arc<Web>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
