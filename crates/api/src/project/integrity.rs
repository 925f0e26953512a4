//! How a project wants its sources to prove where they come from. Pure.
//!
//! In: `sourceIntegrity`, or the older `signatureKeys`. Out: what is asked of a source. It verifies nothing. What cannot
//! be read refuses every source, so a slip of the pen never opens a door.
//!
//! Ithaca's own, beside what Argo CD has: `ssh` in a policy of Git, and policies of OCI repositories with `cosign`.
//! A repository may be spelt in several ways, and a policy that concerns one of them concerns it.

use serde::Deserialize;

use super::AppProjectSpec;
use super::permissions::normalized;
use crate::glob::{Glob, Separator};

/// What a project asks of its sources, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Integrity {
    git: Vec<Policy<GitDemand>>,
    helm: Vec<Policy<HelmDemand>>,
    oci: Vec<Policy<OciDemand>>,
    /// Why it cannot be read.
    unreadable: Option<String>,
}

/// What is asked of the revisions of a Git repository: to be signed by one of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitDemand {
    /// How far back.
    pub depth: Depth,
    /// Ids of OpenPGP keys in capital letters, 16 digits or the whole fingerprint; None where none will do.
    pub keys: Option<Vec<String>>,
    /// Who may sign with an SSH key, as lists of allowed signers name them; `*` is anybody there. None where none will do.
    pub signers: Option<Vec<String>>,
}

/// How far back signatures are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The commit or the annotated tag that the revision names.
    Head,
    /// All that it descends from as well, as far back as a signed commit vouches for what is before it.
    Strict,
}

/// What is asked of the charts of a Helm repository: a provenance file that is signed with one of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelmDemand {
    /// Ids of OpenPGP keys in capital letters, 16 digits or the whole fingerprint.
    pub keys: Vec<String>,
}

/// What is asked of what an OCI repository holds: to be signed with one of these cosign keys, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciDemand {
    /// The names of the keys.
    pub keys: Vec<String>,
}

/// What is asked of the repositories that patterns name; None where that is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Policy<T> {
    repositories: Vec<(bool, Glob)>,
    demand: Option<T>,
}

impl Integrity {
    /// Reads what a project asks.
    pub fn of(spec: &AppProjectSpec) -> Self {
        let Some(value) = &spec.source_integrity else { return Self::of_keys(spec) };
        let read = Written::deserialize(value).map_err(|error| error.to_string()).and_then(Self::read);
        read.unwrap_or_else(|reason| Self { unreadable: Some(reason), ..Self::default() })
    }

    /// The older setting: keys for all Git repositories.
    fn of_keys(spec: &AppProjectSpec) -> Self {
        if spec.signature_keys.is_empty() {
            return Self::default();
        }
        let keys = spec.signature_keys.iter().map(|key| key_id(&key.key_id)).collect();
        let demand = GitDemand { depth: Depth::Head, keys: Some(keys), signers: None };
        let policy = Policy { repositories: vec![(true, Glob::Any)], demand: Some(demand) };
        Self { git: vec![policy], ..Self::default() }
    }

    fn read(written: Written) -> Result<Self, String> {
        let git = written.git.unwrap_or_default().policies;
        let helm = written.helm.unwrap_or_default().policies;
        let oci = written.oci.unwrap_or_default().policies;
        Ok(Self {
            git: git.into_iter().map(|policy| policy.read(git_demand)).collect::<Result<_, _>>()?,
            helm: helm.into_iter().map(|policy| policy.read(helm_demand)).collect::<Result<_, _>>()?,
            oci: oci.into_iter().map(|policy| policy.read(oci_demand)).collect::<Result<_, _>>()?,
            unreadable: None,
        })
    }

    /// What is asked of a Git repository, or why nothing may come from it.
    ///
    /// # Errors
    /// When the setting cannot be read, or says two things.
    pub fn git(&self, spellings: &[String]) -> Result<Option<&GitDemand>, String> {
        self.only("git", &self.git, spellings)
    }

    /// What is asked of the charts of a repository, or why nothing may come from it.
    ///
    /// # Errors
    /// When the setting cannot be read, or says two things.
    pub fn helm(&self, spellings: &[String]) -> Result<Option<&HelmDemand>, String> {
        self.only("helm", &self.helm, spellings)
    }

