//! A published message, and its view for a tap.

use std::{collections::BTreeMap, sync::Arc};

use amq_protocol::{
    protocol::BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

use super::wire::encode_properties;

/// A closure that sees, and may change, each published message before it is routed.
pub(super) type Tap = Arc<dyn Fn(&mut Published) + Send + Sync>;

/// A message as a client published it, on its way through a [tap](super::Builder::tap).
///
/// Entries that a tap does not change reach consumers unchanged, in order and with duplicates.
/// Once the properties are changed, the codec writes them anew: the entries of a table sorted by key, each key once.
#[derive(Clone, Debug)]
pub struct Published {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) mandatory: bool,
    pub(super) content: Content,
}

/// Properties, decoded and as octets, and body.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) properties: BasicProperties,
    pub(super) wire: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Published {
    /// The exchange it was published to; empty for the default exchange.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The routing key it was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        &self.routing_key
    }

    /// Whether the publisher wants it back when no queue takes it.
    #[must_use]
    pub fn mandatory(&self) -> bool {
        self.mandatory
    }

    /// Its properties, decoded.
    #[must_use]
    pub fn properties(&self) -> &BasicProperties {
        &self.content.properties
    }

    /// Its header table; `None` when there is none, which is not the same as an empty one.
    ///
    /// The codec keeps the last of several entries with one key. To see whether there were several, look at
    /// [`wire_properties`](Self::wire_properties).
    #[must_use]
    pub fn headers(&self) -> Option<&FieldTable> {
        self.content.properties.headers().as_ref()
    }

    /// One header.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<&AMQPValue> {
        self.headers()?.inner().get(key)
    }

    /// The property list as it was on the wire: the flags, then each property that they name.
    ///
    /// The content header frame that carried it was 20 octets longer.
    #[must_use]
    pub fn wire_properties(&self) -> &[u8] {
        &self.content.wire
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.content.body
    }

    /// Puts other properties in place of the received ones.
    pub fn set_properties(&mut self, properties: BasicProperties) {
        // The codec encodes every list that it can represent; if it ever refuses one, the message stays as it was.
        if let Some(wire) = encode_properties(&properties) {
            self.content.properties = properties;
            self.content.wire = wire;
        }
    }

    /// Adds one header or replaces it.
    pub fn insert_header(&mut self, key: ShortString, value: AMQPValue) {
        let mut headers = self.headers().cloned().unwrap_or_default();
        headers.insert(key, value);
        self.set_headers(headers);
    }

    /// Takes one header out and returns it. The table stays, empty if need be.
    pub fn remove_header(&mut self, key: &str) -> Option<AMQPValue> {
        let mut headers: BTreeMap<_, _> = self.headers()?.inner().clone();
        let removed = headers.remove(key)?;
        self.set_headers(headers.into());
        Some(removed)
    }

    /// Puts another header table in place of the received one.
    pub fn set_headers(&mut self, headers: FieldTable) {
        self.set_properties(self.content.properties.clone().with_headers(headers));
    }

    /// Puts another body in place of the received one.
    pub fn set_body(&mut self, body: Vec<u8>) {
        self.content.body = body;
    }
}
