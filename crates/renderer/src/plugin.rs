//! Plugins: containers beside the renderer that render sources of kinds of their own, each asked over a Unix socket.
//!
//! In: sources, and the folder in which each plugin has a folder of its name with its socket. Out: which plugins may
//! render a source, which of them does, and its manifests. It starts no plugin, and keeps nothing that one said: a
//! plugin is asked anew each time, so that another version of it is seen at once.

mod announcement;
mod call;
mod environment;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ithaca_api::source_type::SourceType;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use announcement::ParameterError;
pub use error::PluginError;

use crate::environment::Environment;
use crate::manifest;
use crate::request::{Request, SourceRequest};
use crate::sandbox::Limits;
use crate::source::Source;

/// The socket's name in a plugin's folder.
pub const SOCKET: &str = "plugin.sock";

/// A plugin, as it described itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    /// The name of its folder.
    pub name: String,
    /// Its version, which may be empty.
    pub version: String,
    /// Whether it tells by a source's files that it renders it.
    pub discovers: bool,
    /// Whether it announces parameters.
    pub announces: bool,
    /// Whether it is told the revision.
    pub uses_revision: bool,
    /// Where it listens.
    pub socket: PathBuf,
}

/// Which plugins a source is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// None.
    Nothing,
    /// The one of this name.
    Named(&'a str),
    /// Whichever takes it.
    Any,
}

impl<'a> Wanted<'a> {
    /// By what the source says, and by what the watcher found in its folder.
    pub fn by(source: &'a SourceRequest) -> Self {
        let spec = &source.spec;
        if spec.is_reference_only() {
            return Self::Nothing;
        }
        match (SourceType::explicit(spec), &spec.plugin) {
            (Ok(Some(SourceType::Plugin)), Some(plugin)) if !plugin.name.is_empty() => {
                Self::Named(&plugin.name)
            }
            (Ok(Some(SourceType::Plugin)), _) => Self::Any,
            (Ok(None), _) if source.discover => Self::Any,
            _ => Self::Nothing,
        }
    }
}

/// Whether plugins have to do with a request.
pub fn are_concerned(request: &Request) -> bool {
    let sources = request.sources.as_deref().unwrap_or_default();
    sources.iter().any(|source| Wanted::by(source) != Wanted::Nothing)
}

/// The plugins beside this renderer.
#[derive(Clone, Debug)]
pub struct Plugins {
    folder: PathBuf,
    limits: Limits,
    /// How many applications at once a plugin is asked about.
    parallel: usize,
    turns: Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>,
}

/// The right to ask plugins, until it goes.
pub type Turns = Vec<OwnedSemaphorePermit>;

impl Plugins {
    /// Those in `folder`, which need not be there.
    pub fn new(folder: PathBuf, limits: Limits, parallel: usize) -> Self {
        Self { folder, limits, parallel, turns: Arc::default() }
    }

    /// The plugins that may render a source, in the order in which they are asked.
    ///
    /// # Errors
    /// When there is none of the name that the source says, or one does not answer.
    pub async fn of(&self, source: &SourceRequest) -> Result<Vec<Plugin>, PluginError> {
        let wanted = Wanted::by(source);
        if wanted == Wanted::Nothing {
            return Ok(Vec::new());
        }
        let names = call::names(&self.folder)?;
        let Wanted::Named(wanted) = wanted else {
            let mut plugins = Vec::new();
            for name in &names {
                plugins.push(self.describe(name.clone()).await?);
            }
            plugins.retain(|plugin| plugin.discovers);
            let is_a_must = source.spec.plugin.is_some();
            return match plugins.is_empty() && is_a_must {
                true => Err(PluginError::NoneDiscovers { present: names }),
                false => Ok(plugins),
            };
        };
        for name in candidates(wanted, &names) {
            let plugin = self.describe(name.to_owned()).await?;
            if name == wanted || is_name_and_version(wanted, &plugin) {
                return Ok(vec![plugin]);
            }
        }
        Err(PluginError::Missing { name: wanted.to_owned(), present: names })
    }

