//! A channel of SSH as the stream that libgit2 reads and writes, on a thread that may block.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Buf, Bytes};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg};

use super::Host;
use crate::git::turns;

/// How much of what the host complains of is told.
const COMPLAINT: usize = 512;

/// The stream; the connection lives as long.
pub(super) struct SshStream {
    runtime: tokio::runtime::Handle,
    _session: Handle<Host>,
    channel: Channel<Msg>,
    silence: Duration,
    part: Bytes,
    complaint: Vec<u8>,
    has_answered: bool,
}

impl SshStream {
    pub(super) fn new(
        runtime: tokio::runtime::Handle,
        session: Handle<Host>,
        channel: Channel<Msg>,
        silence: Duration,
    ) -> Self {
        let (part, complaint) = (Bytes::new(), Vec::new());
        Self { runtime, _session: session, channel, silence, part, complaint, has_answered: false }
    }

    /// Waits for what the host says next; None at its end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let message = tokio::time::timeout(self.silence, self.channel.wait());
            let message = turns::waiting(|| self.runtime.block_on(message));
            match message.map_err(|_| io::Error::other("timed out"))? {
                Some(ChannelMsg::Data { data }) => return Ok(Some(data)),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = COMPLAINT.saturating_sub(self.complaint.len());
                    self.complaint.extend_from_slice(&data[..data.len().min(room)]);
                }
                // What it complains of may come after its last word.
                Some(ChannelMsg::Close) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }

    fn complain(&self) -> io::Error {
        let text = String::from_utf8_lossy(&self.complaint);
        let plain: String = text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect();
        let plain = plain.trim();
        io::Error::other(if plain.is_empty() {
            "the host ended the connection without an answer".to_owned()
        } else {
            format!("the host says: {plain}")
        })
    }
}

impl Read for SshStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() {
            match self.next()? {
                Some(part) => self.part = part,
                None if self.has_answered => return Ok(0),
                None => return Err(self.complain()),
            }
        }
        self.has_answered = true;
        let length = self.part.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.part[..length]);
        self.part.advance(length);
        Ok(length)
    }
}

impl Write for SshStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.channel.data_bytes(Bytes::copy_from_slice(bytes));
        let sent = self.runtime.block_on(tokio::time::timeout(self.silence, sent));
        let sent = sent.map_err(|_| io::Error::other("timed out"))?;
        sent.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
