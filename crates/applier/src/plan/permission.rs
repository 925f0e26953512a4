//! What an application's project says to it: whether it may be worked on at all, which objects it may manage, and
//! whether a sync may go on now.
//!
//! What comes in: the view and, for objects, a comparison. What goes out: reasons, in Argo CD's words where scripts
//! look for them, and the time at which to ask again.

use std::{collections::HashSet, fmt, sync::Arc};

use ithaca_api::{SyncStatusCode, project::Gate, without_credentials};
use jiff::Timestamp;

use super::{Run, comparison::Comparison, view::View};
use crate::{bundle::Bundle, object::ObjectKey, projects::Project};

/// Something that the project does not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// The object; None where it is the whole.
    pub key: Option<ObjectKey>,
    /// For people.
    pub reason: String,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(formatter, "{key}: {}", self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

/// A sync that has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why, and until when.
    pub reason: String,
    /// When to ask again; None where only a change of the project helps.
    pub ask_again: Option<Timestamp>,
}

/// Why the application may not be worked on at all.
pub(super) fn refusal(view: View<'_>) -> Option<String> {
    let Some(project) = view.project else { return Some(missing(view)) };
    let (spec, metadata) = (&view.application.spec, &view.application.metadata);
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let mut reasons = Vec::new();
    if !project.permissions.permits_application_in(namespace, view.control_plane) {
        let name = metadata.name.as_deref().unwrap_or_default();
        let need = "its spec.sourceNamespaces has to name the namespace";
        reasons.push(format!(
            "application '{name}' in namespace '{namespace}' is not allowed to use project '{}': {need}",
            project.name
        ));
    }
    reasons.extend(spec.sources().iter().filter_map(|source| forbidden_source(project, &source.repo_url)));
    let (destination, cluster) = (&spec.destination, view.reference());
    if !project.permissions.permits_destination(cluster, &destination.namespace) {
        reasons.push(format!(
            "application destination server '{}' and namespace '{}' do not match any of the allowed destinations in \
             project '{}': its spec.destinations has to allow them",
            cluster.server, destination.namespace, project.name
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// There is no such project.
pub(super) fn missing(view: View<'_>) -> String {
    format!("Application referencing project {} which does not exist", view.application.spec.project())
}

/// Whether an object is the application's to delete.
pub(super) fn may_delete(view: View<'_>, key: &ObjectKey) -> bool {
    view.project.is_some_and(|project| project.permits(view.reference(), key))
}

/// Takes what the project does not permit out of a comparison: what is wanted cannot be applied, and what is there and
/// not wanted is not this application's to know of.
pub(super) fn forbid(view: View<'_>, bundle: &Bundle, comparison: &mut Comparison) {
    let Some(project) = view.project else { return };
    let urls = bundle.sources.iter().map(|source| source.source.repo_url.as_str());
    let sources = urls.filter_map(|url| forbidden_source(project, url));
    let mut forbidden: Vec<_> = sources.map(|reason| Forbidden { key: None, reason }).collect();
    let objects = &bundle.assembly.objects;
    let hooks = bundle.assembly.hooks.iter().map(|hook| &hook.manifest);
    let reasons = objects.iter().map(|desired| &**desired).chain(hooks).filter_map(|desired| {
        let reason = match desired.is_destination {
            true => project.may_create_namespace(&desired.key.name).err(),
            false => forbidden_object(view, project, &desired.key),
        }?;
        Some(Forbidden { key: Some(desired.key.clone()), reason })
    });
    forbidden.extend(reasons);
    let extras = comparison.extras.len();
    comparison.extras.retain(|key| may_delete(view, key));
    let counts = |key: &&ObjectKey| view.records.get(key).is_some_and(|record| !record.ignores_extraneous);
    comparison.counted_extras = comparison.extras.iter().filter(counts).count();
    comparison.held.retain(|key| may_delete(view, key));
    comparison.prunable.retain(|key| may_delete(view, key));
    if forbidden.is_empty() && comparison.extras.len() == extras {
        return;
    }
    let barred: HashSet<_> = forbidden.iter().filter_map(|forbidden| forbidden.key.as_ref()).collect();
    let is_free = |place: &usize| objects.get(*place).is_none_or(|desired| !barred.contains(&desired.key));
    comparison.undecided.retain(is_free);
    comparison.out_of_sync.retain(is_free);
    comparison.unserved |= !forbidden.is_empty();
    Arc::make_mut(&mut comparison.resources).retain_mut(|resource| {
        let key = ObjectKey::new(&resource.group, &resource.kind, &resource.namespace, &resource.name);
        if barred.contains(&key) {
            let of_its_kind = permits_kind(project, &key);
            let code = if of_its_kind { SyncStatusCode::OutOfSync } else { SyncStatusCode::Unknown };
            resource.status = Some(code);
        }
        !resource.requires_pruning || may_delete(view, &key)
    });
    comparison.forbidden = forbidden;
}

fn permits_kind(project: &Project, key: &ObjectKey) -> bool {
    project.permissions.permits_kind(&key.group, &key.kind, !key.namespace.is_empty(), &key.name)
}

fn forbidden_object(view: View<'_>, project: &Project, key: &ObjectKey) -> Option<String> {
    let (name, namespace) = (&project.name, &key.namespace);
    if !permits_kind(project, key) {
        let lists =
            if namespace.is_empty() { "clusterResourceWhitelist" } else { "namespaceResourceWhitelist" };
        return Some(format!(
            "resource {}:{} is not permitted in project {name}: see its spec.{lists} and blacklist",
            key.group, key.kind
        ));
    }
    let permitted = project.permits(view.reference(), key);
    (!permitted).then(|| {
        format!("namespace {namespace} is not permitted in project '{name}': its spec.destinations has to allow it")
    })
}

fn forbidden_source(project: &Project, url: &str) -> Option<String> {
    (!project.permissions.permits_source(url)).then(|| {
        format!(
            "application repo {} is not permitted in project '{}': its spec.sourceRepos has to allow it",
            without_credentials(url),
            project.name
        )
    })
}

/// Why automation may not start a sync now.
pub(super) fn holds_automation(view: View<'_>) -> Option<Hold> {
    let project = view.project?;
    hold(project.windows.may_start(Project::target(view.application, view.reference()), false, view.now))
}

/// Why an operation may not go on now.
pub(super) fn holds(view: View<'_>, run: &Run) -> Option<Hold> {
    let project = view.project?;
    let manual = !run.operation.initiated_by.automated;
    let target = Project::target(view.application, view.reference());
    hold(project.windows.may_go_on(target, manual, run.started_at, view.now))
}

fn hold(gate: Gate) -> Option<Hold> {
    match gate {
        Gate::Open => None,
        Gate::Closed { reason, ask_again } => Some(Hold { reason, ask_again }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use ithaca_api::{Application, ResultCode, SyncOptions};
    use ithaca_proto::v1::BundleRendered;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        clusters::Known,
        desired::{self, Owner},
        live::{Record, Records},
        orphans::Orphaned,
        plan::{Guard, comparison::compare, dependencies::Nobody, run::Next},
    };

    fn project(spec: Value) -> Project {
        let mut project = json!({"metadata": {"name": "shop"}, "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
        }});
        for (key, value) in spec.as_object().expect("an object") {
            project["spec"][key] = value.clone();
        }
        Project::of(serde_json::from_value(project).expect("an AppProject"))
    }

    fn application() -> Application {
        let value = json!({
            "metadata": {"name": "web", "namespace": "argocd"},
            "spec": {
                "project": "shop",
                "source": {"repoURL": "https://ada:secret@git.example.org/a", "path": "app"},
                "destination": {"name": "in-cluster", "namespace": "web"},
            },
        });
        serde_json::from_value(value).expect("an Application")
    }

    fn owner() -> Owner {
        Owner { instance: "web".to_owned(), namespace: "web".to_owned(), ..Owner::default() }
    }

    fn view<'a>(
        application: &'a Application,
        owner: &'a Owner,
        project: Option<&'a Project>,
        records: &'a Records,
    ) -> View<'a> {
        static HOME: LazyLock<Known> = LazyLock::new(Known::home);
        View {
            cluster: Ok(&HOME),
            guard: Guard::default(),
            others: &Nobody,
            application,
            owner,
            tracked: None,
            requested: None,
            asked: Default::default(),
            project,
            orphaned: Orphaned::None,
            held: None,
            run: None,
            refreshed: 0,
            records,
            control_plane: "argocd",
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn refused(project: Option<&Project>) -> Option<String> {
        refusal(view(&application(), &owner(), project, &Records::default()))
    }

    #[test]
    fn a_refusal_says_what_the_project_would_need_and_no_password() {
        assert_eq!(refused(Some(&project(json!({})))), None);
        let missing = refused(None).expect("a reason");
        assert_eq!(missing, "Application referencing project shop which does not exist");
        let both = json!({"sourceRepos": [], "destinations": [{"server": "*", "namespace": "!web"}]});
        let both = refused(Some(&project(both))).expect("a reason");
        let repository = "application repo https://git.example.org/a is not permitted in project 'shop'";
        assert!(both.starts_with(repository), "{both}");
        let destination = "application destination server 'https://kubernetes.default.svc' and namespace 'web' do not \
                           match any of the allowed destinations in project 'shop'";
        assert!(both.contains(destination), "{both}");
    }

    /// A Secret and a ConfigMap of the application, which are wanted where `wanted`.
    fn compared(project: &Project, wanted: bool) -> (Arc<Bundle>, Comparison, Records) {
        let manifests = ["Secret", "ConfigMap"].map(
            |kind| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "web"}}),
        );
        let assembly = desired::assemble(manifests.to_vec(), &owner(), &|_| Some(true));
        let mut records = Records::default();
        for desired in &assembly.objects {
            let live = serde_json::from_str(desired.json.get()).expect("an object");
            records
                .put(desired.key.clone(), Record::applied(&desired.key, &live, desired, &Default::default()));
        }
        let assembly = if wanted { assembly } else { desired::Assembly::default() };
        let bundle = Arc::new(Bundle::new(BundleRendered::default(), Arc::new(assembly)));
        let mut comparison = compare(&bundle, &owner(), &SyncOptions::default(), &records);
        let (application, owner) = (application(), owner());
        forbid(view(&application, &owner, Some(project), &records), &bundle, &mut comparison);
        (bundle, comparison, records)
    }

    fn codes(comparison: &Comparison) -> Vec<(&str, Option<SyncStatusCode>)> {
        comparison.resources.iter().map(|resource| (resource.kind.as_str(), resource.status)).collect()
    }

    #[test]
    fn a_forbidden_kind_is_unknown_and_a_forbidden_namespace_out_of_sync() {
        let (bundle, comparison, records) = compared(
            &project(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]})),
            true,
        );
        let (synced, unknown) = (Some(SyncStatusCode::Synced), Some(SyncStatusCode::Unknown));
        assert_eq!(codes(&comparison), [("ConfigMap", synced), ("Secret", unknown)]);
        assert_eq!(comparison.status(), SyncStatusCode::OutOfSync);
        let operation = ithaca_api::Operation { sync: Some(Default::default()), ..Default::default() };
        let run = Run::plan(operation, bundle, &comparison, &records, Timestamp::UNIX_EPOCH);
        let next = run.next(&records, None);
        let is_refused = matches!(&next, Next::Finish(_, reason)
            if reason.starts_with("one or more synchronization tasks are not valid: ")
            && reason.contains("resource :Secret is not permitted in project shop"));
        assert!(is_refused, "{next:?}");
        assert!(
            run.tasks
                .iter()
                .all(|task| task.outcome.as_ref().is_none_or(|outcome| outcome.code == ResultCode::Synced))
        );
        let elsewhere = json!({"destinations": [{"server": "*", "namespace": "shop"}]});
        let (_, comparison, _) = compared(&project(elsewhere), true);
        let out_of_sync = Some(SyncStatusCode::OutOfSync);
        assert_eq!(codes(&comparison), [("ConfigMap", out_of_sync), ("Secret", out_of_sync)]);
    }

    #[test]
    fn what_is_there_and_forbidden_is_not_seen() {
        let (_, comparison, _) = compared(
            &project(json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]})),
            false,
        );
        assert_eq!(codes(&comparison), [("ConfigMap", Some(SyncStatusCode::OutOfSync))]);
        let keys: Vec<_> = comparison.prunable.iter().map(|key| &*key.kind).collect();
        assert_eq!(keys, ["ConfigMap"]);
    }
}
