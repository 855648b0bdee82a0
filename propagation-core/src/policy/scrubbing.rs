//! The detectors of a policy, and the actions on their findings.

use std::{ops::Range, sync::Arc};

use smallvec::SmallVec;

use super::{pattern::Pattern, pseudonym::Pseudonymizer};
use crate::{
    Member, PolicyError, TraceState, model, octets,
    rejection::PolicyName,
    scrub::{self, Detector, Detectors},
};

/// The action on a value that holds personal data or a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScrubAction {
    /// Drops the member.
    #[default]
    Drop,
    /// Replaces each finding by `[name of the detector]`.
    Redact,
    /// Replaces each finding by as many `*`, except for the last four characters of a finding of twelve or more.
    Mask,
    /// Replaces the whole value by a keyed pseudonym. Equal values have equal pseudonyms.
    Pseudonymize,
}

impl ScrubAction {
    /// Every action.
    pub const ALL: &[Self] = &[Self::Drop, Self::Redact, Self::Mask, Self::Pseudonymize];

    /// Returns the name in a policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Redact => "redact",
            Self::Mask => "mask",
            Self::Pseudonymize => "pseudonymize",
        }
    }

    /// Returns the action of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

/// The detectors that scan outgoing context, and the action on their findings.
///
/// By default every detector is on, with [`ScrubAction::Drop`].
///
/// ```
/// use propagation_core::{Policy, Scrub, scrub::Detector, policy::ScrubAction};
///
/// let scrub = Scrub::default().without(Detector::Phone).action(ScrubAction::Redact).pattern("employee", r"\bE\d{6}\b")?;
/// let policy = Policy::builder().scrub(scrub).build()?;
/// # let _ = policy;
/// # Ok::<(), propagation_core::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scrub {
    detectors: Detectors,
    patterns: Arc<[(Box<str>, Pattern)]>,
    action: ScrubAction,
    pseudonyms: Option<Arc<Pseudonymizer>>,
}

/// A finding in a member.
pub(super) struct Found<'a> {
    pub(super) detector: DetectorRef<'a>,
    pub(super) in_properties: bool,
}

/// A detector, or a pattern of the policy's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DetectorRef<'a> {
    BuiltIn(Detector),
    Pattern(&'a str),
}

impl<'a> DetectorRef<'a> {
    pub(super) fn name(self) -> &'a str {
        match self {
            Self::BuiltIn(detector) => detector.name(),
            Self::Pattern(name) => name,
        }
    }
}

impl From<DetectorRef<'_>> for PolicyName {
    fn from(detector: DetectorRef<'_>) -> Self {
        match detector {
            DetectorRef::BuiltIn(detector) => Self::Static(detector.name()),
            DetectorRef::Pattern(name) => Self::Shared(name.into()),
        }
    }
}

impl Default for Scrub {
    fn default() -> Self {
        Self { detectors: Detectors::all(), patterns: Arc::new([]), action: ScrubAction::Drop, pseudonyms: None }
    }
}

impl Scrub {
    /// Turns every detector off.
    #[must_use]
    pub fn off() -> Self {
        Self { detectors: Detectors::none(), ..Self::default() }
    }

    /// Replaces the set of detectors.
    #[must_use]
    pub fn only(mut self, detectors: Detectors) -> Self {
        self.detectors = detectors;
        self
    }

    /// Turns one detector off.
    #[must_use]
    pub fn without(mut self, detector: Detector) -> Self {
        self.detectors = self.detectors.without(detector);
        self
    }

    /// Sets the action on findings.
    #[must_use]
    pub fn action(mut self, action: ScrubAction) -> Self {
        self.action = action;
        self
    }

    /// Adds a detector of your own: a regular expression that may match anywhere in a decoded value.
    ///
    /// # Errors
    ///
    /// Returns an error if the expression does not compile or matches an empty text, or if the feature `patterns` is off.
    pub fn pattern(mut self, name: &str, expression: &str) -> Result<Self, PolicyError> {
        let pattern = Pattern::anywhere(expression)?;
        self.patterns = self.patterns.iter().cloned().chain([(name.into(), pattern)]).collect();
        Ok(self)
    }

    /// Sets the keys for [`ScrubAction::Pseudonymize`].
    #[must_use]
    pub fn pseudonyms(mut self, pseudonyms: Pseudonymizer) -> Self {
        self.pseudonyms = Some(Arc::new(pseudonyms));
        self
    }

    pub(super) fn detectors(&self) -> Detectors {
        self.detectors
    }

