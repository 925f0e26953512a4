//! One whole Application, and what happened to it: read when somebody looks.

use ithaca_api::Application;
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
};

use super::Site;
use crate::{error::Error, happening::Happening, summary::Key};

/// The object as the API has it, less the bookkeeping of field managers. Only what the watch shows is read, so
/// that a path never reaches further than the list does.
pub async fn object(site: &Site, key: &Key) -> Result<DynamicObject, Error> {
    if !site.board.has(key) {
        return Err(Error::NoApplication(key.clone()));
    }
    let resource = ApiResource::erase::<Application>(&());
    let api = Api::<DynamicObject>::namespaced_with(site.client.clone(), &key.namespace, &resource);
    match api.get_opt(&key.name).await {
        Ok(Some(mut object)) => {
            object.metadata.managed_fields = None;
            Ok(object)
        }
        Ok(None) => Err(Error::NoApplication(key.clone())),
        Err(source) => Err(Error::Read { key: key.clone(), source: Box::new(source) }),
    }
}

/// The object as an Application.
pub async fn application(site: &Site, key: &Key) -> Result<Application, Error> {
    let object = object(site, key).await?;
    serde_json::to_value(object)
        .and_then(serde_json::from_value)
        .map_err(|source| Error::Invalid { key: key.clone(), source })
}

/// What happened to an Application, the oldest first; none where it cannot be had.
pub async fn happenings(site: &Site, application: &Application) -> Option<Vec<Happening>> {
    let uid = application.metadata.uid.as_deref().unwrap_or_default();
    let events = site.events.history(uid).await?;
    Some(events.iter().filter_map(Happening::of).collect())
}
