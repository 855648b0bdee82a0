//! B3: one header and several.

use propagation_core::{B3Format, JaegerFormat, Reason, Sampling};

use super::{Make, SPAN, TRACE, check, check_bare, ids, read};

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
