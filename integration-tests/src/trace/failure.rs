//! The explanation of a failed assertion.

use std::fmt;

/// The error of a failed assertion about a trace, messages or logs.
///
/// `Display` and `Debug` print the same, so that `unwrap` shows it: the assertion, the contradicting facts,
/// the nearest candidate, the likely cause, and the picture.
#[derive(Clone, PartialEq, Eq)]
pub struct AssertionFailure {
    claim: String,
    found: Vec<String>,
    nearest: Vec<String>,
    causes: Vec<String>,
    picture: String,
}

impl AssertionFailure {
    /// Creates a failure of this assertion.
    #[must_use]
    pub fn new(claim: impl Into<String>) -> Self {
        Self { claim: claim.into(), found: Vec::new(), nearest: Vec::new(), causes: Vec::new(), picture: String::new() }
    }

    /// Adds a fact that contradicts the assertion.
    #[must_use]
    pub fn found(mut self, fact: impl Into<String>) -> Self {
        self.found.push(fact.into());
        self
    }

    /// Adds the nearest candidate.
    #[must_use]
    pub fn nearest(mut self, candidate: impl Into<String>) -> Self {
        self.nearest.push(candidate.into());
        self
    }

    /// Adds a likely cause. The same cause counts once.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        let cause = cause.into();
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
        self
    }

    /// Sets the picture below the text: the tree, or the messages.
    #[must_use]
    pub fn picture(mut self, picture: impl Into<String>) -> Self {
        self.picture = picture.into();
        self
    }

    /// Returns the assertion, in one line.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// Returns the facts that contradict the assertion, one line each.
    #[must_use]
    pub fn facts(&self) -> &[String] {
        &self.found
    }

    /// Returns the likely causes, one line each.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// Returns the text without the picture, for several failures over one picture.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut out = format!("broken: {}\n", self.claim);
        // The first few lines suffice; a thousand more would hide them.
        section(&mut out, "found", 20, &self.found);
        section(&mut out, "nearest", 5, &self.nearest);
        section(&mut out, "likely", 5, &self.causes);
        out
    }
}

fn section(out: &mut String, title: &str, limit: usize, lines: &[String]) {
    for (index, line) in lines.iter().take(limit).enumerate() {
        let title = if index == 0 { title } else { "" };
        out.push_str(&format!("  {title:<8} {line}\n"));
    }
    if lines.len() > limit {
        out.push_str(&format!("  {:<8} … and {} more\n", "", lines.len() - limit));
    }
}

impl fmt::Display for AssertionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        if !self.picture.is_empty() {
            f.write_str("\n")?;
            self.picture.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AssertionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for AssertionFailure {}
