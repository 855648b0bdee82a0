//! Keyed pseudonyms: HMAC-SHA-256, with a key id, two keys at a time.

use std::fmt;

use crate::PolicyError;

/// Makes the pseudonyms of [`ScrubAction::Pseudonymize`](crate::policy::ScrubAction::Pseudonymize): `p.{key id}.{32 hex digits}`, the first 128 bits of
/// HMAC-SHA-256 over the value.
///
/// Two keys at a time: the current one makes pseudonyms, the previous one's are still known as such, so that keys can rotate while
/// services roll over. Keys are never shown, not even by `Debug`.
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
    /// The fewest bytes that a key must have (RFC 2104, 3: no less than half the hash's output).
    pub const MIN_KEY_BYTES: usize = 16;

    /// Makes pseudonyms with a key. Its id is on the wire: letters, digits, `-` and `_`, at most 32 of them.
    ///
    /// # Errors
    ///
    /// Refuses an illegal id, a key that is too short, and any key without the feature `pseudonymize`.
    pub fn new(id: &str, key: &[u8]) -> Result<Self, PolicyError> {
        Ok(Self { current: Key::new(id, key)?, previous: None })
    }

    /// Knows the pseudonyms of the key before, too.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and refuses the current key's id.
    pub fn with_previous(mut self, id: &str, key: &[u8]) -> Result<Self, PolicyError> {
        if id == &*self.current.id {
            return Err(PolicyError::new(format!("both pseudonym keys have the id {id:?}")));
        }
        self.previous = Some(Key::new(id, key)?);
        Ok(self)
    }

    /// The pseudonym of a value, with the current key.
    #[must_use]
    pub fn pseudonym(&self, value: &str) -> String {
        self.current.pseudonym(value)
    }

    /// Whether a pseudonym, of either key, is that of a value.
    #[must_use]
    pub fn verify(&self, pseudonym: &str, value: &str) -> bool {
        self.keys().any(|key| key.pseudonym(value) == pseudonym)
    }

    /// Whether a text has the form of a pseudonym that one of the two keys makes.
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
            return Err(PolicyError::new(format!("{id:?} is not a key id: up to 32 letters, digits, `-` and `_`")));
        }
        if secret.len() < Pseudonymizer::MIN_KEY_BYTES {
            let least = Pseudonymizer::MIN_KEY_BYTES;
            return Err(PolicyError::new(format!("the pseudonym key {id:?} has fewer than {least} bytes")));
        }
        if cfg!(not(feature = "pseudonymize")) {
            return Err(PolicyError::new("this build has no feature `pseudonymize`".to_owned()));
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
    fn keys_rotate_side_by_side_and_are_never_shown() {
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
