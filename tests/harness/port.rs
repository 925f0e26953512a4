//! Free TCP ports on the loopback interface.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;

use anyhow::Context;

/// Below the range from which the kernel takes the ports of outgoing connections,
/// so that a stopped program finds its port free when it comes back.
const RANGE: std::ops::Range<u64> = 15_000..32_000;

/// A port that nobody listens on now.
pub fn free() -> anyhow::Result<u16> {
    std::iter::repeat_with(random)
        .take(100)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("failed to find a free port on 127.0.0.1")
}

fn random() -> u16 {
    let number = RandomState::new().build_hasher().finish();
    let port = RANGE.start + number % (RANGE.end - RANGE.start);
    u16::try_from(port).unwrap_or(u16::MAX)
}
