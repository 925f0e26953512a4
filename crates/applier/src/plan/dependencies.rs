//! Applications that wait for others: `ithaca.dev/depends-on`.
//!
//! What comes in: an Application's annotation, and how the Applications are that it names. What goes out: why it has to
//! wait. A dependency that runs an older revision of a source that both read has to follow first, so that one commit
//! that changes both arrives in order. Deletion goes the other way round.

use ithaca_api::{
    Application, ApplicationSource, HealthStatusCode, SyncStatusCode, annotation, status::one_or_several,
};

use jiff::Timestamp;

use super::{
    application_set::{ApplicationSet, Generated, Presence},
    view::View,
};
use crate::{
    bundle::{Bundle, Source},
    object::ObjectKey,
    projects::Project,
};

/// An Application's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Name {
    /// An Application's own.
    pub fn of(application: &Application) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let metadata = &application.metadata;
        Self { namespace: text(&metadata.namespace), name: text(&metadata.name) }
    }

    /// As its neighbours in a namespace call it.
    fn seen_from(&self, namespace: &str) -> String {
        match self.namespace == namespace {
            true => self.name.clone(),
            false => format!("{}/{}", self.namespace, self.name),
        }
    }
}

/// What is known of another Application.
#[derive(Clone, Copy, Debug)]
pub struct Other<'a> {
    /// As the API server last gave it.
    pub application: &'a Application,
    /// What its targetRevision says, as far as it is known.
    pub tracked: Option<&'a [Source]>,
    /// The project that it names.
    pub project: Option<&'a Project>,
}

/// All Applications, by name.
pub trait Others {
    /// One of them.
    fn find(&self, name: &Name) -> Option<Other<'_>>;
    /// Those that name it in their annotation.
    fn dependents(&self, name: &Name) -> Vec<Name>;
    /// The objects of one that others want as well, and who, as their tracking ids name them.
    fn rivals(&self, _application: &Application) -> Vec<(ObjectKey, Box<str>)> {
        Vec::new()
    }
    /// All that were generated from an ApplicationSet; None while not all Applications are known.
    fn generated_from(&self, _set: &ApplicationSet) -> Option<Vec<Generated<'_>>> {
        None
    }
    /// Whether an ApplicationSet is there, as far as the API server was asked.
    fn presence(&self, _set: &ApplicationSet, _now: Timestamp) -> Option<(&Presence, Timestamp)> {
        None
    }
    /// Whether the one that tracking ids name so wants an object.
    fn wants(&self, _instance: &str, _key: &ObjectKey) -> bool {
        false
    }
}

/// The Applications that one names in its annotation; those without a namespace are beside it.
pub fn depends_on(application: &Application) -> Vec<Name> {
    let annotations = application.metadata.annotations.as_ref();
    let text =
        annotations.and_then(|annotations| annotations.get(annotation::DEPENDS_ON)).map(String::as_str);
    let words = text.unwrap_or_default().split([',', '\n']).map(str::trim).filter(|word| !word.is_empty());
    let own = application.metadata.namespace.as_deref().unwrap_or_default();
    words
        .map(|word| {
            let (namespace, name) = word.split_once('/').unwrap_or((own, word));
            Name { namespace: namespace.to_owned(), name: name.to_owned() }
        })
        .collect()
}

/// Why an Application may not be synced to a bundle yet.
pub(super) fn blocked(view: View<'_>, bundle: &Bundle) -> Option<String> {
    let names = depends_on(view.application);
    if names.is_empty() {
        return None;
    }
    let here = Name::of(view.application).namespace;
    if let Some(cycle) = cycle(view.application, view.others) {
        let cycle: Vec<_> = cycle.iter().map(|name| name.seen_from(&here)).collect();
        return Some(format!(
            "{} makes a circle in which each Application waits for the next: {}. Take it off one of them",
            annotation::DEPENDS_ON,
            cycle.join(" → ")
        ));
    }
    let reasons: Vec<_> =
        names.iter().filter_map(|name| not_ready(name, &here, bundle, view.others)).collect();
    (!reasons.is_empty()).then(|| format!("waiting for other Applications: {}", reasons.join("; ")))
}

