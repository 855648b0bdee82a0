//! Roots, orphans, loops, traces, services.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::trace::span::shown;
use crate::trace::tree::plural;
use crate::trace::{AssertionFailure, Clocks, Span, SpanId, SpanSelector, TraceGraph, TraceId, causes};

/// So many breaks are explained; the others are only listed, as an explanation looks at every span.
const EXPLAINED: usize = 8;

/// Claims on the shape of the trace.
impl TraceGraph {
    /// Each span that begins a trace receives something: it is a server or a consumer span.
    ///
    /// Not part of [`continuous`](Self::continuous): a job or a command begins with a client span, or one of its own.
    ///
    /// # Errors
    /// With each that does not: the layer of its service is missing.
    pub fn entered(&self) -> Result<(), AssertionFailure> {
        let late: Vec<_> = self.roots().filter(|root| !causes::receives(root)).collect();
        if late.is_empty() {
            return Ok(());
        }
        let mut broken = AssertionFailure::new("entered: each trace begins with a server or a consumer span");
        let mut tree = self.picture(late.iter().map(|root| root.trace_id));
        for root in late {
            broken = broken.found(format!("{} has no parent, and receives nothing", root.label()));
            broken = causes::of_late_entry(root, broken);
            tree = tree.remark(root, "no server or consumer span above it");
        }
        Err(broken.picture(tree.to_string()))
    }

    /// Exactly one span of all has no parent, or one that is [outside](Self::with_outside).
    ///
    /// # Errors
    /// None, or more than one.
    pub fn one_root(&self) -> Result<(), AssertionFailure> {
        let mut roots: Vec<_> = self.roots().collect();
        if roots.len() == 1 {
            return Ok(());
        }
        let clocks = Clocks::of(self);
        roots.sort_by_key(|root| clocks.start(root));
        let mut broken = AssertionFailure::new("one root: exactly one span has no parent");
        let mut tree = self.picture(roots.iter().skip(1).chain(roots.first()).map(|root| root.trace_id));
        if roots.is_empty() {
            broken = broken.found(if self.is_empty() { "no spans at all" } else { "each span has a parent" });
            if self.is_empty() {
                broken = broken
                    .cause("nothing was exported: wait for it, flush at shutdown, and check the exporter's endpoint");
            }
            for orphan in self.orphans().take(1) {
                broken = causes::of_orphan(self, orphan, &clocks, broken);
            }
        } else {
            broken = broken.found(format!("{} spans without a parent:", roots.len()));
            for root in &roots {
                broken = broken.found(format!("  {}{}", root.label(), self.in_trace(root)));
            }
            for root in roots.iter().skip(1).take(EXPLAINED) {
                broken = causes::of_lost_context(self, root, &clocks, broken);
                tree = tree.remark(root, "began a trace of its own");
            }
        }
        Err(broken.picture(tree.to_string()))
    }

    /// Each span whose parent is not [outside](Self::with_outside) has a parent that was received.
    ///
    /// # Errors
    /// With each orphan and why its parent may be missing.
    pub fn no_orphans(&self) -> Result<(), AssertionFailure> {
        let orphans: Vec<_> = self.orphans().collect();
        if orphans.is_empty() {
            return Ok(());
        }
        let clocks = Clocks::of(self);
        let mut broken = AssertionFailure::new("no orphans: each span's parent was received");
        let mut waiting: HashMap<(TraceId, SpanId), usize> = HashMap::new();
        for orphan in &orphans {
            if let Some(parent) = orphan.parent {
                let before = waiting.entry((orphan.trace_id, parent)).or_default();
                *before += 1;
                broken = broken.found(format!("{} has the parent {parent}, which was never received", orphan.label()));
                if *before == 1 && waiting.len() <= EXPLAINED {
                    broken = causes::of_orphan(self, orphan, &clocks, broken);
                }
            }
        }
        let tree = self.picture(orphans.iter().map(|orphan| orphan.trace_id));
        Err(broken.picture(tree.to_string()))
    }

