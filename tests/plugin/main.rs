//! A sample of a plugin: it renders each `*.settings` file of a folder, lines of `key=value`, to a ConfigMap.
//!
//! In: `proto/ithaca/v1/plugin.proto` on the socket that ITHACA_PLUGIN_SOCKET names, as the chart sets it. Out: manifests,
//! or what is wrong with which line. It touches no file but that socket.

mod settings;

use std::path::PathBuf;
use std::pin::Pin;

use anyhow::Context;
use futures::{Stream, StreamExt};
use ithaca_proto::v1::plugin_service_server::{PluginService, PluginServiceServer};
use ithaca_proto::v1::source_part::Part;
use ithaca_proto::v1::{
    DescribeRequest, DescribeResponse, DiscoverResponse, ManifestPart, ParameterAnnouncement,
    ParametersResponse, PluginSource, SourcePart,
};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::{Request, Response, Status, Streaming};

use settings::Settings;

/// Bytes of manifests in one message.
const PART: usize = 64 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let socket = std::env::var_os("ITHACA_PLUGIN_SOCKET").context("ITHACA_PLUGIN_SOCKET names no socket")?;
    let socket = PathBuf::from(socket);
    if socket.exists() {
        // A container that was started again finds the socket of the one before.
        std::fs::remove_file(&socket).context("failed to remove the old socket")?;
    }
    let listener = UnixListener::bind(&socket).context("failed to make the socket")?;
    let incoming = futures::stream::unfold(listener, async |listener| {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let mut terminate = signal(SignalKind::terminate())?;
    tonic::transport::Server::builder()
        .add_service(PluginServiceServer::new(Plugin))
        .serve_with_incoming_shutdown(incoming, async { terminate.recv().await.unwrap_or_default() })
        .await
        .context("failed to serve")
}

struct Plugin;

#[tonic::async_trait]
impl PluginService for Plugin {
    type GenerateStream = Pin<Box<dyn Stream<Item = Result<ManifestPart, Status>> + Send>>;

    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(DescribeResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            discovers: true,
            announces: true,
            uses_revision: false,
        }))
    }

    async fn discover(
        &self,
        request: Request<Streaming<SourcePart>>,
    ) -> Result<Response<DiscoverResponse>, Status> {
        let settings = read(request.into_inner()).await?;
        Ok(Response::new(DiscoverResponse { renders: !settings.is_empty() }))
    }

    async fn parameters(
        &self,
        _: Request<Streaming<SourcePart>>,
    ) -> Result<Response<ParametersResponse>, Status> {
        let prefix = ParameterAnnouncement {
            name: "name-prefix".to_owned(),
            title: "Prefix".to_owned(),
            tooltip: "what the names of ConfigMaps begin with".to_owned(),
            string: Some(String::new()),
            ..Default::default()
        };
        let labels = ParameterAnnouncement {
            name: "labels".to_owned(),
            title: "Labels".to_owned(),
            tooltip: "of all ConfigMaps".to_owned(),
            collection_type: "map".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(ParametersResponse { announcements: vec![prefix, labels] }))
    }

    async fn generate(
        &self,
        request: Request<Streaming<SourcePart>>,
    ) -> Result<Response<Self::GenerateStream>, Status> {
        let settings = read(request.into_inner()).await?;
        let manifests = settings.manifests().map_err(Status::invalid_argument)?;
        let parts: Vec<_> = manifests
            .as_bytes()
            .chunks(PART)
            .map(|chunk| Ok(ManifestPart { data: chunk.to_vec().into() }))
            .collect();
        Ok(Response::new(futures::stream::iter(parts).boxed()))
    }
}

/// What is sent of a source, as far as it concerns this plugin. A large file comes in parts.
async fn read(mut parts: Streaming<SourcePart>) -> Result<Settings, Status> {
    let mut settings = Settings::default();
    let mut file = Vec::new();
    while let Some(SourcePart { part }) = parts.message().await? {
        match part {
            Some(Part::Source(PluginSource { path, environment })) => {
                settings = Settings::of(path, environment).map_err(Status::invalid_argument)?;
            }
            Some(Part::File(part)) => {
                file.extend_from_slice(&part.data);
                if part.last {
                    settings.add(&part.path, &std::mem::take(&mut file));
                }
            }
            None => {}
        }
    }
    Ok(settings)
}
