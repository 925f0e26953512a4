//! Free TCP ports on the loopback interface.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

/// Below the range from which the kernel takes the ports of outgoing connections,
/// so that a stopped program finds its port free when it comes back.
const RANGE: std::ops::Range<u64> = 15_000..32_000;

/// What this process has taken, until it ends.
static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port that nobody listens on now, and that no other stack will take.
pub fn free() -> anyhow::Result<u16> {
    std::iter::repeat_with(random)
        .take(100)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok() && take(*port))
        .context("failed to find a free port on 127.0.0.1")
}

/// Takes a port among all stacks of the machine: between being found free and being listened on, another
/// stack could find it free as well. An abstract socket has one owner, and goes with its process.
fn take(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("ithaca-port-{port}"));
    let Ok(socket) = name.and_then(|name| UnixListener::bind_addr(&name)) else { return false };
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    true
}

fn random() -> u16 {
    let number = RandomState::new().build_hasher().finish();
    let port = RANGE.start + number % (RANGE.end - RANGE.start);
    u16::try_from(port).unwrap_or(u16::MAX)
}
