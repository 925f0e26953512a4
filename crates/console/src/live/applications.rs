//! The stream of the list: rows that changed and rows that are gone, or all rows to a reader that fell behind.

use std::collections::BTreeMap;

use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::IntoResponse,
};
use serde::Serialize;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Gone, Reader, Since, WINDOW, stream};
use crate::{
    board::{Change, Snapshot},
    page,
    site::Site,
    summary::Key,
};

#[derive(Serialize)]
struct Row {
    key: String,
    html: String,
}

/// Rows to put in place, and the keys of those to take away.
#[derive(Default, Serialize)]
struct Rows {
    rows: Vec<Row>,
    gone: Vec<String>,
}

#[derive(Serialize)]
struct All {
    html: String,
}

/// `GET /live`.
pub async fn applications(
    State(site): State<Site>,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let version = since.version(&headers);
    stream(&site.clone(), move |reader| follow(site, version, reader))
}

async fn follow(site: Site, version: String, reader: Reader) -> Result<(), Gone> {
    let (snapshot, mut changes) = site.board.follow();
    if snapshot.id() != version {
        send_all(&site, &snapshot, &reader).await?;
    }
    loop {
        let mut batch = BTreeMap::new();
        let mut last = match changes.recv().await {
            Ok((version, change)) => note(&mut batch, version, change),
            Err(RecvError::Lagged(_)) => 0,
            Err(RecvError::Closed) => return Ok(()),
        };
        if last > 0 {
            tokio::time::sleep(WINDOW).await;
        }
        let is_behind = last == 0
            || loop {
                match changes.try_recv() {
                    Ok((version, change)) => last = note(&mut batch, version, change),
                    Err(TryRecvError::Lagged(_)) => break true,
                    Err(_) => break false,
                }
            };
        if is_behind {
            let (snapshot, from_now) = site.board.follow();
            changes = from_now;
            send_all(&site, &snapshot, &reader).await?;
        } else {
            reader.send("rows", &site.board.id(last), &rows(&site, batch)).await?;
        }
    }
}

/// Keeps the last change of each Application.
fn note(batch: &mut BTreeMap<Key, Change>, version: u64, change: Change) -> u64 {
    batch.insert(change.key(), change);
    version
}

fn rows(site: &Site, batch: BTreeMap<Key, Change>) -> Rows {
    let mut rows = Rows::default();
    for (key, change) in batch {
        match change {
            Change::Added(summary) | Change::Modified(summary) => {
                let html = page::applications::row(&site.base, &site.namespace, &summary).into_string();
                rows.rows.push(Row { key: key.to_string(), html });
            }
            Change::Removed(key) => rows.gone.push(key.to_string()),
        }
    }
    rows
}

async fn send_all(site: &Site, snapshot: &Snapshot, reader: &Reader) -> Result<(), Gone> {
    let html = page::applications::rows(&site.base, &site.namespace, &snapshot.summaries).into_string();
    reader.send("all", &snapshot.id(), &All { html }).await
}
