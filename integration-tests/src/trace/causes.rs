//! Likely causes of a broken trace, guessed from kinds, times, destinations and ids.

use super::span::shown;
use super::{AssertionFailure, Clocks, Span, SpanKind, SpanSelector, TraceGraph, Value};

/// The transport of a span by its attributes: `kafka`, `rabbitmq`, `aws.sqs`, `grpc`, `http`, or none of them.
pub(crate) fn transport(span: &Span) -> &str {
    let text = |key| span.attributes.text(key);
    // The names of the conventions 1.45 first, then those of older ones.
    let keys = ["messaging.system.name", "messaging.system", "rpc.system.name", "rpc.system"];
    if let Some(system) = keys.into_iter().find_map(text) {
        return if system == "aws_sqs" { "aws.sqs" } else { system };
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

pub(crate) fn receives(span: &Span) -> bool {
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
            && !is_below(graph, sender, receiver)
            && (is_free(graph, sender) || names_same_message(sender, receiver))
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
        let free = usize::from(is_free(graph, sender));
        let elsewhere = usize::from(sender.service() != receiver.service());
        let transport = usize::from(!transport(sender).is_empty());
        (
            free + elsewhere + transport + alike.into_iter().map(same).sum::<usize>(),
            -(began - clocks.start(sender)).abs(),
        )
    };
    graph.spans().filter(fits).max_by_key(score)
}

/// Whether no span of another service continues this one.
fn is_free(graph: &TraceGraph, sender: &Span) -> bool {
    !graph.children(sender).any(|child| receives(child) || child.service() != sender.service())
}

fn names_same_message(sender: &Span, receiver: &Span) -> bool {
    let same = |key| sender.attribute(key).is_some_and(|value| receiver.attribute(key) == Some(value));
    ["messaging.message.id", "messaging.destination.name"].into_iter().any(same)
}

/// Whether `span` is a descendant of `top`.
fn is_below(graph: &TraceGraph, span: &Span, top: &Span) -> bool {
    // A loop of parents is no reason to hang.
    let mut above = std::iter::successors(graph.parent(span), |span| graph.parent(span)).take(graph.len());
    above.any(|above| above.trace_id == top.trace_id && above.span_id == top.span_id)
}

/// Whether a service has a span that receives something: its server layer or consumer wrapper works.
fn service_receives(graph: &TraceGraph, service: &str) -> bool {
    graph.spans().any(|span| span.service() == service && receives(span))
}

/// Returns the span of another service that probably sent without a client or producer span: one that ran when `receiver` began, or the
/// last that ended before, without a sender below it that went elsewhere.
fn likely_origin<'g>(graph: &'g TraceGraph, receiver: &Span, clocks: &Clocks) -> Option<&'g Span> {
    let began = clocks.start(receiver);
    let fits = |span: &&Span| {
        !sends(span)
            && span.service() != receiver.service()
            && clocks.start(span) <= began
            && !is_below(graph, span, receiver)
    };
    let runs = |span: &Span| clocks.end(span) >= began;
    let calls = |span: &Span| graph.children(span).any(sends);
    graph.spans().filter(fits).max_by_key(|span| (runs(span), !calls(span), clocks.start(span)))
}

/// Names the layer that makes spans for received messages of a transport.
fn receiving_layer(transport: &str) -> &'static str {
    match transport {
        "http" => "its server layer (`ServerPropagationLayer` of propagation-http)",
        "grpc" => "its server layer (`ServerPropagationLayer` of propagation-grpc)",
        "kafka" | "rabbitmq" | "aws.sqs" => "its consumer's wrapper (`ConsumerPropagation`)",
        _ => "its server layer (`ServerPropagationLayer`) or its consumer's wrapper (`ConsumerPropagation`)",
    }
}

/// Names the layer that makes spans for messages sent to a receiver of this kind.
fn sending_layer(receiver: &Span) -> &'static str {
    match (receiver.kind, transport(receiver)) {
        (SpanKind::Consumer, _) => "its producer's wrapper (`ProducerPropagation`, `SqsInterceptor`)",
        (_, "grpc") => "its client layer (`ClientPropagationLayer` of propagation-grpc)",
        _ => "its client layer (`ClientPropagationLayer`, `ReqwestPropagation`)",
    }
}

