//! The tasks of an operation, done as the account that the project names for it where the installation wants that.

use super::objects;
use crate::{cluster, error::Error, service::Site, state::Uid};

/// Does these tasks of the operation under way. Without an account that could do them they fail, for the applier's own
/// may do more than the project wants.
pub async fn perform(shared: &Site, uid: &Uid, places: &[usize]) -> Result<(), Error> {
    let user = {
        let state = shared.state();
        let Some(app) = state.apps.get(uid) else { return Ok(()) };
        state.projects.user(&app.application)
    };
    match user {
        Ok(user) => cluster::acting_as(user, Box::pin(objects::perform(shared, uid, places))).await,
        Err(reason) => {
            objects::refuse(shared, uid, places, &reason);
            Ok(())
        }
    }
}
