//! Where Applications are read: the cluster and namespace of the arguments.
//!
//! In: the kubeconfig. Out: Applications as the API server has them, less the bookkeeping of field managers.
//! They are read as plain JSON first, so that output in JSON or YAML leaves nothing out.

use anyhow::Context;
use ithaca_api::Application;
use kube::{
    Api, Client, Config,
    api::{DynamicObject, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::ApiResource,
};

use super::{Access, near::near};

/// A cluster and the namespace to look into.
pub struct Cluster {
    client: Client,
    /// The namespace of the arguments.
    pub namespace: String,
}

impl Cluster {
    /// Finds the cluster; nothing is asked of it yet.
    pub async fn connect(access: &Access) -> anyhow::Result<Self> {
        let options = KubeConfigOptions { context: access.context.clone(), ..Default::default() };
        let config = match (&access.kubeconfig, &access.context) {
            (Some(path), _) => {
                let kubeconfig = Kubeconfig::read_from(path)
                    .with_context(|| format!("failed to read {}", path.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(anyhow::Error::from)
            }
            (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(anyhow::Error::from),
            (None, None) => Config::infer().await.map_err(anyhow::Error::from),
        };
        let config = config.context("failed to find a cluster; set KUBECONFIG or give --kubeconfig")?;
        let client = Client::try_from(config).context("failed to prepare the connection to the cluster")?;
        Ok(Self { client, namespace: access.namespace.clone() })
    }

    /// The connection.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The Applications of the namespace, as plain objects.
    pub fn applications(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource())
    }

    /// All Applications, by namespace and name.
    pub async fn list(&self, all_namespaces: bool) -> anyhow::Result<Vec<DynamicObject>> {
        let api = if all_namespaces {
            Api::all_with(self.client.clone(), &resource())
        } else {
            self.applications()
        };
        let mut items = api.list(&ListParams::default()).await.map_err(explained)?.items;
        items.iter_mut().for_each(tidy);
        items.sort_by(|a, b| key(a).cmp(&key(b)));
        Ok(items)
    }

    /// One Application. An unknown name fails with those that are near it.
    pub async fn get(&self, name: &str) -> anyhow::Result<DynamicObject> {
        match self.applications().get_opt(name).await.map_err(explained)? {
            Some(mut object) => {
                tidy(&mut object);
                Ok(object)
            }
            None => Err(self.not_found(name).await?),
        }
    }

    async fn not_found(&self, name: &str) -> anyhow::Result<anyhow::Error> {
        let known = self.list(false).await?;
        let names = known.iter().filter_map(|object| object.metadata.name.as_deref());
        let near = near(name, names);
        let hint = match (known.len(), near.as_slice()) {
            (0, _) => "; the namespace has none (choose another with -n)".to_owned(),
            (_, []) => "; `ithaca app list` shows those that there are".to_owned(),
            (_, near) => format!("; did you mean {}?", near.join(" or ")),
        };
        Ok(anyhow::anyhow!("failed to find application {name:?} in namespace {}{hint}", self.namespace))
    }
}

/// An object of the API as an Application.
pub fn parse(object: &DynamicObject) -> anyhow::Result<Application> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let failed = || format!("failed to read application {name:?}");
    let value = serde_json::to_value(object).with_context(failed)?;
    serde_json::from_value(value).with_context(failed)
}

fn resource() -> ApiResource {
    ApiResource::erase::<Application>(&())
}

fn tidy(object: &mut DynamicObject) {
    object.metadata.managed_fields = None;
    // Items of a list come without them.
    object.types.get_or_insert_with(kube::core::TypeMeta::resource::<Application>);
}

fn key(object: &DynamicObject) -> (Option<&str>, Option<&str>) {
    (object.metadata.namespace.as_deref(), object.metadata.name.as_deref())
}

fn explained(error: kube::Error) -> anyhow::Error {
    let why = ithaca_api::unreadable(&error);
    anyhow::Error::from(error).context(format!("failed to read the Applications: {why}"))
}
