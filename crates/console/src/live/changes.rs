//! The stream for programs: every Application as it is, then each change.

use axum::{extract::State, response::IntoResponse};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{Gone, Reader, stream};
use crate::{board::Change, site::Site};

/// Named as in a watch of the Kubernetes API.
#[derive(Serialize)]
struct Message<T> {
    #[serde(rename = "type")]
    type_: &'static str,
    application: T,
}

/// `GET /api/v1/stream`.
pub async fn changes(State(site): State<Site>) -> impl IntoResponse {
    stream(&site.clone(), move |reader| follow(site, reader))
}

async fn follow(site: Site, reader: Reader) -> Result<(), Gone> {
    loop {
        let (snapshot, mut changes) = site.board.follow();
        let id = snapshot.id();
        for summary in &snapshot.summaries {
            reader.send("message", &id, &Message { type_: "ADDED", application: &**summary }).await?;
        }
        loop {
            let (version, change) = match changes.recv().await {
                Ok(next) => next,
                // What was missed is made good by all that is there now.
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(()),
            };
            reader.send("message", &site.board.id(version), &message(&change)).await?;
        }
    }
}

fn message(change: &Change) -> Message<Value> {
    match change {
        Change::Added(summary) => Message { type_: "ADDED", application: json!(**summary) },
        Change::Modified(summary) => Message { type_: "MODIFIED", application: json!(**summary) },
        Change::Removed(key) => {
            Message { type_: "DELETED", application: json!({ "namespace": key.namespace, "name": key.name }) }
        }
    }
}
