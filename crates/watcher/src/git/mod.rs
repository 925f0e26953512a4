//! Git: from a repository's URL and the revisions that applications name to commits, trees and files.
//!
//! What comes in: URLs and revisions. What goes out: commit ids, and their files in the cache. What it does
//! not do: know why a revision is asked for. All calls that block say so; the asynchronous rim is `GitRepository`.

mod failure;
mod http;
mod lfs;
mod limits;
mod line;
mod modules;
mod refs;
mod remote;
mod repository;
mod ssh;
mod turns;

pub use lfs::{LONGEST as LONGEST_POINTER, Objects, Pointer};
pub use limits::{Limits, prepare_process};
pub use repository::GitRepository;

#[cfg(test)]
mod tests;
