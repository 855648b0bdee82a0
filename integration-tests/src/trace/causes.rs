//! Guesses at why a trace broke: what a colleague who has seen it before would look at first.

use super::span::shown;
use super::{Broken, Clocks, Span, SpanKind, TraceGraph, Value, Which};

/// What a span says it travelled on: `kafka`, `rabbitmq`, `aws_sqs`, `grpc`, `http`, or nothing.
pub(crate) fn transport(span: &Span) -> &str {
    let text = |key| span.attributes.text(key);
    if let Some(system) = text("messaging.system").or_else(|| text("rpc.system.name")).or_else(|| text("rpc.system")) {
        return system;
    }
    let http = |key: &str| key.starts_with("http.");
    if span.attributes.iter().any(|(key, _)| http(key)) { "http" } else { "" }
}

/// `orders → payments over kafka`.
pub(crate) fn hop(from: &Span, to: &Span) -> String {
    let over = match (transport(to), transport(from)) {
        ("", "") => String::new(),
        ("", over) | (over, _) => format!(" over {}", shown(over)),
    };
    format!("{} → {}{over}", shown(from.service()), shown(to.service()))
}

fn sends(span: &Span) -> bool {
    matches!(span.kind, SpanKind::Client | SpanKind::Producer)
}

fn receives(span: &Span) -> bool {
    matches!(span.kind, SpanKind::Server | SpanKind::Consumer)
}

/// The span that most likely caused this one, judged by kind, destination, transport and time, and not by ids.
pub(crate) fn likely_sender<'g>(graph: &'g TraceGraph, receiver: &Span, clocks: &Clocks) -> Option<&'g Span> {
    const SLACK: i128 = 5_000_000;
    let began = clocks.start(receiver);
    let fits = |sender: &&Span| {
        sends(sender)
            && !(sender.trace_id == receiver.trace_id && sender.span_id == receiver.span_id)
            && clocks.start(sender) <= began + SLACK
            && (transport(sender) == transport(receiver)
                || transport(sender).is_empty()
                || transport(receiver).is_empty())
            && (sender.kind == SpanKind::Producer) <= (receiver.kind != SpanKind::Server)
            && graph.parent(sender).is_none_or(|parent| parent.span_id != receiver.span_id)
    };
    let score = |sender: &&Span| {
        let same =
            |key: &str| usize::from(sender.attribute(key).is_some_and(|value| receiver.attribute(key) == Some(value)));
        let alike = [
            "messaging.message.id",
            "messaging.destination.name",
            "messaging.destination.partition.id",
            "rpc.method",
            "http.request.method",
        ];
        let free = usize::from(!graph.children(sender).any(|child| child.service() != sender.service()));
        let elsewhere = usize::from(sender.service() != receiver.service());
        let transport = usize::from(!transport(sender).is_empty());
        (
            free + elsewhere + transport + alike.into_iter().map(same).sum::<usize>(),
            -(began - clocks.start(sender)).abs(),
        )
    };
    graph.spans().filter(fits).max_by_key(score)
}

/// Adds why a span that handles something from elsewhere has no parent.
pub(crate) fn of_lost_context(graph: &TraceGraph, span: &Span, clocks: &Clocks, broken: Broken) -> Broken {
    if !receives(span) {
        return broken.cause(format!(
            "`{} · {}` began with no current context: its task, thread or callback was started outside of the handler's scope",
            shown(span.service()),
            shown(&span.name)
        ));
    }
    match likely_sender(graph, span, clocks) {
        Some(sender) => broken.nearest(format!("{} should have been its parent", sender.label())).cause(format!(
            "the context was lost at the hop {}: {} did not inject it into what it sent, something stripped the headers, or {} did not extract it",
            hop(sender, span),
            shown(sender.service()),
            shown(span.service())
        )),
        None => broken.cause(format!(
            "`{}` got no valid context from its caller, and no span here looks like that caller",
            shown(span.service())
        )),
    }
}

/// Adds why the parent of an orphan is missing.
pub(crate) fn of_orphan(graph: &TraceGraph, orphan: &Span, clocks: &Clocks, mut broken: Broken) -> Broken {
    let Some(parent) = orphan.parent else {
        return broken;
    };
    if let Some(elsewhere) = graph.spans().find(|span| span.span_id == parent) {
        return broken.nearest(format!("{} has that id, in trace {}", elsewhere.label(), elsewhere.trace_id)).cause(
            format!(
                "at the hop {} the trace id changed and the parent id did not: something wrote half of another context",
                hop(elsewhere, orphan)
            ),
        );
    }
    if parent.is_zero() {
        return broken.cause("the parent id is all zero, which is no id: a root must have none at all");
    }
    if let Some(created) = orphan.links.iter().find_map(|link| graph.get(link.trace_id, link.span_id)) {
        broken = broken.nearest(format!("it links to {}", created.label()));
    }
    if orphan.parent_is_remote() == Some(false) || !receives(orphan) {
        return broken.cause(format!(
            "`{}` exported this span and not its parent, which is its own: the parent has not ended yet, was dropped by a full export queue, or the process ended without flushing",
            shown(orphan.service())
        ));
    }
    match likely_sender(graph, orphan, clocks) {
        Some(sender) => broken.nearest(format!("{} looks like its real parent", sender.label())).cause(format!(
            "at the hop {} the wire carried the id of another span than the one exported: one that was never recorded, a header left over from an earlier hop or message, or a proxy's",
            hop(sender, orphan)
        )),
        None => broken.cause(format!(
            "the caller of `{}` exported nothing (yet): wait for it, flush it at shutdown, or call `with_outside({parent})` if it never exports",
            shown(orphan.service())
        )),
    }
}

/// Adds the spans that come nearest to those meant.
pub(crate) fn nearest(graph: &TraceGraph, which: &Which, mut broken: Broken) -> Broken {
    let mut scored: Vec<(usize, &Span)> =
        graph.spans().map(|span| (which.likeness(span), span)).filter(|(score, _)| *score > 0).collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut shown_already: Vec<(&str, &str)> = Vec::new();
    for (_, span) in scored {
        if shown_already.len() < 3 && !shown_already.contains(&(span.service(), &span.name)) {
            shown_already.push((span.service(), &span.name));
            broken = broken.nearest(span.label());
        }
    }
    if shown_already.is_empty() && !graph.is_empty() {
        let services: Vec<String> = graph.services().into_iter().map(shown).collect();
        broken = broken.nearest(format!("nothing; the services seen are {}", services.join(", ")));
    }
    broken
}

/// The value of the first of these attributes that a span has, for lists of spans that share a name.
pub(crate) fn mark(span: &Span) -> String {
    let keys = ["messaging.message.id", "messaging.kafka.offset", "messaging.rabbitmq.message.delivery_tag"];
    let found = keys.iter().find_map(|key| span.attribute(key).map(Value::to_string));
    found.map(|value| format!(" ({})", shown(&value))).unwrap_or_default()
}
