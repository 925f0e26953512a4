//! When the Applications of an ApplicationSet go, and when they wait.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    clusters::Known,
    desired::Owner,
    live::Records,
    orphans::Orphaned,
    plan::{
        Guard,
        dependencies::{Name, Other, Others},
    },
};

/// When the generator found nothing, second 0 of all that is told here.
const NOON: i64 = 1_767_268_800;
const UID: &str = "5f0c2f2e-0000-4000-8000-000000000001";

/// The Applications of one ApplicationSet, `app-0` and so on, and one of another.
struct House {
    applications: Vec<Application>,
    listed: bool,
    answers: Answers,
    guard: Guard,
    /// By how much this process's clock is ahead of the API server's, or hears later of a deletion.
    late: SignedDuration,
}

impl Others for House {
    fn find(&self, _: &Name) -> Option<Other<'_>> {
        None
    }

    fn dependents(&self, _: &Name) -> Vec<Name> {
        Vec::new()
    }

    fn generated_from(&self, set: &ApplicationSet) -> Option<Vec<Generated<'_>>> {
        let own = self.applications.iter().filter(|application| set.has(application));
        let generated = own.map(|application| {
            let deleted = application.metadata.deletion_timestamp.is_some();
            let going_since =
                deleted.then(|| deletion::deleted_at(application)).map(|at| after(at, self.late));
            Generated { application, going_since }
        });
        self.listed.then(|| generated.collect())
    }

    fn presence(&self, set: &ApplicationSet, now: Timestamp) -> Option<(&Presence, Timestamp)> {
        self.answers.of(set, now)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOON + second).expect("a time")
}

fn application(name: &str, set: &str, uid: &str) -> Application {
    let owner = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": set, "uid": uid, "controller": true,
    });
    let application = json!({
        "metadata": {
            "name": name, "namespace": "argocd", "ownerReferences": [owner],
            "finalizers": [annotation::RESOURCES_FINALIZER],
        },
        "spec": {"project": "default", "destination": {"name": "in-cluster"}},
    });
    serde_json::from_value(application).expect("an Application")
}

impl House {
    fn of(count: usize) -> Self {
        let names = (0..count).map(|number| format!("app-{number}"));
        let own = names.map(|name| application(&name, "apps", UID));
        let other = application("other", "apps", "5f0c2f2e-0000-4000-8000-000000000002");
        Self {
            applications: own.chain([other]).collect(),
            listed: true,
            answers: Answers::default(),
            guard: Guard::default(),
            late: SignedDuration::ZERO,
        }
    }

    fn change(&mut self, place: usize, metadata: Value) {
        let mut value = serde_json::to_value(&self.applications[place]).expect("JSON");
        for (key, field) in metadata.as_object().expect("an object") {
            value["metadata"][key] = field.clone();
        }
        self.applications[place] = serde_json::from_value(value).expect("an Application");
    }

    /// These are deleted in that second.
    fn delete(&mut self, places: impl IntoIterator<Item = usize>, second: i64) {
        places
            .into_iter()
            .for_each(|place| self.change(place, json!({"deletionTimestamp": at(second).to_string()})));
    }

    fn approve(&mut self, place: usize, second: i64) {
        self.change(place, json!({"annotations": {annotation::DELETION_APPROVED: at(second).to_string()}}));
    }

    /// The API server was asked in that second.
    fn answer(&mut self, presence: Presence, second: i64) {
        let set = ApplicationSet::of(&self.applications[0]).expect("an ApplicationSet");
        self.answers.note(&set, presence, at(second));
    }

    fn hold(&self, place: usize, second: i64) -> Option<Action> {
        self.decide(place, second, hold)
    }

