//! What a registry says to whoever it does not know: where to get a token, and for what.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

/// How a registry wants to be convinced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// By a user's name and password.
    Basic,
    /// By a token that is had at this URL.
    Token(Url),
}

impl Challenge {
    /// The challenge of an answer for reading a repository. A token over a plain connection is asked for only where the registry is plain too.
    pub(super) fn read(headers: &HeaderMap, repository: &str, is_plain: bool) -> Option<Self> {
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut basic = None;
        for challenge in challenges {
            let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
            match scheme.to_ascii_lowercase().as_str() {
                "bearer" => return token(rest, repository, is_plain).map(Self::Token),
                "basic" => basic = Some(Self::Basic),
                _ => {}
            }
        }
        basic
    }
}

fn token(parameters: &str, repository: &str, is_plain: bool) -> Option<Url> {
    let mut realm = Url::parse(&parameter(parameters, "realm")?).ok()?;
    if realm.scheme() != "https" && !(is_plain && realm.scheme() == "http") {
        return None;
    }
    let scope = parameter(parameters, "scope").unwrap_or_else(|| format!("repository:{repository}:pull"));
    let mut query = realm.query_pairs_mut();
    if let Some(service) = parameter(parameters, "service") {
        query.append_pair("service", &service);
    }
    query.append_pair("scope", &scope);
    drop(query);
    Some(realm)
}

/// The value of `name="value"`, or of `name=value`.
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(challenges: &[&str], is_plain: bool) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge.parse().expect("a header"));
        }
        Challenge::read(&headers, "charts/web", is_plain)
    }

    fn url(challenge: Option<Challenge>) -> Option<String> {
        match challenge {
            Some(Challenge::Token(url)) => Some(url.into()),
            _ => None,
        }
    }

    #[test]
    fn a_challenge_says_where_a_token_is_had() {
        let said = r#"Bearer realm="https://auth.example.org/token",service="registry, example",scope="repository:a:pull,push""#;
        let expected =
            "https://auth.example.org/token?service=registry%2C+example&scope=repository%3Aa%3Apull%2Cpush";
        assert_eq!(url(read(&["Basic realm=x", said], false)).as_deref(), Some(expected));
        let bare = "bearer realm=https://auth.example.org/token?a=b, service=s";
        let expected = "https://auth.example.org/token?a=b&service=s&scope=repository%3Acharts%2Fweb%3Apull";
        assert_eq!(url(read(&[bare], false)).as_deref(), Some(expected));
        assert_eq!(read(&["Basic realm=\"registry\""], false), Some(Challenge::Basic));
    }

    #[test]
    fn a_challenge_that_makes_no_sense_is_none() {
        for said in [
            "",
            "Bearer",
            "Bearer realm=\"",
            "Bearer service=x",
            "Digest realm=x",
            "Bearer realm=\"file:///x\"",
        ] {
            assert_eq!(read(&[said], true), None, "{said}");
        }
        let plain = "Bearer realm=\"http://auth.example.org/token\"";
        assert_eq!(read(&[plain], false), None);
        assert!(read(&[plain], true).is_some());
    }
}
