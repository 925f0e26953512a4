//! Whether a live object is as Git wants it, as far as that can be told without the API server.
//!
//! What comes in: a live object and what is wanted of it. What goes out: Synced, or Undecided where the API server has
//! to judge.

use std::sync::Arc;

use ithaca_api::{annotation, tracking::Tracking};
use serde_json::Value;

use crate::{
    desired::Desired,
    judge::{self, Author, Comparison},
    tracked,
};

/// Whether a live object is as Git wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not compared with what is wanted now, or the cheap comparison found something that only the API
    /// server can judge.
    Undecided,
    /// As wanted.
    Synced,
    /// Not as wanted.
    OutOfSync(Arc<Drift>),
}

/// How a live object differs from what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Paths of the fields that differ.
    pub fields: Vec<String>,
    /// Who wrote them, as far as the object tells.
    pub author: Option<Author>,
    /// What the API server said against applying it.
    pub rejected: Option<String>,
}

/// The cheap comparison's word.
pub(super) fn judge_locally(desired: &Desired, live: &Value, tracking: &Tracking) -> Verdict {
    let Some(wanted) = desired.as_value() else { return Verdict::Undecided };
    let wanted = tracked::as_before(&wanted, live, tracking).unwrap_or(wanted);
    let comparison = match desired.ignored.as_deref() {
        None => judge::compare(&wanted, live, annotation::FIELD_MANAGER),
        Some(ignored) => {
            let without = |object| ignored.without(&desired.key, object, live, false);
            let (Some(wanted), Some(live)) = (without(&wanted), without(live)) else {
                return Verdict::Undecided;
            };
            judge::compare(&wanted, &live, annotation::FIELD_MANAGER)
        }
    };
    match comparison {
        Comparison::Equal => Verdict::Synced,
        Comparison::Suspect { .. } => Verdict::Undecided,
    }
}
