//! Properties that hold for every input. The fuzz targets check them, too.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use propagation_core::{
    Baggage, Direction, Formats, InboundRule, OutboundRule, Peer, Policy, PropagationContext, Propagator,
    SamplingDecision, Scrub, StoredContext, TraceState, Transport,
};

type Message = Vec<(String, Vec<u8>)>;

const W3C: &str = "tracecontext,baggage";

/// Extracts a message in one format, injects the context in each format, and extracts it again.
///
/// The input consists of lines `name:value`. A line without a colon is a value of the format's first field.
pub(crate) fn format(name: &str, data: &[u8]) {
    let propagator = open(name);
    let first = propagator.fields().iter().next().map(|name| name.as_str().to_owned()).unwrap_or_default();
    let (context, rejections) = read(&propagator, &message(data, &first));
    bounded(&context);
    assert!(rejections <= 64, "{rejections} rejections");

    let sent = write(&propagator, &context);
    let (again, rejections) = read(&propagator, &sent);
    assert_eq!(rejections, 0, "{name} rejects its own fields: {sent:?}");
    // A root trace-id has a parent-id once it was written, in most formats.
    let with_parent = context.trace.has_ids();
    assert_eq!(expressible(name, &context, with_parent), expressible(name, &again, with_parent), "{sent:?}");

    let others = "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin";
    for other in others.split(',') {
        let propagator = open(other);
        let (translated, rejections) = read(&propagator, &write(&propagator, &context));
        assert_eq!(rejections, 0, "{other} rejects its own fields");
        if let (Some(before), Some(after)) = (context.trace.root_trace_id(), translated.trace.trace_id()) {
            assert_eq!(before, after, "{name} to {other}");
        }
        if let (Some(before), Some(after)) = (context.trace.parent, translated.trace.parent) {
            assert_eq!((before.trace_id, before.span_id), (after.trace_id, after.span_id), "{name} to {other}");
            // Jaeger and W3C write a deferred decision as not sampled.
            let (before, after) = (context.trace.sampling.decided(), translated.trace.sampling.decided());
            assert_eq!(before.unwrap_or(false), after.unwrap_or(false), "{name} to {other}");
        }
    }
}

/// Parses a stored context, and stores it again.
pub(crate) fn stored(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(stored) = text.parse::<StoredContext>() else { return };
    assert_eq!(stored.to_string().parse::<StoredContext>().as_ref(), Ok(&stored));
    let propagator = open(W3C);
    let context = propagator.extract(&Peer::process("outbox"), &stored).context;
    bounded(&context);
    let mut fresh = StoredContext::new();
    propagator.inject(&Peer::process("outbox"), &context, &mut fresh);
    let resumed: StoredContext = fresh.to_string().parse().expect("a stored context is valid");
    assert_eq!(propagator.extract(&Peer::process("outbox"), &resumed).context, context);
}

/// Builds a policy from the TOML before the first line `---`, and applies it to the message after it.
pub(crate) fn policy(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (toml, message_text) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let (received, _) = read(&open(W3C), &message(message_text.as_bytes(), "baggage"));
    // The built-in policies hold for every message, and so does that of the file if it is valid.
    judged(&Policy::default(), &received, Some(0));
    judged(&Policy::edge(), &received, Some(0));
    judged(&Policy::internal(["*"]), &received, None);
    let _ = Policy::lint_toml(toml);
    if let Ok(policy) = Policy::from_toml(toml) {
        judged(&policy, &received, None);
    }
}

/// A policy adds no keys, exceeds no limits, and reports no values.
fn judged(policy: &Policy, received: &PropagationContext, crossing: Option<usize>) {
    for peer in [Peer::http("api.internal"), Peer::kafka("orders"), Peer::caller(Transport::HTTP)] {
        let admitted = policy.admit(&peer, received.clone()).context;
        let released = policy.release(&peer, received);
        for context in [&admitted, &*released.context] {
            bounded(context);
            for member in context.baggage.iter() {
                assert!(received.baggage.member(member.key()).is_some(), "a key was invented");
            }
            if let Some(most) = crossing {
                assert!(context.baggage.len() <= most, "baggage crosses a policy that allows none");
            }
        }
        // Scrubbing is idempotent.
        let twice = policy.release(&peer, &released.context).context;
        assert_eq!(twice.trace, released.context.trace);
        for direction in [Direction::Inbound, Direction::Outbound] {
            let _ = policy.explain(direction, &peer, received);
        }
    }
}

