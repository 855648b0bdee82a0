//! Events of AWS Lambda functions that a queue triggers.
//!
//! Lambda receives and deletes the messages; the function gets JSON records. [`records`] parses them into messages.
//!
//! ```
//! # async fn handle(event: serde_json::Value, propagator: propagation_core::Propagator) -> Result<(), std::io::Error> {
//! use propagation_sqs::{ConsumerPropagation, lambda};
//!
//! for record in lambda::records(&event) {
//!     let consumer = ConsumerPropagation::new(propagator.clone(), record.queue);
//!     consumer.process(&record.message, async { notify(record.message.body()).await }).await?;
//! }
//! # Ok(())
//! # }
//! # async fn notify(_: Option<&str>) -> Result<(), std::io::Error> { Ok(()) }
//! ```

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use aws_smithy_types::{Blob, base64};
use serde_json::Value;

/// A record of an event: a message and its queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// The queue's ARN.
    pub queue: String,
    /// The message, with its attributes and system attributes.
    pub message: Message,
}

/// Returns the records of an event that come from SQS. Skips anything else.
pub fn records(event: &Value) -> impl Iterator<Item = Record> {
    let records = event.get("Records").and_then(Value::as_array);
    records.into_iter().flatten().filter_map(record)
}

/// Parses a record of an event. Returns `None` if it does not come from SQS.
#[must_use]
pub fn record(record: &Value) -> Option<Record> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    if record.get("eventSource").and_then(Value::as_str) != Some("aws:sqs") {
        return None;
    }
    let entries = |name: &str| record.get(name).and_then(Value::as_object).into_iter().flatten();
    let system: HashMap<MessageSystemAttributeName, String> = entries("attributes")
        .filter_map(|(name, value)| Some((MessageSystemAttributeName::from(name.as_str()), value.as_str()?.to_owned())))
        .collect();
    let attributes: HashMap<String, MessageAttributeValue> =
        entries("messageAttributes").filter_map(|(name, value)| Some((name.clone(), attribute(value)?))).collect();
    let message = Message::builder()
        .set_message_id(text("messageId"))
        .set_receipt_handle(text("receiptHandle"))
        .set_body(text("body"))
        .set_attributes(Some(system).filter(|system| !system.is_empty()))
        .set_message_attributes(Some(attributes).filter(|attributes| !attributes.is_empty()))
        .build();
    Some(Record { queue: text("eventSourceARN").unwrap_or_default(), message })
}

fn attribute(value: &Value) -> Option<MessageAttributeValue> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    // A binary value that is not Base64 stays malformed: it reads as an empty value.
    let binary = text("binaryValue").map(|encoded| base64::decode(encoded).unwrap_or_default());
    MessageAttributeValue::builder()
        .data_type(text("dataType").unwrap_or("String"))
        .set_string_value(text("stringValue").map(str::to_owned))
        .set_binary_value(binary.map(Blob::new))
        .build()
        .ok()
}
