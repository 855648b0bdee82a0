//! The formats other than W3C's: accepted and rejected fields, and translation between formats.

mod b3;
mod baggage;
mod clouds;
mod datadog;
mod jaeger;
mod look_ups;
mod roots;

use propagation_core::{
    Format, Formats, Peer, PropagationContext, Propagator, RejectReason, SamplingDecision, TraceContext, Transport,
    format::{
        B3Format, DatadogFormat, GoogleCloudFormat, GrpcTraceBinFormat, JaegerFormat, TraceContextFormat, XRayFormat,
    },
    model::SamplingPriority,
};

use crate::wire::{PARENT, open_policy};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// The span-id in decimal, and the two halves of the trace-id.
const SPAN_DECIMAL: &str = "67667974448284343";
const LOW_DECIMAL: &str = "11803532876627986230";
const HIGH: &str = "4bf92f3577b34da6";

type Make = fn() -> Box<dyn Format>;

/// Returns a propagator that extracts one format and injects another, for every peer.
pub(crate) fn between(read: Box<dyn Format>, write: Box<dyn Format>) -> Propagator {
    Propagator::builder().policy(open_policy()).extract_formats(vec![read]).inject_formats(vec![write]).build()
}

fn message(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// The context that a format reads from fields, and the number of its rejections.
fn read(format: Box<dyn Format>, fields: &[(&str, &str)]) -> (PropagationContext, Vec<RejectReason>) {
    let propagator = between(format, Box::new(TraceContextFormat));
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &message(fields));
    (admission.context, admission.rejections.into_iter().map(|rejection| rejection.reason).collect())
}

fn write(format: Box<dyn Format>, context: &PropagationContext) -> Vec<(String, String)> {
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    between(Box::new(TraceContextFormat), format).inject(&Peer::http("api"), context, &mut sent);
    sent.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

fn context(sampling: SamplingDecision) -> PropagationContext {
    PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()).with_sampling(sampling))
}

/// Trace-id, parent-id and decision; `None` without ids.
fn ids(context: &PropagationContext) -> Option<(String, String, SamplingDecision)> {
    let parent = context.trace.parent?;
    assert_eq!(parent.flags.is_sampled(), context.trace.sampling.decided().unwrap_or(false));
    Some((parent.trace_id.to_string(), parent.span_id.to_string(), context.trace.sampling))
}

fn check(make: Make, legal: &[(&[(&str, &str)], SamplingDecision)], refused: &[(&[(&str, &str)], RejectReason)]) {
    for (fields, sampling) in legal {
        let (context, rejections) = read(make(), fields);
        assert_eq!(ids(&context), Some((TRACE.to_owned(), SPAN.to_owned(), *sampling)), "{fields:?}");
        assert_eq!(rejections, [], "{fields:?}");
    }
    for (fields, reason) in refused {
        let (context, rejections) = read(make(), fields);
        assert_eq!(context, PropagationContext::EMPTY, "{fields:?}");
        assert_eq!(rejections.first(), Some(reason), "{fields:?}");
    }
}

/// Fields with a sampling decision and without ids.
fn check_bare(make: Make, bare: &[(&[(&str, &str)], SamplingDecision)]) {
    for (fields, sampling) in bare {
        let (context, rejections) = read(make(), fields);
        assert_eq!((ids(&context), context.trace.sampling), (None, *sampling), "{fields:?}");
        assert_eq!(rejections, [], "{fields:?}");
    }
}

/// Checks fields that have a trace-id and no parent-id.
fn check_roots(make: Make, roots: &[(&[(&str, &str)], SamplingDecision)]) {
    for (fields, sampling) in roots {
        let (context, rejections) = read(make(), fields);
        assert_eq!((ids(&context), context.trace.sampling), (None, *sampling), "{fields:?}");
        assert_eq!(context.trace.trace_id().map(|id| id.to_string()).as_deref(), Some(TRACE), "{fields:?}");
        assert_eq!(rejections, [], "{fields:?}");
    }
}

#[test]
fn each_format_writes_ids_and_decision() {
    let write = |format: Box<dyn Format>, sampling| write(format, &context(sampling));
    let priority = |text: &str| ("x-datadog-sampling-priority".to_owned(), text.to_owned());
    let keep = SamplingDecision::Priority(SamplingPriority::UserKeep);
    for (format, sampling, expected) in [
        (Box::new(B3Format::single()) as Box<dyn Format>, SamplingDecision::Sample, vec![format!("{TRACE}-{SPAN}-1")]),
        (Box::new(B3Format::single()), SamplingDecision::Drop, vec![format!("{TRACE}-{SPAN}-0")]),
        (Box::new(B3Format::single()), SamplingDecision::Debug, vec![format!("{TRACE}-{SPAN}-d")]),
        (Box::new(B3Format::single()), SamplingDecision::Defer, vec![format!("{TRACE}-{SPAN}")]),
        (Box::new(B3Format::multi()), SamplingDecision::Sample, vec![TRACE.into(), SPAN.into(), "1".into()]),
        (Box::new(B3Format::multi()), SamplingDecision::Defer, vec![TRACE.into(), SPAN.into()]),
        (Box::new(JaegerFormat), SamplingDecision::Sample, vec![format!("{TRACE}:{SPAN}:0:1")]),
        (Box::new(JaegerFormat), SamplingDecision::Debug, vec![format!("{TRACE}:{SPAN}:0:3")]),
        (Box::new(JaegerFormat), keep, vec![format!("{TRACE}:{SPAN}:0:1")]),
        (
            Box::new(XRayFormat::new()),
            SamplingDecision::Drop,
            vec![format!("Root=1-4bf92f35-{};Parent={SPAN};Sampled=0", &TRACE[8..])],
        ),
        (Box::new(GoogleCloudFormat), SamplingDecision::Sample, vec![format!("{TRACE}/{SPAN_DECIMAL};o=1")]),
        (Box::new(GoogleCloudFormat), SamplingDecision::Defer, vec![format!("{TRACE}/{SPAN_DECIMAL}")]),
        (
            Box::new(GrpcTraceBinFormat),
            SamplingDecision::Sample,
            vec!["AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE".into()],
        ),
        (
            Box::new(DatadogFormat),
            SamplingDecision::Defer,
            vec![LOW_DECIMAL.into(), SPAN_DECIMAL.into(), format!("_dd.p.tid={HIGH}")],
        ),
    ] {
        let name = format.name();
        let values: Vec<String> = write(format, sampling).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, expected, "{name} {sampling:?}");
    }
    for (sampling, number) in
        [(SamplingDecision::Drop, "0"), (SamplingDecision::Sample, "1"), (SamplingDecision::Debug, "2"), (keep, "2")]
    {
        assert!(write(Box::new(DatadogFormat), sampling).contains(&priority(number)), "{sampling:?}");
    }
    assert!(write(Box::new(B3Format::multi()), SamplingDecision::Debug).contains(&("x-b3-flags".into(), "1".into())));
}

