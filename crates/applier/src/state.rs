//! All that the applier knows at this moment: applications, their bundles, and the records of their cluster.
//!
//! What comes in: Applications, facts and live objects as they arrive. What goes out: views to decide on, and which
//! applications have to be looked at again. Losing all of it costs a restart and nothing else.

mod app;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ithaca_api::{
    Application, ConditionType, SyncOptions, status::ResourceStatus, sync_policy::IgnoreDifference, tracking,
};
use ithaca_bus::BundleFact;
use ithaca_proto::v1::{BundleRendered, Purpose};
use jiff::Timestamp;

pub use app::{App, Loaded};

use crate::{
    bundle,
    clusters::Clusters,
    desired::Owner,
    judge::Ignored,
    live::Records,
    object::ObjectKey,
    ownership::Ownership,
    plan::{self, Answers, ApplicationSet, Generated, Guard, Name, Other, Others, Presence, View},
    projects::Projects,
    rules::Rules,
};

/// An Application's uid.
pub type Uid = Arc<str>;

/// What the installation's settings say for every application.
#[derive(Debug, Default, PartialEq)]
pub struct Everywhere {
    /// Fields in which differences do not count.
    pub ignore_differences: Vec<IgnoreDifference>,
    /// Nor in the rules of ClusterRoles that are made of others.
    pub ignore_aggregated_roles: bool,
    /// How objects tell whose they are, and which are not managed.
    pub rules: Arc<Rules>,
}

/// All that the applier knows.
#[derive(Debug, Default)]
pub struct State {
    /// Applications by uid.
    pub apps: HashMap<Uid, App>,
    /// Facts of applications that are not known yet.
    pub early: HashMap<(Uid, Purpose), BundleFact>,
    /// What applications may do. Until all projects are known, there is nothing to decide on.
    pub projects: Projects,
    /// Which applications are this applier's own.
    pub ownership: Ownership,
    /// Whether all Applications have been listed.
    pub listed: bool,
    /// What is known of each cluster.
    pub clusters: Clusters,
    /// Which ApplicationSets are there, where that was asked for.
    pub sets: Answers,
    /// By what their tracking ids say.
    instances: HashMap<String, Uid>,
    everywhere: Everywhere,
    /// By namespace and name.
    names: HashMap<Name, Uid>,
    /// Those that name another in their annotation, by the other's name.
    dependents: HashMap<Name, BTreeSet<Name>>,
}

