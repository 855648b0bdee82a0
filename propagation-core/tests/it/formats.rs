//! The formats beside W3C's: what is read, what is refused, and how each says what another has said.

use propagation_core::{
    B3Format, DatadogFormat, Direction, Format, Formats, GoogleCloudFormat, GrpcTraceBinFormat, JaegerFormat, Peer,
    PropagationContext, Propagator, Reason, Sampling, SamplingPriority, TraceContext, TraceContextFormat, XRayFormat,
};

use crate::wire::{PARENT, open_policy};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// The span id in decimal, and the two halves of the trace id.
const SPAN_DECIMAL: &str = "67667974448284343";
const LOW_DECIMAL: &str = "11803532876627986230";
const HIGH: &str = "4bf92f3577b34da6";

type Make = fn() -> Box<dyn Format>;

/// A propagator that reads one format and writes another, for everybody.
pub(crate) fn between(read: Box<dyn Format>, write: Box<dyn Format>) -> Propagator {
    Propagator::builder().policy(open_policy()).extract_formats(vec![read]).inject_formats(vec![write]).build()
}

fn message(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// What a format makes of some fields, and how many it has refused.
fn read(format: Box<dyn Format>, fields: &[(&str, &str)]) -> (PropagationContext, Vec<Reason>) {
    let propagator = between(format, Box::new(TraceContextFormat));
    let admission = propagator.extract(&Peer::http(""), &message(fields));
    (admission.context, admission.rejections.into_iter().map(|rejection| rejection.reason).collect())
}

fn write(format: Box<dyn Format>, context: &PropagationContext) -> Vec<(String, String)> {
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    between(Box::new(TraceContextFormat), format).inject(&Peer::http("api"), context, &mut sent);
    sent.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

fn context(sampling: Sampling) -> PropagationContext {
    PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()).with_sampling(sampling))
}

/// Trace and span id in hex and what was decided; `None` without ids.
fn ids(context: &PropagationContext) -> Option<(String, String, Sampling)> {
    let parent = context.trace.parent?;
    assert_eq!(parent.flags.is_sampled(), context.trace.sampling.decided().unwrap_or(false));
    Some((parent.trace_id.to_string(), parent.span_id.to_string(), context.trace.sampling))
}