    fn decide<T>(&self, place: usize, second: i64, decision: impl FnOnce(View<'_>) -> T) -> T {
        decision(View {
            cluster: Ok(&Known::home()),
            application: &self.applications[place],
            owner: &Owner::default(),
            tracked: None,
            requested: None,
            asked: Default::default(),
            project: None,
            orphaned: Orphaned::None,
            held: None,
            run: None,
            refreshed: 0,
            records: &Records::default(),
            guard: self.guard,
            others: self,
            control_plane: "argocd",
            now: at(second),
        })
    }

    /// Writes what there is to write, and returns what the Application tells then.
    fn told(&mut self, place: usize, second: i64) -> String {
        match self.hold(place, second) {
            Some(Action::Write(change)) => self.applications[place].status = Some(change.status),
            other => return format!("{other:?}"),
        }
        let status = self.applications[place].status.iter();
        status.flat_map(|status| &status.conditions).map(|c| format!("{}: {}", c.type_, c.message)).collect()
    }

    /// All of twelve are gone from Git, and this one tells that it waits.
    fn held_at(place: usize) -> Self {
        let mut house = Self::of(12);
        house.delete(0..12, 0);
        house.answer(Presence::There, 5);
        let told = house.told(place, 5);
        assert!(
            told.starts_with("DeletionHeldWarning: 12 of 12 Applications of ApplicationSet apps"),
            "{told}"
        );
        house
    }

    fn goes(&self, place: usize, second: i64) -> bool {
        self.hold(place, second).is_none()
    }

    fn waits_until(&self, place: usize, second: i64) -> Option<i64> {
        match self.hold(place, second) {
            Some(Action::Idle(Some(until))) => Some(until.as_second() - NOON),
            _ => None,
        }
    }
}

/// A long time after all were deleted, with the ApplicationSet still there.
#[rstest]
#[case::one(25, 1, false)]
#[case::ten_of_ten(10, 10, false)]
#[case::ten_of_twelve(12, 10, false)]
#[case::half(22, 11, false)]
#[case::more_than_half(21, 11, true)]
#[case::all(12, 12, true)]
fn more_than_half_and_more_than_ten_wait(#[case] all: usize, #[case] doomed: usize, #[case] waits: bool) {
    let mut house = House::of(all);
    house.delete(0..doomed, 0);
    house.answer(Presence::There, 60);
    for place in 0..doomed {
        assert_eq!(house.goes(place, 60), !waits, "{place}");
    }
}

#[test]
fn nothing_is_asked_before_the_guard_would_hold() {
    let mut house = House::of(12);
    house.delete([3], 0);
    assert!(house.goes(3, 60));
    house.delete(0..12, 0);
    let asked = house.hold(3, 60);
    assert!(
        matches!(&asked, Some(Action::Ask(set)) if &*set.key.name == "apps" && set.uid == UID),
        "{asked:?}"
    );
}

#[test]
fn the_first_waits_until_no_more_come() {
    let mut house = House::of(12);
    house.delete([0], 0);
    assert_eq!(house.waits_until(0, 0), Some(2));
    house.delete([1], 1);
    assert_eq!((house.waits_until(0, 2), house.waits_until(1, 2)), (Some(3), Some(3)));
    assert!(house.goes(0, 3) && house.goes(1, 3));
    house.delete(0..11, 3);
    assert_eq!(house.waits_until(0, 4), Some(5));
    assert!(matches!(house.hold(0, 5), Some(Action::Ask(_))), "{:?}", house.hold(0, 5));
}

/// By the API server's clock the deletion was long ago, and the others come all the same.
#[test]
fn it_waits_by_its_own_clock() {
    let mut house = House::of(12);
    house.late = SignedDuration::from_mins(5);
    house.delete([0], 0);
    assert_eq!(house.waits_until(0, 300), Some(302));
    house.delete(0..12, 1);
    assert_eq!(house.waits_until(0, 302), Some(303));
    assert!(matches!(house.hold(0, 303), Some(Action::Ask(_))), "{:?}", house.hold(0, 303));
}

#[test]
fn where_too_few_are_to_be_guarded_nothing_waits() {
    let mut house = House::of(10);
    house.delete(0..10, 0);
    assert!(house.goes(0, 0));
    let mut house = House::of(12);
    house.guard.percent = 100;
    house.delete(0..12, 0);
    assert!(house.goes(0, 0));
}

#[test]
fn before_all_applications_are_known_nothing_goes() {
    let mut house = House::of(3);
    house.listed = false;
    house.delete(0..3, 0);
    assert_eq!(house.waits_until(0, 60), Some(61));
}

#[rstest]
#[case::gone(Presence::Gone, "None")]
#[case::there(
    Presence::There,
    "DeletionHeldWarning: 12 of 12 Applications of ApplicationSet apps would be deleted with their objects: app-0, app-1, app-10, app-11, app-2"
)]
#[case::no_answer(Presence::Unknown("it is off".to_owned()), "DeletionError: 12 of 12 Applications of ApplicationSet apps would be deleted with their objects: app-0")]
fn the_guard_holds_while_the_application_set_is_there(#[case] presence: Presence, #[case] expected: &str) {
    let mut house = House::of(12);
    house.delete(0..12, 0);
    house.answer(presence, 5);
    let told = house.told(4, 5);
    assert!(told.starts_with(expected), "{told}");
}

