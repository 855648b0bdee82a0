use super::{index::NameIndex, pattern::Pattern, scrubbing::ScrubAction};
use crate::Glob;
use crate::{Member, PolicyError, RejectReason, scrub};

/// A baggage key that may cross, and the constraints on its value.
///
/// ```
/// use propagation_core::KeyRule;
///
/// let plan = KeyRule::new("plan").values(["free", "pro"]);
/// let rollout = KeyRule::new("feature.*").max_length(32).report_only();
/// let tenant = KeyRule::new("tenant.id").pattern("[a-z]{1,20}")?.span_attribute("tenant.id");
/// # let _ = (plan, rollout, tenant);
/// # Ok::<(), propagation_core::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyRule {
    pub(super) key: Glob,
    /// Whether the key's words mark a secret; evaluated per key for a glob.
    is_hint: Option<bool>,
    max_length: Option<usize>,
    values: Option<Box<[Box<str>]>>,
    pattern: Option<Pattern>,
    report: bool,
    scrubbed: bool,
    action: Option<ScrubAction>,
    pub(super) span_attribute: Option<Box<str>>,
    pub(super) every_span: bool,
}

impl KeyRule {
    /// Allows a key, or all keys that match a glob with `*`.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let glob = Glob::new(key);
        Self {
            is_hint: glob.is_exact().then(|| scrub::key_hint(key.as_bytes())),
            key: glob,
            max_length: None,
            values: None,
            pattern: None,
            report: false,
            scrubbed: true,
            action: None,
            span_attribute: None,
            every_span: false,
        }
    }

    /// Sets the maximum length of the decoded value in bytes.
    #[must_use]
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = Some(bytes);
        self
    }

    /// Sets the allowed values.
    #[must_use]
    pub fn values<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, values: I) -> Self {
        self.values = Some(values.into_iter().map(|value| value.as_ref().into()).collect());
        self
    }

    /// Sets a regular expression, without look-around, that the whole decoded value must match. Matching takes linear time.
    ///
    /// # Errors
    ///
    /// Returns an error if the expression does not compile, or the feature `patterns` is off.
    pub fn pattern(mut self, expression: &str) -> Result<Self, PolicyError> {
        self.pattern = Some(Pattern::whole(expression)?);
        Ok(self)
    }

    #[cfg(feature = "policy-file")]
    pub(super) fn with_pattern(mut self, pattern: Pattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Switches the key to report mode: values that would be blocked cross and are reported.
    #[must_use]
    pub fn report_only(mut self) -> Self {
        self.report = true;
        self
    }

    /// Exempts the values from the scrubbers, for keys whose values cause false alarms.
    #[must_use]
    pub fn without_scrubbing(mut self) -> Self {
        self.scrubbed = false;
        self
    }

    /// Sets the action for findings in this key, in place of the policy's.
    #[must_use]
    pub fn action(mut self, action: ScrubAction) -> Self {
        self.action = Some(action);
        self
    }

    /// Copies the admitted value to an attribute of the span that handles the request, so that a Collector can sample by it.
    ///
    /// The scrubbers guard the copy, too. For a glob, the first matching key is copied; of several values of a key, the last.
    #[must_use]
    pub fn span_attribute(mut self, attribute: &str) -> Self {
        self.span_attribute = Some(attribute.into());
        self
    }

    /// Sets whether [`span_attribute`](Self::span_attribute) is copied to every span inside the hop, in place of the hop's own alone. Needs a
    /// span processor, which the one-call set-up of `propagation-opentelemetry` installs.
    #[must_use]
    pub fn every_span(mut self, every: bool) -> Self {
        self.every_span = every;
        self
    }

    pub(super) fn matches(&self, member: &Member<'_>) -> bool {
        if self.key.is_exact() { member.has_key(self.key.as_str()) } else { self.key.matches(member.wire_key()) }
    }

    /// Returns true if the rule allows every key with every value.
    pub(super) fn takes_everything(&self) -> bool {
        self.key.is_any() && !self.is_choosy()
    }

    fn is_choosy(&self) -> bool {
        self.max_length.is_some() || self.values.is_some() || self.pattern.is_some()
    }

    /// Returns true if a matching key's words mark a secret.
    pub(super) fn is_hint(&self, member: &Member<'_>) -> bool {
        self.is_hint.unwrap_or_else(|| scrub::key_hint(member.wire_key()))
    }

    /// Returns true if both rules have an identical effect on every member.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let expression = |rule: &Self| rule.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
        self.key == other.key
            && (self.max_length, &self.values) == (other.max_length, &other.values)
            && expression(self) == expression(other)
            && (self.report, self.scrubbed, self.action) == (other.report, other.scrubbed, other.action)
    }

    /// Returns true if every member that `other` allows is allowed by this rule, with the same value.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let scrubs_alike = !self.scrubbed || other.scrubbed && self.action == other.action;
        self.key.covers(&other.key) && scrubs_alike && self.loosened_by(other).is_empty()
    }

    /// Returns the ways in which a newer rule for the same key allows more.
    pub(super) fn loosened_by(&self, newer: &Self) -> Vec<&'static str> {
        // Listed values are checked one by one; of a pattern only its expression is compared.
        let breaks = |is_allowed: &dyn Fn(&str) -> bool| {
            newer.values.as_ref().map(|values| values.iter().any(|value| !is_allowed(value)))
        };
        let length = self.max_length.is_some_and(|max| {
            let is_longer = || newer.max_length.is_none_or(|newer| newer > max);
            breaks(&|value| value.len() <= max).unwrap_or_else(is_longer)
        });
        let values = self
            .values
            .as_ref()
            .is_some_and(|values| breaks(&|value| values.iter().any(|known| **known == *value)).unwrap_or(true));
        let pattern = self.pattern.as_ref().is_some_and(|pattern| {
            let differs = || newer.pattern.as_ref().map(Pattern::as_str) != Some(pattern.as_str());
            breaks(&|value| pattern.matches(value)).unwrap_or_else(differs)
        });
        [
            (length, "may be longer"),
            (values, "may have more values"),
            (pattern, "has no pattern or another one"),
            (newer.report && !self.report, "is in report mode and lets every value pass"),
            (self.scrubbed && !newer.scrubbed, "is not scrubbed"),
        ]
        .into_iter()
        .filter_map(|(looser, change)| looser.then_some(change))
        .collect()
    }

    pub(super) fn reports(&self) -> bool {
        self.report
    }

    pub(super) fn is_scrubbed(&self) -> bool {
        self.scrubbed
    }

    pub(super) fn chosen_action(&self) -> Option<ScrubAction> {
        self.action
    }

    pub(super) fn violation(&self, member: &Member<'_>) -> Option<RejectReason> {
        if !self.is_choosy() {
            return None;
        }
        let value = member.value();
        let too_long = self.max_length.is_some_and(|max| value.len() > max);
        let not_listed = self.values.as_ref().is_some_and(|values| !values.iter().any(|allowed| **allowed == *value));
        let differs = self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(&value));
        (too_long || not_listed || differs).then_some(RejectReason::ValueNotAllowed)
    }
}

