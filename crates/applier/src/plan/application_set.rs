//! The deletion guard of an ApplicationSet: many of its Applications that go at once wait for somebody's word.
//!
//! What comes in: an Application that is being deleted, the others of its ApplicationSet, and whether that is still there.
//! What goes out: what comes before the deletion of its objects, where anything does.
//! A generator that finds nothing has every Application deleted; that is one typo and should not be an outage. Whoever
//! expands the ApplicationSet deletes one Application after another, so the first waits until no more come. Who deletes
//! the ApplicationSet itself means it.

use std::collections::HashMap;

use ithaca_api::{Application, ConditionType, GROUP, annotation, status::Condition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{
    decide::{Action, write_or},
    deletion, status, told,
    view::{View, approves},
};
use crate::object::ObjectKey;

const KIND: &str = "ApplicationSet";

/// For how long no further Application may be seen being deleted before those that are are counted.
const SETTLE: SignedDuration = SignedDuration::from_secs(2);

/// How long an answer of the API server's counts: it is not told when an ApplicationSet goes.
const ANSWER: SignedDuration = SignedDuration::from_secs(10);

/// When the others are looked for again that have not been listed yet.
const LISTING: SignedDuration = SignedDuration::from_secs(1);

/// The ApplicationSet that an Application was generated from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationSet {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Another of the same name has another.
    pub uid: String,
}

impl ApplicationSet {
    /// The one that controls an Application.
    pub fn of(application: &Application) -> Option<Self> {
        let owner = controller(application)?;
        let namespace = application.metadata.namespace.as_deref().unwrap_or_default();
        let key = ObjectKey::new(GROUP, KIND, namespace, &owner.name);
        Some(Self { key, uid: owner.uid.clone() })
    }

    /// Whether an Application was generated from it.
    pub fn has(&self, application: &Application) -> bool {
        controller(application).is_some_and(|owner| owner.uid == self.uid)
    }
}

fn controller(application: &Application) -> Option<&OwnerReference> {
    let mut owners = application.metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    let group = owner.api_version.split_once('/').map(|(group, _)| group);
    (group == Some(GROUP) && owner.kind == KIND).then_some(owner)
}

/// One of an ApplicationSet's Applications.
#[derive(Clone, Copy, Debug)]
pub struct Generated<'a> {
    /// As it is known.
    pub application: &'a Application,
    /// Since when this process knows that it is being deleted. The API server's word would be by another clock.
    pub going_since: Option<Timestamp>,
}

/// Whether an ApplicationSet is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is, and stays.
    There,
    /// It is not, or is being deleted.
    Gone,
    /// The API server gave no answer, for this reason.
    Unknown(String),
}

/// What the API server said of ApplicationSets a moment ago, by their uids.
#[derive(Debug, Default)]
pub struct Answers(HashMap<String, (Presence, Timestamp)>);

impl Answers {
    /// Notes an answer, and forgets those that count no more.
    pub fn note(&mut self, set: &ApplicationSet, presence: Presence, now: Timestamp) {
        self.0.retain(|_, (_, at)| counts_until(*at) > now);
        self.0.insert(set.uid.clone(), (presence, now));
    }

    /// The answer about one, and until when it counts.
    pub fn of(&self, set: &ApplicationSet, now: Timestamp) -> Option<(&Presence, Timestamp)> {
        let (presence, at) = self.0.get(&set.uid)?;
        let until = counts_until(*at);
        (until > now).then_some((presence, until))
    }
}

fn counts_until(at: Timestamp) -> Timestamp {
    after(at, ANSWER)
}

fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// That the guard holds an Application, as its status tells. It does until somebody gives a word for this very one, even
/// where few of the others are left; so the status is where that is remembered.
pub(super) fn held(application: &Application) -> Option<&Condition> {
    application.metadata.deletion_timestamp.as_ref()?;
    let mut conditions = application.status.iter().flat_map(|status| &status.conditions);
    conditions.find(|condition| condition.type_ == ConditionType::DeletionHeldWarning)
}

