//! Writing to a cluster: server-side apply under one field manager, dry runs, deletion, namespaces.

use ithaca_api::{API_VERSION, annotation::FIELD_MANAGER, sync_options::Propagation};
use kube::{
    api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy},
    client::Body,
    core::Request,
};
use serde_json::{Value, json};

use super::{Cluster, Served, account};
use crate::{desired::Desired, error::Error, judge, object::ObjectKey};

/// How an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode<'a> {
    /// Nothing is changed for real.
    DryRun,
    /// Fields that were written client-side stay whose they are.
    KeepingClientSide,
    /// Fields that a client-side apply left are taken over, and those of one more manager.
    TakingOver {
        /// Its name.
        also: Option<&'a str>,
    },
}

impl Cluster {
    /// Applies an object and returns it as it is now.
    pub async fn apply(&self, desired: &Desired, mode: Mode<'_>) -> Result<Value, Error> {
        let dry_run = mode == Mode::DryRun;
        let live = self.patch(desired, dry_run).await?;
        let managed_fields = match mode {
            Mode::DryRun | Mode::KeepingClientSide => None,
            Mode::TakingOver { also } => judge::takeover(&live, FIELD_MANAGER, also),
        };
        match managed_fields {
            None => Ok(live),
            Some(managed_fields) => {
                self.take_over(desired, &live, managed_fields).await?;
                self.patch(desired, false).await
            }
        }
    }

    /// Applies what the cluster's schema knows of an object, and returns it as it is now with the fields that the
    /// schema does not know. While the schema may be about to change, none is called unknown.
    pub async fn apply_known(
        &self,
        desired: &Desired,
        mode: Mode<'_>,
    ) -> Result<(Value, Vec<String>), Error> {
        if &*desired.key.kind == "CustomResourceDefinition" && mode != Mode::DryRun {
            self.note_definition();
        }
        let refusal = match self.apply(desired, mode).await {
            Err(Error::Rejected { message, .. })
                if judge::is_for_unknown_fields(&message) && self.is_schema_settling(&desired.key) =>
            {
                return Err(Error::UnsettledSchema { message });
            }
            Err(Error::Rejected { message, code }) if judge::is_for_unknown_fields(&message) => {
                Error::Rejected { message, code }
            }
            outcome => return outcome.map(|live| (live, Vec::new())),
        };
        let unknown = self.unknown_fields(desired).await?;
        let object = serde_json::from_str(desired.json.get()).unwrap_or_default();
        let known = judge::without_fields(&object, &unknown);
        let Some(json) = known.and_then(|known| serde_json::value::to_raw_value(&known).ok()) else {
            return Err(refusal);
        };
        let live = self.apply(&Desired { json: json.into(), ..desired.clone() }, mode).await?;
        Ok((live, unknown))
    }

    /// The fields of an object that the cluster's schema does not know. The API server tells of them whenever it
    /// decodes an object; what else it answers to a dry run of creating one that may be there already does not matter.
    async fn unknown_fields(&self, desired: &Desired) -> Result<Vec<String>, Error> {
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = self.request(desired)?.create(&params, desired.json.get().as_bytes().to_vec());
        let request = request.map_err(|error| Error::Rejected { message: error.to_string(), code: 400 })?;
        let answer = self.answered(&desired.key, self.client.send(request.map(Body::from))).await?;
        let answer = answer.map_err(|error| Error::of(&desired.key, error))?;
        let warnings = answer.headers().get_all(http::header::WARNING).iter();
        Ok(judge::unknown_fields(warnings.filter_map(|warning| warning.to_str().ok())))
    }

