//! Members on a real bus: all partitions have somebody, and none has two, whoever comes, goes, dies or is cut off.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ithaca_bus::{Bus, Change, Error, Membership, Partitions};
use ithaca_tests::{Nats, Progress, Tools, fresh_folder, wait_until};
use tokio::task::JoinHandle;

use crate::scene::DEADLINE;

/// Sooner than a member that says nothing counts as dead.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A member and what it was told.
struct Replica {
    membership: Membership,
    had: Arc<Mutex<Partitions>>,
    part: JoinHandle<Result<(), Error>>,
}

impl Replica {
    async fn join(nats: &Nats, name: &str) -> anyhow::Result<Self> {
        let bus = Bus::connect(&args(nats), name).await?;
        let membership = Membership::new("tester", name, "http://nowhere");
        let had = Arc::new(Mutex::new(Partitions::NONE));
        let (taking, heard) = (membership.clone(), had.clone());
        let part = tokio::spawn(async move {
            let tell = move |change| {
                let mut had = heard.lock().expect("nobody panics");
                *had = match change {
                    Change::Gained(gained) => had.and(gained),
                    Change::Lost(lost) => had.without(lost),
                };
            };
            bus.take_part(&taking, tell).await
        });
        Ok(Self { membership, had, part })
    }

    fn has(&self) -> Partitions {
        *self.had.lock().expect("nobody panics")
    }
}

fn args(nats: &Nats) -> ithaca_bus::Args {
    ithaca_bus::Args {
        nats_url: nats.url.clone(),
        nats_credentials: None,
        nats_token: None,
        nats_replicas: 1,
    }
}

async fn nats() -> anyhow::Result<Nats> {
    Nats::start(&fresh_folder()?, &Tools::build(&Progress::silent())?).await
}

/// Waits until all partitions are divided between these, and each has some.
async fn divided(what: &str, replicas: &[&Replica]) -> anyhow::Result<()> {
    divided_within(DEADLINE, what, replicas).await
}

async fn divided_within(deadline: Duration, what: &str, replicas: &[&Replica]) -> anyhow::Result<()> {
    wait_until(&format!("the work is divided: {what}"), deadline, async || {
        let shares: Vec<_> = replicas.iter().map(|replica| replica.has()).collect();
        for (place, share) in shares.iter().enumerate() {
            ensure!(!share.is_empty(), "one has nothing: {shares:?}");
            let others = shares.iter().skip(place + 1).copied().fold(Partitions::NONE, Partitions::and);
            ensure!(share.without(others) == *share, "two have the same: {shares:?}");
        }
        let all = shares.iter().copied().fold(Partitions::NONE, Partitions::and);
        ensure!(all == Partitions::ALL, "nobody has {:?}", Partitions::ALL.without(all));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn members_divide_the_work_and_whoever_leaves_is_replaced_at_once() -> anyhow::Result<()> {
    let nats = nats().await?;
    let one = Replica::join(&nats, "one").await?;
    one.membership.joined().await;
    ensure!(one.has() == Partitions::ALL, "alone it has {:?}", one.has());
    let two = Replica::join(&nats, "two").await?;
    divided("a second one came", &[&one, &two]).await?;
    let three = Replica::join(&nats, "three").await?;
    divided("a third one came", &[&one, &two, &three]).await?;
    let holder = one.membership.holder(two.has().iter().next().context("it has some")?);
    ensure!(holder.is_some_and(|holder| holder.name == "two" && holder.address == "http://nowhere"));

    // What somebody is at stays until that is over.
    let busy = two.has().iter().next().context("it has some")?;
    let at_work = two.membership.begin(busy).context("it is its own")?;
    two.membership.drain();
    wait_until("all but one is given up", DEADLINE, async || {
        ensure!(two.has() == [busy].into_iter().collect(), "it has {:?}", two.has());
        Ok(())
    })
    .await?;
    ensure!(two.membership.begin(busy).is_none(), "it began something although it is to leave");
    ensure!(two.membership.may_go_on(busy), "it may not end what it began");
    divided("nobody took what is worked on", &[&one, &two, &three]).await?;
    drop(at_work);
    two.membership.leave();
    two.part.await??;
    divided_within(AT_ONCE, "one left", &[&one, &three]).await?;
    ensure!(one.membership.count() == 2, "{} members live", one.membership.count());
    Ok(())
}

#[tokio::test]
async fn a_member_that_dies_is_replaced_and_one_that_comes_back_is_itself_at_once() -> anyhow::Result<()> {
    let nats = nats().await?;
    let one = Replica::join(&nats, "one").await?;
    let two = Replica::join(&nats, "two").await?;
    divided("both live", &[&one, &two]).await?;
    let share = two.has();
    two.part.abort();
    let again = Replica::join(&nats, "two").await?;
    divided_within(AT_ONCE, "it came back", &[&one, &again]).await?;
    ensure!(again.has() == share, "it has {:?} in the place of {share:?}", again.has());
    again.part.abort();
    let died = Instant::now();
    divided("one died", &[&one]).await?;
    eprintln!("replaced after {:.1} s", died.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test]
async fn of_two_with_one_name_the_first_ends() -> anyhow::Result<()> {
    let nats = nats().await?;
    let one = Replica::join(&nats, "same").await?;
    one.membership.joined().await;
    let two = Replica::join(&nats, "same").await?;
    two.membership.joined().await;
    let ended = tokio::time::timeout(DEADLINE, one.part).await.context("it did not end")??;
    ensure!(matches!(ended, Err(Error::Replaced { .. })), "{ended:?}");
    divided("the second goes on", &[&two]).await
}

#[tokio::test]
async fn whoever_cannot_reach_the_bus_stops_before_another_may_take_its_place() -> anyhow::Result<()> {
    let nats = nats().await?;
    let one = Replica::join(&nats, "one").await?;
    one.membership.joined().await;
    ensure!(one.membership.begin(0).is_some(), "it may begin");
    nats.process.freeze()?;
    let frozen = Instant::now();
    wait_until("nothing begins any more", ithaca_bus::TTL, async || {
        ensure!(one.membership.begin(0).is_none(), "it begins still");
        Ok(())
    })
    .await?;
    eprintln!("stopped after {:.1} s", frozen.elapsed().as_secs_f64());
    nats.process.thaw()?;
    wait_until("it goes on", DEADLINE, async || {
        ensure!(one.membership.begin(0).is_some(), "it does not begin");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn members_outlive_a_restart_of_the_bus_and_the_loss_of_its_volume() -> anyhow::Result<()> {
    let nats = nats().await?;
    let one = Replica::join(&nats, "one").await?;
    let two = Replica::join(&nats, "two").await?;
    divided("both live", &[&one, &two]).await?;
    for wiped in [false, true] {
        nats.process.kill()?;
        if wiped {
            nats.wipe()?;
        }
        nats.process.launch()?;
        nats.process.wait_ready().await?;
        divided("the bus is back", &[&one, &two]).await?;
        for replica in [&one, &two] {
            wait_until("work goes on", DEADLINE, async || {
                let first = replica.has().iter().next().context("it has nothing")?;
                ensure!(replica.membership.begin(first).is_some(), "it does not begin");
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}
