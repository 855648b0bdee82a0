//! `propagation continuity` against backends over HTTP and TLS, with headers and a schema.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;

use propagation_testkit::backend::{otlp_json, zipkin};
use propagation_testkit::trace::{Span, SpanId, SpanKind, TraceId};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn spans() -> Vec<Span> {
    let trace: TraceId = TRACE.parse().expect("an id");
    let mut client = Span::new(trace, SpanId::from_bytes([1; 8]), "GET");
    client.kind = SpanKind::Client;
    client.attributes = [("userId", "7"), ("http.request.method", "GET")].into();
    client.resource = Arc::new([("service.name", "shop")].into());
    let mut server = Span::new(trace, SpanId::from_bytes([2; 8]), "GET /stock");
    server.kind = SpanKind::Server;
    server.parent = Some(client.span_id);
    server.attributes = [("user_id", "7"), ("http.request.method", "GET")].into();
    server.resource = Arc::new([("service.name", "stock")].into());
    vec![client, server]
}

fn continuity(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propagation"));
    command.arg("continuity").args(arguments).output().expect("it runs")
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, parts: &[&str]) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// A file in the directory that cargo keeps for tests.
fn file(name: &str, content: &str) -> String {
    let path: PathBuf = [env!("CARGO_TARGET_TMPDIR"), name].iter().collect();
    std::fs::write(&path, content).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// A certificate for `localhost`.
struct Certificate {
    pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a valid pair");
        Self { pem: made.cert.pem(), config: Arc::new(config) }
    }
}

/// A server that gives one response to each request, in order. Returns the heads of the requests.
fn serve(tls: Option<Arc<ServerConfig>>, responses: Vec<(&'static str, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = std::thread::spawn(move || {
        responses
            .into_iter()
            .map(|(head, body)| {
                let (stream, _) = listener.accept().expect("a connection");
                match &tls {
                    Some(config) => {
                        let connection = ServerConnection::new(config.clone()).expect("a connection");
                        respond(&mut StreamOwned::new(connection, stream), head, &body)
                    }
                    None => respond(&mut { stream }, head, &body),
                }
            })
            .collect()
    });
    (format!("{scheme}://localhost:{port}"), server)
}

/// Reads the head of a request, and responds. Returns an empty head if the client gives up, as after a bad certificate.
fn respond(stream: &mut (impl Read + Write), head: &str, body: &str) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return String::new(),
        }
    }
    let response = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(response.as_bytes()).and_then(|()| stream.flush()).expect("sent");
    String::from_utf8_lossy(&request).into_owned()
}

