//! Spans put together into trees.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

#[cfg(feature = "otlp")]
use super::causes;
use super::{Span, SpanId, SpanSelector, TraceId};

/// Spans of one or many traces, with every parent and link resolved as far as it was received.
///
/// Cheap to build (linear in the number of spans) and never fails: orphans, loops, repeated and zero ids are kept and can
/// be asked for. The claims that a test makes about it are its `assert_*` methods; each has a twin without the prefix
/// that returns an [`AssertionFailure`](super::AssertionFailure) instead of panicking. Its `Display` is the tree as text.
#[derive(Clone, Default)]
pub struct TraceGraph {
    spans: Vec<Arc<Span>>,
    index: HashMap<(TraceId, SpanId), usize>,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    tops: Vec<usize>,
    reused: Vec<usize>,
    looped: Vec<usize>,
    repeated: usize,
    outside: HashSet<SpanId>,
}

impl TraceGraph {
    /// Puts these spans together, in any order.
    ///
    /// A span that came twice with the same content (an export that was tried again) counts once; see
    /// [`repeated`](Self::repeated).
    #[must_use]
    pub fn new<S: Into<Arc<Span>>>(spans: impl IntoIterator<Item = S>) -> Self {
        Self::build(spans.into_iter().map(Into::into).collect(), HashSet::new())
    }

    /// Marks these span ids as outside: their children are roots. For parents that export no spans,
    /// such as the `traceparent` that a test made up.
    #[must_use]
    pub fn with_outside(self, parents: impl IntoIterator<Item = SpanId>) -> Self {
        let outside = self.outside.iter().copied().chain(parents).collect();
        Self::build(self.spans, outside)
    }

