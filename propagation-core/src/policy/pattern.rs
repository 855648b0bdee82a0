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
    #[cfg(feature = "patterns")]
    pub(super) fn whole(expression: &str) -> Result<Self, PolicyError> {
        // Alone first: what is wrong is said of what was written, and no bracket of its own closes ours.
        compile(expression, expression)?;
        Ok(Self { regex: compile(expression, &format!("^(?:{expression})$"))? })
    }

    /// Matches anywhere in a value, and never nothing.
    #[cfg(feature = "patterns")]
    pub(super) fn anywhere(expression: &str) -> Result<Self, PolicyError> {
        let regex = compile(expression, expression)?;
        if regex.is_match("") {
            return Err(PolicyError::new(format!("pattern {expression:?}: matches an empty text, and so every value")));
        }
        Ok(Self { regex })
    }

    #[cfg(not(feature = "patterns"))]
    pub(super) fn whole(expression: &str) -> Result<Self, PolicyError> {
        Self::anywhere(expression)
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

    /// The expression as it was compiled.
    #[cfg(feature = "patterns")]
    pub(super) fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    #[cfg(not(feature = "patterns"))]
    #[allow(clippy::unused_self, reason = "no pattern can be made without the feature")]
    pub(super) fn as_str(&self) -> &str {
        ""
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

/// Compiles an expression. The error is one line.
#[cfg(feature = "patterns")]
fn compile(written: &str, expression: &str) -> Result<regex::Regex, PolicyError> {
    /// A policy is trusted, but a slip of the pen must not take a gigabyte.
    const MAX_COMPILED: usize = 1 << 20;
    if written.is_empty() {
        return Err(PolicyError::new("an empty pattern".to_owned()));
    }
    regex::RegexBuilder::new(expression).size_limit(MAX_COMPILED).build().map_err(|error| {
        // The crate draws the expression over several lines, and says why in the last.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        PolicyError::new(format!("pattern {written:?}: {why}"))
    })
}

#[cfg(all(test, feature = "patterns"))]
mod tests {
    use super::*;

    fn refused(pattern: Result<Pattern, PolicyError>) -> String {
        pattern.map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    }

    #[test]
    fn whole_values_match_and_nothing_around_them() {
        let pattern = Pattern::whole("a|bc").unwrap();
        for (text, matches) in [("a", true), ("bc", true), ("abc", false), ("a\n", false), ("\na", false), ("", false)]
        {
            assert_eq!(pattern.matches(text), matches, "{text:?}");
        }
        assert!(Pattern::whole("[a-z]*").unwrap().matches(""));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_of_what_was_written() {
        assert_eq!(refused(Pattern::whole("(")), "pattern \"(\": unclosed group");
        assert_eq!(refused(Pattern::whole("a)|(?:b")), "pattern \"a)|(?:b\": unopened group");
        assert!(refused(Pattern::anywhere("(a{1000}){1000}")).contains("exceeds size limit"));
        assert_eq!(refused(Pattern::whole("")), "an empty pattern");
        assert_eq!(refused(Pattern::anywhere("")), "an empty pattern");
        assert!(refused(Pattern::anywhere(r"\d*")).contains("every value"));
    }
}
