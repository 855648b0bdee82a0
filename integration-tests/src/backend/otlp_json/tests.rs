use super::*;
use crate::trace::{SpanId, TraceId};

fn rich() -> Span {
    let mut span = Span::new(TraceId::from_bytes([0xab; 16]), SpanId::from_bytes([1; 8]), "send orders");
    span.parent = Some(SpanId::from_bytes([2; 8]));
    span.kind = SpanKind::Producer;
    (span.start, span.end) = (1_700_000_000_000_000_001, 1_700_000_000_000_000_999);
    span.attributes = [("text", "é"), ("other", "")].into();
    span.attributes.push("int", i64::MIN);
    span.attributes.push("truth", true);
    span.attributes.push("half", 0.5);
    span.attributes.push("bytes", Value::Bytes(vec![0, 255, 3]));
    span.attributes.push("list", Value::Array(vec!["a".into(), "b".into()]));
    span.attributes.push("map", Value::Map([("k", 1)].into()));
    let mut link = Link::to(span.trace_id, SpanId::from_bytes([3; 8]));
    link.flags = Some(0x301);
    link.trace_state = "a=1".to_owned();
    span.links.push(link);
    span.events.push(Event::new("exception", 1_700_000_000_000_000_500));
    span.status = Status::Error("no".to_owned());
    span.trace_state = "a=1,b=2".to_owned();
    span.flags = Some(0x103);
    span.resource = Arc::new([("service.name", "orders")].into());
    span.scope = "shop".to_owned();
    span
}

#[test]
fn written_spans_are_read_unchanged() {
    let spans = vec![rich(), Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([9; 8]), "plain")];
    let text = write(&spans).to_string();
    assert_eq!(read(text.as_bytes()).expect("readable"), spans);
    let lines = format!("{}\n{}\n", write(&spans[..1]), write(&spans[1..]));
    assert_eq!(read(lines.as_bytes()).expect("one request a line"), spans);
    let list = format!("[{},{}]", write(&spans[..1]), write(&spans[1..]));
    assert_eq!(read(list.as_bytes()).expect("a list of requests"), spans);
}

#[test]
fn the_spelling_of_other_writers_is_read() {
    let text = r#"{"resource_spans":[{"resource":{"attributes":[{"key":"service.name","value":{"string_value":"py"}}]},
        "scope_spans":[{"spans":[{"trace_id":"ABABABABABABABABABABABABABABABAB","span_id":"0000000000000001",
        "name":"x","kind":"SPAN_KIND_CONSUMER","start_time_unix_nano":5,"attributes":[{"key":"n","value":{"int_value":7}}],
        "status":{"code":"STATUS_CODE_ERROR"}}]}]}]} {"resourceMetrics":[]} {}"#;
    let spans = read(text.as_bytes()).expect("readable");
    let span = spans.first().expect("one span");
    assert_eq!((span.service(), span.kind, span.start, span.parent), ("py", SpanKind::Consumer, 5, None));
    assert_eq!(span.attribute("n"), Some(&Value::Int(7)));
    assert_eq!(span.status, Status::Error(String::new()));
}

#[test]
fn anything_else_is_refused_with_a_reason() {
    for (text, why) in [
        ("", "empty"),
        ("hello", "not JSON"),
        (r#"{"data":[]}"#, "not an OTLP export"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz","spanId":"01"}]}]}]}"#, "not a trace id"),
        (r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"+1234567"}]}]}]}"#, "not a span id"),
    ] {
        let error = read(text.as_bytes()).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    assert!(read(format!("[{}", "[".repeat(100_000)).as_bytes()).is_err());
}