    /// Marks a made-up parent as [outside](Self::with_outside): the only parent that was not received, of
    /// server or consumer spans, where no span is a root.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_made_up_parent(self) -> Self {
        let made_up = {
            let mut orphans = self.orphans();
            let first = orphans.next().and_then(|span| span.parent).filter(|_| self.roots().next().is_none());
            let alone = self.orphans().all(|span| span.parent == first && causes::receives(span));
            first.filter(|parent| alone && !parent.is_zero())
        };
        match made_up {
            Some(parent) => self.with_outside([parent]),
            None => self,
        }
    }

    fn build(mut spans: Vec<Arc<Span>>, outside: HashSet<SpanId>) -> Self {
        // By trace, then time, then id: the same spans give the same picture whatever order they came in.
        spans.sort_by(|a, b| (a.trace_id, a.start, a.span_id, &a.name).cmp(&(b.trace_id, b.start, b.span_id, &b.name)));
        let mut graph = Self { outside, ..Self::default() };
        for span in spans {
            let at = graph.spans.len();
            match graph.index.get(&(span.trace_id, span.span_id)) {
                Some(first) if graph.spans.get(*first) == Some(&span) => {
                    graph.repeated += 1;
                    continue;
                }
                Some(_) => graph.reused.push(at),
                None => {
                    graph.index.insert((span.trace_id, span.span_id), at);
                }
            }
            graph.spans.push(span);
        }
        graph.children = vec![Vec::new(); graph.spans.len()];
        for (at, span) in graph.spans.iter().enumerate() {
            let parent = span.parent.and_then(|parent| graph.index.get(&(span.trace_id, parent))).copied();
            graph.parents.push(parent);
            match parent.and_then(|parent| graph.children.get_mut(parent)) {
                Some(children) => children.push(at),
                None => graph.tops.push(at),
            }
        }
        graph.cut_loops();
        graph
    }

    /// Spans that no top leads to are in a loop or hang below one: the earliest of each becomes a top, so that every span
    /// has its place in a tree.
    fn cut_loops(&mut self) {
        let mut seen = vec![false; self.spans.len()];
        for top in self.tops.clone() {
            self.mark_below(top, &mut seen);
        }
        for at in 0..self.spans.len() {
            if seen.get(at).copied().unwrap_or(true) {
                continue;
            }
            self.looped.push(at);
            self.tops.push(at);
            if let Some(parent) = self.parents.get_mut(at).and_then(Option::take)
                && let Some(children) = self.children.get_mut(parent)
            {
                children.retain(|child| *child != at);
            }
            self.mark_below(at, &mut seen);
        }
        self.tops.sort_unstable();
    }

    fn mark_below(&self, top: usize, seen: &mut [bool]) {
        let mut stack = vec![top];
        while let Some(at) = stack.pop() {
            if let Some(mark) = seen.get_mut(at)
                && !std::mem::replace(mark, true)
            {
                stack.extend(self.children_at(at));
            }
        }
    }

    /// Every span, by trace, then start.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = &Span> + Clone {
        self.spans.iter().map(AsRef::as_ref)
    }

    /// How many spans there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The span with these ids.
    #[must_use]
    pub fn get(&self, trace_id: TraceId, span_id: SpanId) -> Option<&Span> {
        self.at(*self.index.get(&(trace_id, span_id))?)
    }

    /// Every span that is meant.
    pub fn find(&self, which: impl Into<SpanSelector>) -> impl Iterator<Item = &Span> {
        let which = which.into();
        self.spans().filter(move |span| which.fits(span))
    }

    /// Every trace with at least one span, in order of its id.
    #[must_use]
    pub fn trace_ids(&self) -> Vec<TraceId> {
        self.spans().map(|span| span.trace_id).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// One trace alone. Links to spans of other traces then lead nowhere; see [`linked`](Self::linked).
    #[must_use]
    pub fn trace(&self, trace_id: TraceId) -> Self {
        self.only(&HashSet::from([trace_id]))
    }

    /// Each trace as a graph of its own, in order of its id.
    #[must_use]
    pub fn traces(&self) -> Vec<Self> {
        let mut by_trace: BTreeMap<TraceId, Vec<Arc<Span>>> = BTreeMap::new();
        for span in &self.spans {
            by_trace.entry(span.trace_id).or_default().push(span.clone());
        }
        by_trace.into_values().map(|spans| Self::build(spans, self.outside.clone())).collect()
    }

    /// A trace and every trace that links join to it, in either direction and over any number of steps.
    #[must_use]
    pub fn linked(&self, trace_id: TraceId) -> Self {
        let mut joins: HashMap<TraceId, HashSet<TraceId>> = HashMap::new();
        for span in self.spans() {
            for link in &span.links {
                joins.entry(span.trace_id).or_default().insert(link.trace_id);
                joins.entry(link.trace_id).or_default().insert(span.trace_id);
            }
        }
        let mut wanted = HashSet::from([trace_id]);
        let mut stack = vec![trace_id];
        while let Some(trace) = stack.pop() {
            for other in joins.get(&trace).into_iter().flatten() {
                if wanted.insert(*other) {
                    stack.push(*other);
                }
            }
        }
        self.only(&wanted)
    }

    fn only(&self, traces: &HashSet<TraceId>) -> Self {
        let spans = self.spans.iter().filter(|span| traces.contains(&span.trace_id)).cloned().collect();
        Self::build(spans, self.outside.clone())
    }

    /// The parent, if it was received.
    #[must_use]
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        self.get(span.trace_id, span.parent?)
    }

    /// The spans that have this one as parent, by start.
    pub fn children(&self, span: &Span) -> impl Iterator<Item = &Span> {
        let at = self.index.get(&(span.trace_id, span.span_id)).copied();
        at.into_iter().flat_map(|at| self.children_at(at)).filter_map(|child| self.at(child))
    }

    /// Spans without a parent, and those whose parent is [outside](Self::with_outside).
    pub fn roots(&self) -> impl Iterator<Item = &Span> {
        self.spans().filter(|span| self.is_root(span))
    }

    /// Spans that name a parent which was never received.
    pub fn orphans(&self) -> impl Iterator<Item = &Span> {
        self.spans().filter(|span| self.is_orphan(span))
    }

    /// Spans that are their own ancestor, one for each loop.
    pub fn loops(&self) -> impl Iterator<Item = &Span> {
        self.looped.iter().filter_map(|at| self.at(*at))
    }

    /// Spans whose id another span of the same trace has as well, with other content.
    pub fn reused_ids(&self) -> impl Iterator<Item = &Span> {
        self.reused.iter().filter_map(|at| self.at(*at))
    }

    /// How many spans were received more than once with the same content. Exporters may do that after a failed export;
    /// it breaks nothing.
    #[must_use]
    pub fn repeated(&self) -> usize {
        self.repeated
    }

    /// Every service with at least one span, in order of its name.
    #[must_use]
    pub fn services(&self) -> BTreeSet<&str> {
        self.spans().map(Span::service).collect()
    }

    pub(crate) fn is_root(&self, span: &Span) -> bool {
        span.parent
            .is_none_or(|parent| self.outside.contains(&parent) && !self.index.contains_key(&(span.trace_id, parent)))
    }

    pub(crate) fn is_orphan(&self, span: &Span) -> bool {
        !self.is_root(span) && self.parent(span).is_none()
    }

    pub(crate) fn at(&self, at: usize) -> Option<&Span> {
        self.spans.get(at).map(AsRef::as_ref)
    }

    pub(crate) fn position(&self, trace_id: TraceId, span_id: SpanId) -> Option<usize> {
        self.index.get(&(trace_id, span_id)).copied()
    }

    pub(crate) fn children_at(&self, at: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        self.children.get(at).into_iter().flatten().copied()
    }

    pub(crate) fn parent_at(&self, at: usize) -> Option<usize> {
        self.parents.get(at).copied().flatten()
    }

    /// Where trees begin: roots, orphans, and one span of each loop.
    pub(crate) fn tops(&self) -> &[usize] {
        &self.tops
    }
}

impl<S: Into<Arc<Span>>> FromIterator<S> for TraceGraph {
    fn from_iter<T: IntoIterator<Item = S>>(spans: T) -> Self {
        Self::new(spans)
    }
}

impl<S: Into<Arc<Span>>> From<Vec<S>> for TraceGraph {
    fn from(spans: Vec<S>) -> Self {
        Self::new(spans)
    }
}
