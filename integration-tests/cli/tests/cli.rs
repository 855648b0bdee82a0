//! The command as a script or CI sees it: output and exit status.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use propagation_testkit::backend::{otlp_json, zipkin};
use propagation_testkit::trace::{Span, SpanId, SpanKind, TraceId};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn spans() -> Vec<Span> {
    let span = |number: u8, parent: Option<u8>, service: &str, kind, name: &str| {
        let mut span = Span::new(TRACE.parse().expect("an id"), SpanId::from_bytes([number; 8]), name);
        span.parent = parent.map(|parent| SpanId::from_bytes([parent; 8]));
        span.kind = kind;
        span.start = 1_700_000_000_000_000_000 + u64::from(number) * 1_000_000;
        span.end = span.start + 500_000;
        span.attributes = [("http.request.method", "GET")].into();
        span.resource = Arc::new([("service.name", service)].into());
        span
    };
    vec![
        span(1, None, "gateway", SpanKind::Client, "GET"),
        span(2, Some(1), "orders", SpanKind::Server, "GET /orders"),
        span(3, Some(2), "orders", SpanKind::Internal, "query"),
    ]
}

fn propagation(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_propagation")).args(arguments).output().expect("it runs")
}

/// A file for one test, in the directory that cargo keeps for that.
fn file(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("written");
    path
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, parts: &[&str]) {
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{printed}");
    for part in parts {
        assert!(printed.contains(part), "`{part}` is missing in:\n{printed}");
    }
}

#[test]
fn whole_trace_in_a_file_exits_0_with_tree_and_page() {
    let path = file("whole.json", &otlp_json::write(&spans()).to_string());
    let html = path.with_extension("html");
    let path = path.to_str().expect("UTF-8");
    let output = propagation(&[
        "continuity",
        TRACE,
        "--otlp-json",
        path,
        "--html",
        html.to_str().expect("UTF-8"),
        "--services",
        "gateway, orders,",
    ]);
    assert_ends(&output, 0, &["continuous", "3 spans, 2 services, 1 roots, 0 orphans", "└─ GET /orders [server]"]);
    let page = std::fs::read_to_string(&html).expect("written");
    assert!(page.contains("✓ continuous") && page.contains("GET /orders"));
    let parent = format!("00-{TRACE}-0101010101010101-01");
    assert_ends(&propagation(&["continuity", &parent, "--otlp-json", path]), 0, &["continuous"]);
}

#[test]
fn broken_trace_exits_1_with_the_reason() {
    let path =
        file("broken.json", &otlp_json::write(spans().iter().filter(|span| span.name != "GET /orders")).to_string());
    let path = path.to_str().expect("UTF-8");
    assert_ends(
        &propagation(&["continuity", TRACE, "--otlp-json", path]),
        1,
        &["BROKEN", "1 orphans", "never received", "without flushing"],
    );
    let whole = file("services.json", &otlp_json::write(&spans()).to_string());
    let whole = whole.to_str().expect("UTF-8");
    assert_ends(
        &propagation(&["continuity", "--otlp-json", whole, "--services", "payments"]),
        1,
        &["no span of `payments`"],
    );
    assert_ends(&propagation(&["continuity", "--otlp-json", whole, "--conventions"]), 1, &["`url.path` is missing"]);
}

#[test]
fn one_broken_trace_of_many_exits_1() {
    let mut many = spans();
    let mut other = spans();
    other.iter_mut().for_each(|span| span.trace_id = TraceId::from_bytes([0xcd; 16]));
    other.remove(0);
    many.extend(other);
    let path = file("many.json", &otlp_json::write(&many).to_string());
    let path = path.to_str().expect("UTF-8");
    assert_ends(
        &propagation(&["continuity", "--otlp-json", path]),
        1,
        &[&format!("continuous  {TRACE}"), "BROKEN      cdcdcdcd"],
    );
    assert_ends(&propagation(&["continuity", TRACE, "--otlp-json", path]), 0, &["continuous"]);
}

