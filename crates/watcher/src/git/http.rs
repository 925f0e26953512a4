//! Git's smart protocol over HTTP, for libgit2: its own transport waits 40 ms for acknowledgements with
//! each request, opens a connection for every call and brings a second TLS library.
//!
//! What comes in: requests of libgit2, on threads that may block inside a runtime. What goes out: the
//! server's answers as streams. What it does not do: fetch from servers that serve plain files only.

use std::error::Error as _;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};

use bytes::{Buf, Bytes};
use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response};
use tokio::runtime::Handle;

use super::limits::Limits;

/// Some hosts answer Git's protocol only to what calls itself git.
const USER_AGENT: &str = concat!("git/2.0 (ithaca/", env!("CARGO_PKG_VERSION"), ")");
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const DISCOVERY: &str = "/info/refs?service=git-upload-pack";

/// Has libgit2 speak HTTP and HTTPS through this module. Only the first call counts.
#[allow(unsafe_code)]
pub(super) fn install(limits: &Limits) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(limits.silence)
            .read_timeout(limits.silence)
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return tracing::error!(%error, "failed to prepare HTTP for Git"),
        };
        for scheme in ["http", "https"] {
            let client = client.clone();
            let factory = move |remote: &git2::Remote<'_>| {
                let moved = Arc::default();
                Transport::smart(remote, true, Subtransport { client: client.clone(), moved })
            };
            // SAFETY: this runs once, before any other use of Git.
            if let Err(error) = unsafe { transport::register(scheme, factory) } {
                tracing::error!(%error, "failed to register {scheme} for Git");
            }
        }
    });
}

/// One connection as libgit2 sees it.
struct Subtransport {
    client: Client,
    /// Where the repository was found to be, after redirects.
    moved: Arc<Mutex<Option<String>>>,
}

impl SmartSubtransport for Subtransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let url = url.trim_end_matches('/');
        match action {
            Service::UploadPackLs => {
                let response = send(self.client.get(format!("{url}{DISCOVERY}")))?;
                check_type(&response, ADVERTISEMENT)?;
                let found = response.url().as_str().strip_suffix(DISCOVERY).map(str::to_owned);
                *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = found;
                Ok(Box::new(Stream::Answer(Answer { response, part: Bytes::new() })))
            }
            Service::UploadPack => {
                let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let url = format!("{}/git-upload-pack", moved.as_deref().unwrap_or(url));
                let request = self.client.post(url).header(CONTENT_TYPE, REQUEST).header(ACCEPT, RESULT);
                Ok(Box::new(Stream::Question { request, body: Vec::new() }))
            }
            Service::ReceivePackLs | Service::ReceivePack => {
                Err(git2::Error::from_str("pushing is not supported"))
            }
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// A question while libgit2 writes it, an answer as soon as it reads.
enum Stream {
    Question { request: RequestBuilder, body: Vec<u8> },
    Answer(Answer),
    Failed,
}

struct Answer {
    response: Response,
    part: Bytes,
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Question { body, .. } => body.write(bytes),
            _ => Err(io::Error::other("the question was asked already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Question { .. } = self {
            let Self::Question { request, body } = std::mem::replace(self, Self::Failed) else {
                return Ok(0);
            };
            let response = send(request.body(body)).and_then(|response| {
                check_type(&response, RESULT)?;
                Ok(response)
            });
            let response = response.map_err(|error| io::Error::other(error.message().to_owned()))?;
            *self = Self::Answer(Answer { response, part: Bytes::new() });
        }
        match self {
            Self::Answer(answer) => answer.read(buffer),
            _ => Err(io::Error::other("the question failed already")),
        }
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            let part = wait(self.response.chunk())
                .and_then(|part| part.map_err(failed))
                .map_err(|error| io::Error::other(error.message().to_owned()))?;
            match part {
                Some(part) => self.part = part,
                None => return Ok(0),
            }
        }
        let length = self.part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.part[..length]);
        self.part.advance(length);
        Ok(length)
    }
}

fn send(request: RequestBuilder) -> Result<Response, git2::Error> {
    let response = wait(request.send())?.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let code = match status.as_u16() {
        401 | 403 => ErrorCode::Auth,
        404 | 410 => ErrorCode::NotFound,
        _ => ErrorCode::GenericError,
    };
    let message = format!("the server answered with status code: {}", status.as_u16());
    Err(git2::Error::new(code, ErrorClass::Http, message))
}

/// Anything else, such as a page to log in, must not be taken for Git's protocol.
fn check_type(response: &Response, expected: &str) -> Result<(), git2::Error> {
    match response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        Some(found) if found.starts_with(expected) => Ok(()),
        _ => {
            let message = "the server does not speak Git's smart protocol at this URL";
            Err(git2::Error::new(ErrorCode::GenericError, ErrorClass::Http, message))
        }
    }
}

/// Waits on a thread that may block; it must belong to a runtime.
fn wait<T>(future: impl Future<Output = T>) -> Result<T, git2::Error> {
    let runtime = Handle::try_current().map_err(|error| git2::Error::from_str(&error.to_string()))?;
    Ok(runtime.block_on(future))
}

/// The reason at the bottom, without the URL, which may hold credentials.
fn failed(error: reqwest::Error) -> git2::Error {
    let code = if error.is_timeout() { ErrorCode::Timeout } else { ErrorCode::GenericError };
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason = inner.to_string();
        source = inner.source();
    }
    if code == ErrorCode::Timeout {
        reason = "timed out".to_owned();
    }
    // A NUL would end the text for libgit2.
    git2::Error::new(code, ErrorClass::Net, reason.replace('\0', " "))
}