    async fn describe(&self, name: String) -> Result<Plugin, PluginError> {
        let socket = self.folder.join(&name).join(SOCKET);
        call::describe(name, socket).await
    }

    /// Waits until these plugins may be asked: one that hangs is asked about few applications at once.
    pub async fn turns(&self, plugins: &[Vec<Plugin>]) -> Turns {
        // In the order of their names, so that nobody waits for somebody who waits.
        let names: BTreeSet<&str> = plugins.iter().flatten().map(|plugin| plugin.name.as_str()).collect();
        let mut turns = Turns::new();
        for name in names {
            let queue = {
                let mut queues = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
                let new = || Arc::new(Semaphore::new(self.parallel));
                queues.entry(name.to_owned()).or_insert_with(new).clone()
            };
            // It is never closed.
            turns.extend(queue.acquire_owned().await);
        }
        turns
    }

    /// The one of `plugins` that renders a source; none where other tools are to.
    ///
    /// # Errors
    /// When the source is for a plugin and none takes it, or one does not answer.
    pub async fn choose<'p>(
        &self,
        plugins: &'p [Plugin],
        source: &Source,
        environment: &Environment,
    ) -> Result<Option<&'p Plugin>, PluginError> {
        let wanted = Wanted::by(&source.request);
        if wanted == Wanted::Nothing {
            return Ok(None);
        }
        for plugin in plugins {
            let told = environment::of(&source.request.spec, environment, plugin.uses_revision);
            if !plugin.discovers || call::discover(plugin, source, told, self.limits.time).await? {
                return Ok(Some(plugin));
            }
        }
        match (wanted, plugins) {
            (Wanted::Named(name), _) => Err(PluginError::Declined { plugin: name.to_owned() }),
            (Wanted::Any, _) if source.request.spec.plugin.is_none() => Ok(None),
            _ => Err(PluginError::Undecided {
                asked: plugins.iter().map(|plugin| plugin.name.clone()).collect(),
            }),
        }
    }

    /// The manifests of a source.
    ///
    /// # Errors
    /// When the plugin refuses the source, does not do its work, or gives what are no manifests.
    pub async fn render(
        &self,
        plugin: &Plugin,
        source: &Source,
        environment: &Environment,
    ) -> Result<Vec<Value>, PluginError> {
        let spec = &source.request.spec;
        let told = environment::of(spec, environment, plugin.uses_revision);
        if plugin.announces {
            let announced = call::parameters(plugin, source, told.clone(), self.limits.time).await?;
            let given = spec.plugin.as_ref().map_or(&[][..], |plugin| &plugin.parameters);
            announcement::check(&announced, given)
                .map_err(|cause| PluginError::Parameter { plugin: plugin.name.clone(), cause })?;
        }
        let text = call::generate(plugin, source, told, self.limits).await?;
        let name = plugin.name.clone();
        // It takes the time of a processor.
        let read = tokio::task::spawn_blocking(move || read(&name, &text));
        read.await.map_err(|_| PluginError::Interrupted)?
    }
}

/// The objects in what a plugin gave.
fn read(plugin: &str, text: &[u8]) -> Result<Vec<Value>, PluginError> {
    let failed = |cause: String| PluginError::Manifests { plugin: plugin.to_owned(), cause };
    let text = std::str::from_utf8(text)
        .map_err(|error| failed(format!("failed to read its manifests as UTF-8: {error}")))?;
    let manifests = manifest::from_yaml(text, |_| "its manifests");
    match manifests.error {
        Some(error) => Err(failed(error.to_string())),
        None => Ok(manifests.objects),
    }
}

/// The plugins that a name may mean: the one of that name, else those of which it may be name and version.
fn candidates<'n>(wanted: &str, names: &'n [String]) -> Vec<&'n str> {
    let names = names.iter().map(String::as_str);
    if let Some(same) = names.clone().find(|name| *name == wanted) {
        return vec![same];
    }
    let begins = |name: &&str| wanted.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    names.filter(begins).collect()
}

