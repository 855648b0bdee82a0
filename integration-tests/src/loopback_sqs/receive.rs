//! `ReceiveMessage`.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::attribute::Attribute;
use super::digest;
use super::limits::{self, MAX_VISIBILITY, MAX_WAIT};
use super::queue::{Delivery, Message};
use super::refusal::Refusal;
use super::state::{Shared, queue_name};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receive {
    queue_url: Option<String>,
    /// The older name of `MessageSystemAttributeNames`.
    attribute_names: Option<Vec<String>>,
    message_system_attribute_names: Option<Vec<String>>,
    message_attribute_names: Option<Vec<String>>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
}

/// The sender's account; a placeholder.
const SENDER: &str = "LOOPBACK";

const SYSTEM_ATTRIBUTES: &[&str] = &[
    "All",
    "AWSTraceHeader",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

/// `ReceiveMessage`: returns available messages at once, or waits for the first.
pub(super) async fn receive(shared: &Shared, request: Receive) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    let most = limits::in_range("MaxNumberOfMessages", request.max_number_of_messages.unwrap_or(1), 1, 10)?;
    let most = usize::try_from(most).unwrap_or(1);
    let visibility = match request.visibility_timeout {
        Some(seconds) => Some(Duration::from_secs(limits::in_range("VisibilityTimeout", seconds, 0, MAX_VISIBILITY)?)),
        None => None,
    };
    let wait = match request.wait_time_seconds {
        Some(seconds) => Duration::from_secs(limits::in_range("WaitTimeSeconds", seconds, 0, MAX_WAIT)?),
        None => shared.lock().queue(name)?.settings.wait,
    };
    let mut system_names = request.message_system_attribute_names.unwrap_or_default();
    system_names.extend(request.attribute_names.unwrap_or_default());
    if let Some(unknown) = system_names.iter().find(|name| !SYSTEM_ATTRIBUTES.contains(&name.as_str())) {
        return Err(Refusal::unknown_attribute(unknown));
    }
    let names = request.message_attribute_names.unwrap_or_default();

    let deliveries = take(shared, name, most, visibility, wait).await?;
    let messages: Vec<Value> = deliveries.iter().map(|delivery| to_json(delivery, &names, &system_names)).collect();
    Ok(json!({"Messages": messages}))
}

async fn take(
    shared: &Shared,
    name: &str,
    most: usize,
    visibility: Option<Duration>,
    wait: Duration,
) -> Result<Vec<Delivery>, Refusal> {
    let deadline = Instant::now() + wait;
    let mut closing = pin!(shared.closed());
    loop {
        let changed = Arc::clone(&shared.lock().queue(name)?.changed);
        // Listening before looking, or a message that arrives in between would be slept over.
        let changed = changed.notified();
        let taken = shared.lock().take(name, most, visibility)?;
        if !taken.deliveries.is_empty() || Instant::now() >= deadline {
            return Ok(taken.deliveries);
        }
        let wake = taken.next_visible.map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            () = changed => {}
            () = sleep_until(wake) => {}
            () = &mut closing => return Ok(Vec::new()),
        }
    }
}

fn to_json(delivery: &Delivery, names: &[String], system_names: &[String]) -> Value {
    let message = &delivery.message;
    let mut json = Map::new();
    let mut set = |key: &str, value: Value| json.insert(key.to_owned(), value);
    set("MessageId", json!(message.id));
    set("ReceiptHandle", json!(delivery.handle.to_text()));
    set("Body", json!(message.body));
    set("MD5OfBody", json!(digest::of_body(&message.body)));
    if !names.is_empty() {
        let asked: BTreeMap<&String, &Attribute> =
            message.attributes.iter().filter(|(name, _)| names.iter().any(|filter| matches(filter, name))).collect();
        // The digest is that of the attributes in the answer, not of all that the message has.
        if let Some(digest) = digest::of_attributes(asked.iter().map(|(name, of)| (*name, *of))) {
            set("MD5OfMessageAttributes", json!(digest));
        }
        let asked: BTreeMap<&String, Value> =
            asked.into_iter().map(|(name, attribute)| (name, attribute.to_json())).collect();
        set("MessageAttributes", json!(asked));
    }
    let system = system_attributes(message, system_names);
    if !system.is_empty() {
        set("Attributes", json!(system));
    }
    Value::Object(json)
}

/// Whether a filter of `MessageAttributeNames` lets an attribute through: a name, `All`, `.*`, or `prefix.*`.
fn matches(filter: &str, name: &str) -> bool {
    match filter {
        "All" | "*" => true,
        _ => match filter.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => filter == name,
        },
    }
}

fn system_attributes(message: &Message, asked: &[String]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = message
        .system
        .iter()
        .filter_map(|(name, attribute)| Some((name.clone(), attribute.as_str()?.to_owned())))
        .collect();
    let first_received = message.first_received.map(|at| at.to_string());
    for (name, value) in [
        ("SenderId", Some(SENDER.to_owned())),
        ("SentTimestamp", Some(message.sent.to_string())),
        ("ApproximateReceiveCount", Some(message.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", first_received),
        ("MessageGroupId", message.group.clone()),
        ("DeadLetterQueueSourceArn", message.dead_letter_source.clone()),
    ] {
        if let Some(value) = value {
            all.insert(name.to_owned(), value);
        }
    }
    if !asked.iter().any(|name| name == "All") {
        all.retain(|name, _| asked.contains(name));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn attribute_filters_match_names_and_prefixes() {
        for (filter, name, expected) in [
            ("All", "a", true),
            (".*", "a", true),
            ("*", "a", true),
            ("Hel.*", "Hello", true),
            ("Hel.*", "Help.Me", true),
            ("Help", "Help.Me", false),
            ("trace.*", "traceparent", true),
            ("trace.*", "x-trace", false),
            ("traceparent", "Traceparent", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
        }
    }
}
