//! The tracking id: the annotation that says which Application an object belongs to.
//! Written as `<application>:<group>/<kind>:<namespace>/<name>`.

/// Which object of which Application carries the id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrackingId {
    /// The Application as the id names it; see [`instance_name`].
    pub application: String,
    /// The object's API group; empty is the core group.
    pub group: String,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace; for cluster-scoped objects, the destination's.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl TrackingId {
    /// Reads an annotation's value; None where it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        // Names may hold colons (roles of Kubernetes itself do), the parts before them may not.
        let mut parts = text.splitn(3, ':');
        let (application, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, kind) = kind.split_once('/')?;
        let (namespace, name) = name.split_once('/')?;
        if application.is_empty() || kind.is_empty() || name.is_empty() {
            return None;
        }
        Some(Self {
            application: application.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for TrackingId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { application, group, kind, namespace, name } = self;
        write!(formatter, "{application}:{group}/{kind}:{namespace}/{name}")
    }
}

/// The Application's name in tracking ids: its namespace stands in front unless it lives in the
/// control plane's.
pub fn instance_name(name: &str, namespace: &str, control_plane_namespace: &str) -> String {
    if namespace.is_empty() || namespace == control_plane_namespace {
        name.to_owned()
    } else {
        format!("{namespace}_{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for text in [
            "web:apps/Deployment:shop/front",
            "web:/Service:shop/front",
            "web:rbac.authorization.k8s.io/ClusterRole:shop/system:reader",
            "team_web:/Namespace:/shop",
        ] {
            let id = TrackingId::parse(text).expect(text);
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "web", "web:apps/Deployment", "web:Deployment:a/b", ":/Service:a/b", "a:/S:b"] {
            assert_eq!(TrackingId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn applications_elsewhere_are_named_with_their_namespace() {
        assert_eq!(instance_name("web", "argocd", "argocd"), "web");
        assert_eq!(instance_name("web", "team", "argocd"), "team_web");
    }
}
