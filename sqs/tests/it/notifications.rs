//! SNS and EventBridge, with the real SDKs and an endpoint that records requests.

use std::sync::{Arc, Mutex};

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sns::types::PublishBatchRequestEntry;
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region},
    types::Message,
};
use opentelemetry::trace::SpanKind;
use propagation_core::{Direction, RejectReason};
use propagation_sqs::{ConsumerPropagation, SizeLimit, SqsInterceptor};
use propagation_testkit::telemetry::BridgeKind;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::setup::{OTHER, attribute, id, links, telemetry};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:orders";

/// An endpoint that returns one response to every request, and keeps the bodies of the requests.
struct Endpoint {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn start(response: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let body = loop {
                    let mut more = [0; 65_536];
                    let count = stream.read(&mut more).await.unwrap();
                    request.extend_from_slice(&more[..count]);
                    let text = String::from_utf8_lossy(&request);
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        break body.to_owned();
                    }
                };
                kept.lock().unwrap().push(body);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nx-amzn-requestid: r-1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    response.len()
                );
                stream.write_all(format!("{head}{response}").as_bytes()).await.unwrap();
            }
        });
        Self { url, bodies }
    }

    fn sns(&self, interceptor: SqsInterceptor) -> aws_sdk_sns::Client {
        let config = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.url)
            .interceptor(interceptor);
        aws_sdk_sns::Client::from_conf(config.build())
    }

    fn events(&self, interceptor: SqsInterceptor) -> aws_sdk_eventbridge::Client {
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.url)
            .interceptor(interceptor);
        aws_sdk_eventbridge::Client::from_conf(config.build())
    }

    fn body(&self) -> String {
        self.bodies.lock().unwrap().last().unwrap().clone()
    }

    /// Returns the details of the last request's events, as text.
    fn details(&self) -> Vec<String> {
        let body: Value = serde_json::from_str(&self.body()).unwrap();
        body["Entries"].as_array().unwrap().iter().map(|entry| entry["Detail"].as_str().unwrap().to_owned()).collect()
    }
}

fn published() -> String {
    let result = "<PublishResult><MessageId>m-1</MessageId></PublishResult>";
    let metadata = "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>";
    format!(r#"<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{result}{metadata}</PublishResponse>"#)
}

fn string(value: &str) -> aws_sdk_sns::types::MessageAttributeValue {
    aws_sdk_sns::types::MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn notification_carries_its_send_span() {
    let (endpoint, spans) = (Endpoint::start(published()).await, telemetry(BridgeKind::OpenTelemetry));
    let client = endpoint.sns(SqsInterceptor::new(spans.propagator.clone()));
    let publish = client.publish().topic_arn(TOPIC).message("{}").message_attributes("own", string("1"));
    publish.send().await.unwrap();
    let send = spans.span("send orders");
    assert_eq!(send.span_kind, SpanKind::Producer);
    for (key, value) in [
        ("messaging.destination.name", "orders"),
        ("aws.sns.topic.arn", TOPIC),
        ("messaging.message.id", "m-1"),
        ("aws.request_id", "r-1"),
    ] {
        assert_eq!(attribute(&send, key).as_deref(), Some(value), "{key}");
    }
    let body = endpoint.body();
    assert!(body.contains("Name=traceparent") && body.contains(&id(&send)) && body.contains("Name=own"), "{body}");
}

#[tokio::test]
async fn notification_keeps_an_existing_context() {
    let (endpoint, spans) = (Endpoint::start(published()).await, telemetry(BridgeKind::OpenTelemetry));
    let client = endpoint.sns(SqsInterceptor::new(spans.propagator.clone()));
    client
        .publish()
        .topic_arn(TOPIC)
        .message("{}")
        .message_attributes("traceparent", string(OTHER))
        .send()
        .await
        .unwrap();
    let send = spans.span("send orders");
    assert_eq!((send.span_kind.clone(), links(&send)), (SpanKind::Client, vec!["b7ad6b7169203331".to_owned()]));
    assert!(endpoint.body().contains(OTHER), "{}", endpoint.body());
}

#[tokio::test]
async fn notification_with_ten_attributes_is_sent_without_context() {
    let (endpoint, spans) = (Endpoint::start(published()).await, telemetry(BridgeKind::OpenTelemetry));
    let propagator = spans.propagator.clone();
    let client = endpoint.sns(SqsInterceptor::new(propagator.clone()));
    let publish = (0..10).fold(client.publish().topic_arn(TOPIC).message("{}"), |publish, at| {
        publish.message_attributes(format!("own{at}"), string("1"))
    });
    publish.send().await.unwrap();
    assert!(!endpoint.body().contains("traceparent") && !endpoint.body().contains("AWSTraceHeader"));
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::TooLarge), 1);
}

#[tokio::test]
async fn text_message_to_a_phone_gets_no_context() {
    let (endpoint, spans) = (Endpoint::start(published()).await, telemetry(BridgeKind::OpenTelemetry));
    let client = endpoint.sns(SqsInterceptor::new(spans.propagator.clone()));
    client.publish().phone_number("+436641234567").message("hello").send().await.unwrap();
    assert!(!endpoint.body().contains("traceparent"));
    assert!(spans.spans().is_empty());
}

