//! Operations on queues.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::limits;
use super::queue::Queue;
use super::refusal::Refusal;
use super::settings::Settings;
use super::state::{Shared, State, arn, now_ms, queue_name};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    queue_name: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByName {
    queue_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByUrl {
    queue_url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetAttributes {
    queue_url: Option<String>,
    attribute_names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetAttributes {
    queue_url: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

/// Attributes that are asked for by name and not always there.
const OPTIONAL: &[&str] = &[
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "RedrivePolicy",
];

/// `CreateQueue`: again with the same attributes is no error.
pub(super) fn create(shared: &Shared, request: Create) -> Result<Value, Refusal> {
    let name = request.queue_name.ok_or_else(|| Refusal::missing("QueueName"))?;
    check_name(&name)?;
    let attributes = request.attributes.unwrap_or_default();
    let mut state = shared.lock();
    let mut settings = Settings::default();
    settings.apply(&attributes, |target| state.queues.contains_key(target))?;
    if let Some(queue) = state.queues.get(&name) {
        let existing = queue.settings.attributes();
        if let Some(different) = attributes.iter().find(|(attribute, value)| existing.get(*attribute) != Some(value)) {
            return Err(Refusal::queue_exists(different.0));
        }
    } else {
        insert(&mut state, name.clone(), settings);
    }
    Ok(json!({"QueueUrl": shared.queue_url(&name)}))
}

/// Creates a queue if it isn't there, and returns its URL.
pub(super) fn ensure(shared: &Shared, name: &str) -> Result<String, Refusal> {
    check_name(name)?;
    let mut state = shared.lock();
    if !state.queues.contains_key(name) {
        insert(&mut state, name.to_owned(), Settings::default());
    }
    Ok(shared.queue_url(name))
}

/// `GetQueueUrl`.
pub(super) fn url(shared: &Shared, request: ByName) -> Result<Value, Refusal> {
    let name = request.queue_name.ok_or_else(|| Refusal::missing("QueueName"))?;
    shared.lock().queue(&name)?;
    Ok(json!({"QueueUrl": shared.queue_url(&name)}))
}

/// `ListQueues`, in pages when `MaxResults` is set.
pub(super) fn list(shared: &Shared, request: List) -> Result<Value, Refusal> {
    let most = match request.max_results {
        Some(most) => Some(limits::in_range("MaxResults", most, 1, 1000)?),
        None => None,
    };
    let prefix = request.queue_name_prefix.unwrap_or_default();
    let after = request.next_token.unwrap_or_default();
    let state = shared.lock();
    let mut names = state.queues.keys().filter(|name| name.starts_with(&prefix) && **name > after).peekable();
    let page = usize::try_from(most.unwrap_or(1000)).unwrap_or(1000);
    let listed: Vec<&String> = names.by_ref().take(page).collect();
    let urls: Vec<String> = listed.iter().map(|name| shared.queue_url(name)).collect();
    let mut answer = json!({"QueueUrls": urls});
    // Like the service: a page token only if the request sets the page size.
    if most.is_some()
        && names.peek().is_some()
        && let (Some(last), Some(answer)) = (listed.last(), answer.as_object_mut())
    {
        answer.insert("NextToken".to_owned(), json!(last));
    }
    Ok(answer)
}

/// `DeleteQueue`, with all its messages.
pub(super) fn delete(shared: &Shared, request: &ByUrl) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    let queue = shared.lock().queues.remove(name).ok_or_else(Refusal::no_such_queue)?;
    queue.changed.notify_waiters();
    Ok(json!({}))
}

/// `PurgeQueue`.
pub(super) fn purge(shared: &Shared, request: &ByUrl) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    shared.lock().queue(name)?.purge();
    Ok(json!({}))
}

/// `GetQueueAttributes`: the settings and the message counts.
pub(super) fn attributes(shared: &Shared, request: GetAttributes) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    let mut state = shared.lock();
    let queue = state.queue(name)?;
    let counts = queue.counts();
    let mut all = queue.settings.attributes();
    for (attribute, value) in [
        ("QueueArn", arn(name)),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ("CreatedTimestamp", queue.created.to_string()),
        ("LastModifiedTimestamp", queue.modified.to_string()),
    ] {
        all.insert(attribute.to_owned(), value);
    }
    let asked = request.attribute_names.unwrap_or_default();
    if let Some(unknown) =
        asked.iter().find(|name| *name != "All" && !all.contains_key(*name) && !OPTIONAL.contains(&name.as_str()))
    {
        return Err(Refusal::unknown_attribute(unknown));
    }
    if !asked.iter().any(|name| name == "All") {
        all.retain(|attribute, _| asked.contains(attribute));
    }
    Ok(json!({"Attributes": all}))
}

/// `SetQueueAttributes`.
pub(super) fn set_attributes(shared: &Shared, request: SetAttributes) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?;
    let attributes = request.attributes.ok_or_else(|| Refusal::missing("Attributes"))?;
    let mut state = shared.lock();
    let mut settings = state.queue(name)?.settings.clone();
    settings.apply(&attributes, |target| state.queues.contains_key(target))?;
    let queue = state.queue(name)?;
    queue.settings = settings;
    queue.modified = now_ms() / 1000;
    Ok(json!({}))
}

fn insert(state: &mut State, name: String, settings: Settings) {
    state.created += 1;
    let queue = Queue::new(state.created, settings, now_ms() / 1000);
    state.queues.insert(name, queue);
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.ends_with(".fifo") {
        return Err(Refusal::unsupported("This endpoint has no FIFO queues."));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 80 || !name.bytes().all(legal) {
        return Err(Refusal::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}
