//! The file of webhooks, read and checked.
//!
//! In: YAML, a list of `{name, url, headers, on, body, maxAge}`, in which `url` and the headers' values may
//! name environment variables as `$NAME` or `${NAME}` (`$$` is a dollar sign). Out: settings that work.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;

use super::{body, body::Body, filter, filter::Filter, sample};

/// How old an event may be and still be worth a request, where the file does not say.
const DEFAULT_MAX_AGE: &str = "1h";

/// A webhook that was checked.
pub(crate) struct Settings {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    pub url: Url,
    pub headers: HeaderMap,
    pub filter: Filter,
    pub body: Body,
    pub max_age: Duration,
}

/// A file of webhooks that cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to read the webhooks in {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to read the webhooks in {path}: {problem}")]
    Parse { path: PathBuf, problem: String },
    #[error("failed to set up webhook {name:?} of {path}")]
    Webhook {
        name: String,
        path: PathBuf,
        #[source]
        source: Problem,
    },
}

/// What is wrong with one webhook.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("its name may have letters, digits, - and _ only, and must have some")]
    Name,
    #[error("another webhook has the same name")]
    Duplicate,
    #[error("environment variable {0} is not set")]
    Unset(String),
    #[error("its url is not an http or https URL")]
    Url,
    #[error("header {0:?} has a name or value that HTTP does not allow")]
    Header(String),
    #[error("its maxAge {0:?} is not a duration such as 90s, 30m or 2h")]
    MaxAge(String),
    #[error(transparent)]
    Filter(#[from] filter::UnknownEvent),
    #[error(transparent)]
    Body(#[from] body::Error),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    on: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    max_age: Option<String>,
}

/// Reads and checks a file.
pub(crate) fn load(path: &Path) -> Result<Vec<Settings>, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    parse(&text, path, |variable| std::env::var(variable).ok())
}

fn parse(text: &str, path: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<Settings>, Error> {
    let entries: Vec<Entry> = serde_saphyr::from_str(text)
        .map_err(|error| Error::Parse { path: path.to_owned(), problem: error.to_string() })?;
    let mut names = HashSet::new();
    let mut webhooks = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = entry.name.clone();
        let checked =
            if names.insert(name.clone()) { check(entry, &variable) } else { Err(Problem::Duplicate) };
        webhooks.push(checked.map_err(|source| Error::Webhook { name, path: path.to_owned(), source })?);
    }
    Ok(webhooks)
}

fn check(entry: Entry, variable: &impl Fn(&str) -> Option<String>) -> Result<Settings, Problem> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if entry.name.is_empty() || !entry.name.chars().all(is_allowed) {
        return Err(Problem::Name);
    }
    let url = Url::parse(&expand(&entry.url, variable)?).map_err(|_| Problem::Url)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::Url);
    }
    let headers = headers(&entry.headers, variable)?;
    let filter = Filter::parse(&entry.on)?;
    let body = Body::parse(entry.body)?;
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"));
    for record in sample::records().iter().filter(|record| filter.may_accept(record.event)) {
        body.check(record, is_json)?;
    }
    let max_age = max_age(entry.max_age.as_deref().unwrap_or(DEFAULT_MAX_AGE))?;
    Ok(Settings { name: entry.name, url, headers, filter, body, max_age })
}

fn headers(
    entries: &BTreeMap<String, String>,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in entries {
        let refused = || Problem::Header(name.clone());
        let header = HeaderName::try_from(name.as_str()).map_err(|_| refused())?;
        let mut value = HeaderValue::try_from(expand(value, variable)?).map_err(|_| refused())?;
        value.set_sensitive(header != CONTENT_TYPE);
        headers.insert(header, value);
    }
    Ok(headers)
}

fn max_age(text: &str) -> Result<Duration, Problem> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| Problem::MaxAge(text.to_owned()))
}

/// The text with `$NAME` and `${NAME}` replaced.
fn expand(text: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let (name, after) = variable_name(rest);
        if name.is_empty() {
            expanded.push('$');
            continue;
        }
        expanded.push_str(&variable(name).ok_or_else(|| Problem::Unset(name.to_owned()))?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The name that a text begins with, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        return (name, after);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Settings>, String> {
        let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        parse(text, Path::new("hooks.yaml"), variable)
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    fn refusal(text: &str) -> String {
        read(text).err().expect("a refusal")
    }

    #[test]
    fn a_whole_webhook_is_read_and_secrets_come_from_the_environment() {
        let webhooks = read(
            r#"
- name: chat
  url: https://chat.example.org/hooks/$TOKEN/x
  headers: {Authorization: "Bearer ${TOKEN}", X-Price: "5$$"}
  on: [SyncFinished:Failed, HealthChanged]
  maxAge: 30m
  body: |
    {"text": {{ (application.name ~ ": " ~ message) | tojson }}, "author": {{ commit.author | tojson }}}
- name: everything
  url: http://127.0.0.1:9/
"#,
        );
        let webhooks = webhooks.expect("webhooks");
        assert_eq!(webhooks[0].url.path(), "/hooks/s3cret/x");
        assert_eq!(webhooks[0].headers["authorization"], "Bearer s3cret");
        assert_eq!(webhooks[0].headers["x-price"], "5$");
        assert_eq!(webhooks[0].max_age, Duration::from_secs(1_800));
        assert_eq!(webhooks[1].max_age, Duration::from_secs(3_600));
        assert_eq!(webhooks[1].headers[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_reason() {
        let with = |line: &str| format!("- name: a\n  url: http://x/\n  {line}\n");
        for (text, why) in [
            ("- name: a b\n  url: http://x/".to_owned(), "letters, digits"),
            ("- {name: a, url: \"http://x/\"}\n- {name: a, url: \"http://y/\"}".to_owned(), "same name"),
            ("- name: a\n  url: $NOWHERE".to_owned(), "NOWHERE is not set"),
            ("- name: a\n  url: ftp://x/".to_owned(), "not an http or https URL"),
            (with("bodi: x"), "bodi"),
            (with("on: [SyncDone]"), "no such event"),
            (with("headers: {\"a b\": c}"), "header \"a b\""),
            (with("maxAge: soon"), "not a duration"),
            (with("body: '{{ message'"), "failed to read the template"),
            (with("body: '{{ mesage | tojson }}'"), "uses \"mesage\""),
            (with("body: '{{ commit.autor | tojson }}'"), "uses \"commit.autor\""),
            (with("body: '{{ (results | first).kind }}'"), "failed to render the template for SyncStarted"),
            (with("body: '{\"text\": \"{{ message }}\"}'"), "failed to read what the template gives for"),
        ] {
            let refused = refusal(&text);
            assert!(refused.contains(why), "{text}: {refused}");
            assert!(refused.contains("hooks.yaml"), "{refused}");
        }
    }

    #[test]
    fn a_template_is_only_tried_on_the_events_it_will_get() {
        let body = "body: '{{ results[0].kind | tojson }}'";
        assert!(refusal(&format!("- name: a\n  url: http://x/\n  {body}\n")).contains("SyncStarted"));
        assert!(
            read(&format!("- name: a\n  url: http://x/\n  on: [SyncFinished:Succeeded]\n  {body}\n")).is_ok()
        );
    }

    #[test]
    fn text_that_is_not_json_is_fine_where_none_is_promised() {
        let text =
            "- name: a\n  url: http://x/\n  headers: {Content-Type: text/plain}\n  body: '{{ message }}'\n";
        assert!(read(text).is_ok());
    }
}
