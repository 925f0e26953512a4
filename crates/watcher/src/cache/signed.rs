//! Commits and annotated tags as far as signatures need them: what was signed, and with what.

use git2::{ErrorCode, ObjectType, Oid};

use super::Handle;
use super::history::parents;
use crate::repository::{RepositoryError, Tag};
use crate::signature::Signed;

impl Handle<'_> {
    /// A commit, taken apart.
    pub fn signed_commit(&self, id: &str) -> Result<Signed, RepositoryError> {
        self.commit_parts(id).map_err(|error| self.cache.failed(&error))
    }

    /// A tag of a commit, taken apart. None where the tag calls itself otherwise or is for something else: a good
    /// signature must not be carried over to another name.
    pub fn signed_tag(&self, tag: &Tag, commit: &str) -> Result<Option<Signed>, RepositoryError> {
        self.tag_parts(tag, commit).map_err(|error| self.cache.failed(&error))
    }

    /// What a commit says.
    pub fn message(&self, id: Oid) -> Result<Vec<u8>, RepositoryError> {
        let commit = self.find_commit(id).map_err(|error| self.cache.failed(&error))?;
        Ok(commit.message_bytes().to_vec())
    }

    /// The parents of a commit, as it names them itself.
    pub fn parents(&self, id: Oid) -> Result<Vec<Oid>, RepositoryError> {
        parents(self, id).map_err(|error| self.cache.failed(&error))
    }

    /// Whether a commit descends from another.
    pub fn descends(&self, commit: Oid, ancestor: Oid) -> bool {
        self.graph_descendant_of(commit, ancestor).unwrap_or(false)
    }

    fn commit_parts(&self, id: &str) -> Result<Signed, git2::Error> {
        let commit = self.find_commit(Oid::from_str(id)?)?;
        let made = commit.time().seconds();
        match self.extract_signature(&commit.id(), None) {
            Ok((signature, payload)) => {
                let signature = Some(String::from_utf8_lossy(&signature).into_owned());
                Ok(Signed { payload: payload.to_vec(), signature, made })
            }
            Err(error) if error.code() == ErrorCode::NotFound => {
                Ok(Signed { payload: Vec::new(), signature: None, made })
            }
            Err(error) => Err(error),
        }
    }

    fn tag_parts(&self, tag: &Tag, commit: &str) -> Result<Option<Signed>, git2::Error> {
        let object = self.find_tag(Oid::from_str(&tag.id)?)?;
        let target = object.as_object().peel(ObjectType::Commit)?;
        if object.name_bytes() != tag.name.as_bytes() || target.id().to_string() != commit {
            return Ok(None);
        }
        let made = object.tagger().map_or(0, |tagger| tagger.when().seconds());
        Ok(Some(Signed::of_tag(self.odb()?.read(object.id())?.data(), made)))
    }
}
