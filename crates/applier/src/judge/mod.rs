//! Whether a live object is as Git wants it, who changed it, and what has to be taken over from other
//! tools.
//!
//! What comes in: objects as the API server returns them (with `metadata.managedFields`) and as Git
//! wants them. What goes out: verdicts, paths for people, names. Nothing here asks the API server: what
//! only it can know (defaults, quantities, conversions) is a suspicion here, never a verdict.

mod attribution;
mod comparison;
mod differences;
mod field_set;
mod fingerprint;
#[cfg(test)]
mod fixture;
mod ignored;
mod managed;
mod path;
#[cfg(test)]
mod properties;
mod shown;
mod takeover;
mod unknown;

pub use attribution::{Author, attribute};
pub use comparison::{Comparison, compare};
pub use differences::differences;
pub use fingerprint::fingerprint;
pub use ignored::Ignored;
pub use shown::{Shown, show};
pub use takeover::{applies_label, takeover};
pub use unknown::{is_for_unknown_fields, unknown_fields, without_fields};

/// The most paths that one answer names: people read the first few, and statuses have a size limit.
const MOST_PATHS: usize = 20;

/// Fields of `metadata` that the API server keeps for itself: they say nothing about what is wanted.
const BOOKKEEPING: &[&str] =
    &["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"];
