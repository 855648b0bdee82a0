//! Tests of the conformance service's contract with black-box suites.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::DefaultBodyLimit, http::HeaderMap, routing::post};
use propagation_examples::conformance;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The service, and a callee.
struct Setup {
    service: SocketAddr,
    callee: SocketAddr,
    received: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Setup {
    async fn new() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&received);
        let callee = Router::new().fallback(post(move |headers: HeaderMap, body: Bytes| async move {
            seen.lock().unwrap().push((headers, body));
        }));
        let callee = callee.layer(DefaultBodyLimit::disable());
        Self { service: service().await, callee: serve(callee).await, received }
    }

    fn step(&self, arguments: &Value) -> Value {
        json!({"url": format!("http://{}/callback", self.callee), "arguments": arguments})
    }

    /// Returns the status, and the headers of the calls.
    async fn post(&self, profile: &str, headers: &[(&str, &str)], calls: &Value) -> (u16, Vec<HeaderMap>) {
        self.received.lock().unwrap().clear();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(format!("http://{}/{profile}", self.service)).body(calls.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let status = request.send().await.unwrap().status().as_u16();
        let received = self.received.lock().unwrap().iter().map(|(headers, _)| headers.clone()).collect();
        (status, received)
    }
}

async fn service() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { conformance::serve(listener).await.map_err(|error| error.to_string()) });
    address
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn calls_continue_the_trace_and_forward_their_arguments() {
    let setup = Setup::new().await;
    let arguments = json!([{"url": "http://a/", "arguments": []}]);
    let calls = json!([setup.step(&arguments), setup.step(&json!([]))]);
    let headers = [("traceparent", PARENT), ("tracestate", "congo=1"), ("baggage", "mail=anna@example.com;p=1")];
    let (status, sent) = setup.post("w3c", &headers, &calls).await;
    assert_eq!((status, sent.len()), (200, 2));
    for headers in &sent {
        assert!(
            text(headers, "traceparent").starts_with(&PARENT[..36]) && text(headers, "traceparent").ends_with("-01")
        );
        assert_eq!((text(headers, "tracestate"), text(headers, "baggage")), ("congo=1", "mail=anna@example.com;p=1"));
    }
    let ids: Vec<_> = sent.iter().map(|headers| &text(headers, "traceparent")[36..52]).collect();
    assert!(ids[0] != ids[1] && !ids.contains(&"00f067aa0ba902b7"), "{ids:?}");
    let bodies: Vec<_> = setup.received.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(bodies, [arguments.to_string(), "[]".to_owned()]);
}

#[tokio::test]
async fn rejected_context_starts_a_new_sampled_trace() {
    let setup = Setup::new().await;
    let joined = format!("{PARENT}, {PARENT}");
    let other = PARENT.replace("-01", "-00");
    for headers in [
        &[][..],
        &[("traceparent", "00-bad")],
        &[("traceparent", PARENT), ("traceparent", other.as_str())],
        &[("traceparent", joined.as_str())],
    ] {
        let (status, sent) = setup.post("test", headers, &json!([setup.step(&json!([]))])).await;
        let parent = text(&sent[0], "traceparent");
        assert!(status == 200 && !parent.contains(TRACE) && parent.ends_with("-01"), "{headers:?}: {parent}");
    }
}

