//! OpenPGP: armoured public keys and detached signatures, as `gpg` makes them.
//!
//! What a key says of itself counts only as far as its primary key signed it: how long it is valid, which subkeys may
//! sign, that it is revoked. Certificates of others, and trust, play no part: a key that is given is trusted.

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};

use super::error::{KeyName, SignatureError};
use super::validity::{Moments, Validity, one_good};

/// Where keys are.
pub const CONFIG_MAP: &str = "argocd-gpg-keys-cm";

/// What a block of keys ends with.
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The keys that are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenPgpKeys {
    keys: Vec<Key>,
}

/// A primary key or a subkey that may have signed something.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    key: Public,
    /// Its fingerprint in capital letters, and its primary key's.
    fingerprint: String,
    primary: String,
    owner: Option<String>,
    created: i64,
    expires: Option<i64>,
    is_revoked: bool,
    /// Why it may not sign.
    unfit: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
enum Public {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

impl OpenPgpKeys {
    /// Reads named texts of one or more armoured keys each, and says which cannot be read.
    pub fn read<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<String>) {
        let (mut keys, mut unreadable) = (Vec::new(), Vec::new());
        for (name, text) in texts {
            for block in text.split_inclusive(END).filter(|block| !block.trim().is_empty()) {
                match SignedPublicKey::from_armor_many(block.trim_start().as_bytes()) {
                    Ok((certificates, _)) => certificates.for_each(|certificate| match certificate {
                        Ok(certificate) => keys.extend(read(&certificate)),
                        Err(error) => unreadable.push(format!("entry {name}: {error}")),
                    }),
                    Err(error) => unreadable.push(format!("entry {name}: {error}")),
                }
            }
        }
        (Self { keys }, unreadable)
    }

    /// Verifies an armoured signature, and that one of the permitted keys made it. A permitted primary key permits its
    /// subkeys.
    pub(super) fn verify(
        &self,
        payload: &[u8],
        armored: &str,
        moments: Moments,
        permitted: &[String],
    ) -> Result<(), SignatureError> {
        let (signature, _) = DetachedSignature::from_armor_single(armored.as_bytes())
            .map_err(|error| SignatureError::Unreadable(error.to_string()))?;
        self.verify_one(&signature.signature, payload, moments, permitted).map(drop)
    }

    /// Verifies a signature in the same way, and says whose it is.
    pub(super) fn verify_one(
        &self,
        signature: &Signature,
        payload: &[u8],
        moments: Moments,
        permitted: &[String],
    ) -> Result<KeyName, SignatureError> {
        check_form(signature)?;
        let named: Vec<&Key> = self.keys.iter().filter(|key| key.is_issuer(signature)).collect();
        if named.is_empty() {
            let key = KeyName { kind: "OpenPGP", id: issuer(signature), owner: None };
            return Err(SignatureError::Unknown { key, config_map: CONFIG_MAP });
        }
        let holds = |key: &&&Key| match &key.key {
            Public::Primary(public) => signature.verify(&**public, payload).is_ok(),
            Public::Subkey(public) => signature.verify(&**public, payload).is_ok(),
        };
        let Some(key) = named.iter().find(holds) else {
            return Err(SignatureError::Invalid(named[0].name()));
        };
        // A key may be given twice, once before and once after its owner changed what it says.
        let same: Vec<&Key> = self.keys.iter().filter(|other| other.fingerprint == key.fingerprint).collect();
        if same.iter().any(|key| key.is_revoked) {
            return Err(SignatureError::Revoked(key.name()));
        }
        let made = signature.created().map_or(moments.made, |time| i64::from(time.as_secs()));
        let moments = Moments { made, ..moments };
        let judged = same.iter().map(|key| key.check(signature, moments, permitted).map(|()| key.name()));
        one_good(judged).unwrap_or_else(|| Err(SignatureError::Invalid(key.name())))
    }
}

