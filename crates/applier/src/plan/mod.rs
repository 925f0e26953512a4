//! The decisions of the applier: synchronous functions on plain data, no runtime, no clock.
//!
//! What comes in: an Application, its bundles, the records of its cluster, the operation under way and the time.
//! What goes out: the next thing to do. The rim does it, tells the outcome, and asks again.

mod application_set;
mod autosync;
mod comparison;
mod conditions;
mod decide;
mod deletion;
mod dependencies;
mod destination;
mod facts;
mod guard;
mod patch;
mod permission;
mod run;
mod size;
mod status;
mod told;
mod view;

pub use application_set::{Answers, ApplicationSet, Generated, Presence};
#[cfg(test)]
pub use comparison::Comparison;
pub use decide::{Action, decide};
pub use deletion::undeleted;
pub use dependencies::{Name, Other, Others, depends_on};
pub use facts::facts;
pub use guard::Guard;
pub use run::{Effect, Outcome, Run, Task};
pub use status::Change;
pub use view::{Asked, View};
