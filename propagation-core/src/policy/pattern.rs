//! The user's own regular expressions.

use crate::PolicyError;

/// A regular expression, or the word that there are none in this build.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    #[cfg(feature = "patterns")]
    regex: regex::Regex,
}

impl Pattern {
    /// Matches a whole value.
    pub(super) fn whole(expression: &str) -> Result<Self, PolicyError> {
        Self::anywhere(&format!("^(?:{expression})$"))
    }

    /// Matches anywhere in a value.
    #[cfg(feature = "patterns")]
    pub(super) fn anywhere(expression: &str) -> Result<Self, PolicyError> {
        /// A policy is trusted, but a slip of the pen must not take a gigabyte.
        const MAX_COMPILED: usize = 1 << 20;
        let regex = regex::RegexBuilder::new(expression).size_limit(MAX_COMPILED).build();
        let regex = regex.map_err(|error| PolicyError::new(format!("pattern {expression:?}: {error}")))?;
        Ok(Self { regex })
    }

    #[cfg(not(feature = "patterns"))]
    pub(super) fn anywhere(expression: &str) -> Result<Self, PolicyError> {
        Err(PolicyError::new(format!("pattern {expression:?}: this build has no feature `patterns`")))
    }

    #[cfg(feature = "patterns")]
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    #[cfg(not(feature = "patterns"))]
    #[allow(clippy::unused_self, reason = "no pattern can be made without the feature")]
    pub(super) fn matches(&self, _: &str) -> bool {
        false
    }

    /// Where it matches, in order.
    #[cfg(feature = "patterns")]
    pub(super) fn spans(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        self.regex.find_iter(text).map(|found| found.range()).filter(|range| !range.is_empty()).collect()
    }

    #[cfg(not(feature = "patterns"))]
    #[allow(clippy::unused_self, reason = "no pattern can be made without the feature")]
    pub(super) fn spans(&self, _: &str) -> Vec<std::ops::Range<usize>> {
        Vec::new()
    }
}
