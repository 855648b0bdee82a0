//! Attributes of messages on SQS (semantic conventions 1.45, messaging/sqs).

use std::{borrow::Cow, fmt};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use propagation_core::{
    Attribute, AttributeValue, ExternalText, Hop, HopSpan, Propagator, Transport,
    messaging::{DeliveryKey, Destinations},
    semconv,
};

/// Returns the key of a delivery, which its receipt handle identifies.
pub(crate) fn delivery(receipt_handle: &str) -> DeliveryKey {
    DeliveryKey::new(Transport::SQS, receipt_handle)
}

/// A queue, given by its URL, ARN or name.
#[derive(Clone)]
pub(crate) struct Queue(String);

/// Prints the name. The URL may hold a password.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.name()).finish()
    }
}

impl Queue {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the queue's name: the last part of a URL or ARN.
    pub(crate) fn name(&self) -> &str {
        self.0.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default()
    }

    fn url(&self) -> Option<&str> {
        self.authority().map(|_| self.0.as_str())
    }

    fn authority(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("https://").or_else(|| self.0.strip_prefix("http://"))?;
        let authority = rest.split(['/', '?', '#']).next()?;
        Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host)).filter(|host| !host.is_empty())
    }

    /// Returns host and port of the URL. The port defaults to that of the scheme.
    fn server(&self) -> Option<(&str, u16)> {
        let authority = self.authority()?;
        let default = if self.0.starts_with("https:") { 443 } else { 80 };
        // An IPv6 address contains colons and is in brackets.
        match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => Some((host, port.parse().unwrap_or(default))),
            None => Some((authority, default)),
        }
        .map(|(host, port)| (host.trim_start_matches('[').trim_end_matches(']'), port))
    }

    /// Sets a hop's name, and the attributes of the operation and queue.
    pub(crate) fn describe(
        &self,
        known: &Destinations,
        propagator: &Propagator,
        hop: &mut Hop,
        (operation, kind): (&'static str, &'static str),
    ) {
        // A password in the URL is not kept.
        if self.0.contains('@') {
            return self.describe_new(hop, operation, kind);
        }
        known.describe(propagator, hop, &[operation, kind, &self.0], |hop| self.describe_new(hop, operation, kind));
    }

    fn describe_new(&self, hop: &mut Hop, operation: &'static str, kind: &'static str) {
        let name = self.name();
        hop.name = if name.is_empty() { operation.into() } else { format!("{operation} {name}").into() };
        let mut add = |key: &'static str, value: AttributeValue| hop.attributes.push(Attribute::new(key, value));
        add(semconv::MESSAGING_SYSTEM_NAME, semconv::SYSTEM_AWS_SQS.into());
        add(semconv::MESSAGING_OPERATION_NAME, operation.into());
        add(semconv::MESSAGING_OPERATION_TYPE, kind.into());
        if !name.is_empty() {
            add(semconv::MESSAGING_DESTINATION_NAME, ExternalText::from(name).into());
        }
        if let Some(url) = self.url() {
            add(semconv::AWS_SQS_QUEUE_URL, ExternalText::from(without_user_info(url)).into());
        }
        if let Some((host, port)) = self.server() {
            add(semconv::SERVER_ADDRESS, ExternalText::from(host).into());
            add(semconv::SERVER_PORT, port.into());
        }
    }
}

/// Returns a URL without user name and password.
fn without_user_info(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("{scheme}://{}", rest.get(at.saturating_add(1)..).unwrap_or_default()).into(),
        None => url.into(),
    }
}

/// Adds the number of messages of a batch.
pub(crate) fn count(hop: &mut Hop, messages: usize) {
    hop.attributes.push(Attribute::new(semconv::MESSAGING_BATCH_MESSAGE_COUNT, messages));
}

/// Returns the id of a received message.
pub(crate) fn message_id(message: &Message) -> Option<Attribute> {
    message.message_id().map(|id| Attribute::external(semconv::MESSAGING_MESSAGE_ID, id))
}

/// Returns the number of this delivery, if the receiver requested `ApproximateReceiveCount`.
pub(crate) fn delivery_count(message: &Message) -> Option<Attribute> {
    let count = message.attributes()?.get(&MessageSystemAttributeName::ApproximateReceiveCount)?;
    Some(Attribute::new("propagation.message.delivery_count", count.parse::<u32>().ok()?))
}

/// Records the ids of the message and the request from a response.
pub(crate) fn record_ids(hop: &HopSpan, message_id: Option<&str>, request_id: Option<&str>) {
    if let Some(id) = message_id {
        hop.set_attribute(semconv::MESSAGING_MESSAGE_ID, ExternalText::from(id));
    }
    if let Some(id) = request_id {
        hop.set_attribute(semconv::AWS_REQUEST_ID, ExternalText::from(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_is_parsed_from_url_arn_or_name() {
        for (text, name, url, server) in [
            (
                "https://sqs.us-east-1.amazonaws.com/123456789012/orders",
                "orders",
                true,
                Some(("sqs.us-east-1.amazonaws.com", 443)),
            ),
            ("http://localhost:9324/000000000000/orders.fifo/", "orders.fifo", true, Some(("localhost", 9324))),
            ("http://user@[::1]:9324/0/orders", "orders", true, Some(("::1", 9324))),
            ("http://[::1]/0/orders", "orders", true, Some(("::1", 80))),
            ("http:///orders", "orders", false, None),
            ("arn:aws:sqs:us-east-1:123456789012:orders", "orders", false, None),
            ("orders", "orders", false, None),
            ("", "", false, None),
        ] {
            let queue = Queue::new(text);
            assert_eq!((queue.name(), queue.url().is_some(), queue.server()), (name, url, server), "{text}");
        }
    }
}
