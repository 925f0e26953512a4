//! What the transports of one call to a remote are made with. libgit2 makes them itself, on the thread that connects,
//! and hands nothing over but a URL.

use std::cell::RefCell;

use reqwest::Client;
use reqwest::header::HeaderValue;

use super::ssh::SshLine;

/// What a connection over HTTP is made with.
#[derive(Clone)]
pub(super) struct HttpLine {
    pub(super) client: Client,
    /// As whom; it goes to the repository's own server only.
    pub(super) authorization: Option<HeaderValue>,
}

/// How the remote is reached.
#[derive(Clone)]
pub(super) enum Line {
    /// On a local path.
    Local,
    /// By HTTP or HTTPS.
    Http(HttpLine),
    /// By SSH.
    Ssh(SshLine),
}

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line::Local) };
}

/// As long as this lives, transports that are made on this thread use its line.
pub(super) struct Entered(());

impl Line {
    /// Has the transports of this thread use it.
    pub(super) fn enter(self) -> Entered {
        LINE.with(|line| line.replace(self));
        Entered(())
    }

    /// The line of this thread.
    pub(super) fn current() -> Self {
        LINE.with(|line| line.borrow().clone())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        LINE.with(|line| line.replace(Line::Local));
    }
}
