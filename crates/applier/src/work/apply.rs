//! How one object is applied: merged, replaced as a whole, or made anew.
//!
//! What comes in: the object and what the sync options say of it. What goes out: what became of it, and its record.
//! What it does not do: wait. An object that is made anew is deleted here, and created once the watch says that it went.

use ithaca_api::{ResultCode, SyncOptions, sync_options::Propagation};

use crate::{cluster::Mode, desired::Desired, error::Error, live::Record, plan::Outcome, service::Site};

/// What the sync options say of an object.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// It is replaced as a whole.
    replace: bool,
    /// It is deleted and made anew where it cannot be changed; with `replace`, always.
    force: bool,
    /// Fields in which differences do not count keep their live values.
    respects_ignored: bool,
    mode: Mode<'a>,
}

impl<'a> Manner<'a> {
    /// By the options of an operation and of the object. `forces`: the operation's strategy says so for all.
    pub fn new(options: &SyncOptions, desired: &Desired, forces: bool, mode: Mode<'a>) -> Self {
        let respects_ignored = options.respect_ignore_differences();
        let options = options.overlaid_with(&desired.options);
        // A definition or a namespace that is deleted takes along all that lives by it.
        let holds_others = matches!(&*desired.key.kind, "CustomResourceDefinition" | "Namespace");
        let force = (forces || desired.options.force()) && !holds_others;
        Self { replace: options.replace(), force, respects_ignored, mode }
    }

    fn is_dry(self) -> bool {
        self.mode == Mode::DryRun
    }
}

/// Applies an object. None where its live form was deleted, to be made anew once it is gone.
pub async fn apply(
    site: &Site,
    desired: &Desired,
    manner: Manner<'_>,
    removed: bool,
) -> Result<Option<Outcome>, Error> {
    if manner.replace && manner.force && !manner.is_dry() && !removed && delete(site, desired).await? {
        return Ok(None);
    }
    let timer = site.metrics.apply_timer();
    let applied = write(site, desired, manner).await;
    site.metrics.applied(timer, applied.is_ok());
    match applied {
        Err(error) if error.is_unchangeable() && manner.force && !manner.is_dry() => {
            delete(site, desired).await?;
            Ok(None)
        }
        Err(error) => Err(error),
        Ok(verb) => {
            let suffix = if manner.is_dry() { " (dry run)" } else { "" };
            let message = format!("{} {verb}{suffix}", desired.key.resource_name());
            Ok(Some(Outcome::done(ResultCode::Synced, message)))
        }
    }
}

/// Tries whether an object could be applied as it is.
pub async fn rehearse(site: &Site, desired: &Desired, options: &SyncOptions) -> Result<(), Error> {
    write(site, desired, Manner::new(options, desired, false, Mode::DryRun)).await.map(drop)
}

/// Writes an object, and says how in a word.
async fn write(site: &Site, desired: &Desired, manner: Manner<'_>) -> Result<&'static str, Error> {
    let rules = site.rules();
    let respected = respected(site, desired, manner).await?;
    let wanted = respected.as_ref().unwrap_or(desired);
    let replaced = match manner.replace {
        true => site.cluster.replace(wanted, manner.is_dry()).await?,
        false => None,
    };
    let (live, unknown, verb) = match replaced {
        Some(live) => (live, Vec::new(), "replaced"),
        None => {
            let (live, unknown) = site.cluster.apply_known(wanted, manner.mode).await?;
            (live, unknown, "serverside-applied")
        }
    };
    if !manner.is_dry() {
        let mut record = Record::applied(&desired.key, &live, desired, &rules.tracking).with_unknown(unknown);
        record.overrule_health(site.settings.scripted_health(&desired.key, &live).await);
        site.put_answer(&desired.key, record, &rules);
    }
    Ok(verb)
}

/// The object with the live values where differences do not count, where it is to respect them and is there.
async fn respected(site: &Site, desired: &Desired, manner: Manner<'_>) -> Result<Option<Desired>, Error> {
    let ignored = desired.ignored.as_deref().filter(|_| manner.respects_ignored);
    let Some(ignored) = ignored else { return Ok(None) };
    let Some(live) = site.cluster.get(desired).await? else { return Ok(None) };
    let wanted = serde_json::from_str(desired.json.get()).unwrap_or_default();
    let rejected = |message: String| Error::Rejected { message, code: 422 };
    let Some(respected) = ignored.respected(&desired.key, &wanted, &live) else {
        return Err(rejected(ignored.fault().map(|fault| fault.message.clone()).unwrap_or_default()));
    };
    let json = serde_json::value::to_raw_value(&respected).map_err(|error| rejected(error.to_string()))?;
    Ok(Some(Desired { json: json.into(), ..desired.clone() }))
}

/// Deletes what is to be made anew. Returns whether there was anything.
async fn delete(site: &Site, desired: &Desired) -> Result<bool, Error> {
    let rules = site.rules();
    let Some(live) = site.cluster.get(desired).await? else { return Ok(false) };
    let key = &desired.key;
    let record = Record::of(key, &live, None, None, &rules.tracking);
    site.put_answer(key, record, &rules);
    site.cluster.delete(key, Propagation::Background, false).await?;
    site.records(|records| records.set_deleting(key));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::desired::{Owner, assemble};

    fn desired(kind: &str, options: &str) -> Desired {
        let metadata = json!({"name": "a", "annotations": {"argocd.argoproj.io/sync-options": options}});
        let manifest = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        let owner = Owner { namespace: "web".to_owned(), ..Owner::default() };
        let assembly = assemble(vec![manifest], &owner, &|_| Some(true));
        assembly.objects.first().map(|desired| desired.as_ref().clone()).expect("an object")
    }

    /// Whether it is replaced as a whole, and whether it is made anew.
    #[rstest]
    #[case::plain("ConfigMap", "", &[], false, (false, false))]
    #[case::object("ConfigMap", "Replace=true,Force=true", &[], false, (true, true))]
    #[case::operation("ConfigMap", "", &["Replace=true"], true, (true, true))]
    #[case::the_object_wins("ConfigMap", "Replace=false", &["Replace=true"], false, (false, false))]
    #[case::force_is_no_option_of_an_operation("ConfigMap", "", &["Force=true"], false, (false, false))]
    #[case::a_definition("CustomResourceDefinition", "Replace=true,Force=true", &[], true, (true, false))]
    #[case::a_namespace("Namespace", "Replace=true,Force=true", &[], true, (true, false))]
    fn options_say_how_an_object_is_written(
        #[case] kind: &str,
        #[case] own: &str,
        #[case] of_all: &[&str],
        #[case] forces: bool,
        #[case] expected: (bool, bool),
    ) {
        let mode = Mode::TakingOver { also: None };
        let manner = Manner::new(&SyncOptions::from_list(of_all), &desired(kind, own), forces, mode);
        assert_eq!((manner.replace, manner.force), expected);
    }
}
