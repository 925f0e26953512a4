//! The variables that users may write into parameters and file names: `$ARGOCD_APP_NAME` and its kin.
//! An application and its source come in, texts without variables go out. The process's own environment is not looked at.

use crate::request::SourceRequest;

/// Names that change with every commit: what uses them cannot be the same at two revisions.
const OF_THE_REVISION: &str = "ARGOCD_APP_REVISION";

/// Values by name.
#[derive(Clone, Debug)]
pub struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// What one source of an application may use.
    pub fn new(application: &str, namespace: &str, source: &SourceRequest) -> Self {
        let revision = &source.revision;
        let part = |length: usize| revision.get(..length).unwrap_or(revision).to_owned();
        Self(vec![
            ("ARGOCD_APP_NAME", application.to_owned()),
            ("ARGOCD_APP_NAMESPACE", namespace.to_owned()),
            ("ARGOCD_APP_REVISION", revision.clone()),
            ("ARGOCD_APP_REVISION_SHORT", part(7)),
            ("ARGOCD_APP_REVISION_SHORT_8", part(8)),
            ("ARGOCD_APP_SOURCE_REPO_URL", source.spec.repo_url.clone()),
            ("ARGOCD_APP_SOURCE_PATH", source.spec.path.clone()),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", source.spec.target_revision.clone()),
        ])
    }

    /// `text` with `$NAME` and `${NAME}` replaced; unknown names by nothing, `$$` by a dollar sign.
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            expanded.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                expanded.push_str(self.value(name));
                rest = after;
            } else {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                if end == 0 {
                    expanded.push('$');
                }
                expanded.push_str(self.value(&rest[..end]));
                rest = &rest[end..];
            }
        }
        expanded.push_str(rest);
        expanded
    }

    fn value(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

/// Whether the text uses a variable that changes with every commit.
pub fn depends_on_revision(text: &str) -> bool {
    text.contains(OF_THE_REVISION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain", "plain")]
    #[case("$ARGOCD_APP_NAME-x", "shop-x")]
    #[case("a${ARGOCD_APP_NAME}b", "ashopb")]
    #[case("$ARGOCD_APP_REVISION_SHORT", "0123456")]
    #[case("$HOME$UNKNOWN!", "!")]
    #[case("$$HOME", "$HOME")]
    #[case("5$ and ${", "5$ and ${")]
    fn variables_are_replaced(#[case] text: &str, #[case] expected: &str) {
        let source = SourceRequest { revision: "0123456789abcdef".to_owned(), ..Default::default() };
        assert_eq!(Environment::new("shop", "default", &source).expand(text), expected);
    }
}
