//! The compressed content of bundles: inside the message where small, in the object store where not; sealed for who
//! has the key.

use bytes::Bytes;
use ithaca_proto::{subject, v1::Content};
use tokio::io::AsyncReadExt;

use crate::{Bus, Error, Seal, SealError};

/// Bytes of compressed content up to which it travels inside the message.
pub const INLINE_LIMIT: usize = 64 << 10;

impl Bus {
    /// Puts compressed content where its size says. `content.digest` must be set.
    pub async fn put_content(
        &self,
        uid: &str,
        content: &mut Content,
        compressed: Vec<u8>,
    ) -> Result<(), Error> {
        let name = subject::content(uid, &content.digest);
        let closed = |seal: &Seal| seal.close(&name, compressed.clone());
        let sealed = self.seal.as_ref().map(closed).transpose();
        let bytes =
            sealed.map_err(|source| Error::Seal { content: name.clone(), source })?.unwrap_or(compressed);
        content.seal = self.seal_id().to_owned();
        if bytes.len() <= INLINE_LIMIT {
            content.inline = bytes.into();
            return Ok(());
        }
        let failed = |source: async_nats::Error| Error::Publish { subject: name.clone(), source };
        let store = self.jetstream.get_object_store(subject::CONTENTS).await.map_err(|e| failed(e.into()))?;
        let mut reader = bytes.as_slice();
        store.put(name.as_str(), &mut reader).await.map(drop).map_err(|e| failed(e.into()))
    }

    /// The compressed content of a bundle.
    pub async fn get_content(&self, uid: &str, content: &Content) -> Result<Bytes, Error> {
        let name = subject::content(uid, &content.digest);
        let refused = |source| Error::Seal { content: name.clone(), source };
        let Some(seal) = &self.seal else {
            let is_open = content.seal.is_empty();
            return if is_open { self.stored(&name, content).await } else { Err(refused(SealError::Other)) };
        };
        match content.seal.as_str() {
            "" => return Err(refused(SealError::Missing)),
            id if id != seal.id() => return Err(refused(SealError::Other)),
            _ => {}
        }
        let bytes = self.stored(&name, content).await?;
        seal.open(&name, &bytes).map(Bytes::from).map_err(refused)
    }

    /// The bytes as they were put.
    async fn stored(&self, name: &str, content: &Content) -> Result<Bytes, Error> {
        if !content.inline.is_empty() {
            return Ok(content.inline.clone());
        }
        let failed = |source: async_nats::Error| Error::Read { what: format!("content {name}"), source };
        let store = self.jetstream.get_object_store(subject::CONTENTS).await.map_err(|e| failed(e.into()))?;
        let mut object = store.get(name).await.map_err(|e| failed(e.into()))?;
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).await.map_err(|e| failed(e.into()))?;
        Ok(bytes.into())
    }

    /// Removes content that no bundle names any more. Failing is harmless: it costs disk, not truth.
    pub async fn delete_content(&self, uid: &str, digest: &str) {
        let name = subject::content(uid, digest);
        let Ok(store) = self.jetstream.get_object_store(subject::CONTENTS).await else {
            return;
        };
        if let Err(error) = store.delete(&name).await {
            tracing::debug!(%error, name, "failed to delete content");
        }
    }
}
