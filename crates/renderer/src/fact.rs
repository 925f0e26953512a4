//! What to say next of an application: a request, the last thing said and what rendering gave come in, a message goes out.
//! Nothing here renders, reads or publishes.

use ithaca_api::SourceType;
use ithaca_proto::v1::{BundleRendered, Content, Failure, Purpose, RenderedSource};

use crate::request::{Request, SourceRequest};

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// New content.
    Rendered(Content),
    /// The content said last is still the right one; only its revision moves.
    Unchanged,
    /// No content; the last one stays.
    Failed(Failure),
    /// No content yet; the last one stays while the revision is tried again.
    Retried(Failure),
}

/// When something was done, in microseconds since the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Equal to `rendered_at` where nothing had to be rendered.
    pub render_started_at: i64,
    /// When the outcome was known.
    pub rendered_at: i64,
}

/// Whether `last` says as much as this request could, or more.
pub fn is_outdated(request: &Request, last: Option<&BundleRendered>) -> bool {
    last.is_some_and(|last| last.observed_at >= request.observed_at && !is_retried(request, last))
}

/// What to say of a failure that another try may end: that the revision is tried again, unless that was said. An operation
/// ends with it: what came of another try would be taken for an answer to the next that asks in the same words.
pub fn told(request: &Request, last: Option<&BundleRendered>, failure: Failure) -> Option<Outcome> {
    match request.purpose {
        Purpose::Operation => Some(Outcome::Failed(failure)),
        Purpose::Tracked | Purpose::Unspecified => {
            (!is_told(request, last, &failure)).then_some(Outcome::Retried(failure))
        }
    }
}

/// Whether `last` says this very failure of the revision that is tried again.
fn is_told(request: &Request, last: Option<&BundleRendered>, failure: &Failure) -> bool {
    last.is_some_and(|last| is_retried(request, last) && last.failure.as_ref() == Some(failure))
}

/// Whether what was said last is that this very revision is tried again.
fn is_retried(request: &Request, last: &BundleRendered) -> bool {
    last.retries != 0 && last.retries == request.observed_at
}

/// Whether the content said last is what the key stands for, and was sealed with the key of bundles that this is the
/// id of.
pub fn is_current(last: Option<&BundleRendered>, render_key: &str, seal: &str) -> bool {
    let content = last.and_then(|last| last.content.as_ref());
    content.is_some_and(|content| content.render_key == render_key && content.seal == seal)
}

/// The fact that follows from `outcome`.
pub fn compose(
    request: &Request,
    last: Option<&BundleRendered>,
    outcome: Outcome,
    times: Times,
) -> BundleRendered {
    let last_content = || last.and_then(|last| last.content.clone());
    let retries = if matches!(outcome, Outcome::Retried(_)) { request.observed_at } else { 0 };
    let again = last.filter(|last| is_retried(request, last)).map(|last| last.observed_at + 1);
    let (content, failure) = match outcome {
        Outcome::Rendered(content) => (Some(content), None),
        Outcome::Unchanged => (last_content().map(|content| moved(content, request)), None),
        Outcome::Failed(failure) | Outcome::Retried(failure) => (last_content(), Some(failure)),
    };
    BundleRendered {
        application: Some(request.application.clone()),
        purpose: request.purpose.into(),
        observed_at: again.unwrap_or(request.observed_at),
        generation: request.generation,
        request_key: request.request_key.clone(),
        refresh: request.refresh.into(),
        content,
        failure,
        render_started_at: times.render_started_at,
        rendered_at: times.rendered_at,
        retries,
    }
}

/// What is said of the sources of new content.
pub fn sources(requests: &[SourceRequest], types: &[Option<SourceType>]) -> Vec<RenderedSource> {
    let types = types.iter().copied().chain(std::iter::repeat(None));
    requests
        .iter()
        .zip(types)
        .map(|(request, kind)| rendered_source(request, kind.map_or("", SourceType::as_str)))
        .collect()
}

/// The same content at the revisions of `request`; equal keys mean equally many sources of equal types.
fn moved(mut content: Content, request: &Request) -> Content {
    if let Ok(requests) = &request.sources {
        let types = content.sources.iter().map(|source| source.source_type.as_str());
        content.sources =
            requests.iter().zip(types).map(|(request, kind)| rendered_source(request, kind)).collect();
    }
    content
}

