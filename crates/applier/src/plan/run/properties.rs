//! What holds for any set of objects, waves, hooks and observations: nothing begins before what it waits for has ended,
//! no hook runs twice whatever life of the applier looks at it, pruning mirrors applying, and every run ends.

use std::collections::{BTreeMap, BTreeSet};

use ithaca_api::HealthStatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{World, bundle, job};
use super::*;

mod changes;

/// An object of a random bundle.
#[derive(Clone, Debug)]
struct Piece {
    wave: i64,
    /// Empty for an ordinary object.
    hook: &'static str,
    policy: &'static str,
    /// How it ends when its time comes.
    succeeds: bool,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let hook = prop_oneof![
        4 => Just(""),
        1 => Just("PreSync"),
        1 => Just("Sync"),
        1 => Just("PostSync"),
        1 => Just("SyncFail"),
        1 => Just("PreSync,PostSync"),
    ];
    let policy = prop_oneof![
        Just(""),
        Just("HookSucceeded"),
        Just("HookFailed"),
        Just("BeforeHookCreation,HookFailed")
    ];
    let piece = (-1..3_i64, hook, policy, prop::bool::weighted(0.9))
        .prop_map(|(wave, hook, policy, succeeds)| Piece { wave, hook, policy, succeeds });
    prop::collection::vec(piece, 0..9)
}

fn manifests(pieces: &[Piece]) -> Vec<Value> {
    let manifest = |(number, piece): (usize, &Piece)| {
        let mut annotations = json!({"argocd.argoproj.io/sync-wave": piece.wave.to_string()});
        if !piece.hook.is_empty() {
            annotations["argocd.argoproj.io/hook"] = json!(piece.hook);
            annotations["argocd.argoproj.io/hook-delete-policy"] = json!(piece.policy);
        }
        job(&format!("piece-{number}"), &annotations)
    };
    pieces.iter().enumerate().map(manifest).collect()
}

/// A run in its world, watched step by step.
struct Trial<'a> {
    pieces: &'a [Piece],
    world: World,
    /// How often each hook was started, by its mark.
    started: BTreeMap<String, usize>,
}

/// A run in a world, step by step.
trait Watched {
    fn world(&mut self) -> &mut World;

    /// Checks that a task may begin, and begins it.
    fn begin(&mut self, run: &mut Run, place: usize) -> Result<(), TestCaseError>;

    /// What is recorded before hooks are let go of.
    fn record(&mut self, _run: &Run) {}

    /// Does what comes next; what is to be done from outside is given back.
    fn step(&mut self, run: &mut Run) -> Result<Option<Next>, TestCaseError> {
        match run.next(&self.world().records, None) {
            Next::Rehearse(_) => run.rehearsed(Vec::new()),
            Next::Perform(places) => {
                for place in places {
                    self.begin(run, place)?;
                }
            }
            Next::Conclude(outcomes) => {
                outcomes.into_iter().for_each(|(place, outcome)| {
                    run.task_mut(place).expect("a task").outcome = Some(outcome)
                });
            }
            Next::LetGo(keys) => {
                self.record(run);
                keys.iter().for_each(|key| self.world().let_go(key));
            }
            Next::Discard(keys) => keys.iter().for_each(|key| self.world().delete(key)),
            next => return Ok(Some(next)),
        }
        Ok(None)
    }
}

/// Which of the pieces an object is.
fn number(key: &ObjectKey) -> usize {
    key.name.trim_start_matches("piece-").parse().expect("a number")
}

impl Watched for Trial<'_> {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn begin(&mut self, run: &mut Run, place: usize) -> Result<(), TestCaseError> {
        let task = &run.tasks[place];
        let failing = task.phase == Phase::SyncFail;
        let earlier = run.tasks.iter().filter(|other| (other.phase, other.wave) < (task.phase, task.wave));
        for other in earlier.filter(|_| !failing) {
            let done = other.outcome.as_ref().is_some_and(|outcome| outcome.code == ResultCode::Synced);
            prop_assert!(done, "{} begins before {}", task.key, other.key);
            if !matches!(other.effect, Effect::Hook(_)) {
                let health = self.world.records.get(&other.key).and_then(|record| record.health.clone());
                let well = health.is_some_and(|health| health.status == HealthStatusCode::Healthy);
                prop_assert!(well, "{} does not wait for {}", task.key, other.key);
            }
        }
        if let Effect::Hook(hook) = &task.effect {
            *self.started.entry(hook.mark.clone() + &task.key.name).or_default() += 1;
        }
        self.world.perform(run, place);
        Ok(())
    }
}

