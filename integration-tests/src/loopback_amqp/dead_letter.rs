//! The `x-death` table of a dead letter, as RabbitMQ 3.x writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use amq_protocol::{
    protocol::BasicProperties,
    types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString},
};

use super::message::Published;

/// Why a message left its queue without being consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RejectReason {
    Rejected,
    Expired,
}

impl RejectReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// The message as it goes to the dead-letter exchange: with its death on record, and without an expiration.
pub(super) fn dead_letter(
    message: &Published,
    queue: &str,
    reason: RejectReason,
    exchange: &str,
    routing_key: Option<&str>,
) -> Published {
    let mut headers = message.headers().cloned().unwrap_or_default();
    record_death(&mut headers, message, queue, reason);
    let mut dead = message.clone();
    dead.set_properties(without_expiration(message.properties()).with_headers(headers));
    dead.exchange = exchange.to_owned();
    if let Some(routing_key) = routing_key {
        dead.routing_key = routing_key.to_owned();
    }
    dead.mandatory = false;
    dead
}

/// Whether a message that died for `reason` came to `queue` before, in a cycle without a rejection:
/// RabbitMQ drops such a message instead of letting it go round for ever.
pub(super) fn goes_in_circles(message: &Published, queue: &str, reason: RejectReason) -> bool {
    if reason == RejectReason::Rejected {
        return false;
    }
    let Some(AMQPValue::FieldArray(deaths)) = message.header("x-death") else {
        return false;
    };
    for death in deaths.as_slice() {
        let AMQPValue::FieldTable(death) = death else {
            return false;
        };
        if is_text(death, "reason", RejectReason::Rejected.as_str()) {
            return false;
        }
        if is_text(death, "queue", queue) {
            return true;
        }
    }
    false
}

fn record_death(headers: &mut FieldTable, message: &Published, queue: &str, reason: RejectReason) {
    let reason = reason.as_str();
    let earlier = match headers.inner().get("x-death") {
        Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice().to_vec(),
        _ => Vec::new(),
    };
    if !headers.contains_key("x-death") {
        put(headers, "x-first-death-reason", text(reason));
        put(headers, "x-first-death-queue", text(queue));
        put(headers, "x-first-death-exchange", text(&message.exchange));
    }
    let (same, mut others): (Vec<_>, Vec<_>) = earlier.into_iter().partition(|death| {
        matches!(death, AMQPValue::FieldTable(death)
            if is_text(death, "queue", queue) && is_text(death, "reason", reason))
    });
    let death = match same.into_iter().next() {
        Some(AMQPValue::FieldTable(mut death)) => {
            let count = match death.inner().get("count") {
                Some(AMQPValue::LongLongInt(count)) => count.saturating_add(1),
                _ => 1,
            };
            put(&mut death, "count", AMQPValue::LongLongInt(count));
            death
        }
        _ => first_death(message, queue, reason),
    };
    others.insert(0, AMQPValue::FieldTable(death));
    put(headers, "x-death", FieldArray::from(others).into());
}

fn first_death(message: &Published, queue: &str, reason: &str) -> FieldTable {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let routing_keys = FieldArray::from(vec![text(&message.routing_key)]);
    let mut death = FieldTable::default();
    put(&mut death, "count", AMQPValue::LongLongInt(1));
    put(&mut death, "reason", text(reason));
    put(&mut death, "queue", text(queue));
    put(&mut death, "time", AMQPValue::Timestamp(seconds));
    put(&mut death, "exchange", text(&message.exchange));
    put(&mut death, "routing-keys", routing_keys.into());
    if let Some(expiration) = message.properties().expiration() {
        put(&mut death, "original-expiration", text(expiration.as_str()));
    }
    death
}

fn put(table: &mut FieldTable, key: &str, value: AMQPValue) {
    table.insert(ShortString::from(key), value);
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn is_text(table: &FieldTable, key: &str, expected: &str) -> bool {
    matches!(table.inner().get(key), Some(AMQPValue::LongString(text)) if text.as_bytes() == expected.as_bytes())
}

/// The codec's properties can be added to but not taken away from.
fn without_expiration(from: &BasicProperties) -> BasicProperties {
    let mut to = BasicProperties::default();
    macro_rules! copy {
        ($($get:ident => $with:ident),* $(,)?) => {
            $(if let Some(value) = from.$get() { to = to.$with(value.clone()); })*
        };
    }
    copy!(
        content_type => with_content_type,
        content_encoding => with_content_encoding,
        headers => with_headers,
        delivery_mode => with_delivery_mode,
        priority => with_priority,
        correlation_id => with_correlation_id,
        reply_to => with_reply_to,
        message_id => with_message_id,
        timestamp => with_timestamp,
        kind => with_type,
        user_id => with_user_id,
        app_id => with_app_id,
        cluster_id => with_cluster_id,
    );
    to
}
