//! What is written for an application, as the account that the project names for it where the installation wants that:
//! the tasks of its operations, and the deletion of its objects. Looking, and the applier's own marks on hooks, are its own.

use ithaca_api::sync_options::Propagation;

use super::{objects, rehearse};
use crate::{cluster, error::Error, object::ObjectKey, service::Site, state::Uid};

/// Does these tasks of the operation under way. Without an account that could do them they fail, for the applier's own
/// may do more than the project wants.
pub async fn perform(site: &Site, uid: &Uid, places: &[usize]) -> Result<(), Error> {
    match user(site, uid) {
        Ok(user) => cluster::acting_as(user, Box::pin(objects::perform(site, uid, places))).await,
        Err(reason) => {
            objects::refuse(site, uid, places, &reason);
            Ok(())
        }
    }
}

/// Tries these tasks of the operation under way. Without an account there is nothing to try: they will be refused.
pub async fn rehearse(site: &Site, uid: &Uid, places: &[usize]) {
    let (user, places) = match user(site, uid) {
        Ok(user) => (user, places),
        Err(_) => (None, &[][..]),
    };
    cluster::acting_as(user, Box::pin(rehearse::rehearse(site, uid, places))).await;
}

/// Deletes the objects of an application that goes. Without an account that could do it they stay.
pub async fn delete(
    site: &Site,
    uid: &Uid,
    keys: &[ObjectKey],
    propagation: Propagation,
) -> Result<(), Error> {
    let user = user(site, uid).map_err(|message| Error::Rejected { message, code: 403 })?;
    cluster::acting_as(user, Box::pin(objects::delete(site, uid, keys, propagation))).await
}

/// The account that the project names; None where the applier acts itself.
fn user(site: &Site, uid: &Uid) -> Result<Option<String>, String> {
    let state = site.state();
    let there = state.clusters.get(site.cluster.id());
    let (Some(app), Some(there)) = (state.apps.get(uid), there) else { return Ok(None) };
    state.projects.user(&app.application, there.spec.reference())
}
