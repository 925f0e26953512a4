//! What the applier answers over gRPC: how an Application's objects differ from what Git wants.
//!
//! What comes in: the name of an Application. What goes out: its differences, as the API server judges them now. It
//! changes nothing, in the cluster or in what is remembered, and shows no value of a Secret. Of an Application that
//! another applier works on, that one is asked.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use ithaca_proto::{
    subject,
    v1::{
        self, GetDiffRequest, GetDiffResponse, Member, ObjectDiff,
        live_service_client::LiveServiceClient,
        live_service_server::{LiveService, LiveServiceServer},
    },
};
use tokio::{net::TcpListener, sync::Semaphore};
use tonic::{
    Request, Response, Status,
    metadata::MetadataValue,
    transport::{Endpoint, server::TcpIncoming},
};

use crate::{
    cluster::{Cluster, Mode},
    desired::Desired,
    error::Error,
    judge::{self, Shown},
    live::Verdict,
    object::ObjectKey,
    service::Shared,
    state::{App, State},
};

/// Questions that are answered at once: each costs the API server a dry run for each object that may differ.
const AT_ONCE: usize = 2;

/// Says that a question comes from another applier, which does not have the answer.
const PASSED_ON: &str = "ithaca-passed-on";

/// How long another applier may take to be reached.
const REACHED_WITHIN: Duration = Duration::from_secs(3);

struct Answers {
    shared: Arc<Shared>,
    permits: Semaphore,
}

/// Answers for ever.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let answers = Answers { shared, permits: Semaphore::new(AT_ONCE) };
    let served = tonic::transport::Server::builder()
        .add_service(LiveServiceServer::new(answers))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "failed to serve answers");
    }
}

#[tonic::async_trait]
impl LiveService for Answers {
    async fn get_diff(&self, request: Request<GetDiffRequest>) -> Result<Response<GetDiffResponse>, Status> {
        let passed_on = request.metadata().contains_key(PASSED_ON);
        let asked = request.into_inner();
        let elsewhere = elsewhere(&self.shared.state(), &asked)?;
        if let Some(partition) = elsewhere {
            let holder = self.shared.membership.holder(partition).filter(|_| !passed_on);
            return pass_on(asked, holder).await;
        }
        let _permit = self.permits.acquire().await.map_err(|error| Status::internal(error.to_string()))?;
        let Question { cluster, suspects, extraneous, revisions } = question(&self.shared.state(), &asked)?;
        let settings = self.shared.settings.current();
        let sensitive = &settings.customizations.sensitive_annotations;
        let looks = stream::iter(suspects).map(|desired| look(&cluster, desired, sensitive).boxed());
        let looks = looks.buffer_unordered(self.shared.writes);
        let mut objects: Vec<ObjectDiff> = looks.try_filter_map(async |diff| Ok(diff)).try_collect().await?;
        objects.extend(extraneous.iter().map(|key| ObjectDiff { extraneous: true, ..named(key) }));
        objects.sort_by(|one, other| order(one).cmp(&order(other)));
        Ok(Response::new(GetDiffResponse { objects, revisions }))
    }
}

/// What has to be looked at.
#[derive(Debug)]
struct Question {
    /// Where.
    cluster: Arc<Cluster>,
    /// Objects that differ or may, in whatever does not count too.
    suspects: Vec<Arc<Desired>>,
    /// Objects that Git no longer wants.
    extraneous: Vec<ObjectKey>,
    revisions: Vec<String>,
}

/// The Application that is asked about.
fn find<'a>(state: &'a State, asked: &GetDiffRequest) -> Result<(&'a str, &'a App), Status> {
    let GetDiffRequest { namespace, name } = asked;
    let is_it = |metadata: &kube::core::ObjectMeta| {
        metadata.name.as_ref() == Some(name) && metadata.namespace.as_ref() == Some(namespace)
    };
    let app = state.apps.iter().find(|(_, app)| is_it(&app.application.metadata));
    let (uid, app) = app.ok_or_else(|| {
        Status::not_found(format!("there is no Application {name} in namespace {namespace}"))
    })?;
    Ok((uid, app))
}

/// The partition of an Application that is not this applier's own.
fn elsewhere(state: &State, asked: &GetDiffRequest) -> Result<Option<u32>, Status> {
    let (uid, _) = find(state, asked)?;
    Ok((!state.ownership.is_mine(uid)).then(|| subject::partition(uid)))
}