    /// Returns names and expressions of the patterns.
    pub(super) fn expressions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.patterns.iter().map(|(name, pattern)| (&**name, pattern.as_str()))
    }

    pub(super) fn chosen_action(&self) -> ScrubAction {
        self.action
    }

    /// Returns the action of a key, which may have one of its own.
    pub(super) fn resolve(&self, action: Option<ScrubAction>) -> ScrubAction {
        action.unwrap_or(self.action)
    }

    /// Returns true if there is neither a detector nor a pattern.
    pub(super) fn finds_nothing(&self) -> bool {
        self.detectors.is_empty() && self.patterns.is_empty()
    }

    /// Returns an error if an action lacks its pseudonym key.
    pub(super) fn check(&self, action: Option<ScrubAction>) -> Result<(), PolicyError> {
        if self.resolve(action) == ScrubAction::Pseudonymize && self.pseudonyms.is_none() {
            return Err(PolicyError::MissingPseudonymKey);
        }
        Ok(())
    }

    /// Cheap check of a member, for keys without a [hint](scrub::key_hint): returns true if no detector can match, on the wire or decoded.
    /// Values with an escaped space (`%20`) are common, and pass once decoded.
    pub(super) fn clears_member(&self, member: &Member<'_>) -> bool {
        self.patterns.is_empty() && (!scrub::may_match(member.as_wire()) || decoded_is_plain(member))
    }

    /// Cheap check of a text, for keys without a [hint](scrub::key_hint): returns true if no detector can match.
    pub(super) fn clears_text(&self, text: &str) -> bool {
        self.patterns.is_empty() && !scrub::may_match(text.as_bytes())
    }

    /// Cheap check of a tracestate: returns true if no detector can match.
    pub(super) fn clears_state(&self, state: &TraceState) -> bool {
        self.patterns.is_empty() && (state.is_plain() || !scrub::may_match(state.as_bytes()))
    }

    /// Returns true if a key may be shown: the detectors find nothing in it.
    pub(super) fn clears_key(&self, key: &[u8]) -> bool {
        self.patterns.is_empty() && !scrub::may_match(key)
            || std::str::from_utf8(key).is_ok_and(|key| self.find_in_key(key).is_none())
    }

    /// Returns the detector that matches a key.
    pub(super) fn find_in_key(&self, key: &str) -> Option<DetectorRef<'_>> {
        self.find_in(&[], key)
    }

    /// Returns the finding in a member's value, or else in its properties.
    pub(super) fn find(&self, member: &Member<'_>, action: Option<ScrubAction>) -> Option<Found<'_>> {
        let value = member.value();
        // A pseudonym that an earlier hop made is no secret, although it looks random.
        let pseudonym = self.resolve(action) == ScrubAction::Pseudonymize && self.is_own_pseudonym(&value);
        if !pseudonym && let Some(detector) = self.find_in(member.key().as_bytes(), &value) {
            return Some(Found { detector, in_properties: false });
        }
        self.find_in_properties(member).map(|detector| Found { detector, in_properties: true })
    }

    /// Returns the detector that matches the properties of a member.
    pub(super) fn find_in_properties(&self, member: &Member<'_>) -> Option<DetectorRef<'_>> {
        self.find_in(member.key().as_bytes(), member.properties())
    }

    /// Returns the detector that matches a text; its key may be a hint.
    pub(super) fn find_in(&self, key: &[u8], text: &str) -> Option<DetectorRef<'_>> {
        self.find_by(self.detectors, key, text)
    }

    /// Like [`find_in`](Self::find_in), for a text that names a machine: an address in it is no finding.
    pub(super) fn find_in_location(&self, key: &[u8], text: &str) -> Option<DetectorRef<'_>> {
        self.find_by(self.detectors.without(Detector::Ipv4).without(Detector::Ipv6), key, text)
    }

    fn find_by(&self, detectors: Detectors, key: &[u8], text: &str) -> Option<DetectorRef<'_>> {
        if text.is_empty() {
            return None;
        }
        let own = || {
            self.patterns.iter().find(|(_, pattern)| pattern.matches(text)).map(|(name, _)| DetectorRef::Pattern(name))
        };
        let found = scrub::scan(detectors, key, text.as_bytes()).map(|finding| DetectorRef::BuiltIn(finding.detector));
        found.or_else(own)
    }

    /// Returns the places of the findings in a text, in no order.
    pub(super) fn spans_in(&self, key: &[u8], text: &str) -> Vec<Range<usize>> {
        let found = scrub::find_all(self.detectors, key, text.as_bytes()).into_iter().map(|finding| finding.span);
        found.chain(self.patterns.iter().flat_map(|(_, pattern)| pattern.spans(text))).collect()
    }

    /// Returns the value that replaces one with a finding; `None` if the member is dropped.
    pub(super) fn change(&self, action: Option<ScrubAction>, member: &Member<'_>, found: &Found<'_>) -> Option<String> {
        let value = member.value();
        let action = self.resolve(action);
        if found.in_properties {
            // The value itself is clean: only the properties are dropped.
            return (action != ScrubAction::Drop).then(|| value.into_owned());
        }
        let mark: fn(&str, &str) -> String = match action {
            ScrubAction::Drop => return None,
            ScrubAction::Pseudonymize => {
                return self.pseudonyms.as_ref().map(|pseudonyms| pseudonyms.pseudonym(&value));
            }
            ScrubAction::Redact => |name, _| format!("[{name}]"),
            ScrubAction::Mask => |_, text| mask(text),
        };
        let changed = self.replace(member.key().as_bytes(), &value, mark)?;
        // The rest must be clean, too: its parts can add up to another finding.
        self.find_in(member.key().as_bytes(), &changed).is_none().then_some(changed)
    }

    /// Replaces every finding in a text.
    fn replace(&self, key: &[u8], text: &str, mark: fn(&str, &str) -> String) -> Option<String> {
        let found = scrub::find_all(self.detectors, key, text.as_bytes());
        let mut spans: Vec<(Range<usize>, &str)> =
            found.into_iter().map(|finding| (finding.span, finding.detector.name())).collect();
        for (name, pattern) in self.patterns.iter() {
            spans.extend(pattern.spans(text).into_iter().map(|span| (span, &**name)));
        }
        spans.sort_by_key(|(span, _)| span.start);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for (span, name) in spans {
            if span.start < at {
                continue;
            }
            out.push_str(text.get(at..span.start)?);
            out.push_str(&mark(name, text.get(span.clone())?));
            at = span.end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }

    pub(super) fn is_own_pseudonym(&self, text: &str) -> bool {
        self.pseudonyms.as_ref().is_some_and(|pseudonyms| pseudonyms.made(text))
    }
}

