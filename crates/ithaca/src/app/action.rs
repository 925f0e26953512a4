//! `ithaca app action`: what can be done to an Application's objects by a word, and doing it.
//!
//! In: the Application's objects, and the actions of the installation's ConfigMap. Out: a table of actions, or an object
//! changed. All is done with the rights of whoever asks, never with Ithaca's.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail, ensure};
use comfy_table::Cell;
use ithaca_api::{Customizations, annotation::SETTINGS_CONFIG_MAP, status::ResourceStatus};
use ithaca_applier::actions::{Actions, Effect};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::GroupVersionKind,
    discovery::{self, ApiResource, Scope},
};
use serde_json::Value;

use super::{
    cluster::{Cluster, parse},
    text,
};
use crate::output;

/// Which object.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Target {
    /// Kind of the object
    #[arg(long)]
    kind: Option<String>,
    /// API group of the object
    #[arg(long)]
    group: Option<String>,
    /// Name of the object
    #[arg(long)]
    object: Option<String>,
    /// Namespace of the object
    #[arg(long)]
    object_namespace: Option<String>,
}

impl Target {
    fn means(&self, resource: &ResourceStatus) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.kind, &resource.kind)
            && same(&self.group, &resource.group)
            && same(&self.object, &resource.name)
            && same(&self.object_namespace, &resource.namespace)
    }
}

/// An object, and what can be done to it.
struct Subject {
    named: String,
    actions: Actions,
    api: Api<DynamicObject>,
    live: DynamicObject,
    value: Value,
}

/// How often an action is worked out anew on an object that changes under it.
const MOST_TRIES: usize = 5;

impl Subject {
    async fn read_again(&mut self) -> anyhow::Result<()> {
        let name = self.live.metadata.name.clone().unwrap_or_default();
        let failed = || format!("failed to read {}", self.named);
        self.live = self.api.get(&name).await.with_context(failed)?;
        self.value = serde_json::to_value(&self.live)?;
        Ok(())
    }
}

/// Lists the actions of an Application's objects.
pub async fn list(cluster: &Cluster, name: &str, target: &Target) -> anyhow::Result<()> {
    let mut table = text::table(&["OBJECT", "ACTION", ""]);
    for subject in Box::pin(subjects(cluster, name, target)).await? {
        for offered in offered(&subject)? {
            let now = if offered.disabled { "not now" } else { "" };
            table.add_row([Cell::new(&subject.named), Cell::new(offered.name), Cell::new(now)]);
        }
    }
    if table.row_count() == 0 {
        eprintln!("no object of application {name} has an action");
        return Ok(());
    }
    output::print(&text::lines(table))
}

/// Does an action to the one object that is meant.
pub async fn run(cluster: &Cluster, name: &str, action: &str, target: &Target) -> anyhow::Result<()> {
    let mut able = Vec::new();
    for subject in Box::pin(subjects(cluster, name, target)).await? {
        let found = offered(&subject)?.into_iter().find(|offered| offered.name == action);
        able.extend(found.map(|offered| (subject, offered)));
    }
    ensure!(
        able.len() < 2,
        "{} objects have action {action}: {}; choose one with --kind, --object, --object-namespace",
        able.len(),
        able.iter().map(|(subject, _)| subject.named.as_str()).collect::<Vec<_>>().join(", ")
    );
    let Some((mut subject, offered)) = able.pop() else {
        bail!(
            "no such object of application {name} has action {action}; `ithaca app actions {name}` shows those that there are"
        );
    };
    ensure!(!offered.disabled, "{} cannot {action} now", subject.named);
    let named = subject.named.clone();
    let failed = || format!("failed to {action} {named}");
    for tries in 1.. {
        let effects = subject.actions.act(action, &subject.value).map_err(anyhow::Error::msg);
        match take_effects(cluster, &subject, effects.with_context(failed)?).await {
            Err(error) if is_conflict(&error) && tries < MOST_TRIES => subject.read_again().await?,
            result => {
                result.with_context(failed)?;
                break;
            }
        }
    }
    output::print(&format!("{}: {action} done\n", subject.named))
}

fn offered(subject: &Subject) -> anyhow::Result<Vec<ithaca_applier::actions::Offered>> {
    let failed = || {
        format!(
            "failed to tell the actions of {}; mend them in ConfigMap {SETTINGS_CONFIG_MAP}",
            subject.named
        )
    };
    subject.actions.offered(&subject.value).map_err(anyhow::Error::msg).with_context(failed)
}

/// Writes all that an action does.
async fn take_effects(cluster: &Cluster, subject: &Subject, effects: Vec<Effect>) -> anyhow::Result<()> {
    let only = effects.len() == 1;
    for effect in effects {
        let taken = take_effect(cluster, subject, effect).await;
        // Where something was written already, the whole must not be done again.
        taken.map_err(|error| if only { error } else { anyhow::anyhow!("{error:#}") })?;
    }
    Ok(())
}

