//! B3: one header and several.

use propagation_core::{
    RejectReason, SamplingDecision,
    format::{B3Format, JaegerFormat},
};

use super::{Make, SPAN, TRACE, check, check_bare, ids, read};

#[test]
fn b3_single_follows_zipkin() {
    let one = |text: &str| [("b3", Box::leak(text.to_owned().into_boxed_str()) as &str)];
    let id = format!("{TRACE}-{SPAN}");
    let make: Make = || Box::new(B3Format::single());
    check(
        make,
        &[
            (&one(&id), SamplingDecision::Defer),
            (&one(&format!("{id}-0")), SamplingDecision::Drop),
            (&one(&format!("{id}-1")), SamplingDecision::Sample),
            (&one(&format!("{id}-d")), SamplingDecision::Debug),
            (&one(&format!("{id}-1-05e3ac9a4f6e3b90")), SamplingDecision::Sample),
            (&one(&format!("{id}-05e3ac9a4f6e3b90")), SamplingDecision::Defer),
            (&one(&format!(" {id}-1 ")), SamplingDecision::Sample),
        ],
        &[
            (&one(""), RejectReason::Malformed),
            (&one("2"), RejectReason::Malformed),
            (&one("-"), RejectReason::Malformed),
            (&one(&id.to_uppercase()), RejectReason::Malformed),
            (&one(TRACE), RejectReason::Malformed),
            (&one(&format!("{id}-")), RejectReason::Malformed),
            (&one(&format!("{id}-2")), RejectReason::Malformed),
            (&one(&format!("{id}-1-")), RejectReason::Malformed),
            (&one(&format!("{id}-1-5e3ac9a4f6e3b90")), RejectReason::Malformed),
            (&one(&format!("{id}-1-05e3ac9a4f6e3b90-1")), RejectReason::Malformed),
            (&one(&format!("{id}-1,{id}-1")), RejectReason::Malformed),
            (&one(&format!("{}-{SPAN}-1", &TRACE[1..])), RejectReason::Malformed),
            (&one(&format!("+{}-{SPAN}-1", &TRACE[1..])), RejectReason::Malformed),
            (&one(&format!("{}-{SPAN}-1", "0".repeat(32))), RejectReason::ZeroId),
            (&one(&format!("{TRACE}-{}-1", "0".repeat(16))), RejectReason::ZeroId),
            (&one(&"1".repeat(5000)), RejectReason::TooManyBytes),
            (&[("b3", "0"), ("b3", "0")], RejectReason::Duplicate),
        ],
    );
    check_bare(
        make,
        &[
            (&one("0"), SamplingDecision::Drop),
            (&one("1"), SamplingDecision::Sample),
            (&one("d"), SamplingDecision::Debug),
            (&[], SamplingDecision::Defer),
        ],
    );
}

#[test]
fn b3_multi_follows_zipkin() {
    let make: Make = || Box::new(B3Format::multi());
    let (trace, span) = (("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN));
    check(
        make,
        &[
            (&[trace, span], SamplingDecision::Defer),
            (&[trace, span, ("x-b3-sampled", "1")], SamplingDecision::Sample),
            (&[trace, span, ("x-b3-sampled", "true")], SamplingDecision::Sample),
            (&[trace, span, ("x-b3-sampled", "True")], SamplingDecision::Sample),
            (&[trace, span, ("x-b3-sampled", "FALSE")], SamplingDecision::Drop),
            (&[trace, span, ("x-b3-sampled", "0")], SamplingDecision::Drop),
            (&[trace, span, ("x-b3-flags", "1")], SamplingDecision::Debug),
            (&[trace, span, ("x-b3-flags", "1"), ("x-b3-sampled", "0")], SamplingDecision::Debug),
            (&[trace, span, ("x-b3-flags", "0"), ("x-b3-sampled", "0")], SamplingDecision::Drop),
            (&[trace, span, ("x-b3-parentspanid", "05e3ac9a4f6e3b90")], SamplingDecision::Defer),
        ],
        &[
            (&[trace], RejectReason::Malformed),
            (&[span], RejectReason::Malformed),
            (&[trace, span, trace], RejectReason::Duplicate),
            (&[trace, span, ("x-b3-sampled", "")], RejectReason::Malformed),
            (&[trace, span, ("x-b3-sampled", "d")], RejectReason::Malformed),
            (&[trace, span, ("x-b3-parentspanid", "-")], RejectReason::Malformed),
            (&[("x-b3-traceid", &TRACE[..31]), span], RejectReason::Malformed),
        ],
    );
    check_bare(
        make,
        &[(&[("x-b3-sampled", "0")], SamplingDecision::Drop), (&[("x-b3-flags", "1")], SamplingDecision::Debug)],
    );
}

#[test]
fn b3_single_precedes_multi_unless_rejected() {
    let multi = [("x-b3-traceid", "1".repeat(32)), ("x-b3-spanid", "2".repeat(16)), ("x-b3-sampled", "1".to_owned())];
    let with = |single: &str| {
        let mut fields: Vec<(&str, &str)> = multi.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("b3", single));
        read(Box::new(B3Format::single()), &fields).0
    };
    assert_eq!(ids(&with(&format!("{TRACE}-{SPAN}-0"))).unwrap(), (TRACE.into(), SPAN.into(), SamplingDecision::Drop));
    assert_eq!((with("0").trace.has_ids(), with("0").trace.sampling), (false, SamplingDecision::Drop));
    assert_eq!(ids(&with("nonsense")).unwrap().0, "1".repeat(32));
}

#[test]
fn ids_of_64_bits_are_padded() {
    let padded = "0000000000000000a3ce929d0e0e4736".to_owned();
    let b3 = format!("{}-{SPAN}-1", &padded[16..]);
    let uber = "a3ce929d0e0e4736:f067aa0ba902b7:0:1";
    let (b3, _) = read(Box::new(B3Format::single()), &[("b3", &b3)]);
    let (jaeger, _) = read(Box::new(JaegerFormat), &[("uber-trace-id", uber)]);
    let expected = Some((padded, SPAN.to_owned(), SamplingDecision::Sample));
    assert_eq!((ids(&b3), ids(&jaeger)), (expected.clone(), expected));
}
