//! Git's smart protocol over HTTP, for libgit2: its own transport waits 40 ms for acknowledgements with
//! each request, opens a connection for every call and brings a second TLS library.
//!
//! What comes in: requests of libgit2, on threads that may block inside a runtime. What goes out: the
//! server's answers as streams. What it does not do: fetch from servers that serve plain files only.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};

use bytes::{Buf, Bytes};
use git2::transport::{self, Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ErrorClass, ErrorCode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use tokio::runtime::Handle;
use url::Url;

use super::line::{HttpLine, Line};
use super::turns;
use crate::web::{reason, retry_after};

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: &str = "application/x-git-upload-pack-request";
const RESULT: &str = "application/x-git-upload-pack-result";
const DISCOVERY: &str = "/info/refs?service=git-upload-pack";
/// How a question for a pack ends, and what it says of each commit that is here.
const DONE: &[u8] = b"0009done\n";
const HAVE: &[u8] = b"0032have ";

/// What an error begins with where the server says how long to wait: libgit2 passes on nothing but a text.
pub(super) const WAIT: &str = "asked to wait ";

/// What libgit2 says of a repository on a disk whose objects have other names than SHA-1.
pub(super) const UNSUPPORTED_FORMAT: &str = "unknown object format";
/// Within so many bytes after the first reference's name a server says what it can do.
const LONGEST_CAPABILITIES: usize = 2048;

/// Has libgit2 speak HTTP and HTTPS through this module. Only the first call counts.
#[allow(unsafe_code)]
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for scheme in ["http", "https"] {
            let factory = |remote: &git2::Remote<'_>| match Line::current() {
                Line::Http(line) => {
                    Transport::smart(remote, true, Subtransport { line, moved: Arc::default() })
                }
                _ => Err(git2::Error::from_str("nobody said how to reach the server")),
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
    line: HttpLine,
    /// Where the repository was found to be, after redirects.
    moved: Arc<Mutex<Option<Url>>>,
}

impl Subtransport {
    /// The repository's own address, without the credentials that somebody wrote into it.
    fn address(url: &str) -> Result<Url, git2::Error> {
        let mut address =
            Url::parse(url.trim_end_matches('/')).map_err(|_| git2::Error::from_str("it is no URL"))?;
        // It fails for URLs without a host, which have none.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        Ok(address)
    }

    /// Says who asks, to the repository's own server only.
    fn signed(&self, request: RequestBuilder, to: &Url, own: &Url) -> RequestBuilder {
        match &self.line.authorization {
            Some(header) if to.origin() == own.origin() => request.header(AUTHORIZATION, header.clone()),
            _ => request,
        }
    }
}

impl SmartSubtransport for Subtransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let own = Self::address(url)?;
        match action {
            Service::UploadPackLs => {
                let url = own.as_str().trim_end_matches('/');
                let request = self.line.client.get(format!("{url}{DISCOVERY}"));
                let response = send(self.signed(request, &own, &own))?;
                check_type(&response, ADVERTISEMENT)?;
                let found =
                    response.url().as_str().strip_suffix(DISCOVERY).and_then(|url| Url::parse(url).ok());
                *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = found;
                let mut answer = Answer { response, part: Bytes::new() };
                answer.fill()?;
                check_format(&answer.part)?;
                Ok(Box::new(Stream::Answer(answer)))
            }
            Service::UploadPack => {
                let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let to = moved.unwrap_or_else(|| own.clone());
                let url = format!("{}/git-upload-pack", to.as_str().trim_end_matches('/'));
                let request = self.line.client.post(url).header(CONTENT_TYPE, REQUEST).header(ACCEPT, RESULT);
                let request = self.signed(request, &to, &own);
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
            let request = if takes_all(&body) { request.header(CONNECTION, "close") } else { request };
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

impl Answer {
    /// Waits for the next part, where none is here. It stays empty at the end.
    fn fill(&mut self) -> Result<(), git2::Error> {
        while self.part.is_empty() {
            match wait(self.response.chunk())?.map_err(failed)? {
                Some(part) => self.part = part,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(|error| io::Error::other(error.message().to_owned()))?;
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
    let wait = retry_after(response.headers());
    let wait = wait.map(|wait| format!("{WAIT}{} s; ", wait.as_secs())).unwrap_or_default();
    let message = format!("{wait}the server answered with status code: {}", status.as_u16());
    Err(git2::Error::new(code, ErrorClass::Http, message))
}

/// Whether it is the last question of who has nothing yet. Over HTTP/1 a connection keeps a buffer as large as what came
/// through it at once, up to 400 KiB, for as long as it waits for the next request; so the one that brought a whole
/// repository is closed. Later fetches are small, and soon followed by others where somebody pushes often.
fn takes_all(question: &[u8]) -> bool {
    question.ends_with(DONE) && !question.windows(HAVE.len()).any(|part| part == HAVE)
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

/// What a server says that names objects by SHA-256, in the first line that names one.
const SHA256: &[u8] = b"object-format=sha256";

/// libgit2 would fail on the first name that is longer than it knows.
fn check_format(advertisement: &[u8]) -> Result<(), git2::Error> {
    let end = advertisement.iter().position(|byte| *byte == 0).map_or(0, |nul| nul + LONGEST_CAPABILITIES);
    let capabilities = &advertisement[..end.min(advertisement.len())];
    if capabilities.windows(SHA256.len()).any(|window| window == SHA256) {
        return Err(git2::Error::from_str(UNSUPPORTED_FORMAT));
    }
    Ok(())
}

/// Waits on a thread that may block; it must belong to a runtime.
fn wait<T>(future: impl Future<Output = T>) -> Result<T, git2::Error> {
    let runtime = Handle::try_current().map_err(|error| git2::Error::from_str(&error.to_string()))?;
    Ok(turns::waiting(|| runtime.block_on(future)))
}

/// Why there is no answer, without the URL, which may hold credentials.
fn failed(error: reqwest::Error) -> git2::Error {
    let (code, reason) = if error.is_timeout() {
        (ErrorCode::Timeout, "timed out".to_owned())
    } else {
        (ErrorCode::GenericError, reason(error))
    };
    // A NUL would end the text for libgit2.
    git2::Error::new(code, ErrorClass::Net, reason.replace('\0', " "))
}
