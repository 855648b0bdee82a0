//! The receiver against OpenTelemetry's own exporters, over real connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Compression, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use propagation_testkit::otlp::OtlpReceiver;
use propagation_testkit::trace::{self, Value, service};

const PATIENCE: Duration = Duration::from_secs(30);

fn resource(service: &'static str) -> Resource {
    Resource::builder_empty().with_attribute(KeyValue::new("service.name", service)).build()
}

/// Two spans in two "services" that share a trace: a producer, and a consumer that links to it.
fn one_hop(sender: &SdkTracerProvider, receiver: &SdkTracerProvider) {
    let tracer = sender.tracer("kit-test");
    let parent =
        tracer.span_builder("send orders").with_kind(SpanKind::Producer).start_with_context(&tracer, &Context::new());
    let context = Context::new().with_span(parent);
    let tracer = receiver.tracer("kit-test");
    let mut consumer = tracer.span_builder("process orders").with_kind(SpanKind::Consumer);
    consumer.attributes =
        Some(vec![KeyValue::new("messaging.system.name", "kafka"), KeyValue::new("kafka.offset", 42)]);
    consumer.links = Some(vec![opentelemetry::trace::Link::with_context(context.span().span_context().clone())]);
    drop(consumer.start_with_context(&tracer, &context));
}

