//! Parent and child.

use crate::trace::span::shown;
use crate::trace::{AssertionFailure, Clocks, Span, SpanSelector, TraceGraph, causes};

/// Claims on parents and children.
impl TraceGraph {
    /// At least one span meant by `child` is a direct child of one meant by `parent`.
    ///
    /// ```
    /// # use propagation_testkit::trace::{Span, SpanId, SpanKind, TraceGraph, TraceId, service};
    /// # let graph = TraceGraph::new([Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]), "a")]);
    /// let missing = graph.edge(service("gateway").kind(SpanKind::Client), service("orders").kind(SpanKind::Server));
    /// assert!(missing.is_err());
    /// ```
    ///
    /// # Errors
    /// Returns an error with the candidates' actual parents if there is no such edge.
    pub fn edge(
        &self,
        parent: impl Into<SpanSelector>,
        child: impl Into<SpanSelector>,
    ) -> Result<(), AssertionFailure> {
        let (parent, child) = (parent.into(), child.into());
        if self.find(&child).any(|span| self.parent(span).is_some_and(|found| parent.fits(found))) {
            return Ok(());
        }
        let mut broken = AssertionFailure::new(format!("edge: {parent} is the parent of {child}"));
        let parents: Vec<&Span> = self.find(&parent).collect();
        let children: Vec<&Span> = self.find(&child).collect();
        for (which, found) in [(&parent, &parents), (&child, &children)] {
            if found.is_empty() {
                broken = causes::nearest(self, which, broken.found(format!("there is no such span as {which}")));
            }
        }
        if parents.is_empty() || children.is_empty() {
            return Err(broken.picture(self.picture([]).to_string()));
        }
        let mut tree = self.picture(children.iter().chain(&parents).map(|span| span.trace_id));
        for span in children.iter().take(4) {
            broken = self.misplaced(span, &parents, broken);
            tree = tree.remark(span, "should be below the other");
        }
        for span in parents.iter().take(4) {
            tree = tree.remark(span, "has no such child");
        }
        Err(broken.picture(tree.to_string()))
    }

    /// Each span meant by `parent` has exactly one child meant by `child`, and each of those has such a parent.
    ///
    /// Use it for messages: a message with the context of the message before it still has *an* edge, which [`edge`](Self::edge)
    /// accepts.
    ///
    /// # Errors
    /// With each parent that has none or several, and each child that has another; also where neither is there at all.
    pub fn each_edge(
        &self,
        parent: impl Into<SpanSelector>,
        child: impl Into<SpanSelector>,
    ) -> Result<(), AssertionFailure> {
        let (parent, child) = (parent.into(), child.into());
        let mut broken = AssertionFailure::new(format!(
            "each edge: {parent} has exactly one child, {child}, and the other way round"
        ));
        let parents: Vec<&Span> = self.find(&parent).collect();
        let children: Vec<&Span> = self.find(&child).collect();
        if parents.is_empty() || children.is_empty() {
            return self.edge(&parent, &child);
        }
        let mut wrong = Vec::new();
        for span in &parents {
            let below: Vec<&Span> = self.children(span).filter(|found| child.fits(found)).collect();
            match below.as_slice() {
                [_] => {}
                [] => {
                    broken = broken.found(format!("{}{} has no such child", span.label(), causes::mark(span)));
                    if let Some(hop) = self.hop_of_twin(span, &parents, &child) {
                        broken = broken.cause(format!(
                            "at the hop {hop} one message was sent once and has two spans for it: two propagators inject, or one does it twice"
                        ));
                    }
                    wrong.push((*span, "has no such child"));
                }
                several => {
                    broken = broken.found(format!(
                        "{}{} has {} such children:",
                        span.label(),
                        causes::mark(span),
                        several.len()
                    ));
                    for found in several {
                        broken = broken.found(format!("  {}{}", found.label(), causes::mark(found)));
                    }
                    if let Some(second) = several.get(1) {
                        broken = broken.cause(format!(
                            "at the hop {} the context of one message was used for another, or one message was handled twice",
                            causes::hop(span, second)
                        ));
                    }
                    wrong.push((*span, "has several such children"));
                }
            }
        }
        for span in &children {
            if !self.parent(span).is_some_and(|found| parent.fits(found)) {
                broken = self.misplaced(span, &parents, broken);
                wrong.push((*span, "has another parent"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let mut tree = self.picture(wrong.iter().map(|(span, _)| span.trace_id));
        for (span, remark) in wrong {
            tree = tree.remark(span, remark);
        }
        Err(broken.picture(tree.to_string()))
    }

    /// The hop behind another span of the same name under the same parent.
    ///
    /// None where some parent has several children: then nothing was sent twice, and a context was taken for another.
    fn hop_of_twin(&self, span: &Span, parents: &[&Span], child: &SpanSelector) -> Option<String> {
        let above = self.parent(span)?;
        let below = |parent: &&&Span| self.children(parent).filter(|found| child.fits(found)).count();
        if parents.iter().any(|parent| below(&parent) > 1) {
            return None;
        }
        let twin = |other: &&&Span| {
            other.span_id != span.span_id
                && other.name == span.name
                && self.parent(other).is_some_and(|found| found.span_id == above.span_id)
        };
        parents
            .iter()
            .filter(twin)
            .find_map(|twin| self.children(twin).find(|found| child.fits(found)).map(|below| causes::hop(twin, below)))
    }

    /// Adds the actual parent of a child, and the likely cause.
    fn misplaced(&self, child: &Span, wanted: &[&Span], broken: AssertionFailure) -> AssertionFailure {
        let clocks = Clocks::of(self);
        let Some(actual) = self.parent(child) else {
            return if self.is_orphan(child) {
                let parent = child.parent.unwrap_or_default();
                causes::of_orphan(
                    self,
                    child,
                    &clocks,
                    broken.found(format!("{} has the parent {parent}, which was never received", child.label())),
                )
            } else {
                causes::of_lost_context(self, child, &clocks, broken.found(format!("{} has no parent", child.label())))
            };
        };
        let broken = broken.found(format!("{}{} is a child of {}", child.label(), causes::mark(child), actual.label()));
        let same_trace: Vec<&&Span> = wanted.iter().filter(|span| span.trace_id == child.trace_id).collect();
        if same_trace.is_empty() {
            return broken.cause(format!(
                "at the hop {} `{}` took the context of another request or message: that parent is in trace {}, and none of those wanted is",
                causes::hop(actual, child),
                shown(child.service()),
                child.trace_id
            ));
        }
        match same_trace.iter().find(|span| self.parent(span).is_some_and(|above| above.span_id == actual.span_id)) {
            Some(skipped) => broken.cause(format!(
                "at the hop {} the context that came in was sent on, or was read before `{}` began: inject the context of that span, the innermost one",
                causes::hop(skipped, child),
                shown(&skipped.name)
            )),
            None => broken.cause(format!(
                "at the hop {} the wire carried the context of `{}`: a header that was there already was kept or doubled, or the wrong context was current",
                causes::hop(actual, child),
                shown(&actual.name)
            )),
        }
    }
}
