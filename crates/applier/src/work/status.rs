//! Writing on Applications: their status, and their finalizers when they go. Optimistic concurrency decides between
//! two that believe they own an Application; who loses reads it again.

use std::{fmt::Debug, sync::Arc};

use ithaca_api::{Application, OperationPhase};
use jiff::Timestamp;
use kube::{
    Api, Resource,
    api::{PartialObjectMeta, Patch, PatchParams, Request},
};
use serde::Serialize;
use serde_json::json;

use super::set_run;
use crate::{
    error::Error,
    follow, json,
    plan::{self, Change, Run},
    service::Shared,
    state::Uid,
};

/// Writes a change of this version and says what it means. Where another is known by now, there is another decision.
pub async fn write(
    shared: &Arc<Shared>,
    uid: &Uid,
    version: &Option<String>,
    change: Change,
) -> Result<(), Error> {
    let Some((before, run, context)) = ({
        let state = shared.state();
        let app = state.at_version(uid, version);
        app.map(|app| (app.application.clone(), app.run.clone(), app.tracked.context.clone()))
    }) else {
        return Ok(());
    };
    let written = change.applied_to(before.clone());
    let patched = Box::pin(patch_application(shared, uid, written, change.patch(&before)));
    let Some(after) = patched.await? else { return Ok(()) };
    {
        let mut state = shared.state();
        if let Some(app) = state.apps.get_mut(uid) {
            app.written = Some(std::time::Instant::now());
            if change.clears_refresh {
                app.refreshed = app.tracked.bundle.as_ref().map_or(0, |bundle| bundle.observed_at);
            }
            if let Some(run) = app.run.as_mut().filter(|_| change.announces_run) {
                run.announced = true;
            }
        }
    }
    let ended = run.as_ref().filter(|_| change.ends_run);
    if let Some(run) = ended {
        set_run(shared, uid, None);
        follow::forget_operation(shared, uid);
        tell(shared, uid, &after, run);
    }
    let old = before.status.unwrap_or_default();
    let facts = plan::facts(&old, &change, ended, Timestamp::now());
    shared.publisher.say(&after, facts, &context);
    Ok(())
}

/// Leaves an Application of this version these finalizers, in the same way.
pub async fn set_finalizers(
    shared: &Arc<Shared>,
    uid: &Uid,
    version: &Option<String>,
    finalizers: &[String],
) -> Result<(), Error> {
    let Some(application) = shared.state().at_version(uid, version).map(|app| app.application.clone()) else {
        return Ok(());
    };
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    Box::pin(patch_application(shared, uid, application, patch)).await.map(drop)
}

/// Patches the version that was decided on, and returns the Application as it is then: with the new metadata, and else
/// as `written` says. Where the version is no longer the newest, nothing is written and the newest is read, to decide
/// again. The API server is not asked to repeat what it was told: that may be long.
async fn patch_application(
    shared: &Arc<Shared>,
    uid: &Uid,
    written: Application,
    patch: impl Serialize + Debug,
) -> Result<Option<Application>, Error> {
    let metadata = &written.metadata;
    let (name, namespace) = (metadata.name.as_deref().unwrap_or_default(), metadata.namespace.as_deref());
    shared.expect_own(uid)?;
    let api: Api<Application> = Api::namespaced(shared.home.client(), namespace.unwrap_or_default());
    let what = format!("Application {name}");
    let patched = match request(name, namespace, patch) {
        Ok(request) => shared.home.client().request::<PartialObjectMeta<Application>>(request).await,
        Err(error) => Err(error),
    };
    match patched {
        Ok(answer) => {
            let after = Application { metadata: answer.metadata, ..written };
            let mut state = shared.state();
            // The watch may have told meanwhile that it is gone: its last finalizer went with this very patch.
            if state.apps.contains_key(uid) {
                state.put_application(after.clone(), &shared.namespace);
            }
            Ok(Some(after))
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let newest = api.get_opt(name).await.map_err(|error| Error::of(&what, error))?;
            let same = newest.filter(|newest| newest.metadata.uid.as_deref() == Some(&**uid));
            match same {
                Some(newest) => {
                    follow::look_for(shared, &newest.spec).await;
                    shared.state().put_application(newest, &shared.namespace);
                }
                None => follow::remove_application(shared, uid),
            }
            Ok(None)
        }
        Err(kube::Error::Api(status)) if status.code == 404 => {
            follow::remove_application(shared, uid);
            Ok(None)
        }
        Err(error) => Err(Error::of(&what, error)),
    }
}

/// A merge patch that is answered by the metadata alone.
fn request(
    name: &str,
    namespace: Option<&str>,
    patch: impl Serialize,
) -> Result<http::Request<Vec<u8>>, kube::Error> {
    let text = json::exact(&patch).map_err(kube::Error::SerdeError)?;
    let (place, empty) = (Application::url_path(&(), namespace), Patch::Merge(json!({})));
    let request = Request::new(place).patch_metadata(name, &PatchParams::default(), &empty);
    let (parts, _) = request.map_err(kube::Error::BuildRequest)?.into_parts();
    Ok(http::Request::from_parts(parts, text))
}

/// One line for an outcome, and its metrics.
fn tell(shared: &Shared, uid: &Uid, application: &Application, run: &Run) {
    let Some(state) = application.status.as_ref().and_then(|status| status.operation_state.as_ref()) else {
        return;
    };
    shared.metrics.synced(shared, uid, state.phase, run);
    let millis = Timestamp::now().duration_since(run.started_at).as_millis();
    let revisions = run.bundle.revisions().join(",");
    let objects = run.tasks.len();
    match state.phase {
        OperationPhase::Succeeded => tracing::info!(revisions, objects, millis, "synced"),
        phase => {
            tracing::warn!(revisions, objects, millis, %phase, message = state.message, "sync did not succeed")
        }
    }
}
