use std::collections::HashMap;

use propagation_core::{
    EnvironmentCarrier, Extract, FieldName, Inject, Peer, PropagationContext, Propagator, StoredContext, Transport,
    carrier_laws,
};

use crate::wire::PARENT;

mod pairs {
    use super::*;

    struct Pairs;

    impl carrier_laws::Subject for Pairs {
        type Message = Vec<(String, Vec<u8>)>;
        fn empty() -> Self::Message {
            Vec::new()
        }
        fn put(message: &mut Self::Message, name: &str, value: &[u8]) {
            message.push((name.to_owned(), value.to_owned()));
        }
        fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)> {
            message.clone()
        }
        fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract)) {
            with(message);
        }
        fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject)) {
            with(message);
        }
    }

    propagation_core::carrier_laws!(Pairs);
}

mod maps {
    use super::*;

    struct Map;

    impl carrier_laws::Subject for Map {
        type Message = HashMap<String, String>;
        const ORDERED: bool = false;
        const REPEATS: bool = false;
        fn empty() -> Self::Message {
            HashMap::new()
        }
        fn put(message: &mut Self::Message, name: &str, value: &[u8]) {
            message.insert(name.to_owned(), String::from_utf8(value.to_owned()).unwrap());
        }
        fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)> {
            message.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
        }
        fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract)) {
            with(message);
        }
        fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject)) {
            with(message);
        }
    }

    propagation_core::carrier_laws!(Map);
}

#[test]
fn a_context_survives_storage_as_one_string() {
    let propagator = Propagator::default();
    let received = vec![
        ("traceparent".to_owned(), PARENT.as_bytes().to_vec()),
        ("tracestate".to_owned(), b"congo=t61rcWkgMzE".to_vec()),
    ];
    let context = propagator.extract(&Peer::caller(Transport::HTTP), &received).context;
    let mut stored = StoredContext::new();
    propagator.inject(&Peer::process("outbox"), &context, &mut stored);
    let resumed: StoredContext = stored.to_string().parse().unwrap();
    assert_eq!(propagator.extract(&Peer::process("outbox"), &resumed).context, context);
    let elsewhere: StoredContext = stored.to_string().replace('\n', "\r\n").parse().unwrap();
    assert_eq!(elsewhere, resumed, "line ends of another system");
    assert!("no name here".parse::<StoredContext>().is_err());
}

#[test]
fn a_context_reaches_a_child_process_through_its_environment() {
    static TRACEPARENT: FieldName = FieldName::from_static("traceparent");
    let propagator = Propagator::default();
    let parent =
        EnvironmentCarrier::from_lookup(&[&TRACEPARENT], |name| (name == "TRACEPARENT").then(|| PARENT.to_owned()));
    let context = propagator.extract(&Peer::process("cron"), &parent).context;
    let mut child = EnvironmentCarrier::new();
    propagator.inject(&Peer::process("backup"), &context, &mut child);
    assert_eq!(child.variables().collect::<Vec<_>>(), [("TRACEPARENT", PARENT)]);
}

#[test]
fn lambdas_variable_is_read_and_not_inherited() {
    let formats: propagation_core::Formats = "xray".parse().unwrap();
    let propagator = Propagator::builder().formats(formats).build();
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1";
    let names: Vec<&FieldName> = propagator.fields().names().collect();
    for (variable, text, ids) in [
        ("_X_AMZN_TRACE_ID", header, true),
        ("X_AMZN_TRACE_ID", header, true),
        ("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793", false),
    ] {
        let lambda = EnvironmentCarrier::from_lookup(&names, |name| (name == variable).then(|| text.to_owned()));
        let trace = propagator.extract(&Peer::process("lambda"), &lambda).context.trace;
        assert_eq!(trace.trace_id().unwrap().to_string(), "5759e988bd862e3fe1be46a994272793", "{variable}");
        assert_eq!(trace.has_ids(), ids, "{variable}");

        let mut child = EnvironmentCarrier::new();
        propagator.inject(&Peer::process("child"), &PropagationContext::new(trace), &mut child);
        let expected = text.trim_end_matches(";Lineage=a:1");
        assert_eq!(child.variables().collect::<Vec<_>>(), [("X_AMZN_TRACE_ID", expected)]);
        assert_eq!(child.removed().collect::<Vec<_>>(), ["_X_AMZN_TRACE_ID"]);
    }
}