fn judge(graph: &trace::TraceGraph) {
    graph
        .assert_continuous()
        .assert_services(&["orders", "payments"])
        .assert_each_edge(service("orders"), service("payments"))
        .assert_each_link(service("payments"), service("orders"))
        .assert_sampled_consistently();
    let consumer = graph.find(service("payments")).next().expect("asserted above");
    assert_eq!(consumer.attribute("kafka.offset"), Some(&Value::Int(42)));
    assert_eq!(consumer.scope, "kit-test");
    assert_eq!(consumer.kind, trace::SpanKind::Consumer);
    assert!(consumer.start > 0 && consumer.end >= consumer.start);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_come_in_over_grpc_compressed_and_not() {
    let receiver = OtlpReceiver::start().await.expect("a free port");
    let provider = |service, compression: Option<Compression>| {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(receiver.grpc_endpoint());
        let exporter = match compression {
            Some(compression) => exporter.with_compression(compression),
            None => exporter,
        };
        let batch = BatchSpanProcessor::builder(exporter.build().expect("an exporter")).build();
        SdkTracerProvider::builder().with_resource(resource(service)).with_span_processor(batch).build()
    };
    let (orders, payments) = (provider("orders", None), provider("payments", Some(Compression::Gzip)));
    one_hop(&orders, &payments);
    orders.shutdown().expect("flushed");
    payments.shutdown().expect("flushed");
    judge(&receiver.wait_until(trace::TraceGraph::continuous, PATIENCE).await.expect("a whole trace"));
    assert_eq!((receiver.counts().spans, receiver.counts().rejected, receiver.counts().malformed), (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_come_in_over_http_as_protobuf() {
    let receiver = OtlpReceiver::start().await.expect("a free port");
    let provider = |service| {
        let exporter = SpanExporter::builder().with_http().with_endpoint(receiver.http_traces_endpoint());
        SdkTracerProvider::builder()
            .with_resource(resource(service))
            .with_simple_exporter(exporter.build().expect("an exporter"))
            .build()
    };
    let (orders, payments) = (provider("orders"), provider("payments"));
    tokio::task::spawn_blocking(move || one_hop(&orders, &payments)).await.expect("sent");
    judge(&receiver.wait_for(|graph| graph.len() == 2, PATIENCE).await.expect("two spans"));
}

/// The only thread of this runtime is blocked while the exporter exports: a receiver that ran on it would never answer.
#[tokio::test]
async fn an_exporter_that_blocks_the_test_does_not_block_the_receiver() {
    let receiver = OtlpReceiver::start().await.expect("a free port");
    let answer = post(&receiver, "/v1/traces", "application/json", br#"{"resourceSpans":[]}"#);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn thousands_of_spans_are_kept_in_order_and_none_is_lost() {
    let receiver = OtlpReceiver::start_blocking().expect("a free port");
    let spans: Vec<trace::Span> = (1..=20_000_u64)
        .map(|number| {
            let ids = (trace::TraceId::from_bytes([7; 16]), trace::SpanId::from_bytes(number.to_be_bytes()));
            let mut span = trace::Span::new(ids.0, ids.1, "step");
            span.parent = (number > 1).then(|| trace::SpanId::from_bytes((number / 2).to_be_bytes()));
            span
        })
        .collect();
    for chunk in spans.chunks(500) {
        let body = propagation_testkit::backend::otlp_json::write(chunk).to_string();
        let answer = post(&receiver, "/v1/traces", "application/json", body.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let graph = receiver.wait_until_blocking(trace::TraceGraph::continuous, PATIENCE).expect("a whole trace");
    assert_eq!((graph.len(), receiver.counts().spans, receiver.counts().requests), (20_000, 20_000, 40));
    receiver.clear();
    assert!(receiver.graph().is_empty());
}

#[test]
fn unreadable_exports_are_rejected_and_counted() {
    let receiver = OtlpReceiver::start_blocking().expect("a free port");
    for (media_type, body, status) in [
        ("application/json", &b"not json"[..], 400),
        ("application/x-protobuf", b"\xff\xff\xff", 400),
        ("text/plain", b"", 415),
    ] {
        let answer = post(&receiver, "/v1/traces", media_type, body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(receiver.counts().malformed, 3);
    // A span with a trace id of three bytes: it alone is rejected, and the response reports it.
    let span = [b"\x0a\x03abc\x12\x08".as_slice(), &[1; 8]].concat();
    let wrap = |field: u8, inner: &[u8]| [&[field, u8::try_from(inner.len()).expect("short")], inner].concat();
    let answer = post(&receiver, "/v1/traces", "application/x-protobuf", &wrap(0x0a, &wrap(0x12, &wrap(0x12, &span))));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("wrong length"), "{answer}");
    assert_eq!((receiver.counts().spans, receiver.counts().rejected), (0, 1));
}

#[test]
fn expired_wait_reports_received_spans() {
    let receiver = OtlpReceiver::start_blocking().expect("a free port");
    let failure = receiver
        .wait_until_blocking(trace::TraceGraph::continuous, Duration::from_millis(30))
        .expect_err("nothing was sent");
    let failure = failure.to_string();
    assert!(failure.contains("0 spans in 0 exports") && failure.contains("nothing was exported"), "{failure}");
}

fn post(receiver: &OtlpReceiver, path: &str, media_type: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(receiver.address()).expect("it listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: kit\r\nconnection: close\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    String::from_utf8_lossy(&answer).into_owned()
}

/// An export request of four million empty spans, eight megabytes that gzip to eight kilobytes.
fn bomb() -> Vec<u8> {
    let field = |number: u8, inner: &[u8]| {
        let mut out = vec![number << 3 | 2];
        let mut length = inner.len();
        while length > 0x7f {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend_from_slice(inner);
        out
    };
    let request = field(1, &field(2, &[0x12, 0].repeat(4_000_000)));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&request).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_decodes_to_too_much_is_refused() {
    let receiver = OtlpReceiver::start().await.expect("a free port");
    let bomb = bomb();
    assert!(bomb.len() < 20_000, "{} bytes", bomb.len());
    let mut stream = TcpStream::connect(receiver.address()).expect("it listens");
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bomb.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&bomb).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("export too large"), "{answer}");
    assert_eq!((receiver.counts().malformed, receiver.counts().spans), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_waits_for_its_services_and_takes_a_made_up_parent() {
    let receiver = OtlpReceiver::start().await.expect("a free port");
    let provider = |service| {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(receiver.grpc_endpoint());
        SdkTracerProvider::builder()
            .with_resource(resource(service))
            .with_span_processor(BatchSpanProcessor::builder(exporter.build().expect("an exporter")).build())
            .build()
    };
    let (orders, payments) = (provider("orders"), provider("payments"));
    let made_up = opentelemetry::trace::SpanContext::new(
        opentelemetry::trace::TraceId::from(7),
        opentelemetry::trace::SpanId::from(9),
        opentelemetry::trace::TraceFlags::SAMPLED,
        true,
        opentelemetry::trace::TraceState::NONE,
    );
    let caller = Context::new().with_remote_span_context(made_up);
    let server = |provider: &SdkTracerProvider, parent: &Context| {
        let tracer = provider.tracer("kit-test");
        let span = tracer.span_builder("handle").with_kind(SpanKind::Server).start_with_context(&tracer, parent);
        parent.with_span(span)
    };
    let first = server(&orders, &caller);
    first.span().end();
    orders.force_flush().expect("flushed");
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server(&payments, &first).span().end();
        payments.force_flush().expect("flushed");
    };
    let id = "00000000000000000000000000000007".parse().expect("an id");
    let (graph, ()) = tokio::join!(receiver.trace(id, &["orders", "payments"]), late);
    let graph = graph.unwrap_or_else(|broken| panic!("{broken}"));
    graph.assert_services(&["orders", "payments"]).assert_continuous();
}
