//! Decides what to observe, what to say, and when: a state machine on plain data and given times.
//!
//! What comes in: Applications as they change, what remotes answered, what was derived from their files,
//! webhooks, settings. What goes out: `Effect`s for the rim to carry out. What it does not do: any I/O.

mod calm;
mod commits;
mod effect;
mod evaluate;
mod fact;
mod flow;
mod history;
mod observer;
mod remote;
mod renewal;
mod signed;
mod track;

pub use effect::{Effect, Evaluated, Job, Key, Publication};
pub use evaluate::evaluate;
pub use fact::Outcome;
pub use history::Vouched;
pub use observer::{Observer, Settings};

#[cfg(test)]
mod tests;
