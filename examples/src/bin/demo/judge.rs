//! The verdict: computed from spans received over OTLP. Wire records only add forbidden values.

use std::collections::{BTreeMap, BTreeSet};

use propagation_testkit::trace::{Continuity, Span, SpanKind, TraceGraph, TraceId};

use crate::{Arguments, Hop, PolicyMode, event::Event, service::Name};

/// An order that was placed, as its customer knows it.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) order: String,
    pub(crate) tenant: String,
    pub(crate) email: String,
}

/// The evidence after the services have stopped.
pub(crate) struct Verdict {
    pub(crate) orders: Vec<OrderVerdict>,
    /// Traces that two orders share: cross-talk.
    pub(crate) shared: Vec<TraceId>,
    pub(crate) wires: Vec<WireSeen>,
    pub(crate) stopped: BTreeSet<Stopped>,
    /// Fields that passed in report mode.
    pub(crate) reported: BTreeSet<Stopped>,
    pub(crate) tenants: Vec<String>,
    /// Where the e-mail address was on a wire; in report mode it may be.
    pub(crate) leaks: Vec<String>,
    /// How many traces were under way at the same time, at most.
    pub(crate) overlapping: usize,
    /// Spans that are in no order's trace, as service and name.
    pub(crate) others: BTreeSet<String>,
    /// The containers that services ran in, by their names.
    pub(crate) containers: Vec<(&'static str, String)>,
    pub(crate) asked_to_break: Option<Hop>,
    pub(crate) policy: PolicyMode,
}

/// One order's verdict.
pub(crate) struct OrderVerdict {
    pub(crate) order: String,
    pub(crate) graph: TraceGraph,
    pub(crate) continuity: Continuity,
    /// The first hop at which the next service did not go on with the trace.
    pub(crate) broken_at: Option<(Hop, &'static str, &'static str)>,
    pub(crate) missing: Vec<&'static str>,
}

/// Messages read by one receiver.
pub(crate) struct WireSeen {
    pub(crate) order: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) transport: String,
    pub(crate) wire: BTreeMap<String, String>,
}

/// Fields rejected by the policy, with their location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stopped {
    pub(crate) key: String,
    pub(crate) at: String,
    pub(crate) reason: String,
    /// The rule, and the detector where one objected.
    pub(crate) rule: String,
}

impl Verdict {
    /// Whether every trace is whole and its own, and nothing was where it should not be.
    pub(crate) fn holds(&self) -> bool {
        self.continuous() && self.shared.is_empty() && self.tenants.is_empty() && self.against().next().is_none()
    }

    /// The leaks that speak against the verdict: all, unless everything was asked to cross.
    pub(crate) fn against(&self) -> impl Iterator<Item = &String> {
        self.leaks.iter().filter(|_| self.policy == PolicyMode::Enforce)
    }

    pub(crate) fn continuous(&self) -> bool {
        !self.orders.is_empty() && self.orders.iter().all(OrderVerdict::holds)
    }

    /// The first hop that broke, of any order.
    pub(crate) fn broken_at(&self) -> Option<(Hop, &'static str, &'static str)> {
        self.orders
            .iter()
            .filter_map(|order| order.broken_at)
            .min_by_key(|(hop, ..)| Hop::JOURNEY.iter().position(|(each, ..)| each == hop))
    }
}

impl OrderVerdict {
    pub(crate) fn holds(&self) -> bool {
        self.continuity.is_continuous() && self.broken_at.is_none() && self.missing.is_empty()
    }
}

pub(crate) fn judge(placed: &[Placed], graph: &TraceGraph, events: &[Event], arguments: &Arguments) -> Verdict {
    // Which traces an order is seen in: services set its id on their spans, as a shop would.
    let mut traces: BTreeMap<&str, BTreeSet<TraceId>> = BTreeMap::new();
    for span in graph.spans() {
        if let Some(order) = span.attribute("order.id").and_then(|value| value.as_str()) {
            traces.entry(order).or_default().insert(span.trace_id);
        }
    }
    let mut by_trace: BTreeMap<TraceId, Vec<&Span>> = BTreeMap::new();
    for span in graph.spans() {
        by_trace.entry(span.trace_id).or_default().push(span);
    }
    let mut users: BTreeMap<TraceId, usize> = BTreeMap::new();
    for trace in traces.values().flatten() {
        *users.entry(*trace).or_default() += 1;
    }

    let orders = placed.iter().map(|placed| {
        let ids = traces.get(placed.order.as_str()).cloned().unwrap_or_default();
        let spans = ids.iter().flat_map(|id| by_trace.get(id).into_iter().flatten());
        judge_order(&placed.order, TraceGraph::new(spans.map(|span| (*span).clone())))
    });
    let mut verdict = Verdict {
        orders: orders.collect(),
        shared: users.iter().filter(|(_, users)| **users > 1).map(|(trace, _)| *trace).collect(),
        wires: Vec::new(),
        stopped: BTreeSet::new(),
        reported: BTreeSet::new(),
        tenants: Vec::new(),
        leaks: Vec::new(),
        overlapping: overlapping(users.keys().filter_map(|trace| by_trace.get(trace))),
        others: graph
            .spans()
            .filter(|span| !users.contains_key(&span.trace_id))
            .map(|span| format!("{} · {}", span.service(), span.name))
            .collect(),
        containers: Vec::new(),
        asked_to_break: arguments.broken,
        policy: arguments.policy,
    };
    verdict.read(placed, events);
    verdict
}

