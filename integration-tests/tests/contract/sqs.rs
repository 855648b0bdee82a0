//! What a sender and a receiver of SQS can rely on, for any endpoint that speaks its JSON protocol.
//!
//! Each function is a test of its own, on queues of its own, so that they may run at once and again on an endpoint that
//! keeps its queues. [`sqs_contract!`] makes a test of each. What real stand-ins are known not to enforce is in
//! `sqs_strict.rs`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::send_message::SendMessageError;
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};

/// One mebibyte: the most of a message and of a batch.
pub(crate) const LIMIT: usize = 1_048_576;

pub(crate) const TRACE_HEADER: &str =
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// Makes a test of each function of this file; `$connect` is an async function that returns something to keep alive
/// during the test, and a client.
macro_rules! sqs_contract {
    ($connect:path) => {
        $crate::contract::sqs::sqs_tests!(
            $connect,
            $crate::contract::sqs,
            a_message_arrives_with_its_body_and_attributes,
            digests_are_those_of_what_was_sent,
            attributes_come_only_when_asked_for,
            system_attributes_come_only_when_asked_for,
            the_trace_header_needs_no_attribute_slot,
            each_message_of_a_batch_has_its_own_attributes_and_trace_header,
            ten_attributes_pass_and_the_eleventh_is_refused,
            empty_values_are_refused,
            an_empty_body_is_refused,
            characters_that_xml_forbids_are_refused,
            one_mebibyte_passes_and_one_byte_more_is_refused,
            a_batch_over_one_mebibyte_is_refused,
            a_batch_has_one_to_ten_entries_with_distinct_legal_ids,
            a_bad_entry_of_a_batch_fails_alone,
            a_waiting_receive_gets_a_message_that_is_sent_later,
            a_wait_for_nothing_ends_empty,
            a_received_message_is_hidden_until_its_visibility_ends,
            a_batch_of_visibilities_changes_each,
            a_deleted_message_is_gone,
            a_message_that_fails_too_often_goes_to_the_dead_letter_queue_with_its_attributes,
            a_queue_that_is_not_there_is_named_as_such,
            a_queue_is_found_by_name_and_prefix,
            a_purged_queue_is_empty,
            counts_tell_visible_and_hidden_messages_apart,
        );
    };
}

macro_rules! sqs_tests {
    ($connect:path, $module:path, $($name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                use $module as contract;
                let (_alive, client) = $connect().await;
                contract::$name(&client).await;
            }
        )*
    };
}

pub(crate) use {sqs_contract, sqs_tests};

/// A client for an endpoint on plain HTTP.
///
/// The SDK without its default features has no HTTP client and no TLS; `build_http` of the smithy client gives it one
/// without TLS.
pub(crate) fn client(endpoint_url: &str) -> Client {
    let credentials = Credentials::new("loopback", "loopback", None, None, "loopback");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint_url)
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// A name that no other test and no earlier run has used.
pub(crate) fn unique(label: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{label}-{:x}-{now:x}-{number}", std::process::id())
}

/// Creates a queue of that attributes and returns its URL.
pub(crate) async fn queue_with(
    client: &Client,
    attributes: &[(QueueAttributeName, &str)],
) -> String {
    let mut request = client.create_queue().queue_name(unique("contract"));
    for (name, value) in attributes {
        request = request.attributes(name.clone(), *value);
    }
    request.send().await.unwrap().queue_url.unwrap()
}

pub(crate) async fn queue(client: &Client) -> String {
    queue_with(client, &[]).await
}

pub(crate) fn typed(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type(data_type)
        .string_value(value)
        .build()
        .unwrap()
}

pub(crate) fn string(value: &str) -> MessageAttributeValue {
    typed("String", value)
}

pub(crate) fn trace_header(value: &str) -> MessageSystemAttributeValue {
    MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .unwrap()
}

pub(crate) fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body(body)
        .build()
        .unwrap()
}

pub(crate) fn numbered(count: usize) -> HashMap<String, MessageAttributeValue> {
    (0..count)
        .map(|number| (format!("key-{number}"), string("v")))
        .collect()
}

/// Receives one message with everything there is to ask for.
pub(crate) async fn receive(client: &Client, queue: &str) -> Option<Message> {
    let received = client
        .receive_message()
        .queue_url(queue)
        .wait_time_seconds(1)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    received.messages.unwrap_or_default().pop()
}

/// Asserts that the send is refused, by the service and not by the client or the network.
pub(crate) async fn refused(send: SendMessageFluentBuilder, why: &str) {
    match send.send().await {
        Ok(_) => panic!("accepted: {why}"),
        Err(error) => {
            let error = error
                .as_service_error()
                .unwrap_or_else(|| panic!("{why}: {error:?}"));
            assert!(error.meta().code().is_some(), "{why}: {error:?}");
        }
    }
}

