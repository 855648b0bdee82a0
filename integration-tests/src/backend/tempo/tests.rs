use super::*;
use crate::trace::{SpanId, SpanKind, Status, TraceGraph, TraceId, Value, service};

/// Spans as Tempo writes them, with ids in base64.
const SPANS: &str = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]},
    "scopeSpans":[{"scope":{"name":"shop"},"spans":[
     {"traceId":"2Q5lZ+RyfYoyJZLOTa9Zmg==","spanId":"AAAAAAAAAAE=","name":"send orders","kind":"SPAN_KIND_PRODUCER",
      "startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000999","traceState":"a=1","flags":257,
      "attributes":[{"key":"n","value":{"intValue":"7"}}],"status":{}}]}]},
   {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"payments"}}]},
    "scopeSpans":[{"spans":[
     {"traceId":"2Q5lZ+RyfYoyJZLOTa9Zmg==","spanId":"8GevC6kCt_8=","parentSpanId":"AAAAAAAAAAE=","name":"process orders",
      "kind":"SPAN_KIND_CONSUMER","startTimeUnixNano":"1700000000000001000","endTimeUnixNano":"1700000000000002000",
      "links":[{"traceId":"2Q5lZ+RyfYoyJZLOTa9Zmg==","spanId":"AAAAAAAAAAE="}],
      "status":{"code":"STATUS_CODE_ERROR","message":"no"}}]}]}"#;

fn assert_reads(response: &str) {
    let spans = read(response.as_bytes()).unwrap_or_else(|error| panic!("{response}: {error}"));
    let graph = TraceGraph::new(spans.clone());
    graph
        .assert_continuous()
        .assert_edge(service("orders").kind(SpanKind::Producer), service("payments").kind(SpanKind::Consumer))
        .assert_each_link("process orders", "send orders");
    let trace_id: TraceId = "d90e6567e4727d8a322592ce4daf599a".parse().expect("valid");
    assert_eq!((spans[0].trace_id, spans[0].span_id), (trace_id, SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, 1])));
    assert_eq!(spans[1].span_id.to_string(), "f067af0ba902b7ff");
    assert_eq!((spans[0].attribute("n"), spans[0].scope.as_str()), (Some(&Value::Int(7)), "shop"));
    assert_eq!((spans[0].trace_state.as_str(), spans[0].sampled()), ("a=1", Some(true)));
    assert_eq!(spans[1].status, Status::Error("no".to_owned()));
}

#[test]
fn version_1_is_read() {
    assert_reads(&format!(r#"{{"batches":[{SPANS}]}}"#));
}

#[test]
fn version_2_is_read() {
    assert_reads(&format!(r#"{{"trace":{{"resourceSpans":[{SPANS}]}},"metrics":{{"inspectedBytes":"4096"}}}}"#));
    assert_reads(&format!(r#"{{"trace":{{"resourceSpans":[{SPANS}]}},"status":"COMPLETE","message":""}}"#));
}

#[test]
fn library_spans_of_old_versions_are_read() {
    assert_reads(&format!(
        r#"{{"batches":[{}]}}"#,
        SPANS
            .replace("scopeSpans", "instrumentationLibrarySpans")
            .replace(r#""scope":"#, r#""instrumentationLibrary":"#)
    ));
}

#[test]
fn hexadecimal_ids_are_read() {
    let hex = SPANS
        .replace("2Q5lZ+RyfYoyJZLOTa9Zmg==", "d90e6567e4727d8a322592ce4daf599a")
        .replace("AAAAAAAAAAE=", "0000000000000001")
        .replace("8GevC6kCt_8=", "f067af0ba902b7ff");
    assert_reads(&format!(r#"{{"batches":[{hex}]}}"#));
}

#[test]
fn partial_trace_is_an_error_with_its_reason() {
    let response =
        format!(r#"{{"trace":{{"resourceSpans":[{SPANS}]}},"status":"PARTIAL","message":"over the size limit"}}"#);
    let error = read(response.as_bytes()).expect_err("partial");
    assert!(matches!(&error, BackendError::Partial(why) if why == "over the size limit"), "{error}");
}

#[test]
fn trace_without_spans_is_empty() {
    for response in ["{}", r#"{"trace":null}"#, r#"{"trace":{}}"#, r#"{"batches":[]}"#] {
        assert_eq!(read(response.as_bytes()).expect(response), []);
    }
}

#[test]
fn other_responses_are_rejected() {
    for (response, why) in [
        ("", "not JSON"),
        ("<html>", "not JSON"),
        ("[]", "not a response of Tempo"),
        (r#"{"data":[]}"#, "not a response of Tempo"),
        (r#"{"batches":[{"scopeSpans":[{"spans":[{"traceId":"AAAx","spanId":"AAAAAAAAAAE="}]}]}]}"#, "AAAx"),
        (
            r#"{"batches":[{"scopeSpans":[{"spans":[{"traceId":"2Q5lZ+RyfYoyJZLOTa9Zmg==","spanId":"AAAAAAAAAAAAAAE="}]}]}]}"#,
            "span id",
        ),
        (
            r#"{"batches":[{"scopeSpans":[{"spans":[{"traceId":"2Q5l Z+RyfYoyJZLOTa9Z==","spanId":"AAAAAAAAAAE="}]}]}]}"#,
            "trace id",
        ),
    ] {
        let error = read(response.as_bytes()).expect_err(response).to_string();
        assert!(error.contains(why), "{response}: {error}");
    }
}
