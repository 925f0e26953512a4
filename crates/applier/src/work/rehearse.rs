//! What is tried before an operation changes anything: whether its objects are wrong in themselves.
//!
//! What comes in: tasks. What goes out: the API server's word against them. Only what no other object, no webhook and no
//! moment could make right counts, for what is missing now may come with an earlier wave; what is refused for another
//! reason, or gets no answer, shows in its turn.

use futures::{FutureExt, StreamExt, stream};

use super::{
    apply,
    objects::{self, Plan},
};
use crate::{
    desired::Desired,
    error::Error,
    plan::{Effect, Task},
    service::Site,
    state::Uid,
};

/// Tries these tasks of the operation under way, and notes what is wrong with their objects.
pub async fn rehearse(site: &Site, uid: &Uid, places: &[usize]) {
    let Some(how) = objects::plan(site, uid, places) else { return };
    // Without their namespace there is no word on objects. Why it cannot be made is told when they are applied.
    let _ = objects::make_namespace(site, &how).await;
    let tasks = &how.tasks;
    let one = async |index: usize| Some((tasks[index].0, fault(site, &tasks[index].1, &how).await?));
    let tries = stream::iter(0..tasks.len()).map(|index| one(index).boxed());
    let answers: Vec<_> = tries.buffer_unordered(site.writes).collect().await;
    let mut faults: Vec<_> = answers.into_iter().flatten().collect();
    faults.sort();
    if let Some(run) = site.state().apps.get_mut(uid).and_then(|app| app.run.as_mut()) {
        run.rehearsed(faults);
    }
}

/// What is wrong with a task's object in itself.
async fn fault(site: &Site, task: &Task, how: &Plan) -> Option<String> {
    let (object, refusal) = match &task.effect {
        Effect::Apply(desired) => (&**desired, apply::rehearse(site, desired, &how.options).await.err()?),
        Effect::Hook(hook) => return fault_of_new(site, &hook.object).await.map(|error| error.to_string()),
        Effect::Prune(_) => return None,
    };
    // It may be just the live object that cannot become this one; it may be made anew, or be gone until then.
    let is_fault = refusal.is_fault_of_the_object() && fault_of_new(site, object).await.is_some();
    is_fault.then(|| refusal.to_string())
}

async fn fault_of_new(site: &Site, object: &Desired) -> Option<Error> {
    site.cluster.try_create(object).await.err().filter(Error::is_fault_of_the_object)
}
