//! The contract of SQS for senders and receivers, for any endpoint with its JSON protocol.
//!
//! Each function of the modules below is a test of its own, on queues of its own, so that they may run at once and again on an endpoint that
//! keeps its queues. [`sqs_contract!`] makes a test of each. Rules that known stand-ins do not enforce are in
//! `sqs_strict.rs`.

mod attributes;
mod delivery;
mod limits;
mod queues;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder;
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

pub(crate) use self::attributes::*;
pub(crate) use self::delivery::*;
pub(crate) use self::limits::*;
pub(crate) use self::queues::*;

/// One mebibyte: the most of a message and of a batch.
pub(crate) const LIMIT: usize = 1_048_576;

pub(crate) const TRACE_HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// Makes a test of each function of the modules below; `$connect` is an async function that returns something to keep alive
/// during the test, and a client.
macro_rules! sqs_contract {
    ($connect:path) => {
        $crate::contract::sqs::sqs_tests!(
            $connect,
            $crate::contract::sqs,
            a_message_arrives_with_its_body_and_attributes,
            digests_are_of_the_sent_attributes,
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
            a_batch_has_at_most_ten_entries_with_distinct_ids,
            a_bad_entry_of_a_batch_fails_alone,
            a_waiting_receive_gets_a_message_that_is_sent_later,
            a_delayed_message_comes_when_its_delay_ends,
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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{label}-{:x}-{now:x}-{number}", std::process::id())
}

/// Creates a queue of that attributes and returns its URL.
pub(crate) async fn queue_with(client: &Client, attributes: &[(QueueAttributeName, &str)]) -> String {
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
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build().unwrap()
}

pub(crate) fn string(value: &str) -> MessageAttributeValue {
    typed("String", value)
}

pub(crate) fn trace_header(value: &str) -> MessageSystemAttributeValue {
    MessageSystemAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

pub(crate) fn entry(id: &str, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

pub(crate) fn numbered(count: usize) -> HashMap<String, MessageAttributeValue> {
    (0..count).map(|number| (format!("key-{number}"), string("v"))).collect()
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

/// The error code of a refusal by the service. Panics when there is none, or one of the client or the network.
///
/// Codes differ between endpoints; that there is one shows that the service has read the request and refuses it.
pub(crate) fn refusal<T, E>(answer: Result<T, SdkError<E>>, why: &str) -> String
where
    E: ProvideErrorMetadata + Debug,
{
    match answer {
        Ok(_) => panic!("accepted: {why}"),
        Err(SdkError::ServiceError(error)) => {
            let code = error.err().code();
            code.unwrap_or_else(|| panic!("{why}: {error:?}")).to_owned()
        }
        Err(error) => panic!("{why}: {error:?}"),
    }
}

/// Asserts that the service refuses to send.
pub(crate) async fn refused(send: SendMessageFluentBuilder, why: &str) {
    refusal(send.send().await, why);
}

fn names(message: &Message) -> Vec<&str> {
    let mut names: Vec<&str> = message.message_attributes.iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

fn system(message: &Message, name: &MessageSystemAttributeName) -> Option<String> {
    message.attributes.as_ref()?.get(name).cloned()
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
    (attributes[&ApproximateNumberOfMessages].clone(), attributes[&ApproximateNumberOfMessagesNotVisible].clone())
}
