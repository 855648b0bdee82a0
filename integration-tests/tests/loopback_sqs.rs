//! The loopback SQS endpoint, driven by the real AWS SDK.
#![cfg(feature = "loopback-sqs")]

mod contract {
    pub(crate) mod sqs;
    pub(crate) mod sqs_strict;
}

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use contract::sqs::{client, entry, queue, receive, string};
use propagation_testkit::loopback_sqs::{Attribute, AttributeValue, LoopbackSqs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connect() -> (LoopbackSqs, Client) {
    let sqs = LoopbackSqs::start().await.unwrap();
    let client = client(sqs.endpoint_url());
    (sqs, client)
}

contract::sqs::sqs_contract!(connect);
contract::sqs_strict::sqs_strict_contract!(connect);

#[tokio::test]
async fn message_removed_by_a_tap_never_arrives() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let sqs = LoopbackSqs::builder()
        .tap(move |message| {
            let value = message.attributes.remove("traceparent");
            let line = (message.queue.to_owned(), message.body.clone(), value);
            log.lock().unwrap().push(line);
            message.body.make_ascii_uppercase();
            let extra = Attribute::string("tapped");
            message.system_attributes.insert("AWSTraceHeader".to_owned(), extra);
        })
        .start()
        .await
        .unwrap();
    let client = client(sqs.endpoint_url());
    let queue = sqs.create_queue("orders").unwrap();
    assert_eq!(queue, sqs.queue_url("orders"));
    client
        .send_message()
        .queue_url(&queue)
        .message_body("one")
        .message_attributes("traceparent", string("a"))
        .message_attributes("other", string("b"))
        .send()
        .await
        .unwrap();
    let batch = client.send_message_batch().queue_url(&queue).entries(entry("1", "two"));
    batch.send().await.unwrap();

    let message = receive(&client, &queue).await.unwrap();
    assert_eq!(message.body(), Some("ONE"));
    let attributes = message.message_attributes.unwrap();
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["other"]);
    let system = message.attributes.unwrap();
    assert_eq!(system[&MessageSystemAttributeName::AwsTraceHeader], "tapped");
    let seen = seen.lock().unwrap();
    let lines: Vec<_> = seen
        .iter()
        .map(|(queue, body, value)| {
            let value = value.as_ref().and_then(Attribute::as_str);
            (queue.as_str(), body.as_str(), value)
        })
        .collect();
    assert_eq!(lines, [("orders", "one", Some("a")), ("orders", "two", None)]);
}

#[tokio::test]
async fn a_tap_can_make_messages_that_the_service_would_refuse() {
    let sqs = LoopbackSqs::builder()
        .tap(|message| {
            for number in 0..20 {
                let mut attribute = Attribute::binary([number]);
                attribute.data_type = "Anything".to_owned();
                assert_eq!(attribute.value, AttributeValue::Binary(vec![number]));
                message.attributes.insert(format!("{number} "), attribute);
            }
        })
        .start()
        .await
        .unwrap();
    let client = client(sqs.endpoint_url());
    let queue = queue(&client).await;
    let send = client.send_message().queue_url(&queue).message_body("msg");
    send.send().await.unwrap();
    let message = receive(&client, &queue).await.unwrap();
    assert_eq!(message.message_attributes.unwrap().len(), 20);
}

#[tokio::test]
async fn stopping_closes_the_port_and_ends_waiting_receives() {
    let (sqs, client) = connect().await;
    let addr = sqs.addr();
    let queue = queue(&client).await;
    let waiting = client.receive_message().queue_url(&queue).wait_time_seconds(20);
    let waiting = tokio::spawn(waiting.send());
    // Nearly always enough for it to be waiting by now; if it isn't, the test holds all the same.
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Half of the receive's wait time.
    tokio::time::timeout(Duration::from_secs(10), sqs.stop()).await.expect("stopping waits for a receive");
    assert!(TcpStream::connect(addr).await.is_err());
    if let Ok(received) = waiting.await.unwrap() {
        assert!(received.messages().is_empty());
    }
}

