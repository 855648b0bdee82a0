//! The contract of RabbitMQ for clients, as functions of a broker's URI. The loopback double and a real RabbitMQ (3.10) are tested
//! by the same functions, which detects a wrong double.
//!
//! Each function uses names of its own, leaves nothing behind, and panics on the first violation. A test target calls
//! [`amqp_contract!`] with an async function that returns a broker.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind,
    message::{BasicGetMessage, Delivery},
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
        ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{FieldTable, ShortString},
};

pub(crate) mod content;
pub(crate) mod dead_letters;
pub(crate) mod failures;
pub(crate) mod routing;
pub(crate) mod settling;
pub(crate) mod wire;

/// Makes a test of each promise. `$broker` is an async function whose value has a `uri()`, and keeps the broker up
/// while it lives.
macro_rules! amqp_contract {
    ($broker:path) => {
        amqp_contract! { $broker;
            content::properties_headers_of_every_type_and_body_arrive_as_they_were_sent,
            content::a_body_of_many_frames_or_none_arrives_whole,
            content::an_empty_header_table_stays_one_and_none_stays_none,
            routing::the_default_exchange_leads_to_the_queue_of_that_name,
            routing::direct_fanout_and_topic_exchanges_choose_by_binding,
            routing::an_exchange_bound_to_another_passes_messages_on_once,
            routing::an_unbound_queue_gets_nothing_more,
            routing::a_server_named_queue_can_be_used_by_its_name,
            routing::purge_and_delete_say_how_much_was_lost,
            routing::unroutable_mandatory_message_is_returned_and_confirmed,
            routing::unroutable_message_is_only_confirmed,
            routing::every_publish_on_a_confirming_channel_is_confirmed,
            settling::get_returns_one_message_and_the_count_of_the_rest,
            settling::a_requeued_message_comes_again_in_its_place_marked_as_redelivered,
            settling::a_rejected_message_without_dead_letter_exchange_is_gone,
            settling::one_acknowledgement_can_settle_all_before_it,
            settling::prefetch_limits_messages_of_a_consumer,
            settling::shared_prefetch_limits_messages_of_a_channel,
            settling::consumers_of_a_queue_take_turns,
            settling::a_cancelled_consumer_gets_nothing_more,
            settling::consumer_is_cancelled_when_its_queue_is_deleted,
            settling::messages_of_a_closed_channel_are_requeued,
            settling::messages_of_a_closed_connection_are_requeued,
            settling::recover_brings_everything_unsettled_back,
            settling::an_auto_delete_queue_goes_with_its_last_consumer,
            dead_letters::a_rejected_message_carries_its_death,
            dead_letters::a_second_death_in_the_same_queue_counts_up,
            dead_letters::a_death_in_another_queue_comes_first_in_the_list,
            dead_letters::a_message_that_expires_loses_its_expiration,
            dead_letters::a_queue_can_limit_the_time_to_live,
            dead_letters::headers_survive_dead_lettering,
            failures::a_content_header_above_the_frame_limit_closes_the_connection,
            failures::the_client_can_agree_on_a_smaller_frame_limit,
            failures::an_unknown_exchange_closes_the_channel_only,
            failures::an_unknown_queue_closes_the_channel_only,
            failures::an_unknown_delivery_tag_closes_the_channel_only,
            failures::a_queue_cannot_be_declared_again_differently,
            failures::an_exclusive_queue_is_for_one_connection_and_dies_with_it,
            failures::reserved_names_are_refused,
            failures::a_wrong_password_or_virtual_host_is_refused,
            failures::an_expiration_that_is_no_number_is_refused,
            wire::a_header_table_is_carried_octet_for_octet,
            wire::a_frame_one_octet_above_the_limit_is_the_first_to_be_refused,
            wire::a_property_list_that_cannot_be_read_closes_the_connection,
            wire::a_frame_without_its_end_marker_closes_the_connection,
            wire::a_method_on_a_channel_that_is_not_open_closes_the_connection,
            wire::a_client_cannot_ask_for_more_than_is_offered_nor_for_too_little,
            wire::an_idle_connection_gets_heartbeats,
            wire::another_protocol_is_answered_with_the_one_that_is_spoken,
        }
    };
    ($broker:path; $($module:ident::$promise:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let broker = $broker().await;
                let uri = broker.uri();
                let promise = contract::amqp::$module::$promise(&uri);
                tokio::time::timeout(contract::amqp::LIMIT, promise)
                    .await
                    .expect("the broker answers at all");
            }
        )*
    };
}

