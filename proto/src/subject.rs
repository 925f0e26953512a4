//! The names of every stream, subject, durable consumer and bucket on the bus.
//!
//! What comes in: uids and purposes. What goes out: names. Nothing else in Ithaca spells a subject.

use crate::v1::{Purpose, event::Fact};

/// Stream of `RevisionObserved`: one subject per application and purpose, a work queue for renderers.
pub const REVISIONS: &str = "REVISIONS";
/// Stream of `BundleRendered`: one subject per partition, application and purpose, the newest kept for ever.
pub const BUNDLES: &str = "BUNDLES";
/// Stream of `Event`, kept by age and size.
pub const EVENTS: &str = "EVENTS";
/// Object store of bundle contents too large for a message.
pub const CONTENTS: &str = "bundles";
/// KV bucket of `Member`: who takes part in a service's work. NATS keeps a bucket in a stream of this name.
pub const MEMBERS: &str = "KV_members";
/// Durable consumer of `REVISIONS` that all renderers share.
pub const RENDERER: &str = "renderer";

/// All subjects of `REVISIONS`.
pub const ALL_REVISIONS: &str = "ithaca.revisions.>";
/// All subjects of `BUNDLES`.
pub const ALL_BUNDLES: &str = "ithaca.bundles.>";
/// All subjects of `EVENTS`.
pub const ALL_EVENTS: &str = "ithaca.events.>";
/// All keys of `MEMBERS`, as NATS spells them.
pub const ALL_MEMBERS: &str = "$KV.members.>";

/// Partitions of `BUNDLES`: the grain in which appliers share the applications.
pub const PARTITIONS: u32 = 64;

/// The subject of an application's `RevisionObserved`.
pub fn revision(uid: &str, purpose: Purpose) -> String {
    format!("ithaca.revisions.{}.{}", token(uid), purpose_token(purpose))
}

/// The subject of an application's `BundleRendered`.
pub fn bundle(uid: &str, purpose: Purpose) -> String {
    format!("ithaca.bundles.{}.{}.{}", partition(uid), token(uid), purpose_token(purpose))
}

/// All subjects of an application in `REVISIONS`.
pub fn revisions_of(uid: &str) -> String {
    format!("ithaca.revisions.{}.*", token(uid))
}

/// All subjects of an application in `BUNDLES`.
pub fn bundles_of(uid: &str) -> String {
    format!("ithaca.bundles.{}.{}.*", partition(uid), token(uid))
}

/// All subjects of a partition in `BUNDLES`.
pub fn bundles_in(partition: u32) -> String {
    format!("ithaca.bundles.{partition}.>")
}

/// The subject of an `Event`.
pub fn event(uid: &str, fact: &Fact) -> String {
    format!("ithaca.events.{}.{}", fact_token(fact), token(uid))
}

/// All subjects of an application in `EVENTS`.
pub fn events_of(uid: &str) -> String {
    format!("ithaca.events.*.{}", token(uid))
}

/// The key of a `Member` of a service.
pub fn member(service: &str, name: &str) -> String {
    format!("{}{}", members_of(service), token(name))
}

/// What the keys of all members of a service begin with.
pub fn members_of(service: &str) -> String {
    format!("$KV.members.{service}.")
}

/// The name of an application's content in the object store.
pub fn content(uid: &str, digest: &str) -> String {
    format!("{}.{digest}", token(uid))
}

/// The partition of an application: FNV-1a of its uid, so that every build agrees.
pub fn partition(uid: &str) -> u32 {
    let hash =
        uid.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % PARTITIONS
}

fn purpose_token(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Operation => "operation",
        Purpose::Tracked | Purpose::Unspecified => "tracked",
    }
}

fn fact_token(fact: &Fact) -> &'static str {
    match fact {
        Fact::SyncStarted(_) => "sync-started",
        Fact::SyncFinished(_) => "sync-finished",
        Fact::DriftDetected(_) => "drift-detected",
        Fact::HealthChanged(_) => "health-changed",
        Fact::SyncStatusChanged(_) => "sync-status-changed",
        Fact::ConditionChanged(_) => "condition-changed",
        Fact::ApplicationDeleted(_) => "application-deleted",
    }
}

/// A uid as one subject token: whatever would be a separator or wildcard becomes an underscore.
fn token(uid: &str) -> String {
    uid.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_never_spells_a_wildcard() {
        assert_eq!(revision("a.>*b", Purpose::Tracked), "ithaca.revisions.a___b.tracked");
    }

    #[test]
    fn a_bundle_stays_in_its_partition() {
        let uid = "5f0c2f2e-0000-4000-8000-000000000001";
        assert!(bundle(uid, Purpose::Operation).starts_with(&format!("ithaca.bundles.{}.", partition(uid))));
        assert!(partition(uid) < PARTITIONS);
    }
}
