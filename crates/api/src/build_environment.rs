//! The variables that users may write into parameters and file names of a source: `$ARGOCD_APP_NAME` and its kin.
//! Values come in by name, texts without variables go out. The process's own environment is not looked at.

/// Variables that change with every commit: what uses them cannot be the same at two revisions.
pub const REVISION: [&str; 3] =
    ["ARGOCD_APP_REVISION", "ARGOCD_APP_REVISION_SHORT", "ARGOCD_APP_REVISION_SHORT_8"];
/// Variables that tell what the destination offers.
pub const OFFER: [&str; 2] = ["KUBE_VERSION", "KUBE_API_VERSIONS"];

/// What is known of an application and one of its sources.
#[derive(Clone, Copy, Debug, Default)]
pub struct Build<'a> {
    /// The Application as [`crate::tracking::instance_name`] names it.
    pub application: &'a str,
    /// spec.destination.namespace.
    pub namespace: &'a str,
    /// The project's name.
    pub project: &'a str,
    /// The source's repository as the spec has it.
    pub repo_url: &'a str,
    /// The source's path as the spec has it.
    pub path: &'a str,
    /// The source's target revision as the spec has it.
    pub target_revision: &'a str,
}

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// What is the same at every revision and destination.
    pub fn new(build: Build<'_>) -> Self {
        let Build { application, namespace, project, repo_url, path, target_revision } = build;
        let values = [
            ("ARGOCD_APP_NAME", application),
            ("ARGOCD_APP_NAMESPACE", namespace),
            ("ARGOCD_APP_PROJECT_NAME", project),
            ("ARGOCD_APP_SOURCE_REPO_URL", repo_url),
            ("ARGOCD_APP_SOURCE_PATH", path),
            ("ARGOCD_APP_SOURCE_TARGET_REVISION", target_revision),
        ];
        Self(values.map(|(name, value)| (name, value.to_owned())).into())
    }

    /// The same at a revision: the full commit id, digest or version.
    pub fn at(mut self, revision: &str) -> Self {
        let part = |length: usize| revision.get(..length).unwrap_or(revision);
        let values = [revision, part(7), part(8)];
        self.0.extend(REVISION.into_iter().zip(values.map(str::to_owned)));
        self
    }

    /// The same for a destination of this version that serves these APIs.
    pub fn on(mut self, kube_version: &str, api_versions: &[String]) -> Self {
        let version = plain_version(kube_version).unwrap_or_default();
        self.0.extend(OFFER.into_iter().zip([version, api_versions.join(",")]));
        self
    }

    /// All variables with their values.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// `text` with `$NAME` and `${NAME}` replaced; unknown names by nothing, `$$` by a dollar sign.
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        for part in parts(text) {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Variable("$") => expanded.push('$'),
                Part::Variable(name) => expanded.push_str(self.value(name).unwrap_or_default()),
            }
        }
        expanded
    }

    /// As [`Self::expand`]; None where the text uses a variable that is not known here.
    pub fn expand_known(&self, text: &str) -> Option<String> {
        let is_known = |name: &str| self.value(name).is_some() || !is_variable(name);
        let known = variables(text).all(is_known);
        known.then(|| self.expand(text))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// True for the names of variables that some build knows.
fn is_variable(name: &str) -> bool {
    name.starts_with("ARGOCD_APP_") || OFFER.contains(&name)
}

/// True for a text that begins with a variable that no build knows.
pub fn begins_with_unknown(text: &str) -> bool {
    text.starts_with('$') && variables(text).next().is_some_and(|name| !is_variable(name))
}

/// The names of the variables that a text uses.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Variable(name) if name != "$" => Some(name),
        _ => None,
    })
}

/// A version of Kubernetes as build tools take it: its numbers, without what a distribution adds (`v1.37.2+k3s1` is
/// `1.37.2`). None where there are no two numbers.
pub fn plain_version(version: &str) -> Option<String> {
    let version = version.trim().trim_start_matches('v');
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let plain = version[..end].trim_end_matches('.');
    let numbers = plain.split('.').filter(|number| !number.is_empty()).count();
    (numbers > 1 && numbers == plain.split('.').count()).then(|| plain.to_owned())
}

/// A piece of a text.
enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// A variable's name; a dollar sign stands for itself.
    Variable(&'a str),
}

/// The pieces of a text. As with a shell, a character that is no letter is a name by itself, and braces without a name
/// or without an end are dropped.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let dollar = rest.find('$').unwrap_or(rest.len());
        let after = rest.get(dollar + 1..).unwrap_or_default();
        let (part, left) = match dollar {
            _ if rest.is_empty() => return None,
            0 if after.is_empty() => (Part::Text(rest), ""),
            0 => variable(rest, after),
            _ => (Part::Text(&rest[..dollar]), &rest[dollar..]),
        };
        rest = left;
        Some(part)
    })
}

