use std::collections::HashMap;

use propagation_core::semconv::{self, NameSet, SemanticConventions};
use propagation_core::{AttributeValue, ExternalText, Hop, PropagationContext, Propagator, SpanKind};

use crate::gate::Recorder;

/// Returns status and replacement by kind and name.
fn published() -> HashMap<(&'static str, &'static str), (&'static str, &'static str)> {
    let rows = include_str!("semconv/names.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let mut columns = row.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        ((next(), next()), (next(), next()))
    })
    .collect()
}

#[test]
fn names_are_published_and_not_deprecated() {
    let published = published();
    for (kind, names) in
        [("attribute", semconv::ATTRIBUTES), ("metric", semconv::METRICS), ("system", semconv::SYSTEMS)]
    {
        for name in names {
            let status = published.get(&(kind, *name)).map(|(status, _)| *status);
            assert!(matches!(status, Some("stable" | "development")), "{kind} {name}: {status:?}");
        }
    }
}

#[test]
fn renamed_attributes_are_those_of_the_publication() {
    let published = published();
    for (name, older) in semconv::RENAMED {
        assert_eq!(published.get(&("attribute", *older)), Some(&("deprecated", *name)), "{older}");
        assert_eq!(semconv::older_name(name), Some(*older));
    }
    // A deprecated name of our areas whose replacement we write has its row.
    for ((kind, older), (status, name)) in published {
        let known = ["messaging.kafka.message.offset", "messaging.kafka.consumer.group", "messaging.operation"];
        let written = kind == "attribute" && status == "deprecated" && semconv::ATTRIBUTES.contains(&name);
        let area = older.starts_with("messaging.") || older.starts_with("rpc.response");
        if written && area && !known.contains(&older) {
            assert!(semconv::RENAMED.contains(&(name, older)), "{older}");
        }
    }
}

fn hop() -> Hop {
    Hop::local(SpanKind::Producer, PropagationContext::EMPTY)
        .named("send orders")
        .with(semconv::MESSAGING_SYSTEM_NAME, semconv::SYSTEM_AWS_SQS)
        .with(semconv::SERVER_ADDRESS, AttributeValue::trusted("sqs"))
        .with(semconv::RPC_STATUS_CODE, "OK")
}

/// Returns the attributes of a hop as `key=value`.
fn recorded(propagator: &Propagator, bridge: &Recorder) -> Vec<String> {
    let span = propagator.start(hop());
    span.set_attribute(semconv::KAFKA_MESSAGE_TOMBSTONE, "true");
    span.set_attribute(semconv::RABBITMQ_DESTINATION_ROUTING_KEY, ExternalText::from("paid"));
    drop(span);
    let mut attributes: Vec<_> = bridge.take().into_iter().filter(|text| text.contains('=')).collect();
    attributes.sort();
    attributes
}

#[test]
fn attributes_have_the_names_that_were_chosen() {
    let current = [
        "kafka.message.tombstone=true",
        "messaging.system.name=aws.sqs",
        "rabbitmq.destination.routing_key=paid",
        "rpc.status_code=OK",
        "server.address=sqs",
    ];
    let older = [
        "messaging.kafka.message.tombstone=true",
        "messaging.rabbitmq.destination.routing_key=paid",
        "messaging.system=aws_sqs",
        "rpc.response.status_code=OK",
        "server.address=sqs",
    ];
    let both: Vec<_> = {
        let mut both = [&current[..], &older[..4]].concat();
        both.sort_unstable();
        both
    };
    for (list, expected) in [
        ("", &current[..]),
        ("rpc,messaging", &current[..]),
        ("rpc/old,messaging/old", &older[..]),
        ("rpc/dup,messaging/dup", &both[..]),
    ] {
        let bridge = Recorder::default();
        let look_up = |name: &str| (name == SemanticConventions::VARIABLE).then(|| list.to_owned());
        let propagator = Propagator::builder().bridge(bridge.clone()).switches_from(look_up).build();
        assert_eq!(recorded(&propagator, &bridge), expected, "{list}");
    }
}

#[test]
fn variable_wins_over_code_for_the_areas_it_names() {
    let names = SemanticConventions::default().with_rpc(NameSet::Older).with_messaging(NameSet::Older);
    let look_up = |name: &str| (name == SemanticConventions::VARIABLE).then(|| "messaging".to_owned());
    let propagator = Propagator::builder().switches_from(look_up).semantic_conventions(names).build();
    assert_eq!(propagator.semantic_conventions(), names.with_messaging(NameSet::Current));
}