#[test]
fn unusable_input_exits_2() {
    let junk = file("junk.json", "not JSON");
    let none = file("none.json", "{}");
    let empty = file("other.json", &otlp_json::write(&spans()).to_string());
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for (arguments, expected) in [
        (vec!["continuity", TRACE, "--otlp-json", junk.to_str().expect("UTF-8")], "not JSON"),
        (vec!["continuity", TRACE, "--otlp-json", junk.to_str().expect("UTF-8")], "junk.json"),
        (vec!["continuity", "--otlp-json", none.to_str().expect("UTF-8")], "none.json: no spans"),
        (vec!["continuity", TRACE, "--otlp-json", "/nowhere.json"], "/nowhere.json"),
        (
            vec!["continuity", "00000000000000000000000000000001", "--otlp-json", empty.to_str().expect("UTF-8")],
            "no such trace",
        ),
        (vec!["continuity", TRACE, "--zipkin", &format!("http://{unused}")], "cannot reach the backend"),
        (vec!["continuity", TRACE, "--zipkin", "ftp://zipkin.example"], "http:// or https://"),
        (vec!["continuity", "xyz", "--zipkin", "http://127.0.0.1:1"], "not an id"),
        (vec!["continuity", TRACE], "required"),
        (vec!["continuity", "--zipkin", "http://127.0.0.1:1"], "required"),
    ] {
        assert_ends(&propagation(&arguments), 2, &[expected]);
    }
}

/// A backend that has the trace at the third request.
#[test]
fn backend_is_polled_until_the_trace_is_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/prefix/", listener.local_addr().expect("an address"));
    let all = spans();
    let answers = [
        ("404 Not Found", "[]".to_owned()),
        ("200 OK", zipkin::write(&all[1..]).to_string()),
        ("200 OK", zipkin::write(&all).to_string()),
    ];
    let server = std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("readable") > 0 {
                request.push(byte[0]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            assert!(request.starts_with(&format!("GET /prefix/api/v2/trace/{TRACE} HTTP/1.1")), "{request}");
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .expect("sent");
        }
    });
    assert_ends(
        &propagation(&["continuity", TRACE, "--zipkin", &address, "--wait", "60"]),
        0,
        &["continuous", "GET /orders"],
    );
    server.join().expect("all three were asked for");
}