fn check(make: Make, legal: &[(&[(&str, &str)], Sampling)], refused: &[(&[(&str, &str)], Reason)]) {
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

/// What says something about sampling and names no span.
fn check_bare(make: Make, bare: &[(&[(&str, &str)], Sampling)]) {
    for (fields, sampling) in bare {
        let (context, rejections) = read(make(), fields);
        assert_eq!((ids(&context), context.trace.sampling), (None, *sampling), "{fields:?}");
        assert_eq!(rejections, [], "{fields:?}");
    }
}

#[test]
fn b3_single_is_read_as_zipkin_says() {
    let one = |text: &str| [("b3", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}-{SPAN}");
    let make: Make = || Box::new(B3Format::single());
    check(
        make,
        &[
            (&one(&id), Sampling::Defer),
            (&one(&format!("{id}-0")), Sampling::Drop),
            (&one(&format!("{id}-1")), Sampling::Sample),
            (&one(&format!("{id}-d")), Sampling::Debug),
            (&one(&format!("{id}-1-05e3ac9a4f6e3b90")), Sampling::Sample),
            (&one(&format!("{id}-05e3ac9a4f6e3b90")), Sampling::Defer),
            (&one(&format!(" {id}-1 ")), Sampling::Sample),
        ],
        &[
            (&one(""), Reason::Malformed),
            (&one("2"), Reason::Malformed),
            (&one("-"), Reason::Malformed),
            (&one(&id.to_uppercase()), Reason::Malformed),
            (&one(TRACE), Reason::Malformed),
            (&one(&format!("{id}-")), Reason::Malformed),
            (&one(&format!("{id}-2")), Reason::Malformed),
            (&one(&format!("{id}-1-")), Reason::Malformed),
            (&one(&format!("{id}-1-5e3ac9a4f6e3b90")), Reason::Malformed),
            (&one(&format!("{id}-1-05e3ac9a4f6e3b90-1")), Reason::Malformed),
            (&one(&format!("{id}-1,{id}-1")), Reason::Malformed),
            (&one(&format!("{}-{SPAN}-1", &TRACE[1..])), Reason::Malformed),
            (&one(&format!("+{}-{SPAN}-1", &TRACE[1..])), Reason::Malformed),
            (&one(&format!("{}-{SPAN}-1", "0".repeat(32))), Reason::ZeroId),
            (&one(&format!("{TRACE}-{}-1", "0".repeat(16))), Reason::ZeroId),
            (&one(&"1".repeat(5000)), Reason::TooLong),
            (&[("b3", "0"), ("b3", "0")], Reason::Repeated),
        ],
    );
    check_bare(
        make,
        &[
            (&one("0"), Sampling::Drop),
            (&one("1"), Sampling::Sample),
            (&one("d"), Sampling::Debug),
            (&[], Sampling::Defer),
        ],
    );
}

#[test]
fn b3_multi_is_read_as_zipkin_says() {
    let make: Make = || Box::new(B3Format::multi());
    let (trace, span) = (("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN));
    check(
        make,
        &[
            (&[trace, span], Sampling::Defer),
            (&[trace, span, ("x-b3-sampled", "1")], Sampling::Sample),
            (&[trace, span, ("x-b3-sampled", "true")], Sampling::Sample),
            (&[trace, span, ("x-b3-sampled", "True")], Sampling::Sample),
            (&[trace, span, ("x-b3-sampled", "FALSE")], Sampling::Drop),
            (&[trace, span, ("x-b3-sampled", "0")], Sampling::Drop),
            (&[trace, span, ("x-b3-flags", "1")], Sampling::Debug),
            (&[trace, span, ("x-b3-flags", "1"), ("x-b3-sampled", "0")], Sampling::Debug),
            (&[trace, span, ("x-b3-flags", "0"), ("x-b3-sampled", "0")], Sampling::Drop),
            (&[trace, span, ("x-b3-parentspanid", "05e3ac9a4f6e3b90")], Sampling::Defer),
        ],
        &[
            (&[trace], Reason::Malformed),
            (&[span], Reason::Malformed),
            (&[trace, span, trace], Reason::Repeated),
            (&[trace, span, ("x-b3-sampled", "")], Reason::Malformed),
            (&[trace, span, ("x-b3-sampled", "d")], Reason::Malformed),
            (&[trace, span, ("x-b3-parentspanid", "-")], Reason::Malformed),
            (&[("x-b3-traceid", &TRACE[..31]), span], Reason::Malformed),
        ],
    );
    check_bare(make, &[(&[("x-b3-sampled", "0")], Sampling::Drop), (&[("x-b3-flags", "1")], Sampling::Debug)]);
}

#[test]
fn b3_single_wins_over_multi_and_gives_way_to_it_when_refused() {
    let multi = [("x-b3-traceid", "1".repeat(32)), ("x-b3-spanid", "2".repeat(16)), ("x-b3-sampled", "1".to_owned())];
    let with = |single: &str| {
        let mut fields: Vec<(&str, &str)> = multi.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("b3", single));
        read(Box::new(B3Format::single()), &fields).0
    };
    assert_eq!(ids(&with(&format!("{TRACE}-{SPAN}-0"))).unwrap(), (TRACE.into(), SPAN.into(), Sampling::Drop));
    assert_eq!((with("0").trace.has_ids(), with("0").trace.sampling), (false, Sampling::Drop));
    assert_eq!(ids(&with("nonsense")).unwrap().0, "1".repeat(32));
}

#[test]
fn ids_of_64_bits_are_padded_on_the_left() {
    let padded = "0000000000000000a3ce929d0e0e4736".to_owned();
    let b3 = format!("{}-{SPAN}-1", &padded[16..]);
    let uber = "a3ce929d0e0e4736:f067aa0ba902b7:0:1";
    let (b3, _) = read(Box::new(B3Format::single()), &[("b3", &b3)]);
    let (jaeger, _) = read(Box::new(JaegerFormat), &[("uber-trace-id", uber)]);
    let expected = Some((padded, SPAN.to_owned(), Sampling::Sample));
    assert_eq!((ids(&b3), ids(&jaeger)), (expected.clone(), expected));
}

#[test]
fn uber_trace_id_is_read_as_jaeger_says() {
    let one = |text: &str| [("uber-trace-id", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}:{SPAN}");
    check(
        || Box::new(JaegerFormat),
        &[
            (&one(&format!("{id}:0:1")), Sampling::Sample),
            (&one(&format!("{id}:0:01")), Sampling::Sample),
            (&one(&format!("{id}:0:0")), Sampling::Drop),
            (&one(&format!("{id}:0:3")), Sampling::Debug),
            (&one(&format!("{id}:0:2")), Sampling::Debug),
            (&one(&format!("{id}:0:9")), Sampling::Sample),
            (&one(&format!("{id}:5b3ac9a4f6e3b90:ff")), Sampling::Debug),
            (&one(&format!("{TRACE}:f067aa0ba902b7:0:1")), Sampling::Sample),
            (&one(&format!("{id}:0:1").replace(':', "%3A")), Sampling::Sample),
            (&one(&format!("{id}:0:1").replace(':', "%3a")), Sampling::Sample),
        ],
        &[
            (&one(""), Reason::Malformed),
            (&one(&id), Reason::Malformed),
            (&one(&format!("{id}:0")), Reason::Malformed),
            (&one(&format!("{id}:0:1:")), Reason::Malformed),
            (&one(&format!("{id}::1")), Reason::Malformed),
            (&one(&format!("{id}:0:")), Reason::Malformed),
            (&one(&format!("{id}:0:100")), Reason::Malformed),
            (&one(&format!("{id}:0:+1")), Reason::Malformed),
            (&one(&format!("0{TRACE}:{SPAN}:0:1")), Reason::Malformed),
            (&one(&format!("{TRACE}:0{SPAN}:0:1")), Reason::Malformed),
            (&one(&format!("{}:0:1", id.to_uppercase())), Reason::Malformed),
            (&one(&format!("0:{SPAN}:0:1")), Reason::ZeroId),
            (&one(&format!("{TRACE}:0:0:1")), Reason::ZeroId),
        ],
    );
}

#[test]
fn jaeger_baggage_becomes_baggage_and_goes_out_again() {
    let fields =
        [("Uberctx-Tenant", "a%20b+c%2Bd"), ("uberctx-plan", "pro"), ("uberctx-bad key", "x"), ("uberctx-", "x")];
    let (received, rejections) = read(Box::new(JaegerFormat), &fields);
    assert_eq!(received.baggage.get("Tenant").as_deref(), Some("a b c+d"));
    assert_eq!(rejections, [Reason::Malformed; 2]);
    let sent = write(Box::new(JaegerFormat), &received);
    assert_eq!(
        sent,
        [("uberctx-tenant".into(), "a%20b%20c%2Bd".into()), ("uberctx-plan".into(), "pro".into())]
            as [(String, String); 2]
    );
}

#[test]
fn jaeger_baggage_has_the_limits_of_baggage() {
    let propagator = between(Box::new(JaegerFormat), Box::new(JaegerFormat));
    let many: Vec<_> = (0..1000).map(|i| (format!("uberctx-k{i}"), b"v".to_vec())).collect();
    assert_eq!(propagator.extract(&Peer::http(""), &many).context.baggage.len(), 64);
    let large: Vec<_> = (0..60).map(|i| (format!("uberctx-k{i}"), vec![b'v'; 1000])).collect();
    let baggage = propagator.extract(&Peer::http(""), &large).context.baggage;
    assert_eq!(baggage.len(), 8);
    let escaped: Vec<_> = (0..60).map(|i| (format!("uberctx-k{i}"), vec![0xff; 200])).collect();
    assert!(propagator.extract(&Peer::http(""), &escaped).context.baggage.as_wire().len() <= 8192);
    // What fits as it came may not fit once it is encoded.
    let growing: Vec<_> = (0..20).map(|i| (format!("uberctx-k{i}"), vec![b' '; 390])).collect();
    let admission = propagator.extract(&Peer::http(""), &growing);
    assert_eq!((admission.context.baggage.len(), admission.rejections.len()), (6, 14));
    assert_eq!(propagator.counters().get(Direction::Inbound, Reason::TooManyMembers), 32);
}

#[test]
fn datadog_is_read_as_its_libraries_write_it() {
    let make: Make = || Box::new(DatadogFormat);
    let (trace, span) = (("x-datadog-trace-id", LOW_DECIMAL), ("x-datadog-parent-id", SPAN_DECIMAL));
    let tags = ("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=4bf92f3577b34da6");
    let priority = |text| ("x-datadog-sampling-priority", text);
    check(
        make,
        &[
            (&[trace, span, tags], Sampling::Defer),
            (&[trace, span, tags, priority("-1")], Sampling::Priority(SamplingPriority::UserReject)),
            (&[trace, span, tags, priority("0")], Sampling::Priority(SamplingPriority::Reject)),
            (&[trace, span, tags, priority("1")], Sampling::Priority(SamplingPriority::Keep)),
            (&[trace, span, tags, priority("2")], Sampling::Priority(SamplingPriority::UserKeep)),
        ],
        &[
            (&[trace, span, tags, priority("3")], Reason::Malformed),
            (&[trace, span, tags, priority("+1")], Reason::Malformed),
            (&[trace, span, tags, priority("")], Reason::Malformed),
            (&[("x-datadog-trace-id", "0"), span], Reason::ZeroId),
            (&[("x-datadog-trace-id", "18446744073709551616"), span], Reason::Malformed),
            (&[("x-datadog-trace-id", "-1"), span], Reason::Malformed),
            (&[("x-datadog-trace-id", TRACE), span], Reason::Malformed),
            (&[trace, ("x-datadog-parent-id", "x")], Reason::Malformed),
            (&[trace, trace, span], Reason::Repeated),
        ],
    );
    check_bare(
        make,
        &[
            (&[trace, ("x-datadog-parent-id", "0"), priority("0")], Sampling::Priority(SamplingPriority::Reject)),
            (&[trace, priority("2")], Sampling::Priority(SamplingPriority::UserKeep)),
        ],
    );
}

#[test]
fn bad_datadog_tags_cost_the_upper_half_and_no_more() {
    let long = format!("_dd.p.tid={HIGH},x={}", "y".repeat(600));
    for (tags, high, rejections) in [
        ("", "0", 0),
        ("_dd.p.dm=-1", "0", 0),
        (&format!("_dd.p.tid={HIGH}"), HIGH, 0),
        (&format!(" _dd.p.tid={HIGH} ,a=b"), HIGH, 0),
        ("_dd.p.tid=4bf92f3577b34da", "0", 1),
        ("_dd.p.tid=4BF92F3577B34DA6", "0", 1),
        ("_dd.p.tid=4bf92f3577b34da6,_dd.p.tid=4bf92f3577b34da6", "0", 1),
        (&long, "0", 1),
    ] {
        let fields =
            [("x-datadog-trace-id", LOW_DECIMAL), ("x-datadog-parent-id", SPAN_DECIMAL), ("x-datadog-tags", tags)];
        let (context, found) = read(Box::new(DatadogFormat), &fields);
        assert_eq!(context.trace.trace_id().unwrap().to_string(), format!("{high:0>16}{}", &TRACE[16..]), "{tags:?}");
        assert_eq!(found.len(), rejections, "{tags:?}");
    }
}

#[test]
fn x_ray_is_read_in_any_order_with_unknown_fields_ignored() {
    let one = |text: &str| [("X-Amzn-Trace-Id", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let root = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let parent = format!("Parent={SPAN}");
    let make: Make = || Box::new(XRayFormat::new());
    check(
        make,
        &[
            (&one(&format!("{root};{parent};Sampled=1")), Sampling::Sample),
            (&one(&format!("Sampled=0;{parent};{root}")), Sampling::Drop),
            (&one(&format!("{root};{parent};Sampled=?")), Sampling::Defer),
            (&one(&format!("{root};{parent}")), Sampling::Defer),
            (&one(&format!("{root}; {parent} ;\tSampled=1;")), Sampling::Sample),
            (&one(&format!("Self=1-x-y;{root};{parent};Lineage=a:1|b:2;CalledFrom=app;odd")), Sampling::Defer),
        ],
        &[
            (&one(&format!("{root};{parent};Sampled=2")), Reason::Malformed),
            (&one(&format!("{root};{parent};Sampled=")), Reason::Malformed),
            (&one(&format!("{root};{root};{parent}")), Reason::Repeated),
            (&one(&format!("Root=2{};{parent}", &root[6..])), Reason::Version),
            (&one(&format!("Root={TRACE};{parent}")), Reason::Malformed),
            (&one(&format!("Root=1-{}-{};{parent}", &TRACE[..9], &TRACE[9..])), Reason::Malformed),
            (&one(&format!("{};{parent}", root.to_uppercase().replace("ROOT", "Root"))), Reason::Malformed),
            (&one(&format!("{root};Parent={}", &SPAN[1..])), Reason::Malformed),
            (&one(&format!("{root};Parent=0000000000000000")), Reason::ZeroId),
            (&one(&format!("{root};{parent};x={}", "y".repeat(2000))), Reason::TooLong),
        ],
    );
    check_bare(
        make,
        &[
            (&one(&format!("{root};Sampled=0")), Sampling::Drop),
            (&one(&root), Sampling::Defer),
            (&one(""), Sampling::Defer),
        ],
    );
}

#[test]
fn google_cloud_is_read_with_options_and_without() {
    let one = |text: &str| [("x-cloud-trace-context", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}/{SPAN_DECIMAL}");
    let make: Make = || Box::new(GoogleCloudFormat);
    check(
        make,
        &[
            (&one(&id), Sampling::Defer),
            (&one(&format!("{id};o=")), Sampling::Defer),
            (&one(&format!("{id};o=0")), Sampling::Drop),
            (&one(&format!("{id};o=1")), Sampling::Sample),
            (&one(&format!("{id};o=2")), Sampling::Drop),
            (&one(&format!("{id};o=3")), Sampling::Sample),
        ],
        &[
            (&one(""), Reason::Malformed),
            (&one(&format!("{TRACE}/{SPAN};o=1")), Reason::Malformed),
            (&one(&format!("{}/1;o=1", &TRACE[1..])), Reason::Malformed),
            (&one(&format!("{id};o=x")), Reason::Malformed),
            (&one(&format!("{id};o=1;o=1")), Reason::Malformed),
            (&one(&format!("{id};")), Reason::Malformed),
            (&one(&format!("{TRACE}/18446744073709551616")), Reason::Malformed),
            (&one(&format!("{TRACE}/-1")), Reason::Malformed),
            (&one(&format!("{}/1", "0".repeat(32))), Reason::ZeroId),
        ],
    );
    check_bare(
        make,
        &[
            (&one(&format!("{TRACE}/0;o=1")), Sampling::Sample),
            (&one(&format!("{TRACE}/;o=0")), Sampling::Drop),
            (&one(&format!("{TRACE};o=0")), Sampling::Drop),
            (&one(TRACE), Sampling::Defer),
        ],
    );
}

/// The valid example of OpenCensus' specification, and what must not pass for it.
#[test]
fn grpc_trace_bin_is_read_with_padding_and_without() {
    let one = |text: &str| [("grpc-trace-bin", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let make: Make = || Box::new(GrpcTraceBinFormat);
    let bare = "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE";
    check(
        make,
        &[
            (&one(bare), Sampling::Sample),
            (&one(&format!("{bare}=")), Sampling::Sample),
            // Options 0, no options, span id first, fields of a later version behind.
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA"), Sampling::Drop),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3"), Sampling::Defer),
            (&one("AAEA8GeqC6kCtwBL+S81d7NNpqPOkp0ODkc2AgE"), Sampling::Sample),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgED//8"), Sampling::Sample),
        ],
        &[
            (&one(""), Reason::Malformed),
            (&one("AQBL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE"), Reason::Version),
            (&one(&bare.replace('+', "-")), Reason::Malformed),
            (&one(&format!("{bare}==")), Reason::Malformed),
            (&one(&bare[..20]), Reason::Malformed),
            (&one("AABL+S81d7NNpqPOkp0ODkc2"), Reason::Malformed),
            (&one("AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgECAQ"), Reason::Repeated),
            (&one("AAAAAAAAAAAAAAAAAAAAAAAAAQDwZ6oLqQK3AgE"), Reason::ZeroId),
            (&one(&format!("{bare},{bare}")), Reason::Malformed),
        ],
    );
}

#[test]
fn every_format_writes_the_ids_and_the_decision_in_its_own_words() {
    let write = |format: Box<dyn Format>, sampling| write(format, &context(sampling));
    let priority = |text: &str| ("x-datadog-sampling-priority".to_owned(), text.to_owned());
    let keep = Sampling::Priority(SamplingPriority::UserKeep);
    for (format, sampling, expected) in [
        (Box::new(B3Format::single()) as Box<dyn Format>, Sampling::Sample, vec![format!("{TRACE}-{SPAN}-1")]),
        (Box::new(B3Format::single()), Sampling::Drop, vec![format!("{TRACE}-{SPAN}-0")]),
        (Box::new(B3Format::single()), Sampling::Debug, vec![format!("{TRACE}-{SPAN}-d")]),
        (Box::new(B3Format::single()), Sampling::Defer, vec![format!("{TRACE}-{SPAN}")]),
        (Box::new(B3Format::multi()), Sampling::Sample, vec![TRACE.into(), SPAN.into(), "1".into()]),
        (Box::new(B3Format::multi()), Sampling::Defer, vec![TRACE.into(), SPAN.into()]),
        (Box::new(JaegerFormat), Sampling::Sample, vec![format!("{TRACE}:{SPAN}:0:1")]),
        (Box::new(JaegerFormat), Sampling::Debug, vec![format!("{TRACE}:{SPAN}:0:3")]),
        (Box::new(JaegerFormat), keep, vec![format!("{TRACE}:{SPAN}:0:1")]),
        (
            Box::new(XRayFormat::new()),
            Sampling::Drop,
            vec![format!("Root=1-4bf92f35-{};Parent={SPAN};Sampled=0", &TRACE[8..])],
        ),
        (Box::new(GoogleCloudFormat), Sampling::Sample, vec![format!("{TRACE}/{SPAN_DECIMAL};o=1")]),
        (Box::new(GoogleCloudFormat), Sampling::Defer, vec![format!("{TRACE}/{SPAN_DECIMAL}")]),
        (Box::new(GrpcTraceBinFormat), Sampling::Sample, vec!["AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE".into()]),
        (
            Box::new(DatadogFormat),
            Sampling::Defer,
            vec![LOW_DECIMAL.into(), SPAN_DECIMAL.into(), format!("_dd.p.tid={HIGH}")],
        ),
    ] {
        let name = format.name();
        let values: Vec<String> = write(format, sampling).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, expected, "{name} {sampling:?}");
    }
    for (sampling, number) in [(Sampling::Drop, "0"), (Sampling::Sample, "1"), (Sampling::Debug, "2"), (keep, "2")] {
        assert!(write(Box::new(DatadogFormat), sampling).contains(&priority(number)), "{sampling:?}");
    }
    assert!(write(Box::new(B3Format::multi()), Sampling::Debug).contains(&("x-b3-flags".into(), "1".into())));
}

#[test]
fn a_trace_that_datadog_has_no_number_for_is_not_written() {
    let parent = format!("00-{HIGH}{}-{SPAN}-01", "0".repeat(16)).parse().unwrap();
    assert_eq!(write(Box::new(DatadogFormat), &PropagationContext::new(TraceContext::new(parent))), []);
}

#[test]
fn a_denial_without_ids_goes_on_as_a_denial() {
    let (denied, _) = read(Box::new(B3Format::single()), &[("b3", "0")]);
    assert_eq!(write(Box::new(B3Format::single()), &denied), [("b3".to_owned(), "0".to_owned())]);
    assert_eq!(write(Box::new(B3Format::multi()), &denied), [("x-b3-sampled".to_owned(), "0".to_owned())]);
    assert_eq!(write(Box::new(TraceContextFormat), &denied), []);
}

#[test]
fn every_format_says_what_every_other_has_said() {
    let all =
        || "tracecontext,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin".parse::<Formats>().unwrap().into_vec();
    for sampled in [true, false] {
        for from in 0..all().len() {
            for to in 0..all().len() {
                let (from, to) = (all().swap_remove(from), all().swap_remove(to));
                let names = format!("{} to {}", from.name(), to.name());
                let sent = write(from, &context(Sampling::from_sampled(sampled)));
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
fn the_first_valid_trace_wins_and_stale_fields_of_every_format_are_removed() {
    let formats: Formats = "tracecontext,b3,jaeger".parse().unwrap();
    let propagator = Propagator::builder()
        .policy(open_policy())
        .extract_formats(formats.into_vec())
        .inject_formats("tracecontext".parse::<Formats>().unwrap().into_vec())
        .build();
    let received =
        message(&[("traceparent", "00-bad"), ("b3", &format!("{TRACE}-{SPAN}-1")), ("uber-trace-id", "1:2:0:0")]);
    let context = propagator.extract(&Peer::http(""), &received).context;
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
fn a_threshold_goes_when_the_decision_it_was_made_by_changes() {
    let mut context = context(Sampling::Sample);
    context.trace.state = propagation_core::TraceState::parse(b"ot=th:8;rv:6e6d1a75832a2f,congo=1").unwrap();
    let same = context.trace.clone().with_sampling(Sampling::Debug);
    assert_eq!(same.state.threshold(), Some(1 << 55));
    let changed = context.trace.with_sampling(Sampling::Drop);
    assert_eq!(changed.state.to_string(), "ot=rv:6e6d1a75832a2f,congo=1");
}
