//! Git LFS of the Git server: files that tests store, by the batch interface.
//!
//! In: contents. Out: the pointers that stand in Git for them, and the server's answers. What it says of a file can be
//! made wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where the interface is, below a repository.
const PLACE: &str = "/info/lfs/objects/";
/// The longest question.
const LONGEST: usize = 1 << 20;

/// What is stored, by its id.
#[derive(Default)]
pub(super) struct Lfs(Mutex<BTreeMap<String, Vec<u8>>>);

impl Lfs {
    /// Takes a content, and gives its pointer. `served` is what is served in its place.
    pub(super) fn store(&self, content: &[u8], served: Option<&[u8]>) -> String {
        let oid = hex::encode(Sha256::digest(content));
        let pointer =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", content.len());
        self.lock().extend(served.map(|served| (oid, served.to_vec())));
        pointer
    }

    /// Answers what is asked of the interface; None where something else is asked.
    pub(super) async fn answer(
        &self,
        url: &str,
        request: &mut Request<Body>,
    ) -> anyhow::Result<Option<Response>> {
        let path = request.uri().path().to_owned();
        let Some((repository, asked)) = path.split_once(PLACE) else { return Ok(None) };
        if asked != "batch" {
            let found = self.lock().get(asked).cloned();
            return Ok(Some(
                found.map_or(StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response),
            ));
        }
        let question = to_bytes(std::mem::take(request.body_mut()), LONGEST).await?;
        let question: Value = serde_json::from_slice(&question)?;
        let objects = question["objects"].as_array().context("no objects are asked for")?.iter();
        let base = format!("{url}{repository}{PLACE}");
        let answers: Vec<Value> = objects.map(|object| self.located(&base, object)).collect();
        Ok(Some(axum::Json(json!({"transfer": "basic", "objects": answers})).into_response()))
    }

    fn located(&self, base: &str, object: &Value) -> Value {
        let oid = object["oid"].as_str().unwrap_or_default();
        if self.lock().contains_key(oid) {
            let download = json!({"href": format!("{base}{oid}")});
            json!({"oid": oid, "size": object["size"], "actions": {"download": download}})
        } else {
            json!({"oid": oid, "error": {"code": 404, "message": "there is no such object"}})
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