/// Adds why a service that receives has no span for it.
pub(crate) fn of_missing_receiver(
    graph: &TraceGraph,
    span: &Span,
    clocks: &Clocks,
    broken: AssertionFailure,
) -> AssertionFailure {
    let service = shown(span.service());
    let began = clocks.start(span);
    let sender = graph
        .spans()
        .filter(|sender| {
            sends(sender)
                && sender.service() != span.service()
                && clocks.start(sender) <= began
                && is_free(graph, sender)
                && !is_below(graph, sender, span)
        })
        .max_by_key(|sender| clocks.start(sender));
    let layer = receiving_layer(sender.map_or("", transport));
    let cause =
        format!("`{service}` has no server or consumer span: {layer} is missing, so nothing extracted the context");
    match sender {
        Some(sender) => broken.nearest(format!("{} has no child in another service", sender.label())).cause(cause),
        None => broken.cause(cause),
    }
}

/// Adds why a service has no span at all.
pub(crate) fn of_silent_service(graph: &TraceGraph, service: &str, mut broken: AssertionFailure) -> AssertionFailure {
    let service = shown(service);
    let unanswered: Vec<&Span> = graph.spans().filter(|span| sends(span) && is_free(graph, span)).collect();
    for sender in unanswered.iter().take(3) {
        broken = broken.nearest(format!("{} has no child in another service", sender.label()));
    }
    let silent = "does not export, or has another `service.name`";
    if let Some(sender) = unanswered.first() {
        return broken.cause(format!(
            "`{service}` has neither a layer nor a span of its own: add {}; or it never got the request, {silent}",
            receiving_layer(transport(sender))
        ));
    }
    broken.cause(format!(
        "`{service}` has neither a layer nor a span of its own: add {}; or nothing was sent to it, because the service before has no client or producer layer, or it {silent}",
        receiving_layer("")
    ))
}

/// Adds why the first span of a trace receives nothing.
pub(crate) fn of_late_entry(first: &Span, broken: AssertionFailure) -> AssertionFailure {
    let service = shown(first.service());
    broken.cause(format!(
        "`{service}` has no server or consumer span for the request: {} is missing. If `{service}` begins its traces itself (a job, a test's own client), wait for `TraceGraph::continuous` by `wait_until`",
        receiving_layer("")
    ))
}

/// Adds why a span that handles something from elsewhere has no parent.
pub(crate) fn of_lost_context(
    graph: &TraceGraph,
    span: &Span,
    clocks: &Clocks,
    broken: AssertionFailure,
) -> AssertionFailure {
    if !receives(span) && !service_receives(graph, span.service()) {
        return of_missing_receiver(graph, span, clocks, broken);
    }
    if !receives(span) {
        return broken.cause(format!(
            "`{} · {}` began with no current context: its task, thread or callback was started outside of the handler's scope",
            shown(span.service()),
            shown(&span.name)
        ));
    }
    match likely_sender(graph, span, clocks) {
        Some(sender) => broken.nearest(format!("{} should have been its parent", sender.label())).cause(format!(
            "the context was lost at the hop {}: {} did not inject it into the message, something stripped the headers, or {} did not extract it",
            hop(sender, span),
            shown(sender.service()),
            shown(span.service())
        )),
        None => match likely_origin(graph, span, clocks) {
            Some(origin) => broken.nearest(format!("{} ran before it, and sent nothing to it by a span", origin.label())).cause(
                format!(
                    "`{}` has no client or producer span for its message to `{}`: {} is missing, so nothing injected the context",
                    shown(origin.service()),
                    shown(span.service()),
                    sending_layer(span)
                ),
            ),
            None => broken.cause(format!(
                "`{}` got no valid context from its caller, and no span here looks like that caller",
                shown(span.service())
            )),
        },
    }
}

/// Adds why the parent of an orphan is missing.
pub(crate) fn of_orphan(
    graph: &TraceGraph,
    orphan: &Span,
    clocks: &Clocks,
    mut broken: AssertionFailure,
) -> AssertionFailure {
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
pub(crate) fn nearest(graph: &TraceGraph, which: &SpanSelector, mut broken: AssertionFailure) -> AssertionFailure {
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
    let keys = [
        "messaging.message.id",
        "kafka.offset",
        "messaging.kafka.offset",
        "rabbitmq.message.delivery_tag",
        "messaging.rabbitmq.message.delivery_tag",
    ];
    let found = keys.iter().find_map(|key| span.attribute(key).map(Value::to_string));
    found.map(|value| format!(" ({})", shown(&value))).unwrap_or_default()
}
