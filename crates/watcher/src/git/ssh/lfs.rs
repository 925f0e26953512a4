//! Where Git LFS has the files of a repository that is reached over SSH: its host says that to whom it knows.

use std::time::Duration;

use russh::ChannelMsg;

use super::address::Address;
use super::{SshLine, connect};
use crate::credentials::Access;
use crate::git::failure::explain;
use crate::git::limits::Limits;
use crate::repository::{RepositoryError, RepositoryKey};

/// The longest answer.
const LONGEST: usize = 64 << 10;
/// How much of what the host complains of is told.
const COMPLAINT: usize = 256;

/// What `git-lfs-authenticate` says on the repository's host.
pub(in crate::git) async fn lfs_server(
    repository: &RepositoryKey,
    access: &Access,
    limits: Limits,
) -> Result<Vec<u8>, RepositoryError> {
    let refused = |reason: String| RepositoryError::Lfs { repository: repository.to_string(), reason };
    let line = SshLine::new(access, limits.silence).map_err(|reason| refused(reason.to_owned()))?;
    let address = Address::parse(repository.url());
    let address = address.ok_or_else(|| refused("it is no address of a repository over SSH".to_owned()))?;
    let connected = connect(&line, &address, address.lfs_authenticate()).await;
    let (_session, mut channel) =
        connected.map_err(|failure| explain(repository, access, limits, &failure.into()))?;
    let (mut answer, mut complaint) = (Vec::new(), Vec::new());
    loop {
        match tokio::time::timeout(limits.silence, channel.wait()).await {
            Err(_) => return Err(late(repository, limits.silence)),
            Ok(Some(ChannelMsg::Data { data })) if answer.len() + data.len() <= LONGEST => {
                answer.extend_from_slice(&data);
            }
            Ok(Some(ChannelMsg::Data { .. })) => {
                return Err(refused("its host does not stop to answer".to_owned()));
            }
            Ok(Some(ChannelMsg::ExtendedData { data, .. })) => {
                let room = COMPLAINT.saturating_sub(complaint.len());
                complaint.extend_from_slice(&data[..data.len().min(room)]);
            }
            Ok(Some(ChannelMsg::Close) | None) => break,
            Ok(Some(_)) => {}
        }
    }
    if answer.is_empty() {
        let text = String::from_utf8_lossy(&complaint);
        let plain: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
        return Err(refused(format!("its host does not answer git-lfs-authenticate: {}", plain.trim())));
    }
    Ok(answer)
}

fn late(repository: &RepositoryKey, limit: Duration) -> RepositoryError {
    RepositoryError::Timeout { repository: repository.to_string(), limit }
}
