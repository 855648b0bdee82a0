//! Assertions on names, attributes and status of spans.

use crate::trace::conventions::{Finding, Version};
#[cfg(feature = "schema")]
use crate::trace::schema::Schema;
use crate::trace::{AssertionFailure, Span, TraceGraph};

/// Assertions on names, attributes and status of spans.
impl TraceGraph {
    /// Each span of an HTTP, RPC or messaging kind has the name, kind, required attributes, types and status of this version of
    /// the semantic conventions, and no span has an attribute with a deprecated name.
    ///
    /// # Errors
    /// With each finding; see [`Version::findings`] for one span.
    pub fn conventions(&self, version: Version) -> Result<(), AssertionFailure> {
        self.each_span(format!("semantic conventions {version}"), |span| version.findings(span))
    }

    /// Each span has the attributes that this version of the semantic conventions recommends, except for these keys.
    ///
    /// # Errors
    /// With each missing attribute; see [`Version::missing_recommended`] for one span.
    pub fn recommended(&self, version: Version, except: &[&str]) -> Result<(), AssertionFailure> {
        self.each_span(format!("recommended attributes of the semantic conventions {version}"), |span| {
            let mut findings = version.missing_recommended(span);
            findings.retain(|finding| !matches!(finding, Finding::Missing { key, .. } if except.contains(key)));
            findings
        })
    }

    /// The spans have the attributes that a schema requires, and only keys and values that it allows.
    ///
    /// # Errors
    /// With each finding and the line of its rule; see [`Schema::findings`].
    #[cfg(feature = "schema")]
    pub fn schema(&self, schema: &Schema) -> Result<(), AssertionFailure> {
        let findings = schema.findings(self);
        if findings.is_empty() {
            return Ok(());
        }
        let mut broken = AssertionFailure::new(format!("schema {}", schema.source()));
        for finding in &findings {
            broken = broken.found(format!("{}:{finding}", schema.source()));
        }
        let mut tree = self.picture(findings.iter().filter_map(|finding| finding.example).map(|(trace, _)| trace));
        for (trace_id, span_id) in findings.iter().filter_map(|finding| finding.example) {
            if let Some(span) = self.get(trace_id, span_id) {
                tree = tree.remark(span, "not as the schema requires");
            }
        }
        Err(broken.picture(tree.to_string()))
    }

    fn each_span(&self, claim: String, findings: impl Fn(&Span) -> Vec<Finding>) -> Result<(), AssertionFailure> {
        let mut broken = AssertionFailure::new(claim);
        let mut wrong = Vec::new();
        for span in self.spans() {
            let findings = findings(span);
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
            tree = tree.remark(span, "deviates from the conventions");
        }
        Err(broken.picture(tree.to_string()))
    }
}