    /// All spans hang together by parents or links, in either direction.
    ///
    /// A second trace that a link joins to the first is connected with it. Parents alone: add [`one_root`](Self::one_root)
    /// and [`no_orphans`](Self::no_orphans).
    ///
    /// # Errors
    /// With each piece.
    pub fn connected(&self) -> Result<(), AssertionFailure> {
        let pieces = self.pieces();
        if pieces.len() == 1 {
            return Ok(());
        }
        let mut broken = AssertionFailure::new("connected: all spans hang together by parents or links");
        if pieces.is_empty() {
            return Err(broken
                .found("no spans at all")
                .cause("nothing was exported: wait for it, flush at shutdown, and check the exporter's endpoint"));
        }
        let clocks = Clocks::of(self);
        broken = broken.found(format!("{} pieces:", pieces.len()));
        let mut tree =
            self.picture(pieces.iter().filter_map(|piece| self.at(*piece.first()?)).map(|span| span.trace_id));
        for (index, piece) in pieces.iter().enumerate() {
            let first = piece
                .iter()
                .filter_map(|at| self.at(*at))
                .min_by_key(|span| (self.parent(span).is_some(), clocks.start(span)));
            let Some(first) = first else { continue };
            broken = broken.found(format!(
                "  {} below {}{}",
                plural(piece.len(), "span"),
                first.label(),
                self.in_trace(first)
            ));
            if (1..=EXPLAINED).contains(&index) {
                broken = if self.is_orphan(first) {
                    causes::of_orphan(self, first, &clocks, broken)
                } else {
                    causes::of_lost_context(self, first, &clocks, broken)
                };
                tree = tree.remark(first, "cut off from the rest");
            }
        }
        Err(broken.picture(tree.to_string()))
    }

    /// ` in trace …`, where there is more than one.
    fn in_trace(&self, span: &Span) -> String {
        let several = self.spans().any(|other| other.trace_id != span.trace_id);
        if several { format!(" in trace {}", span.trace_id) } else { String::new() }
    }

    /// Sets of spans that hang together, the one with the earliest span first.
    fn pieces(&self) -> Vec<Vec<usize>> {
        let mut joined: Vec<Vec<usize>> = vec![Vec::new(); self.len()];
        for (at, span) in self.spans().enumerate() {
            let links = span.links.iter().filter_map(|link| self.position(link.trace_id, link.span_id));
            for other in links.chain(self.parent_at(at)).collect::<Vec<_>>() {
                for (one, two) in [(at, other), (other, at)] {
                    if let Some(list) = joined.get_mut(one) {
                        list.push(two);
                    }
                }
            }
        }
        let mut seen = vec![false; self.len()];
        let mut pieces = Vec::new();
        for start in 0..self.len() {
            let mut piece = Vec::new();
            let mut stack = vec![start];
            while let Some(at) = stack.pop() {
                if let Some(mark) = seen.get_mut(at)
                    && !std::mem::replace(mark, true)
                {
                    piece.push(at);
                    stack.extend(joined.get(at).into_iter().flatten());
                }
            }
            if !piece.is_empty() {
                pieces.push(piece);
            }
        }
        let clocks = Clocks::of(self);
        pieces.sort_by_key(|piece| piece.iter().filter_map(|at| self.at(*at)).map(|span| clocks.start(span)).min());
        pieces
    }

    /// No id is all zero, none is used twice in its trace, and no span is its own ancestor.
    ///
    /// # Errors
    /// With each that is.
    pub fn ids_valid(&self) -> Result<(), AssertionFailure> {
        let zero = self.spans().filter(|span| span.trace_id.is_zero() || span.span_id.is_zero());
        let zero = zero.map(|span| (span, format!("{} has an id of zeros (trace {})", span.label(), span.trace_id)));
        let reused = self
            .reused_ids()
            .map(|span| (span, format!("{} has an id that another span of its trace has too", span.label())));
        let looped = self.loops().map(|span| (span, format!("{} is its own ancestor", span.label())));
        let bad: Vec<_> = zero.chain(reused).chain(looped).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let tree = self.picture(bad.iter().map(|(span, _)| span.trace_id));
        let mut broken =
            AssertionFailure::new("valid ids: none zero, none used twice, no loops").picture(tree.to_string());
        for (_, fact) in bad {
            broken = broken.found(fact);
        }
        Err(broken.cause("an exporter or a hand-written context made these ids; no SDK does"))
    }

    /// All spans have the same trace id, and there is at least one.
    ///
    /// # Errors
    /// With each trace and where it began.
    pub fn one_trace(&self) -> Result<(), AssertionFailure> {
        let traces = self.trace_ids();
        if traces.len() == 1 {
            return Ok(());
        }
        self.compare_traces("one trace: all spans have the same trace id", traces.iter().copied(), &HashSet::new())
    }

