//! How objects say which Application they belong to: by the tracking id, an annotation, written as
//! `<application>:<group>/<kind>:<namespace>/<name>`, by a label with the Application's name, or by both; and which
//! installation that Application is of.

use std::collections::BTreeMap;

use crate::{annotation::INSTANCE_LABEL, customizations::Unreadable};

const METHOD: &str = "application.resourceTrackingMethod";
const LABEL: &str = "application.instanceLabelKey";
const INSTALLATION: &str = "installationID";
/// The longest value of a label.
const LONGEST: usize = 63;

/// How an installation tracks its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// By what.
    pub method: Method,
    /// The label that names the Application.
    pub label: String,
    /// What tells this installation from others; may be empty. Objects of others are not its own.
    pub installation: String,
}

/// By what objects are tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// The tracking id.
    #[default]
    Annotation,
    /// The tracking id; the label is there for people and other tools.
    AnnotationAndLabel,
    /// The label alone.
    Label,
}

impl Default for Tracking {
    fn default() -> Self {
        let label = INSTANCE_LABEL.to_owned();
        Self { method: Method::default(), label, installation: String::new() }
    }
}

impl Tracking {
    /// Reads the data of ConfigMap `argocd-cm`.
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
        let text = |key: &str| data.get(key).map(|text| text.trim()).unwrap_or_default();
        let method = match text(METHOD) {
            "" | "annotation" => Method::Annotation,
            "annotation+label" => Method::AnnotationAndLabel,
            "label" => Method::Label,
            other => {
                let reason = format!("{other:?} is not known; write annotation, annotation+label or label");
                return Err(Unreadable { key: METHOD.to_owned(), reason, protects: true });
            }
        };
        let label = Some(text(LABEL)).filter(|label| !label.is_empty()).unwrap_or(INSTANCE_LABEL);
        Ok(Self { method, label: label.to_owned(), installation: text(INSTALLATION).to_owned() })
    }

    /// Whether objects carry the tracking id, which then is what counts.
    pub fn annotates(&self) -> bool {
        self.method != Method::Label
    }

    /// Whether objects carry the label.
    pub fn labels(&self) -> bool {
        self.method != Method::Annotation
    }

    /// The label's value for an Application. One that is too long is cut where the label does not decide.
    pub fn label_value(&self, instance: &str) -> Result<String, String> {
        if instance.len() <= LONGEST {
            return Ok(instance.to_owned());
        }
        if !self.annotates() {
            return Err(format!(
                "{instance} is too long for the label {}: give the Application a name of at most {LONGEST} letters, or \
                 set {METHOD} to annotation or annotation+label",
                self.label
            ));
        }
        let cut: String = instance.chars().take(LONGEST).collect();
        Ok(cut.trim_end_matches(|last: char| !last.is_ascii_alphanumeric()).to_owned())
    }
}

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

    fn read(data: &[(&str, &str)]) -> Result<Tracking, Unreadable> {
        Tracking::read(&data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn the_method_is_read_and_a_misspelt_one_refused() {
        assert_eq!(read(&[]), Ok(Tracking::default()));
        let set = [(METHOD, "label"), (LABEL, "example.org/app"), (INSTALLATION, "east")];
        let tracking = Tracking {
            method: Method::Label,
            label: "example.org/app".to_owned(),
            installation: "east".to_owned(),
        };
        assert_eq!(read(&set), Ok(tracking));
        for (method, marks) in
            [("annotation", (true, false)), ("annotation+label", (true, true)), ("label", (false, true))]
        {
            let read = read(&[(METHOD, method), (LABEL, "")]);
            assert_eq!(read.map(|tracking| (tracking.annotates(), tracking.labels())), Ok(marks), "{method}");
        }
        let refused = read(&[(METHOD, "labels")]).expect_err("there is no such method").to_string();
        assert!(refused.contains(METHOD) && refused.contains("annotation+label"), "{refused}");
    }

    #[test]
    fn a_long_name_is_cut_only_where_the_label_does_not_decide() {
        let of = |method| Tracking { method, ..Tracking::default() };
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(9));
        assert_eq!(of(Method::AnnotationAndLabel).label_value(&long), Ok("a".repeat(62)));
        assert!(of(Method::Label).label_value(&long).expect_err("too long").contains("annotation+label"));
        assert_eq!(of(Method::Label).label_value("web"), Ok("web".to_owned()));
    }

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
        let parts = ["", "web", "web:apps/Deployment", "web:Deployment:a/b", "a:/S:b"];
        let empty = [":/Service:a/b", "web:apps/:a/b", "web:/Service:a/"];
        for text in parts.into_iter().chain(empty) {
            assert_eq!(TrackingId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn applications_elsewhere_are_named_with_their_namespace() {
        assert_eq!(instance_name("web", "argocd", "argocd"), "web");
        assert_eq!(instance_name("web", "team", "argocd"), "team_web");
    }
}
