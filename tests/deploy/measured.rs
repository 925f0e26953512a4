//! Dashboards and alerts on a real Prometheus that has watched a real fleet: whatever they ask, there is an answer.
//!
//! In: a fresh stack, scraped as a ServiceMonitor would have it and as a compose file would. Out: queries that are wrong or empty.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use ithaca_tests::{Progress, Prometheus, SERVICES, Stack, Target, Tools, wait_until};
use serde_json::Value;

use crate::grafana::{self, DASHBOARDS};
use crate::happenings::{self, DEADLINE};

#[tokio::test]
async fn every_panel_and_every_alert_has_something_to_show() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let tools = Tools::checks(&Progress::silent())?;
    let rules = [grafana::path(grafana::ALERTS)];
    let mut watching = Vec::new();
    for (name, style) in [("in-cluster", Style::ServiceMonitor), ("in-compose", Style::Compose)] {
        let targets = targets(&stack, style)?;
        watching.push(Prometheus::start(&stack.dir, &tools, name, &targets, &rules).await?);
    }
    happenings::happen(&stack, &watching).await?;
    for prometheus in &watching {
        let name = &prometheus.process.program().name;
        panels_show(prometheus).await.with_context(|| name.clone())?;
        rules_evaluate(prometheus).await.with_context(|| name.clone())?;
    }
    stack.process("notifier")?.stop().await?;
    stack.nats.process.stop().await?;
    for prometheus in &watching {
        alerts_name_who_is_ill(prometheus).await?;
    }
    Ok(())
}

/// How Prometheus came to know what it scrapes.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    ServiceMonitor,
    Compose,
}

fn targets(stack: &Stack, style: Style) -> anyhow::Result<Vec<Target>> {
    let target = |service: &str| {
        let page = stack.process(service)?.program().metrics.clone().context("it has no metrics")?;
        let address = page.trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
        let (job, labels) = match style {
            Style::Compose => ("ithaca".to_owned(), BTreeMap::new()),
            Style::ServiceMonitor => {
                let name = format!("ithaca-{service}");
                let labels = [
                    ("namespace", "gitops".to_owned()),
                    ("service", name.clone()),
                    ("endpoint", "http".to_owned()),
                    ("container", service.to_owned()),
                    ("pod", format!("{name}-0")),
                ];
                (name, labels.map(|(label, value)| (label.to_owned(), value)).into())
            }
        };
        Ok(Target { job, address, labels })
    };
    SERVICES.into_iter().map(target).collect()
}

async fn panels_show(prometheus: &Prometheus) -> anyhow::Result<()> {
    for file in DASHBOARDS {
        let dashboard = grafana::dashboard(file)?;
        for panel in grafana::asking(&dashboard)? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = asked(&dashboard, target["expr"].as_str().context("a query")?)?;
                gives(prometheus, &expression)
                    .await
                    .with_context(|| format!("{file}: {}", panel["title"]))?;
            }
        }
        for variable in grafana::variables(&dashboard).filter(|variable| variable["type"] == "query") {
            let query = asked(&dashboard, variable["query"]["query"].as_str().context("a query")?)?;
            let (series, label) = listed(&query).with_context(|| format!("{query} lists a label"))?;
            let values = prometheus.history(&format!("count by ({label}) ({series})")).await?;
            ensure!(
                values.iter().any(|series| series["metric"][label].is_string()),
                "{file}: {query} is empty"
            );
        }
    }
    Ok(())
}

/// `label_values(series, label)`.
fn listed(query: &str) -> Option<(&str, &str)> {
    query.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(", ")
}

/// A query as Grafana sends it: all variables at "All", and times that suit one sample a second.
fn asked(dashboard: &Value, query: &str) -> anyhow::Result<String> {
    let mut query = query.to_owned();
    for (name, value) in [("$__rate_interval", "10s"), ("$__range", "10m")] {
        query = query.replace(name, value);
    }
    for variable in grafana::variables(dashboard).filter(|variable| variable["type"] == "query") {
        let name = variable["name"].as_str().context("a variable has a name")?;
        query = query.replace(&format!("${name}"), variable["allValue"].as_str().context("All has a value")?);
    }
    ensure!(!query.contains('$'), "nothing is known of a variable of {query}");
    Ok(query)
}

