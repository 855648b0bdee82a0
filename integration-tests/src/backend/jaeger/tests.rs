use super::*;
use crate::trace::{SpanId, TraceGraph, service};

#[test]
fn an_answer_becomes_a_tree_with_types_links_and_outcome() {
    let text = r#"{"data":[{"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spans":[
        {"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"1","operationName":"send orders","references":[],
         "startTime":1700000000000001,"duration":500,"processID":"p1",
         "tags":[{"key":"span.kind","type":"string","value":"producer"},{"key":"n","type":"int64","value":"7"},{"key":"w3c.tracestate","type":"string","value":"a=1"}],"logs":[]},
        {"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"0000000000000002","operationName":"process orders",
         "references":[{"refType":"CHILD_OF","traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"0000000000000001"},
                       {"refType":"FOLLOWS_FROM","traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"0000000000000001"}],
         "startTime":1700000000000600,"duration":1,"processID":"p2",
         "tags":[{"key":"span.kind","type":"string","value":"consumer"},{"key":"error","type":"bool","value":true},{"key":"otel.status_description","type":"string","value":"no"}],
         "logs":[{"timestamp":1700000000000601,"fields":[{"key":"event","type":"string","value":"exception"}]}]}],
        "processes":{"p1":{"serviceName":"orders","tags":[]},"p2":{"serviceName":"payments","tags":[{"key":"host.name","type":"string","value":"h"}]}}}],"errors":null}"#;
    let spans = read(text.as_bytes()).expect("readable");
    let graph = TraceGraph::new(spans.clone());
    graph
        .assert_continuous()
        .assert_edge("send orders", service("payments"))
        .assert_each_link("process orders", "send orders");
    assert_eq!(spans[0].attribute("n"), Some(&Value::Int(7)));
    assert_eq!(spans[0].span_id, SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!((spans[0].trace_state.as_str(), spans[0].end), ("a=1", 1_700_000_000_000_501_000));
    assert_eq!(spans[1].status, Status::Error("no".to_owned()));
    assert_eq!(spans[1].events[0].name, "exception");
    assert!(spans[1].clock().contains("/h"));
}

#[test]
fn anything_else_is_refused() {
    for text in ["", "[]", "{}", r#"{"data":[{"spans":[{}]}]}"#] {
        let refused = read(text.as_bytes());
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
}
