//! How long Git may take, how much memory its library may keep, and when that gives back the rest.

use std::time::Duration;

/// Limits of one call to a remote.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a connection may stay silent.
    pub silence: Duration,
    /// How long a whole call may take.
    pub call: Duration,
}

/// Prepares libgit2 for the whole process: how it speaks HTTP and SSH and how much it keeps in memory. To be
/// called once, before any other use of Git.
#[allow(unsafe_code)]
pub fn prepare_process() {
    const MIB: usize = 1 << 20;
    super::http::install();
    super::ssh::install();
    // SAFETY: these set plain numbers that libgit2 reads without locks; no other thread uses it yet.
    let outcomes = unsafe {
        [
            git2::opts::set_cache_max_size(4 * MIB as isize),
            git2::opts::set_mwindow_size(MIB),
            git2::opts::set_mwindow_mapped_limit(16 * MIB),
        ]
    };
    for error in outcomes.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "failed to set a limit of libgit2");
    }
}

/// Gives back the memory that libgit2 has freed. A fetch takes some megabytes in many small pieces, each thread from an
/// arena of its own; the C library keeps them for whoever fetches there next. It takes less than a millisecond.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
pub(super) fn give_back() {
    // SAFETY: any thread may ask for it at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries keep nothing to speak of.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() {}