    /// What is asked of an OCI repository, or why nothing may come from it.
    ///
    /// # Errors
    /// When the setting cannot be read, or says two things.
    pub fn oci(&self, spellings: &[String]) -> Result<Option<&OciDemand>, String> {
        self.only("oci", &self.oci, spellings)
    }

    fn only<'a, T>(
        &'a self,
        kind: &str,
        policies: &'a [Policy<T>],
        spellings: &[String],
    ) -> Result<Option<&'a T>, String> {
        if let Some(reason) = &self.unreadable {
            return Err(format!("spec.sourceIntegrity cannot be read: {reason}"));
        }
        let spellings: Vec<String> = spellings.iter().map(|url| spelling(url)).collect();
        let mut matching = policies.iter().filter(|policy| policy.concerns(&spellings));
        match (matching.next(), matching.next()) {
            (None, _) => Ok(None),
            (Some(policy), None) => Ok(policy.demand.as_ref()),
            (Some(_), Some(_)) => Err(format!(
                "several of spec.sourceIntegrity.{kind}.policies name the repository: only one may; exclude it from \
                 the others with a pattern that begins with !"
            )),
        }
    }
}

impl<T> Policy<T> {
    /// Some pattern has to name the repository, and none may deny it.
    fn concerns(&self, spellings: &[String]) -> bool {
        let is_meant = |glob: &Glob| spellings.iter().any(|url| glob.matches(url));
        let is_named =
            |named: bool| self.repositories.iter().any(|(names, glob)| *names == named && is_meant(glob));
        is_named(true) && !is_named(false)
    }
}

/// `sourceIntegrity` as it is written. A field that nobody knows may be one that protects something.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    git: Option<Policies<WrittenGit>>,
    helm: Option<Policies<WrittenHelm>>,
    oci: Option<Policies<WrittenOci>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policies<T> {
    #[serde(default = "Vec::new")]
    policies: Vec<WrittenPolicy<T>>,
}

impl<T> Default for Policies<T> {
    fn default() -> Self {
        Self { policies: Vec::new() }
    }
}

#[derive(Deserialize)]
struct WrittenPolicy<T> {
    repos: Vec<Repository>,
    #[serde(flatten)]
    demand: T,
}

/// Argo CD has written both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Repository {
    Pattern(String),
    Object { url: String },
}

#[derive(Deserialize)]
struct WrittenGit {
    gpg: Option<Keys>,
    ssh: Option<Signers>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    mode: Mode,
    #[serde(default)]
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signers {
    mode: Mode,
    #[serde(default)]
    signers: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    None,
    Head,
    Strict,
}

#[derive(Deserialize)]
struct WrittenHelm {
    provenance: Option<Names>,
}

#[derive(Deserialize)]
struct WrittenOci {
    cosign: Option<Names>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(default)]
    keys: Vec<String>,
}

impl<W> WrittenPolicy<W> {
    fn read<T>(self, demand: impl FnOnce(W) -> Result<Option<T>, String>) -> Result<Policy<T>, String> {
        let pattern = |repository: Repository| {
            let (Repository::Pattern(text) | Repository::Object { url: text }) = repository;
            let (names, text) = match text.strip_prefix('!') {
                Some(rest) => (false, spelling(rest)),
                None => (true, spelling(&text)),
            };
            let glob = Glob::parse(&text, Separator::None).ok_or_else(|| Glob::fault(&text))?;
            Ok::<_, String>((names, glob))
        };
        let repositories = self.repos.into_iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Policy { repositories, demand: demand(self.demand)? })
    }
}

fn git_demand(WrittenGit { gpg, ssh }: WrittenGit) -> Result<Option<GitDemand>, String> {
    if gpg.is_none() && ssh.is_none() {
        return Err("a policy of git has neither gpg nor ssh".to_owned());
    }
    let depth = |mode: Mode| match mode {
        Mode::None => None,
        Mode::Head => Some(Depth::Head),
        Mode::Strict => Some(Depth::Strict),
    };
    let gpg = gpg.and_then(|gpg| Some((depth(gpg.mode)?, gpg.keys)));
    let ssh = ssh.and_then(|ssh| Some((depth(ssh.mode)?, ssh.signers)));
    let deepest = gpg.as_ref().map(|(depth, _)| *depth).max(ssh.as_ref().map(|(depth, _)| *depth));
    Ok(deepest.map(|depth| GitDemand {
        depth,
        keys: gpg.map(|(_, keys)| keys.iter().map(|key| key_id(key)).collect()),
        signers: ssh.map(|(_, signers)| signers),
    }))
}

