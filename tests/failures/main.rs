//! What failure gets: each process is killed at a random moment of a sync, twice in a row, and nobody lends a hand.
//!
//! In: a stack of this binary's own, and a commit that concerns every Application but one.
//! Out: the cluster equals Git, no hook ran twice, nothing that should stay has gone, and whoever was not killed still runs.
//! `ITHACA_SEED` has the random choices of a run that failed made again.

mod converges;
mod hooks;
mod live;
mod wanted;
mod world;

use std::time::Duration;

use anyhow::ensure;
use ithaca_tests::SERVICES;

use world::World;

/// A supervisor brings back what was killed within this time.
const LONGEST_OUTAGE: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn the_watcher_may_be_killed() -> anyhow::Result<()> {
    survives("the watcher", &["watcher"], Damage::None).await
}

#[tokio::test]
async fn the_renderer_may_be_killed() -> anyhow::Result<()> {
    survives("the renderer", &["renderer"], Damage::None).await
}

#[tokio::test]
async fn one_of_the_appliers_may_be_killed() -> anyhow::Result<()> {
    survives("an applier", &["applier"], Damage::None).await
}

#[tokio::test]
async fn both_appliers_may_be_killed() -> anyhow::Result<()> {
    survives("both appliers", &["applier", SECOND], Damage::None).await
}

/// It counts as dead meanwhile, and comes back in the middle of what the other has begun in its place.
#[tokio::test]
async fn an_applier_may_stand_still() -> anyhow::Result<()> {
    let mut world = World::turn("a frozen applier").await?;
    let (stack, before) = (world.stack, world.live().await?);
    let applier = stack.process("applier")?;
    world.commit().await?;
    let applied = world.moment().await;
    applier.freeze()?;
    eprintln!("a frozen applier: stands still with {applied}");
    let head = world.commit().await?;
    converges::converges(stack, &world.state.repository, &head).await?;
    let head = world.commit().await?;
    let applied = world.moment().await;
    applier.thaw()?;
    eprintln!("a frozen applier: goes on with {applied}");
    let after = converges::converges(stack, &world.state.repository, &head).await?;
    after.kept(&before)?;
    world.hooks_ran_once().await?;
    world.lives().await
}

#[tokio::test]
async fn the_notifier_may_be_killed() -> anyhow::Result<()> {
    survives("the notifier", &["notifier"], Damage::None).await
}

#[tokio::test]
async fn the_console_may_be_killed() -> anyhow::Result<()> {
    survives("the console", &["console"], Damage::None).await
}

#[tokio::test]
async fn all_services_may_be_killed_at_once() -> anyhow::Result<()> {
    survives("all services", &all(), Damage::None).await
}

#[tokio::test]
async fn nats_may_be_killed() -> anyhow::Result<()> {
    survives("NATS", &["nats-server"], Damage::None).await
}

#[tokio::test]
async fn nats_may_lose_its_volume() -> anyhow::Result<()> {
    survives("NATS with its volume", &["nats-server"], Damage::NatsVolume).await
}

#[tokio::test]
async fn the_api_server_may_be_killed() -> anyhow::Result<()> {
    survives("the API server", &["kube-apiserver"], Damage::None).await
}

/// In K3s all of these are one process.
#[tokio::test]
async fn the_api_server_may_be_killed_with_its_datastore_and_controllers() -> anyhow::Result<()> {
    let victims = ["kine", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    survives("the control plane", &victims, Damage::None).await
}

/// The other applier.
const SECOND: &str = "applier-2";

/// Every process of Ithaca's.
fn all() -> [&'static str; 6] {
    let [watcher, renderer, applier, notifier, console] = SERVICES;
    [watcher, renderer, applier, SECOND, notifier, console]
}

/// What else is lost with the processes.
#[derive(Clone, Copy, PartialEq)]
enum Damage {
    None,
    NatsVolume,
}

/// Commits, kills the processes at a random moment and starts them again, all of it twice, and sees that all is well.
async fn survives(what: &str, victims: &[&str], damage: Damage) -> anyhow::Result<()> {
    let mut world = World::turn(what).await?;
    let stack = world.stack;
    let before = world.live().await?;
    let pids = || all().map(|name| stack.process(name).ok().and_then(ithaca_tests::Process::pid));
    let ran = pids();
    let mut head = String::new();
    for _ in 0..2 {
        head = world.commit().await?;
        let applied = world.moment().await;
        for victim in victims {
            stack.process(victim)?.kill()?;
        }
        eprintln!("{what}: killed with {applied}");
        if damage == Damage::NatsVolume {
            stack.nats.wipe()?;
        }
        world.chance.moment(LONGEST_OUTAGE).await;
        let is_awaited = world.chance.coin();
        for victim in victims {
            let process = stack.process(victim)?;
            process.launch()?;
            if is_awaited {
                process.wait_ready().await?;
            }
        }
    }
    let after = converges::converges(stack, &world.state.repository, &head).await?;
    after.kept(&before)?;
    world.hooks_ran_once().await?;
    for (name, (ran, runs)) in all().iter().zip(ran.iter().zip(pids())) {
        ensure!(victims.contains(name) || *ran == runs, "{name} ended though nobody killed it");
    }
    // What the applier has done and not yet said dies with it.
    if damage == Damage::None && !victims.iter().any(|victim| victim.starts_with("applier")) {
        world.was_told(&head).await?;
    }
    world.lives().await
}
