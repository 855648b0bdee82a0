//! Responses of the real service that emulators are known not to give: run on the loopback endpoint only.

mod queues;

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName,
};

use super::sqs::{
    LIMIT, TRACE_HEADER, entry, numbered, queue, queue_with, receive, refusal, refused, string, trace_header, typed,
};

pub(crate) use self::queues::*;

/// Makes a test of each function of this file and its module; see `sqs_contract!`.
macro_rules! sqs_strict_contract {
    ($connect:path) => {
        $crate::contract::sqs::sqs_tests!(
            $connect,
            $crate::contract::sqs_strict,
            attribute_names_are_those_of_the_developer_guide,
            data_types_are_string_number_and_binary_with_a_label,
            attributes_count_into_the_size_limit,
            the_trace_header_does_not_count_into_the_size_limit,
            a_queue_can_have_a_lower_size_limit,
            only_the_trace_header_may_be_set_of_the_system_attributes,
            the_digest_of_system_attributes_is_there,
            attributes_are_found_by_prefix,
            refusals_have_the_error_codes_of_the_service,
            refusals_become_the_error_types_of_the_sdk,
            numbers_of_a_request_have_their_ranges,
            dead_letter_keeps_its_count_and_source,
            a_stale_receipt_handle_settles_nothing,
            a_receipt_handle_of_another_queue_is_refused,
            a_queue_with_other_attributes_is_not_created_again,
            attributes_of_a_queue_have_their_ranges,
            only_the_queue_attributes_asked_for_come,
            queues_are_listed_in_pages,
        );
    };
}

pub(crate) use sqs_strict_contract;

fn send(client: &Client, queue: &str) -> SendMessageFluentBuilder {
    client.send_message().queue_url(queue).message_body("msg")
}

/// The error code of a refused send.
async fn code(send: SendMessageFluentBuilder) -> String {
    refusal(send.send().await, "the send")
}

pub(crate) async fn attribute_names_are_those_of_the_developer_guide(client: &Client) {
    let queue = queue(client).await;
    let longest = "a".repeat(256);
    for legal in ["a", "0_-.z", "AWSome", "x.AWS", &longest] {
        let send = send(client, &queue).message_attributes(legal, string("v"));
        send.send().await.unwrap();
    }
    let too_long = "a".repeat(257);
    for illegal in ["a b", "a:b", "ä", "", ".a", "a.", "a..b", "AWS.a", "aws.a", "Amazon.a", "amazon.a", &too_long] {
        let send = send(client, &queue).message_attributes(illegal, string("v"));
        refused(send, &format!("the name {illegal:?}")).await;
    }
}

pub(crate) async fn data_types_are_string_number_and_binary_with_a_label(client: &Client) {
    let queue = queue(client).await;
    for (data_type, value) in [("String.x", "v"), ("Number", "-1.5"), ("Number.int", "7")] {
        let send = send(client, &queue).message_attributes("a", typed(data_type, value));
        send.send().await.unwrap();
    }
    for (data_type, value) in [("", "v"), ("string", "v"), ("Text", "v"), ("Number", "seven"), ("Binary", "text")] {
        let send = send(client, &queue).message_attributes("a", typed(data_type, value));
        refused(send, &format!("{data_type:?} of {value:?}")).await;
    }
}

pub(crate) async fn attributes_count_into_the_size_limit(client: &Client) {
    let queue = queue(client).await;
    let attribute = "key".len() + "String".len() + "value".len();
    let send = |length: usize| {
        let send = client.send_message().queue_url(&queue);
        send.message_body("x".repeat(length)).message_attributes("key", string("value"))
    };
    send(LIMIT - attribute).send().await.unwrap();
    assert_eq!(code(send(LIMIT - attribute + 1)).await, "InvalidParameterValue");

    // In a batch, they count into its limit.
    let mut second = entry("b", "x".repeat(LIMIT / 2));
    let batch = |second| {
        let batch = client.send_message_batch().queue_url(&queue);
        batch.entries(entry("a", "x".repeat(LIMIT / 2))).entries(second).send()
    };
    batch(second.clone()).await.unwrap();
    second.message_attributes = Some(numbered(1));
    let error = batch(second).await.unwrap_err().into_service_error();
    assert!(error.is_batch_request_too_long(), "{error:?}");
}

pub(crate) async fn the_trace_header_does_not_count_into_the_size_limit(client: &Client) {
    let queue = queue(client).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("x".repeat(LIMIT))
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace_header(TRACE_HEADER))
        .send()
        .await
        .unwrap();
}

