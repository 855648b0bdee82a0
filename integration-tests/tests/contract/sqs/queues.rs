//! Queues themselves.

use aws_sdk_sqs::Client;

use super::{counts, queue, receive, refusal, unique};

/// Endpoints disagree on the code: it is that of the JSON protocol or that of the older query protocol.
pub(crate) async fn a_queue_that_is_not_there_is_named_as_such(client: &Client) {
    let named = |code: String| {
        let known = ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"];
        assert!(known.contains(&code.as_str()), "{code}");
    };
    let find = client.get_queue_url().queue_name(unique("missing"));
    named(refusal(find.send().await, "no such name"));

    let gone = queue(client).await;
    client.delete_queue().queue_url(&gone).send().await.unwrap();
    let send = client.send_message().queue_url(&gone).message_body("msg");
    named(refusal(send.send().await, "no such queue"));
}

pub(crate) async fn a_queue_is_found_by_name_and_prefix(client: &Client) {
    let prefix = unique("prefix");
    let mut urls = Vec::new();
    for suffix in ["a", "b"] {
        let name = format!("{prefix}-{suffix}");
        let created = client.create_queue().queue_name(&name).send().await.unwrap();
        let again = client.create_queue().queue_name(&name).send().await.unwrap();
        let found = client.get_queue_url().queue_name(&name).send().await.unwrap();
        assert_eq!(created.queue_url(), again.queue_url());
        assert_eq!(created.queue_url(), found.queue_url());
        urls.push(created.queue_url.unwrap());
    }
    let listed = client.list_queues().queue_name_prefix(&prefix).send().await;
    let mut listed = listed.unwrap().queue_urls.unwrap();
    listed.sort_unstable();
    assert_eq!(listed, urls);
}

pub(crate) async fn a_purged_queue_is_empty(client: &Client) {
    let queue = queue(client).await;
    let send = client.send_message().queue_url(&queue).message_body("msg");
    send.send().await.unwrap();
    client.purge_queue().queue_url(&queue).send().await.unwrap();
    assert_eq!(receive(client, &queue).await, None);
}

pub(crate) async fn counts_tell_visible_and_hidden_messages_apart(client: &Client) {
    let queue = queue(client).await;
    for body in ["a", "b", "c"] {
        let send = client.send_message().queue_url(&queue).message_body(body);
        send.send().await.unwrap();
    }
    receive(client, &queue).await.unwrap();
    assert_eq!(counts(client, &queue).await, ("2".into(), "1".into()));
}