fn names(message: &Message) -> Vec<&str> {
    let mut names: Vec<&str> = message
        .message_attributes
        .iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

fn system(message: &Message, name: &MessageSystemAttributeName) -> Option<String> {
    message.attributes.as_ref()?.get(name).cloned()
}

pub(crate) async fn a_message_arrives_with_its_body_and_attributes(client: &Client) {
    let queue = queue(client).await;
    let bytes = Blob::new([0, 1, 2, 255]);
    let binary = MessageAttributeValue::builder()
        .data_type("Binary.blob")
        .binary_value(bytes)
        .build()
        .unwrap();
    let attributes = HashMap::from([
        (
            "traceparent".to_owned(),
            string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ),
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
    assert_eq!(
        message.md5_of_message_attributes(),
        sent.md5_of_message_attributes()
    );
}

/// Digests as the real service gave them for these messages.
pub(crate) async fn digests_are_those_of_what_was_sent(client: &Client) {
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
    assert_eq!(
        sent.md5_of_message_body(),
        Some("6e2baaf3b97dbeef01c0043275f9a0e7")
    );
    assert_eq!(
        sent.md5_of_message_attributes(),
        Some("4c360f3fdafd970e05fae2f149d997f5")
    );

    let plain = client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .send()
        .await
        .unwrap();
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
    use MessageSystemAttributeName::{
        All, ApproximateReceiveCount, AwsTraceHeader, SenderId, SentTimestamp,
    };
    let queue = queue(client).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace_header(TRACE_HEADER),
        )
        .send()
        .await
        .unwrap();

    let look = |asked: Vec<MessageSystemAttributeName>| {
        let request = client
            .receive_message()
            .queue_url(&queue)
            .visibility_timeout(0);
        let request = request.set_message_system_attribute_names(Some(asked));
        async move { request.send().await.unwrap().messages.unwrap().remove(0) }
    };
    let message = look(vec![]).await;
    assert!(message.attributes.is_none_or(|all| all.is_empty()));

    let message = look(vec![AwsTraceHeader]).await;
    let only = HashMap::from([(AwsTraceHeader, TRACE_HEADER.to_owned())]);
    assert_eq!(message.attributes, Some(only));

    let message = look(vec![All]).await;
    assert_eq!(
        system(&message, &AwsTraceHeader).as_deref(),
        Some(TRACE_HEADER)
    );
    assert_eq!(
        system(&message, &ApproximateReceiveCount).as_deref(),
        Some("3")
    );
    assert!(system(&message, &SenderId).is_some());
    let sent: u64 = system(&message, &SentTimestamp).unwrap().parse().unwrap();
    assert!(sent > 1_600_000_000_000, "milliseconds since the epoch");

    // The older name of the same parameter, which older clients use.
    #[allow(deprecated)]
    let request = client
        .receive_message()
        .attribute_names(QueueAttributeName::All);
    let received = request.queue_url(&queue).send().await.unwrap();
    assert_eq!(
        system(&received.messages()[0], &AwsTraceHeader).as_deref(),
        Some(TRACE_HEADER)
    );
}

pub(crate) async fn the_trace_header_needs_no_attribute_slot(client: &Client) {
    let queue = queue(client).await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("msg")
        .set_message_attributes(Some(numbered(10)))
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace_header(TRACE_HEADER),
        )
        .send()
        .await
        .unwrap();
    let message = receive(client, &queue).await.unwrap();
    assert_eq!(names(&message).len(), 10);
    assert_eq!(
        system(&message, &MessageSystemAttributeName::AwsTraceHeader).as_deref(),
        Some(TRACE_HEADER)
    );
}

pub(crate) async fn each_message_of_a_batch_has_its_own_attributes_and_trace_header(
    client: &Client,
) {
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
    let sent = client
        .send_message_batch()
        .queue_url(&queue)
        .set_entries(Some(entries.to_vec()))
        .send()
        .await
        .unwrap();
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
    refused(
        send.message_attributes("tracestate", string("")),
        "an empty value",
    )
    .await;
}

pub(crate) async fn an_empty_body_is_refused(client: &Client) {
    let queue = queue(client).await;
    refused(
        client.send_message().queue_url(&queue).message_body(""),
        "an empty body",
    )
    .await;
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
        send.entries(entry("a", "x".repeat(LIMIT / 2)))
            .entries(entry("b", "x".repeat(second)))
    };
    let sent = send(LIMIT / 2).send().await.unwrap();
    assert_eq!(sent.successful().len(), 2);
    let error = send(LIMIT / 2 + 1).send().await.unwrap_err();
    assert!(
        error
            .as_service_error()
            .is_some_and(SendMessageBatchError::is_batch_request_too_long),
        "{error:?}"
    );
}