pub(crate) async fn a_queue_can_have_a_lower_size_limit(client: &Client) {
    let queue = queue_with(client, &[(QueueAttributeName::MaximumMessageSize, "1024")]).await;
    let body = |length| client.send_message().queue_url(&queue).message_body("x".repeat(length));
    body(1024).send().await.unwrap();
    refused(body(1025), "over the queue's own limit").await;

    // In a batch, that refuses the entry and not the batch.
    let sent = client
        .send_message_batch()
        .queue_url(&queue)
        .entries(entry("large", "x".repeat(1025)))
        .entries(entry("small", "x".repeat(1024)))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.successful()[0].id(), "small");
    assert_eq!(sent.failed()[0].id(), "large");
    assert_eq!(sent.failed()[0].code(), "InvalidParameterValue");
}

pub(crate) async fn only_the_trace_header_may_be_set_of_the_system_attributes(client: &Client) {
    let queue = queue(client).await;
    let send = |name: &str, value: MessageSystemAttributeValue| {
        send(client, &queue).message_system_attributes(MessageSystemAttributeNameForSends::from(name), value)
    };
    let other_type = MessageSystemAttributeValue::builder().data_type("Number").string_value("1").build().unwrap();
    refused(send("SenderId", trace_header("v")), "another name").await;
    refused(send("traceparent", trace_header("v")), "no system name").await;
    refused(send("AWSTraceHeader", other_type), "another type").await;
    refused(send("AWSTraceHeader", trace_header("")), "an empty value").await;
    refused(send("AWSTraceHeader", trace_header("\u{1}")), "a control").await;
}

pub(crate) async fn the_digest_of_system_attributes_is_there(client: &Client) {
    let queue = queue(client).await;
    let sent = send(client, &queue)
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace_header(TRACE_HEADER))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_system_attributes(), Some("5ae4d5d7636402d80f4eb6d213245a88"));
    let plain = send(client, &queue).send().await.unwrap();
    assert_eq!(plain.md5_of_message_system_attributes(), None);
}

pub(crate) async fn attributes_are_found_by_prefix(client: &Client) {
    let queue = queue(client).await;
    send(client, &queue)
        .message_attributes("Help.Me", string("Me"))
        .message_attributes("Hello", string("There"))
        .message_attributes("General", string("Kenobi"))
        .send()
        .await
        .unwrap();
    let receive = client.receive_message().queue_url(&queue);
    let received = receive.message_attribute_names("Hel.*").send().await.unwrap();
    let message = &received.messages()[0];
    let expected: HashMap<String, MessageAttributeValue> =
        HashMap::from([("Help.Me".to_owned(), string("Me")), ("Hello".to_owned(), string("There"))]);
    assert_eq!(message.message_attributes, Some(expected));
    assert_eq!(message.md5_of_message_attributes(), Some("83fee93c1bcd8b9a5a923ffacdc636c7"));
}

pub(crate) async fn refusals_have_the_error_codes_of_the_service(client: &Client) {
    let queue = queue(client).await;
    let send = || send(client, &queue);
    for (refused, expected) in [
        (send().set_message_attributes(Some(numbered(11))), "InvalidParameterValue"),
        (send().message_attributes("a", string("")), "InvalidParameterValue"),
        (send().message_attributes("a b", string("v")), "InvalidParameterValue"),
        (send().message_body("x".repeat(LIMIT + 1)), "InvalidParameterValue"),
        (send().message_body(""), "MissingParameter"),
        (send().message_body("\u{1}"), "InvalidMessageContents"),
        (send().delay_seconds(901), "InvalidParameterValue"),
        (send().queue_url(format!("{queue}x")), "AWS.SimpleQueueService.NonExistentQueue"),
    ] {
        assert_eq!(code(refused).await, expected);
    }
}

/// Which takes the header `x-amzn-query-error`: the SDK matches the codes of the older protocol.
pub(crate) async fn refusals_become_the_error_types_of_the_sdk(client: &Client) {
    let queue = queue(client).await;
    let batch = |ids: &[&str], length: usize| {
        let body = "x".repeat(length);
        let entries = ids.iter().map(|id| entry(id, body.as_str())).collect();
        let batch = client.send_message_batch().queue_url(&queue);
        let batch = batch.set_entries(Some(entries)).send();
        async move { batch.await.unwrap_err().into_service_error() }
    };
    let error = batch(&[], 1).await;
    assert!(error.is_empty_batch_request(), "{error:?}");
    let error = batch(&["1"; 11], 1).await;
    assert!(error.is_too_many_entries_in_batch_request(), "{error:?}");
    let error = batch(&["1", "2", "1"], 1).await;
    assert!(error.is_batch_entry_ids_not_distinct(), "{error:?}");
    for illegal in ["", "a b", "a.b", "ä", &"a".repeat(81)] {
        let error = batch(&[illegal], 1).await;
        assert!(error.is_invalid_batch_entry_id(), "{error:?}");
    }
    let error = batch(&["1", "2"], LIMIT / 2 + 1).await;
    assert!(error.is_batch_request_too_long(), "{error:?}");

    let url = client.get_queue_url().queue_name("missing").send().await;
    assert!(url.unwrap_err().into_service_error().is_queue_does_not_exist());
    let gone = send(client, &format!("{queue}x")).send().await.unwrap_err();
    assert!(gone.into_service_error().is_queue_does_not_exist());
    let control = send(client, &queue).message_body("\u{1}").send().await;
    let error = control.unwrap_err().into_service_error();
    assert!(error.is_invalid_message_contents(), "{error:?}");
    let delete = client.delete_message().queue_url(&queue);
    let error = delete.receipt_handle("garbage").send().await.unwrap_err().into_service_error();
    assert!(error.is_receipt_handle_is_invalid(), "{error:?}");
    let tags = client.list_queue_tags().queue_url(&queue).send().await;
    let error = tags.unwrap_err().into_service_error();
    assert!(error.is_unsupported_operation(), "{error:?}");
}