    /// Each of these traces has a span, and no other trace has.
    ///
    /// # Errors
    /// With the traces that are missing, and those that should not be.
    pub fn only_traces(&self, traces: &[TraceId]) -> Result<(), AssertionFailure> {
        let expected: HashSet<TraceId> = traces.iter().copied().collect();
        let seen: HashSet<TraceId> = self.trace_ids().into_iter().collect();
        if expected == seen {
            return Ok(());
        }
        let mut others: Vec<TraceId> = seen.difference(&expected).copied().collect();
        others.sort_unstable();
        let claim = format!("only these traces: {} expected", plural(expected.len(), "trace"));
        self.compare_traces(&claim, others.into_iter(), &expected.difference(&seen).copied().collect())
    }

    fn compare_traces(
        &self,
        claim: &str,
        extra: impl Iterator<Item = TraceId> + Clone,
        missing: &HashSet<TraceId>,
    ) -> Result<(), AssertionFailure> {
        let clocks = Clocks::of(self);
        let mut broken = AssertionFailure::new(claim);
        if self.is_empty() {
            broken = broken
                .found("no spans at all")
                .cause("nothing was exported: wait for it, flush at shutdown, and check the exporter's endpoint");
        }
        for trace in missing {
            broken = broken.found(format!("trace {trace} has no span"));
        }
        let mut first_of: BTreeMap<TraceId, &Span> = BTreeMap::new();
        for span in self.spans() {
            let rank = |span: &Span| (span.parent.is_some(), clocks.start(span));
            let first = first_of.entry(span.trace_id).or_insert(span);
            if rank(span) < rank(first) {
                *first = span;
            }
        }
        let mut firsts: Vec<_> = extra.clone().filter_map(|trace| first_of.get(&trace).copied()).collect();
        firsts.sort_by_key(|span| clocks.start(span));
        for (index, first) in firsts.iter().enumerate() {
            broken = broken.found(format!("trace {} begins with {}", first.trace_id, first.label()));
            // Where all traces are listed the earliest is the real one; the others broke away from it.
            if (index > 0 || missing.len() + self.trace_ids().len() > firsts.len()) && index < 4 {
                broken = causes::of_lost_context(self, first, &clocks, broken);
            }
        }
        Err(broken.picture(self.picture(extra).to_string()))
    }

    /// Each of these services made at least one span.
    ///
    /// # Errors
    /// With those that did not.
    pub fn services_seen(&self, services: &[&str]) -> Result<(), AssertionFailure> {
        let seen = self.services();
        let missing: BTreeSet<&str> = services.iter().copied().filter(|service| !seen.contains(service)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut broken = AssertionFailure::new(format!("services seen: {}", services.join(", ")));
        for service in &missing {
            broken = broken.found(format!("no span of `{service}`"));
        }
        let others: Vec<String> = seen.into_iter().filter(|service| !services.contains(service)).map(shown).collect();
        if !others.is_empty() {
            broken = broken.nearest(format!("also seen: {}", others.join(", ")));
        }
        for service in missing {
            broken = causes::of_silent_service(self, service, broken);
        }
        Err(broken.picture(self.picture([]).to_string()))
    }

    /// Exactly so many spans are meant.
    ///
    /// # Errors
    /// With those found, and the nearest.
    pub fn count(&self, which: impl Into<SpanSelector>, times: usize) -> Result<(), AssertionFailure> {
        let which = which.into();
        let found: Vec<_> = self.find(which.clone()).collect();
        if found.len() == times {
            return Ok(());
        }
        let mut broken =
            AssertionFailure::new(format!("exactly {times} of {which}")).found(format!("{} of them", found.len()));
        for span in &found {
            broken = broken.found(format!("  {}{}", span.label(), causes::mark(span)));
        }
        if found.is_empty() {
            broken = causes::nearest(self, &which, broken);
        }
        Err(broken.picture(self.picture(found.iter().map(|span| span.trace_id)).to_string()))
    }

    /// Checks that no exporter dropped attributes, events or links of a span.
    ///
    /// # Errors
    /// With each span that lost something.
    pub fn nothing_dropped(&self) -> Result<(), AssertionFailure> {
        let lost: Vec<_> = self.spans().filter(|span| span.dropped > 0).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let mut broken = AssertionFailure::new("nothing dropped by an exporter's limits");
        for span in &lost {
            broken = broken.found(format!("{} lost {} attributes, events or links", span.label(), span.dropped));
        }
        Err(broken
            .cause("the SDK's span limits (OTEL_SPAN_LINK_COUNT_LIMIT and its like; 128 by default)")
            .picture(self.picture(lost.iter().map(|span| span.trace_id)).to_string()))
    }
}
