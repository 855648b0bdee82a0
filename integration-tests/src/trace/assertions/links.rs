//! Assertions on links, and reachability by them.

use std::collections::HashMap;

use crate::trace::tree::plural;
use crate::trace::{AssertionFailure, Span, SpanId, SpanSelector, TraceGraph, TraceId, causes};

/// Claims on links.
impl TraceGraph {
    /// At least one span meant by `from` links to one meant by `to`.
    ///
    /// # Errors
    /// Where there is none: with where the candidates link to instead.
    pub fn link(&self, from: impl Into<SpanSelector>, to: impl Into<SpanSelector>) -> Result<(), AssertionFailure> {
        let (from, to) = (from.into(), to.into());
        if self.find(&from).any(|span| self.linked_spans(span).any(|found| to.fits(found))) {
            return Ok(());
        }
        let mut broken = AssertionFailure::new(format!("link: {from} links to {to}"));
        let sources: Vec<&Span> = self.find(&from).collect();
        let targets: Vec<&Span> = self.find(&to).collect();
        for (which, found) in [(&from, &sources), (&to, &targets)] {
            if found.is_empty() {
                broken = causes::nearest(self, which, broken.found(format!("there is no such span as {which}")));
            }
        }
        for span in sources.iter().take(4) {
            broken = self.other_links(span, broken);
        }
        if let (Some(span), Some(target)) = (sources.first(), targets.first()) {
            broken = broken.cause(lost(target, span));
        }
        let tree = self.picture(sources.iter().chain(&targets).map(|span| span.trace_id));
        Err(broken.picture(tree.to_string()))
    }

