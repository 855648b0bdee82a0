//! What a failed claim says.

use std::fmt;

/// A claim about a trace, a wire or a log that does not hold, explained.
///
/// Its `Display`, which is its `Debug` too so that `unwrap` shows it, reads like a colleague's note: what was wanted, what
/// was found, what comes nearest, the likely cause, and the picture.
#[derive(Clone, PartialEq, Eq)]
pub struct AssertionFailure {
    claim: String,
    found: Vec<String>,
    nearest: Vec<String>,
    causes: Vec<String>,
    picture: String,
}

impl AssertionFailure {
    /// This claim does not hold; say the rest with the other methods.
    #[must_use]
    pub fn new(claim: impl Into<String>) -> Self {
        Self { claim: claim.into(), found: Vec::new(), nearest: Vec::new(), causes: Vec::new(), picture: String::new() }
    }

    /// Adds a fact that contradicts the claim.
    #[must_use]
    pub fn found(mut self, fact: impl Into<String>) -> Self {
        self.found.push(fact.into());
        self
    }

    /// Adds something that comes near to what was wanted.
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

    /// Sets what is shown below: the tree, or the messages.
    #[must_use]
    pub fn picture(mut self, picture: impl Into<String>) -> Self {
        self.picture = picture.into();
        self
    }

    /// What was claimed, in one line.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// The facts that contradict it, one line each.
    #[must_use]
    pub fn facts(&self) -> &[String] {
        &self.found
    }

    /// The likely causes, one line each.
    #[must_use]
    pub fn causes(&self) -> &[String] {
        &self.causes
    }

    /// Everything but the picture, for lists of several failures over one picture.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut out = format!("broken: {}\n", self.claim);
        // The first few lines tell the story; a thousand more would hide it.
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
