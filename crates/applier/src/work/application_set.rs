//! Asking the API server for an ApplicationSet whose guard would hold its Applications.
//!
//! What comes in: which one. What goes out: whether it is there, noted for the decisions. Nobody watches ApplicationSets.

use jiff::Timestamp;

use crate::{
    plan::{ApplicationSet, Presence},
    service::Shared,
};

/// Asks, and notes the answer or why there is none.
pub async fn ask(shared: &Shared, set: &ApplicationSet) {
    let presence = match shared.home.keeps_application_set(&set.key, &set.uid).await {
        Ok(true) => Presence::There,
        Ok(false) => Presence::Gone,
        Err(error) => {
            tracing::warn!(
                application_set = %set.key.name,
                error = &error as &dyn std::error::Error,
                "failed to ask for an ApplicationSet, trying again"
            );
            Presence::Unknown(error.to_string())
        }
    };
    shared.state().sets.note(set, presence, Timestamp::now());
}
