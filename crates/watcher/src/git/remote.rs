//! One connection to a remote: list its references, and on the same connection fetch what is missing.
//! Everything here blocks.

use std::time::Instant;

use git2::{AutotagOption, Direction, FetchOptions, Oid, RemoteCallbacks, RemoteUpdateFlags};

use super::failure::explain;
use super::limits::{Limits, give_back};
use super::line::Line;
use super::refs::Refs;
use super::turns;
use crate::credentials::Access;
use crate::repository::{RepositoryError, RepositoryKey};

/// Where fetched references are kept, so that later fetches transfer only what is new.
const KEPT: &str = "refs/ithaca/";
/// The depth that ends a shallow history.
const WHOLE_HISTORY: i32 = i32::MAX;

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fetch {
    /// The newest commit of these references.
    Tips(Vec<String>),
    /// The same with their history.
    Histories(Vec<String>),
    /// One commit by its id, where the server allows that.
    Commit(Oid),
    /// All branches and tags with their history.
    Everything,
    /// The same for who looks for a commit, as far as the repository's Secret allows.
    Search,
    /// The same of a submodule's repository, apart from those of the repository itself: the name is where.
    EverythingOf(String),
}

/// Connects, lists the remote's references, asks `plan` what of them to fetch, and fetches it.
/// `listed` is called between the two with the time that listing took.
pub(super) fn exchange(
    cache: &git2::Repository,
    repository: &RepositoryKey,
    (access, line): (&Access, Line),
    limits: Limits,
    plan: impl FnOnce(&Refs) -> Option<Fetch>,
) -> Result<Refs, RepositoryError> {
    let _entered = line.enter();
    let started = Instant::now();
    let failed = |error: git2::Error| explain(repository, access, limits, &error);
    let cache_failed =
        |error: git2::Error| RepositoryError::of_cache(&repository.to_string(), error.message());
    let mut remote = cache.remote_anonymous(repository.url()).map_err(cache_failed)?;
    let refs = {
        let callbacks = callbacks(started, limits);
        let mut connection = remote.connect_auth(Direction::Fetch, Some(callbacks), None).map_err(failed)?;
        let listed = connection.list().map_err(failed)?;
        let refs = Refs::new(listed.iter().map(|head| (head.name(), head.oid(), head.symref_target())));
        let Some(fetch) = plan(&refs) else {
            return Ok(refs);
        };
        let depth = depth(&fetch, (repository.is_local(), cache.is_shallow()), access.settings.depth);
        let mut options = options(depth, started, limits);
        let turn = takes_much(&fetch, cache).then(|| turns::take(limits.call));
        let fetched = connection.remote().download(&refspecs(&fetch), Some(&mut options));
        give_back();
        drop(turn);
        fetched.map_err(failed)?;
        refs
    };
    remote.update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None).map_err(cache_failed)?;
    Ok(refs)
}

/// The local name under which a remote reference is kept.
pub(super) fn kept(name: &str) -> String {
    format!("{KEPT}{}", name.strip_prefix("refs/").unwrap_or(name))
}

fn refspecs(fetch: &Fetch) -> Vec<String> {
    match fetch {
        Fetch::Tips(names) | Fetch::Histories(names) => {
            names.iter().map(|name| format!("+{name}:{}", kept(name))).collect()
        }
        Fetch::Commit(id) => vec![format!("+{id}:{KEPT}commits/{id}")],
        Fetch::Everything | Fetch::Search => everything(KEPT),
        Fetch::EverythingOf(name) => everything(&format!("{KEPT}modules/{name}/")),
    }
}

fn everything(below: &str) -> Vec<String> {
    ["heads", "tags"].map(|kind| format!("+refs/{kind}/*:{below}{kind}/*")).to_vec()
}

/// Whether a fetch may bring more than what is new in a repository.
pub(super) fn takes_much(fetch: &Fetch, cache: &git2::Repository) -> bool {
    match fetch {
        Fetch::Tips(_) | Fetch::Commit(_) => {
            cache.references().map_or(true, |mut kept| kept.next().is_none())
        }
        Fetch::Histories(_) | Fetch::Everything | Fetch::Search | Fetch::EverythingOf(_) => true,
    }
}

/// How much of a history is fetched; none where that cannot be said.
///
/// Of what is named no more than the newest commit, whatever a Secret has as `depth`: rendering reads the files of one
/// commit, so a deeper history costs time and disk and gives nothing. Two need one. A project that asks for mode strict has
/// all of it judged, and `depth` does not count there: what is left out would be what nobody judges. And where a commit is
/// looked for that nothing points at, and that the server does not give by its id, `depth` says how far.
fn depth(fetch: &Fetch, (is_local, is_shallow): (bool, bool), limit: Option<u32>) -> Option<i32> {
    match (fetch, limit) {
        // Local paths refuse a depth.
        _ if is_local => None,
        (Fetch::Tips(_) | Fetch::Commit(_), _) => Some(1),
        (Fetch::Search, Some(limit)) => Some(i32::try_from(limit).unwrap_or(WHOLE_HISTORY)),
        (Fetch::Histories(_) | Fetch::Everything | Fetch::EverythingOf(_) | Fetch::Search, _) => {
            is_shallow.then_some(WHOLE_HISTORY)
        }
    }
}

fn options(depth: Option<i32>, started: Instant, limits: Limits) -> FetchOptions<'static> {
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks(started, limits))
        .download_tags(AutotagOption::None)
        .update_fetchhead(false);
    if let Some(depth) = depth {
        options.depth(depth);
    }
    options
}

/// Callbacks that end the call once it has taken too long: false means stop.
fn callbacks(started: Instant, limits: Limits) -> RemoteCallbacks<'static> {
    let deadline = started + limits.call;
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(move |_| Instant::now() < deadline);
    callbacks.sideband_progress(move |_| Instant::now() < deadline);
    callbacks
}
