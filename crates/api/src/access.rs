//! Why Applications cannot be read, in words that say what to do. Pure.
//!
//! In: an error of the Kubernetes client, or one that has it as a cause. Out: a sentence. It asks nobody.

use std::error::Error;

/// What stands between a reader and the Applications of a cluster.
#[must_use]
pub fn unreadable(error: &(dyn Error + 'static)) -> &'static str {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let code = causes.filter_map(|cause| cause.downcast_ref::<kube::Error>()).find_map(|error| match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    });
    match code {
        Some(404) => {
            "the cluster does not know Applications (argoproj.io/v1alpha1): apply the folder crds of Ithaca's chart"
        }
        Some(401) => {
            "the API server does not know this account: its token or certificate is wrong or too old"
        }
        Some(403) => {
            "this account may not read Applications there: a Role must let it get, list and watch them"
        }
        Some(_) => "the API server refused",
        None => "the cluster did not answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to list")]
    struct Listing(#[source] kube::Error);

    fn api(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(kube::core::Status { code, ..Default::default() }))
    }

    #[test]
    fn the_code_counts_wherever_it_is() {
        assert!(unreadable(&api(404)).contains("crds"));
        assert!(unreadable(&Listing(api(404))).contains("crds"));
        assert!(unreadable(&Listing(api(403))).contains("Role"));
        assert_eq!(unreadable(&Listing(api(500))), "the API server refused");
        assert_eq!(unreadable(&std::io::Error::other("gone")), "the cluster did not answer");
    }
}