fn helm_demand(WrittenHelm { provenance }: WrittenHelm) -> Result<Option<HelmDemand>, String> {
    let Names { keys } = provenance.ok_or("a policy of helm has no provenance")?;
    Ok(Some(HelmDemand { keys: keys.iter().map(|key| key_id(key)).collect() }))
}

fn oci_demand(WrittenOci { cosign }: WrittenOci) -> Result<Option<OciDemand>, String> {
    let Names { keys } = cosign.ok_or("a policy of oci has no cosign")?;
    Ok(Some(OciDemand { keys }))
}

/// A URL as policies name it: registries are written with and without their scheme.
fn spelling(url: &str) -> String {
    let url = normalized(url);
    url.strip_prefix("oci://").unwrap_or(&url).to_owned()
}

/// Keys are written with and without spaces, in small and in capital letters.
fn key_id(text: &str) -> String {
    let text: String = text.split_whitespace().collect();
    let text = text.to_ascii_uppercase();
    text.strip_prefix("0X").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://git.example.org/team/shop.git";

    fn at(url: &str) -> [String; 1] {
        [url.to_owned()]
    }

    fn integrity(spec: Value) -> Integrity {
        Integrity::of(&serde_json::from_value(spec).expect("a spec"))
    }

    fn git(policies: Value) -> Integrity {
        integrity(json!({"sourceIntegrity": {"git": {"policies": policies}}}))
    }

    #[test]
    fn a_project_that_says_nothing_asks_for_nothing() {
        let integrity = integrity(json!({}));
        assert_eq!(integrity.git(&at(URL)), Ok(None));
        assert_eq!(integrity.oci(&at(URL)), Ok(None));
        assert_eq!(integrity.helm(&at(URL)), Ok(None));
    }

    #[test]
    fn signature_keys_concern_all_git_repositories_and_nothing_else() {
        let integrity = integrity(json!({"signatureKeys": [{"keyID": "4aee18f8 3afdeb23"}]}));
        let keys = Some(vec!["4AEE18F83AFDEB23".to_owned()]);
        assert_eq!(integrity.git(&at(URL)), Ok(Some(&GitDemand { depth: Depth::Head, keys, signers: None })));
        assert_eq!(integrity.oci(&at(URL)), Ok(None));
        assert_eq!(integrity.helm(&at(URL)), Ok(None));
    }

    #[test]
    fn source_integrity_takes_the_place_of_signature_keys() {
        let both = json!({"signatureKeys": [{"keyID": "A"}], "sourceIntegrity": {"git": {"policies": []}}});
        assert_eq!(integrity(both).git(&at(URL)), Ok(None));
    }

    #[rstest]
    #[case::all(json!(["*"]), true)]
    #[case::as_an_object(json!([{"url": "https://git.example.org/team/*"}]), true)]
    #[case::stars_cross_slashes(json!(["https://git.example.org/*"]), true)]
    #[case::in_another_spelling(json!(["https://Git.example.org/team/shop"]), true)]
    #[case::another(json!(["https://git.example.org/team/till"]), false)]
    #[case::excluded(json!(["*", {"url": "!https://git.example.org/team/shop"}]), false)]
    #[case::another_excluded(json!(["*", "!https://git.example.org/team/till"]), true)]
    #[case::only_an_exclusion(json!(["!https://git.example.org/team/till"]), false)]
    fn policies_concern_the_repositories_that_they_name(#[case] repos: Value, #[case] expected: bool) {
        let integrity = git(json!([{"repos": repos, "gpg": {"mode": "head", "keys": []}}]));
        assert_eq!(integrity.git(&at(URL)).map(|demand| demand.is_some()), Ok(expected));
    }

    #[rstest]
    #[case::none(json!({"gpg": {"mode": "none"}}), None)]
    #[case::no_keys(json!({"gpg": {"mode": "head"}}), Some((Depth::Head, Some(0), None)))]
    #[case::strict(json!({"gpg": {"mode": "strict", "keys": ["A"]}}), Some((Depth::Strict, Some(1), None)))]
    #[case::ssh(json!({"ssh": {"mode": "head", "signers": ["*"]}}), Some((Depth::Head, None, Some(1))))]
    #[case::either(json!({"gpg": {"mode": "head"}, "ssh": {"mode": "strict"}}), Some((Depth::Strict, Some(0), Some(0))))]
    #[case::ssh_alone(json!({"gpg": {"mode": "none"}, "ssh": {"mode": "head"}}), Some((Depth::Head, None, Some(0))))]
    fn modes(#[case] policy: Value, #[case] expected: Option<(Depth, Option<usize>, Option<usize>)>) {
        let mut policy = policy;
        policy["repos"] = json!(["*"]);
        let integrity = git(json!([policy]));
        let demand = integrity.git(&at(URL)).expect("a readable policy");
        let count = |list: &Option<Vec<String>>| list.as_ref().map(Vec::len);
        let found = demand.map(|demand| (demand.depth, count(&demand.keys), count(&demand.signers)));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case::mode(json!({"git": {"policies": [{"repos": ["*"], "gpg": {"mode": "heads"}}]}}), "heads")]
    #[case::misspelt(json!({"git": {"polices": []}}), "polices")]
    #[case::kind(json!({"gti": {"policies": []}}), "gti")]
    #[case::nothing_asked(json!({"git": {"policies": [{"repos": ["*"]}]}}), "neither gpg nor ssh")]
    #[case::no_provenance(json!({"helm": {"policies": [{"repos": ["*"]}]}}), "no provenance")]
    #[case::no_cosign(json!({"oci": {"policies": [{"repos": ["*"]}]}}), "no cosign")]
    #[case::pattern(json!({"git": {"policies": [{"repos": ["[a"], "gpg": {"mode": "none"}}]}}), "no pattern")]
    #[case::no_object(json!("all"), "cannot be read")]
    fn what_cannot_be_read_refuses_everything(#[case] setting: Value, #[case] reason: &str) {
        let integrity = integrity(json!({"sourceIntegrity": setting}));
        let refused = integrity.git(&at(URL)).expect_err("a refusal");
        assert!(
            refused.contains("spec.sourceIntegrity cannot be read") && refused.contains(reason),
            "{refused}"
        );
        assert!(integrity.oci(&at(URL)).is_err() && integrity.helm(&at(URL)).is_err());
    }

    #[test]
    fn two_policies_for_one_repository_refuse_it() {
        let policy = |pattern: &str| json!({"repos": [pattern], "gpg": {"mode": "none"}});
        let integrity = git(json!([policy("*"), policy("https://git.example.org/*")]));
        assert!(integrity.git(&at(URL)).is_err_and(|reason| reason.contains("several")));
        assert_eq!(integrity.git(&at("https://example.org/a")), Ok(None));
    }

    #[test]
    fn charts_and_artifacts_have_policies_of_their_own() {
        let integrity = integrity(json!({"sourceIntegrity": {
            "oci": {"policies": [{"repos": ["oci://registry.example.org/*"], "cosign": {"keys": ["team"]}}]},
            "helm": {"policies": [{"repos": ["https://charts.example.org"], "provenance": {"keys": ["A"]}}]},
        }}));
        let team = OciDemand { keys: vec!["team".to_owned()] };
        for url in ["oci://registry.example.org/web", "Registry.example.org/web"] {
            assert_eq!(integrity.oci(&at(url)), Ok(Some(&team)), "{url}");
        }
        assert_eq!(integrity.git(&at(URL)), Ok(None));
        let demand = HelmDemand { keys: vec!["A".to_owned()] };
        assert_eq!(integrity.helm(&at("https://charts.example.org")), Ok(Some(&demand)));
        assert_eq!(integrity.helm(&at("https://other.example.org")), Ok(None));
    }

    #[test]
    fn a_policy_concerns_a_repository_in_whatever_way_it_is_spelt() {
        let policies = json!([{"repos": ["example.org/charts/*", "!example.org/charts/open"],
                               "cosign": {"keys": ["team"]}}]);
        let integrity = integrity(json!({"sourceIntegrity": {"oci": {"policies": policies}}}));
        let asked = |spellings: &[&str]| {
            let spellings: Vec<String> = spellings.iter().map(|text| (*text).to_owned()).collect();
            integrity.oci(&spellings).expect("a readable policy").is_some()
        };
        assert!(asked(&["example.org/charts", "example.org/charts/web"]));
        assert!(!asked(&["example.org/charts", "example.org/charts/open"]));
        assert!(!asked(&["example.org/charts"]));
    }
}
