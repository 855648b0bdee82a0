use propagation_core::{
    FieldName, Formats, Peer, PropagationContext, Propagator, SamplingDecision, StoredContext, TraceContext,
    TraceParent, Transport, carrier::EnvironmentCarrier, format::XRayFormat, model::SamplingPriority,
};
use proptest::prelude::*;

use super::{baggage::baggages, hostile, parents, samplings, tracestate::states};
use crate::wire::open_policy;

const ALL: &str = "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin";

fn propagator(formats: &str) -> Propagator {
    let policy = open_policy();
    Propagator::builder().policy(policy).formats(formats.parse::<Formats>().unwrap()).build()
}

fn through(propagator: &Propagator, context: &PropagationContext) -> PropagationContext {
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::kafka("orders"), context, &mut sent);
    propagator.extract(&Peer::kafka("orders"), &sent).context
}

/// Returns the part of a sampling decision that a format can express.
fn expressible(format: &str, sampling: SamplingDecision) -> SamplingDecision {
    let two =
        |sampling: SamplingDecision| sampling.decided().map_or(SamplingDecision::Defer, SamplingDecision::from_sampled);
    match (format, sampling) {
        ("b3" | "b3multi" | "jaeger", SamplingDecision::Debug) => SamplingDecision::Debug,
        ("jaeger" | "tracecontext" | "grpc-trace-bin", SamplingDecision::Defer) => SamplingDecision::Drop,
        ("datadog", SamplingDecision::Defer) => SamplingDecision::Defer,
        ("datadog", SamplingDecision::Debug) => SamplingDecision::Priority(SamplingPriority::UserKeep),
        ("datadog", SamplingDecision::Priority(priority)) => SamplingDecision::Priority(priority),
        ("datadog", SamplingDecision::Sample) => SamplingDecision::Priority(SamplingPriority::Keep),
        ("datadog", _) => SamplingDecision::Priority(SamplingPriority::Reject),
        (_, sampling) => two(sampling),
    }
}

proptest! {
    #[test]
    fn a_traceparent_that_is_written_reads_the_same(parent in parents()) {
        prop_assert_eq!(TraceParent::from_bytes(&parent.to_bytes()), Ok(parent));
        prop_assert_eq!(parent.to_string().parse::<TraceParent>(), Ok(parent));
    }

    #[test]
    fn a_traceparent_that_is_read_was_one(text in hostile()) {
        if let Ok(parent) = TraceParent::from_bytes(&text) {
            // All but version and flags is written as it was.
            prop_assert_eq!(&parent.to_bytes()[2..52], &text[2..52]);
        }
    }

    #[test]
    fn ids_and_decisions_survive_every_format(parent in parents(), sampling in samplings()) {
        let context = PropagationContext::new(TraceContext::new(parent).with_sampling(sampling));
        for format in ALL.split(',').filter(|format| *format != "baggage") {
            // Datadog has no words for a lower half of zero.
            if format == "datadog" && parent.trace_id.to_bytes()[8..] == [0; 8] {
                continue;
            }
            let back = through(&propagator(format), &context).trace;
            let ids = back.parent.map(|parent| (parent.trace_id, parent.span_id));
            prop_assert_eq!(ids, Some((parent.trace_id, parent.span_id)), "{}", format);
            prop_assert_eq!(back.sampling, expressible(format, sampling), "{}", format);
        }
    }

    #[test]
    fn whole_contexts_survive_w3c_storage_and_the_environment(
        parent in parents(), state in states(), baggage in baggages(),
    ) {
        let context = PropagationContext::new(TraceContext::new(parent).with_state(state)).with_baggage(baggage);
        let w3c = propagator("tracecontext,baggage");
        prop_assert_eq!(&through(&w3c, &context), &context);

        let mut stored = StoredContext::new();
        w3c.inject(&Peer::process("outbox"), &context, &mut stored);
        let resumed: StoredContext = stored.to_string().parse().unwrap();
        prop_assert_eq!(&resumed, &stored);
        prop_assert_eq!(&w3c.extract(&Peer::process("outbox"), &resumed).context, &context);

        let mut child = EnvironmentCarrier::new();
        w3c.inject(&Peer::process("child"), &context, &mut child);
        let variables: Vec<(String, String)> =
            child.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let look_up = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let parent = EnvironmentCarrier::from_lookup(w3c.fields(), look_up);
        prop_assert_eq!(&w3c.extract(&Peer::process("child"), &parent).context, &context);
    }

    #[test]
    fn jaeger_carries_any_value(value in any::<String>().prop_filter("never empty on a carrier", |value| !value.is_empty())) {
        let mut context = PropagationContext::EMPTY;
        prop_assume!(context.baggage.set("tenant.id", &value).is_ok());
        let back = through(&propagator("jaeger"), &context);
        prop_assert_eq!(back.baggage.get("tenant.id").map(String::from), Some(value));
    }

    #[test]
    fn x_ray_ignores_order_and_unknown_fields(
        parent in parents(), sampling in samplings(),
        unknown in proptest::collection::vec("[A-Z][a-z]{0,5}=[ -:<-~]{0,9}", 0..4), seed in any::<usize>(),
    ) {
        let trace = TraceContext::new(parent).with_sampling(sampling);
        let text = XRayFormat::format(&trace).unwrap();
        let mut fields: Vec<&str> = text.split(';').chain(unknown.iter().map(String::as_str)).collect();
        for at in (1..fields.len()).rev() {
            fields.swap(at, seed.wrapping_mul(at.wrapping_add(31)) % (at + 1));
        }
        prop_assume!(!unknown.iter().any(|field| ["Root=", "Parent=", "Sampled="].iter().any(|known| field.starts_with(known))));
        let back = XRayFormat::parse(fields.join(";").as_bytes()).unwrap();
        let ids = back.parent.map(|parent| (parent.trace_id, parent.span_id));
        prop_assert_eq!(ids, Some((parent.trace_id, parent.span_id)));
        prop_assert_eq!(back.sampling, expressible("xray", sampling));
    }

    #[test]
    fn hostile_fields_never_produce_invalid_output(
        texts in proptest::collection::vec((any::<prop::sample::Index>(), hostile()), 0..6),
    ) {
        let propagator = propagator(ALL);
        let names: Vec<&str> = propagator.fields().iter().map(FieldName::as_str).chain(["uberctx-k", "Uberctx-K", "uberctx-"]).collect();
        let received: Vec<(String, Vec<u8>)> =
            texts.into_iter().map(|(index, text)| (index.get(&names).to_string(), text)).collect();
        for peer in [Peer::caller(Transport::HTTP), Peer::kafka("orders")] {
            let context = propagator.extract(&peer, &received).context;
            let mut sent: Vec<(String, Vec<u8>)> = received.clone();
            propagator.inject(&peer, &context, &mut sent);
            for (name, value) in &sent {
                prop_assert!(value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')), "{}", name);
                // A field of Jaeger's is a member, and an empty value is one.
                prop_assert!(!value.is_empty() || name.starts_with("uberctx-"), "{} is empty", name);
                prop_assert_eq!(sent.iter().filter(|(other, _)| other == name).count(), 1, "{} in {:?} for {:?}", name, &sent, &received);
            }
            let again = propagator.extract(&peer, &sent);
            prop_assert_eq!(again.rejections, vec![]);
            prop_assert_eq!(again.context.trace.trace_id(), context.trace.trace_id());
            prop_assert_eq!(again.context.baggage.len(), context.baggage.len());
        }
    }
}
