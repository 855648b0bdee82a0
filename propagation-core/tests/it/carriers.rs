//! Carriers of collections, stored contexts, JSON and the environment.

mod stored;

use std::collections::HashMap;

use propagation_core::{
    Extract, Inject, Peer, PropagationContext, Propagator, StoredContext, Transport,
    carrier::{EnvironmentCarrier, laws},
};

use crate::wire::PARENT;

mod pairs {
    use super::*;

    struct Pairs;

    impl laws::Subject for Pairs {
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

    impl laws::Subject for Map {
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

#[cfg(feature = "json")]
mod json {
    use propagation_core::{
        Direction, RejectReason,
        carrier::{JsonCarrier, JsonCarrierMut},
    };
    use serde_json::{Map, Value, json};

    use super::*;

    struct Object;

    impl laws::Subject for Object {
        type Message = Map<String, Value>;
        const ORDERED: bool = false;
        const REPEATS: bool = false;
        fn empty() -> Self::Message {
            Map::new()
        }
        fn put(message: &mut Self::Message, name: &str, value: &[u8]) {
            message.insert(name.to_owned(), Value::from(String::from_utf8(value.to_owned()).unwrap()));
        }
        fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)> {
            message.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().as_bytes().to_vec())).collect()
        }
        fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract)) {
            with(&JsonCarrier::new(message));
        }
        fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject)) {
            with(&mut JsonCarrierMut::new(message));
        }
    }

    propagation_core::carrier_laws!(Object);

    #[test]
    fn json_members_of_other_types_are_kept_and_rejected_as_context() {
        for (value, rejected) in
            [(json!(7), 1), (json!({"a": 1}), 1), (json!([PARENT]), 1), (json!(null), 0), (json!(PARENT), 0)]
        {
            let propagator = Propagator::default();
            let mut meta =
                json!({"progressToken": 9_007_199_254_740_993_u64, "traceparent": value}).as_object().unwrap().clone();
            let admission = propagator.extract(&Peer::process("agent"), &JsonCarrier::new(&meta));
            assert_eq!(admission.context.trace.has_ids(), value == json!(PARENT), "{value}");
            assert_eq!(propagator.counters().get(Direction::Inbound, RejectReason::Malformed), rejected, "{value}");
            propagator.inject(&Peer::process("quotes"), &admission.context, &mut JsonCarrierMut::new(&mut meta));
            assert_eq!(meta["progressToken"], 9_007_199_254_740_993_u64);
            assert_eq!(meta.contains_key("traceparent"), value == json!(PARENT), "{value}");
        }
    }
}

#[cfg(feature = "serde")]
mod stored_as_json {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Job {
        order: u32,
        #[serde(default)]
        context: StoredContext,
    }

    fn trace_of(job: &Job) -> Option<String> {
        let admission = Propagator::default().extract(&Peer::process("jobs"), &job.context);
        admission.context.trace.trace_id().map(|id| id.to_string())
    }

    #[test]
    fn stored_context_survives_a_jobs_json() {
        let context: StoredContext = format!("traceparent:{PARENT}\ntracestate:vendor=1").parse().unwrap();
        let text = serde_json::to_string(&Job { order: 4711, context: context.clone() }).unwrap();
        assert_eq!(text, format!(r#"{{"order":4711,"context":{{"traceparent":"{PARENT}","tracestate":"vendor=1"}}}}"#));
        let job: Job = serde_json::from_str(&text).unwrap();
        assert_eq!((job.order, &job.context), (4711, &context));
        assert_eq!(trace_of(&job).as_deref(), Some(&PARENT[3..35]));
    }

    #[test]
    fn malformed_stored_context_does_not_fail_its_job() {
        for context in [
            json!(null),
            json!("text"),
            json!(7),
            json!(-7),
            json!(1.5),
            json!(true),
            json!([1, {"a": 2}]),
            json!({}),
            json!({"traceparent": 7}),
            json!({"traceparent": {"a": [1]}}),
            json!({"traceparent": null}),
            json!({"traceparent": "a\nbaggage:tenant.id=x"}),
            json!({"a\ntraceparent": PARENT}),
            json!({"": PARENT}),
            json!({"traceparent": "x".repeat(70_000)}),
        ] {
            let job: Job = serde_json::from_value(json!({"order": 1, "context": context})).unwrap();
            assert_eq!((job.order, trace_of(&job)), (1, None), "{context}");
            let again: StoredContext = job.context.to_string().parse().unwrap();
            assert_eq!(again, job.context, "{context}");
        }
        assert_eq!(trace_of(&serde_json::from_value(json!({"order": 1})).unwrap()), None);
    }
}

#[test]
fn context_survives_storage_as_one_string() {
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
fn context_reaches_a_child_process_by_environment() {
    let propagator = Propagator::default();
    let parent =
        EnvironmentCarrier::from_lookup(propagator.fields(), |name| (name == "TRACEPARENT").then(|| PARENT.to_owned()));
    let context = propagator.extract(&Peer::process("cron"), &parent).context;
    let mut child = EnvironmentCarrier::new();
    propagator.inject(&Peer::process("backup"), &context, &mut child);
    assert_eq!(child.variables().collect::<Vec<_>>(), [("TRACEPARENT", PARENT)]);
}

#[test]
fn lambda_variable_is_read_and_not_inherited() {
    let formats: propagation_core::Formats = "xray".parse().unwrap();
    let propagator = Propagator::builder().formats(formats).build();
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1";
    for (variable, text, ids) in [
        ("_X_AMZN_TRACE_ID", header, true),
        ("X_AMZN_TRACE_ID", header, true),
        ("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793", false),
    ] {
        let lambda =
            EnvironmentCarrier::from_lookup(propagator.fields(), |name| (name == variable).then(|| text.to_owned()));
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