#[tokio::test]
async fn batch_of_notifications_has_a_context_each() {
    let successful = "<Successful><member><MessageId>m-1</MessageId><Id>a</Id></member></Successful>";
    let failed =
        "<Failed><member><Id>b</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member></Failed>";
    let result = format!("<PublishBatchResult>{successful}{failed}</PublishBatchResult>");
    let response = format!(
        r#"<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{result}</PublishBatchResponse>"#
    );
    let (endpoint, spans) = (Endpoint::start(response).await, telemetry(BridgeKind::OpenTelemetry));
    let client = endpoint.sns(SqsInterceptor::new(spans.propagator.clone()));
    let entry = |id: &str| PublishBatchRequestEntry::builder().id(id).message("{}").build().unwrap();
    let batch = client.publish_batch().topic_arn(TOPIC);
    batch.publish_batch_request_entries(entry("a")).publish_batch_request_entries(entry("b")).send().await.unwrap();
    let created = spans.named("create orders");
    let outcomes: Vec<_> =
        created.iter().map(|span| (attribute(span, "messaging.message.id"), attribute(span, "error.type"))).collect();
    assert_eq!(outcomes, [(Some("m-1".to_owned()), None), (None, Some("InternalError".to_owned()))]);
    let ids: Vec<_> = created.iter().map(id).collect();
    let send = spans.span("send orders");
    assert_eq!((links(&send), attribute(&send, "error.type")), (ids.clone(), Some("InternalError".to_owned())));
    assert!(ids.iter().all(|id| endpoint.body().contains(id)));
}

fn event(detail: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder().source("shop").detail_type("order").detail(detail).event_bus_name("shop").build()
}

#[tokio::test]
async fn event_carries_its_context_in_detail() {
    let response = json!({"FailedEntryCount": 1, "Entries": [{"EventId": "e-1"}, {"ErrorCode": "InternalFailure"}]});
    let (endpoint, spans) = (Endpoint::start(response.to_string()).await, telemetry(BridgeKind::OpenTelemetry));
    let propagator = spans.propagator.clone();
    let client = endpoint.events(SqsInterceptor::new(propagator.clone()));
    // Digits and order of the payload are its own.
    let details = [r#"{"z": 9007199254740993.10, "a": [1, 2]}"#, "{}"];
    let events = client.put_events().entries(event(details[0])).entries(event(details[1]));
    events.send().await.unwrap();
    let created = spans.named("create shop");
    let outcomes: Vec<_> =
        created.iter().map(|span| (attribute(span, "messaging.message.id"), attribute(span, "error.type"))).collect();
    assert_eq!(outcomes, [(Some("e-1".to_owned()), None), (None, Some("InternalFailure".to_owned()))]);
    let sent = endpoint.details();
    assert!(sent[0].starts_with(r#"{"z":9007199254740993.10,"a":[1, 2],"traceparent":""#), "{}", sent[0]);
    for (detail, span) in sent.iter().zip(&created) {
        let traceparent = serde_json::from_str::<Value>(detail).unwrap()["traceparent"].as_str().unwrap().to_owned();
        assert!(traceparent.contains(&id(span)), "{traceparent}");
        // As a rule delivers it to a queue.
        let body = format!(r#"{{"detail-type":"order","source":"shop","detail":{detail}}}"#);
        let consumer = ConsumerPropagation::new(propagator.clone(), "orders").with_envelopes(true);
        let admission = consumer.extract(&Message::builder().body(body).build());
        assert_eq!(admission.context.trace.parent.map(|parent| parent.to_string()), Some(traceparent));
    }
}

#[tokio::test]
async fn event_keeps_or_replaces_an_existing_context() {
    for (existing, expected) in [(OTHER.to_owned(), true), ("7".to_owned(), false)] {
        let response = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]});
        let (endpoint, spans) = (Endpoint::start(response.to_string()).await, telemetry(BridgeKind::OpenTelemetry));
        let client = endpoint.events(SqsInterceptor::new(spans.propagator.clone()));
        let detail = json!({"traceparent": existing, "order": 1}).to_string();
        client.put_events().entries(event(&detail)).send().await.unwrap();
        let sent: Value = serde_json::from_str(&endpoint.details()[0]).unwrap();
        assert_eq!(sent["traceparent"] == OTHER, expected, "{sent}");
        assert_eq!(endpoint.details()[0].matches("traceparent").count(), 1);
        assert_eq!(sent["order"], 1);
    }
}

#[tokio::test]
async fn event_without_room_carries_ids_in_the_trace_header() {
    let response = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]});
    let full = json!({"x": "y".repeat(200)}).to_string();
    for (detail, limit) in
        [("[1]", SizeLimit::DEFAULT), ("not json", SizeLimit::DEFAULT), (&full, SizeLimit::bytes(230))]
    {
        let (endpoint, spans) = (Endpoint::start(response.to_string()).await, telemetry(BridgeKind::OpenTelemetry));
        let client = endpoint.events(SqsInterceptor::new(spans.propagator.clone()).size_limit(limit));
        client.put_events().entries(event(detail)).send().await.unwrap();
        let body: Value = serde_json::from_str(&endpoint.body()).unwrap();
        let entry = &body["Entries"][0];
        assert!(!entry["Detail"].as_str().unwrap().contains("traceparent"), "{entry}");
        let header = entry["TraceHeader"].as_str().unwrap();
        assert!(header.contains(&id(&spans.span("create shop"))), "{header}");
    }
}
