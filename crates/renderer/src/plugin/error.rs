//! Why a plugin gave no manifests. In: what went wrong. Out: words for the user, and whether another try may help.

use std::time::Duration;

use ithaca_proto::v1::Failure;
use tonic::{Code, Status};

use super::announcement::ParameterError;
use crate::failure;
use crate::tree::TreeError;

/// So often a plugin is asked before it is told that it does not answer: it may only be starting.
const PATIENCE: u64 = 4;

/// Why a plugin gave no manifests.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The folder of plugins cannot be read.
    #[error("failed to look for plugins: {0}")]
    Folder(std::io::Error),
    /// There is none of that name.
    #[error(
        "failed to find plugin \"{name}\", and it is looked for again; {}: correct spec.source.plugin.name, or add the \
         plugin to renderer.plugins of the chart",
        there_are(.present)
    )]
    Missing {
        /// As the source has it.
        name: String,
        /// Those that are there.
        present: Vec<String>,
    },
    /// None is named, and there is none that looks for sources.
    #[error(
        "failed to find a plugin that looks for sources by itself, and it is looked for again; {}: name one in \
         spec.source.plugin.name, or add one to renderer.plugins of the chart",
        there_are(.present)
    )]
    NoneDiscovers {
        /// Those that are there.
        present: Vec<String>,
    },
    /// It does not answer, or breaks off.
    #[error(
        "failed to ask plugin \"{plugin}\", and it is asked again: {cause}; the logs of its container in the renderer's \
         pod may say why"
    )]
    Unavailable {
        /// Its name.
        plugin: String,
        /// What was seen.
        cause: String,
    },
    /// It does not end.
    #[error(
        "plugin \"{plugin}\" did not end within {} seconds, and it is asked again; the logs of its container in the \
         renderer's pod may say why, and the renderer's --render-time-limit allows more",
        .time.as_secs_f32()
    )]
    Time {
        /// Its name.
        plugin: String,
        /// The limit.
        time: Duration,
    },
    /// It says that the source is at fault.
    #[error("plugin \"{plugin}\" refuses the source: {message}")]
    Refused {
        /// Its name.
        plugin: String,
        /// What it said.
        message: String,
    },
    /// It is named, and says that it does not render such files.
    #[error(
        "plugin \"{plugin}\" says that it does not render what is in the source's folder: correct \
         spec.source.plugin.name or the files"
    )]
    Declined {
        /// Its name.
        plugin: String,
    },
    /// None is named, and none takes the source.
    #[error(
        "no plugin takes the source: name one in spec.source.plugin.name, or correct the source's files; asked were {}",
        .asked.join(", ")
    )]
    Undecided {
        /// Those that were asked.
        asked: Vec<String>,
    },
    /// A parameter.
    #[error("plugin \"{plugin}\": {cause}")]
    Parameter {
        /// The plugin's name.
        plugin: String,
        /// What is wrong with it.
        cause: ParameterError,
    },
    /// A link that leads out of the source's files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It said too much.
    #[error(
        "plugin \"{plugin}\" gave more than the limit of {limit} bytes; the renderer's --render-output-max-mib allows more"
    )]
    Output {
        /// Its name.
        plugin: String,
        /// Bytes.
        limit: usize,
    },
    /// What it said are no manifests.
    #[error("plugin \"{plugin}\" gave what is no manifest: {cause}")]
    Manifests {
        /// Its name.
        plugin: String,
        /// Why not.
        cause: String,
    },
    /// A thread of ours ended.
    #[error("failed to read the manifests of a plugin: interrupted")]
    Interrupted,
}

impl PluginError {
    /// What an answer means that is none.
    pub(super) fn of(plugin: &str, status: &Status) -> Self {
        let plugin = plugin.to_owned();
        match status.code() {
            Code::InvalidArgument | Code::FailedPrecondition => {
                Self::Refused { plugin, message: status.message().to_owned() }
            }
            Code::Unimplemented => {
                let cause = format!("it does not speak Ithaca's contract for plugins ({})", status.message());
                Self::Unavailable { plugin, cause }
            }
            _ => Self::Unavailable { plugin, cause: explained(status) },
        }
    }

    /// Whether the same source may fare better another time: the plugin is to blame, or we are.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Folder(_)
            | Self::Missing { .. }
            | Self::NoneDiscovers { .. }
            | Self::Unavailable { .. }
            | Self::Time { .. }
            | Self::Interrupted => true,
            Self::Refused { .. }
            | Self::Declined { .. }
            | Self::Undecided { .. }
            | Self::Parameter { .. }
            | Self::Tree(_)
            | Self::Output { .. }
            | Self::Manifests { .. } => false,
        }
    }

    /// What is told of a plugin that will be asked again, at the attempt of this number (from 1).
    pub fn to_tell(&self, attempt: u64) -> Option<Failure> {
        let is_told = match self {
            Self::Time { .. } => true,
            Self::Missing { .. } | Self::NoneDiscovers { .. } | Self::Unavailable { .. } => {
                attempt >= PATIENCE
            }
            _ => false,
        };
        is_told.then(|| failure::source(self.to_string()))
    }
}

/// What was said, and the first of its causes.
fn explained(status: &Status) -> String {
    let said = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    match std::error::Error::source(status).map(root) {
        Some(cause) if !said.contains(&cause) => format!("{said}: {cause}"),
        _ => said.to_owned(),
    }
}

/// What an error comes from in the end.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}

fn there_are(plugins: &[String]) -> String {
    match plugins {
        [] => "the renderer has none".to_owned(),
        plugins => format!("the renderer has {}", plugins.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_source_is_refused_and_all_else_is_the_plugins_and_tried_again() {
        let of = |code: Code| PluginError::of("x", &Status::new(code, "a.star:3: no such name"));
        let refused = of(Code::InvalidArgument);
        assert_eq!(refused.to_string(), "plugin \"x\" refuses the source: a.star:3: no such name");
        for code in [Code::InvalidArgument, Code::FailedPrecondition] {
            assert!(!of(code).is_ours() && of(code).to_tell(100).is_none(), "{code:?}");
        }
        for code in [
            Code::Unknown,
            Code::Unavailable,
            Code::Internal,
            Code::Unimplemented,
            Code::Cancelled,
            Code::OutOfRange,
        ] {
            assert!(of(code).is_ours(), "{code:?}");
        }
    }

    #[test]
    fn a_plugin_that_may_be_starting_is_waited_for_and_one_that_hangs_is_told_at_once() {
        let missing = PluginError::Missing { name: "x".into(), present: vec!["a".into(), "b".into()] };
        assert!(missing.to_tell(3).is_none());
        let told = missing.to_tell(4).expect("a failure").message;
        assert!(told.contains("plugin \"x\"") && told.contains("the renderer has a, b"), "{told}");
        let hangs = PluginError::Time { plugin: "x".into(), time: Duration::from_secs(30) };
        assert!(hangs.to_tell(1).is_some());
    }
}