fn judge_order(order: &str, graph: TraceGraph) -> OrderVerdict {
    let services = graph.services();
    let missing: Vec<&str> =
        Name::ALL.iter().map(|name| name.as_str()).filter(|name| !services.contains(name)).collect();
    let broken_at = Hop::JOURNEY.into_iter().find(|(hop, from, to)| !crosses(&graph, *hop, from, to));
    OrderVerdict { order: order.to_owned(), continuity: graph.continuity(), broken_at, missing, graph }
}

/// Whether a span that receives in `to` is the child of a span in `from`.
fn crosses(graph: &TraceGraph, hop: Hop, from: &str, to: &str) -> bool {
    let kind = if matches!(hop, Hop::Http | Hop::Grpc) { SpanKind::Server } else { SpanKind::Consumer };
    graph
        .spans()
        .filter(|span| span.service() == to && span.kind == kind)
        .any(|span| graph.parent(span).is_some_and(|parent| parent.service() == from))
}

fn overlapping<'t>(of_orders: impl Iterator<Item = &'t Vec<&'t Span>>) -> usize {
    let mut changes: Vec<(u64, i32)> = Vec::new();
    for spans in of_orders {
        let (start, end) = (spans.iter().map(|span| span.start).min(), spans.iter().map(|span| span.end).max());
        changes.extend(start.map(|start| (start, 1)));
        changes.extend(end.map(|end| (end, -1)));
    }
    changes.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or_default()
}

impl Verdict {
    /// Collects the services' events and searches the messages for forbidden values.
    fn read(&mut self, placed: &[Placed], events: &[Event]) {
        let of: BTreeMap<&str, &Placed> = placed.iter().map(|placed| (placed.order.as_str(), placed)).collect();
        for event in events {
            match event.clone() {
                Event::Wire { order, from, to, transport, wire } => {
                    if let Some(placed) = of.get(order.as_str()) {
                        self.search(placed, &from, &to, &wire);
                    }
                    self.wires.push(WireSeen { order, from, to, transport, wire });
                }
                Event::Stopped { key, at, reason, rule, reported } => {
                    let list = if reported { &mut self.reported } else { &mut self.stopped };
                    list.insert(Stopped { key, at, reason, rule });
                }
                Event::Tenant { order, service, body, baggage } => {
                    let baggage = baggage.unwrap_or_else(|| "none".to_owned());
                    self.tenants.push(format!(
                        "order {order} at {service}: tenant {body} in the body, {baggage} in the baggage"
                    ));
                }
                Event::Ready { .. } | Event::Done { .. } => {}
            }
        }
        let place = |wire: &WireSeen| Hop::JOURNEY.iter().position(|(_, from, _)| *from == wire.from);
        self.wires.sort_by(|a, b| (&a.order, place(a)).cmp(&(&b.order, place(b))));
    }

    fn search(&mut self, placed: &Placed, from: &str, to: &str, wire: &BTreeMap<String, String>) {
        let local = placed.email.split('@').next().unwrap_or(&placed.email);
        for (name, value) in wire {
            if value.contains(local) {
                self.leaks
                    .push(format!("order {}: the e-mail address was in {name} from {from} to {to}", placed.order));
            }
        }
        // The tenant that travels must be the order's own, whatever a service makes of it.
        let own = format!("{}={}", crate::shop::TENANT, placed.tenant);
        if let Some(baggage) = wire.get("baggage")
            && baggage.contains(crate::shop::TENANT)
            && !baggage.contains(&own)
        {
            self.tenants
                .push(format!("order {}: another order's tenant on the wire from {from} to {to}", placed.order));
        }
    }
}
