//! From a request and the content of its sources to a bundle: each source by its own tool, all objects in one list.
//!
//! It does not fetch, cache or publish; duplicates and default namespaces are the applier's to judge.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ithaca_api::source_type::{AmbiguousSource, SourceType};
use ithaca_api::without_credentials;
use ithaca_proto::v1::Failure;
use serde_json::Value;

use crate::bundle::{Bundle, BundleError};
use crate::directory::{self, DirectoryError};
use crate::environment;
use crate::failure;
use crate::helm::{self, HelmError, Release};
use crate::jsonnet::{self, JsonnetError};
use crate::kustomize::{self, KustomizeError};
use crate::plugin::{Plugin, PluginError, Plugins, Turns};
use crate::request::{Request, SourceRequest};
use crate::sandbox::{Limits, Sandbox, SandboxError};
use crate::source::Source;
use crate::tree::{self, Found, Tree, TreeError};

/// Why a source gives no manifests.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// More than one tool is named.
    #[error(transparent)]
    Ambiguous(#[from] AmbiguousSource),
    /// A plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A path that leads out.
    #[error("failed to read the source's path: {0}")]
    Path(TreeError),
    /// Nothing is there.
    #[error("failed to find the path \"{path}\" in {repository} at {revision}")]
    Missing {
        /// As the spec has it.
        path: String,
        /// The repository's URL, without credentials.
        repository: String,
        /// The commit.
        revision: String,
    },
    /// A plain folder.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Programs in a plain folder.
    #[error(transparent)]
    Jsonnet(#[from] JsonnetError),
    /// A chart.
    #[error(transparent)]
    Helm(#[from] HelmError),
    /// An overlay.
    #[error(transparent)]
    Kustomize(#[from] KustomizeError),
    /// The private folder.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A thread of ours ended.
    #[error("failed to render the source: interrupted")]
    Interrupted,
}

/// Why an application has no bundle.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// One of its sources; `which` is empty where there is only one.
    #[error("{which}{cause}")]
    Source {
        /// Which source it was, for people.
        which: String,
        /// Why.
        cause: SourceError,
    },
    /// All of them together.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// What became of an application's sources.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The manifests.
    pub bundle: Bundle,
    /// Which tool each source took; none where a source only lends its files.
    pub source_types: Vec<Option<SourceType>>,
}

/// The tools, and what they may use.
#[derive(Clone, Debug)]
pub struct Renderer {
    /// The real helm.
    pub helm: PathBuf,
    /// The real kustomize.
    pub kustomize: PathBuf,
    /// Its versions that an Application may ask for, by what an Application calls them.
    pub kustomize_versions: BTreeMap<String, PathBuf>,
    /// Our own binary, which evaluates Jsonnet.
    pub ithaca: PathBuf,
    /// Where private folders are made.
    pub work_dir: PathBuf,
    /// Of each run of a tool; `output` also bounds the bundle.
    pub limits: Limits,
    /// Tools that are beside us.
    pub plugins: Plugins,
}

impl Renderer {
    /// The plugins that may render each of `sources`.
    ///
    /// # Errors
    /// The first error of any source.
    pub async fn plugins(&self, sources: &[SourceRequest]) -> Result<Vec<Vec<Plugin>>, RenderError> {
        let mut plugins = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            let found = self.plugins.of(source).await.map_err(SourceError::Plugin);
            plugins.push(found.map_err(|cause| {
                let which = describe(index, sources.len(), source);
                RenderError::Source { which, cause }
            })?);
        }
        Ok(plugins)
    }

    /// Waits until these plugins may be asked.
    pub async fn turns(&self, plugins: &[Vec<Plugin>]) -> Turns {
        self.plugins.turns(plugins).await
    }

    /// Renders `sources`, each with its tree and the plugins that may render it, in order.
    ///
    /// # Errors
    /// The first error of any source.
    pub async fn render(
        &self,
        request: &Request,
        sources: Vec<(SourceRequest, Arc<Tree>, Vec<Plugin>)>,
    ) -> Result<Rendered, RenderError> {
        let count = sources.len();
        let mut placed = Vec::with_capacity(count);
        let mut plugins = Vec::with_capacity(count);
        for (index, (source, tree, beside)) in sources.into_iter().enumerate() {
            plugins.push(beside);
            let described = describe(index, count, &source);
            let source = place(index, source, tree);
            placed.push(source.map_err(|cause| RenderError::Source { which: described, cause })?);
        }
        let mut objects = Vec::new();
        let mut source_types = Vec::with_capacity(count);
        for (index, source) in placed.iter().enumerate() {
            let rendered = self.source(request, &placed, index, &plugins[index]).await;
            let (kind, manifests) = rendered.map_err(|error| RenderError::Source {
                which: describe(index, count, &source.request),
                cause: error,
            })?;
            source_types.push(kind);
            objects.extend(manifests);
        }
        Ok(Rendered { bundle: Bundle::pack(&objects, self.limits.output)?, source_types })
    }

    async fn source(
        &self,
        request: &Request,
        sources: &[Source],
        index: usize,
        plugins: &[Plugin],
    ) -> Result<(Option<SourceType>, Vec<Value>), SourceError> {
        let source = &sources[index];
        if source.request.spec.is_reference_only() {
            return Ok((None, Vec::new()));
        }
        let folder = source.tree.resolve(&source.folder).map_err(SourceError::Path)?;
        let environment = environment::of(request, &source.request);
        if let Some(plugin) = self.plugins.choose(plugins, source, &environment).await? {
            let objects = self.plugins.render(plugin, source, &environment).await?;
            return Ok((Some(SourceType::Plugin), objects));
        }
        let kind = SourceType::detect(&source.request.spec, request.tools, source.tree.file_names(&folder))?;
        let objects = match kind {
            SourceType::Directory => self.directory(source, &environment, request.tools.jsonnet).await?,
            SourceType::Helm => {
                let shared = sources.iter().filter(|other| !other.request.spec.reference.is_empty());
                let sandbox = self.sandbox(std::iter::once(source).chain(shared))?;
                let release = Release {
                    name: &request.application.name,
                    namespace: &request.destination_namespace,
                    capabilities: &request.capabilities,
                };
                helm::render(&self.helm, &sandbox, sources, index, release, &environment).await?
            }
            SourceType::Kustomize => {
                let sandbox = self.sandbox(std::iter::once(source))?;
                let tools = kustomize::Tools {
                    kustomize: &self.kustomize,
                    versions: &self.kustomize_versions,
                    helm: &self.helm,
                    capabilities: &request.capabilities,
                };
                kustomize::render(tools, &sandbox, source, &environment).await?
            }
            SourceType::Plugin => return Err(PluginError::Undecided { asked: Vec::new() }.into()),
        };
        Ok((Some(kind), objects))
    }

    /// Plain folders need no disk and no program, but for those in Jsonnet.
    async fn directory(
        &self,
        source: &Source,
        environment: &environment::Environment,
        has_programs: bool,
    ) -> Result<Vec<Value>, SourceError> {
        let options = source.request.spec.directory.clone().unwrap_or_default();
        let programs = directory::programs(&source.tree, &source.folder, &options)?;
        let mut evaluated = BTreeMap::new();
        if !has_programs {
            // Those that are not to be evaluated give nothing.
            evaluated = programs.into_iter().map(|path| (path, "[]".to_owned())).collect();
        } else if !programs.is_empty() {
            let sandbox = self.sandbox(std::iter::once(source))?;
            evaluated = jsonnet::render(&self.ithaca, &sandbox, source, programs, environment).await?;
        }
        let source = source.clone();
        let work = move || directory::render(&source.tree, &source.folder, &options, &evaluated);
        // It takes the time of a processor.
        let rendered = tokio::task::spawn_blocking(work).await.map_err(|_| SourceError::Interrupted)?;
        Ok(rendered?)
    }

    fn sandbox<'a>(&self, sources: impl Iterator<Item = &'a Source>) -> Result<Sandbox, SandboxError> {
        let sandbox = Sandbox::create(&self.work_dir, self.limits)?;
        let mut written = Vec::new();
        for source in sources {
            if !written.contains(&source.index) {
                sandbox.materialise(&Source::root(source.index), &source.tree)?;
                written.push(source.index);
            }
        }
        Ok(sandbox)
    }
}

