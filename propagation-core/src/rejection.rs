//! Fields and keys that were rejected or changed, with the reasons.

use std::{borrow::Cow, fmt, sync::Arc};

use smallvec::SmallVec;

use crate::{EscapedText, RejectReason};

/// A field, or a key within one, that was rejected, dropped, changed or cut. Never holds a value.
///
/// Any caller can make a service produce these, so they are cheap: a key of ordinary length is held in place, and the rejections of one
/// message share the name of their rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The field on the wire: `traceparent`, `tracestate`, `baggage`, `b3`, …
    pub field: &'static str,
    /// The reason.
    pub reason: RejectReason,
    /// In report mode ([`RejectReason::ReportOnly`]): the reason for which the policy would have blocked it.
    pub underlying: Option<RejectReason>,
    /// Empty if it is unknown or may not be shown.
    key: SmallVec<[u8; 32]>,
    rule: Option<PolicyName>,
    detector: Option<PolicyName>,
    /// Whether the inbound rule that admitted the current hop rejected it on an outgoing carrier.
    pub(crate) forwarded: bool,
}

/// The name of a rule or a detector. Clones do not touch memory that other threads use, unlike clones of a policy's own strings.
#[derive(Clone, Debug)]
pub(crate) enum PolicyName {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Rejection {
    /// The longest key that is shown, in bytes.
    pub const MAX_KEY_BYTES: usize = 64;

    /// Creates a rejection of a whole field.
    #[must_use]
    pub fn new(field: &'static str, reason: RejectReason) -> Self {
        Self { field, reason, underlying: None, key: SmallVec::new(), rule: None, detector: None, forwarded: false }
    }

    /// Creates a rejection of a member by a policy. The key is a token, or empty.
    pub(crate) fn of_key(
        field: &'static str,
        reason: RejectReason,
        key: &[u8],
        rule: PolicyName,
        detector: Option<PolicyName>,
    ) -> Self {
        let key = if key.len() <= Self::MAX_KEY_BYTES { SmallVec::from_slice(key) } else { SmallVec::new() };
        Self { field, reason, underlying: None, key, rule: Some(rule), detector, forwarded: false }
    }

    /// Adds the key within the field. A key that is longer than [`MAX_KEY_BYTES`](Self::MAX_KEY_BYTES) or not printable ASCII is omitted.
    #[must_use]
    pub fn with_key(mut self, key: &[u8]) -> Self {
        if key.len() <= Self::MAX_KEY_BYTES && key.iter().all(u8::is_ascii_graphic) {
            self.key = SmallVec::from_slice(key);
        }
        self
    }

    /// Adds the name of the rule that rejected it. A literal is not copied.
    #[must_use]
    pub fn with_rule(self, rule: impl Into<Cow<'static, str>>) -> Self {
        self.by(Some(rule.into().into()), None)
    }

    /// Adds the names of a rule and of a detector.
    #[must_use]
    pub(crate) fn by(mut self, rule: Option<PolicyName>, detector: Option<PolicyName>) -> Self {
        (self.rule, self.detector) = (rule, detector);
        self
    }

    /// Turns it into a report: the policy let it cross, and would have blocked it without report mode.
    #[must_use]
    pub(crate) fn reported(mut self) -> Self {
        self.underlying = Some(self.reason);
        self.reason = RejectReason::ReportOnly;
        self
    }

    /// Removes the key if it may not be shown.
    pub(crate) fn retain_key(&mut self, may_show: impl FnOnce(&[u8]) -> bool) {
        if !self.key.is_empty() && !may_show(&self.key) {
            self.key = SmallVec::new();
        }
    }

    /// Returns the key within the field, where it is known and may be shown: printable, at most
    /// [`MAX_KEY_BYTES`](Self::MAX_KEY_BYTES), and free of personal data.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        std::str::from_utf8(&self.key).ok().filter(|key| !key.is_empty())
    }

    /// Returns the name of the policy's rule that rejected it, if a policy did. Without a rule for the peer, `default`.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_ref().map(PolicyName::as_str)
    }

    /// Returns the name of the detector or pattern that found something, if one did.
    #[must_use]
    pub fn detector(&self) -> Option<&str> {
        self.detector.as_ref().map(PolicyName::as_str)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if let Some(key) = self.key() {
            write!(f, " {}", EscapedText::new(key))?;
        }
        match self.underlying {
            Some(underlying) => write!(f, ": allowed by report mode, would be blocked: {underlying}")?,
            None => write!(f, ": {}", self.reason)?,
        }
        match (self.rule(), self.detector()) {
            (Some(rule), Some(detector)) => {
                write!(f, " (rule {}, detector {})", EscapedText::new(rule), EscapedText::new(detector))
            }
            (Some(rule), None) => write!(f, " (rule {})", EscapedText::new(rule)),
            (None, Some(detector)) => write!(f, " (detector {})", EscapedText::new(detector)),
            (None, None) => Ok(()),
        }
    }
}

impl PolicyName {
    fn as_str(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl From<Cow<'static, str>> for PolicyName {
    fn from(name: Cow<'static, str>) -> Self {
        match name {
            Cow::Borrowed(name) => Self::Static(name),
            Cow::Owned(name) => Self::Shared(name.into()),
        }
    }
}

impl PartialEq for PolicyName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PolicyName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_key_rule_and_detector_apart() {
        let rejection = Rejection::new("baggage", RejectReason::PersonalData).with_key(b"user.email");
        assert_eq!(rejection.to_string(), "baggage user.email: personal_data");
        let rejection = rejection.with_rule("internal");
        assert_eq!(rejection.to_string(), "baggage user.email: personal_data (rule internal)");
        let detector = Some(PolicyName::Static("email"));
        let rejection = rejection.clone().by(rejection.rule.clone(), detector).reported();
        assert_eq!((rejection.rule(), rejection.detector()), (Some("internal"), Some("email")));
        let shown = "allowed by report mode, would be blocked: personal_data (rule internal, detector email)";
        assert!(rejection.to_string().ends_with(shown), "{rejection}");
    }

    #[test]
    fn long_and_unprintable_keys_are_omitted() {
        for (key, shown) in [
            (&b"k"[..], Some("k")),
            (&[b'k'; 64], Some(&*"k".repeat(64))),
            (&[b'k'; 65], None),
            (b"a b", None),
            ("grün".as_bytes(), None),
            (b"", None),
        ] {
            assert_eq!(Rejection::new("baggage", RejectReason::NotAllowed).with_key(key).key(), shown);
        }
    }
}

/// The direction of a context at a boundary of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Extracted.
    Inbound,
    /// Injected.
    Outbound,
}

impl Direction {
    /// Returns `inbound` or `outbound`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}
