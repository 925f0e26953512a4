//! What the installation says on kustomize's command line (`kustomize.buildOptions`): its text comes in, arguments go out.
//!
//! Options that let a repository bring programs along are not handed on, whatever the installation says: an overlay that
//! needs none of them builds as it did, and one that does fails by kustomize's own words. An option that would change
//! what every overlay means is an error instead.

use std::ffi::OsString;

/// Options without a value that are handed on.
const SWITCHES: [&str; 2] = ["--enable-helm", "--enable-managedby-label"];
/// Options with a value that are handed on.
const VALUES: [&str; 4] = ["--load-restrictor", "--reorder", "--helm-kube-version", "--helm-api-versions"];
/// Options without a value that are not: they run programs, or tell more of an error.
const DROPPED_SWITCHES: [&str; 6] = [
    "--enable-alpha-plugins",
    "--enable-exec",
    "--network",
    "--as-current-user",
    "--helm-debug",
    "--stack-trace",
];
/// Options with a value that are not: they say how such programs are run.
const DROPPED_VALUES: [&str; 4] = ["--env", "-e", "--mount", "--network-name"];

/// What inflates charts.
const INFLATES: &str = "--enable-helm";
/// The charts' own two options, which an Application may set as well.
pub const KUBE_VERSION: &str = "--helm-kube-version";
/// See `KUBE_VERSION`.
pub const API_VERSIONS: &str = "--helm-api-versions";

/// An option that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// It is not known, or must not be given.
    #[error("{0} cannot be given")]
    Unknown(String),
    /// It has no value.
    #[error("{0} has no value")]
    Value(String),
}

/// The options that are handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions(Vec<String>);

impl BuildOptions {
    /// Reads options as a command line without quotes.
    ///
    /// # Errors
    /// When an option is unknown, or lacks its value.
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        let mut handed_on = Vec::new();
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let (option, given) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, None),
            };
            let is_value = |list: &[&str]| list.contains(&option);
            if is_value(&SWITCHES) || is_value(&DROPPED_SWITCHES) {
                if is_value(&SWITCHES) && is_on(given.unwrap_or("true"), option)? {
                    handed_on.push(option.to_owned());
                }
            } else if is_value(&VALUES) || is_value(&DROPPED_VALUES) {
                let value = given.or_else(|| words.next()).filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| OptionError::Value(option.to_owned()))?;
                if is_value(&VALUES) {
                    handed_on.extend([option.to_owned(), value.to_owned()]);
                }
            } else {
                return Err(OptionError::Unknown(option.to_owned()));
            }
        }
        Ok(Self(handed_on))
    }

    /// Whether charts are inflated.
    pub fn inflates(&self) -> bool {
        self.has(INFLATES)
    }

    /// Whether an option is given.
    pub fn has(&self, option: &str) -> bool {
        self.0.iter().any(|given| given == option)
    }

    /// What stands on the command line.
    pub fn arguments(&self) -> impl Iterator<Item = OsString> {
        self.0.iter().map(OsString::from)
    }
}

fn is_on(value: &str, option: &str) -> Result<bool, OptionError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(OptionError::Value(option.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", "")]
    #[case("--enable-helm", "--enable-helm")]
    #[case("--enable-helm=true --enable-managedby-label=false", "--enable-helm")]
    #[case("--load-restrictor=LoadRestrictionsNone", "--load-restrictor LoadRestrictionsNone")]
    #[case(" --reorder  none --helm-api-versions a/v1", "--reorder none --helm-api-versions a/v1")]
    #[case("--enable-alpha-plugins --enable-exec --network -e A=b --mount x --enable-helm", "--enable-helm")]
    fn options_are_handed_on_unless_they_run_programs(#[case] text: &str, #[case] handed_on: &str) {
        let options = BuildOptions::parse(text).expect("options");
        assert_eq!(options.0.join(" "), handed_on);
    }

    #[rstest]
    #[case("--output /etc/x", "--output cannot be given")]
    #[case("-o=x", "-o cannot be given")]
    #[case("--helm-command /bin/sh", "--helm-command cannot be given")]
    #[case("../other", "../other cannot be given")]
    #[case("--enable-helm --load-restrictor", "--load-restrictor has no value")]
    #[case("--enable-helm=maybe", "--enable-helm has no value")]
    fn what_cannot_be_followed_is_named(#[case] text: &str, #[case] reason: &str) {
        assert_eq!(BuildOptions::parse(text).expect_err("refused").to_string(), reason);
    }
}
