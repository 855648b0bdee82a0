use super::*;
use crate::trace::{Attributes, SpanId, TraceId};

fn span(kind: SpanKind, name: &str, attributes: Attributes) -> Span {
    let mut span = Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]), name);
    span.kind = kind;
    span.attributes = attributes;
    span
}

fn http_server() -> Span {
    let mut attributes: Attributes = [
        ("http.request.method", "GET"),
        ("url.path", "/orders/17"),
        ("url.scheme", "http"),
        ("http.route", "/orders/{id}"),
    ]
    .into();
    attributes.push("http.response.status_code", 200);
    span(SpanKind::Server, "GET /orders/{id}", attributes)
}

fn grpc_client() -> Span {
    let attributes = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "shop.Orders/Place"),
        ("rpc.status_code", "OK"),
        ("server.address", "orders"),
    ];
    span(SpanKind::Client, "shop.Orders/Place", attributes.into())
}

fn kafka_process() -> Span {
    let attributes = [
        ("messaging.system.name", "kafka"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "orders"),
    ];
    span(SpanKind::Consumer, "process orders", attributes.into())
}

fn violations(span: &Span) -> String {
    Version::LATEST.findings(span).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn spans_by_the_book_have_no_findings() {
    for good in [http_server(), grpc_client(), kafka_process()] {
        assert_eq!(violations(&good), "", "{}", good.label());
    }
}

#[test]
fn each_required_attribute_is_missed() {
    for good in [http_server(), grpc_client(), kafka_process()] {
        for (key, _) in good
            .attributes
            .iter()
            .filter(|(key, _)| !matches!(*key, "http.route" | "messaging.operation.type" | "url.path"))
        {
            let mut bad = good.clone();
            bad.attributes = good
                .attributes
                .iter()
                .filter(|(other, _)| *other != key)
                .map(|(key, value)| (key, value.clone()))
                .collect();
            assert!(
                violations(&bad).contains(&format!("`{key}` is missing")) || key == "rpc.system.name",
                "{key}: {}",
                violations(&bad)
            );
        }
    }
}

#[test]
fn deprecated_names_types_and_repeats_are_reported() {
    let mut old = http_server();
    old.attributes.push("http.method", "GET");
    old.attributes.push("http.response.status_code", "200");
    old.attributes.push("server.port", "80");
    let violations = violations(&old);
    for expected in [
        "`http.method` is deprecated: use `http.request.method`",
        "`http.response.status_code` is of type string, not int",
        "`http.response.status_code` is there more than once",
        "`server.port` is of type string, not int",
    ] {
        assert!(violations.contains(expected), "{violations}");
    }
    old.typed = false;
    assert!(!super::tests::violations(&old).contains("is of type"), "Zipkin has only text");
}

#[test]
fn name_with_a_path_or_an_id_is_reported() {
    let mut path = http_server();
    path.name = "GET /orders/1742".to_owned();
    assert_eq!(
        violations(&path),
        "the name `GET /orders/1742` should be `GET /orders/{id}`; with `1742` in it there is one name for each request"
    );
    let mut anonymous = kafka_process();
    anonymous.attributes.push("messaging.destination.anonymous", true);
    assert!(violations(&anonymous).contains("should be `process (anonymous)`"), "{}", violations(&anonymous));
}

#[test]
fn the_status_fits_the_outcome() {
    let with_status = |kind, code: i64, status: Status| {
        let mut span = http_server();
        span.kind = kind;
        span.attributes = [
            ("http.request.method", "GET"),
            ("url.path", "/"),
            ("url.scheme", "http"),
            ("server.address", "a"),
            ("url.full", "http://a/"),
        ]
        .into();
        span.attributes.push("server.port", 80);
        span.attributes.push("http.response.status_code", code);
        span.attributes.push("error.type", code.to_string());
        span.name = "GET".to_owned();
        span.status = status;
        violations(&span)
    };
    let error = || Status::Error(String::new());
    assert_eq!(with_status(SpanKind::Server, 404, Status::Unset), "");
    assert_eq!(with_status(SpanKind::Client, 404, error()), "");
    assert_eq!(with_status(SpanKind::Server, 503, error()), "");
    assert!(with_status(SpanKind::Server, 404, error()).contains("no error"));
    assert!(with_status(SpanKind::Client, 404, Status::Unset).contains("4xx"));
    assert!(with_status(SpanKind::Server, 503, Status::Unset).contains("5xx"));
    let mut grpc = grpc_client();
    grpc.status = error();
    grpc.attributes.push("error.type", "OK");
    assert!(violations(&grpc).contains("every status but OK"), "{}", violations(&grpc));
}

#[test]
fn the_kind_fits_the_operation() {
    let mut receive = kafka_process();
    receive.attributes = [
        ("messaging.system.name", "kafka"),
        ("messaging.operation.name", "poll"),
        ("messaging.operation.type", "receive"),
        ("messaging.destination.name", "orders"),
    ]
    .into();
    receive.name = "poll orders".to_owned();
    assert_eq!(violations(&receive), "the kind is consumer, not client");
    receive.kind = SpanKind::Client;
    assert_eq!(violations(&receive), "");
}

#[test]
fn spans_of_other_areas_are_left_alone() {
    assert_eq!(violations(&span(SpanKind::Internal, "check 1234567", [("db.system.name", "postgresql")].into())), "");
}

/// A span with the names of version 1.44.
fn older(span: &Span) -> Span {
    let name = |key: &str| match key {
        "messaging.system.name" => "messaging.system".to_owned(),
        "rpc.status_code" => "rpc.response.status_code".to_owned(),
        key => key.replace("kafka.offset", "messaging.kafka.offset"),
    };
    let mut older = span.clone();
    older.attributes = span.attributes.iter().map(|(key, value)| (name(key), value.clone())).collect();
    older
}

#[test]
fn each_version_accepts_its_own_names() {
    let mut process = kafka_process();
    process.attributes.push("kafka.offset", 7);
    for span in [grpc_client(), process] {
        assert_eq!(Version::V1_45.findings(&span), []);
        assert_eq!(Version::V1_44.findings(&older(&span)), []);
    }
}

#[test]
fn names_of_another_version_are_findings() {
    let violations = |version: Version, span: &Span| {
        version.findings(span).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let found = violations(Version::V1_45, &older(&grpc_client()));
    assert!(found.contains("`rpc.response.status_code` is deprecated: use `rpc.status_code`"), "{found}");
    assert!(found.contains("`rpc.status_code` is missing"), "{found}");
    let found = violations(Version::V1_45, &older(&kafka_process()));
    assert!(found.contains("`messaging.system` is deprecated: use `messaging.system.name`"), "{found}");
    let found = violations(Version::V1_44, &kafka_process());
    assert!(found.contains("`messaging.system` is missing"), "{found}");
}

#[test]
fn system_value_of_an_older_version_is_a_finding() {
    let attributes = [
        ("messaging.system.name", "aws_sqs"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", "orders"),
    ];
    let found = violations(&span(SpanKind::Producer, "send orders", attributes.into()));
    assert!(found.contains("`messaging.system.name` is `aws_sqs`, not aws.sqs"), "{found}");
}
