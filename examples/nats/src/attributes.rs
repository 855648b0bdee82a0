//! Span names and attributes (semantic conventions, messaging).

use async_nats::HeaderMap;
use propagation_core::{Attribute, ExternalText, Hop, semconv};

/// Describes a hop on a subject.
///
/// `named` is the subject as the service itself declares it: a rule of its policy, or its subscription. Without one, the subject is
/// chosen at run time, and stays out of the span's name and of metrics: each would be a series of its own.
pub(crate) fn describe(hop: &mut Hop, operation: &'static str, named: Option<&str>, subject: &str) {
    let name = named.map_or(operation.to_owned(), |named| format!("{operation} {named}"));
    hop.name = name.into();
    hop.attributes.push(Attribute::new(semconv::MESSAGING_SYSTEM_NAME, "nats"));
    hop.attributes.push(Attribute::new(semconv::MESSAGING_OPERATION_NAME, operation));
    hop.attributes.push(Attribute::new(semconv::MESSAGING_OPERATION_TYPE, operation));
    // The other side chooses these texts: the policy's guard bounds, escapes and scans them.
    match named {
        Some(named) => hop.attributes.push(Attribute::external(semconv::MESSAGING_DESTINATION_NAME, named)),
        None => {
            hop.attributes.push(Attribute::external(semconv::MESSAGING_DESTINATION_NAME, subject));
            hop.omit_from_metrics(&[semconv::MESSAGING_DESTINATION_NAME]);
        }
    }
    if subject.starts_with("_INBOX.") {
        hop.attributes.push(Attribute::new(semconv::MESSAGING_DESTINATION_TEMPORARY, true));
    }
}

/// Returns the id by which JetStream drops duplicates, if the publisher has set one.
pub(crate) fn message_id(headers: Option<&HeaderMap>) -> Option<Attribute> {
    let id = headers?.get(async_nats::header::NATS_MESSAGE_ID)?;
    Some(Attribute::external(semconv::MESSAGING_MESSAGE_ID, ExternalText::from(id.as_str())))
}
