//! Times of several machines on one line.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Span, SpanKind, TraceGraph};

/// How far each clock of a graph must be shifted so that causes come before effects.
///
/// A clock is that of one service instance ([`Span::clock`]). Where a caller and its callee are on different clocks,
/// the call itself bounds the difference: an effect starts no earlier than its cause, and a server ends no later than the
/// client that waited for it, unless their times meet at all (clients give up, servers go on). Within those bounds a clock is not touched; outside of them it is moved to the nearest bound,
/// or to the middle where both bounds are known, as the way there and the way back are then taken to be equally long.
#[derive(Debug, Clone, Default)]
pub struct Clocks {
    shifts: HashMap<String, i128>,
}

/// The bounds of a clock shift by observed calls: from `low` to `high` nanoseconds.
#[derive(Clone, Copy)]
struct Bounds {
    low: i128,
    high: Option<i128>,
}

impl Bounds {
    fn shift(self) -> i128 {
        match self.high {
            _ if self.low <= 0 && self.high.is_none_or(|high| high >= 0) => 0,
            Some(high) if high >= self.low => i128::midpoint(self.low, high),
            Some(_) | None => self.low,
        }
    }
}

impl Clocks {
    /// Works out the shifts from the calls between services.
    #[must_use]
    pub fn of(graph: &TraceGraph) -> Self {
        let mut bounds: HashMap<(String, String), Bounds> = HashMap::new();
        let mut order = Vec::new();
        let mut called = HashSet::new();
        for span in graph.spans() {
            for (cause, waits) in causes(graph, span) {
                let (from, to) = (cause.clock(), span.clock());
                if from == to {
                    continue;
                }
                let low = i128::from(cause.start) - i128::from(span.start);
                // A server may well outlive a client that gave up. Only where the two do not even meet is it the clock.
                let apart = span.start > cause.end || span.end < cause.start;
                let high = (waits && apart).then(|| i128::from(cause.end) - i128::from(span.end));
                called.insert(to.clone());
                bounds
                    .entry((from.clone(), to.clone()))
                    .and_modify(|known| {
                        known.low = known.low.max(low);
                        known.high = known.high.into_iter().chain(high).min();
                    })
                    .or_insert_with(|| {
                        order.push((from, to));
                        Bounds { low, high }
                    });
            }
        }
        let mut clocks = Self::default();
        // Clocks without callers are the reference; the others are derived from them, nearest first.
        let mut queue: VecDeque<String> = VecDeque::new();
        let starts = order
            .iter()
            .map(|(from, _)| from)
            .filter(|from| !called.contains(*from))
            .chain(order.iter().map(|(from, _)| from));
        for start in starts {
            if clocks.shifts.contains_key(start) {
                continue;
            }
            clocks.shifts.insert(start.clone(), 0);
            queue.push_back(start.clone());
            while let Some(from) = queue.pop_front() {
                let base = clocks.shifts.get(&from).copied().unwrap_or_default();
                for pair in order.iter().filter(|(cause, _)| *cause == from) {
                    if let Some(known) = bounds.get(pair)
                        && !clocks.shifts.contains_key(&pair.1)
                    {
                        let moved = Bounds { low: known.low + base, high: known.high.map(|high| high + base) };
                        clocks.shifts.insert(pair.1.clone(), moved.shift());
                        queue.push_back(pair.1.clone());
                    }
                }
            }
        }
        clocks
    }

    /// By how many nanoseconds this span's clock is moved.
    #[must_use]
    pub fn shift(&self, span: &Span) -> i128 {
        if self.shifts.values().all(|shift| *shift == 0) {
            return 0;
        }
        self.shifts.get(&span.clock()).copied().unwrap_or_default()
    }

    /// When this span began, on the common line; nanoseconds.
    #[must_use]
    pub fn start(&self, span: &Span) -> i128 {
        i128::from(span.start) + self.shift(span)
    }

    /// When this span ended, on the common line; nanoseconds.
    #[must_use]
    pub fn end(&self, span: &Span) -> i128 {
        i128::from(span.end) + self.shift(span)
    }
}

/// The causes of a span: its parent, or linked producers, and whether the cause waited for its end.
pub(crate) fn causes<'g>(graph: &'g TraceGraph, span: &'g Span) -> impl Iterator<Item = (&'g Span, bool)> {
    let parent =
        graph.parent(span).map(|parent| (parent, parent.kind == SpanKind::Client && span.kind == SpanKind::Server));
    // A consumer's link refers to a message, which is created before its processing. Other links imply no order.
    let messaging = ["messaging.system.name", "messaging.system"].iter().any(|key| span.attributes.contains(key));
    let links = span.links.iter().filter(move |_| messaging).filter_map(|link| graph.get(link.trace_id, link.span_id));
    parent.into_iter().chain(links.map(|cause| (cause, false)))
}