fn tempo() -> String {
    let otlp = otlp_json::write(&spans()).to_string();
    format!(r#"{{"trace":{otlp}}}"#)
}

#[test]
fn tls_backend_is_read_with_its_certificate_and_headers() {
    let certificate = Certificate::new();
    let pem = file("authority.pem", &certificate.pem);
    let (url, server) = serve(Some(certificate.config), vec![("200 OK", tempo())]);
    let headers = ["--header", "Authorization: Bearer a:b", "--header", "x-scope-orgid:shop"];
    let mut arguments = vec![TRACE, "--tempo", &url, "--ca-certificate", &pem];
    arguments.extend(headers);
    assert_ends(&continuity(&arguments), 0, &["continuous", "GET /stock"]);
    let request = server.join().expect("no panic").concat();
    assert!(request.starts_with(&format!("GET /api/v2/traces/{TRACE} HTTP/1.1\r\n")), "{request}");
    assert!(request.contains("authorization: Bearer a:b\r\n"), "{request}");
    assert!(request.contains("x-scope-orgid: shop\r\n"), "{request}");
}

#[test]
fn tls_backend_with_unknown_certificate_is_rejected() {
    let certificate = Certificate::new();
    let other = file("other.pem", &Certificate::new().pem);
    let (url, server) = serve(Some(certificate.config), vec![("200 OK", tempo())]);
    let output = continuity(&[TRACE, "--tempo", &url, "--ca-certificate", &other]);
    assert_ends(&output, 2, &["cannot reach the backend", "certificate"]);
    assert_eq!(server.join().expect("no panic"), [""], "no request was sent");
}

#[test]
fn each_api_is_requested_newest_version_first() {
    let otlp = || otlp_json::write(&spans()).to_string();
    let missing = || ("404 Not Found", r#"{"error":{"httpCode":404}}"#.to_owned());
    let batches = || otlp().replace("resourceSpans", "batches");
    let jaeger =
        r#"{"data":[{"spans":[{"traceID":"4bf92f3577b34da6a3ce929d0e0e4736","spanID":"1","operationName":"a"}]}]}"#;
    for (option, responses, paths) in [
        ("--tempo", vec![("200 OK", tempo())], vec!["/api/v2/traces/"]),
        ("--tempo", vec![missing(), ("200 OK", batches())], vec!["/api/v2/traces/", "/api/traces/"]),
        ("--jaeger", vec![("200 OK", format!(r#"{{"result":{}}}"#, otlp()))], vec!["/api/v3/traces/"]),
        ("--jaeger", vec![missing(), ("200 OK", jaeger.to_owned())], vec!["/api/v3/traces/", "/api/traces/"]),
        ("--zipkin", vec![("200 OK", zipkin::write(&spans()).to_string())], vec!["/api/v2/trace/"]),
    ] {
        let (url, server) = serve(None, responses);
        assert_ends(&continuity(&[TRACE, option, &format!("{url}/base/")]), 0, &["continuous"]);
        let requests = server.join().expect("no panic");
        assert_eq!(requests.len(), paths.len());
        for (request, path) in requests.iter().zip(paths) {
            assert!(request.starts_with(&format!("GET /base{path}{TRACE} HTTP/1.1")), "{request}");
        }
    }
}

#[test]
fn refusals_exit_2_with_the_remedy() {
    for (head, body, parts) in [
        ("401 Unauthorized", "no token", &["401: no token", "valid credentials"][..]),
        ("302 Found\r\nlocation: https://login.example/", "", &["302", "https://login.example/"]),
        ("200 OK", "<html>", &["not JSON"]),
        ("500 Oops", "down", &["500: down"]),
        (
            "200 OK",
            r#"{"trace":{"resourceSpans":[]},"status":"PARTIAL","message":"too large"}"#,
            &["only a part", "too large"],
        ),
    ] {
        let (url, server) = serve(None, vec![(head, body.to_owned())]);
        assert_ends(&continuity(&[TRACE, "--tempo", &url]), 2, parts);
        server.join().expect("no panic");
    }
}

#[test]
fn invalid_options_exit_2() {
    let empty = file("empty.pem", "");
    for (arguments, part) in [
        (vec![TRACE, "--tempo", "http://localhost:1", "--header", "no colon"], "NAME: VALUE"),
        (vec![TRACE, "--tempo", "http://localhost:1", "--header", "a b: c"], "invalid header `a b`"),
        (vec![TRACE, "--tempo", "https://user:hunter2@localhost:1"], "without user and password"),
        (vec![TRACE, "--tempo", "https://localhost:1", "--ca-certificate", "/nowhere.pem"], "/nowhere.pem"),
        (vec![TRACE, "--tempo", "https://localhost:1", "--ca-certificate", &empty], "BEGIN CERTIFICATE"),
        (vec![TRACE, "--tempo", "http://localhost:1", "--jaeger", "http://localhost:1"], "cannot be used with"),
        (vec![TRACE, "--tempo", "http://localhost:1", "--except", "a"], "--recommended"),
        (vec![TRACE, "--tempo", "http://localhost:1", "--schema", "/nowhere.toml"], "/nowhere.toml"),
    ] {
        let output = continuity(&arguments);
        assert_ends(&output, 2, &[part]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
    }
}

#[test]
fn schema_violation_exits_1_with_file_and_line() {
    let spans = file("schema-spans.json", &otlp_json::write(&spans()).to_string());
    for (name, schema, status, parts) in [
        ("good.toml", "[[required]]\nattributes = [\"http.request.method\"]", 0, &["complies", "2 spans"][..]),
        (
            "required.toml",
            "\n[[required]]\nservices = [\"st*\"]\nattributes = [\"tenant.id\"]",
            1,
            &["VIOLATES", "required.toml:2: the attribute `tenant.id` is missing", "stock"],
        ),
        (
            "synonyms.toml",
            "[[synonyms]]\nkey = \"user_id\"\nforbidden = [\"userId\"]",
            1,
            &["synonyms.toml:1: the key `userId` is forbidden: use `user_id`"],
        ),
        ("spelling.toml", "consistent_spelling = true", 1, &["`userId`, `user_id`"]),
        (
            "values.toml",
            "[[values]]\nkey = \"service.name\"\nmax_distinct = 1",
            1,
            &["`service.name` has 2 values, more than 1"],
        ),
        (
            "unmatched.toml",
            "[[required]]\nservices = [\"stok\"]\nattributes = [\"x\"]",
            0,
            &["unmatched.toml:1: no span matches this rule"],
        ),
        ("invalid.toml", "[[values]]\nkeys = \"a\"", 2, &["invalid.toml:2:1: unknown field `keys`"]),
    ] {
        let schema = file(name, schema);
        assert_ends(&continuity(&["--otlp-json", &spans, "--schema", &schema]), status, parts);
    }
}

#[test]
fn recommended_attributes_are_checked_on_request() {
    let spans = file("recommended.json", &otlp_json::write(&spans()).to_string());
    assert_ends(&continuity(&["--otlp-json", &spans]), 0, &["continuous"]);
    let missing = ["`user_agent.original` is missing: recommended for an HTTP server span", "`network.peer.address`"];
    assert_ends(&continuity(&["--otlp-json", &spans, "--recommended"]), 1, &missing);
    let except = "network.peer.address,network.protocol.version,client.address,server.address,user_agent.original";
    assert_ends(&continuity(&["--otlp-json", &spans, "--recommended", "--except", except]), 0, &["continuous"]);
}
