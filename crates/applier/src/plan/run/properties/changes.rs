//! The same for a change from one revision to the next: objects come and go in one run, some are pruned last or slowly,
//! people delete what they like meanwhile, and what fails is tried again.

use super::*;
use crate::plan::comparison::compare;

/// Which of the two revisions has an object.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Comes,
    Stays,
    Goes,
}

/// An object of one revision or both.
#[derive(Clone, Debug)]
struct Change {
    piece: Piece,
    fate: Fate,
    /// It asks to be pruned last.
    last: bool,
    /// Somebody's finalizer holds it while it is deleted.
    slow: bool,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let fate = prop_oneof![1 => Just(Fate::Comes), 1 => Just(Fate::Stays), 2 => Just(Fate::Goes)];
    let hook = prop_oneof![5 => Just(""), 1 => Just("PreSync"), 1 => Just("PostSync"), 1 => Just("SyncFail")];
    let change = (-1..3_i64, hook, fate, prop::bool::weighted(0.9), prop::bool::weighted(0.3), any::<bool>());
    let change = change.prop_map(|(wave, hook, fate, succeeds, last, slow)| Change {
        // Hooks are of the new revision: what the old one left is another matter.
        fate: if hook.is_empty() { fate } else { Fate::Comes },
        piece: Piece { wave, hook, policy: "", succeeds },
        last: last && hook.is_empty(),
        slow: slow && hook.is_empty(),
    });
    prop::collection::vec(change, 1..9)
}

/// The manifests of those that the revision has.
fn manifests_of(changes: &[Change], has: impl Fn(&Change) -> bool) -> Vec<Value> {
    let pieces: Vec<_> = changes.iter().map(|change| change.piece.clone()).collect();
    let all = manifests(&pieces).into_iter().zip(changes).filter(|(_, change)| has(change));
    all.map(|(mut manifest, change)| {
        if change.last {
            manifest["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] = json!("PruneLast=true");
        }
        if change.slow {
            manifest["metadata"]["finalizers"] = json!(["example.com/slow"]);
        }
        manifest
    })
    .collect()
}

/// The run from the old revision to the new one, watched step by step.
struct Trial<'a> {
    changes: &'a [Change],
    world: World,
    started: BTreeMap<String, usize>,
    /// The waves of what was pruned in this attempt, but for what asked to be last.
    pruned: Vec<i64>,
    /// What the status tells of this attempt. It is written before a hook is let go, and otherwise may be behind.
    recorded: Option<SyncOperationResult>,
    /// What somebody deleted.
    by_hand: BTreeSet<ObjectKey>,
}

impl Watched for Trial<'_> {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn record(&mut self, run: &Run) {
        self.recorded = Some(run.result());
    }

    fn begin(&mut self, run: &mut Run, place: usize) -> Result<(), TestCaseError> {
        let task = &run.tasks[place];
        let failing = task.phase == Phase::SyncFail;
        let earlier = run.tasks.iter().filter(|other| (other.phase, other.wave) < (task.phase, task.wave));
        for other in earlier.filter(|_| !failing) {
            let record = self.world.records.get(&other.key);
            let code = other.outcome.as_ref().map(|outcome| outcome.code);
            let settled = match other.effect {
                Effect::Hook(_) => code == Some(ResultCode::Synced),
                Effect::Prune(_) => code == Some(ResultCode::Pruned) && record.is_none(),
                Effect::Apply(_) => {
                    let health = record.and_then(|record| record.health.as_ref());
                    let well = health.is_some_and(|health| health.status == HealthStatusCode::Healthy);
                    code == Some(ResultCode::Synced) && well
                }
            };
            prop_assert!(settled, "{} does not wait for {}", task.key, other.key);
        }
        match &task.effect {
            Effect::Hook(hook) => {
                *self.started.entry(hook.mark.clone() + &task.key.name).or_default() += 1;
            }
            Effect::Prune(_) => {
                let change = self.change(&task.key);
                prop_assert!(change.fate == Fate::Goes, "{} is pruned", task.key);
                let applies = run.tasks.iter().filter(|task| matches!(task.effect, Effect::Apply(_)));
                let over = applies.map(|task| &task.outcome).all(Option::is_some);
                prop_assert!(over || !change.last, "{} is not pruned last", task.key);
                if !change.last {
                    let wave = change.piece.wave;
                    prop_assert!(self.pruned.last().is_none_or(|before| *before >= wave), "{}", task.key);
                    self.pruned.push(wave);
                }
            }
            Effect::Apply(_) => prop_assert!(self.change(&task.key).fate != Fate::Goes, "{}", task.key),
        }
        self.world.perform(run, place);
        Ok(())
    }
}

