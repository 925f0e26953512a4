//! Why a request over HTTP gave nothing, without the URL, which may hold credentials.

use std::error::Error;
use std::io;
use std::time::Duration;

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use rustls::CertificateError;

use crate::repository::RepositoryError;

/// A request that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebError {
    /// The server wants to know who asks, or refuses whoever does.
    Authentication,
    /// There is nothing.
    NotFound,
    /// The server was too slow.
    Timeout,
    /// The server has too much to do, or was asked too often, and may say for how long it wants to be left alone.
    Busy(Option<Duration>),
    /// Anything else, in words.
    Failed(String),
    /// The disk failed.
    Disk(String),
}

impl WebError {
    /// What an answer means, if it is no success.
    pub fn of_answer(answer: &Response) -> Option<Self> {
        let hold = retry_after(answer.headers());
        match answer.status().as_u16() {
            200..=299 | 304 => None,
            429 | 503 => Some(Self::Busy(hold)),
            // Some hosts refuse who asks too often so, and say until when.
            403 if hold.is_some() => Some(Self::Busy(hold)),
            401 | 403 => Some(Self::Authentication),
            404 | 410 => Some(Self::NotFound),
            other => Some(Self::Failed(format!("the server answered with status {other}"))),
        }
    }

    /// What a failed request means.
    pub fn of_request(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout } else { Self::Failed(reason(error)) }
    }

    /// What a failure of the disk means.
    pub fn of_disk(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }

    /// The same as a failure of a repository, where nothing there has a name that could be missing.
    pub fn about(self, repository: &str, limit: Duration) -> RepositoryError {
        let repository = repository.to_owned();
        match self {
            Self::Authentication => RepositoryError::Authentication { repository },
            Self::NotFound => RepositoryError::UnknownRepository { repository },
            Self::Timeout => RepositoryError::Timeout { repository, limit },
            Self::Busy(hold) => RepositoryError::Busy { repository, hold },
            Self::Failed(reason) => RepositoryError::Remote { repository, reason },
            Self::Disk(reason) => RepositoryError::Cache { repository, reason },
        }
    }

    /// In words, after the name of what was asked for.
    pub fn reason(&self) -> String {
        match self {
            Self::Authentication => "the server refuses it to us".to_owned(),
            Self::NotFound => "the server does not have it".to_owned(),
            Self::Timeout => "the server does not answer in time".to_owned(),
            Self::Busy(_) => "the server wants to be asked less often".to_owned(),
            Self::Failed(reason) | Self::Disk(reason) => reason.clone(),
        }
    }
}

/// The reason at the bottom of a failed request, in words that stay the same from one try to the next.
pub fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut bottom: &(dyn Error + 'static) = &error;
    while let Some(inner) = bottom.source() {
        bottom = inner;
    }
    out_of_date(bottom).map_or_else(|| bottom.to_string(), str::to_owned)
}

/// What there is to say of a certificate out of date; TLS itself names the second at which it looked.
fn out_of_date(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut error = error;
    // As a failed connection it is wrapped, more than once, in what does not name it as its source.
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { .. }) => {
            Some("invalid peer certificate: it has expired")
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }) => {
            Some("invalid peer certificate: it is not valid yet")
        }
        _ => None,
    }
}

/// How long a server wants to be left alone, which it may say as a number of seconds or as a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let until = || {
        let date = DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(date.as_second() - Timestamp::now().as_second())
    };
    let seconds = text.parse().ok().or_else(until)?;
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}