impl Key {
    /// Whether a signature says that it was made with it.
    fn is_issuer(&self, signature: &Signature) -> bool {
        let fingerprints = signature.issuer_fingerprint();
        if !fingerprints.is_empty() {
            return fingerprints.iter().any(|fingerprint| format!("{fingerprint:X}") == self.fingerprint);
        }
        signature.issuer_key_id().iter().any(|id| hex::encode_upper(id.as_ref()) == self.id())
    }

    /// The 16 digits that people know it by.
    fn id(&self) -> String {
        let id = match &self.key {
            Public::Primary(key) => key.legacy_key_id(),
            Public::Subkey(key) => key.legacy_key_id(),
        };
        hex::encode_upper(id.as_ref())
    }

    fn name(&self) -> KeyName {
        KeyName { kind: "OpenPGP", id: self.id(), owner: self.owner.clone() }
    }

    fn check(
        &self,
        signature: &Signature,
        moments: Moments,
        permitted: &[String],
    ) -> Result<(), SignatureError> {
        if let Some(reason) = self.unfit {
            return Err(SignatureError::Unfit { key: self.name(), reason });
        }
        let ends = signature.signature_expiration_time().filter(|time| time.as_secs() > 0);
        let ends = ends.map(|time| moments.made + i64::from(time.as_secs()));
        let until = self.expires.into_iter().chain(ends).min();
        Validity { from: Some(self.created), until }.check(moments, || self.name())?;
        // The short id of the primary key is the end of its fingerprint in all versions that have short ids.
        let is_meant = |permitted: &String| {
            [&self.fingerprint, &self.primary].iter().any(|fingerprint| {
                *fingerprint == permitted || permitted.len() == 16 && short(fingerprint) == *permitted
            })
        };
        if permitted.iter().any(is_meant) { Ok(()) } else { Err(SignatureError::NotPermitted(self.name())) }
    }
}

/// The 16 digits by which a fingerprint is known: its end, or from version 6 on its beginning.
fn short(fingerprint: &str) -> &str {
    let cut = if fingerprint.len() > 40 {
        fingerprint.get(..16)
    } else {
        fingerprint.get(fingerprint.len() - 16..)
    };
    cut.unwrap_or(fingerprint)
}

/// A signature over data, by a hash that still means something.
fn check_form(signature: &Signature) -> Result<(), SignatureError> {
    let unreadable = |reason: String| Err(SignatureError::Unreadable(reason));
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return unreadable("it is none over data".to_owned());
    }
    let weak = [HashAlgorithm::None, HashAlgorithm::Md5, HashAlgorithm::Sha1, HashAlgorithm::Ripemd160];
    match signature.hash_alg() {
        Some(hash) if !weak.contains(&hash) => {}
        Some(hash) => return unreadable(format!("its hash, {hash}, is not safe any more: sign it anew")),
        None => return unreadable("its version is not known".to_owned()),
    }
    // Who writes such a part means that it must not be passed over.
    let known =
        |data: &SubpacketData| !matches!(data, SubpacketData::Experimental(..) | SubpacketData::Other(..));
    let config = signature.config();
    let hashed = config.into_iter().flat_map(|config| config.hashed_subpackets());
    match hashed.into_iter().any(|part| part.is_critical && !known(&part.data)) {
        true => unreadable("it has a part that must be understood, and is not".to_owned()),
        false => Ok(()),
    }
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = signature.issuer_key_id().first().map(|id| hex::encode_upper(id.as_ref()));
    id.or(fingerprint).unwrap_or_else(|| "without a name".to_owned())
}

