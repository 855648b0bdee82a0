//! `SendMessage` and `SendMessageBatch`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::attribute::{Attribute, Attributes, Kind, WireAttributes};
use super::limits::{self, MAX_ATTRIBUTES, MAX_BYTES, MAX_DELAY};
use super::queue::Message;
use super::refusal::Refusal;
use super::settings::Settings;
use super::state::{Shared, now_ms, queue_name};
use super::{InTransit, batch, digest};

/// The one system attribute that a sender may set.
const TRACE_HEADER: &str = "AWSTraceHeader";

/// A message to send: a `SendMessage` request, or an entry of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outgoing {
    queue_url: Option<String>,
    id: Option<String>,
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    message_attributes: Option<WireAttributes>,
    message_system_attributes: Option<WireAttributes>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch {
    queue_url: Option<String>,
    entries: Option<Vec<Outgoing>>,
}

/// A message within the limits.
#[derive(Debug)]
struct Accepted {
    body: String,
    attributes: Attributes,
    system: Attributes,
    group: Option<String>,
    delay: Duration,
}

impl batch::Entry for Outgoing {
    const NAME: &'static str = "SendMessageBatchRequestEntry";

    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// `SendMessage`. `trace_header` is the request's `X-Amzn-Trace-Id`.
pub(super) fn one(shared: &Shared, request: Outgoing, trace_header: Option<&str>) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?.to_owned();
    let settings = shared.lock().queue(&name)?.settings.clone();
    let accepted = request.accept(&settings, trace_header)?;
    store(shared, &name, accepted).map(Value::Object)
}

/// `SendMessageBatch`.
pub(super) fn batch(shared: &Shared, request: Batch, trace_header: Option<&str>) -> Result<Value, Refusal> {
    let name = queue_name(request.queue_url.as_deref())?.to_owned();
    let settings = shared.lock().queue(&name)?.settings.clone();
    let entries = batch::check(request.entries)?;
    let total = entries.iter().map(Outgoing::size).sum();
    if total > MAX_BYTES {
        return Err(Refusal::batch_too_long(MAX_BYTES, total));
    }
    Ok(batch::each(entries, |entry| store(shared, &name, entry.accept(&settings, trace_header)?)))
}

impl Outgoing {
    /// Returns the size that counts towards the limit, without system attributes.
    fn size(&self) -> usize {
        let attributes = self.message_attributes.iter().flatten();
        self.message_body.as_deref().map_or(0, str::len)
            + attributes.map(|(name, attribute)| name.len() + attribute.size()).sum::<usize>()
    }

    fn accept(self, settings: &Settings, trace_header: Option<&str>) -> Result<Accepted, Refusal> {
        let size = self.size();
        let body = self.message_body.unwrap_or_default();
        limits::body(&body)?;
        if size > settings.max_bytes {
            return Err(Refusal::invalid_value(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
                settings.max_bytes
            )));
        }
        let delay = match self.delay_seconds {
            Some(delay) => Duration::from_secs(limits::in_range("DelaySeconds", delay, 0, MAX_DELAY)?),
            None => settings.delay,
        };
        if let Some(deduplication) = self.message_deduplication_id {
            return Err(Refusal::invalid_parameter(
                deduplication,
                "MessageDeduplicationId",
                "The request include parameter that is not valid for this queue type.",
            ));
        }
        if let Some(group) = &self.message_group_id {
            check_group(group)?;
        }
        Ok(Accepted {
            attributes: accept_attributes(self.message_attributes.unwrap_or_default())?,
            system: accept_system(self.message_system_attributes.unwrap_or_default(), trace_header)?,
            group: self.message_group_id,
            body,
            delay,
        })
    }
}

fn accept_attributes(wire: WireAttributes) -> Result<Attributes, Refusal> {
    if wire.len() > MAX_ATTRIBUTES {
        return Err(Refusal::invalid_value(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            wire.len()
        )));
    }
    wire.into_iter()
        .map(|(name, attribute)| {
            limits::attribute_name(&name)?;
            let attribute = attribute.accept(Kind::User, &name)?;
            Ok((name, attribute))
        })
        .collect()
}

fn accept_system(wire: WireAttributes, trace_header: Option<&str>) -> Result<Attributes, Refusal> {
    let mut system = Attributes::new();
    for (name, attribute) in wire {
        if name != TRACE_HEADER {
            return Err(Refusal::invalid_value(format!("Message system attribute name '{name}' is invalid.")));
        }
        let attribute = attribute.accept(Kind::System, &name)?;
        if attribute.data_type != "String" {
            return Err(Refusal::invalid_value(format!(
                "The type of message system attribute '{name}' is invalid. You must use only the following \
                 supported type prefixes: String."
            )));
        }
        system.insert(name, attribute);
    }
    // The header counts for all messages of the request; a message's own attribute overrides it.
    if let Some(header) = trace_header {
        system.entry(TRACE_HEADER.to_owned()).or_insert_with(|| Attribute::string(header));
    }
    Ok(system)
}

fn check_group(group: &str) -> Result<(), Refusal> {
    if (1..=128).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Refusal::invalid_parameter(
        group,
        "MessageGroupId",
        "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
    ))
}

/// Passes the message to the tap and stores the result.
fn store(shared: &Shared, name: &str, mut accepted: Accepted) -> Result<Map<String, Value>, Refusal> {
    // The sender gets the digests of the original: the tap models later changes.
    let mut answer = Map::new();
    let mut set = |key: &str, value: String| answer.insert(key.to_owned(), Value::String(value));
    let id = shared.id();
    set("MessageId", id.clone());
    set("MD5OfMessageBody", digest::of_body(&accepted.body));
    if let Some(digest) = digest::of_attributes(&accepted.attributes) {
        set("MD5OfMessageAttributes", digest);
    }
    if let Some(digest) = digest::of_attributes(&accepted.system) {
        set("MD5OfMessageSystemAttributes", digest);
    }
    shared.tap(&mut InTransit {
        queue: name,
        body: &mut accepted.body,
        attributes: &mut accepted.attributes,
        system_attributes: &mut accepted.system,
    });
    shared.lock().queue(name)?.push(Message {
        id,
        body: accepted.body,
        attributes: accepted.attributes,
        system: accepted.system,
        group: accepted.group,
        sent: now_ms(),
        first_received: None,
        receives: 0,
        dead_letter_source: None,
        visible_at: Instant::now() + accepted.delay,
    });
    Ok(answer)
}