impl State {
    /// What there is to decide on for an application.
    pub fn view<'a>(
        &'a self,
        uid: &str,
        control_plane: &'a str,
        guard: Guard,
        now: Timestamp,
    ) -> Option<View<'a>> {
        let listed = self.projects.is_listed() && self.clusters.is_listed();
        let app = self.apps.get(uid).filter(|_| listed)?;
        let (destination, there) = (&app.application.spec.destination, self.clusters.of(&app.application));
        if !self.ownership.is_ready(uid, app.listed, there.map(|there| there.cluster.id())) {
            return None;
        }
        let project = self.projects.of(&app.application).map(|project| &**project);
        Some(View {
            cluster: self.clusters.find(destination),
            project,
            held: None,
            orphaned: there.map(|there| there.orphans.of(&app.application, project)).unwrap_or_default(),
            application: &app.application,
            owner: &app.owner,
            tracked: app.tracked.bundle.as_ref(),
            requested: app.requested.bundle.as_ref().filter(|bundle| app.asked.is_answered_by(bundle)),
            asked: app.asked,
            run: app.run.as_ref(),
            refreshed: app.refreshed,
            records: there.map_or(Records::none(), |there| &there.records),
            guard,
            others: self,
            control_plane,
            now,
        })
    }

    /// Takes over what the settings say for every application. Returns whether that is something else than before.
    pub fn set_everywhere(&mut self, everywhere: Everywhere) -> bool {
        if everywhere == self.everywhere {
            return false;
        }
        for app in self.apps.values_mut() {
            app.ignored = ignored(&app.application, &everywhere);
            // What is under way was planned by the rules of before; it goes on by these.
            app.run = app.run.take().filter(|_| everywhere.rules == self.everywhere.rules);
            app.owner.rules = everywhere.rules.clone();
        }
        if everywhere.rules != self.everywhere.rules {
            self.clusters.set_rules(everywhere.rules.clone());
            self.forget_unfollowed();
            self.projects.note_kinds();
        }
        self.everywhere = everywhere;
        true
    }

    /// Takes over an Application as the API server gave it. Older versions than the known one are ignored.
    pub fn put_application(&mut self, mut application: Application, control_plane: &str) {
        application.metadata.managed_fields = None;
        let Some(uid) = application.metadata.uid.as_deref().map(Uid::from) else { return };
        if self.apps.get(&uid).is_some_and(|app| is_older(&application, &app.application)) {
            return;
        }
        let owner = owner(&application, control_plane, &self.everywhere.rules);
        self.note_name(&application, &uid);
        self.instances.insert(owner.instance.clone(), uid.clone());
        match self.apps.get_mut(&uid) {
            Some(app) => {
                if application.spec.ignore_differences != app.application.spec.ignore_differences {
                    app.ignored = ignored(&application, &self.everywhere);
                }
                app.update(application, owner);
                self.projects.note_applications();
            }
            None => {
                let ignored = ignored(&application, &self.everywhere);
                let mut app = App::new(application, owner, ignored);
                for (purpose, loaded) in
                    [(Purpose::Tracked, &mut app.tracked), (Purpose::Operation, &mut app.requested)]
                {
                    if let Some(said) = self.early.remove(&(uid.clone(), purpose)) {
                        loaded.take(said);
                    }
                }
                self.apps.insert(uid, app);
            }
        }
    }

    /// An application, if this is still the version of it that is known: what was decided on another would undo what
    /// somebody asked for since.
    pub fn at_version(&self, uid: &str, version: &Option<String>) -> Option<&App> {
        self.apps.get(uid).filter(|app| app.application.metadata.resource_version == *version)
    }

    /// Notes that an Application which is being deleted takes its objects along, and that so many more are gone.
    pub fn take_along(&mut self, uid: &str, objects: u32) {
        if let Some(app) = self.apps.get_mut(uid) {
            *app.taken_along.get_or_insert_default() += objects;
        }
    }

    /// Forgets an Application that is gone.
    pub fn remove_application(&mut self, uid: &str) -> Option<App> {
        let app = self.apps.remove(uid)?;
        self.projects.note_applications();
        self.clusters.forget(uid, &app.tracked);
        if self.instances.get(&app.owner.instance).is_some_and(|other| **other == *uid) {
            self.instances.remove(&app.owner.instance);
        }
        let name = Name::of(&app.application);
        if self.names.get(&name).is_some_and(|other| **other == *uid) {
            self.names.remove(&name);
            self.forget_dependencies(&app.application, &name);
        }
        Some(app)
    }

    /// The Applications that have to be looked at again when something happens to this one: those that wait for it, and
    /// those whose deletion waits for its.
    pub fn concerned_by(&self, application: &Application) -> Vec<Uid> {
        let dependents = self.dependents.get(&Name::of(application)).into_iter().flatten().cloned();
        dependents
            .chain(plan::depends_on(application))
            .filter_map(|name| self.names.get(&name).cloned())
            .collect()
    }

    /// The applications of this applier.
    pub fn own(&self) -> impl Iterator<Item = (&Uid, &App)> {
        self.apps.iter().filter(|(uid, _)| self.ownership.is_mine(uid))
    }

    /// Those of this applier's that tell of objects which others have or want: who goes may leave one to them.
    pub fn sharing(&self) -> impl Iterator<Item = Uid> {
        let shares = |app: &App| {
            let conditions = app.application.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|told| told.type_ == ConditionType::SharedResourceWarning)
        };
        self.own().filter(move |(_, app)| shares(app)).map(|(uid, _)| uid.clone())
    }

    fn note_name(&mut self, application: &Application, uid: &Uid) {
        let own = Name::of(application);
        if let Some(known) = self.names.insert(own.clone(), uid.clone())
            && let Some(before) = self.apps.get(&known).map(|app| app.application.clone())
        {
            self.forget_dependencies(&before, &own);
        }
        for other in plan::depends_on(application) {
            self.dependents.entry(other).or_default().insert(own.clone());
        }
    }

    fn forget_dependencies(&mut self, application: &Application, own: &Name) {
        for other in plan::depends_on(application) {
            if let Some(dependents) = self.dependents.get_mut(&other) {
                dependents.remove(own);
                if dependents.is_empty() {
                    self.dependents.remove(&other);
                }
            }
        }
    }

    /// Takes over a fact, unless a newer one is known. Returns who has to be looked at again.
    pub fn put_fact(&mut self, said: BundleFact) -> Vec<Uid> {
        let Some(application) = &said.bundle.application else { return Vec::new() };
        let uid: Uid = application.uid.as_str().into();
        match self.ownership.is_mine(&uid) {
            true => self.put_own_fact(uid, said).into_iter().collect(),
            false => self.put_fact_elsewhere(&uid, &said.bundle),
        }
    }

    fn put_own_fact(&mut self, uid: Uid, said: BundleFact) -> Option<Uid> {
        let purpose = said.bundle.purpose();
        let Some(app) = self.apps.get_mut(&uid) else {
            self.early.insert((uid.clone(), purpose), said);
            return Some(uid);
        };
        let loaded = if purpose == Purpose::Operation { &mut app.requested } else { &mut app.tracked };
        let newer = loaded.fact.as_ref().is_none_or(|known| known.observed_at < said.bundle.observed_at);
        if newer {
            loaded.take(said);
        }
        newer.then_some(uid)
    }

    /// Of another applier's application it is enough to know the revisions, for those that depend on it.
    fn put_fact_elsewhere(&mut self, uid: &Uid, fact: &BundleRendered) -> Vec<Uid> {
        let Some(app) = self.apps.get_mut(uid).filter(|_| fact.purpose() != Purpose::Operation) else {
            return Vec::new();
        };
        if app.elsewhere.as_ref().is_some_and(|(known, _)| *known >= fact.observed_at) {
            return Vec::new();
        }
        app.elsewhere = Some((fact.observed_at, bundle::sources(fact)));
        self.apps.get(uid).map(|app| self.concerned_by(&app.application)).unwrap_or_default()
    }

    /// The applications of other appliers that one of this applier's own depends on.
    pub fn dependencies_elsewhere(&self) -> impl Iterator<Item = &Uid> {
        let is_mine = |name: &Name| self.names.get(name).is_some_and(|uid| self.ownership.is_mine(uid));
        let needed = self.dependents.iter().filter(move |(_, dependents)| dependents.iter().any(is_mine));
        let needed = needed.filter_map(|(name, _)| self.names.get(name));
        needed.filter(|uid| !self.ownership.is_mine(uid))
    }

    /// Forgets the bundle that an operation asked for, unless one still waits for it. Returns its place in the stream.
    pub fn drop_requested(&mut self, uid: &str) -> Option<u64> {
        let app = self.apps.get_mut(uid).filter(|app| app.application.operation.is_none())?;
        app.requested.fact.as_ref()?;
        Some(std::mem::take(&mut app.requested).sequence)
    }

    /// The application that a tracking id names.
    pub fn by_instance(&self, instance: &str) -> Option<&Uid> {
        self.instances.get(instance)
    }
}

