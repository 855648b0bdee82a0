//! Patterns with `*`.

/// A pattern in which `*` matches any number of bytes.
///
/// Matches in time linear in the text for one `*`, and in pattern times text at worst.
///
/// ```
/// use propagation_core::Glob;
///
/// assert!(Glob::new("tenant.*").matches("tenant.id"));
/// assert!(!Glob::new("tenant.*").matches("user.id"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    shape: Shape,
}

/// The common shapes, recognised when the pattern is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// No `*`.
    Exact,
    /// Only `*`.
    Any,
    /// One `*`, at the end.
    Prefix,
    /// One `*`, at the start.
    Suffix,
    Pieces,
}

impl Glob {
    /// Compiles a pattern. Every text is a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let shape = match text.strip_suffix('*') {
            None if !text.contains('*') => Shape::Exact,
            Some("") => Shape::Any,
            Some(prefix) if !prefix.contains('*') => Shape::Prefix,
            None if text.strip_prefix('*').is_some_and(|suffix| !suffix.contains('*')) => Shape::Suffix,
            _ => Shape::Pieces,
        };
        Self { text: text.into(), shape }
    }

    /// Returns the pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if this pattern certainly matches every text that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // A star of the other's is matched like a letter: only a star here can take it.
        self.text == other.text || self.matches(&*other.text)
    }

    /// Returns true for `*`.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.shape == Shape::Any
    }

    /// Returns true for a pattern without `*`.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.shape == Shape::Exact
    }

    /// Returns the texts before the first `*` and behind the last one; the whole pattern and nothing without a `*`.
    pub(crate) fn literal_ends(&self) -> (&str, &str) {
        let head = self.text.split_once('*').map_or(&*self.text, |(head, _)| head);
        (head, self.text.rsplit_once('*').map_or("", |(_, tail)| tail))
    }

    /// Returns true if the whole text matches.
    pub fn matches(&self, text: impl AsRef<[u8]>) -> bool {
        let (pattern, text) = (self.text.as_bytes(), text.as_ref());
        match self.shape {
            Shape::Exact => pattern == text,
            Shape::Any => true,
            Shape::Prefix => pattern.split_last().is_some_and(|(_, prefix)| text.starts_with(prefix)),
            Shape::Suffix => pattern.split_first().is_some_and(|(_, suffix)| text.ends_with(suffix)),
            Shape::Pieces => glob(pattern, text),
        }
    }
}

/// Matches the pieces between stars leftmost in turn; the last one must match at the end.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let mut pieces = pattern.split(|&byte| byte == b'*');
    let Some(mut rest) = pieces.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        let Some(at) = rest.windows(piece.len()).position(|window| window == piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "a", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("feature.*", "feature.x", true),
            ("feature.*", "features", false),
            ("*.internal", "api.internal", true),
            ("*.internal", "internal", false),
            ("*.internal", ".internal", true),
            ("*.internal", "api.internal.example", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "x", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} {text}");
        }
    }
}
