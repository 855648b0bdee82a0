//! Consuming and settling.

use futures_util::StreamExt;
use lapin::{
    Consumer,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions,
        BasicRecoverOptions, BasicRejectOptions, QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
};

use super::{
    body, close, confirming, connect, consume, declare, declare_shared, delete, get, get_soon, next, nothing_comes,
    open, send, unique,
};

const ACK: BasicAckOptions = BasicAckOptions { multiple: false };
const REQUEUE: BasicNackOptions = BasicNackOptions { multiple: false, requeue: true };

async fn next_bodies(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(body(&next(consumer).await).to_owned());
    }
    bodies
}

pub(crate) async fn get_returns_one_message_and_the_count_of_the_rest(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    assert!(get(&channel, &queue).await.is_none());
    for text in ["a", "b"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    let options = BasicGetOptions { no_ack: false };
    let first = channel.basic_get(queue.clone(), options).await.expect("gets").expect("is there");
    assert_eq!((body(&first), first.message_count), ("a", 1));
    let second = get(&channel, &queue).await.expect("is there");
    assert_eq!((body(&second), second.message_count), ("b", 0));
    assert!(get(&channel, &queue).await.is_none());
    first.reject(BasicRejectOptions { requeue: true }).await.expect("rejects");
    let again = get_soon(&channel, &queue).await;
    assert_eq!((body(&again), again.redelivered), ("a", true));
    close(connection).await;
}

pub(crate) async fn a_requeued_message_comes_again_in_its_place_marked_as_redelivered(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    channel.basic_qos(1, BasicQosOptions::default()).await.expect("limits");
    for text in ["a", "b"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    let mut consumer = consume(&channel, &queue).await;
    let first = next(&mut consumer).await;
    assert_eq!((body(&first), first.redelivered), ("a", false));
    first.nack(REQUEUE).await.expect("nacks");
    let again = next(&mut consumer).await;
    assert_eq!((body(&again), again.redelivered), ("a", true));
    assert!(again.delivery_tag > first.delivery_tag);
    again.reject(BasicRejectOptions { requeue: true }).await.expect("rejects");
    let again = next(&mut consumer).await;
    assert_eq!((body(&again), again.redelivered), ("a", true));
    again.ack(ACK).await.expect("acks");
    let second = next(&mut consumer).await;
    assert_eq!((body(&second), second.redelivered), ("b", false));
    close(connection).await;
}

pub(crate) async fn a_rejected_message_without_dead_letter_exchange_is_gone(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;
    send(&channel, &queue, b"a").await;
    let delivery = next(&mut consumer).await;
    delivery.reject(BasicRejectOptions { requeue: false }).await.expect("rejects");
    nothing_comes(&mut consumer).await;
    close(connection).await;
}

pub(crate) async fn one_acknowledgement_can_settle_all_before_it(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    channel.basic_qos(3, BasicQosOptions::default()).await.expect("limits");
    let mut consumer = consume(&channel, &queue).await;
    for text in ["a", "b", "c", "d", "e", "f"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut consumer).await);
    }
    nothing_comes(&mut consumer).await;
    held[1].ack(BasicAckOptions { multiple: true }).await.expect("acks two");
    assert_eq!(next_bodies(&mut consumer, 2).await, ["d", "e"]);
    nothing_comes(&mut consumer).await;
    let all = BasicNackOptions { multiple: true, requeue: false };
    channel.basic_nack(0, all).await.expect("nacks all");
    assert_eq!(next_bodies(&mut consumer, 1).await, ["f"]);
    close(connection).await;
}

