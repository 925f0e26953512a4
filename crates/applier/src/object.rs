//! The names of objects: what identifies one, whichever version of its API it is read in.
//!
//! What comes in: JSON objects. What goes out: keys and kinds. No I/O.

use std::{fmt, ops::Deref, sync::Arc};

use serde_json::Value;

/// A kind in one version of its API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// API group; empty is the core group.
    pub group: String,
    /// API version, without the group.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl Kind {
    /// The kind that an object says it is.
    pub fn of(object: &Value) -> Option<Self> {
        let api_version = object.get("apiVersion")?.as_str()?;
        let kind = object.get("kind")?.as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Some(Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() })
    }

    /// The same kind in any version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }

    /// `group/version`, or `version` for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.api_version(), self.kind)
    }
}

/// A kind in any version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// API group; empty is the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
}

/// What identifies an object in a cluster. Each object has many who hold its key, so it is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<KeyParts>);

/// What a key consists of.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyParts {
    /// API group; empty is the core group.
    pub group: Box<str>,
    /// Kind.
    pub kind: Box<str>,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl ObjectKey {
    /// The key of an object of this kind.
    pub fn of(kind: &GroupKind, object: &Value) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
        Some(Self::new(&kind.group, &kind.kind, text("namespace"), text("name")))
    }

    /// A key from its parts.
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        let (group, kind, namespace, name) = (group.into(), kind.into(), namespace.into(), name.into());
        Self(Arc::new(KeyParts { group, kind, namespace, name }))
    }

    /// The kind in any version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.to_string(), kind: self.kind.to_string() }
    }

    /// `apps/Deployment/web`: as messages of Argo CD that scripts look for name objects.
    pub fn short_name(&self) -> String {
        format!("{}/{}/{}", self.group, self.kind, self.name)
    }

    /// `deployment.apps/web`, as kubectl names objects.
    pub fn resource_name(&self) -> String {
        let kind = self.kind.to_lowercase();
        match self.group.is_empty() {
            true => format!("{kind}/{}", self.name),
            false => format!("{kind}.{}/{}", self.group, self.name),
        }
    }
}

impl Deref for ObjectKey {
    type Target = KeyParts;

    fn deref(&self) -> &KeyParts {
        &self.0
    }
}

/// `apps/Deployment/web/web`: group, kind, namespace where there is one, name.
impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyParts { group, kind, namespace, name } = &**self;
        match namespace.is_empty() {
            true => write!(formatter, "{group}/{kind}/{name}"),
            false => write!(formatter, "{group}/{kind}/{namespace}/{name}"),
        }
    }
}

/// An annotation's value.
pub fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}