/// Whether this is `name-version`, as Argo CD calls a plugin that has a version.
fn is_name_and_version(wanted: &str, plugin: &Plugin) -> bool {
    let rest = wanted.strip_prefix(plugin.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|version| !version.is_empty() && version == plugin.version)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use serde_json::json;

    use super::*;

    fn source(spec: Value, discover: bool) -> SourceRequest {
        let mut spec = spec;
        spec["repoURL"] = "r".into();
        let spec = serde_json::from_value(spec).expect("a source");
        SourceRequest { spec, discover, ..Default::default() }
    }

    #[test]
    fn a_source_is_for_the_plugin_that_it_names_or_for_any_or_for_none() {
        for (spec, discover, wanted) in [
            (json!({"plugin": {"name": "x"}}), false, Wanted::Named("x")),
            (json!({"plugin": {}}), false, Wanted::Any),
            (json!({"plugin": {"name": "x"}, "chart": "c"}), false, Wanted::Named("x")),
            (json!({}), false, Wanted::Nothing),
            (json!({}), true, Wanted::Any),
            (json!({"directory": {}}), true, Wanted::Nothing),
            (json!({"chart": "c"}), true, Wanted::Nothing),
            (json!({"helm": {}, "plugin": {}}), false, Wanted::Nothing),
            (json!({"ref": "values", "plugin": {}}), false, Wanted::Nothing),
        ] {
            assert_eq!(Wanted::by(&source(spec.clone(), discover)), wanted, "{spec} {discover}");
        }
    }

    #[test]
    fn a_name_is_a_plugins_own_or_its_name_and_version() {
        let names = ["a", "a-b", "c"].map(str::to_owned);
        for (wanted, found) in
            [("a-b", vec!["a-b"]), ("a-b-1", vec!["a", "a-b"]), ("ab", vec![]), ("c-", vec!["c"])]
        {
            assert_eq!(candidates(wanted, &names), found, "{wanted}");
        }
        let plugin = |name: &str, version: &str| Plugin {
            name: name.to_owned(),
            version: version.to_owned(),
            ..Plugin::default()
        };
        assert!(is_name_and_version("a-b-1", &plugin("a-b", "1")));
        assert!(!is_name_and_version("a-b-1", &plugin("a-b", "2")));
        assert!(is_name_and_version("a-b-1", &plugin("a", "b-1")));
        assert!(!is_name_and_version("a-", &plugin("a", "")));
    }

    #[tokio::test]
    async fn a_plugin_is_asked_about_so_many_at_once_and_others_do_not_wait_for_it() {
        let limits = Limits { time: Duration::from_secs(1), output: 1, memory: 1 };
        let plugins = Plugins::new(PathBuf::new(), limits, 1);
        let of = |name: &str| vec![Plugin { name: name.to_owned(), ..Plugin::default() }];
        let turn = plugins.turns(&[of("a"), of("a")]).now_or_never().expect("nobody is before");
        assert!(plugins.turns(&[of("b")]).now_or_never().is_some());
        assert!(plugins.turns(&[of("b"), of("a")]).now_or_never().is_none());
        drop(turn);
        assert!(plugins.turns(&[of("b"), of("a")]).now_or_never().is_some());
        assert!(plugins.turns(&[vec![]]).now_or_never().expect("nothing to wait for").is_empty());
    }

    #[test]
    fn what_are_no_manifests_is_told_with_its_place() {
        let good = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n";
        assert_eq!(read("x", good.as_bytes()).expect("objects").len(), 1);
        let bad = read("x", format!("{good}kind: Pod").as_bytes()).expect_err("no object").to_string();
        assert_eq!(
            bad,
            "plugin \"x\" gave what is no manifest: failed to read document 2 of its manifests: an object (Pod) has no apiVersion"
        );
        let bad = read("x", &[0xff]).expect_err("no text").to_string();
        assert!(bad.contains("UTF-8"), "{bad}");
    }
}
