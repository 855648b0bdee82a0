//! A trace-id without a parent-id, from each format that can carry one to every format.

use propagation_core::{Formats, Peer, PropagationContext, Propagator, Transport};

use super::{LOW_DECIMAL, TRACE, message};
use crate::wire::open_policy;

fn propagator(read: &str, write: &str) -> Propagator {
    let formats = |names: &str| names.parse::<Formats>().unwrap().into_vec();
    Propagator::builder().policy(open_policy()).extract_formats(formats(read)).inject_formats(formats(write)).build()
}

fn written(propagator: &Propagator, context: &PropagationContext) -> Vec<(String, String)> {
    let mut sent: Vec<(String, Vec<u8>)> = Vec::new();
    propagator.inject(&Peer::http("api"), context, &mut sent);
    sent.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}

/// Sampled root-only messages of each format that has them.
fn roots() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let root = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let datadog = |more: &[(&'static str, &str)]| {
        let ids = [("x-datadog-trace-id", LOW_DECIMAL), ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6")];
        let priority = ("x-datadog-sampling-priority", "1");
        ids.iter().chain(more).chain([&priority]).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    vec![
        ("xray", vec![("x-amzn-trace-id", format!("{root};Sampled=1"))]),
        ("xray", vec![("x-amzn-trace-id", format!("Sampled=1;Parent=;{root}"))]),
        ("datadog", datadog(&[("x-datadog-parent-id", "0")])),
        ("datadog", datadog(&[])),
        ("datadog", datadog(&[("x-datadog-parent-id", "0"), ("x-datadog-origin", "synthetics")])),
        ("gcp", vec![("x-cloud-trace-context", format!("{TRACE}/0;o=1"))]),
        ("gcp", vec![("x-cloud-trace-context", format!("{TRACE};o=1"))]),
    ]
}

#[test]
fn root_trace_id_translates_to_every_format() {
    for (from, fields) in roots() {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let with_origin = fields.iter().any(|(name, _)| *name == "x-datadog-origin");
        for to in ["tracecontext", "b3", "b3multi", "jaeger", "xray", "datadog", "gcp", "grpc-trace-bin"] {
            let propagator = propagator(from, to);
            let context = propagator.extract(&Peer::caller(Transport::HTTP), &message(&fields)).context;
            let sent = written(&propagator, &context);
            assert_eq!(sent, written(&propagator, &context), "{from} to {to}: one parent-id for the hop");

            let back = self::propagator(to, to).extract(&Peer::caller(Transport::HTTP), &owned(&sent));
            assert_eq!(back.rejections, [], "{from} to {to}");
            let trace = &back.context.trace;
            assert_eq!(trace.trace_id().unwrap().to_string(), TRACE, "{from} to {to}: {sent:?}");
            assert_eq!(trace.sampling.decided(), Some(true), "{from} to {to}");
            let stays_root = to == "xray" || (to == "datadog" && with_origin);
            assert_eq!(trace.has_ids(), !stays_root, "{from} to {to}: {sent:?}");
        }
    }
}

fn owned(sent: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    sent.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
}

#[test]
fn root_trace_id_passes_x_ray_unchanged() {
    let root = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let propagator = propagator("xray", "xray");
    for (received, expected) in [
        (root.clone(), root.clone()),
        (format!("{root};Parent=;Sampled=0"), format!("{root};Sampled=0")),
        (format!("Sampled=?;{root}"), root),
    ] {
        let context =
            propagator.extract(&Peer::caller(Transport::HTTP), &message(&[("x-amzn-trace-id", &received)])).context;
        assert_eq!(written(&propagator, &context), [("x-amzn-trace-id".to_owned(), expected)]);
    }
}

#[test]
fn each_hop_makes_a_parent_id_of_its_own() {
    let propagator = propagator("gcp", "tracecontext");
    let received = format!("{TRACE}/0;o=1");
    let sent = || {
        let context = propagator
            .extract(&Peer::caller(Transport::HTTP), &message(&[("x-cloud-trace-context", &received)]))
            .context;
        let hop = propagator.continue_from(context);
        let [first, second] = [(); 2].map(|()| hop.in_scope(|| written(&propagator, &propagator.current())));
        assert_eq!(first, second);
        first
    };
    let (one, two) = (sent(), sent());
    assert_ne!(one, two);
    assert!(one[0].1.starts_with(&format!("00-{TRACE}-")) && one[0].1.ends_with("-01"), "{one:?}");
}

#[test]
fn parent_id_of_a_later_format_precedes_a_root() {
    let root = format!("Root=1-{}-{};Sampled=0", &TRACE[..8], &TRACE[8..]);
    let parent = "00-11111111111111111111111111111111-2222222222222222-01";
    for order in ["xray,tracecontext", "tracecontext,xray"] {
        let propagator = propagator(order, "tracecontext");
        let both = message(&[("x-amzn-trace-id", &root), ("traceparent", parent)]);
        let context = propagator.extract(&Peer::caller(Transport::HTTP), &both).context;
        assert_eq!(written(&propagator, &context)[0].1, parent, "{order}");
    }
    let propagator = propagator("b3,xray,gcp", "xray");
    let roots = message(&[
        ("b3", "1"),
        ("x-amzn-trace-id", &root),
        ("x-cloud-trace-context", "11111111111111111111111111111111"),
    ]);
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &roots).context;
    assert_eq!(written(&propagator, &context)[0].1, root);
}