impl Others for State {
    fn find(&self, name: &Name) -> Option<Other<'_>> {
        let app = self.apps.get(self.names.get(name)?)?;
        let own = app.tracked.bundle.as_ref().map(|bundle| &*bundle.sources);
        let tracked = own.or(app.elsewhere.as_ref().map(|(_, sources)| &**sources));
        let project = self.projects.of(&app.application).map(|project| &**project);
        Some(Other { application: &app.application, tracked, project })
    }

    fn dependents(&self, name: &Name) -> Vec<Name> {
        self.dependents.get(name).into_iter().flatten().cloned().collect()
    }

    fn rivals(&self, application: &Application) -> Vec<(ObjectKey, Box<str>)> {
        let uid = application.metadata.uid.as_deref().unwrap_or_default();
        let rivals = self.clusters.of(application).into_iter().flat_map(|there| there.claims.rivals(uid));
        rivals
            .filter_map(|(key, other)| {
                Some((key.clone(), self.apps.get(other)?.owner.instance.as_str().into()))
            })
            .collect()
    }

    fn generated_from(&self, set: &ApplicationSet) -> Option<Vec<Generated<'_>>> {
        let own = self.apps.values().filter(|app| set.has(&app.application));
        let generated =
            own.map(|app| Generated { application: &app.application, going_since: app.going_since });
        self.listed.then(|| generated.collect())
    }

    fn presence(&self, set: &ApplicationSet, now: Timestamp) -> Option<(&Presence, Timestamp)> {
        self.sets.of(set, now)
    }

    fn wants(&self, instance: &str, key: &ObjectKey) -> bool {
        let app = self.by_instance(instance).and_then(|uid| self.apps.get(uid));
        let status = app.and_then(|app| app.application.status.as_ref());
        // What another applier's application wants, its status alone tells.
        let told = || {
            status.is_some_and(|status| {
                let resources = status.resources.iter();
                resources.filter(|told| !told.requires_pruning).any(|told| is_about(told, key))
            })
        };
        match app.and_then(|app| app.tracked.bundle.as_ref()) {
            Some(bundle) => bundle.assembly.objects.iter().any(|desired| desired.key == *key),
            None => told(),
        }
    }
}

fn is_about(told: &ResourceStatus, key: &ObjectKey) -> bool {
    told.group == *key.group
        && told.kind == *key.kind
        && told.namespace == *key.namespace
        && told.name == *key.name
}

fn owner(application: &Application, control_plane: &str, rules: &Arc<Rules>) -> Owner {
    let name = application.metadata.name.as_deref().unwrap_or_default();
    let namespace = application.metadata.namespace.as_deref().unwrap_or_default();
    let spec = &application.spec;
    let options = SyncOptions::from_list(spec.sync_options());
    let metadata = spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.clone());
    Owner {
        instance: tracking::instance_name(name, namespace, control_plane),
        namespace: spec.destination.namespace.clone(),
        namespace_metadata: metadata.filter(|_| options.create_namespace()),
        skips_missing_kinds: options.skips_missing_kinds(),
        rules: rules.clone(),
    }
}

fn ignored(application: &Application, everywhere: &Everywhere) -> Option<Arc<Ignored>> {
    let (rules, roles) = (&everywhere.ignore_differences, everywhere.ignore_aggregated_roles);
    Ignored::compile(&application.spec.ignore_differences, rules, roles).map(Arc::new)
}

/// Resource versions of one API server are numbers that grow; where they are not, nothing is called older.
fn is_older(one: &Application, other: &Application) -> bool {
    let version =
        |application: &Application| application.metadata.resource_version.as_deref()?.parse::<u64>().ok();
    matches!((version(one), version(other)), (Some(one), Some(other)) if one < other)
}

#[cfg(test)]
mod tests;
