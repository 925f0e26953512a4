//! Health: an Application is as well as the worst of its objects.

use std::collections::BTreeMap;

use anyhow::ensure;
use ithaca_tests::wait_until;
use serde_json::{Value, json};

use crate::scene::{DEADLINE, Scene, application, automated, deployment, job, manifest};

#[tokio::test]
async fn what_never_comes_up_is_told_while_it_is_synced() -> anyhow::Result<()> {
    let scene = Scene::new("health").await?;
    let hasty = |manifest: String| {
        let hasty = "\"spec\":{\"progressDeadlineSeconds\":1,\"selector\"";
        manifest.replacen("\"spec\":{\"selector\"", hasty, 1)
    };
    scene.repository.write("app/player.yaml", &hasty(deployment("player", Some("crashes"))))?;
    let commit = scene.repository.publish("Add a player").await?;
    scene.create("health", "app", automated()).await?;
    scene.synced("health", &commit).await?;
    let health = |wanted: &'static str| move |app: &Value| app["status"]["health"]["status"] == wanted;
    let name = application("health");
    let app = scene.wait(&name, "is Degraded", health("Degraded")).await?;
    ensure!(app["status"]["sync"]["status"] == "Synced", "{}", app["status"]);
    let object = &app["status"]["resources"][0]["health"];
    ensure!(object["status"] == "Degraded" && object["message"].is_string(), "{object}");
    scene.repository.write("app/player.yaml", &hasty(deployment("player", None)))?;
    let commit = scene.repository.publish("Mend the player").await?;
    scene.synced("health", &commit).await?;
    scene.wait(&name, "is Healthy", health("Healthy")).await?;
    Ok(())
}

/// The health of each object as the Application shows it, by kind and name; those without any are left out.
fn shown(app: &Value) -> BTreeMap<String, String> {
    let resources = app["status"]["resources"].as_array().into_iter().flatten();
    let shown = resources.filter_map(|resource| {
        let health = resource["health"]["status"].as_str()?;
        let name = [&resource["kind"], &resource["name"]].map(|text| text.as_str().unwrap_or_default());
        Some((name.join(" "), health.to_owned()))
    });
    shown.collect()
}

/// What makes pods, the pods of which hang until they are let play.
fn makers() -> Vec<Value> {
    let labels = |name: &str| json!({"app": name});
    let containers = json!([{"name": "work", "image": "registry.example.com/player"}]);
    let pods = |name: &str| {
        let metadata = json!({"labels": labels(name), "annotations": {"ithaca.dev/plays": "hangs"}});
        json!({"selector": {"matchLabels": labels(name)}, "template": {"metadata": metadata, "spec": {"containers": containers}}})
    };
    let of = |kind: &str, name: &str| json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": pods(name)});
    let mut set = of("StatefulSet", "set");
    set["spec"]["serviceName"] = json!("front");
    vec![set, of("DaemonSet", "everywhere"), of("ReplicaSet", "copies")]
}

/// What others in the cluster answer: controllers of volumes, of addresses, of budgets. Addresses may be to come.
fn answered(comes: bool) -> Vec<Value> {
    let claim = |name: &str, volume: &str| {
        let resources = json!({"requests": {"storage": "1Gi"}});
        let mut spec =
            json!({"accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": ""});
        if !volume.is_empty() {
            spec["volumeName"] = json!(volume);
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
    };
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "health-kinds"},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"},
            "claimRef": {"namespace": "health-kinds", "name": "bound"},
        },
    });
    let service = |name: &str, kind: &str| {
        let spec = json!({"type": kind, "selector": {"app": "set"}, "ports": [{"port": 80}]});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
    };
    let backend = json!({"service": {"name": "front", "port": {"number": 80}}});
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "door"},
        "spec": {"defaultBackend": backend},
    });
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "budget"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "set"}}},
    });
    let mut addressed = [service("balanced", "LoadBalancer"), ingress];
    if comes {
        addressed[0]["metadata"]["annotations"] = json!({"ithaca.dev/plays": "hangs"});
        addressed[1]["metadata"]["annotations"] = json!({"ithaca.dev/plays": "hangs"});
    }
    let claims = [claim("bound", "health-kinds"), claim("waits", "")];
    [addressed.to_vec(), claims.to_vec(), vec![volume, budget, service("front", "ClusterIP")]].concat()
}