/// Returns true if no detector can match the decoded value, although one may match its encoded form. Escaped keys and properties are rare
/// and take the slow path.
fn decoded_is_plain(member: &Member<'_>) -> bool {
    let wire = member.as_wire();
    let key_ends_before = |at: usize| wire.get(..at).is_some_and(|head| head.contains(&b'='));
    if !octets::find(wire, b'%').is_some_and(key_ends_before) || octets::find(wire, b';').is_some() {
        return false;
    }
    let mut text: SmallVec<[u8; 128]> = SmallVec::new();
    model::decode_each(wire, |piece| text.extend_from_slice(piece));
    text.is_ascii() && !scrub::may_match(&text)
}

fn mask(text: &str) -> String {
    let count = text.chars().count();
    let shown = if count >= 12 { 4 } else { 0 };
    text.chars().enumerate().map(|(at, letter)| if at + shown < count { '*' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_keeps_the_last_four_of_long_findings() {
        assert_eq!(mask("4111111111111111"), "************1111");
        assert_eq!(mask("a@b.example"), "***********");
    }

    #[test]
    fn prefilter_clears_only_text_without_findings() {
        let keys = [
            "tenant.id",
            "phone",
            "cell_id",
            "ssn",
            "user.token",
            "api_key",
            "version",
            "anna@example.com",
            "k4111111111111111",
        ];
        let texts = [
            "blue",
            "3f9a6c1e7b52",
            "anna@example.com",
            "anna%40example.com",
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111%201111%201111%201111",
            "free%20trial",
            "free%2520trial",
            "%",
            "gr%C3%BCn",
            "+4366412345678",
            "0664/1234567",
            "078-05-1120",
            "078051120",
            "10.1.2.3",
            "fe80::1",
            "00:1b:44:11:3a:b7",
            "DE89370400440532013000",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "Bearer abcdefgh",
            "hunter2-Tr0ub4dor",
            "YW5uYUBleGFtcGxlLmNvbQ",
            "eyJhbGciOiJIUzI1NiJ9.e30.abc",
            "password=hunter2",
            "-----BEGIN KEY-----",
            "on",
            "",
        ];
        let scrub = Scrub::default();
        let (mut cleared, mut found) = (0, 0);
        for key in keys {
            for value in texts {
                for properties in texts {
                    let wire = format!("{key}={value};{properties}");
                    let member = Member::from_wire(wire.as_bytes());
                    if !scrub::key_hint(key.as_bytes()) && scrub.clears_member(&member) {
                        cleared += 1;
                        assert_eq!(scrub.find_in_key(key), None, "{wire}");
                        assert!(scrub.find(&member, None).is_none(), "{wire}");
                    } else {
                        found += 1;
                    }
                }
            }
        }
        assert!(cleared > 50 && found > 1000, "{cleared} {found}");
    }
}
