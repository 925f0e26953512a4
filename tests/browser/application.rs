//! The page of one Application.

use anyhow::ensure;
use ithaca_proto::v1::{
    Commit, ConditionChanged, DriftDetected, ObjectRef, SyncFinished, Timings, event::Fact,
};
use serde_json::{Value, json};

use crate::{
    browser::open,
    stage::{REVISION, Stage, status},
};

const WINDOW: (u32, u32) = (1280, 1400);
const PHONE: (u32, u32) = (390, 844);

#[tokio::test]
async fn the_page_of_an_application_shows_everything_and_follows() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    stage.put("whole", whole()).await?;
    stage.say("whole", drift()).await?;
    open(&stage.page("whole"), WINDOW, false, async |page| {
        page.shows("#live", &["Live"]).await?;
        page.shows("#states", &["OutOfSync", "Degraded"]).await?;
        page.shows("#facts", &["https://git.example.org/home/lab.git", "apps/whole", "in-cluster / whole"])
            .await?;
        page.shows("#conditions", &["SyncError", "quota exceeded"]).await?;
        page.shows("#resources", &["2 objects", "1 to look at", "Deployment", "Service"]).await?;
        page.shows("#operation", &["Failed", "ada", "SyncFailed"]).await?;
        page.shows("#history", &["0123456"]).await?;
        page.shows("#events", &["Deployment whole was changed by kubectl-edit"]).await?;
        page.picture("application").await?;

        stage.say("whole", finished()).await?;
        page.shows("#events", &["Sync succeeded", "Bump whole", "120 ms from revision seen to applied"])
            .await?;

        // What a person has opened stays open while the rest of the page changes.
        page.click("#operation summary").await?;
        let mut well = whole();
        well["sync"]["status"] = json!("Synced");
        well["health"]["status"] = json!("Healthy");
        well["conditions"] = json!([]);
        well["operationState"]["message"] = json!("successfully synced (all tasks run)");
        stage.put("whole", well).await?;
        page.shows("#states", &["Synced", "Healthy"]).await?;
        page.shows("#operation", &["successfully synced"]).await?;
        page.counts("#conditions .condition", 0).await?;
        ensure!(page.visible("#operation details[open]").await? == 1, "the results were folded");

        stage.delete("whole").await?;
        page.shows("#gone", &["was deleted"]).await
    })
    .await
}

#[tokio::test]
async fn text_from_the_cluster_is_never_run() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    let attack = "<img src=x onerror=\"window.isTaken=true\"><script>window.isTaken=true</script>";
    let mut hostile = status("Synced", "Healthy");
    hostile["conditions"] = json!([{"type": "UnknownError", "message": attack}]);
    hostile["summary"] = json!({"externalURLs": ["javascript:window.isTaken=true"]});
    stage.put("hostile", hostile.clone()).await?;
    open(&stage.page("hostile"), WINDOW, true, async |page| {
        page.shows("#conditions", &[attack]).await?;
        // What comes by the stream goes another way into the page.
        hostile["conditions"][0]["message"] = json!(format!("again {attack}"));
        stage.put("hostile", hostile.clone()).await?;
        page.shows("#conditions", &["again"]).await?;
        let fact =
            ConditionChanged { r#type: attack.to_owned(), message: attack.to_owned(), resolved: false };
        stage.say("hostile", Fact::ConditionChanged(fact)).await?;
        page.shows("#events", &[attack]).await?;
        ensure!(page.run("return window.isTaken").await? == Value::Null, "the page ran what it was shown");
        ensure!(page.visible("a[href^=javascript]").await? == 0, "the page links to a script");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_page_of_an_application_fits_a_phone() -> anyhow::Result<()> {
    let stage = Stage::shared().await?;
    stage.put("slim", whole()).await?;
    open(&stage.page("slim"), PHONE, true, async |page| {
        page.shows("#operation", &["Failed"]).await?;
        page.picture("application-phone").await?;
        page.fits().await
    })
    .await
}

fn whole() -> Value {
    let object = |group: &str, kind: &str| json!({"group": group, "version": "v1", "kind": kind, "namespace": "whole", "name": "whole"});
    let with = |mut object: Value, more: Value| {
        for (key, value) in more.as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
        object
    };
    let mut status = status("OutOfSync", "Degraded");
    status["conditions"] = json!([{"type": "SyncError", "message": "quota exceeded"}]);
    status["resources"] = json!([
        with(object("", "Service"), json!({"status": "Synced", "health": {"status": "Healthy"}})),
        with(
            object("apps", "Deployment"),
            json!({
                "status": "OutOfSync", "health": {"status": "Degraded", "message": "it exceeded its progress deadline"},
            })
        ),
    ]);
    status["operationState"] = json!({
        "operation": {"sync": {"revision": REVISION}, "initiatedBy": {"username": "ada"}},
        "phase": "Failed",
        "message": "one or more objects failed to apply",
        "startedAt": "2026-01-02T03:04:05Z",
        "finishedAt": "2026-01-02T03:04:07Z",
        "syncResult": {"revision": REVISION, "resources": [
            with(object("", "Service"), json!({"status": "Synced", "message": "service/whole serverside-applied"})),
            with(object("apps", "Deployment"), json!({"status": "SyncFailed", "message": "quota exceeded"})),
        ]},
    });
    status["history"] = json!([{"id": 0, "revision": REVISION, "deployedAt": "2026-01-02T03:04:07Z"}]);
    status
}

fn drift() -> Fact {
    Fact::DriftDetected(DriftDetected {
        object: Some(ObjectRef {
            kind: "Deployment".to_owned(),
            name: "whole".to_owned(),
            ..Default::default()
        }),
        fields: vec![".spec.replicas".to_owned()],
        manager: "kubectl-edit".to_owned(),
        corrected: true,
        ..Default::default()
    })
}

fn finished() -> Fact {
    Fact::SyncFinished(SyncFinished {
        phase: "Succeeded".to_owned(),
        revisions: vec![REVISION.to_owned()],
        commits: vec![Commit { author: "Ada".to_owned(), subject: "Bump whole".to_owned(), committed_at: 1 }],
        timings: Some(Timings {
            observed_at: 1_000_000,
            render_started_at: 1_010_000,
            rendered_at: 1_060_000,
            started_at: 1_070_000,
            finished_at: 1_120_000,
        }),
        ..Default::default()
    })
}
