//! Send spans, with and without confirms.

use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm, options::BasicPublishOptions, types::ShortString,
};
use propagation_core::{
    Outcome, Peer, Propagator, StoredContext,
    messaging::{self, ExistingContext, PreparedMessage},
};

use crate::{
    FrameLimit, PropertiesCarrierMut,
    attributes::{Declared, Destination, ServerAddress, ids},
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
    declared: Declared,
}

impl ProducerPropagation {
    /// Creates an adapter for channels of one connection. Pass the connection, or its frame limit in bytes.
    #[must_use]
    pub fn new(propagator: Propagator, limit: impl Into<FrameLimit>) -> Self {
        Self { propagator, limit: limit.into(), existing: ExistingContext::default(), declared: Declared::default() }
    }

    /// Sets the treatment of a context that a message already carries.
    #[must_use]
    pub fn existing(mut self, existing: impl Into<ExistingContext>) -> Self {
        self.existing = existing.into();
        self
    }

    /// Returns a copy whose messages get a context that the application stored itself.
    ///
    /// For an outbox relay. Such a context is trusted also inside the hop of an untrusted caller.
    #[must_use]
    pub fn with_stored(&self, stored: StoredContext) -> Self {
        self.clone().existing(stored)
    }

    /// Sets the broker's address, `server.address` and `server.port` of spans and metrics: an [`AMQPUri`](lapin::uri::AMQPUri), or a
    /// [`ServerAddress`].
    #[must_use]
    pub fn with_server(mut self, server: impl Into<ServerAddress>) -> Self {
        self.declared.set(|settings| settings.server = Some(server.into()));
        self
    }

    /// Declares an exchange and the routing keys, or templates of them, of its messages. For example, `["paid", "orders.*"]`.
    ///
    /// Only declared routing keys become part of span names and metrics, beside the exchange. Templates are words separated by
    /// dots, as in bindings of topic exchanges: `*` and `{…}` match one word, `#` any number of words.
    #[must_use]
    pub fn with_exchange<I>(mut self, exchange: &str, routing_keys: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.declared.set(|settings| settings.names = settings.names.with_exchange(exchange, routing_keys));
        self
    }

    /// Declares queues that messages are published to through the default exchange.
    ///
    /// Other queues are omitted from span names and metrics, because callers choose the queues of replies.
    #[must_use]
    pub fn with_queues<I>(mut self, queues: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.declared.set(|settings| settings.names = settings.names.with_queues(queues));
        self
    }

    /// Calls [`Channel::basic_publish`] with the current context. The span ends when the message is handed to the connection.
    ///
    /// # Errors
    ///
    /// Returns only the errors of [`Channel::basic_publish`].
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

    /// Like [`publish`](Self::publish) on a channel in confirm mode, but the span ends with the broker's confirm.
    ///
    /// A negative confirm, and a returned message that could not be routed, are errors of the span.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Channel::basic_publish`] and of its confirm.
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

    /// Starts the send span of a message that you publish yourself, and writes its context to the message.
    ///
    /// Publish the message in the hop, and end the hop with the outcome.
    pub fn prepare(&self, exchange: &str, routing_key: &str, properties: &mut BasicProperties) -> PreparedMessage {
        let destination = Destination { exchange, routing_key, queue: None, declared: &self.declared };
        // The default exchange routes to the queue with the name of the routing key.
        let peer = if exchange.is_empty() { Peer::amqp_queue(routing_key) } else { Peer::amqp(exchange) };
        let ids: Vec<_> = if self.propagator.is_recording() { ids(properties).collect() } else { Vec::new() };
        let mut carrier = PropertiesCarrierMut::new(properties, self.limit);
        messaging::send(&self.propagator, &peer, &self.existing, &mut carrier, |hop| {
            destination.describe(&self.propagator, hop, "send", "send");
            hop.attributes.extend(ids);
        })
    }
}
