//! The stream of one Application's page: the sections that changed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::IntoResponse,
};
use ithaca_api::Application;
use ithaca_proto::v1::Event;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Gone, Reader, Since, WINDOW, stream};
use crate::{
    error::Error,
    happening::Happening,
    page::application::{digest, sections},
    site::{self, Site},
    summary::Key,
};

/// How long after a failure all is read again.
const RETRY: Duration = Duration::from_secs(2);

/// `GET /live/{namespace}/{name}`.
pub async fn application(
    State(site): State<Site>,
    Path((namespace, name)): Path<(String, String)>,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let version = since.version(&headers);
    stream(&site.clone(), move |reader| async move {
        let follower = Follower {
            written: site.board.written(),
            events: site.events.live(),
            site,
            key: Key { namespace, name },
            reader,
            version,
            shown: BTreeMap::new(),
            happenings: None,
            uid: String::new(),
        };
        follower.follow().await
    })
}

/// What a page shows, and where news of it come from.
struct Follower {
    site: Site,
    key: Key,
    reader: Reader,
    written: Receiver<Key>,
    events: Receiver<Arc<Event>>,
    /// What the reader has.
    version: String,
    /// The sections that it has, where they are known.
    shown: BTreeMap<&'static str, String>,
    happenings: Option<Vec<Happening>>,
    uid: String,
}

impl Follower {
    async fn follow(mut self) -> Result<(), Gone> {
        loop {
            let is_current = Box::pin(self.refresh()).await?;
            let retry = async {
                match is_current {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(RETRY).await,
                }
            };
            tokio::select! {
                () = news(&self.key, &self.uid, &mut self.written, &mut self.events, &mut self.happenings) => {}
                () = retry => {}
            }
            tokio::time::sleep(WINDOW).await;
        }
    }

    /// Sends what differs from what the reader has; false where something could not be read.
    async fn refresh(&mut self) -> Result<bool, Gone> {
        let application = match site::application(&self.site, &self.key).await {
            Ok(application) => application,
            Err(Error::NoApplication(_)) => {
                self.shown.clear();
                self.version.clear();
                self.reader.send("gone", "", &()).await?;
                return Ok(true);
            }
            Err(error) => {
                tracing::debug!(%error, "failed to refresh a page");
                return Ok(false);
            }
        };
        self.catch_up(&application).await;
        let sections = sections(&self.site.base, &application, self.happenings.as_deref());
        let version = digest(&sections);
        let is_known = self.version == version;
        let mut changed = BTreeMap::new();
        for section in sections {
            if self.shown.get(section.id) != Some(&section.html) {
                self.shown.insert(section.id, section.html.clone());
                changed.insert(section.id, section.html);
            }
        }
        self.version.clone_from(&version);
        if !is_known && !changed.is_empty() {
            self.reader.send("sections", &version, &changed).await?;
        }
        Ok(self.happenings.is_some())
    }

    /// Reads the past where it is not known yet, or is another Application's of the same name.
    async fn catch_up(&mut self, application: &Application) {
        let uid = application.metadata.uid.as_deref().unwrap_or_default();
        if self.happenings.is_none() || self.uid != uid {
            self.uid = uid.to_owned();
            self.happenings = site::happenings(&self.site, application).await;
        }
    }
}

/// Waits for news of the Application. An event is added to those that are known, if they are.
async fn news(
    key: &Key,
    uid: &str,
    written: &mut Receiver<Key>,
    events: &mut Receiver<Arc<Event>>,
    happenings: &mut Option<Vec<Happening>>,
) {
    loop {
        tokio::select! {
            next = written.recv() => match next {
                Ok(other) if other != *key => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            },
            next = events.recv() => match next {
                Ok(event) => {
                    let is_ours = event.application.as_ref().is_some_and(|application| application.uid == uid);
                    if is_ours {
                        add(happenings, &event);
                        return;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    *happenings = None;
                    return;
                }
                Err(RecvError::Closed) => std::future::pending().await,
            },
        }
    }
}

fn add(happenings: &mut Option<Vec<Happening>>, event: &Event) {
    if let (Some(known), Some(happening)) = (happenings, Happening::of(event))
        && known.iter().all(|other| other.id != happening.id)
    {
        known.push(happening);
    }
}
