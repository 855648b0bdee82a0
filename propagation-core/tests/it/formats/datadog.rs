//! Datadog: numbers, priorities and tags.

use propagation_core::{DatadogFormat, PropagationContext, Reason, Sampling, SamplingPriority, TraceContext};

use super::{HIGH, LOW_DECIMAL, Make, SPAN, SPAN_DECIMAL, TRACE, check, check_bare, read, write};

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
fn a_trace_that_datadog_has_no_number_for_is_not_written() {
    let parent = format!("00-{HIGH}{}-{SPAN}-01", "0".repeat(16)).parse().unwrap();
    assert_eq!(write(Box::new(DatadogFormat), &PropagationContext::new(TraceContext::new(parent))), []);
}
