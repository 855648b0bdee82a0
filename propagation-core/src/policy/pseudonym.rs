//! Keyed pseudonyms: HMAC-SHA-256, with a key id, two keys at a time.

use std::fmt;

use crate::PolicyError;

/// Computes the pseudonyms of [`ScrubAction::Pseudonymize`](crate::policy::ScrubAction::Pseudonymize): `p.{key id}.{32 hex digits}`, the first 128 bits of
/// HMAC-SHA-256 over the value.
///
/// Two keys at a time: the current one makes pseudonyms, and pseudonyms of the previous one are still recognized, so that keys can rotate
/// during a rolling deployment. `Debug` does not print keys.
#[derive(Clone)]
pub struct Pseudonymizer {
    current: Key,
    previous: Option<Key>,
}

#[derive(Clone)]
struct Key {
    id: Box<str>,
    #[cfg_attr(not(feature = "pseudonymize"), allow(dead_code, reason = "checked, and used only with the feature"))]
    secret: Box<[u8]>,
}

impl Pseudonymizer {
    /// The minimum length of a key in bytes (RFC 2104, 3: no less than half the hash's output).
    pub const MIN_KEY_BYTES: usize = 16;

    /// Creates a pseudonymizer with a key. Its id is on the wire: letters, digits, `-` and `_`, at most 32 of them.
    ///
    /// # Errors
    ///
    /// Returns an error if the id is invalid, the key is too short, or the feature `pseudonymize` is off.
    pub fn new(id: &str, key: &[u8]) -> Result<Self, PolicyError> {
        Ok(Self { current: Key::new(id, key)?, previous: None })
    }

    /// Recognizes the pseudonyms of the previous key, too.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if the id is that of the current key.
    pub fn with_previous(mut self, id: &str, key: &[u8]) -> Result<Self, PolicyError> {
        if id == &*self.current.id {
            return Err(PolicyError::InvalidPseudonymKey { id: id.to_owned(), cause: "has the id of the other key" });
        }
        self.previous = Some(Key::new(id, key)?);
        Ok(self)
    }

    /// Returns the pseudonym of a value, by the current key.
    #[must_use]
    pub fn pseudonym(&self, value: &str) -> String {
        self.current.pseudonym(value)
    }

    /// Returns true if a pseudonym, of either key, is that of a value.
    #[must_use]
    pub fn verify(&self, pseudonym: &str, value: &str) -> bool {
        self.keys().any(|key| key.pseudonym(value) == pseudonym)
    }

    /// Returns true if a text has the form of a pseudonym of one of the two keys.
    pub(super) fn made(&self, text: &str) -> bool {
        let id = text.strip_prefix("p.").and_then(|rest| rest.rsplit_once('.'));
        id.is_some_and(|(id, digest)| {
            digest.len() == 32
                && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                && self.keys().any(|key| &*key.id == id)
        })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl fmt::Debug for Pseudonymizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonymizer").field("keys", &self.keys().map(|key| &key.id).collect::<Vec<_>>()).finish()
    }
}

impl Key {
    fn new(id: &str, secret: &[u8]) -> Result<Self, PolicyError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if id.is_empty() || id.len() > 32 || !id.bytes().all(legal) {
            let cause = "has an invalid id; expected up to 32 letters, digits, `-` and `_`";
            return Err(PolicyError::InvalidPseudonymKey { id: id.to_owned(), cause });
        }
        if secret.len() < Pseudonymizer::MIN_KEY_BYTES {
            return Err(PolicyError::InvalidPseudonymKey { id: id.to_owned(), cause: "has fewer than 16 bytes" });
        }
        if cfg!(not(feature = "pseudonymize")) {
            return Err(PolicyError::MissingFeature { feature: "pseudonymize" });
        }
        Ok(Self { id: id.into(), secret: secret.into() })
    }

    #[cfg(feature = "pseudonymize")]
    fn pseudonym(&self, value: &str) -> String {
        use hmac::{Hmac, KeyInit, Mac};

        let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(&self.secret) else { return String::new() };
        mac.update(value.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut hex = [0; 32];
        crate::hex::encode::<16, 32>(digest.first_chunk().unwrap_or(&[0; 16]), &mut hex);
        format!("p.{}.{}", self.id, std::str::from_utf8(&hex).unwrap_or_default())
    }

    #[cfg(not(feature = "pseudonymize"))]
    #[expect(clippy::unused_self, reason = "no key is ever made without the feature")]
    fn pseudonym(&self, _: &str) -> String {
        String::new()
    }
}

#[cfg(all(test, feature = "pseudonymize"))]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_are_the_first_half_of_the_published_hmac() {
        // RFC 4231, test case 1.
        let pseudonyms = Pseudonymizer::new("k1", &[0x0b; 20]).unwrap();
        assert_eq!(pseudonyms.pseudonym("Hi There"), "p.k1.b0344c61d8db38535ca8afceaf0bf12b");
    }

    #[test]
    fn keys_rotate_side_by_side_and_are_not_printed() {
        let old = Pseudonymizer::new("2026-10", b"an old key, long enough").unwrap();
        let new = Pseudonymizer::new("2026-11", b"a new key, long enough").unwrap();
        let both = new.clone().with_previous("2026-10", b"an old key, long enough").unwrap();
        assert_ne!(old.pseudonym("anna"), new.pseudonym("anna"));
        assert!(both.verify(&old.pseudonym("anna"), "anna") && both.verify(&new.pseudonym("anna"), "anna"));
        assert!(both.made(&old.pseudonym("anna")) && !new.made(&old.pseudonym("anna")));
        assert!(!format!("{both:?}").contains("long enough"));
        assert!(new.with_previous("2026-11", &[1; 32]).is_err());
        assert!(Pseudonymizer::new("k", b"short").is_err() && Pseudonymizer::new("a.b", &[1; 32]).is_err());
    }
}
