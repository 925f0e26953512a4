//! Certificates and signatures that are put together by somebody who means harm: what their owners did not say of their
//! keys does not count. What the real `gpg` makes of good will is in `signatures`.

mod gpg;

use anyhow::{Context, ensure};
use gpg::Home;
use ithaca_api::project::{Depth, GitDemand};
use ithaca_watcher::signature::{Keyring, OpenPgpKeys, SignatureError, Signed, verify};
use pgp::composed::{
    ArmorOptions, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails, Password, SigningKey, Timestamp};

const PAYLOAD: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";

/// The key of somebody: a primary key that vouches for a subkey, which signs.
struct Owner {
    home: Home,
    id: String,
}

impl Owner {
    fn new() -> anyhow::Result<Self> {
        let home = Home::new()?;
        let id = home.key(["rsa2048", "cert", "never"])?;
        home.gpg(&["--quick-add-key", &id, "rsa2048", "sign", "never"])?;
        Ok(Self { home, id })
    }

    fn public(&self) -> anyhow::Result<SignedPublicKey> {
        let text = self.home.exported()?;
        Ok(SignedPublicKey::from_armor_single(text.as_bytes())?.0)
    }

    fn secret(&self) -> anyhow::Result<SignedSecretKey> {
        let text = self.home.gpg(&["--armor", "--export-secret-keys"])?;
        Ok(SignedSecretKey::from_armor_single(text.as_bytes())?.0)
    }

    fn sign(&self, arguments: &[&str]) -> anyhow::Result<Signed> {
        std::fs::write(self.home.path().join("payload"), PAYLOAD)?;
        let sign = ["--yes", "--armor", "--output", "signature", "--detach-sign", "payload"];
        self.home.gpg(&[arguments, &sign[..]].concat())?;
        let signature = Some(std::fs::read_to_string(self.home.path().join("signature"))?);
        Ok(Signed { payload: PAYLOAD.to_vec(), signature, made: 0 })
    }

    /// Whether what was signed counts by this key as it is given.
    fn judge(&self, given: &SignedPublicKey, signed: &Signed) -> anyhow::Result<Result<(), SignatureError>> {
        let text = given.to_armored_string(ArmorOptions::default())?;
        let (openpgp, unreadable) = OpenPgpKeys::read([("key", text.as_str())]);
        ensure!(unreadable.is_empty(), "{unreadable:?}");
        let demand = GitDemand { depth: Depth::Head, keys: Some(vec![self.id.clone()]), signers: None };
        Ok(verify(signed, &demand, &Keyring { openpgp, ..Keyring::default() }, None))
    }
}

/// A signature of the payload.
fn signature_of(key: &impl SigningKey) -> anyhow::Result<Signed> {
    let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now()))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    let signature = DetachedSignature::new(config.sign(key, &Password::empty(), PAYLOAD)?);
    let signature = Some(signature.to_armored_string(ArmorOptions::default())?);
    Ok(Signed { payload: PAYLOAD.to_vec(), signature, made: 0 })
}

fn refused(result: Result<(), SignatureError>, word: &str) -> anyhow::Result<()> {
    let error = result.err().with_context(|| format!("it should be refused: {word}"))?.to_string();
    ensure!(error.contains(word), "{error}");
    Ok(())
}

#[test]
fn nobody_takes_the_signatures_of_another_for_his_own() -> anyhow::Result<()> {
    let (ada, eve) = (Owner::new()?, Owner::new()?);
    let signed = ada.sign(&[])?;
    ada.judge(&ada.public()?, &signed)??;

    // Eve says that Ada's subkey is hers, and Ada's subkey does not.
    let (secret, subkey) = (eve.secret()?, ada.public()?.public_subkeys.remove(0).key);
    let primary = &secret.primary_key;
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let mut config =
        SignatureConfig::v4(SignatureType::SubkeyBinding, primary.algorithm(), HashAlgorithm::Sha256);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::now()))?,
        Subpacket::regular(SubpacketData::KeyFlags(flags))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(primary.fingerprint()))?,
    ];
    let mut claimed = eve.public()?;
    let binding = config.sign_subkey_binding(primary, &claimed.primary_key, &Password::empty(), &subkey)?;
    claimed.public_subkeys.push(SignedPublicSubKey::new(subkey, vec![binding]));
    refused(eve.judge(&claimed, &signed)?, "does not say itself")
}

#[test]
fn nobody_makes_a_key_part_of_what_another_owns() -> anyhow::Result<()> {
    let (ada, eve) = (Owner::new()?, Owner::new()?);
    let signed = eve.sign(&[])?;
    let mut grafted = ada.public()?;
    grafted.public_subkeys.push(eve.public()?.public_subkeys.remove(0));
    refused(ada.judge(&grafted, &signed)?, "does not say that it belongs to it")?;

    // Nor are words of another put into its mouth.
    let mut misquoted = ada.public()?;
    misquoted.details = eve.public()?.details;
    refused(ada.judge(&misquoted, &ada.sign(&[])?)?, "signed by it")
}

#[test]
fn signatures_count_for_what_keys_are_meant_for_and_in_a_form_that_is_safe() -> anyhow::Result<()> {
    let ada = Owner::new()?;
    let (public, secret) = (ada.public()?, ada.secret()?);
    let subkey = &secret.secret_subkeys[0].key;
    ada.judge(&public, &signature_of(subkey)?)??;
    let by_primary = signature_of(&secret.primary_key)?;
    refused(ada.judge(&public, &by_primary)?, "may not sign data")?;
    refused(ada.judge(&public, &ada.sign(&["--digest-algo", "SHA1"])?)?, "not safe any more")?;

    let mut changed = ada.sign(&[])?;
    changed.payload.push(b'!');
    refused(ada.judge(&public, &changed)?, "does not hold")
}
