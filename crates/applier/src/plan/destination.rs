//! What an application's cluster says to it: whether there is one, whether it is reached, and what of it is managed.
//!
//! What comes in: the view, and a bundle. What goes out: the action that comes before all others, where there is one.

use ithaca_api::{Application, ConditionType};

use super::{
    decide::{Action, write_or},
    deletion, status,
    view::View,
};
use crate::{bundle::Bundle, clusters::Reach};

/// Objects that are told of where a cluster does not manage them.
const MOST_TOLD: usize = 5;

/// What there is to do where the application's cluster cannot be asked.
pub(super) fn first(view: View<'_>) -> Option<Action> {
    let leaves = view.application.metadata.deletion_timestamp.is_some();
    let known = match view.cluster {
        Ok(known) => known,
        // Nobody will ever clean up there.
        Err(_) if leaves => return Some(deletion::abandon(view)),
        Err(reason) => {
            let stuck = status::stuck(view, ConditionType::InvalidSpecError, &reason.to_string());
            return Some(write_or(view, stuck, None));
        }
    };
    if known.spec.skips_reconcile {
        return Some(Action::Idle(None));
    }
    let reason = match &known.reach {
        Reach::Connected(_) => return None,
        Reach::Connecting => return Some(Action::Idle(None)),
        Reach::Down(reason) => reason,
    };
    let reason = format!("failed to reach cluster {}: {reason}", named(view.application, &known.spec.server));
    Some(match leaves {
        true => deletion::undeleted(view, &reason),
        false => write_or(view, status::stuck(view, ConditionType::ComparisonError, &reason), None),
    })
}

fn named(application: &Application, server: &str) -> String {
    match application.spec.destination.name.as_str() {
        "" => server.to_owned(),
        name => format!("{name} ({server})"),
    }
}

/// Where only some namespaces of a cluster are managed, a bundle with an object elsewhere is not compared at all: the
/// object may be there, and nobody sees it.
pub(super) fn refusal(view: View<'_>, bundle: &Bundle) -> Option<Action> {
    let spec = &view.cluster.ok()?.spec;
    if spec.namespaces.is_empty() {
        return None;
    }
    let objects = bundle.assembly.objects.iter().map(|desired| &desired.key);
    let hooks = bundle.assembly.hooks.iter().map(|hook| &hook.manifest.key);
    let refused = objects.chain(hooks).filter_map(|key| spec.refusal(&key.kind, &key.namespace, &key.name));
    let refused: Vec<_> = refused.take(MOST_TOLD).collect();
    let reason = format!("failed to compare: {}", refused.join("; "));
    (!refused.is_empty())
        .then(|| write_or(view, status::stuck(view, ConditionType::ComparisonError, &reason), None))
}