/// Runs the command with something to read.
fn reading(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propagation"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // One that ends with an error need not read all of it first.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

const POLICY: &str = r#"
[scrub]
action = "mask"

[[outbound]]
peers = ["*"]
baggage = ["tenant.id", { key = "plan", values = ["free"] }]
"#;

#[test]
fn invalid_policy_exits_2_with_line_and_column() {
    for (name, content, expected) in [
        ("detector.toml", "[scrub]\ndetectors = [\"email\", \"jwtt\"]\n", "detector.toml:2:23: error: \"jwtt\""),
        ("syntax.toml", "x = [\n", "syntax.toml:1:6: error"),
        ("excerpt.toml", "[scrub]\naction = \"shred\"\n", "\n2 | action = \"shred\"\n  |          ^^^^^^^\n"),
        ("empty.toml", "", "empty.toml: error: no rule and no profile"),
        ("comment.toml", "\u{feff}# later\n", "comment.toml: error: no rule and no profile"),
        ("glob.toml", "[[outbound]]\npeers = [\"kafka:*\"]\nbaggage = [\"\"]\n", "glob.toml:3:12: error"),
    ] {
        let policy = file(name, content);
        let policy = policy.to_str().expect("UTF-8");
        assert_ends(&propagation(&["policy", "lint", policy]), 2, &[expected]);
        let asked = ["policy", "explain", policy, "--peer", "kafka:orders", "--baggage", "a=1"];
        assert_ends(&propagation(&asked), 2, &[]);
        assert_ends(&reading(&["policy", "scan", policy], "a=1\n"), 2, &[]);
    }
}

#[test]
fn peers_of_declared_transports_are_explained() {
    let rules = "transports = [\"nats\"]\n[[outbound]]\npeers = [\"nats:orders.*\"]\nbaggage = [\"tenant.id\"]\n";
    let policy = file("nats.toml", rules);
    let policy = policy.to_str().expect("UTF-8");
    let explain = |peer| propagation(&["policy", "explain", policy, "--peer", peer, "--baggage", "tenant.id=blue"]);
    assert_ends(&explain("nats:orders.created"), 0, &["tenant.id"]);
    assert_ends(&explain("mqtt:orders"), 2, &["\"mqtt\" is not a transport", "process, nats"]);
    assert_ends(
        &reading(&["policy", "scan", policy], "tenant.id=blue\n"),
        0,
        &[r#""decision":"allowed""#, "nats:orders.*"],
    );
}

#[test]
fn lint_warnings_have_excerpts_and_fail_if_denied() {
    let policy = file("wrong.toml", "[[outbound]]\npeers = [\"http:*\"]\nbaggage = [\"user.email\"]\n");
    let policy = policy.to_str().expect("UTF-8");
    let expected = [
        "wrong.toml:3:12: warning: outbound rule \"http:*\"",
        "\"user.email\" looks personal",
        "\n3 | baggage = [\"user.email\"]\n  |            ^^^^^^^^^^^^\n",
    ];
    assert_ends(&propagation(&["policy", "lint", policy]), 0, &expected);
    assert_ends(&propagation(&["policy", "lint", "--deny", "warnings", policy]), 1, &expected);
}

#[test]
fn explain_covers_each_key_and_invalid_members() {
    let policy = file("explain.toml", POLICY);
    let policy = policy.to_str().expect("UTF-8");
    let baggage = "tenant.id=anna%40example.com,plan=pro,other=1,no member";
    let asked =
        ["policy", "explain", policy, "--direction", "outbound", "--peer", "kafka:orders", "--baggage", baggage];
    let expected = [
        "baggage tenant.id: modified by rule \"*\", scrubbed (email): ************.com",
        "baggage plan: blocked by rule \"*\", value_not_allowed",
        "baggage other: blocked by rule \"*\", not_allowed",
        "1 of 4 members can't be read",
    ];
    assert_ends(&propagation(&asked), 0, &expected);
}

#[test]
fn explain_covers_headers_and_claims_that_become_baggage() {
    let text = "[[inbound]]\npeers = [\"http:*\"]\nbaggage_from_headers = { \"x-tenant-id\" = \"tenant.id\" }\n\
                baggage_from_claims = { plan = { key = \"user.plan\", values = [\"pro\"] } }\n";
    let policy = file("explain-sources.toml", text);
    let policy = policy.to_str().unwrap();
    let explain = |more: &[&str]| {
        propagation(&[&["policy", "explain", policy, "--direction", "inbound", "--peer", "http:"], more].concat())
    };
    let given = ["--header", "X-Tenant-Id=blue", "--claim", "plan=gold"];
    let words = ["tenant.id: allowed by rule", "from header x-tenant-id", "user.plan: blocked", "from claim plan"];
    assert_ends(&explain(&given), 0, &words);
    assert_ends(&explain(&["--header", "X-Tenant-Id=blue", "--json"]), 0, &["\"source\":\"header x-tenant-id\""]);
    assert_ends(&explain(&["--header", "x-tenant-id"]), 2, &["expected NAME=VALUE"]);
    let outbound = ["policy", "explain", policy, "--peer", "http:api", "--header", "a=b"];
    assert_ends(&propagation(&outbound), 2, &["--direction inbound"]);
}

#[test]
fn explain_covers_trust_trace_context_and_tracestate() {
    let text = "profile = \"edge\"\n[[outbound]]\npeers = [\"amqp:queue/replies\"]\ntracestate = [\"ot\"]\n";
    let policy = file("explain-trace.toml", text);
    let policy = policy.to_str().expect("UTF-8");
    let inbound = ["policy", "explain", policy, "--direction", "inbound", "--peer", "http:", "--tracestate", "dd=s:1"];
    let expected = [
        "trust: restart-with-link by rule \"edge\"; the next span links to the caller's",
        "traceparent: blocked by rule \"edge\", restarted",
        "tracestate dd: blocked by rule \"edge\", restarted",
    ];
    assert_ends(&propagation(&inbound), 0, &expected);
    let expected = [
        r#"{"decision":"blocked","field":"trust","linked":true,"rule":"edge","trust":"restart-with-link"}"#,
        r#"{"decision":"blocked","field":"traceparent","reason":"restarted","rule":"edge"}"#,
        r#"{"decision":"blocked","field":"tracestate","key":"dd","reason":"restarted","rule":"edge"}"#,
    ];
    assert_ends(&propagation(&[&inbound[..], &["--json"]].concat()), 0, &expected);
    let outbound = ["policy", "explain", policy, "--peer", "amqp:queue/replies", "--tracestate", "dd=s:1,ot=th:8"];
    let expected = [
        "traceparent: allowed by rule \"amqp:queue/replies\"",
        "tracestate dd: blocked by rule \"amqp:queue/replies\", untrusted",
        "tracestate ot: allowed",
    ];
    assert_ends(&propagation(&outbound), 0, &expected);
}

#[test]
fn explain_accepts_a_url_as_host() {
    let policy = file("host.toml", &POLICY.replace("\"*\"", "\"http:api.example.com\""));
    let policy = policy.to_str().expect("UTF-8");
    for peer in ["http:api.example.com", "http:API.example.com", "http:api.example.com:8443", "http:api.example.com."] {
        let asked = ["policy", "explain", policy, "--peer", peer, "--baggage", "tenant.id=blue"];
        assert_ends(&propagation(&asked), 0, &["baggage tenant.id: allowed by rule \"http:api.example.com\""]);
    }
    let asked = ["policy", "explain", policy, "--peer", "http://api.example.com/", "--baggage", "tenant.id=blue"];
    assert_ends(&propagation(&asked), 2, &["a host alone"]);
}

#[test]
fn scan_prints_each_result_before_the_next_line() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propagation"));
    let mut child =
        command.args(["policy", "scan"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let (mut lines, answers) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut answers = BufReader::new(answers);
    for (line, expected) in [("a=1\r\n", "\"allowed\""), ("a=anna@example.com\n", "\"blocked\"")] {
        lines.write_all(line.as_bytes()).expect("it reads");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("it answers");
        assert!(answer.contains(expected), "{answer}");
    }
    drop(answers);
    lines.write_all(b"a=1\n").expect("it reads");
    drop(lines);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn scan_prints_one_object_for_each_line() {
    let lines = "tenant.id=anna@example.com\nother=blue\n";
    let alone = [
        r#"{"decision":"blocked","detector":"email","key":"tenant.id","reason":"personal_data","rule":"everything"}"#,
        r#"{"decision":"allowed","key":"other","output":"blue","rule":"everything"}"#,
    ];
    assert_ends(&reading(&["policy", "scan"], lines), 0, &alone);
    // For everyone, for hosts of some name, and after a rule that no outgoing call can meet.
    for (name, peers) in [("all", "*"), ("hosts", "http:*.internal"), ("none", "address:10.0.0.0/8\", \"kafka:orders")]
    {
        let policy = file(&format!("scan-{name}.toml"), &POLICY.replace("\"*\"", &format!("\"{peers}\"")));
        let output = reading(&["policy", "scan", policy.to_str().expect("UTF-8")], lines);
        let expected = [r#""output":"************.com""#, r#""decision":"modified""#, r#""reason":"not_allowed""#];
        assert_ends(&output, 0, &expected);
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    }
}