/// It may be deleted at any time, and nobody tells.
#[test]
fn an_answer_counts_for_a_while() {
    let mut house = House::held_at(0);
    assert_eq!(house.waits_until(0, 6), Some(15));
    assert!(matches!(house.hold(0, 15), Some(Action::Ask(_))), "{:?}", house.hold(0, 15));
    house.answer(Presence::Unknown("it is off".to_owned()), 15);
    assert_eq!(house.waits_until(0, 15), Some(25), "it was told already");
    house.answer(Presence::Gone, 25);
    assert_eq!(house.told(0, 25), "", "it waits no longer, and tells so");
    assert!(house.goes(0, 25));
}

#[test]
fn an_approval_is_for_one_and_for_this_deletion() {
    let mut house = House::held_at(0);
    house.answer(Presence::There, 10);
    house.approve(0, -1);
    assert!(!house.goes(0, 10));
    house.approve(0, 9);
    assert_eq!(house.told(0, 10), "");
    assert!(house.goes(0, 10) && !house.goes(1, 10));
    house.approve(1, 0);
    assert!(house.goes(1, 10));
}

/// Those that were approved are gone, and those that are left are few.
#[test]
fn what_was_held_once_does_not_slip_through() {
    let mut house = House::held_at(11);
    let before = house.applications[11].status.clone();
    house.applications.drain(0..11);
    house.answer(Presence::There, 60);
    assert_eq!(house.waits_until(0, 60), Some(70));
    assert_eq!(house.applications[0].status, before);
    // An ApplicationSet that is deleted without its Applications leaves none that names it.
    house.change(0, json!({"ownerReferences": []}));
    assert!(matches!(house.hold(0, 90), Some(Action::Idle(None))), "{:?}", house.hold(0, 90));
    house.approve(0, 80);
    assert_eq!(house.told(0, 90), "");
    assert!(house.goes(0, 90));
}

/// A cluster that is down is told of beside it, and later no more.
#[test]
fn other_news_does_not_make_it_forget() {
    let mut house = House::held_at(0);
    house.answer(Presence::There, 20);
    let held = house.applications[0].status.clone();
    let down = house.decide(0, 20, |view| deletion::undeleted(view, "it is off"));
    let Action::Write(change) = down else { unreachable!("there is something to tell") };
    let types: Vec<_> = change.status.conditions.iter().map(|condition| condition.type_).collect();
    assert_eq!(types, [ConditionType::DeletionError, ConditionType::DeletionHeldWarning]);
    house.applications[0].status = Some(change.status);
    house.told(0, 20);
    let conditions = |status: &Option<ithaca_api::ApplicationStatus>| {
        status.as_ref().map(|status| status.conditions.clone())
    };
    assert_eq!(conditions(&house.applications[0].status), conditions(&held));
}

#[rstest]
#[case::without_a_finalizer(json!({"finalizers": ["example.org/theirs"]}))]
#[case::without_a_controller(json!({"ownerReferences": []}))]
#[case::no_controller(json!({"ownerReferences": [
    {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "apps", "uid": UID},
]}))]
#[case::of_another(json!({"ownerReferences": [
    {"apiVersion": "example.org/v1", "kind": "ApplicationSet", "name": "apps", "uid": UID, "controller": true},
]}))]
fn what_takes_nothing_along_or_comes_from_no_application_set_goes(#[case] metadata: Value) {
    let mut house = House::of(12);
    house.delete(0..12, 0);
    house.answer(Presence::There, 5);
    house.change(0, metadata);
    assert!(house.goes(0, 5));
}