/// Longer than anything takes; only so that a broken promise ends a test instead of hanging it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How long nothing must happen before it is taken as not happening. Too short a wait can only miss a broken promise.
const SILENCE: Duration = Duration::from_millis(150);

/// A unique name, also on a broker shared by many tests.
fn unique(what: &str) -> ShortString {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("contract.{what}.{}.{nanos}.{count}", std::process::id()).into()
}

async fn connect(uri: &str) -> Connection {
    Connection::connect(uri, ConnectionProperties::default()).await.expect("connects")
}

/// Closes a connection. lapin aborts a connection while it closes one of its channels, and it closes a channel in the background when
/// the last handle is dropped: keep the channels until after this call.
async fn close(connection: Connection) {
    if let Err(error) = connection.close(200, "done".into()).await {
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::InvalidChannelState(..)), "closes: {error}");
    }
}

async fn open(connection: &Connection) -> Channel {
    connection.create_channel().await.expect("opens a channel")
}

/// Declares a queue that goes away with its connection at the latest.
async fn declare(channel: &Channel, arguments: FieldTable) -> ShortString {
    let name = unique("queue");
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.clone(), options, arguments).await.expect("declares a queue");
    name
}

/// Declares a queue that any connection may use; to be deleted by [`delete`].
async fn declare_shared(channel: &Channel) -> ShortString {
    let name = unique("shared");
    let options = QueueDeclareOptions::default();
    channel.queue_declare(name.clone(), options, FieldTable::default()).await.expect("declares a queue");
    name
}

async fn delete(channel: &Channel, queue: &ShortString) -> u32 {
    channel.queue_delete(queue.clone(), QueueDeleteOptions::default()).await.expect("deletes a queue")
}

async fn declare_exchange(channel: &Channel, kind: ExchangeKind) -> ShortString {
    let name = unique("exchange");
    channel
        .exchange_declare(name.clone(), kind, ExchangeDeclareOptions::default(), FieldTable::default())
        .await
        .expect("declares an exchange");
    name
}

async fn delete_exchange(channel: &Channel, exchange: &ShortString) {
    channel.exchange_delete(exchange.clone(), ExchangeDeleteOptions::default()).await.expect("deletes an exchange");
}

async fn bind(channel: &Channel, queue: &ShortString, exchange: &ShortString, key: &str) {
    channel
        .queue_bind(queue.clone(), exchange.clone(), key.into(), QueueBindOptions::default(), FieldTable::default())
        .await
        .expect("binds");
}

async fn confirming(channel: &Channel) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
}

async fn publish(channel: &Channel, exchange: &ShortString, key: &str, body: &[u8], properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange.clone(), key.into(), options, body, properties)
        .await
        .expect("publishes")
        .await
        .expect("is confirmed, or needs no confirmation");
}

/// Publishes to a queue by the default exchange.
async fn send(channel: &Channel, queue: &ShortString, body: &[u8]) {
    let properties = BasicProperties::default();
    publish(channel, &"".into(), queue.as_str(), body, properties).await;
}

async fn get(channel: &Channel, queue: &ShortString) -> Option<BasicGetMessage> {
    channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.expect("gets")
}

/// Gets a message that is under way.
async fn get_soon(channel: &Channel, queue: &ShortString) -> Delivery {
    loop {
        if let Some(message) = get(channel, queue).await {
            return message.delivery;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn consume(channel: &Channel, queue: &ShortString) -> Consumer {
    channel
        .basic_consume(queue.clone(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .expect("consumes")
}

async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.next().await.expect("is not cancelled").expect("is delivered")
}

async fn nothing_comes(consumer: &mut Consumer) {
    let next = tokio::time::timeout(SILENCE, consumer.next()).await;
    assert!(next.is_err(), "nothing should have come: {next:?}");
}

fn body(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.data).expect("is text")
}

/// The code with which the broker refused.
fn refusal<T: std::fmt::Debug>(result: lapin::Result<T>) -> (u16, String) {
    let error = result.expect_err("is refused");
    match error.kind() {
        ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
        other => panic!("refused in another way: {other:?}"),
    }
}
