//! The calls to plugins over their sockets: a source comes in, what the plugin answers goes out, within limits of time and
//! size. It decides nothing about the answers.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::Stream;
use ithaca_proto::v1::content_part::Mode;
use ithaca_proto::v1::plugin_service_client::PluginServiceClient;
use ithaca_proto::v1::source_part::Part;
use ithaca_proto::v1::{ContentPart, DescribeRequest, ParameterAnnouncement, PluginSource, SourcePart};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::Plugin;
use super::error::{PluginError, root};
use crate::sandbox::Limits;
use crate::source::Source;
use crate::tree::Entry;

/// What a plugin may take to say what it is.
const ANSWER: Duration = Duration::from_secs(5);

/// Bytes of a file in one message.
const PART: usize = 64 << 10;

/// The largest message of a plugin.
const MESSAGE: usize = 4 << 20;

/// The plugins in a folder, which need not be there: the names of the folders in it, in order.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, PluginError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(PluginError::Folder(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(PluginError::Folder)?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if entry.path().is_dir() && !name.is_empty() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Asks what it is.
pub(super) async fn describe(name: String, socket: PathBuf) -> Result<Plugin, PluginError> {
    let asking = async {
        let mut client = connect(&name, &socket).await?;
        let answer = client.describe(DescribeRequest {}).await;
        Ok(answer.map_err(|status| PluginError::of(&name, &status))?.into_inner())
    };
    let late = |_| {
        let cause = format!("it did not say within {} seconds what it is", ANSWER.as_secs());
        Err(PluginError::Unavailable { plugin: name.clone(), cause })
    };
    let said = tokio::time::timeout(ANSWER, asking).await.unwrap_or_else(late)?;
    let (version, discovers, announces) = (said.version, said.discovers, said.announces);
    Ok(Plugin { name, version, discovers, announces, uses_revision: said.uses_revision, socket })
}

/// Asks whether it renders the source.
pub(super) async fn discover(
    plugin: &Plugin,
    source: &Source,
    environment: HashMap<String, String>,
    time: Duration,
) -> Result<bool, PluginError> {
    let parts = parts(source, environment)?;
    let asking = async {
        let answer = connect(&plugin.name, &plugin.socket).await?.discover(parts).await;
        Ok(answer.map_err(|status| PluginError::of(&plugin.name, &status))?.into_inner().renders)
    };
    within(&plugin.name, time, asking).await
}

/// Asks which parameters the source may have.
pub(super) async fn parameters(
    plugin: &Plugin,
    source: &Source,
    environment: HashMap<String, String>,
    time: Duration,
) -> Result<Vec<ParameterAnnouncement>, PluginError> {
    let parts = parts(source, environment)?;
    let asking = async {
        let answer = connect(&plugin.name, &plugin.socket).await?.parameters(parts).await;
        Ok(answer.map_err(|status| PluginError::of(&plugin.name, &status))?.into_inner().announcements)
    };
    within(&plugin.name, time, asking).await
}

/// Asks for the manifests of the source.
pub(super) async fn generate(
    plugin: &Plugin,
    source: &Source,
    environment: HashMap<String, String>,
    limits: Limits,
) -> Result<Vec<u8>, PluginError> {
    let parts = parts(source, environment)?;
    let failed = |status: Status| PluginError::of(&plugin.name, &status);
    let asking = async {
        let answer = connect(&plugin.name, &plugin.socket).await?.generate(parts).await;
        let mut manifests = answer.map_err(failed)?.into_inner();
        let mut text = Vec::new();
        while let Some(part) = manifests.message().await.map_err(failed)? {
            if text.len() + part.data.len() > limits.output {
                return Err(PluginError::Output { plugin: plugin.name.clone(), limit: limits.output });
            }
            text.extend_from_slice(&part.data);
        }
        Ok(text)
    };
    within(&plugin.name, limits.time, asking).await
}

async fn within<T>(
    plugin: &str,
    time: Duration,
    asking: impl Future<Output = Result<T, PluginError>>,
) -> Result<T, PluginError> {
    let late = |_| Err(PluginError::Time { plugin: plugin.to_owned(), time });
    tokio::time::timeout(time, asking).await.unwrap_or_else(late)
}

async fn connect(plugin: &str, socket: &Path) -> Result<PluginServiceClient<Channel>, PluginError> {
    let unavailable = |cause: String| PluginError::Unavailable { plugin: plugin.to_owned(), cause };
    if !socket.exists() {
        return Err(unavailable("it has made no socket, so it may still be starting".to_owned()));
    }
    let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()));
    let connected = match endpoint {
        Ok(endpoint) => endpoint.connect().await,
        Err(error) => Err(error),
    };
    let not_there = |error| unavailable(format!("it does not listen on its socket ({})", root(&error)));
    let channel = connected.map_err(not_there)?;
    Ok(PluginServiceClient::new(channel).max_decoding_message_size(MESSAGE))
}

/// A source as it is sent. What is large goes in parts, none of which is a copy.
fn parts(
    source: &Source,
    environment: HashMap<String, String>,
) -> Result<impl Stream<Item = SourcePart> + Send + use<>, PluginError> {
    let begin = PluginSource { path: source.folder.clone(), environment };
    let mut files = Vec::new();
    for (path, entry) in source.tree.entries() {
        if matches!(entry, Entry::Link(_)) {
            // Once no link leads out by itself, none does together with others.
            source.tree.resolve(path)?;
        }
        files.push((path.to_owned(), entry.clone()));
    }
    let files = files.into_iter().flat_map(|(path, entry)| file(&path, entry)).map(Part::File);
    let parts = std::iter::once(Part::Source(begin)).chain(files);
    Ok(futures::stream::iter(parts.map(|part| SourcePart { part: Some(part) })))
}

fn file(path: &str, entry: Entry) -> Vec<ContentPart> {
    let (mode, data) = match entry {
        Entry::File { data, executable: false } => (Mode::File, data),
        Entry::File { data, executable: true } => (Mode::Executable, data),
        Entry::Link(target) => (Mode::Symlink, target.into()),
    };
    let count = data.len().div_ceil(PART).max(1);
    let part = |index: usize| ContentPart {
        path: path.to_owned(),
        mode: mode.into(),
        data: data.slice(index * PART..data.len().min((index + 1) * PART)),
        last: index + 1 == count,
    };
    (0..count).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_parts_and_an_empty_one_in_one() {
        let sizes = |size: usize| {
            let parts = file("a", Entry::File { data: vec![0; size].into(), executable: true });
            let told = |part: &ContentPart| part.path == "a" && part.mode() == Mode::Executable;
            assert!(parts.iter().all(told));
            parts.iter().map(|part| (part.data.len(), part.last)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(0), [(0, true)]);
        assert_eq!(sizes(PART), [(PART, true)]);
        assert_eq!(sizes(PART + 1), [(PART, false), (1, true)]);
        let link = file("a", Entry::Link("../b".into()));
        assert_eq!((link[0].mode(), &link[0].data[..]), (Mode::Symlink, &b"../b"[..]));
    }
}