/// What does not come right by itself.
fn troubled() -> anyhow::Result<Vec<Value>> {
    let mut paused: Value = serde_json::from_str(&deployment("paused", None))?;
    paused["spec"]["paused"] = json!(true);
    let mut rests: Value = serde_json::from_str(&job("rests", json!({}), None))?;
    rests["spec"]["suspend"] = json!(true);
    let fails: Value = serde_json::from_str(&job("fails", json!({}), Some("fails")))?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "crashes", "annotations": {"ithaca.dev/plays": "crashes"}},
        "spec": {"containers": [{"name": "work", "image": "registry.example.com/player"}]},
    });
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"});
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "scales"},
        "spec": {
            "scaleTargetRef": target, "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}],
        },
    });
    Ok(vec![paused, rests, fails, pod, autoscaler])
}

/// Each kind as its own controller leaves it, of what has happened and of what is still to come.
#[tokio::test]
async fn each_kind_is_as_well_as_its_controller_says() -> anyhow::Result<()> {
    let scene = Scene::new("health-kinds").await?;
    let write = |folder: &str, manifests: Vec<Value>| -> anyhow::Result<()> {
        let text: Vec<_> = manifests.iter().map(ToString::to_string).collect();
        scene.repository.write(&format!("app/{folder}.yaml"), &text.join("\n---\n"))
    };
    write("makers", makers())?;
    write("answered", answered(true))?;
    write("troubled", troubled()?)?;
    let nightly: Value = serde_json::from_str(&job("nightly", json!({}), None))?;
    let nightly = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": nightly["spec"]}},
    });
    let works: Value = serde_json::from_str(&job("works", json!({}), Some("hangs")))?;
    write("jobs", vec![nightly, works])?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    scene.repository.publish("Add one of each").await?;
    scene.create("health-kinds", "app", automated()).await?;
    let mut expected: BTreeMap<String, String> = [
        ("CronJob nightly", "Healthy"),
        ("DaemonSet everywhere", "Progressing"),
        ("Deployment paused", "Suspended"),
        ("HorizontalPodAutoscaler scales", "Degraded"),
        ("Ingress door", "Progressing"),
        ("Job fails", "Degraded"),
        ("Job rests", "Suspended"),
        ("Job works", "Progressing"),
        ("PersistentVolumeClaim bound", "Healthy"),
        ("PersistentVolumeClaim waits", "Progressing"),
        ("Pod crashes", "Degraded"),
        ("PodDisruptionBudget budget", "Healthy"),
        ("ReplicaSet copies", "Progressing"),
        ("Service balanced", "Progressing"),
        ("Service front", "Healthy"),
        ("StatefulSet set", "Progressing"),
    ]
    .map(|(object, health)| (object.to_owned(), health.to_owned()))
    .into();
    let name = application("health-kinds");
    wait_until("each is as its controller says", DEADLINE, async || {
        let app = scene.expect(&name).await?;
        ensure!(shown(&app) == expected, "they are {:?}", shown(&app));
        ensure!(app["status"]["health"]["status"] == "Degraded", "{}", app["status"]["health"]);
        Ok(())
    })
    .await?;

    // What is troubled no longer counts, what waits for others gets its answer, and pods begin.
    let mut crashes = troubled()?;
    crashes.retain(|one| one["kind"] == "Pod");
    crashes[0]["metadata"]["annotations"]["argocd.argoproj.io/ignore-healthcheck"] = json!("true");
    write("troubled", crashes)?;
    let mut answered = answered(false);
    answered.retain(|one| one["metadata"]["name"] != "waits");
    write("answered", answered)?;
    let commit = scene.repository.publish("Put up with one that crashes, and take the others away").await?;
    let gone = [
        "Deployment paused",
        "HorizontalPodAutoscaler scales",
        "Job fails",
        "Job rests",
        "PersistentVolumeClaim waits",
    ];
    expected.retain(|object, _| !gone.contains(&object.as_str()));
    expected.values_mut().for_each(|health| *health = "Healthy".to_owned());
    expected.insert("Pod crashes".to_owned(), "Degraded".to_owned());
    wait_until("all that counts is healthy", DEADLINE, async || {
        let pods = "/api/v1/namespaces/health-kinds/pods";
        for pod in scene.expect(pods).await?["items"].as_array().into_iter().flatten() {
            if pod["metadata"]["annotations"]["ithaca.dev/plays"] == "hangs" {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                let plays = json!({"metadata": {"annotations": {"ithaca.dev/plays": null}}});
                scene.patch(&format!("{pods}/{name}"), plays).await?;
            }
        }
        let app = scene.expect(&name).await?;
        ensure!(shown(&app) == expected, "they are {:?}", shown(&app));
        ensure!(app["status"]["health"]["status"] == "Healthy", "{}", app["status"]["health"]);
        Ok(())
    })
    .await?;
    scene.synced("health-kinds", &commit).await?;
    Ok(())
}