/// A handle belongs to its queue, also when the queue is deleted and another takes its name.
pub(crate) async fn a_receipt_handle_of_another_queue_is_refused(client: &Client) {
    let (own, other) = (queue(client).await, queue(client).await);
    for queue in [&own, &other] {
        send(client, queue).send().await.unwrap();
    }
    let handle = receive(client, &own).await.unwrap().receipt_handle.unwrap();
    let delete = |queue: &str| {
        let delete = client.delete_message().queue_url(queue);
        delete.receipt_handle(&handle).send()
    };
    assert_eq!(refusal(delete(&other).await, "of another queue"), "ReceiptHandleIsInvalid");

    client.delete_queue().queue_url(&own).send().await.unwrap();
    let name = own.rsplit('/').next().unwrap();
    client.create_queue().queue_name(name).send().await.unwrap();
    send(client, &own).send().await.unwrap();
    assert_eq!(refusal(delete(&own).await, "of a deleted queue"), "ReceiptHandleIsInvalid");
}

pub(crate) async fn numbers_of_a_request_have_their_ranges(client: &Client) {
    let queue = queue(client).await;
    let receive = || client.receive_message().queue_url(&queue);
    for refused in [
        receive().max_number_of_messages(0),
        receive().max_number_of_messages(11),
        receive().wait_time_seconds(21),
        receive().wait_time_seconds(-1),
        receive().visibility_timeout(43_201),
    ] {
        let error = refused.send().await.unwrap_err().into_service_error();
        assert_eq!(error.meta().code(), Some("InvalidParameterValue"));
    }
}

pub(crate) async fn dead_letter_keeps_its_count_and_source(client: &Client) {
    let arn = |queue: String| async move {
        let get = client.get_queue_attributes().queue_url(queue);
        let get = get.attribute_names(QueueAttributeName::QueueArn).send();
        get.await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone()
    };
    let dead = queue(client).await;
    let target = arn(dead.clone()).await;
    let policy = format!("{{\"deadLetterTargetArn\":\"{target}\",\"maxReceiveCount\":\"1\"}}");
    let source = queue_with(client, &[(QueueAttributeName::RedrivePolicy, &policy)]).await;
    send(client, &source).send().await.unwrap();
    let receive_at_once = client.receive_message().queue_url(&source).visibility_timeout(0);
    receive_at_once.send().await.unwrap();
    assert_eq!(receive(client, &source).await, None);

    let attributes = receive(client, &dead).await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
    assert_eq!(attributes[&MessageSystemAttributeName::DeadLetterQueueSourceArn], arn(source).await);
}

pub(crate) async fn a_stale_receipt_handle_settles_nothing(client: &Client) {
    let queue = queue_with(client, &[(QueueAttributeName::VisibilityTimeout, "0")]).await;
    send(client, &queue).send().await.unwrap();
    let stale = receive(client, &queue).await.unwrap().receipt_handle.unwrap();
    let current = receive(client, &queue).await.unwrap().receipt_handle.unwrap();
    let change = |handle: &str, seconds| {
        let change = client.change_message_visibility().queue_url(&queue);
        change.receipt_handle(handle).visibility_timeout(seconds).send()
    };
    let delete = |handle: &str| client.delete_message().queue_url(&queue).receipt_handle(handle).send();

    delete(&stale).await.unwrap();
    let error = change(&stale, 0).await.unwrap_err().into_service_error();
    assert_eq!(error.meta().code(), Some("InvalidParameterValue"));
    change(&current, 0).await.unwrap();
    delete(&current).await.unwrap();
    delete(&current).await.unwrap();
    assert_eq!(receive(client, &queue).await, None);
}