pub(crate) async fn a_batch_has_one_to_ten_entries_with_distinct_legal_ids(client: &Client) {
    let queue = queue(client).await;
    let send = |ids: &[&str]| {
        let entries = ids.iter().map(|id| entry(id, "msg")).collect();
        let send = client.send_message_batch().queue_url(&queue);
        let send = send.set_entries(Some(entries)).send();
        async move { send.await.map_err(SdkError::into_service_error) }
    };
    let ten = ["0", "1", "2", "3", "4", "5", "6", "7", "_", "-"];
    assert_eq!(send(&ten).await.unwrap().successful().len(), 10);
    let eleven = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    let error = send(&eleven).await.unwrap_err();
    assert!(error.is_too_many_entries_in_batch_request(), "{error:?}");
    let error = send(&["a", "b", "a"]).await.unwrap_err();
    assert!(error.is_batch_entry_ids_not_distinct(), "{error:?}");
    let error = send(&["a b"]).await.unwrap_err();
    assert!(error.is_invalid_batch_entry_id(), "{error:?}");
    let error = send(&[]).await.unwrap_err();
    assert!(error.is_empty_batch_request(), "{error:?}");
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
    let successful: Vec<&str> = sent
        .successful()
        .iter()
        .map(SendMessageBatchResultEntry::id)
        .collect();
    assert_eq!(successful, ["first", "last"]);
    let failed: Vec<&str> = sent
        .failed()
        .iter()
        .map(BatchResultErrorEntry::id)
        .collect();
    assert_eq!(failed, ["eleven"]);
    assert!(sent.failed()[0].sender_fault());
}

pub(crate) async fn a_waiting_receive_gets_a_message_that_is_sent_later(client: &Client) {
    let queue = queue(client).await;
    let waiting = tokio::spawn(
        client
            .receive_message()
            .queue_url(&queue)
            .wait_time_seconds(20)
            .send(),
    );
    let send = client.send_message().queue_url(&queue).message_body("late");
    send.send().await.unwrap();
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received.messages()[0].body(), Some("late"));
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
    assert_eq!(
        system(
            &second,
            &MessageSystemAttributeName::ApproximateReceiveCount
        )
        .as_deref(),
        Some("2")
    );
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
    let received = client
        .receive_message()
        .queue_url(&queue)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap();
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

pub(crate) async fn a_message_that_fails_too_often_goes_to_the_dead_letter_queue_with_its_attributes(
    client: &Client,
) {
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
        &[
            (QueueAttributeName::VisibilityTimeout, "0"),
            (QueueAttributeName::RedrivePolicy, &policy),
        ],
    )
    .await;
    client
        .send_message()
        .queue_url(&queue)
        .message_body("poison")
        .message_attributes("traceparent", string("00-00-00-00"))
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace_header(TRACE_HEADER),
        )
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
    assert_eq!(
        system(&message, &MessageSystemAttributeName::AwsTraceHeader).as_deref(),
        Some(TRACE_HEADER)
    );
}

pub(crate) async fn a_queue_that_is_not_there_is_named_as_such(client: &Client) {
    let name = unique("missing");
    let error = client
        .get_queue_url()
        .queue_name(&name)
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());

    let gone = queue(client).await;
    client.delete_queue().queue_url(&gone).send().await.unwrap();
    let send = client.send_message().queue_url(&gone).message_body("msg");
    let error = send.send().await.unwrap_err().into_service_error();
    assert!(
        matches!(error, SendMessageError::QueueDoesNotExist(_)),
        "{error:?}"
    );
}

pub(crate) async fn a_queue_is_found_by_name_and_prefix(client: &Client) {
    let prefix = unique("prefix");
    let mut urls = Vec::new();
    for suffix in ["a", "b"] {
        let name = format!("{prefix}-{suffix}");
        let created = client
            .create_queue()
            .queue_name(&name)
            .send()
            .await
            .unwrap();
        let again = client
            .create_queue()
            .queue_name(&name)
            .send()
            .await
            .unwrap();
        let found = client
            .get_queue_url()
            .queue_name(&name)
            .send()
            .await
            .unwrap();
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

async fn counts(client: &Client, queue: &str) -> (String, String) {
    use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
    let attributes = client
        .get_queue_attributes()
        .queue_url(queue)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .unwrap()
        .attributes
        .unwrap();
    (
        attributes[&ApproximateNumberOfMessages].clone(),
        attributes[&ApproximateNumberOfMessagesNotVisible].clone(),
    )
}
