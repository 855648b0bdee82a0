//! Assertions on names, attributes and status of spans.

use crate::trace::conventions::Version;
use crate::trace::{AssertionFailure, TraceGraph};

/// Assertions on names, attributes and status of spans.
impl TraceGraph {
    /// Each span of an HTTP, RPC or messaging kind has the name, kind, attributes, types and status that this version of
    /// the semantic conventions asks for, and no span has an attribute by a deprecated name.
    ///
    /// # Errors
    /// With each finding; see [`Version::findings`] for one span.
    pub fn conventions(&self, version: Version) -> Result<(), AssertionFailure> {
        let mut broken = AssertionFailure::new(format!("semantic conventions {version}"));
        let mut wrong = Vec::new();
        for span in self.spans() {
            let findings = version.findings(span);
            if !findings.is_empty() {
                broken = broken.found(format!("{}:", span.label()));
                wrong.push(span);
            }
            for finding in findings {
                broken = broken.found(format!("  {finding}"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let mut tree = self.picture(wrong.iter().map(|span| span.trace_id));
        for span in wrong {
            tree = tree.remark(span, "not by the conventions");
        }
        Err(broken.picture(tree.to_string()))
    }
}
