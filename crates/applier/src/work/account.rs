//! What is written for an application, as the account that the project names for it where the installation wants that:
//! the tasks of its operations, and the deletion of its objects. Looking, and the applier's own marks on hooks, are its own.

use ithaca_api::sync_options::Propagation;

use super::{objects, rehearse};
use crate::{cluster, error::Error, object::ObjectKey, service::Site, state::Uid};

/// Does these tasks of the operation under way. Without an account that could do them they fail, for the applier's own
/// may do more than the project wants.
pub async fn perform(shared: &Site, uid: &Uid, places: &[usize]) -> Result<(), Error> {
    match user(shared, uid) {
        Ok(user) => cluster::acting_as(user, Box::pin(objects::perform(shared, uid, places))).await,
        Err(reason) => {
            objects::refuse(shared, uid, places, &reason);
            Ok(())
        }
    }
}

/// Tries these tasks of the operation under way. Without an account there is nothing to try: they will be refused.
pub async fn rehearse(shared: &Site, uid: &Uid, places: &[usize]) {
    let (user, places) = match user(shared, uid) {
        Ok(user) => (user, places),
        Err(_) => (None, &[][..]),
    };
    cluster::acting_as(user, Box::pin(rehearse::rehearse(shared, uid, places))).await;
}

/// Deletes the objects of an application that goes. Without an account that could do it they stay.
pub async fn delete(
    shared: &Site,
    uid: &Uid,
    keys: &[ObjectKey],
    propagation: Propagation,
) -> Result<(), Error> {
    let user = user(shared, uid).map_err(|message| Error::Rejected { message, code: 403 })?;
    cluster::acting_as(user, Box::pin(objects::delete(shared, uid, keys, propagation))).await
}

/// The account that the project names; None where the applier acts itself.
fn user(shared: &Site, uid: &Uid) -> Result<Option<String>, String> {
    let state = shared.state();
    let there = state.clusters.get(shared.cluster.id());
    let (Some(app), Some(there)) = (state.apps.get(uid), there) else { return Ok(None) };
    state.projects.user(&app.application, there.spec.reference())
}
