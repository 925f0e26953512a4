//! What values make of the chart: those of the argo-cd chart mean what they meant, and wrong ones are named.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::template::{chart, helm, object, objects, text};

/// What small users give the argo-cd chart.
const ARGO_CD: &str = r#"
nameOverride: argocd
fullnameOverride: argocd
global: {domain: cd.example.org, logging: {level: info}}
dex: {enabled: false}
redis-ha: {enabled: false}
controller: {replicas: 1}
configs:
  cm:
    timeout.reconciliation: 60s
    admin.enabled: true
    resource.customizations.health.argoproj.io_Application: |
      hs = {}
      return hs
  params: {server.insecure: true, controller.status.processors: 20, reposerver.parallelism.limit: 3}
  rbac: {policy.default: role:readonly, policy.csv: "g, a, role:admin\n"}
  secret: {githubSecret: hush, argocdServerAdminPassword: $2a$10$abc, extra: {more: this}}
  repositories:
    home: {url: https://git.example.org/home.git, username: me, password: hush}
  ssh: {extraHosts: "git.example.org ssh-ed25519 AAAA"}
  tls: {certificates: {git.example.org: "-----BEGIN CERTIFICATE-----\n"}}
  credentialTemplates:
    all: {url: https://git.example.org, username: me, password: hush}
  clusterCredentials:
    edge: {server: https://edge.example.org, namespaces: "a,b", config: {bearerToken: hush}}
server:
  extraArgs: [--insecure, --rootpath=/argocd, --basehref=/argocd/, --staticassets=/shared]
  service: {type: ClusterIP}
  ingress:
    enabled: true
    ingressClassName: traefik
    path: /argocd
    annotations: {traefik.ingress.kubernetes.io/router.entrypoints: websecure}
    tls: true
"#;

#[test]
fn helm_finds_nothing_to_complain_of() -> anyhow::Result<()> {
    helm(&["lint", "--strict", &chart()], "")?;
    Ok(())
}

#[test]
fn settings_of_the_argo_cd_chart_become_its_config_maps_and_secrets() -> anyhow::Result<()> {
    let objects = objects(ARGO_CD)?;
    let settings = object(&objects, "ConfigMap", "argocd-cm")?;
    ensure!(
        settings["data"]["timeout.reconciliation"] == "60s" && settings["data"]["admin.enabled"] == "true",
        "{settings}"
    );
    ensure!(
        settings["data"]["resource.customizations.health.argoproj.io_Application"] == "hs = {}\nreturn hs\n",
        "{settings}"
    );
    let rbac = object(&objects, "ConfigMap", "argocd-rbac-cm")?;
    ensure!(rbac["data"]["policy.csv"] == "g, a, role:admin\n", "{rbac}");
    let known =
        object(&objects, "ConfigMap", "argocd-ssh-known-hosts-cm")?["data"]["ssh_known_hosts"].to_string();
    ensure!(known.contains("github.com ssh-ed25519 ") && known.ends_with("AAAA\\n\""), "{known}");
    let authorities = object(&objects, "ConfigMap", "argocd-tls-certs-cm")?;
    ensure!(authorities["data"]["git.example.org"] == "-----BEGIN CERTIFICATE-----\n", "{authorities}");
    let secret = object(&objects, "Secret", "argocd-secret")?;
    ensure!(
        secret["data"]
            == json!({"webhook.github.secret": "aHVzaA==", "admin.password": "JDJhJDEwJGFiYw==", "more": "dGhpcw=="}),
        "{secret}"
    );
    for (name, label) in [("argocd-repo-home", "repository"), ("argocd-repo-creds-all", "repo-creds")] {
        let secret = object(&objects, "Secret", name)?;
        ensure!(secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == label, "{secret}");
        ensure!(secret["data"]["username"] == "bWU=", "{secret}");
    }
    let cluster = object(&objects, "Secret", "argocd-cluster-edge")?;
    ensure!(cluster["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == "cluster", "{cluster}");
    let expected = json!({"name": "ZWRnZQ==", "server": "aHR0cHM6Ly9lZGdlLmV4YW1wbGUub3Jn", "namespaces": "YSxi",
        "config": "eyJiZWFyZXJUb2tlbiI6Imh1c2gifQ=="});
    ensure!(cluster["data"] == expected, "{cluster}");
    for object in &objects {
        let settings = object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("argocd-cm"));
        ensure!(
            !settings || object["metadata"]["labels"]["app.kubernetes.io/part-of"] == "argocd",
            "{object}"
        );
    }
    Ok(())
}

#[test]
fn the_ingress_of_the_argo_cd_chart_leads_to_page_and_webhook() -> anyhow::Result<()> {
    let objects = objects(ARGO_CD)?;
    let ingress = object(&objects, "Ingress", "argocd")?;
    let rule = &ingress["spec"]["rules"][0];
    ensure!(
        rule["host"] == "cd.example.org" && ingress["spec"]["ingressClassName"] == "traefik",
        "{ingress}"
    );
    let path = |index: usize| {
        let path = &rule["http"]["paths"][index];
        (path["path"].as_str(), path["backend"]["service"]["name"].as_str())
    };
    ensure!(path(0) == (Some("/argocd/api/webhook"), Some("argocd-watcher")), "{rule}");
    ensure!(path(1) == (Some("/argocd"), Some("argocd-console")), "{rule}");
    ensure!(ingress["spec"]["tls"][0]["secretName"] == "argocd-server-tls", "{ingress}");
    ensure!(
        environment(&objects, "argocd-console", "ITHACA_CONSOLE_BASE_PATH")? == "/argocd",
        "the page's path"
    );
    ensure!(environment(&objects, "argocd-renderer", "ITHACA_RENDERS")? == "3", "renderings at once");
    Ok(())
}

#[test]
fn the_path_of_the_page_has_as_many_spellings_as_users_have() -> anyhow::Result<()> {
    for (values, path) in [
        ("{}", ""),
        ("server: {extraArgs: [--rootpath, /cd]}", "/cd"),
        ("configs: {params: {server.rootpath: /cd}}", "/cd"),
        ("configs: {params: {server.basehref: /cd/}}", "/cd"),
        ("server: {ingress: {enabled: true, path: /cd}}", "/cd"),
    ] {
        let found = environment(&objects(values)?, "ithaca-console", "ITHACA_CONSOLE_BASE_PATH")?;
        ensure!(found == path, "{values} gives {found:?}");
    }
    Ok(())
}

#[test]
fn applications_elsewhere_are_read_only_where_the_installation_names_a_namespace() -> anyhow::Result<()> {
    let roles = |objects: &[Value]| {
        let roles = objects.iter().filter(|object| object["kind"] == "ClusterRole");
        let texts = roles.map(|role| role["rules"].to_string());
        texts.filter(|rules| rules.contains("applications") || rules.contains("events")).count()
    };
    ensure!(roles(&objects("{}")?) == 0, "rights everywhere without need");
    let objects = objects("configs: {params: {application.namespaces: 'shop-*,team'}}")?;
    ensure!(roles(&objects) == 4, "the watcher, the applier, the console and the notifier need rights");
    for service in ["watcher", "applier", "console"] {
        let found = environment(&objects, &format!("ithaca-{service}"), "ITHACA_APPLICATION_NAMESPACES")?;
        ensure!(found == "shop-*,team", "{service} has {found:?}");
    }
    Ok(())
}

#[test]
fn what_only_the_argo_cd_chart_knows_is_named_and_no_error() -> anyhow::Result<()> {
    let notes = helm(
        &["install", "ithaca", &chart(), "--dry-run=client", "--namespace=argocd", "--values=-"],
        ARGO_CD,
    )?;
    let (_, notes) = notes.split_once("nothing to Ithaca:").context("the notes name nothing")?;
    for ignored in [
        "  controller\n",
        "  dex\n",
        "  redis-ha\n",
        "  server.service\n",
        "  configs.params.controller.status.processors\n",
        "  global.logging\n",
        "  server.extraArgs: --staticassets=/shared\n",
    ] {
        ensure!(notes.contains(ignored), "the notes do not name{ignored}\n{notes}");
    }
    for meant in ["server.ingress", "server.insecure", "--rootpath", "configs.cm\n"] {
        ensure!(!notes.contains(&format!("  {meant}")), "the notes name {meant}, which means something");
    }
    Ok(())
}

#[test]
fn a_wrong_key_or_type_is_named() -> anyhow::Result<()> {
    for (values, named) in [
        ("servr: {}", "servr"),
        ("server: {ingres: {}}", "ingres"),
        ("server: {ingress: {hostnam: a}}", "hostnam"),
        ("watcher: {replica: 1}", "replica"),
        ("configs: {secrets: {}}", "secrets"),
        ("configs: {repositories: {home: {username: me}}}", "url"),
        ("console: {replicas: two}", "/console/replicas"),
        ("nats: {replicas: 2}", "/nats/replicas"),
        ("nats: {url: 'http://nats'}", "/nats/url"),
        ("watcher: {replicas: 2}", "watchers do not share their work yet"),
        ("rootApplication: {name: Root}", "/rootApplication/name"),
        ("renderer: {plugins: [{name: A, image: a}]}", "/renderer/plugins/0/name"),
        ("renderer: {plugins: [{name: a}]}", "image"),
        (
            "renderer: {plugins: [{name: a, image: a, discover: ['*.a,*.b']}]}",
            "/renderer/plugins/0/discover/0",
        ),
    ] {
        let error = text(values, &[]).err().with_context(|| format!("{values} is taken"))?.to_string();
        ensure!(error.contains(named), "{values}: {named} is not named in {error}");
    }
    Ok(())
}

#[test]
fn a_root_application_is_made_from_an_address_or_taken_whole() -> anyhow::Result<()> {
    let made = objects("rootApplication: {repoURL: 'https://git.example.org/a.git', path: bootstrap}")?;
    let made = object(&made, "Application", "root")?;
    ensure!(made["spec"]["source"]["path"] == "bootstrap", "{made}");
    ensure!(made["spec"]["syncPolicy"]["automated"] == json!({"prune": true, "selfHeal": true}), "{made}");
    let whole = objects("rootApplication: {name: mine, spec: {project: home}}")?;
    ensure!(object(&whole, "Application", "mine")?["spec"] == json!({"project": "home"}), "{whole:?}");
    ensure!(objects("{}")?.iter().all(|object| object["kind"] != "Application"), "one is made unasked");
    Ok(())
}

#[test]
fn three_nats_servers_know_each_other_and_share_no_node() -> anyhow::Result<()> {
    let objects = objects("nats: {replicas: 3}")?;
    let config = object(&objects, "ConfigMap", "ithaca-nats")?;
    let config = config["data"]["nats.conf"].as_str().context("no configuration")?;
    ensure!(config.contains("nats-route://ithaca-nats-2.ithaca-nats-peers.argocd:6222"), "{config}");
    let servers = &object(&objects, "StatefulSet", "ithaca-nats")?["spec"]["template"]["spec"];
    ensure!(servers["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule", "{servers}");
    ensure!(object(&objects, "PodDisruptionBudget", "ithaca-nats").is_ok(), "no budget");
    ensure!(environment(&objects, "ithaca-watcher", "ITHACA_NATS_REPLICAS")? == "3", "copies of the streams");
    Ok(())
}

#[test]
fn several_appliers_know_each_other_by_the_names_and_addresses_of_their_pods() -> anyhow::Result<()> {
    let objects = objects("applier: {replicas: 3}")?;
    let applier = &object(&objects, "Deployment", "ithaca-applier")?["spec"];
    ensure!(applier["replicas"] == 3, "{applier}");
    let variables =
        applier["template"]["spec"]["containers"][0]["env"].as_array().context("no environment")?;
    for (name, field) in [("ITHACA_APPLIER_NAME", "metadata.name"), ("ITHACA_LIVE_HOST", "status.podIP")] {
        let variable = variables.iter().find(|variable| variable["name"] == name).context(name)?;
        ensure!(variable["valueFrom"]["fieldRef"]["fieldPath"] == field, "{variable}");
    }
    ensure!(object(&objects, "PodDisruptionBudget", "ithaca-applier").is_ok(), "no budget");
    let policy = &object(&objects, "NetworkPolicy", "ithaca-applier")?["spec"];
    for way in ["ingress", "egress"] {
        let mut rules = policy[way].as_array().into_iter().flatten();
        let is_open = |rule: &Value| {
            let rule = rule.to_string();
            rule.contains("8083") && rule.contains(r#""app.kubernetes.io/component":"applier""#)
        };
        ensure!(rules.any(is_open), "appliers cannot ask each other: {}", policy[way]);
    }
    Ok(())
}

#[test]
fn a_bus_of_ones_own_takes_the_place_of_ours() -> anyhow::Result<()> {
    let objects =
        objects("nats: {url: 'tls://nats.example.org:4443', credentialsSecret: mine, replicas: 3}")?;
    ensure!(objects.iter().all(|object| object["kind"] != "StatefulSet"), "ours is there too");
    ensure!(
        environment(&objects, "ithaca-applier", "ITHACA_NATS_URL")? == "tls://nats.example.org:4443",
        "the address"
    );
    ensure!(
        environment(&objects, "ithaca-applier", "ITHACA_NATS_CREDENTIALS")? == "/etc/ithaca/nats/nats.creds",
        "the key"
    );
    let policy = object(&objects, "NetworkPolicy", "ithaca-renderer")?;
    ensure!(policy["spec"]["egress"].to_string().contains("4443"), "{policy}");
    Ok(())
}

#[test]
fn a_release_that_changes_nothing_of_nats_does_not_restart_it() -> anyhow::Result<()> {
    let template = |tag: &str| {
        let objects = objects(&format!("image: {{tag: {tag}}}"))?;
        anyhow::Ok(object(&objects, "StatefulSet", "ithaca-nats")?["spec"]["template"].clone())
    };
    ensure!(template("1.0.0")? == template("2.0.0")?, "the pods of NATS follow Ithaca's version");
    Ok(())
}

#[test]
fn a_plugin_is_a_container_of_the_renderers_pod_that_shares_its_socket_alone() -> anyhow::Result<()> {
    let objects = objects(
        "renderer: {plugins: [{name: stars, image: 'stars:1', discover: ['*.star'], env: [{name: A, value: b}]}, {name: moons, image: 'moons:1', discover: ['*.star', '**/moon.toml']}]}",
    )?;
    let pod = &object(&objects, "Deployment", "ithaca-renderer")?["spec"]["template"]["spec"];
    ensure!(pod["automountServiceAccountToken"] == false, "{pod}");
    let (renderer, stars) = (&pod["containers"][0], &pod["containers"][1]);
    ensure!(stars["name"] == "plugin-stars" && stars["image"] == "stars:1", "{stars}");
    ensure!(stars["securityContext"] == renderer["securityContext"], "{stars}");
    ensure!(stars["securityContext"]["readOnlyRootFilesystem"] == true, "{stars}");
    let socket = json!({"name": "ITHACA_PLUGIN_SOCKET", "value": "/var/run/ithaca/plugin/plugin.sock"});
    ensure!(stars["env"] == json!([socket, {"name": "A", "value": "b"}]), "{stars}");
    let mounts = json!([
        {"name": "plugin-stars", "mountPath": "/var/run/ithaca/plugin"},
        {"name": "plugin-stars-tmp", "mountPath": "/tmp"},
    ]);
    ensure!(stars["volumeMounts"] == mounts, "{stars}");
    let seen =
        json!({"name": "plugin-stars", "mountPath": "/var/run/ithaca/plugins/stars", "readOnly": true});
    ensure!(renderer["volumeMounts"].as_array().is_some_and(|mounts| mounts.contains(&seen)), "{renderer}");
    ensure!(environment(&objects, "ithaca-watcher", "ITHACA_PLUGIN_FILES")? == "*.star,**/moon.toml");
    Ok(())
}

/// A variable of a Deployment's container; empty where it is.
fn environment(objects: &[Value], deployment: &str, name: &str) -> anyhow::Result<String> {
    let container = &object(objects, "Deployment", deployment)?["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().context("no environment")?;
    let variable = variables.iter().find(|variable| variable["name"] == name);
    let value = variable.with_context(|| format!("{deployment} has no {name}"))?["value"].as_str();
    Ok(value.unwrap_or_default().to_owned())
}
