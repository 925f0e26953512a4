//! What is said to a server of Git LFS and what it answers: its batch interface, as plain data.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Pointer;

/// The type of questions and answers.
pub(super) const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";
/// How many objects one question is about.
pub(super) const MOST: usize = 100;

/// A question.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    operation: &'static str,
    transfers: [&'static str; 1],
    hash_algo: &'static str,
    objects: Vec<Asked<'a>>,
}

#[derive(Serialize)]
struct Asked<'a> {
    oid: &'a str,
    size: u64,
}

impl<'a> Question<'a> {
    /// Where these objects can be had.
    pub(super) fn about(pointers: impl Iterator<Item = &'a Pointer>) -> Self {
        let objects = pointers.map(|Pointer { oid, size }| Asked { oid, size: *size }).collect();
        Self { operation: "download", transfers: ["basic"], hash_algo: "sha256", objects }
    }
}

/// An answer.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    transfer: Option<String>,
    #[serde(default)]
    objects: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    oid: String,
    #[serde(default)]
    actions: Option<Actions>,
    #[serde(default)]
    error: Option<Complaint>,
}

#[derive(Deserialize)]
struct Actions {
    download: Option<Action>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: u16,
}

/// Where something is to be had, and what is to be shown there. The host over SSH answers so too.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Action {
    pub(super) href: String,
    #[serde(default)]
    header: Option<BTreeMap<String, String>>,
}

impl Answer {
    /// Where an object is to be had, or why it is not.
    pub(super) fn action(&self, pointer: &Pointer) -> Result<&Action, String> {
        if let Some(other) = self.transfer.as_deref().filter(|transfer| *transfer != "basic") {
            return Err(format!(
                "its server wants to be asked by the transfer {other:?}, and only basic is known"
            ));
        }
        let object = self.objects.iter().find(|object| object.oid == pointer.oid);
        let complaint = object.and_then(|object| object.error.as_ref()).map(|error| error.code);
        match (complaint, object.and_then(|object| object.actions.as_ref()?.download.as_ref())) {
            (None, Some(action)) => Ok(action),
            (None | Some(404 | 410), _) => Err(format!("its server does not have object {}", pointer.oid)),
            (Some(code), _) => Err(format!("its server says {code} of object {}", pointer.oid)),
        }
    }
}

impl Action {
    /// The place, which must be as well secured as the server that named it.
    pub(super) fn url(&self, server: &Url) -> Result<Url, String> {
        let url = Url::parse(&self.href).ok().filter(|url| url.has_host());
        match url {
            Some(url) if url.scheme() == "https" || (url.scheme() == "http" && server.scheme() == "http") => {
                Ok(url)
            }
            _ => Err("its server leads to what is no URL, or to a connection without TLS".to_owned()),
        }
    }

    /// What is to be shown there.
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let header = |(name, value): (&String, &String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        };
        let all: Option<HeaderMap> = self.header.iter().flatten().map(header).collect();
        all.ok_or_else(|| "its server asks for a header that cannot be sent".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(digit: &str) -> Pointer {
        Pointer { oid: digit.repeat(64), size: 3 }
    }

    fn answer(json: &serde_json::Value) -> Answer {
        serde_json::from_value(json.clone()).expect("an answer")
    }

    #[test]
    fn a_question_is_as_the_specification_has_it() {
        let pointer = pointer("a");
        let asked = serde_json::to_value(Question::about([&pointer].into_iter())).expect("JSON");
        let expected = serde_json::json!({
            "operation": "download", "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{"oid": "a".repeat(64), "size": 3}],
        });
        assert_eq!(asked, expected);
    }

    #[test]
    fn an_answer_says_where_an_object_is_or_why_it_is_not() {
        let all = answer(&serde_json::json!({"objects": [
            {"oid": "a".repeat(64), "size": 3, "actions": {"download": {"href": "https://s3.example/a", "header": {"X-K": "v"}}}},
            {"oid": "b".repeat(64), "size": 3, "error": {"code": 404, "message": "no"}},
            {"oid": "c".repeat(64), "size": 3, "error": {"code": 422}},
        ]}));
        let found = all.action(&pointer("a")).expect("an action");
        assert_eq!(found.headers().expect("headers")["x-k"], "v");
        for (digit, words) in [("b", "does not have"), ("c", "says 422"), ("d", "does not have")] {
            assert!(all.action(&pointer(digit)).expect_err(digit).contains(words));
        }
        let other = answer(&serde_json::json!({"transfer": "tus", "objects": []}));
        assert!(other.action(&pointer("a")).expect_err("tus").contains("basic"));
    }

    #[test]
    fn a_place_is_as_well_secured_as_who_named_it() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let of = |href: &str, server: &str| {
            Action { href: href.to_owned(), header: None }.url(&url(server)).map(String::from).ok()
        };
        assert_eq!(of("http://b.example/1", "http://a.example/").as_deref(), Some("http://b.example/1"));
        assert_eq!(of("https://b.example/1", "http://a.example/").as_deref(), Some("https://b.example/1"));
        for href in ["http://b.example/1", "file:///etc/passwd", "/relative", "data:,x"] {
            assert_eq!(of(href, "https://a.example/"), None, "{href}");
        }
    }
}
