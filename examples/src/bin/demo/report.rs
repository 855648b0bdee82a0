//! The demo's report: text, JSON and an HTML page.

use std::{collections::BTreeMap, fmt::Write};

use propagation_testkit::{
    html::{Page, Stopped},
    trace::{Span, TraceGraph},
    wire::{Wire, WireRecord},
};
use serde_json::{Value, json};

use crate::{
    PolicyMode,
    judge::{OrderVerdict, Verdict},
    service::Name,
};

/// How many orders are shown whole; of the others the verdict alone.
const SHOWN: usize = 1;

pub(crate) fn print(verdict: &Verdict) {
    print!("{}", text(verdict));
}

fn text(verdict: &Verdict) -> String {
    let mut out = String::new();
    let broken = verdict.orders.iter().filter(|order| !order.holds());
    let whole = verdict.orders.iter().filter(|order| order.holds());
    for order in broken.chain(whole).take(SHOWN) {
        let _ = writeln!(out, "order {}\n\n{}", order.order, order.graph);
        wires(&mut out, verdict, order);
    }
    if !verdict.stopped.is_empty() {
        let _ = writeln!(out, "fields that the policy blocked");
        for stopped in &verdict.stopped {
            let _ = writeln!(out, "  {:<18} at {:<28} {}", stopped.key, stopped.at, stopped.reason);
        }
        out.push('\n');
    }
    if !verdict.reported.is_empty() {
        let _ = writeln!(out, "fields that the policy would have blocked, and passed as it only reports");
        for reported in &verdict.reported {
            let _ = writeln!(out, "  {:<18} at {:<28} {}", reported.key, reported.at, reported.rule);
        }
        out.push('\n');
    }
    let before = out.len();
    faults(&mut out, verdict);
    if out.len() > before {
        out.push('\n');
    }
    summary(&mut out, verdict);
    out
}

fn wires(out: &mut String, verdict: &Verdict, order: &OrderVerdict) {
    let _ = writeln!(out, "fields as each receiver read them");
    for seen in verdict.wires.iter().filter(|seen| seen.order == order.order) {
        let _ = writeln!(out, "  {} → {} ({})", seen.from, seen.to, seen.transport);
        if seen.wire.is_empty() {
            let _ = writeln!(out, "    nothing");
        }
        for (name, value) in &seen.wire {
            let _ = writeln!(out, "    {name}: {value}");
        }
    }
    out.push('\n');
}

/// Every reason against the verdict, at most a few of a kind.
fn faults(out: &mut String, verdict: &Verdict) {
    const FEW: usize = 5;
    for trace in verdict.shared.iter().take(FEW) {
        let _ = writeln!(out, "cross-talk: more than one order is in trace {trace}");
    }
    for fault in verdict.tenants.iter().take(FEW).chain(verdict.against().take(FEW)) {
        let _ = writeln!(out, "{fault}");
    }
    for order in verdict.orders.iter().filter(|order| !order.holds()).take(SHOWN) {
        let mut broken = order.continuity.broken.iter();
        if let Some(first) = broken.next() {
            let _ = write!(out, "{}", first.summary());
        }
        // One lost context breaks several claims, with the same cause.
        for other in broken {
            let _ = writeln!(out, "broken, too: {}", other.claim());
        }
        if !order.missing.is_empty() {
            let _ = writeln!(out, "no spans of {}", order.missing.join(", "));
        }
    }
}

fn summary(out: &mut String, verdict: &Verdict) {
    let count = verdict.orders.len();
    let whole = verdict.orders.iter().filter(|order| order.holds()).count();
    if count > 1 {
        let _ = writeln!(
            out,
            "{whole} of {count} orders each have one whole trace of their own; up to {} traces were under way at the same time",
            verdict.overlapping
        );
    }
    let _ = writeln!(out, "verdict: {}", words(verdict));
}

/// The verdict in a few words.
fn words(verdict: &Verdict) -> String {
    if let Some((hop, from, to)) = verdict.broken_at() {
        format!("broken at {} ({from} → {to})", hop.as_str())
    } else if verdict.holds() {
        let spans: usize = verdict.orders.iter().map(|order| order.graph.len()).sum();
        let traces = if verdict.orders.len() == 1 { "one trace, one root" } else { "one trace and one root an order" };
        format!("continuous ({traces}, no orphan, {spans} spans, all {} services)", Name::ALL.len())
    } else if verdict.continuous() {
        "failed (the traces are whole, the fields on the wire are not)".to_owned()
    } else {
        "broken".to_owned()
    }
}

