//! Contexts in the JSON of services between sender and receiver.

use aws_sdk_sqs::types::Message;
use propagation_core::Propagator;
use propagation_sqs::{ConsumerPropagation, lambda};
use serde_json::{Value, json};

use crate::setup::{BAGGAGE, OTHER, PARENT, STATE, XRAY, caller, propagator, string};

fn notification(message: &str, attributes: &Value) -> String {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:orders",
        "Message": message,
        "Timestamp": "2026-01-02T22:45:05.100Z",
        "MessageAttributes": attributes,
    })
    .to_string()
}

fn attributes() -> Value {
    json!({
        "traceparent": {"Type": "String", "Value": PARENT},
        "tracestate": {"Type": "String", "Value": STATE},
        "baggage": {"Type": "String", "Value": BAGGAGE},
        "mine": {"Type": "Number", "Value": "1"},
    })
}

fn event() -> Value {
    json!({
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "OrderPaid",
        "source": "shop.payments",
        "detail": {"order": {"lines": [1, 2]}, "traceparent": PARENT, "tracestate": STATE, "baggage": BAGGAGE},
    })
}

fn with_body(body: impl Into<String>) -> Message {
    Message::builder().body(body).build()
}

fn consumer(propagator: &Propagator) -> ConsumerPropagation {
    ConsumerPropagation::new(propagator.clone(), "orders").with_envelopes(true)
}

#[test]
fn sns_and_eventbridge_envelopes_carry_context() {
    let consumer = consumer(&propagator());
    for body in [
        notification("{}", &attributes()),
        event().to_string(),
        format!("  {}", event()),
        notification(&event().to_string(), &json!({})),
    ] {
        assert_eq!(consumer.extract(&with_body(&body)).context, caller(), "{body}");
    }
}

#[test]
fn raw_delivery_needs_no_envelope() {
    let message = Message::builder().body("{}").message_attributes("traceparent", string(PARENT)).build();
    assert_eq!(consumer(&propagator()).extract(&message).context.trace.parent, caller().trace.parent);
}

#[test]
fn body_is_read_only_on_request() {
    let consumer = ConsumerPropagation::new(propagator(), "orders");
    assert!(consumer.extract(&with_body(event().to_string())).context.is_empty());
}

#[test]
fn attributes_precede_envelope_precedes_trace_header() {
    use aws_sdk_sqs::types::MessageSystemAttributeName::AwsTraceHeader;
    let header = "Root=1-11111111-111111111111111111111111;Parent=1111111111111111;Sampled=0";
    let message = Message::builder().body(event().to_string()).attributes(AwsTraceHeader, header);
    let consumer = consumer(&propagator());
    let parent = |message: Message| consumer.extract(&message).context.trace.parent.unwrap().to_string();
    assert_eq!(parent(message.clone().build()), PARENT);
    let packed = format!("traceparent:{OTHER}");
    let packed = message.clone().message_attributes(propagation_sqs::PACKED_ATTRIBUTE, string(&packed));
    assert_eq!(parent(packed.build()), OTHER);
    assert_eq!(parent(message.message_attributes("traceparent", string(OTHER)).build()), OTHER);
}

#[test]
fn malformed_envelopes_carry_no_context() {
    let consumer = consumer(&propagator());
    let deep = "[".repeat(500_000);
    let nested = format!("{}1{}", "{\"Message\":".repeat(200), "}".repeat(200));
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "\"text\"",
        "{\"Type\":\"Notification\"}",
        "{\"detail-type\":1,\"detail\":2}",
        "{\"detail-type\":\"x\",\"detail\":[]}",
        "{\"detail-type\":\"x\",\"detail\":{\"traceparent\":{\"a\":1},\"baggage\":[]}}",
        &format!("{{\"traceparent\":\"{PARENT}\"}}"),
        &format!("{{\"detail\":{{\"traceparent\":\"{PARENT}\"}}}}"),
        &notification("{}", &json!({"traceparent": {"Type": "String", "Value": 7}})),
        &notification("{}", &json!({"x": {"Type": "String", "Value": format!("1\ntraceparent:{PARENT}")}})),
        &notification("{}", &json!({"x:1\nbaggage:tenant.id=evil": {"Type": "String", "Value": "1"}})),
        &notification("{}", &json!(["traceparent"])),
        &deep,
        &nested,
    ] {
        let context = consumer.extract(&with_body(body)).context;
        assert!(context.is_empty(), "{}", body.get(..80.min(body.len())).unwrap_or_default());
    }
}

#[test]
fn lambda_records_are_processed_like_messages() {
    let encoded = aws_smithy_types::base64::encode(OTHER);
    let event = json!({"Records": [
        {
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": "{}",
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "AWSTraceHeader": XRAY},
            "messageAttributes": {
                "traceparent": {"stringValue": OTHER, "stringListValues": [], "dataType": "String"},
                "odd": 7
            },
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
            "awsRegion": "us-east-1"
        },
        {
            "messageId": "3",
            "body": "{}",
            "messageAttributes": {"traceparent": {"binaryValue": encoded, "dataType": "Binary"}},
            "eventSource": "aws:sqs"
        },
        {
            "messageId": "4",
            "body": "{}",
            "messageAttributes": {"traceparent": {"binaryValue": "not base64!", "dataType": "Binary"}},
            "eventSource": "aws:sqs"
        },
        {"messageId": "2", "body": "{}", "attributes": {"AWSTraceHeader": XRAY}, "eventSource": "aws:sqs"},
        {"eventSource": "aws:s3"},
        null
    ]});
    let propagator = propagator();
    let records: Vec<lambda::Record> = lambda::records(&event).collect();
    assert_eq!(records.len(), 4);
    let parent = |record: &lambda::Record| {
        let consumer = ConsumerPropagation::new(propagator.clone(), record.queue.as_str());
        consumer.extract(&record.message).context.trace.parent.map(|parent| parent.to_string())
    };
    let parents: Vec<_> = records.iter().map(parent).collect();
    assert_eq!(parents, [Some(OTHER.to_owned()), Some(OTHER.to_owned()), None, Some(PARENT.to_owned())]);
    assert_eq!(records[0].message.message_id(), Some("059f36b4-87a3-44ab-83d2-661975830a7d"));
    assert_eq!(lambda::records(&json!({"Records": 7})).count(), 0);
}