/// The keys of a rule, in order: the first one that matches a member decides.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    rules: Vec<KeyRule>,
    /// `None` for few keys: trying them in order costs less than a look-up.
    index: Option<NameIndex>,
    /// The places of the keys with a span attribute.
    with_attribute: Vec<usize>,
}

impl Keys {
    pub(super) const EMPTY: Self = Self { rules: Vec::new(), index: None, with_attribute: Vec::new() };

    /// The number of keys that are tried in order.
    const FEW: usize = 8;

    pub(super) fn push(&mut self, key: KeyRule) {
        self.rules.push(key);
    }

    /// Builds the look-up. Must be called after the last key was added.
    pub(super) fn compile(&mut self) {
        let rules = self.rules.iter().enumerate();
        self.with_attribute = rules.filter(|(_, rule)| rule.span_attribute.is_some()).map(|(at, _)| at).collect();
        self.index = (self.rules.len() > Self::FEW).then(|| {
            let mut index = NameIndex::default();
            for (place, rule) in (0..).zip(&self.rules) {
                index.add(&rule.key, place);
            }
            index.finish();
            index
        });
    }

    /// Returns the first key that matches a member.
    #[inline]
    pub(super) fn find(&self, member: &Member<'_>) -> Option<&KeyRule> {
        match &self.index {
            Some(index) => self.rules.get(index.find(member.wire_key())?),
            None => self.rules.iter().find(|key| key.matches(member)),
        }
    }

    /// Returns the keys with a span attribute, and the attributes' names.
    pub(super) fn span_attributes(&self) -> impl Iterator<Item = (&KeyRule, &str)> {
        let keys = self.with_attribute.iter().filter_map(|at| self.rules.get(*at));
        keys.filter_map(|key| key.span_attribute.as_deref().map(|attribute| (key, attribute)))
    }

    pub(super) fn as_slice(&self) -> &[KeyRule] {
        &self.rules
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<&str> for KeyRule {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}