/// Whether the object has changed since it was read: controllers write to it at any time.
fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if status.is_conflict())
}

/// Writes what an action does. An object that has changed since it was read is refused by the API server.
async fn take_effect(cluster: &Cluster, subject: &Subject, effect: Effect) -> anyhow::Result<()> {
    let params = PostParams { field_manager: Some("ithaca-action".to_owned()), ..PostParams::default() };
    match effect {
        Effect::Change(changed) => {
            let changed: DynamicObject =
                serde_json::from_value(changed).context("the action made no object")?;
            let (is, was) = (&changed.metadata, &subject.live.metadata);
            ensure!(
                (&is.name, &is.namespace) == (&was.name, &was.namespace),
                "the action made it another object"
            );
            let name = was.name.as_deref().unwrap_or_default();
            subject.api.replace(name, &params, &changed).await?;
        }
        Effect::Create(new) => {
            let new: DynamicObject = serde_json::from_value(new).context("the action made no object")?;
            let types = new.types.as_ref().context("the action made an object without kind")?;
            let kind = GroupVersionKind::try_from(types)?;
            let (resource, scope) = served(cluster.client(), &kind).await?;
            let namespace = new.metadata.namespace.as_deref().or(subject.live.metadata.namespace.as_deref());
            api(cluster.client(), &resource, scope, namespace.unwrap_or_default())
                .create(&params, &new)
                .await?;
        }
    }
    Ok(())
}

/// The live objects of an Application that are meant and may have actions.
async fn subjects(cluster: &Cluster, name: &str, target: &Target) -> anyhow::Result<Vec<Subject>> {
    let application = parse(&cluster.get(name).await?)?;
    let destination = &application.spec.destination;
    ensure!(
        destination.is_in_cluster(),
        "the objects of application {name} are in another cluster: {}{}",
        destination.server,
        destination.name
    );
    let customizations = customizations(cluster).await?;
    let status = application.status.unwrap_or_default();
    let mut kinds = HashMap::new();
    let mut subjects = Vec::new();
    for resource in
        status.resources.iter().filter(|resource| !resource.version.is_empty() && target.means(resource))
    {
        let actions = Actions::of(&customizations, &resource.group, &resource.kind);
        if actions.is_empty() {
            continue;
        }
        let kind = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        if !kinds.contains_key(&kind) {
            kinds.insert(kind.clone(), served(cluster.client(), &kind).await?);
        }
        let Some((served, scope)) = kinds.get(&kind) else { continue };
        let api = api(cluster.client(), served, scope.clone(), &resource.namespace);
        let named = named(resource);
        let live = api.get_opt(&resource.name).await.with_context(|| format!("failed to read {named}"))?;
        let Some(live) = live else { continue };
        let value = serde_json::to_value(&live)?;
        subjects.push(Subject { named, actions, api, live, value });
    }
    Ok(subjects)
}

/// `apps/Deployment shop/web`.
fn named(resource: &ResourceStatus) -> String {
    let ResourceStatus { group, kind, namespace, name, .. } = resource;
    let slash = |first: &str| if first.is_empty() { String::new() } else { format!("{first}/") };
    format!("{}{kind} {}{name}", slash(group), slash(namespace))
}

async fn served(client: Client, kind: &GroupVersionKind) -> anyhow::Result<(ApiResource, Scope)> {
    let found = discovery::pinned_kind(&client, kind).await;
    let (resource, capabilities) =
        found.with_context(|| format!("the cluster does not serve {}/{}", kind.api_version(), kind.kind))?;
    Ok((resource, capabilities.scope))
}

fn api(client: Client, resource: &ApiResource, scope: Scope, namespace: &str) -> Api<DynamicObject> {
    match scope {
        Scope::Namespaced => Api::namespaced_with(client, namespace, resource),
        Scope::Cluster => Api::all_with(client, resource),
    }
}

/// What the installation says about kinds. What of it cannot be read is told, and the rest counts.
async fn customizations(cluster: &Cluster) -> anyhow::Result<Customizations> {
    let config_map = GroupVersionKind::gvk("", "v1", "ConfigMap");
    let resource = ApiResource::from_gvk_with_plural(&config_map, "configmaps");
    let api = api(cluster.client(), &resource, Scope::Namespaced, &cluster.namespace);
    let found = api.get_opt(SETTINGS_CONFIG_MAP).await;
    let found = found.with_context(|| format!("failed to read ConfigMap {SETTINGS_CONFIG_MAP}"))?;
    let data = found.and_then(|mut found| found.data.get_mut("data").map(Value::take)).unwrap_or_default();
    let data: BTreeMap<String, String> = serde_json::from_value(data).unwrap_or_default();
    let (customizations, unreadable) = Customizations::read(&data);
    unreadable.iter().for_each(|part| eprintln!("ithaca: {part}"));
    Ok(customizations)
}
