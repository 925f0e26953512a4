//! Secrets in, what they say out.

use super::*;

fn secret(kind: &str, data: &[(&str, &str)]) -> Secret {
    let value = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
    let mut secret = Secret {
        data: Some(data.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect()),
        ..Secret::default()
    };
    secret.metadata.labels = Some([(SECRET_TYPE_LABEL.to_owned(), kind.to_owned())].into());
    secret
}

fn access(url: &str, data: &[(&str, &str)]) -> Result<RepositoryAccess, RepositoryAccessError> {
    let data = [&[("url", url)], data].concat();
    RepositorySpec::read(&secret("repository", &data)).expect("a repository").access
}

const HTTPS: &str = "https://git.example.org/app";

#[test]
fn a_secret_says_all_that_argo_cd_knows() {
    let secret = secret(
        "repository",
        &[
            ("url", " https://git.example.org/app.git\n"),
            ("type", "git"),
            ("name", "app"),
            ("project", "shop"),
            ("username", "me"),
            ("password", "p4ssword\n"),
            ("tlsClientCertData", "cert"),
            ("tlsClientCertKey", "k3y"),
            ("insecure", "true"),
            ("enableLfs", "True"),
            ("depth", "5"),
            ("forceHttpBasicAuth", "true"),
            ("proxy", "http://me:s3cret@proxy:8080"),
            ("noProxy", ".local"),
        ],
    );
    let spec = RepositorySpec::read(&secret).expect("a repository");
    assert_eq!((spec.role, spec.kind.clone()), (Role::Repository, Ok(RepositoryKind::Git)));
    assert_eq!((spec.url.as_str(), spec.project.as_str()), ("https://git.example.org/app.git", "shop"));
    let access = spec.access.as_ref().expect("access");
    let basic = Credential::Basic { username: "me".into(), password: "p4ssword".to_owned().into() };
    assert_eq!(access.credential, Some(basic));
    assert!(access.insecure && access.enable_lfs && access.has_credentials());
    assert_eq!(access.depth, Some(5));
    let printed = format!("{spec:?}");
    for hidden in ["p4ssword", "k3y", "s3cret"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
}

#[test]
fn secrets_about_something_else_are_left_alone() {
    for kind in ["cluster", "repository-write", "repo-write-creds", "scm-creds"] {
        assert_eq!(RepositorySpec::read(&secret(kind, &[("url", HTTPS)])), None, "{kind}");
    }
    assert_eq!(RepositorySpec::read(&Secret::default()), None);
    let template = RepositorySpec::read(&secret("repo-creds", &[("url", HTTPS)]));
    assert_eq!(template.expect("a template").role, Role::Template);
}

#[test]
fn of_several_credentials_the_one_counts_that_the_url_can_use() {
    let all = [
        ("sshPrivateKey", "key"),
        ("bearerToken", "token"),
        ("githubAppID", "7"),
        ("githubAppPrivateKey", "pem"),
    ];
    let credential = |url: &str| access(url, &all).expect("access").credential;
    assert_eq!(credential(HTTPS), Some(Credential::Bearer("token".to_owned().into())));
    let key = Some(Credential::SshKey("key\n".to_owned().into()));
    assert_eq!(credential("git@git.example.org:app"), key);
    assert_eq!(credential("ssh://git.example.org/app"), key);
    let app = access(HTTPS, &all[2..]).expect("access").credential;
    assert!(
        matches!(app, Some(Credential::GitHubApp(GitHubApp { id: 7, installation: None, .. }))),
        "{app:?}"
    );
    assert_eq!(access(HTTPS, &all[..1]).expect("access").credential, None);
}

#[test]
fn what_cannot_be_read_is_told_without_what_is_there() {
    use RepositoryAccessError as E;
    for (data, expected) in [
        (("insecure", "s3cret"), E::NotABool { key: "insecure" }),
        (("githubAppID", "s3cret"), E::NotANumber { key: "githubAppID" }),
        (("githubAppPrivateKey", "s3cret"), E::Half { one: "githubAppID", other: "githubAppPrivateKey" }),
        (("tlsClientCertKey", "s3cret"), E::Half { one: "tlsClientCertData", other: "tlsClientCertKey" }),
        (("proxy", "s3cret"), E::NotAUrl { key: "proxy", schemes: "http, https and socks5" }),
        (("gcpServiceAccountKey", "s3cret"), E::Unsupported { key: "gcpServiceAccountKey" }),
        (("useAzureWorkloadIdentity", "true"), E::Unsupported { key: "useAzureWorkloadIdentity" }),
    ] {
        let error = access(HTTPS, &[data]).expect_err("an error");
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    for url in ["", "https://", "https:///app", "https://me@/app"] {
        assert_eq!(access(url, &[]), Err(E::NoUrl), "{url}");
    }
    let odd = RepositorySpec::read(&secret("repository", &[("url", HTTPS), ("type", "svn")]));
    assert_eq!(odd.expect("a repository").kind, Err(E::UnknownType));
}

#[test]
fn a_template_gives_what_a_repository_lacks() {
    let template = access(HTTPS, &[("bearerToken", "theirs"), ("proxy", "http://proxy")]).expect("access");
    let bare = access(HTTPS, &[("insecure", "true")]).expect("access").inherit(&template);
    assert_eq!(bare.credential, Some(Credential::Bearer("theirs".to_owned().into())));
    assert!(bare.insecure);
    let own = access(HTTPS, &[("bearerToken", "own")]).expect("access").inherit(&template);
    assert_eq!(own.credential, Some(Credential::Bearer("own".to_owned().into())));
    assert_eq!(own.proxy.reveal(), "http://proxy");
}
