//! Whether a revision is signed as its project asks.
//!
//! What comes in: signed objects of a repository as bytes, or what lies beside an artifact; the installation's keys; what
//! a project asks. What goes out: nothing where it is signed so, else why it is not, in words for whoever made it. What
//! it does not do: touch a repository or a clock. `follow` brings projects and keys.
//!
//! A key is asked to be valid when the signature was made and, for what a revision names itself, now: who still has a
//! key that is not valid any more can write any date. What it descends from is vouched for by its hash.

mod cosign;
mod error;
mod follow;
mod openpgp;
mod provenance;
mod rules;
mod ssh;
mod validity;
mod verify;

pub use cosign::CosignKeys;
pub use error::SignatureError;
pub use follow::follow;
pub use openpgp::OpenPgpKeys;
pub use rules::{Demands, Origins, Rule, Rules};
pub use ssh::AllowedSigners;
pub use verify::{Keyring, Signed, verify, verify_artifact, verify_chart, vouches};