/// Why an Application that is being deleted waits: others that depend on it are being deleted too. Who may write
/// Applications somewhere holds up nobody elsewhere unless a project lets them in.
pub(super) fn held_by_dependents(view: View<'_>) -> Option<String> {
    if cycle(view.application, view.others).is_some() {
        return None;
    }
    let names = going_before(view.application, view.control_plane, view.others);
    (!names.is_empty())
        .then(|| format!("waiting for Applications that depend on it to go first: {}", names.join(", ")))
}

/// The dependents of an Application that are being deleted, as it calls them.
fn going_before(application: &Application, control_plane: &str, others: &dyn Others) -> Vec<String> {
    let own = Name::of(application);
    let is_admitted = |name: &Name, other: Other<'_>| {
        let permits =
            |project: &Project| project.permissions.permits_application_in(&name.namespace, control_plane);
        name.namespace == own.namespace
            || name.namespace == control_plane
            || other.project.is_some_and(permits)
    };
    let dependents = others.dependents(&own).into_iter().filter(|name| {
        let is_going = |other: &Other<'_>| other.application.metadata.deletion_timestamp.is_some();
        others.find(name).filter(is_going).is_some_and(|other| is_admitted(name, other))
    });
    dependents.map(|name| name.seen_from(&own.namespace)).collect()
}

/// The way from an Application back to itself.
fn cycle(application: &Application, others: &dyn Others) -> Option<Vec<Name>> {
    let start = Name::of(application);
    let mut seen = Vec::new();
    let mut ways = vec![vec![start.clone()]];
    while let Some(way) = ways.pop() {
        let Some(other) = way.last().and_then(|last| others.find(last)) else { continue };
        for next in depends_on(other.application) {
            let longer: Vec<_> = way.iter().cloned().chain([next.clone()]).collect();
            if next == start {
                return Some(longer);
            }
            if !seen.contains(&next) {
                seen.push(next);
                ways.push(longer);
            }
        }
    }
    None
}

/// Why a dependency is not ready for a bundle of its dependent.
fn not_ready(name: &Name, here: &str, bundle: &Bundle, others: &dyn Others) -> Option<String> {
    let shown = name.seen_from(here);
    let Some(other) = others.find(name) else {
        return Some(format!("there is no Application {} in namespace {}", name.name, name.namespace));
    };
    let status = other.application.status.as_ref();
    let sync = status.and_then(|status| status.sync.as_ref()).map(|sync| sync.status).unwrap_or_default();
    let health = status.and_then(|status| status.health.as_ref()?.status).unwrap_or_default();
    let running = status.and_then(|status| status.operation_state.as_ref());
    if sync != SyncStatusCode::Synced || health != HealthStatusCode::Healthy {
        return Some(format!("{shown} is {sync} and {health}"));
    }
    if running.is_some_and(|state| !state.phase.is_completed()) {
        return Some(format!("{shown} is being synced"));
    }
    let told = status.and_then(|status| status.sync.as_ref());
    let told = told.map(|sync| one_or_several(&sync.revision, &sync.revisions)).unwrap_or_default();
    match other.tracked {
        // What its status says is of another revision than the one that it is to have.
        Some(tracked) if !tracked.iter().map(|source| &source.revision).eq(&told) => {
            Some(format!("{shown} has a newer revision to come"))
        }
        Some(tracked) if !runs_older(tracked, bundle) => None,
        _ => Some(format!("{shown} is at an older revision")),
    }
}