fn rendered_source(request: &SourceRequest, source_type: &str) -> RenderedSource {
    RenderedSource {
        source: request.written.clone(),
        revision: request.revision.clone(),
        source_type: source_type.to_owned(),
        commit: request.commit.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure;
    use ithaca_proto::v1::{ApplicationRef, RevisionObserved, SourceRevision};

    fn request(observed_at: i64, revision: &str) -> Request {
        let message = RevisionObserved {
            application: Some(ApplicationRef {
                uid: "1".into(),
                namespace: "argocd".into(),
                name: "shop".into(),
            }),
            purpose: Purpose::Operation.into(),
            observed_at,
            generation: 7,
            request_key: "k".into(),
            sources: vec![SourceRevision {
                source: "{\"repoURL\":\"r\"}".into(),
                revision: revision.into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        Request::parse(message).expect("a request")
    }

    fn rendered(observed_at: i64, revision: &str) -> BundleRendered {
        let request = request(observed_at, revision);
        let requests = request.sources.clone().expect("sources");
        let content = Content {
            digest: "d".into(),
            render_key: "key".into(),
            sources: sources(&requests, &[Some(SourceType::Helm)]),
            ..Default::default()
        };
        compose(&request, None, Outcome::Rendered(content), Times { render_started_at: 1, rendered_at: 2 })
    }

    #[test]
    fn a_fact_bears_what_the_request_bore() {
        let fact = rendered(5, "r1");
        assert_eq!((fact.observed_at, fact.generation, fact.purpose()), (5, 7, Purpose::Operation));
        assert_eq!((fact.request_key.as_str(), fact.render_started_at, fact.rendered_at), ("k", 1, 2));
    }

    #[test]
    fn an_older_or_repeated_request_is_outdated() {
        let last = rendered(5, "r1");
        assert!(is_outdated(&request(4, "r0"), Some(&last)));
        assert!(is_outdated(&request(5, "r1"), Some(&last)));
        assert!(!is_outdated(&request(6, "r2"), Some(&last)));
        assert!(!is_outdated(&request(0, "r0"), None));
    }

    #[test]
    fn unchanged_content_moves_to_the_new_revision() {
        let last = rendered(5, "r1");
        assert!(
            is_current(Some(&last), "key", "")
                && !is_current(Some(&last), "other", "")
                && !is_current(None, "", "")
        );
        assert!(!is_current(Some(&last), "key", "sealed"), "sealed with another key");
        let fact = compose(&request(6, "r2"), Some(&last), Outcome::Unchanged, Times::default());
        let content = fact.content.expect("content");
        assert_eq!(content.digest, "d");
        assert_eq!(
            (content.sources[0].revision.as_str(), content.sources[0].source_type.as_str()),
            ("r2", "Helm")
        );
    }

    #[test]
    fn what_is_tried_again_is_said_once_and_what_comes_of_it_is_newer() {
        let request = request(6, "r2");
        let retried = || Outcome::Retried(failure::source("no answer".into()));
        let told = compose(&request, Some(&rendered(5, "r1")), retried(), Times::default());
        assert_eq!((told.observed_at, told.retries), (6, 6));
        assert!(!is_outdated(&request, Some(&told)));
        assert!(is_told(&request, Some(&told), &failure::source("no answer".into())));
        assert!(!is_told(&request, Some(&told), &failure::source("another".into())));
        let other = compose(&request, Some(&told), retried(), Times::default());
        assert_eq!((other.observed_at, other.retries), (7, 6));
        let done = compose(&request, Some(&other), Outcome::Unchanged, Times::default());
        assert_eq!((done.observed_at, done.retries, done.failure.clone()), (8, 0, None));
        assert!(is_outdated(&request, Some(&done)));
        assert!(is_outdated(&super::tests::request(5, "r1"), Some(&told)), "an older revision");
    }

    #[test]
    fn an_operation_is_not_tried_again_once_its_failure_is_said() {
        let operation = request(6, "r2");
        let tracked = Request { purpose: Purpose::Tracked, ..operation.clone() };
        let failure = || failure::source("no answer".into());
        assert!(matches!(told(&operation, None, failure()), Some(Outcome::Failed(_))));
        let outcome = told(&tracked, None, failure()).expect("it is news");
        assert!(matches!(outcome, Outcome::Retried(_)));
        let last = compose(&tracked, None, outcome, Times::default());
        assert!(told(&tracked, Some(&last), failure()).is_none());
    }

    #[test]
    fn a_failure_carries_the_last_good_content_forward_as_it_was() {
        let last = rendered(5, "r1");
        let failed = || Outcome::Failed(failure::source("broken".into()));
        let once = compose(&request(6, "r2"), Some(&last), failed(), Times::default());
        let twice = compose(&request(7, "r3"), Some(&once), failed(), Times::default());
        assert_eq!(twice.failure.as_ref().map(|failure| failure.message.as_str()), Some("broken"));
        assert_eq!(twice.content, last.content);
        assert!(is_current(Some(&twice), "key", ""));
        let never = compose(&request(6, "r2"), None, failed(), Times::default());
        assert!(never.content.is_none() && never.failure.is_some());
    }
}