#[tokio::test]
async fn every_profile_reads_its_formats_and_writes_the_other() {
    let setup = Setup::new().await;
    let formats: [(&str, &[(&str, &str)]); 8] = [
        ("w3c", &[("traceparent", PARENT)]),
        ("b3", &[("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1")]),
        ("b3multi", &[("X-B3-TraceId", TRACE), ("X-B3-SpanId", "00f067aa0ba902b7"), ("X-B3-Sampled", "1")]),
        ("jaeger", &[("uber-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1")]),
        ("xray", &[("X-Amzn-Trace-Id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1")]),
        (
            "datadog",
            &[
                ("x-datadog-trace-id", "11803532876627986230"),
                ("x-datadog-parent-id", "67667974448284343"),
                ("x-datadog-sampling-priority", "1"),
                ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6"),
            ],
        ),
        ("gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1")]),
        ("grpc-trace-bin", &[("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=")]),
    ];
    let calls = json!([setup.step(&json!([]))]);
    for (read, headers) in formats {
        for (write, like) in formats {
            let profile = if read == write { read.to_owned() } else { format!("{read}-to-{write}") };
            let (status, sent) = setup.post(&profile, headers, &calls).await;
            assert_eq!((status, sent.len()), (200, 1), "{profile}");
            // Each profile's own field opens as the example does, up to the span id.
            let (name, example) = like[0];
            let same = example.len().min(if write == "grpc-trace-bin" { 24 } else { 32 });
            assert_eq!(text(&sent[0], name).get(..same), example.get(..same), "{profile}");
            let ours: Vec<&str> = formats.iter().flat_map(|(_, fields)| fields.iter()).map(|(name, _)| *name).collect();
            let written = ours.iter().filter(|name| sent[0].contains_key(**name)).count();
            assert_eq!(written, like.len(), "{profile}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn a_trace_id_without_a_parent_goes_on_in_every_format() {
    let setup = Setup::new().await;
    let calls = json!([setup.step(&json!([]))]);
    let roots: [(&str, &[(&str, &str)]); 3] = [
        ("xray", &[("X-Amzn-Trace-Id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736")]),
        (
            "datadog",
            &[
                ("x-datadog-trace-id", "11803532876627986230"),
                ("x-datadog-parent-id", "0"),
                ("x-datadog-origin", "synthetics"),
                ("x-datadog-tags", "_dd.p.tid=4bf92f3577b34da6"),
            ],
        ),
        ("gcp", &[("X-Cloud-Trace-Context", "4bf92f3577b34da6a3ce929d0e0e4736/0;o=1")]),
    ];
    for (from, headers) in roots {
        for (to, name, start) in [
            ("w3c", "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-"),
            ("b3", "b3", "4bf92f3577b34da6a3ce929d0e0e4736-"),
            ("jaeger", "uber-trace-id", "4bf92f3577b34da6a3ce929d0e0e4736:"),
            ("xray", "x-amzn-trace-id", "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent="),
            ("datadog", "x-datadog-trace-id", "11803532876627986230"),
            ("gcp", "x-cloud-trace-context", "4bf92f3577b34da6a3ce929d0e0e4736/"),
        ] {
            let (status, sent) = setup.post(&format!("{from}-to-{to}"), headers, &calls).await;
            assert_eq!((status, sent.len()), (200, 1));
            assert!(text(&sent[0], name).starts_with(start), "{from} to {to}: {:?}", sent[0]);
        }
    }
}

#[tokio::test]
async fn two_identical_traceparents_count_as_one() {
    let setup = Setup::new().await;
    let headers = [("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1")];
    let (_, sent) = setup.post("w3c", &headers, &json!([setup.step(&json!([]))])).await;
    assert!(text(&sent[0], "traceparent").starts_with(&PARENT[..36]) && text(&sent[0], "tracestate") == "a=1");
}

#[tokio::test]
async fn failures_have_the_statuses_of_the_contract() {
    let setup = Setup::new().await;
    let nobody = json!([{"url": "http://127.0.0.1:1/", "arguments": []}]);
    assert_eq!(setup.post("w3c", &[], &nobody).await.0, 502);
    assert_eq!(setup.post("w3c", &[], &json!([{"url": "nonsense", "arguments": []}])).await.0, 502);
    for profile in ["nonsense", "w3c-to-nonsense", "W3C", "w3c-to-", "a/b"] {
        assert_eq!(setup.post(profile, &[], &json!([])).await.0, 501, "{profile}");
    }
    assert_eq!(setup.post("w3c", &[], &json!({"url": 1})).await.0, 400);
    assert_eq!(setup.post("w3c", &[], &json!([])).await.0, 200);
}

#[tokio::test]
async fn callee_that_closes_connections_is_reached_each_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            while !read.ends_with(b"[]") {
                stream.read_buf(&mut read).await.unwrap();
            }
            // It does not announce the close.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let setup = Setup::new().await;
    let call = json!({"url": format!("http://{address}/"), "arguments": []});
    let calls = Value::Array(vec![call; 20]);
    assert_eq!(setup.post("w3c", &[], &calls).await.0, 200);
}

#[tokio::test]
async fn a_line_that_is_no_header_counts_for_nothing() {
    let setup = Setup::new().await;
    let body = json!([setup.step(&json!([]))]).to_string();
    let mut stream = tokio::net::TcpStream::connect(setup.service).await.unwrap();
    let head = format!("POST /w3c HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    let fields = format!(
        "traceparent: {PARENT}\r\ntracestate: a=\u{1}\r\nbaggage: k=\u{7f}\r\nno colon\r\nbaggage : l=1\r\n\r\n"
    );
    stream.write_all(format!("{head}{fields}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let sent = setup.received.lock().unwrap()[0].0.clone();
    assert!(text(&sent, "traceparent").contains(TRACE), "{sent:?}");
    assert!(!sent.contains_key("tracestate") && !sent.contains_key("baggage"), "{sent:?}");
}

#[tokio::test]
async fn large_requests_meet_our_limits_not_the_servers() {
    let setup = Setup::new().await;
    let calls = json!([setup.step(&json!(["x".repeat(3 << 20)]))]);
    let unrelated: Vec<(String, String)> =
        (0..1_000).map(|nth| (format!("x-unrelated-{nth}"), "1".to_owned())).collect();
    let baggage: Vec<(String, String)> = (0..200).map(|nth| ("baggage".to_owned(), format!("k{nth}=v"))).collect();
    let long = ("x-long".to_owned(), "v".repeat(600_000));
    let headers: Vec<(&str, &str)> = [("traceparent", PARENT)]
        .into_iter()
        .chain(unrelated.iter().chain(&baggage).chain([&long]).map(|(name, value)| (name.as_str(), value.as_str())))
        .collect();
    let (status, sent) = setup.post("w3c", &headers, &calls).await;
    assert_eq!((status, sent.len()), (200, 1));
    assert!(text(&sent[0], "traceparent").contains(TRACE));
    assert_eq!(text(&sent[0], "baggage").split(',').count(), 64);
}
