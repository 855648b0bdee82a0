//! Calls and handlers that fail.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use opentelemetry::trace::Status;
use propagation_core::Outcome;
use propagation_sqs::{ConsumerPropagation, SqsInterceptor};
use propagation_testkit::loopback_sqs::LoopbackSqs;

use crate::setup::{Endpoint, PARENT, attribute, config, entry, id, inside, numbered, propagator, receive, telemetry};
use propagation_testkit::telemetry::BridgeKind;

fn panics() -> Result<(), ()> {
    panic!("on purpose")
}

const MISSING: &str = "QueueDoesNotExist";

#[tokio::test]
async fn failed_send_returns_error_and_keeps_the_request() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let missing = endpoint.sqs.queue_url("missing");
    let attributes = Some(numbered(2));
    let request = client.send_message().message_body("{}").set_message_attributes(attributes.clone());
    let failed = inside(&propagator).scope(request.clone().queue_url(&missing).send()).await;
    let expected = endpoint.plain().send_message().message_body("{}").queue_url(&missing).send().await;
    let code = |error: &SdkError<_, _>| ProvideErrorMetadata::code(error).map(str::to_owned);
    assert_eq!(code(&failed.unwrap_err()), code(&expected.unwrap_err()));
    assert_eq!(request.get_message_attributes(), &attributes);

    inside(&propagator).scope(request.queue_url(&endpoint.queue).send()).await.unwrap();
    let seen = endpoint.one();
    assert_eq!((seen.names().len(), seen.get("traceparent")), (5, Some(PARENT)));
}

#[tokio::test]
async fn invalid_request_returns_the_sdks_error() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let client = endpoint.client(SqsInterceptor::new(spans.propagator.clone()));
    let failed = client.send_message().message_body("{}").send().await;
    let expected = endpoint.plain().send_message().message_body("{}").send().await;
    assert_eq!(format!("{failed:?}").split('{').next(), format!("{expected:?}").split('{').next());
    assert!(failed.is_err());
    let span = spans.span("send");
    assert!(attribute(&span, "error.type").is_some() && attribute(&span, "messaging.destination.name").is_none());
}

#[tokio::test]
async fn failed_call_records_the_service_code() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let client = endpoint.client(SqsInterceptor::new(spans.propagator.clone()));
    let missing = endpoint.sqs.queue_url("missing");
    client.send_message().queue_url(&missing).message_body("{}").send().await.unwrap_err();
    client.send_message_batch().queue_url(&missing).entries(entry("1", "one")).send().await.unwrap_err();
    client.receive_message().queue_url(&missing).send().await.unwrap_err();
    client.delete_message().queue_url(&missing).receipt_handle("x").send().await.unwrap_err();
    for span in
        spans.named("send missing").iter().chain([&spans.span("receive missing"), &spans.span("delete missing")])
    {
        let kind = attribute(span, "error.type").unwrap();
        assert!(kind.ends_with(MISSING) || kind.contains("NonExistentQueue"), "{kind}");
        assert!(matches!(span.status, Status::Error { .. }));
    }
}

#[tokio::test]
async fn partially_failed_batch_records_the_first_code() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let client = endpoint.client(SqsInterceptor::new(spans.propagator.clone()));
    let batch = client.send_message_batch().queue_url(&endpoint.queue);
    let sent = batch.entries(entry("1", "one")).entries(entry("2", "\u{1}")).send().await.unwrap();
    let code = sent.failed().first().unwrap().code().to_owned();
    assert_eq!(attribute(&spans.span("send orders"), "error.type"), Some(code.clone()));
    let created = spans.named("create orders");
    let outcomes: Vec<_> =
        created.iter().map(|span| (attribute(span, "messaging.message.id"), attribute(span, "error.type"))).collect();
    let accepted = sent.successful().first().unwrap().message_id().to_owned();
    assert_eq!(outcomes, [(Some(accepted), None), (None, Some(code))]);

    let gone = aws_sdk_sqs::types::DeleteMessageBatchRequestEntry::builder().id("1").receipt_handle("nonsense");
    let delete = client.delete_message_batch().queue_url(&endpoint.queue).entries(gone.build().unwrap());
    let deleted = delete.send().await.unwrap();
    let code = deleted.failed().first().unwrap().code().to_owned();
    assert_eq!(attribute(&spans.span("delete orders"), "error.type"), Some(code));

    let change = aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry::builder().id("1").visibility_timeout(1);
    let change = change.receipt_handle("nonsense").build().unwrap();
    let change = client.change_message_visibility_batch().queue_url(&endpoint.queue).entries(change);
    let code = change.send().await.unwrap().failed().first().unwrap().code().to_owned();
    assert_eq!(attribute(&spans.span("change_visibility orders"), "error.type"), Some(code));
}