    /// Each span meant by `from` links exactly once to a span meant by `to`, and each of those is linked to exactly once.
    ///
    /// Links to spans that `to` does not mean are left alone.
    ///
    /// # Errors
    /// With each that has none or several; also where neither is there at all.
    pub fn each_link(
        &self,
        from: impl Into<SpanSelector>,
        to: impl Into<SpanSelector>,
    ) -> Result<(), AssertionFailure> {
        let (from, to) = (from.into(), to.into());
        let sources: Vec<&Span> = self.find(&from).collect();
        let targets: Vec<&Span> = self.find(&to).collect();
        if sources.is_empty() || targets.is_empty() {
            return self.link(&from, &to);
        }
        let mut broken = AssertionFailure::new(format!(
            "each link: {from} links exactly once to {to}, and each of those is linked to once"
        ));
        let mut linked: HashMap<(TraceId, SpanId), usize> = HashMap::new();
        let mut wrong = Vec::new();
        for span in &sources {
            let found: Vec<&Span> = self.linked_spans(span).filter(|found| to.fits(found)).collect();
            for target in &found {
                *linked.entry((target.trace_id, target.span_id)).or_default() += 1;
            }
            if found.len() != 1 {
                broken =
                    broken.found(format!("{}{} has {} of these links", span.label(), causes::mark(span), found.len()));
                broken = if found.is_empty() {
                    self.other_links(span, broken)
                } else {
                    broken.cause("a link was added twice, or a batch was linked to as one message")
                };
                wrong.push(*span);
            }
        }
        for target in &targets {
            let times = linked.get(&(target.trace_id, target.span_id)).copied().unwrap_or_default();
            if times != 1 {
                broken = broken.found(format!(
                    "{}{} is linked to by {} of them",
                    target.label(),
                    causes::mark(target),
                    times
                ));
                if let (0, Some(span)) = (times, sources.first()) {
                    broken = broken.cause(lost(target, span));
                }
                wrong.push(*target);
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(broken.picture(self.picture(wrong.iter().map(|span| span.trace_id)).to_string()))
    }

    /// The spans meant by `from` have, taken together, exactly these links: none is missing, none is doubled, none more.
    ///
    /// The spans that a link points to need not have been received.
    ///
    /// # Errors
    /// With each link that is missing, doubled, or not expected; also where no span is meant.
    pub fn links_exactly(
        &self,
        from: impl Into<SpanSelector>,
        expected: &[(TraceId, SpanId)],
    ) -> Result<(), AssertionFailure> {
        let from = from.into();
        let sources: Vec<&Span> = self.find(&from).collect();
        let mut broken =
            AssertionFailure::new(format!("exact links: {from} has {} as expected", plural(expected.len(), "link")));
        if sources.is_empty() {
            broken = causes::nearest(self, &from, broken.found("there is no such span"));
            return Err(broken.picture(self.picture([]).to_string()));
        }
        let mut balance: HashMap<(TraceId, SpanId), (usize, usize)> = HashMap::new();
        for pair in expected {
            balance.entry(*pair).or_default().0 += 1;
        }
        for link in sources.iter().flat_map(|span| &span.links) {
            balance.entry((link.trace_id, link.span_id)).or_default().1 += 1;
        }
        let mut wrong: Vec<_> = balance.into_iter().filter(|(_, (want, have))| want != have).collect();
        wrong.sort_unstable();
        if wrong.is_empty() {
            return Ok(());
        }
        for ((trace, id), (want, have)) in wrong {
            let target = self.get(trace, id);
            let name = target.map_or_else(|| format!("{id} in trace {trace}"), Span::label);
            if let (0, Some(target), Some(span)) = (have, target, sources.first()) {
                broken = broken.cause(lost(target, span));
            }
            broken = broken.found(match (want, have) {
                (_, 0) => format!("no link to {name}"),
                (0, _) => format!("a link to {name} that was not expected"),
                _ => format!("{have} links to {name} instead of {want}"),
            });
        }
        for span in sources.iter().filter(|span| span.dropped > 0) {
            broken = broken.cause(format!(
                "the exporter dropped {} attributes, events or links of {}: over a span limit",
                span.dropped,
                span.label()
            ));
        }
        Err(broken.picture(self.picture(sources.iter().map(|span| span.trace_id)).to_string()))
    }

    /// From some span meant by `from`, one meant by `to` can be reached: by going down to children, or from a span to
    /// those that link to it, over any number of steps.
    ///
    /// # Errors
    /// Where there is no way: with how far the ways lead.
    pub fn reachable(
        &self,
        from: impl Into<SpanSelector>,
        to: impl Into<SpanSelector>,
    ) -> Result<(), AssertionFailure> {
        let (from, to) = (from.into(), to.into());
        let mut linked_by: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, span) in self.spans().enumerate() {
            for link in &span.links {
                if let Some(target) = self.position(link.trace_id, link.span_id) {
                    linked_by.entry(target).or_default().push(at);
                }
            }
        }
        let mut seen = vec![false; self.len()];
        let mut stack: Vec<usize> =
            (0..self.len()).filter(|at| self.at(*at).is_some_and(|span| from.fits(span))).collect();
        let begin = stack.clone();
        let mut reached = Vec::new();
        while let Some(at) = stack.pop() {
            let Some(mark) = seen.get_mut(at) else {
                continue;
            };
            if std::mem::replace(mark, true) {
                continue;
            }
            if self.at(at).is_some_and(|span| to.fits(span)) {
                return Ok(());
            }
            reached.push(at);
            stack.extend(self.children_at(at));
            stack.extend(linked_by.get(&at).into_iter().flatten());
        }
        let mut broken = AssertionFailure::new(format!("reachable: from {from} by children or links to {to}"));
        if begin.is_empty() {
            broken = causes::nearest(self, &from, broken.found(format!("there is no such span as {from}")));
        }
        let targets: Vec<&Span> = self.find(&to).collect();
        if targets.is_empty() {
            broken = causes::nearest(self, &to, broken.found(format!("there is no such span as {to}")));
        } else if !begin.is_empty() {
            broken = broken.found(format!("the way ends after {}", plural(reached.len(), "span")));
            let clocks = crate::trace::Clocks::of(self);
            for target in targets.iter().take(3) {
                // The gap is where the target's own line of ancestors ends, not at the target.
                let top = self.top_of(target);
                broken = if self.is_orphan(top) {
                    causes::of_orphan(self, top, &clocks, broken)
                } else {
                    causes::of_lost_context(self, top, &clocks, broken)
                };
            }
        }
        let traces = begin.iter().filter_map(|at| self.at(*at)).chain(targets).map(|span| span.trace_id);
        Err(broken.picture(self.picture(traces).to_string()))
    }

    /// The earliest ancestor that was received.
    fn top_of<'g>(&'g self, span: &'g Span) -> &'g Span {
        let mut at = self.position(span.trace_id, span.span_id);
        let mut top = span;
        while let Some(parent) = at.and_then(|at| self.parent_at(at)) {
            top = self.at(parent).unwrap_or(top);
            at = Some(parent);
        }
        top
    }

    /// The spans that this one links to, as far as they were received, repeated links each time.
    fn linked_spans<'g>(&'g self, span: &'g Span) -> impl Iterator<Item = &'g Span> {
        span.links.iter().filter_map(|link| self.get(link.trace_id, link.span_id))
    }

    fn other_links(&self, span: &Span, mut broken: AssertionFailure) -> AssertionFailure {
        if span.links.is_empty() {
            return broken.found(format!("{}{} has no links", span.label(), causes::mark(span))).cause(format!(
                "`{}` did not link to the message's creation context: it was not extracted, or the span was started without its links",
                span.service()
            ));
        }
        for link in &span.links {
            let target = crate::trace::tree::target(self, span, link);
            broken = broken.found(format!("{}{} {target}", span.label(), causes::mark(span)));
        }
        broken.cause("the context that was linked to is not the message's: that of the message before it, or one that was replaced on the way")
    }
}

fn lost(target: &Span, span: &Span) -> String {
    format!("the link was lost at the hop {}", causes::hop(target, span))
}