/// Whether a bundle has an older commit of a source that both read.
fn runs_older(one: &[Source], other: &Bundle) -> bool {
    let same = |a: &ApplicationSource, b: &ApplicationSource| {
        a.repo_url == b.repo_url && a.target_revision == b.target_revision
    };
    one.iter().any(|mine| {
        other.sources.iter().any(|theirs| {
            same(&mine.source, &theirs.source)
                && mine.revision != theirs.revision
                && mine.commit.committed_at <= theirs.commit.committed_at
        })
    })
}

/// No Application but one's own.
#[cfg(test)]
pub(super) struct Nobody;

#[cfg(test)]
impl Others for Nobody {
    fn find(&self, _: &Name) -> Option<Other<'_>> {
        None
    }

    fn dependents(&self, _: &Name) -> Vec<Name> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    /// Applications and their bundles.
    #[derive(Default)]
    struct House(BTreeMap<Name, (Application, Bundle)>, Option<Project>);

    impl Others for House {
        fn find(&self, name: &Name) -> Option<Other<'_>> {
            let (application, bundle) = self.0.get(name)?;
            Some(Other { application, tracked: Some(&bundle.sources), project: self.1.as_ref() })
        }

        fn dependents(&self, name: &Name) -> Vec<Name> {
            let all = self.0.iter().filter(|(_, (application, _))| depends_on(application).contains(name));
            all.map(|(name, _)| name.clone()).collect()
        }
    }

    fn bundle(revision: &str, committed_at: i64) -> Bundle {
        let commit = ithaca_proto::v1::Commit { committed_at, ..Default::default() };
        let source =
            ApplicationSource { repo_url: "https://git.example.org/a".to_owned(), ..Default::default() };
        let source =
            crate::bundle::Source { source, revision: revision.to_owned(), source_type: None, commit };
        let empty = ithaca_proto::v1::BundleRendered::default();
        Bundle { sources: vec![source], ..Bundle::new(empty, Arc::default()) }
    }

    fn add(house: &mut House, name: &str, depends: &str, health: &str) -> Name {
        let application: Application = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "argocd", "annotations": {"ithaca.dev/depends-on": depends}},
            "spec": {"project": "default", "destination": {}},
            "status": {"sync": {"status": "Synced", "revision": "a"}, "health": {"status": health}},
        }))
        .expect("an Application");
        let key = Name::of(&application);
        house.0.insert(key.clone(), (application, bundle("a", 1)));
        key
    }

    #[test]
    fn a_dependency_is_ready_when_it_is_well_at_a_revision_that_is_not_older() {
        let mut house = House::default();
        let (well, ill) = (add(&mut house, "well", "", "Healthy"), add(&mut house, "ill", "", "Degraded"));
        assert_eq!(not_ready(&well, "argocd", &bundle("a", 1), &house), None);
        assert_eq!(
            not_ready(&well, "argocd", &bundle("b", 2), &house).as_deref(),
            Some("well is at an older revision")
        );
        assert_eq!(not_ready(&well, "argocd", &bundle("z", 0), &house), None);
        assert_eq!(
            not_ready(&ill, "argocd", &bundle("a", 1), &house).as_deref(),
            Some("ill is Synced and Degraded")
        );
        let status = house.0.get_mut(&well).and_then(|(application, _)| application.status.as_mut());
        let syncing = json!({"operation": {}, "phase": "Running", "startedAt": "1970-01-01T00:00:00Z"});
        status.expect("a status").operation_state = serde_json::from_value(syncing).ok();
        assert_eq!(
            not_ready(&well, "argocd", &bundle("a", 1), &house).as_deref(),
            Some("well is being synced")
        );
        let status = house.0.get_mut(&well).and_then(|(application, _)| application.status.as_mut());
        let state = status.and_then(|status| status.operation_state.as_mut()).expect("an operation");
        state.phase = ithaca_api::OperationPhase::Succeeded;
        assert_eq!(not_ready(&well, "argocd", &bundle("a", 1), &house), None, "it was synced");
        let nobody = Name { namespace: "argocd".to_owned(), name: "nobody".to_owned() };
        assert!(
            not_ready(&nobody, "argocd", &bundle("a", 1), &house)
                .is_some_and(|told| told.contains("no Application nobody"))
        );
    }

    /// Another branch, and another repository, move at their own pace.
    #[test]
    fn only_the_same_branch_of_the_same_repository_is_compared() {
        let mut house = House::default();
        let base = add(&mut house, "base", "", "Healthy");
        let mut newer = bundle("b", 2);
        newer.sources[0].source.target_revision = "next".to_owned();
        assert_eq!(not_ready(&base, "argocd", &newer, &house), None);
        let mut newer = bundle("b", 2);
        newer.sources[0].source.repo_url = "https://git.example.org/b".to_owned();
        assert_eq!(not_ready(&base, "argocd", &newer, &house), None);
    }

    /// The bundle arrives before anything was compared with it.
    #[test]
    fn a_dependency_whose_status_is_of_an_older_revision_is_not_ready() {
        let mut house = House::default();
        let base = add(&mut house, "base", "", "Healthy");
        house.0.get_mut(&base).expect("the base").1 = bundle("b", 2);
        let told = not_ready(&base, "argocd", &bundle("b", 2), &house);
        assert_eq!(told.as_deref(), Some("base has a newer revision to come"));
    }

    #[test]
    fn those_that_depend_on_one_go_first_wherever_their_project_lets_them_live() {
        let mut house = House::default();
        let base = add(&mut house, "base", "", "Healthy");
        for (namespace, name) in [("argocd", "beside"), ("apps", "web")] {
            let key = add(&mut house, name, "argocd/base", "Healthy");
            let (mut application, bundle) = house.0.remove(&key).expect("just put");
            application.metadata.namespace = Some(namespace.to_owned());
            application.metadata.deletion_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
            house.0.insert(Name::of(&application), (application, bundle));
        }
        let first = |house: &House| going_before(&house.0[&base].0, "argocd", house);
        assert_eq!(first(&house), ["beside"]);
        let project = |namespaces| {
            let spec = json!({"sourceNamespaces": namespaces});
            let project = json!({"metadata": {"name": "default"}, "spec": spec});
            Project::of(serde_json::from_value(project).expect("a project"))
        };
        house.1 = Some(project(["other"]));
        assert_eq!(first(&house), ["beside"]);
        house.1 = Some(project(["apps"]));
        assert_eq!(first(&house), ["apps/web", "beside"]);
    }

    #[test]
    fn those_beside_an_application_and_those_of_the_control_plane_go_first_without_a_word_of_a_project() {
        let mut house = House::default();
        for namespace in ["argocd", "apps", "other"] {
            let key = add(&mut house, namespace, "apps/base", "Healthy");
            let (mut application, bundle) = house.0.remove(&key).expect("just put");
            application.metadata.namespace = Some(namespace.to_owned());
            application.metadata.deletion_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
            house.0.insert(Name::of(&application), (application, bundle));
        }
        let base = add(&mut house, "base", "", "Healthy");
        let mut base = house.0.remove(&base).expect("just put").0;
        base.metadata.namespace = Some("apps".to_owned());
        assert_eq!(going_before(&base, "argocd", &house), ["apps", "argocd/argocd"]);
    }

    #[test]
    fn circles_are_found_and_lines_are_none() {
        let mut house = House::default();
        for (name, depends) in
            [("a", "b"), ("b", "c, argocd/d"), ("c", "a"), ("d", ""), ("e", "e"), ("f", "a")]
        {
            add(&mut house, name, depends, "Healthy");
        }
        let way = |name: &str| {
            let key = Name { namespace: "argocd".to_owned(), name: name.to_owned() };
            let found = cycle(&house.0[&key].0, &house);
            found.map(|way| way.into_iter().map(|name| name.name).collect::<String>())
        };
        assert_eq!(way("a").as_deref(), Some("abca"));
        assert_eq!(way("e").as_deref(), Some("ee"));
        assert_eq!((way("d"), way("f")), (None, None));
    }
}
