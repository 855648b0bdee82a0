use super::glob::Glob;
use crate::{Member, Reason};

/// Which baggage key may cross, and what its value must be like.
///
/// ```
/// use propagation_core::KeyRule;
///
/// let rule = KeyRule::new("plan").values(["free", "pro"]);
/// let rollout = KeyRule::new("feature.*").max_length(32).report();
/// # let _ = (rule, rollout);
/// ```
#[derive(Clone, Debug)]
pub struct KeyRule {
    pub(super) key: Glob,
    max_length: Option<usize>,
    values: Option<Box<[Box<str>]>>,
    report: bool,
}

/// What a key rule says of a member it matches.
pub(super) enum Verdict {
    Crosses,
    /// It crosses, and would not but for report mode.
    Reported,
    Stopped(Reason),
}

impl KeyRule {
    /// Allows a key, or with `*` a family of keys.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { key: Glob::new(key), max_length: None, values: None, report: false }
    }

    /// The longest value that crosses, in bytes once decoded.
    #[must_use]
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = Some(bytes);
        self
    }

    /// The only values that cross.
    #[must_use]
    pub fn values<I: IntoIterator<Item = S>, S: AsRef<str>>(mut self, values: I) -> Self {
        self.values = Some(values.into_iter().map(|value| value.as_ref().into()).collect());
        self
    }

    /// Lets pass what the rule would stop, and says so: for the first days of a policy.
    #[must_use]
    pub fn report(mut self) -> Self {
        self.report = true;
        self
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        self.key.matches(key)
    }

    pub(super) fn judge(&self, member: &Member<'_>) -> Verdict {
        match self.objection(member) {
            None => Verdict::Crosses,
            Some(_) if self.report => Verdict::Reported,
            Some(reason) => Verdict::Stopped(reason),
        }
    }

    fn objection(&self, member: &Member<'_>) -> Option<Reason> {
        if self.max_length.is_none() && self.values.is_none() {
            return None;
        }
        let value = member.value();
        let too_long = self.max_length.is_some_and(|max| value.len() > max);
        let not_listed = self.values.as_ref().is_some_and(|values| !values.iter().any(|allowed| **allowed == *value));
        (too_long || not_listed).then_some(Reason::ValueRule)
    }
}

impl From<&str> for KeyRule {
    fn from(key: &str) -> Self {
        Self::new(key)
    }
}