pub(crate) fn json(verdict: &Verdict) -> Value {
    let graph = TraceGraph::new(verdict.orders.iter().flat_map(|order| order.graph.spans().cloned()));
    let trace_id = |order: &OrderVerdict| order.continuity.traces.first().map(ToString::to_string);
    json!({
        "verdict": if verdict.holds() { "continuous" } else if verdict.continuous() { "failed" } else { "broken" },
        "broken_at": verdict.broken_at().map(|(hop, from, to)| json!({ "hop": hop.as_str(), "from": from, "to": to })),
        "trace_id": verdict.orders.first().and_then(trace_id),
        "services": graph.services(),
        "spans": graph.spans().map(span).collect::<Vec<_>>(),
        "orphans": graph.orphans().map(span).collect::<Vec<_>>(),
        "hops": verdict.wires.iter().map(|seen| json!({
            "from": seen.from, "to": seen.to, "transport": seen.transport, "wire": seen.wire, "order": seen.order,
        })).collect::<Vec<_>>(),
        "stopped": verdict.stopped.iter().map(|stopped| json!({
            "key": stopped.key, "at": stopped.at, "reason": stopped.reason, "rule": stopped.rule,
        })).collect::<Vec<_>>(),
        "policy": verdict.policy.as_str(),
        "reported": verdict.reported.iter().map(|reported| json!({
            "key": reported.key, "at": reported.at, "reason": reported.reason, "rule": reported.rule,
        })).collect::<Vec<_>>(),
        "orders": verdict.orders.iter().map(|order| json!({
            "order": order.order,
            "trace_id": trace_id(order),
            "traces": order.continuity.traces.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "verdict": if order.holds() { "continuous" } else { "broken" },
            "spans": order.graph.len(),
            "services": order.graph.services(),
        })).collect::<Vec<_>>(),
        "overlapping": verdict.overlapping,
        "cross_talk": verdict.shared.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "faults": verdict.tenants.iter().chain(verdict.against()).collect::<Vec<_>>(),
        "other_spans": verdict.others,
        "containers": verdict.containers.iter().map(|(name, id)| (*name, id.as_str())).collect::<BTreeMap<_, _>>(),
        "asked_to_break": verdict.asked_to_break.map(crate::Hop::as_str),
    })
}

fn span(span: &Span) -> Value {
    json!({
        "trace_id": span.trace_id.to_string(),
        "span_id": span.span_id.to_string(),
        "parent_span_id": span.parent.map(|parent| parent.to_string()),
        "service": span.service(),
        "name": span.name,
        "kind": span.kind.to_string(),
        "start_unix_nano": span.start,
        "end_unix_nano": span.end,
        "links": span.links.iter().map(|link| json!({ "trace_id": link.trace_id.to_string(), "span_id": link.span_id.to_string() })).collect::<Vec<_>>(),
    })
}

pub(crate) fn html(verdict: &Verdict) -> String {
    let graph = TraceGraph::new(verdict.orders.iter().flat_map(|order| order.graph.spans().cloned()));
    let wire = Wire::new();
    for seen in &verdict.wires {
        wire.record(
            WireRecord::new(&seen.from, &seen.to, &seen.transport)
                .of_message(&seen.order)
                .with_fields(seen.wire.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))),
        );
    }
    let stopped = verdict.stopped.iter().map(|it| Stopped::new(&it.key, &it.at, &it.reason));
    let reported = verdict.reported.iter().map(|it| Stopped::new(&it.key, &it.at, &it.rule));
    let page = Page::new(&graph).title("The order shop").wire(&wire);
    let page = match verdict.policy {
        PolicyMode::Enforce => page.stopped(stopped),
        PolicyMode::Report => page.reported(reported),
    };
    if verdict.holds() {
        return page.render();
    }
    let first = verdict.orders.iter().find(|order| !order.holds());
    page.broken(words(verdict), first.into_iter().flat_map(|order| order.continuity.broken.clone())).render()
}
