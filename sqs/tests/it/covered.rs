//! Operations that carry no messages, or are unknown to the interceptor.

use std::borrow::Cow;

use aws_smithy_runtime_api::client::{interceptors::Intercept, orchestrator::Metadata};
use propagation_core::{Direction, RejectReason};
use propagation_sqs::SqsInterceptor;

use crate::setup::{Endpoint, PARENT, inside, propagator, telemetry};
use propagation_testkit::telemetry::BridgeKind;

#[tokio::test]
async fn queue_management_is_neither_span_nor_counted() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let propagator = spans.propagator.clone();
    let client = endpoint.client(SqsInterceptor::new(propagator.clone()));
    let url = client.create_queue().queue_name("made").send().await.unwrap().queue_url.unwrap();
    client.list_queues().send().await.unwrap();
    client.get_queue_url().queue_name("made").send().await.unwrap();
    client.purge_queue().queue_url(&url).send().await.unwrap();
    assert!(spans.spans().is_empty());
    assert_eq!(propagator.counters().get(Direction::Outbound, RejectReason::UnsupportedOperation), 0);
}

#[tokio::test]
async fn two_interceptors_send_one_context() {
    let endpoint = Endpoint::start().await;
    let spans = telemetry(BridgeKind::OpenTelemetry);
    let propagation = SqsInterceptor::new(spans.propagator.clone());
    let config = crate::setup::config(endpoint.sqs.endpoint_url()).interceptor(propagation.clone());
    let client = aws_sdk_sqs::Client::from_conf(config.interceptor(propagation).build());
    client.send_message().queue_url(&endpoint.queue).message_body("{}").send().await.unwrap();
    assert_eq!(spans.spans().len(), 1);
}

#[tokio::test]
async fn interceptor_works_for_one_operation() {
    let endpoint = Endpoint::start().await;
    let propagator = propagator();
    let send = endpoint.plain().send_message().queue_url(&endpoint.queue).message_body("{}");
    let send = send.customize().interceptor(SqsInterceptor::new(propagator.clone()));
    inside(&propagator).scope(send.send()).await.unwrap();
    assert_eq!(endpoint.one().get("traceparent"), Some(PARENT));
}

/// Calls the interceptor like the client of another service or SDK version: with an input of an unknown type.
#[test]
fn uncovered_operation_is_counted_and_unchanged() {
    use aws_smithy_runtime_api::client::{
        interceptors::context::{BeforeSerializationInterceptorContextMut, Input, InterceptorContext},
        runtime_components::RuntimeComponentsBuilder,
    };
    use aws_smithy_types::config_bag::{ConfigBag, Layer};

    #[derive(Debug)]
    struct PublishInput;

    let propagator = propagator();
    let propagation = SqsInterceptor::new(propagator.clone());
    assert_eq!(propagation.name(), "SqsInterceptor", "the name in the SDK's errors");
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer({
        let output = output.clone();
        move || output.clone()
    });
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
    let meet = |service: &'static str, name: Cow<'static, str>| {
        let mut layer = Layer::new("test");
        layer.store_put(Metadata::new(name, service));
        let mut cfg = ConfigBag::of_layers([layer]);
        let mut context = InterceptorContext::new(Input::erase(PublishInput));
        let mut context = BeforeSerializationInterceptorContextMut::from(&mut context);
        propagation.modify_before_serialization(&mut context, &components, &mut cfg).unwrap();
        propagator.counters().get(Direction::Outbound, RejectReason::UnsupportedOperation)
    };
    for (service, name, counted) in
        [("SNS", "Publish", 1), ("SNS", "Publish", 2), ("SQS", "SendMessage", 3), ("SQS", "ListQueues", 3)]
    {
        assert_eq!(meet(service, name.into()), counted);
    }
    let text = || String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text().matches("unsupported_operation").count(), 2, "once for each operation: {}", text());
    assert!(
        text().contains("Publish") && text().contains("SendMessage") && !text().contains("ListQueues"),
        "{}",
        text()
    );
    for number in 0..70 {
        meet("SNS", format!("Publish{number}").into());
    }
    assert_eq!(text().matches("unsupported_operation").count(), 64, "the warnings are bounded");
    assert_eq!(meet("SNS", "Publish".into()), 74, "all are counted");
}

#[derive(Clone, Default)]
struct Output(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
