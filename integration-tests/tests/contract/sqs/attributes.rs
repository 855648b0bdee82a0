//! Attributes, system attributes and digests.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use super::{TRACE_HEADER, names, numbered, queue, receive, string, system, trace_header, typed};

pub(crate) async fn a_message_arrives_with_its_body_and_attributes(client: &Client) {
    let queue = queue(client).await;
    let bytes = Blob::new([0, 1, 2, 255]);
    let binary = MessageAttributeValue::builder().data_type("Binary.blob").binary_value(bytes).build().unwrap();
    let attributes = HashMap::from([
        ("traceparent".to_owned(), string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("count".to_owned(), typed("Number.int", "42")),
        ("blob".to_owned(), binary),
    ]);
    let body = "{\"order\": 1, \"name\": \"Zoë \u{1F4E6}\"}\n\t<&>";
    let sent = client
        .send_message()
        .queue_url(&queue)
        .message_body(body)
        .set_message_attributes(Some(attributes.clone()))
        .send()
        .await
        .unwrap();

    let message = receive(client, &queue).await.unwrap();
    assert_eq!(message.body(), Some(body));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.message_attributes, Some(attributes));
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
}

/// Digests as the real service gave them for these messages.
pub(crate) async fn digests_are_of_the_sent_attributes(client: &Client) {
    let queue = queue(client).await;
    let sent = client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .message_attributes("Help.Me", string("Me"))
        .message_attributes("Hello", string("There"))
        .message_attributes("General", string("Kenobi"))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("6e2baaf3b97dbeef01c0043275f9a0e7"));
    assert_eq!(sent.md5_of_message_attributes(), Some("4c360f3fdafd970e05fae2f149d997f5"));

    let plain = client.send_message().queue_url(&queue).message_body("msg").send().await.unwrap();
    assert_eq!(plain.md5_of_message_attributes(), None);
}

pub(crate) async fn attributes_come_only_when_asked_for(client: &Client) {
    let queue = queue(client).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .message_attributes("Hello", string("There"))
        .message_attributes("General", string("Kenobi"))
        .send()
        .await
        .unwrap();

    let cases: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (&["Foo"], &[]),
        (&["Hello", "Foo"], &["Hello"]),
        (&["All"], &["General", "Hello"]),
        (&[".*"], &["General", "Hello"]),
    ];
    for (asked, expected) in cases {
        let received = client
            .receive_message()
            .queue_url(&queue)
            .visibility_timeout(0)
            .set_message_attribute_names(Some(asked.iter().map(|&name| name.to_owned()).collect()))
            .send()
            .await
            .unwrap();
        let message = &received.messages()[0];
        assert_eq!(names(message), *expected, "{asked:?}");
        if *expected == ["Hello"] {
            assert_eq!(
                message.md5_of_message_attributes(),
                Some("a311262e065454b75da111d535b8dacd"),
                "the digest is that of the attributes received"
            );
        }
    }
}

pub(crate) async fn system_attributes_come_only_when_asked_for(client: &Client) {
    use MessageSystemAttributeName::{All, ApproximateReceiveCount, AwsTraceHeader, SenderId, SentTimestamp};
    let queue = queue(client).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace_header(TRACE_HEADER))
        .send()
        .await
        .unwrap();

    let look = |asked: Vec<MessageSystemAttributeName>| {
        let request = client.receive_message().queue_url(&queue).visibility_timeout(0);
        let request = request.set_message_system_attribute_names(Some(asked));
        async move { request.send().await.unwrap().messages.unwrap().remove(0) }
    };
    let message = look(vec![]).await;
    assert!(message.attributes.is_none_or(|all| all.is_empty()));

    let message = look(vec![AwsTraceHeader]).await;
    let only = HashMap::from([(AwsTraceHeader, TRACE_HEADER.to_owned())]);
    assert_eq!(message.attributes, Some(only));

    let message = look(vec![All]).await;
    assert_eq!(system(&message, &AwsTraceHeader).as_deref(), Some(TRACE_HEADER));
    assert_eq!(system(&message, &ApproximateReceiveCount).as_deref(), Some("3"));
    assert!(system(&message, &SenderId).is_some());
    let sent: u64 = system(&message, &SentTimestamp).unwrap().parse().unwrap();
    assert!(sent > 1_600_000_000_000, "milliseconds since the epoch");

    // The older name of the same parameter, which older clients use.
    #[allow(deprecated)]
    let request = client.receive_message().attribute_names(QueueAttributeName::All);
    let received = request.queue_url(&queue).send().await.unwrap();
    assert_eq!(system(&received.messages()[0], &AwsTraceHeader).as_deref(), Some(TRACE_HEADER));
}

pub(crate) async fn the_trace_header_needs_no_attribute_slot(client: &Client) {
    let queue = queue(client).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .set_message_attributes(Some(numbered(10)))
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace_header(TRACE_HEADER))
        .send()
        .await
        .unwrap();
    let message = receive(client, &queue).await.unwrap();
    assert_eq!(names(&message).len(), 10);
    assert_eq!(system(&message, &MessageSystemAttributeName::AwsTraceHeader).as_deref(), Some(TRACE_HEADER));
}

pub(crate) async fn each_message_of_a_batch_has_its_own_attributes_and_trace_header(client: &Client) {
    let queue = queue(client).await;
    let entries = ["a", "b", "c"].map(|id| {
        SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(id)
            .message_attributes("own", string(id))
            .message_system_attributes(
                MessageSystemAttributeNameForSends::AwsTraceHeader,
                trace_header(&format!("{TRACE_HEADER};own={id}")),
            )
            .build()
            .unwrap()
    });
    let sent = client.send_message_batch().queue_url(&queue).set_entries(Some(entries.to_vec())).send().await.unwrap();
    assert!(sent.failed().is_empty(), "{:?}", sent.failed());
    assert_eq!(sent.successful().len(), 3);

    let mut seen = BTreeMap::new();
    for _ in 0..3 {
        let message = receive(client, &queue).await.unwrap();
        let body = message.body().unwrap().to_owned();
        let own = message.message_attributes().unwrap()["own"].string_value();
        assert_eq!(own, Some(body.as_str()));
        let header = system(&message, &MessageSystemAttributeName::AwsTraceHeader).unwrap();
        assert!(header.ends_with(&format!("own={body}")), "{header}");
        seen.insert(body, header);
    }
    assert_eq!(seen.len(), 3);
}
