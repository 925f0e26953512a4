//! `ithaca app diff`: how an Application's objects differ from what Git wants, as its applier says.
//!
//! In: the applier's answer. Out: a page. It compares nothing itself.

use anyhow::Context;
use ithaca_proto::v1::{
    FieldDiff, GetDiffRequest, GetDiffResponse, ObjectDiff, ObjectRef, live_service_client::LiveServiceClient,
};
use jiff::Timestamp;

use super::text;
use crate::output;

/// Shows the differences of one Application.
pub async fn run(applier: &str, namespace: &str, name: &str) -> anyhow::Result<()> {
    let mut client = LiveServiceClient::connect(applier.to_owned()).await.with_context(|| {
        format!(
            "failed to reach the applier at {applier}; make it reachable by \
             `kubectl -n {namespace} port-forward deploy/ithaca-applier 8083`, or say where it is with --applier"
        )
    })?;
    let request = GetDiffRequest { namespace: namespace.to_owned(), name: name.to_owned() };
    let answer = client.get_diff(request).await.map_err(|status| anyhow::anyhow!("{}", status.message()))?;
    output::print(&page(&answer.into_inner(), Timestamp::now()))
}

fn page(answer: &GetDiffResponse, now: Timestamp) -> String {
    if answer.objects.is_empty() {
        let revisions: Vec<_> = answer.revisions.iter().map(|revision| text::short(revision)).collect();
        return format!("Nothing differs from {}.\n", revisions.join(", "));
    }
    answer.objects.iter().map(|diff| object(diff, now)).collect::<Vec<_>>().join("\n")
}

fn object(diff: &ObjectDiff, now: Timestamp) -> String {
    let mut page = format!("{}\n", diff.object.as_ref().map(named).unwrap_or_default());
    let mut line = |text: &str| page += &format!("  {text}\n");
    if diff.missing {
        line("is not there");
    }
    if diff.extraneous {
        line("is there, and Git does not want it");
    }
    if !diff.rejected.is_empty() {
        line(&format!("cannot be applied: {}", diff.rejected));
    }
    for one in &diff.fields {
        line(&field(one, now));
        if !one.masked {
            line(&format!("  - {}", value(&one.live)));
            line(&format!("  + {}", value(&one.wanted)));
        }
    }
    if diff.truncated {
        line("and more");
    }
    page
}

/// `apps/Deployment shop/web`.
fn named(object: &ObjectRef) -> String {
    let ObjectRef { group, kind, namespace, name, .. } = object;
    let kind = if group.is_empty() { kind.clone() } else { format!("{group}/{kind}") };
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// `.spec.replicas (ignored), written by kubectl 5m ago`.
fn field(field: &FieldDiff, now: Timestamp) -> String {
    let mut line = field.path.clone();
    for (is_so, word) in [(field.ignored, "ignored"), (field.masked, "values are secret")] {
        if is_so {
            line += &format!(" ({word})");
        }
    }
    if !field.manager.is_empty() {
        line += &format!(", written by {}", field.manager);
    }
    match Timestamp::from_microsecond(field.changed_at) {
        Ok(changed) if field.changed_at > 0 => {
            format!("{line} {} ago", text::span(now.as_second() - changed.as_second()))
        }
        _ => line,
    }
}

fn value(json: &str) -> &str {
    if json.is_empty() { "absent" } else { json }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_who_wrote_what() {
        let object = |kind: &str, name: &str| {
            Some(ObjectRef {
                kind: kind.into(),
                name: name.into(),
                namespace: "shop".into(),
                ..Default::default()
            })
        };
        let replicas = FieldDiff {
            path: ".spec.replicas".into(),
            live: "3".into(),
            wanted: "1".into(),
            ignored: true,
            manager: "kubectl".into(),
            changed_at: 1_000_000_000_000_000,
            ..Default::default()
        };
        let label =
            FieldDiff { path: ".metadata.labels.a".into(), wanted: "\"b\"".into(), ..Default::default() };
        let password = FieldDiff { path: ".data.password".into(), masked: true, ..Default::default() };
        let answer = GetDiffResponse {
            objects: vec![
                ObjectDiff {
                    object: object("Deployment", "web"),
                    fields: vec![replicas, label],
                    ..Default::default()
                },
                ObjectDiff { object: object("Secret", "keys"), fields: vec![password], ..Default::default() },
                ObjectDiff { object: object("ConfigMap", "gone"), missing: true, ..Default::default() },
            ],
            revisions: Vec::new(),
        };
        let now = Timestamp::from_second(1_000_000_060).expect("a time");
        insta::assert_snapshot!(page(&answer, now), @r#"
        Deployment shop/web
          .spec.replicas (ignored), written by kubectl 60s ago
            - 3
            + 1
          .metadata.labels.a
            - absent
            + "b"

        Secret shop/keys
          .data.password (values are secret)

        ConfigMap shop/gone
          is not there
        "#);
    }

    #[test]
    fn nothing_is_said_to_differ_with_the_revision() {
        let answer = GetDiffResponse { objects: Vec::new(), revisions: vec!["a".repeat(40)] };
        assert_eq!(page(&answer, Timestamp::UNIX_EPOCH), "Nothing differs from aaaaaaa.\n");
    }
}