    /// The live object; None where there is none.
    pub async fn get(&self, desired: &Desired) -> Result<Option<Value>, Error> {
        let request = self.request(desired)?.get(&desired.key.name, &Default::default());
        match self.send(&desired.key, request).await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces an object as a whole and returns it as it is now; None where there is none.
    pub async fn replace(&self, desired: &Desired, dry_run: bool) -> Result<Option<Value>, Error> {
        let Some(live) = self.get(desired).await? else { return Ok(None) };
        let mut object: Value = serde_json::from_str(desired.json.get()).unwrap_or_default();
        object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request =
            self.request(desired)?.replace(&desired.key.name, &params, object.to_string().into_bytes());
        match self.send(&desired.key, request).await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object and returns it as it is; None where one of that name is there.
    pub async fn create(&self, desired: &Desired) -> Result<Option<Value>, Error> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request = self.request(desired)?.create(&params, desired.json.get().as_bytes().to_vec());
        match self.send_into_namespace(desired, request).await {
            Ok(live) => Ok(Some(live)),
            Err(Error::Rejected { code: 409, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tries whether an object could be made. Whether one of its name is there already shows last, and only where nothing
    /// is wrong with it.
    pub async fn try_create(&self, desired: &Desired) -> Result<(), Error> {
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = self.request(desired)?.create(&params, desired.json.get().as_bytes().to_vec());
        self.send_into_namespace(desired, request).await.map(drop)
    }

    /// Takes a finalizer off an object and returns it as it is then; None where it is gone.
    pub async fn remove_finalizer(&self, key: &ObjectKey, finalizer: &str) -> Result<Option<Value>, Error> {
        let Some(served) = self.served_any(&key.group_kind()) else { return Ok(None) };
        let request = path(&served, &key.namespace);
        let live = match self.send(key, request.get(&key.name, &Default::default())).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = &live["metadata"];
        let all = metadata["finalizers"].as_array().cloned().unwrap_or_default();
        let kept: Vec<_> = all.into_iter().filter(|name| name != finalizer).collect();
        // Whoever adds a finalizer meanwhile must not lose it.
        let patch = json!({"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}});
        let request = request.patch(&key.name, &PatchParams::default(), &Patch::Merge(patch));
        match self.send(key, request).await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether an object is gone, or being deleted. Whoever may delete it may not see it, so the applier looks itself.
    pub async fn is_going(&self, key: &ObjectKey) -> Result<bool, Error> {
        let Some(served) = self.served_any(&key.group_kind()) else { return Ok(true) };
        let request = path(&served, &key.namespace).get(&key.name, &Default::default());
        match account::acting_as(None, self.send(key, request)).await {
            Ok(live) => Ok(live.pointer("/metadata/deletionTimestamp").is_some()),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether an ApplicationSet of this uid is there and is not being deleted, or not with its Applications. Where nothing
    /// serves the kind there is none.
    pub async fn keeps_application_set(&self, key: &ObjectKey, uid: &str) -> Result<bool, Error> {
        let path = format!("/apis/{API_VERSION}/namespaces/{}/applicationsets", key.namespace);
        let request = Request::new(path).get_metadata(&key.name, &Default::default());
        match self.send(key, request).await {
            Ok(live) => {
                let metadata = &live["metadata"];
                let mut finalizers = metadata["finalizers"].as_array().into_iter().flatten();
                let leaves_them = finalizers.any(|name| name == "orphan");
                Ok(metadata["uid"] == uid && (metadata["deletionTimestamp"].is_null() || leaves_them))
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object; one that is gone already is no error.
    pub async fn delete(
        &self,
        key: &ObjectKey,
        propagation: Propagation,
        dry_run: bool,
    ) -> Result<(), Error> {
        let Some(served) = self.served_any(&key.group_kind()) else { return Ok(()) };
        let policy = match propagation {
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Orphan => PropagationPolicy::Orphan,
        };
        let params = DeleteParams { propagation_policy: Some(policy), dry_run, ..DeleteParams::default() };
        let request = path(&served, &key.namespace).delete(&key.name, &params);
        match self.send(key, request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a namespace where there is none.
    pub async fn ensure_namespace(&self, name: &str) -> Result<(), Error> {
        if self.knows_namespace(name) || !self.manages_namespaces {
            return Ok(());
        }
        let key = ObjectKey::new("", "Namespace", "", name);
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let request = Request::new("/api/v1/namespaces").create(&params, body.to_string().into_bytes());
        match self.send(&key, request).await {
            Ok(_) | Err(Error::Rejected { code: 409, .. }) => {
                self.learn_namespace(name, true);
                Ok(())
            }
            Err(Error::Rejected { code: 403, message }) => self.expect_namespace(name, &message).await,
            Err(error) => Err(error),
        }
    }

    /// Refuses for this reason where there is no such namespace. Whoever may not make it may not see it either, so the
    /// applier looks itself.
    pub async fn expect_namespace(&self, name: &str, reason: &str) -> Result<(), Error> {
        if self.knows_namespace(name) {
            return Ok(());
        }
        let key = ObjectKey::new("", "Namespace", "", name);
        let request = Request::new("/api/v1/namespaces").get(name, &Default::default());
        match account::acting_as(None, self.send(&key, request)).await {
            Ok(_) => {
                self.learn_namespace(name, true);
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                Err(Error::Rejected { message: reason.to_owned(), code: 403 })
            }
            Err(error) => Err(error),
        }
    }

    async fn patch(&self, desired: &Desired, dry_run: bool) -> Result<Value, Error> {
        let params = PatchParams { dry_run, force: true, ..PatchParams::apply(FIELD_MANAGER) };
        let request = self.request(desired)?.patch(&desired.key.name, &params, &Patch::Apply(&desired.json));
        self.send_into_namespace(desired, request).await
    }

    /// Moves the fields that a client-side apply owns to our manager, unless the object has changed since.
    async fn take_over(&self, desired: &Desired, live: &Value, managed_fields: Value) -> Result<(), Error> {
        let version = live.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
        let patch = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/metadata/managedFields", "value": managed_fields},
        ]);
        let request = self.request(desired)?.patch(
            &desired.key.name,
            &PatchParams::default(),
            &Patch::<()>::Json(serde_json::from_value(patch).unwrap_or_default()),
        );
        self.send(&desired.key, request).await.map(drop)
    }

    fn request(&self, desired: &Desired) -> Result<Request, Error> {
        let kind = desired.kind();
        let unknown = || Error::UnknownKind { key: desired.key.clone(), api_version: kind.api_version() };
        Ok(path(&self.served(&kind).ok_or_else(unknown)?, &desired.key.namespace))
    }

    /// Sends what makes an object where there is none. What is not found then is its namespace, which is not there any
    /// more.
    async fn send_into_namespace(
        &self,
        desired: &Desired,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Error> {
        let answer = self.send(&desired.key, request).await;
        if answer.as_ref().is_err_and(Error::is_not_found) {
            self.learn_namespace(&desired.key.namespace, false);
        }
        answer
    }

    async fn send(
        &self,
        key: &ObjectKey,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Error> {
        let request = request.map_err(|error| Error::Rejected { message: error.to_string(), code: 400 })?;
        match self.send_once(key, request.clone()).await {
            Err(Error::Rejected { code: 403, .. }) => {
                self.ensure_ready().await?;
                self.send_once(key, request).await
            }
            answer => answer,
        }
    }

    async fn send_once(&self, key: &ObjectKey, mut request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        account::name_user(&mut request)?;
        let answer = self.answered(key, self.client.request::<Value>(request)).await?;
        answer.map_err(|error| Error::of(key, error))
    }
}

fn path(served: &Served, namespace: &str) -> Request {
    let namespace = Some(namespace).filter(|_| served.namespaced);
    let resource = &served.resource;
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    let place = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    Request::new(format!("{root}/{}{place}/{}", resource.api_version, resource.plural))
}