#[tokio::test]
async fn span_records_the_request_id() {
    use aws_sdk_sqs::operation::RequestId;
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let client = endpoint.client(SqsInterceptor::new(spans.propagator.clone()));
    let queue = &endpoint.queue;
    let mut expected = Vec::new();
    let mut note = |id: Option<&str>| expected.push(Some(id.expect("the endpoint names requests").to_owned()));
    note(client.send_message().queue_url(queue).message_body("1").send().await.unwrap().request_id());
    note(client.send_message_batch().queue_url(queue).entries(entry("1", "2")).send().await.unwrap().request_id());
    let received = client.receive_message().queue_url(queue).max_number_of_messages(2).send().await.unwrap();
    note(received.request_id());
    let handle = received.messages()[0].receipt_handle().unwrap();
    let change = client.change_message_visibility().queue_url(queue).receipt_handle(handle).visibility_timeout(60);
    note(change.send().await.unwrap().request_id());
    note(client.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap().request_id());
    let spans = spans.spans();
    let called = spans.iter().filter(|span| !span.name.starts_with("create"));
    assert_eq!(called.map(|span| attribute(span, "aws.request_id")).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn refused_connection_is_recorded() {
    // The port is closed.
    let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let config = config(&format!("http://{addr}")).interceptor(SqsInterceptor::new(spans.propagator.clone()));
    let client = Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
    let url = format!("http://{addr}/000000000000/orders");
    client.send_message().queue_url(&url).message_body("{}").send().await.unwrap_err();
    assert_eq!(attribute(&spans.span("send orders"), "error.type").as_deref(), Some("connection"));
}

#[tokio::test]
async fn one_span_and_one_context_cover_all_attempts() {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&attempts);
    let sqs = LoopbackSqs::builder()
        .tap(move |message| {
            let attempt = {
                let mut log = log.lock().unwrap();
                log.push(format!("{:?}", message.attributes.get("traceparent")));
                log.len()
            };
            // Breaks the connection.
            assert!(attempt > 1, "the first attempt fails on purpose");
        })
        .start()
        .await
        .unwrap();
    let queue = sqs.create_queue("orders").unwrap();
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let retry = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
    let config = config(sqs.endpoint_url()).interceptor(SqsInterceptor::new(spans.propagator.clone()));
    let client = Client::from_conf(config.retry_config(retry).build());
    client.send_message().queue_url(&queue).message_body("{}").send().await.unwrap();
    let span = spans.span("send orders");
    assert_eq!(attribute(&span, "error.type"), None);
    let attempts = attempts.lock().unwrap().clone();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|parent| parent.contains(&id(&span))), "{attempts:?}");
}

#[tokio::test]
async fn timeout_and_cancellation_are_recorded() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let propagation = SqsInterceptor::new(spans.propagator.clone());
    let timeout = TimeoutConfig::builder().operation_timeout(Duration::from_millis(50)).build();
    let config = config(endpoint.sqs.endpoint_url()).interceptor(propagation.clone()).timeout_config(timeout);
    let impatient = Client::from_conf(config.build());
    let poll = impatient.receive_message().queue_url(&endpoint.queue).wait_time_seconds(20);
    poll.send().await.unwrap_err();
    assert_eq!(attribute(&spans.span("receive orders"), "error.type").as_deref(), Some("timeout"));
    spans.clear();

    let client = endpoint.client(propagation);
    let poll = client.receive_message().queue_url(&endpoint.queue).wait_time_seconds(20).send();
    assert!(tokio::time::timeout(Duration::from_millis(50), poll).await.is_err());
    assert_eq!(attribute(&spans.span("receive orders"), "error.type").as_deref(), Some("cancelled"));
}

#[tokio::test]
async fn handler_outcome_is_recorded() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let propagator = spans.propagator.clone();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    client.send_message().queue_url(&endpoint.queue).message_body("{}").send().await.unwrap();
    let message = receive(&client, &endpoint.queue).await.remove(0);
    let consumer = ConsumerPropagation::new(propagator.clone(), &endpoint.queue);
    let failed = consumer.process(&message, async { Err::<(), _>(std::fmt::Error) }).await;
    assert_eq!(failed, Err(std::fmt::Error));
    let span = spans.span("process orders");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("core::fmt::Error"));
    spans.clear();

    let given_up = consumer.process(&message, std::future::pending::<Result<(), ()>>());
    assert!(futures_util::FutureExt::now_or_never(given_up).is_none());
    let span = spans.span("process orders");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(span.status, Status::Unset);
    spans.clear();

    let broken = consumer.process(&message, async { panics() });
    assert!(futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(broken)).await.is_err());
    let span = spans.span("process orders");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("panic"));
    assert!(matches!(span.status, Status::Error { .. }));
    spans.clear();

    consumer.start(&message).end(&Outcome::error("503"));
    assert_eq!(attribute(&spans.span("process orders"), "error.type").as_deref(), Some("503"));
}
