//! Actions on the findings of the detectors.

use std::{ops::Range, sync::Arc};

use smallvec::SmallVec;

use super::{pattern::Pattern, pseudonym::Pseudonymizer};
use crate::{
    Member, PolicyError, TraceState, model, octets,
    rejection::PolicyName,
    scrub::{self, Detector, Detectors},
};

/// The action on a value with personal data or a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScrubAction {
    /// The member does not cross.
    #[default]
    Drop,
    /// Each finding is replaced by `[name of the detector]`.
    Redact,
    /// Each finding is replaced by `*`, except for its last four characters if it has twelve or more.
    Mask,
    /// The whole value is replaced by a keyed pseudonym: the same value gives the same one.
    Pseudonymize,
}

impl ScrubAction {
    /// Every action.
    pub const ALL: &[Self] = &[Self::Drop, Self::Redact, Self::Mask, Self::Pseudonymize];

    /// The name in a policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Redact => "redact",
            Self::Mask => "mask",
            Self::Pseudonymize => "pseudonymize",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

/// The detectors for outbound baggage and tracestate, and the action on findings.
///
/// The default is all of them, and [`ScrubAction::Drop`].
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
    /// No detectors at all.
    #[must_use]
    pub fn off() -> Self {
        Self { detectors: Detectors::none(), ..Self::default() }
    }

    /// Only these detectors.
    #[must_use]
    pub fn only(mut self, detectors: Detectors) -> Self {
        self.detectors = detectors;
        self
    }

    /// All but one.
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

    /// Adds a detector of your own: a regular expression that can match anywhere in a decoded value.
    ///
    /// # Errors
    ///
    /// Refuses an expression that does not compile, and any without the feature `patterns`.
    pub fn pattern(mut self, name: &str, expression: &str) -> Result<Self, PolicyError> {
        let pattern = Pattern::anywhere(expression)?;
        self.patterns = self.patterns.iter().cloned().chain([(name.into(), pattern)]).collect();
        Ok(self)
    }

    /// The keys that [`ScrubAction::Pseudonymize`] needs.
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

    /// Whether nothing is looked for.
    pub(super) fn finds_nothing(&self) -> bool {
        self.detectors.is_empty() && self.patterns.is_empty()
    }

    /// Whether an action can be carried out.
    pub(super) fn check(&self, action: Option<ScrubAction>) -> Result<(), PolicyError> {
        if self.resolve(action) == ScrubAction::Pseudonymize && self.pseudonyms.is_none() {
            return Err(PolicyError::new("the action `pseudonymize` needs a key".to_owned()));
        }
        Ok(())
    }

    /// Returns whether a member certainly holds no personal data, by a quick check, on the wire or decoded, where a space is
    /// `%20`. Only for keys that do not suggest a secret.
    pub(super) fn clears_member(&self, member: &Member<'_>) -> bool {
        self.patterns.is_empty() && (!scrub::may_match(member.as_wire()) || decoded_is_plain(member))
    }

    /// Like `is_plain`, for a tracestate.
    pub(super) fn clears_state(&self, state: &TraceState) -> bool {
        self.patterns.is_empty() && (state.is_plain() || !scrub::may_match(state.as_bytes()))
    }

    /// Returns true if a key may be shown: the detectors find nothing in it.
    pub(super) fn clears_key(&self, key: &[u8]) -> bool {
        self.patterns.is_empty() && !scrub::may_match(key)
            || std::str::from_utf8(key).is_ok_and(|key| self.find_in_key(key).is_none())
    }

    /// Returns the finding in a key.
    pub(super) fn find_in_key(&self, key: &str) -> Option<DetectorRef<'_>> {
        self.find_in(&[], key)
    }

    /// Returns the finding in a value or its properties.
    pub(super) fn find(&self, member: &Member<'_>, action: Option<ScrubAction>) -> Option<Found<'_>> {
        let value = member.value();
        // A pseudonym that was made on the way here is nobody's secret; it only looks random.
        let pseudonym = self.resolve(action) == ScrubAction::Pseudonymize && self.is_own_pseudonym(&value);
        if !pseudonym && let Some(detector) = self.find_in(member.key().as_bytes(), &value) {
            return Some(Found { detector, in_properties: false });
        }
        self.find_in_properties(member).map(|detector| Found { detector, in_properties: true })
    }

    /// Returns the finding in the properties of a member, independent of its value.
    pub(super) fn find_in_properties(&self, member: &Member<'_>) -> Option<DetectorRef<'_>> {
        self.find_in(member.key().as_bytes(), member.properties())
    }

    /// Returns the finding in a text, under a key that may suggest a secret.
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

    /// Returns where a text holds findings, in no order.
    pub(super) fn spans_in(&self, key: &[u8], text: &str) -> Vec<Range<usize>> {
        let found = scrub::find_all(self.detectors, key, text.as_bytes()).into_iter().map(|finding| finding.span);
        found.chain(self.patterns.iter().flat_map(|(_, pattern)| pattern.spans(text))).collect()
    }

    /// The value that may cross instead; `None` if none may.
    pub(super) fn change(&self, action: Option<ScrubAction>, member: &Member<'_>, found: &Found<'_>) -> Option<String> {
        let value = member.value();
        let action = self.resolve(action);
        if found.in_properties {
            // The value itself is clean: the properties go.
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
        // What is left must be clean, too: parts of a value can add up to something else.
        self.find_in(member.key().as_bytes(), &changed).is_none().then_some(changed)
    }

    /// Replaces everything found in a text.
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

/// Whether a member that may hold something on the wire holds nothing once its value is decoded. A key with an escape and properties,
/// which are seldom, are left to a closer look.
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
    fn masks_keep_the_last_four_of_what_is_long_enough() {
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
