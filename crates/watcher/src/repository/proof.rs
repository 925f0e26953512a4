//! What a repository shows for a revision beside its files, where projects ask for proof. Plain data, none of it
//! believed yet: `signature` judges it.

/// What was found for a revision. For a commit that is nothing but that all it descends from is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Proof {
    /// The manifest in a registry that the files are from.
    pub artifact: Option<Artifact>,
}

/// A manifest in a registry, and what lies beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Artifact {
    /// Its digest, by which the files were had.
    pub digest: String,
    /// Its bytes.
    pub manifest: Vec<u8>,
    /// What claims to be a signature of it.
    pub signatures: Vec<Attached>,
    /// Why there may be more, which could not be read.
    pub unread: Option<String>,
}

/// A claim to be a signature, in one of the forms that cosign writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attached {
    /// A payload, and its signature in Base64.
    Simple {
        /// What was signed.
        payload: Vec<u8>,
        /// The signature.
        signature: String,
    },
    /// A bundle in JSON.
    Bundle(Vec<u8>),
}
