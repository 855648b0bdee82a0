//! Waiting, hiding, deleting, giving up.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, QueueAttributeName,
};
use tokio::time::timeout;

use super::{TRACE_HEADER, counts, queue, queue_with, receive, string, system, trace_header};

/// Well before the end of a wait of 20 seconds, which would find the message too.
const BEFORE_THE_END: Duration = Duration::from_secs(15);

pub(crate) async fn a_waiting_receive_gets_a_message_that_is_sent_later(client: &Client) {
    let queue = queue(client).await;
    let waiting = tokio::spawn(client.receive_message().queue_url(&queue).wait_time_seconds(20).send());
    // Nearly always enough for it to be waiting by now; if it isn't, the test holds all the same.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let send = client.send_message().queue_url(&queue).message_body("late");
    send.send().await.unwrap();
    let received = timeout(BEFORE_THE_END, waiting).await.expect("woken by the message");
    assert_eq!(received.unwrap().unwrap().messages()[0].body(), Some("late"));
}

pub(crate) async fn a_delayed_message_comes_when_its_delay_ends(client: &Client) {
    let queue = queue(client).await;
    let send = client.send_message().queue_url(&queue);
    send.clone().message_body("never").delay_seconds(900).send().await.unwrap();
    let receive = || client.receive_message().queue_url(&queue);
    assert!(receive().send().await.unwrap().messages().is_empty());

    send.message_body("soon").delay_seconds(1).send().await.unwrap();
    let waiting = receive().wait_time_seconds(20).send();
    let received = timeout(BEFORE_THE_END, waiting).await.expect("woken by the delay's end");
    assert_eq!(received.unwrap().messages()[0].body(), Some("soon"));
}

pub(crate) async fn a_wait_for_nothing_ends_empty(client: &Client) {
    let queue = queue(client).await;
    let receive = client.receive_message().queue_url(&queue);
    let received = receive.wait_time_seconds(1).send().await.unwrap();
    assert!(received.messages().is_empty());
}

pub(crate) async fn a_received_message_is_hidden_until_its_visibility_ends(client: &Client) {
    let queue = queue(client).await;
    let send = client.send_message().queue_url(&queue).message_body("msg");
    send.send().await.unwrap();
    let first = receive(client, &queue).await.unwrap();
    let again = client.receive_message().queue_url(&queue).send().await;
    assert!(again.unwrap().messages().is_empty());

    client
        .change_message_visibility()
        .queue_url(&queue)
        .receipt_handle(first.receipt_handle().unwrap())
        .visibility_timeout(0)
        .send()
        .await
        .unwrap();
    let second = receive(client, &queue).await.unwrap();
    assert_eq!(second.message_id(), first.message_id());
    assert_ne!(second.receipt_handle(), first.receipt_handle());
    assert_eq!(system(&second, &MessageSystemAttributeName::ApproximateReceiveCount).as_deref(), Some("2"));
}

pub(crate) async fn a_batch_of_visibilities_changes_each(client: &Client) {
    let queue = queue(client).await;
    let mut change = client.change_message_visibility_batch().queue_url(&queue);
    for id in ["a", "b"] {
        let send = client.send_message().queue_url(&queue).message_body(id);
        send.send().await.unwrap();
        let message = receive(client, &queue).await.unwrap();
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(id)
            .receipt_handle(message.receipt_handle().unwrap())
            .visibility_timeout(0);
        change = change.entries(entry.build().unwrap());
    }
    let changed = change.send().await.unwrap();
    assert_eq!(changed.successful().len(), 2, "{:?}", changed.failed());
    let received = client.receive_message().queue_url(&queue).max_number_of_messages(10).send().await.unwrap();
    assert_eq!(received.messages().len(), 2);
}

pub(crate) async fn a_deleted_message_is_gone(client: &Client) {
    let queue = queue(client).await;
    let mut handles = Vec::new();
    for body in ["a", "b", "c"] {
        let send = client.send_message().queue_url(&queue).message_body(body);
        send.send().await.unwrap();
        let message = receive(client, &queue).await.unwrap();
        handles.push(message.receipt_handle.unwrap());
    }
    let delete = client.delete_message().queue_url(&queue);
    delete.receipt_handle(&handles[0]).send().await.unwrap();
    let entry = |id: &str, handle: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id);
        entry.receipt_handle(handle).build().unwrap()
    };
    let deleted = client
        .delete_message_batch()
        .queue_url(&queue)
        .entries(entry("b", &handles[1]))
        .entries(entry("c", &handles[2]))
        .entries(entry("garbage", "garbage"))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.successful().len(), 2);
    assert_eq!(deleted.failed().len(), 1);
    assert_eq!(deleted.failed()[0].id(), "garbage");
    assert_eq!(counts(client, &queue).await, ("0".into(), "0".into()));
}

pub(crate) async fn a_message_that_fails_too_often_goes_to_the_dead_letter_queue_with_its_attributes(client: &Client) {
    let dead = queue(client).await;
    let arn = client
        .get_queue_attributes()
        .queue_url(&dead)
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .unwrap()
        .attributes
        .unwrap()[&QueueAttributeName::QueueArn]
        .clone();
    let policy = format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":2}}");
    let queue = queue_with(
        client,
        &[(QueueAttributeName::VisibilityTimeout, "0"), (QueueAttributeName::RedrivePolicy, &policy)],
    )
    .await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("poison")
        .message_attributes("traceparent", string("00-00-00-00"))
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace_header(TRACE_HEADER))
        .send()
        .await
        .unwrap();
    let first = receive(client, &queue).await.unwrap();
    receive(client, &queue).await.unwrap();
    assert_eq!(receive(client, &queue).await, None);

    let message = receive(client, &dead).await.unwrap();
    assert_eq!(message.body(), Some("poison"));
    assert_eq!(message.message_id(), first.message_id());
    assert_eq!(message.message_attributes, first.message_attributes);
    assert_eq!(system(&message, &MessageSystemAttributeName::AwsTraceHeader).as_deref(), Some(TRACE_HEADER));
}