impl Trial<'_> {
    fn change(&self, key: &ObjectKey) -> &Change {
        &self.changes[number(key)]
    }

    /// Lets one of what is under way end. Returns whether there was anything.
    fn let_end(&mut self, choice: usize) -> bool {
        let going = |live: &Value| live["metadata"].get("deletionTimestamp").is_some();
        let under_way = self.world.live.iter().filter(|(_, live)| live["status"].is_null() || going(live));
        let keys: Vec<_> = under_way.map(|(key, live)| (key.clone(), going(live))).collect();
        let Some((key, going)) = keys.get(choice % keys.len().max(1)) else { return false };
        if *going {
            self.world.live.remove(key);
            self.world.see(key);
        } else {
            let condition = if self.change(key).piece.succeeds { "Complete" } else { "Failed" };
            self.world.set(&key.name, condition);
        }
        true
    }

    /// Somebody deletes an object that nobody has deleted yet. Returns whether there was any.
    fn interfere(&mut self, choice: usize) -> bool {
        let untouched = self.world.live.keys().filter(|key| !self.by_hand.contains(*key));
        let keys: Vec<_> = untouched.cloned().collect();
        let Some(key) = keys.get(choice % keys.len().max(1)) else { return false };
        self.by_hand.insert(key.clone());
        self.world.delete(key);
        true
    }
}

proptest! {
    #[test]
    fn a_change_of_revision_keeps_its_order_prunes_what_goes_and_ends(
        changes in changes(),
        choices in prop::collection::vec(0..1000_usize, 1..80),
    ) {
        let old = bundle(manifests_of(&changes, |change| change.fate != Fate::Comes));
        let new = bundle(manifests_of(&changes, |change| change.fate != Fate::Goes));
        let mut world = World::default();
        for object in &old.assembly.objects {
            let mut live = object.as_value().expect("an object");
            live["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
            world.live.insert(object.key.clone(), live);
            world.see(&object.key);
        }
        let mut trial = Trial {
            changes: &changes, world, started: BTreeMap::new(), pruned: Vec::new(), by_hand: BTreeSet::new(),
            recorded: None,
        };
        let mut run = trial.world.plan(&new, json!({"prune": true}));
        run.operation.retry.limit = 2;
        let (mut choices, mut end) = (choices.into_iter().cycle(), None);
        for _ in 0..2_000 {
            let compared = |trial: &Trial<'_>| {
                compare(&new, &super::super::tests::owner(), &Default::default(), &trial.world.records)
            };
            match trial.step(&mut run)? {
                None => {}
                Some(Next::Wait(message)) => {
                    let choice = choices.next().unwrap_or_default();
                    let happens = (choice % 5 == 0 && trial.interfere(choice)) || trial.let_end(choice);
                    prop_assert!(happens, "nothing is under way: {message}");
                    if choice % 2 == 0 {
                        trial.recorded = Some(run.result());
                    }
                    // The applier dies, and its next life knows what the status and the cluster tell.
                    if choice % 7 == 0 {
                        run.set_tasks(&compared(&trial), &trial.world.records);
                        run.recall(trial.recorded.as_ref(), &trial.world.records);
                        trial.pruned.clear();
                    }
                }
                Some(Next::Finish(phase, _))
                    if phase != OperationPhase::Succeeded && run.retry_at(Timestamp::UNIX_EPOCH).is_some() =>
                {
                    run.again(new.clone(), &compared(&trial), &trial.world.records);
                    trial.recorded = None;
                    trial.pruned.clear();
                }
                Some(next) => {
                    end = Some(next);
                    break;
                }
            }
        }
        let twice: Vec<_> = trial.started.iter().filter(|(_, times)| **times > 1).collect();
        prop_assert!(twice.is_empty(), "hooks ran twice: {twice:?}");
        let Some(Next::Finish(phase, _)) = end else {
            return Err(TestCaseError::fail(format!("it did not end: {end:?}")));
        };
        if phase == OperationPhase::Succeeded {
            let left = trial.world.live.iter().filter(|(key, live)| {
                trial.change(key).fate == Fate::Goes && live["metadata"].get("deletionTimestamp").is_none()
            });
            prop_assert_eq!(left.count(), 0, "something was not pruned");
            let wanted = new.assembly.objects.iter().map(|object| &object.key);
            let lost = wanted.filter(|key| !trial.world.live.contains_key(*key) && !trial.by_hand.contains(*key));
            prop_assert_eq!(lost.count(), 0, "something was not applied");
        }
    }
}