/// What comes before the deletion of an Application's objects.
pub(super) fn hold(view: View<'_>) -> Option<Action> {
    waits(view).or_else(|| {
        held(view.application)?;
        Some(write_or(view, status::without(view, ConditionType::DeletionHeldWarning), None))
    })
}

/// What is done or told while an Application waits; None where it does not.
fn waits(view: View<'_>) -> Option<Action> {
    let application = view.application;
    let approved = approves(view.approval(), deletion::deleted_at(application));
    if approved || view.guard.is_off() || !deletion::cascades(application) {
        return None;
    }
    let held = held(application);
    let Some(set) = ApplicationSet::of(application) else {
        // An ApplicationSet that was to leave its Applications behind has done so.
        return held.map(|held| tell(view, held.type_, &held.message, None));
    };
    let Some(all) = view.others.generated_from(&set) else {
        return Some(Action::Idle(Some(after(view.now, LISTING))));
    };
    let loss = Loss::of(&all);
    if held.is_none() {
        if view.guard.holds(loss.all, loss.all) && view.now < loss.settled {
            return Some(Action::Idle(Some(loss.settled)));
        }
        if !view.guard.holds(loss.doomed.len(), loss.all) {
            return None;
        }
    }
    let Some((presence, until)) = view.others.presence(&set, view.now) else {
        return Some(Action::Ask(set));
    };
    let (type_, message) = match (presence, held) {
        (Presence::Gone, _) => return None,
        // As it was told first: that those which were approved meanwhile are gone is no news.
        (_, Some(held)) => (held.type_, held.message.clone()),
        (Presence::There, None) => (ConditionType::DeletionHeldWarning, loss.held(&set)),
        (Presence::Unknown(reason), None) => (ConditionType::DeletionError, loss.doubtful(&set, reason)),
    };
    Some(tell(view, type_, &message, Some(until)))
}

fn tell(view: View<'_>, type_: ConditionType, message: &str, wake: Option<Timestamp>) -> Action {
    write_or(view, status::told(view, type_, message), wake)
}

/// What an ApplicationSet loses.
struct Loss<'a> {
    /// The names of its Applications that are being deleted.
    doomed: Vec<&'a str>,
    /// How many there are, these among them.
    all: usize,
    /// From when on there are no more to come.
    settled: Timestamp,
}

impl<'a> Loss<'a> {
    fn of(all: &[Generated<'a>]) -> Self {
        let newest = all.iter().filter_map(|one| one.going_since).max();
        let doomed = all.iter().filter(|one| one.going_since.is_some()).map(|one| one.application);
        let mut doomed: Vec<_> =
            doomed.map(|application| application.metadata.name.as_deref().unwrap_or_default()).collect();
        doomed.sort_unstable();
        Self { doomed, all: all.len(), settled: newest.map_or(Timestamp::MIN, |at| after(at, SETTLE)) }
    }

    /// What would go.
    fn summary(&self, set: &ApplicationSet) -> String {
        let Self { doomed, all, .. } = self;
        let names = told::named(doomed, told::MOST);
        format!(
            "{} of {all} Applications of ApplicationSet {} would be deleted with their objects: {names}",
            doomed.len(),
            set.key.name
        )
    }

    fn held(&self, set: &ApplicationSet) -> String {
        format!(
            "{}. If that is meant, annotate each of them with {}=<the time now, RFC 3339>, or delete the ApplicationSet; if not, put its generators right, then take the finalizers off these Applications: their objects stay, and the ApplicationSet makes the Applications anew",
            self.summary(set),
            annotation::DELETION_APPROVED
        )
    }

    fn doubtful(&self, set: &ApplicationSet, reason: &str) -> String {
        format!(
            "{}. Whether the ApplicationSet is still there could not be asked: {reason}",
            self.summary(set)
        )
    }
}

#[cfg(test)]
mod tests;
