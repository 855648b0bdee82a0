use super::*;
use crate::trace::{TraceGraph, Value};

#[test]
fn a_written_trace_is_read_with_its_tree_links_and_names() {
    let trace = TraceId::from_bytes([0xab; 16]);
    let id = |number| SpanId::from_bytes([number; 8]);
    let mut producer = Span::new(trace, id(1), "send Orders");
    producer.kind = SpanKind::Producer;
    producer.start = 1_700_000_000_000_001_000;
    producer.end = producer.start + 1_234_000;
    producer.resource = Arc::new([("service.name", "Shop")].into());
    producer.trace_state = "a=1".to_owned();
    let mut consumer = Span::new(trace, id(2), "process Orders");
    consumer.kind = SpanKind::Consumer;
    consumer.parent = Some(id(1));
    consumer.links.push(Link::to(trace, id(1)));
    consumer.attributes.push("messaging.batch.message_count", 3);
    consumer.status = Status::Error("refused".to_owned());
    consumer.resource = producer.resource.clone();
    // A real Zipkin answers in lower case.
    let mut json = write([&producer, &consumer]);
    for span in json.as_array_mut().expect("a list") {
        span["name"] = span["name"].as_str().expect("text").to_lowercase().into();
        span["localEndpoint"]["serviceName"] = "shop".into();
    }
    let read = read(json.to_string().as_bytes()).expect("readable");
    let graph = TraceGraph::new(read.clone());
    graph.assert_continuous().assert_services(&["Shop"]).assert_each_link("process Orders", "send Orders");
    assert_eq!((read[0].start, read[0].end), (producer.start, producer.end));
    assert_eq!(read[0].trace_state, "a=1");
    assert_eq!(read[1].status, consumer.status);
    assert_eq!(read[1].attribute("messaging.batch.message_count"), Some(&Value::from("3")));
    assert!(!read[1].typed);
}

#[test]
fn a_span_shared_by_client_and_server_becomes_two() {
    let text = r#"[[
        {"traceId":"463ac35c9f6413ad","id":"463ac35c9f6413ad","name":"get","kind":"CLIENT","localEndpoint":{"serviceName":"web"}},
        {"traceId":"463ac35c9f6413ad","id":"463ac35c9f6413ad","name":"get","kind":"SERVER","shared":true,"localEndpoint":{"serviceName":"api"}},
        {"traceId":"463ac35c9f6413ad","id":"0000000000000002","parentId":"463ac35c9f6413ad","name":"query","localEndpoint":{"serviceName":"api"}}
    ]]"#;
    let graph = TraceGraph::new(read(text.as_bytes()).expect("readable"));
    graph.assert_continuous().assert_edge("web", "api").assert_edge("api", "query");
    assert!(graph.edge("web", "query").is_err());
}

#[test]
fn anything_else_is_refused() {
    for text in ["", "{}", "[{}]", r#"[{"traceId":"zz","id":"01"}]"#] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
}