#[tokio::test]
async fn dropping_it_closes_the_port() {
    let (sqs, client) = connect().await;
    client.list_queues().send().await.unwrap();
    let addr = sqs.addr();
    drop(sqs);
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn two_endpoints_share_nothing() {
    let ((_first_alive, first), (_second_alive, second)) = (connect().await, connect().await);
    first.create_queue().queue_name("same").send().await.unwrap();
    assert!(second.list_queues().send().await.unwrap().queue_urls().is_empty());
}

#[tokio::test]
async fn names_that_the_service_refuses_create_no_queue() {
    let sqs = LoopbackSqs::start().await.unwrap();
    for illegal in ["", "a b", "a/b", "a.fifo", &"a".repeat(81)] {
        assert!(sqs.create_queue(illegal).is_err(), "{illegal}");
    }
    sqs.create_queue(&"a".repeat(80)).unwrap();
}

#[tokio::test]
async fn http_trace_header_applies_to_messages_without_their_own() {
    let (sqs, client) = connect().await;
    let queue = sqs.create_queue("x-ray").unwrap();
    let own = "{\"AWSTraceHeader\":{\"DataType\":\"String\",\"StringValue\":\"own\"}}";
    let entries = format!(
        "[{{\"Id\":\"1\",\"MessageBody\":\"1\"}},{{\"Id\":\"2\",\"MessageBody\":\"2\",\"MessageSystemAttributes\":{own}}}]"
    );
    let body = format!("{{\"QueueUrl\":\"{queue}\",\"Entries\":{entries}}}");
    let answer = post(sqs.addr(), "AmazonSQS.SendMessageBatch", "X-Amzn-Trace-Id: http\r\n", body.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for expected in ["http", "own"] {
        let attributes = receive(&client, &queue).await.unwrap().attributes.unwrap();
        assert_eq!(attributes[&MessageSystemAttributeName::AwsTraceHeader], expected);
    }
}

#[tokio::test]
async fn answers_are_those_of_the_json_protocol() {
    let sqs = LoopbackSqs::start().await.unwrap();
    let answer = post(sqs.addr(), "AmazonSQS.GetQueueUrl", "", b"{\"QueueName\":\"none\"}").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(head.contains("content-type: application/x-amz-json-1.0"), "{head}");
    assert!(head.contains("x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender"), "{head}");
    assert!(head.contains("x-amzn-requestid: "), "{head}");
    assert!(body.contains("\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\""), "{body}");
}

#[tokio::test]
async fn garbage_is_refused_and_the_endpoint_lives_on() {
    let (sqs, client) = connect().await;
    let queue = sqs.create_queue("garbage").unwrap();
    let deep = "[".repeat(100_000);
    let with_url = |rest: &str| format!("{{\"QueueUrl\":\"{queue}\",{rest}}}");
    let bodies: Vec<Vec<u8>> = [
        "", "{}", "null", "[]", "7", "\"\"", "{", "{\"QueueUrl\":7}", "{\"QueueUrl\":\"\"}", "{\"QueueUrl\":\"/\"}",
        "{\"QueueUrl\":\"x\"}", "{\"QueueUrl\":\"\u{1F4E6}/\u{1F4E6}\"}", "{\"QueueUrl\":\"\\ud800\"}", &deep,
        &with_url("\"MessageBody\":7"),
        &with_url("\"MessageBody\":null"),
        &with_url("\"MessageBody\":\"x\",\"MessageAttributes\":{\"a\":null}"),
        &with_url("\"MessageBody\":\"x\",\"MessageAttributes\":{\"a\":{}}"),
        &with_url("\"MessageBody\":\"x\",\"MessageAttributes\":{\"a\":{\"DataType\":\"Binary\",\"BinaryValue\":\"*\"}}"),
        &with_url("\"MessageBody\":\"x\",\"MessageAttributes\":{\"a\":{\"DataType\":\"String\",\"StringListValues\":[\"a\"]}}"),
        &with_url("\"MessageBody\":\"x\",\"DelaySeconds\":99999999999999999999"),
        &with_url("\"MessageBody\":\"x\",\"DelaySeconds\":-9223372036854775808"),
        &with_url("\"Entries\":{}"),
        &with_url("\"Entries\":[null]"),
        &with_url("\"Entries\":[{}]"),
        &with_url("\"ReceiptHandle\":\"\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\""),
        &with_url("\"ReceiptHandle\":\"ffffffffffffffffffffffffffffffffffffffffffffffff\",\"VisibilityTimeout\":1"),
        &with_url("\"VisibilityTimeout\":-1,\"MaxNumberOfMessages\":-1"),
        &with_url("\"AttributeNames\":[7]"),
        &with_url("\"AttributeNames\":[\"\"]"),
        &with_url("\"Attributes\":{\"RedrivePolicy\":\"{}\"}"),
        &with_url("\"Attributes\":{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:::\\\",\\\"maxReceiveCount\\\":-1}\"}"),
        &with_url("\"Attributes\":{\"VisibilityTimeout\":\"99999999999999999999\"}"),
        &with_url("\"Attributes\":{\"\":\"\"}"),
    ]
    .iter()
    .map(|body| body.as_bytes().to_vec())
    .chain([vec![0xff, 0xfe, 0x00], vec![0; 70_000]])
    .collect();
    let operations = [
        "CreateQueue",
        "GetQueueUrl",
        "ListQueues",
        "DeleteQueue",
        "PurgeQueue",
        "GetQueueAttributes",
        "SetQueueAttributes",
        "SendMessage",
        "SendMessageBatch",
        "ReceiveMessage",
        "DeleteMessage",
        "DeleteMessageBatch",
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "TagQueue",
        "Nonsense",
        "",
    ];
    for operation in operations {
        for body in &bodies {
            // These are valid values, not garbage.
            let obeys = matches!(operation, "ReceiveMessage" | "DeleteQueue" | "PurgeQueue");
            if obeys && body.starts_with(format!("{{\"QueueUrl\":\"{queue}\"").as_bytes()) {
                continue;
            }
            let answer = post(sqs.addr(), &format!("AmazonSQS.{operation}"), "", body).await;
            let (head, content) = answer.split_once("\r\n\r\n").unwrap_or_default();
            assert!(
                head.starts_with("HTTP/1.1 4") || head.starts_with("HTTP/1.1 200"),
                "{operation} {:?}: {answer}",
                String::from_utf8_lossy(body).chars().take(99).collect::<String>()
            );
            assert!(content.starts_with('{'), "{answer}");
        }
    }
    for target in ["", "SendMessage", "DynamoDB_20120810.GetItem", "AmazonSQS"] {
        let answer = post(sqs.addr(), target, "", b"{}").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    // Not even HTTP.
    let mut stream = TcpStream::connect(sqs.addr()).await.unwrap();
    stream.write_all(b"\x00\x01\x02 garbage\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;

    let send = client.send_message().queue_url(&queue).message_body("alive");
    send.send().await.unwrap();
    assert_eq!(receive(&client, &queue).await.unwrap().body(), Some("alive"));
}

/// One request as bytes on the wire, and its whole answer.
async fn post(addr: SocketAddr, target: &str, headers: &str, body: &[u8]) -> String {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {addr}\r\nX-Amz-Target: {target}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}