/// Finds where a source begins in its tree.
fn place(index: usize, request: SourceRequest, tree: Arc<Tree>) -> Result<Source, SourceError> {
    let folder = tree::plain(&request.spec.path).map_err(SourceError::Path)?;
    let found = tree.find(&folder).map_err(SourceError::Path)?;
    if found != Found::Folder && !request.spec.is_reference_only() {
        return Err(SourceError::Missing {
            path: request.spec.path,
            repository: without_credentials(&request.spec.repo_url),
            revision: request.revision,
        });
    }
    Ok(Source { index, request, tree, folder })
}

/// How errors tell the sources of one application apart.
fn describe(index: usize, count: usize, source: &SourceRequest) -> String {
    match (count, source.spec.name.as_str()) {
        (1, _) => String::new(),
        (_, "") => format!("source {} of {count}: ", index + 1),
        (_, name) => format!("source {} of {count} ({name}): ", index + 1),
    }
}

impl RenderError {
    /// The failure as a fact for the user, or nothing where the machine is to blame and another try may do.
    pub fn as_failure(&self) -> Option<Failure> {
        let message = self.to_string();
        match self {
            Self::Bundle(BundleError::Compress(_)) => None,
            Self::Bundle(BundleError::TooLarge { .. }) => Some(failure::source(message)),
            Self::Source { cause, .. } => match cause {
                SourceError::Plugin(error) => (!error.is_ours()).then(|| failure::source(message)),
                SourceError::Ambiguous(_)
                | SourceError::Path(TreeError::Path(_))
                | SourceError::Kustomize(KustomizeError::Version { .. }) => {
                    Some(failure::invalid_spec(message))
                }
                SourceError::Path(_) | SourceError::Missing { .. } | SourceError::Directory(_) => {
                    Some(failure::source(message))
                }
                SourceError::Jsonnet(_)
                | SourceError::Helm(_)
                | SourceError::Kustomize(_)
                | SourceError::Sandbox(_) => {
                    let is_ours = cause.sandbox().is_some_and(SandboxError::is_ours);
                    (!is_ours).then(|| failure::source(message))
                }
                SourceError::Interrupted => None,
            },
        }
    }

