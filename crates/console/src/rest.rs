//! The REST interface: the same facts as the pages, for programs.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    error::Error,
    site::{self, Site},
    summary::Key,
};

/// `GET /api/v1/applications`: a summary of each.
pub async fn list(State(site): State<Site>) -> Json<Value> {
    let snapshot = site.board.snapshot();
    let items: Vec<_> = snapshot.summaries.iter().map(AsRef::as_ref).collect();
    Json(json!({ "items": items }))
}

/// `GET /api/v1/applications/{namespace}/{name}`: the Application as Kubernetes has it.
pub async fn one(State(site): State<Site>, Path((namespace, name)): Path<(String, String)>) -> Response {
    answer(site::object(&site, &Key { namespace, name }).await)
}

/// `GET /api/v1/applications/{namespace}/{name}/events`: what happened, the oldest first.
pub async fn events(State(site): State<Site>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let key = Key { namespace, name };
    let found = match site::application(&site, &key).await {
        Ok(application) => site::happenings(&site, &application).await.ok_or(Error::NoEvents),
        Err(error) => Err(error),
    };
    answer(found.map(|items| json!({ "items": items })))
}

fn answer(result: Result<impl serde::Serialize, Error>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refusal(error.status(), &error),
    }
}

fn refusal(status: StatusCode, error: &Error) -> Response {
    (status, Json(json!({ "error": error.in_full() }))).into_response()
}
