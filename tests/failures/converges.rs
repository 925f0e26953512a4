//! Whether all is well, waited for: the cluster equals Git, and everybody says so.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ithaca_tests::{Repository, Stack, wait_until};
use serde_json::Value;

use crate::live::Live;
use crate::wanted::{self, Wanted};

/// Kubernetes' own controllers wait up to a minute once the API server was away.
const DEADLINE: Duration = Duration::from_secs(150);
/// Differences that are told of one look.
const TOLD: usize = 12;
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// Waits until every object of every Application is as Git has it at `head`, nothing else is there, every Application
/// is Synced, Healthy and Succeeded at `head`, and the console shows that. Brings back who dies, as a cluster would.
pub async fn converges(stack: &Stack, repository: &Repository, head: &str) -> anyhow::Result<Live> {
    let started = Instant::now();
    let wanted = wanted::of_apps(stack, repository).await?;
    let client = stack.cluster.client().await?;
    let mut held_up = String::from("nothing");
    let equals = wait_until("the cluster equals Git", DEADLINE, async || {
        let seen = look(stack, &client, &wanted, head).await;
        if let Err(error) = &seen {
            held_up = format!("{error:#}").lines().last().unwrap_or_default().trim().to_owned();
        }
        seen
    });
    let live = tokio::select! {
        live = equals => live?,
        ended = stack.supervise() => bail!("the supervision ended: {ended:?}"),
    };
    let (objects, seconds) = (wanted.objects.len(), started.elapsed().as_secs_f64());
    eprintln!("{objects} objects equal Git {seconds:.1} s after the last start, held up last by: {held_up}");
    Ok(live)
}

async fn look(stack: &Stack, client: &kube::Client, wanted: &Wanted, head: &str) -> anyhow::Result<Live> {
    let live = Live::read(client).await?;
    let differences = differences(wanted, &live, head);
    let told = differences.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    ensure!(differences.is_empty(), "{} differences:\n  {told}", differences.len());
    shown(stack, wanted, head).await?;
    Ok(live)
}

fn differences(wanted: &Wanted, live: &Live, head: &str) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, wanted) in &wanted.objects {
        let Some(object) = live.objects.get(name) else {
            differences.push(format!("{name} is not there"));
            continue;
        };
        differences.extend(lacks(object, &wanted.manifest).map(|place| format!("{name} differs at {place}")));
        if object["data"] != wanted.manifest["data"] {
            differences.push(format!("{name} has other data than Git"));
        }
        let tracking = object["metadata"]["annotations"][TRACKING].as_str().unwrap_or_default();
        if !tracking.starts_with(&format!("{}:", wanted.application)) {
            differences.push(format!("{name} is tracked as {tracking:?}"));
        }
        if !object["metadata"]["deletionTimestamp"].is_null() {
            differences.push(format!("{name} is being deleted"));
        }
    }
    let strays = live.objects.keys().filter(|name| !wanted.objects.contains_key(name));
    differences.extend(strays.map(|name| format!("{name} is not in Git")));
    let applications = wanted.applications.iter();
    differences.extend(applications.filter_map(|name| unwell(name, live.application(name), head)));
    differences
}

/// The first place where an object has not what the manifest has.
fn lacks(object: &Value, manifest: &Value) -> Option<String> {
    match (object, manifest) {
        (Value::Object(object), Value::Object(manifest)) => manifest.iter().find_map(|(field, manifest)| {
            let object = object.get(field).unwrap_or(&Value::Null);
            // Kind and version are known from the list.
            let is_known = field == "kind" || field == "apiVersion";
            lacks(object, manifest).filter(|_| !is_known).map(|place| format!(".{field}{place}"))
        }),
        (Value::Array(object), Value::Array(manifest)) if object.len() == manifest.len() => {
            let pairs = object.iter().zip(manifest).enumerate();
            let mut lacking =
                pairs.filter_map(|(at, (object, manifest))| Some((at, lacks(object, manifest)?)));
            lacking.next().map(|(at, place)| format!("[{at}]{place}"))
        }
        (object, manifest) => (object != manifest).then(|| format!(": {object} for {manifest}")),
    }
}

fn unwell(name: &str, application: &Value, head: &str) -> Option<String> {
    let status = &application["status"];
    let (sync, health, operation) = (&status["sync"], &status["health"], &status["operationState"]);
    let is_well = sync["status"] == "Synced"
        && sync["revision"] == head
        && health["status"] == "Healthy"
        && operation["phase"] == "Succeeded"
        && application["operation"].is_null()
        && status["conditions"].as_array().is_none_or(Vec::is_empty);
    (!is_well).then(|| {
        let (phase, conditions) = (&operation["phase"], &status["conditions"]);
        format!(
            "Application {name} is {} at {}, {}, operation {} {phase}, conditions {conditions}",
            sync["status"], sync["revision"], health["status"], application["operation"]
        )
    })
}

/// The console shows every Application as it is.
async fn shown(stack: &Stack, wanted: &Wanted, head: &str) -> anyhow::Result<()> {
    let url = format!("{}/api/v1/applications", stack.services()?.console);
    let list: Value = reqwest::get(&url).await?.error_for_status()?.json().await?;
    let items = list["items"].as_array().context("the console lists nothing")?;
    ensure!(items.len() == wanted.applications.len(), "the console lists {} Applications", items.len());
    for item in items {
        let is_shown = item["sync"] == "Synced" && item["revisions"] == serde_json::json!([head]);
        ensure!(is_shown, "the console shows {item}");
    }
    Ok(())
}
