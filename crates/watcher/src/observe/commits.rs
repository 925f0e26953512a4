//! Whether a commit or a tag is signed as a project asks, and what it descends from. Blocks on the cache of its repository.

use std::sync::Arc;

use git2::Oid;
use ithaca_api::project::{Depth, GitDemand};

use super::history::{Flaw, History, Vouched, Word};
use super::signed::wanted;
use crate::cache::Handle;
use crate::repository::{RepositoryError, RepositoryKey, Resolved, Tag};
use crate::signature::{Keyring, SignatureError, Signed, verify, vouches};

/// The commits of a repository, and what is asked of them.
pub(super) struct Commits<'a> {
    pub(super) handle: &'a Handle<'a>,
    pub(super) keyring: &'a Arc<Keyring>,
    pub(super) demand: &'a GitDemand,
    pub(super) repository: &'a RepositoryKey,
}

impl Commits<'_> {
    /// Judges what a revision is: the tag that it names or else its commit, and where that is asked, all history.
    pub(super) fn judge(
        &self,
        Resolved { commit, tag, .. }: &Resolved,
        now: i64,
        vouched: &Vouched,
    ) -> Result<(), String> {
        let (what, signed) = match tag {
            None => (format!("commit {commit}"), self.handle.signed_commit(commit).map_err(told)?),
            Some(tag) => (format!("tag {}", tag.name), self.tag(tag, commit)?),
        };
        let verified = verify(&signed, self.demand, self.keyring, Some(now));
        verified.map_err(|error| self.refused(&what, &error))?;
        match self.demand.depth {
            Depth::Head => Ok(()),
            Depth::Strict => {
                self.judge_history(Oid::from_str(commit).map_err(|error| error.to_string())?, vouched)
            }
        }
    }

    fn tag(&self, tag: &Tag, commit: &str) -> Result<Signed, String> {
        let reason = "calls itself otherwise within, or is for another commit: make the tag anew";
        let signed = self.handle.signed_tag(tag, commit).map_err(told)?;
        signed.ok_or_else(|| format!("tag {} of {} {reason}", tag.name, self.repository))
    }

    /// Judges a commit and all that it descends from.
    fn judge_history(&self, head: Oid, vouched: &Vouched) -> Result<(), String> {
        let known = vouched.of(self.repository, self.demand, self.keyring);
        let history = History {
            parents: &|commit| self.handle.parents(commit).map_err(told),
            judge: &|commit| self.word(head, commit),
            descends: &|commit, ancestor| self.handle.descends(commit, ancestor),
        };
        match history.check(head, &known) {
            Ok(()) => {
                vouched.add(self.repository, self.demand, self.keyring, head);
                Ok(())
            }
            Err(Flaw::Bad(_, reason)) => Err(reason),
            Err(Flaw::TooLong) => Err(format!(
                "commit {head} of {} descends from more commits than are judged at once; {SEAL}",
                self.repository
            )),
        }
    }

    /// How far the word of a commit goes, or why it is not good.
    fn word(&self, head: Oid, commit: Oid) -> Result<Word, String> {
        let what = if commit == head {
            format!("commit {commit}")
        } else {
            format!("commit {commit}, from which {head} descends,")
        };
        let absent = |error: RepositoryError| format!("{what} is not to be had: {error}");
        let signed = self.handle.signed_commit(&commit.to_string()).map_err(absent)?;
        // The head was judged by the time now, and vouches for what is before it by its hash.
        let verified = verify(&signed, self.demand, self.keyring, None);
        verified.map_err(|error| format!("{}; or {SEAL}", self.refused(&what, &error)))?;
        let is_seal = vouches(&self.handle.message(commit).map_err(told)?);
        Ok(if is_seal { Word::All } else { Word::Own })
    }

    fn refused(&self, what: &str, error: &SignatureError) -> String {
        let (keys, signers) = (self.demand.keys.as_deref(), self.demand.signers.as_deref());
        let keys = wanted(&[("OpenPGP keys", keys), ("SSH signers", signers)]);
        format!("{what} of {} {error}; {keys}", self.repository)
    }
}

/// What ends a search for who vouches.
const SEAL: &str = "vouch for all before it with a signed commit that has the trailer Argocd-gpg-seal";

fn told(error: RepositoryError) -> String {
    error.to_string()
}
