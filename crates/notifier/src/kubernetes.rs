//! Kubernetes Events on the Applications, as `kubectl describe` and `kubectl get events` show them.
//!
//! In: records. Out: one core/v1 Event each, named after the event's id, so that a second delivery finds it
//! there. The rate is limited as a whole, so that events never compete with applying for the API server.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};

use crate::{
    pace::Pace,
    record::Record,
    sink::{Outcome, Sink},
};

/// Events live for an hour in an API server; older ones would come back from the dead.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);
/// Bytes of a message that the API accepts.
const LONGEST_MESSAGE: usize = 1_024;
/// Bytes of an Application's name that go into the name of its Event; all may have 253.
const LONGEST_NAME: usize = 230;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The sink that writes Kubernetes Events.
pub(crate) struct Kubernetes {
    client: Client,
    pace: Pace,
}

impl Kubernetes {
    pub(crate) fn new(client: Client, per_second: u32) -> Self {
        Self { client, pace: Pace::new(per_second) }
    }
}

impl Sink for Kubernetes {
    fn name(&self) -> &str {
        "kubernetes"
    }

    fn max_age(&self) -> Option<Duration> {
        Some(MAX_AGE)
    }

    async fn deliver(&mut self, record: &Record) -> Outcome {
        tokio::time::sleep(self.pace.take(Instant::now())).await;
        let events = Api::<Event>::namespaced(self.client.clone(), &record.application.namespace);
        let (parameters, event) = (PostParams::default(), event(record));
        match tokio::time::timeout(TIMEOUT, events.create(&parameters, &event)).await {
            Ok(Ok(_)) => Outcome::Sent,
            Ok(Err(error)) => judge(error),
            Err(_) => Outcome::Retry("the Kubernetes API server did not answer in time".to_owned()),
        }
    }
}

/// What is worth another try: all but what the API server will refuse every time.
fn judge(error: kube::Error) -> Outcome {
    let kube::Error::Api(status) = &error else {
        return Outcome::Retry(format!("failed to reach the Kubernetes API server: {error}"));
    };
    match status.code {
        409 => Outcome::Sent,
        // The namespace is gone or going, or the object is not acceptable.
        400 | 404 | 413 | 422 => Outcome::Rejected(format!("failed to write a Kubernetes Event: {error}")),
        403 if status.message.contains("being terminated") => {
            Outcome::Rejected(format!("failed to write a Kubernetes Event: {error}"))
        }
        _ => Outcome::Retry(format!("failed to write a Kubernetes Event: {error}")),
    }
}

fn event(record: &Record) -> Event {
    let application = &record.application;
    let time = k8s_openapi::jiff::Timestamp::from_microsecond(record.happened_at_micros).ok().map(Time);
    Event {
        metadata: ObjectMeta {
            name: Some(name(&application.name, &record.id)),
            namespace: Some(application.namespace.clone()),
            ..Default::default()
        },
        involved_object: ObjectReference {
            api_version: Some("argoproj.io/v1alpha1".to_owned()),
            kind: Some("Application".to_owned()),
            name: Some(application.name.clone()),
            namespace: Some(application.namespace.clone()),
            uid: Some(application.uid.clone()),
            ..Default::default()
        },
        reason: Some(record.reason.clone()),
        message: Some(shortened(&record.message, LONGEST_MESSAGE)),
        type_: Some(record.severity.as_str().to_owned()),
        count: Some(1),
        first_timestamp: time.clone(),
        last_timestamp: time,
        source: Some(EventSource { component: Some("ithaca".to_owned()), host: None }),
        reporting_component: Some("ithaca".to_owned()),
        reporting_instance: Some("ithaca-notifier".to_owned()),
        ..Default::default()
    }
}

/// The Application's name and 16 digits of the id's hash: the same for the same event.
fn name(application: &str, id: &str) -> String {
    let hash = hex::encode(&Sha256::digest(id)[..8]);
    let end = application.floor_char_boundary(LONGEST_NAME);
    format!("{}.{hash}", application[..end].trim_end_matches(['.', '-']))
}

fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(longest - '…'.len_utf8());
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::sample;

    fn refused(code: u16, message: &str) -> Outcome {
        judge(kube::Error::Api(Box::new(kube::core::Status {
            code,
            message: message.to_owned(),
            ..Default::default()
        })))
    }

    #[test]
    fn an_event_points_at_its_application_and_warns_of_a_failure() {
        let record = sample::records().into_iter().find(|record| record.event == "SyncFinished");
        let event = event(&record.expect("a sample"));
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert_eq!(event.reason.as_deref(), Some("OperationCompleted"));
        assert_eq!(event.involved_object.kind.as_deref(), Some("Application"));
        assert_eq!(event.involved_object.name, Some("web".to_owned()));
        assert_eq!(event.involved_object.namespace, event.metadata.namespace);
        assert_eq!(event.first_timestamp, event.last_timestamp);
    }

    #[test]
    fn the_name_is_the_same_for_the_same_event_and_never_too_long() {
        assert_eq!(name("web", "a"), name("web", "a"));
        assert_ne!(name("web", "a"), name("web", "b"));
        let long = name(&format!("{}-{}", "a".repeat(229), "b".repeat(23)), "a");
        assert!(long.len() <= 253 && !long.contains("-."), "{long}");
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let text = shortened(&"é".repeat(600), LONGEST_MESSAGE);
        assert!(text.len() <= LONGEST_MESSAGE && text.ends_with("é…"));
        assert_eq!(shortened("short", LONGEST_MESSAGE), "short");
    }

    #[test]
    fn only_what_will_be_refused_every_time_is_given_up() {
        assert!(matches!(refused(409, "already exists"), Outcome::Sent));
        assert!(matches!(refused(404, "namespaces \"x\" not found"), Outcome::Rejected(_)));
        assert!(matches!(refused(403, "because it is being terminated"), Outcome::Rejected(_)));
        assert!(matches!(refused(403, "cannot create resource \"events\""), Outcome::Retry(_)));
        assert!(matches!(refused(429, "too many requests"), Outcome::Retry(_)));
        assert!(matches!(refused(500, "etcd is away"), Outcome::Retry(_)));
    }
}