#[test]
fn denial_without_ids_is_propagated() {
    let (denied, _) = read(Box::new(B3Format::single()), &[("b3", "0")]);
    assert_eq!(write(Box::new(B3Format::single()), &denied), [("b3".to_owned(), "0".to_owned())]);
    assert_eq!(write(Box::new(B3Format::multi()), &denied), [("x-b3-sampled".to_owned(), "0".to_owned())]);
    assert_eq!(write(Box::new(TraceContextFormat), &denied), []);
}

#[test]
fn every_format_translates_to_every_other() {
    let all =
        || "tracecontext,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin".parse::<Formats>().unwrap().into_vec();
    for sampled in [true, false] {
        for from in 0..all().len() {
            for to in 0..all().len() {
                let (from, to) = (all().swap_remove(from), all().swap_remove(to));
                let names = format!("{} to {}", from.name(), to.name());
                let sent = write(from, &context(SamplingDecision::from_sampled(sampled)));
                let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let back = all().into_iter().find(|format| names.starts_with(&format!("{} ", format.name()))).unwrap();
                let (received, rejections) = read(back, &sent);
                assert_eq!(rejections, [], "{names}");
                let again = all().into_iter().find(|format| format.name() == to.name()).unwrap();
                let sent = write(to, &received);
                let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let (trace, span, sampling) = ids(&read(again, &sent).0).expect(&names);
                assert_eq!(
                    (trace.as_str(), span.as_str(), sampling.decided()),
                    (TRACE, SPAN, Some(sampled)),
                    "{names}"
                );
            }
        }
    }
}

#[test]
fn first_valid_trace_wins_and_stale_fields_are_removed() {
    let formats: Formats = "tracecontext,b3,jaeger".parse().unwrap();
    let propagator = Propagator::builder()
        .policy(open_policy())
        .extract_formats(formats.into_vec())
        .inject_formats("tracecontext".parse::<Formats>().unwrap().into_vec())
        .build();
    let received =
        message(&[("traceparent", "00-bad"), ("b3", &format!("{TRACE}-{SPAN}-1")), ("uber-trace-id", "1:2:0:0")]);
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &received).context;
    assert_eq!(context.trace.trace_id().unwrap().to_string(), TRACE);

    let mut message = message(&[
        ("b3", "0"),
        ("X-B3-ParentSpanId", "1"),
        ("uberctx-a", "b"),
        ("kept", "x"),
        ("uber-trace-id", "1:2:0:0"),
    ]);
    propagator.inject(&Peer::http("api"), &context, &mut message);
    let names: Vec<_> = message.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["kept", "traceparent"]);
}

#[test]
fn otel_propagators_chooses_formats_in_order() {
    let names = |list: &str| list.parse::<Formats>().map(|formats| formats.names().collect::<Vec<_>>().join(","));
    assert_eq!(names("b3, tracecontext ,baggage").as_deref(), Ok("b3,tracecontext,baggage"));
    assert_eq!(names("baggage,baggage,B3Multi").as_deref(), Ok("baggage,b3multi"));
    assert_eq!(names("").as_deref(), Ok("tracecontext,baggage"));
    assert_eq!(names("none").as_deref(), Ok(""));
    assert!(names("none,b3").is_err());
    for unknown in ["ottrace", "b3;baggage", "trace context"] {
        let text = names(unknown).unwrap_err().to_string();
        assert!(
            text.contains(unknown) && text.contains("OTEL_PROPAGATORS") && text.contains("grpc-trace-bin"),
            "{text}"
        );
    }
    assert_eq!(Formats::from_lookup(|_| None), Ok(Formats::w3c()));
    let look_up = |name: &str| (name == "OTEL_PROPAGATORS").then(|| "xray".to_owned());
    assert_eq!(Formats::from_lookup(look_up), "xray".parse());
}

#[test]
fn threshold_is_dropped_with_its_decision() {
    let mut context = context(SamplingDecision::Sample);
    context.trace.state = propagation_core::TraceState::parse(b"ot=th:8;rv:6e6d1a75832a2f,congo=1").unwrap();
    let same = context.trace.clone().with_sampling(SamplingDecision::Debug);
    assert_eq!(same.state.threshold(), Some(1 << 55));
    let changed = context.trace.with_sampling(SamplingDecision::Drop);
    assert_eq!(changed.state.to_string(), "ot=rv:6e6d1a75832a2f,congo=1");
}
