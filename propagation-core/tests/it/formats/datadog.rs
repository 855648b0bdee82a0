//! Datadog: numbers, priorities and tags.

use propagation_core::{
    Formats, PropagationContext, RejectReason, SamplingDecision, TraceContext, format::DatadogFormat,
    model::SamplingPriority,
};

use super::{HIGH, LOW_DECIMAL, Make, SPAN, SPAN_DECIMAL, TRACE, check, check_bare, check_roots, ids, read, write};
use crate::wire::PARENT;

#[test]
fn datadog_follows_its_libraries() {
    let make: Make = || Box::new(DatadogFormat);
    let (trace, span) = (("x-datadog-trace-id", LOW_DECIMAL), ("x-datadog-parent-id", SPAN_DECIMAL));
    let tags = ("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=4bf92f3577b34da6");
    let priority = |text| ("x-datadog-sampling-priority", text);
    check(
        make,
        &[
            (&[trace, span, tags], SamplingDecision::Defer),
            (&[trace, span, tags, priority("-1")], SamplingDecision::Priority(SamplingPriority::UserReject)),
            (&[trace, span, tags, priority("0")], SamplingDecision::Priority(SamplingPriority::Reject)),
            (&[trace, span, tags, priority("1")], SamplingDecision::Priority(SamplingPriority::Keep)),
            (&[trace, span, tags, priority("2")], SamplingDecision::Priority(SamplingPriority::UserKeep)),
        ],
        &[
            (&[("x-datadog-trace-id", "0"), span], RejectReason::ZeroId),
            (&[("x-datadog-trace-id", "18446744073709551616"), span], RejectReason::Malformed),
            (&[("x-datadog-trace-id", "-1"), span], RejectReason::Malformed),
            (&[("x-datadog-trace-id", TRACE), span], RejectReason::Malformed),
            (&[trace, ("x-datadog-parent-id", "x")], RejectReason::Malformed),
            (&[trace, trace, span], RejectReason::Duplicate),
        ],
    );
    check_bare(make, &[(&[priority("0")], SamplingDecision::Priority(SamplingPriority::Reject))]);
    check_roots(
        make,
        &[
            (
                &[trace, tags, ("x-datadog-parent-id", "0"), priority("0")],
                SamplingDecision::Priority(SamplingPriority::Reject),
            ),
            (&[trace, tags, priority("2")], SamplingDecision::Priority(SamplingPriority::UserKeep)),
        ],
    );
}

#[test]
fn invalid_priority_is_rejected_alone() {
    let (trace, span) = (("x-datadog-trace-id", LOW_DECIMAL), ("x-datadog-parent-id", SPAN_DECIMAL));
    for bad in ["3", "-2", "+1", "", "1.0", "99999999999999999999", "keep"] {
        let fields =
            [trace, span, ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6"), ("x-datadog-sampling-priority", bad)];
        let (context, rejections) = read(Box::new(DatadogFormat), &fields);
        assert_eq!(ids(&context), Some((TRACE.to_owned(), SPAN.to_owned(), SamplingDecision::Defer)), "{bad:?}");
        assert_eq!(rejections, [RejectReason::Malformed], "{bad:?}");
    }
}

/// Returns the fields written in one format for fields received in another, sorted by name.
fn translated(from: &str, to: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let format = |name: &str| name.parse::<Formats>().unwrap().into_vec().remove(0);
    let (context, _) = read(format(from), fields);
    let mut sent = write(format(to), &context);
    sent.sort();
    sent
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const WITH_ORIGIN: [(&str, &str); 5] = [
    ("x-datadog-origin", "synthetics-browser"),
    ("x-datadog-parent-id", SPAN_DECIMAL),
    ("x-datadog-sampling-priority", "2"),
    ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6,_dd.p.dm=-4,_dd.p.usr.id=YmF6NjQ="),
    ("x-datadog-trace-id", LOW_DECIMAL),
];

#[test]
fn origin_and_tags_survive_datadog() {
    assert_eq!(translated("datadog", "datadog", &WITH_ORIGIN), pairs(&WITH_ORIGIN));
}

#[test]
fn origin_and_tags_travel_in_tracestate() {
    let state = "dd=s:2;o:synthetics-browser;p:00f067aa0ba902b7;t.dm:-4;t.usr.id:YmF6NjQ~";
    let w3c = [("traceparent", PARENT), ("tracestate", state)];
    assert_eq!(translated("datadog", "tracecontext", &WITH_ORIGIN), pairs(&w3c));
    assert_eq!(translated("tracecontext", "datadog", &w3c), pairs(&WITH_ORIGIN));
}

#[test]
fn sampled_flag_precedes_stale_priority() {
    for (flags, state, expected) in
        [("01", "2", "2"), ("01", "1", "1"), ("01", "0", "1"), ("01", "x", "1"), ("00", "-1", "-1"), ("00", "2", "0")]
    {
        let parent = PARENT.replace("-01", &format!("-{flags}"));
        let sent = translated(
            "tracecontext",
            "datadog",
            &[("traceparent", &parent), ("tracestate", &format!("a=1,dd=s:{state};t.tid:0123456789abcdef"))],
        );
        let found = |name: &str| sent.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        assert_eq!(found("x-datadog-sampling-priority"), Some(expected), "{flags} {state}");
        assert_eq!(found("x-datadog-tags"), Some("_dd.p.tid=4bf92f3577b34da6"), "the trace-id holds the upper half");
    }
}

#[test]
fn tags_without_room_are_counted() {
    let long = format!("_dd.p.long={},_dd.p.dm=-4,_dd.p.=x,_dd.p.e=,other=1", "y".repeat(300));
    let fields = [
        ("x-datadog-trace-id", LOW_DECIMAL),
        ("x-datadog-parent-id", SPAN_DECIMAL),
        ("x-datadog-tags", &long),
        ("x-datadog-origin", "a;b=c,d~e"),
    ];
    let (context, rejections) = read(Box::new(DatadogFormat), &fields);
    assert_eq!(context.trace.state.to_string(), "dd=o:a_b~c_d_e;p:00f067aa0ba902b7;t.dm:-4");
    assert_eq!(rejections, [RejectReason::TooManyBytes]);
}

#[test]
fn invalid_tags_lose_the_upper_half_alone() {
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
fn trace_with_a_zero_lower_half_is_not_written() {
    let parent = format!("00-{HIGH}{}-{SPAN}-01", "0".repeat(16)).parse().unwrap();
    assert_eq!(write(Box::new(DatadogFormat), &PropagationContext::new(TraceContext::new(parent))), []);
}