pub(crate) async fn prefetch_limits_messages_of_a_consumer(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    channel.basic_qos(2, BasicQosOptions::default()).await.expect("limits");
    let mut consumer = consume(&channel, &queue).await;
    for text in ["a", "b", "c"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    let first = next(&mut consumer).await;
    assert_eq!(next_bodies(&mut consumer, 1).await, ["b"]);
    nothing_comes(&mut consumer).await;
    first.ack(ACK).await.expect("acks");
    assert_eq!(next_bodies(&mut consumer, 1).await, ["c"]);

    // Who does not acknowledge is not bounded.
    let queue = declare(&channel, FieldTable::default()).await;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut consumer =
        channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await.expect("consumes");
    for text in ["a", "b", "c"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    assert_eq!(next_bodies(&mut consumer, 3).await, ["a", "b", "c"]);
    close(connection).await;
}

pub(crate) async fn shared_prefetch_limits_messages_of_a_channel(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let (one, two) = (declare(&channel, FieldTable::default()).await, declare(&channel, FieldTable::default()).await);
    channel.basic_qos(1, BasicQosOptions { global: true }).await.expect("limits");
    let (mut first, mut second) = (consume(&channel, &one).await, consume(&channel, &two).await);
    send(&channel, &one, b"a").await;
    let held = next(&mut first).await;
    send(&channel, &two, b"b").await;
    nothing_comes(&mut second).await;
    held.ack(ACK).await.expect("acks");
    assert_eq!(next_bodies(&mut second, 1).await, ["b"]);
    close(connection).await;
}

pub(crate) async fn consumers_of_a_queue_take_turns(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare_shared(&channel).await;
    let other = connect(uri).await;
    let mut consumers =
        [consume(&channel, &queue).await, consume(&open(&other).await, &queue).await, consume(&channel, &queue).await];
    for number in 0..9u8 {
        send(&channel, &queue, &[number]).await;
    }
    let mut seen = Vec::new();
    for consumer in &mut consumers {
        let mut own = Vec::new();
        for _ in 0..3 {
            own.extend(next(consumer).await.data.iter().copied());
        }
        assert!(own.windows(2).all(|pair| pair[1] - pair[0] == 3), "every third: {own:?}");
        seen.extend(own);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..9).collect::<Vec<u8>>());
    delete(&channel, &queue).await;
    close(other).await;
    close(connection).await;
}

pub(crate) async fn a_cancelled_consumer_gets_nothing_more(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;
    send(&channel, &queue, b"a").await;
    let held = next(&mut consumer).await;
    channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.expect("cancels");
    send(&channel, &queue, b"b").await;
    assert!(consumer.next().await.is_none(), "the stream ends");
    // Its unsettled messages can still be settled.
    held.nack(REQUEUE).await.expect("nacks");
    let first = get_soon(&channel, &queue).await;
    assert_eq!((body(&first), first.redelivered), ("a", true));
    assert_eq!(body(&get_soon(&channel, &queue).await), "b");
    close(connection).await;
}

pub(crate) async fn consumer_is_cancelled_when_its_queue_is_deleted(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare_shared(&channel).await;
    let mut consumer = consume(&channel, &queue).await;
    let other = connect(uri).await;
    delete(&open(&other).await, &queue).await;
    assert!(consumer.next().await.is_none(), "the stream ends");
    close(other).await;
    // The channel is as good as before.
    declare(&channel, FieldTable::default()).await;
    close(connection).await;
}

pub(crate) async fn messages_of_a_closed_channel_are_requeued(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    confirming(&channel).await;
    let queue = declare(&channel, FieldTable::default()).await;
    for text in ["a", "b", "c"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    let holder = open(&connection).await;
    let mut consumer = consume(&holder, &queue).await;
    let (a, b, c) = (next(&mut consumer).await, next(&mut consumer).await, next(&mut consumer).await);
    b.ack(ACK).await.expect("acks");
    holder.close(200, "done".into()).await.expect("closes");
    for text in ["a", "c"] {
        let delivery = get_soon(&channel, &queue).await;
        assert_eq!((body(&delivery), delivery.redelivered), (text, true));
    }
    assert!(get(&channel, &queue).await.is_none());
    drop((a, c));
    close(connection).await;
}

pub(crate) async fn messages_of_a_closed_connection_are_requeued(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare_shared(&channel).await;
    send(&channel, &queue, b"a").await;
    let holder = connect(uri).await;
    let mut consumer = consume(&open(&holder).await, &queue).await;
    let held = next(&mut consumer).await;
    close(holder).await;
    let delivery = get_soon(&channel, &queue).await;
    assert_eq!((body(&delivery), delivery.redelivered), ("a", true));
    drop(held);
    delete(&channel, &queue).await;
    close(connection).await;
}

pub(crate) async fn recover_brings_everything_unsettled_back(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let queue = declare(&channel, FieldTable::default()).await;
    let mut consumer = consume(&channel, &queue).await;
    for text in ["a", "b"] {
        send(&channel, &queue, text.as_bytes()).await;
    }
    next(&mut consumer).await.ack(ACK).await.expect("acks");
    let held = next(&mut consumer).await;
    channel.basic_recover(BasicRecoverOptions { requeue: true }).await.expect("recovers");
    let again = next(&mut consumer).await;
    assert_eq!((body(&again), again.redelivered), ("b", true));
    drop(held);
    close(connection).await;
}

pub(crate) async fn an_auto_delete_queue_goes_with_its_last_consumer(uri: &str) {
    let connection = connect(uri).await;
    let channel = open(&connection).await;
    let name: ShortString = unique("auto");
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.clone(), options, FieldTable::default()).await.expect("declares");
    let (one, two) = (consume(&channel, &name).await, consume(&channel, &name).await);
    for (consumer, left) in [(one, true), (two, false)] {
        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.expect("cancels");
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let there = open(&connection).await.queue_declare(name.clone(), passive, FieldTable::default()).await.is_ok();
        assert_eq!(there, left);
    }
    close(connection).await;
}
