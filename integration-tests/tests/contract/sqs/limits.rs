//! Rejected requests.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry, SendMessageBatchResultEntry};

use super::{LIMIT, entry, numbered, queue, receive, refusal, refused, string};

pub(crate) async fn ten_attributes_pass_and_the_eleventh_is_refused(client: &Client) {
    let queue = queue(client).await;
    let send = |count| {
        let send = client.send_message().queue_url(&queue).message_body("msg");
        send.set_message_attributes(Some(numbered(count)))
    };
    send(10).send().await.unwrap();
    refused(send(11), "eleven attributes").await;
}

pub(crate) async fn empty_values_are_refused(client: &Client) {
    let queue = queue(client).await;
    let send = client.send_message().queue_url(&queue).message_body("msg");
    refused(send.message_attributes("tracestate", string("")), "an empty value").await;
}

pub(crate) async fn an_empty_body_is_refused(client: &Client) {
    let queue = queue(client).await;
    refused(client.send_message().queue_url(&queue).message_body(""), "an empty body").await;
}

pub(crate) async fn characters_that_xml_forbids_are_refused(client: &Client) {
    let queue = queue(client).await;
    let send = |body: &str, value: &str| {
        let send = client.send_message().queue_url(&queue).message_body(body);
        send.message_attributes("key", string(value))
    };
    let legal = "\t\n\r \u{D7FF}\u{E000}\u{FFFD}\u{10000}";
    send(legal, legal).send().await.unwrap();
    for illegal in ["\0", "\u{1}", "\u{B}", "\u{1F}"] {
        refused(send(illegal, "v"), &format!("{illegal:?} in the body")).await;
        refused(send("body", illegal), &format!("{illegal:?} in a value")).await;
    }
}

pub(crate) async fn one_mebibyte_passes_and_one_byte_more_is_refused(client: &Client) {
    let queue = queue(client).await;
    let send = |length| {
        let send = client.send_message().queue_url(&queue);
        send.message_body("x".repeat(length))
    };
    send(LIMIT).send().await.unwrap();
    let message = receive(client, &queue).await.unwrap();
    assert_eq!(message.body().map(str::len), Some(LIMIT));
    refused(send(LIMIT + 1), "one byte over the limit").await;
}

pub(crate) async fn a_batch_over_one_mebibyte_is_refused(client: &Client) {
    let queue = queue(client).await;
    let send = |second: usize| {
        let send = client.send_message_batch().queue_url(&queue);
        send.entries(entry("a", "x".repeat(LIMIT / 2))).entries(entry("b", "x".repeat(second)))
    };
    let sent = send(LIMIT / 2).send().await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    refusal(send(LIMIT / 2 + 1).send().await, "one byte over the limit");
}

pub(crate) async fn a_batch_has_at_most_ten_entries_with_distinct_ids(client: &Client) {
    let queue = queue(client).await;
    let send = |ids: &[&str]| {
        let entries = ids.iter().map(|id| entry(id, "msg")).collect();
        let send = client.send_message_batch().queue_url(&queue);
        send.set_entries(Some(entries)).send()
    };
    let ten = ["0", "1", "2", "3", "4", "5", "6", "7", "_", "-"];
    assert_eq!(send(&ten).await.unwrap().successful().len(), 10);
    let eleven = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    refusal(send(&eleven).await, "eleven entries");
    refusal(send(&["a", "b", "a"]).await, "an id twice");
}

pub(crate) async fn a_bad_entry_of_a_batch_fails_alone(client: &Client) {
    let queue = queue(client).await;
    let eleven = SendMessageBatchRequestEntry::builder()
        .id("eleven")
        .message_body("msg")
        .set_message_attributes(Some(numbered(11)))
        .build()
        .unwrap();
    let sent = client
        .send_message_batch()
        .queue_url(&queue)
        .entries(entry("first", "msg"))
        .entries(eleven)
        .entries(entry("last", "msg"))
        .send()
        .await
        .unwrap();
    let successful: Vec<&str> = sent.successful().iter().map(SendMessageBatchResultEntry::id).collect();
    assert_eq!(successful, ["first", "last"]);
    let failed: Vec<&str> = sent.failed().iter().map(BatchResultErrorEntry::id).collect();
    assert_eq!(failed, ["eleven"]);
    assert!(sent.failed()[0].sender_fault());
}
