//! The variables that users may write into parameters and file names: a request and one of its sources come in, their
//! values go out.

use ithaca_api::build_environment::{Build, REVISION};

pub use ithaca_api::build_environment::Environment;

use crate::request::{Request, SourceRequest};

/// What one source of an application may use.
pub fn of(request: &Request, source: &SourceRequest) -> Environment {
    let build = Build {
        application: &request.instance,
        namespace: &request.destination_namespace,
        project: &request.project,
        repo_url: &source.spec.repo_url,
        path: &source.spec.path,
        target_revision: &source.spec.target_revision,
    };
    let capabilities = &request.capabilities;
    Environment::new(build).at(&source.revision).on(&capabilities.kube_version, &capabilities.api_versions)
}

/// Whether the text uses a variable that changes with every commit.
pub fn depends_on_revision(text: &str) -> bool {
    REVISION.iter().any(|name| text.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_uses_any_form_of_the_revision_depends_on_it() {
        for text in ["$ARGOCD_APP_REVISION", "x-${ARGOCD_APP_REVISION_SHORT}", "$ARGOCD_APP_REVISION_SHORT_8"]
        {
            assert!(depends_on_revision(text), "{text}");
        }
        assert!(!depends_on_revision("$ARGOCD_APP_SOURCE_TARGET_REVISION"));
    }
}
