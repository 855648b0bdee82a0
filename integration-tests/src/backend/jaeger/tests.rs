use super::*;
use crate::trace::{SpanId, TraceGraph, service};

#[test]
fn older_response_is_read_with_types_links_and_outcome() {
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

/// A span as version 3 writes it, with the ids in hexadecimal.
const V3: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]},
    "scopeSpans":[{"scope":{"name":"shop"},"spans":[
     {"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00000000000000b4","parentSpanId":"","name":"POST /orders","kind":2,
      "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000002","status":{"code":2}},
     {"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":"00000000000000b4","name":"send orders",
      "kind":"SPAN_KIND_PRODUCER","traceState":"a=1","startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000002",
      "links":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00000000000000b4"}],"status":{}}]}]}]}"#;

fn assert_reads_v3(response: &str) {
    let spans = read(response.as_bytes()).unwrap_or_else(|error| panic!("{response}: {error}"));
    TraceGraph::new(spans.clone())
        .assert_continuous()
        .assert_edge("POST /orders", "send orders")
        .assert_each_link("send orders", "POST /orders");
    assert_eq!((spans[1].kind, spans[1].trace_state.as_str()), (SpanKind::Producer, "a=1"));
    assert_eq!((spans[0].service(), &spans[0].status), ("orders", &Status::Error(String::new())));
    assert_eq!(spans[1].span_id.to_string(), "00f067aa0ba902b7");
}

#[test]
fn version_3_is_read() {
    assert_reads_v3(V3);
    assert_reads_v3(&format!(r#"{{"result":{V3}}}"#));
}

#[test]
fn version_3_is_read_with_ids_in_base64() {
    let base64 = V3
        .replace("4bf92f3577b34da6a3ce929d0e0e4736", "S/kvNXezTaajzpKdDg5HNg==")
        .replace("00000000000000b4", "AAAAAAAAALQ=")
        .replace("00f067aa0ba902b7", "APBnqgupArc=");
    assert_reads_v3(&format!(r#"{{"result":{base64}}}"#));
    assert_reads_v3(&base64.replace("=\"", "\"").replace("=\"", "\""));
}

#[test]
fn stream_of_version_3_is_read() {
    let empty = r#"{"result":{"resourceSpans":[]}}"#;
    assert_reads_v3(&format!("{{\"result\":{V3}}}\n{empty}\n"));
}

#[test]
fn error_in_a_stream_is_an_error() {
    for error in [r#"{"error":{"httpCode":404,"message":"none"}}"#, r#"{"error":{"grpcCode":5,"message":"none"}}"#] {
        assert!(matches!(read(error.as_bytes()), Err(BackendError::NotFound)), "{error}");
    }
    let error = read(br#"{"error":{"grpcCode":13,"httpCode":500,"message":"storage is down"}}"#).expect_err("an error");
    assert!(error.to_string().contains("500: storage is down"), "{error}");
}

#[test]
fn other_responses_are_rejected() {
    for text in ["", "[]", "{}", "<html>", r#"{"data":[{"spans":[{}]}]}"#, r#"{"result":{}}"#] {
        let refused = read(text.as_bytes());
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
}

#[test]
fn link_to_the_parent_is_read_as_both() {
    let text = br#"{"data":[{"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spans":[
        {"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"0000000000000001","operationName":"send orders","references":[],"processID":"p1"},
        {"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"0000000000000002","operationName":"process orders","processID":"p1",
         "references":[{"refType":"FOLLOWS_FROM","traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"0000000000000001"}]}],
        "processes":{"p1":{"serviceName":"orders","tags":[]}}}]}"#;
    let graph = TraceGraph::new(read(text).expect("readable"));
    graph.assert_continuous().assert_edge("send orders", "process orders").assert_link("process orders", "send orders");
}