/// Returns a propagator of these formats that trusts every peer and scrubs nothing.
fn open(formats: &str) -> Propagator {
    static KNOWN: LazyLock<Mutex<BTreeMap<String, Propagator>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let policy = Policy::builder()
            .inbound(InboundRule::peers(["*"]).allow("*"))
            .outbound(OutboundRule::peers(["*"]).allow("*"))
            .scrub(Scrub::off())
            .build();
        let formats: Formats = formats.parse().unwrap_or_else(|error| panic!("{error}"));
        Propagator::builder().policy(policy.expect("a policy of constants")).formats(formats).build()
    };
    known.entry(formats.to_owned()).or_insert_with(make).clone()
}

fn message(data: &[u8], first: &str) -> Message {
    let lines = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| match line.iter().position(|&byte| byte == b':') {
            // Jaeger's ids contain colons, and digits that names do not.
            Some(at)
                if line[..at].iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'.' | b'3')) =>
            {
                (String::from_utf8_lossy(&line[..at]).into_owned(), line[at + 1..].to_vec())
            }
            _ => (first.to_owned(), line.to_vec()),
        })
        .collect()
}

fn read(propagator: &Propagator, message: &Message) -> (PropagationContext, usize) {
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), message);
    (admission.context, admission.rejections.len())
}

/// Injects a context, and checks that each field is legal, declared and written once.
fn write(propagator: &Propagator, context: &PropagationContext) -> Message {
    let mut sent = vec![("kept".to_owned(), b"\xff".to_vec())];
    propagator.inject(&Peer::http("api"), context, &mut sent);
    assert_eq!(sent.remove(0), ("kept".to_owned(), b"\xff".to_vec()));
    let mut fields = BTreeMap::new();
    let declared = propagator.fields();
    for (name, value) in &sent {
        assert!(declared.contains(name), "{name} is not declared");
        // Jaeger's fields are members of baggage, whose values may be empty.
        assert!(!value.is_empty() || name.starts_with("uberctx-"), "{name} is empty");
        assert!(value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)), "{name}: {value:?}");
        assert!(fields.insert(name.clone(), value.clone()).is_none(), "{name} twice");
    }
    sent
}

fn bounded(context: &PropagationContext) {
    let (trace, baggage) = (&context.trace, &context.baggage);
    assert!(trace.state.len() <= TraceState::MAX_MEMBERS);
    assert_eq!(trace.state.len(), trace.state.iter().count());
    assert!(trace.trace_id().is_some() || trace.state.is_empty(), "tracestate without a trace-id");
    assert_eq!(trace.flags().is_sampled(), trace.has_ids() && trace.sampling.decided() == Some(true));
    assert!(baggage.len() <= Baggage::MAX_MEMBERS && baggage.as_wire().len() <= Baggage::MAX_BYTES);
    assert_eq!(baggage.len(), baggage.iter().count());
    for member in baggage.iter() {
        assert!(!member.key().is_empty());
        assert!(member.value().len() <= 3 * member.wire_value().len());
    }
    assert_eq!(&context.detach(), context);
}

/// Returns the part of a context that a format can express, which survives injection and extraction.
fn expressible(
    name: &str,
    context: &PropagationContext,
    with_parent: bool,
) -> (Option<String>, Option<SamplingDecision>, Vec<(String, String)>) {
    let trace = &context.trace;
    let ids = trace.trace_id().map(|trace_id| {
        let random = name == "tracecontext" && trace.flags().is_random();
        let span_id = trace.span_id().filter(|_| with_parent).map(|id| id.to_string()).unwrap_or_default();
        // Datadog's member contains the parent-id.
        let state = Some(&trace.state).filter(|_| with_parent).map(ToString::to_string).unwrap_or_default();
        format!("{trace_id}-{span_id}-{random}-{state}")
    });
    // Only B3 expresses a decision without ids.
    let sampling = (ids.is_some() || name == "b3").then_some(context.trace.sampling);
    let mut baggage = Vec::new();
    for member in context.baggage.iter() {
        let key = if name == "jaeger" { member.key().to_ascii_lowercase() } else { member.key().to_owned() };
        let properties = if name == "jaeger" { "" } else { member.properties() };
        if name != "jaeger" || !baggage.iter().any(|(found, _)| *found == key) {
            // Empty values are not compared.
            if name != "jaeger" || !member.value().is_empty() {
                baggage.push((key, format!("{};{properties}", member.value())));
            }
        }
    }
    (ids, sampling, baggage)
}
