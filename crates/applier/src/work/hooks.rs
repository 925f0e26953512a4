//! What is done to hooks: started, let go, deleted.
//!
//! What comes in: instances to create, and keys of hooks that ended. What goes out: what the API server answered.
//! Starting twice is harmless: a hook that is there already with the mark of this attempt is the one that was meant.

use ithaca_api::{annotation::HOOK_FINALIZER, sync_options::Propagation};
use serde_json::Value;

use crate::{
    error::Error,
    hook::{Instance, Mark},
    live::Record,
    object::ObjectKey,
    plan::Outcome,
    service::Site,
    state::Uid,
};

/// Creates a hook's object, unless that was done before.
pub async fn start(site: &Site, hook: &Instance) -> Result<Outcome, Error> {
    let key = &hook.object.key;
    let live = match site.cluster.create(&hook.object).await? {
        Some(created) => created,
        None => match site.cluster.get(&hook.object).await? {
            Some(found) => found,
            None => return Err(Error::InTheWay { key: key.clone() }),
        },
    };
    let is_own = Mark::of(&live).is_some_and(|mark| *mark.attempt == *hook.mark);
    remember(site, key, &live).await;
    match is_own {
        true => Ok(Outcome::running(format!("{} created", key.resource_name()))),
        false => Err(Error::InTheWay { key: key.clone() }),
    }
}

/// Takes the finalizer off hooks.
pub async fn let_go(site: &Site, uid: &Uid, hooks: &[ObjectKey]) -> Result<(), Error> {
    for key in hooks {
        site.expect_own(uid)?;
        match site.cluster.remove_finalizer(key, HOOK_FINALIZER).await? {
            Some(live) if !is_gone(&live) => remember(site, key, &live).await,
            _ => drop(site.records(|records| records.remove(key))),
        }
    }
    Ok(())
}

/// Deletes hooks with what they made.
pub async fn discard(site: &Site, uid: &Uid, hooks: &[ObjectKey]) -> Result<(), Error> {
    for key in hooks {
        site.expect_own(uid)?;
        site.cluster.delete(key, Propagation::Background, false).await?;
        site.records(|records| records.set_deleting(key));
    }
    Ok(())
}

/// Whether nothing keeps an object that is being deleted.
fn is_gone(live: &Value) -> bool {
    let finalizers = live["metadata"]["finalizers"].as_array();
    live["metadata"].get("deletionTimestamp").is_some() && finalizers.is_none_or(Vec::is_empty)
}

async fn remember(site: &Site, key: &ObjectKey, live: &Value) {
    let rules = site.rules();
    let mut record = Record::of(key, live, None, None, &rules.tracking);
    record.overrule_health(site.settings.scripted_health(key, live).await);
    site.put_answer(key, record, &rules);
}
