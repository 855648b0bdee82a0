//! Regular expressions of a policy.

use crate::PolicyError;

/// A compiled regular expression (feature `patterns`).
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    #[cfg(feature = "patterns")]
    regex: regex::Regex,
}

impl Pattern {
    /// Compiles an expression that must match a whole value.
    #[cfg(feature = "patterns")]
    pub(super) fn whole(expression: &str) -> Result<Self, PolicyError> {
        // Alone first: errors quote the expression as written, and no bracket of its own closes the group around it.
        compile(expression, expression)?;
        Ok(Self { regex: compile(expression, &format!("^(?:{expression})$"))? })
    }

    /// Compiles an expression that may match anywhere in a value. It must not match an empty text.
    #[cfg(feature = "patterns")]
    pub(super) fn anywhere(expression: &str) -> Result<Self, PolicyError> {
        let regex = compile(expression, expression)?;
        if regex.is_match("") {
            let cause = "matches an empty text, and so every value".to_owned();
            return Err(PolicyError::InvalidPattern { pattern: expression.to_owned(), cause });
        }
        Ok(Self { regex })
    }

    #[cfg(not(feature = "patterns"))]
    pub(super) fn whole(expression: &str) -> Result<Self, PolicyError> {
        Self::anywhere(expression)
    }

    #[cfg(not(feature = "patterns"))]
    pub(super) fn anywhere(expression: &str) -> Result<Self, PolicyError> {
        let _ = expression;
        Err(PolicyError::MissingFeature { feature: "patterns" })
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

    /// Returns the expression as it was compiled.
    #[cfg(feature = "patterns")]
    pub(super) fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    #[cfg(not(feature = "patterns"))]
    #[allow(clippy::unused_self, reason = "no pattern can be made without the feature")]
    pub(super) fn as_str(&self) -> &str {
        ""
    }

    /// Returns the places that match, in order.
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

/// Compiles an expression. An error is one line.
#[cfg(feature = "patterns")]
fn compile(written: &str, expression: &str) -> Result<regex::Regex, PolicyError> {
    /// A policy is trusted, but a mistake must not take a gigabyte.
    const MAX_COMPILED: usize = 1 << 20;
    if written.is_empty() {
        return Err(PolicyError::InvalidPattern { pattern: String::new(), cause: "is empty".to_owned() });
    }
    regex::RegexBuilder::new(expression).size_limit(MAX_COMPILED).build().map_err(|error| {
        // The crate's message draws the expression over several lines; the last one has the cause.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        PolicyError::InvalidPattern { pattern: written.to_owned(), cause: why.to_owned() }
    })
}

#[cfg(all(test, feature = "patterns"))]
mod tests {
    use super::*;

    fn refused(pattern: Result<Pattern, PolicyError>) -> String {
        pattern.map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    }

    #[test]
    fn whole_pattern_matches_only_whole_values() {
        let pattern = Pattern::whole("a|bc").unwrap();
        for (text, matches) in [("a", true), ("bc", true), ("abc", false), ("a\n", false), ("\na", false), ("", false)]
        {
            assert_eq!(pattern.matches(text), matches, "{text:?}");
        }
        assert!(Pattern::whole("[a-z]*").unwrap().matches(""));
    }

    #[test]
    fn error_is_one_line_about_the_expression_as_written() {
        assert_eq!(refused(Pattern::whole("(")), "pattern \"(\": unclosed group");
        assert_eq!(refused(Pattern::whole("a)|(?:b")), "pattern \"a)|(?:b\": unopened group");
        assert!(refused(Pattern::anywhere("(a{1000}){1000}")).contains("exceeds size limit"));
        assert_eq!(refused(Pattern::whole("")), "an empty pattern");
        assert_eq!(refused(Pattern::anywhere("")), "an empty pattern");
        assert!(refused(Pattern::anywhere(r"\d*")).contains("every value"));
    }
}