impl Trial<'_> {
    fn piece(&self, key: &ObjectKey) -> &Piece {
        &self.pieces[number(key)]
    }

    /// Lets one of what runs end. Returns whether there was anything.
    fn let_end(&mut self, choice: usize) -> bool {
        let unfinished = self.world.live.iter().filter(|(_, live)| live["status"].is_null());
        let names: Vec<_> = unfinished.map(|(key, _)| key.clone()).collect();
        let Some(key) = names.get(choice % names.len().max(1)) else { return false };
        let condition = if self.piece(key).succeeds { "Complete" } else { "Failed" };
        self.world.set(&key.name, condition);
        true
    }
}

proptest! {
    #[test]
    fn a_run_keeps_its_order_starts_each_hook_once_and_ends(
        pieces in pieces(),
        choices in prop::collection::vec(0..100_usize, 1..80),
    ) {
        let bundle = bundle(manifests(&pieces));
        let mut trial = Trial { pieces: &pieces, world: World::default(), started: BTreeMap::new() };
        let mut run = trial.world.plan(&bundle, json!({}));
        let mut choices = choices.into_iter().cycle();
        let mut end = None;
        for _ in 0..500 {
            match trial.step(&mut run)? {
                None => {}
                Some(Next::Wait(message)) => {
                    let choice = choices.next().unwrap_or_default();
                    prop_assert!(trial.let_end(choice), "nothing runs: {message}");
                    // The applier dies, and its next life knows what the status and the cluster tell.
                    if choice % 7 == 0 {
                        let recorded = run.result();
                        run = trial.world.plan(&bundle, json!({}));
                        run.recall(Some(&recorded), &trial.world.records);
                    }
                }
                Some(next) => {
                    end = Some(next);
                    break;
                }
            }
        }
        let twice: Vec<_> = trial.started.iter().filter(|(_, times)| **times > 1).collect();
        prop_assert!(twice.is_empty(), "hooks ran twice: {twice:?}");
        let phase = match end {
            Some(Next::Finish(phase, _)) => phase,
            other => return Err(TestCaseError::fail(format!("it did not end: {other:?}"))),
        };
        let alarmed = run.tasks.iter().any(|task| task.phase == Phase::SyncFail && task.outcome.is_some());
        let raises = pieces.iter().any(|piece| piece.hook == "SyncFail");
        prop_assert_eq!(alarmed, raises && phase == OperationPhase::Failed);
        let held = trial.world.live.values().any(|live| !live["metadata"]["finalizers"].is_null());
        prop_assert!(!held, "a hook is held for ever");
    }

    #[test]
    fn pruning_mirrors_applying(waves in prop::collection::vec(-3..4_i64, 1..9)) {
        let pieces: Vec<_> =
            waves.into_iter().map(|wave| Piece { wave, hook: "", policy: "", succeeds: true }).collect();
        let mut trial = Trial { pieces: &pieces, world: World::default(), started: BTreeMap::new() };
        let mut run = trial.world.plan(&bundle(manifests(&pieces)), json!({}));
        while let Next::Wait(_) = trial.world.go(&mut run) {
            prop_assert!(trial.let_end(0));
        }
        let waves_of = |log: &[String]| -> Vec<i64> {
            let numbers = log.iter().filter_map(|line| line.rsplit('-').next()?.parse::<usize>().ok());
            numbers.map(|number| pieces[number].wave).collect()
        };
        let applied = waves_of(&trial.world.log);
        trial.world.log.clear();
        let mut run = trial.world.plan(&bundle(Vec::new()), json!({"prune": true}));
        trial.world.go(&mut run);
        let mut pruned = waves_of(&trial.world.log);
        pruned.reverse();
        prop_assert_eq!(applied, pruned);
        let distinct: BTreeSet<_> = trial.world.live.keys().collect();
        prop_assert!(distinct.is_empty());
    }
}
