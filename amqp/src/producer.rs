use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm, options::BasicPublishOptions, types::ShortString,
};
use propagation_core::{
    Outcome, Peer, Propagator, StoredContext,
    messaging::{self, ExistingContext, PreparedMessage},
};

use crate::{
    FrameLimit, PropertiesCarrierMut,
    attributes::{Destination, ids},
    names::Names,
};

/// Publishes messages that carry the current context.
///
/// ```no_run
/// # async fn publish(connection: lapin::Connection, propagator: propagation_core::Propagator) -> lapin::Result<()> {
/// use lapin::{BasicProperties, options::BasicPublishOptions};
/// use propagation_amqp::ProducerPropagation;
///
/// let channel = connection.create_channel().await?;
/// let producer = ProducerPropagation::new(propagator, &connection);
/// producer
///     .publish(&channel, "shop".into(), "paid".into(), BasicPublishOptions::default(), b"{}", BasicProperties::default())
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProducerPropagation {
    propagator: Propagator,
    limit: FrameLimit,
    existing: ExistingContext,
    names: Names,
}

impl ProducerPropagation {
    /// For channels of a connection: give the connection itself, or its frame limit in bytes.
    #[must_use]
    pub fn new(propagator: Propagator, limit: impl Into<FrameLimit>) -> Self {
        Self { propagator, limit: limit.into(), existing: ExistingContext::default(), names: Names::default() }
    }

    /// What happens to a context that a message already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.existing = existing.into();
        self
    }

    /// Returns a producer whose messages get this context, which the application has stored itself: an outbox relay, also inside the
    /// hop of a caller whose own context is not trusted.
    #[must_use]
    pub fn with_stored(&self, stored: StoredContext) -> Self {
        self.clone().existing(stored)
    }

    /// Declares an exchange and the routing keys, or their templates, that messages are published with: `["paid", "orders.*"]`. Only these
    /// become part of span names and metrics; otherwise the exchange alone does.
    ///
    /// Templates are words separated by dots, as in bindings of topic exchanges: `*` and `{…}` stand for one word, `#` for any number.
    #[must_use]
    pub fn with_exchange<I>(mut self, exchange: &str, routing_keys: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.names = self.names.with_exchange(exchange, routing_keys);
        self
    }

    /// Declares queues that messages are published to through the default exchange. Any other queue is left out of span names and metrics: the
    /// queue of a reply is the caller's choice.
    #[must_use]
    pub fn with_queues<I>(mut self, queues: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.names = self.names.with_queues(queues);
        self
    }

    /// [`Channel::basic_publish`] with the current context. The span ends when the message is handed over.
    ///
    /// # Errors
    ///
    /// Those of [`Channel::basic_publish`] and no others.
    pub async fn publish(
        &self,
        channel: &Channel,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        mut properties: BasicProperties,
    ) -> lapin::Result<PublisherConfirm> {
        let PreparedMessage { hop, .. } = self.prepare(exchange.as_str(), routing_key.as_str(), &mut properties);
        let sent = hop.scope(channel.basic_publish(exchange, routing_key, options, payload, properties)).await;
        hop.end(&Outcome::of(&sent));
        sent
    }

    /// The same, waiting for the broker's word on a channel in confirm mode. The span ends with it: a negative one and a message
    /// that could not be routed are errors.
    ///
    /// # Errors
    ///
    /// Those of [`Channel::basic_publish`] and of its confirm.
    pub async fn publish_confirmed(
        &self,
        channel: &Channel,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        mut properties: BasicProperties,
    ) -> lapin::Result<Confirmation> {
        let PreparedMessage { hop, .. } = self.prepare(exchange.as_str(), routing_key.as_str(), &mut properties);
        let confirmed = hop
            .scope(async { channel.basic_publish(exchange, routing_key, options, payload, properties).await?.await })
            .await;
        hop.end(&match &confirmed {
            Ok(Confirmation::Nack(_)) => Outcome::error("nack"),
            Ok(Confirmation::Ack(Some(returned))) => Outcome::error(returned.reply_code.to_string()),
            other => Outcome::of(other),
        });
        confirmed
    }

    /// Puts the current context on a message that you publish yourself. Publish it in the hop, and end the hop with the outcome.
    pub fn prepare(&self, exchange: &str, routing_key: &str, properties: &mut BasicProperties) -> PreparedMessage {
        let destination = Destination { exchange, routing_key, queue: None, temporary: false, names: &self.names };
        // Through the default exchange a message goes to the queue that its routing key names.
        let peer = if exchange.is_empty() { Peer::amqp_queue(routing_key) } else { Peer::amqp(exchange) };
        let ids: Vec<_> = if self.propagator.records() { ids(properties).collect() } else { Vec::new() };
        let mut carrier = PropertiesCarrierMut::new(properties, self.limit);
        messaging::send(&self.propagator, &peer, &self.existing, &mut carrier, |hop| {
            destination.describe(hop, "send", "send");
            hop.attributes.extend(ids);
        })
    }
}