/// What `text`, which begins with a dollar sign, begins with, and what is left of it; `after` is what follows the sign.
fn variable<'a>(text: &'a str, after: &'a str) -> (Part<'a>, &'a str) {
    if let Some(braced) = after.strip_prefix('{') {
        return match braced.split_once('}') {
            Some(("", left)) => (Part::Text(""), left),
            Some((name, left)) => (Part::Variable(name), left),
            None => (Part::Text(""), braced),
        };
    }
    let is_special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = match after.starts_with(is_special) {
        true => 1,
        false => after.find(|c| !is_name(c)).unwrap_or(after.len()),
    };
    match end {
        0 => (Part::Text(&text[..1]), after),
        _ => (Part::Variable(&after[..end]), &after[end..]),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shop() -> Environment {
        Environment::new(Build {
            application: "shop",
            namespace: "store",
            project: "retail",
            repo_url: "https://git.example/shop",
            path: "charts/shop",
            target_revision: "main",
        })
    }

    #[rstest]
    #[case("plain", "plain")]
    #[case("$ARGOCD_APP_NAME-x", "shop-x")]
    #[case("a${ARGOCD_APP_NAME}b", "ashopb")]
    #[case("$ARGOCD_APP_NAME_X", "")]
    #[case("$ARGOCD_APP_NAMESPACE/$ARGOCD_APP_PROJECT_NAME", "store/retail")]
    #[case("$ARGOCD_APP_SOURCE_REPO_URL $ARGOCD_APP_SOURCE_PATH", "https://git.example/shop charts/shop")]
    #[case("$ARGOCD_APP_SOURCE_TARGET_REVISION", "main")]
    #[case("$ARGOCD_APP_REVISION", "0123456789abcdef")]
    #[case("$ARGOCD_APP_REVISION_SHORT $ARGOCD_APP_REVISION_SHORT_8", "0123456 01234567")]
    #[case("$KUBE_VERSION $KUBE_API_VERSIONS", "1.37.2 v1,apps/v1")]
    #[case("$HOME$UNKNOWN!", "!")]
    #[case("$$HOME $${ARGOCD_APP_NAME}", "$HOME ${ARGOCD_APP_NAME}")]
    #[case("5$ and $ and ä$ö", "5$ and $ and ä$ö")]
    #[case("$5.00 $!x $*", ".00 x ")]
    #[case("a${}b ${ARGOCD_APP_NAME", "ab ARGOCD_APP_NAME")]
    #[case("$", "$")]
    fn variables_are_replaced_as_argo_cd_replaces_them(#[case] text: &str, #[case] expected: &str) {
        let environment =
            shop().at("0123456789abcdef").on("v1.37.2+k3s1", &["v1".to_owned(), "apps/v1".to_owned()]);
        assert_eq!(environment.expand(text), expected);
    }

    #[test]
    fn what_is_not_known_yet_is_told() {
        assert_eq!(shop().expand_known("$ARGOCD_APP_NAME$HOME.yaml").as_deref(), Some("shop.yaml"));
        for text in ["$ARGOCD_APP_REVISION.yaml", "${ARGOCD_APP_REVISION_SHORT}", "$KUBE_VERSION"] {
            assert_eq!(shop().expand_known(text), None, "{text}");
        }
        assert_eq!(shop().at("1").expand_known("$ARGOCD_APP_REVISION").as_deref(), Some("1"));
    }

    #[test]
    fn a_text_may_begin_with_what_no_build_knows() {
        for (text, expected) in [
            ("$values/a.yaml", true),
            ("$my-values/$ARGOCD_APP_NAME.yaml", true),
            ("$ARGOCD_APP_NAME/a.yaml", false),
            ("${ARGOCD_APP_NAME}-x/a.yaml", false),
            ("a/$values", false),
            ("$$a/b.yaml", false),
        ] {
            assert_eq!(begins_with_unknown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_version_of_kubernetes_is_its_numbers() {
        for (version, plain) in [
            ("v1.37.2+k3s1", Some("1.37.2")),
            ("1.30", Some("1.30")),
            ("v1.37.0-rc.1", Some("1.37.0")),
            ("1", None),
            ("", None),
            ("latest", None),
            ("1..2", None),
        ] {
            assert_eq!(plain_version(version).as_deref(), plain, "{version}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_expanded(text in "[$ab{}Ä_0-9! ]{0,20}") {
            shop().expand(&text);
        }

        #[test]
        fn a_text_without_dollars_stays(text in "[^$]{0,20}") {
            proptest::prop_assert_eq!(shop().expand(&text), text);
        }
    }
}