    /// What is told of a failure that may be none of the input's, while it is tried again; `attempt` counts from 1.
    pub fn to_tell(&self, attempt: u64) -> Option<Failure> {
        match self {
            Self::Source { which, cause: SourceError::Plugin(error) } => {
                let failure = error.to_tell(attempt)?;
                Some(Failure { message: format!("{which}{}", failure.message), ..failure })
            }
            Self::Source { .. } if self.met_a_bound() => self.as_failure(),
            Self::Source { .. } | Self::Bundle(_) => None,
        }
    }

    /// Whether a program passed a bound, as it may have done because of all else that ran.
    pub fn met_a_bound(&self) -> bool {
        self.as_failure().is_some() && !self.is_certain()
    }

    /// Whether the same input will surely fail in the same way.
    pub fn is_certain(&self) -> bool {
        let sandbox = match self {
            Self::Source { cause, .. } => cause.sandbox(),
            Self::Bundle(_) => None,
        };
        sandbox.map_or_else(|| self.as_failure().is_some(), SandboxError::is_certain)
    }
}

impl SourceError {
    /// What a program or its folder is to blame for.
    fn sandbox(&self) -> Option<&SandboxError> {
        match self {
            Self::Helm(error) => error.sandbox(),
            Self::Jsonnet(error) => error.sandbox(),
            Self::Kustomize(error) => error.sandbox(),
            Self::Sandbox(error) => Some(error),
            Self::Ambiguous(_)
            | Self::Plugin(_)
            | Self::Path(_)
            | Self::Missing { .. }
            | Self::Directory(_)
            | Self::Interrupted => None,
        }
    }
}