/// The keys of a certificate.
fn read(certificate: &SignedPublicKey) -> Vec<Key> {
    let primary = &certificate.primary_key;
    let own = self_signatures(certificate);
    let newest = own.iter().max_by_key(|signature| signature.created().map(|time| time.as_secs()));
    let created = i64::from(primary.created_at().as_secs());
    let is_revoked = certificate
        .details
        .revocation_signatures
        .iter()
        .any(|signature| signature.verify_key(primary).is_ok());
    let owner = certificate.details.users.first().and_then(|user| user.id.as_str()).map(str::to_owned);
    let fingerprint = format!("{:X}", primary.fingerprint());
    let unfit = match newest {
        None => Some("nothing that it says of itself is signed by it"),
        Some(newest) if has_flags(newest) && !newest.key_flags().sign() => Some("it may not sign data"),
        Some(_) => None,
    };
    let first = Key {
        key: Public::Primary(Box::new(primary.clone())),
        fingerprint: fingerprint.clone(),
        primary: fingerprint,
        owner,
        created,
        expires: newest.and_then(|newest| expiry(created, newest)),
        is_revoked,
        unfit,
    };
    let unbound = newest.is_none();
    let subkeys =
        certificate.public_subkeys.iter().map(|subkey| read_subkey(primary, subkey, &first, unbound));
    let subkeys: Vec<Key> = subkeys.collect();
    std::iter::once(first).chain(subkeys).collect()
}

/// A subkey lives no longer than its primary key.
fn read_subkey(primary: &PublicKey, subkey: &SignedPublicSubKey, first: &Key, unbound: bool) -> Key {
    let bound = |signature: &&Signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    let of_type = |wanted: SignatureType| {
        subkey.signatures.iter().filter(move |signature| signature.typ() == Some(wanted)).filter(bound)
    };
    let newest = of_type(SignatureType::SubkeyBinding)
        .max_by_key(|signature| signature.created().map(|time| time.as_secs()));
    let created = i64::from(subkey.key.created_at().as_secs());
    // Without the subkey's own consent anybody could claim another's key, and with it all that it signed.
    let consents = newest
        .and_then(|newest| newest.embedded_signature())
        .is_some_and(|consent| consent.verify_primary_key_binding(&subkey.key, primary).is_ok());
    let unfit = match newest {
        None => Some("its primary key does not say that it belongs to it"),
        Some(_) if unbound => Some("nothing that its primary key says of itself is signed by it"),
        Some(newest) if !newest.key_flags().sign() => Some("it may not sign data"),
        Some(_) if !consents => Some("it does not say itself that it belongs to its primary key"),
        Some(_) => None,
    };
    let own = newest.and_then(|newest| expiry(created, newest));
    Key {
        fingerprint: format!("{:X}", subkey.key.fingerprint()),
        key: Public::Subkey(Box::new(subkey.key.clone())),
        primary: first.fingerprint.clone(),
        owner: first.owner.clone(),
        created,
        expires: own.into_iter().chain(first.expires).min(),
        is_revoked: first.is_revoked || of_type(SignatureType::SubkeyRevocation).next().is_some(),
        unfit,
    }
}

/// What a primary key says of itself and really signed.
fn self_signatures(certificate: &SignedPublicKey) -> Vec<&Signature> {
    let primary = &certificate.primary_key;
    let direct = certificate.details.direct_signatures.iter();
    let direct = direct.filter(|signature| signature.verify_key(primary).is_ok());
    let of_users = certificate.details.users.iter().flat_map(|user| {
        let certifies = |signature: &&Signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        user.signatures.iter().filter(certifies)
    });
    direct.chain(of_users).collect()
}

fn has_flags(signature: &Signature) -> bool {
    let hashed = signature.config().into_iter().flat_map(|config| config.hashed_subpackets());
    hashed.into_iter().any(|part| matches!(part.data, SubpacketData::KeyFlags(_)))
}

/// When a key ends, by what it says of itself. No time at all means never.
fn expiry(created: i64, signature: &Signature) -> Option<i64> {
    let lasts = signature.key_expiration_time().map(|time| i64::from(time.as_secs()));
    lasts.filter(|lasts| *lasts > 0).map(|lasts| created + lasts)
}
