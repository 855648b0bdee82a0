//! The verdict on the shape of a trace.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use crate::trace::tree::plural;
use crate::trace::{AssertionFailure, TraceGraph, TraceId};

/// The verdict on a trace.
impl TraceGraph {
    /// The trace is whole: there is a span, ids are valid, and there is one trace, one root, no orphan and one connected piece.
    ///
    /// # Errors
    /// With the first of these that does not hold; [`continuity`](Self::continuity) returns all of them.
    pub fn continuous(&self) -> Result<(), AssertionFailure> {
        self.continuity().broken.into_iter().next().map_or(Ok(()), Err)
    }

    /// Checks the shape of the trace, and returns the verdict with every failure.
    #[must_use]
    pub fn continuity(&self) -> Continuity {
        let checks = [self.ids_valid(), self.one_trace(), self.no_orphans(), self.one_root(), self.connected()];
        Continuity {
            traces: self.trace_ids(),
            services: self.services().into_iter().map(str::to_owned).collect(),
            spans: self.len(),
            roots: self.roots().count(),
            orphans: self.orphans().count(),
            broken: checks.into_iter().filter_map(Result::err).collect(),
        }
    }
}

/// The verdict on a trace, with every failure.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Continuity {
    /// The traces. A whole trace has exactly one.
    pub traces: Vec<TraceId>,
    /// The services.
    pub services: BTreeSet<String>,
    /// The number of spans.
    pub spans: usize,
    /// The number of spans without a parent.
    pub roots: usize,
    /// The number of spans whose parent was never received.
    pub orphans: usize,
    /// The failed assertions.
    pub broken: Vec<AssertionFailure>,
}

impl Continuity {
    /// Returns whether the trace is whole.
    #[must_use]
    pub fn is_continuous(&self) -> bool {
        self.broken.is_empty()
    }

    /// Returns the likely causes of the failures, each once.
    #[must_use]
    pub fn causes(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.broken
            .iter()
            .flat_map(AssertionFailure::causes)
            .map(String::as_str)
            .filter(|cause| seen.insert(*cause))
            .collect()
    }
}

impl fmt::Display for Continuity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = format!(
            "{}, {}, {}, {}, {}",
            plural(self.traces.len(), "trace"),
            plural(self.spans, "span"),
            plural(self.services.len(), "service"),
            plural(self.roots, "root"),
            plural(self.orphans, "orphan")
        );
        if self.is_continuous() {
            return writeln!(f, "continuous: {counts}");
        }
        writeln!(f, "not continuous: {counts}\n")?;
        self.broken.iter().try_for_each(|broken| writeln!(f, "{}", broken.summary()))
    }
}