/// Subqueries look at whole minutes, and the last of what happened may not be scraped yet: so it may take a while.
async fn gives(prometheus: &Prometheus, expression: &str) -> anyhow::Result<()> {
    wait_until(&format!("{expression} gives something"), DEADLINE * 2, async || {
        ensure!(!prometheus.history(expression).await?.is_empty(), "it gives nothing");
        Ok(())
    })
    .await
}

/// Prometheus evaluates each rule, words included, and whatever a rule looks at is there.
async fn rules_evaluate(prometheus: &Prometheus) -> anyhow::Result<()> {
    wait_until("every rule was evaluated", DEADLINE, async || {
        let groups = prometheus.ask("rules", &[]).await?;
        let groups = groups["groups"].as_array().cloned().context("rules come in groups")?;
        for rule in groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
            ensure!(rule["health"] == "ok", "{}: {} {}", rule["name"], rule["health"], rule["lastError"]);
        }
        Ok(())
    })
    .await?;
    for rule in grafana::rules()? {
        let tree = prometheus.ask("parse_query", &[("query", &rule.expr)]).await?;
        let mut selectors = Vec::new();
        collect_selectors(&tree, &mut selectors);
        ensure!(!selectors.is_empty(), "{} looks at nothing", rule.alert);
        for selector in selectors {
            gives(prometheus, &selector).await.with_context(|| rule.alert.clone())?;
        }
    }
    Ok(())
}

/// The series that an expression looks at, out of its syntax tree.
fn collect_selectors(tree: &Value, selectors: &mut Vec<String>) {
    if tree["type"] == "vectorSelector" || tree["type"] == "matrixSelector" {
        let matchers = tree["matchers"].as_array().into_iter().flatten();
        let matchers = matchers.map(|matcher| {
            let word = |part: &str| matcher[part].as_str().unwrap_or_default().to_owned();
            format!("{}{}\"{}\"", word("name"), word("type"), word("value"))
        });
        selectors.push(format!("{{{}}}", matchers.collect::<Vec<_>>().join(",")));
    }
    let below: Vec<&Value> = match tree {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    below.into_iter().for_each(|tree| collect_selectors(tree, selectors));
}

/// What happened makes these true, at the latest now that the notifier and NATS are gone.
async fn alerts_name_who_is_ill(prometheus: &Prometheus) -> anyhow::Result<()> {
    let rules = grafana::rules()?;
    let expression = |alert: &str| {
        let rule = rules.iter().find(|rule| rule.alert == alert);
        rule.map(|rule| rule.expr.as_str()).with_context(|| format!("there is no alert {alert}"))
    };
    for (alert, label, who) in [
        ("IthacaProcessDown", "process", "notifier"),
        ("IthacaReplicaDown", "process", "notifier"),
        ("IthacaBusLost", "process", "applier"),
        ("IthacaApplicationDegraded", "name", "unwell"),
        ("IthacaApplicationUnknown", "name", "unreadable"),
    ] {
        let of_it =
            format!("label_replace(({}), \"who\", \"$1\", \"{label}\", \"(.*)\")", expression(alert)?);
        // An alert may name others too, before or after.
        let what = format!("{alert} names {who}");
        wait_until(&what, DEADLINE, async || {
            let named: Vec<_> = prometheus.now(&of_it).await?;
            ensure!(named.iter().any(|series| series["metric"]["who"] == who), "it names {named:?}");
            Ok(())
        })
        .await?;
    }
    let was = prometheus.history(expression("IthacaApplicationOutOfSync")?).await?;
    ensure!(was.iter().any(|series| series["metric"]["name"] == "steady"), "{was:?}");
    Ok(())
}