/// Asks who works on an Application. A question is passed on once: while an Application changes hands, the two may each
/// believe that the other has it.
async fn pass_on(asked: GetDiffRequest, holder: Option<Member>) -> Result<Response<GetDiffResponse>, Status> {
    let name = asked.name.clone();
    let unavailable =
        |why: String| Status::unavailable(format!("failed to compare Application {name}: {why}"));
    let Some(Member { name: applier, address, .. }) = holder else {
        return Err(unavailable("it is being handed over from one applier to another; ask again".to_owned()));
    };
    let unreached = |error: tonic::transport::Error| {
        unavailable(format!("the applier {applier} that works on it did not answer at {address}: {error}"))
    };
    let endpoint = Endpoint::from_shared(address.clone()).map_err(unreached)?.connect_timeout(REACHED_WITHIN);
    let mut request = Request::new(asked);
    request.metadata_mut().insert(PASSED_ON, MetadataValue::from_static("1"));
    LiveServiceClient::new(endpoint.connect().await.map_err(unreached)?).get_diff(request).await
}

/// Where other appliers find this one.
pub fn address(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("http://[{host}]:{port}"),
        false => format!("http://{host}:{port}"),
    }
}

fn question(state: &State, asked: &GetDiffRequest) -> Result<Question, Status> {
    let name = &asked.name;
    let (_, app) = find(state, asked)?;
    let Some(bundle) = app.tracked.bundle.as_ref().filter(|bundle| bundle.has_content()) else {
        let why = app.tracked.bundle.as_ref().and_then(|bundle| bundle.failure.as_ref());
        let why = why.map_or("nothing was rendered yet", |failure| failure.message.as_str());
        return Err(Status::failed_precondition(format!("failed to compare Application {name}: {why}")));
    };
    let there = state.clusters.of(&app.application);
    let there = there.ok_or_else(|| {
        let why = state.clusters.obstacle(&app.application).unwrap_or_default();
        Status::failed_precondition(format!("failed to compare Application {name}: {why}"))
    })?;
    let is_settled = |desired: &Desired| {
        let record = there.records.get(&desired.key).filter(|record| record.judged_for == desired.hash);
        desired.ignored.is_none() && record.is_some_and(|record| record.verdict == Verdict::Synced)
    };
    let objects = &bundle.assembly.objects;
    let wanted: HashSet<_> = objects.iter().map(|desired| &desired.key).collect();
    // Hooks, and what is skipped, are no part of what Git describes.
    let tracked = there.records.tracked_by(&app.owner.instance);
    let tracked = tracked.filter(|(_, record)| record.hook.is_none()).map(|(key, _)| key);
    let tracked = tracked.filter(|key| !bundle.assembly.skipped.contains(key));
    Ok(Question {
        cluster: there.cluster.clone(),
        suspects: objects.iter().filter(|desired| !is_settled(desired)).cloned().collect(),
        extraneous: tracked.filter(|key| !wanted.contains(key)).cloned().collect(),
        revisions: bundle.revisions(),
    })
}

/// How an object differs; None where it does not.
async fn look(
    cluster: &Cluster,
    desired: Arc<Desired>,
    sensitive: &[String],
) -> Result<Option<ObjectDiff>, Status> {
    let desired = &*desired;
    let key = &desired.key;
    let Some(live) = cluster.get(desired).await.map_err(unanswered)? else {
        return Ok(Some(ObjectDiff { missing: true, ..named(key) }));
    };
    let applied = match cluster.apply_known(desired, Mode::DryRun).await {
        Ok((applied, _)) => applied,
        Err(error) if error.is_passing() => return Err(unanswered(error)),
        Err(error) => return Ok(Some(ObjectDiff { rejected: error.to_string(), ..named(key) })),
    };
    let ignored = desired.ignored.as_deref();
    let Some((fields, truncated)) = judge::show(key, &live, &applied, ignored, sensitive) else {
        let why = ignored.and_then(|ignored| ignored.fault()).map(|fault| fault.message.clone());
        return Err(Status::failed_precondition(why.unwrap_or_default()));
    };
    let fields: Vec<_> = fields.into_iter().map(field).collect();
    Ok((!fields.is_empty()).then(|| ObjectDiff { fields, truncated, ..named(key) }))
}

fn unanswered(error: Error) -> Status {
    match error.is_passing() {
        true => Status::unavailable(error.to_string()),
        false => Status::failed_precondition(error.to_string()),
    }
}

fn named(key: &ObjectKey) -> ObjectDiff {
    let object = v1::ObjectRef {
        group: key.group.to_string(),
        version: String::new(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    };
    ObjectDiff { object: Some(object), ..ObjectDiff::default() }
}

fn field(shown: Shown) -> v1::FieldDiff {
    let Shown { path, live, wanted, masked, ignored, author } = shown;
    let (manager, changed_at) = author.map(|author| (author.manager, author.changed_at)).unwrap_or_default();
    v1::FieldDiff { path, live, wanted, masked, ignored, manager, changed_at: changed_at.unwrap_or_default() }
}

fn order(diff: &ObjectDiff) -> Option<(&str, &str, &str, &str)> {
    let object = diff.object.as_ref()?;
    Some((&object.group, &object.kind, &object.namespace, &object.name))
}
